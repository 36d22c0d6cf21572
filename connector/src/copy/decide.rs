//! Decides what a copy does with a record.

use std::ops::Range;

use roaring::RoaringTreemap;

use super::not_separable;
use crate::damage::{DamagedProtection, damaged_protection};
use crate::error::{Error, Position};
use crate::layout::{self, Blank, Column, Kind, Table};
use crate::policy::is_shifted;
use crate::record::{END, EVENT, FORMER_NUMBER, RecordClass, START, classify, padded, pnr_number};
use crate::value;

/// The persons whose records are left out.
pub(super) struct Rules {
    pub(super) erased: RoaringTreemap,
    pub(super) superseded: RoaringTreemap,
    /// Whether erased persons are blanked in the records of others.
    pub(super) blanks: bool,
}

/// What a copy does with a record.
pub(super) enum Decision {
    /// It copies the record. `refers` tells whether the record holds an erased number.
    Copy {
        refers: bool,
    },
    /// It copies this record instead, which has the same length.
    Blank(Vec<u8>),
    LeaveOut,
}

/// Where an erased number stands in a record.
enum Reference<'a> {
    /// In this column.
    Column(&'a Column, Range<usize>),
    /// Across columns of a record whose values stand in the wrong places.
    Across,
    /// After the known layout.
    Tail,
}

impl Rules {
    pub(super) fn decide(
        &self,
        class: RecordClass,
        record: &[u8],
        position: Position,
    ) -> Result<Decision, Error> {
        let index = match class {
            RecordClass::Known(index) => index,
            RecordClass::Unknown(_) | RecordClass::Rejected(_) => {
                return Ok(self.decide_line(class, record));
            }
        };
        let Some(table) = layout::tables().get(index) else {
            return Err(Error::Internal);
        };
        if !table.is_keyed() {
            return Ok(match matches!(index, START | END) {
                true => Decision::Copy { refers: false },
                false => self.decide_line(class, record),
            });
        }
        let person = pnr_number(record.get(3..13).unwrap_or_default());
        let tail = record.get(table.record_length()..).unwrap_or_default();
        if self.erased.contains(person) {
            if self.begins_with_other(tail) {
                return Err(not_separable(
                    position,
                    "it belongs to an erased person and goes on with the record of another person, because a line end is \
                     lost: nothing was erased from this extract. Ask CPR for the other person again, and then erase with \
                     the whole agreement",
                ));
            }
            return Ok(Decision::LeaveOut);
        }
        if index != EVENT && self.superseded.contains(person) && !self.begins_with_other(tail) {
            return Ok(Decision::LeaveOut);
        }
        self.decide_other(index, table, record, position)
    }

    /// Decides about a line that belongs to no person: it is left out if it holds an erased number, perhaps with other
    /// characters between its digits.
    fn decide_line(&self, class: RecordClass, line: &[u8]) -> Decision {
        if self.erased.is_empty() {
            return Decision::Copy { refers: false };
        }
        let digits: Vec<u8> = line.iter().copied().filter(u8::is_ascii_digit).collect();
        let holds = |bytes: &[u8]| self.numbers_in(bytes).next().is_some();
        let is_protection = match damaged_protection(class, line) {
            Some(DamagedProtection::Of(person)) => self.erased.contains(person),
            Some(DamagedProtection::Unknown) | None => false,
        };
        match is_protection || holds(line) || holds(&digits) {
            true => Decision::LeaveOut,
            false => Decision::Copy { refers: false },
        }
    }

    /// Decides about a record of a person who is not left out.
    fn decide_other(
        &self,
        index: usize,
        table: &'static Table,
        record: &[u8],
        position: Position,
    ) -> Result<Decision, Error> {
        let references = self.references(table, record);
        if references.is_empty() {
            return Ok(Decision::Copy { refers: false });
        }
        if references.iter().any(|one| matches!(one, Reference::Tail)) {
            return Err(not_separable(
                position,
                "an erased number stands after the known layout of another person's record: a record of the erased person \
                 may follow there without a line end. Nothing was erased from this extract",
            ));
        }
        if !self.blanks {
            return Ok(Decision::Copy { refers: true });
        }
        let mut blanked = record.to_vec();
        for reference in references {
            let Reference::Column(column, place) = reference else {
                return Err(not_separable(
                    position,
                    "an erased number stands in another person's record whose values are in the wrong columns, so that it \
                     cannot be blanked. Nothing was erased from this extract",
                ));
            };
            let about =
                |one: &&Column| column.relative.is_some() && one.relative == column.relative;
            let is_only_about = table.columns.iter().skip(1).all(|one| about(&one));
            // A tie without its other number would be a damaged one, and a relative's row has nothing else to tell.
            if index == FORMER_NUMBER || is_only_about {
                return Ok(Decision::LeaveOut);
            }
            if column.relative == Some(column.name) {
                for one in table.columns.iter().filter(about) {
                    blank(&mut blanked, one);
                }
            } else if column.kind == Kind::Pnr {
                blank(&mut blanked, column);
            } else if let Some(bytes) = blanked.get_mut(place) {
                bytes.fill(b' ');
            }
        }
        Ok(Decision::Blank(blanked))
    }

    /// Returns every place of an erased number in a record of another person.
    fn references(&self, table: &'static Table, record: &[u8]) -> Vec<Reference<'static>> {
        let mut references = Vec::new();
        for place in self.numbers_in(record) {
            if place.end > table.record_length() {
                references.push(Reference::Tail);
                continue;
            }
            let mut columns = table.columns.iter();
            let within =
                |column: &&Column| column.start() <= place.start && place.end <= column.end();
            match columns.find(within) {
                Some(column) if is_other_value(column, record) => {}
                Some(column) => references.push(Reference::Column(column, place)),
                // Digits of neighbouring columns can make a number by chance.
                None if is_shifted(table, padded(record)) => references.push(Reference::Across),
                None => {}
            }
        }
        references
    }

    /// Returns the places of erased numbers: ten digits, perhaps with a hyphen or a space after the first six.
    fn numbers_in<'a>(&'a self, bytes: &'a [u8]) -> impl Iterator<Item = Range<usize>> + 'a {
        let is_possible = !self.erased.is_empty();
        let starts = (0..bytes.len()).filter(move |_| is_possible);
        starts.filter_map(move |start| {
            let rest = bytes.get(start..)?;
            let (first, rest) = rest.split_first_chunk::<6>()?;
            let separator = usize::from(matches!(rest.first(), Some(b'-' | b' ')));
            let last = rest.get(separator..separator + 4)?;
            let digits = || first.iter().chain(last);
            if !digits().all(u8::is_ascii_digit) {
                return None;
            }
            let number = digits().fold(0, |number, digit| number * 10 + u64::from(digit - b'0'));
            let end = start + 10 + separator;
            self.erased.contains(number).then_some(start..end)
        })
    }

    /// Returns whether bytes after a record begin with a record of a person who is not left out.
    fn begins_with_other(&self, tail: &[u8]) -> bool {
        let RecordClass::Known(index) = classify(tail) else {
            return false;
        };
        let table = layout::tables().get(index);
        let person = pnr_number(tail.get(3..13).unwrap_or_default());
        table.is_some_and(Table::is_keyed) && !self.erased.contains(person)
    }
}

/// Returns whether a column holds a value in which digits of a person number stand only by chance.
fn is_other_value(column: &Column, record: &[u8]) -> bool {
    let raw = record.get(column.start()..column.end()).unwrap_or_default();
    match column.kind {
        Kind::Timestamp => matches!(value::timestamp(raw, column.blank), value::Cell::Value(_)),
        Kind::Uuid => crate::columns::is_uuid(raw),
        _ => false,
    }
}

/// Fills a column with what stands for no value.
fn blank(record: &mut [u8], column: &Column) {
    let end = column.end().min(record.len());
    if let Some(bytes) = record.get_mut(column.start()..end) {
        bytes.fill(match column.blank {
            Blank::Spaces => b' ',
            Blank::Zeros => b'0',
        });
    }
}
