//! Filters of a subscription, and the kinds that they are of.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::SubscriberError;
use crate::pnr::Pnr;
use crate::subscription::{AgeRange, FilterGroup, Filters, Operation};

/// A filter of a subscription. Printing one tells no person number.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Filter {
    /// Everybody in Denmark.
    NoFilter,
    /// Persons of an age.
    AgeRange(AgeRange),
    /// Persons of an event: a letter and two digits.
    ChangeCode(String),
    /// The persons of a municipality: four digits.
    MunicipalityCode(String),
    /// One person.
    Pnr(Pnr),
}

/// What a filter looks at. The platform calls it a filter group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// All of Denmark.
    NoFilter,
    /// Ages.
    AgeRange,
    /// Events.
    ChangeCode,
    /// Municipalities.
    Municipality,
    /// Persons.
    Pnr,
}

impl Filter {
    /// What it looks at.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::NoFilter => Kind::NoFilter,
            Self::AgeRange(_) => Kind::AgeRange,
            Self::ChangeCode(_) => Kind::ChangeCode,
            Self::MunicipalityCode(_) => Kind::Municipality,
            Self::Pnr(_) => Kind::Pnr,
        }
    }

    /// A filter of that kind from text. The error says how such a value is written, never what was given.
    pub fn parse(kind: Kind, text: &str) -> Result<Self, String> {
        match kind {
            Kind::NoFilter => Err("this kind has no value".to_owned()),
            Kind::AgeRange => age_range(text).map(Self::AgeRange),
            Kind::ChangeCode => match text.as_bytes() {
                [b'A'..=b'Z', b'0'..=b'9', b'0'..=b'9'] => Ok(Self::ChangeCode(text.to_owned())),
                _ => Err(
                    "a change code is a capital letter and two digits, for example A01".to_owned(),
                ),
            },
            Kind::Municipality => match text.parse::<u16>() {
                Ok(code @ 1..=9999) if text.len() <= 4 && !text.starts_with('+') => {
                    Ok(Self::MunicipalityCode(format!("{code:04}")))
                }
                _ => {
                    Err("a municipality code is four digits from 0001, for example 0265".to_owned())
                }
            },
            Kind::Pnr => text
                .parse()
                .map(Self::Pnr)
                .map_err(|error: crate::pnr::PnrError| error.to_string()),
        }
    }

    /// The call that adds it.
    pub fn add(&self) -> Operation {
        match self {
            Self::NoFilter => Operation::AddNoFilter,
            Self::AgeRange(range) => Operation::AddAgeRange(*range),
            Self::ChangeCode(code) => Operation::AddChangeCode(code.clone()),
            Self::MunicipalityCode(code) => Operation::AddMunicipalityCode(code.clone()),
            Self::Pnr(pnr) => Operation::AddPnr(*pnr),
        }
    }

    /// The call that removes it.
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

/// A person number is masked.
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

impl Kind {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::NoFilter,
        Self::AgeRange,
        Self::ChangeCode,
        Self::Municipality,
        Self::Pnr,
    ];

    /// Its name on the command line and in the audit log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoFilter => "no-filter",
            Self::AgeRange => "age-range",
            Self::ChangeCode => "change-code",
            Self::Municipality => "municipality",
            Self::Pnr => "pnr",
        }
    }

    /// The kind of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// What its filters are called in a sentence.
    pub const fn plural(self) -> &'static str {
        match self {
            Self::NoFilter => "all of Denmark",
            Self::AgeRange => "age ranges",
            Self::ChangeCode => "change codes",
            Self::Municipality => "municipalities",
            Self::Pnr => "person numbers",
        }
    }

    /// Whether adding such a filter makes the platform deliver everything about whom it covers.
    pub const fn brings_full_load(self) -> bool {
        matches!(self, Self::Municipality | Self::Pnr)
    }

    /// Whether such a filter may reach persons in all of Denmark.
    pub const fn is_national(self) -> bool {
        matches!(self, Self::NoFilter | Self::AgeRange | Self::ChangeCode)
    }

    /// The group that the platform removes at once.
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

/// What a subscription holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holding {
    /// Its filters.
    pub filters: BTreeSet<Filter>,
    /// Filters that cannot be read and are not among them.
    pub unreadable: u64,
}

impl Holding {
    /// The filters of a kind.
    pub fn of(&self, kind: Kind) -> impl Iterator<Item = &Filter> {
        of_kind(&self.filters, kind)
    }

    /// All filters, for whoever compares or keeps them; an error if some cannot be read, for then nobody knows what
    /// is missing and what is too much.
    pub fn whole(&self) -> Result<&BTreeSet<Filter>, SubscriberError> {
        match self.unreadable {
            0 => Ok(&self.filters),
            count => Err(SubscriberError::Unreadable { count }),
        }
    }
}

/// The filters of a kind.
pub(crate) fn of_kind(filters: &BTreeSet<Filter>, kind: Kind) -> impl Iterator<Item = &Filter> {
    filters.iter().filter(move |filter| filter.kind() == kind)
}

impl From<Filters> for Holding {
    fn from(filters: Filters) -> Self {
        // What no request could send back counts as unreadable: it could not be put back either.
        let parse = |kind, text: String| Filter::parse(kind, &text).ok();
        let ages = filters.age_ranges.into_iter();
        let ages =
            ages.map(|AgeRange { start, end }| parse(Kind::AgeRange, format!("{start}-{end}")));
        let codes = filters.change_codes.into_iter();
        let codes = codes.map(|code| parse(Kind::ChangeCode, code));
        let municipalities = filters.municipality_codes.into_iter();
        let municipalities = municipalities.map(|code| parse(Kind::Municipality, code));
        let mut unreadable = filters.unreadable;
        let others = ages.chain(codes).chain(municipalities);
        let others = others.filter_map(|filter| {
            unreadable += u64::from(filter.is_none());
            filter
        });
        let all = filters.no_filter.then_some(Filter::NoFilter).into_iter();
        let pnrs = filters.pnrs.iter().copied().map(Filter::Pnr);
        let filters = all.chain(others).chain(pnrs).collect();
        Self {
            filters,
            unreadable,
        }
    }
}

fn age_range(text: &str) -> Result<AgeRange, String> {
    let is_age = |age: &str| (1..=3).contains(&age.len());
    let parsed = text
        .split_once('-')
        .filter(|(start, end)| is_age(start) && is_age(end))
        .and_then(|(start, end)| Some((start.parse().ok()?, end.parse().ok()?)));
    match parsed {
        Some((start, end)) if start <= end => Ok(AgeRange { start, end }),
        _ => Err("an age range is two ages, the lower first, for example 0-17".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_and_never_repeated() {
        let read = |kind, text| Filter::parse(kind, text);
        assert_eq!(
            read(Kind::Municipality, "265").unwrap().to_string(),
            "0265",
            "as the platform gives it back"
        );
        assert_eq!(read(Kind::AgeRange, "0-17").unwrap().to_string(), "0-17");
        assert_eq!(read(Kind::ChangeCode, "A01").unwrap().to_string(), "A01");
        for (kind, text) in [
            (Kind::Municipality, "0000"),
            (Kind::Municipality, "+265"),
            (Kind::Municipality, "00265"),
            (Kind::AgeRange, "17-0"),
            (Kind::AgeRange, "0-9999"),
            (Kind::AgeRange, "18"),
            (Kind::ChangeCode, "a01"),
            (Kind::ChangeCode, "A0103"),
            (Kind::Pnr, "010101-0101"),
            (Kind::NoFilter, "x"),
        ] {
            let error = read(kind, text).unwrap_err();
            assert!(!error.contains(text) || text == "x", "{error}");
        }
    }

    #[test]
    fn what_could_not_be_sent_back_is_unreadable() {
        let holding = Holding::from(Filters {
            age_ranges: vec![
                AgeRange { start: 17, end: 0 },
                AgeRange { start: 0, end: 17 },
            ],
            change_codes: ["a01", "A1", "A01"].map(str::to_owned).into(),
            municipality_codes: ["0000", "0265"].map(str::to_owned).into(),
            ..Filters::default()
        });
        assert_eq!((holding.filters.len(), holding.unreadable), (3, 4));
        assert!(holding.whole().is_err());
    }

    #[test]
    fn printing_tells_no_number() {
        let filter = Filter::parse(Kind::Pnr, "0101010101").unwrap();
        let printed = format!("{filter} {filter:?}");
        assert!(!printed.contains(|c: char| c.is_ascii_digit()), "{printed}");
    }

    #[test]
    fn names_lead_back() {
        for kind in Kind::ALL {
            assert_eq!(Kind::named(kind.name()), Some(kind));
        }
    }
}
