//! `Utf8` columns.

use arrow_array::StringArray;
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::ArrowError;

use super::bits::{Bits, GROUP, each, first_bits, to_lowest};
use super::record_block::Fields;
use super::record_buffer::PIECE;
use crate::lanes::Lanes;
use crate::value::trimmed_len;

/// What is read where a record has no piece.
const BLANK: &[u8; PIECE] = &[b' '; PIECE];

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
    /// Appends a field of at most 64 bytes, which fits `PIECES` pieces, of several rows, at most 64. Each slice begins with
    /// the field and has all these pieces. A field of spaces is a null.
    #[inline(never)]
    pub(crate) fn push_fields<const PIECES: usize>(&mut self, fields: Fields<'_>, len: usize) {
        let mask = first_bits(len);
        let mut lengths = [0; GROUP];
        let mut high = 0;
        each(fields.clone().zip(&mut lengths), |(field, length)| {
            let (of_field, filled) = survey::<PIECES>(field);
            high |= of_field;
            *length = length_of(filled & mask);
        });
        self.push_lengths::<PIECES>(fields, &lengths, high & mask == 0);
    }

    /// Appends a field for a person number of several rows, at most 64. Each slice begins with the field and has a piece.
    /// Fields of spaces or zeros are nulls. Returns the rows with spaces and the rows with zeros: one bit per row.
    #[inline(never)]
    pub(crate) fn push_numbers(&mut self, fields: Fields<'_>) -> (u64, u64) {
        /// A bit for each of the ten bytes of a person number.
        const MASK: u32 = (1 << 10) - 1;
        let rows = fields.len();
        let mut lengths = [0; GROUP];
        let (mut high, mut filled_rows, mut zeros) = (0, 0, 0);
        each(fields.clone().zip(&mut lengths), |(field, length)| {
            let lanes = Lanes::load(field.first_chunk().unwrap_or(BLANK));
            high |= lanes.high();
            let filled = lanes.not_equal(b' ') & MASK;
            let is_zero = lanes.not_equal(b'0') & MASK == 0;
            filled_rows = filled_rows >> 1 | u64::from(filled != 0) << (GROUP - 1);
            zeros = zeros >> 1 | u64::from(is_zero) << (GROUP - 1);
            *length = if is_zero { 0 } else { length_of(filled.into()) };
        });
        self.push_lengths::<1>(fields, &lengths, high & MASK == 0);
        let spaces = !to_lowest(filled_rows, rows) & first_bits(rows);
        (spaces, to_lowest(zeros, rows))
    }

    /// Appends a field of any length of several rows, at most 64. A field of spaces is a null.
    #[inline(never)]
    pub(crate) fn push_long(&mut self, fields: Fields<'_>, len: usize) {
        self.reserve(fields.len(), len);
        for field in fields {
            let trimmed = trimmed_len(field.get(..len).unwrap_or(field));
            self.len = put_text(&mut self.bytes, self.len, field, trimmed);
            self.offsets.push(self.len as i32);
            self.valid.push(trimmed > 0);
        }
    }

    /// Appends the first bytes of each field, as many as `lengths` says.
    ///
    /// The loop for ASCII calls no function: then what it needs stays in the processor's registers.
    #[inline]
    fn push_lengths<const PIECES: usize>(
        &mut self,
        fields: Fields<'_>,
        lengths: &[u8; GROUP],
        is_ascii: bool,
    ) {
        let rows = fields.len();
        debug_assert!(rows <= GROUP, "a group has at most 64 rows");
        let valid = filled(lengths);
        if valid == 0 {
            return self.push_nulls(rows);
        }
        self.reserve(rows, PIECES * PIECE);
        let before = self.offsets.len();
        self.offsets.resize(before + rows, 0);
        let ends = self.offsets.get_mut(before..).unwrap_or_default();
        let bytes = self.bytes.as_mut_slice();
        let mut at = self.len;
        let rows_of = fields.zip(lengths).zip(ends);
        if is_ascii {
            each(rows_of, |((field, length), end)| {
                put_pieces::<PIECES>(bytes, at, field);
                at += usize::from(*length);
                *end = at as i32;
            });
        } else {
            for ((field, length), end) in rows_of {
                at = put_text(bytes, at, field, usize::from(*length));
                *end = at as i32;
            }
        }
        self.len = at;
        self.valid.push_group(valid, rows);
    }

    /// Appends a text in ISO-8859-1 without trimming it.
    pub(crate) fn push(&mut self, text: &[u8]) {
        self.reserve(1, text.len());
        self.len = put_text(&mut self.bytes, self.len, text, text.len());
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
    // SAFETY: every value begins at the end of the one before it, and all lie in `bytes`: `push_lengths`, `push_long` and
    // `push` add both together, after making room. `push_lengths` sets every end, because a group has at most 64 rows. A
    // value is ASCII, or `put_text` has written it as UTF-8. The other version of this function checks that, in all tests
    // of this crate and in the fuzz targets.
    let offsets = unsafe { OffsetBuffer::new_unchecked(ScalarBuffer::from(offsets)) };
    // SAFETY: as above.
    Ok(unsafe { StringArray::new_unchecked(offsets, bytes, nulls) })
}

/// Returns a bit for each byte of a field that is not ASCII, and a bit for each that is not a space.
#[inline]
fn survey<const PIECES: usize>(field: &[u8]) -> (u64, u64) {
    let pieces = field.as_chunks::<PIECE>().0.iter().take(PIECES);
    let (mut high, mut filled) = (0, 0);
    for (index, piece) in pieces.enumerate() {
        let lanes = Lanes::load(piece);
        high |= u64::from(lanes.high()) << (PIECE * index);
        filled |= u64::from(lanes.not_equal(b' ')) << (PIECE * index);
    }
    (high, filled)
}

/// Returns the length of a text whose bytes other than spaces have these bits.
#[inline]
fn length_of(filled: u64) -> u8 {
    (u64::BITS - filled.leading_zeros()) as u8
}

/// Returns the rows whose length is not 0: one bit per row.
#[inline]
fn filled(lengths: &[u8; GROUP]) -> u64 {
    let (pieces, _) = lengths.as_chunks::<PIECE>();
    let bits = pieces.iter().enumerate().map(|(index, piece)| {
        let bits = Lanes::load(piece).not_equal(0);
        u64::from(bits) << (PIECE * index)
    });
    bits.sum()
}

/// Copies the first pieces of a field. Bytes after its text are copied too, and overwritten by the next text.
#[inline]
fn put_pieces<const PIECES: usize>(bytes: &mut [u8], at: usize, field: &[u8]) {
    let to = bytes.get_mut(at..).unwrap_or_default();
    let to = to.as_chunks_mut::<PIECE>().0.first_chunk_mut::<PIECES>();
    if let (Some(to), Some(pieces)) = (to, field.as_chunks::<PIECE>().0.first_chunk()) {
        *to = *pieces;
    }
}

/// Writes the first `len` bytes of a field in ISO-8859-1 as UTF-8 and returns the end. The bytes are the code points.
///
/// Runs of ASCII are copied in pieces, as long as the field is followed by room for one.
#[inline(always)]
fn put_text(bytes: &mut [u8], at: usize, field: &[u8], len: usize) -> usize {
    let (mut from, mut end) = (0, at);
    while from < len {
        let piece = field.get(from..).and_then(<[u8]>::first_chunk::<PIECE>);
        let to = bytes.get_mut(end..).and_then(<[u8]>::first_chunk_mut);
        if let (Some(piece), Some(to)) = (piece, to) {
            *to = *piece;
            // The bit after the piece ends the run if all of it is ASCII.
            let run = (Lanes::load(piece).high() | 1 << PIECE).trailing_zeros() as usize;
            let run = run.min(len - from);
            from += run;
            end += run;
            if run == PIECE || from >= len {
                continue;
            }
        }
        let Some(&byte) = field.get(from) else { break };
        from += 1;
        let encoded = match byte {
            0x80.. => [0xc0 | byte >> 6, 0x80 | byte & 0x3f],
            _ => [byte, 0],
        };
        if let Some(to) = bytes.get_mut(end..).and_then(<[u8]>::first_chunk_mut) {
            *to = encoded;
        }
        end += 1 + usize::from(byte >> 7);
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::Array;
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
            let fields = || padded.as_flattened().chunks_exact(96);
            let mut text = Text::default();
            text.push_long(fields(), len);
            prop_assert_eq!(&values(&text.take().unwrap()), &expected);
            match len {
                0..=16 => text.push_fields::<1>(fields(), len),
                17..=32 => text.push_fields::<2>(fields(), len),
                33..=48 => text.push_fields::<3>(fields(), len),
                _ => text.push_fields::<4>(fields(), len.min(64)),
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
            let (spaces, zeros) = text.push_numbers(pieces.as_flattened().chunks_exact(PIECE));
            let array = text.take().unwrap();
            prop_assert_eq!(array.len(), fields.len());
            for (row, field) in fields.iter().enumerate() {
                prop_assert_eq!(spaces >> row & 1 == 1, field == b"          ");
                prop_assert_eq!(zeros >> row & 1 == 1, field == b"0000000000");
                let expected = plain(field).filter(|_| field != b"0000000000");
                prop_assert_eq!(array.is_valid(row).then(|| array.value(row).to_owned()), expected);
            }
        }
    }
}
