//! Creates families in their state on the first day.

mod home;
mod life;
mod registered;

use super::calendar::{Day, Moment};
use super::family::{Civil, Family, Former, Member, Parent, Spouse, Status};
use super::names::{self, PersonName};
use super::number::{CLASSES, Number, NumberPlan, Role, Sex};
use super::places::DENMARK;
use super::rng::{Key, Rng};
use super::traits::Trait;

/// Returns the family of that index as it is on the first day, with all its entries.
pub(super) fn initial_family(seed: Key, index: u64, first_day: Day) -> Family {
    let key = seed.with(3).with(index);
    let mut builder = FamilyBuilder {
        index,
        key,
        first_day,
        number_plan: NumberPlan::new(seed, index, first_day),
        shape: &FAMILY_SHAPES[(index % CLASSES) as usize],
        rng: key.rng(),
    };
    let members = builder.members();
    let mut family = Family {
        index,
        key,
        members,
        kept: usize::MAX,
    };
    builder.set_civil_statuses(&mut family);
    builder.add_homes(&mut family);
    for place in 0..family.members.len() {
        builder.add_life(&mut family, place);
    }
    builder.renumber(&mut family);
    family
}

/// The shape of the families of a class.
struct FamilyShape {
    partnership: Partnership,
    children: u8,
    grandparent: bool,
}

/// The partnership of the two adults, now or in the past.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Partnership {
    Alone,
    /// One adult, with children whose other parent is unknown.
    AloneWithChildren,
    Cohabiting,
    Married,
    Divorced,
    Widowed,
    /// Registered partners; some partnerships were dissolved, some partners are survivors.
    Registered,
}

const fn family_shape(partnership: Partnership, children: u8, grandparent: bool) -> FamilyShape {
    FamilyShape {
        partnership,
        children,
        grandparent,
    }
}

static FAMILY_SHAPES: [FamilyShape; CLASSES as usize] = [
    family_shape(Partnership::Married, 2, false),
    family_shape(Partnership::Alone, 0, false),
    family_shape(Partnership::Cohabiting, 1, false),
    family_shape(Partnership::Married, 3, false),
    family_shape(Partnership::Alone, 0, false),
    family_shape(Partnership::Married, 0, false),
    family_shape(Partnership::Divorced, 2, false),
    family_shape(Partnership::Alone, 0, false),
    family_shape(Partnership::Married, 2, true),
    family_shape(Partnership::Widowed, 1, false),
    family_shape(Partnership::Cohabiting, 0, false),
    family_shape(Partnership::AloneWithChildren, 1, false),
    family_shape(Partnership::Married, 2, false),
    family_shape(Partnership::Alone, 0, false),
    family_shape(Partnership::Registered, 1, false),
    family_shape(Partnership::Cohabiting, 2, false),
];

struct FamilyBuilder {
    index: u64,
    key: Key,
    first_day: Day,
    number_plan: NumberPlan,
    shape: &'static FamilyShape,
    rng: Rng,
}

const FIRST: usize = 0;
const SECOND: usize = 1;

impl FamilyBuilder {
    fn members(&mut self) -> Vec<Member> {
        let partnership = self.shape.partnership;
        let first_sex = match partnership {
            Partnership::AloneWithChildren => Sex::Female,
            _ if self.rng.permille(500) => Sex::Female,
            _ => Sex::Male,
        };
        let second_sex = match (partnership, first_sex) {
            (Partnership::Registered, sex) => sex,
            (_, Sex::Female) => Sex::Male,
            (_, Sex::Male) => Sex::Female,
        };
        let surname = names::surname(&mut self.rng);
        let mut members = Vec::with_capacity(6);
        members.extend(self.member(Role::First, first_sex, surname));
        let alone = matches!(
            partnership,
            Partnership::Alone | Partnership::AloneWithChildren
        );
        if !alone {
            let shared = partnership == Partnership::Married && self.rng.permille(700);
            let own = names::surname(&mut self.rng);
            members.extend(self.member(
                Role::Second,
                second_sex,
                if shared { surname } else { own },
            ));
        }
        let father_first = first_sex == Sex::Male;
        for child in 0..self.shape.children {
            let sex = if self.rng.permille(490) {
                Sex::Female
            } else {
                Sex::Male
            };
            let Some(mut child) = self.member(Role::Child(child), sex, surname) else {
                continue;
            };
            (child.mother, child.father) = match (alone, father_first) {
                (true, _) => (Parent::Member(FIRST), Parent::Unknown),
                (false, true) => (Parent::Member(SECOND), Parent::Member(FIRST)),
                (false, false) => (Parent::Member(FIRST), Parent::Member(SECOND)),
            };
            members.push(child);
        }
        if self.shape.grandparent {
            let place = members.len();
            let sex = if self.rng.permille(700) {
                Sex::Female
            } else {
                Sex::Male
            };
            members.extend(self.member(Role::Grandparent, sex, surname));
            if members.len() > place {
                match sex {
                    Sex::Female => members[FIRST].mother = Parent::Member(place),
                    Sex::Male => members[FIRST].father = Parent::Member(place),
                }
            }
        }
        members
    }

    /// Returns a member with only the facts of birth, or `None` if the birth is still to come.
    fn member(&mut self, role: Role, sex: Sex, surname: &'static str) -> Option<Member> {
        let born = self.number_plan.birth(role)?;
        let number = self.number_plan.number(role, born, sex);
        let key = self.key.with(10 + self.rng.below(1 << 30) as u64);
        let mut member = born_member(key, role, number, sex, born, surname);
        let rng = &mut self.rng;
        let named = born.plus(rng.between(0, 170)).min(self.first_day.plus(-1));
        member.name.since = Moment::past(named, rng);
        // Nearly all start dates were copied when the register became electronic.
        member.number_since = Moment::certain(born).doubted(rng.permille(650));
        member.occupation =
            (is_adult(born, self.first_day) && rng.permille(400)).then(|| names::occupation(rng));
        Some(member)
    }

    /// Sets the civil status of the adults, and the death of those who died.
    fn set_civil_statuses(&mut self, family: &mut Family) {
        let adults = family
            .members
            .iter()
            .filter(|m| matches!(m.role, Role::First | Role::Second));
        let Some(youngest) = adults.map(|adult| adult.born).max() else {
            return;
        };
        let adult_since = youngest.plus(19 * 365).min(self.first_day.plus(-1));
        let wedding = self.moment_after(adult_since);
        let ending = self.moment_after(wedding.day);
        let variant = (self.index / CLASSES) % 8;
        let (bound, ended) = match (self.shape.partnership, variant) {
            (Partnership::Alone, _) => return self.set_outside_spouse(family),
            (Partnership::AloneWithChildren | Partnership::Cohabiting, _) => return,
            (Partnership::Married, _) => ("G", None),
            (Partnership::Divorced, _) => ("G", Some("F")),
            (Partnership::Widowed, _) => ("G", Some("E")),
            (Partnership::Registered, 6) => ("P", Some("O")),
            (Partnership::Registered, 7) => ("P", Some("L")),
            (Partnership::Registered, _) => ("P", None),
        };
        for (place, spouse) in [(FIRST, SECOND), (SECOND, FIRST)] {
            let Some(member) = family.members.get_mut(place) else {
                continue;
            };
            member.set_civil(bound, Spouse::Member(spouse), wedding);
            match ended {
                Some("E" | "L") if place == SECOND => {
                    member.set_civil("D", Spouse::Blank, ending);
                    member.set_status(Status::Dead, ending);
                }
                Some(code) => member.set_civil(code, Spouse::Zeros, ending),
                None => {}
            }
        }
    }

    /// Sets the civil status of adults who live alone. They may be, or have been, married to a person without a number.
    fn set_outside_spouse(&mut self, family: &mut Family) {
        let (code, ended) = match self.rng.below(100) {
            0..12 => ("G", None),
            12..22 => ("G", Some("F")),
            22..30 => ("G", Some("E")),
            _ => return,
        };
        let member = &mut family.members[FIRST];
        let since = self.moment_after(member.born.plus(20 * 365));
        let born = Moment::date(
            member.born.plus(self.rng.between(-1500, 1500)),
            &mut self.rng,
        );
        let sex = if member.sex == Sex::Male {
            Sex::Female
        } else {
            Sex::Male
        };
        let surname = names::foreign_surname(&mut self.rng);
        let spouse = Spouse::Named(PersonName::draw(sex, surname, born, &mut self.rng), born);
        member.set_civil(code, spouse, since);
        if let Some(ended) = ended {
            let ending = self.moment_after(since.day);
            member.set_civil(ended, spouse, ending);
        }
    }

    /// Gives some members a former number.
    fn renumber(&mut self, family: &mut Family) {
        let Some(first) = family.members.first_mut() else {
            return;
        };
        let status = if Trait::DeletedNumber.holds(self.index, true, &mut self.rng) {
            Status::Deleted
        } else if Trait::FormerNumber.holds(self.index, true, &mut self.rng) {
            Status::Changed
        } else {
            return;
        };
        let Some(born) = self.number_plan.birth(Role::FirstAgain) else {
            return;
        };
        let mut person = first.clone();
        person.born = born;
        person.number = self.number_plan.number(Role::FirstAgain, born, first.sex);
        let until = self.recent(self.first_day);
        first.number_since = until;
        first.former = Some(Box::new(Former {
            status,
            person,
            until,
        }));
    }

    /// Returns a random moment from that day on, before the first day.
    fn moment_after(&mut self, day: Day) -> Moment {
        let day = between(day, self.first_day, &mut self.rng);
        Moment::past(day, &mut self.rng)
    }

    fn recent(&mut self, day: Day) -> Moment {
        let day = day.plus(-self.rng.between(30, 6000));
        Moment::past(day, &mut self.rng)
    }
}

/// Returns a person with only birth, name and number.
pub(super) fn born_member(
    key: Key,
    role: Role,
    number: Number,
    sex: Sex,
    born: Day,
    surname: &'static str,
) -> Member {
    let mut rng = key.rng();
    let rng = &mut rng;
    let birth = Moment::certain(born);
    Member {
        key,
        role,
        number,
        number_since: birth,
        former: None,
        sex,
        born,
        status: Status::Resident,
        status_since: None,
        occupation: None,
        key_constant: if rng.permille(120) {
            format!("SAG-{:08}", rng.below(100_000_000))
        } else {
            String::new()
        },
        name: PersonName::draw(sex, surname, Moment::past(born, rng), rng),
        former_names: Vec::new(),
        residence: None,
        former_residences: Vec::new(),
        emigration: None,
        former_emigrations: Vec::new(),
        disappeared: None,
        former_disappearances: Vec::new(),
        contact: None,
        protections: Vec::new(),
        former_protections: Vec::new(),
        credit_warning: None,
        former_credit_warnings: Vec::new(),
        birthplace: (
            rng.pick(&["8333", "8331", "8318", "8126", "0101", "0751"]),
            "",
        ),
        citizenship: (DENMARK, Moment::past(born, rng)),
        former_citizenships: Vec::new(),
        church: ("U", Moment::date(born, rng)),
        former_churches: Vec::new(),
        civil: Civil {
            code: "U",
            spouse: Spouse::Blank,
            since: None,
        },
        former_civils: Vec::new(),
        separation: None,
        former_separations: Vec::new(),
        mother: Parent::Unknown,
        father: Parent::Unknown,
        custodian: None,
        shared_residence: None,
        guardianship: None,
        conditions: Vec::new(),
        notes: Vec::new(),
        franchise: Vec::new(),
        relocation_order: None,
    }
}

pub(super) const fn is_adult(born: Day, day: Day) -> bool {
    born.years_until(day) >= 18
}

/// Returns a day from `first` to the day before `end`, or `first` if there is no day between.
fn between(first: Day, end: Day, rng: &mut Rng) -> Day {
    let span = end.days_since_1970() - first.days_since_1970();
    first.plus(rng.below(span.max(1) as u32) as i32)
}
