//! The destination of an extract or of rows: a file, a device or pipe, or standard output.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use cprflow::{Error, unfinished_file};
use tempfile::NamedTempFile;

use super::stdout::raw_stdout;
use crate::failure::Failure;
use crate::usage::UsageError;

/// Why rows cannot be written to a path. The error that holds it names the path.
#[derive(Debug, thiserror::Error)]
enum SinkError {
    /// The output was to be written through a link.
    #[error(
        "this symbolic link points to a file that does not exist. Name the file itself, or remove the link"
    )]
    DanglingLink,
    /// The output is one file.
    #[error("this is a directory. Name a file in it")]
    IsDirectory,
}

const BUFFER_BYTES: usize = 1024 * 1024;

/// A file, a device or pipe, or standard output.
///
/// A file gets its name only in [`Sink::finish`], when it is complete. What is no regular file is written at once: a
/// file that took its name would replace the device.
pub(crate) enum Sink {
    File(NewFile),
    Device(BufWriter<File>, PathBuf),
    Stdout(BufWriter<io::Stdout>),
}

/// A file that has no name yet.
pub(crate) struct NewFile {
    writer: BufWriter<NamedTempFile>,
    path: PathBuf,
    /// The permissions of the file that it replaces.
    permissions: Option<Permissions>,
}

impl Sink {
    /// Opens the destination; `-` and `None` mean standard output. A symbolic link is followed.
    ///
    /// Fails if the file exists, unless `force` is set. Only its owner can read a new file, because it contains
    /// personal data. A file that is replaced keeps its permissions.
    pub(crate) fn open(path: Option<&Path>, force: bool) -> Result<Self, Failure> {
        let Some(path) = path.filter(|path| *path != Path::new("-")) else {
            return Ok(Self::Stdout(BufWriter::new(raw_stdout()?)));
        };
        let existing = match fs::metadata(path) {
            Ok(metadata) => Some(metadata),
            // A link to a file that does not exist yet is refused below, where the file gets its name.
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(Error::file(path)(error).into()),
        };
        let (target, permissions) = match existing {
            None if path.is_symlink() => {
                let error = io::Error::new(io::ErrorKind::NotFound, SinkError::DanglingLink);
                return Err(Error::file(path)(error).into());
            }
            None => (path.to_owned(), None),
            Some(metadata) if metadata.is_dir() => {
                let error = io::Error::new(io::ErrorKind::IsADirectory, SinkError::IsDirectory);
                return Err(Error::file(path)(error).into());
            }
            Some(metadata) if !metadata.is_file() => {
                let device = OpenOptions::new().write(true).open(path);
                let device = device.map_err(Error::file(path))?;
                let writer = BufWriter::with_capacity(BUFFER_BYTES, device);
                return Ok(Self::Device(writer, path.to_owned()));
            }
            Some(_) if !force => {
                return Err(UsageError::OutputExists {
                    path: path.to_owned(),
                }
                .into());
            }
            Some(metadata) => {
                let target = fs::canonicalize(path).map_err(Error::file(path))?;
                (target, Some(metadata.permissions()))
            }
        };
        let directory = match target.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        let file = unfinished_file(directory, &name).map_err(Error::file(path))?;
        Ok(Self::File(NewFile {
            writer: BufWriter::with_capacity(BUFFER_BYTES, file),
            path: target,
            permissions,
        }))
    }

    /// Lets every user read a new file. A file that is replaced keeps its permissions.
    pub(crate) fn readable_by_all(mut self) -> Self {
        if let Self::File(file) = &mut self {
            file.permissions
                .get_or_insert_with(|| Permissions::from_mode(0o644));
        }
        self
    }

    /// Returns whether the destination is standard output.
    pub(crate) const fn is_stdout(&self) -> bool {
        matches!(self, Self::Stdout(_))
    }

    /// Returns whether the destination is a terminal.
    pub(crate) fn is_terminal(&self) -> bool {
        match self {
            Self::File(_) => false,
            Self::Device(device, _) => device.get_ref().is_terminal(),
            Self::Stdout(_) => io::stdout().is_terminal(),
        }
    }

    /// Returns the path, or `standard output`, for use in errors.
    pub(crate) fn name(&self) -> PathBuf {
        match self {
            Self::File(NewFile { path, .. }) | Self::Device(_, path) => path.clone(),
            Self::Stdout(_) => PathBuf::from("standard output"),
        }
    }

    /// Writes the buffer. Syncs a file to disk and gives it its name.
    pub(crate) fn finish(self) -> Result<(), Error> {
        match self {
            Self::File(NewFile {
                writer,
                path,
                permissions,
            }) => {
                let file = writer.into_inner();
                let file = file.map_err(|error| Error::file(&path)(error.into_error()))?;
                if let Some(permissions) = permissions {
                    let set = file.as_file().set_permissions(permissions);
                    set.map_err(Error::file(&path))?;
                }
                file.as_file().sync_all().map_err(Error::file(&path))?;
                file.persist(&path)
                    .map_err(|error| Error::file(&path)(error.error))?;
                Ok(())
            }
            Self::Device(mut writer, path) => writer.flush().map_err(Error::file(path)),
            Self::Stdout(mut writer) => writer.flush().map_err(Error::file("standard output")),
        }
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.writer.write(bytes),
            Self::Device(writer, _) => writer.write(bytes),
            Self::Stdout(writer) => writer.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::File(file) => file.writer.flush(),
            Self::Device(writer, _) => writer.flush(),
            Self::Stdout(writer) => writer.flush(),
        }
    }
}
