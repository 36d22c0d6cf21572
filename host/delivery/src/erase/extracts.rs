//! The kept extracts without the erased persons, and the deliveries that were made from these extracts.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use arrow::array::{AsArray, RecordBatch};
use jiff::Timestamp;
use serde::Serialize;

use super::EraseError;
use super::persons::ErasedPersons;
use crate::config::Store;
use crate::error::Error;
use crate::fs::remove_file;
use crate::ledger::{KeptExtract, Ledger, RewritingKind};
use crate::register::{Register, open_file};
use crate::stop::{CheckedWriter, Stop};
use crate::sync::numbers_in;
use cprflow::{Connector, CopyReport, ExtractCopy, ExtractPlace, Pnr};

/// A kept extract that has one of the persons.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ErasedExtract {
    /// The name of the agreement.
    pub agreement: String,
    /// The day that orders the extracts, `YYYY-MM-DD`.
    pub production_date: String,
    /// The name of the file in the register.
    pub file: String,
    /// The number of records that are left out.
    pub left_out: u64,
    /// The number of records of other persons that name an erased person.
    pub referring: u64,
    /// The number of those in which the erased persons are blanked.
    pub blanked: u64,
    /// The row ID of the delivery.
    #[serde(skip)]
    pub(super) delivery: i64,
}

impl ErasedExtract {
    fn new(kept: &KeptExtract, report: &CopyReport) -> Self {
        Self {
            agreement: kept.agreement.clone(),
            production_date: kept.production_date.clone(),
            file: kept.file.clone(),
            left_out: report.records_left_out(),
            referring: report.referring,
            blanked: report.blanked,
            delivery: kept.delivery,
        }
    }

    /// Returns whether the extract changes.
    pub(super) fn is_changed(&self) -> bool {
        self.left_out > 0 || self.blanked > 0
    }
}

/// Returns the kept extracts of a store whose files are as they were written, applied or not, newest first.
///
/// One changed file must not stop an erasure from all others. The erasure is not complete as long as there is one: see
/// [`damaged`].
pub(super) fn applied(store: &Store, ledger: &Ledger) -> Result<Vec<KeptExtract>, Error> {
    let (mut whole, _) = by_state(store, ledger)?;
    whole.reverse();
    Ok(whole)
}

/// Returns the kept extracts of a store whose files are gone or were changed, and whose loss no person has accepted. They may
/// have erased persons, and may come back from a backup.
pub(super) fn damaged(store: &Store, ledger: &Ledger) -> Result<Vec<KeptExtract>, Error> {
    Ok(by_state(store, ledger)?.1)
}

/// Returns the kept extracts of a store: those whose files are as they were written, and the others.
fn by_state(store: &Store, ledger: &Ledger) -> Result<(Vec<KeptExtract>, Vec<KeptExtract>), Error> {
    let register = Register::of(&store.state);
    let (mut whole, mut damaged) = (Vec::new(), Vec::new());
    for kept in ledger.kept_extracts()? {
        match register.is_whole(&kept)? {
            true => whole.push(kept),
            false => damaged.push(kept),
        }
    }
    Ok((whole, damaged))
}

/// Returns the kept extracts of a store that have one of the persons. Changes nothing.
pub(super) fn survey(
    connector: &Connector,
    store: &Store,
    ledger: &Ledger,
    persons: &ErasedPersons,
    blank: bool,
) -> Result<Vec<ErasedExtract>, Error> {
    let register = Register::of(&store.state);
    let mut found = Vec::new();
    for kept in applied(store, ledger)? {
        let path = register.path(&kept);
        let numbers = persons.in_extract(&kept.production_date);
        if !has_number(&path, &numbers)? {
            continue;
        }
        let input = open_file(&path).map_err(Error::file(&path))?;
        let copy = ExtractCopy::new(connector)
            .erased(&numbers)
            .blank_references(blank);
        let report = copy
            .copy(input, io::sink())
            .map_err(|error| not_separable(&kept, error))?;
        if !report.is_identical() || report.referring > 0 {
            found.push(ErasedExtract::new(&kept, &report));
        }
    }
    found.reverse();
    Ok(found)
}

/// Rewrites the kept extracts of a store that have one of the persons, and notes the deliveries that were made from them.
pub(super) fn rewrite_all(
    connector: &Connector,
    store: &Store,
    ledger: &mut Ledger,
    persons: &ErasedPersons,
    blank: bool,
    stop: &Stop,
    now: Timestamp,
) -> Result<(), Error> {
    let register = Register::of(&store.state);
    for kept in applied(store, ledger)? {
        stop.check()?;
        let path = register.path(&kept);
        let numbers = persons.in_extract(&kept.production_date);
        if !has_number(&path, &numbers)? {
            continue;
        }
        let copy = ExtractCopy::new(connector)
            .erased(&numbers)
            .blank_references(blank);
        let mut report = CopyReport::default();
        let stored = register.rewrite(&kept, |sink| {
            let input = open_file(&path).map_err(Error::file(&path))?;
            let sink = CheckedWriter { sink, stop };
            report = copy
                .copy(input, sink)
                .map_err(|error| not_separable(&kept, error))?;
            Ok(())
        })?;
        if report.is_identical() {
            remove_file(&register.agreement(&kept.agreement).join(&stored.file))?;
            continue;
        }
        crate::failpoint::reached("erase-rewritten");
        ledger.transaction(|ledger| {
            ledger.replace_kept(kept.id, &stored, kept.kept)?;
            note_deliveries(ledger, kept.delivery, now)
        })?;
        crate::failpoint::reached("erase-noted");
        remove_file(&path)?;
        crate::failpoint::reached("erase-replaced");
    }
    // What a run left that was killed between two of these steps.
    register.remove_unknown(&ledger.kept_extracts()?)
}

/// Notes that the deliveries made from an extract are to be made again, also those of tenants that are not configured now: if
/// such a tenant comes back, the next run makes them again.
pub(super) fn note_deliveries(ledger: &Ledger, delivery: i64, now: Timestamp) -> Result<(), Error> {
    let record = ledger.delivery(delivery)?;
    let has_directory = record.is_some_and(|record| {
        record.state.is_published() && record.directory.is_some() && record.expired.is_none()
    });
    let kind = RewritingKind::Erased;
    if has_directory {
        ledger.begin_rewriting(delivery, None, kind, now)?;
    }
    let mut shares = ledger.tenant_deliveries()?;
    shares.retain(|share| {
        share.delivery == delivery
            && share.published.is_some()
            && share.directory.is_some()
            && share.expired.is_none()
    });
    for share in shares {
        ledger.begin_rewriting(delivery, Some(&share.tenant), kind, now)?;
    }
    Ok(())
}

/// Returns whether one of the numbers stands anywhere in a kept extract.
pub(super) fn has_number(path: &Path, numbers: &BTreeSet<Pnr>) -> Result<bool, Error> {
    Ok(!found_numbers(path, numbers)?.is_empty())
}

/// Returns those of the numbers that stand anywhere in a kept extract.
pub(super) fn found_numbers(path: &Path, numbers: &BTreeSet<Pnr>) -> Result<BTreeSet<Pnr>, Error> {
    if numbers.is_empty() {
        return Ok(BTreeSet::new());
    }
    let extract = open_file(path).map_err(Error::file(path))?;
    numbers_in(extract, numbers).map_err(Error::file(path))
}

/// Notes the deliveries whose extracts the register does not have. They may have the persons, and cannot be made again.
pub(super) fn note_without_extract(
    store: &Store,
    ledger: &mut Ledger,
    now: Timestamp,
) -> Result<(), Error> {
    for delivery in without_extract(store, ledger)? {
        ledger.transaction(|ledger| note_deliveries(ledger, delivery, now))?;
    }
    Ok(())
}

/// Returns the published deliveries whose extracts the register does not have.
pub(super) fn without_extract(store: &Store, ledger: &Ledger) -> Result<Vec<i64>, Error> {
    let kept: BTreeSet<i64> = applied(store, ledger)?
        .into_iter()
        .map(|kept| kept.delivery)
        .collect();
    let records = ledger.all()?.into_iter();
    let lost = records.filter(|one| one.state.is_published() && !kept.contains(&one.id));
    Ok(lost.map(|record| record.id).collect())
}

fn not_separable(kept: &KeptExtract, error: cprflow::Error) -> Error {
    match error {
        cprflow::Error::Data(reason) => EraseError::NotSeparable {
            agreement: kept.agreement.clone(),
            production_date: kept.production_date.clone(),
            reason: reason.to_string(),
        }
        .into(),
        error => error.into(),
    }
}

/// Returns the person numbers in the first column of a batch.
pub(super) fn column(batch: &RecordBatch) -> impl Iterator<Item = Pnr> {
    let texts = batch.columns().first();
    let texts = texts.and_then(|texts| texts.as_string_opt::<i32>());
    let numbers = texts.into_iter().flat_map(|texts| texts.iter().flatten());
    numbers.filter_map(|text| text.parse().ok())
}

/// Extracts of one register, newest first.
pub(super) struct State {
    extracts: Vec<(ExtractPlace, PathBuf)>,
}

impl State {
    pub(super) fn new(register: &Register, extracts: Vec<KeptExtract>) -> Self {
        let extracts = extracts.into_iter().map(|kept| {
            let path = register.path(&kept);
            let place = ExtractPlace {
                production_date: kept.production_date,
                sequence: kept.sequence,
                agreement: kept.agreement,
            };
            (place, path)
        });
        Self {
            extracts: extracts.collect(),
        }
    }

    pub(super) fn places(&self) -> Vec<ExtractPlace> {
        let places = self.extracts.iter();
        places.map(|(place, _)| place.clone()).collect()
    }

    pub(super) fn open(
        &self,
    ) -> impl FnMut(&ExtractPlace) -> io::Result<Box<dyn io::Read + Send>> + Send + 'static + use<>
    {
        let extracts = self.extracts.clone();
        move |wanted| {
            let found = extracts.iter().find(|(place, _)| place == wanted);
            let (_, path) = found.ok_or(io::ErrorKind::NotFound)?;
            Ok(Box::new(open_file(path)?))
        }
    }
}
