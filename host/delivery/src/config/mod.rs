//! The configuration: agreements, datasets and tenants, from a TOML file or from the command line.
//!
//! | module | contents |
//! |---|---|
//! | `file` | the top of the TOML file |
//! | `agreement`, `service` | `[agreement.NAME]`, and its tables `service` and `subscription` |
//! | `tenant` | `[tenant.NAME]` |
//! | `table_reader` | reads a table key by key |
//! | `publish` | what is published, and how long it is kept |
//! | `store`, `directories` | the dataset with its state directory, and checks that directories are separate |
//! | `template` | the commented file that `cprflow init` writes |
//! | `error` | [`ConfigurationError`] |

mod accepted;
mod agreement;
mod directories;
mod error;
mod file;
mod publish;
mod service;
mod store;
mod table_reader;
mod template;
mod tenant;

use std::path::{Path, PathBuf};
use std::time::Duration;

use cprflow_redact::{holds_person_number, redact};

use crate::agreement::{Agreement, DeliveryPattern};
use crate::error::Error;
use crate::names::AgreementName;
use crate::routing::Routing;
use crate::tenant::Tenant;
use cprflow_transport::{Fingerprint, Inbox, InboxError, SftpSettings};

pub use accepted::{ACCEPTABLE, ACCEPTABLE_ONCE};
pub(crate) use accepted::{FUTURE_DATE, SAME_CONTENT};
pub use error::{ConfigurationError, KeyPath, KeyProblem, PurposeError};
pub use publish::{Period, Publish, Retention};
pub use store::Store;
pub use template::template;
pub use tenant::RecordTypeUse;

/// The settings of a run.
#[derive(Debug, Clone)]
pub struct Configuration {
    /// The dataset, with the agreements that are published in it.
    pub stores: Vec<Store>,
    /// The time between two checks of the inboxes with `--watch`. Default: 6 hours.
    pub interval: Duration,
    /// Days after which the platform deletes files that were not downloaded. Its documents say 30 and 40. Default: 30.
    pub retention_days: u32,
    /// CPR's working days without a delivery after which an alarm is raised. Default: 5.
    pub silent_working_days: u32,
}

/// The settings of a run without a configuration file, from the command line.
#[derive(Debug, Clone)]
pub struct QuickConfiguration {
    /// The inbox of the deliveries.
    pub inbox: Inbox,
    /// The login to an SFTP inbox.
    pub sftp: SftpSettings,
    /// The directory in which deliveries are published.
    pub dataset: PathBuf,
}

/// The purpose for which all data of all persons may be published, from the command line.
#[derive(Debug, Clone, Copy)]
pub struct UnrestrictedPurpose<'a> {
    /// What the data is used for.
    pub purpose: &'a str,
    /// The legal basis (hjemmel) of that use.
    pub legal_basis: Option<&'a str>,
    /// What church membership is used for.
    pub church_purpose: Option<&'a str>,
}

/// Default of `max_age_days`. It gives a person time to decide, and is longer than the platform keeps its own copy.
pub const DEFAULT_MAX_AGE_DAYS: u32 = 90;

/// The longest name of a tenant that an error repeats, in characters.
const MAX_NAME_CHARS: usize = 100;

const DEFAULT_INTERVAL: Duration = Duration::from_secs(6 * 60 * 60);
const DEFAULT_RETENTION_DAYS: u32 = 30;
const DEFAULT_SILENT_WORKING_DAYS: u32 = 5;

impl Configuration {
    /// Reads a TOML file. Relative paths in it start at its directory.
    ///
    /// Passphrases of private keys are read too. Other secrets and lists are read when they are needed.
    pub fn from_file(path: &Path) -> Result<Self, Error> {
        let bytes = std::fs::read(path).map_err(Error::file(path))?;
        // Empty for `cprflow.toml`: its paths then stay as they are written, in errors and in the ledger.
        let directory = path.parent().unwrap_or(Path::new(""));
        let text = file::text(&bytes).map_err(Error::from);
        text.and_then(|text| file::read(text, directory))
            .map_err(|error| match error {
                Error::Configuration(error) => ConfigurationError::InFile {
                    path: path.to_owned(),
                    error: Box::new(error),
                }
                .into(),
                error => error,
            })
    }

    /// Returns a configuration with one agreement, named `default`.
    pub fn quick(quick: QuickConfiguration) -> Result<Self, Error> {
        let agreement = Agreement {
            name: AgreementName::default_name(),
            controller: None,
            environment: None,
            inbox: quick.inbox,
            sftp: quick.sftp,
            files: DeliveryPattern::default(),
            routing: Routing::default(),
            record_types: None,
            accept: Vec::new(),
            unrestricted: None,
            legal_basis: None,
            church_purpose: None,
            church_legal_basis: None,
            service: None,
            subscription: None,
        };
        Ok(Self {
            stores: store::group(
                &quick.dataset,
                vec![agreement],
                &[],
                None,
                DEFAULT_MAX_AGE_DAYS,
            )?,
            interval: DEFAULT_INTERVAL,
            retention_days: DEFAULT_RETENTION_DAYS,
            silent_working_days: DEFAULT_SILENT_WORKING_DAYS,
        })
    }

    /// Returns all agreements.
    pub fn agreements(&self) -> impl Iterator<Item = &Agreement> {
        self.stores.iter().flat_map(|store| &store.agreements)
    }

    /// Returns all tenants, sorted by name.
    pub fn tenants(&self) -> Vec<&Tenant> {
        let mut all: Vec<_> = self
            .stores
            .iter()
            .flat_map(|store| &store.tenants)
            .collect();
        all.sort_by(|one, other| one.name.cmp(&other.name));
        all
    }

    /// Returns the tenant of a name. Fails with the names of all tenants if there is none.
    pub fn tenant(&self, name: &str) -> Result<&Tenant, Error> {
        let all = self.tenants();
        if let Some(tenant) = all.iter().find(|tenant| tenant.name.as_str() == name) {
            return Ok(tenant);
        }
        let known: Vec<_> = all.iter().map(|tenant| tenant.name.to_string()).collect();
        Err(match known.is_empty() {
            true => ConfigurationError::NoTenant,
            false => ConfigurationError::UnknownTenant {
                name: redact(name, MAX_NAME_CHARS),
                known,
            },
        }
        .into())
    }

    /// Sets the purpose for which all data may be published, for agreements that have none of their own. The legal basis
    /// and the purpose of church membership are for the same agreements.
    pub fn unrestricted(&mut self, wanted: &UnrestrictedPurpose<'_>) -> Result<(), Error> {
        let checked =
            |option: &'static str, text: &str, check: fn(&str) -> Result<(), PurposeError>| {
                check(text)
                    .map(|()| text.trim().to_owned())
                    .map_err(|error| ConfigurationError::UnrestrictedOption { option, error })
            };
        let purpose = checked("--unrestricted PURPOSE", wanted.purpose, check_purpose)?;
        let legal_basis = wanted
            .legal_basis
            .map(|text| checked("--legal-basis TEXT", text, check_legal_basis));
        let legal_basis = legal_basis.transpose()?;
        let church = wanted
            .church_purpose
            .map(|text| checked("--church-purpose PURPOSE", text, check_purpose));
        let church = church.transpose()?;
        let all = self
            .stores
            .iter_mut()
            .flat_map(|store| &mut store.agreements);
        for agreement in all.filter(|agreement| agreement.unrestricted.is_none()) {
            agreement.unrestricted = Some(purpose.clone());
            if legal_basis.is_some() {
                agreement.legal_basis.clone_from(&legal_basis);
            }
            if church.is_some() {
                agreement.church_purpose.clone_from(&church);
            }
        }
        Ok(())
    }

    /// Moves the state to a directory. Fails if the directory is inside another one that is in use, or has one inside.
    pub fn state(&mut self, directory: &Path) -> Result<(), Error> {
        for store in &mut self.stores {
            directory.clone_into(&mut store.state);
        }
        directories::check(&self.stores, directory)
    }

    /// Sets the number of days after which files in the spool are removed.
    pub fn max_age_days(&mut self, days: u32) {
        for store in &mut self.stores {
            store.max_age_days = days;
        }
    }

    /// Takes the clock as right in this run, although it is far ahead of the current tables or behind them.
    pub fn accept_clock(&mut self) {
        for store in &mut self.stores {
            store.accept_clock = true;
        }
    }

    /// Limits the run to one agreement. Returns `false` and changes nothing if there is no agreement of that name.
    pub fn only(&mut self, name: &str) -> bool {
        if !self.agreements().any(|one| one.name.as_str() == name) {
            return false;
        }
        for store in &mut self.stores {
            let (own, others): (Vec<_>, Vec<_>) = store
                .agreements
                .drain(..)
                .partition(|agreement| agreement.name.as_str() == name);
            store.agreements = own;
            store.others.extend(others);
        }
        self.stores.retain(|store| !store.agreements.is_empty());
        true
    }
}

/// Parses an inbox. A relative directory starts at `directory`.
pub fn inbox(text: &str, directory: &Path) -> Result<Inbox, InboxError> {
    Ok(match text.parse()? {
        Inbox::Directory(path) => Inbox::Directory(directory.join(path)),
        remote => remote,
    })
}

/// Returns whether an inbox is on a server, so that a private key is needed.
pub fn is_remote(inbox: &Inbox) -> bool {
    matches!(inbox, Inbox::Sftp(_))
}

/// Returns whether a `known_hosts` file is read.
///
/// A file that does not exist yet has no keys, so it is left out. With fingerprints it is always read, and fails if it
/// does not exist, because it may mark the server's key as revoked.
pub fn is_to_be_read(known_hosts: &Path, host_keys: &[Fingerprint]) -> bool {
    !host_keys.is_empty() || known_hosts.exists()
}

/// Checks the text that says what data is used for.
fn check_purpose(purpose: &str) -> Result<(), PurposeError> {
    match purpose.trim() {
        "" => Err(PurposeError::Empty),
        purpose if holds_person_number(purpose) => Err(PurposeError::HoldsPersonNumber),
        _ => Ok(()),
    }
}

/// Checks the text that names the legal basis (hjemmel) of a purpose.
fn check_legal_basis(text: &str) -> Result<(), PurposeError> {
    check_purpose(text).map_err(|error| match error {
        PurposeError::HoldsPersonNumber => PurposeError::LegalBasisHoldsPersonNumber,
        _ => PurposeError::EmptyLegalBasis,
    })
}
