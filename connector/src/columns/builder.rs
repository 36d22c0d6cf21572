//! Builds the columns of a batch.
//!
//! Each column has one growing buffer and makes no allocation per field. A finished batch takes the buffers over. The
//! types here have no `Debug`, because they hold persons' records.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Int64Array, MapArray, StringArray, StructArray,
    TimestampMicrosecondArray,
};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::error::ArrowError;

use super::record_buffer::PIECE;
use super::schema;
use crate::value::{Cell, trimmed_len};

/// One bit per row, for validity and booleans.
#[derive(Default)]
pub(crate) struct Bits {
    words: Vec<u64>,
    last: u64,
    len: usize,
    ones: usize,
}

impl Bits {
    #[inline]
    pub(crate) fn push(&mut self, bit: bool) {
        let at = self.len % 64;
        self.last |= u64::from(bit) << at;
        self.len += 1;
        self.ones += usize::from(bit);
        if at == 63 {
            self.words.push(self.last);
            self.last = 0;
        }
    }

    fn take(&mut self) -> BooleanBuffer {
        let taken = std::mem::take(self);
        let mut words = taken.words;
        if !taken.len.is_multiple_of(64) {
            words.push(taken.last);
        }
        BooleanBuffer::new(Buffer::from_vec(words), 0, taken.len)
    }

    fn take_nulls(&mut self) -> Option<NullBuffer> {
        if self.ones == self.len {
            *self = Self::default();
            None
        } else {
            Some(NullBuffer::new(self.take()))
        }
    }
}

/// A `Utf8` column.
///
/// It allocates nothing before the first text: a scan of all tables has hundreds of columns, and most stay empty.
#[derive(Default)]
pub(crate) struct Text {
    /// The end of each value, after a leading 0. The 0 is added with the first text, or at the end if there is none.
    /// Until then all values are null and end at 0 too.
    offsets: Vec<i32>,
    /// The text, followed by reserved room.
    bytes: Vec<u8>,
    len: usize,
    valid: Bits,
}

impl Text {
    /// Appends the first `len` bytes of a field in ISO-8859-1; a length of 0 is a null. `source` must reach a [`PIECE`]
    /// further than the text.
    #[inline]
    pub(crate) fn push_field(&mut self, source: &[u8], len: usize, ascii: bool) {
        if len == 0 {
            self.push_null();
            return;
        }
        if !ascii {
            self.push(source.get(..len).unwrap_or_default(), false);
            return;
        }
        let room = self.len + len + PIECE;
        if room > self.bytes.len() {
            self.grow(room);
        }
        let to = self.bytes.get_mut(self.len..).unwrap_or_default();
        let pieces = len.div_ceil(PIECE);
        let to = to.as_chunks_mut::<PIECE>().0.iter_mut();
        for (to, from) in to.zip(source.as_chunks::<PIECE>().0).take(pieces) {
            *to = *from;
        }
        self.len += len;
        self.end_value(true);
    }

    /// Appends a text in ISO-8859-1 without trimming it.
    pub(crate) fn push(&mut self, text: &[u8], ascii: bool) {
        // A byte of ISO-8859-1 becomes at most two bytes of UTF-8.
        let room = self.len + 2 * text.len();
        if room > self.bytes.len() {
            self.grow(room);
        }
        let to = self.bytes.get_mut(self.len..).unwrap_or_default();
        if ascii {
            if let Some(to) = to.get_mut(..text.len()) {
                to.copy_from_slice(text);
            }
            self.len += text.len();
        } else {
            self.len += write_latin1(to, text);
        }
        self.end_value(true);
    }

    #[inline]
    pub(crate) fn push_null(&mut self) {
        self.end_value(false);
    }

    #[inline]
    fn end_value(&mut self, valid: bool) {
        self.offsets.push(self.len as i32);
        self.valid.push(valid);
    }

    #[cold]
    fn grow(&mut self, room: usize) {
        if self.bytes.is_empty() {
            self.offsets.push(0);
        }
        self.bytes.resize((room * 2).max(1024), 0);
    }

    fn take(&mut self) -> Result<StringArray, ArrowError> {
        let mut taken = std::mem::take(self);
        if taken.bytes.is_empty() {
            taken.offsets.push(0);
        }
        taken.bytes.truncate(taken.len);
        StringArray::try_new(
            OffsetBuffer::new(ScalarBuffer::from(taken.offsets)),
            Buffer::from_vec(taken.bytes),
            taken.valid.take_nulls(),
        )
    }
}

/// A column of numbers: counts, dates or timestamps.
pub(crate) struct Numbers<T> {
    values: Vec<T>,
    valid: Bits,
}

impl<T> Default for Numbers<T> {
    fn default() -> Self {
        Self {
            values: Vec::new(),
            valid: Bits::default(),
        }
    }
}

impl<T: Default + Copy> Numbers<T> {
    /// Appends the content of a field. Returns true if its raw text must be kept too.
    #[inline]
    pub(crate) fn push(&mut self, cell: Cell<T>) -> bool {
        let (value, irregular) = match cell {
            Cell::Value(value) => (Some(value), false),
            Cell::Null => (None, false),
            Cell::Irregular(value) => (value, true),
        };
        self.values.push(value.unwrap_or_default());
        self.valid.push(value.is_some());
        irregular
    }

    /// Returns the values, with a default for each null.
    #[cfg(test)]
    pub(crate) fn values(&self) -> &[T] {
        &self.values
    }

    fn take(&mut self) -> (ScalarBuffer<T>, Option<NullBuffer>)
    where
        T: arrow::datatypes::ArrowNativeType,
    {
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
    /// Appends the content of a field. Returns true if its raw text must be kept too.
    #[inline]
    pub(crate) fn push(&mut self, cell: Cell<bool>) -> bool {
        let value = match cell {
            Cell::Value(value) => Some(value),
            Cell::Null | Cell::Irregular(_) => None,
        };
        self.values.push(value.unwrap_or_default());
        self.valid.push(value.is_some());
        matches!(cell, Cell::Irregular(_))
    }
}

/// The column `irregular`: a map from column name to raw text, null for rows without irregular values.
pub(crate) struct Irregular {
    keys: Text,
    values: Text,
    offsets: Vec<i32>,
    valid: Bits,
}

impl Default for Irregular {
    fn default() -> Self {
        Self {
            keys: Text::default(),
            values: Text::default(),
            offsets: vec![0],
            valid: Bits::default(),
        }
    }
}

impl Irregular {
    /// Adds an entry to the current row: the raw text without its trailing spaces.
    pub(crate) fn add(&mut self, key: &str, raw: &[u8]) {
        self.keys.push(key.as_bytes(), true);
        let text = raw.get(..trimmed_len(raw)).unwrap_or_default();
        self.values.push(text, text.is_ascii());
    }

    /// Ends the current row.
    #[inline]
    pub(crate) fn end_row(&mut self) {
        let end = self.keys.valid.len as i32;
        let begin = self.offsets.last().copied().unwrap_or_default();
        self.offsets.push(end);
        self.valid.push(end > begin);
    }

    fn take(&mut self) -> Result<MapArray, ArrowError> {
        let mut taken = std::mem::take(self);
        let entries = StructArray::try_new(
            schema::map_fields(),
            vec![
                Arc::new(taken.keys.take()?) as ArrayRef,
                Arc::new(taken.values.take()?) as ArrayRef,
            ],
            None,
        )?;
        MapArray::try_new(
            schema::map_entries(),
            OffsetBuffer::new(ScalarBuffer::from(taken.offsets)),
            entries,
            taken.valid.take_nulls(),
            false,
        )
    }
}

/// A column of any type.
pub(crate) enum Builder {
    Text(Text),
    Dates(Numbers<i32>),
    Timestamps(Numbers<i64>),
    Counts(Numbers<i64>),
    Flags(Flags),
    Irregular(Irregular),
}

impl Builder {
    /// Returns the finished array and empties the builder.
    pub(crate) fn take(&mut self) -> Result<ArrayRef, ArrowError> {
        Ok(match self {
            Self::Text(text) => Arc::new(text.take()?),
            Self::Dates(numbers) => {
                let (values, nulls) = numbers.take();
                Arc::new(Date32Array::try_new(values, nulls)?)
            }
            Self::Timestamps(numbers) => {
                let (values, nulls) = numbers.take();
                Arc::new(TimestampMicrosecondArray::try_new(values, nulls)?)
            }
            Self::Counts(numbers) => {
                let (values, nulls) = numbers.take();
                Arc::new(Int64Array::try_new(values, nulls)?)
            }
            Self::Flags(flags) => Arc::new(BooleanArray::new(
                flags.values.take(),
                flags.valid.take_nulls(),
            )),
            Self::Irregular(irregular) => Arc::new(irregular.take()?),
        })
    }
}

/// Writes ISO-8859-1 as UTF-8 and returns the number of bytes written. The bytes are the code points.
fn write_latin1(to: &mut [u8], latin1: &[u8]) -> usize {
    let mut len = 0;
    let mut write = |byte| {
        if let Some(to) = to.get_mut(len) {
            *to = byte;
        }
        len += 1;
    };
    for &byte in latin1 {
        if byte < 0x80 {
            write(byte);
        } else {
            write(0xc0 | byte >> 6);
            write(0x80 | byte & 0x3f);
        }
    }
    len
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::Array;

    #[test]
    fn converts_latin1_to_the_same_code_points() {
        let latin1: Vec<u8> = (0..=255).collect();
        let mut utf8 = vec![0; 2 * latin1.len()];
        let len = write_latin1(&mut utf8, &latin1);
        utf8.truncate(len);
        let text = String::from_utf8(utf8).unwrap();
        assert!(text.chars().map(u32::from).eq(0..=255));
    }

    #[test]
    fn pushes_bits_across_word_boundaries() {
        for len in [0_usize, 1, 63, 64, 65, 200] {
            let mut bits = Bits::default();
            for i in 0..len {
                bits.push(i % 3 == 0);
            }
            let taken = bits.take();
            assert_eq!(taken.len(), len);
            assert!(taken.iter().enumerate().all(|(i, bit)| bit == (i % 3 == 0)));
        }
    }

    #[test]
    fn builds_a_map_with_one_irregular_row() {
        let mut irregular = Irregular::default();
        irregular.end_row();
        irregular.add("birth_date", b"1961-00-00");
        irregular.add("+", b"X\xe6  ");
        irregular.end_row();
        irregular.end_row();
        let map = irregular.take().unwrap();
        assert!(map.is_null(0) && map.is_valid(1) && map.is_null(2));
        assert_eq!(map.value_length(1), 2);
        let values = map.values().as_any().downcast_ref::<StringArray>().unwrap();
        assert_eq!(values.value(1), "Xæ");
    }
}
