//! The settings of calls to the subscription service.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::secret::Secret;

/// The address of the subscription service, the authorities to trust, and the client certificates to show.
#[derive(Clone)]
pub struct SoapSettings {
    /// The address of the service. It must begin with `https://`.
    pub endpoint: String,
    /// One client certificate, or two while a new one replaces an old one. Of those that are valid, the one whose
    /// validity began last is used.
    pub certificates: Vec<ClientCertificate>,
    /// A PEM file with the certificates of authorities to trust instead of the public ones.
    pub ca: Option<PathBuf>,
    /// Whether to trust the public authorities in addition to those in [`ca`](Self::ca). Without `ca`, they are always
    /// trusted.
    pub trust_public: bool,
    /// The address of an HTTP proxy: `http://[user:password@]host:port`. Environment variables are ignored.
    pub proxy: Option<String>,
    /// How long to wait for the service.
    pub timeouts: SoapTimeouts,
    /// The largest accepted response body in bytes. Default: 64 MiB, enough for the filters of about two million
    /// persons.
    pub max_body: u64,
}

impl SoapSettings {
    /// Makes settings for an address with one client certificate, which trust the public authorities.
    pub fn new(endpoint: impl Into<String>, certificate: ClientCertificate) -> Self {
        Self {
            endpoint: endpoint.into(),
            certificates: vec![certificate],
            ca: None,
            trust_public: false,
            proxy: None,
            timeouts: SoapTimeouts::default(),
            max_body: 64 << 20,
        }
    }
}

/// Does not print the proxy's address, because it can contain a password.
impl fmt::Debug for SoapSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SoapSettings")
            .field("endpoint", &self.endpoint)
            .field("certificates", &self.certificates)
            .field("ca", &self.ca)
            .field("trust_public", &self.trust_public)
            .field("has_proxy", &self.proxy.is_some())
            .field("timeouts", &self.timeouts)
            .field("max_body", &self.max_body)
            .finish()
    }
}

/// The files of a client certificate. No other user than the owner may have access to a file with a private key.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientCertificate {
    /// PEM files.
    Pem {
        /// The file of the certificate, which should also hold that of the issuing authority.
        certificate: PathBuf,
        /// The file of the private key, not encrypted: PKCS#8, PKCS#1 or SEC1. It may be the same file.
        key: PathBuf,
    },
    /// A PKCS#12 archive (`.p12`, `.pfx`) of key and certificates, as MitID Erhverv issues it.
    Pkcs12 {
        /// The archive.
        file: PathBuf,
        /// The archive's password.
        password: Secret,
    },
}

impl ClientCertificate {
    /// Returns the path of the certificate file or archive, for error texts.
    pub fn path(&self) -> &Path {
        match self {
            Self::Pem { certificate, .. } => certificate,
            Self::Pkcs12 { file, .. } => file,
        }
    }
}

/// How long to wait for the subscription service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SoapTimeouts {
    /// The limit for looking up the host's address, and again for connecting with TLS. Default: 20 seconds.
    pub connect: Duration,
    /// The limit for the response to begin, and for each further part of it. Default: 60 seconds.
    pub answer: Duration,
    /// The limit for a whole call. Default: 5 minutes.
    pub total: Duration,
}

impl Default for SoapTimeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(20),
            answer: Duration::from_secs(60),
            total: Duration::from_secs(300),
        }
    }
}
