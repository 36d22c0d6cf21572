//! Finds the persons who meet a filter.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use roaring::RoaringTreemap;

use super::Rules;

use crate::error::Error;
use crate::grammar;
use crate::layout::{self, Blank, Column};
use crate::record::{PERSON, column_of, pnr_number, table_index};
use crate::value::{self, Cell};
use crate::wire::{Reader, Writer};

/// An age range in whole years, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AgeRange {
    /// The lowest age.
    pub youngest: u16,
    /// The highest age.
    pub oldest: u16,
}

/// A filter on persons. It selects the persons who meet every given condition; without conditions, every person who has
/// a 001.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct PersonFilter {
    /// Persons who live in one of these municipalities (002), four digits each. Without `status_codes` only residents
    /// count: statuses 01, 03, 05 and 07. Others may have a last known address.
    pub municipality_codes: Option<Vec<String>>,
    /// Persons with one of these statuses (001).
    pub status_codes: Option<Vec<String>>,
    /// Persons of these ages, by the birth date in 001, on the policy's day.
    pub ages: Option<AgeRange>,
    /// Persons with one of these events (099) in the extract.
    pub event_codes: Option<Vec<String>>,
    /// Persons with one of these numbers, ten digits each.
    pub numbers: Option<Vec<String>>,
}

impl PersonFilter {
    /// Checks that every code and number has the right form.
    pub(crate) fn check(&self) -> Result<(), Error> {
        PersonMatcher::new(self.clone()).map(drop)
    }

    /// Returns whether the filter has no condition.
    pub(crate) fn is_unrestricted(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Debug for PersonFilter {
    /// Shows the conditions, but of the person numbers only how many there are.
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

/// The kind of a condition, in the order in which a leaver's reason is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ConditionKind {
    Municipality,
    Age,
    Status,
    Event,
    Number,
}

/// A filter, with the persons who meet each of its conditions.
pub(crate) struct PersonMatcher {
    conditions: Vec<PersonCondition>,
    /// The persons who have a required event that all persons of a place have.
    with_place_event: RoaringTreemap,
}

/// A condition, and what the records of each person say about it.
pub(crate) struct PersonCondition {
    pub(crate) kind: ConditionKind,
    wanted: Requirement,
    /// The persons with a record that meets the condition.
    pub(crate) meeting: RoaringTreemap,
    /// For a municipality: the persons with a readable one that does not meet the condition. Only they have moved: a
    /// person without an address may live anywhere.
    pub(crate) failing: Option<RoaringTreemap>,
    /// The persons with a value that cannot be read. They have not left because of it; for a municipality only their rows
    /// are not repeated. Few persons are in this set.
    pub(crate) unreadable: RoaringTreemap,
}

/// What a record must contain to meet a condition.
enum Requirement {
    /// Any 001.
    Anything,
    /// One of these codes, in this column of the table at this index.
    Codes(usize, &'static Column, Vec<Vec<u8>>),
    /// An event with one of these codes.
    Event(EventRequirement),
    /// A status (001) of a living resident.
    Residence(&'static Column),
    /// A birth date within the age range.
    Ages(&'static Column, AgeRange),
    /// Any record of one of these persons.
    Numbers(RoaringTreemap),
}

/// A required event.
struct EventRequirement {
    /// The index of the table of events.
    index: usize,
    code: &'static Column,
    mark: &'static Column,
    codes: Vec<Vec<u8>>,
    /// The rules that decide which events count; `None` if all of them do.
    rules: Option<Arc<Rules>>,
}

/// How a record meets a requirement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Match {
    No,
    Yes,
    /// By an event that all persons of a place have. It does not count for a protected person, if the policy masks it.
    ByPlace,
}

impl PersonMatcher {
    /// Creates a matcher for a filter alone.
    pub(crate) fn new(filter: PersonFilter) -> Result<Self, Error> {
        Self::under(filter, None)
    }

    /// Creates a matcher for the filter of a policy. An event whose code or mark the policy hides does not count, unless
    /// the policy may reveal it.
    pub(crate) fn under(filter: PersonFilter, rules: Option<Arc<Rules>>) -> Result<Self, Error> {
        let mut wanted = Vec::new();
        if let Some(codes) = filter.municipality_codes {
            // A person who is no resident has not moved, so this condition comes first.
            if filter.status_codes.is_none() {
                let (_, status) = column("person", "status")?;
                wanted.push((ConditionKind::Status, Requirement::Residence(status)));
            }
            wanted.push((
                ConditionKind::Municipality,
                codes_of("address", "municipality_code", codes)?,
            ));
        }
        if let Some(ages) = filter.ages {
            if ages.youngest > ages.oldest {
                return Err(Error::InvalidRequest(format!(
                    "no person has an age from {} to {}: name the lower age first",
                    ages.youngest, ages.oldest
                )));
            }
            let (_, column) = column("person", "birth_date")?;
            wanted.push((ConditionKind::Age, Requirement::Ages(column, ages)));
        }
        if let Some(codes) = filter.status_codes {
            wanted.push((ConditionKind::Status, codes_of("person", "status", codes)?));
        }
        if let Some(codes) = filter.event_codes {
            let (index, code) = column("event", layout::EVENT_CODE)?;
            let (_, mark) = column("event", layout::DERIVED_MARK)?;
            wanted.push((
                ConditionKind::Event,
                Requirement::Event(EventRequirement {
                    index,
                    code,
                    mark,
                    codes: checked_codes(code, codes)?,
                    rules,
                }),
            ));
        }
        if let Some(list) = filter.numbers {
            wanted.push((ConditionKind::Number, Requirement::Numbers(numbers(list)?)));
        }
        if wanted.is_empty() {
            wanted.push((ConditionKind::Status, Requirement::Anything));
        }
        let condition = |(kind, wanted): (_, Requirement)| PersonCondition {
            kind,
            failing: (kind == ConditionKind::Municipality).then(RoaringTreemap::new),
            unreadable: RoaringTreemap::new(),
            wanted,
            meeting: RoaringTreemap::new(),
        };
        Ok(Self {
            conditions: wanted.into_iter().map(condition).collect(),
            with_place_event: RoaringTreemap::new(),
        })
    }

    /// Returns whether records of the table at that index can meet a condition.
    pub(crate) fn reads(&self, index: usize) -> bool {
        self.conditions.iter().any(|one| one.wanted.reads(index))
    }

    pub(crate) fn asks_for_ages(&self) -> bool {
        self.conditions
            .iter()
            .any(|one| one.kind == ConditionKind::Age)
    }

    /// Checks a person's record against the conditions.
    pub(crate) fn add_record(
        &mut self,
        index: usize,
        person: u64,
        record: &[u8],
        day: Option<i32>,
    ) {
        for condition in &mut self.conditions {
            let found = condition.wanted.is_met_by(index, person, record, day);
            if found == Match::Yes {
                condition.meeting.insert(person);
            } else if found == Match::ByPlace {
                self.with_place_event.insert(person);
            } else if let Some(failing) = &mut condition.failing
                && condition.wanted.is_failed_by(index, record)
            {
                failing.insert(person);
            } else if condition.wanted.is_unreadable_in(index, record) {
                condition.unreadable.insert(person);
            }
        }
    }

    /// Notes that a person has a record of the table at that index that cannot be read.
    pub(crate) fn add_unreadable(&mut self, index: usize, person: u64) {
        for condition in &mut self.conditions {
            match &condition.wanted {
                // The number alone decides.
                Requirement::Anything if index == PERSON => drop(condition.meeting.insert(person)),
                Requirement::Numbers(numbers) if numbers.contains(person) => {
                    condition.meeting.insert(person);
                }
                Requirement::Numbers(_) => {}
                wanted if wanted.reads(index) => drop(condition.unreadable.insert(person)),
                _ => {}
            }
        }
    }

    /// Returns the persons who have a required event that all persons of a place have, so that it shows where they live.
    pub(crate) fn with_place_event(&self) -> &RoaringTreemap {
        &self.with_place_event
    }

    /// Returns the conditions with the persons who meet each, in the order in which a leaver's reason is chosen.
    /// `by_place` are the persons for whom an event of a place counts.
    pub(crate) fn conditions<'a>(
        &'a self,
        by_place: &'a RoaringTreemap,
    ) -> impl Iterator<Item = (&'a PersonCondition, Cow<'a, RoaringTreemap>)> {
        self.conditions.iter().map(move |one| {
            let meeting = match one.kind {
                ConditionKind::Event if !by_place.is_empty() => Cow::Owned(&one.meeting | by_place),
                _ => Cow::Borrowed(&one.meeting),
            };
            (one, meeting)
        })
    }

    /// Returns the condition on the municipality, if there is one.
    pub(crate) fn municipality(&self) -> Option<&PersonCondition> {
        let mut all = self.conditions.iter();
        all.find(|one| one.kind == ConditionKind::Municipality)
    }

    /// Returns the persons who meet every condition. `by_place` are the persons for whom an event of a place counts.
    pub(crate) fn meeting(&self, by_place: &RoaringTreemap) -> RoaringTreemap {
        let mut meeting = self.conditions(by_place).map(|(_, meeting)| meeting);
        let Some(first) = meeting.next() else {
            return RoaringTreemap::new();
        };
        meeting.fold(first.into_owned(), |mut all, more| {
            all &= &*more;
            all
        })
    }

    /// Adds the persons who meet the conditions of the same filter in another extract. The conditions are merged one by
    /// one, because a person's records may be divided between the extracts.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (own, other) in self.conditions.iter_mut().zip(&other.conditions) {
            own.meeting |= &other.meeting;
            own.unreadable |= &other.unreadable;
            if let (Some(own), Some(other)) = (&mut own.failing, &other.failing) {
                *own |= other;
            }
        }
        self.with_place_event |= &other.with_place_event;
    }

    /// Writes the persons who meet the conditions in a part of the extract, and begins the next part.
    pub(crate) fn take_part(&mut self, writer: &mut Writer) -> Result<(), Error> {
        for condition in &mut self.conditions {
            writer.persons(&std::mem::take(&mut condition.meeting))?;
            writer.persons(&std::mem::take(&mut condition.unreadable))?;
            if let Some(failing) = &mut condition.failing {
                writer.persons(&std::mem::take(failing))?;
            }
        }
        writer.persons(&std::mem::take(&mut self.with_place_event))
    }

    /// Adds what [`take_part`](Self::take_part) has written for the same filter.
    pub(crate) fn add_part(&mut self, reader: &mut Reader<'_>) -> Result<(), Error> {
        for condition in &mut self.conditions {
            condition.meeting |= reader.persons()?;
            condition.unreadable |= reader.persons()?;
            if let Some(failing) = &mut condition.failing {
                *failing |= reader.persons()?;
            }
        }
        self.with_place_event |= reader.persons()?;
        Ok(())
    }

    /// Moves what one extract of a state says into this matcher, and empties the other one. `current` are the persons
    /// whose records in the extract are part of the state. Events of everybody are; `with_event` are their persons.
    pub(crate) fn absorb(
        &mut self,
        extract: &mut Self,
        current: &RoaringTreemap,
        with_event: &RoaringTreemap,
    ) {
        for (own, of_extract) in self.conditions.iter_mut().zip(&mut extract.conditions) {
            let mut meeting = std::mem::take(&mut of_extract.meeting);
            let mut unreadable = std::mem::take(&mut of_extract.unreadable);
            match own.kind {
                ConditionKind::Event => {}
                ConditionKind::Number => meeting &= current | with_event,
                _ => {
                    meeting &= current;
                    unreadable &= current;
                }
            }
            own.meeting |= meeting;
            own.unreadable |= unreadable;
            if let (Some(own), Some(failing)) = (&mut own.failing, &mut of_extract.failing) {
                let mut failing = std::mem::take(failing);
                failing &= current;
                *own |= failing;
            }
        }
        self.with_place_event |= std::mem::take(&mut extract.with_place_event);
    }

    /// Returns the persons who meet every condition, and frees the memory of the conditions.
    pub(crate) fn finish(&mut self) -> RoaringTreemap {
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

impl Requirement {
    /// Returns whether records of the table at that index can meet the condition.
    fn reads(&self, index: usize) -> bool {
        match self {
            Self::Anything | Self::Residence(_) | Self::Ages(..) => index == PERSON,
            Self::Codes(table, ..) => {
                index == *table || is_municipality(*table) && index == PLAINTEXT
            }
            Self::Event(event) => index == event.index,
            Self::Numbers(_) => true,
        }
    }

    /// Returns whether a record has a readable municipality that is none of the wanted ones. It stands in 002 and, for
    /// some persons, in 003.
    fn is_failed_by(&self, index: usize, record: &[u8]) -> bool {
        let Self::Codes(table, column, codes) = self else {
            return false;
        };
        let column = match index {
            PLAINTEXT => PLAINTEXT_MUNICIPALITY,
            _ if index == *table => *column,
            _ => return false,
        };
        readable_code(column, record).is_some_and(|code| codes.iter().all(|one| one != code))
    }

    /// Returns whether a record has a status or birth date that cannot be read.
    fn is_unreadable_in(&self, index: usize, record: &[u8]) -> bool {
        match self {
            Self::Codes(table, column, _) if is_municipality(*table) => {
                let column = match index {
                    PLAINTEXT => PLAINTEXT_MUNICIPALITY,
                    _ if index == *table => *column,
                    _ => return false,
                };
                // Persons without an address have none, or zeros.
                let code = record.get(column.start()..).unwrap_or_default();
                let code = code.get(..column.length).unwrap_or(code);
                let is_whole = code.len() == column.length;
                let is_empty = value::is_spaces(code) || is_whole && value::is_zeros(code);
                !is_empty && readable_code(column, record).is_none()
            }
            Self::Codes(table, column, _) => {
                index == *table && readable_code(column, record).is_none()
            }
            Self::Residence(column) => index == PERSON && readable_code(column, record).is_none(),
            Self::Ages(column, _) => {
                let birth = record.get(column.start()..column.end());
                index == PERSON && birth.is_none_or(|birth| age_on(0, birth).is_none())
            }
            Self::Event(event) => {
                let code = record.get(event.code.start()..event.code.end());
                index == event.index
                    && !code.is_some_and(|code| code.iter().all(u8::is_ascii_alphanumeric))
            }
            Self::Anything | Self::Numbers(_) => false,
        }
    }

    fn is_met_by(&self, index: usize, person: u64, record: &[u8], day: Option<i32>) -> Match {
        let is_met = match self {
            Self::Event(event) => return event.is_met_by(index, record),
            Self::Anything => index == PERSON,
            Self::Codes(table, column, codes) => {
                let code = record.get(column.start()..column.end());
                *table == index && code.is_some_and(|code| codes.iter().any(|one| one == code))
            }
            Self::Residence(column) => {
                let status = record.get(column.start()..column.end());
                index == PERSON && status.is_some_and(is_of_resident)
            }
            Self::Ages(column, range) => {
                let birth = || record.get(column.start()..column.end());
                index == PERSON
                    && day.zip(birth()).is_some_and(|(day, birth)| {
                        let age = age_on(day, birth);
                        age.is_some_and(|age| {
                            (range.youngest.into()..=range.oldest.into()).contains(&age)
                        })
                    })
            }
            Self::Numbers(numbers) => numbers.contains(person),
        };
        match is_met {
            true => Match::Yes,
            false => Match::No,
        }
    }
}

impl EventRequirement {
    fn is_met_by(&self, index: usize, record: &[u8]) -> Match {
        let code = record.get(self.code.start()..self.code.end());
        let wanted = |code: &&[u8]| index == self.index && self.codes.iter().any(|one| one == code);
        let Some(code) = code.filter(wanted) else {
            return Match::No;
        };
        let Some(rules) = &self.rules else {
            return Match::Yes;
        };
        // A record without trailing spaces can end within the mark.
        let mark = record.get(self.mark.start()..).unwrap_or_default();
        let mark = mark.get(..self.mark.length).unwrap_or(mark);
        if !rules.may_reveal && !rules.shows_event(code, mark) {
            Match::No
        } else if rules.masks_event(code) {
            Match::ByPlace
        } else {
            Match::Yes
        }
    }
}

/// Returns the code in a column, if it is all digits and not only zeros.
fn readable_code<'a>(column: &Column, record: &'a [u8]) -> Option<&'a [u8]> {
    let code = record.get(column.start()..column.end())?;
    (code.iter().all(u8::is_ascii_digit) && !value::is_zeros(code)).then_some(code)
}

/// Returns whether the table at that index is that of addresses (002), whose code is a municipality.
const fn is_municipality(table: usize) -> bool {
    table == ADDRESS
}

/// The index of 002 in [`layout::tables`].
const ADDRESS: usize = table_index("002");

/// The index of 003 in [`layout::tables`].
const PLAINTEXT: usize = table_index("003");

const PLAINTEXT_MUNICIPALITY: &Column = column_of(PLAINTEXT, "municipality_code");

/// Returns whether the status is that of a resident of Denmark (01, 03) or Greenland (05, 07).
fn is_of_resident(status: &[u8]) -> bool {
    matches!(status, b"01" | b"03" | b"05" | b"07")
}

/// Returns the age in whole years on a day, or `None` if the birth date is not a date.
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
    let index = layout::tables().iter().position(|t| t.name == table);
    let field = layout::by_name(table).and_then(|table| table.column(column));
    index
        .zip(field)
        .ok_or_else(|| Error::InvalidRequest(format!("there is no column {table}.{column}")))
}

fn codes_of(table: &str, name: &str, codes: Vec<String>) -> Result<Requirement, Error> {
    let (index, column) = column(table, name)?;
    Ok(Requirement::Codes(
        index,
        column,
        checked_codes(column, codes)?,
    ))
}

/// Checks that codes have the form of a column.
fn checked_codes(column: &Column, codes: Vec<String>) -> Result<Vec<Vec<u8>>, Error> {
    let name = column.name;
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
    Ok(codes.into_iter().map(String::into_bytes).collect())
}

fn numbers(numbers: Vec<String>) -> Result<RoaringTreemap, Error> {
    numbers
        .iter()
        .enumerate()
        .map(|(index, number)| {
            if grammar::is_code(number, 10) {
                Ok(pnr_number(number.as_bytes()))
            } else {
                Err(Error::InvalidRequest(format!(
                    "entry {} of the list of person numbers is not ten digits",
                    index + 1
                )))
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recognises_statuses_of_residents() {
        for status in ["01", "03", "05", "07"] {
            assert!(is_of_resident(status.as_bytes()), "{status}");
        }
        for status in [
            "20", "02", "00", "30", "50", "60", "70", "80", "90", "99", "  ", "1 ", " 1",
        ] {
            assert!(!is_of_resident(status.as_bytes()), "{status}");
        }
    }

    #[test]
    fn calculates_ages_in_whole_years() {
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
