//! The host keys that a server may show, from a `known_hosts` file and from configured fingerprints.

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ssh2::{CheckResult, KnownHostFileKind, Session};

use super::settings::SftpSettings;
use crate::byte_order::{UTF8_MARK, is_utf16};
use crate::error::{KnownHostsProblem, TransportError};
use crate::host_key::{Fingerprint, HostKey};
use crate::inbox::Server;

/// The trusted and the revoked host keys of one server.
#[derive(Debug, Default)]
pub(super) struct TrustedKeys {
    keys: Vec<Vec<u8>>,
    revoked: Vec<Vec<u8>>,
    fingerprints: Vec<Fingerprint>,
}

impl TrustedKeys {
    /// Collects the keys and fingerprints that the settings give for a server.
    pub(super) fn load(server: &Server, settings: &SftpSettings) -> Result<Self, TransportError> {
        let mut trusted = Self {
            fingerprints: settings.host_keys.clone(),
            ..Self::default()
        };
        if let Some(path) = &settings.known_hosts {
            let problem = |problem| TransportError::KnownHosts {
                path: path.clone(),
                problem,
            };
            trusted.read_known_hosts(path, server).map_err(problem)?;
        }
        Ok(trusted)
    }

    /// Returns whether a key is a trusted key of the server.
    pub(super) fn check(&self, key: &[u8]) -> KeyStatus {
        if self.revoked.iter().any(|revoked| revoked == key) {
            return KeyStatus::Revoked;
        }
        let is_known = self.keys.iter().any(|known| known == key);
        match is_known || self.fingerprints.contains(&Fingerprint::of(key)) {
            true => KeyStatus::Trusted,
            false => KeyStatus::Unknown,
        }
    }

    /// Returns whether neither a key nor a fingerprint is known.
    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.fingerprints.is_empty()
    }

    /// Returns the key types to ask the server for, those of known keys first. A server with several keys shows the
    /// one of the first type.
    pub(super) fn key_types(&self) -> Vec<&'static KeyType> {
        let is_known = |key_type: &KeyType| self.keys.iter().any(|key| key_type.matches(key));
        let (mut known, others): (Vec<_>, Vec<_>) =
            KEY_TYPES.iter().partition(|key_type| is_known(key_type));
        known.extend(others);
        known
    }

    /// Returns whether a key of another type could be trusted. A fingerprint does not reveal the type of its key; a
    /// known key does.
    pub(super) fn may_trust_other_types(&self) -> bool {
        !self.fingerprints.is_empty()
    }

    fn read_known_hosts(&mut self, path: &Path, server: &Server) -> Result<(), KnownHostsProblem> {
        let file = fs::read(path).map_err(KnownHostsProblem::Unreadable)?;
        if is_utf16(&file) {
            return Err(KnownHostsProblem::Utf16);
        }
        let text = String::from_utf8_lossy(file.strip_prefix(UTF8_MARK).unwrap_or(&file));
        for (index, line) in text.lines().enumerate() {
            let mut fields = line.split_ascii_whitespace();
            match fields.next() {
                // The host of the line does not matter: a stolen key must not be accepted from any host.
                Some("@revoked") => match fields.nth(2).and_then(|key| STANDARD.decode(key).ok()) {
                    Some(key) => self.revoked.push(key),
                    None => return Err(KnownHostsProblem::InvalidRevokedKey { line: index + 1 }),
                },
                // Lines with @cert-authority are skipped: host certificates are not supported.
                Some(first) if !first.starts_with(['@', '#']) => {
                    let key = fields.nth(1).and_then(|key| STANDARD.decode(key).ok());
                    if let Some(key) = key.filter(|key| is_for_server(line, key, server)) {
                        self.keys.push(key);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// The result of checking a server's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyStatus {
    /// The key is trusted.
    Trusted,
    /// The key is none of the trusted ones.
    Unknown,
    /// The key is marked as revoked.
    Revoked,
}

/// A type of host key.
#[derive(Debug)]
pub(super) struct KeyType {
    /// The type's name inside the key.
    name: &'static str,
    /// The signature algorithms for this type, best first, without those that use SHA-1.
    pub(super) algorithms: &'static str,
}

impl KeyType {
    /// Returns whether a key is of this type.
    pub(super) fn matches(&self, key: &[u8]) -> bool {
        type_name(key) == self.name
    }
}

/// Returns a key in the form that people compare.
pub(super) fn host_key(key: &[u8]) -> HostKey {
    HostKey {
        algorithm: type_name(key).to_owned(),
        fingerprint: Fingerprint::of(key),
    }
}

/// Returns the type name at the beginning of a key, which is a length of four bytes and the name. An unknown name is
/// replaced by "a key", because it is text from the server.
fn type_name(key: &[u8]) -> &'static str {
    let has_name = |key_type: &&KeyType| {
        let name = key_type.name.as_bytes();
        key.get(3).copied().map(usize::from) == Some(name.len())
            && key.get(4..4 + name.len()) == Some(name)
    };
    KEY_TYPES
        .iter()
        .find(has_name)
        .map_or("a key", |key_type| key_type.name)
}

/// Returns whether a `known_hosts` line is for this server. libssh2 parses the line, including hashed host names. It
/// does not know patterns, so this module matches those.
fn is_for_server(line: &str, key: &[u8], server: &Server) -> bool {
    let hosts = line.split_ascii_whitespace().next().unwrap_or_default();
    if hosts.contains(['*', '?', '!']) {
        return is_matched(hosts, server);
    }
    let check = || {
        let mut hosts = Session::new()?.known_hosts()?;
        hosts.read_str(line, KnownHostFileKind::OpenSSH)?;
        Ok::<_, ssh2::Error>(hosts.check_port(&server.host, server.port, key))
    };
    matches!(check(), Ok(CheckResult::Match))
}

/// Returns whether a list of patterns, separated by commas, names the server: one of them matches it, and none after `!`
/// does. A pattern for a port other than 22 has the form `[host]:port`.
fn is_matched(hosts: &str, server: &Server) -> bool {
    let address = server.address();
    let mut is_named = false;
    for pattern in hosts.split(',') {
        match pattern.strip_prefix('!') {
            Some(pattern) if matches_pattern(pattern, &address) => return false,
            Some(_) => {}
            None => is_named |= matches_pattern(pattern, &address),
        }
    }
    is_named
}

/// Returns whether a text matches a pattern, in which `*` stands for any characters and `?` for one.
fn matches_pattern(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.to_ascii_lowercase(), text.to_ascii_lowercase());
    let mut pieces = pattern.split('*');
    let (first, last) = (pieces.next().unwrap_or_default(), pieces.next_back());
    let Some(mut rest) = strip_piece(first, text.as_bytes()) else {
        return false;
    };
    let Some(last) = last else {
        // There is no `*`.
        return rest.is_empty();
    };
    for piece in pieces {
        // The first place is the best one, because it leaves most of the text.
        let found = (0..=rest.len()).find_map(|at| strip_piece(piece, rest.get(at..)?));
        match found {
            Some(after) => rest = after,
            None => return false,
        }
    }
    let end = rest.len().checked_sub(last.len());
    end.and_then(|end| strip_piece(last, rest.get(end..)?))
        .is_some()
}

/// Returns the text after a piece of a pattern without `*`, if the text begins with the piece.
fn strip_piece<'a>(piece: &str, text: &'a [u8]) -> Option<&'a [u8]> {
    let (begin, rest) = text.split_at_checked(piece.len())?;
    let is_equal = |(pattern, byte): (u8, &u8)| pattern == b'?' || pattern == *byte;
    piece.bytes().zip(begin).all(is_equal).then_some(rest)
}

const KEY_TYPES: &[KeyType] = &[
    KeyType {
        name: "ssh-ed25519",
        algorithms: "ssh-ed25519",
    },
    KeyType {
        name: "ecdsa-sha2-nistp256",
        algorithms: "ecdsa-sha2-nistp256",
    },
    KeyType {
        name: "ecdsa-sha2-nistp384",
        algorithms: "ecdsa-sha2-nistp384",
    },
    KeyType {
        name: "ecdsa-sha2-nistp521",
        algorithms: "ecdsa-sha2-nistp521",
    },
    KeyType {
        name: "ssh-rsa",
        algorithms: "rsa-sha2-512,rsa-sha2-256",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_patterns_as_openssh_does() {
        let matches = |hosts: &str, host: &str, port| {
            let server = Server {
                user: "u".to_owned(),
                host: host.to_owned(),
                port,
                folder: String::new(),
            };
            is_matched(hosts, &server)
        };
        for (hosts, host, port, expected) in [
            ("*", "sftp.example.dk", 22, true),
            ("*.example.dk", "sftp.example.dk", 22, true),
            ("*.EXAMPLE.dk", "sftp.example.dk", 22, true),
            ("*.example.dk", "example.dk", 22, false),
            ("*.example.dk", "sftp.example.dk.evil", 22, false),
            ("sftp?.example.dk", "sftp1.example.dk", 22, true),
            ("sftp?.example.dk", "sftp.example.dk", 22, false),
            ("a*b*c", "aXbYc", 22, true),
            ("a*bb*b", "abb", 22, false),
            ("other,10.0.*", "10.0.3.7", 22, true),
            (
                "!sftp.example.dk,*.example.dk",
                "sftp.example.dk",
                22,
                false,
            ),
            ("*.example.dk,!sftp.*", "sftp.example.dk", 22, false),
            ("*.example.dk,!ftp.*", "sftp.example.dk", 22, true),
            ("!sftp.example.dk", "other", 22, false),
            ("*.example.dk", "sftp.example.dk", 2222, false),
            ("[*.example.dk]:2222", "sftp.example.dk", 2222, true),
            ("[*.example.dk]:2222", "sftp.example.dk", 22, false),
            ("[*.example.dk]:*", "sftp.example.dk", 2222, true),
        ] {
            assert_eq!(
                matches(hosts, host, port),
                expected,
                "{hosts} {host} {port}"
            );
        }
    }
}
