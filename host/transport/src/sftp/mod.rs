//! Inboxes on SFTP servers.
//!
//! libssh2 implements SSH and SFTP. These modules add what it lacks:
//!
//! | module | content |
//! |---|---|
//! | `settings` | [`SftpSettings`]: key, accepted host keys, timeouts |
//! | `trusted_keys` | which host keys are accepted |
//! | `private_key` | reads and checks the private key for the login |
//! | `connection` | connects, checks the host key, logs in, converts errors |
//! | `watchdog` | ends an operation that takes too long |
//! | `kex_probe` | finds out why a key exchange failed |
//! | `pipelined_reader` | reads files with many requests in flight |

mod connection;
mod kex_probe;
mod pipelined_reader;
mod private_key;
mod settings;
mod trusted_keys;
mod watchdog;

use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ssh2::{ErrorCode, FileStat, FileType, OpenFlags, OpenType, Sftp};

use crate::error::{Operation, TransportError};
use crate::exact_reader::ExactReader;
use crate::inbox::Server;
use crate::name::RemoteName;
use crate::transport::{EntryKind, Listing, MAX_ENTRIES, Stat, Transport};
use connection::Connection;
use pipelined_reader::RemoteReader;
use private_key::PrivateKey;
pub use settings::{SftpSettings, Timeouts};
use trusted_keys::TrustedKeys;

/// An inbox in a folder on an SFTP server.
pub struct SftpInbox {
    // The fields are dropped in this order: the SFTP session must go before the connection.
    sftp: Sftp,
    connection: Connection,
    server: Server,
    stall: Duration,
}

impl SftpInbox {
    /// Connects to the server, checks its host key, logs in and checks that the folder exists.
    ///
    /// # Errors
    ///
    /// Fails if the private key or the `known_hosts` file cannot be used, or if the server cannot be reached, shows no
    /// trusted host key, refuses the login, or does not have the folder.
    pub fn connect(server: &Server, settings: &SftpSettings) -> Result<Self, TransportError> {
        let timeouts = settings.timeouts;
        let key = PrivateKey::load(&settings.identity, settings.passphrase.as_ref())?;
        let trusted = TrustedKeys::load(server, settings)?;
        let connection = Connection::open(server, &trusted, timeouts)?;
        let sftp = connection.log_in(server, &key, timeouts.login)?;
        connection.set_timeout(timeouts.stall);
        let inbox = Self {
            sftp,
            connection,
            server: server.clone(),
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
        match self.server.folder.as_str() {
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

    fn list_folder(&self) -> Result<Listing, TransportError> {
        let failed = |error: ssh2::Error| self.folder_error(Operation::List, &error);
        let mut folder = self.sftp.opendir(self.folder_path()).map_err(failed)?;
        let mut listing = Listing::default();
        loop {
            let (name, stat) = match folder.readdir() {
                Ok(found) => found,
                Err(error) if error.code() == END_OF_FOLDER => return Ok(listing.sorted()),
                Err(error) => return Err(failed(error)),
            };
            let name = name.as_os_str().as_bytes();
            if matches!(name, b"." | b"..") {
                continue;
            }
            if listing.len() == MAX_ENTRIES {
                return Err(TransportError::TooManyEntries {
                    folder: self.server.to_string(),
                    limit: MAX_ENTRIES,
                });
            }
            listing.add(name, kind(&stat), transport_stat(&stat));
        }
    }

    fn no_folder(&self) -> TransportError {
        TransportError::NoFolder {
            folder: self.server.to_string(),
        }
    }

    fn folder_error(&self, operation: Operation, error: &ssh2::Error) -> TransportError {
        match is_missing(error) {
            true => self.no_folder(),
            false => self.failed(operation, &self.server.to_string(), error),
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

    /// Converts an error other than a missing file or folder.
    fn failed(&self, operation: Operation, what: &str, error: &ssh2::Error) -> TransportError {
        let what = what.to_owned();
        match error.code() {
            ErrorCode::SFTP(PERMISSION_DENIED) => TransportError::Denied { operation, what },
            ErrorCode::SFTP(FAILURE | OPERATION_UNSUPPORTED) => TransportError::Server {
                server: self.connection.server().to_owned(),
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
        self.list_folder()
    }

    fn stat(&mut self, name: &RemoteName) -> Result<Option<Stat>, TransportError> {
        Ok(self.lstat(name)?.as_ref().map(transport_stat))
    }

    fn open(
        &mut self,
        name: &RemoteName,
        offset: u64,
    ) -> Result<Box<dyn Read + Send + '_>, TransportError> {
        // Servers follow links when they open a file, so the type is checked before.
        let started = Instant::now();
        let stat = self.lstat(name)?;
        let round_trip = started.elapsed();
        match stat {
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
        Ok(Box::new(ExactReader::new(
            reader,
            name,
            offset,
            transport_stat(&stat).size,
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
        self.connection.limit_close();
    }
}

fn is_missing(error: &ssh2::Error) -> bool {
    matches!(error.code(), ErrorCode::SFTP(NO_SUCH_FILE | NO_SUCH_PATH))
}

fn kind(stat: &FileStat) -> EntryKind {
    match stat.file_type() {
        // Without a size, a download cannot be checked for completeness, so such an entry is not fetched.
        FileType::RegularFile if stat.size.is_some() => EntryKind::File,
        FileType::Directory => EntryKind::Directory,
        FileType::Symlink => EntryKind::Link,
        _ => EntryKind::Other,
    }
}

fn transport_stat(stat: &FileStat) -> Stat {
    Stat {
        size: stat.size.unwrap_or(0),
        modified: stat.mtime,
        is_file: kind(stat) == EntryKind::File,
    }
}

/// The error with which ssh2 reports the end of a folder.
const END_OF_FOLDER: ErrorCode = ErrorCode::Session(libssh2_sys::LIBSSH2_ERROR_FILE);

const NO_SUCH_FILE: i32 = libssh2_sys::LIBSSH2_FX_NO_SUCH_FILE;
const NO_SUCH_PATH: i32 = libssh2_sys::LIBSSH2_FX_NO_SUCH_PATH;
const PERMISSION_DENIED: i32 = libssh2_sys::LIBSSH2_FX_PERMISSION_DENIED;
const FAILURE: i32 = libssh2_sys::LIBSSH2_FX_FAILURE;
const OPERATION_UNSUPPORTED: i32 = libssh2_sys::LIBSSH2_FX_OP_UNSUPPORTED;
