//! The register: every applied extract, compressed, in the state directory. Only their owner can read the files.
//!
//! The file of an extract is `<state>/register/<agreement>/<transfer UUID>.cpr.zst`. It is on the disk before the
//! ledger has its row, which is the commit point of the delivery. A file without a row is removed by the next run.
//! The file begins with a frame that zstd skips and that describes it, so that a lost ledger can be made again.

mod ahead;
mod header;

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread;

use crate::error::Error;
use crate::fs::{
    Digesting, digest, directory_of, entries, private_directory, remove_file, sync_directory,
};
use crate::ledger::{KeptExtract, KeptFile};
use crate::register_state::RegisterStateError;

use ahead::ReadAhead;
pub(crate) use header::FileHeader;

/// The directory of the register in a state directory.
pub(crate) const DIRECTORY: &str = "register";

/// The end of the name of each file of the register.
const EXTENSION: &str = ".cpr.zst";

/// The end of the name of a file that is not complete.
const PART: &str = ".part";

/// The level of the compression: zstd's default.
const LEVEL: i32 = 3;

/// The most threads that compress an extract.
const MAX_THREADS: usize = 4;

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

    /// Returns whether the file of a kept extract is there, with its size.
    pub(crate) fn has(&self, kept: &KeptExtract) -> bool {
        let size = fs::metadata(self.path(kept)).map(|metadata| metadata.len());
        size.is_ok_and(|size| size == kept.file_size) && !kept.was_damaged()
    }

    /// Returns whether the file of a kept extract is there, byte for byte. Reads the file to its end. A file that the disk
    /// cannot read is an error: it may be whole.
    pub(crate) fn is_whole(&self, kept: &KeptExtract) -> Result<bool, Error> {
        if !self.has(kept) {
            return Ok(false);
        }
        let path = self.path(kept);
        let found = File::open(&path).and_then(digest);
        Ok(found.map_err(Error::file(&path))? == kept.file_sha256)
    }

    /// Compresses an extract into the register, durably. A file of the same name is replaced in one step.
    ///
    /// `check` is called for each block, so that a run can be stopped.
    pub(crate) fn store(
        &self,
        agreement: &str,
        header: &FileHeader,
        mut extract: impl Read,
        check: impl Fn() -> Result<(), Error>,
    ) -> Result<KeptFile, Error> {
        let directory = self.agreement(agreement);
        let path = directory.join(header.file_name());
        Self::write(&path, header, |sink| {
            let mut buffer = vec![0; BUFFER_BYTES];
            loop {
                check()?;
                let count = match extract.read(&mut buffer) {
                    Ok(0) => return Ok(()),
                    Ok(count) => count,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => return Err(Error::file(&path)(error)),
                };
                let block = buffer.get(..count).unwrap_or_default();
                sink.write_all(block).map_err(Error::file(&path))?;
            }
        })
    }

    /// Writes what `write` writes as the extract of a delivery, durably. A file of the same name is replaced in one step.
    pub(crate) fn store_copy(
        &self,
        agreement: &str,
        header: &FileHeader,
        write: impl FnOnce(&mut dyn Write) -> Result<(), Error>,
    ) -> Result<KeptFile, Error> {
        let path = self.agreement(agreement).join(header.file_name());
        Self::write(&path, header, write)
    }

    /// Writes what `write` writes as a new file of a kept extract, durably. The old file stays, under another name.
    pub(crate) fn rewrite(
        &self,
        kept: &KeptExtract,
        write: impl FnOnce(&mut dyn Write) -> Result<(), Error>,
    ) -> Result<KeptFile, Error> {
        let old = self.path(kept);
        let file = File::open(&old).map_err(Error::file(&old))?;
        let header = match FileHeader::read(file) {
            Ok(header) => header,
            Err(error) if is_of_bytes(&error) => return Err(changed(kept)),
            Err(error) => return Err(Error::file(&old)(error)),
        };
        let stem = kept.file.strip_suffix(EXTENSION).unwrap_or(&kept.file);
        let revision = match stem.rsplit_once(".r") {
            Some((_, number)) => number.parse::<u32>().unwrap_or_default() + 1,
            None => 1,
        };
        let file = format!("{}.r{revision}{EXTENSION}", header.name);
        Self::write(&self.agreement(&kept.agreement).join(file), &header, write)
    }

    fn write(
        path: &Path,
        header: &FileHeader,
        write: impl FnOnce(&mut dyn Write) -> Result<(), Error>,
    ) -> Result<KeptFile, Error> {
        let directory = directory_of(path);
        private_directory(directory)?;
        let file = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let part = directory.join(format!("{file}{PART}"));
        let opened = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(true)
            .mode(0o600)
            .open(&part);
        let mut sink = Digesting::new(opened.map_err(Error::file(&part))?);
        header.write(&mut sink).map_err(Error::file(&part))?;
        let mut encoder = zstd::Encoder::new(&mut sink, LEVEL).map_err(Error::file(&part))?;
        encoder.include_checksum(true).map_err(Error::file(&part))?;
        // This thread reads the extract meanwhile. With one processor it does both.
        let threads =
            thread::available_parallelism().map_or(1, |count| count.get().min(MAX_THREADS));
        if threads > 1 {
            let threads = u32::try_from(threads).unwrap_or(1);
            encoder.multithread(threads).map_err(Error::file(&part))?;
        }
        let mut counting = Counting {
            inner: encoder,
            size: 0,
        };
        write(&mut counting)?;
        let size = counting.size;
        counting.inner.finish().map_err(Error::file(&part))?;
        let (written, file_sha256) = sink.finish();
        written.sync_all().map_err(Error::file(&part))?;
        let file_size = written.metadata().map_err(Error::file(&part))?.len();
        drop(written);
        fs::rename(&part, path).map_err(Error::file(path))?;
        sync_directory(Some(directory))?;
        Ok(KeptFile {
            file,
            file_size,
            file_sha256,
            size,
        })
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

/// Returns whether an error says that the bytes of a file are not as they were written, and not that the disk failed.
fn is_of_bytes(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
    )
}

/// Returns the error of a kept extract whose file is not as it was written.
fn changed(kept: &KeptExtract) -> Error {
    RegisterStateError::ExtractChanged {
        agreement: kept.agreement.clone(),
        file: kept.file.clone(),
    }
    .into()
}

/// Opens a file of the register: returns the bytes of its extract.
pub(crate) fn open_file(path: &Path) -> io::Result<impl Read + Send + use<>> {
    let file = File::open(path)?;
    let decoder = zstd::Decoder::with_buffer(BufReader::with_capacity(BUFFER_BYTES, file))?;
    ReadAhead::start(decoder)
}

/// A writer that counts what is written.
struct Counting<W> {
    inner: W,
    size: u64,
}

impl<W: Write> Write for Counting<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.size += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests;
