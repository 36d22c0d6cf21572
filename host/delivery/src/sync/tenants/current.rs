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
        let sources = RegisterSource::with_former(&self.store, tenant)?;
        let Some(home) = sources.first() else {
            return Ok(None);
        };
        private_directory(&home.state)?;
        let ledger = Ledger::open(&home.state)?;
        let place = AdoptedDataset::Tenant(tenant.name.as_str());
        ready.dataset.write_codes(&self.connector)?;
        if !self.store.publish.current {
            if ready.dataset.has_generations()? {
                withdraw(&ready.dataset, &ledger, place, None)?;
            }
            return Ok(None);
        }
        let made = self.with_tables(ready, heartbeat, &sources, &home.state, |tables, inputs| {
            crate::failpoint::reached_by("current-reading", tenant.name.as_str());
            tables.update(&ledger, inputs)
        });
        if !heartbeat.finish() {
            return Err(Error::Stopped);
        }
        if let Err(Error::Current(error)) = &made
            && is_for_a_person(error)
        {
            // `status` says what to do, until a person has done it. What is missing can be a protection.
            tracing::warn!("{error}");
            let is_harmless = matches!(error, CurrentError::ClockAhead { .. });
            match ready.dataset.has_generations()? && !is_harmless {
                true => withdraw(&ready.dataset, &ledger, place, Some(error.to_string()))?,
                false => ledger.set_generation_error(place, Some(&error.to_string()))?,
            }
            return Ok(None);
        }
        let made = made?;
        let _ = ready.is_current_good.set(());
        let made = made.map(|generation| MadeCurrent {
            tenant: Some(tenant.name.to_string()),
            dataset: tenant.dataset.clone(),
            generation,
        });
        Ok(made)
    }

    /// Fails if the tenant's policy was changed so that more than half of its persons are hidden, and no person has
    /// accepted that. Then the tenant gets no delivery either.
    pub(super) fn check_policy_change(
        &self,
        ready: &ReadyTenant,
        heartbeat: &Heartbeat,
    ) -> Result<(), Error> {
        if let Some(checked) = ready.policy_change.get() {
            return checked.clone().map_err(Error::from);
        }
        let sources = RegisterSource::of_tenant(&self.store, &ready.tenant);
        let Some(home) = sources.first() else {
            return Ok(());
        };
        let Some(ledger) = Ledger::open_to_read(&home.state)? else {
            return Ok(());
        };
        let place = AdoptedDataset::Tenant(ready.tenant.name.as_str());
        let known = ledger.generation(place)?;
        let (digest, _) = tenant_rules(&self.connector, &ready.policy, &home.state)?;
        let is_same = known.is_none_or(|known| known.policy.as_deref() == Some(&digest));
        if is_same || !self.store.publish.current {
            return Ok(());
        }
        let sources = RegisterSource::with_former(&self.store, &ready.tenant)?;
        let checked =
            self.with_tables(ready, heartbeat, &sources, &home.state, |tables, inputs| {
                tables.check_policy_change(&ledger, inputs)
            });
        match checked {
            Ok(()) => {
                let _ = ready.policy_change.set(Ok(()));
                Ok(())
            }
            Err(Error::Current(error @ CurrentError::PolicyHidesMost { .. })) => {
                let _ = ready.policy_change.set(Err(error.clone()));
                Err(error.into())
            }
            // Without the register, the change cannot be judged. A delivery shows what the new policy allows.
            Err(Error::Current(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Calls a function with the tenant's current tables and the extracts that they are made from.
    fn with_tables<T>(
        &self,
        ready: &ReadyTenant,
        heartbeat: &Heartbeat,
        sources: &[RegisterSource],
        home: &Path,
        act: impl FnOnce(&CurrentTables<'_>, &Inputs) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let tenant = &ready.tenant;
        let (policy_digest, rules) = tenant_rules(&self.connector, &ready.policy, home)?;
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
        let inputs = Inputs::of_tenant(sources, &ready.policy, &rules)?;
        let inputs = inputs.with_key(home, ready.key_digest.as_deref())?;
        let tables = CurrentTables {
            connector: &self.connector,
            dataset: &ready.dataset,
            home,
            sources,
            is_clock_accepted: self.store.accept_clock,
            tenant: Some(TenantRules {
                tenant,
                policy: &ready.policy,
                policy_digest: &policy_digest,
                key: ready.key(),
                has_deliveries: !self.store.publish.deliveries,
            }),
            purposes: Purposes {
                purposes: [tenant.purpose.clone()].into(),
                legal_bases: tenant.legal_basis.clone().into_iter().collect(),
                church_purposes: tenant.church_purpose.clone().into_iter().collect(),
            },
            shows_church: false,
            now: (self.now)(),
            may_show_erased: self.may_show_erased,
            check,
        };
        act(&tables, &inputs)
    }
}

/// Returns whether an error lasts until a person has done something, so that `status` says it and the run goes on.
fn is_for_a_person(error: &CurrentError) -> bool {
    matches!(
        error,
        CurrentError::ExtractsMissing { .. } | CurrentError::ClockAhead { .. }
    )
}

/// Withdraws a tenant's current tables if the extracts or the policy have changed since they were made, because they may
/// show what is hidden now, or in any case if they `must_go`. `error` is why no newer ones could be made. Returns whether they
/// were withdrawn.
pub(super) fn withdraw_outdated(
    connector: &Connector,
    store: &Store,
    tenant: &Tenant,
    is_locked: bool,
    must_go: bool,
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
    // Tables that were made for somebody else are not this tenant's to remove. The run has refused the directory.
    let name = tenant.name.as_str();
    if !Dataset::foreign_generations(dataset.root(), Some(name))?.is_empty() {
        return Ok(false);
    }
    // A generation that the ledger does not know is older than the ledger, so it can be outdated.
    if let Some(known) = known.filter(|_| !must_go) {
        let digest = tenant.policy().and_then(|policy| {
            let (_, rules) = tenant_rules(connector, &policy, &home.state)?;
            Inputs::of_tenant(
                &RegisterSource::with_former(store, tenant)?,
                &policy,
                &rules,
            )
        });
        // A key that cannot be read says nothing about a change.
        let key = tenant.key_digest().ok();
        // An extract that is lost can have had a protection, or persons who are erased now.
        let whole = digest.and_then(|inputs| inputs.check().map(|()| inputs));
        let is_same = whole.is_ok_and(|inputs| match &key {
            Some(key) => inputs
                .with_key(&home.state, key.as_deref())
                .is_ok_and(|inputs| inputs.digest == known.inputs),
            None => inputs.is_same_without_key(&known.inputs),
        });
        if is_same {
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
