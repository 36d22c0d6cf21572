//! Reads client certificates and authorities from files, and checks them before a connection is opened.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use openssl::error::Error as OpensslError;
use openssl::pkcs12::Pkcs12;
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
use crate::byte_order::{UTF8_MARK, is_utf16};
use crate::private_file::exposed_mode;

/// Why a file of certificates or keys cannot be used, with its path.
#[derive(Debug, thiserror::Error)]
#[error("cannot use {path}: {problem}", path = path.display())]
pub struct CertificateError {
    /// The file.
    pub path: PathBuf,
    /// Why it cannot be used.
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

/// Why a file of certificates or keys cannot be used. `Display` completes "cannot use PATH: ".
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateProblem {
    /// The file cannot be read.
    #[error("it cannot be read: {0}. Check the path and the permissions")]
    Unreadable(#[source] io::Error),
    /// Other users than the owner have access to the private key.
    #[error(
        "it holds a private key and other users have access to it (mode {mode:o}). Run `chmod 600` on it (for a \
         mounted secret of Kubernetes, set `defaultMode: 0400`), and replace the key if somebody may have copied it"
    )]
    Exposed {
        /// The file's permission bits.
        mode: u32,
    },
    /// The file is larger than any certificate or key. The value is the limit in bytes.
    #[error(
        "it is larger than {0} bytes, so it is neither a certificate nor a key. Check the path"
    )]
    TooLarge(u64),
    /// The file is text in UTF-16, which some editors write.
    #[error("it is text in UTF-16. Save it as UTF-8, or copy the original file again")]
    Utf16,
    /// The file holds no certificate.
    #[error(
        "there is no certificate in it. Configure a file that contains `-----BEGIN CERTIFICATE-----`, or a PKCS#12 archive \
         with a certificate"
    )]
    NoCertificate,
    /// The file holds no private key.
    #[error(
        "there is no private key in it. Configure a file that contains `-----BEGIN PRIVATE KEY-----`, or a PKCS#12 archive \
         with a key"
    )]
    NoKey,
    /// The private key is encrypted, which is supported only in a PKCS#12 archive.
    #[error(
        "its key is encrypted. Configure the PKCS#12 archive with its password instead, or decrypt the key with \
         `openssl pkcs8 -in KEY -out NEW` into a file that only its owner can read"
    )]
    EncryptedKey,
    /// The private key is of an unsupported kind.
    #[error(
        "its key is of an unsupported kind. Use a key of RSA (2048 bits or more), ECDSA (P-256, P-384) or Ed25519"
    )]
    UnsupportedKey,
    /// A certificate in the file cannot be parsed.
    #[error(
        "a certificate in it is broken, or of a kind that TLS does not support. Get the file again from its issuer"
    )]
    Malformed,
    /// The private key does not belong to the certificate.
    #[error(
        "the key does not fit the certificate. Configure a certificate and a key that belong together"
    )]
    KeyMismatch,
    /// The certificate has expired.
    #[error(
        "the certificate expired at {since}. Order a new one in MitID Erhverv, register it with the IT system, and \
         configure it"
    )]
    Expired {
        /// The end of its validity.
        since: Timestamp,
    },
    /// The certificate is not valid yet.
    #[error(
        "the certificate is not valid before {from}. Use the previous certificate until then, and check the clock of this \
         machine"
    )]
    NotYetValid {
        /// The beginning of its validity.
        from: Timestamp,
    },
    /// The password does not open the archive.
    #[error("the password does not open it. Correct the configured password")]
    WrongPassword,
    /// The file is not a PKCS#12 archive.
    #[error("it holds no PKCS#12 archive (.p12, .pfx). If it is a text file, configure it as PEM")]
    NotPkcs12,
    /// The archive uses an unsupported encryption.
    #[error(
        "its encryption is old and not supported. Convert it with \
         `openssl pkcs12 -legacy -in OLD -noenc | openssl pkcs12 -export -out NEW`, run `chmod 600` on the new file, and \
         configure that"
    )]
    UnsupportedEncryption,
}

/// A client certificate with its private key. They fit each other, but the certificate may be out of date.
#[derive(Debug, Clone)]
pub(super) struct LoadedCertificate {
    /// The file of the certificate, for messages.
    pub(super) path: PathBuf,
    pub(super) begins: Timestamp,
    pub(super) ends: Timestamp,
    /// The name of the issuing authority, if its certificate is needed and the file does not hold it.
    pub(super) missing_issuer: Option<String>,
    certified: Arc<CertifiedKey>,
}

impl LoadedCertificate {
    /// Reads a certificate and its key. It does not check the dates.
    pub(super) fn load(certificate: &ClientCertificate) -> Result<Self, CertificateError> {
        let (certificates, mut key, key_path) = match certificate {
            ClientCertificate::Pem { certificate, key } => {
                // The key is read last, so that no error can end the function before the key is wiped.
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
        // Not every file begins with the certificate of the key.
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
            missing_issuer: (certified.cert.len() == 1 && leaf.issuer() != leaf.subject())
                .then(|| issuer_name(&leaf)),
            certified: Arc::new(certified),
        })
    }

    /// Fails if the certificate is not valid at `now`.
    pub(super) fn check_validity(&self, now: Timestamp) -> Result<(), CertificateError> {
        let problem = if now >= self.ends {
            CertificateProblem::Expired { since: self.ends }
        } else if now < self.begins {
            CertificateProblem::NotYetValid { from: self.begins }
        } else {
            return Ok(());
        };
        Err(CertificateError::new(&self.path, problem))
    }

    /// Returns the resolver that makes rustls send this certificate to every server that asks for one.
    pub(super) fn resolver(&self) -> Arc<dyn ResolvesClientCert> {
        Arc::new(SingleCertAndKey::from(Arc::clone(&self.certified)))
    }
}

/// Reads the certificates of a PEM file. Fails if there is none.
pub(super) fn read_authorities(
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, CertificateProblem> {
    let bytes = read_file(path, false)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem(&bytes)?).collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => Err(CertificateProblem::NoCertificate),
        Ok(certificates) => Ok(certificates),
        Err(_) => Err(CertificateProblem::Malformed),
    }
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, CertificateProblem> {
    let bytes = read_file(path, true)?;
    let contains = |words: &str| {
        bytes
            .windows(words.len())
            .any(|part| part == words.as_bytes())
    };
    // The older form of an encrypted key has the usual first line, and says that it is encrypted in a header.
    if contains("ENCRYPTED PRIVATE KEY-----") || contains("Proc-Type: 4,ENCRYPTED") {
        return Err(CertificateProblem::EncryptedKey);
    }
    PrivateKeyDer::from_pem_slice(pem(&bytes)?).map_err(|_| CertificateProblem::NoKey)
}

/// Returns the text of a PEM file without a byte order mark, which would hide the first line.
fn pem(bytes: &[u8]) -> Result<&[u8], CertificateProblem> {
    match is_utf16(bytes) {
        true => Err(CertificateProblem::Utf16),
        false => Ok(bytes.strip_prefix(UTF8_MARK).unwrap_or(bytes)),
    }
}

fn read_pkcs12(
    path: &Path,
    password: &str,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), CertificateProblem> {
    use p12_keystore::error::Error;
    let bytes = read_file(path, true)?;
    let archive = match Pkcs12Archive::from_pkcs12(&bytes, password) {
        Ok(archive) => archive,
        Err(Error::MacError(_) | Error::Pkcs5Error(_) | Error::UnpadError) => {
            return Err(CertificateProblem::WrongPassword);
        }
        Err(Error::UnsupportedEncryptionScheme | Error::UnsupportedMacAlgorithm) => {
            return Err(CertificateProblem::UnsupportedEncryption);
        }
        // The library reads DER only. Some programs, such as BouncyCastle and NSS, write BER.
        Err(_) => return read_ber_pkcs12(&bytes, password),
    };
    let key = archive.keys.first().ok_or(CertificateProblem::NoKey)?;
    let certificates: Vec<_> = archive
        .certs
        .iter()
        .map(|bag| CertificateDer::from(bag.cert.as_der().to_vec()))
        .collect();
    match certificates.is_empty() {
        true => Err(CertificateProblem::NoCertificate),
        false => {
            // The caller wipes this copy of the key. The library does not wipe its own.
            let key = PrivatePkcs8KeyDer::from(key.key.as_der().to_vec());
            Ok((certificates, key.into()))
        }
    }
}

/// Reads an archive in BER, with OpenSSL.
fn read_ber_pkcs12(
    bytes: &[u8],
    password: &str,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), CertificateProblem> {
    let archive = Pkcs12::from_der(bytes).map_err(|_| CertificateProblem::NotPkcs12)?;
    if password.contains('\0') {
        return Err(CertificateProblem::WrongPassword);
    }
    let parsed = archive.parse2(password).map_err(|errors| {
        let is_unsupported = |error: &OpensslError| {
            let reason = error.reason().unwrap_or_default();
            reason.contains("unsupported") || reason.contains("unknown")
        };
        match errors.errors().iter().any(is_unsupported) {
            true => CertificateProblem::UnsupportedEncryption,
            false => CertificateProblem::WrongPassword,
        }
    })?;
    let key = parsed.pkey.ok_or(CertificateProblem::NoKey)?;
    let others = parsed.ca.iter().flatten();
    let mut certificates = Vec::new();
    for certificate in parsed.cert.as_deref().into_iter().chain(others) {
        let der = certificate.to_der();
        certificates.push(CertificateDer::from(
            der.map_err(|_| CertificateProblem::Malformed)?,
        ));
    }
    if certificates.is_empty() {
        return Err(CertificateProblem::NoCertificate);
    }
    // The caller wipes this copy of the key.
    let key = key
        .private_key_to_pkcs8()
        .map_err(|_| CertificateProblem::UnsupportedKey)?;
    Ok((certificates, PrivatePkcs8KeyDer::from(key).into()))
}

/// Reads a file. Its content is wiped from memory when it is dropped.
fn read_file(path: &Path, has_key: bool) -> Result<Zeroizing<Vec<u8>>, CertificateProblem> {
    let file = File::open(path).map_err(CertificateProblem::Unreadable)?;
    let metadata = file.metadata().map_err(CertificateProblem::Unreadable)?;
    if has_key && let Some(mode) = exposed_mode(path, &metadata) {
        return Err(CertificateProblem::Exposed { mode });
    }
    // The buffer has room for the whole file: growing would leave copies of a key in memory.
    let capacity = metadata.len().min(MAX_BYTES) as usize + 1;
    let mut bytes = Zeroizing::new(Vec::with_capacity(capacity));
    file.take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(CertificateProblem::Unreadable)?;
    match bytes.len() as u64 > MAX_BYTES {
        true => Err(CertificateProblem::TooLarge(MAX_BYTES)),
        false => Ok(bytes),
    }
}

/// Returns a certificate followed by those of its issuers, without the root, which the server has. Returns `None` if one
/// of the certificates cannot be parsed.
fn chain(
    certificates: &[CertificateDer<'static>],
    leaf: usize,
) -> Option<Vec<CertificateDer<'static>>> {
    let parsed: Result<Vec<_>, _> = certificates
        .iter()
        .map(|der| parse_x509_certificate(der).map(|(_, certificate)| certificate))
        .collect();
    let parsed = parsed.ok()?;
    let mut indices = vec![leaf];
    let mut last = parsed.get(leaf)?;
    while indices.len() < parsed.len() {
        let issuer = parsed
            .iter()
            .enumerate()
            .find(|(index, issuer)| !indices.contains(index) && has_issued(issuer, last));
        let Some((index, issuer)) = issuer else { break };
        if issuer.subject() == issuer.issuer() {
            break;
        }
        indices.push(index);
        last = issuer;
    }
    indices
        .into_iter()
        .map(|index| certificates.get(index).cloned())
        .collect()
}

/// Returns the name of the authority that issued a certificate: its common name, or else its whole name.
fn issuer_name(certificate: &X509Certificate<'_>) -> String {
    let issuer = certificate.issuer();
    let common = issuer
        .iter_common_name()
        .next()
        .and_then(|name| name.as_str().ok());
    let name = common.map_or_else(|| issuer.to_string(), str::to_owned);
    cprflow_redact::redact(&name, MAX_NAME_CHARS)
}

/// Returns whether one certificate is that of the authority that issued the other. The name alone does not prove it,
/// because authorities get new keys and keep their names.
fn has_issued(issuer: &X509Certificate<'_>, other: &X509Certificate<'_>) -> bool {
    let verify = || other.verify_signature(Some(issuer.public_key()));
    // A signature of an unsupported kind cannot be verified; then the name decides.
    issuer.subject() == other.issuer()
        && !matches!(verify(), Err(X509Error::SignatureVerificationError))
}

/// The characters of an authority's name that a warning shows.
const MAX_NAME_CHARS: usize = 200;

/// The size limit for a file; a bundle of all public authorities has about 250,000 bytes.
const MAX_BYTES: u64 = 4 << 20;
