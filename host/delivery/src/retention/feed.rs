//! The change feed: the published deliveries of a dataset, in the order of publication.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use crate::config::Store;
use crate::error::Error;
use crate::ledger::{Ledger, Record, Rewriting, RewritingKind, TenantDeliveryState};

/// How a delivery came to its place in the feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FeedKind {
    /// It is newer than every delivery of its agreement before.
    New,
    /// A delivery of its agreement that was published before has a later production date.
    Late,
    /// Its directory was removed, because it was kept long enough or could not be made again.
    Expired,
    /// It was made again without what is hidden now. Without a directory, it was removed.
    Rewritten,
    /// It was made again without erased persons. Without a directory, it was removed.
    Erased,
}

/// A published delivery in the feed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FeedEntry {
    /// The sequence number in the dataset. The numbers grow in the order of publication.
    pub sequence: u64,
    /// What happened.
    pub kind: FeedKind,
    /// The name of the agreement.
    pub agreement: String,
    /// The production date, `YYYY-MM-DD`.
    pub production_date: Option<String>,
    /// The directory, relative to the dataset. The names of an agreement's directories sort in the order in which they
    /// apply. `None` if the dataset never had the delivery in a directory.
    pub directory: Option<String>,
    /// The place in the order in which the deliveries of the agreement apply, from 1.
    pub place: usize,
    /// The time of publication.
    pub published: Option<Timestamp>,
}

/// Returns the published deliveries of a store's dataset, or of a tenant's, whose sequence number is above `since`.
pub fn delivery_feed(
    store: &Store,
    tenant: Option<&str>,
    since: u64,
) -> Result<Vec<FeedEntry>, Error> {
    let Some(ledger) = Ledger::open_to_read(&store.state)? else {
        return Ok(Vec::new());
    };
    let records: BTreeMap<i64, Record> = ledger
        .all()?
        .into_iter()
        .map(|record| (record.id, record))
        .collect();
    let mut found: Vec<(i64, FeedEntry)> = match tenant {
        None => {
            let published = records
                .values()
                .filter(|record| record.state.is_published());
            let entry = |record: &Record| {
                let directory = record.directory.as_deref();
                entry(
                    record,
                    record.sequence?,
                    directory,
                    record.published,
                    record.expired,
                )
            };
            published.filter_map(entry).collect()
        }
        Some(tenant) => {
            let shares = ledger.tenant_deliveries()?.into_iter();
            let own = shares.filter(|share| {
                share.tenant == tenant && share.state == TenantDeliveryState::Published
            });
            own.filter_map(|share| {
                let record = records.get(&share.delivery)?;
                let directory = share.directory.as_deref();
                entry(
                    record,
                    share.sequence?,
                    directory,
                    share.published,
                    share.expired,
                )
            })
            .collect()
        }
    };
    found.sort_by_key(|(_, entry)| entry.sequence);
    let (deliveries, mut all): (Vec<i64>, Vec<FeedEntry>) = found.into_iter().unzip();
    let mut rewritten = Vec::new();
    let mut newest: BTreeMap<String, Option<String>> = BTreeMap::new();
    for entry in &mut all {
        let before = newest.entry(entry.agreement.clone()).or_default();
        if entry.kind == FeedKind::New && *before > entry.production_date {
            entry.kind = FeedKind::Late;
        }
        *before = before.take().max(entry.production_date.clone());
    }
    let order = |entry: &FeedEntry| (entry.production_date.clone(), entry.sequence);
    let places: Vec<usize> = all
        .iter()
        .map(|one| {
            let before = all
                .iter()
                .filter(|other| other.agreement == one.agreement && order(other) <= order(one));
            before.count()
        })
        .collect();
    for (entry, place) in all.iter_mut().zip(places) {
        entry.place = place;
    }
    for rewriting in ledger.rewritings(tenant)? {
        let mut entries = all.iter().zip(&deliveries);
        let of_delivery = entries.find(|(_, delivery)| **delivery == rewriting.delivery);
        if let (Some((entry, _)), true) = (of_delivery, rewriting.is_done) {
            rewritten.push(rewritten_entry(entry, &rewriting));
        }
    }
    all.extend(rewritten);
    all.sort_by_key(|entry| entry.sequence);
    all.retain(|entry| entry.sequence > since);
    Ok(all)
}

fn entry(
    record: &Record,
    sequence: u64,
    directory: Option<&str>,
    published: Option<Timestamp>,
    expired: Option<Timestamp>,
) -> Option<(i64, FeedEntry)> {
    let entry = FeedEntry {
        sequence,
        kind: match expired {
            Some(_) => FeedKind::Expired,
            None => FeedKind::New,
        },
        agreement: record.agreement.clone(),
        production_date: record.production_date().map(str::to_owned),
        directory: directory.map(|name| format!("agreement={}/{name}", record.agreement)),
        place: 0,
        published,
    };
    Some((record.id, entry))
}

/// Returns the entry of a delivery that was made again or removed.
fn rewritten_entry(entry: &FeedEntry, rewriting: &Rewriting) -> FeedEntry {
    let is_removed = entry.kind == FeedKind::Expired;
    FeedEntry {
        sequence: rewriting.number,
        kind: match rewriting.kind {
            RewritingKind::Rewritten => FeedKind::Rewritten,
            RewritingKind::Erased => FeedKind::Erased,
        },
        directory: entry.directory.clone().filter(|_| !is_removed),
        published: Some(rewriting.at),
        ..entry.clone()
    }
}
