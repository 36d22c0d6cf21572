//! Makes the current tables of a tenant.

use std::path::Path;
use std::sync::Arc;

use super::dataset_claim::claim;
use super::publisher::TenantPublisher;
use super::ready::ReadyTenant;
use super::scheduler::Heartbeat;
use crate::config::Store;
use crate::current::{
    Check, CurrentError, CurrentTables, Inputs, Purposes, RegisterSource, TenantRules, withdraw,
};
use crate::dataset::Dataset;
use crate::error::Error;
use crate::fs::private_directory;
use crate::keyed_hash::ListKey;
use crate::ledger::{AdoptedDataset, Ledger};
use crate::sync::report::MadeCurrent;
use crate::tenant::{Tenant, policy_digest};
use cprflow::{Connector, Policy};

impl TenantPublisher {
    /// Makes a new generation of a tenant's current tables, if one is needed. Withdraws them if they are not published.
    ///
    /// If the new generation cannot be made, the old one may show what is hidden now, so it is withdrawn.
    pub(super) fn make_current(
        &self,
        ready: &ReadyTenant,
        heartbeat: &Heartbeat,
    ) -> Result<Option<MadeCurrent>, Error> {
        let tenant = &ready.tenant;
        let sources = RegisterSource::of_tenant(&self.store, tenant);
        let Some(home) = sources.first() else {
            return Ok(None);
        };
        private_directory(&home.state)?;
        let ledger = Ledger::open(&home.state)?;
        let place = AdoptedDataset::Tenant(tenant.name.as_str());
        if !self.store.publish.current {
            if ready.dataset.has_generations()? {
                withdraw(&ready.dataset, &ledger, place, None)?;
            }
            return Ok(None);
        }
        let (policy_digest, rules) = tenant_rules(&self.connector, &ready.policy, &home.state)?;
        let limit = tenant.limits.total.as_secs();
        let (watched, stop) = (heartbeat.clone(), self.stop.clone());
        let check: Check = Arc::new(move || {
            watched.beat();
            stop.check()?;
            if watched.is_abandoned() {
                return Err(Error::Stopped);
            }
            match watched.elapsed().as_secs() > limit {
                true => Err(Error::TenantLimit {
                    key: "limits.total_seconds",
                    limit,
                }),
                false => Ok(()),
            }
        });
        let made = Inputs::of_tenant(&sources, &ready.policy, &rules).and_then(|inputs| {
            let purposes = Purposes {
                purposes: [tenant.purpose.clone()].into(),
                legal_bases: tenant.legal_basis.clone().into_iter().collect(),
                church_purposes: tenant.church_purpose.clone().into_iter().collect(),
            };
            crate::failpoint::reached_by("current-reading", tenant.name.as_str());
            let tables = CurrentTables {
                connector: &self.connector,
                dataset: &ready.dataset,
                home: &home.state,
                tenant: Some(TenantRules {
                    tenant,
                    policy: &ready.policy,
                    policy_digest: &policy_digest,
                    key: ready.key(),
                }),
                purposes,
                shows_church: false,
                now: (self.now)(),
                check,
            };
            tables.update(&ledger, &inputs)
        });
        if !heartbeat.finish() {
            return Err(Error::Stopped);
        }
        if let Err(Error::Current(error @ CurrentError::ExtractsMissing { .. })) = &made {
            // `status` says what to do, until a person has done it. What is missing can be a protection.
            tracing::warn!("{error}");
            if ready.dataset.has_generations()? {
                withdraw(&ready.dataset, &ledger, place, Some(error.to_string()))?;
            }
            return Ok(None);
        }
        let made = made?.map(|generation| MadeCurrent {
            tenant: Some(tenant.name.to_string()),
            dataset: tenant.dataset.clone(),
            generation,
        });
        Ok(made)
    }
}

/// Withdraws a tenant's current tables if the extracts or the policy have changed since they were made, because they may
/// show what is hidden now. `error` is why no newer ones could be made. Returns whether they were withdrawn.
pub(super) fn withdraw_outdated(
    connector: &Connector,
    store: &Store,
    tenant: &Tenant,
    is_locked: bool,
    error: Option<String>,
) -> Result<bool, Error> {
    let sources = RegisterSource::of_tenant(store, tenant);
    let (Some(home), Some(dataset)) = (sources.first(), Dataset::at(&tenant.dataset)) else {
        return Ok(false);
    };
    if !Ledger::is_in(&home.state) {
        return Ok(false);
    }
    let ledger = Ledger::open(&home.state)?;
    let place = AdoptedDataset::Tenant(tenant.name.as_str());
    let known = ledger.generation(place)?;
    if known.as_ref().is_some_and(|known| !known.is_current) || !dataset.has_generations()? {
        return Ok(false);
    }
    // A generation that the ledger does not know is older than the ledger, so it can be outdated.
    if let Some(known) = known {
        let digest = tenant.policy().and_then(|policy| {
            let (_, rules) = tenant_rules(connector, &policy, &home.state)?;
            Inputs::of_tenant(&sources, &policy, &rules)
        });
        if digest.is_ok_and(|inputs| inputs.digest == known.inputs) {
            return Ok(false);
        }
    }
    let _claim = claim(&tenant.dataset)?;
    let _lock = match is_locked {
        true => None,
        false => dataset.lock()?,
    };
    withdraw(&dataset, &ledger, place, error)?;
    Ok(true)
}

/// Returns the digest of a tenant's policy, and what its current tables depend on beside the extracts.
fn tenant_rules(
    connector: &Connector,
    policy: &Policy,
    home: &Path,
) -> Result<(String, serde_json::Value), Error> {
    let has_list = policy.persons.numbers.is_some();
    let key = has_list.then(|| ListKey::open(home)).transpose()?;
    let digest = policy_digest(policy, key.as_ref()).unwrap_or_default();
    let rules = serde_json::json!({ "policy": digest, "component": connector.sha256() });
    Ok((digest, rules))
}
