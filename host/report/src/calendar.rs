//! The days of a calendar, arranged in months.

use jiff::civil::Date;

use crate::model::{Day, DayKind};
use crate::text::{count, counted};

/// The width of a day in a month, in its own units.
const CELL: i32 = 14;

/// A month of the calendar.
pub(crate) struct Month {
    pub(crate) title: String,
    pub(crate) days: Vec<Cell>,
    /// The height in its own units.
    pub(crate) height: i32,
}

/// A day of a month.
pub(crate) struct Cell {
    pub(crate) x: i32,
    pub(crate) y: i32,
    pub(crate) class: &'static str,
    /// The share of the largest volume, in four steps.
    pub(crate) step: u64,
    pub(crate) label: String,
}

/// Returns the months of the days, oldest first.
pub(crate) fn months(days: &[Day]) -> Vec<Month> {
    let records = |day: &Day| match day.kind {
        DayKind::Delivered { records, .. } => records,
        _ => 0,
    };
    // An initial load would make every night look empty, so a night counts as large from a multiple of the median.
    let mut volumes: Vec<_> = days
        .iter()
        .map(records)
        .filter(|records| *records > 0)
        .collect();
    volumes.sort_unstable();
    let median = volumes.get(volumes.len() / 2).copied().unwrap_or(1).max(1);
    let mut months: Vec<Month> = Vec::new();
    let mut shown = None;
    for day in days {
        let month = day.date.first_of_month();
        if shown != Some(month) {
            shown = Some(month);
            months.push(Month {
                title: month.strftime("%b %Y").to_string(),
                days: Vec::new(),
                height: 0,
            });
        }
        let Some(block) = months.last_mut() else {
            continue;
        };
        let row = row_of(day.date);
        block.height = block.height.max((row + 1) * CELL);
        block.days.push(Cell {
            x: i32::from(day.date.weekday().to_monday_zero_offset()) * CELL,
            y: row * CELL,
            class: class(day.kind),
            step: step(records(day), median),
            label: label(day),
        });
    }
    months
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
const fn step(records: u64, median: u64) -> u64 {
    match records {
        0 => 1,
        _ if records * 2 < median => 1,
        _ if records < median * 2 => 2,
        _ if records < median * 10 => 3,
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

    #[test]
    fn arranges_days_in_weeks() {
        // 1 March 2026 is a Sunday.
        let days = [1, 2, 31].map(|day| Day {
            date: date(2026, 3, day),
            kind: DayKind::Gap,
        });
        let months = months(&days);
        assert_eq!(months.len(), 1);
        let places: Vec<_> = months[0].days.iter().map(|cell| (cell.x, cell.y)).collect();
        assert_eq!(places, [(84, 0), (0, 14), (14, 70)]);
        assert_eq!(months[0].height, 84);
        assert_eq!(months[0].days[0].label, "2026-03-01: no delivery");
    }
}
