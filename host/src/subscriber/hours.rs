//! When many calls would be in the way: the platform's night and its peak hours.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};

use crate::calendar::danish_time;

/// Calls up to which nobody minds the hour.
pub const FEW_CALLS: usize = 100;

/// What a call takes, roughly, before any was made.
const CALL: Duration = Duration::from_millis(300);

/// A time that is not for many calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed {
    /// What time it is.
    pub why: &'static str,
    /// When it begins, Danish time.
    pub from: DateTime,
    /// When it ends, Danish time.
    pub until: DateTime,
}

/// How long so many calls take, roughly.
pub fn calls_take(calls: usize) -> Duration {
    CALL.saturating_mul(u32::try_from(calls).unwrap_or(u32::MAX))
}

/// Whether it is a time that is not for many calls.
///
/// The specification names 03:00 to 04:00 and 09:00 to 16:00 as the hours of most load. Filters are evaluated and
/// deliveries made in the night, on weekdays from 22:00 to 05:00, and the service windows that are announced are in it:
/// so from 22:00 to 06:00 a subscription is left as it is.
pub fn closed(now: Timestamp) -> Option<Closed> {
    let local = danish_time(now).datetime();
    let today = local.date();
    let night = |evening: Date, morning: Date| Closed {
        why: "the platform's night",
        from: evening.at(22, 0, 0, 0),
        until: morning.at(6, 0, 0, 0),
    };
    match local.hour() {
        0..6 => Some(night(today.yesterday().unwrap_or(today), today)),
        22.. => Some(night(today, today.tomorrow().unwrap_or(today))),
        9..16 => Some(Closed {
            why: "the platform's peak hours",
            from: today.at(9, 0, 0, 0),
            until: today.at(16, 0, 0, 0),
        }),
        _ => None,
    }
}

/// The time that is not for many calls in which something would end that begins now and takes so long; none if all of it
/// fits before.
pub fn closed_within(now: Timestamp, time: Duration) -> Option<Closed> {
    /// The shortest of those times is far longer.
    const STEP: Duration = Duration::from_secs(60 * 60);
    let mut passed = Duration::ZERO;
    loop {
        // A moment beyond all calendars is no time for anything, and so are days of calls.
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
    fn hours() {
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
    fn what_does_not_fit_before_the_next_closing() {
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
            // It would be open again at the end of it.
            ("2026-11-24T21:00", 600, Some("2026-11-24T22:00:00")),
            ("2026-11-24T12:00", 0, Some("2026-11-24T09:00:00")),
        ] {
            assert_eq!(from(time, minutes).as_deref(), expected, "{time} {minutes}");
        }
        let all = calls_take(usize::MAX);
        assert!(closed_within(at("2026-11-24T17:00"), all).is_some());
    }
}
