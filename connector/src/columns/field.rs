//! Converts one field of a block of records.

use std::ops::Range;

use super::bits::GROUP;
use super::builder::Builder;
use super::numbers::{Flags, Numbers};
use super::record_block::RecordBlock;
use super::redacted::{can_hold_number, redacted_text};
use super::table::ReadColumn;
use super::text::Text;
use crate::finding::Occurrences;
use crate::layout::{Blank, Column, Kind, Table};
use crate::value;

/// A field that is read, with its values.
pub(crate) struct FieldBuilder {
    pub(crate) column: &'static Column,
    read: ReadColumn,
    /// Whether person numbers are removed from the text.
    redacts_text: bool,
    pub(crate) values: Builder,
    pub(crate) irregular: Occurrences,
}

impl FieldBuilder {
    pub(crate) fn new(table: &Table, column: &'static Column, read: &ReadColumn) -> Self {
        let values = match column.kind {
            Kind::Code | Kind::Mark | Kind::Text | Kind::Uuid | Kind::Pnr => {
                Builder::Text(Text::default())
            }
            Kind::Date | Kind::Date8 => Builder::Dates(Numbers::default()),
            Kind::Timestamp => Builder::Timestamps(Numbers::default()),
            Kind::Count => Builder::Counts(Numbers::default()),
            Kind::Flag => Builder::Flags(Flags::default()),
        };
        Self {
            column,
            read: *read,
            redacts_text: read.redacts && can_hold_number(table, column),
            values,
            irregular: Occurrences::default(),
        }
    }

    /// Returns whether `irregular` may show the field's raw text.
    pub(crate) fn shows_irregular(&self) -> bool {
        self.read.shows_irregular
    }

    /// Returns whether person numbers are removed from the field's raw text.
    pub(crate) fn redacts(&self) -> bool {
        self.read.redacts
    }

    /// Appends the field of all records of a block. Calls `keep` with every row whose raw text must be kept too.
    ///
    /// A field that was cut off with the record's trailing spaces is blank. Hidden fields are replaced in the block, so
    /// that no later step can read them.
    pub(crate) fn convert(&mut self, block: &mut RecordBlock, mut keep: impl FnMut(usize)) {
        let is_regular_blank = self.column.blank == Blank::Spaces;
        if is_regular_blank
            && block.end_before(self.column.start())
            && self.push_blanks(block.rows())
        {
            return;
        }
        let mut first = 0;
        while first < block.rows() {
            let rows = first..(first + GROUP).min(block.rows());
            let mut irregular = self.convert_group(block, rows);
            while irregular != 0 {
                let row = first + irregular.trailing_zeros() as usize;
                if let Some(line) = block.lines().get(row) {
                    self.irregular.add(*line as u64);
                }
                keep(row);
                irregular &= irregular - 1;
            }
            first += GROUP;
        }
    }

    /// Appends blank fields. Returns false and appends nothing if a blank field is not null.
    fn push_blanks(&mut self, rows: usize) -> bool {
        match &mut self.values {
            Builder::Text(text) => text.push_nulls(rows),
            Builder::Dates(dates) => dates.push_nulls(rows),
            Builder::Timestamps(timestamps) => timestamps.push_nulls(rows),
            Builder::Counts(counts) => counts.push_nulls(rows),
            Builder::Flags(_) | Builder::Irregular(_) => return false,
        }
        true
    }

    /// Appends the field of at most 64 records. Returns the rows whose raw text must be kept too: one bit per row.
    fn convert_group(&mut self, block: &mut RecordBlock, rows: Range<usize>) -> u64 {
        let hidden = block.hidden(self.read.mask, rows.clone());
        if hidden != 0 {
            block.blank_out(self.column, rows.start, hidden);
        }
        if self.redacts_text {
            for row in rows.clone() {
                if let Some(redacted) = redacted_text(self.column, block.field(row, self.column)) {
                    block.overwrite(row, self.column, &redacted);
                }
            }
        }
        let (from, blank) = (self.column.start(), self.column.blank);
        match &mut self.values {
            Builder::Text(text) if self.column.kind == Kind::Pnr => {
                push_numbers(text, block, self.column, rows) & !hidden
            }
            Builder::Text(text) => {
                push_text(text, block, self.column, rows);
                0
            }
            Builder::Dates(dates) if self.column.kind == Kind::Date8 => {
                let fields = block.pieces::<8>(from, rows);
                dates.push_group(fields.map(|raw| value::date8(raw, blank)), hidden)
            }
            Builder::Dates(dates) => {
                let fields = block.pieces::<10>(from, rows);
                dates.push_group(fields.map(|raw| value::date(raw, blank)), hidden)
            }
            Builder::Timestamps(timestamps) => {
                let fields = block.pieces::<12>(from, rows);
                timestamps.push_group(fields.map(|raw| value::timestamp(raw, blank)), hidden)
            }
            Builder::Counts(counts) => {
                let length = self.column.length;
                let fields = block.fields(from, rows);
                let fields = fields.map(|field| field.get(..length).unwrap_or_default());
                counts.push_group(fields.map(|raw| value::count(raw, blank)), hidden)
            }
            Builder::Flags(flags) => flags.push_group(block.pieces::<1>(from, rows), hidden),
            Builder::Irregular(_) => 0,
        }
    }
}

/// Appends a text of at most 64 records.
#[inline]
fn push_text(text: &mut Text, block: &RecordBlock, column: &Column, rows: Range<usize>) {
    let (from, length) = (column.start(), column.length);
    match length {
        0..=16 => text.push_fields::<1>(block.fields(from, rows), length),
        17..=32 => text.push_fields::<2>(block.fields(from, rows), length),
        33..=48 => text.push_fields::<3>(block.fields(from, rows), length),
        49..=64 => text.push_fields::<4>(block.fields(from, rows), length),
        _ => text.push_long(block.fields(from, rows), length),
    }
}

/// Appends person numbers of at most 64 records. Returns the rows with the filling that is not usual for the column: one
/// bit per row.
#[inline]
fn push_numbers(text: &mut Text, block: &RecordBlock, column: &Column, rows: Range<usize>) -> u64 {
    let (spaces, zeros) = text.push_numbers(block.fields(column.start(), rows));
    match column.blank {
        Blank::Spaces => zeros,
        Blank::Zeros => spaces,
    }
}
