//! What counts of one person now, and since when a tenant may see it.

use std::collections::BTreeSet;
use std::io::{self, Cursor};
use std::sync::Arc;

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan};

use super::export::ExtractWriter;
use super::place;
use crate::calendar::danish_time;
use crate::error::Error;
use crate::ledger::KeptExtract;
use crate::tenant::Tenant;
use cprflow::policy::NumberRule;
use cprflow::{Connector, ExtractPlace, Policy, PseudonymKey, StateScan, TableBatch};

/// A small extract with the records that an extract of the register has of one person.
#[derive(Clone)]
pub(super) struct OwnRecords {
    pub(super) place: ExtractPlace,
    published: Date,
    extract: Arc<[u8]>,
}

impl OwnRecords {
    /// Returns the extract with the rows of one person.
    pub(super) fn new(
        kept: &KeptExtract,
        batches: &[TableBatch],
        published: Option<Timestamp>,
    ) -> Result<Self, Error> {
        let mut bytes = Vec::new();
        let mut writer = ExtractWriter::new(&mut bytes, &kept.production_date)?;
        for batch in batches {
            writer.write(&batch.table, &batch.batch)?;
        }
        writer.finish()?;
        Ok(Self {
            place: place(kept),
            published: danish_time(published.unwrap_or(kept.kept)).date(),
            extract: bytes.into(),
        })
    }
}

/// Returns the places of extracts, newest first.
fn places(own: &[OwnRecords]) -> Vec<ExtractPlace> {
    own.iter().rev().map(|own| own.place.clone()).collect()
}

/// Returns a function that opens the extracts.
fn opener(
    own: &[OwnRecords],
) -> impl FnMut(&ExtractPlace) -> io::Result<Cursor<Arc<[u8]>>> + Send + 'static + use<> {
    let own = own.to_vec();
    move |wanted| {
        let found = own.iter().find(|own| own.place == *wanted);
        let found = found.ok_or(io::ErrorKind::NotFound)?;
        Ok(Cursor::new(found.extract.clone()))
    }
}

/// Returns the records that count now.
pub(super) fn current_records(
    connector: &Connector,
    own: &[OwnRecords],
) -> Result<Vec<TableBatch>, Error> {
    if own.is_empty() {
        return Ok(Vec::new());
    }
    let batches = StateScan::new(connector).read(places(own), opener(own))?;
    let batches: Result<Vec<_>, _> = batches.collect();
    Ok(batches?)
}

/// Whether one person is in the scope of a tenant, under the policy of today.
pub(super) struct Scope<'a> {
    connector: &'a Connector,
    policy: Policy,
    key: Option<PseudonymKey>,
    /// The records that the tenant may see, before the policy.
    seen: Vec<OwnRecords>,
}

impl<'a> Scope<'a> {
    pub(super) fn new(
        connector: &'a Connector,
        tenant: &Tenant,
        own: &[OwnRecords],
    ) -> Result<Self, Error> {
        let mut seen: Vec<OwnRecords> = own.to_vec();
        seen.retain(|own| tenant.sees(&own.place.agreement));
        Ok(Self {
            connector,
            policy: tenant.policy()?,
            key: tenant.pseudonym_key()?,
            seen,
        })
    }

    /// Returns whether the tenant's deliveries have no person numbers.
    pub(super) fn is_without_numbers(&self) -> bool {
        self.policy.numbers == NumberRule::Drop
    }

    /// Returns the day since which the person is in scope without a break; `None` if the person is not in scope today.
    pub(super) fn since(&self, today: Date) -> Result<Option<Date>, Error> {
        let changes: BTreeSet<Date> = self.seen.iter().map(|own| own.published).collect();
        in_scope_since(&changes, today, |day| self.has(day))
    }

    /// Returns whether the person was in scope at the end of a day, or of the day before: then the tables of the day can have
    /// the person, or say that somebody has left.
    pub(super) fn has_around(&self, day: Date) -> Result<bool, Error> {
        if self.has(day)? {
            return Ok(true);
        }
        match day.yesterday() {
            Ok(before) => self.has(before),
            Err(_) => Ok(false),
        }
    }

    fn has(&self, day: Date) -> Result<bool, Error> {
        let mut known = self.seen.clone();
        known.retain(|own| own.published <= day);
        if known.is_empty() {
            return Ok(false);
        }
        let mut scan = StateScan::new(self.connector).policy(&self.policy);
        if self.policy.day.is_none() {
            scan = scan.day(day.to_string());
        }
        if let Some(key) = &self.key {
            scan = scan.pseudonym_key(key.clone());
        }
        let batches = scan.read(places(&known), opener(&known))?;
        Ok(batches
            .selected()
            .is_some_and(|selected| selected.persons > 0))
    }
}

/// Returns the day since which a person is in scope without a break. `changes` are the days on which records came; between
/// them only the age changes.
fn in_scope_since(
    changes: &BTreeSet<Date>,
    today: Date,
    is_in_scope: impl Fn(Date) -> Result<bool, Error>,
) -> Result<Option<Date>, Error> {
    let mut since = None;
    let mut end = today;
    for start in changes
        .iter()
        .rev()
        .copied()
        .filter(|start| *start <= today)
    {
        if !is_in_scope(end)? {
            break;
        }
        let (mut out, mut inside) = (start, end);
        if is_in_scope(start)? {
            inside = start;
        }
        // The person came into scope between two days: out of it on the first, in it on the second.
        while inside > start && out.tomorrow().is_ok_and(|next| next < inside) {
            let days = out.until(inside).map(|span| span.get_days());
            let half = days.unwrap_or_default() / 2;
            let Ok(middle) = out.checked_add(half.days()) else {
                break;
            };
            match is_in_scope(middle)? {
                true => inside = middle,
                false => out = middle,
            }
        }
        since = Some(inside);
        let Ok(before) = start.yesterday() else { break };
        if inside > start {
            break;
        }
        end = before;
    }
    Ok(since)
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn finds_the_day_since_which_a_person_is_in_scope() {
        let changes = BTreeSet::from([date(2026, 1, 1), date(2026, 2, 1), date(2026, 3, 1)]);
        let since = |is_in: fn(Date) -> bool| {
            in_scope_since(&changes, date(2026, 4, 1), |day| Ok(is_in(day))).unwrap()
        };
        assert_eq!(since(|_| true), Some(date(2026, 1, 1)));
        assert_eq!(since(|_| false), None);
        assert_eq!(since(|day| day >= date(2026, 2, 1)), Some(date(2026, 2, 1)));
        // By age, between two deliveries.
        for day in [date(2026, 2, 2), date(2026, 2, 17), date(2026, 2, 28)] {
            let found = in_scope_since(&changes, date(2026, 4, 1), |one| Ok(one >= day)).unwrap();
            assert_eq!(found, Some(day));
        }
        assert_eq!(since(|day| day >= date(2026, 4, 1)), Some(date(2026, 4, 1)));
        assert_eq!(since(|day| day < date(2026, 4, 1)), None);
        // Out of scope in February.
        let is_in = |day: Date| day.month() != 2;
        assert_eq!(since(is_in), Some(date(2026, 3, 1)));
    }
}
