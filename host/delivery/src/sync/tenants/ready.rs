//! A tenant whose files are read and whose dataset is open.

use std::path::Path;
use std::sync::OnceLock;

use super::error::TenantPublishError;
use crate::current::CurrentError;
use crate::dataset::{Dataset, DatasetError, ForeignData};
use crate::error::Error;
use crate::fs::StateLock;
use crate::keyed_hash::ListKey;
use crate::ledger::Ledger;
use crate::tenant::rosters::Rosters;
use crate::tenant::{Tenant, foreign, policy_digest};
use cprflow::{Connector, Policy, PseudonymKey, Scan};

/// A tenant that can receive deliveries: its files are read, and the component accepts its policy.
pub(super) struct ReadyTenant {
    pub(super) tenant: Tenant,
    pub(super) policy: Policy,
    /// The digest of the policy, for manifests. Empty before [`open`](Self::open).
    pub(super) policy_digest: String,
    key: Option<PseudonymKey>,
    /// The digest of the key.
    pub(super) key_digest: Option<String>,
    /// Whether a change of the policy may take effect, once that is known.
    pub(super) policy_change: OnceLock<Result<(), CurrentError>>,
    /// Set once this run has made the current tables, or has found that they are up to date.
    pub(super) is_current_good: OnceLock<()>,
    pub(super) dataset: Dataset,
    /// The unrestricted data in the dataset that must be replaced. Empty before [`open`](Self::open).
    pub(super) foreign: Vec<ForeignData>,
    _lock: Option<StateLock>,
}

impl ReadyTenant {
    /// Reads the tenant's files and checks its policy. Fails if something is wrong with them.
    pub(super) fn new(connector: &Connector, tenant: &Tenant) -> Result<Self, Error> {
        let key = tenant.pseudonym_key()?;
        Ok(Self {
            key,
            ..Self::without_key(connector, tenant)?
        })
    }

    /// Does the same without the key for pseudonyms, which may be gone.
    pub(super) fn without_key(connector: &Connector, tenant: &Tenant) -> Result<Self, Error> {
        let policy = tenant.policy()?;
        connector.view(&policy)?;
        let dataset = Dataset::at(&tenant.dataset).ok_or_else(|| DatasetError::InvalidPath {
            path: tenant.dataset.clone(),
        })?;
        Ok(Self {
            tenant: tenant.clone(),
            policy_digest: String::new(),
            policy,
            key: None,
            // A key that is gone fails where the key is needed.
            key_digest: tenant.key_digest().ok().flatten(),
            policy_change: OnceLock::new(),
            is_current_good: OnceLock::new(),
            dataset,
            foreign: Vec::new(),
            _lock: None,
        })
    }

    /// Returns a tenant whose policy cannot be used, with its dataset locked. Its policy shows nothing; it is only good for
    /// withdrawing deliveries.
    pub(super) fn without_policy(tenant: &Tenant) -> Result<Self, Error> {
        let dataset = Dataset::at(&tenant.dataset).ok_or_else(|| DatasetError::InvalidPath {
            path: tenant.dataset.clone(),
        })?;
        let name = tenant.name.as_str();
        if let Some(other) = Dataset::foreign_data(dataset.root(), Some(name))?.first() {
            return Err(foreign::refusal(other, name).into());
        }
        Ok(Self {
            tenant: tenant.clone(),
            policy: Policy::default(),
            policy_digest: String::new(),
            key: None,
            key_digest: None,
            policy_change: OnceLock::new(),
            is_current_good: OnceLock::new(),
            _lock: dataset.lock()?,
            dataset,
            foreign: Vec::new(),
        })
    }

    /// Opens the tenant's dataset and locks it for this process. Creates the dataset if it is missing.
    ///
    /// Fails if the dataset has data that was not made for the tenant, and changes nothing then. Data that a run can replace is
    /// in `foreign`.
    pub(super) fn open(self, state: &Path) -> Result<Self, Error> {
        let has_list = self.policy.persons.numbers.is_some();
        let key = has_list.then(|| ListKey::open(state)).transpose()?;
        let dataset = Dataset::open(&self.tenant.dataset)?;
        let lock = dataset.lock()?;
        let name = self.tenant.name.as_str();
        let foreign = Dataset::foreign_data(dataset.root(), Some(name))?;
        if !foreign.is_empty() {
            let ledger = Ledger::open_to_read(state)?;
            foreign::check(&foreign, ledger.as_ref(), state, name)?;
        }
        let dataset = dataset.for_group(self.tenant.group()?)?;
        Ok(Self {
            policy_digest: policy_digest(&self.policy, key.as_ref()).unwrap_or_default(),
            _lock: lock,
            dataset,
            foreign,
            ..self
        })
    }

    /// Returns the key for pseudonyms.
    pub(super) fn key(&self) -> Option<&PseudonymKey> {
        self.key.as_ref()
    }

    /// Returns the scan of what the tenant may see. `roster` lists the persons in scope after the delivery before.
    /// `as_of` is the day that a person gave for an extract without a usable production date.
    pub(super) fn scan(
        &self,
        connector: &Connector,
        roster: Option<Vec<u8>>,
        as_of: Option<&str>,
    ) -> Scan {
        self.scan_under(connector, &self.policy, roster, as_of)
    }

    /// Returns the scan of what the tenant may see under another policy.
    pub(super) fn scan_under(
        &self,
        connector: &Connector,
        policy: &Policy,
        roster: Option<Vec<u8>>,
        as_of: Option<&str>,
    ) -> Scan {
        let policy = Policy {
            as_of: as_of.map(str::to_owned),
            ..policy.clone()
        };
        let mut scan = Scan::new(connector)
            .limits(self.tenant.limits.sandbox())
            .policy(&policy);
        if let Some(roster) = roster {
            scan = scan.roster(roster);
        }
        if let Some(key) = &self.key {
            scan = scan.pseudonym_key(key.clone());
        }
        scan
    }
}

/// Reads the roster that the tenant's newest delivery of an agreement left; `None` if the tenant has no delivery.
///
/// `newest` is the sequence number of that delivery. Fails if its roster is missing while the tenant's dataset still has
/// deliveries: persons who left the scope could not be reported.
pub(super) fn previous_roster(
    state: &Path,
    tenant: &Tenant,
    agreement: &str,
    newest: Option<u64>,
) -> Result<Option<Vec<u8>>, Error> {
    let Some(number) = newest else {
        return Ok(None);
    };
    let rosters = Rosters::new(state, tenant.name.as_str(), agreement);
    if let Some(roster) = rosters.read(number)? {
        return Ok(Some(roster));
    }
    if !Dataset::has_deliveries(&tenant.dataset, agreement)? {
        // The deliveries were moved away with all their persons, so that there is no leaver to report.
        return Ok(None);
    }
    Err(TenantPublishError::RosterGone {
        path: rosters.path(number),
        agreement: agreement.to_owned(),
        tenant: tenant.name.to_string(),
        dataset: tenant.dataset.clone(),
    }
    .into())
}
