//! Persons who were erased before, as keyed hashes: `<state>/erasures`, one line for each number with the day of the erasure.
//!
//! An extract that was produced on that day or before is old data: it must not bring the person back, for example from a
//! backup or a late delivery. What CPR produces afterwards is new data about the person.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use arrow::array::{AsArray, RecordBatch};
use jiff::Timestamp;
use sha2::Digest;

use crate::calendar::danish_time;
use crate::error::Error;
use crate::fs::write_private_file;
use crate::keyed_hash::Key;
use crate::ledger::{Ledger, Record, RewritingKind};
use cprflow::{Connector, Pnr, Scan};

/// The name of the file in a state directory.
const FILE_NAME: &str = "erasures";

/// The name of the key's file in a state directory.
const KEY_NAME: &str = "erasures.key";

const DAMAGED_KEY: &str = "the file is not a key for erased persons. Restore it from a backup: without it, an older extract \
                           could bring erased persons back";

/// The hash of a number, in hexadecimal.
pub(super) fn hash(key: &Key, number: &Pnr) -> String {
    base16ct::lower::encode_string(&key.hash([number.as_str()]))
}

/// Opens the key of a state directory, and makes it on first use.
pub(super) fn key(state: &Path) -> Result<Key, Error> {
    Key::open(&state.join(KEY_NAME), DAMAGED_KEY)
}

/// Adds persons to those who were erased, durably.
pub(super) fn remember(state: &Path, numbers: &BTreeSet<Pnr>, now: Timestamp) -> Result<(), Error> {
    let key = key(state)?;
    let day = danish_time(now).date().to_string();
    let mut all = read(state)?;
    for number in numbers {
        // A later erasure counts.
        let known = all.entry(hash(&key, number)).or_default();
        *known = std::mem::take(known).max(day.clone());
    }
    write(state, &all)
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

/// Returns the persons of an extract who were erased on its production date or later, under all numbers that the extract ties to
/// theirs. `open` opens the extract.
pub(crate) fn erased_in<R: io::Read>(
    connector: &Connector,
    state: &Path,
    production_date: &str,
    open: impl FnOnce() -> io::Result<R>,
) -> Result<BTreeSet<Pnr>, Error> {
    let mut erased = read(state)?;
    erased.retain(|_, day| day.as_str() >= production_date);
    if erased.is_empty() {
        return Ok(BTreeSet::new());
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
    let is_erased = |number: &Pnr| erased.contains_key(&hash(&key, number));
    let mut waiting: Vec<Pnr> = all.copied().filter(is_erased).collect();
    let mut found = BTreeSet::new();
    while let Some(number) = waiting.pop() {
        if found.insert(number) {
            waiting.extend(ties.get(&number).into_iter().flatten());
        }
    }
    // A number that only a tie names has no record to leave out.
    found.retain(|number| numbers.contains(number));
    Ok(found)
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

/// Returns a digest of the list; `None` if no person was erased.
pub(crate) fn fingerprint(state: &Path) -> Result<Option<String>, Error> {
    let all = read(state)?;
    let text = serde_json::Value::from_iter(all).to_string();
    let is_empty = text == "{}";
    let digest = base16ct::lower::encode_string(&sha2::Sha256::digest(text));
    Ok((!is_empty).then_some(digest))
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

fn write(state: &Path, all: &BTreeMap<String, String>) -> Result<(), Error> {
    let lines = all.iter().map(|(hash, day)| format!("{day} {hash}\n"));
    write_private_file(&path(state), lines.collect::<String>().as_bytes())
}

/// Returns the day of each hash.
fn read(state: &Path) -> Result<BTreeMap<String, String>, Error> {
    let path = path(state);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(Error::file(path)(error)),
    };
    let mut all = BTreeMap::new();
    for line in text.lines() {
        let (day, hash) = line.split_once(' ').ok_or_else(|| damaged(&path))?;
        all.insert(hash.to_owned(), day.to_owned());
    }
    Ok(all)
}

fn damaged(path: &Path) -> Error {
    Error::file(path)(io::Error::new(
        io::ErrorKind::InvalidData,
        "the list of erased persons cannot be read. Restore it from a backup",
    ))
}

fn path(state: &Path) -> PathBuf {
    state.join(FILE_NAME)
}
