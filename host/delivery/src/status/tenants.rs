//! The status of the tenants of an agreement.

use std::collections::BTreeSet;
use std::path::Path;

use serde::Serialize;

use super::{Remark, StatusReader, action_needed, note};
use crate::dataset::Dataset;
use crate::error::Error;
use crate::integrity::DamagedDelivery;
use crate::keyed_hash::ListKey;
use crate::ledger::{
    Generation, Ledger, PolicyChange, Record, TenantDelivery, TenantDeliveryState,
};
use crate::spool::Spooled;
use crate::sync::TenantPublishError;
use crate::tenant::foreign::foreign_data_remark;
use crate::tenant::former::former_tenants;
use crate::tenant::rosters::Rosters;
use crate::tenant::{Tenant, policy_digest};
use crate::unmounted::left_agreements;

/// The status of a tenant for an agreement.
#[derive(Debug, Serialize)]
pub struct TenantStatus {
    /// The name of the tenant.
    pub tenant: String,
    /// The number of deliveries that are published to the tenant.
    pub published: usize,
    /// The delivery that was published to the tenant last.
    pub newest: Option<TenantDelivery>,
    /// The number of deliveries that are not published to the tenant yet.
    pub waiting: usize,
    /// The number of deliveries that were published before the tenant was configured, and that it does not have.
    pub missing: usize,
    /// The newest generation of the tenant's current tables; `None` if there is none.
    pub current: Option<Generation>,
    /// A change of the policy that hides more than half of the tenant's persons; `None` if there is none.
    pub policy_change: Option<PolicyChange>,
    /// The deliveries that are not in the tenant's dataset as they were published.
    pub damaged: Vec<DamagedDelivery>,
}

impl StatusReader<'_> {
    /// Returns the status of each tenant, and the remarks about tenants.
    pub(super) fn tenants(
        &self,
        ledger: Option<&Ledger>,
        records: &[Record],
    ) -> Result<(Vec<TenantStatus>, Vec<Remark>), Error> {
        let mut deliveries = match ledger {
            Some(ledger) => ledger.tenant_deliveries()?,
            None => Vec::new(),
        };
        let agreement = self.agreement.name.as_str();
        deliveries.retain(|delivery| delivery.agreement == agreement);
        let (mut all, mut remarks) = (Vec::new(), Vec::new());
        for tenant in self.store.tenants_of(agreement) {
            let name = tenant.name.as_str();
            let own: Vec<_> = deliveries
                .iter()
                .filter(|delivery| delivery.tenant == name)
                .collect();
            let published = own
                .iter()
                .filter(|delivery| delivery.state == TenantDeliveryState::Published);
            let newest = published.clone().max_by_key(|delivery| delivery.sequence);
            let waiting: Vec<_> = own
                .iter()
                .copied()
                .filter(|delivery| !delivery.state.is_settled())
                .collect();
            let missing: Vec<_> = records
                .iter()
                .filter(|record| record.state.is_published())
                .filter(|record| own.iter().all(|delivery| delivery.delivery != record.id))
                .collect();
            remarks.extend(waiting_remark(name, &waiting, records));
            if waiting.iter().all(|delivery| delivery.reason.is_none()) {
                remarks.extend(newest.and_then(|newest| self.roster_remark(tenant, newest)));
            }
            if self.store.publish.deliveries {
                remarks.extend(self.missing_remark(name, &missing));
            }
            let current = self.current_of(tenant)?;
            let dataset = &tenant.dataset;
            remarks.extend(self.current_remarks(Some(tenant), dataset, &current));
            remarks.extend(foreign_data_remark(self.store, tenant).map(action_needed));
            remarks.extend(set_aside_remarks(name, &own, records));
            remarks
                .extend(newest.and_then(|newest| policy_remark(tenant, newest, &self.store.state)));
            all.push(TenantStatus {
                tenant: name.to_owned(),
                published: published.count(),
                newest: newest.map(|delivery| (*delivery).clone()),
                waiting: waiting.len(),
                missing: missing.len(),
                policy_change: current.policy_change,
                current: current.generation,
                damaged: self.damaged(Some(name)),
            });
        }
        remarks.extend(self.unknown_tenant_remarks(&deliveries));
        if let Some(ledger) = ledger.filter(|_| self.is_first_of_store()) {
            let former = former_tenants(self.store, ledger)?;
            remarks.extend(
                former
                    .iter()
                    .map(|former| action_needed(former.to_string())),
            );
            let left = left_agreements(self.store, ledger)?;
            remarks.extend(left.into_iter().map(action_needed));
        }
        Ok((all, remarks))
    }

    /// Returns a remark about the deliveries that a tenant lacks because it was added later.
    ///
    /// Its current tables are made from every extract, so only programs that read deliveries miss persons.
    fn missing_remark(&self, tenant: &str, missing: &[&Record]) -> Option<Remark> {
        let last = missing.last()?;
        let noun = match missing.len() {
            1 => "delivery",
            _ => "deliveries",
        };
        let effect = match self.store.publish.current {
            true => {
                "Its current tables have the persons of all deliveries. Only if its programs read the deliveries, order a new \
                 initial load with `cprflow subscription reorder`"
            }
            false => {
                "Persons who are only in earlier deliveries are missing in its dataset: order a new initial load with `cprflow \
                 subscription reorder`"
            }
        };
        let spool = self.store.spool();
        let in_spool = missing
            .iter()
            .rev()
            .find(|record| Spooled::has_whole(&spool, &record.agreement, &record.transfer_uuid));
        let retry = in_spool.map_or_else(String::new, |record| {
            format!(
                ". The spool still has {}: cprflow retry {} --tenant {tenant}",
                record.redacted_file_name(),
                record.transfer_uuid
            )
        });
        Some(note(format!(
            "tenant {tenant}: it lacks {} {noun} of agreement {}, up to {}, because the tenant was added later. {effect}{retry}",
            missing.len(),
            self.agreement.name,
            last.production_date().unwrap_or("an unknown date"),
        )))
    }

    /// Returns a remark if the roster of a tenant's newest delivery is gone, before the next delivery is refused because of
    /// that.
    fn roster_remark(&self, tenant: &Tenant, newest: &TenantDelivery) -> Option<Remark> {
        let name = tenant.name.as_str();
        let rosters = Rosters::new(&self.store.state, name, &newest.agreement);
        let path = rosters.path(newest.sequence?);
        // Deliveries that were moved away need no roster. What cannot be read has remarks of its own.
        let has_deliveries = Dataset::has_deliveries(&tenant.dataset, &newest.agreement);
        if path.is_file() || !has_deliveries.unwrap_or(false) || !self.store.publish.deliveries {
            return None;
        }
        let gone = TenantPublishError::RosterGone {
            path,
            agreement: newest.agreement.clone(),
            tenant: name.to_owned(),
            dataset: tenant.dataset.clone(),
        };
        Some(action_needed(format!(
            "tenant {name}: the next delivery will be refused: {gone}"
        )))
    }

    /// Returns whether this is the agreement whose status has the remarks about the whole store.
    pub(super) fn is_first_of_store(&self) -> bool {
        let first = self.store.agreements.first();
        first.is_some_and(|first| first.name == self.agreement.name)
    }

    /// Returns remarks about extracts in the spool that wait for a party that is not a tenant of the agreement.
    fn unknown_tenant_remarks(&self, deliveries: &[TenantDelivery]) -> Vec<Remark> {
        let agreement = self.agreement.name.as_str();
        let is_tenant = |name: &str| {
            let mut tenants = self.store.tenants_of(agreement);
            tenants.any(|tenant| tenant.name.as_str() == name)
        };
        let waiting = deliveries
            .iter()
            .filter(|delivery| !delivery.state.is_settled());
        let unknown: BTreeSet<_> = waiting
            .map(|delivery| delivery.tenant.as_str())
            .filter(|name| !is_tenant(name))
            .collect();
        let remark = |name: &str| {
            action_needed(format!(
                "the spool keeps deliveries for {name}, which is not a tenant of the agreement in the configuration. Add \
                 the tenant again, or set the deliveries aside: cprflow set-aside … --tenant {name}"
            ))
        };
        unknown.into_iter().map(remark).collect()
    }
}

fn waiting_remark(tenant: &str, waiting: &[&TenantDelivery], records: &[Record]) -> Option<Remark> {
    let first = waiting.first()?;
    let count = waiting.len();
    let noun = if count == 1 {
        "delivery waits"
    } else {
        "deliveries wait"
    };
    let file = file_name(first, records);
    let Some(reason) = &first.reason else {
        return Some(note(format!(
            "tenant {tenant}: {count} {noun}, first {file}. The next `cprflow sync` publishes them"
        )));
    };
    Some(action_needed(format!(
        "tenant {tenant}: {count} {noun}, first {file}, tried {} times: {} ({}). The next `cprflow sync` tries again. \
         To skip the delivery for this tenant: cprflow set-aside {} --tenant {tenant}",
        first.attempts, reason.message, reason.code, first.transfer_uuid
    )))
}

fn set_aside_remarks(tenant: &str, own: &[&TenantDelivery], records: &[Record]) -> Vec<Remark> {
    let set_aside = own.iter().filter(|delivery| {
        delivery.state == TenantDeliveryState::SetAside || delivery.has_leavers_only()
    });
    let remark = |delivery: &&TenantDelivery| {
        let why = delivery
            .reason
            .as_ref()
            .map_or("", |reason| &reason.message);
        let left = match delivery.has_leavers_only() {
            true => format!(" (the tenant was told {} leavers)", delivery.counts.left),
            false => String::new(),
        };
        note(format!(
            "tenant {tenant}: {} was set aside{left}: {why}",
            file_name(delivery, records)
        ))
    };
    set_aside.map(remark).collect()
}

/// Tells of a policy that the newest delivery was not made under.
fn policy_remark(tenant: &Tenant, newest: &TenantDelivery, state: &Path) -> Option<Remark> {
    // `cprflow doctor` reports errors in the policy itself.
    let policy = tenant.policy().ok()?;
    let key = ListKey::read(state).ok()?;
    let digest = policy_digest(&policy, key.as_ref());
    let is_same = digest.is_some_and(|digest| newest.counts.policy == format!("sha256:{digest}"));
    (!is_same).then(|| {
        note(format!(
            "tenant {}: the policy has changed since the newest delivery. It applies from the next delivery on, and the next \
             run makes published deliveries again without what it hides. A person who is no longer in scope is listed when \
             next delivered",
            tenant.name
        ))
    })
}

fn file_name(delivery: &TenantDelivery, records: &[Record]) -> String {
    let mut records = records.iter();
    let record = records.find(|record| record.id == delivery.delivery);
    record.map_or_else(
        || delivery.transfer_uuid.clone(),
        Record::redacted_file_name,
    )
}
