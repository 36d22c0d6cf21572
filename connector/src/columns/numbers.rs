//! Columns of numbers and booleans.

use arrow_array::BooleanArray;
use arrow_buffer::{ArrowNativeType, NullBuffer, ScalarBuffer};

use super::bits::{Bits, GROUP, each, to_lowest};
use crate::value::Cell;

/// A column of numbers: counts, dates or timestamps.
#[derive(Default)]
pub(crate) struct Numbers<T> {
    values: Vec<T>,
    valid: Bits,
    /// The number of values in the last array, for which room is made in the next.
    expected: usize,
}

impl<T: Default + Copy> Numbers<T> {
    /// Appends one value or a null.
    pub(crate) fn push(&mut self, value: Option<T>) {
        self.values.push(value.unwrap_or_default());
        self.valid.push(value.is_some());
    }

    /// Appends the contents of a field of several rows, at most 64. The rows whose bit is set in `hidden` become null.
    /// Returns the rows whose raw text must be kept too: one bit per row.
    #[inline(never)]
    pub(crate) fn push_group(
        &mut self,
        cells: impl ExactSizeIterator<Item = Cell<T>>,
        hidden: u64,
    ) -> u64 {
        if self.values.is_empty() {
            self.values.reserve(self.expected);
        }
        let rows = cells.len();
        let before = self.values.len();
        self.values.resize(before + rows, T::default());
        let values = self.values.get_mut(before..).unwrap_or_default();
        let (mut valid, mut irregular) = (0, 0);
        for (cell, to) in cells.zip(&mut *values) {
            let (value, is_irregular) = match cell {
                Cell::Value(value) => (Some(value), false),
                Cell::Null => (None, false),
                Cell::Irregular(value) => (value, true),
            };
            *to = value.unwrap_or_default();
            valid = valid >> 1 | u64::from(value.is_some()) << (GROUP - 1);
            irregular = irregular >> 1 | u64::from(is_irregular) << (GROUP - 1);
        }
        let mut rows_hidden = hidden;
        while rows_hidden != 0 {
            if let Some(value) = values.get_mut(rows_hidden.trailing_zeros() as usize) {
                *value = T::default();
            }
            rows_hidden &= rows_hidden - 1;
        }
        let valid = to_lowest(valid, rows) & !hidden;
        self.valid.push_group(valid, rows);
        to_lowest(irregular, rows) & !hidden
    }

    /// Appends many nulls.
    pub(crate) fn push_nulls(&mut self, rows: usize) {
        self.values.resize(self.values.len() + rows, T::default());
        self.valid.push_run(false, rows);
    }

    /// Appends values of which none is null.
    pub(crate) fn push_values(&mut self, values: &[T]) {
        self.values.extend_from_slice(values);
        self.valid.push_run(true, values.len());
    }

    /// Returns the values, with a default for each null.
    #[cfg(test)]
    pub(crate) fn values(&self) -> &[T] {
        &self.values
    }

    /// Returns the values and removes them.
    pub(crate) fn take(&mut self) -> (ScalarBuffer<T>, Option<NullBuffer>)
    where
        T: ArrowNativeType,
    {
        self.expected = self.values.len();
        (
            ScalarBuffer::from(std::mem::take(&mut self.values)),
            self.valid.take_nulls(),
        )
    }
}

/// A `Boolean` column.
#[derive(Default)]
pub(crate) struct Flags {
    values: Bits,
    valid: Bits,
}

impl Flags {
    /// Appends one value.
    pub(crate) fn push(&mut self, value: bool) {
        self.values.push(value);
        self.valid.push(true);
    }

    /// Appends a flag of several rows, at most 64. The rows whose bit is set in `hidden` become null. Returns the rows
    /// whose raw text must be kept too: one bit per row.
    #[inline(never)]
    pub(crate) fn push_group<'a>(
        &mut self,
        fields: impl ExactSizeIterator<Item = &'a [u8; 1]>,
        hidden: u64,
    ) -> u64 {
        let rows = fields.len();
        let (mut values, mut irregular) = (0, 0);
        each(fields.enumerate(), |(row, &[byte])| {
            values |= u64::from(byte == b'*') << row;
            irregular |= u64::from(byte != b'*' && byte != b' ') << row;
        });
        let valid = super::bits::first_bits(rows) & !irregular & !hidden;
        self.values.push_group(values & valid, rows);
        self.valid.push_group(valid, rows);
        irregular & !hidden
    }

    /// Returns the values and removes them.
    pub(crate) fn take(&mut self) -> BooleanArray {
        BooleanArray::new(self.values.take(), self.valid.take_nulls())
    }
}
