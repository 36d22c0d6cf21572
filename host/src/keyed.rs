//! Keyed hashes of person numbers. There are so few numbers that a hash without a key can be turned back.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::error::Error;
use crate::spool::sync_directory;
use crate::subscriber::{SubscriberError, random};

/// Bytes of a key.
const KEY: usize = 32;

/// A key of this installation's. It is never printed, and wiped from memory when it is dropped.
pub(crate) struct Key(Zeroizing<[u8; KEY]>);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(…)")
    }
}

impl Key {
    /// Reads it, or makes it on first use. `damaged` is what to say of a file that is no key.
    pub(crate) fn open(path: &Path, damaged: &str) -> Result<Self, Error> {
        match Self::read(path, damaged)? {
            Some(key) => Ok(key),
            None => Self::make(path, damaged),
        }
    }

    /// Reads it; none if it is not there.
    pub(crate) fn read(path: &Path, damaged: &str) -> Result<Option<Self>, Error> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => Zeroizing::new(bytes),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::file(path)(error)),
        };
        let key = bytes.as_slice().try_into();
        let key = key.map_err(|_| SubscriberError::State {
            path: path.to_owned(),
            what: damaged.to_owned(),
        })?;
        Ok(Some(Self(Zeroizing::new(key))))
    }

    /// A file of that name is whole or not there, and whoever comes second takes what the first has made.
    fn make(path: &Path, damaged: &str) -> Result<Self, Error> {
        let mut key = Zeroizing::new([0; KEY]);
        random(key.as_mut_slice())?;
        let directory = path.parent().unwrap_or(Path::new("."));
        // A temporary file is its owner's only, and keeps that when it gets its name.
        let mut file = tempfile::NamedTempFile::new_in(directory).map_err(Error::file(path))?;
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

    /// The HMAC-SHA-256 of these texts, one after the other.
    pub(crate) fn hash<'a>(&self, texts: impl IntoIterator<Item = &'a str>) -> Vec<u8> {
        // A key of any length will do, so this cannot fail; an empty hash would tell nothing of anybody.
        let Ok(mut hash) = Hmac::<Sha256>::new_from_slice(self.0.as_slice()) else {
            return Vec::new();
        };
        for text in texts {
            hash.update(text.as_bytes());
        }
        hash.finalize().into_bytes().to_vec()
    }
}

/// The key under which lists of numbers go into the digests of policies; one for a state directory.
#[derive(Debug)]
pub struct ListKey(Key);

const DAMAGED: &str = "this is no key of the digests of policies: put the right one back from a backup, or remove it. \
                       Then another is made, and policies with a list of numbers look changed once";

impl ListKey {
    /// Reads the key of a state directory, or makes it on first use.
    pub fn open(state: &Path) -> Result<Self, Error> {
        Key::open(&path(state), DAMAGED).map(Self)
    }

    /// Reads the key of a state directory; none if there is none yet.
    pub fn read(state: &Path) -> Result<Option<Self>, Error> {
        Ok(Key::read(&path(state), DAMAGED)?.map(Self))
    }

    /// The hash of sorted numbers, in hexadecimal.
    pub(crate) fn hash<'a>(&self, numbers: impl IntoIterator<Item = &'a str>) -> String {
        // All of one length: nothing is needed between them.
        crate::spool::hexadecimal(&self.0.hash(numbers))
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
    fn a_key_is_made_once_and_stays() {
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
        assert!(error.to_string().contains("no key"), "{error}");
    }
}
