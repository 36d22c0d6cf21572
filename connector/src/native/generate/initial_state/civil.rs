//! Adds the civil status of the adults, and the deaths of spouses.

use super::super::calendar::{Day, Moment};
use super::super::family::{Family, Member, Spouse, Status};
use super::super::names::{self, PersonName};
use super::super::number::{CLASSES, Role, Sex};
use super::{FIRST, FamilyBuilder, Partnership, SECOND, between};

/// The first day of registered partnerships: 1989-10-01.
const PARTNERSHIPS_SINCE: i32 = 7213;
/// The day from which couples of the same sex marry instead: 2012-06-15.
const PARTNERSHIPS_UNTIL: i32 = 15_506;

impl FamilyBuilder {
    /// Sets the civil status of the adults, and the death of those who died.
    pub(super) fn set_civil_statuses(&mut self, family: &mut Family) {
        self.set_grandparents_status(family);
        let adults = family
            .members
            .iter()
            .filter(|m| matches!(m.role, Role::First | Role::Second));
        let Some(youngest) = adults.map(|adult| adult.born).max() else {
            return;
        };
        let is_same_sex = self.partnership == Partnership::Registered;
        let of_age = youngest.plus(19 * 365);
        let (bond, wedding) = match is_same_sex {
            true => self.same_sex_wedding(of_age),
            false => ("G", self.moment_after(of_age.min(self.first_day.plus(-1)))),
        };
        let variant = (self.index / CLASSES) % 8;
        let end = match (self.partnership, variant) {
            (Partnership::Widowed, _) | (Partnership::Registered, 7) => Some(End::Death),
            (Partnership::Divorced, _) | (Partnership::Registered, 6) => Some(End::Divorce),
            (Partnership::Married, _) if self.spouse_died(family) => Some(End::Death),
            _ => None,
        };
        let ending = self.ending(family, wedding.day, end);
        match self.partnership {
            Partnership::Alone => return self.set_outside_spouse(family),
            Partnership::AloneWithChildren | Partnership::Cohabiting => return,
            // They are too young to be married.
            _ if of_age >= self.first_day.plus(-1) => return,
            _ => {}
        }
        for (place, spouse) in [(FIRST, SECOND), (SECOND, FIRST)] {
            let Some(member) = family.members.get_mut(place) else {
                continue;
            };
            member.set_civil(bond, Spouse::Member(spouse), wedding);
            let former = member.last_spouse();
            match end {
                Some(End::Death) if place == SECOND => {
                    member.set_civil("D", former, ending);
                    member.set_status(Status::Dead, ending);
                }
                Some(end) => member.set_civil(end.status_after(bond), former, ending),
                None => {}
            }
        }
    }

    /// Returns the civil status and the wedding of a couple of the same sex. They were registered partners before the
    /// law changed, and have married since.
    fn same_sex_wedding(&mut self, of_age: Day) -> (&'static str, Moment) {
        let day = |days: i32| Day::EPOCH.plus(days);
        let first = of_age.max(day(PARTNERSHIPS_SINCE));
        let last = day(PARTNERSHIPS_UNTIL).min(self.first_day);
        let (bond, first, last) = match first < last {
            true => ("P", first, last),
            false => ("G", first.min(self.first_day.plus(-1)), self.first_day),
        };
        let wedding = between(first, last, &mut self.rng);
        (bond, Moment::past(wedding, &mut self.rng))
    }

    /// Returns the end of a marriage. A parent lives until the children are born. Without `busy`, spouses die old.
    fn ending(&mut self, family: &Family, wedding: Day, end: Option<End>) -> Moment {
        let children = family
            .members
            .iter()
            .filter(|m| matches!(m.role, Role::Child(_)));
        let born = children.map(|child| child.born).max();
        let mut earliest = born.map_or(wedding, |born| born.max(wedding));
        if let (false, Some(End::Death), Some(second)) =
            (self.busy, end, family.members.get(SECOND))
        {
            let old = second.born.plus(68 * 365);
            earliest = earliest.max(old.min(self.first_day.plus(-3000)));
        }
        self.moment_after(earliest)
    }

    /// Returns whether the second spouse of an old couple has died, as many of them have in Denmark.
    fn spouse_died(&self, family: &Family) -> bool {
        let Some(second) = family.members.get(SECOND).filter(|_| !self.busy) else {
            return false;
        };
        let age = second.born.years_until(self.first_day);
        second.key.with(63).rng().permille(dead_permille(age))
    }

    /// Sets the civil status of adults who live alone. They may be, or have been, married to a person without a number.
    fn set_outside_spouse(&mut self, family: &mut Family) {
        let age = family.members[FIRST].born.years_until(self.first_day);
        let (married, divorced, widowed) = match age {
            _ if self.busy => (12, 22, 30),
            70.. => (8, 32, 85),
            45..70 => (8, 45, 50),
            _ => (8, 18, 18),
        };
        let (code, ended) = match self.rng.below(100) {
            share if share < married => ("G", None),
            share if share < divorced => ("G", Some("F")),
            share if share < widowed => ("G", Some("E")),
            _ => return,
        };
        let member = &mut family.members[FIRST];
        let since = self.moment_after(member.born.plus(20 * 365));
        let spouse = self.spouse_without_number(&family.members[FIRST]);
        let member = &mut family.members[FIRST];
        member.set_civil(code, spouse, since);
        if let Some(ended) = ended {
            let ending = self.moment_after(since.day);
            member.set_civil(ended, spouse, ending);
        }
    }

    fn spouse_without_number(&mut self, member: &Member) -> Spouse {
        let born = Moment::date(
            member.born.plus(self.rng.between(-1500, 1500)),
            &mut self.rng,
        );
        let sex = match member.sex {
            Sex::Male => Sex::Female,
            Sex::Female => Sex::Male,
        };
        let surname = names::foreign_surname(&mut self.rng);
        Spouse::Named(PersonName::draw(sex, surname, born, &mut self.rng), born)
    }

    /// Sets the civil status of a grandparent: most are widowed, of a person whom the extract does not have.
    fn set_grandparents_status(&self, family: &mut Family) {
        let grandparents = family
            .members
            .iter_mut()
            .filter(|m| m.role == Role::Grandparent);
        for member in grandparents {
            let mut rng = member.key.with(62).rng();
            let child = member.born.plus(21 * 365);
            let wedding = Moment::past(between(child, child.plus(1200), &mut rng), &mut rng);
            let late = member.born.plus(55 * 365).min(self.first_day.plus(-900));
            let ending = Moment::past(between(late, self.first_day, &mut rng), &mut rng);
            let ended = match rng.below(100) {
                0..60 => Some("E"),
                60..80 => Some("F"),
                80..92 => None,
                _ => continue,
            };
            member.set_civil("G", Spouse::Zeros, wedding);
            if let Some(ended) = ended {
                member.set_civil(ended, Spouse::Zeros, ending);
            }
        }
    }
}

/// The end of a marriage or registered partnership.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Divorce,
    Death,
}

impl End {
    const fn status_after(self, bond: &'static str) -> &'static str {
        match (self, bond.as_bytes()) {
            (Self::Divorce, b"P") => "O",
            (Self::Divorce, _) => "F",
            (Self::Death, b"P") => "L",
            (Self::Death, _) => "E",
        }
    }
}

/// Returns the persons of a thousand of that age who have died. The table of deaths of Denmark, in rough steps.
pub(super) const fn dead_permille(age: i32) -> u32 {
    match age {
        ..70 => 0,
        70..75 => 60,
        75..80 => 120,
        80..85 => 150,
        85..90 => 300,
        90..95 => 550,
        95..100 => 900,
        _ => 990,
    }
}
