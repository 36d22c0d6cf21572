//! Stores: one dataset each, with its state directory and its agreements.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sha2::Digest;

use super::error::ConfigurationError;
use super::publish::{Publish, Retention};
use super::{directories, state};
use crate::agreement::Agreement;
use crate::error::Error;
use crate::ledger::{Ledger, LedgerError, Record};
use crate::names::{AgreementName, TenantName};
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
    /// All other agreements of the configuration. They may share an inbox with one of `agreements`.
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
    /// The state directory that has the extracts of each agreement of the configuration. A tenant may see agreements of
    /// several stores.
    pub(crate) registers: BTreeMap<AgreementName, PathBuf>,
    /// The directory of the dataset of each tenant of the configuration, also of those that see no agreement of this store.
    pub(crate) tenant_datasets: BTreeMap<TenantName, PathBuf>,
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

    /// Returns all agreements that are published in this dataset, also those that are not part of the run.
    pub(crate) fn of_dataset(&self) -> impl Iterator<Item = &Agreement> {
        let is_own = |agreement: &&Agreement| {
            absolute(&agreement.dataset).is_ok_and(|dataset| dataset == self.dataset)
        };
        self.agreements
            .iter()
            .chain(self.others.iter().filter(is_own))
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

    /// Returns the agreements of all stores whose deliveries arrive in an inbox.
    pub fn sharing(&self, inbox: &Inbox) -> Vec<&Agreement> {
        let all = self.agreements.iter().chain(&self.others);
        all.filter(|agreement| agreement.inbox == *inbox).collect()
    }
}

/// Groups agreements by dataset, and checks that the directories of the stores and tenants are separate.
///
/// Without a `state` directory, each store has its state below the user's default state directory.
pub(super) fn group(
    agreements: &[Agreement],
    tenants: &[Tenant],
    state: Option<&Path>,
    max_age_days: u32,
) -> Result<Vec<Store>, Error> {
    let mut datasets = Vec::new();
    for agreement in agreements {
        let dataset = absolute(&agreement.dataset)?;
        if !datasets.contains(&dataset) {
            datasets.push(dataset);
        }
    }
    let default = match state {
        Some(state) => state.to_owned(),
        None => default_state_directory()?,
    };
    let mut stores = Vec::new();
    for dataset in datasets {
        let is_own =
            |agreement: &Agreement| absolute(&agreement.dataset).is_ok_and(|own| own == dataset);
        let (own, others): (Vec<_>, _) = agreements.iter().cloned().partition(is_own);
        let sees_own = |tenant: &&Tenant| own.iter().any(|one| tenant.sees(one.name.as_str()));
        stores.push(Store {
            tenants: tenants.iter().filter(sees_own).cloned().collect(),
            // Replaced below if the directory is configured.
            state: default.join(state_name(&dataset)),
            dataset,
            max_age_days,
            agreements: own,
            others,
            ended: Vec::new(),
            publish: Publish::default(),
            retention: Retention::default(),
            threads: 0,
            registers: BTreeMap::new(),
            tenant_datasets: tenants
                .iter()
                .map(|tenant| (tenant.name.clone(), tenant.dataset.clone()))
                .collect(),
            accept_clock: false,
        });
    }
    if let Some(directory) = state {
        state::place(&mut stores, directory)?;
    }
    name_registers(&mut stores);
    directories::check(&stores, &default)?;
    Ok(stores)
}

/// Tells each store where the extracts of all agreements are kept.
pub(super) fn name_registers(stores: &mut [Store]) {
    let mut registers = BTreeMap::new();
    for store in stores.iter() {
        let names = store.agreements.iter().map(|one| one.name.clone());
        registers.extend(names.map(|name| (name, store.state.clone())));
    }
    for store in stores {
        store.registers.clone_from(&registers);
    }
}

/// Returns the name of the state directory of a dataset: the dataset's own name, for people, and 8 digits of the SHA-256
/// of its path, because several datasets may have the same name.
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
