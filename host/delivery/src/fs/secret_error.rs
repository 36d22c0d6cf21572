//! Why a secret or a private file cannot be read.

use std::io;
use std::path::{Path, PathBuf};

/// A secret or a private file that cannot be read. It never holds the secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// The file cannot be opened or read.
    #[error("{path}: {error}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        #[source]
        error: io::Error,
    },

    /// The group of the file or all users may read it.
    #[error(
        "{path}: other users can read {contents} (mode {mode:o}). Run `chmod 600` on the file, and find out who has \
         read it already", path = path.display()
    )]
    ReadableByOthers {
        /// The file.
        path: PathBuf,
        /// What the file contains.
        contents: &'static str,
        /// The permission bits of the file.
        mode: u32,
    },

    /// The text in the file is in another encoding than UTF-8.
    #[error(
        "{path}: the file is not text in UTF-8, so the secret cannot be read. Save it as UTF-8: some editors write UTF-16 \
         or Windows-1252", path = path.display()
    )]
    NotUtf8 {
        /// The file.
        path: PathBuf,
    },

    /// The environment variable is not set, or not valid Unicode.
    #[error(
        "the environment variable {variable} is not set, but the configuration names it as the place of a secret. Set \
         it, or write {{ file = \"…\" }} instead"
    )]
    VariableNotSet {
        /// The name of the variable.
        variable: String,
    },
}

impl SecretError {
    /// Returns a function that makes an input or output error an error about this file.
    pub(super) fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        |error| Self::File { path, error }
    }
}
