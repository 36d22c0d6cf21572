//! Holds records of one table until their columns are converted.
//!
//! A field costs least if all records of a block are converted column by column: what a column is, and what is masked in
//! it, is then decided once for many rows.

use std::ops::Range;

use super::mask::{ColumnMask, RowMask};
use super::record_buffer::{PIECE, copy_record, remove_times};
use crate::layout::{Blank, Column, Table};

/// The largest number of records in a block. The records of a block stay in the processor's cache.
pub(crate) const BLOCK_ROWS: usize = 256;

/// The number of records for which a block first has room. Most tables of a small extract have few rows.
const FIRST_ROWS: usize = 16;

/// A field of several records: each slice begins with it, and has more bytes.
pub(crate) type Fields<'a> = std::slice::ChunksExact<'a, u8>;

/// Records of one table, each filled up with spaces to the same length.
pub(crate) struct RecordBlock {
    /// The length of the table's records.
    record_length: usize,
    /// The distance from one record to the next: room for the record, and for pieces that begin in its last byte.
    stride: usize,
    bytes: Vec<u8>,
    /// How many bytes of each place of `bytes` were written last. The bytes after them are spaces.
    written: Vec<u16>,
    lines: Vec<i64>,
    /// What is masked in each record; empty without a policy.
    masks: Vec<RowMask>,
    /// Whether any of `masks` hides something.
    has_hidden: bool,
    /// The length of the longest record.
    longest: usize,
    /// The bytes after the known layout that are shown in `irregular`, by row.
    tails: Vec<(usize, Vec<u8>)>,
}

impl RecordBlock {
    pub(crate) fn new(table: &Table) -> Self {
        let record_length = table.record_length();
        Self {
            record_length,
            stride: record_length.next_multiple_of(PIECE) + 2 * PIECE,
            bytes: Vec::new(),
            written: Vec::new(),
            lines: Vec::new(),
            masks: Vec::new(),
            has_hidden: false,
            longest: 0,
            tails: Vec::new(),
        }
    }

    /// Appends a record. Bytes after the table's layout are left out.
    #[inline]
    pub(crate) fn push(&mut self, record: &[u8], line: u64) {
        let row = self.lines.len();
        if row >= self.written.len() {
            self.grow();
        }
        let record = record.get(..self.record_length).unwrap_or(record);
        let start = row * self.stride;
        let to = self.bytes.get_mut(start..start + self.stride);
        if let (Some(to), Some(length)) = (to, self.written.get_mut(row)) {
            copy_record(to, record, usize::from(*length));
            *length = record.len() as u16;
        }
        self.longest = self.longest.max(record.len());
        self.lines.push(line as i64);
    }

    /// Appends a record of which a part is masked.
    pub(crate) fn push_masked(&mut self, table: &Table, record: &[u8], line: u64, mask: RowMask) {
        self.push(record, line);
        if mask.is_coarse
            && let Some(row) = self.lines.len().checked_sub(1)
            && let Some(bytes) = self.bytes.get_mut(row * self.stride..)
        {
            remove_times(bytes, table.timestamps());
            self.mark_written(row, self.record_length);
        }
        self.has_hidden |= !mask.is_empty();
        self.masks.push(mask);
    }

    /// Keeps the bytes after the layout of the last record for `irregular`.
    #[cold]
    pub(crate) fn push_tail(&mut self, tail: &[u8]) {
        let row = self.lines.len().saturating_sub(1);
        self.tails.push((row, tail.to_vec()));
    }

    #[cold]
    fn grow(&mut self) {
        let rows = (self.written.len() * 2).clamp(FIRST_ROWS, BLOCK_ROWS);
        self.written.resize(rows, 0);
        // The slices of the last record's fields end in one record more.
        self.bytes.resize((rows + 1) * self.stride, b' ');
    }

    /// Removes all records.
    pub(crate) fn clear(&mut self) {
        self.lines.clear();
        self.masks.clear();
        self.tails.clear();
        self.has_hidden = false;
        self.longest = 0;
    }

    pub(crate) fn rows(&self) -> usize {
        self.lines.len()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.lines.len() >= BLOCK_ROWS
    }

    pub(crate) fn lines(&self) -> &[i64] {
        &self.lines
    }

    pub(crate) fn masks(&self) -> &[RowMask] {
        &self.masks
    }

    pub(crate) fn tails(&self) -> &[(usize, Vec<u8>)] {
        &self.tails
    }

    /// Returns whether all records end before this offset, so that a field there is blank in all of them.
    pub(crate) fn end_before(&self, from: usize) -> bool {
        self.longest <= from
    }

    /// Returns the bytes of a field in one record.
    pub(crate) fn field(&self, row: usize, column: &Column) -> &[u8] {
        let start = row * self.stride;
        let field = start + column.start()..start + column.end();
        self.bytes.get(field).unwrap_or_default()
    }

    /// Returns the first `N` bytes from an offset on in each of these records.
    #[inline]
    pub(crate) fn pieces<const N: usize>(
        &self,
        from: usize,
        rows: Range<usize>,
    ) -> impl ExactSizeIterator<Item = &[u8; N]> {
        self.fields(from, rows)
            .map(|field| field.first_chunk().unwrap_or(&[b' '; N]))
    }

    /// Returns the bytes from an offset on in each of these records. All slices have the length of a record, so the end of
    /// a slice lies in the next record.
    #[inline]
    pub(crate) fn fields(&self, from: usize, rows: Range<usize>) -> Fields<'_> {
        let bytes = rows.start * self.stride + from..rows.end * self.stride + from;
        let bytes = self.bytes.get(bytes).unwrap_or_default();
        bytes.chunks_exact(self.stride)
    }

    /// Returns the rows of this range, at most 64, in which a column with this mask is hidden: one bit per row.
    pub(crate) fn hidden(&self, mask: ColumnMask, rows: Range<usize>) -> u64 {
        if !self.has_hidden || mask == ColumnMask::default() {
            return 0;
        }
        let masks = self.masks.get(rows).unwrap_or_default();
        let hidden = masks.iter().enumerate();
        hidden.fold(0, |hidden, (row, of_row)| {
            hidden | u64::from(of_row.hides(mask)) << row
        })
    }

    /// Replaces a field by the filling of a field without a value, in the rows whose bit is set, from `first` on.
    pub(crate) fn blank_out(&mut self, column: &Column, first: usize, mut rows: u64) {
        let filling = match column.blank {
            Blank::Spaces => b' ',
            Blank::Zeros => b'0',
        };
        while rows != 0 {
            let row = first + rows.trailing_zeros() as usize;
            self.field_mut(row, column).fill(filling);
            rows &= rows - 1;
        }
    }

    /// Replaces a field by a text that is no longer than the field.
    pub(crate) fn overwrite(&mut self, row: usize, column: &Column, text: &[u8]) {
        let field = self.field_mut(row, column);
        let kept = text.len().min(field.len());
        if let (Some((to, rest)), Some(text)) = (field.split_at_mut_checked(kept), text.get(..kept))
        {
            to.copy_from_slice(text);
            rest.fill(b' ');
        }
    }

    /// Notes that the bytes of a row before this offset may be no spaces, so that the next record there replaces them.
    fn mark_written(&mut self, row: usize, end: usize) {
        if let Some(length) = self.written.get_mut(row) {
            *length = (*length).max(end as u16);
        }
    }

    fn field_mut(&mut self, row: usize, column: &Column) -> &mut [u8] {
        // A field after the record's end is written too.
        self.mark_written(row, column.end());
        let start = row * self.stride;
        let field = start + column.start()..start + column.end();
        self.bytes.get_mut(field).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout;

    /// Hidden fields and times are written beyond the end of a short record. The next record there is short too.
    #[test]
    fn a_row_keeps_nothing_of_the_record_before() {
        let table = layout::by_name("name").unwrap();
        let start = table.column("name_start").unwrap();
        let coarse = RowMask {
            is_coarse: true,
            ..RowMask::default()
        };
        let short = b"0080101801234";
        let until_day = [&short[..], &[b' '; 400]].concat();
        let mut until_day = until_day[..start.end() - 4].to_vec();
        until_day[start.start()..].copy_from_slice(b"20200101");
        for hidden in [false, true] {
            let mut block = RecordBlock::new(table);
            for (record, expected) in [(&until_day[..], "202001010000"), (short, "            ")] {
                block.push_masked(table, record, 1, coarse);
                assert_eq!(block.field(0, start), expected.as_bytes());
                if hidden {
                    block.blank_out(start, 0, 1);
                    assert_eq!(block.field(0, start), b"000000000000");
                }
                block.clear();
            }
        }
    }
}
