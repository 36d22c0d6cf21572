//! The spool: private copies of extracts that are being processed. Only their owner can read them.
//!
//! An extract is `<agreement>/<transfer uuid>.part` until all its bytes are on the disk, and `….extract` then. It is
//! scanned while it is downloaded.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};

use crate::error::Error;
use crate::fs::{entries, private_directory, remove_file, sync_directory};

/// One extract in the spool.
#[derive(Debug, Clone)]
pub(crate) struct Spooled {
    part: PathBuf,
    whole: PathBuf,
}

impl Spooled {
    /// Returns the extract of a delivery. Creates the directory of its agreement.
    pub(crate) fn new(spool: &Path, agreement: &str, transfer: &str) -> Result<Self, Error> {
        let directory = spool.join(agreement);
        private_directory(&directory)?;
        Ok(Self {
            part: directory.join(format!("{transfer}.part")),
            whole: directory.join(format!("{transfer}.extract")),
        })
    }

    /// Returns whether the spool has the complete extract of a delivery. Changes nothing on the disk.
    pub(crate) fn has_whole(spool: &Path, agreement: &str, transfer: &str) -> bool {
        spool
            .join(agreement)
            .join(format!("{transfer}.extract"))
            .is_file()
    }

    /// Returns the path of the extract if it is complete.
    pub(crate) fn whole(&self) -> Option<&Path> {
        self.whole.is_file().then_some(self.whole.as_path())
    }

    /// Returns the number of bytes of an incomplete extract that are in the spool.
    pub(crate) fn part_size(&self) -> u64 {
        fs::metadata(&self.part).map_or(0, |metadata| metadata.len())
    }

    /// Opens the incomplete extract to continue after the first `from` bytes. Removes any further bytes.
    pub(crate) fn resume(&self, from: u64) -> Result<File, Error> {
        let mut file = OpenOptions::new()
            .create(true)
            .read(true)
            .write(true)
            .truncate(false)
            .mode(0o600)
            .open(&self.part)
            .map_err(Error::file(&self.part))?;
        file.set_len(from)
            .and_then(|()| file.seek(SeekFrom::Start(from)))
            .map_err(Error::file(&self.part))?;
        Ok(file)
    }

    /// Opens the incomplete extract for reading.
    pub(crate) fn reader(&self) -> Result<File, Error> {
        File::open(&self.part).map_err(Error::file(&self.part))
    }

    /// Returns a function that adds the path of the incomplete extract to an error.
    pub(crate) fn error(&self) -> impl FnOnce(io::Error) -> Error + use<> {
        Error::file(self.part.clone())
    }

    /// Marks the extract as complete: brings its bytes to the disk, then renames it.
    pub(crate) fn complete(&self, file: &File) -> Result<(), Error> {
        file.sync_all().map_err(self.error())?;
        fs::rename(&self.part, &self.whole).map_err(Error::file(&self.whole))?;
        sync_directory(self.whole.parent())
    }

    /// Removes the extract, complete or not.
    pub(crate) fn remove(&self) -> Result<(), Error> {
        for path in [&self.part, &self.whole] {
            remove_file(path)?;
        }
        Ok(())
    }
}

/// Removes files in the subdirectories of a directory that are older than `max_age` and not needed. Returns their paths.
pub(crate) fn remove_older(
    root: &Path,
    max_age: SignedDuration,
    now: Timestamp,
    is_needed: impl Fn(&Path) -> bool,
) -> Result<Vec<PathBuf>, Error> {
    let mut removed = Vec::new();
    for directory in entries(root)? {
        for path in entries(&directory)? {
            let modified = fs::metadata(&path)
                .and_then(|metadata| metadata.modified())
                .map_err(Error::file(&path))?;
            let modified = Timestamp::try_from(modified).unwrap_or(now);
            if now.duration_since(modified) > max_age && !is_needed(&path) {
                remove_file(&path)?;
                removed.push(path);
            }
        }
    }
    Ok(removed)
}
