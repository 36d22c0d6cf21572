//! The filters of a service agreement, and what adding and removing them answers.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// A filter of a subscription.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Filter {
    /// Persons of that age, both ends in it.
    AgeRange {
        /// The lowest age.
        start: u32,
        /// The highest age.
        end: u32,
    },
    /// Persons delivered by an event of that code.
    ChangeCode(String),
    /// Persons with an address in that municipality.
    MunicipalityCode(u32),
    /// The person of that number.
    Pnr(String),
    /// All of Denmark.
    NoFilter,
}

/// A group of filters, as `RemoveAll` names it.
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
    /// No filter.
    NoFilter,
}

impl Filter {
    /// The group that it belongs to.
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

/// Masked: a number must not reach a log.
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
    /// The group of that name on the wire.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "PNR" => Self::Pnr,
            "AgeRange" => Self::AgeRange,
            "MunicipalityCode" => Self::MunicipalityCode,
            "EventChangeCode" => Self::EventChangeCode,
            "NoFilter" => Self::NoFilter,
            _ => return None,
        })
    }

    /// What removing a filter answers that was not there.
    const fn missing(self) -> &'static str {
        match self {
            Self::Pnr => "NON_EXISTING_PNR",
            Self::AgeRange => "NON_EXISTING_AGERANGE",
            Self::MunicipalityCode => "NON_EXISTING_MUNICIPALITYCODE",
            Self::EventChangeCode => "NON_EXISTING_CHANGECODE",
            // An assumption: no value is documented.
            Self::NoFilter => "REMOVED",
        }
    }
}

/// All filters of an agreement.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(from = "Vec<(Filter, bool)>", into = "Vec<(Filter, bool)>")]
pub(crate) struct Filters {
    /// Each with whether a nightly run has seen it.
    entries: BTreeMap<Filter, bool>,
}

impl Filters {
    /// Adds a filter; the next nightly run heeds it.
    pub(crate) fn add(&mut self, filter: Filter) -> &'static str {
        if self.entries.contains_key(&filter) {
            return "ALREADY_EXISTED";
        }
        self.entries.insert(filter, false);
        "ADDED"
    }

    /// Removes a filter.
    pub(crate) fn remove(&mut self, filter: &Filter) -> &'static str {
        match self.entries.remove(filter) {
            Some(_) => "REMOVED",
            None => filter.group().missing(),
        }
    }

    /// Removes every filter of a group.
    pub(crate) fn remove_all(&mut self, group: FilterGroup) -> &'static str {
        self.entries.retain(|filter, _| filter.group() != group);
        // An assumption: what it answers, and what it answers for an empty group, is not documented.
        "REMOVED"
    }

    /// All of them, in the order of `GetAllFilters`.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Filter> {
        self.entries.keys()
    }

    /// Those that a nightly run has seen.
    pub(crate) fn settled(&self) -> impl Iterator<Item = &Filter> {
        let settled = self.entries.iter().filter(|(_, is_settled)| **is_settled);
        settled.map(|(filter, _)| filter)
    }

    /// Those that no nightly run has seen yet.
    pub(crate) fn pending(&self) -> impl Iterator<Item = &Filter> {
        let pending = self.entries.iter().filter(|(_, is_settled)| !**is_settled);
        pending.map(|(filter, _)| filter)
    }

    /// A nightly run has seen them all.
    pub(crate) fn settle(&mut self) {
        self.entries
            .values_mut()
            .for_each(|settled| *settled = true);
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
    fn results_tell_what_was_there() {
        let mut filters = Filters::default();
        let pnr = Filter::Pnr("0101010101".to_owned());
        assert_eq!(filters.remove(&pnr), "NON_EXISTING_PNR");
        assert_eq!(filters.add(pnr.clone()), "ADDED");
        assert_eq!(filters.add(pnr.clone()), "ALREADY_EXISTED");
        assert_eq!(filters.add(Filter::MunicipalityCode(851)), "ADDED");
        filters.settle();
        assert_eq!(filters.settled().count(), 2);
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
