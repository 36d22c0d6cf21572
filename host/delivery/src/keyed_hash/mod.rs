//! Keyed hashes of person numbers and extracts. There are so few person numbers that a hash without a key can be reversed
//! by trying all of them. In the same way, the digest of an extract would tell the few values in it that are not known.

mod error;

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::error::Error;
use crate::fs::{directory_of, sync_directory, temporary_file};

pub use error::KeyError;

/// The length of a key, in bytes.
const KEY_BYTES: usize = 32;

/// A key for keyed hashes, made by this installation. It is never printed, and is wiped from memory when it is dropped.
pub(crate) struct Key(Zeroizing<[u8; KEY_BYTES]>);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(…)")
    }
}

impl Key {
    /// Reads a key, or makes it on first use. `damaged` is the error text for a file that is not a key.
    pub(crate) fn open(path: &Path, damaged: &'static str) -> Result<Self, Error> {
        match Self::read(path, damaged)? {
            Some(key) => Ok(key),
            None => Self::make(path, damaged),
        }
    }

    /// Reads a key. Returns `None` if the file does not exist.
    pub(crate) fn read(path: &Path, damaged: &'static str) -> Result<Option<Self>, Error> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => Zeroizing::new(bytes),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::file(path)(error)),
        };
        let key = bytes.as_slice().try_into();
        let key = key.map_err(|_| KeyError::Damaged {
            path: path.to_owned(),
            what: damaged,
        })?;
        Ok(Some(Self(Zeroizing::new(key))))
    }

    /// Makes a key and writes its file atomically. If another process was faster, its key is read instead.
    fn make(path: &Path, damaged: &'static str) -> Result<Self, Error> {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        getrandom::fill(key.as_mut_slice()).map_err(|error| KeyError::Random {
            path: path.to_owned(),
            error,
        })?;
        let directory = directory_of(path);
        let mut file = temporary_file(directory).map_err(Error::file(path))?;
        file.write_all(key.as_slice())
            .and_then(|()| file.as_file().sync_all())
            .map_err(Error::file(path))?;
        match file.persist_noclobber(path) {
            Ok(_) => sync_directory(Some(directory))?,
            Err(error) if error.error.kind() == ErrorKind::AlreadyExists => {
                return Self::open(path, damaged);
            }
            Err(error) => return Err(Error::file(path)(error.error)),
        }
        Ok(Self(key))
    }

    /// Returns the HMAC-SHA-256 of the concatenated texts.
    pub(crate) fn hash<'a>(&self, texts: impl IntoIterator<Item = &'a str>) -> Vec<u8> {
        // HMAC takes a key of any length, so this cannot fail. An empty hash would reveal nothing.
        let Ok(mut hash) = Hmac::<Sha256>::new_from_slice(self.0.as_slice()) else {
            return Vec::new();
        };
        for text in texts {
            hash.update(text.as_bytes());
        }
        hash.finalize().into_bytes().to_vec()
    }
}

/// The key with which the digest of a policy includes a list of person numbers. Each state directory has one.
#[derive(Debug)]
pub struct ListKey(Key);

const DAMAGED: &str = "the file is not a key for digests of policies. Restore it from a backup, or remove it: then the \
                       next run makes another key, and policies with a list of numbers appear changed once";

impl ListKey {
    /// Reads the key of a state directory, or makes it on first use.
    pub fn open(state: &Path) -> Result<Self, Error> {
        Key::open(&path(state), DAMAGED).map(Self)
    }

    /// Reads the key of a state directory. Returns `None` if it was not made yet.
    pub fn read(state: &Path) -> Result<Option<Self>, Error> {
        Ok(Key::read(&path(state), DAMAGED)?.map(Self))
    }

    /// Returns the hash of sorted person numbers, in lower-case hexadecimal.
    pub(crate) fn hash<'a>(&self, numbers: impl IntoIterator<Item = &'a str>) -> String {
        // All numbers have ten digits, so no separator is needed.
        base16ct::lower::encode_string(&self.0.hash(numbers))
    }
}

/// The key of the digests by which a tenant's manifests identify extracts. Each state directory has one.
///
/// A digest without a key would let a tenant who knows most of a small extract find the hidden rest by trying values.
#[derive(Debug)]
pub(crate) struct ExtractKey(Key);

/// The name of the file in the state directory.
const EXTRACT_KEY: &str = "extract.key";

const DAMAGED_EXTRACT_KEY: &str = "the file is not a key for digests of extracts. Restore it from a backup. Without a \
                                   backup, remove it: the next run makes another key. Then `cprflow status` takes the \
                                   deliveries that tenants have for other deliveries, until `cprflow set-aside --gone` \
                                   accepts that, and a lost ledger does not recognise their extracts";

/// What the digest of an extract with a key begins with.
const KEYED: &str = "hmac-sha256:";

impl ExtractKey {
    /// Reads the key of a state directory, or makes it on first use.
    pub(crate) fn open(state: &Path) -> Result<Self, Error> {
        Key::open(&state.join(EXTRACT_KEY), DAMAGED_EXTRACT_KEY).map(Self)
    }

    /// Reads the key of a state directory. Returns `None` if it was not made yet.
    pub(crate) fn read(state: &Path) -> Result<Option<Self>, Error> {
        let key = Key::read(&state.join(EXTRACT_KEY), DAMAGED_EXTRACT_KEY)?;
        Ok(key.map(Self))
    }

    /// Returns the digest with the key of an extract with this SHA-256 in hexadecimal. A digest that has a key already
    /// stays the same, because it came from a manifest.
    pub(crate) fn digest(&self, sha256: &str) -> String {
        match sha256.starts_with(KEYED) {
            true => sha256.to_owned(),
            false => {
                let hash = base16ct::lower::encode_string(&self.0.hash([sha256]));
                format!("{KEYED}{hash}")
            }
        }
    }

    /// Returns whether an extract with this SHA-256 is the one that a ledger knows by its SHA-256 or by a digest with the
    /// key.
    pub(crate) fn is_same(&self, sha256: &str, known: &str) -> bool {
        sha256 == known || self.digest(sha256) == known
    }
}

fn path(state: &Path) -> PathBuf {
    state.join("policy.key")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn an_extract_is_recognised_with_the_key_only() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let key = ExtractKey::open(one.path()).unwrap();
        let digest = key.digest("aa");
        assert!(digest.starts_with("hmac-sha256:") && digest.len() == 12 + 64);
        assert_eq!(key.digest(&digest), digest);
        assert!(key.is_same("aa", "aa") && key.is_same("aa", &digest));
        assert!(!key.is_same("ab", &digest) && !key.is_same("ab", "aa") && !key.is_same("aa", ""));
        let again = ExtractKey::open(one.path()).unwrap();
        assert!(again.is_same("aa", &digest));
        let other = ExtractKey::open(other.path()).unwrap();
        assert!(!other.is_same("aa", &digest));
    }

    #[test]
    fn makes_a_key_once_and_refuses_a_damaged_one() {
        let state = tempfile::tempdir().unwrap();
        assert!(ListKey::read(state.path()).unwrap().is_none());
        let all = std::thread::scope(|scope| {
            let open = || ListKey::open(state.path()).unwrap().hash(["0101010101"]);
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
            let hashes = threads.into_iter().map(|thread| thread.join().unwrap());
            hashes.collect::<std::collections::BTreeSet<_>>()
        });
        assert_eq!(all.len(), 1);
        let key = ListKey::read(state.path()).unwrap().unwrap();
        assert!(all.contains(&key.hash(["0101010101"])));
        assert_ne!(key.hash(["0101010101"]), key.hash(["0101010102"]));
        assert_eq!(format!("{key:?}"), "ListKey(Key(…))");
        let mode = std::fs::metadata(path(state.path()))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        let other = tempfile::tempdir().unwrap();
        let other = ListKey::open(other.path()).unwrap();
        assert!(!all.contains(&other.hash(["0101010101"])));
        std::fs::write(path(state.path()), "short").unwrap();
        let error = ListKey::open(state.path()).unwrap_err();
        assert!(error.to_string().contains("not a key"), "{error}");
    }
}
