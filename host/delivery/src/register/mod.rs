//! The register: every applied extract, compressed, in the state directory. Only their owner can read the files.
//!
//! The file of an extract is `<state>/register/<agreement>/<transfer UUID>.cpr.zst`. It is on the disk before the
//! ledger has its row, which is the commit point of the delivery. A file without a row is removed by the next run.
//! The file begins with a frame that zstd skips and that describes it, so that a lost ledger can be made again.

mod header;

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::fs::{Digesting, entries, private_directory, remove_file, sync_directory};
use crate::ledger::{KeptExtract, KeptFile};

pub(crate) use header::FileHeader;

/// The directory of the register in a state directory.
pub(crate) const DIRECTORY: &str = "register";

/// The end of the name of each file of the register.
const EXTENSION: &str = ".cpr.zst";

/// The end of the name of a file that is not complete.
const PART: &str = ".part";

/// The level of the compression: zstd's default.
const LEVEL: i32 = 3;

/// The bytes that are read and written at a time.
const BUFFER_BYTES: usize = 256 * 1024;

/// The register of a state directory.
#[derive(Debug, Clone)]
pub(crate) struct Register {
    root: PathBuf,
}

impl Register {
    /// Returns the register of a state directory. Creates nothing.
    pub(crate) fn of(state: &Path) -> Self {
        Self {
            root: state.join(DIRECTORY),
        }
    }

    /// Returns the directory of an agreement.
    pub(crate) fn agreement(&self, agreement: &str) -> PathBuf {
        self.root.join(agreement)
    }

    /// Returns the path of a kept extract.
    pub(crate) fn path(&self, kept: &KeptExtract) -> PathBuf {
        self.agreement(&kept.agreement).join(&kept.file)
    }

    /// Compresses an extract into the register, durably. A file of the same name is replaced in one step.
    ///
    /// `check` is called for each block, so that a run can be stopped.
    pub(crate) fn store(
        &self,
        agreement: &str,
        header: &FileHeader,
        extract: impl Read,
        check: impl Fn() -> Result<(), Error>,
    ) -> Result<KeptFile, Error> {
        let directory = self.agreement(agreement);
        private_directory(&directory)?;
        let file = header.file_name();
        let (path, part) = (
            directory.join(&file),
            directory.join(format!("{file}{PART}")),
        );
        let opened = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(true)
            .mode(0o600)
            .open(&part);
        let mut sink = Digesting::new(opened.map_err(Error::file(&part))?);
        header.write(&mut sink).map_err(Error::file(&part))?;
        let size = compress(extract, &mut sink, &part, check)?;
        let (written, file_sha256) = sink.finish();
        written.sync_all().map_err(Error::file(&part))?;
        let file_size = written.metadata().map_err(Error::file(&part))?.len();
        drop(written);
        fs::rename(&part, &path).map_err(Error::file(&path))?;
        sync_directory(Some(&directory))?;
        Ok(KeptFile {
            file,
            file_size,
            file_sha256,
            size,
        })
    }

    /// Opens a kept extract: returns its bytes as they were delivered.
    pub(crate) fn open(&self, kept: &KeptExtract) -> Result<impl Read + Send + use<>, Error> {
        let path = self.path(kept);
        open_file(&path).map_err(Error::file(path))
    }

    /// Removes the files of an agreement that are not in `kept`: what a run left that was killed.
    pub(crate) fn remove_unknown(&self, kept: &[KeptExtract]) -> Result<(), Error> {
        for directory in entries(&self.root)? {
            for path in entries(&directory)? {
                if !kept.iter().any(|kept| self.path(kept) == path) {
                    remove_file(&path)?;
                }
            }
        }
        Ok(())
    }

    /// Returns the complete files of an agreement with their headers. Files that cannot be read as one are left out.
    pub(crate) fn files(&self, agreement: &str) -> Result<Vec<(PathBuf, FileHeader)>, Error> {
        let mut found = Vec::new();
        for path in entries(&self.agreement(agreement))? {
            let is_complete = path.to_string_lossy().ends_with(EXTENSION);
            if !is_complete {
                continue;
            }
            let file = File::open(&path).map_err(Error::file(&path))?;
            if let Ok(header) = FileHeader::read(file) {
                found.push((path, header));
            }
        }
        Ok(found)
    }
}

/// Opens a file of the register: returns the bytes of its extract.
pub(crate) fn open_file(path: &Path) -> io::Result<impl Read + Send + use<>> {
    let file = File::open(path)?;
    let decoder = zstd::Decoder::with_buffer(BufReader::with_capacity(BUFFER_BYTES, file))?;
    Ok(decoder)
}

/// Compresses everything that a reader returns. Returns its size.
fn compress(
    mut extract: impl Read,
    sink: impl Write,
    path: &Path,
    check: impl Fn() -> Result<(), Error>,
) -> Result<u64, Error> {
    let failed = || Error::file(path);
    let mut encoder = zstd::Encoder::new(sink, LEVEL).map_err(failed())?;
    encoder.include_checksum(true).map_err(failed())?;
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut size = 0;
    loop {
        check()?;
        let count = match extract.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Error::file(path)(error)),
        };
        let block = buffer.get(..count).unwrap_or_default();
        encoder.write_all(block).map_err(failed())?;
        size += count as u64;
    }
    encoder.finish().map_err(failed())?;
    Ok(size)
}

#[cfg(test)]
mod tests;
