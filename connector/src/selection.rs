//! Which persons a scan is about.
//!
//! A person's records do not stand together, and only one of them says where the person lives: so persons are
//! chosen in a pass of their own, and the scan takes the result.

use std::sync::Arc;

use roaring::RoaringTreemap;

use crate::error::Error;
use crate::grammar;
use crate::layout;
use crate::split::{Splitter, Step};
use crate::tally::{Class, classify, pnr_number};

/// Which persons to choose: everybody who meets every condition that is given.
#[derive(Debug, Clone, Default)]
pub struct PersonFilter {
    /// Persons whose current address (002) is in one of these municipalities, four digits each.
    pub municipality_codes: Option<Vec<String>>,
    /// Persons whose status (001) is one of these.
    pub status_codes: Option<Vec<String>>,
    /// Persons with one of these numbers.
    pub numbers: Option<Vec<String>>,
}

/// The persons whom a filter chooses from an extract.
#[derive(Debug)]
pub struct Selection {
    splitter: Splitter,
    conditions: Vec<Condition>,
    numbers: Option<RoaringTreemap>,
    chosen: Option<Arc<RoaringTreemap>>,
}

/// A code that stands in a field of a record type.
#[derive(Debug)]
struct Condition {
    table: usize,
    from: usize,
    to: usize,
    /// None for any.
    codes: Option<Vec<Vec<u8>>>,
    meeting: RoaringTreemap,
}

impl Selection {
    /// Begins a first pass.
    pub fn open(filter: PersonFilter) -> Result<Self, Error> {
        let mut conditions = Vec::new();
        if let Some(codes) = filter.municipality_codes {
            conditions.push(Condition::new("address", "municipality_code", Some(codes))?);
        }
        if let Some(codes) = filter.status_codes {
            conditions.push(Condition::new("person", "status", Some(codes))?);
        }
        let numbers = filter.numbers.map(numbers).transpose()?;
        if conditions.is_empty() && numbers.is_none() {
            conditions.push(Condition::new("person", "status", None)?);
        }
        Ok(Self {
            splitter: Splitter::default(),
            conditions,
            numbers,
            chosen: None,
        })
    }

    /// Takes the next bytes of the extract.
    pub fn push(&mut self, block: Vec<u8>) -> Result<(), Error> {
        if self.chosen.is_some() {
            return Err(Error::Misuse("push after finish: the selection is made"));
        }
        self.splitter.push(block);
        self.read()
    }

    /// Ends the pass, and says how many persons were chosen.
    pub fn finish(&mut self) -> Result<u64, Error> {
        if self.chosen.is_some() {
            return Err(Error::Misuse("finish was called before"));
        }
        self.splitter.finish();
        self.read()?;
        let conditions = self
            .conditions
            .iter_mut()
            .map(|c| std::mem::take(&mut c.meeting));
        let chosen = conditions
            .chain(self.numbers.take())
            .reduce(|mut chosen, meeting| {
                chosen &= meeting;
                chosen
            })
            .unwrap_or_default();
        let count = chosen.len();
        self.chosen = Some(Arc::new(chosen));
        Ok(count)
    }

    /// Adds the persons of another finished selection.
    pub fn merge(&mut self, other: &Self) -> Result<(), Error> {
        let other = other.chosen()?;
        match &mut self.chosen {
            Some(chosen) => {
                *Arc::make_mut(chosen) |= &*other;
                Ok(())
            }
            None => Err(UNFINISHED),
        }
    }

    /// The chosen persons.
    pub(crate) fn chosen(&self) -> Result<Arc<RoaringTreemap>, Error> {
        self.chosen.clone().ok_or(UNFINISHED)
    }

    fn read(&mut self) -> Result<(), Error> {
        while self.splitter.next()? == Step::Record {
            let record = self.splitter.record();
            let Class::Known(table) = classify(record) else {
                continue;
            };
            for condition in &mut self.conditions {
                if condition.table == table && condition.is_met_by(record) {
                    let key = record.get(3..13).unwrap_or_default();
                    condition.meeting.insert(pnr_number(key));
                }
            }
        }
        Ok(())
    }
}

const UNFINISHED: Error = Error::Misuse("the selection is not finished: call finish first");

impl Condition {
    fn new(table: &str, column: &str, codes: Option<Vec<String>>) -> Result<Self, Error> {
        let place = layout::tables().iter().position(|t| t.name == table);
        let field = layout::by_name(table).and_then(|table| table.column(column));
        let (Some(place), Some(field)) = (place, field) else {
            return Err(Error::InvalidRequest(format!(
                "there is no column {table}.{column}"
            )));
        };
        for code in codes.iter().flatten() {
            if !grammar::is_code(code, field.length) {
                return Err(Error::InvalidRequest(format!(
                    "a {column} has {} digits, leading zeros included",
                    field.length
                )));
            }
        }
        Ok(Self {
            table: place,
            from: field.start(),
            to: field.end(),
            codes: codes.map(|codes| codes.into_iter().map(String::into_bytes).collect()),
            meeting: RoaringTreemap::new(),
        })
    }

    fn is_met_by(&self, record: &[u8]) -> bool {
        let Some(codes) = &self.codes else {
            return true;
        };
        let code = record.get(self.from..self.to);
        code.is_some_and(|code| codes.iter().any(|wanted| wanted == code))
    }
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
