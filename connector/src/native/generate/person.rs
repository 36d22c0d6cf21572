//! The persons of the generated population, for tests that compare an extract's results with the truth.

use std::{fmt, io};

use super::Settings;
use super::calendar::Day;
use super::number::Number;
use super::population::Population;

/// A person number of the population, with the facts about it.
#[derive(Clone)]
pub struct Person {
    number: Number,
    current: Option<Number>,
    status: &'static str,
    birth_date: Day,
    municipality_code: Option<&'static str>,
    is_protected: bool,
    event_codes: Vec<&'static str>,
}

impl Person {
    /// Returns the ten digits of the number.
    pub fn number(&self) -> &str {
        self.number.as_str()
    }

    /// Returns the valid number, if this one is no longer valid.
    pub fn current_number(&self) -> Option<&str> {
        self.current.as_ref().map(Number::as_str)
    }

    /// Returns the status, as in 001.
    pub fn status(&self) -> &'static str {
        self.status
    }

    /// Returns the birth date, as in 001.
    pub fn birth_date(&self) -> Day {
        self.birth_date
    }

    /// Returns the municipality, as in 002; `None` without a 002.
    pub fn municipality_code(&self) -> Option<&'static str> {
        self.municipality_code
    }

    /// Returns whether name and address are protected (0001) on the night's production date.
    pub fn is_protected(&self) -> bool {
        self.is_protected
    }

    /// Returns whether the night's change file delivers the number.
    pub fn is_touched(&self) -> bool {
        !self.event_codes.is_empty()
    }

    /// Returns the codes of the events for the number in the night's change file.
    pub fn event_codes(&self) -> &[&'static str] {
        &self.event_codes
    }
}

/// Hides the number and the birth date.
impl fmt::Debug for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Person")
            .field("number", &self.number)
            .field("status", &self.status)
            .field("municipality_code", &self.municipality_code)
            .field("is_protected", &self.is_protected)
            .field("is_touched", &self.is_touched())
            .finish_non_exhaustive()
    }
}

/// Returns all persons after that many nights (0 for the first day), in the order of the status file.
pub fn population(
    settings: &Settings,
    night: u32,
) -> io::Result<impl Iterator<Item = io::Result<Person>>> {
    settings.check()?;
    let first_day = settings.first_day;
    let day = settings.production_date(night);
    let steps = Population::new(settings, night);
    Ok(steps.flat_map(move |step| {
        let touched = match step.touched(first_day) {
            Ok(touched) => touched,
            Err(error) => return vec![Err(error)],
        };
        let family = &step.family;
        let persons = family.entries().map(|entry| {
            let number = family.number(entry);
            let events = touched.iter().find(|(delivered, _)| *delivered == entry);
            let event_codes = events
                .map(|(_, events)| events.iter().map(|event| event.code).collect())
                .unwrap_or_default();
            let member = &family.members[entry.member];
            Ok(match family.former(entry) {
                Some(former) => Person {
                    number,
                    current: Some(member.number),
                    status: former.status.code(),
                    birth_date: former.person.born,
                    municipality_code: None,
                    is_protected: false,
                    event_codes,
                },
                None => Person {
                    number,
                    current: None,
                    status: member.status.code(),
                    birth_date: member.born,
                    municipality_code: member
                        .residence
                        .map(|residence| residence.dwelling.town.municipality_code),
                    is_protected: member
                        .protections
                        .iter()
                        .any(|held| held.kind == "0001" && held.in_force(day)),
                    event_codes,
                },
            })
        });
        persons.collect()
    }))
}
