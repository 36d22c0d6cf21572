//! Tenants: the parties that share deliveries. Each has its own policy, dataset, key and limits.

pub(crate) mod foreign;
pub(crate) mod former;
pub(crate) mod hidden;
pub(crate) mod narrow;
pub(crate) mod policies;
mod policy_digest;
mod pseudonym_keys;
pub(crate) mod rosters;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::ConfigurationError;
use crate::error::Error;
use crate::fs::{Group, SecretSource, private_file};
use crate::names::{AgreementName, TenantName};
use crate::pnr_list::{ListError, read_list};
use cprflow::policy::{NumberRule, Policy};
use cprflow::{Limits, PseudonymKey};
use sha2::Digest;

pub use policy_digest::policy_digest;
pub(crate) use pseudonym_keys::check_key;
pub use pseudonym_keys::{PseudonymKeyError, SharedKey, shared_keys};

/// A party with its own policy and its own dataset.
#[derive(Debug, Clone)]
pub struct Tenant {
    /// The name in the configuration.
    pub name: TenantName,
    /// The agreements whose data the tenant may see.
    pub agreements: BTreeSet<AgreementName>,
    /// What the tenant uses the data for. It is written to every `_delivery.json`.
    pub purpose: String,
    /// The legal basis (hjemmel) of that use. It is written to every `_delivery.json`.
    pub legal_basis: Option<String>,
    /// What the tenant uses church membership for; `None` if it may not see church membership.
    pub church_purpose: Option<String>,
    /// The legal basis (hjemmel) of that use of church membership.
    pub church_legal_basis: Option<String>,
    /// The directory in which the tenant's deliveries are published.
    pub dataset: PathBuf,
    /// The name or number of the group that may read the dataset; `None` if only the owner may.
    pub group: Option<String>,
    /// The place of the key for pseudonyms.
    pub key: Option<SecretSource>,
    /// The policy without the list of person numbers. [`policy`](Self::policy) returns it with the list.
    pub(crate) rules: Policy,
    /// The file with the person numbers that the tenant may see; `None` if all numbers are permitted.
    pub numbers: Option<PathBuf>,
    /// The limits of the tenant's scans.
    pub limits: TenantLimits,
}

/// The limits of a tenant's scans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TenantLimits {
    /// The memory of the component, in bytes. Default: 256 MiB.
    pub memory: usize,
    /// The time to publish one delivery, reading and writing included. Default: 2 hours.
    pub total: Duration,
    /// The size of all batches of one delivery in memory, in bytes. Default: 1 TiB.
    pub output: u64,
    /// The number of rows of all tables of one delivery. Default: 2³².
    pub rows: u64,
}

impl Default for TenantLimits {
    /// Returns limits that are high enough for an initial load of all of Denmark.
    fn default() -> Self {
        Self {
            memory: 256 << 20,
            total: Duration::from_secs(2 * 60 * 60),
            output: 1 << 40,
            rows: 1 << 32,
        }
    }
}

impl TenantLimits {
    /// Returns the limits of the sandbox for one scan of the tenant.
    pub fn sandbox(&self) -> Limits {
        Limits::new()
            .memory(self.memory)
            .total(self.total)
            .output_bytes(self.output)
            .output_rows(self.rows)
    }
}

impl Tenant {
    /// Returns whether the tenant may see data of an agreement.
    pub fn sees(&self, agreement: &str) -> bool {
        self.agreements.iter().any(|own| own.as_str() == agreement)
    }

    /// Reads the list of person numbers, if there is one, and returns the policy with it.
    pub fn policy(&self) -> Result<Policy, Error> {
        let mut policy = self.rules.clone();
        if let Some(path) = &self.numbers {
            let file = private_file(path, "person numbers")?;
            let path = path.clone();
            let numbers = read_list(file).map_err(|error| match error {
                ListError::Empty => ConfigurationError::EmptyPnrList { path },
                error => ConfigurationError::PnrList { path, error },
            })?;
            policy.persons.numbers = Some(numbers.into_iter().collect());
        }
        Ok(policy)
    }

    /// Looks up the group that may read the dataset. Returns `None` if only the owner may.
    pub fn group(&self) -> Result<Option<Group>, Error> {
        self.group.as_deref().map(Group::find).transpose()
    }

    /// Returns the SHA-256 of the key for pseudonyms; `None` if the policy has no pseudonyms. It tells whether the key was
    /// changed, and must not be stored without a keyed hash.
    pub(crate) fn key_digest(&self) -> Result<Option<String>, Error> {
        let (Some(source), NumberRule::Pseudonym) = (&self.key, self.rules.numbers) else {
            return Ok(None);
        };
        let secret = source.read()?;
        let digest = sha2::Sha256::digest(secret.expose());
        Ok(Some(base16ct::lower::encode_string(&digest)))
    }

    /// Reads the key for pseudonyms. Returns `None` if the policy has no pseudonyms.
    pub fn pseudonym_key(&self) -> Result<Option<PseudonymKey>, Error> {
        let (Some(source), NumberRule::Pseudonym) = (&self.key, self.rules.numbers) else {
            return Ok(None);
        };
        let secret = source.read()?;
        check_key(secret.expose()).map_err(ConfigurationError::PseudonymKey)?;
        // The text itself is the key of the hash, so that pseudonyms can be computed with usual tools.
        Ok(Some(PseudonymKey::new(secret.expose())?))
    }
}
