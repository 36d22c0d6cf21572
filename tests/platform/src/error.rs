//! What can go wrong with the stand-in itself. No error holds a value of a person's record.

use std::io;
use std::path::PathBuf;

/// Why the stand-in cannot do what it is asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or a directory of its own.
    #[error("{path}: {error}", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },

    /// It cannot listen on a port.
    #[error("cannot listen on port {port} of 127.0.0.1: {error}")]
    Listen {
        /// Which; 0 for any that is free.
        port: u16,
        /// Why.
        #[source]
        error: io::Error,
    },

    /// A certificate cannot be made.
    #[error("cannot make a certificate: {0}")]
    Certificate(#[from] rcgen::Error),

    /// A PKCS#12 file cannot be made.
    #[error("cannot make a PKCS#12 file: {0}")]
    Pkcs12(#[from] p12_keystore::error::Error),

    /// TLS cannot be set up.
    #[error("cannot set up TLS: {0}")]
    Tls(#[from] rustls::Error),

    /// An extract cannot be made.
    #[error("cannot make an extract: {0}")]
    Extract(#[source] io::Error),

    /// The SSH server or one of its tools.
    #[error("{0}")]
    Ssh(String),
}

impl Error {
    /// An error about a file.
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        |error| Self::File { path, error }
    }
}
