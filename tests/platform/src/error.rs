//! The errors of the stand-in platform itself. No error contains a value of a person's record.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// An error of the stand-in platform.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or directory of the stand-in cannot be read or written.
    #[error("cannot read or write {path}: {error}", path = path.display())]
    File {
        /// The path.
        path: PathBuf,
        /// The cause.
        #[source]
        error: io::Error,
    },

    /// A server cannot listen on its port.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// The address; port 0 for any free port.
        address: SocketAddr,
        /// The cause.
        #[source]
        error: io::Error,
    },

    /// A certificate cannot be created.
    #[error("cannot create a certificate: {0}")]
    Certificate(#[from] rcgen::Error),

    /// A client certificate that the service should accept cannot be used.
    #[error("cannot accept the client certificate {path}: {reason}", path = path.display())]
    ClientCertificate {
        /// The file.
        path: PathBuf,
        /// The reason, and what to do.
        reason: String,
    },

    /// A PKCS#12 file cannot be created.
    #[error("cannot create a PKCS#12 file: {0}")]
    Pkcs12(#[from] p12_keystore::error::Error),

    /// TLS cannot be configured.
    #[error("cannot configure TLS: {0}")]
    Tls(#[from] rustls::Error),

    /// An extract cannot be generated.
    #[error("cannot generate an extract: {0}")]
    Extract(#[source] io::Error),

    /// The SSH server, one of its keys or one of its tools failed.
    #[error("{0}")]
    Ssh(String),
}

impl Error {
    /// Returns a function that turns an I/O error into an error about this path.
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        |error| Self::File { path, error }
    }
}
