//! Host keys and their fingerprints, as people compare them.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use sha2::{Digest, Sha256};

/// The SHA-256 fingerprint of a host key, in the form that `ssh-keygen -l` shows: `SHA256:…`.
///
/// ```
/// use cprflow_transport::Fingerprint;
///
/// let text = "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU";
/// let fingerprint: Fingerprint = text.parse()?;
/// assert_eq!(fingerprint.to_string(), text);
/// assert!("MD5:d4:1d:8c:d9".parse::<Fingerprint>().is_err());
/// # Ok::<(), cprflow_transport::FingerprintError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Computes the fingerprint of a public key in SSH's binary form.
    pub(crate) fn of(key: &[u8]) -> Self {
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

/// A text is not a SHA-256 fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a SHA-256 fingerprint. Give SHA256: and 43 characters, as `ssh-keygen -l -f KEY.pub` shows it; MD5 fingerprints \
     are not accepted"
)]
pub struct FingerprintError;

/// A host key as people compare it. `Display` shows the algorithm and the fingerprint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostKey {
    /// The key's algorithm: `ssh-ed25519`, `ssh-rsa`, …
    pub algorithm: String,
    /// The key's fingerprint: `SHA256:…`
    pub fingerprint: Fingerprint,
}

impl fmt::Display for HostKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.algorithm, self.fingerprint)
    }
}
