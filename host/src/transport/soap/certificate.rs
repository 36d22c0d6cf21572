//! Client certificates: read from their files, and checked before any server sees them.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use p12_keystore::Pkcs12Archive;
use rustls::client::ResolvesClientCert;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{Error, InconsistentKeys};
use x509_parser::certificate::X509Certificate;
use x509_parser::error::X509Error;
use x509_parser::parse_x509_certificate;
use zeroize::{Zeroize, Zeroizing};

use super::settings::ClientCertificate;

/// A file of certificates or keys cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot use {path}: {problem}", path = path.display())]
pub struct CertificateError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    #[source]
    pub problem: CertificateProblem,
}

impl CertificateError {
    pub(super) fn new(path: &Path, problem: CertificateProblem) -> Self {
        Self {
            path: path.to_owned(),
            problem,
        }
    }
}

/// What is wrong with a file of certificates or keys.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateProblem {
    /// The file cannot be read.
    #[error("{0}")]
    Unreadable(#[source] io::Error),
    /// Others than the owner may read the key.
    #[error(
        "there is a key in it and others can read it (mode {mode:o}): `chmod 600` it, and ask yourself who has it already"
    )]
    Exposed {
        /// Its permissions.
        mode: u32,
    },
    /// It is larger than any certificate or key.
    #[error("it is larger than {0} bytes, so it is neither certificate nor key")]
    TooLarge(u64),
    /// There is no certificate in it.
    #[error("there is no certificate in it: it must hold `-----BEGIN CERTIFICATE-----`")]
    NoCertificate,
    /// There is no private key in it.
    #[error("there is no private key in it: it must hold `-----BEGIN PRIVATE KEY-----`")]
    NoKey,
    /// The key is encrypted.
    #[error(
        "its key is encrypted. Configure the PKCS#12 file with its password instead, or decrypt the key with \
         `openssl pkcs8 -in KEY -out NEW`, readable for its owner alone"
    )]
    EncryptedKey,
    /// The key is none that can be used.
    #[error(
        "its key cannot be used: it must be RSA (2048 bits or more), ECDSA (P-256, P-384) or Ed25519"
    )]
    UnsupportedKey,
    /// What is in it is broken.
    #[error(
        "a certificate in it is broken, or of a kind that TLS does not take: get the file once more"
    )]
    Malformed,
    /// Certificate and key are of two pairs.
    #[error(
        "the key does not fit the certificate: they are of two pairs. Configure those that belong together"
    )]
    KeyMismatch,
    /// It is not valid any more.
    #[error(
        "the certificate expired at {since}. Order a new one in MitID Erhverv, register it with the IT system, and \
         configure it"
    )]
    Expired {
        /// Its end.
        since: Timestamp,
    },
    /// It is not valid yet.
    #[error(
        "the certificate is not valid before {from}. Use the one before until then; or this machine's clock is wrong"
    )]
    NotYetValid {
        /// Its beginning.
        from: Timestamp,
    },
    /// The password does not open the archive.
    #[error("the password does not open it")]
    WrongPassword,
    /// It is no PKCS#12 archive.
    #[error("it is no PKCS#12 archive (.p12, .pfx). If it is text, configure it as PEM")]
    NotPkcs12,
    /// The archive is encrypted in a way that is not understood.
    #[error(
        "it is encrypted in a way that cprflow does not know. Export it again with a current OpenSSL: `openssl pkcs12 -export`"
    )]
    UnsupportedEncryption,
}

/// A certificate with its key. It fits, but may be out of date.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    /// The file by which people know it.
    pub(super) path: PathBuf,
    pub(super) begins: Timestamp,
    pub(super) ends: Timestamp,
    /// Whether the issuing authority's certificate is in the file too.
    pub(super) has_issuer: bool,
    certified: Arc<CertifiedKey>,
}

impl Identity {
    /// Reads a certificate and its key. Dates are not judged.
    pub(super) fn load(certificate: &ClientCertificate) -> Result<Self, CertificateError> {
        let (certificates, mut key, key_path) = match certificate {
            ClientCertificate::Pem { certificate, key } => {
                // The key comes last: from then on nothing is given up before it is wiped.
                let found = read_authorities(certificate);
                let found = found.map_err(|problem| CertificateError::new(certificate, problem))?;
                let secret =
                    read_key(key).map_err(|problem| CertificateError::new(key, problem))?;
                (found, secret, key)
            }
            ClientCertificate::Pkcs12 { file, password } => {
                let opened = read_pkcs12(file, password.expose());
                let (found, key) =
                    opened.map_err(|problem| CertificateError::new(file, problem))?;
                (found, key, file)
            }
        };
        let problem = |problem| CertificateError::new(key_path, problem);
        let signing = any_supported_type(&key);
        key.zeroize();
        let signing = signing.map_err(|_| problem(CertificateProblem::UnsupportedKey))?;
        let malformed = || CertificateError::new(certificate.path(), CertificateProblem::Malformed);
        let mut certified = None;
        // Files do not always begin with the certificate that the key is for.
        for leaf in 0..certificates.len() {
            let chain = chain(&certificates, leaf).ok_or_else(malformed)?;
            let pair = CertifiedKey::new(chain, Arc::clone(&signing));
            match pair.keys_match() {
                Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => {
                    certified = Some(pair);
                    break;
                }
                Err(Error::InconsistentKeys(_)) => {}
                Err(_) => return Err(malformed()),
            }
        }
        let certified = certified.ok_or_else(|| problem(CertificateProblem::KeyMismatch))?;
        let leaf = certified.cert.first().ok_or_else(malformed)?;
        let (_, leaf) = parse_x509_certificate(leaf).map_err(|_| malformed())?;
        let time = |seconds| Timestamp::from_second(seconds).map_err(|_| malformed());
        Ok(Self {
            path: certificate.path().to_owned(),
            begins: time(leaf.validity().not_before.timestamp())?,
            ends: time(leaf.validity().not_after.timestamp())?,
            has_issuer: certified.cert.len() > 1 || leaf.issuer() == leaf.subject(),
            certified: Arc::new(certified),
        })
    }

    /// Whether it may be used now.
    pub(super) fn check(&self, now: Timestamp) -> Result<(), CertificateError> {
        let problem = if now >= self.ends {
            CertificateProblem::Expired { since: self.ends }
        } else if now < self.begins {
            CertificateProblem::NotYetValid { from: self.begins }
        } else {
            return Ok(());
        };
        Err(CertificateError::new(&self.path, problem))
    }

    /// For TLS: shows this certificate to whoever asks.
    pub(super) fn resolver(&self) -> Arc<dyn ResolvesClientCert> {
        Arc::new(SingleCertAndKey::from(Arc::clone(&self.certified)))
    }
}

/// The certificates of a PEM file, one at the least.
pub(super) fn read_authorities(
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, CertificateProblem> {
    let bytes = read(path, false)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => Err(CertificateProblem::NoCertificate),
        Ok(certificates) => Ok(certificates),
        Err(_) => Err(CertificateProblem::Malformed),
    }
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, CertificateProblem> {
    let bytes = read(path, true)?;
    let contains = |words: &str| {
        bytes
            .windows(words.len())
            .any(|part| part == words.as_bytes())
    };
    // The older form of an encrypted key says so in a header, under a title that promises an open one.
    if contains("ENCRYPTED PRIVATE KEY-----") || contains("Proc-Type: 4,ENCRYPTED") {
        return Err(CertificateProblem::EncryptedKey);
    }
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|_| CertificateProblem::NoKey)
}

fn read_pkcs12(
    path: &Path,
    password: &str,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), CertificateProblem> {
    use p12_keystore::error::Error;
    let archive = Pkcs12Archive::from_pkcs12(&read(path, true)?, password);
    let archive = archive.map_err(|error| match error {
        Error::MacError(_) | Error::Pkcs5Error(_) | Error::UnpadError => {
            CertificateProblem::WrongPassword
        }
        Error::UnsupportedEncryptionScheme | Error::UnsupportedMacAlgorithm => {
            CertificateProblem::UnsupportedEncryption
        }
        _ => CertificateProblem::NotPkcs12,
    })?;
    let key = archive.keys.first().ok_or(CertificateProblem::NoKey)?;
    let certificates: Vec<_> = archive
        .certs
        .iter()
        .map(|bag| CertificateDer::from(bag.cert.as_der().to_vec()))
        .collect();
    match certificates.is_empty() {
        true => Err(CertificateProblem::NoCertificate),
        false => {
            // Whoever gets this copy wipes it; the library keeps one of its own, and does not.
            let key = PrivatePkcs8KeyDer::from(key.key.as_der().to_vec());
            Ok((certificates, key.into()))
        }
    }
}

/// What is in a file; it is wiped from memory when it is dropped.
fn read(path: &Path, has_key: bool) -> Result<Zeroizing<Vec<u8>>, CertificateProblem> {
    let file = File::open(path).map_err(CertificateProblem::Unreadable)?;
    let metadata = file.metadata().map_err(CertificateProblem::Unreadable)?;
    let mode = metadata.permissions().mode() & 0o777;
    if has_key && mode & 0o077 != 0 {
        return Err(CertificateProblem::Exposed { mode });
    }
    // Room for all of it: growing would leave copies behind.
    let room = metadata.len().min(MAX_BYTES) as usize + 1;
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    file.take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(CertificateProblem::Unreadable)?;
    match bytes.len() as u64 > MAX_BYTES {
        true => Err(CertificateProblem::TooLarge(MAX_BYTES)),
        false => Ok(bytes),
    }
}

/// A certificate and those that lead from it upwards, without a root: the server has its own. None where one of them
/// is no certificate.
fn chain(
    certificates: &[CertificateDer<'static>],
    leaf: usize,
) -> Option<Vec<CertificateDer<'static>>> {
    let parsed: Result<Vec<_>, _> = certificates
        .iter()
        .map(|der| parse_x509_certificate(der).map(|(_, certificate)| certificate))
        .collect();
    let parsed = parsed.ok()?;
    let mut places = vec![leaf];
    let mut last = parsed.get(leaf)?;
    while places.len() < parsed.len() {
        let issuer = parsed
            .iter()
            .enumerate()
            .find(|(place, issuer)| !places.contains(place) && has_signed(issuer, last));
        let Some((place, issuer)) = issuer else { break };
        if issuer.subject() == issuer.issuer() {
            break;
        }
        places.push(place);
        last = issuer;
    }
    places
        .into_iter()
        .map(|place| certificates.get(place).cloned())
        .collect()
}

/// Whether one certificate is that of the authority that issued the other. A name alone says nothing: authorities get new
/// keys and keep their names.
fn has_signed(issuer: &X509Certificate<'_>, other: &X509Certificate<'_>) -> bool {
    let signed = || other.verify_signature(Some(issuer.public_key()));
    // Of a signature of another kind nobody here can tell, so the name has to do.
    issuer.subject() == other.issuer()
        && !matches!(signed(), Err(X509Error::SignatureVerificationError))
}

/// A bundle of all public authorities has about 250,000 bytes.
const MAX_BYTES: u64 = 4 << 20;
