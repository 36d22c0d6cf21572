//! Which of the configured client certificates is shown, and when somebody must see to the next.

use std::path::PathBuf;

use jiff::Timestamp;

use super::certificate::{CertificateError, Identity};
use super::error::SoapError;
use super::settings::ClientCertificate;

/// Something about a client certificate that somebody must see to before it becomes an error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateWarning {
    /// It ends soon, and none follows.
    #[error(
        "the client certificate {path} expires in {days} days, at {ends}, and none follows it. Order a new one in MitID \
         Erhverv, register it with the IT system, and configure it beside this one",
        path = path.display()
    )]
    Expires {
        /// Its file.
        path: PathBuf,
        /// Whole days that are left.
        days: i64,
        /// Its end.
        ends: Timestamp,
        /// The mark that was passed: 60, 30 or 7 days before the end.
        mark: i64,
    },
    /// The authority's certificate is missing.
    #[error(
        "{path} does not hold the certificate of the authority that issued the client certificate. A server that does not have the issuing authority's by itself will \
         refuse it: add that of `Den Danske Stat OCES udstedende-CA 1`",
        path = path.display()
    )]
    IssuerMissing {
        /// Its file.
        path: PathBuf,
    },
    /// One of two cannot be used, and the other is.
    #[error("one of two client certificates is not used: {0}")]
    NotUsed(String),
}

/// The client certificates that are configured, and the one to show.
#[derive(Debug)]
pub(super) struct Identities {
    pub(super) shown: Identity,
    loaded: Vec<Identity>,
    /// Those that cannot be read.
    failed: Vec<String>,
}

impl Identities {
    /// Reads them and chooses: of those that are valid now, the one that began last. The others may be out of order.
    pub(super) fn load(
        certificates: &[ClientCertificate],
        now: Timestamp,
    ) -> Result<Self, SoapError> {
        let count = SoapError::CertificateCount {
            found: certificates.len(),
        };
        if certificates.len() > MOST {
            return Err(count);
        }
        let mut loaded = Vec::new();
        let mut unreadable = Vec::new();
        let mut out_of_date = None;
        let mut shown: Option<Identity> = None;
        for certificate in certificates {
            match Identity::load(certificate) {
                Ok(identity) => {
                    match identity.check(now) {
                        Err(error) => out_of_date = Some(error),
                        Ok(())
                            if shown
                                .as_ref()
                                .is_some_and(|it| it.begins >= identity.begins) => {}
                        Ok(()) => shown = Some(identity.clone()),
                    }
                    loaded.push(identity);
                }
                Err(error) => unreadable.push(error),
            }
        }
        let failed = unreadable.iter().map(CertificateError::to_string).collect();
        match shown {
            Some(shown) => Ok(Self {
                shown,
                loaded,
                failed,
            }),
            // One that cannot be read is easier to mend than one that is out of date.
            None => Err(match unreadable.into_iter().next().or(out_of_date) {
                Some(error) => error.into(),
                None => count,
            }),
        }
    }

    /// What somebody must see to.
    pub(super) fn warnings(&self, now: Timestamp) -> Vec<CertificateWarning> {
        let mut warnings = Vec::new();
        let failed = self.failed.iter().cloned();
        warnings.extend(failed.map(CertificateWarning::NotUsed));
        let alone = self.loaded.iter().filter(|identity| !identity.has_issuer);
        warnings.extend(alone.map(|identity| CertificateWarning::IssuerMissing {
            path: identity.path.clone(),
        }));
        warnings.extend(self.end(now));
        warnings
    }

    /// Whether the time in which there is a valid certificate ends soon.
    fn end(&self, now: Timestamp) -> Option<CertificateWarning> {
        let mut last = &self.shown;
        // A successor counts if it begins before this one ends.
        while let Some(next) = self
            .loaded
            .iter()
            .find(|next| next.ends > last.ends && next.begins <= last.ends)
        {
            last = next;
        }
        let days = last.ends.duration_since(now).as_hours() / 24;
        let mark = MARKS.into_iter().find(|mark| days < *mark)?;
        Some(CertificateWarning::Expires {
            path: last.path.clone(),
            days,
            ends: last.ends,
            mark,
        })
    }
}

/// One, and the one that follows.
const MOST: usize = 2;

/// Days before the end.
const MARKS: [i64; 3] = [7, 30, 60];
