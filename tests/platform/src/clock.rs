//! The clock of the platform, which gives the times in faults and metadata.
//!
//! It moves to 04:00 UTC of the production date at each nightly run, so that its times fit the deliveries. Between runs it
//! advances as fast as real time.

use std::time::Instant;

use cprflow_connector::generate::Day;
use time::{Duration, OffsetDateTime};

/// The clock of the platform.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    run: OffsetDateTime,
    since: Instant,
}

impl Clock {
    /// Creates a clock that shows the time of the nightly run of a production date.
    pub(crate) fn at_run(production_date: Day) -> Self {
        let days = i64::from(production_date.days_since_1970());
        Self {
            run: OffsetDateTime::UNIX_EPOCH + Duration::days(days) + Duration::hours(4),
            since: Instant::now(),
        }
    }

    /// Returns the time of the last nightly run.
    pub(crate) const fn last_run(&self) -> OffsetDateTime {
        self.run
    }

    /// Returns the time in UTC with milliseconds, such as `2026-03-02T04:00:00.000Z`.
    pub(crate) fn now(&self) -> String {
        let now = self.run + self.since.elapsed();
        format!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
            now.year(),
            u8::from(now.month()),
            now.day(),
            now.hour(),
            now.minute(),
            now.second(),
            now.millisecond()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_the_night_and_advances() {
        let mut clock = Clock::at_run(Day::new(2026, 4, 1).unwrap());
        assert!(clock.now().starts_with("2026-04-01T04:00:"));
        clock.since -= std::time::Duration::from_secs(3661);
        assert!(clock.now().starts_with("2026-04-01T05:01:"));
    }
}
