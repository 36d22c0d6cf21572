//! The days of a calendar, arranged in months, and told in words.

use jiff::civil::Date;

use crate::model::{Day, DayKind};
use crate::text::{count, counted};

/// A month of the calendar, or several months in a row without a delivery.
pub(crate) struct Month {
    pub(crate) title: String,
    /// The days. Empty for several months without a delivery, which are told in words.
    pub(crate) days: Vec<Cell>,
    /// What happened, in words.
    pub(crate) summary: String,
}

/// A day of a month.
pub(crate) struct Cell {
    /// The day of the month.
    pub(crate) number: i8,
    /// The row in the month, from 2: the weekdays stand in row 1.
    pub(crate) row: i32,
    /// The column, from 1 for Monday.
    pub(crate) column: i8,
    pub(crate) class: &'static str,
    /// The share of the usual volume, in four steps.
    pub(crate) step: u64,
    pub(crate) label: String,
}

/// Returns the months of the days, oldest first. Several months in a row without a delivery become one.
pub(crate) fn months(days: &[Day]) -> Vec<Month> {
    let usual = usual_records(days);
    let months: Vec<&[Day]> = days
        .chunk_by(|one, next| one.date.first_of_month() == next.date.first_of_month())
        .collect();
    let mut shown = Vec::new();
    for row in months.chunk_by(|one, next| is_quiet(one) && is_quiet(next)) {
        match row {
            [first, .., last] => shown.push(Month {
                title: format!("{} to {}", title(first), title(last)),
                days: Vec::new(),
                summary: summary(&row.concat()),
            }),
            _ => shown.extend(row.iter().map(|days| month(days, usual))),
        }
    }
    shown
}

/// Returns in words what happened on the days.
pub(crate) fn summary(days: &[Day]) -> String {
    let number = |is_meant: fn(DayKind) -> bool| {
        let meant = days.iter().filter(|day| is_meant(day.kind));
        meant.map(|_| 1_u64).sum::<u64>()
    };
    let delivered = number(|kind| matches!(kind, DayKind::Delivered { .. }));
    let gaps = number(|kind| kind == DayKind::Gap);
    let aside = number(|kind| kind == DayKind::SetAside);
    let mut parts = vec![
        counted(delivered, "day with a delivery", "days with a delivery"),
        counted(
            gaps,
            "working day without a delivery",
            "working days without a delivery",
        ),
    ];
    if aside > 0 {
        parts.push(counted(
            aside,
            "day with a delivery that is set aside",
            "days with a delivery that is set aside",
        ));
    }
    parts.join(", ")
}

fn month(days: &[Day], usual: u64) -> Month {
    let cell = |day: &Day| Cell {
        number: day.date.day(),
        row: row_of(day.date) + 2,
        column: day.date.weekday().to_monday_one_offset(),
        class: class(day.kind),
        step: step(records(day), usual),
        label: label(day),
    };
    Month {
        title: title(days),
        days: days.iter().map(cell).collect(),
        summary: summary(days),
    }
}

/// Returns the month of the first day in words.
fn title(days: &[Day]) -> String {
    days.first()
        .map_or_else(String::new, |day| day.date.strftime("%B %Y").to_string())
}

/// Returns whether the days have no delivery, and all of them are after the first check of the inbox.
fn is_quiet(days: &[Day]) -> bool {
    days.iter()
        .all(|day| matches!(day.kind, DayKind::Gap | DayKind::Rest))
}

/// Returns the median of the records of a night. An average would make every night look empty beside an initial load.
fn usual_records(days: &[Day]) -> u64 {
    let mut volumes: Vec<_> = days
        .iter()
        .map(records)
        .filter(|records| *records > 0)
        .collect();
    volumes.sort_unstable();
    volumes.get(volumes.len() / 2).copied().unwrap_or(1).max(1)
}

const fn records(day: &Day) -> u64 {
    match day.kind {
        DayKind::Delivered { records, .. } => records,
        _ => 0,
    }
}

/// Returns the week of the month in which a day is, from 0.
fn row_of(date: Date) -> i32 {
    let first = date.first_of_month().weekday().to_monday_zero_offset();
    (i32::from(first) + i32::from(date.day()) - 1) / 7
}

const fn class(kind: DayKind) -> &'static str {
    match kind {
        DayKind::Delivered { .. } => "delivered",
        DayKind::SetAside => "aside",
        DayKind::Gap => "gap",
        DayKind::Rest => "rest",
        DayKind::Before => "before",
    }
}

/// Returns the volume in steps from 1 to 4.
const fn step(records: u64, usual: u64) -> u64 {
    match records {
        0 => 1,
        _ if records * 2 < usual => 1,
        _ if records < usual * 2 => 2,
        _ if records < usual * 10 => 3,
        _ => 4,
    }
}

fn label(day: &Day) -> String {
    let what = match day.kind {
        DayKind::Delivered {
            deliveries,
            records,
        } => format!(
            "{}, {} records",
            counted(deliveries, "delivery", "deliveries"),
            count(records)
        ),
        DayKind::SetAside => "a delivery was set aside".to_owned(),
        DayKind::Gap => "no delivery".to_owned(),
        DayKind::Rest => "CPR does not deliver".to_owned(),
        DayKind::Before => "before the first check of the inbox".to_owned(),
    };
    format!("{}: {what}", day.date)
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn day(month: i8, day: i8, kind: DayKind) -> Day {
        Day {
            date: date(2026, month, day),
            kind,
        }
    }

    #[test]
    fn arranges_days_in_weeks() {
        // 1 March 2026 is a Sunday.
        let days = [1, 2, 31].map(|number| day(3, number, DayKind::Gap));
        let months = months(&days);
        assert_eq!(months.len(), 1);
        let places = months[0].days.iter();
        let places: Vec<_> = places
            .map(|cell| (cell.number, cell.row, cell.column))
            .collect();
        assert_eq!(places, [(1, 2, 7), (2, 3, 1), (31, 7, 2)]);
        assert_eq!(months[0].title, "March 2026");
        assert_eq!(months[0].days[0].label, "2026-03-01: no delivery");
        assert_eq!(
            months[0].summary,
            "0 days with a delivery, 3 working days without a delivery"
        );
    }

    #[test]
    fn tells_months_without_a_delivery_in_words() {
        let delivered = DayKind::Delivered {
            deliveries: 1,
            records: 5,
        };
        let days = [
            day(2, 27, DayKind::Gap),
            day(3, 2, delivered),
            day(4, 1, DayKind::Gap),
            day(5, 1, DayKind::Gap),
            day(5, 2, DayKind::Rest),
            day(6, 1, DayKind::Gap),
            day(7, 1, DayKind::SetAside),
        ];
        let months = months(&days);
        let shown: Vec<_> = months
            .iter()
            .map(|month| (month.title.as_str(), month.days.len()))
            .collect();
        assert_eq!(
            shown,
            [
                ("February 2026", 1),
                ("March 2026", 1),
                ("April 2026 to June 2026", 0),
                ("July 2026", 1)
            ]
        );
        assert_eq!(
            months[2].summary,
            "0 days with a delivery, 3 working days without a delivery"
        );
        assert_eq!(
            months[3].summary,
            "0 days with a delivery, 0 working days without a delivery, 1 day with a delivery that is set aside"
        );
    }
}
