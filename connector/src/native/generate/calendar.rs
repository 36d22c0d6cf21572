//! Days, moments with the irregularities of real data, and the working days on which extracts are produced.

use std::fmt;

use super::rng::Rng;
use crate::value;

/// A calendar day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(i32);

impl Day {
    /// Returns the day, or `None` if the date does not exist.
    pub fn new(year: i32, month: u32, day: u32) -> Option<Self> {
        value::days_from_civil(u32::try_from(year).ok()?, month, day).map(Self)
    }

    /// Returns the year, the month and the day of the month.
    pub const fn parts(self) -> (i32, u32, u32) {
        value::civil(self.0)
    }

    /// Returns the days since 1970-01-01.
    pub const fn days_since_1970(self) -> i32 {
        self.0
    }

    /// The default first day: 2026-03-02, a Monday.
    pub(super) const DEFAULT: Self = Self(20_514);

    pub(super) const fn plus(self, days: i32) -> Self {
        Self(self.0 + days)
    }

    pub(super) const fn year(self) -> i32 {
        self.parts().0
    }

    /// Returns the whole years until a later day, approximately.
    pub(super) const fn years_until(self, later: Self) -> i32 {
        ((later.0 - self.0) as i64 * 400 / 146_097) as i32
    }

    /// Formats the day as `YYYYMMDD`, as in record 000.
    pub(super) fn compact(self) -> String {
        let (year, month, day) = self.parts();
        format!("{year:04}{month:02}{day:02}")
    }

    /// Returns the day of the `night`th run after a first run on this day. Runs are made from Monday to Friday.
    pub(super) const fn working_day_after(self, night: u32) -> Self {
        let mut day = self;
        let mut left = night;
        while left > 0 {
            day = day.plus(1);
            // 1970-01-01 was a Thursday.
            if !matches!((day.0 + 3).rem_euclid(7), 5 | 6) {
                left -= 1;
            }
        }
        day
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.parts();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

/// A moment as the register knows it: a day, with or without a time, or only a year or month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) day: Day,
    pub(super) uncertain: bool,
    time: Time,
}

/// The precision of a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Time {
    Minute(u16),
    /// The hour is unknown, written `1299`.
    HourUnknown,
    /// The month and day are unknown, written with zeros.
    MonthUnknown,
    /// The day is unknown, written with zeros.
    DayUnknown,
}

impl Moment {
    /// Returns a moment that was registered when it happened.
    pub(super) const fn exact(day: Day, rng: &mut Rng) -> Self {
        let minute = 8 * 60 + rng.below(9 * 60) as u16;
        Self {
            day,
            uncertain: false,
            time: Time::Minute(minute),
        }
    }

    /// Returns a moment of the past, with the gaps that the conversion of old registers has left.
    pub(super) const fn past(day: Day, rng: &mut Rng) -> Self {
        let (time, uncertain) = match rng.below(1000) {
            0..80 => (Time::HourUnknown, true),
            80..97 => (Time::MonthUnknown, true),
            97..105 => (Time::DayUnknown, true),
            105..180 => (Time::Minute(0), false),
            180..480 => (Time::Minute(20 * 60), false),
            other => (Time::Minute(480 + other as u16 % 540), other < 500),
        };
        Self {
            day,
            uncertain,
            time,
        }
    }

    /// Returns a date of the past, in a few cases unknown or uncertain.
    pub(super) const fn date(day: Day, rng: &mut Rng) -> Self {
        let (time, uncertain) = match rng.below(1000) {
            0..4 => (Time::MonthUnknown, true),
            4..6 => (Time::DayUnknown, true),
            other => (Time::Minute(0), other < 30),
        };
        Self {
            day,
            uncertain,
            time,
        }
    }

    /// Returns a date without uncertainty.
    pub(super) const fn certain(day: Day) -> Self {
        Self {
            day,
            uncertain: false,
            time: Time::Minute(0),
        }
    }

    pub(super) const fn doubted(mut self, uncertain: bool) -> Self {
        self.uncertain = uncertain;
        self
    }

    /// Returns whether the written form has a valid day.
    pub(super) const fn has_day(&self) -> bool {
        !matches!(self.time, Time::MonthUnknown | Time::DayUnknown)
    }

    /// Formats the moment as a timestamp, `YYYYMMDDHHMM`.
    pub(super) fn timestamp(&self) -> String {
        let (year, month, day) = self.parts();
        let (hour, minute) = match self.time {
            Time::Minute(minute) => (minute / 60, minute % 60),
            Time::HourUnknown => (12, 99),
            Time::MonthUnknown | Time::DayUnknown => (0, 0),
        };
        format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}")
    }

    /// Formats the moment as a date, `YYYY-MM-DD`.
    pub(super) fn iso(&self) -> String {
        let (year, month, day) = self.parts();
        format!("{year:04}-{month:02}-{day:02}")
    }

    fn parts(&self) -> (i32, u32, u32) {
        let (year, month, day) = self.day.parts();
        match self.time {
            Time::Minute(_) | Time::HourUnknown => (year, month, day),
            Time::MonthUnknown => (year, 0, 0),
            Time::DayUnknown => (year, month, 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_agree_with_their_parts() {
        assert_eq!(Day::new(1970, 1, 1).unwrap().days_since_1970(), 0);
        assert_eq!(Day::new(2026, 3, 2), Some(Day::DEFAULT));
        assert_eq!(Day::new(2025, 2, 29), None);
        for days in (-40_000..40_000).step_by(17) {
            let (year, month, day) = Day(days).parts();
            assert_eq!(Day::new(year, month, day), Some(Day(days)));
        }
    }

    #[test]
    fn runs_skip_the_weekend() {
        assert_eq!(Day::DEFAULT.working_day_after(4).to_string(), "2026-03-06");
        assert_eq!(Day::DEFAULT.working_day_after(5).to_string(), "2026-03-09");
        assert_eq!(Day::DEFAULT.working_day_after(5).compact(), "20260309");
    }

    #[test]
    fn writes_unknown_parts_as_zeros_or_minute_99() {
        let moment = |time| Moment {
            day: Day::DEFAULT,
            uncertain: true,
            time,
        };
        assert_eq!(moment(Time::HourUnknown).timestamp(), "202603021299");
        assert_eq!(moment(Time::MonthUnknown).timestamp(), "202600000000");
        assert_eq!(moment(Time::MonthUnknown).iso(), "2026-00-00");
        assert_eq!(moment(Time::DayUnknown).iso(), "2026-03-00");
    }
}
