//! Makes deliveries of the unrestricted dataset again, after persons were erased from their extracts.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::agreement::Agreement;
use crate::config::Store;
use crate::dataset::{Audience, Dataset, DeliveryPlace, ManifestBuilder};
use crate::error::Error;
use crate::ledger::{Ledger, Reason, Record, RewritingKind};
use crate::register::{Register, open_file};
use crate::sync::{RewrittenDelivery, stage};
use cprflow::{Connector, Scan};

/// Makes the deliveries of the unrestricted dataset again that are noted in the ledger. A delivery whose extract is gone, or
/// whose agreement no longer publishes there, is removed.
pub(crate) fn make_unrestricted_again(
    connector: &Connector,
    store: &Store,
    ledger: &mut Ledger,
    dataset: &Dataset,
    now: Timestamp,
) -> Result<Vec<RewrittenDelivery>, Error> {
    let mut done = Vec::new();
    begin_restored(ledger, dataset, now)?;
    for rewriting in ledger.rewritings(None)? {
        if rewriting.is_done {
            continue;
        }
        let Some(record) = ledger.delivery(rewriting.delivery)? else {
            continue;
        };
        let Some(directory) = record
            .directory
            .clone()
            .filter(|_| record.expired.is_none())
        else {
            ledger.rewritten(record.id, now)?;
            continue;
        };
        let removed = again(connector, store, ledger, dataset, &record, &directory, now);
        if removed.is_err() {
            // What is erased must not stay. The next run makes the delivery again.
            dataset.remove_delivery(&record.agreement, &directory)?;
        }
        let removed = removed?;
        done.push(RewrittenDelivery {
            tenant: None,
            directory: relative(&record.agreement, &directory),
            agreement: record.agreement,
            removed,
        });
    }
    Ok(done)
}

/// Notes the deliveries that a person put back from an older copy: they are as they were before they were made again. Removes
/// those that were removed.
fn begin_restored(ledger: &Ledger, dataset: &Dataset, now: Timestamp) -> Result<(), Error> {
    let mut seen = BTreeSet::new();
    for rewriting in ledger.rewritings(None)? {
        if !seen.insert(rewriting.delivery) {
            continue;
        }
        let Some(record) = ledger.delivery(rewriting.delivery)? else {
            continue;
        };
        let Some(place) = DeliveryPlace::of(&record) else {
            continue;
        };
        if record.expired.is_some() {
            dataset.remove_own_delivery(None, &place)?;
        } else if dataset.is_older(
            &place.agreement,
            &place.name,
            ledger.times_rewritten(record.id, None)?,
        )? {
            ledger.begin_rewriting(record.id, None, rewriting.kind, now)?;
        }
    }
    Ok(())
}

/// Makes one delivery again. Returns why it was removed instead, if it was.
fn again(
    connector: &Connector,
    store: &Store,
    ledger: &mut Ledger,
    dataset: &Dataset,
    record: &Record,
    directory: &str,
    now: Timestamp,
) -> Result<Option<String>, Error> {
    let is_own = |agreement: &&Agreement| {
        agreement.name.as_str() == record.agreement && agreement.unrestricted.is_some()
    };
    let register = Register::of(&store.state);
    let kept = ledger.kept_extract(record.id)?;
    let kept = match kept {
        Some(kept) if register.is_whole(&kept)? => Some(kept),
        _ => None,
    };
    let (Some(kept), Some(agreement)) = (kept, store.agreements.iter().find(is_own)) else {
        let why = "the register has no extract of it, or its agreement publishes nothing there now";
        dataset.remove_delivery(&record.agreement, directory)?;
        let reason = Reason::new(RewritingKind::Erased.name(), why);
        ledger.removed_for_good(record.id, None, &reason, now)?;
        return Ok(Some(why.to_owned()));
    };
    let path = register.path(&kept);
    let staging = dataset.staging(&record.agreement, &record.transfer_uuid)?;
    let input = open_file(&path).map_err(Error::file(&path))?;
    let staged = stage(Scan::new(connector), input, &staging, |_| {})?;
    let old = dataset
        .manifest(&record.agreement, directory)
        .ok()
        .flatten();
    let published = old.and_then(|old| old.published.parse().ok());
    let manifest = ManifestBuilder {
        connector,
        record,
        agreement: Some(agreement),
        sequence: record.sequence.unwrap_or_default(),
        rows: staged.rows,
        files: staged.files,
        published: published.or(record.published).unwrap_or(now),
        made_again: ledger.times_rewritten(record.id, None)? + 1,
    }
    .build(Audience::Unrestricted {
        agreement,
        findings: &staged.summary.findings,
    });
    manifest.write(&staging)?;
    dataset.exchange(&staging, &record.agreement, directory)?;
    // What was published before is in the staging directory now.
    dataset.clear_staging_of(&record.agreement)?;
    crate::failpoint::reached("erase-exchanged");
    ledger.rewritten(record.id, now)?;
    crate::failpoint::reached("erase-recorded");
    tracing::info!(
        agreement = record.agreement,
        directory,
        "a delivery was made again without erased persons"
    );
    Ok(None)
}

fn relative(agreement: &str, directory: &str) -> PathBuf {
    Path::new(&format!("agreement={agreement}")).join(directory)
}
