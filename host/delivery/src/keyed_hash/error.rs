//! Why a key for keyed hashes cannot be used.

use std::path::PathBuf;

/// A key that cannot be read or made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The file is not a key.
    #[error("{path}: {what}", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the key is for and what to do.
        what: &'static str,
    },

    /// The operating system returns no random bytes.
    #[error(
        "{path}: cannot make a key, because the operating system returns no random bytes: {error}. Allow cprflow to \
         call getrandom, or to read /dev/urandom", path = path.display()
    )]
    Random {
        /// The file of the key.
        path: PathBuf,
        /// The operating system's error.
        error: getrandom::Error,
    },
}
