//! Locks that permit one writing process at a time.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::files::remove_unfinished;
use super::{InUse, check_not_writable_by_others};
use crate::error::Error;

/// The flag that makes opening a symbolic link an error.
const NO_FOLLOW: i32 = rustix::fs::OFlags::NOFOLLOW.bits() as i32;

/// A lock of a state directory or a dataset. It is released when it is dropped.
///
/// The operating system holds the lock, and releases it however the process ends.
#[derive(Debug)]
pub(crate) struct StateLock {
    _file: File,
}

impl StateLock {
    /// Locks a state directory, or the directory of a subscription in it. Removes what a killed process has left half written
    /// there: it can have persons. Fails if another process has locked the directory, or if other users can write to it.
    pub(crate) fn take(directory: &Path) -> Result<Self, Error> {
        let lock = Self::at(directory, "lock")?;
        remove_unfinished(directory)?;
        Ok(lock)
    }

    /// Locks a dataset. Fails if another process has locked it, or if other users can write to the directory.
    ///
    /// Several state directories may use one dataset, so the lock file is in the dataset. Its name starts with a dot, so
    /// that programs that read tables ignore it.
    pub(crate) fn take_dataset(root: &Path) -> Result<Self, Error> {
        Self::at(root, ".lock")
    }

    /// Returns whether a process has locked a dataset, or may have: then its files are about to change.
    pub(crate) fn is_dataset_taken(root: &Path) -> bool {
        let opened = OpenOptions::new()
            .read(true)
            .custom_flags(NO_FOLLOW)
            .open(root.join(".lock"));
        match opened {
            // The lock is released at once, when the file is closed.
            Ok(file) => file.try_lock_shared().is_err(),
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        }
    }

    fn at(directory: &Path, name: &str) -> Result<Self, Error> {
        check_not_writable_by_others(directory)?;
        let path = directory.join(name);
        let mut file = OpenOptions::new()
            .create(true)
            .read(true)
            .write(true)
            .truncate(false)
            .mode(0o600)
            // A link could make the lock empty another file of this user.
            .custom_flags(NO_FOLLOW)
            .open(&path)
            .map_err(Error::file(&path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // The other process may not have written its id yet.
                let _ = file.read_to_string(&mut holder);
                return Err(InUse {
                    path: directory.to_owned(),
                    holder: holder.trim().parse().ok(),
                }
                .into());
            }
            Err(TryLockError::Error(error)) => return Err(Error::file(&path)(error)),
        }
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(Error::file(&path))?;
        Ok(Self { _file: file })
    }
}
