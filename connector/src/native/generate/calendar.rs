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

    /// 1970-01-01.
    pub(super) const EPOCH: Self = Self(0);

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

    /// Returns the day of the `night`th run after a first run on this day. Runs are made on the days of [`has_run`].
    ///
    /// [`has_run`]: Self::has_run
    pub(super) fn working_day_after(self, night: u32) -> Self {
        let mut day = self;
        let mut left = night;
        while left > 0 {
            day = day.plus(1);
            left -= u32::from(day.has_run());
        }
        day
    }

    /// Returns whether CPR makes extracts on this day: Monday to Friday, except on public holidays, 5 June, 24 December
    /// and 31 December.
    fn has_run(self) -> bool {
        // 1970-01-01 was a Thursday.
        if matches!((self.0 + 3).rem_euclid(7), 5 | 6) {
            return false;
        }
        let (year, month, day) = self.parts();
        let is_fixed = matches!((month, day), (1, 1) | (6, 5) | (12, 24..=26) | (12, 31));
        // Maundy Thursday, Good Friday, Easter Monday, Great Prayer Day (until 2023), Ascension Day, Whit Monday.
        let is_movable = easter(year).is_some_and(|easter| match self.0 - easter.0 {
            -3 | -2 | 1 | 39 | 50 => true,
            26 => year < 2024,
            _ => false,
        });
        !is_fixed && !is_movable
    }
}

/// Returns Easter Sunday of a year: the Sunday after the calendar moon of spring, by the rules of Lilius and Clavius.
///
/// The product calculates Easter with another algorithm, so that both do not share a mistake.
fn easter(year: i32) -> Option<Day> {
    let golden_number = year % 19 + 1;
    let century = year / 100 + 1;
    let dropped_leap_years = 3 * century / 4 - 12;
    let moon_correction = (8 * century + 5) / 25 - 5;
    let epact = (11 * golden_number + 20 + moon_correction - dropped_leap_years).rem_euclid(30);
    let epact = match epact {
        24 => 25,
        25 if golden_number > 11 => 26,
        epact => epact,
    };
    // The full moon, as a day of March.
    let full_moon = match 44 - epact {
        early @ ..21 => early + 30,
        day => day,
    };
    let weekday = (5 * year / 4 - dropped_leap_years - 10 + full_moon).rem_euclid(7);
    Day::new(year, 3, 1).map(|march| march.plus(full_moon + 7 - weekday - 1))
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
    fn runs_skip_public_holidays() {
        let day = |year, month, day| Day::new(year, month, day).unwrap();
        for (last, next) in [
            ((2025, 12, 23), (2025, 12, 29)),
            ((2025, 12, 30), (2026, 1, 2)),
            ((2026, 4, 1), (2026, 4, 7)),
            ((2026, 5, 13), (2026, 5, 15)),
            ((2026, 5, 22), (2026, 5, 26)),
            ((2026, 6, 4), (2026, 6, 8)),
            ((2023, 5, 4), (2023, 5, 8)),
            ((2024, 4, 25), (2024, 4, 26)),
            ((2026, 4, 30), (2026, 5, 1)),
        ] {
            let (last, next) = (day(last.0, last.1, last.2), day(next.0, next.1, next.2));
            assert_eq!(last.working_day_after(1), next, "after {last}");
        }
    }

    #[test]
    fn calculates_easter_sunday() {
        for (year, month, day) in [
            (2001, 4, 15),
            (2008, 3, 23),
            (2011, 4, 24),
            (2019, 4, 21),
            (2026, 4, 5),
            (2035, 3, 25),
            (2038, 4, 25),
            (2049, 4, 18),
            (2076, 4, 19),
        ] {
            assert_eq!(easter(year), Day::new(year, month, day));
        }
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
