//! How the tenants of an agreement stand.

use std::collections::BTreeSet;
use std::path::Path;

use serde::Serialize;

use super::{Look, Remark, known, needed};
use crate::error::Error;
use crate::keyed::ListKey;
use crate::ledger::{Ledger, Record, Share, ShareState};
use crate::tenant::{Tenant, policy_digest};

/// How a tenant stands with an agreement.
#[derive(Debug, Serialize)]
pub struct TenantStatus {
    /// The tenant's name.
    pub tenant: String,
    /// How many deliveries it has.
    pub published: usize,
    /// The one that it got last.
    pub newest: Option<Share>,
    /// How many it is still to get.
    pub waiting: usize,
    /// How many were published before it came, and it has not got.
    pub missing: usize,
}

impl Look<'_> {
    /// The tenants, and what is to be said of them.
    pub(super) fn tenants(
        &self,
        ledger: Option<&Ledger>,
        records: &[Record],
    ) -> Result<(Vec<TenantStatus>, Vec<Remark>), Error> {
        let mut shares = match ledger {
            Some(ledger) => ledger.shares()?,
            None => Vec::new(),
        };
        let agreement = self.agreement.name.as_str();
        shares.retain(|share| share.agreement == agreement);
        let (mut all, mut remarks) = (Vec::new(), Vec::new());
        for tenant in self.store.tenants_of(agreement) {
            let name = tenant.name.as_str();
            let own: Vec<_> = shares.iter().filter(|share| share.tenant == name).collect();
            let published = own
                .iter()
                .filter(|share| share.state == ShareState::Published);
            let newest = published.clone().max_by_key(|share| share.sequence);
            let waiting: Vec<_> = own
                .iter()
                .copied()
                .filter(|share| !share.state.is_settled())
                .collect();
            let missing: Vec<_> = records
                .iter()
                .filter(|record| record.state.is_published())
                .filter(|record| own.iter().all(|share| share.delivery != record.id))
                .collect();
            remarks.extend(of_waiting(name, &waiting, records));
            remarks.extend(of_missing(name, agreement, &missing));
            remarks.extend(of_set_aside(name, &own, records));
            remarks.extend(newest.and_then(|newest| of_policy(tenant, newest, &self.store.state)));
            all.push(TenantStatus {
                tenant: name.to_owned(),
                published: published.count(),
                newest: newest.map(|share| (*share).clone()),
                waiting: waiting.len(),
                missing: missing.len(),
            });
        }
        remarks.extend(self.of_strangers(&shares));
        Ok((all, remarks))
    }

    /// Extracts that the spool keeps for somebody who is no tenant of the agreement.
    fn of_strangers(&self, shares: &[Share]) -> Vec<Remark> {
        let agreement = self.agreement.name.as_str();
        let is_tenant = |name: &str| {
            let mut tenants = self.store.tenants_of(agreement);
            tenants.any(|tenant| tenant.name.as_str() == name)
        };
        let waiting = shares.iter().filter(|share| !share.state.is_settled());
        let strangers: BTreeSet<_> = waiting
            .map(|share| share.tenant.as_str())
            .filter(|name| !is_tenant(name))
            .collect();
        let remark = |name: &str| {
            needed(format!(
                "the spool keeps deliveries for {name}, which is no tenant of the agreement in the configuration: put \
                 it back, or set them aside: cprflow set-aside … --tenant {name}"
            ))
        };
        strangers.into_iter().map(remark).collect()
    }
}

fn of_waiting(tenant: &str, waiting: &[&Share], records: &[Record]) -> Option<Remark> {
    let first = waiting.first()?;
    let count = waiting.len();
    let word = if count == 1 {
        "delivery waits"
    } else {
        "deliveries wait"
    };
    let file = file_name(first, records);
    let Some(reason) = &first.reason else {
        return Some(known(format!(
            "tenant {tenant}: {count} {word}, first {file}: the next `cprflow sync` publishes"
        )));
    };
    Some(needed(format!(
        "tenant {tenant}: {count} {word}, first {file}, tried {} times: {} ({}). The next `cprflow sync` tries again; \
         what the tenant shall not have: cprflow set-aside {} --tenant {tenant}",
        first.attempts, reason.message, reason.code, first.transfer_uuid
    )))
}

/// Whoever came later lacks those who were only in what was delivered before.
fn of_missing(tenant: &str, agreement: &str, missing: &[&Record]) -> Option<Remark> {
    let last = missing.last()?;
    Some(known(format!(
        "tenant {tenant} has not got {} of the deliveries of agreement {agreement}, the last of {}: they were published \
         before it came, and whoever was only in them is not in its dataset. Order everybody once more with `cprflow \
         subscription reorder`; an extract that is still in the spool can be had with cprflow retry {} --tenant {tenant}",
        missing.len(),
        last.production_date().unwrap_or("an unknown date"),
        last.transfer_uuid
    )))
}

fn of_set_aside(tenant: &str, own: &[&Share], records: &[Record]) -> Vec<Remark> {
    let aside = own
        .iter()
        .filter(|share| share.state == ShareState::SetAside);
    let remark = |share: &&Share| {
        let why = share.reason.as_ref().map_or("", |reason| &reason.message);
        known(format!(
            "tenant {tenant}: {} was set aside: {why}",
            file_name(share, records)
        ))
    };
    aside.map(remark).collect()
}

/// A policy that has changed reaches what is delivered from now on.
fn of_policy(tenant: &Tenant, newest: &Share, state: &Path) -> Option<Remark> {
    // What is wrong with the policy itself, `cprflow doctor` says.
    let policy = tenant.policy().ok()?;
    let key = ListKey::read(state).ok()?;
    let digest = policy_digest(&policy, key.as_ref());
    let is_same = digest.is_some_and(|digest| newest.counts.policy == format!("sha256:{digest}"));
    (!is_same).then(|| {
        known(format!(
            "tenant {}: its policy is not the one of its newest delivery. It holds from the next one on: what was \
             published stays as it is, and whoever is no longer in scope is told when next delivered",
            tenant.name
        ))
    })
}

fn file_name(share: &Share, records: &[Record]) -> String {
    let mut records = records.iter();
    let record = records.find(|record| record.id == share.delivery);
    record.map_or_else(|| share.transfer_uuid.clone(), Record::said_name)
}
