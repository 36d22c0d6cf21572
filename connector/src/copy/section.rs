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
        // A full counter does not tell how many records there were.
        let counted = match declared == COUNTER_LIMIT {
            true => self.inside.records,
            false => declared,
        };
        Some(counted.saturating_sub(left_out).min(COUNTER_LIMIT))
    }
}
