//! When many calls would be in the way: the platform's night, its peak hours, and its service windows.

use jiff::Timestamp;
use jiff::civil::DateTime;

use crate::calendar::{danish_time, service_window_end};

/// Calls up to which nobody minds the hour.
pub const FEW_CALLS: usize = 100;

/// A time that is not for many calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed {
    /// What time it is.
    pub why: &'static str,
    /// When it ends, Danish time.
    pub until: DateTime,
}

/// Whether it is a time that is not for many calls.
///
/// The specification names 03:00 to 04:00 and 09:00 to 16:00 as the hours of most load. Filters are evaluated at
/// night, without an hour being told, so from midnight to 06:00 a subscription is left as it is.
pub fn closed(now: Timestamp) -> Option<Closed> {
    let local = danish_time(now);
    let (why, until) = match local.hour() {
        0..6 => ("the platform's night", 6),
        9..16 => ("the platform's peak hours", 16),
        _ => {
            let end = danish_time(service_window_end(now)?);
            return Some(Closed {
                why: "a service window of the platform",
                until: end.datetime(),
            });
        }
    };
    let until = local.date().at(until, 0, 0, 0);
    Some(Closed { why, until })
}

#[cfg(test)]
mod tests {
    use jiff::ZonedDateTime;

    use super::*;

    #[test]
    fn hours() {
        let until = |text: &str| {
            let now: ZonedDateTime = format!("{text}[Europe/Copenhagen]").parse().unwrap();
            closed(now.timestamp()).map(|closed| closed.until.to_string())
        };
        // 2026-11-24 is a Tuesday, 2026-11-22 a Sunday.
        assert_eq!(
            until("2026-11-24T03:30").as_deref(),
            Some("2026-11-24T06:00:00")
        );
        assert_eq!(until("2026-11-24T06:00"), None);
        assert_eq!(until("2026-11-24T08:59"), None);
        assert_eq!(
            until("2026-11-24T09:00").as_deref(),
            Some("2026-11-24T16:00:00")
        );
        assert_eq!(until("2026-11-24T16:00"), None);
        assert_eq!(until("2026-11-24T23:59"), None);
        assert_eq!(
            until("2026-11-22T22:30").as_deref(),
            Some("2026-11-23T06:00:00")
        );
    }
}
