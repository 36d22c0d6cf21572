//! The columns of a batch while it is being filled.
//!
//! One growing buffer per column and no allocation per field; a finished batch takes the buffers with it. Nothing
//! here can be printed: it holds persons' records.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Int64Array, MapArray, StringArray, StructArray,
    TimestampMicrosecondArray,
};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::error::ArrowError;

use crate::schema;
use crate::scratch::PIECE;
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
/// It takes no memory until something comes: a scan of all tables has hundreds, most of which stay empty.
#[derive(Default)]
pub(crate) struct Text {
    /// Where each value ends, and one 0 before them. That is put in when the first text comes, or at the end where
    /// none does: until then all values are null, and end at 0 too.
    offsets: Vec<i32>,
    /// The text, and room for more behind it.
    bytes: Vec<u8>,
    len: usize,
    valid: Bits,
}

impl Text {
    /// Appends the first bytes of a field in ISO-8859-1; none of them is a null. `source` reaches a [`PIECE`]
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

    /// Appends a text in ISO-8859-1 as it stands.
    pub(crate) fn push(&mut self, text: &[u8], ascii: bool) {
        // A byte becomes two at the most.
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

/// A column of numbers: counts, dates, timestamps.
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
    /// Appends what a field holds; true if its raw text must be kept beside it.
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
    /// Appends what a field holds; true if its raw text must be kept beside it.
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

/// The `irregular` column: column to raw text, null where a row has nothing to say.
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
    /// Adds an entry to the row that is being read: the raw text without its trailing spaces.
    pub(crate) fn add(&mut self, key: &str, raw: &[u8]) {
        self.keys.push(key.as_bytes(), true);
        let text = raw.get(..trimmed_len(raw)).unwrap_or_default();
        self.values.push(text, text.is_ascii());
    }

    /// Ends the row.
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

/// Any column.
pub(crate) enum Builder {
    Text(Text),
    Dates(Numbers<i32>),
    Timestamps(Numbers<i64>),
    Counts(Numbers<i64>),
    Flags(Flags),
    Irregular(Irregular),
}

impl Builder {
    /// The finished array; the builder is empty afterwards.
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

/// Writes ISO-8859-1 as UTF-8, and says how many bytes that took: the code points are the bytes.
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
    fn latin1_becomes_the_same_code_points() {
        let latin1: Vec<u8> = (0..=255).collect();
        let mut utf8 = vec![0; 2 * latin1.len()];
        let len = write_latin1(&mut utf8, &latin1);
        utf8.truncate(len);
        let text = String::from_utf8(utf8).unwrap();
        assert!(text.chars().map(u32::from).eq(0..=255));
    }

    #[test]
    fn bits_over_word_boundaries() {
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
    fn an_irregular_row_between_two_regular_ones() {
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
