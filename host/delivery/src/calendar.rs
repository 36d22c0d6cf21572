//! The days on which CPR makes extracts, and the service windows of the platform.
//!
//! CPR makes extracts Monday to Friday, except on public holidays, 5 June, 24 December and 31 December (CPR's guide for
//! users of extracts, section 14). The platform announces its service windows in Danish time.

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan, ZonedDateTime};

/// Returns the time of the clock.
pub fn now() -> Timestamp {
    crate::failpoint::now().unwrap_or_else(Timestamp::now)
}

/// Returns a time in Denmark's time zone, from the time zone tables that are built in.
pub fn danish_time(now: Timestamp) -> ZonedDateTime {
    // The built-in tables always have this zone. UTC differs from it by two hours at most.
    let zone = TimeZone::get("Europe/Copenhagen").unwrap_or(TimeZone::UTC);
    now.to_zoned_datetime(zone)
}

/// Returns whether CPR makes extracts on a day.
pub fn is_working_day(day: Date) -> bool {
    let is_weekend = matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday);
    let is_fixed = matches!(
        (day.month(), day.day()),
        (1, 1) | (6, 5) | (12, 24..=26) | (12, 31)
    );
    // Maundy Thursday, Good Friday, Easter Monday, Ascension Day, Whit Monday.
    let since_easter = easter(day.year()).map(|easter| {
        easter
            .until(day)
            .map(|span| span.get_days())
            .unwrap_or_default()
    });
    // The Great Prayer Day was a holiday until 2023.
    let is_movable = match since_easter {
        Some(-3 | -2 | 1 | 39 | 50) => true,
        Some(26) => day.year() < 2024,
        _ => false,
    };
    !is_weekend && !is_fixed && !is_movable
}

/// Returns the number of CPR's working days after `from`, up to and including `to`.
pub fn working_days_between(from: Date, to: Date) -> u32 {
    let days = from.series(1.day()).skip(1).take_while(|day| *day <= to);
    days.filter(|day| is_working_day(*day)).count() as u32
}

/// Returns the end of the service window that a time is in, or `None` outside of all service windows.
///
/// KOMBIT announces three windows: 05:00 to 06:00 every week (without the weekday), Monday 03:00 to 06:00 every month and
/// Sunday 22:00 to Monday 06:00 every quarter (both without dates). Polling can wait, so this function treats every day
/// and every week as if the windows were open.
pub fn service_window_end(now: Timestamp) -> Option<Timestamp> {
    let local = danish_time(now);
    let (weekday, hour) = (local.weekday(), local.hour());
    let ends_on = match (weekday, hour) {
        (Weekday::Sunday, 22..) => local.date().tomorrow().ok()?,
        (Weekday::Monday, ..6) | (_, 5) => local.date(),
        _ => return None,
    };
    let end = ends_on.at(6, 0, 0, 0);
    let end = end.to_zoned_datetime(local.time_zone().clone()).ok()?;
    Some(end.timestamp())
}

/// Returns the number of whole days between two times.
pub(crate) fn days_since(then: Timestamp, now: Timestamp) -> i64 {
    now.duration_since(then).as_hours() / 24
}

/// Returns a number of days as a duration.
pub(crate) fn days(days: u32) -> SignedDuration {
    SignedDuration::from_hours(i64::from(days) * 24)
}

/// Returns Easter Sunday of a Gregorian year, by the algorithm of Meeus, Jones and Butcher.
fn easter(year: i16) -> Option<Date> {
    let year = i32::from(year);
    let (a, b, c) = (year % 19, year / 100, year % 100);
    let (d, e) = (b / 4, b % 4);
    let g = (8 * b + 13) / 25;
    let h = (19 * a + b - d - g + 15) % 30;
    let (i, k) = (c / 4, c % 4);
    let l = (32 + 2 * e + 2 * i - h - k) % 7;
    let m = (a + 11 * h + 22 * l) / 451;
    let (month, day) = ((h + l - 7 * m + 114) / 31, (h + l - 7 * m + 114) % 31 + 1);
    Date::new(year as i16, month as i8, day as i8).ok()
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn calculates_easter_sunday() {
        for (year, month, day) in [
            (2001, 4, 15),
            (2019, 4, 21),
            (2024, 3, 31),
            (2025, 4, 20),
            (2026, 4, 5),
            (2038, 4, 25),
        ] {
            assert_eq!(easter(year), Some(date(year, month, day)));
        }
    }

    #[test]
    fn counts_no_weekend_and_no_holiday_as_a_working_day() {
        let closed = [
            date(2026, 1, 1),
            date(2026, 4, 2),
            date(2026, 4, 3),
            date(2026, 4, 6),
            date(2026, 5, 14),
            date(2026, 5, 25),
            date(2026, 6, 5),
            date(2026, 12, 24),
            date(2026, 12, 25),
            date(2026, 12, 31),
            date(2026, 11, 21),
            date(2026, 11, 22),
            date(2023, 5, 5),
        ];
        for day in closed {
            assert!(!is_working_day(day), "{day}");
        }
        for day in [date(2026, 11, 24), date(2024, 4, 26), date(2026, 5, 15)] {
            assert!(is_working_day(day), "{day}");
        }
        assert_eq!(working_days_between(date(2026, 4, 1), date(2026, 4, 8)), 2);
        assert_eq!(working_days_between(date(2026, 4, 8), date(2026, 4, 8)), 0);
        assert_eq!(working_days_between(date(2026, 4, 9), date(2026, 4, 8)), 0);
    }

    #[test]
    fn finds_the_end_of_a_service_window() {
        let window = |text: &str| {
            let now: ZonedDateTime = format!("{text}[Europe/Copenhagen]").parse().unwrap();
            service_window_end(now.timestamp()).map(|end| danish_time(end).datetime().to_string())
        };
        // 2026-11-24 is a Tuesday.
        assert_eq!(window("2026-11-24T04:59"), None);
        assert_eq!(
            window("2026-11-24T05:00").as_deref(),
            Some("2026-11-24T06:00:00")
        );
        assert_eq!(window("2026-11-24T06:00"), None);
        assert_eq!(window("2026-11-22T21:59"), None);
        assert_eq!(
            window("2026-11-22T22:00").as_deref(),
            Some("2026-11-23T06:00:00")
        );
        assert_eq!(
            window("2026-11-23T00:30").as_deref(),
            Some("2026-11-23T06:00:00")
        );
        // In this night, summer time ends.
        assert_eq!(
            window("2026-10-25T05:30").as_deref(),
            Some("2026-10-25T06:00:00")
        );
    }
}
