//! The interface of an open inbox, and the entries that it lists.

use std::io::Read;
use std::time::Duration;

use crate::error::TransportError;
use crate::name::{self, NameError, RemoteName};

/// The largest number of entries that an inbox may have. The limit exists because a listing is held in memory.
pub const MAX_ENTRIES: usize = 100_000;

/// The largest number of refused entries that a listing describes. Further ones are only counted.
pub const MAX_REFUSED: usize = 100;

/// An open inbox.
///
/// After an error that [ends the connection](TransportError::ends_connection), every further call fails. Open the inbox
/// again.
pub trait Transport: Send {
    /// Returns the files, sorted by name, and the entries that cannot be used.
    ///
    /// # Errors
    ///
    /// Fails if the folder cannot be read or has more than [`MAX_ENTRIES`] entries.
    fn list(&mut self) -> Result<Listing, TransportError>;

    /// Returns the size, time and type of an entry, or `None` if there is no such entry. Does not follow links.
    ///
    /// # Errors
    ///
    /// Fails if the server or the system does not answer or refuses.
    fn stat(&mut self, name: &RemoteName) -> Result<Option<Stat>, TransportError>;

    /// Opens a file for reading from an offset in bytes.
    ///
    /// The reader ends where the file ends. If that is before the size that the file had when it was opened, the reader
    /// fails, so that a truncated file is never taken for a complete one. Errors of the reader contain a
    /// [`TransportError`]; [`TransportError::of`] returns it.
    ///
    /// # Errors
    ///
    /// Fails if the file does not exist, is not a regular file, may not be read, or ends before the offset.
    fn open(
        &mut self,
        name: &RemoteName,
        offset: u64,
    ) -> Result<Box<dyn Read + Send + '_>, TransportError>;

    /// Removes a file. Succeeds if the file does not exist.
    ///
    /// # Errors
    ///
    /// Fails if the file could not be removed.
    fn remove(&mut self, name: &RemoteName) -> Result<(), TransportError>;

    /// Opens the connection again after this pause. Returns whether it did; the default does nothing.
    ///
    /// # Errors
    ///
    /// Fails if the inbox cannot be opened.
    fn reconnect(&mut self, _pause: Duration) -> Result<bool, TransportError> {
        Ok(false)
    }
}

/// The entries of an inbox.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// The regular files with safe names, sorted by name.
    pub entries: Vec<RemoteFile>,
    /// The first [`MAX_REFUSED`] entries that cannot be used.
    pub refused: Vec<RefusedName>,
    /// The number of all entries that cannot be used.
    pub refused_count: usize,
}

impl Listing {
    /// Adds an entry, either to the files or to the refused entries.
    pub(crate) fn add(&mut self, name: &[u8], kind: EntryKind, stat: Stat) {
        let refusal = match (RemoteName::try_from(name), kind) {
            (Ok(name), EntryKind::File) => return self.entries.push(RemoteFile { name, stat }),
            (Err(error), _) => Refusal::Name(error),
            (Ok(_), EntryKind::Directory) => Refusal::Directory,
            (Ok(_), EntryKind::Link) => Refusal::Link,
            (Ok(_), EntryKind::Other) => Refusal::NotRegular,
        };
        self.refused_count += 1;
        if self.refused.len() < MAX_REFUSED {
            let shown = name::escaped_name(name);
            self.refused.push(RefusedName { shown, refusal });
        }
    }

    /// Returns the number of all entries.
    pub(crate) fn len(&self) -> usize {
        self.entries.len() + self.refused_count
    }

    /// Sorts the files by name.
    pub(crate) fn sorted(mut self) -> Self {
        self.entries.sort_by(|a, b| a.name.cmp(&b.name));
        self
    }
}

/// A file of an inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteFile {
    /// The file's name.
    pub name: RemoteName,
    /// The file's size, time and type.
    pub stat: Stat,
}

/// The size, time and type of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// The size in bytes.
    pub size: u64,
    /// The time of the last change, in seconds since 1970 by the server's clock; `None` if the server does not say.
    pub modified: Option<u64>,
    /// Whether the entry is a regular file, not a directory, link or device.
    pub is_file: bool,
}

impl Stat {
    /// Returns whether two answers of a server can be about the same state of a file. A server may leave the time out of
    /// some of its answers; such an answer says nothing about the time.
    pub fn agrees_with(&self, other: &Self) -> bool {
        let is_same_time = match (self.modified, other.modified) {
            (Some(one), Some(other)) => one == other,
            _ => true,
        };
        self.size == other.size && self.is_file == other.is_file && is_same_time
    }
}

/// An entry that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedName {
    /// The entry's name for people: escaped, without person numbers, at most 80 characters.
    pub shown: String,
    /// Why the entry cannot be used.
    pub refusal: Refusal,
}

/// Why an entry of an inbox cannot be used. `Display` gives a clause about the entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The entry's name is not safe.
    #[error(transparent)]
    Name(NameError),
    /// The entry is a directory.
    #[error("it is a directory")]
    Directory,
    /// The entry is a symbolic link, which could point to any file.
    #[error("it is a symbolic link")]
    Link,
    /// The entry is a device or a pipe, or the server does not say what it is and does not open it.
    #[error("it is not a regular file")]
    NotRegular,
}

/// The type of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EntryKind {
    File,
    Directory,
    Link,
    Other,
}
