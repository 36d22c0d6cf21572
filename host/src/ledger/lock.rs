//! One writer at a time.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::LedgerError;
use crate::error::Error;

/// The right to change a state directory or a dataset, for as long as it is held.
///
/// The operating system keeps it and lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct StateLock {
    _file: File,
}

impl StateLock {
    /// Takes that of a state directory, or says who has it.
    pub(crate) fn take(directory: &Path) -> Result<Self, Error> {
        Self::at(directory, "lock")
    }

    /// Takes that of a dataset, or says who has it: another state directory may lead to the same one. The file lies in
    /// the dataset, where every path to it leads, and is hidden: nothing that reads tables takes it for one.
    pub(crate) fn take_dataset(root: &Path) -> Result<Self, Error> {
        Self::at(root, ".lock")
    }

    fn at(directory: &Path, name: &str) -> Result<Self, Error> {
        let path = directory.join(name);
        let mut file = OpenOptions::new()
            .create(true)
            .read(true)
            .write(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(Error::file(&path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // Whoever has it may not have said so yet.
                let _ = file.read_to_string(&mut holder);
                return Err(LedgerError::InUse {
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
