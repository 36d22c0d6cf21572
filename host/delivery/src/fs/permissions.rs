//! Directories that other users can change, and links that other users may have put in the way.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::error::Error;

/// Why cprflow does not store data in a directory: other users could read, replace or divert the data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnsafeDirectory {
    /// The group or all users may create and rename files in the directory.
    #[error(
        "{path}: {who} can write to this directory (mode {mode:o}), and could replace what cprflow stores in it. Check \
         what was changed, then run `chmod {change} {path}`, or use a directory that only the user of cprflow can write \
         to", path = path.display()
    )]
    WritableByOthers {
        /// The directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// The users who can write to it.
        who: &'static str,
        /// The change of the mode that corrects it.
        change: &'static str,
    },

    /// A directory that cprflow makes itself is a symbolic link or a file.
    #[error(
        "{path} is not a directory but {kind}, which cprflow did not make. It is not followed, because it may lead \
         personal data to another place. Find out who made it, and move it away", path = path.display()
    )]
    Planted {
        /// The link or file.
        path: PathBuf,
        /// What it is.
        kind: &'static str,
    },

    /// A directory that cprflow makes itself belongs to another user.
    #[error(
        "{path} belongs to another user (uid {owner}), who could replace what cprflow stores in it. If cprflow was run as \
         that user once, give the directory back with `chown -R`. Otherwise find out who made it, and move it away",
        path = path.display()
    )]
    OwnedByAnother {
        /// The directory.
        path: PathBuf,
        /// The number of its owner.
        owner: u32,
    },
}

/// The permission bit of a group that may write.
const GROUP_WRITE: u32 = 0o020;

/// The permission bit of all other users who may write.
const OTHERS_WRITE: u32 = 0o002;

/// The permission bit of a directory in which users can rename and delete only their own files.
const STICKY: u32 = 0o1000;

/// Checks that only its owner can write to a directory, or that others cannot replace the owner's files in it.
///
/// The group of a tenant's dataset may only read, so no group may write. A directory that does not exist is safe:
/// cprflow makes it for its owner alone. Symbolic links are followed, because the path is from the configuration.
pub(crate) fn check_not_writable_by_others(path: &Path) -> Result<(), Error> {
    check_mode(path, GROUP_WRITE | OTHERS_WRITE)
}

/// The directories of a state directory that have person numbers.
const STATE_DIRECTORIES: [&str; 5] = [
    "spool",
    "rosters",
    "register",
    "generations",
    "subscription",
];

/// Checks that other users cannot write to a state directory and its directories. Those that do not exist are safe.
pub fn check_state_permissions(state: &Path) -> Result<(), Error> {
    check_not_writable_by_others(state)?;
    let mut directories = STATE_DIRECTORIES.iter();
    directories.try_for_each(|name| check_not_writable_by_others(&state.join(name)))
}

/// Checks the same for the parent of a dataset, in which cprflow makes a directory for deliveries in preparation. Its
/// group may write to it, because a login gives new directories such modes on many systems.
pub(crate) fn check_parent(path: &Path) -> Result<(), Error> {
    check_mode(path, OTHERS_WRITE)
}

fn check_mode(path: &Path, forbidden: u32) -> Result<(), Error> {
    let Some(metadata) = existing(path, std::fs::metadata(path))? else {
        return Ok(());
    };
    let mode = metadata.mode() & 0o7777;
    if mode & forbidden == 0 || mode & STICKY != 0 {
        return Ok(());
    }
    let (who, change) = match (mode & forbidden & GROUP_WRITE, mode & OTHERS_WRITE) {
        (0, _) => ("every user", "o-w"),
        (_, 0) => ("its group", "g-w"),
        _ => ("every user", "g-w,o-w"),
    };
    Err(UnsafeDirectory::WritableByOthers {
        path: path.to_owned(),
        mode,
        who,
        change,
    }
    .into())
}

/// Checks a directory that cprflow makes itself, in a directory where others may be able to make one of that name: it
/// is a directory and no link, it belongs to this user or to the owner of `dataset`, and others cannot write to it.
///
/// An entry that passes cannot be replaced afterwards by users who can only add entries.
pub(crate) fn check_own_directory(path: &Path, dataset: &Path) -> Result<(), Error> {
    let Some(metadata) = existing(path, std::fs::symlink_metadata(path))? else {
        return Ok(());
    };
    let kind = metadata.file_type();
    if !kind.is_dir() {
        let kind = if kind.is_symlink() {
            "a symbolic link"
        } else {
            "a file"
        };
        let path = path.to_owned();
        return Err(UnsafeDirectory::Planted { path, kind }.into());
    }
    let owner = metadata.uid();
    let dataset = existing(dataset, std::fs::metadata(dataset))?;
    let is_own = owner == rustix::process::geteuid().as_raw()
        || dataset.is_some_and(|dataset| dataset.uid() == owner);
    if !is_own {
        let path = path.to_owned();
        return Err(UnsafeDirectory::OwnedByAnother { path, owner }.into());
    }
    check_not_writable_by_others(path)
}

/// Returns the metadata of an entry that exists.
fn existing(path: &Path, metadata: io::Result<Metadata>) -> Result<Option<Metadata>, Error> {
    match metadata {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        metadata => metadata.map(Some).map_err(Error::file(path)),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    use super::*;

    fn directory(place: &Path, name: &str, mode: u32) -> PathBuf {
        let path = place.join(name);
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn refuses_directories_that_others_can_write() {
        let place = tempfile::tempdir().unwrap();
        for (mode, change) in [
            (0o775, Some("g-w")),
            (0o770, Some("g-w")),
            (0o2775, Some("g-w")),
            (0o777, Some("g-w,o-w")),
            (0o757, Some("o-w")),
            (0o722, Some("g-w,o-w")),
            (0o700, None),
            (0o755, None),
            (0o750, None),
            (0o2750, None),
            // In a directory with the sticky bit, others cannot replace files of the owner.
            (0o1777, None),
            (0o1770, None),
        ] {
            let path = directory(place.path(), &format!("{mode:o}"), mode);
            let checked = check_not_writable_by_others(&path);
            let error = checked.map_err(|error| error.to_string()).err();
            let advice = change.map(|change| format!("`chmod {change} {}`", path.display()));
            assert_eq!(error.is_some(), change.is_some(), "{mode:o}: {error:?}");
            if let (Some(error), Some(advice)) = (error, advice) {
                assert!(error.contains(&advice), "{error}");
                assert!(error.contains(&format!("(mode {mode:o})")), "{error}");
            }
            // A login with umask 002 makes group-writable directories, so a parent may be one.
            let is_safe = mode & 0o002 == 0 || mode & 0o1000 != 0;
            assert_eq!(check_parent(&path).is_ok(), is_safe, "{mode:o}");
        }
        assert!(check_not_writable_by_others(&place.path().join("missing")).is_ok());
        assert!(check_parent(&place.path().join("missing")).is_ok());
    }

    #[test]
    fn checks_the_directories_of_a_state_directory() {
        let place = tempfile::tempdir().unwrap();
        let state = directory(place.path(), "state", 0o700);
        assert!(check_state_permissions(&state).is_ok());
        for name in STATE_DIRECTORIES {
            let path = directory(&state, name, 0o770);
            let error = check_state_permissions(&state).unwrap_err().to_string();
            assert!(
                error.contains(&format!("chmod g-w {}", path.display())),
                "{error}"
            );
            fs::set_permissions(&path, Permissions::from_mode(0o700)).unwrap();
            assert!(check_state_permissions(&state).is_ok());
        }
    }

    #[test]
    fn refuses_links_files_and_directories_of_others() {
        let place = tempfile::tempdir().unwrap();
        let place = place.path();
        let dataset = directory(place, "dataset", 0o700);
        let own = directory(place, "own", 0o700);
        let writable = directory(place, "writable", 0o777);
        symlink(&own, place.join("link")).unwrap();
        symlink(place.join("nowhere"), place.join("dangling")).unwrap();
        fs::write(place.join("file"), "").unwrap();
        let error = |name: &str| {
            let checked = check_own_directory(&place.join(name), &dataset);
            checked.err().map(|error| error.to_string())
        };
        assert_eq!(error("own"), None);
        assert_eq!(error("missing"), None);
        for (name, expected) in [
            ("link", "is not a directory but a symbolic link"),
            ("dangling", "is not a directory but a symbolic link"),
            ("file", "is not a directory but a file"),
            ("writable", "can write to this directory"),
        ] {
            let error = error(name).unwrap_or_else(|| panic!("{name} is accepted"));
            assert!(error.contains(expected), "{name}: {error}");
        }
        if rustix::process::geteuid().is_root() {
            chown(&own, Some(4242), None).unwrap();
            let refused = error("own").unwrap();
            assert!(
                refused.contains("belongs to another user (uid 4242)"),
                "{refused}"
            );
            // An administrator runs a command on the dataset of a service.
            chown(&dataset, Some(4242), None).unwrap();
            assert_eq!(error("own"), None);
        }
        drop(writable);
    }
}
