//! Client certificates that the stand-in has not issued, such as a vendor's own.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, SignatureScheme};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::Error;
use crate::certificates::fingerprint;

/// A client certificate of another authority, which the service accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignClient {
    /// The file with the certificate in PEM. The stand-in does not need its private key.
    pub file: PathBuf,
    /// The CVR number of the caller, eight digits. `None` for the CVR number in the certificate.
    pub cvr: Option<String>,
}

/// A certificate that was read from a file.
#[derive(Debug)]
pub(crate) struct ForeignCertificate {
    pub(crate) fingerprint: [u8; 32],
    pub(crate) cvr: String,
}

impl ForeignClient {
    /// Reads the first certificate of the file. Fails if there is none, or if the CVR number is not known.
    pub(crate) fn read(&self) -> Result<ForeignCertificate, Error> {
        let path = &self.file;
        let unusable = |reason: &str| Error::ClientCertificate {
            path: path.clone(),
            reason: reason.to_owned(),
        };
        let text = fs::read(path).map_err(Error::file(path))?;
        let not_pem = "it has no certificate in PEM format. Convert a DER file with \
                       \"openssl x509 -inform der -in FILE\", and a PKCS#12 file with \
                       \"openssl pkcs12 -nokeys -clcerts -in FILE\".";
        let certificate = CertificateDer::from_pem_slice(&text).map_err(|_| unusable(not_pem))?;
        let (_, parsed) = X509Certificate::from_der(&certificate)
            .map_err(|_| unusable("its certificate cannot be read."))?;
        let cvr = self.cvr.clone().or_else(|| cvr_of(&parsed));
        let no_cvr = "its certificate has no CVR number. Add the number: FILE=12345678";
        Ok(ForeignCertificate {
            fingerprint: fingerprint(&certificate),
            cvr: cvr.ok_or_else(|| unusable(no_cvr))?,
        })
    }
}

/// Reads `FILE` or `FILE=CVR`.
impl FromStr for ForeignClient {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (file, cvr) = match text.rsplit_once('=') {
            Some((file, cvr)) => (file, Some(cvr.to_owned())),
            None => (text, None),
        };
        match cvr.as_deref().is_none_or(is_cvr) {
            true => Ok(Self {
                file: file.into(),
                cvr,
            }),
            false => Err("a CVR number has eight digits, such as own.pem=12345678"),
        }
    }
}

/// Returns the CVR number in the subject of an OCES certificate: `organizationIdentifier` is `NTRDK-12345678` in OCES3,
/// `serialNumber` is `CVR:12345678-…` in OCES2.
fn cvr_of(certificate: &X509Certificate<'_>) -> Option<String> {
    let mut attributes = certificate.subject().iter_attributes();
    attributes.find_map(|attribute| {
        let value = attribute.as_str().ok()?;
        let prefix = match attribute.attr_type().to_id_string().as_str() {
            "2.5.4.97" => "NTRDK-",
            "2.5.4.5" => "CVR:",
            _ => return None,
        };
        let digits = value.strip_prefix(prefix)?.get(..8)?;
        is_cvr(digits).then(|| digits.to_owned())
    })
}

/// Whether a text is a CVR number: eight digits.
fn is_cvr(text: &str) -> bool {
    text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A client verifier that also accepts certain certificates of any issuer, while they are valid.
#[derive(Debug)]
pub(crate) struct AcceptForeign {
    pub(crate) verifier: Arc<dyn ClientCertVerifier>,
    pub(crate) accepted: BTreeSet<[u8; 32]>,
}

impl ClientCertVerifier for AcceptForeign {
    /// Returns no authorities, because some clients send no certificate if its issuer is not among them.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        if !self.accepted.contains(&fingerprint(leaf)) {
            return self.verifier.verify_client_cert(leaf, others, now);
        }
        let (_, parsed) =
            X509Certificate::from_der(leaf).map_err(|_| CertificateError::BadEncoding)?;
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        let validity = parsed.validity();
        if now < validity.not_before.timestamp() {
            return Err(CertificateError::NotValidYet.into());
        }
        match now > validity.not_after.timestamp() {
            true => Err(CertificateError::Expired.into()),
            false => Ok(ClientCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}
