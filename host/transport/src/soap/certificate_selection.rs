//! Selects the client certificate to use, and warns before the last one expires.

use std::path::PathBuf;

use jiff::Timestamp;

use super::certificate::{CertificateError, LoadedCertificate};
use super::error::SoapError;
use super::settings::ClientCertificate;

/// A problem with a client certificate that should be solved before it becomes an error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateWarning {
    /// The last client certificate expires soon.
    #[error(
        "the client certificate {path} expires in {days} days, at {ends}, and no later one is configured. Order a new one \
         in MitID Erhverv, register it with the IT system, and configure it beside this one",
        path = path.display()
    )]
    Expires {
        /// The certificate's file.
        path: PathBuf,
        /// The whole days that are left.
        days: i64,
        /// The end of the certificate's validity.
        ends: Timestamp,
        /// The warning threshold that was passed: 60, 30 or 7 days before the end.
        mark: i64,
    },
    /// The certificate file does not hold the issuing authority's certificate.
    #[error(
        "{path} does not hold the certificate of the authority that issued the client certificate: {issuer}. A server that \
         does not know this authority will refuse the client certificate. Add the authority's certificate to the file",
        path = path.display()
    )]
    IssuerMissing {
        /// The certificate's file.
        path: PathBuf,
        /// The authority's name in the certificate.
        issuer: String,
    },
    /// One of two client certificates cannot be used; the other one is used. The value is the error of the first.
    #[error("one of the two client certificates is not used: {0}")]
    NotUsed(String),
}

/// The configured client certificates, and the one that is used.
#[derive(Debug)]
pub(super) struct CertificateSelection {
    pub(super) selected: LoadedCertificate,
    loaded: Vec<LoadedCertificate>,
    /// The errors of the certificates that cannot be read.
    failed: Vec<String>,
}

impl CertificateSelection {
    /// Reads all certificates, and selects the one whose validity began last among those that are valid now.
    ///
    /// Fails only if there is no such certificate, or if too many are configured.
    pub(super) fn load(
        certificates: &[ClientCertificate],
        now: Timestamp,
    ) -> Result<Self, SoapError> {
        let wrong_count = SoapError::CertificateCount {
            found: certificates.len(),
        };
        if certificates.len() > MAX_CERTIFICATES {
            return Err(wrong_count);
        }
        let mut loaded = Vec::new();
        let mut unreadable = Vec::new();
        let mut out_of_date = None;
        let mut selected: Option<LoadedCertificate> = None;
        for certificate in certificates {
            match LoadedCertificate::load(certificate) {
                Ok(candidate) => {
                    match candidate.check_validity(now) {
                        Err(error) => out_of_date = Some(error),
                        Ok(())
                            if selected
                                .as_ref()
                                .is_some_and(|selected| selected.begins >= candidate.begins) => {}
                        Ok(()) => selected = Some(candidate.clone()),
                    }
                    loaded.push(candidate);
                }
                Err(error) => unreadable.push(error),
            }
        }
        let failed = unreadable.iter().map(CertificateError::to_string).collect();
        match selected {
            Some(selected) => Ok(Self {
                selected,
                loaded,
                failed,
            }),
            // An unreadable file comes first, because it is easier to repair than an expired certificate.
            None => Err(match unreadable.into_iter().next().or(out_of_date) {
                Some(error) => error.into(),
                None => wrong_count,
            }),
        }
    }

    /// Returns the problems that should be solved before they become errors.
    pub(super) fn warnings(&self, now: Timestamp) -> Vec<CertificateWarning> {
        let mut warnings = Vec::new();
        let failed = self.failed.iter().cloned();
        warnings.extend(failed.map(CertificateWarning::NotUsed));
        for certificate in &self.loaded {
            let Some(issuer) = &certificate.missing_issuer else {
                continue;
            };
            let warning = CertificateWarning::IssuerMissing {
                path: certificate.path.clone(),
                issuer: issuer.clone(),
            };
            // Two certificates can be in one file.
            if !warnings.contains(&warning) {
                warnings.push(warning);
            }
        }
        warnings.extend(self.expiry_warning(now));
        warnings
    }

    /// Returns a warning if the time in which one of the certificates is valid ends soon.
    fn expiry_warning(&self, now: Timestamp) -> Option<CertificateWarning> {
        let mut last = &self.selected;
        // A later certificate counts only if its validity begins before the previous one ends.
        while let Some(next) = self
            .loaded
            .iter()
            .find(|next| next.ends > last.ends && next.begins <= last.ends)
        {
            last = next;
        }
        let days = last.ends.duration_since(now).as_hours() / 24;
        let mark = WARNING_DAYS.into_iter().find(|mark| days < *mark)?;
        Some(CertificateWarning::Expires {
            path: last.path.clone(),
            days,
            ends: last.ends,
            mark,
        })
    }
}

/// The current certificate and the one that replaces it.
const MAX_CERTIFICATES: usize = 2;

/// The days before the end of the last certificate at which the warning changes.
const WARNING_DAYS: [i64; 3] = [7, 30, 60];
