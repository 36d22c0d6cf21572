//! Creates families in their state on the first day.

mod civil;
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

/// What all families of a population follow from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Basis {
    pub(super) seed: Key,
    pub(super) first_day: Day,
    /// Whether far more happens than in Denmark, see [`Settings::busy`](super::Settings::busy).
    pub(super) busy: bool,
}

impl Basis {
    /// Returns the plan of the numbers of a family.
    pub(super) fn number_plan(&self, family: u64) -> NumberPlan {
        let older = self.shape(family).older_years * 365;
        NumberPlan::new(self.seed, family, self.first_day, older)
    }

    /// Returns the key of the decisions of a night.
    pub(super) fn of_night(&self, night: u32) -> Key {
        self.seed.with(5).with(u64::from(night))
    }

    /// Returns whether the family probably has a woman who may have a child: by its shape and the age of the first adult.
    pub(super) fn may_have_children(&self, family: u64) -> bool {
        let is_family = !matches!(
            self.shape(family).partnership,
            Partnership::Alone | Partnership::Widowed | Partnership::Registered
        );
        let born = self.number_plan(family).birth(Role::First);
        let age = born.map(|born| born.years_until(self.first_day));
        is_family && age.is_some_and(|age| (21..42).contains(&age))
    }

    fn shape(&self, family: u64) -> &'static FamilyShape {
        let class = (family % CLASSES) as usize;
        match self.busy {
            true => &BUSY_SHAPES[class],
            false => &SHAPES[class],
        }
    }
}

/// Returns the family of that index as it is on the first day, with all its entries.
pub(super) fn initial_family(basis: &Basis, index: u64) -> Family {
    let key = basis.seed.with(3).with(index);
    let shape = basis.shape(index);
    let mut builder = FamilyBuilder {
        index,
        key,
        first_day: basis.first_day,
        busy: basis.busy,
        number_plan: basis.number_plan(index),
        shape,
        partnership: shape.partnership,
        rng: key.rng(),
    };
    // Couples of the same sex are about one in a hundred.
    let is_rare = !matches!((index / CLASSES) % 32, 0 | 6 | 7 | 16);
    if !basis.busy && shape.partnership == Partnership::Registered && is_rare {
        builder.partnership = Partnership::Married;
    }
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
    /// The years by which all members are older than in other families.
    older_years: i32,
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
    /// A couple of the same sex: registered partners until the law of 2012, married since; some partnerships were
    /// dissolved, some partners are survivors.
    Registered,
}

const fn family_shape(partnership: Partnership, children: u8, grandparent: bool) -> FamilyShape {
    aged_shape(partnership, children, grandparent, 0)
}

const fn aged_shape(
    partnership: Partnership,
    children: u8,
    grandparent: bool,
    older_years: i32,
) -> FamilyShape {
    FamilyShape {
        partnership,
        children,
        grandparent,
        older_years,
    }
}

/// The families of Denmark, with the share of children and of old people there.
static SHAPES: [FamilyShape; CLASSES as usize] = [
    family_shape(Partnership::Married, 3, false),
    aged_shape(Partnership::Alone, 0, false, 10),
    family_shape(Partnership::Cohabiting, 2, false),
    family_shape(Partnership::Married, 3, false),
    aged_shape(Partnership::Alone, 0, false, 20),
    aged_shape(Partnership::Married, 0, false, 22),
    family_shape(Partnership::Divorced, 2, false),
    aged_shape(Partnership::Alone, 0, false, 23),
    family_shape(Partnership::Married, 3, true),
    aged_shape(Partnership::Widowed, 1, false, 24),
    aged_shape(Partnership::Cohabiting, 0, false, 8),
    family_shape(Partnership::AloneWithChildren, 2, false),
    family_shape(Partnership::Married, 3, false),
    aged_shape(Partnership::Alone, 0, false, 12),
    family_shape(Partnership::Registered, 1, false),
    family_shape(Partnership::Cohabiting, 2, false),
];

static BUSY_SHAPES: [FamilyShape; CLASSES as usize] = [
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
    busy: bool,
    number_plan: NumberPlan,
    shape: &'static FamilyShape,
    partnership: Partnership,
    rng: Rng,
}

const FIRST: usize = 0;
const SECOND: usize = 1;

impl FamilyBuilder {
    fn members(&mut self) -> Vec<Member> {
        let partnership = self.partnership;
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
            if self.is_left_out(&child, &members) {
                continue;
            }
            let both_men = second_sex == Sex::Male && father_first;
            (child.mother, child.father) = match (alone, father_first) {
                (true, _) => (Parent::Member(FIRST), Parent::Unknown),
                (false, true) if both_men => (Parent::Unknown, Parent::Member(FIRST)),
                (false, true) => (Parent::Member(SECOND), Parent::Member(FIRST)),
                // The father of some children of unmarried parents is not known.
                (false, false)
                    if partnership == Partnership::Cohabiting
                        && child.key.with(65).rng().permille(300) =>
                {
                    (Parent::Member(FIRST), Parent::Unknown)
                }
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
                // Some mothers are not known to be the mother until a correction.
                let is_known = !members[place].key.with(66).rng().permille(300);
                match sex {
                    Sex::Female if !is_known => {}
                    Sex::Female => members[FIRST].mother = Parent::Member(place),
                    Sex::Male => members[FIRST].father = Parent::Member(place),
                }
            }
        }
        members
    }

    /// Returns whether a child is left out: if born too soon after or before a sibling, and most grown-up children,
    /// because families of their own stand for them.
    fn is_left_out(&self, child: &Member, members: &[Member]) -> bool {
        let siblings = members
            .iter()
            .filter(|other| matches!(other.role, Role::Child(_)));
        if siblings
            .map(|other| other.born)
            .any(|born| too_close(born, child.born))
        {
            return true;
        }
        let is_grown_up = child.born.years_until(self.first_day) >= 20;
        !self.busy && is_grown_up && child.key.with(60).rng().permille(GROWN_UP_LEFT_OUT)
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
        first.former.push(Former {
            status,
            person,
            until,
        });
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
        former: Vec::new(),
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

/// Returns whether two births are too close for one mother, unless they are twins.
pub(super) const fn too_close(one: Day, other: Day) -> bool {
    let days = one.days_since_1970().abs_diff(other.days_since_1970());
    days != 0 && days < PREGNANCY
}

/// The least number of days between two births of one mother.
const PREGNANCY: u32 = 280;
/// The grown-up children of a thousand who have no place in their parents' family.
const GROWN_UP_LEFT_OUT: u32 = 700;

/// Returns a day from `first` to the day before `end`, or `first` if there is no day between.
fn between(first: Day, end: Day, rng: &mut Rng) -> Day {
    let span = end.days_since_1970() - first.days_since_1970();
    first.plus(rng.below(span.max(1) as u32) as i32)
}
