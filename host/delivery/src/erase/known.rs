//! Persons who were erased before, as keyed hashes with the last day of old data ([`remember`]). The file is in `list`.
//!
//! An extract that was produced on that day or before is old data: it must not bring the person back, for example from a
//! backup or a late delivery. What CPR produces afterwards is new data about the person.

use std::cmp::Reverse;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use arrow::array::{AsArray, RecordBatch};
use jiff::Timestamp;
use sha2::Digest;

use super::list::{self, KEY_NAME, key, path, read, write};
use crate::calendar::danish_time;
use crate::error::Error;
use crate::fs::write_private_file;
use crate::keyed_hash::Key;
use crate::ledger::{Ledger, Record, RewritingKind};
use cprflow::{Connector, Pnr, Scan};

/// The hash of a number, in hexadecimal.
pub(super) fn hash(key: &Key, number: &Pnr) -> String {
    base16ct::lower::encode_string(&key.hash([number.as_str()]))
}

/// Adds persons to those who were erased, durably.
pub(super) fn remember(
    state: &Path,
    ledger: &Ledger,
    numbers: &BTreeSet<Pnr>,
    now: Timestamp,
) -> Result<(), Error> {
    let day = last_day(ledger, now)?;
    let day_of = |number: &Pnr| (*number, day.clone());
    let days: BTreeMap<Pnr, String> = numbers.iter().map(day_of).collect();
    remember_days(state, &days)
}

/// Returns the last day of old data, `YYYY-MM-DD`: today, or the production date of the newest delivery that was published
/// or kept, or the day of the current tables, whichever is later.
///
/// The clock can be behind, and an extract can be dated tomorrow. What the erasure had before it is old data in any case: a
/// backup that has it must not bring the persons back.
fn last_day(ledger: &Ledger, now: Timestamp) -> Result<String, Error> {
    let mut days = vec![danish_time(now).date().to_string()];
    days.extend(ledger.newest_generation_day()?);
    let kept = ledger.kept_extracts()?.into_iter();
    days.extend(kept.map(|kept| kept.production_date));
    // The register may have lost an extract that a backup still has.
    let records = ledger.all()?;
    let published = records.iter().filter(|record| record.state.is_published());
    days.extend(published.filter_map(|record| record.production_date().map(str::to_owned)));
    Ok(days.into_iter().max().unwrap_or_default())
}

/// Adds persons to those who were erased, each with the day of the erasure, durably.
pub(super) fn remember_days(state: &Path, days: &BTreeMap<Pnr, String>) -> Result<(), Error> {
    let key = key(state)?;
    let mut all = read(state)?;
    for (number, day) in days {
        // A later erasure counts.
        let known = all.entry(hash(&key, number)).or_default();
        *known = std::mem::take(known).max(day.clone());
    }
    write(state, &all)
}

/// Returns the days on which these persons were erased, without those who were not.
pub(crate) fn days(state: &Path, numbers: &BTreeSet<Pnr>) -> Result<BTreeMap<Pnr, String>, Error> {
    let all = read(state)?;
    if all.is_empty() || numbers.is_empty() {
        return Ok(BTreeMap::new());
    }
    let key = key(state)?;
    let day = |number: &Pnr| Some((*number, all.get(&hash(&key, number))?.clone()));
    Ok(numbers.iter().filter_map(day).collect())
}

/// The persons of an extract who were erased on its production date or later.
#[derive(Default)]
pub(crate) struct ErasedInExtract {
    /// Their numbers that have records in the extract, also those that only the extract ties to theirs.
    pub(crate) numbers: BTreeSet<Pnr>,
    /// Their numbers in the list of erased persons, with or without records in the extract, each with its day.
    pub(crate) known: BTreeMap<Pnr, String>,
    /// Whether the extract ties a number to theirs that was not erased, or on an earlier day.
    pub(crate) has_new: bool,
}

/// Notes that a delivery that was found in a dataset is to be made again, if persons were erased on its production date or later:
/// it may be an older copy, which has them.
pub(crate) fn note_adopted(
    state: &Path,
    ledger: &Ledger,
    record: &Record,
    tenant: Option<&str>,
    now: Timestamp,
) -> Result<(), Error> {
    let newest = read(state)?.into_values().max();
    let is_old = newest.is_some_and(|day| {
        record
            .production_date()
            .is_none_or(|date| date <= day.as_str())
    });
    match is_old {
        true => Ok(ledger.begin_rewriting(record.id, tenant, RewritingKind::Erased, now)?),
        false => Ok(()),
    }
}

/// Returns the persons of an extract who were erased on its production date or later. `open` opens the extract.
pub(crate) fn erased_in<R: io::Read>(
    connector: &Connector,
    state: &Path,
    production_date: &str,
    open: impl FnOnce() -> io::Result<R>,
) -> Result<ErasedInExtract, Error> {
    let mut erased = read(state)?;
    erased.retain(|_, day| day.as_str() >= production_date);
    if erased.is_empty() {
        return Ok(ErasedInExtract::default());
    }
    let key = key(state)?;
    let mut scan = Scan::new(connector);
    for table in connector.catalog().tables() {
        let has = |name: &str| table.columns.iter().any(|column| column.name == name);
        if has("pnr") {
            let tie = TIES
                .into_iter()
                .find(|(of, column)| *of == table.name && has(column));
            let columns = ["pnr"].into_iter().chain(tie.map(|(_, column)| column));
            scan = scan.table(&table.name).columns(columns);
        }
    }
    let extract = open().map_err(cprflow::Error::Input)?;
    let mut numbers = BTreeSet::new();
    // Which other numbers the records give to each number.
    let mut ties: BTreeMap<Pnr, BTreeSet<Pnr>> = BTreeMap::new();
    for batch in scan.read_all(extract)? {
        match batch {
            Ok(batch) => {
                numbers.extend(column(&batch.batch, 0).flatten());
                let others = column(&batch.batch, 1);
                for (one, other) in column(&batch.batch, 0).zip(others) {
                    if let (Some(one), Some(other)) = (one, other) {
                        ties.entry(one).or_default().insert(other);
                        ties.entry(other).or_default().insert(one);
                    }
                }
            }
            // What follows the damage is not published either.
            Err(cprflow::Error::Data(_)) => break,
            Err(error) => return Err(error.into()),
        }
    }
    let all = numbers.iter().chain(ties.keys());
    let day = |number: &Pnr| Some((*number, erased.get(&hash(&key, number))?.clone()));
    let known: BTreeMap<Pnr, String> = all.filter_map(day).collect();
    let mut found = with_ties(&known, &ties);
    let has_new = found
        .iter()
        .any(|(number, day)| known.get(number).is_none_or(|known| known < day));
    // A number that only a tie names has no record to leave out.
    found.retain(|number, _| numbers.contains(number));
    Ok(ErasedInExtract {
        numbers: found.into_keys().collect(),
        known,
        has_new,
    })
}

/// Returns erased persons under all numbers that are tied to theirs, each with the newest day on which the person was erased.
fn with_ties(
    known: &BTreeMap<Pnr, String>,
    ties: &BTreeMap<Pnr, BTreeSet<Pnr>>,
) -> BTreeMap<Pnr, String> {
    let mut newest_first: Vec<(&Pnr, &String)> = known.iter().collect();
    newest_first.sort_by_key(|(_, day)| Reverse(*day));
    let mut found = BTreeMap::new();
    for (number, day) in newest_first {
        let mut waiting = vec![*number];
        while let Some(number) = waiting.pop() {
            if let Entry::Vacant(entry) = found.entry(number) {
                entry.insert(day.clone());
                waiting.extend(ties.get(&number).into_iter().flatten());
            }
        }
    }
    found
}

/// The tables that tie two numbers of a person, and the column with the other number.
const TIES: [(&str, &str); 2] = [("person", "current_pnr"), ("former_pnr", "former_pnr")];

/// Returns the person numbers in a column of a batch, row by row; none if the batch has no such column.
fn column(batch: &RecordBatch, index: usize) -> impl Iterator<Item = Option<Pnr>> {
    let texts = batch.columns().get(index);
    let texts = texts.and_then(|texts| texts.as_string_opt::<i32>());
    let numbers = texts.into_iter().flat_map(|texts| texts.iter());
    numbers.map(|text| text.and_then(|text| text.parse().ok()))
}

/// Returns a digest of the list and the number of its lines; `None` if no person was erased.
pub(crate) fn fingerprint(state: &Path) -> Result<Option<String>, Error> {
    let all = read(state)?;
    let count = all.len();
    let text = serde_json::Value::from_iter(all).to_string();
    let is_empty = text == "{}";
    let digest = base16ct::lower::encode_string(&sha2::Sha256::digest(text));
    Ok((!is_empty).then(|| list::mark(&digest, count)))
}

/// The list of a state directory has hashes by another key.
pub(crate) struct OtherKey(pub(crate) PathBuf);

/// Returns whether a state directory names persons who were erased.
pub(crate) fn exists(state: &Path) -> bool {
    path(state).is_file()
}

/// Adds the erased persons of one state directory to those of another one. Returns whether the first one names any.
pub(crate) fn merge<E: From<Error> + From<OtherKey>>(from: &Path, into: &Path) -> Result<bool, E> {
    let added = read(from)?;
    if added.is_empty() {
        return Ok(false);
    }
    let key = fs::read(from.join(KEY_NAME)).map_err(Error::file(from.join(KEY_NAME)))?;
    match fs::read(into.join(KEY_NAME)) {
        Ok(known) if known != key => return Err(OtherKey(path(from)).into()),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            write_private_file(&into.join(KEY_NAME), &key)?;
        }
        Err(error) => return Err(Error::file(into.join(KEY_NAME))(error).into()),
    }
    let mut all = read(into)?;
    for (hash, day) in added {
        let known = all.entry(hash).or_default();
        *known = std::mem::take(known).max(day);
    }
    write(into, &all)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_was_erased_on_the_newest_day_of_all_numbers() {
        let numbers: [Pnr; 4] = ["0101010010", "0101010029", "0101010037", "0101010045"]
            .map(|one| one.parse().unwrap());
        let [one, two, three, other] = numbers;
        let day = |day: &str| format!("2026-03-0{day}");
        let known = BTreeMap::from([(one, day("1")), (three, day("3")), (other, day("2"))]);
        let ties = [(one, two), (two, one), (two, three), (three, two)];
        let mut all: BTreeMap<Pnr, BTreeSet<Pnr>> = BTreeMap::new();
        for (from, to) in ties {
            all.entry(from).or_default().insert(to);
        }
        let expected = [(one, "3"), (two, "3"), (three, "3"), (other, "2")];
        let expected = expected.map(|(number, last)| (number, day(last)));
        assert_eq!(with_ties(&known, &all), BTreeMap::from(expected));
        assert!(with_ties(&BTreeMap::new(), &all).is_empty());
    }

    #[test]
    fn the_later_day_of_an_erasure_counts() {
        let state = tempfile::tempdir().unwrap();
        let [one, other]: [Pnr; 2] = ["0101010010", "0101010029"].map(|one| one.parse().unwrap());
        let both = BTreeSet::from([one, other]);
        assert!(days(state.path(), &both).unwrap().is_empty());
        for day in ["2026-03-02", "2026-03-03", "2026-03-01"] {
            let day = BTreeMap::from([(one, day.to_owned())]);
            remember_days(state.path(), &day).unwrap();
        }
        let found = days(state.path(), &both).unwrap();
        assert_eq!(found, BTreeMap::from([(one, "2026-03-03".to_owned())]));
    }
}
