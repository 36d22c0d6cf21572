//! Decides whether a new generation of current tables is needed. The functions here use no disk and no ledger.

use jiff::civil::Date;

use super::error::CurrentError;
use crate::ledger::Generation;

/// The number of days that the clock may be ahead of the newest generation and the newest extract.
const MAX_DAYS_AHEAD: i32 = 31;

/// The day of the clock, and what it is compared with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    /// The day in Denmark.
    pub(super) today: Date,
    /// The newest day of an extract.
    pub(super) newest: Option<Date>,
    /// Whether a person has said that the clock is right. Then the day may go back too.
    pub(super) is_accepted: bool,
}

impl Clock {
    /// Fails if the clock is far ahead of everything that is known: then it may be wrong, and its day would stay.
    pub(super) fn check(self, day: &str) -> Result<(), CurrentError> {
        let Ok(last) = day.parse::<Date>() else {
            return Ok(());
        };
        let newest = self.newest.unwrap_or(last);
        let days = last
            .max(newest)
            .until(self.today)
            .map(|span| span.get_days())
            .unwrap_or_default();
        match days > MAX_DAYS_AHEAD && !self.is_accepted {
            true => Err(CurrentError::ClockAhead {
                today: self.today.to_string(),
                day: day.to_owned(),
                newest: newest.to_string(),
                limit: MAX_DAYS_AHEAD,
            }),
            false => Ok(()),
        }
    }
}

/// A generation that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    /// The number of the generation.
    pub(super) number: u64,
    /// The day for which persons are judged.
    pub(super) day: String,
    /// The number of the generation whose persons are compared: the last one of the latest day before.
    pub(super) compared_with: Option<u64>,
}

/// The generations on the disk.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct OnDisk {
    /// The number that `current` leads to.
    pub(super) current: Option<u64>,
    /// The highest number of a directory.
    pub(super) highest: Option<u64>,
    /// Whether a file of the current generation is missing or has another size.
    pub(super) is_damaged: bool,
}

/// Returns the generation to make; `None` if `known` is current and up to date.
///
/// The day never goes back, even if the clock does, unless a person has said that the clock is right. Fails if the clock is
/// far ahead.
pub(super) fn plan(
    known: Option<&Generation>,
    on_disk: OnDisk,
    inputs: &str,
    clock: Clock,
) -> Result<Option<Plan>, CurrentError> {
    let today = clock.today.to_string();
    let highest = on_disk.highest.max(on_disk.current);
    let Some(known) = known else {
        return Ok(Some(Plan {
            number: highest.unwrap_or_default() + 1,
            day: today,
            compared_with: None,
        }));
    };
    let is_new_day = match clock.is_accepted {
        true => known.day != today,
        false => known.day < today,
    };
    let is_on_disk =
        known.is_current && on_disk.current == Some(known.number) && !on_disk.is_damaged;
    if is_on_disk && !is_new_day && known.inputs == inputs {
        return Ok(None);
    }
    if is_new_day {
        clock.check(&known.day)?;
    }
    Ok(Some(Plan {
        number: highest.unwrap_or_default().max(known.number) + 1,
        compared_with: match is_new_day {
            true => Some(known.number),
            false => known.compared_with,
        },
        day: if is_new_day { today } else { known.day.clone() },
    }))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use jiff::civil::date;

    use super::*;

    fn known(number: u64, day: &str) -> Generation {
        Generation {
            number,
            is_current: true,
            compared_with: Some(2),
            day: day.to_owned(),
            inputs: "a".to_owned(),
            policy: None,
            persons: 0,
            entered: 0,
            left: 0,
            rows: 0,
            made: Timestamp::UNIX_EPOCH,
            error: None,
            compare_since: None,
        }
    }

    fn at(current: u64, highest: u64) -> OnDisk {
        OnDisk {
            current: Some(current),
            highest: Some(highest),
            is_damaged: false,
        }
    }

    fn expected(number: u64, day: &str, compared_with: Option<u64>) -> Option<Plan> {
        Some(Plan {
            number,
            day: day.to_owned(),
            compared_with,
        })
    }

    fn plan(
        known: Option<&Generation>,
        on_disk: OnDisk,
        inputs: &str,
        today: Date,
    ) -> Option<Plan> {
        let clock = Clock {
            today,
            newest: None,
            is_accepted: false,
        };
        super::plan(known, on_disk, inputs, clock).unwrap()
    }

    #[test]
    fn a_clock_far_ahead_needs_a_person() {
        let known = known(3, "2026-03-02");
        let plan = |today, newest, is_accepted| {
            let clock = Clock {
                today,
                newest,
                is_accepted,
            };
            let plan = super::plan(Some(&known), at(3, 3), "a", clock);
            plan.map(|plan| plan.map(|plan| plan.day))
        };
        let day = |day: &str| Ok(Some(day.to_owned()));
        let (near, far) = (date(2026, 4, 2), date(2026, 4, 3));
        assert_eq!(plan(near, None, false), day("2026-04-02"));
        assert!(matches!(
            plan(far, None, false),
            Err(CurrentError::ClockAhead { .. })
        ));
        assert_eq!(plan(far, Some(date(2026, 3, 3)), false), day("2026-04-03"));
        assert!(plan(far, Some(date(2020, 3, 3)), false).is_err());
        assert_eq!(plan(far, None, true), day("2026-04-03"));
        // Only a person can order that the day goes back.
        let before = date(2026, 2, 1);
        assert_eq!(plan(before, None, false), Ok(None));
        assert_eq!(plan(before, None, true), day("2026-02-01"));
    }

    #[test]
    fn makes_one_generation_a_day_and_one_for_each_change() {
        let today = date(2026, 3, 2);
        let first = plan(None, OnDisk::default(), "a", today);
        assert_eq!(first, expected(1, "2026-03-02", None));
        let known = known(3, "2026-03-02");
        let again = |on_disk, inputs, today| plan(Some(&known), on_disk, inputs, today);
        assert_eq!(again(at(3, 3), "a", today), None);
        assert_eq!(
            again(at(3, 3), "b", today),
            expected(4, "2026-03-02", Some(2))
        );
        let tomorrow = date(2026, 3, 3);
        assert_eq!(
            again(at(3, 3), "a", tomorrow),
            expected(4, "2026-03-03", Some(3))
        );
        // The clock went back.
        let yesterday = date(2026, 3, 1);
        assert_eq!(again(at(3, 3), "a", yesterday), None);
        assert_eq!(
            again(at(3, 3), "b", yesterday),
            expected(4, "2026-03-02", Some(2))
        );
    }

    #[test]
    fn a_number_is_never_used_again() {
        let today = date(2026, 3, 2);
        let known = known(3, "2026-03-02");
        let number = |on_disk| plan(Some(&known), on_disk, "a", today).unwrap().number;
        assert_eq!(number(OnDisk::default()), 4, "current was removed by hand");
        assert_eq!(number(at(2, 3)), 4);
        assert_eq!(number(at(2, 7)), 8);
        let unknown = plan(None, at(5, 6), "a", today);
        assert_eq!(unknown.unwrap().number, 7, "the ledger is new");
        let withdrawn = Generation {
            is_current: false,
            ..known.clone()
        };
        let again = plan(Some(&withdrawn), OnDisk::default(), "a", today);
        assert_eq!(again, expected(4, "2026-03-02", Some(2)));
    }
}
