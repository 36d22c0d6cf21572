//! Finds which person numbers belong to the same person, and whom a protection covers besides its own number.
//!
//! A person keeps a protection when the number changes, but 004 stands under one number only. So a protection covers
//! every number that is tied to it, over any number of changes: by PNRGAELD in 001, or by a former number in 022.

use std::collections::{BTreeMap, BTreeSet};

use roaring::RoaringTreemap;

use crate::layout::Column;
use crate::record::{PERSON, column_of, pnr_number, table_index};
use crate::value;

/// The index of 022 in [`crate::layout::tables`].
pub(super) const TABLE: usize = table_index("022");

/// The statuses of numbers that were deleted or changed.
const REPLACED: [&[u8]; 2] = [b"50", b"60"];

const STATUS: &Column = column_of(PERSON, "status");
const CURRENT: &Column = column_of(PERSON, "current_pnr");
const FORMER: &Column = column_of(TABLE, "former_pnr");

/// The ties between the person numbers of an extract.
#[derive(Clone, Default)]
pub(super) struct NumberLinks {
    /// Numbers with the number that 001 names as valid.
    current: Vec<(u64, u64)>,
    /// Valid numbers with the former number that 022 names.
    former: Vec<(u64, u64)>,
    /// The numbers that were deleted or changed.
    replaced: RoaringTreemap,
    /// The numbers whose record names another number that cannot be read.
    unreadable: RoaringTreemap,
}

impl NumberLinks {
    /// Reads a 001. A number whose status cannot be read may be a replaced one.
    pub(super) fn add_person(&mut self, person: u64, record: &[u8]) {
        let current = number(record, CURRENT);
        match current {
            LinkedNumber::Known(current) => self.current.push((person, current)),
            LinkedNumber::Unreadable => drop(self.unreadable.insert(person)),
            LinkedNumber::None => {}
        }
        let is_replaced = match record.get(STATUS.start()..STATUS.end()) {
            Some(status) if status.iter().all(u8::is_ascii_digit) => REPLACED.contains(&status),
            Some(status) if value::is_spaces(status) => current != LinkedNumber::None,
            _ => true,
        };
        if is_replaced {
            self.replaced.insert(person);
        }
    }

    /// Reads a 022.
    pub(super) fn add_former(&mut self, person: u64, record: &[u8]) {
        match number(record, FORMER) {
            LinkedNumber::Known(former) => self.former.push((person, former)),
            LinkedNumber::Unreadable => drop(self.unreadable.insert(person)),
            LinkedNumber::None => {}
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.current.extend_from_slice(&other.current);
        self.former.extend_from_slice(&other.former);
        self.replaced |= &other.replaced;
        self.unreadable |= &other.unreadable;
    }

    /// Returns the protected persons: `known`, those whose other number cannot be read, all numbers tied to them, and the
    /// replaced numbers whose valid number cannot be checked. `is_missing` tells whether the extract has no valid 001 of a number.
    pub(super) fn protected(
        &self,
        known: &RoaringTreemap,
        is_missing: impl Fn(u64) -> bool,
    ) -> RoaringTreemap {
        let mut protected = self.tied_to(&(known | &self.unreadable));
        protected |= self.unresolved(is_missing);
        protected
    }

    /// Returns the persons and every number that is tied to theirs, directly or over other numbers.
    fn tied_to(&self, persons: &RoaringTreemap) -> RoaringTreemap {
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

    /// Returns the replaced numbers that lead to no number whose protection can be checked: the chain of valid numbers
    /// ends at a number that is missing, at no number, or goes in a circle.
    ///
    /// Only the replaced numbers are returned. A 022 that names a former number says nothing about the valid number.
    fn unresolved(&self, is_missing: impl Fn(u64) -> bool) -> RoaringTreemap {
        let by_former = self.former.iter().map(|(valid, former)| (*former, *valid));
        let mut next: BTreeMap<u64, u64> = by_former.collect();
        // What 001 says about its own number counts more than a 022 of another number.
        next.extend(self.current.iter().copied());
        let mut known: BTreeMap<u64, bool> = BTreeMap::new();
        for start in &self.replaced {
            let mut path = BTreeSet::new();
            let mut number = start;
            let is_unresolved = loop {
                if let Some(known) = known.get(&number) {
                    break *known;
                }
                if !self.replaced.contains(number) {
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

/// The other number that a record names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LinkedNumber {
    None,
    Known(u64),
    /// The field is neither ten digits nor blank.
    Unreadable,
}

/// Reads the person number in a field.
fn number(record: &[u8], column: &Column) -> LinkedNumber {
    // A record without trailing spaces can end before the field.
    let rest = record.get(column.start()..).unwrap_or_default();
    let field = rest.get(..column.length).unwrap_or(rest);
    if value::is_spaces(field) || value::is_zeros(field) {
        LinkedNumber::None
    } else if value::is_pnr(field) {
        LinkedNumber::Known(pnr_number(field))
    } else {
        LinkedNumber::Unreadable
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Returns the links of 001 records `(number, status, valid number)` and of 022 records `(valid, former)`.
    fn links(persons: &[(u64, &str, u64)], former: &[(u64, u64)]) -> NumberLinks {
        let mut links = NumberLinks::default();
        for (person, status, valid) in persons {
            let record = format!("001{person:010}{valid:010}{status}");
            links.add_person(*person, record.as_bytes());
        }
        for (valid, former) in former {
            links.add_former(*valid, format!("022{valid:010}{former:010}").as_bytes());
        }
        links
    }

    fn protected(persons: &[(u64, &str, u64)], former: &[(u64, u64)], known: &[u64]) -> Vec<u64> {
        let delivered: BTreeSet<u64> = persons.iter().map(|(person, ..)| *person).collect();
        let links = links(persons, former);
        let known = known.iter().copied().collect();
        let protected = links.protected(&known, |number| !delivered.contains(&number));
        protected.iter().collect()
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
        assert!(protected(&[(1, "  ", 0)], &[], &[]).is_empty());
        assert!(protected(&[(3, "01", 0)], &[(3, 1), (3, 2)], &[]).is_empty());
    }

    #[test]
    fn a_damaged_link_protects_the_number_of_its_record() {
        // A status that cannot be read may be that of a replaced number.
        for status in ["6 ", " 6", "6O", "", "6", "\t0"] {
            assert_eq!(protected(&[(1, status, 2)], &[], &[]), [1], "{status:?}");
        }
        assert_eq!(protected(&[(1, "  ", 2)], &[], &[]), [1]);
        // The valid number is there, so its protection can be checked.
        assert!(protected(&[(1, "6 ", 2), (2, "01", 0)], &[], &[]).is_empty());
        let mut links = NumberLinks::default();
        links.add_person(1, b"0010000000001");
        links.add_person(2, b"001000000000200000 000901");
        links.add_former(3, b"022000000000300000 0009");
        links.add_former(4, b"0220000000004000");
        links.add_former(5, b"0220000000005");
        links.add_former(6, b"02200000000060000000005");
        links.add_former(7, b"02200000000070000000003");
        let protected = links.protected(&RoaringTreemap::new(), |_| false);
        assert_eq!(protected.iter().collect::<Vec<_>>(), [1, 2, 3, 7]);
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
