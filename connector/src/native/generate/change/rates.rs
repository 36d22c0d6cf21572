//! How often the changes of a night occur in Denmark.

use super::ChangeKind;
use crate::native::generate::rng::Rng;

/// The families of a million that have this change in a night, if a member qualifies. A year has about 250 nights.
///
/// Changes for which few families qualify have a higher number. The results are measured in `tests/figures.rs`.
const DENMARK: [(ChangeKind, u32); 17] = [
    (ChangeKind::MoveWithin, 420),
    (ChangeKind::MoveAway, 260),
    (ChangeKind::DeathOfAge, DEATHS),
    (ChangeKind::Emigrate, 70),
    (ChangeKind::Return, 900),
    (ChangeKind::Disappear, 3),
    (ChangeKind::Found, 150),
    (ChangeKind::NewNumber, 3),
    (ChangeKind::Protect, 50),
    (ChangeKind::Unprotect, 1200),
    (ChangeKind::Rename, 90),
    (ChangeKind::Marriage, 60),
    (ChangeKind::Divorce, 40),
    (ChangeKind::Church, 40),
    (ChangeKind::Requisition, 15),
    (ChangeKind::PeriodicRequisition, 15),
    (ChangeKind::Upkeep(0), 350),
];

/// The families of a million in which a member may die in a night. Each of `MEMBERS_AT_RISK` members has a turn as
/// often as 2,500 of 10,000 persons die in a year of 250 nights; `deaths_of_ten_thousand` decides how many of them die.
const DEATHS: u32 = MEMBERS_AT_RISK * 1000;

/// The number of members of a family who may have their turn.
pub(super) const MEMBERS_AT_RISK: u32 = 6;

/// Returns a random change of a night, or `None` for most families.
pub(in crate::native::generate) fn draw_of_denmark(rng: &mut Rng) -> Option<ChangeKind> {
    let mut left = rng.below(1_000_000);
    for (kind, share) in DENMARK {
        if left < share {
            return Some(match kind {
                ChangeKind::Upkeep(_) => ChangeKind::draw_upkeep(rng),
                kind => kind,
            });
        }
        left -= share;
    }
    None
}

/// Returns how many of 10,000 persons of an age die in a year; at most 2,500.
pub(super) const fn deaths_of_ten_thousand(age: i32) -> u32 {
    match age {
        ..30 => 3,
        30..40 => 6,
        40..50 => 13,
        50..60 => 35,
        60..70 => 90,
        70..75 => 180,
        75..80 => 350,
        80..85 => 680,
        85..90 => 1250,
        90..95 => 2200,
        _ => 2500,
    }
}
