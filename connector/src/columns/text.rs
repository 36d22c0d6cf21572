//! `Utf8` columns.

use arrow::array::StringArray;
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::error::ArrowError;

use super::bits::{Bits, first_bits};
use super::record_buffer::PIECE;
use crate::lanes::Lanes;
use crate::value::trimmed_len;

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
    /// The numbers of values and bytes in the last array, for which room is made in the next.
    expected: (usize, usize),
}

impl Text {
    /// Appends a field of at most 16 bytes of several rows, at most 64. Each piece begins with the field, and `mask` has
    /// a bit for each of its bytes. A field of spaces is a null.
    #[inline]
    pub(crate) fn push_pieces<'a>(
        &mut self,
        pieces: impl ExactSizeIterator<Item = &'a [u8; PIECE]>,
        mask: u32,
    ) {
        self.push_group(pieces, PIECE, |bytes, at, piece| {
            let lanes = Lanes::load(piece);
            let len = length_of((lanes.not_equal(b' ') & mask).into());
            put_piece(bytes, at, piece, len, lanes.high() & mask != 0)
        });
    }

    /// Appends a field for a person number of several rows, at most 64. Each piece begins with the field. Fields of spaces
    /// or zeros are nulls. Returns the rows with spaces and the rows with zeros: one bit per row.
    #[inline]
    pub(crate) fn push_numbers<'a>(
        &mut self,
        pieces: impl ExactSizeIterator<Item = &'a [u8; PIECE]>,
    ) -> (u64, u64) {
        /// A bit for each of the ten bytes of a person number.
        const MASK: u32 = (1 << 10) - 1;
        let (mut spaces, mut zeros, mut bit) = (0, 0, 1_u64);
        self.push_group(pieces, PIECE, |bytes, at, piece| {
            let lanes = Lanes::load(piece);
            let filled = lanes.not_equal(b' ') & MASK;
            let is_zero = lanes.not_equal(b'0') & MASK == 0;
            spaces |= if filled == 0 { bit } else { 0 };
            zeros |= if is_zero { bit } else { 0 };
            bit <<= 1;
            let len = if is_zero { 0 } else { length_of(filled.into()) };
            put_piece(bytes, at, piece, len, lanes.high() & MASK != 0)
        });
        (spaces, zeros)
    }

    /// Appends a field of more than 16 bytes, which fits `PIECES` pieces, of several rows, at most 64. Each slice begins
    /// with the field and has all these pieces. A field of spaces is a null.
    #[inline]
    pub(crate) fn push_fields<'a, const PIECES: usize>(
        &mut self,
        fields: impl ExactSizeIterator<Item = &'a [u8]>,
        len: usize,
    ) {
        let mask = first_bits(len);
        self.push_group(fields, PIECES * PIECE, |bytes, at, field| {
            let Some(pieces) = field.as_chunks::<PIECE>().0.first_chunk::<PIECES>() else {
                return put_latin1(bytes, at, field.get(..len).unwrap_or(field));
            };
            let (mut high, mut filled) = (0, 0);
            for (index, piece) in pieces.iter().enumerate() {
                let lanes = Lanes::load(piece);
                high |= u64::from(lanes.high()) << (PIECE * index);
                filled |= u64::from(lanes.not_equal(b' ')) << (PIECE * index);
            }
            let len = length_of(filled & mask);
            if high & mask != 0 {
                return put_latin1(bytes, at, field.get(..len).unwrap_or(field));
            }
            let to = bytes.get_mut(at..).unwrap_or_default();
            if let Some(to) = to.as_chunks_mut::<PIECE>().0.first_chunk_mut::<PIECES>() {
                *to = *pieces;
            }
            at + len
        });
    }

    /// Appends a field of any length of several rows, at most 64. A field of spaces is a null.
    pub(crate) fn push_long<'a>(
        &mut self,
        fields: impl ExactSizeIterator<Item = &'a [u8]>,
        len: usize,
    ) {
        self.push_group(fields, len, |bytes, at, field| {
            let field = field.get(..len).unwrap_or(field);
            put_latin1(bytes, at, field.get(..trimmed_len(field)).unwrap_or(field))
        });
    }

    /// Appends values that `write` puts into the bytes; it gets where a value begins and returns where it ends. A value
    /// has at most `most` bytes in ISO-8859-1.
    #[inline]
    fn push_group<F>(
        &mut self,
        fields: impl ExactSizeIterator<Item = F>,
        most: usize,
        mut write: impl FnMut(&mut [u8], usize, F) -> usize,
    ) {
        let rows = fields.len();
        self.reserve(rows, most);
        let bytes = self.bytes.as_mut_slice();
        let (mut at, mut valid, mut bit) = (self.len, 0, 1_u64);
        self.offsets.extend(fields.map(|field| {
            let end = write(bytes, at, field);
            valid |= if end > at { bit } else { 0 };
            bit <<= 1;
            at = end;
            end as i32
        }));
        self.len = at;
        self.valid.push_group(valid, rows);
    }

    /// Appends a text in ISO-8859-1 without trimming it.
    pub(crate) fn push(&mut self, text: &[u8]) {
        self.reserve(1, text.len());
        self.len = put_latin1(&mut self.bytes, self.len, text);
        self.offsets.push(self.len as i32);
        self.valid.push(true);
    }

    /// Appends many nulls.
    pub(crate) fn push_nulls(&mut self, rows: usize) {
        let end = self.len as i32;
        self.offsets.resize(self.offsets.len() + rows, end);
        self.valid.push_run(false, rows);
    }

    /// Returns the number of values.
    pub(crate) fn rows(&self) -> usize {
        self.valid.len()
    }

    /// Makes room for values of at most `most` bytes each, and for a piece that begins at the end of the last.
    #[inline]
    fn reserve(&mut self, rows: usize, most: usize) {
        // A byte of ISO-8859-1 becomes at most two bytes of UTF-8.
        let room = self.len + rows * 2 * most + PIECE;
        if room > self.bytes.len() {
            self.grow(room);
        }
    }

    #[cold]
    fn grow(&mut self, room: usize) {
        if self.bytes.is_empty() {
            self.offsets.reserve(self.expected.0 + 1);
            self.offsets.push(0);
        }
        self.bytes.resize((room * 2).max(self.expected.1), 0);
    }

    /// Returns the values and removes them.
    pub(crate) fn take(&mut self) -> Result<StringArray, ArrowError> {
        let mut taken = std::mem::take(self);
        if taken.bytes.is_empty() {
            taken.offsets.push(0);
        }
        self.expected = (taken.offsets.len(), taken.bytes.len());
        taken.bytes.truncate(taken.len);
        let bytes = Buffer::from_vec(taken.bytes);
        array(taken.offsets, bytes, taken.valid.take_nulls())
    }
}

/// Builds the array and checks its offsets and its UTF-8.
#[cfg(not(target_family = "wasm"))]
fn array(
    offsets: Vec<i32>,
    bytes: Buffer,
    nulls: Option<NullBuffer>,
) -> Result<StringArray, ArrowError> {
    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
    StringArray::try_new(offsets, bytes, nulls)
}

/// Builds the array. Nothing is checked here, because the host checks every array that leaves the component.
#[cfg(target_family = "wasm")]
#[expect(
    unsafe_code,
    reason = "arrow has no other constructor that does not check every byte again"
)]
fn array(
    offsets: Vec<i32>,
    bytes: Buffer,
    nulls: Option<NullBuffer>,
) -> Result<StringArray, ArrowError> {
    // SAFETY: every value begins at the end of the one before it, and all lie in `bytes`: `push_group` and `push` add
    // both together, after making room. A value is ASCII, or `put_latin1` has written it as UTF-8. The other version of
    // this function checks that, in all tests of this crate and in the fuzz targets.
    let offsets = unsafe { OffsetBuffer::new_unchecked(ScalarBuffer::from(offsets)) };
    // SAFETY: as above.
    Ok(unsafe { StringArray::new_unchecked(offsets, bytes, nulls) })
}

/// Returns the length of a text whose bytes other than spaces have these bits.
#[inline]
fn length_of(filled: u64) -> usize {
    (u64::BITS - filled.leading_zeros()) as usize
}

/// Writes a text of at most 16 bytes and returns its end. Bytes after it are overwritten too.
#[inline]
fn put_piece(
    bytes: &mut [u8],
    at: usize,
    piece: &[u8; PIECE],
    len: usize,
    is_latin1: bool,
) -> usize {
    if is_latin1 {
        return put_latin1(bytes, at, piece.get(..len).unwrap_or(piece));
    }
    if let Some(to) = bytes.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
        *to = *piece;
    }
    at + len
}

/// Writes ISO-8859-1 as UTF-8 and returns its end. The bytes are the code points.
#[inline(never)]
fn put_latin1(bytes: &mut [u8], at: usize, text: &[u8]) -> usize {
    let mut end = at;
    let mut write = |byte| {
        if let Some(to) = bytes.get_mut(end) {
            *to = byte;
        }
        end += 1;
    };
    for &byte in text {
        if byte < 0x80 {
            write(byte);
        } else {
            write(0xc0 | byte >> 6);
            write(0x80 | byte & 0x3f);
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::Array;
    use proptest::prelude::*;

    /// Reads a field as Latin-1 without trailing spaces, in the plainest way.
    fn plain(field: &[u8]) -> Option<String> {
        let text: String = field.iter().copied().map(char::from).collect();
        let text = text.trim_end_matches(' ');
        (!text.is_empty()).then(|| text.to_owned())
    }

    fn values(array: &StringArray) -> Vec<Option<String>> {
        array.iter().map(|text| text.map(str::to_owned)).collect()
    }

    #[test]
    fn converts_latin1_to_the_same_code_points() {
        let latin1: Vec<u8> = (0..=255).collect();
        let mut text = Text::default();
        text.push(&latin1);
        text.push_nulls(2);
        let array = text.take().unwrap();
        assert!(array.value(0).chars().map(u32::from).eq(0..=255));
        assert_eq!(array.null_count(), 2);
        text.push_nulls(2);
        assert_eq!(text.take().unwrap().null_count(), 2);
    }

    proptest! {
        #[test]
        fn reads_fields_of_every_length(
            fields in proptest::collection::vec(
                proptest::collection::vec(prop_oneof![Just(b' '), Just(b'A'), any::<u8>()], 1..70),
                0..64,
            ),
            len in 1..70_usize,
        ) {
            let padded: Vec<[u8; 96]> = fields
                .iter()
                .map(|field| std::array::from_fn(|i| match i < len {
                    true => field.get(i).copied().unwrap_or(b' '),
                    // What follows the field is not part of it.
                    false => 0xe6,
                }))
                .collect();
            let expected: Vec<_> = padded.iter().map(|field| plain(&field[..len])).collect();
            let mut text = Text::default();
            text.push_long(padded.iter().map(|field| field.as_slice()), len);
            prop_assert_eq!(&values(&text.take().unwrap()), &expected);
            let fields = padded.iter().map(|field| field.as_slice());
            match len {
                0..=16 => {
                    let pieces = padded.iter().map(|field| field.first_chunk().unwrap());
                    text.push_pieces(pieces, first_bits(len) as u32);
                }
                17..=32 => text.push_fields::<2>(fields, len),
                33..=48 => text.push_fields::<3>(fields, len),
                _ => text.push_fields::<4>(fields, len.min(64)),
            }
            if len <= 64 {
                prop_assert_eq!(&values(&text.take().unwrap()), &expected);
            }
        }

        #[test]
        fn reads_person_numbers(
            fields in proptest::collection::vec(
                prop_oneof![Just(*b"0000000000"), Just(*b"          "), any::<[u8; 10]>()],
                0..64,
            ),
        ) {
            let pieces: Vec<[u8; PIECE]> = fields
                .iter()
                .map(|field| std::array::from_fn(|i| field.get(i).copied().unwrap_or(0xe6)))
                .collect();
            let mut text = Text::default();
            let (spaces, zeros) = text.push_numbers(pieces.iter());
            let array = text.take().unwrap();
            for (row, field) in fields.iter().enumerate() {
                prop_assert_eq!(spaces >> row & 1 == 1, field == b"          ");
                prop_assert_eq!(zeros >> row & 1 == 1, field == b"0000000000");
                let expected = plain(field).filter(|_| field != b"0000000000");
                prop_assert_eq!(array.is_valid(row).then(|| array.value(row).to_owned()), expected);
            }
        }
    }
}
