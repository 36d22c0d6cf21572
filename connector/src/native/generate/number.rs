//! Person numbers that are unique without a list of used ones, and that are not real.
//!
//! **Every number made here fails modulus 11**, which every number issued until 2007 satisfies. Since then, numbers
//! that fail it are issued too, but only for the few birth dates whose other numbers are used up. Only for such a date
//! can a number made here belong to a real person, by chance.
//!
//! A number is a birth date and a serial. The seventh digit and the year's two digits give the century. So two numbers
//! differ if their birth dates or their serials differ. Families are divided into *columns*: a class (the shape of the
//! family) and a rank. Within a column, each role's birth date is an injective function of the family's position, and
//! each pair of column and role has its own serial. So neither memory nor a look-up is needed.

use std::fmt;

use super::calendar::Day;
use super::rng::Key;

/// The number of family shapes: a family's class is its index modulo this.
pub(super) const CLASSES: u64 = 16;

/// The number of families before serials run out: about five million persons.
pub(super) const MAX_FAMILIES: u64 = 2_250_000;

/// One of this many consecutive families may have a child in the same night.
pub(super) const FAMILIES_PER_BIRTH: u64 = 9280;

/// A generated person number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Number([u8; 10]);

/// The sex that the last digit gives: odd for men, even for women.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sex {
    Male,
    Female,
}

/// The role of a person in the family, as far as it determines the age.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    First,
    Second,
    Child(u8),
    Grandparent,
    /// A second number for the first adult, with another birth date.
    FirstAgain,
    /// A second number for the eldest child.
    ChildAgain,
}

/// A family's position among all families, from which its numbers are made.
#[derive(Debug, Clone, Copy)]
pub(super) struct NumberPlan {
    column: u64,
    place: u64,
    key: Key,
    first_day: Day,
    /// The days by which all members are older than in other families.
    older: i32,
}

impl NumberPlan {
    pub(super) const fn new(seed: Key, family: u64, first_day: Day, older: i32) -> Self {
        let row = family / CLASSES;
        // The multiplier has no factor in common with the number of positions, so each position is used once.
        let place = (row % PLACES * 7919 + seed.with(1).bits() % PLACES) % PLACES;
        Self {
            column: row / PLACES * CLASSES + family % CLASSES,
            place,
            key: seed.with(2),
            first_day,
            older,
        }
    }

    /// Returns the birth date of a role, or `None` if the birth is still to come (later children).
    pub(super) fn birth(&self, role: Role) -> Option<Day> {
        let (slot, gap_slot) = (role.slot(), role.slot_of_age());
        let mut gap_rng = self.key.with(self.column).with(gap_slot).rng();
        let gap = match role {
            Role::First | Role::FirstAgain => 0,
            Role::Second => gap_rng.between(-1400, 1400),
            Role::Child(_) | Role::ChildAgain => gap_rng.between(9500, 14_500),
            Role::Grandparent => gap_rng.between(-13_000, -8800),
        };
        // Shuffled within short stretches, so that the families of one column do not all have the same age differences.
        let mut rng = self.key.with(self.column).with(100 + slot).rng();
        let (factor, shift) = (u64::from(rng.below(256)) * 2 + 1, u64::from(rng.below(512)));
        let place =
            self.place - self.place % STRETCH + ((self.place % STRETCH) * factor + shift) % STRETCH;
        let born = self
            .first_day
            .plus(gap - YOUNGEST_FIRST - self.older - place as i32);
        (born < self.first_day).then_some(born)
    }

    /// Returns the number of a role with that birth date.
    pub(super) fn number(&self, role: Role, born: Day, sex: Sex) -> Number {
        let slot = self.column * ROLES + role.slot();
        let shuffled = (slot * 387 + self.key.bits() % SLOTS) % SLOTS;
        Number::new(born, first_serial(born), shuffled, sex)
    }
}

impl Number {
    /// Returns the number of the `order`th newborn of a day. Newborns have serials that no other person has.
    pub(super) fn of_newborn(born: Day, order: u64, sex: Sex) -> Self {
        Self::new(born, APART, order % SLOTS_APART, sex)
    }

    /// Returns a number that no person of any population has.
    pub(super) fn unassigned(key: Key) -> Self {
        let mut rng = key.rng();
        let born = Day::DEFAULT.plus(-20_000 - rng.below(8000) as i32);
        Self::new(born, APART, u64::from(rng.below(200)), Sex::Male)
    }

    pub(super) fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Creates a number. Each slot has two serials, of which at most one satisfies modulus 11.
    fn new(born: Day, first_serial: u32, slot: u64, sex: Sex) -> Self {
        let twenty = first_serial + (slot / 5) as u32 * 20;
        let (a, b) = match slot % 5 {
            0 => (0, 2),
            1 => (4, 6),
            2 => (10, 12),
            3 => (14, 16),
            _ => (8, 18),
        };
        let odd = u32::from(sex == Sex::Male);
        let number = Self::written(born, twenty + a + odd);
        if number.satisfies_modulus_11() {
            Self::written(born, twenty + b + odd)
        } else {
            number
        }
    }

    fn written(born: Day, serial: u32) -> Self {
        let (year, month, day) = born.parts();
        let year = year.rem_euclid(100) as u32;
        let digit = |value: u32, place: u32| b'0' + (value / place % 10) as u8;
        Self([
            digit(day, 10),
            digit(day, 1),
            digit(month, 10),
            digit(month, 1),
            digit(year, 10),
            digit(year, 1),
            digit(serial, 1000),
            digit(serial, 100),
            digit(serial, 10),
            digit(serial, 1),
        ])
    }

    fn satisfies_modulus_11(&self) -> bool {
        const WEIGHTS: [u32; 10] = [4, 3, 2, 7, 6, 5, 4, 3, 2, 1];
        let digits = self.0.iter().map(|&digit| u32::from(digit - b'0'));
        let sum: u32 = digits
            .zip(WEIGHTS)
            .map(|(digit, weight)| digit * weight)
            .sum();
        sum.is_multiple_of(11)
    }
}

/// Hides the digits, because even a generated number must not reach a log.
impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("######-####")
    }
}

impl Sex {
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Male => "M",
            Self::Female => "K",
        }
    }
}

impl Role {
    const fn slot(self) -> u64 {
        match self {
            Self::First => 0,
            Self::Second => 1,
            Self::Child(place) => 2 + place as u64 % 3,
            Self::Grandparent => 5,
            Self::FirstAgain => 6,
            Self::ChildAgain => 7,
        }
    }

    const fn slot_of_age(self) -> u64 {
        match self {
            Self::FirstAgain => Self::First.slot(),
            Self::ChildAgain => Self::Child(0).slot(),
            _ => self.slot(),
        }
    }
}

/// Returns the first of four thousand serials for the century of the year. All of them are below [`APART`].
fn first_serial(born: Day) -> u32 {
    match born.year() {
        2000.. => 4000,
        1900..2000 => 0,
        _ => 5000,
    }
}

/// The number of birth dates in a column: the first adults are 20 to 76 years old.
const PLACES: u64 = 20_480;
const STRETCH: u64 = 512;
const YOUNGEST_FIRST: i32 = 20 * 365;
const ROLES: u64 = 8;
/// Five of every twenty serials, in four thousand, make a slot.
const SLOTS: u64 = 1000;
/// Serials from here on belong to the 2000s for years up to 36, and to the 1900s for the others.
const APART: u32 = 9000;
const SLOTS_APART: u64 = 250;

const _: () = assert!(MAX_FAMILIES.div_ceil(CLASSES * PLACES) * CLASSES * ROLES <= SLOTS);
const _: () = assert!(MAX_FAMILIES / FAMILIES_PER_BIRTH + 2 <= SLOTS_APART);
const _: () = assert!(PLACES.is_multiple_of(STRETCH));

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    const ROLES_OF_ALL: [Role; 8] = [
        Role::First,
        Role::Second,
        Role::Child(0),
        Role::Child(1),
        Role::Child(2),
        Role::Grandparent,
        Role::FirstAgain,
        Role::ChildAgain,
    ];

    #[test]
    fn numbers_are_unique_have_the_century_and_fail_modulus_11() {
        let mut seen = HashSet::new();
        let ends = (0..60_000).chain(MAX_FAMILIES - 60_000..MAX_FAMILIES);
        for family in ends {
            let number_plan = NumberPlan::new(Key::new(7), family, Day::DEFAULT, 0);
            for role in ROLES_OF_ALL {
                let Some(born) = number_plan.birth(role) else {
                    continue;
                };
                let sex = if (family + role.slot()) % 3 == 0 {
                    Sex::Male
                } else {
                    Sex::Female
                };
                let number = number_plan.number(role, born, sex);
                assert!(!number.satisfies_modulus_11());
                assert_eq!(century(number), born.year() / 100);
                assert_eq!(number.0[9] % 2 == 1, sex == Sex::Male);
                assert!(seen.insert(number));
            }
        }
    }

    #[test]
    fn newborns_have_separate_serials() {
        let born = Day::DEFAULT;
        let numbers: HashSet<_> = (0..SLOTS_APART)
            .map(|order| Number::of_newborn(born, order, Sex::Female))
            .collect();
        assert_eq!(numbers.len() as u64, SLOTS_APART);
        assert!(
            numbers
                .iter()
                .all(|n| !n.satisfies_modulus_11() && century(*n) == 20)
        );
        assert!(numbers.iter().all(|n| n.0[6] == b'9'));
    }

    #[test]
    fn debug_hides_the_number() {
        let number = Number::unassigned(Key::new(1));
        assert!(!number.satisfies_modulus_11());
        assert_eq!(format!("{number:?}"), "######-####");
    }

    fn century(number: Number) -> i32 {
        let year = (number.0[4] - b'0') * 10 + (number.0[5] - b'0');
        match (number.0[6], year) {
            (b'0'..=b'3', _) | (b'4' | b'9', 37..) => 19,
            (b'4' | b'9', _) | (b'5'..=b'8', ..=57) => 20,
            _ => 18,
        }
    }
}
