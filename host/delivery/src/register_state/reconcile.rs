//! Compares the register with a new full load.

use std::collections::BTreeSet;

use arrow::array::AsArray;
use arrow::datatypes::Date32Type;
use jiff::civil::Date;

use super::{RegisterState, RegisterStateError, find_store};
use crate::calendar::danish_time;
use crate::config::Configuration;
use crate::error::Error;
use crate::ledger::{Reason, Record, State};
use crate::names::AgreementName;
use cprflow::{Connector, Pnr, StateScan};

/// The persons whom a new full load does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reconciliation {
    /// The day since which deliveries count as the full load.
    pub since: Date,
    /// The number of persons in the register.
    pub persons: u64,
    /// The numbers of the persons who were in no delivery since that day, sorted.
    pub not_seen: Vec<Pnr>,
    /// How many more numbers were in no delivery, because they are former numbers of persons who were in one.
    pub former_numbers: usize,
    /// How many deliveries since that day a person has set aside. Persons whom only they have are in the list.
    pub set_aside: usize,
}

/// Returns the persons of an agreement who were in no delivery since a day: the day on which the full load was ordered.
///
/// Former numbers of persons who were in one are left out, because CPR delivers only the valid number. Nothing is removed: a
/// person must decide. Fails if a delivery since that day is not published and no person has decided that it stays so, if no full
/// load has come since, or if the newest delivery may be a part of one.
pub fn reconcile(
    connector: &Connector,
    configuration: &Configuration,
    agreement: &AgreementName,
    since: Date,
) -> Result<Reconciliation, Error> {
    let name = agreement.as_str();
    let (_, ledger) = find_store(configuration, Some(name))?;
    let day = since.to_string();
    let mut deliveries = ledger.all()?;
    deliveries.retain(|record| record.agreement == name);
    let (published, mut waiting): (Vec<_>, Vec<_>) = deliveries
        .into_iter()
        .partition(|record| record.state.is_published());
    waiting.retain(|record| may_be_since(record, &day));
    let (set_aside, waiting): (Vec<_>, Vec<_>) = waiting.into_iter().partition(is_decided);
    // The list is made for `cprflow erase`: a person who was delivered must not be in it.
    if let Some(first) = waiting.first() {
        return Err(RegisterStateError::DeliveryNotPublished {
            agreement: name.to_owned(),
            since: day,
            deliveries: waiting.len(),
            transfer: first.transfer_uuid.clone(),
        }
        .into());
    }
    let mut deliveries = published;
    deliveries.retain(|record| {
        let date = record.production_date();
        date.is_some_and(|date| date >= day.as_str())
    });
    deliveries.sort_by_key(|record| {
        let date = record.production_date().map(str::to_owned);
        (date, record.sequence)
    });
    if !deliveries
        .iter()
        .any(|record| record.counts.looks_like_load())
    {
        return Err(RegisterStateError::NoFullLoad {
            agreement: name.to_owned(),
            since: day,
        }
        .into());
    }
    let newest = deliveries.last();
    if let Some(newest) = newest.filter(|newest| newest.counts.looks_like_load()) {
        return Err(RegisterStateError::LoadUnderWay {
            agreement: name.to_owned(),
            newest: newest.production_date().unwrap_or_default().to_owned(),
        }
        .into());
    }
    let state = RegisterState::open(configuration, Some(name), None)?;
    let epoch = Date::constant(1970, 1, 1);
    let first = epoch
        .until(since)
        .map(|span| span.get_days())
        .unwrap_or_default();
    let (mut persons, mut not_seen) = (0, BTreeSet::new());
    each_person(connector, &state, |number, day| {
        persons += 1;
        if day.is_none_or(|day| day < first) {
            not_seen.extend(number);
        }
    })?;
    let former = former_numbers(connector, &state, first, &not_seen)?;
    let former_numbers = not_seen.intersection(&former).count();
    Ok(Reconciliation {
        since,
        persons,
        not_seen: not_seen.difference(&former).copied().collect(),
        former_numbers,
        set_aside: set_aside.len(),
    })
}

/// Returns whether a delivery that is not published may have been produced on a day or later. One that was not read yet has no
/// production date: then it counts if it was seen on that day or later.
fn may_be_since(record: &Record, day: &str) -> bool {
    match record.production_date() {
        Some(date) => date >= day,
        None => danish_time(record.first_seen).date().to_string().as_str() >= day,
    }
}

/// Returns whether a person has decided that a delivery stays out: it was sent again, or nothing of it is needed.
fn is_decided(record: &Record) -> bool {
    record.state == State::SetAside && record.reason.as_ref().is_some_and(Reason::is_by_hand)
}

/// Returns all numbers of those persons of a list who were delivered under another number since a day: CPR delivers a person
/// under the valid number only.
fn former_numbers(
    connector: &Connector,
    state: &RegisterState,
    first: i32,
    not_seen: &BTreeSet<Pnr>,
) -> Result<BTreeSet<Pnr>, Error> {
    if not_seen.is_empty() {
        return Ok(BTreeSet::new());
    }
    let mut survey = StateScan::new(connector).survey(state.places(), state.opener())?;
    let listed: Vec<Pnr> = not_seen.iter().copied().collect();
    let tied: BTreeSet<Pnr> = survey.tied_numbers(&listed)?.into_iter().collect();
    if tied.is_subset(not_seen) {
        return Ok(BTreeSet::new());
    }
    let mut seen = Vec::new();
    each_person(connector, state, |number, day| {
        let is_new = day.is_some_and(|day| day >= first);
        seen.extend(number.filter(|number| is_new && tied.contains(number)));
    })?;
    Ok(survey.tied_numbers(&seen)?.into_iter().collect())
}

/// Calls a function with the number of each person of a state and the day of the person's newest record, in days since 1970.
fn each_person(
    connector: &Connector,
    state: &RegisterState,
    mut person: impl FnMut(Option<Pnr>, Option<i32>),
) -> Result<(), Error> {
    let mut rows = StateScan::new(connector)
        .table("person")
        .columns(["pnr", "as_of"])
        .read_table(state.places(), state.opener())?;
    while let Some(batch) = rows.next_batch()? {
        let numbers = batch.column(0).as_string_opt::<i32>();
        let days = batch.column(1).as_primitive_opt::<Date32Type>();
        let (Some(numbers), Some(days)) = (numbers, days) else {
            continue;
        };
        for (number, day) in numbers.iter().zip(days.iter()) {
            person(number.and_then(|number| number.parse().ok()), day);
        }
    }
    Ok(())
}
