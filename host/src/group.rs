//! The group that may read a tenant's dataset beside its owner.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use crate::error::Error;
use crate::spool::entries;

/// A group of this machine's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    name: String,
    id: u32,
}

/// What the group may do with a directory, and with a file: read, and nothing else.
const DIRECTORY: u32 = 0o750;
const FILE: u32 = 0o640;

impl Group {
    /// The group of that name or number; an error if there is none, or if this user may give nothing to it.
    pub fn find(text: &str) -> Result<Self, Error> {
        let found = match text.parse() {
            Ok(number) => nix::unistd::Group::from_gid(nix::unistd::Gid::from_raw(number)),
            Err(_) => nix::unistd::Group::from_name(text),
        };
        let found = found.map_err(|error| Error::Group {
            what: format!("it cannot be looked up: {error}"),
        })?;
        let found = found.ok_or_else(|| Error::Group {
            what: "there is no such group on this machine: make it, or name another".to_owned(),
        })?;
        let group = Self {
            name: found.name,
            id: found.gid.as_raw(),
        };
        match group.may_be_given() {
            true => Ok(group),
            false => Err(Error::Group {
                what: "the user that runs cprflow is no member of it, and can give nothing to it: add the user to the \
                       group"
                    .to_owned(),
            }),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn may_be_given(&self) -> bool {
        let is_own = |id: rustix::process::Gid| id.as_raw() == self.id;
        let groups = rustix::process::getgroups().unwrap_or_default();
        rustix::process::geteuid().is_root()
            || is_own(rustix::process::getegid())
            || groups.into_iter().any(is_own)
    }

    /// Lets it read a directory, and nobody else who may not already.
    pub(crate) fn open_directory(&self, path: &Path) -> Result<(), Error> {
        self.open(path, DIRECTORY)
    }

    /// Lets it read a directory and every file in it, durably.
    pub(crate) fn open_files(&self, directory: &Path) -> Result<(), Error> {
        for path in entries(directory)? {
            self.open(&path, FILE)?;
        }
        self.open(directory, DIRECTORY)
    }

    fn open(&self, path: &Path, mode: u32) -> Result<(), Error> {
        // The group first: at no moment may another group read it.
        chown(path, None, Some(self.id))
            .and_then(|()| fs::set_permissions(path, Permissions::from_mode(mode)))
            .and_then(|()| File::open(path)?.sync_all())
            .map_err(Error::file(path))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn a_group_by_name_and_by_number_and_one_that_there_is_not() {
        let own = rustix::process::getegid().as_raw();
        let group = Group::find(&own.to_string()).unwrap();
        assert_eq!(Group::find(group.name()).unwrap(), group);
        for text in ["no-such-group-here", "4294967290", ""] {
            let error = Group::find(text).unwrap_err().to_string();
            assert!(error.contains("there is no such group"), "{text}: {error}");
        }
    }

    #[test]
    fn a_directory_and_its_files_are_the_groups_to_read() {
        let place = tempfile::tempdir().unwrap();
        let own = rustix::process::getegid().as_raw();
        // As root, one that a file does not have by itself.
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
