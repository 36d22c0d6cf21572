//! Holds a record at its full length, and copies it in pieces of fixed length.
//!
//! In WebAssembly a copy of unknown length is a call out of the compiled code, which costs more than copying a field.
//! So records and fields are copied in pieces of a fixed length, which reach a little beyond their end.

use crate::layout::LONGEST_RECORD;

/// The length of a piece, in bytes.
pub(crate) const PIECE: usize = 16;

/// Room for the longest record, and for a piece that begins in its last byte.
const ROOM: usize = (LONGEST_RECORD + PIECE).next_multiple_of(PIECE) + PIECE;

/// A record, filled up with spaces to the longest record length.
pub(crate) struct RecordBuffer {
    bytes: [u8; ROOM],
    /// The number of bytes in use; all bytes after them are spaces.
    used: usize,
}

impl Default for RecordBuffer {
    fn default() -> Self {
        Self {
            bytes: [b' '; ROOM],
            used: 0,
        }
    }
}

impl RecordBuffer {
    /// Loads a record up to the longest known length. Returns whether those bytes are all ASCII.
    #[inline]
    pub(crate) fn load(&mut self, record: &[u8]) -> bool {
        let record = record.get(..LONGEST_RECORD).unwrap_or(record);
        let Some(last) = record.last_chunk::<PIECE>() else {
            return self.load_short(record);
        };
        let mut high = u128::from_le_bytes(*last);
        let (pieces, _) = record.as_chunks::<PIECE>();
        for (piece, to) in pieces.iter().zip(self.bytes.as_chunks_mut::<PIECE>().0) {
            high |= u128::from_le_bytes(*piece);
            *to = *piece;
        }
        // The last piece overlaps the one before. The spaces after it overwrite the rest of a longer record.
        let end = record.len();
        self.put(end - PIECE, last);
        let mut at = end;
        while at < self.used.max(end + 1) {
            self.put(at, &[b' '; PIECE]);
            at += PIECE;
        }
        self.used = end;
        high & HIGH_BITS == 0
    }

    /// Loads a record that is shorter than a piece.
    #[cold]
    fn load_short(&mut self, record: &[u8]) -> bool {
        self.bytes = [b' '; ROOM];
        if let Some(to) = self.bytes.get_mut(..record.len()) {
            to.copy_from_slice(record);
        }
        self.used = record.len();
        record.is_ascii()
    }

    #[inline]
    fn put(&mut self, at: usize, piece: &[u8; PIECE]) {
        let to = self.bytes.get_mut(at..).and_then(<[u8]>::first_chunk_mut);
        if let Some(to) = to {
            *to = *piece;
        }
    }

    /// Returns the field at these offsets.
    #[inline]
    pub(crate) fn field(&self, from: usize, to: usize) -> &[u8] {
        self.bytes.get(from..to).unwrap_or_default()
    }

    /// Replaces the time of day in the fields of timestamps (`YYYYMMDDHHMM`) that begin at these offsets: by 00:00, or
    /// by spaces if the date is not digits.
    pub(crate) fn remove_times(&mut self, starts: impl Iterator<Item = usize>) {
        for start in starts {
            let field = self.bytes.get_mut(start..start + 12);
            if let Some((date, time)) = field.and_then(|field| field.split_at_mut_checked(8)) {
                let is_date = date.iter().all(u8::is_ascii_digit);
                time.fill(if is_date { b'0' } else { b' ' });
            }
        }
    }

    /// Returns all bytes from an offset on: at least a piece more than any field that begins there.
    #[inline]
    pub(crate) fn onward(&self, from: usize) -> &[u8] {
        self.bytes.get(from..).unwrap_or_default()
    }
}

const HIGH_BITS: u128 = u128::from_le_bytes([0x80; PIECE]);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn removes_times_of_day() {
        let mut buffer = RecordBuffer::default();
        buffer.load(b"202606141299|            |2026061x1200|20");
        buffer.remove_times([0, 13, 26, 39].into_iter());
        let text = b"202606140000|            |2026061x    |20          ";
        assert_eq!(buffer.field(0, text.len()), text);
    }

    proptest! {
        #[test]
        fn fills_a_record_with_spaces(
            first in proptest::collection::vec(any::<u8>(), 0..500),
            second in proptest::collection::vec(any::<u8>(), 0..500),
        ) {
            let mut buffer = RecordBuffer::default();
            for record in [&first, &second] {
                let kept = &record[..record.len().min(LONGEST_RECORD)];
                prop_assert_eq!(buffer.load(record), kept.is_ascii());
                prop_assert_eq!(buffer.field(0, kept.len()), kept);
                prop_assert!(buffer.onward(kept.len()).iter().all(|byte| *byte == b' '));
            }
        }
    }
}
