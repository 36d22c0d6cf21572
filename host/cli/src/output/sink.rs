//! The destination of an extract or of rows: a file or standard output.

use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use cprflow::Error;
use tempfile::NamedTempFile;

const BUFFER_BYTES: usize = 1024 * 1024;

/// A file, or standard output.
///
/// A file gets its name only in [`Sink::finish`], when it is complete.
pub(crate) enum Sink {
    File(BufWriter<NamedTempFile>, PathBuf),
    Stdout(BufWriter<io::Stdout>),
}

impl Sink {
    /// Opens the file, or standard output for `-` and `None`. Only its owner can read a new file, because it contains
    /// personal data.
    pub(crate) fn open(path: Option<&Path>) -> Result<Self, Error> {
        let Some(path) = path.filter(|path| *path != Path::new("-")) else {
            return Ok(Self::Stdout(BufWriter::new(io::stdout())));
        };
        let directory = match path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        let file = NamedTempFile::new_in(directory).map_err(Error::file(path))?;
        Ok(Self::File(
            BufWriter::with_capacity(BUFFER_BYTES, file),
            path.to_owned(),
        ))
    }

    /// Returns whether the destination is a file.
    pub(crate) const fn is_file(&self) -> bool {
        matches!(self, Self::File(..))
    }

    /// Returns whether the destination is a terminal.
    pub(crate) fn is_terminal(&self) -> bool {
        !self.is_file() && io::stdout().is_terminal()
    }

    /// Returns the path, or `standard output`, for use in errors.
    pub(crate) fn name(&self) -> PathBuf {
        match self {
            Self::File(_, path) => path.clone(),
            Self::Stdout(_) => PathBuf::from("standard output"),
        }
    }

    /// Writes the buffer. Syncs a file to disk and gives it its name.
    pub(crate) fn finish(self) -> Result<(), Error> {
        match self {
            Self::File(writer, path) => {
                let file = writer.into_inner();
                let file = file.map_err(|error| Error::file(&path)(error.into_error()))?;
                file.as_file().sync_all().map_err(Error::file(&path))?;
                file.persist(&path)
                    .map_err(|error| Error::file(&path)(error.error))?;
                Ok(())
            }
            Self::Stdout(mut writer) => writer.flush().map_err(Error::file("standard output")),
        }
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::File(writer, _) => writer.write(bytes),
            Self::Stdout(writer) => writer.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::File(writer, _) => writer.flush(),
            Self::Stdout(writer) => writer.flush(),
        }
    }
}
