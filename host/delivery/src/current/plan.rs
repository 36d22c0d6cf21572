//! Decides whether a new generation of current tables is needed. The functions here use no disk and no ledger.

use jiff::civil::Date;

use crate::ledger::Generation;

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
}

/// Returns the generation to make; `None` if `known` is current and up to date.
///
/// The day never goes back, even if the clock does.
pub(super) fn plan(
    known: Option<&Generation>,
    on_disk: OnDisk,
    inputs: &str,
    today: Date,
) -> Option<Plan> {
    let today = today.to_string();
    let highest = on_disk.highest.max(on_disk.current);
    let Some(known) = known else {
        return Some(Plan {
            number: highest.unwrap_or_default() + 1,
            day: today,
            compared_with: None,
        });
    };
    let is_new_day = known.day < today;
    let is_on_disk = known.is_current && on_disk.current == Some(known.number);
    if is_on_disk && !is_new_day && known.inputs == inputs {
        return None;
    }
    Some(Plan {
        number: highest.unwrap_or_default().max(known.number) + 1,
        compared_with: match is_new_day {
            true => Some(known.number),
            false => known.compared_with,
        },
        day: if is_new_day { today } else { known.day.clone() },
    })
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
        }
    }

    fn at(current: u64, highest: u64) -> OnDisk {
        OnDisk {
            current: Some(current),
            highest: Some(highest),
        }
    }

    fn expected(number: u64, day: &str, compared_with: Option<u64>) -> Option<Plan> {
        Some(Plan {
            number,
            day: day.to_owned(),
            compared_with,
        })
    }

    #[test]
    fn makes_one_generation_a_day_and_one_for_each_change() {
        let today = date(2026, 3, 2);
        let first = plan(None, OnDisk::default(), "a", today);
        assert_eq!(first, expected(1, "2026-03-02", None));
        let known = known(3, "2026-03-02");
        let plan = |on_disk, inputs, today| plan(Some(&known), on_disk, inputs, today);
        assert_eq!(plan(at(3, 3), "a", today), None);
        assert_eq!(
            plan(at(3, 3), "b", today),
            expected(4, "2026-03-02", Some(2))
        );
        let tomorrow = date(2026, 3, 3);
        assert_eq!(
            plan(at(3, 3), "a", tomorrow),
            expected(4, "2026-03-03", Some(3))
        );
        // The clock went back.
        let yesterday = date(2026, 3, 1);
        assert_eq!(plan(at(3, 3), "a", yesterday), None);
        assert_eq!(
            plan(at(3, 3), "b", yesterday),
            expected(4, "2026-03-02", Some(2))
        );
    }

    #[test]
    fn a_number_is_never_used_again() {
        let today = date(2026, 3, 2);
        let known = known(3, "2026-03-02");
        let plan = |on_disk| plan(Some(&known), on_disk, "a", today).unwrap().number;
        assert_eq!(plan(OnDisk::default()), 4, "current was removed by hand");
        assert_eq!(plan(at(2, 3)), 4);
        assert_eq!(plan(at(2, 7)), 8);
        let unknown = super::plan(None, at(5, 6), "a", today);
        assert_eq!(unknown.unwrap().number, 7, "the ledger is new");
        let withdrawn = Generation {
            is_current: false,
            ..known.clone()
        };
        let again = super::plan(Some(&withdrawn), OnDisk::default(), "a", today);
        assert_eq!(again, expected(4, "2026-03-02", Some(2)));
    }
}
