//! The protections of agreements that a tenant has seen and no longer may see, for example because they have ended.
//!
//! Protection is the union over the agreements of a tenant. A person can be protected in one of them alone, and its
//! agreement no longer tells whether that protection still holds. So it counts as long as the extracts
//! are kept.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Seek, Write};
use std::path::Path;

use arrow::array::{Array, AsArray, RecordBatch};

use super::tables::{CheckedReader, places};
use super::update::Check;
use crate::error::Error;
use crate::ledger::KeptExtract;
use crate::register::{Register, open_file};
use cprflow::{Connector, ExtractCopy, Pnr, Scan, StateScan, TableBatch};

/// The day of the extract with the protections. It is older than every other one, so that nothing else of it counts.
pub(super) const DAY: &str = "1900-01-01";

/// The agreement of that extract. No agreement of a configuration can have this name, so none ends the protections.
pub(super) const AGREEMENT: &str = "(former)";

/// The tables that say who is protected: the table, the column with the number, and the column with the mark.
const TABLES: [(&str, &str, &str); 4] = [
    ("protection", "pnr", "protection_type"),
    ("mother_address", "mother_pnr", "protection_start_date"),
    ("father_address", "father_pnr", "protection_start_date"),
    ("child_address", "child_pnr", "protection_start_date"),
];

/// The table of lines that cannot be read.
const REJECTED: &str = "rejected_record";

/// The table with all persons.
const PERSON: &str = "person";

/// Returns an extract that has only protections: those in the newest state of each agreement, and those of `known` persons.
///
/// `directory` holds a copy of one extract at a time, in a file without a name. `extracts` are in the order in which they
/// apply.
pub(super) fn protections(
    connector: &Connector,
    extracts: &[(Register, KeptExtract)],
    known: &BTreeSet<Pnr>,
    directory: &Path,
    check: &Check,
) -> Result<Vec<u8>, Error> {
    let (places, paths) = places(extracts);
    let opener = {
        let (paths, check) = (paths.clone(), check.clone());
        move |place: &_| {
            let path = BTreeMap::get(&paths, place).ok_or(io::ErrorKind::NotFound)?;
            Ok(CheckedReader {
                reader: open_file(path)?,
                check: check.clone(),
            })
        }
    };
    let surveyed = StateScan::new(connector).survey(places.clone(), opener);
    let mut survey = surveyed.or_else(|error| check().and(Err(error.into())))?;
    let mut protected: BTreeSet<String> = known.iter().map(|one| one.as_str().to_owned()).collect();
    for (index, place) in places.iter().enumerate() {
        let path = paths
            .get(place)
            .ok_or_else(|| Error::file(directory)(io::ErrorKind::NotFound.into()))?;
        let input = CheckedReader {
            reader: open_file(path).map_err(Error::file(path))?,
            check: check.clone(),
        };
        let mut copy = tempfile::tempfile_in(directory).map_err(Error::file(directory))?;
        let superseded = survey.superseded_persons(index)?;
        let sink = io::BufWriter::new(&mut copy);
        let copied = ExtractCopy::new(connector)
            .superseded(superseded)
            .copy(input, sink);
        copied.or_else(|error| check().and(Err(Error::from(error))))?;
        copy.rewind().map_err(Error::file(directory))?;
        add_protected(connector, copy, &mut protected)?;
    }
    extract(&protected).map_err(Error::file(directory))
}

/// Adds the persons whom an extract protects. If it has lines that cannot be read, one of them can be a protection, so all
/// its persons are added.
fn add_protected(
    connector: &Connector,
    extract: File,
    protected: &mut BTreeSet<String>,
) -> Result<(), Error> {
    let mut scan = Scan::new(connector);
    for (table, ..) in TABLES {
        scan = scan.table(table);
    }
    let mut persons = BTreeSet::new();
    let mut is_damaged = false;
    for batch in scan.table(PERSON).table(REJECTED).read_all(extract)? {
        let TableBatch { table, batch } = batch?;
        match TABLES.iter().find(|(name, ..)| *name == table) {
            Some((_, number, mark)) => {
                let is_marked = marks(&batch, mark);
                let numbers = texts(&batch, number);
                let marked = numbers.into_iter().zip(is_marked);
                protected
                    .extend(marked.filter_map(|(number, is_marked)| number.filter(|_| is_marked)));
            }
            None if table == REJECTED => is_damaged |= batch.num_rows() > 0,
            None => persons.extend(texts(&batch, "pnr").into_iter().flatten()),
        }
    }
    if is_damaged {
        protected.extend(persons);
    }
    Ok(())
}

/// Returns for each row whether it says that its person is protected. A value that cannot be read says so.
fn marks(batch: &RecordBatch, column: &str) -> Vec<bool> {
    let rows = 0..batch.num_rows();
    let Some(values) = batch.column_by_name(column) else {
        return rows.map(|_| true).collect();
    };
    match values.as_string_opt::<i32>() {
        // A type of 004: all others of four digits are no protection of name and address.
        Some(types) => rows
            .map(|row| {
                let kind = types.is_valid(row).then(|| types.value(row));
                kind.is_none_or(|kind| {
                    kind == "0001"
                        || kind.len() != 4
                        || !kind.bytes().all(|byte| byte.is_ascii_digit())
                })
            })
            .collect(),
        None => {
            let irregular = batch.column_by_name("irregular");
            rows.map(|row| {
                values.is_valid(row) || irregular.is_none_or(|irregular| irregular.is_valid(row))
            })
            .collect()
        }
    }
}

fn texts(batch: &RecordBatch, column: &str) -> Vec<Option<String>> {
    let values = batch
        .column_by_name(column)
        .and_then(|values| values.as_string_opt::<i32>());
    match values {
        Some(values) => values
            .iter()
            .map(|value| value.map(str::to_owned))
            .collect(),
        None => vec![None; batch.num_rows()],
    }
}

fn extract(protected: &BTreeSet<String>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(18 * protected.len() + 64);
    let day = DAY.replace('-', "");
    writeln!(bytes, "0000000000000000000{day}")?;
    for number in protected {
        writeln!(bytes, "004{number}0001")?;
    }
    writeln!(bytes, "9999999999999{:08}", protected.len())?;
    Ok(bytes)
}
