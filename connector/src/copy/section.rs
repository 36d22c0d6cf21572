//! The part of an extract from its start record to its end record, and the counter of the latter.
//!
//! Error records (910) come after the end record and may be among the records that it counts. So the end record is held
//! until they have been read.

use crate::grammar;
use crate::layout::Column;
use crate::record::{END, INPUT_ERROR, RecordClass, column_of, is_padding};

/// The largest number that fits the counter.
const COUNTER_LIMIT: u64 = 99_999_999;

const COUNTER: &Column = column_of(END, "record_count");

/// The counts of a section.
#[derive(Default)]
pub(super) struct Section {
    /// The records between start and end, and how many of them are left out.
    inside: Counts,
    /// The same of those after the end.
    after: Counts,
    /// The number that the end record declares.
    declared: Option<u64>,
    has_end: bool,
    /// Whether the end record and what follows it are held.
    is_holding: bool,
    held: Vec<u8>,
}

#[derive(Default)]
struct Counts {
    records: u64,
    left_out: u64,
}

impl Section {
    /// Begins the end record of the section. Only the first one counts.
    pub(super) fn begin_end(&mut self, record: &[u8]) {
        if !self.has_end {
            self.has_end = true;
            self.is_holding = true;
            self.declared = grammar::end_record(record);
        }
    }

    /// Returns whether the section must be released before this record: it is none of those that follow an end record.
    pub(super) fn ends_before(&self, class: RecordClass, record: &[u8]) -> bool {
        self.is_holding && class != RecordClass::Known(INPUT_ERROR) && !is_padding(record)
    }

    /// Counts a record other than the start and the end record.
    pub(super) fn count(&mut self, is_left_out: bool) {
        let counts = match self.has_end {
            true => &mut self.after,
            false => &mut self.inside,
        };
        counts.records += 1;
        counts.left_out += u64::from(is_left_out);
    }

    /// Returns where the bytes of the next record go.
    pub(super) fn sink<'a>(&'a mut self, is_end: bool, out: &'a mut Vec<u8>) -> &'a mut Vec<u8> {
        match self.is_holding && (is_end || !self.held.is_empty()) {
            true => &mut self.held,
            false => out,
        }
    }

    /// Writes what is held, with the right counter.
    pub(super) fn release(&mut self, out: &mut Vec<u8>) {
        self.is_holding = false;
        if let Some(counter) = self.counter()
            && let Some(field) = self.held.get_mut(COUNTER.start()..COUNTER.end())
        {
            field.copy_from_slice(format!("{counter:08}").as_bytes());
        }
        out.append(&mut self.held);
    }

    /// Returns the counter of the end record, or `None` if it stays as it is.
    fn counter(&self) -> Option<u64> {
        let declared = self.declared?;
        let all = self.inside.records + self.after.records;
        let left_out = match self.after.records > 0 && declared == all {
            true => self.inside.left_out + self.after.left_out,
            false => self.inside.left_out,
        };
        if left_out == 0 {
            return None;
        }
        // A full counter does not tell how many records there were, if that many can have been there.
        let is_full = declared == COUNTER_LIMIT && self.inside.records >= COUNTER_LIMIT;
        let counted = match is_full {
            true => self.inside.records,
            false => declared,
        };
        let rest = counted.saturating_sub(left_out).min(COUNTER_LIMIT);
        // A counter that is too small means that there are more records than declared. Zero would tell nothing, and then
        // records would seem to be missing.
        let stay = self.inside.left_out < self.inside.records;
        let is_more = (1..self.inside.records).contains(&declared);
        Some(match is_more && stay {
            true => rest.max(1),
            false => rest,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counter(declared: u64, records: u64, left_out: u64) -> Option<u64> {
        let section = Section {
            inside: Counts { records, left_out },
            declared: Some(declared),
            has_end: true,
            ..Section::default()
        };
        section.counter()
    }

    #[test]
    fn the_counter_stays_too_large_right_or_too_small() {
        // Too large by the same difference, right, too small by the same difference.
        assert_eq!(counter(30, 8, 4), Some(26));
        assert_eq!(counter(8, 8, 4), Some(4));
        assert_eq!(counter(7, 8, 4), Some(3));
        // The difference does not fit, but the counter is still smaller than the number of records.
        assert_eq!(counter(2, 8, 4), Some(1));
        assert_eq!(counter(4, 8, 4), Some(1));
        assert_eq!(counter(2, 8, 7), Some(1));
        // Zero told nothing before, and no record is left.
        assert_eq!(counter(0, 8, 4), Some(0));
        assert_eq!(counter(2, 8, 8), Some(0));
        assert_eq!(counter(2, 8, 0), None);
        // The largest number can stand for more records, but not for fewer.
        assert_eq!(counter(COUNTER_LIMIT, 2, 1), Some(COUNTER_LIMIT - 1));
        let many = COUNTER_LIMIT + 10;
        assert_eq!(counter(COUNTER_LIMIT, many, 4), Some(COUNTER_LIMIT));
        assert_eq!(counter(COUNTER_LIMIT, many, 20), Some(COUNTER_LIMIT - 10));
    }
}
