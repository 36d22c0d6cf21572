//! The persons whom the agreements of a tenant protect, each by itself.
//!
//! Protection is the union over the agreements of a tenant, also over those that it may no longer see, for example because they
//! have ended. A newer record of another agreement tells nothing of what an agreement says: a protection, a tie between two
//! numbers, two different 001, a line that cannot be read. So each agreement is judged by its own extracts, as if it were the
//! only one. A person who is protected under one number is protected under all of them, whichever agreement ties them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, RecordBatch, StringArray, new_null_array};

use super::tables::places;
use crate::error::Error;
use crate::ledger::KeptExtract;
use crate::register::Register;
use cprflow::{AGREEMENT as AGREEMENT_COLUMN, AS_OF, Pnr, PolicyView, StateScan, TableBatch};

/// The day of the extract with the protections. It is older than every other one, so that nothing else of it counts.
pub(super) const DAY: &str = "1900-01-01";

/// The same in days since 1970.
const DAY_NUMBER: i32 = -25_567;

/// The table of protections.
const PROTECTION: &str = "protection";

/// The agreement of that extract. No agreement of a configuration can have this name, so none ends the protections.
pub(super) const AGREEMENT: &str = "(former)";

/// Returns the persons whom the agreements of these extracts protect, and `known` persons, under all their numbers.
///
/// `extracts` are in the order in which they apply, and `open` opens one. `scan` has the limits.
pub(crate) fn protected_persons<R: Read + Send + 'static>(
    scan: &StateScan,
    extracts: &[(Register, KeptExtract)],
    known: &BTreeSet<Pnr>,
    open: impl Fn(&Path) -> io::Result<R> + Clone + Send + 'static,
) -> Result<BTreeSet<Pnr>, Error> {
    let mut agreements: BTreeMap<&str, Vec<(Register, KeptExtract)>> = BTreeMap::new();
    for (register, kept) in extracts {
        let own = agreements.entry(kept.agreement.as_str()).or_default();
        own.push((register.clone(), kept.clone()));
    }
    let mut surveys = Vec::new();
    for extracts in agreements.values() {
        let (places, paths) = places(extracts);
        let open = open.clone();
        let mut survey = scan.clone().survey(places, move |place| {
            open(paths.get(place).ok_or(io::ErrorKind::NotFound)?)
        })?;
        let own: BTreeSet<Pnr> = survey.protected_numbers()?.into_iter().collect();
        surveys.push((survey, own));
    }
    // The numbers that an agreement ties to those whom others protect.
    let mut tied = BTreeSet::new();
    loop {
        let before = tied.len();
        for index in 0..surveys.len() {
            let others = surveys
                .iter()
                .enumerate()
                .filter(|(other, _)| *other != index);
            let others = others.flat_map(|(_, (_, own))| own);
            let of_others: BTreeSet<Pnr> = others.chain(known).chain(&tied).copied().collect();
            let of_others: Vec<Pnr> = of_others.into_iter().collect();
            if let Some((survey, _)) = surveys.get_mut(index) {
                tied.extend(survey.tied_numbers(&of_others)?);
            }
        }
        if tied.len() == before {
            break;
        }
    }
    let mut protected: BTreeSet<Pnr> = surveys.into_iter().flat_map(|(_, own)| own).collect();
    protected.extend(known);
    protected.extend(tied);
    Ok(protected)
}

/// Returns rows of the table `protection` for persons whom records of erased persons protected: type 0001 and no dates, which is
/// in force. `None` if there are none.
pub(super) fn rows(
    view: &PolicyView,
    protected: &BTreeSet<Pnr>,
) -> Result<Option<TableBatch>, Error> {
    let table = view.table(PROTECTION);
    let Some(schema) = table
        .and_then(|table| table.schema(None))
        .filter(|_| !protected.is_empty())
    else {
        return Ok(None);
    };
    let count = protected.len();
    let columns = schema.fields().iter().map(|field| -> ArrayRef {
        match field.name().as_str() {
            "pnr" => Arc::new(StringArray::from_iter_values(
                protected.iter().map(Pnr::as_str),
            )),
            "protection_type" => Arc::new(StringArray::from(vec!["0001"; count])),
            AGREEMENT_COLUMN => Arc::new(StringArray::from(vec![AGREEMENT; count])),
            AS_OF => Arc::new(Date32Array::from(vec![DAY_NUMBER; count])),
            _ => new_null_array(field.data_type(), count),
        }
    });
    let columns = columns.collect();
    let batch = RecordBatch::try_new(schema, columns).map_err(cprflow::Error::Output)?;
    Ok(Some(TableBatch {
        table: PROTECTION.to_owned(),
        batch,
    }))
}

/// Returns an extract that has only the protections of these persons.
pub(super) fn extract(protected: &BTreeSet<Pnr>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(18 * protected.len() + 64);
    let day = DAY.replace('-', "");
    writeln!(bytes, "0000000000000000000{day}")?;
    for number in protected {
        writeln!(bytes, "004{}0001", number.as_str())?;
    }
    writeln!(bytes, "9999999999999{:08}", protected.len())?;
    Ok(bytes)
}
