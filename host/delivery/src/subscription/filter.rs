//! Filters of a subscription, and their kinds.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::error::SubscriptionError;
use cprflow::soap_messages::{AgeRange, FilterGroup, Filters, Operation};
use cprflow::{Pnr, PnrError};

/// A filter of a subscription. Printing it masks a person number.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Filter {
    /// All persons in Denmark.
    NoFilter,
    /// The persons of an age.
    AgeRange(AgeRange),
    /// The persons with an event of this code: a letter and two digits.
    ChangeCode(String),
    /// The persons of the municipality with this code of four digits.
    MunicipalityCode(String),
    /// One person.
    Pnr(Pnr),
}

/// The kind of a filter. The platform calls it a filter group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FilterKind {
    /// All persons in Denmark.
    NoFilter,
    /// Age ranges.
    AgeRange,
    /// Change codes, which select persons by event.
    ChangeCode,
    /// Municipalities.
    Municipality,
    /// Person numbers.
    Pnr,
}

/// A value that is not valid for a filter. No error repeats the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FilterValueError {
    /// The kind of filter has no value.
    #[error("this kind of filter has no value. Leave the value out")]
    NoValue,
    /// The text is not an age range.
    #[error("an age range is two ages, the lower first, for example 0-17")]
    AgeRange,
    /// The text is not a change code.
    #[error("a change code is a capital letter and two digits, for example A01")]
    ChangeCode,
    /// The text is not a municipality code.
    #[error("a municipality code is four digits from 0001, for example 0265")]
    Municipality,
    /// The text is not a person number.
    #[error(transparent)]
    Pnr(#[from] PnrError),
}

impl Filter {
    /// Returns the kind.
    pub const fn kind(&self) -> FilterKind {
        match self {
            Self::NoFilter => FilterKind::NoFilter,
            Self::AgeRange(_) => FilterKind::AgeRange,
            Self::ChangeCode(_) => FilterKind::ChangeCode,
            Self::MunicipalityCode(_) => FilterKind::Municipality,
            Self::Pnr(_) => FilterKind::Pnr,
        }
    }

    /// Parses the value of a filter. The error says how a value of this kind is written, and never repeats the text.
    pub fn parse(kind: FilterKind, text: &str) -> Result<Self, FilterValueError> {
        match kind {
            FilterKind::NoFilter => Err(FilterValueError::NoValue),
            FilterKind::AgeRange => age_range(text).map(Self::AgeRange),
            FilterKind::ChangeCode => match text.as_bytes() {
                [b'A'..=b'Z', b'0'..=b'9', b'0'..=b'9'] => Ok(Self::ChangeCode(text.to_owned())),
                _ => Err(FilterValueError::ChangeCode),
            },
            FilterKind::Municipality => match text.parse::<u16>() {
                Ok(code @ 1..=9999) if text.len() <= 4 && !text.starts_with('+') => {
                    Ok(Self::MunicipalityCode(format!("{code:04}")))
                }
                _ => Err(FilterValueError::Municipality),
            },
            FilterKind::Pnr => Ok(Self::Pnr(text.parse()?)),
        }
    }

    /// Returns the call that adds the filter.
    pub fn add(&self) -> Operation {
        match self {
            Self::NoFilter => Operation::AddNoFilter,
            Self::AgeRange(range) => Operation::AddAgeRange(*range),
            Self::ChangeCode(code) => Operation::AddChangeCode(code.clone()),
            Self::MunicipalityCode(code) => Operation::AddMunicipalityCode(code.clone()),
            Self::Pnr(pnr) => Operation::AddPnr(*pnr),
        }
    }

    /// Returns the call that removes the filter.
    pub fn remove(&self) -> Operation {
        match self {
            Self::NoFilter => Operation::RemoveNoFilter,
            Self::AgeRange(range) => Operation::RemoveAgeRange(*range),
            Self::ChangeCode(code) => Operation::RemoveChangeCode(code.clone()),
            Self::MunicipalityCode(code) => Operation::RemoveMunicipalityCode(code.clone()),
            Self::Pnr(pnr) => Operation::RemovePnr(*pnr),
        }
    }
}

/// Masks a person number.
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoFilter => f.write_str("all of Denmark"),
            Self::AgeRange(AgeRange { start, end }) => write!(f, "{start}-{end}"),
            Self::ChangeCode(code) | Self::MunicipalityCode(code) => f.write_str(code),
            Self::Pnr(pnr) => write!(f, "{pnr}"),
        }
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}({self})", self.kind())
    }
}

impl FilterKind {
    /// All kinds.
    pub const ALL: [Self; 5] = [
        Self::NoFilter,
        Self::AgeRange,
        Self::ChangeCode,
        Self::Municipality,
        Self::Pnr,
    ];

    /// Returns the name on the command line and in the audit log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoFilter => "no-filter",
            Self::AgeRange => "age-range",
            Self::ChangeCode => "change-code",
            Self::Municipality => "municipality",
            Self::Pnr => "pnr",
        }
    }

    /// Returns the kind with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Returns the name of the filters in a sentence, in the plural.
    pub const fn plural(self) -> &'static str {
        match self {
            Self::NoFilter => "all of Denmark",
            Self::AgeRange => "age ranges",
            Self::ChangeCode => "change codes",
            Self::Municipality => "municipalities",
            Self::Pnr => "person numbers",
        }
    }

    /// Returns whether adding such a filter makes the platform deliver all data of the persons that match.
    pub const fn brings_full_load(self) -> bool {
        matches!(self, Self::Municipality | Self::Pnr)
    }

    /// Returns whether such a filter can match persons in all of Denmark.
    pub const fn is_national(self) -> bool {
        matches!(self, Self::NoFilter | Self::AgeRange | Self::ChangeCode)
    }

    /// Returns the filter group, which the platform can remove with one call.
    pub const fn group(self) -> FilterGroup {
        match self {
            Self::NoFilter => FilterGroup::NoFilter,
            Self::AgeRange => FilterGroup::AgeRange,
            Self::ChangeCode => FilterGroup::ChangeCode,
            Self::Municipality => FilterGroup::MunicipalityCode,
            Self::Pnr => FilterGroup::Pnr,
        }
    }
}

/// The current filters of a subscription.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CurrentFilters {
    /// The readable filters.
    pub filters: BTreeSet<Filter>,
    /// The number of unreadable filters.
    pub unreadable: u64,
}

impl CurrentFilters {
    /// Returns the filters of a kind.
    pub fn of(&self, kind: FilterKind) -> impl Iterator<Item = &Filter> {
        of_kind(&self.filters, kind)
    }

    /// Returns all filters. Fails if some are unreadable, because then a comparison would be wrong.
    pub fn complete(&self) -> Result<&BTreeSet<Filter>, SubscriptionError> {
        match self.unreadable {
            0 => Ok(&self.filters),
            count => Err(SubscriptionError::Unreadable { count }),
        }
    }
}

/// Returns the filters of a kind.
pub(crate) fn of_kind(
    filters: &BTreeSet<Filter>,
    kind: FilterKind,
) -> impl Iterator<Item = &Filter> {
    filters.iter().filter(move |filter| filter.kind() == kind)
}

impl From<Filters> for CurrentFilters {
    fn from(filters: Filters) -> Self {
        // A value that no request accepts counts as unreadable, because it could not be added again.
        let parse = |kind, text: String| Filter::parse(kind, &text).ok();
        let ages = filters.age_ranges.into_iter();
        let ages = ages
            .map(|AgeRange { start, end }| parse(FilterKind::AgeRange, format!("{start}-{end}")));
        let codes = filters.change_codes.into_iter();
        let codes = codes.map(|code| parse(FilterKind::ChangeCode, code));
        let municipalities = filters.municipality_codes.into_iter();
        let municipalities = municipalities.map(|code| parse(FilterKind::Municipality, code));
        let mut unreadable = filters.unreadable;
        let others = ages.chain(codes).chain(municipalities);
        let others = others.filter_map(|filter| {
            unreadable += u64::from(filter.is_none());
            filter
        });
        let no_filter = filters.no_filter.then_some(Filter::NoFilter).into_iter();
        let pnrs = filters.pnrs.iter().copied().map(Filter::Pnr);
        let filters = no_filter.chain(others).chain(pnrs).collect();
        Self {
            filters,
            unreadable,
        }
    }
}

fn age_range(text: &str) -> Result<AgeRange, FilterValueError> {
    let is_age = |age: &str| (1..=3).contains(&age.len());
    let parsed = text
        .split_once('-')
        .filter(|(start, end)| is_age(start) && is_age(end))
        .and_then(|(start, end)| Some((start.parse().ok()?, end.parse().ok()?)));
    match parsed {
        Some((start, end)) if start <= end => Ok(AgeRange { start, end }),
        _ => Err(FilterValueError::AgeRange),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_values_and_never_repeats_them_in_errors() {
        let read = |kind, text| Filter::parse(kind, text);
        assert_eq!(
            read(FilterKind::Municipality, "265").unwrap().to_string(),
            "0265",
            "in the form of the platform"
        );
        assert_eq!(
            read(FilterKind::AgeRange, "0-17").unwrap().to_string(),
            "0-17"
        );
        assert_eq!(
            read(FilterKind::ChangeCode, "A01").unwrap().to_string(),
            "A01"
        );
        for (kind, text) in [
            (FilterKind::Municipality, "0000"),
            (FilterKind::Municipality, "+265"),
            (FilterKind::Municipality, "00265"),
            (FilterKind::AgeRange, "17-0"),
            (FilterKind::AgeRange, "0-9999"),
            (FilterKind::AgeRange, "18"),
            (FilterKind::ChangeCode, "a01"),
            (FilterKind::ChangeCode, "A0103"),
            (FilterKind::Pnr, "010101-0101"),
            (FilterKind::NoFilter, "x"),
        ] {
            let error = read(kind, text).unwrap_err().to_string();
            assert!(!error.contains(text) || text == "x", "{error}");
        }
    }

    #[test]
    fn values_that_no_request_accepts_are_unreadable() {
        let current = CurrentFilters::from(Filters {
            age_ranges: vec![
                AgeRange { start: 17, end: 0 },
                AgeRange { start: 0, end: 17 },
            ],
            change_codes: ["a01", "A1", "A01"].map(str::to_owned).into(),
            municipality_codes: ["0000", "0265"].map(str::to_owned).into(),
            ..Filters::default()
        });
        assert_eq!((current.filters.len(), current.unreadable), (3, 4));
        assert!(current.complete().is_err());
    }

    #[test]
    fn printing_masks_a_person_number() {
        let filter = Filter::parse(FilterKind::Pnr, "0101010101").unwrap();
        let printed = format!("{filter} {filter:?}");
        assert!(!printed.contains(|c: char| c.is_ascii_digit()), "{printed}");
    }

    #[test]
    fn finds_each_kind_by_its_name() {
        for kind in FilterKind::ALL {
            assert_eq!(FilterKind::named(kind.name()), Some(kind));
        }
    }
}
