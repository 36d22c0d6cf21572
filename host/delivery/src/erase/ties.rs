//! Numbers that a late extract ties to erased persons.
//!
//! The extract says that an erased person has another number, which the erasure did not know. What is kept under that number is
//! data of the erased person too: it is erased by the same steps before the extract is published. Otherwise the person would
//! be half erased, and shown without a protection that the extract has.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::extracts::{self, State, applied};
use super::known::{self, ErasedInExtract};
use super::list;
use super::persons::ErasedPersons;
use crate::config::Store;
use crate::error::Error;
use crate::ledger::{KeptExtract, Ledger};
use crate::register::Register;
use cprflow::{Connector, ExtractPlace, Pnr, StateScan};

/// What the ledger has in place of a digest of the list of erased persons, until they are erased under their new numbers.
const PENDING: &str = "tied";

/// The place of a late extract among those of its day: after all that are kept.
const NEWEST: u64 = 1 << 32;

/// An extract that is not kept yet.
pub(crate) struct LateExtract<'a> {
    /// The row ID of its delivery.
    pub(crate) delivery: i64,
    pub(crate) agreement: &'a str,
    pub(crate) production_date: &'a str,
    pub(crate) path: &'a Path,
}

/// Returns the numbers that must be erased because an extract ties them to erased persons, each with the day of the erasure.
///
/// The newest records of each agreement decide about ties, as when persons are erased.
pub(crate) fn find(
    connector: &Connector,
    store: &Store,
    ledger: &Ledger,
    late: &LateExtract<'_>,
    erased: &ErasedInExtract,
) -> Result<BTreeMap<Pnr, String>, Error> {
    if !erased.has_new {
        return Ok(BTreeMap::new());
    }
    let mut agreements: BTreeMap<String, Vec<KeptExtract>> = BTreeMap::new();
    agreements.entry(late.agreement.to_owned()).or_default();
    for kept in applied(store, ledger)? {
        // A run that was killed may have kept it.
        if kept.delivery != late.delivery {
            let name = kept.agreement.clone();
            agreements.entry(name).or_default().push(kept);
        }
    }
    let register = Register::of(&store.state);
    let late_place = ExtractPlace {
        production_date: late.production_date.to_owned(),
        sequence: NEWEST,
        agreement: late.agreement.to_owned(),
    };
    let mut surveys = Vec::new();
    for (agreement, extracts) in agreements {
        let state = State::new(&register, extracts);
        let mut places = state.places();
        if agreement == late.agreement {
            places.push(late_place.clone());
            places.sort_by_key(|place| Reverse((place.production_date.clone(), place.sequence)));
        }
        let (mut open, late_place) = (state.open(), late_place.clone());
        let path: PathBuf = late.path.to_owned();
        let survey = StateScan::new(connector).survey(places, move |wanted| {
            if *wanted != late_place {
                return open(wanted);
            }
            let extract: Box<dyn Read + Send> = Box::new(File::open(&path)?);
            Ok(extract)
        })?;
        surveys.push(survey);
    }
    let mut days = erased.known.clone();
    loop {
        let before = days.clone();
        for survey in &mut surveys {
            for (number, day) in days.clone() {
                for tied in survey.tied_numbers(&[number])? {
                    let known = days.entry(tied).or_default();
                    if *known < day {
                        known.clone_from(&day);
                    }
                }
            }
        }
        if days == before {
            break;
        }
    }
    let numbers: BTreeSet<Pnr> = days.keys().copied().collect();
    let listed = known::days(&store.state, &numbers)?;
    days.retain(|number, day| listed.get(number).is_none_or(|known| *known < *day));
    Ok(days)
}

/// Fails if these persons cannot be erased. Changes nothing.
pub(crate) fn check(
    connector: &Connector,
    store: &Store,
    ledger: &Ledger,
    tied: &BTreeMap<Pnr, String>,
) -> Result<(), Error> {
    let numbers = tied.keys().copied().collect();
    let persons = ErasedPersons::until(numbers, tied.clone());
    extracts::survey(connector, store, ledger, &persons, false)?;
    Ok(())
}

/// Adds numbers to the erased persons. The next run erases what there is of them.
pub(crate) fn remember(
    store: &Store,
    ledger: &Ledger,
    tied: &BTreeMap<Pnr, String>,
) -> Result<(), Error> {
    ledger.set_erasures_applied(&list::mark(PENDING, list::count(&store.state)?))?;
    crate::failpoint::reached("erase-tied");
    known::remember_days(&store.state, tied)
}

/// Returns whether numbers that were tied to erased persons are still to be erased.
pub(crate) fn is_pending(ledger: &Ledger) -> Result<bool, Error> {
    let applied = ledger.erasures_applied()?;
    Ok(applied.is_some_and(|mark| mark.starts_with(PENDING)))
}
