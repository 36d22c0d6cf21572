//! The size, time and type of an entry.
//!
//! Every attribute is optional in SFTP. A server may leave some out of a listing, of the answer about one entry, or of
//! both. What is left out is found by asking in another way.

use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use ssh2::{Error, ErrorCode, FileStat, FileType};

use super::{OPERATION_UNSUPPORTED, SftpInbox, is_missing};
use crate::error::{Operation, TransportError};
use crate::name::RemoteName;
use crate::transport::{EntryKind, Stat};

/// What a server says about an entry.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct PartialEntry {
    kind: Option<EntryKind>,
    size: Option<u64>,
    modified: Option<u64>,
}

impl From<&FileStat> for PartialEntry {
    fn from(stat: &FileStat) -> Self {
        // Some servers send the permissions without the bits of the type.
        let has_type = stat.perm.is_some_and(|mode| mode & TYPE_BITS != 0);
        Self {
            kind: has_type.then(|| match stat.file_type() {
                FileType::RegularFile => EntryKind::File,
                FileType::Directory => EntryKind::Directory,
                FileType::Symlink => EntryKind::Link,
                _ => EntryKind::Other,
            }),
            size: stat.size,
            modified: stat.mtime,
        }
    }
}

impl PartialEntry {
    /// Returns type, size and time, if the server said all that a listing should say.
    pub(super) fn complete(self) -> Option<(EntryKind, Stat)> {
        match (self.kind?, self.size, self.modified) {
            (EntryKind::File, Some(size), Some(_)) => Some((EntryKind::File, self.stat(size))),
            (EntryKind::File, ..) => None,
            (kind, size, _) => Some((kind, self.stat(size.unwrap_or(0)))),
        }
    }

    fn stat(self, size: u64) -> Stat {
        Stat {
            size,
            modified: self.modified,
            is_file: self.kind == Some(EntryKind::File),
        }
    }

    /// Takes from another answer what this one leaves out.
    fn or(self, other: Self) -> Self {
        Self {
            kind: self.kind.or(other.kind),
            size: self.size.or(other.size),
            modified: self.modified.or(other.modified),
        }
    }
}

impl SftpInbox {
    /// Returns type, size and time of an entry, without following links; `None` if there is no such entry. `listed` is what
    /// a listing said about it.
    pub(super) fn entry(
        &self,
        name: &RemoteName,
        listed: PartialEntry,
    ) -> Result<Option<(EntryKind, Stat)>, TransportError> {
        match self.ask(name)? {
            Some(found) => self.completed(name, found.or(listed)),
            None => Ok(None),
        }
    }

    /// Asks for the attributes of an entry; returns `None` if there is no such entry. Returns no attributes if the server
    /// does not support the question.
    pub(super) fn ask(&self, name: &RemoteName) -> Result<Option<PartialEntry>, TransportError> {
        match self.sftp.lstat(&self.path(name)) {
            Ok(stat) => Ok(Some(PartialEntry::from(&stat))),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) if error.code() == ErrorCode::SFTP(OPERATION_UNSUPPORTED) => {
                Ok(Some(PartialEntry::default()))
            }
            Err(error) => Err(self.failed(Operation::Stat, &name.to_string(), &error)),
        }
    }

    /// Finds out what the server did not say about an entry; returns `None` if the entry is gone.
    pub(super) fn completed(
        &self,
        name: &RemoteName,
        found: PartialEntry,
    ) -> Result<Option<(EntryKind, Stat)>, TransportError> {
        let path = self.path(name);
        let failed = |error: Error| self.failed(Operation::Stat, &name.to_string(), &error);
        let kind = match found.kind {
            Some(kind) => kind,
            None => match self.kind_by_trying(&path).map_err(failed)? {
                Some(kind) => kind,
                None => return Ok(None),
            },
        };
        let found = PartialEntry {
            kind: Some(kind),
            ..found
        };
        let size = match (kind, found.size) {
            (EntryKind::File, None) => self.measured_size(name, &path)?,
            (_, size) => size.unwrap_or(0),
        };
        Ok(Some((kind, found.stat(size))))
    }

    /// Finds out the type of an entry by what the server lets us do with it; returns `None` if the entry is gone.
    fn kind_by_trying(&self, path: &Path) -> Result<Option<EntryKind>, Error> {
        let is_refused = |error: &Error| matches!(error.code(), ErrorCode::SFTP(_));
        match self.sftp.readlink(path) {
            Ok(_) => return Ok(Some(EntryKind::Link)),
            Err(error) if is_missing(&error) => return Ok(None),
            Err(error) if is_refused(&error) => {}
            Err(error) => return Err(error),
        }
        match self.sftp.opendir(path) {
            Ok(_) => return Ok(Some(EntryKind::Directory)),
            Err(error) if is_refused(&error) => {}
            Err(error) => return Err(error),
        }
        match self.open_to_read(path) {
            Ok(_) => Ok(Some(EntryKind::File)),
            Err(error) if is_missing(&error) => Ok(None),
            // A file that may not be read is reported as that when it is read.
            Err(error) if error.code() == ErrorCode::SFTP(super::PERMISSION_DENIED) => {
                Ok(Some(EntryKind::File))
            }
            Err(error) if is_refused(&error) => Ok(Some(EntryKind::Other)),
            Err(error) => Err(error),
        }
    }

    /// Returns the size of a file whose size the server does not say: the place up to which it can be read.
    fn measured_size(&self, name: &RemoteName, path: &Path) -> Result<u64, TransportError> {
        let failed = |error: Error| self.file_error(Operation::Stat, name, &error);
        let mut file = self.open_to_read(path).map_err(failed)?;
        match file.stat() {
            Ok(FileStat {
                size: Some(size), ..
            }) => return Ok(size),
            Ok(_) => {}
            Err(error) if error.code() == ErrorCode::SFTP(OPERATION_UNSUPPORTED) => {}
            Err(error) => return Err(failed(error)),
        }
        let mut has_byte = |place: u64| {
            let read = file
                .seek(SeekFrom::Start(place))
                .and_then(|_| file.read(&mut [0]));
            match read {
                Ok(read) => Ok(read > 0),
                Err(error) => Err(self.read_error(name, &error)),
            }
        };
        // The size is from `least` to `most`.
        let (mut least, mut most) = (0, 1);
        while has_byte(most - 1)? {
            least = most;
            most *= 2;
            if most > MAX_SIZE {
                return Err(TransportError::Protocol {
                    server: self.connection.server().to_owned(),
                    operation: Operation::Stat,
                    what: Some(name.to_string()),
                    reason: "it does not say the size, and the file has no end".to_owned(),
                });
            }
        }
        while least < most - 1 {
            let middle = least + (most - least) / 2;
            match has_byte(middle - 1)? {
                true => least = middle,
                false => most = middle,
            }
        }
        Ok(least)
    }
}

/// The bits of the type in the permissions.
const TYPE_BITS: u32 = 0o170_000;

/// The largest size that is measured, far more than any extract has.
const MAX_SIZE: u64 = 1 << 50;
