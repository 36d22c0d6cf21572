//! The hours in which many calls would disturb the platform: its night hours and its peak hours.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};

use crate::calendar::danish_time;

/// The maximum number of calls that are allowed at any hour.
pub const FEW_CALLS: usize = 100;

/// The estimated duration of a call.
const CALL_DURATION: Duration = Duration::from_millis(300);

/// Hours in which more than [`FEW_CALLS`] calls are not allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClosedHours {
    /// The name of the hours, in the plural.
    pub why: &'static str,
    /// The start, Danish time.
    pub from: DateTime,
    /// The end, Danish time.
    pub until: DateTime,
}

/// Returns the estimated duration of this number of calls, at 0.3 s each.
pub fn estimated_duration(calls: usize) -> Duration {
    CALL_DURATION.saturating_mul(u32::try_from(calls).unwrap_or(u32::MAX))
}

/// Returns the closed hours that contain this time; `None` if many calls are allowed.
///
/// The specification names 03:00 to 04:00 and 09:00 to 16:00 as the hours with the highest load. On weekdays from 22:00
/// to 05:00 the platform evaluates filters and makes deliveries, and the announced service windows are at night too. So
/// the closed hours are 22:00 to 06:00 and 09:00 to 16:00.
pub fn closed(now: Timestamp) -> Option<ClosedHours> {
    let local = danish_time(now).datetime();
    let today = local.date();
    let night = |evening: Date, morning: Date| ClosedHours {
        why: "the platform's night hours",
        from: evening.at(22, 0, 0, 0),
        until: morning.at(6, 0, 0, 0),
    };
    match local.hour() {
        0..6 => Some(night(today.yesterday().unwrap_or(today), today)),
        22.. => Some(night(today, today.tomorrow().unwrap_or(today))),
        9..16 => Some(ClosedHours {
            why: "the platform's peak hours",
            from: today.at(9, 0, 0, 0),
            until: today.at(16, 0, 0, 0),
        }),
        _ => None,
    }
}

/// Returns the first closed hours within this duration from now; `None` if all of it is in open hours.
pub fn closed_within(now: Timestamp, time: Duration) -> Option<ClosedHours> {
    /// All closed hours are longer than this step.
    const STEP: Duration = Duration::from_secs(60 * 60);
    let mut passed = Duration::ZERO;
    loop {
        // A duration that exceeds the calendar ends at its last moment.
        let then = now.checked_add(passed).unwrap_or(Timestamp::MAX);
        let found = closed(then);
        if found.is_some() || passed >= time {
            return found;
        }
        passed = (passed + STEP).min(time);
    }
}

#[cfg(test)]
mod tests {
    use jiff::ZonedDateTime;

    use super::*;

    fn at(text: &str) -> Timestamp {
        let now: ZonedDateTime = format!("{text}[Europe/Copenhagen]").parse().unwrap();
        now.timestamp()
    }

    #[test]
    fn closed_hours_are_the_night_and_the_peak_hours() {
        let until = |text: &str| closed(at(text)).map(|closed| closed.until.to_string());
        // 2026-11-24 is a Tuesday, 2026-11-22 a Sunday.
        for (time, expected) in [
            ("2026-11-24T03:30", Some("2026-11-24T06:00:00")),
            ("2026-11-24T05:59", Some("2026-11-24T06:00:00")),
            ("2026-11-24T06:00", None),
            ("2026-11-24T08:59", None),
            ("2026-11-24T09:00", Some("2026-11-24T16:00:00")),
            ("2026-11-24T15:59", Some("2026-11-24T16:00:00")),
            ("2026-11-24T16:00", None),
            ("2026-11-24T21:59", None),
            ("2026-11-24T22:00", Some("2026-11-25T06:00:00")),
            ("2026-11-24T23:59", Some("2026-11-25T06:00:00")),
            ("2026-11-22T22:30", Some("2026-11-23T06:00:00")),
        ] {
            assert_eq!(until(time).as_deref(), expected, "{time}");
        }
    }

    #[test]
    fn finds_the_closed_hours_within_a_duration() {
        let from = |text: &str, minutes: u64| {
            let time = Duration::from_secs(minutes * 60);
            closed_within(at(text), time).map(|closed| closed.from.to_string())
        };
        for (time, minutes, expected) in [
            ("2026-11-24T08:00", 59, None),
            ("2026-11-24T08:00", 60, Some("2026-11-24T09:00:00")),
            ("2026-11-24T08:59", 2, Some("2026-11-24T09:00:00")),
            ("2026-11-24T16:00", 359, None),
            ("2026-11-24T16:00", 361, Some("2026-11-24T22:00:00")),
            // These closed hours end before the duration does.
            ("2026-11-24T21:00", 600, Some("2026-11-24T22:00:00")),
            ("2026-11-24T12:00", 0, Some("2026-11-24T09:00:00")),
        ] {
            assert_eq!(from(time, minutes).as_deref(), expected, "{time} {minutes}");
        }
        let all = estimated_duration(usize::MAX);
        assert!(closed_within(at("2026-11-24T17:00"), all).is_some());
    }
}
