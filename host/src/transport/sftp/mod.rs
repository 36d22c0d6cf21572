//! A folder on an SFTP server as an inbox.
//!
//! libssh2 speaks SSH. What is added here is judgement: which server is the right one ([`host_key`]), which key is
//! fit to log in with ([`identity`]), how long to wait ([`watchdog`]), and what an error means.

mod connection;
mod host_key;
mod identity;
mod offer;
mod reader;
mod watchdog;

use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ssh2::{ErrorCode, FileStat, FileType, OpenFlags, OpenType, Sftp};

use super::error::{Operation, TransportError};
use super::inbox::Server;
use super::name::RemoteName;
use super::secret::Secret;
use super::whole::Whole;
use super::{EntryKind, Listing, MAX_ENTRIES, Stat, Transport};
use connection::Connection;
use host_key::Trust;
pub use host_key::{Fingerprint, FingerprintError};
use identity::Identity;
use reader::RemoteReader;

/// How to log in to an SFTP server, and how to know it.
///
/// A server is right if its key is in `known_hosts` or has one of the fingerprints. With neither, nobody is.
#[derive(Debug, Clone)]
pub struct SftpSettings {
    /// The file of the private key. Nobody but the owner may have access to it.
    pub identity: PathBuf,
    /// What opens the private key, if it is encrypted.
    pub passphrase: Option<Secret>,
    /// A file of known hosts in OpenSSH's form. Hashed names and `@revoked` are understood; patterns with `*` and
    /// `@cert-authority` are passed over.
    pub known_hosts: Option<PathBuf>,
    /// The fingerprints of host keys that are right.
    pub host_keys: Vec<Fingerprint>,
    /// How long to wait.
    pub timeouts: Timeouts,
}

impl SftpSettings {
    /// Settings with this private key, which know no server yet.
    pub fn new(identity: impl Into<PathBuf>) -> Self {
        Self {
            identity: identity.into(),
            passphrase: None,
            known_hosts: None,
            host_keys: Vec::new(),
            timeouts: Timeouts::default(),
        }
    }
}

/// How long to wait for a server.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// For the host's address, and for the connection to it. The default is 20 seconds.
    pub connect: Duration,
    /// For agreeing on keys, and for logging in. The default is 30 seconds: servers slow down on purpose.
    pub login: Duration,
    /// For anything to move in any operation after that. The default is a minute. A listing, which is many
    /// operations, may take ten times as long.
    pub stall: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(20),
            login: Duration::from_secs(30),
            stall: Duration::from_secs(60),
        }
    }
}

/// A folder on an SFTP server.
pub struct SftpInbox {
    // The order in which they go: nothing may outlive the connection, nor that its watchdog.
    sftp: Sftp,
    connection: Connection,
    folder: String,
    stall: Duration,
}

impl SftpInbox {
    /// Connects, makes sure of the server, and logs in.
    ///
    /// # Errors
    ///
    /// Any [`TransportError`] about keys, hosts and connections.
    pub fn connect(server: &Server, settings: &SftpSettings) -> Result<Self, TransportError> {
        let timeouts = settings.timeouts;
        let identity = Identity::load(&settings.identity, settings.passphrase.as_ref())?;
        let trust = Trust::load(server, settings)?;
        let connection = Connection::open(server, &trust, timeouts)?;
        let sftp = connection.log_in(server, &identity, timeouts.login)?;
        connection.patience(timeouts.stall);
        let inbox = Self {
            sftp,
            connection,
            folder: server.folder.clone(),
            stall: timeouts.stall,
        };
        inbox.check_folder()?;
        Ok(inbox)
    }

    fn check_folder(&self) -> Result<(), TransportError> {
        let _limit = self.connection.limit(self.stall);
        match self.sftp.stat(Path::new(self.folder_path())) {
            Ok(stat) if stat.is_dir() => Ok(()),
            Ok(_) => Err(self.no_folder()),
            Err(error) => Err(self.folder_error(Operation::Open, &error)),
        }
    }

    fn folder_path(&self) -> &str {
        match self.folder.as_str() {
            "" => ".",
            folder => folder,
        }
    }

    fn path(&self, name: &RemoteName) -> PathBuf {
        Path::new(self.folder_path()).join(name.as_str())
    }

    fn lstat(&self, name: &RemoteName) -> Result<Option<FileStat>, TransportError> {
        let _limit = self.connection.limit(self.stall);
        match self.sftp.lstat(&self.path(name)) {
            Ok(stat) => Ok(Some(stat)),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(self.failed(Operation::Stat, &name.to_string(), &error)),
        }
    }

    fn read_folder(&self) -> Result<Listing, TransportError> {
        let failed = |error: ssh2::Error| self.folder_error(Operation::List, &error);
        let mut folder = self.sftp.opendir(self.folder_path()).map_err(failed)?;
        let mut listing = Listing::default();
        loop {
            let (name, stat) = match folder.readdir() {
                Ok(found) => found,
                Err(error) if error.code() == NO_MORE => return Ok(listing.sorted()),
                Err(error) => return Err(failed(error)),
            };
            let name = name.as_os_str().as_bytes();
            if matches!(name, b"." | b"..") {
                continue;
            }
            if listing.len() == MAX_ENTRIES {
                return Err(TransportError::TooManyEntries {
                    folder: self.folder_path().to_owned(),
                    limit: MAX_ENTRIES,
                });
            }
            listing.add(name, kind(&stat), known(&stat));
        }
    }

    fn no_folder(&self) -> TransportError {
        TransportError::NoFolder {
            folder: self.folder_path().to_owned(),
        }
    }

    fn folder_error(&self, operation: Operation, error: &ssh2::Error) -> TransportError {
        match is_missing(error) {
            true => self.no_folder(),
            false => self.failed(operation, self.folder_path(), error),
        }
    }

    fn file_error(
        &self,
        operation: Operation,
        name: &RemoteName,
        error: &ssh2::Error,
    ) -> TransportError {
        match is_missing(error) {
            true => TransportError::Gone { name: name.clone() },
            false => self.failed(operation, &name.to_string(), error),
        }
    }

    /// What an error means that is not about something missing.
    fn failed(&self, operation: Operation, what: &str, error: &ssh2::Error) -> TransportError {
        let what = what.to_owned();
        match error.code() {
            ErrorCode::SFTP(PERMISSION_DENIED) => TransportError::Denied { operation, what },
            ErrorCode::SFTP(FAILURE | OPERATION_UNSUPPORTED) => TransportError::Server {
                operation,
                what,
                reason: error.message().to_owned(),
            },
            _ => self.connection.failed(operation, error),
        }
    }
}

impl Transport for SftpInbox {
    fn list(&mut self) -> Result<Listing, TransportError> {
        let _limit = self.connection.limit(self.stall * 10);
        self.read_folder()
    }

    fn stat(&mut self, name: &RemoteName) -> Result<Option<Stat>, TransportError> {
        Ok(self.lstat(name)?.as_ref().map(known))
    }

    fn open(
        &mut self,
        name: &RemoteName,
        offset: u64,
    ) -> Result<Box<dyn Read + Send + '_>, TransportError> {
        // Servers follow links when they open. Where this one is looked at first, none is followed by mistake.
        let asked = Instant::now();
        let found = self.lstat(name)?;
        let round_trip = asked.elapsed();
        match found {
            None => return Err(TransportError::Gone { name: name.clone() }),
            Some(stat) if kind(&stat) != EntryKind::File => {
                return Err(TransportError::NotAFile { name: name.clone() });
            }
            Some(_) => {}
        }
        let failed = |error| self.file_error(Operation::Open, name, &error);
        let limit = self.connection.limit(self.stall);
        let mut file = self
            .sftp
            .open_mode(self.path(name), OpenFlags::READ, 0, OpenType::File)
            .map_err(failed)?;
        let stat = file.stat().map_err(failed)?;
        drop(limit);
        let reader = RemoteReader::new(self, file, name, offset, round_trip)?;
        Ok(Box::new(Whole::new(
            reader,
            name,
            offset,
            known(&stat).size,
        )?))
    }

    fn remove(&mut self, name: &RemoteName) -> Result<(), TransportError> {
        let _limit = self.connection.limit(self.stall);
        match self.sftp.unlink(&self.path(name)) {
            Ok(()) => Ok(()),
            Err(error) if is_missing(&error) => Ok(()),
            Err(error) => Err(self.failed(Operation::Remove, &name.to_string(), &error)),
        }
    }
}

impl Drop for SftpInbox {
    fn drop(&mut self) {
        self.connection.part();
    }
}

fn is_missing(error: &ssh2::Error) -> bool {
    matches!(error.code(), ErrorCode::SFTP(NO_SUCH_FILE | NO_SUCH_PATH))
}

fn kind(stat: &FileStat) -> EntryKind {
    match stat.file_type() {
        // A file without a size cannot be checked for being whole.
        FileType::RegularFile if stat.size.is_some() => EntryKind::File,
        FileType::Directory => EntryKind::Directory,
        FileType::Symlink => EntryKind::Link,
        _ => EntryKind::Other,
    }
}

fn known(stat: &FileStat) -> Stat {
    Stat {
        size: stat.size.unwrap_or(0),
        modified: stat.mtime,
        is_file: kind(stat) == EntryKind::File,
    }
}

/// How ssh2 says that a folder has been read.
const NO_MORE: ErrorCode = ErrorCode::Session(libssh2_sys::LIBSSH2_ERROR_FILE);

const NO_SUCH_FILE: i32 = libssh2_sys::LIBSSH2_FX_NO_SUCH_FILE;
const NO_SUCH_PATH: i32 = libssh2_sys::LIBSSH2_FX_NO_SUCH_PATH;
const PERMISSION_DENIED: i32 = libssh2_sys::LIBSSH2_FX_PERMISSION_DENIED;
const FAILURE: i32 = libssh2_sys::LIBSSH2_FX_FAILURE;
const OPERATION_UNSUPPORTED: i32 = libssh2_sys::LIBSSH2_FX_OP_UNSUPPORTED;
