//! The persons whom an order erases, and in which extracts.

use std::collections::{BTreeMap, BTreeSet};

use super::extracts::{applied, found_numbers};
use crate::config::Store;
use crate::error::Error;
use crate::ledger::Ledger;
use crate::register::Register;
use cprflow::Pnr;

/// The persons whom an order erases. Extracts that were produced after a person was erased are new data about the person.
pub(crate) struct ErasedPersons {
    numbers: BTreeSet<Pnr>,
    /// The last production date of old data about each number. All data are old without one.
    days: BTreeMap<Pnr, String>,
}

impl ErasedPersons {
    /// Returns persons who are erased from all extracts.
    pub(super) fn everywhere(numbers: &BTreeSet<Pnr>) -> Self {
        Self::until(numbers.clone(), BTreeMap::new())
    }

    /// Returns persons who are erased from the extracts that were produced on these days or before.
    pub(crate) fn until(numbers: BTreeSet<Pnr>, days: BTreeMap<Pnr, String>) -> Self {
        Self { numbers, days }
    }

    /// Returns the numbers that are erased from an extract of that production date.
    pub(super) fn in_extract(&self, production_date: &str) -> BTreeSet<Pnr> {
        let is_old = |number: &&Pnr| {
            let day = self.days.get(*number);
            day.is_none_or(|day| day.as_str() >= production_date)
        };
        self.numbers.iter().filter(is_old).copied().collect()
    }

    /// Returns the numbers of which no extract has new data.
    pub(crate) fn gone(&self, store: &Store, ledger: &Ledger) -> Result<BTreeSet<Pnr>, Error> {
        let mut gone = self.numbers.clone();
        let register = Register::of(&store.state);
        for kept in applied(store, ledger)? {
            let new = self.new_in(&kept.production_date, &gone);
            gone = &gone - &found_numbers(&register.path(&kept), &new)?;
        }
        Ok(gone)
    }

    /// Returns those of the numbers about which an extract of that production date has new data.
    fn new_in(&self, production_date: &str, numbers: &BTreeSet<Pnr>) -> BTreeSet<Pnr> {
        numbers - &self.in_extract(production_date)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_extracts_have_new_data() {
        let numbers: [Pnr; 2] = ["0101010010", "0101010029"].map(|one| one.parse().unwrap());
        let all = BTreeSet::from(numbers);
        let days = BTreeMap::from([(numbers[0], "2026-03-05".to_owned())]);
        let persons = ErasedPersons::until(all.clone(), days);
        assert_eq!(persons.in_extract("2026-03-05"), all);
        let rest = BTreeSet::from([numbers[1]]);
        assert_eq!(persons.in_extract("2026-03-06"), rest);
        assert_eq!(
            persons.new_in("2026-03-06", &all),
            BTreeSet::from([numbers[0]])
        );
        let everywhere = ErasedPersons::everywhere(&all);
        assert_eq!(everywhere.in_extract("9999-12-31"), all);
    }
}
