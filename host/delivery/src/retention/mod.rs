//! Removes what was kept long enough: directories of deliveries, and records that a newer extract has replaced.
//!
//! | module | contents |
//! |---|---|
//! | `feed` | the published deliveries of a dataset, in the order of publication |
//! | `compact` | rewrites old extracts without replaced records and without persons who died long ago |
//! | this file | what is due, and the directories of deliveries |

mod compact;
mod feed;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::calendar::days;
use crate::config::{Period, Store};
use crate::dataset::{Dataset, DeliveryPlace};
use crate::error::Error;
use crate::fs::{StateLock, ask_disks};
use crate::ledger::{KeptExtract, Ledger, TenantDeliveryState};
use crate::stop::Stop;
use cprflow::Connector;

pub use compact::CompactedExtract;
pub use feed::{FeedEntry, FeedKind, delivery_feed};

/// The time that a disk has to remove directories.
const DISK_TIMEOUT: Duration = Duration::from_secs(120);

/// What retention removes from a store.
#[derive(Debug, Default, Serialize)]
pub struct Expiry {
    /// The directories of deliveries that were published longer ago than `keep_deliveries`.
    pub deliveries: Vec<ExpiringDelivery>,
    /// The extracts that are kept longer than that, and that are rewritten without replaced records.
    pub extracts: Vec<KeptExtract>,
    /// What was done with the extracts; empty before it is done.
    pub compacted: Vec<CompactedExtract>,
}

/// The directory of a delivery that is removed from a dataset.
#[derive(Debug, Clone, Serialize)]
pub struct ExpiringDelivery {
    /// The tenant whose dataset it is; `None` for the unrestricted dataset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// The directory of the dataset.
    pub dataset: PathBuf,
    /// The name of the agreement.
    pub agreement: String,
    /// The name of the delivery's directory.
    pub directory: String,
    /// The time of publication.
    pub published: Timestamp,
    /// The row ID in the ledger.
    #[serde(skip)]
    id: i64,
}

impl Expiry {
    /// Returns whether nothing is due.
    pub fn is_empty(&self) -> bool {
        self.deliveries.is_empty() && self.extracts.is_empty()
    }
}

/// Returns what retention removes from a store now. Changes nothing.
pub fn due(store: &Store, now: Timestamp) -> Result<Expiry, Error> {
    match Ledger::open_to_read(&store.state)? {
        Some(ledger) => due_in(store, &ledger, now),
        None => Ok(Expiry::default()),
    }
}

/// Removes from a store what retention says. Returns what was done.
pub fn expire(
    connector: &Connector,
    store: &Store,
    stop: &Stop,
    now: Timestamp,
) -> Result<Expiry, Error> {
    if !Ledger::is_in(&store.state) {
        return Ok(Expiry::default());
    }
    let _lock = StateLock::take(&store.state)?;
    let ledger = Ledger::open(&store.state)?;
    let dataset = Dataset::at(&store.dataset);
    let _dataset_lock = dataset.map(|dataset| dataset.lock()).transpose()?;
    expire_locked(connector, store, &ledger, stop, now)
}

/// Does the same for a caller that has locked the store and its dataset.
pub(crate) fn expire_locked(
    connector: &Connector,
    store: &Store,
    ledger: &Ledger,
    stop: &Stop,
    now: Timestamp,
) -> Result<Expiry, Error> {
    let mut due = due_in(store, ledger, now)?;
    for delivery in &due.deliveries {
        match &delivery.tenant {
            None => ledger.expire(delivery.id, now)?,
            Some(tenant) => ledger.expire_for_tenant(delivery.id, tenant, now)?,
        }
    }
    crate::failpoint::reached("expired");
    sweep(store, ledger)?;
    crate::failpoint::reached("expired-removed");
    due.compacted = compact::compact(connector, store, ledger, &due.extracts, stop, now)?;
    Ok(due)
}

fn due_in(store: &Store, ledger: &Ledger, now: Timestamp) -> Result<Expiry, Error> {
    let Period::Days(limit) = store.retention.deliveries else {
        return Ok(Expiry::default());
    };
    let is_old = |then: Timestamp| now.duration_since(then) > days(limit);
    let is_own = |agreement: &str| {
        let mut own = store.agreements.iter();
        own.any(|own| own.name.as_str() == agreement)
    };
    let mut due = Expiry::default();
    for record in ledger.all()? {
        if let (Some(directory), Some(published), None) =
            (record.directory, record.published, record.expired)
            && is_old(published)
            && record.state.is_published()
            && is_own(&record.agreement)
        {
            due.deliveries.push(ExpiringDelivery {
                tenant: None,
                dataset: store.dataset.clone(),
                agreement: record.agreement,
                directory,
                published,
                id: record.id,
            });
        }
    }
    for share in ledger.tenant_deliveries()? {
        let mut tenants = store.tenants.iter();
        let tenant = tenants.find(|tenant| tenant.name.as_str() == share.tenant);
        if let (Some(directory), Some(published), None, Some(tenant)) =
            (share.directory, share.published, share.expired, tenant)
            && is_old(published)
            && is_own(&share.agreement)
        {
            due.deliveries.push(ExpiringDelivery {
                tenant: Some(share.tenant),
                dataset: tenant.dataset.clone(),
                agreement: share.agreement,
                directory,
                published,
                id: share.delivery,
            });
        }
    }
    due.extracts = ledger.applied_extracts()?;
    let published = published_directories(store, ledger)?;
    let is_published = |kept: &KeptExtract| {
        let expires = |(delivery, tenant): &(i64, Option<String>)| {
            let mut expiring = due.deliveries.iter();
            expiring.any(|one| one.id == *delivery && one.tenant == *tenant)
        };
        let mut own = published.iter().filter(|(id, _)| *id == kept.delivery);
        own.any(|one| !expires(one))
    };
    // A delivery can be made again only from the extract as it was delivered.
    let extracts = std::mem::take(&mut due.extracts).into_iter();
    due.extracts = extracts
        .filter(|kept| is_own(&kept.agreement) && is_old(kept.kept) && !is_published(kept))
        .collect();
    Ok(due)
}

/// Returns the deliveries that have a directory in the unrestricted dataset or in a tenant's, or get one: row ID and tenant.
fn published_directories(
    store: &Store,
    ledger: &Ledger,
) -> Result<BTreeSet<(i64, Option<String>)>, Error> {
    let mut published = BTreeSet::new();
    for record in ledger.all()? {
        if record.directory.is_some() && record.expired.is_none() {
            published.insert((record.id, None));
        }
    }
    for share in ledger.tenant_deliveries()? {
        let mut tenants = store.tenants.iter();
        let is_configured = tenants.any(|tenant| tenant.name.as_str() == share.tenant);
        let is_set_aside = share.state == TenantDeliveryState::SetAside;
        if is_configured && !is_set_aside && share.expired.is_none() {
            published.insert((share.delivery, Some(share.tenant)));
        }
    }
    Ok(published)
}

/// A dataset: its directory, and its tenant if it is not the unrestricted one.
type Owned = (PathBuf, Option<String>);

/// Removes the directories of the deliveries that the ledger says have expired. A run that was killed may have left some.
///
/// A directory that was made for somebody else stays: it is not the delivery that has expired.
fn sweep(store: &Store, ledger: &Ledger) -> Result<(), Error> {
    let mut expired: BTreeMap<Owned, Vec<DeliveryPlace>> = BTreeMap::new();
    for record in ledger.all()? {
        if let (Some(place), Some(_)) = (DeliveryPlace::of(&record), record.expired) {
            let own = expired.entry((store.dataset.clone(), None)).or_default();
            own.push(place);
        }
    }
    for share in ledger.tenant_deliveries()? {
        let mut tenants = store.tenants.iter();
        let tenant = tenants.find(|tenant| tenant.name.as_str() == share.tenant);
        let place = DeliveryPlace::of_tenant(&share);
        if let (Some(place), Some(_), Some(tenant)) = (place, share.expired, tenant) {
            let dataset = (tenant.dataset.clone(), Some(share.tenant));
            let own = expired.entry(dataset).or_default();
            own.push(place);
        }
    }
    // A disk that does not respond keeps its directories until the next run.
    let questions = expired.into_iter().map(|((root, owner), own)| {
        move || match Dataset::at(&root) {
            None => Ok(()),
            Some(dataset) => own
                .iter()
                .try_for_each(|place| dataset.remove_own_delivery(owner.as_deref(), place)),
        }
    });
    for answer in ask_disks(DISK_TIMEOUT, questions) {
        answer.unwrap_or(Ok(()))?;
    }
    Ok(())
}
