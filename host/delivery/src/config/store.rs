//! The dataset, with its state directory and its agreements.

use std::path::{Path, PathBuf};

use sha2::Digest;

use super::directories;
use super::error::ConfigurationError;
use super::publish::{Publish, Retention};
use crate::agreement::Agreement;
use crate::error::Error;
use crate::ledger::{Ledger, LedgerError, Record};
use crate::names::AgreementName;
use crate::tenant::Tenant;
use cprflow_transport::Inbox;

/// One dataset, its state directory, and the agreements that are published in it.
#[derive(Debug, Clone)]
pub struct Store {
    /// The directory in which deliveries are published.
    pub dataset: PathBuf,
    /// The directory of the ledger and the spool.
    pub state: PathBuf,
    /// Days after which files in the spool are removed.
    pub max_age_days: u32,
    /// The agreements that are published in this dataset.
    pub agreements: Vec<Agreement>,
    /// The agreements of the configuration that are not part of the run. They may share an inbox with one of `agreements`.
    pub others: Vec<Agreement>,
    /// The tenants that may see data of one of `agreements`.
    pub tenants: Vec<Tenant>,
    /// Agreements that have ended. Their deliveries stay in the dataset.
    pub ended: Vec<AgreementName>,
    /// What a run publishes.
    pub publish: Publish,
    /// How long cprflow keeps what it published.
    pub retention: Retention,
    /// The number of threads that read an extract; 0 for one for each core.
    pub threads: usize,
    /// Whether a person has said that the clock is right, though it is far ahead or behind.
    pub accept_clock: bool,
}

impl Store {
    /// Returns the directory for extracts that are being processed.
    pub fn spool(&self) -> PathBuf {
        self.state.join("spool")
    }

    /// Returns the tenants that may see data of an agreement.
    pub fn tenants_of(&self, agreement: &str) -> impl Iterator<Item = &Tenant> {
        let all = self.tenants.iter();
        all.filter(move |tenant| tenant.sees(agreement))
    }

    /// Returns all agreements of the configuration, also those that are not part of the run.
    pub(crate) fn of_dataset(&self) -> impl Iterator<Item = &Agreement> {
        self.agreements.iter().chain(&self.others)
    }

    /// Returns whether the configuration has an agreement of this name.
    pub(crate) fn has(&self, agreement: &AgreementName) -> bool {
        self.of_dataset().any(|one| one.name == *agreement)
    }

    /// Fails if an agreement has neither an unrestricted purpose nor a tenant, or if it orders church membership and
    /// publishes all data without a purpose for it.
    pub(crate) fn check_purposes(&self) -> Result<(), ConfigurationError> {
        let lacks_purpose = |agreement: &&Agreement| {
            let mut tenants = self.tenants_of(agreement.name.as_str());
            agreement.unrestricted.is_none() && tenants.next().is_none()
        };
        if let Some(agreement) = self.agreements.iter().find(lacks_purpose) {
            return Err(ConfigurationError::NoPurpose {
                agreement: agreement.name.clone(),
            });
        }
        let mut all = self.agreements.iter();
        match all.find(|agreement| agreement.lacks_church_purpose() && agreement.orders_church()) {
            None => Ok(()),
            Some(agreement) => Err(ConfigurationError::NoChurchPurpose {
                agreement: agreement.name.clone(),
            }),
        }
    }

    /// Returns an agreement that has published deliveries in the ledger and is unknown to the configuration.
    ///
    /// Its persons would stay in the dataset for ever, because no delivery changes them any more.
    pub fn unknown_agreement(&self, ledger: &Ledger) -> Result<Option<String>, LedgerError> {
        let configured = self.agreements.iter().chain(&self.others);
        let known: Vec<_> = configured
            .map(|agreement| &agreement.name)
            .chain(&self.ended)
            .collect();
        let is_unknown =
            |record: &Record| !known.iter().any(|name| name.as_str() == record.agreement);
        let mut records = ledger.all()?.into_iter();
        let unknown = records.find(|record| record.state.is_published() && is_unknown(record));
        Ok(unknown.map(|record| record.agreement))
    }

    /// Returns the agreements of this store whose deliveries arrive in an inbox.
    pub fn own(&self, inbox: &Inbox) -> Vec<&Agreement> {
        let own = self.agreements.iter();
        own.filter(|agreement| agreement.inbox == *inbox).collect()
    }

    /// Returns the agreements of the configuration whose deliveries arrive in an inbox.
    pub fn sharing(&self, inbox: &Inbox) -> Vec<&Agreement> {
        let all = self.agreements.iter().chain(&self.others);
        all.filter(|agreement| agreement.inbox == *inbox).collect()
    }
}

/// Returns the dataset with its agreements, and checks that its directories and those of the tenants are separate.
///
/// Without a `state` directory, the state is below the user's default state directory.
pub(super) fn group(
    dataset: &Path,
    agreements: Vec<Agreement>,
    tenants: &[Tenant],
    state: Option<&Path>,
    max_age_days: u32,
) -> Result<Vec<Store>, Error> {
    let dataset = absolute(dataset)?;
    let default = match state {
        Some(state) => state.to_owned(),
        None => default_state_directory()?,
    };
    let stores = vec![Store {
        state: match state {
            Some(state) => state.to_owned(),
            None => default.join(state_name(&dataset)),
        },
        dataset,
        max_age_days,
        agreements,
        others: Vec::new(),
        tenants: tenants.to_vec(),
        ended: Vec::new(),
        publish: Publish::default(),
        retention: Retention::default(),
        threads: 0,
        accept_clock: false,
    }];
    directories::check(&stores, &default)?;
    Ok(stores)
}

/// Returns the name of the state directory of a dataset: the dataset's own name, for people, and 8 digits of the SHA-256
/// of its path, because datasets of several configurations may have the same name.
pub(super) fn state_name(dataset: &Path) -> String {
    let name = dataset.file_name().unwrap_or_default().to_string_lossy();
    let digest = sha2::Sha256::digest(dataset.as_os_str().as_encoded_bytes());
    let digest = base16ct::lower::encode_string(&digest);
    format!("{name}-{}", digest.get(..8).unwrap_or_default())
}

/// Returns the user's state directory of cprflow: `$XDG_STATE_HOME/cprflow` or `~/.local/state/cprflow`.
fn default_state_directory() -> Result<PathBuf, ConfigurationError> {
    let absolute = |variable: &str| {
        std::env::var_os(variable)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let state = absolute("XDG_STATE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local").join("state")));
    let state = state.ok_or(ConfigurationError::NoStateDirectory)?;
    Ok(state.join("cprflow"))
}

fn absolute(path: &Path) -> Result<PathBuf, Error> {
    std::path::absolute(path).map_err(Error::file(path))
}
