//! Finds which person numbers belong to the same person, and whom a protection covers besides its own number.
//!
//! A person keeps a protection when the number changes, but 004 stands under one number only. So a protection covers
//! every number that is tied to it, over any number of changes: by PNRGAELD in 001, or by a former number in 022.

use std::collections::{BTreeMap, BTreeSet};

use roaring::RoaringTreemap;

use crate::error::Error;
use crate::layout::Column;
use crate::record::{FORMER_NUMBER, LinkedNumber, PERSON, column_of, linked_number};
use crate::wire::{Reader, Writer};

/// The statuses of numbers that were deleted or changed.
const REPLACED: [&[u8]; 2] = [b"50", b"60"];

const STATUS: &Column = column_of(PERSON, "status");

/// The ties between the person numbers of an extract.
#[derive(Clone, Default)]
pub(super) struct NumberLinks {
    /// Numbers with the number that 001 names as valid.
    current: Vec<(u64, u64)>,
    /// Valid numbers with the former number that 022 names.
    former: Vec<(u64, u64)>,
    /// The numbers that were deleted or changed.
    replaced: RoaringTreemap,
    /// The numbers whose status cannot be read, so that they may have been replaced.
    unclear: RoaringTreemap,
}

impl NumberLinks {
    /// Reads a 001.
    pub(super) fn add_person(&mut self, person: u64, record: &[u8]) {
        if let LinkedNumber::Known(current) = linked_number(PERSON, record) {
            self.current.push((person, current));
        }
        match record.get(STATUS.start()..STATUS.end()) {
            Some(status) if status.iter().all(u8::is_ascii_digit) => {
                if REPLACED.contains(&status) {
                    self.replaced.insert(person);
                }
            }
            _ => drop(self.unclear.insert(person)),
        }
    }

    /// Reads a 022.
    pub(super) fn add_former(&mut self, person: u64, record: &[u8]) {
        if let LinkedNumber::Known(former) = linked_number(FORMER_NUMBER, record) {
            self.former.push((person, former));
        }
    }

    pub(super) fn write(&self, writer: &mut Writer) -> Result<(), Error> {
        writer.pairs(&self.current);
        writer.pairs(&self.former);
        writer.persons(&self.replaced)?;
        writer.persons(&self.unclear)
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        Ok(Self {
            current: reader.pairs()?,
            former: reader.pairs()?,
            replaced: reader.persons()?,
            unclear: reader.persons()?,
        })
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.current.extend_from_slice(&other.current);
        self.former.extend_from_slice(&other.former);
        self.replaced |= &other.replaced;
        self.unclear |= &other.unclear;
    }

    /// Adds what the records of the persons in the next older extract of a state say, if they count.
    pub(super) fn absorb(&mut self, extract: Self, counts: impl Fn(u64) -> bool) {
        let is_counted = |(person, _): &(u64, u64)| counts(*person);
        // Of two ties of one number, the last one counts. So what an older extract says comes first.
        let older = extract.current.into_iter().filter(is_counted);
        self.current.splice(0..0, older);
        let older = extract.former.into_iter().filter(is_counted);
        self.former.splice(0..0, older);
        let replaced = extract.replaced.into_iter();
        self.replaced.extend(replaced.filter(|one| counts(*one)));
        let unclear = extract.unclear.into_iter();
        self.unclear.extend(unclear.filter(|one| counts(*one)));
    }

    /// Returns the persons whose records tie their number to another one.
    pub(super) fn sources(&self) -> RoaringTreemap {
        let ties = self.current.iter().chain(&self.former);
        ties.map(|(person, _)| *person).collect()
    }

    /// Returns the protected persons: `known`, all numbers tied to them, and the replaced numbers whose valid number
    /// cannot be checked. `is_missing` tells whether the extract has no valid 001 of a number.
    pub(super) fn protected(
        &self,
        known: &RoaringTreemap,
        is_missing: impl Fn(u64) -> bool,
    ) -> RoaringTreemap {
        let mut protected = self.tied_to(known);
        protected |= self.unresolved(&self.replaced, is_missing);
        protected
    }

    /// Returns the persons who may be protected, although nothing says so for certain: those of `doubtful`, all numbers
    /// tied to them, and the numbers whose status cannot be read and whose valid number cannot be checked.
    pub(super) fn perhaps_protected(
        &self,
        doubtful: &RoaringTreemap,
        is_missing: impl Fn(u64) -> bool,
    ) -> RoaringTreemap {
        let mut perhaps = self.tied_to(doubtful);
        perhaps |= self.unresolved(&(&self.replaced | &self.unclear), is_missing);
        perhaps
    }

    /// Returns the persons and every number that is tied to theirs, directly or over other numbers.
    pub(super) fn tied_to(&self, persons: &RoaringTreemap) -> RoaringTreemap {
        let mut ties: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        for (one, other) in self.current.iter().chain(&self.former) {
            ties.entry(*one).or_default().push(*other);
            ties.entry(*other).or_default().push(*one);
        }
        let mut tied = persons.clone();
        let mut open: Vec<u64> = ties
            .keys()
            .copied()
            .filter(|one| persons.contains(*one))
            .collect();
        while let Some(number) = open.pop() {
            for other in ties.get(&number).into_iter().flatten() {
                if tied.insert(*other) {
                    open.push(*other);
                }
            }
        }
        tied
    }

    /// Returns those of the replaced numbers that lead to no number whose protection can be checked: the chain of valid numbers
    /// ends at a number that is missing, at no number, or goes in a circle.
    ///
    /// Only the replaced numbers are returned. A 022 that names a former number says nothing about the valid number.
    fn unresolved(
        &self,
        replaced: &RoaringTreemap,
        is_missing: impl Fn(u64) -> bool,
    ) -> RoaringTreemap {
        let by_former = self.former.iter().map(|(valid, former)| (*former, *valid));
        let mut next: BTreeMap<u64, u64> = by_former.collect();
        // What 001 says about its own number counts more than a 022 of another number.
        next.extend(self.current.iter().copied());
        let mut known: BTreeMap<u64, bool> = BTreeMap::new();
        for start in replaced {
            let mut path = BTreeSet::new();
            let mut number = start;
            let is_unresolved = loop {
                if let Some(known) = known.get(&number) {
                    break *known;
                }
                if !replaced.contains(number) {
                    break is_missing(number);
                }
                if !path.insert(number) {
                    break true;
                }
                match next.get(&number) {
                    Some(valid) => number = *valid,
                    None => break true,
                }
            };
            known.extend(path.into_iter().map(|number| (number, is_unresolved)));
        }
        let unresolved = known.into_iter().filter(|(_, is_so)| *is_so);
        unresolved.map(|(number, _)| number).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The persons of these tests are counted from 1; 0 is no person. Their numbers begin with a day and a month.
    const FIRST: u64 = 101_010_000;

    fn number(person: u64) -> u64 {
        match person {
            0 => 0,
            person => FIRST + person,
        }
    }

    fn numbers(persons: &[u64]) -> RoaringTreemap {
        persons.iter().copied().map(number).collect()
    }

    fn persons(numbers: &RoaringTreemap) -> Vec<u64> {
        numbers.iter().map(|number| number - FIRST).collect()
    }

    /// Returns the links of 001 records `(number, status, valid number)` and of 022 records `(valid, former)`.
    fn links(persons: &[(u64, &str, u64)], former: &[(u64, u64)]) -> NumberLinks {
        let mut links = NumberLinks::default();
        for (person, status, valid) in persons {
            let (person, valid) = (number(*person), number(*valid));
            let record = format!("001{person:010}{valid:010}{status}");
            links.add_person(person, record.as_bytes());
        }
        for (valid, former) in former {
            let (valid, former) = (number(*valid), number(*former));
            links.add_former(valid, format!("022{valid:010}{former:010}").as_bytes());
        }
        links
    }

    fn delivered(records: &[(u64, &str, u64)]) -> RoaringTreemap {
        records.iter().map(|(person, ..)| number(*person)).collect()
    }

    fn protected(records: &[(u64, &str, u64)], former: &[(u64, u64)], known: &[u64]) -> Vec<u64> {
        let delivered = delivered(records);
        let is_missing = |number| !delivered.contains(number);
        let links = links(records, former);
        persons(&links.protected(&numbers(known), is_missing))
    }

    #[test]
    fn a_protection_spreads_over_chains_in_both_directions() {
        let chain = [(1, "60", 2), (2, "50", 3), (3, "60", 4), (4, "01", 0)];
        for known in 1..=4 {
            assert_eq!(protected(&chain, &[], &[known]), [1, 2, 3, 4]);
        }
        assert!(protected(&chain, &[], &[]).is_empty());
        // A 022 ties numbers too, even where the 001 of the former number is missing.
        let valid = [(4, "01", 0), (9, "01", 0)];
        let former = [(4, 3), (3, 2), (2, 1)];
        for known in 1..=4 {
            assert_eq!(protected(&valid, &former, &[known]), [1, 2, 3, 4]);
        }
        assert!(protected(&valid, &former, &[]).is_empty());
        // Both kinds of links in one chain.
        let mixed = [(1, "60", 2), (3, "01", 0)];
        assert_eq!(protected(&mixed, &[(3, 2)], &[3]), [1, 2, 3]);
    }

    #[test]
    fn a_missing_valid_number_protects_only_replaced_numbers() {
        assert_eq!(protected(&[(1, "60", 2), (2, "60", 3)], &[], &[]), [1, 2]);
        assert_eq!(protected(&[(1, "50", 2)], &[], &[]), [1]);
        // No valid number is named at all.
        assert_eq!(protected(&[(1, "60", 0), (5, "01", 0)], &[], &[]), [1]);
        // A 022 names it instead.
        assert!(protected(&[(1, "60", 0), (5, "01", 0)], &[(5, 1)], &[]).is_empty());
        // Numbers that were not replaced are not protected.
        for status in ["01", "30", "70", "80", "90"] {
            assert!(
                protected(&[(1, status, 2)], &[], &[]).is_empty(),
                "{status}"
            );
        }
        assert!(protected(&[(3, "01", 0)], &[(3, 1), (3, 2)], &[]).is_empty());
    }

    #[test]
    fn the_newest_extract_names_the_valid_number() {
        let extracts = [
            links(&[(1, "60", 2), (2, "01", 0)], &[(2, 5), (2, 6)]),
            links(&[(1, "60", 3), (5, "50", 0)], &[(3, 6)]),
            links(&[(1, "60", 4), (6, "50", 0)], &[(4, 5)]),
        ];
        let mut newest_first = NumberLinks::default();
        for extract in extracts {
            newest_first.absorb(extract, |_| true);
        }
        // Only 2 is delivered: the number that the newest extract names instead of 1, 5 and 6.
        let is_missing = |one| one != number(2);
        let none = RoaringTreemap::new();
        assert!(newest_first.protected(&none, is_missing).is_empty());
        let is_missing = |one| one != number(3) && one != number(4);
        let unresolved = newest_first.protected(&none, is_missing);
        assert_eq!(persons(&unresolved), [1, 5, 6]);
    }

    #[test]
    fn an_unreadable_status_protects_perhaps() {
        let perhaps = |records: &[(u64, &str, u64)], doubtful: &[u64]| {
            let delivered = delivered(records);
            let is_missing = |number| !delivered.contains(number);
            let links = links(records, &[]);
            persons(&links.perhaps_protected(&numbers(doubtful), is_missing))
        };
        for status in ["6 ", " 6", "6O", "", "6", "\t0", "  "] {
            assert!(
                protected(&[(1, status, 2)], &[], &[]).is_empty(),
                "{status:?}"
            );
            assert_eq!(perhaps(&[(1, status, 2)], &[]), [1], "{status:?}");
            assert_eq!(perhaps(&[(1, status, 0)], &[]), [1], "{status:?}");
            // The valid number is there, so its protection can be checked.
            assert!(perhaps(&[(1, status, 2), (2, "01", 0)], &[]).is_empty());
        }
        // A doubt covers the other numbers of the person.
        assert_eq!(perhaps(&[(1, "60", 2), (2, "01", 0)], &[2]), [1, 2]);
        assert!(perhaps(&[(1, "60", 2), (2, "01", 0)], &[]).is_empty());
    }

    #[test]
    fn a_circle_protects_only_the_replaced_numbers() {
        assert_eq!(protected(&[(1, "60", 1)], &[], &[]), [1]);
        let circle = [(1, "60", 2), (2, "60", 3), (3, "60", 2), (4, "01", 0)];
        assert_eq!(protected(&circle, &[(4, 2)], &[]), [1, 2, 3]);
    }

    proptest! {
        /// Chains of any length, in any order of records, with and without links that are missing.
        #[test]
        fn chains_of_any_length(
            length in 1_u64..40,
            known in 0_u64..40,
            by_former in any::<u64>(),
            order in any::<u64>(),
        ) {
            let mut persons = vec![(length, "01", 0)];
            let mut former = Vec::new();
            for number in 1..length {
                match by_former >> number & 1 {
                    0 => persons.push((number, "60", number + 1)),
                    _ => former.push((number + 1, number)),
                }
            }
            let turn = (order as usize) % persons.len();
            persons.rotate_left(turn);
            let all: Vec<u64> = (1..=length).collect();
            if (1..=length).contains(&known) {
                prop_assert_eq!(protected(&persons, &former, &[known]), all);
            } else {
                let of_others = protected(&persons, &former, &[]);
                // A replaced number may be protected because the next one has no 001; the valid one never is.
                prop_assert!(!of_others.contains(&length));
                if former.is_empty() {
                    prop_assert!(of_others.is_empty());
                }
            }
        }
    }
}
