//! The settings of SFTP connections.

use std::path::PathBuf;
use std::time::Duration;

use crate::host_key::Fingerprint;
use crate::secret::Secret;

/// How to log in to an SFTP server, and which host keys to accept.
///
/// A server is accepted if its key is in `known_hosts` or has one of the fingerprints in `host_keys`. If both are empty,
/// no server is accepted.
#[derive(Debug, Clone)]
pub struct SftpSettings {
    /// The file of the private key. No other user than its owner may have access to it.
    pub identity: PathBuf,
    /// The passphrase of the private key, if the key is encrypted.
    pub passphrase: Option<Secret>,
    /// A `known_hosts` file of OpenSSH. Hashed names, patterns (`*`, `?`, `!`) and `@revoked` are supported. Lines with
    /// `@cert-authority` are ignored.
    pub known_hosts: Option<PathBuf>,
    /// The fingerprints of accepted host keys.
    pub host_keys: Vec<Fingerprint>,
    /// How long to wait for the server.
    pub timeouts: Timeouts,
}

impl SftpSettings {
    /// Makes settings with this private key that accept no server yet.
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

/// How long to wait for an SFTP server.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// The limit for looking up the host's address and connecting. Default: 20 seconds.
    pub connect: Duration,
    /// The limit for the SSH handshake, and again for the login. Default: 30 seconds, because servers delay logins on
    /// purpose.
    pub login: Duration,
    /// The limit for one operation without any progress, after the login. Default: 60 seconds. A listing, which is
    /// many operations, may take ten times as long.
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
