//! Compares the register with a new full load.

use arrow::array::AsArray;
use jiff::civil::Date;

use super::{RegisterState, RegisterStateError, find_store};
use crate::config::Configuration;
use crate::error::Error;
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
}

/// Returns the persons of an agreement who were in no delivery since a day: the day on which the full load was ordered.
///
/// Nothing is removed: a person must decide. Fails if no full load has come since, or if the newest delivery may be a part
/// of one.
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
    deliveries.retain(|record| {
        let date = record.production_date();
        record.agreement == name
            && record.state.is_published()
            && date.is_some_and(|date| date >= day.as_str())
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
    let mut rows = StateScan::new(connector)
        .table("person")
        .columns(["pnr", "as_of"])
        .read_table(state.places(), state.opener())?;
    let epoch = Date::constant(1970, 1, 1);
    let first = epoch
        .until(since)
        .map(|span| span.get_days())
        .unwrap_or_default();
    let (mut persons, mut not_seen) = (0, Vec::new());
    while let Some(batch) = rows.next_batch()? {
        persons += batch.num_rows() as u64;
        let numbers = batch.column(0).as_string_opt::<i32>();
        let days = batch
            .column(1)
            .as_primitive_opt::<arrow::datatypes::Date32Type>();
        let (Some(numbers), Some(days)) = (numbers, days) else {
            continue;
        };
        let all = numbers.iter().zip(days.iter());
        let old = all.filter(|(_, day)| day.is_none_or(|day| day < first));
        not_seen.extend(old.filter_map(|(number, _)| number?.parse::<Pnr>().ok()));
    }
    not_seen.sort();
    not_seen.dedup();
    Ok(Reconciliation {
        since,
        persons,
        not_seen,
    })
}
