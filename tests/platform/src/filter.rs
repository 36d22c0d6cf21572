//! The filters of a service agreement, and the results of adding and removing them.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// A subscription filter.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Filter {
    /// Persons of these ages.
    AgeRange {
        /// The lowest age, inclusive.
        start: u32,
        /// The highest age, inclusive.
        end: u32,
    },
    /// Persons with an event (hændelse) of this code, such as `A01`.
    ChangeCode(String),
    /// Persons with an address in this municipality.
    MunicipalityCode(u32),
    /// The person with this number (PNR), ten digits.
    Pnr(String),
    /// All persons in Denmark.
    NoFilter,
}

/// A filter group, as in the argument of `RemoveAll`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FilterGroup {
    /// Person numbers.
    Pnr,
    /// Age ranges.
    AgeRange,
    /// Municipality codes.
    MunicipalityCode,
    /// Change codes.
    EventChangeCode,
    /// The filter `NoFilter`.
    NoFilter,
}

impl Filter {
    /// Returns the group of the filter.
    pub const fn group(&self) -> FilterGroup {
        match self {
            Self::AgeRange { .. } => FilterGroup::AgeRange,
            Self::ChangeCode(_) => FilterGroup::EventChangeCode,
            Self::MunicipalityCode(_) => FilterGroup::MunicipalityCode,
            Self::Pnr(_) => FilterGroup::Pnr,
            Self::NoFilter => FilterGroup::NoFilter,
        }
    }
}

/// Masks the person number, because debug output can reach a log.
impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AgeRange { start, end } => write!(f, "AgeRange {start}-{end}"),
            Self::ChangeCode(code) => write!(f, "ChangeCode {code}"),
            Self::MunicipalityCode(code) => write!(f, "MunicipalityCode {code}"),
            Self::Pnr(_) => f.write_str("PNR ######-####"),
            Self::NoFilter => f.write_str("NoFilter"),
        }
    }
}

impl FilterGroup {
    /// Returns the group with this name in the contract.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "PNR" => Self::Pnr,
            "AgeRange" => Self::AgeRange,
            "MunicipalityCode" => Self::MunicipalityCode,
            "EventChangeCode" => Self::EventChangeCode,
            "NoFilter" => Self::NoFilter,
            _ => return None,
        })
    }

    /// Returns the name of the group in the contract.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Pnr => "PNR",
            Self::AgeRange => "AgeRange",
            Self::MunicipalityCode => "MunicipalityCode",
            Self::EventChangeCode => "EventChangeCode",
            Self::NoFilter => "NoFilter",
        }
    }

    /// Returns the `Result` of removing a filter that is not set.
    const fn missing_result(self) -> &'static str {
        match self {
            Self::Pnr => "NON_EXISTING_PNR",
            Self::AgeRange => "NON_EXISTING_AGERANGE",
            Self::MunicipalityCode => "NON_EXISTING_MUNICIPALITYCODE",
            Self::EventChangeCode => "NON_EXISTING_CHANGECODE",
            // Assumption: no value is documented.
            Self::NoFilter => "REMOVED",
        }
    }
}

/// The filters of an agreement.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(from = "Vec<(Filter, bool)>", into = "Vec<(Filter, bool)>")]
pub(crate) struct Filters {
    /// Each filter, and whether a nightly run has used it.
    entries: BTreeMap<Filter, bool>,
}

impl Filters {
    /// Adds a filter for the next nightly run. Returns the `Result`.
    pub(crate) fn add(&mut self, filter: Filter) -> &'static str {
        if self.entries.contains_key(&filter) {
            return "ALREADY_EXISTED";
        }
        self.entries.insert(filter, false);
        "ADDED"
    }

    /// Removes a filter. Returns the `Result`.
    pub(crate) fn remove(&mut self, filter: &Filter) -> &'static str {
        match self.entries.remove(filter) {
            Some(_) => "REMOVED",
            None => filter.group().missing_result(),
        }
    }

    /// Removes every filter of a group. Returns the `Result`.
    pub(crate) fn remove_all(&mut self, group: FilterGroup) -> &'static str {
        self.entries.retain(|filter, _| filter.group() != group);
        // Assumption: the result is not documented, not even for an empty group.
        "REMOVED"
    }

    /// Returns all filters, in the order of `GetAllFilters`.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Filter> {
        self.entries.keys()
    }

    /// Returns the filters that a nightly run has used.
    pub(crate) fn active(&self) -> impl Iterator<Item = &Filter> {
        let active = self.entries.iter().filter(|(_, is_active)| **is_active);
        active.map(|(filter, _)| filter)
    }

    /// Returns the filters that no nightly run has used yet.
    pub(crate) fn pending(&self) -> impl Iterator<Item = &Filter> {
        let pending = self.entries.iter().filter(|(_, is_active)| !**is_active);
        pending.map(|(filter, _)| filter)
    }

    /// Marks all filters as used by a nightly run.
    pub(crate) fn activate_all(&mut self) {
        self.entries.values_mut().for_each(|active| *active = true);
    }
}

impl From<Vec<(Filter, bool)>> for Filters {
    fn from(entries: Vec<(Filter, bool)>) -> Self {
        Self {
            entries: entries.into_iter().collect(),
        }
    }
}

impl From<Filters> for Vec<(Filter, bool)> {
    fn from(filters: Filters) -> Self {
        filters.entries.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_depend_on_whether_the_filter_was_set() {
        let mut filters = Filters::default();
        let pnr = Filter::Pnr("0101010101".to_owned());
        assert_eq!(filters.remove(&pnr), "NON_EXISTING_PNR");
        assert_eq!(filters.add(pnr.clone()), "ADDED");
        assert_eq!(filters.add(pnr.clone()), "ALREADY_EXISTED");
        assert_eq!(filters.add(Filter::MunicipalityCode(851)), "ADDED");
        filters.activate_all();
        assert_eq!(filters.active().count(), 2);
        assert_eq!(filters.remove_all(FilterGroup::Pnr), "REMOVED");
        assert_eq!(
            filters.all().collect::<Vec<_>>(),
            [&Filter::MunicipalityCode(851)]
        );
        filters.add(pnr.clone());
        assert_eq!(filters.pending().collect::<Vec<_>>(), [&pnr]);
        assert_eq!(format!("{filters:?}").matches("0101010101").count(), 0);
    }
}
