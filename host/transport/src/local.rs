//! Inboxes in local directories.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{self, AtFlags, CWD, Dir, FileType, Mode, OFlags};

use crate::error::{Operation, TransportError};
use crate::exact_reader::ExactReader;
use crate::name::RemoteName;
use crate::transport::{EntryKind, Listing, MAX_ENTRIES, Stat, Transport};

/// An inbox in a directory of this machine.
///
/// It holds a file descriptor of the directory, so it stays in the directory that was opened even if the path later
/// leads elsewhere. It does not follow links inside the directory.
#[derive(Debug)]
pub struct LocalDirectory {
    directory: OwnedFd,
    /// The path, for error texts.
    path: String,
}

impl LocalDirectory {
    /// Opens a directory.
    ///
    /// # Errors
    ///
    /// Fails if the directory does not exist or may not be read.
    pub fn open(path: &Path) -> Result<Self, TransportError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = fs::openat(CWD, path, flags, Mode::empty());
        let path = path.display().to_string();
        match opened {
            Ok(directory) => Ok(Self { directory, path }),
            Err(error) => Err(folder_error(Operation::Open, &path, error.into())),
        }
    }

    fn kind_and_stat(&self, name: &[u8]) -> io::Result<Option<(EntryKind, Stat)>> {
        match fs::statat(self.directory.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(kind_and_stat(&stat))),
            Err(rustix::io::Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

impl Transport for LocalDirectory {
    fn list(&mut self) -> Result<Listing, TransportError> {
        let failed =
            |error: rustix::io::Errno| folder_error(Operation::List, &self.path, error.into());
        let mut listing = Listing::default();
        // Opens a new descriptor, because the read position belongs to the descriptor.
        for found in Dir::read_from(self.directory.as_fd()).map_err(failed)? {
            let found = found.map_err(failed)?;
            let name = found.file_name().to_bytes();
            if matches!(name, b"." | b"..") {
                continue;
            }
            if listing.len() == MAX_ENTRIES {
                return Err(TransportError::TooManyEntries {
                    folder: self.path.clone(),
                    limit: MAX_ENTRIES,
                });
            }
            let entry = self
                .kind_and_stat(name)
                .map_err(|error| folder_error(Operation::List, &self.path, error))?;
            // A file that was removed in the meantime is left out.
            if let Some((kind, stat)) = entry {
                listing.add(name, kind, stat);
            }
        }
        Ok(listing.sorted())
    }

    fn stat(&mut self, name: &RemoteName) -> Result<Option<Stat>, TransportError> {
        let entry = self
            .kind_and_stat(name.as_str().as_bytes())
            .map_err(|error| file_error(Operation::Stat, name, error))?;
        Ok(entry.map(|(_, stat)| stat))
    }

    fn open(
        &mut self,
        name: &RemoteName,
        offset: u64,
    ) -> Result<Box<dyn Read + Send + '_>, TransportError> {
        // Without NONBLOCK, opening a pipe would block until another process writes to it.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match fs::openat(self.directory.as_fd(), name.as_str(), flags, Mode::empty()) {
            Ok(file) => File::from(file),
            // The error for a link, because of NOFOLLOW.
            Err(rustix::io::Errno::LOOP) => {
                return Err(TransportError::NotAFile { name: name.clone() });
            }
            Err(error) => return Err(file_error(Operation::Open, name, error.into())),
        };
        let failed = |error| file_error(Operation::Open, name, error);
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() {
            return Err(TransportError::NotAFile { name: name.clone() });
        }
        let mut file = NamedFile {
            file,
            name: name.clone(),
        };
        file.file.seek(SeekFrom::Start(offset)).map_err(failed)?;
        Ok(Box::new(ExactReader::new(
            file,
            name,
            offset,
            metadata.len(),
        )?))
    }

    fn remove(&mut self, name: &RemoteName) -> Result<(), TransportError> {
        match fs::unlinkat(self.directory.as_fd(), name.as_str(), AtFlags::empty()) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
            Err(rustix::io::Errno::ISDIR) => Err(TransportError::NotAFile { name: name.clone() }),
            Err(error) => Err(file_error(Operation::Remove, name, error.into())),
        }
    }
}

/// Reads a file and puts its name into the errors.
struct NamedFile {
    file: File,
    name: RemoteName,
}

impl Read for NamedFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read(buffer).map_err(|error| match error.kind() {
            // Callers recognise this error by its kind and read again, so it stays as it is.
            io::ErrorKind::Interrupted => error,
            _ => io::Error::other(file_error(Operation::Read, &self.name, error)),
        })
    }
}

fn kind_and_stat(stat: &fs::Stat) -> (EntryKind, Stat) {
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => EntryKind::File,
        FileType::Directory => EntryKind::Directory,
        FileType::Symlink => EntryKind::Link,
        _ => EntryKind::Other,
    };
    let stat = Stat {
        size: u64::try_from(stat.st_size).unwrap_or(0),
        modified: u64::try_from(stat.st_mtime).ok(),
        is_file: kind == EntryKind::File,
    };
    (kind, stat)
}

fn folder_error(operation: Operation, folder: &str, error: io::Error) -> TransportError {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => TransportError::NoFolder {
            folder: folder.to_owned(),
        },
        io::ErrorKind::PermissionDenied => TransportError::Denied {
            operation,
            what: folder.to_owned(),
        },
        _ => TransportError::Io {
            operation,
            what: folder.to_owned(),
            error,
        },
    }
}

fn file_error(operation: Operation, name: &RemoteName, error: io::Error) -> TransportError {
    match error.kind() {
        io::ErrorKind::NotFound => TransportError::Gone { name: name.clone() },
        io::ErrorKind::PermissionDenied => TransportError::Denied {
            operation,
            what: name.to_string(),
        },
        _ => TransportError::Io {
            operation,
            what: name.to_string(),
            error,
        },
    }
}
