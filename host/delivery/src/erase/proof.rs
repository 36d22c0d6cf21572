//! The proof of an erasure: places, files, counts, time, and a digest of the numbers with a key. It holds no person number.
//!
//! It is a line of JSON in `<state>/erasures.jsonl`, which is on the disk before the order is removed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::exports::{self, Erased, ExportTarget};
use super::extracts::{ErasedExtract, without_extract};
use super::list;
use super::order::{ErasedSubject, Order};
use crate::config::Store;
use crate::dataset::Dataset;
use crate::error::Error;
use crate::fs::write_private_file;
use crate::ledger::{Ledger, RewritingKind};
use crate::tenant::former::{former_tenants, plain_path};
use crate::unmounted::{empty_datasets, left_agreements};

/// The name of the log in a state directory.
pub(crate) const PROOF_FILE: &str = "erasures.jsonl";

/// What an erasure does, or has done.
#[derive(Debug, Clone, Serialize)]
pub struct Proof {
    /// What is erased: `numbers`, or the name of an agreement or a tenant.
    pub subject: String,
    /// How many numbers are erased, former numbers included.
    pub numbers: usize,
    /// Why.
    pub reason: Option<String>,
    /// Whether references in the records of other persons are blanked.
    pub blanks_references: bool,
    /// What is done in each store.
    pub stores: Vec<StoreErasure>,
    /// Whether everything is done.
    pub is_complete: bool,
    /// What cprflow cannot erase.
    pub outside: &'static str,
}

/// What no program can promise.
const OUTSIDE: &str = "blocks of the file system, snapshots and backups of disks, copies, and databases and programs that \
                       read the tables";

/// What an erasure does in one store.
#[derive(Debug, Clone, Default, Serialize)]
pub struct StoreErasure {
    /// The state directory.
    pub state: PathBuf,
    /// The unrestricted dataset.
    pub dataset: PathBuf,
    /// The tenants' datasets.
    pub tenants: BTreeMap<String, PathBuf>,
    /// The kept extracts that have one of the persons, or name one.
    pub extracts: Vec<ErasedExtract>,
    /// How many kept extracts are removed.
    pub removed_extracts: usize,
    /// How many published deliveries are made again or removed, over all datasets.
    pub deliveries: usize,
    /// How many of them are removed, because the register does not have their extracts.
    pub removed_deliveries: usize,
    /// How many lists of persons have one of the persons.
    pub lists: usize,
    /// How many extracts in progress have one of the persons.
    pub spooled: usize,
    /// How many snapshots of subscriptions have one of the persons.
    pub snapshots: usize,
    /// Data of tenants that are not configured any more, or in directories that datasets were moved away from. It may have the
    /// persons, or deliveries of the agreement, and cprflow does not change it.
    pub left: Vec<String>,
    /// Databases and tables that were loaded from the datasets. They have the persons until they are loaded again.
    pub exports: Vec<ExportTarget>,
    /// Lists of the operator that name one of the persons. cprflow does not change them.
    pub other_lists: Vec<PathBuf>,
}

impl Proof {
    pub(super) fn new(order: &Order) -> Self {
        let (subject, numbers) = match &order.subject {
            ErasedSubject::Numbers(numbers) => ("numbers".to_owned(), numbers.len()),
            ErasedSubject::Agreement(name) => (format!("agreement {name}"), 0),
            ErasedSubject::Tenant(name) => (format!("tenant {name}"), 0),
        };
        Self {
            subject,
            numbers,
            reason: order.reason.clone(),
            blanks_references: order.blank_references,
            stores: Vec::new(),
            is_complete: true,
            outside: OUTSIDE,
        }
    }
}

impl StoreErasure {
    pub(super) fn of(store: &Store) -> Self {
        let tenants = store.tenants.iter();
        Self {
            state: store.state.clone(),
            dataset: store.dataset.clone(),
            tenants: tenants
                .map(|tenant| (tenant.name.to_string(), tenant.dataset.clone()))
                .collect(),
            ..Self::default()
        }
    }

    /// Counts the deliveries that were made from the extracts that change, and those whose extracts are gone.
    pub(super) fn count_deliveries(&mut self, store: &Store, ledger: &Ledger) -> Result<(), Error> {
        let shares = ledger.tenant_deliveries()?;
        let changed = self.extracts.iter().filter(|one| one.is_changed());
        let changed = changed.map(|extract| (extract.delivery, false));
        let lost = without_extract(store, ledger)?.into_iter();
        let all: Vec<_> = changed
            .chain(lost.map(|delivery| (delivery, true)))
            .collect();
        for (delivery, is_lost) in all {
            let record = ledger.delivery(delivery)?;
            let is_published =
                record.is_some_and(|record| record.directory.is_some() && record.expired.is_none());
            let is_own = |name: &str| store.tenants.iter().any(|one| one.name.as_str() == name);
            let own = shares.iter().filter(|share| {
                share.delivery == delivery
                    && share.directory.is_some()
                    && share.expired.is_none()
                    && is_own(&share.tenant)
            });
            let count = usize::from(is_published) + own.count();
            self.deliveries += count;
            self.removed_deliveries += usize::from(is_lost) * count;
        }
        Ok(())
    }
}

/// Returns what is left of data that no tenant of the configuration has any more, or under a name of an agreement that is not
/// known there, in words.
pub(crate) fn left(store: &Store, ledger: &Ledger) -> Result<Vec<String>, Error> {
    let mut former = former_tenants(store, ledger)?;
    former.retain(|former| {
        let dataset = former.dataset.as_ref();
        dataset.is_some_and(|left| left.has_current || left.deliveries != Some(0))
    });
    let mut left: Vec<String> = former.iter().map(ToString::to_string).collect();
    left.extend(left_agreements(store, ledger)?);
    Ok(left)
}

/// Returns what is left that an erasure of this subject does not reach, in words.
pub(super) fn left_after(
    store: &Store,
    ledger: &Ledger,
    subject: &ErasedSubject,
) -> Result<Vec<String>, Error> {
    let agreement = match subject {
        ErasedSubject::Numbers(_) => None,
        ErasedSubject::Agreement(name) => Some(name.as_str()),
        // The directories that the tenant had before are searched too.
        ErasedSubject::Tenant(_) => return Ok(Vec::new()),
    };
    let mut left = match agreement {
        None => left(store, ledger)?,
        Some(name) => left_of_agreement(store, ledger, name)?,
    };
    for empty in empty_datasets(store, ledger)? {
        let mut deliveries = empty.deliveries.iter();
        let is_affected = agreement.is_none_or(|name| deliveries.any(|one| one.agreement == name));
        // An erasure waits for the others, and a disk that does not respond is named already.
        if !empty.is_configured && empty.has_responded && is_affected {
            left.push(format!(
                "{empty}. Until it is there, the targets of its exports are not named"
            ));
        }
    }
    Ok(left)
}

/// Returns the former tenants and former directories that have, or can have, deliveries of an agreement, and what is left under
/// a name of an agreement that is not known, in words. Current tables are not asked for: every run withdraws those of former
/// tenants.
fn left_of_agreement(
    store: &Store,
    ledger: &Ledger,
    agreement: &str,
) -> Result<Vec<String>, Error> {
    let mut former = former_tenants(store, ledger)?;
    former.retain(|former| {
        former.dataset.as_ref().is_some_and(|left| {
            // A disk that does not respond is not asked again.
            left.deliveries.is_none()
                || Dataset::has_deliveries(&left.path, agreement).unwrap_or(true)
        })
    });
    let mut left: Vec<String> = former.iter().map(ToString::to_string).collect();
    left.extend(left_agreements(store, ledger)?);
    Ok(left)
}

/// A line of the log.
#[derive(Serialize)]
struct Line<'a> {
    done: String,
    ordered: String,
    subject: &'a str,
    /// How many numbers were erased, former numbers included.
    numbers: usize,
    /// A digest of the sorted numbers with the key `erasures.key`.
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    reason: Option<&'a str>,
    blanks_references: bool,
    /// The places that were searched.
    places: [PathBuf; 2],
    tenants: BTreeMap<String, PathBuf>,
    /// Data that was not erased, because no tenant of the configuration has it any more.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    left: Vec<String>,
    /// The first generation of each dataset without the persons.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    generations: BTreeMap<String, u64>,
    /// Databases and tables that have not caught up: they were loaded from the datasets before.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    exports: Vec<ExportTarget>,
    /// The files in the places now, by kind.
    files: BTreeMap<&'static str, usize>,
    /// The deliveries that were made again or removed: dataset and sequence number.
    deliveries: Vec<(String, u64)>,
    outside: &'static str,
    written_by: &'static str,
}

/// Returns the proofs of a state directory as text. It is empty if there are none.
fn read(state: &Path) -> Result<Vec<u8>, Error> {
    let path = state.join(PROOF_FILE);
    match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        text => text.map_err(Error::file(path)),
    }
}

/// Returns the lines of a text that are not empty.
fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let lines = text.split(|byte| *byte == b'\n');
    lines.filter(|line| !line.trim_ascii().is_empty())
}

/// What exports must have caught up with, in a line of the log.
#[derive(Deserialize)]
struct Proved {
    ordered: Timestamp,
    done: Timestamp,
    /// The state directory and the unrestricted dataset.
    places: [PathBuf; 2],
    tenants: BTreeMap<String, PathBuf>,
    /// Older versions did not write it.
    #[serde(default)]
    generations: BTreeMap<String, u64>,
}

/// Returns what the proofs of a state directory say of all erasures together; `None` if nothing was erased.
///
/// A line that cannot be read is the proof of an erasure too. It was complete before the file was changed last.
pub(super) fn erased(state: &Path) -> Result<Option<Erased>, Error> {
    let text = read(state)?;
    let mut all: Option<Erased> = None;
    for line in lines(&text) {
        let line = match serde_json::from_slice::<Proved>(line) {
            Ok(line) => Erased {
                // The clock can have been set back in between.
                done: line.done.max(line.ordered),
                datasets: directories(&line.places[1], &line.tenants),
                generations: line.generations,
            },
            Err(_) => Erased {
                done: last_change(state),
                datasets: BTreeSet::new(),
                generations: BTreeMap::new(),
            },
        };
        let Some(known) = &mut all else {
            all = Some(line);
            continue;
        };
        if line.done >= known.done {
            known.done = line.done;
            known.datasets = line.datasets;
        }
        for (dataset, number) in line.generations {
            let newest = known.generations.entry(dataset).or_insert(number);
            *newest = number.max(*newest);
        }
    }
    Ok(all)
}

/// Returns the directories of datasets as the ledger has them.
fn directories(dataset: &Path, tenants: &BTreeMap<String, PathBuf>) -> BTreeSet<PathBuf> {
    let tenants = tenants.values().map(|path| plain_path(path));
    tenants.chain([plain_path(dataset)]).collect()
}

/// Returns the time at which the proofs were changed last, or the latest time if it cannot be read.
fn last_change(state: &Path) -> Timestamp {
    let metadata = fs::metadata(state.join(PROOF_FILE));
    let modified = metadata.and_then(|metadata| metadata.modified());
    let modified = modified.ok().map(Timestamp::try_from);
    modified.and_then(Result::ok).unwrap_or(Timestamp::MAX)
}

/// How many numbers were erased, in a line of the log.
#[derive(Deserialize)]
struct Counted {
    numbers: u64,
}

/// Returns whether a proof of a state directory says that persons were erased. A line that cannot be read counts as such a
/// proof.
pub(super) fn has_numbers(state: &Path) -> Result<bool, Error> {
    let text = read(state)?;
    let has_numbers = |line: &[u8]| {
        let read = serde_json::from_slice(line);
        read.map_or(true, |line: Counted| line.numbers > 0)
    };
    Ok(lines(&text).any(has_numbers))
}

/// Writes the proof of an order that was carried out in a store.
pub(super) fn write(
    store: &Store,
    ledger: &Ledger,
    order: &Order,
    now: Timestamp,
) -> Result<(), Error> {
    let proof = Proof::new(order);
    let digest = match &order.subject {
        ErasedSubject::Numbers(numbers) => {
            let key = list::key(&store.state)?;
            let digits = numbers.iter().map(cprflow::Pnr::as_str);
            let digest = base16ct::lower::encode_string(&key.hash(digits));
            Some(format!("hmac-sha256:{digest}"))
        }
        ErasedSubject::Agreement(_) | ErasedSubject::Tenant(_) => None,
    };
    let mut deliveries = Vec::new();
    let datasets = store
        .tenants
        .iter()
        .map(|tenant| Some(tenant.name.as_str()));
    for tenant in [None].into_iter().chain(datasets) {
        let rewritings = ledger.rewritings(tenant)?.into_iter();
        let erased = rewritings.filter(|one| {
            one.kind == RewritingKind::Erased && one.is_done && one.at >= order.ordered
        });
        let name = tenant.unwrap_or("unrestricted").to_owned();
        deliveries.extend(erased.map(|one| (name.clone(), one.number)));
    }
    let files = [
        ("extracts", ledger.kept_extracts()?.len()),
        ("deliveries", deliveries.len()),
    ];
    let tenants = StoreErasure::of(store).tenants;
    let erased = Erased {
        done: now.max(order.ordered),
        datasets: directories(&store.dataset, &tenants),
        generations: exports::generations(store, ledger)?,
    };
    let line = Line {
        done: now.to_string(),
        ordered: order.ordered.to_string(),
        subject: &proof.subject,
        numbers: proof.numbers,
        digest,
        reason: order.reason.as_deref(),
        blanks_references: order.blank_references,
        places: [store.state.clone(), store.dataset.clone()],
        tenants,
        left: left_after(store, ledger, &order.subject)?,
        exports: exports::behind(store, ledger, &erased)?,
        generations: erased.generations,
        files: files.into(),
        deliveries,
        outside: OUTSIDE,
        written_by: concat!("cprflow ", env!("CARGO_PKG_VERSION")),
    };
    let path = store.state.join(PROOF_FILE);
    let mut text = serde_json::to_vec(&line)
        .map_err(io::Error::other)
        .map_err(Error::file(&path))?;
    text.push(b'\n');
    // A run that was killed after this has written the proof already.
    let known = read(&store.state)?;
    let is_same = |other: &[u8]| {
        let other: serde_json::Value = serde_json::from_slice(other).unwrap_or_default();
        other.get("ordered").and_then(|at| at.as_str()) == Some(line.ordered.as_str())
            && other.get("subject").and_then(|subject| subject.as_str()) == Some(line.subject)
            && other.get("digest").and_then(|digest| digest.as_str()) == line.digest.as_deref()
    };
    if lines(&known).any(is_same) {
        return Ok(());
    }
    let mut all = known;
    // Older versions could leave a part of a line.
    if all.last().is_some_and(|last| *last != b'\n') {
        all.push(b'\n');
    }
    all.append(&mut text);
    // Complete or not at all: a part of a line would count as the erasure of persons.
    write_private_file(&path, &all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_cannot_be_read_has_numbers() {
        let state = tempfile::tempdir().unwrap();
        let has = |text: &[u8]| {
            fs::write(state.path().join(PROOF_FILE), text).unwrap();
            has_numbers(state.path()).unwrap()
        };
        let none = br#"{"subject":"agreement town","numbers":0}"#;
        for text in [&b""[..], b"\n \n", none] {
            assert!(!has(text));
        }
        for part in [
            &br#"{"numbers":2}"#[..],
            &none[..20],
            b"{}",
            b"\xff",
            br#"{"numbers":"2"}"#,
        ] {
            assert!(has(part));
            assert!(has(&[&none[..], part].join(&b'\n')));
            assert!(has(&[part, &none[..]].join(&b'\n')));
        }
    }

    fn erased_by(text: &[u8]) -> Option<Erased> {
        let state = tempfile::tempdir().unwrap();
        fs::write(state.path().join(PROOF_FILE), text).unwrap();
        erased(state.path()).unwrap()
    }

    fn line(done: &str, ordered: &str, dataset: &str) -> String {
        let line = serde_json::json!({
            "done": done,
            "ordered": ordered,
            "places": ["/state", dataset],
            "tenants": {"one": "/one"},
            "generations": {"unrestricted": 4},
        });
        line.to_string()
    }

    #[test]
    fn a_line_that_cannot_be_read_is_an_erasure() {
        assert_eq!(erased_by(b""), None);
        assert_eq!(erased_by(b"\n \n"), None);
        let line = line("2020-03-06T08:00:00Z", "2020-03-05T08:00:00Z", "/dataset");
        let known = erased_by(line.as_bytes()).unwrap();
        assert_eq!(known.done.to_string(), "2020-03-06T08:00:00Z");
        assert_eq!(
            known.datasets,
            ["/dataset", "/one"].map(PathBuf::from).into()
        );
        let begun = Timestamp::now() - jiff::SignedDuration::from_secs(60);
        let without_done = line.replace("\"done\"", "\"x\"");
        for part in [
            &line.as_bytes()[..20],
            b"\xff",
            b"{}",
            without_done.as_bytes(),
        ] {
            let text = [line.as_bytes(), part].join(&b'\n');
            let known = erased_by(&text).unwrap();
            assert!(
                known.done >= begun && known.datasets.is_empty(),
                "{known:?}"
            );
            assert_eq!(known.generations["unrestricted"], 4);
            assert!(erased_by(part).unwrap().done >= begun);
        }
    }

    #[test]
    fn the_newest_erasure_counts() {
        let (first, last) = ("2020-03-05T08:00:00Z", "2020-03-07T08:00:00Z");
        let other = line(first, first, "/other");
        for lines in [
            [line(last, first, "/dataset"), other.clone()],
            [other.clone(), line(last, first, "/dataset")],
            // The clock was set back.
            [line(first, last, "/dataset"), other],
        ] {
            let known = erased_by(lines.join("\n").as_bytes()).unwrap();
            assert_eq!(known.done.to_string(), last, "{lines:?}");
            assert!(known.datasets.contains(Path::new("/dataset")), "{lines:?}");
        }
    }
}
