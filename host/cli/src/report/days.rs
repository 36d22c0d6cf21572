//! The days of the calendar.

use std::collections::BTreeMap;

use cprflow_delivery::Record;
use cprflow_delivery::calendar::{danish_time, is_working_day};
use cprflow_delivery::status::Status;
use cprflow_report::{Day, DayKind};
use jiff::Span;
use jiff::civil::Date;

/// The number of days in the calendar.
const DAYS: i64 = 365;

/// Returns the calendar of an agreement: a year up to today, or less if nothing is known of the earlier days.
pub(super) fn days(status: &Status, published: &[Record], today: Date) -> Vec<Day> {
    let mut delivered: BTreeMap<Date, (u64, u64)> = BTreeMap::new();
    for record in published {
        if let Some(day) = production_date(record) {
            let entry = delivered.entry(day).or_default();
            entry.0 += 1;
            entry.1 += record.counts.records;
        }
    }
    let seen = |record: &Record| danish_time(record.first_seen).date();
    let aside = status.set_aside.iter();
    let aside: Vec<_> = aside
        .map(|record| production_date(record).unwrap_or_else(|| seen(record)))
        .collect();
    let first_visit = status
        .visit
        .as_ref()
        .map(|visit| danish_time(visit.first).date());
    let known = delivered.keys().next().copied();
    let Some(first) = first_visit
        .into_iter()
        .chain(known)
        .chain(aside.iter().copied())
        .min()
    else {
        return Vec::new();
    };
    let begin = today.saturating_sub(Span::new().days(DAYS - 1));
    // A month is shown whole, so that the first days of a new installation are not alone.
    let begin = begin.max(first.first_of_month());
    let kind = |date: Date| match delivered.get(&date) {
        _ if aside.contains(&date) => DayKind::SetAside,
        Some((deliveries, records)) => DayKind::Delivered {
            deliveries: *deliveries,
            records: *records,
        },
        None if !is_working_day(date) => DayKind::Rest,
        None if date < first => DayKind::Before,
        None => DayKind::Gap,
    };
    let mut all = Vec::new();
    let mut date = begin;
    while date <= today {
        // The delivery of today comes in the night.
        if date < today || kind(date) != DayKind::Gap {
            all.push(Day {
                date,
                kind: kind(date),
            });
        }
        let Ok(next) = date.tomorrow() else { break };
        date = next;
    }
    all
}

/// Returns the production date of a delivery.
pub(super) fn production_date(record: &Record) -> Option<Date> {
    record.production_date()?.parse().ok()
}
