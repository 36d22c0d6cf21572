//! The group that may read a tenant's dataset, in addition to its owner.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use super::{entries, sync_directory};
use crate::error::Error;

/// A group of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    name: String,
    id: u32,
}

/// The mode of a directory that the group may read.
const DIRECTORY_MODE: u32 = 0o750;

/// The mode of a file that the group may read.
const FILE_MODE: u32 = 0o640;

impl Group {
    /// Looks up a group by name or number. Fails if it does not exist, or if this user cannot give files to it.
    pub fn find(text: &str) -> Result<Self, Error> {
        let found = match text.parse() {
            Ok(number) => nix::unistd::Group::from_gid(nix::unistd::Gid::from_raw(number)),
            Err(_) => nix::unistd::Group::from_name(text),
        };
        let found = found.map_err(|error| Error::Group {
            what: format!("cannot look up the group: {error}"),
        })?;
        let found = found.ok_or_else(|| Error::Group {
            what: "there is no such group on this machine. Create it, or name another group"
                .to_owned(),
        })?;
        let group = Self {
            name: found.name,
            id: found.gid.as_raw(),
        };
        match group.can_own_files() {
            true => Ok(group),
            false => Err(Error::Group {
                what: "the user that runs cprflow is not a member of the group, so it cannot give files to the group. Add \
                       the user to the group"
                    .to_owned(),
            }),
        }
    }

    /// Returns the name of the group.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns whether this user may change the group of its files to this one: as root or as a member.
    fn can_own_files(&self) -> bool {
        let is_own = |id: rustix::process::Gid| id.as_raw() == self.id;
        let groups = rustix::process::getgroups().unwrap_or_default();
        rustix::process::geteuid().is_root()
            || is_own(rustix::process::getegid())
            || groups.into_iter().any(is_own)
    }

    /// Lets the group read a directory.
    pub(crate) fn open_directory(&self, path: &Path) -> Result<(), Error> {
        self.open(path, DIRECTORY_MODE)
    }

    /// Lets the group read a directory and every file in it, durably.
    pub(crate) fn open_files(&self, directory: &Path) -> Result<(), Error> {
        for path in entries(directory)? {
            self.open(&path, FILE_MODE)?;
        }
        self.set(directory, DIRECTORY_MODE)?;
        sync_directory(Some(directory))
    }

    fn open(&self, path: &Path, mode: u32) -> Result<(), Error> {
        self.set(path, mode)?;
        File::open(path)
            .and_then(|file| file.sync_all())
            .map_err(Error::file(path))
    }

    fn set(&self, path: &Path, mode: u32) -> Result<(), Error> {
        // The group is set before the mode, so that another group never can read the file.
        chown(path, None, Some(self.id))
            .and_then(|()| fs::set_permissions(path, Permissions::from_mode(mode)))
            .map_err(Error::file(path))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn finds_a_group_by_name_and_by_number_and_refuses_an_unknown_one() {
        let own = rustix::process::getegid().as_raw();
        let group = Group::find(&own.to_string()).unwrap();
        assert_eq!(Group::find(group.name()).unwrap(), group);
        for text in ["no-such-group-here", "4294967290", ""] {
            let error = Group::find(text).unwrap_err().to_string();
            assert!(error.contains("there is no such group"), "{text}: {error}");
        }
    }

    #[test]
    fn lets_the_group_read_a_directory_and_its_files() {
        let place = tempfile::tempdir().unwrap();
        let own = rustix::process::getegid().as_raw();
        // As root, use a group that new files do not have already.
        let id = match rustix::process::geteuid().is_root() {
            true => 1,
            false => own,
        };
        let directory = place.path().join("delivery");
        fs::create_dir(&directory).unwrap();
        fs::write(directory.join("person.parquet"), "x").unwrap();
        let group = Group::find(&id.to_string()).unwrap();
        group.open_files(&directory).unwrap();
        for (path, mode) in [
            (directory.clone(), 0o750),
            (directory.join("person.parquet"), 0o640),
        ] {
            let metadata = fs::metadata(path).unwrap();
            assert_eq!((metadata.mode() & 0o7777, metadata.gid()), (mode, id));
        }
    }
}
