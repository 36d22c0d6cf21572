//! How to reach the subscription service, and as whom.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ureq::Proxy;
use ureq::http::Uri;

use super::super::secret::Secret;
use super::error::SoapError;

/// Where the service is, how to know it, and what to show it.
#[derive(Clone)]
pub struct SoapSettings {
    /// The address of the service; `https` only.
    pub endpoint: String,
    /// One client certificate, or two while one follows the other. Of those that are valid, the one that began last
    /// is shown.
    pub certificates: Vec<ClientCertificate>,
    /// A file of authorities (PEM) whose servers are trusted instead of those of the public ones.
    pub ca: Option<PathBuf>,
    /// Whether the public authorities are trusted beside those of [`ca`](Self::ca).
    pub trust_public: bool,
    /// An HTTP proxy to go through: `http://[user:password@]host:port`. It is never taken from the environment.
    pub proxy: Option<String>,
    /// How long to wait.
    pub timeouts: SoapTimeouts,
    /// The largest answer that is taken, in bytes. The default of 64 MiB holds the filters of about two million
    /// persons.
    pub max_body: u64,
}

impl SoapSettings {
    /// Settings for an address, with a client certificate. Servers of the public authorities are trusted.
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

    /// The address, if it can be one.
    pub(super) fn uri(&self) -> Result<Uri, SoapError> {
        let problem = |problem| SoapError::Endpoint { problem };
        let uri: Uri = self
            .endpoint
            .parse()
            .map_err(|_| problem("it is no address"))?;
        let authority = uri.authority().ok_or(problem("it names no host"))?;
        if uri.scheme_str() != Some("https") {
            return Err(problem("it does not begin with https://"));
        }
        if authority.as_str().contains('@') {
            return Err(problem("it holds a user name, which is of no use here"));
        }
        if authority.host().is_empty() {
            return Err(problem("it names no host"));
        }
        Ok(uri)
    }

    /// The proxy, if there is to be one.
    pub(super) fn proxy(&self) -> Result<Option<Proxy>, SoapError> {
        let Some(proxy) = &self.proxy else {
            return Ok(None);
        };
        // To one that itself speaks TLS, the client certificate would be shown.
        if !proxy.starts_with("http://") {
            return Err(SoapError::ProxyAddress);
        }
        let proxy = Proxy::new(proxy).map_err(|_| SoapError::ProxyAddress)?;
        Ok(Some(proxy))
    }
}

/// Masked: the address of a proxy can hold a password.
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

/// The files of a client certificate. Nobody but the owner may have access to those with a key in them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientCertificate {
    /// As PEM.
    Pem {
        /// The certificate, and that of the authority that issued it.
        certificate: PathBuf,
        /// The key, not encrypted: PKCS#8, PKCS#1 or SEC1. It may be the same file.
        key: PathBuf,
    },
    /// Key and certificates in one archive (`.p12`, `.pfx`), as MitID Erhverv gives them out.
    Pkcs12 {
        /// The archive.
        file: PathBuf,
        /// What opens it.
        password: Secret,
    },
}

impl ClientCertificate {
    /// The file by which people know it.
    pub fn path(&self) -> &Path {
        match self {
            Self::Pem { certificate, .. } => certificate,
            Self::Pkcs12 { file, .. } => file,
        }
    }
}

/// How long to wait for the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SoapTimeouts {
    /// For the host's address, and then for the connection with its keys. The default is 20 seconds.
    pub connect: Duration,
    /// For an answer to begin, and for anything of it to follow. The default is a minute.
    pub answer: Duration,
    /// For a call from its beginning to its end. The default is five minutes.
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
