//! Whom a filter chooses.

use std::fmt;

use roaring::RoaringTreemap;

use crate::error::Error;
use crate::grammar;
use crate::layout::{self, Blank, Column};
use crate::tally::{PERSON, pnr_number};
use crate::value::{self, Cell};

/// Ages in whole years, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AgeRange {
    /// The youngest.
    pub youngest: u16,
    /// The oldest.
    pub oldest: u16,
}

/// Which persons to choose: everybody who meets every condition that is given. Without any condition, everybody who
/// has a 001.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct PersonFilter {
    /// Persons who live in one of these municipalities (002), four digits each: whoever is dead or gone may still have a
    /// last known address, which counts only where `status_codes` are given.
    pub municipality_codes: Option<Vec<String>>,
    /// Persons whose status (001) is one of these.
    pub status_codes: Option<Vec<String>>,
    /// Persons of these ages, by the birth date of 001, on a policy's day.
    pub ages: Option<AgeRange>,
    /// Persons with one of these events (099) in the extract.
    pub event_codes: Option<Vec<String>>,
    /// Persons with one of these numbers.
    pub numbers: Option<Vec<String>>,
}

impl PersonFilter {
    /// Whether every code and number is of the form that it must have.
    pub(crate) fn check(&self) -> Result<(), Error> {
        Filter::new(self.clone()).map(drop)
    }

    /// Whether there is no condition.
    pub(crate) fn is_everybody(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Debug for PersonFilter {
    /// Says which conditions there are, and of the numbers only how many.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PersonFilter")
            .field("municipality_codes", &self.municipality_codes)
            .field("status_codes", &self.status_codes)
            .field("ages", &self.ages)
            .field("event_codes", &self.event_codes)
            .field("numbers", &self.numbers.as_ref().map(Vec::len))
            .finish()
    }
}

/// What a person can fail to meet, in the order in which it is named to one who leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Municipality,
    Age,
    Status,
    Event,
    Number,
}

/// A filter, and who meets each of its conditions.
pub(super) struct Filter {
    conditions: Vec<Condition>,
}

struct Condition {
    kind: Kind,
    wanted: Wanted,
    meeting: RoaringTreemap,
}

/// What a record must say to meet a condition.
enum Wanted {
    /// A 001, whatever it says.
    Anything,
    /// One of these codes in this column of the table at that place.
    Codes(usize, &'static Column, Vec<Vec<u8>>),
    /// A status of somebody who lives.
    Residence(&'static Column),
    /// A birth date of that age.
    Ages(&'static Column, AgeRange),
    /// It is anything of one of these.
    Numbers(RoaringTreemap),
}

impl Filter {
    pub(super) fn new(filter: PersonFilter) -> Result<Self, Error> {
        let mut wanted = Vec::new();
        if let Some(codes) = filter.municipality_codes {
            wanted.push((
                Kind::Municipality,
                codes_of("address", "municipality_code", codes)?,
            ));
            if filter.status_codes.is_none() {
                let (_, status) = column("person", "status")?;
                wanted.push((Kind::Municipality, Wanted::Residence(status)));
            }
        }
        if let Some(ages) = filter.ages {
            if ages.youngest > ages.oldest {
                return Err(Error::InvalidRequest(format!(
                    "nobody is of an age from {} to {}",
                    ages.youngest, ages.oldest
                )));
            }
            let (_, column) = column("person", "birth_date")?;
            wanted.push((Kind::Age, Wanted::Ages(column, ages)));
        }
        if let Some(codes) = filter.status_codes {
            wanted.push((Kind::Status, codes_of("person", "status", codes)?));
        }
        if let Some(codes) = filter.event_codes {
            wanted.push((Kind::Event, codes_of("event", layout::EVENT_CODE, codes)?));
        }
        if let Some(list) = filter.numbers {
            wanted.push((Kind::Number, Wanted::Numbers(numbers(list)?)));
        }
        if wanted.is_empty() {
            wanted.push((Kind::Status, Wanted::Anything));
        }
        let condition = |(kind, wanted)| Condition {
            kind,
            wanted,
            meeting: RoaringTreemap::new(),
        };
        Ok(Self {
            conditions: wanted.into_iter().map(condition).collect(),
        })
    }

    /// Whether records of the table at that place say something to a condition.
    pub(super) fn reads(&self, place: usize) -> bool {
        self.conditions.iter().any(|one| match &one.wanted {
            Wanted::Anything | Wanted::Residence(_) | Wanted::Ages(..) => place == PERSON,
            Wanted::Codes(table, ..) => place == *table,
            Wanted::Numbers(_) => true,
        })
    }

    pub(super) fn asks_for_ages(&self) -> bool {
        self.conditions.iter().any(|one| one.kind == Kind::Age)
    }

    /// Takes note of a person's record.
    pub(super) fn see(&mut self, place: usize, person: u64, record: &[u8], day: Option<i32>) {
        for condition in &mut self.conditions {
            if condition.wanted.is_met_by(place, person, record, day) {
                condition.meeting.insert(person);
            }
        }
    }

    /// The conditions, in the order in which they are named to one who leaves, and who meets each.
    pub(super) fn conditions(&self) -> impl Iterator<Item = (Kind, &RoaringTreemap)> {
        self.conditions.iter().map(|one| (one.kind, &one.meeting))
    }

    /// Who meets every condition.
    pub(super) fn meeting(&self) -> RoaringTreemap {
        let mut meeting = self.conditions.iter().map(|one| &one.meeting);
        match (meeting.next(), meeting.next()) {
            (Some(one), Some(other)) => meeting.fold(one & other, |all, more| all & more),
            (Some(only), None) => only.clone(),
            (None, _) => RoaringTreemap::new(),
        }
    }

    /// Adds who meets the conditions of the same filter elsewhere: of each by itself, because a person's records may
    /// be there and here.
    pub(super) fn merge(&mut self, other: &Self) {
        for (own, other) in self.conditions.iter_mut().zip(&other.conditions) {
            own.meeting |= &other.meeting;
        }
    }

    /// Who meets every condition; it is forgotten by that.
    pub(super) fn finish(&mut self) -> RoaringTreemap {
        let meeting = self
            .conditions
            .iter_mut()
            .map(|one| std::mem::take(&mut one.meeting));
        let all = meeting.reduce(|mut chosen, meeting| {
            chosen &= meeting;
            chosen
        });
        all.unwrap_or_default()
    }
}

impl Wanted {
    fn is_met_by(&self, place: usize, person: u64, record: &[u8], day: Option<i32>) -> bool {
        match self {
            Self::Anything => place == PERSON,
            Self::Codes(table, column, codes) => {
                let code = record.get(column.start()..column.end());
                *table == place && code.is_some_and(|code| codes.iter().any(|one| one == code))
            }
            Self::Residence(column) => {
                let status = record.get(column.start()..column.end());
                place == PERSON && status.is_some_and(is_of_resident)
            }
            Self::Ages(column, range) => {
                let birth = || record.get(column.start()..column.end());
                place == PERSON
                    && day.zip(birth()).is_some_and(|(day, birth)| {
                        let age = age_on(day, birth);
                        age.is_some_and(|age| {
                            (range.youngest.into()..=range.oldest.into()).contains(&age)
                        })
                    })
            }
            Self::Numbers(numbers) => numbers.contains(person),
        }
    }
}

/// Whether a status is of somebody whose number is valid, and who is neither dead nor gone.
fn is_of_resident(status: &[u8]) -> bool {
    status.iter().all(u8::is_ascii_digit) && status < b"30".as_slice()
}

/// The age in whole years of who was born on that date; none where it is no date.
fn age_on(day: i32, birth_date: &[u8]) -> Option<i32> {
    let Cell::Value(born) = value::date(birth_date, Blank::Spaces) else {
        return None;
    };
    let (birth_year, birth_month, birth_day) = value::civil(born);
    let (year, month, day) = value::civil(day);
    let has_had_birthday = (month, day) >= (birth_month, birth_day);
    Some(year - birth_year - i32::from(!has_had_birthday))
}

fn column(table: &str, column: &str) -> Result<(usize, &'static Column), Error> {
    let place = layout::tables().iter().position(|t| t.name == table);
    let field = layout::by_name(table).and_then(|table| table.column(column));
    place
        .zip(field)
        .ok_or_else(|| Error::InvalidRequest(format!("there is no column {table}.{column}")))
}

fn codes_of(table: &str, name: &str, codes: Vec<String>) -> Result<Wanted, Error> {
    let (place, column) = column(table, name)?;
    let is_event = name == layout::EVENT_CODE;
    for code in &codes {
        let is_code = match is_event {
            true => code.len() == column.length && code.bytes().all(|b| b.is_ascii_alphanumeric()),
            false => grammar::is_code(code, column.length),
        };
        if !is_code {
            let form = match is_event {
                true => format!("{} letters and digits, like A01", column.length),
                false => format!("{} digits, leading zeros included", column.length),
            };
            return Err(Error::InvalidRequest(format!("a {name} has {form}")));
        }
    }
    let codes = codes.into_iter().map(String::into_bytes).collect();
    Ok(Wanted::Codes(place, column, codes))
}

fn numbers(numbers: Vec<String>) -> Result<RoaringTreemap, Error> {
    numbers
        .iter()
        .enumerate()
        .map(|(place, number)| {
            if grammar::is_code(number, 10) {
                Ok(pnr_number(number.as_bytes()))
            } else {
                Err(Error::InvalidRequest(format!(
                    "entry {} of the list of person numbers is not ten digits",
                    place + 1
                )))
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_of_residents() {
        for status in ["01", "03", "05", "07", "20"] {
            assert!(is_of_resident(status.as_bytes()), "{status}");
        }
        for status in ["30", "50", "60", "70", "80", "90", "99", "  ", "1 ", " 1"] {
            assert!(!is_of_resident(status.as_bytes()), "{status}");
        }
    }

    #[test]
    fn ages_in_whole_years() {
        let on = |day: &str, birth: &str| {
            age_on(grammar::date(day.as_bytes()).unwrap(), birth.as_bytes())
        };
        assert_eq!(on("2026-06-15", "2008-06-15"), Some(18));
        assert_eq!(on("2026-06-14", "2008-06-15"), Some(17));
        assert_eq!(on("2026-02-28", "2008-02-29"), Some(17));
        assert_eq!(on("2026-03-01", "2008-02-29"), Some(18));
        assert_eq!(on("2026-06-15", "2026-06-15"), Some(0));
        assert_eq!(on("2026-06-15", "2026-06-16"), Some(-1));
        for irregular in ["2008-00-00", "          ", "2008-06-1", ""] {
            assert_eq!(on("2026-06-15", irregular), None, "{irregular}");
        }
    }
}
