//! Which server is the right one: known host keys and fingerprints.

use std::fmt;
use std::fs;
use std::path::Path;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use sha2::{Digest, Sha256};
use ssh2::{CheckResult, KnownHostFileKind, Session};

use super::super::error::{HostKey, TransportError};
use super::super::inbox::Server;
use super::SftpSettings;

/// The SHA-256 fingerprint of a host key, as `ssh-keygen -l` shows it: `SHA256:…`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// That of a key.
    pub(super) fn of(key: &[u8]) -> Self {
        Self(Sha256::digest(key).into())
    }
}

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        let hash = text.strip_prefix("SHA256:").ok_or(FingerprintError)?;
        let hash = STANDARD_NO_PAD
            .decode(hash.trim_end_matches('='))
            .map_err(|_| FingerprintError)?;
        hash.try_into().map(Self).map_err(|_| FingerprintError)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SHA256:{}", STANDARD_NO_PAD.encode(self.0))
    }
}

/// A text is no SHA-256 fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a SHA-256 fingerprint: it must be SHA256: and 43 characters, as `ssh-keygen -l -f KEY.pub` shows it. Those of MD5 are not taken"
)]
pub struct FingerprintError;

/// What is known about the keys of one server.
#[derive(Debug, Default)]
pub(super) struct Trust {
    keys: Vec<Vec<u8>>,
    revoked: Vec<Vec<u8>>,
    fingerprints: Vec<Fingerprint>,
}

impl Trust {
    /// Collects it from the settings.
    pub(super) fn load(server: &Server, settings: &SftpSettings) -> Result<Self, TransportError> {
        let mut trust = Self {
            fingerprints: settings.host_keys.clone(),
            ..Self::default()
        };
        if let Some(path) = &settings.known_hosts {
            trust.read(path, server)?;
        }
        Ok(trust)
    }

    /// Whether this key is the server's.
    pub(super) fn judge(&self, key: &[u8]) -> Verdict {
        if self.revoked.iter().any(|revoked| revoked == key) {
            return Verdict::Revoked;
        }
        let known = self.keys.iter().any(|known| known == key);
        match known || self.fingerprints.contains(&Fingerprint::of(key)) {
            true => Verdict::Right,
            false => Verdict::Wrong,
        }
    }

    /// Whether nothing is known.
    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.fingerprints.is_empty()
    }

    /// The families of keys to ask the server for, those that are known first. A server with several keys shows
    /// the one that it is asked for first.
    pub(super) fn families(&self) -> Vec<&'static Family> {
        let is_known = |family: &Family| self.keys.iter().any(|key| family.has(key));
        let (mut known, others): (Vec<_>, Vec<_>) =
            FAMILIES.iter().partition(|family| is_known(family));
        known.extend(others);
        known
    }

    /// Whether another key of the server could be the right one. A fingerprint does not say of which family its key
    /// is; a known key does.
    pub(super) fn may_know_others(&self) -> bool {
        !self.fingerprints.is_empty()
    }

    fn read(&mut self, path: &Path, server: &Server) -> Result<(), TransportError> {
        let failed = |reason: String| TransportError::KnownHosts {
            path: path.to_owned(),
            reason,
        };
        let file = fs::read(path).map_err(|error| failed(error.to_string()))?;
        let text = String::from_utf8_lossy(&file);
        for (number, line) in text.lines().enumerate() {
            let mut fields = line.split_ascii_whitespace();
            match fields.next() {
                // Whichever host the line names: a key that somebody has stolen is good for none.
                Some("@revoked") => match fields.nth(2).and_then(|key| STANDARD.decode(key).ok()) {
                    Some(key) => self.revoked.push(key),
                    None => {
                        let number = number + 1;
                        return Err(failed(format!("the revoked key in line {number} is none")));
                    }
                },
                // Authorities that vouch for hosts are not asked.
                Some(first) if !first.starts_with(['@', '#']) => {
                    let key = fields.nth(1).and_then(|key| STANDARD.decode(key).ok());
                    if let Some(key) = key.filter(|key| names(line, key, server)) {
                        self.keys.push(key);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// What is to be thought of a server's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is the right one.
    Right,
    /// It is another one.
    Wrong,
    /// It must not be used any more.
    Revoked,
}

/// Keys of one kind.
#[derive(Debug)]
pub(super) struct Family {
    /// The name inside the key.
    name: &'static str,
    /// The ways of signing with it, best first. SHA-1 is none.
    pub(super) methods: &'static str,
}

impl Family {
    /// Whether a key is of it.
    pub(super) fn has(&self, key: &[u8]) -> bool {
        algorithm(key) == self.name
    }
}

/// A key as people compare it.
pub(super) fn shown(key: &[u8]) -> HostKey {
    HostKey {
        algorithm: algorithm(key).to_owned(),
        fingerprint: Fingerprint::of(key),
    }
}

/// The name at the beginning of a key: a length and as many bytes. One that we do not know is not repeated.
fn algorithm(key: &[u8]) -> &'static str {
    let named = |family: &&Family| {
        let name = family.name.as_bytes();
        key.get(3).copied().map(usize::from) == Some(name.len())
            && key.get(4..4 + name.len()) == Some(name)
    };
    FAMILIES
        .iter()
        .find(named)
        .map_or("a key", |family| family.name)
}

/// Whether a line of known_hosts is about this server. libssh2 knows the ways in which hosts are written, hashed ones
/// too; patterns with `*` it does not know, and such a line is about nobody then.
fn names(line: &str, key: &[u8], server: &Server) -> bool {
    let check = || {
        let mut hosts = Session::new()?.known_hosts()?;
        hosts.read_str(line, KnownHostFileKind::OpenSSH)?;
        Ok::<_, ssh2::Error>(hosts.check_port(&server.host, server.port, key))
    };
    matches!(check(), Ok(CheckResult::Match))
}

const FAMILIES: &[Family] = &[
    Family {
        name: "ssh-ed25519",
        methods: "ssh-ed25519",
    },
    Family {
        name: "ecdsa-sha2-nistp256",
        methods: "ecdsa-sha2-nistp256",
    },
    Family {
        name: "ecdsa-sha2-nistp384",
        methods: "ecdsa-sha2-nistp384",
    },
    Family {
        name: "ecdsa-sha2-nistp521",
        methods: "ecdsa-sha2-nistp521",
    },
    Family {
        name: "ssh-rsa",
        methods: "rsa-sha2-512,rsa-sha2-256",
    },
];
