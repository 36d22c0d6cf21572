//! Inboxes: where deliveries are fetched from, a folder on an SFTP server or a local directory.
//!
//! - [`Inbox`] says where: parsed from `DIR` or `sftp://user@host[:port]/path`.
//! - [`connect`] opens it and gives a [`Transport`]: list, stat, open, remove, and nothing else.
//! - [`RemoteName`] is the name of a file after it was checked. A server can call a file anything; a name that could
//!   lead out of the inbox, break a log line or deceive a reader never becomes one.
//! - [`relay`] reads a file and writes it at once.
//! - [`TransportError`] tells whose move it is and whether to try again.
//! - [`soap`] is the way to the subscription service.
//!
//! A transport moves bytes and interprets none. It never decides that a server is the right one: a host key is known
//! beforehand or the connection ends before anything is told to the server.

mod error;
mod inbox;
mod local;
mod name;
mod relay;
mod secret;
mod sftp;
pub mod soap;
mod whole;

use std::io::Read;

pub use error::{HostKey, KeyFileProblem, Operation, TransportError};
pub use inbox::{Inbox, InboxError, Server};
pub use local::LocalDirectory;
pub(crate) use name::said;
pub use name::{NameError, RemoteName};
pub use relay::relay;
pub use secret::Secret;
pub use sftp::{Fingerprint, FingerprintError, SftpInbox, SftpSettings, Timeouts};

/// The entries that an inbox may have. One that has more is not worked on: a listing is held in memory.
pub const MAX_ENTRIES: usize = 100_000;

/// The refused entries that a listing describes; the rest are counted.
pub const MAX_REFUSED: usize = 100;

/// Opens an inbox.
///
/// # Errors
///
/// When it cannot be reached, is not the one it should be, or lets nobody in.
pub fn connect(
    inbox: &Inbox,
    settings: &SftpSettings,
) -> Result<Box<dyn Transport>, TransportError> {
    Ok(match inbox {
        Inbox::Directory(path) => Box::new(LocalDirectory::open(path)?),
        Inbox::Sftp(server) => Box::new(SftpInbox::connect(server, settings)?),
    })
}

/// An open inbox.
///
/// After an error that [ends the connection](TransportError::ends_connection) it is of no more use: open another.
pub trait Transport: Send {
    /// The files in it, sorted by name, and the entries that cannot be used.
    ///
    /// # Errors
    ///
    /// When the folder cannot be read, or has more than [`MAX_ENTRIES`] entries.
    fn list(&mut self) -> Result<Listing, TransportError>;

    /// What is known of an entry; none if it is not there. Links are not followed.
    ///
    /// # Errors
    ///
    /// When the inbox does not say.
    fn stat(&mut self, name: &RemoteName) -> Result<Option<Stat>, TransportError>;

    /// Reads a file from an offset.
    ///
    /// The reader ends where the file ends. Where that is before the size that the file had when it was opened, it
    /// ends with an error: a file is never silently short. Errors of the reader hold a [`TransportError`]:
    /// [`TransportError::of`] finds it.
    ///
    /// # Errors
    ///
    /// When the file is not there, is no regular file, or may not be read, and when it ends before the offset.
    fn open(
        &mut self,
        name: &RemoteName,
        offset: u64,
    ) -> Result<Box<dyn Read + Send + '_>, TransportError>;

    /// Removes a file. One that is not there is removed already.
    ///
    /// # Errors
    ///
    /// When it is still there.
    fn remove(&mut self, name: &RemoteName) -> Result<(), TransportError>;
}

/// What is in an inbox.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// Regular files with names that can be used, sorted by name.
    pub entries: Vec<Entry>,
    /// Entries that cannot be used, the first [`MAX_REFUSED`].
    pub refused: Vec<RefusedName>,
    /// How many cannot be used.
    pub refused_count: usize,
}

impl Listing {
    /// Takes an entry in, as a file or as one that cannot be used.
    fn add(&mut self, name: &[u8], kind: EntryKind, stat: Stat) {
        let refusal = match (RemoteName::try_from(name), kind) {
            (Ok(name), EntryKind::File) => return self.entries.push(Entry { name, stat }),
            (Err(error), _) => Refusal::Name(error),
            (Ok(_), EntryKind::Directory) => Refusal::Directory,
            (Ok(_), EntryKind::Link) => Refusal::Link,
            (Ok(_), EntryKind::Other) => Refusal::NotRegular,
        };
        self.refused_count += 1;
        if self.refused.len() < MAX_REFUSED {
            let shown = name::shown(name);
            self.refused.push(RefusedName { shown, refusal });
        }
    }

    fn len(&self) -> usize {
        self.entries.len() + self.refused_count
    }

    fn sorted(mut self) -> Self {
        self.entries.sort_by(|a, b| a.name.cmp(&b.name));
        self
    }
}

/// A file of an inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: RemoteName,
    /// What is known of it.
    pub stat: Stat,
}

/// What is known of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// Its size in bytes.
    pub size: u64,
    /// When it was changed last, in seconds since 1970, if the inbox says so. It is the server's clock.
    pub modified: Option<u64>,
    /// Whether it is a regular file: no directory, no link, no device.
    pub is_file: bool,
}

/// An entry that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedName {
    /// Its name, escaped and cut, to be shown to people.
    pub shown: String,
    /// Why.
    pub refusal: Refusal,
}

/// Why an entry of an inbox cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Its name is not safe.
    #[error(transparent)]
    Name(NameError),
    /// It is a directory.
    #[error("it is a directory")]
    Directory,
    /// It is a symbolic link, which could lead anywhere.
    #[error("it is a symbolic link")]
    Link,
    /// It is a device, a pipe, or what the inbox does not say.
    #[error("it is no regular file")]
    NotRegular,
}

/// What sort of entry it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EntryKind {
    File,
    Directory,
    Link,
    Other,
}
