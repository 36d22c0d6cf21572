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
//! | `auth_methods` | asks which ways of logging in the server accepts |
//! | `rsa_public_key` | the public half of an RSA key, for signatures with SHA-2 |
//! | `entry` | size, time and type of an entry, also from servers that leave them out |
//! | `pipelined_reader` | reads files with many requests in flight |

mod auth_methods;
mod connection;
mod entry;
mod kex_probe;
mod pipelined_reader;
mod private_key;
mod rsa_public_key;
mod settings;
mod trusted_keys;
mod watchdog;

use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use ssh2::{ErrorCode, File, OpenFlags, OpenType, Sftp};

use crate::error::{Operation, TransportError};
use crate::exact_reader::ExactReader;
use crate::inbox::Server;
use crate::name::RemoteName;
use crate::transport::{EntryKind, Listing, MAX_ENTRIES, Stat, Transport};
use connection::Connection;
use entry::PartialEntry;
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
    /// The path of the folder on the server.
    folder: String,
    stall: Duration,
    /// Whether the server answers a read request with fewer bytes than asked for, in the middle of a file.
    has_short_answers: AtomicBool,
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
        let mut inbox = Self {
            sftp,
            connection,
            server: server.clone(),
            folder: match server.folder.as_str() {
                "" => LOGIN_FOLDER.to_owned(),
                folder => folder.to_owned(),
            },
            stall: timeouts.stall,
            has_short_answers: AtomicBool::new(false),
        };
        inbox.choose_folder()?;
        Ok(inbox)
    }

    /// Checks that the folder exists. If the address names none, the platform's inbox `IN` is used if the login leads to a
    /// folder that has it.
    fn choose_folder(&mut self) -> Result<(), TransportError> {
        let _limit = self.connection.limit(self.stall);
        if self.server.folder.is_empty() && self.is_folder(DEFAULT_FOLDER).unwrap_or(false) {
            DEFAULT_FOLDER.clone_into(&mut self.folder);
            tracing::warn!(
                "the address {} names no folder, so cprflow uses the folder {DEFAULT_FOLDER} in the folder of the login. \
                 Configure {}/~/{DEFAULT_FOLDER} as the inbox; {}/~ is the folder of the login itself",
                self.server,
                self.server,
                self.server
            );
            return Ok(());
        }
        match self.is_folder(&self.folder) {
            Ok(true) => Ok(()),
            Ok(false) => Err(self.no_folder()),
            Err(error) => Err(self.folder_error(Operation::Open, &error)),
        }
    }

    /// Returns whether a path is that of a folder. A server that does not say so is asked to open it.
    fn is_folder(&self, path: &str) -> Result<bool, ssh2::Error> {
        match self.sftp.stat(Path::new(path)) {
            Ok(stat) if stat.perm.is_some() => return Ok(stat.is_dir()),
            Ok(_) => {}
            Err(error) if error.code() == ErrorCode::SFTP(OPERATION_UNSUPPORTED) => {}
            Err(error) => return Err(error),
        }
        match self.sftp.opendir(path) {
            Ok(_) => Ok(true),
            Err(error) if error.code() == ErrorCode::SFTP(FAILURE) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn path(&self, name: &RemoteName) -> PathBuf {
        Path::new(&self.folder).join(name.as_str())
    }

    fn open_to_read(&self, path: &Path) -> Result<File, ssh2::Error> {
        self.sftp
            .open_mode(path, OpenFlags::READ, 0, OpenType::File)
    }

    fn list_folder(&self) -> Result<Listing, TransportError> {
        let failed = |error: ssh2::Error| self.folder_error(Operation::List, &error);
        let mut folder = self.sftp.opendir(&self.folder).map_err(failed)?;
        let mut listing = Listing::default();
        let mut incomplete = Vec::new();
        loop {
            let (name, stat) = match folder.readdir() {
                Ok(found) => found,
                Err(error) if error.code() == END_OF_FOLDER => break,
                Err(error) => return Err(failed(error)),
            };
            let name = name.as_os_str().as_bytes();
            if matches!(name, b"." | b"..") {
                continue;
            }
            if listing.len() + incomplete.len() == MAX_ENTRIES {
                return Err(TransportError::TooManyEntries {
                    folder: self.server.to_string(),
                    limit: MAX_ENTRIES,
                });
            }
            let found = PartialEntry::from(&stat);
            match (found.complete(), RemoteName::try_from(name)) {
                (Some((kind, stat)), _) => listing.add(name, kind, stat),
                // A file of such a name is never read, so its size and type do not matter.
                (None, Err(_)) => listing.add(name, EntryKind::Other, NO_STAT),
                (None, Ok(name)) => incomplete.push((name, found)),
            }
        }
        // A server may leave out every attribute of a listing.
        for (name, listed) in incomplete {
            // A file that was removed in the meantime is left out.
            if let Some((kind, stat)) = self.entry(&name, listed)? {
                listing.add(name.as_str().as_bytes(), kind, stat);
            }
        }
        Ok(listing.sorted())
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
            _ => self.connection.failed(operation, error).about(&what),
        }
    }
}

impl Transport for SftpInbox {
    fn list(&mut self) -> Result<Listing, TransportError> {
        let _limit = self.connection.limit(self.stall * 10);
        self.list_folder()
    }

    fn stat(&mut self, name: &RemoteName) -> Result<Option<Stat>, TransportError> {
        let _limit = self.connection.limit(self.stall);
        let entry = self.entry(name, PartialEntry::default())?;
        Ok(entry.map(|(_, stat)| stat))
    }

    fn open(
        &mut self,
        name: &RemoteName,
        offset: u64,
    ) -> Result<Box<dyn Read + Send + '_>, TransportError> {
        // Servers follow links when they open a file, so the type is checked before.
        let limit = self.connection.limit(self.stall);
        let started = Instant::now();
        let asked = self.ask(name)?;
        let round_trip = started.elapsed();
        let found = match asked {
            Some(found) => self.completed(name, found)?,
            None => None,
        };
        let stat = match found {
            None => return Err(TransportError::Gone { name: name.clone() }),
            Some((EntryKind::File, stat)) => stat,
            Some(_) => return Err(TransportError::NotAFile { name: name.clone() }),
        };
        let failed = |error| self.file_error(Operation::Open, name, &error);
        let mut file = self.open_to_read(&self.path(name)).map_err(failed)?;
        // The file may have been replaced since.
        let size = match file.stat() {
            Ok(opened) => opened.size.unwrap_or(stat.size),
            Err(error) if error.code() == ErrorCode::SFTP(OPERATION_UNSUPPORTED) => stat.size,
            Err(error) => return Err(failed(error)),
        };
        drop(limit);
        let reader = RemoteReader::new(self, file, name, offset, size, round_trip)?;
        Ok(Box::new(ExactReader::new(reader, name, offset, size)?))
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

/// The size, time and type of an entry that is listed only because it cannot be used.
const NO_STAT: Stat = Stat {
    size: 0,
    modified: None,
    is_file: false,
};

/// The path of the folder in which a login starts.
const LOGIN_FOLDER: &str = ".";

/// The platform's name for the folder of an inbox.
const DEFAULT_FOLDER: &str = "IN";

/// The error with which ssh2 reports the end of a folder.
const END_OF_FOLDER: ErrorCode = ErrorCode::Session(libssh2_sys::LIBSSH2_ERROR_FILE);

const NO_SUCH_FILE: i32 = libssh2_sys::LIBSSH2_FX_NO_SUCH_FILE;
const NO_SUCH_PATH: i32 = libssh2_sys::LIBSSH2_FX_NO_SUCH_PATH;
const PERMISSION_DENIED: i32 = libssh2_sys::LIBSSH2_FX_PERMISSION_DENIED;
const FAILURE: i32 = libssh2_sys::LIBSSH2_FX_FAILURE;
const OPERATION_UNSUPPORTED: i32 = libssh2_sys::LIBSSH2_FX_OP_UNSUPPORTED;
