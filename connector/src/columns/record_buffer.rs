//! Copies records in pieces of fixed length, and holds one at its full length.
//!
//! In WebAssembly a copy of unknown length is a call out of the compiled code, which costs more than copying a field.
//! So records and fields are copied in pieces of a fixed length, which reach a little beyond their end.

use crate::layout::LONGEST_RECORD;

/// The length of a piece, in bytes.
pub(crate) const PIECE: usize = 16;

/// Room for the longest record, and for two pieces more.
const ROOM: usize = LONGEST_RECORD.next_multiple_of(PIECE) + 2 * PIECE;

/// A record, filled up with spaces to the longest record length.
pub(crate) struct RecordBuffer {
    bytes: [u8; ROOM],
    /// The number of bytes that were written; all bytes after them are spaces.
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
    /// Loads a record up to the longest known length.
    #[inline]
    pub(crate) fn load(&mut self, record: &[u8]) {
        let record = record.get(..LONGEST_RECORD).unwrap_or(record);
        copy_record(&mut self.bytes, record, self.used);
        self.used = record.len();
    }

    /// Returns the record, filled up with spaces.
    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the field at these offsets.
    #[inline]
    pub(crate) fn field(&self, from: usize, to: usize) -> &[u8] {
        self.bytes.get(from..to).unwrap_or_default()
    }

    /// Replaces the time of day in the fields of timestamps that begin at these offsets.
    pub(crate) fn remove_times(&mut self, starts: impl Iterator<Item = usize>) {
        remove_times(&mut self.bytes, starts);
        // A time can be written beyond the end of the record.
        self.used = LONGEST_RECORD;
    }
}

/// Copies a record to the front of `to`, where a record of `old` bytes was before. All bytes after the record are spaces
/// then, if all bytes after the old one were. `to` must have room for two pieces more than either.
#[inline]
pub(crate) fn copy_record(to: &mut [u8], record: &[u8], old: usize) {
    let end = record.len();
    match record.last_chunk::<PIECE>() {
        Some(last) => {
            let pieces = record.as_chunks::<PIECE>().0.iter();
            for (piece, to) in pieces.zip(to.as_chunks_mut::<PIECE>().0) {
                *to = *piece;
            }
            // The last piece overlaps the one before.
            put(to, end - PIECE, last);
        }
        None => {
            if let Some(to) = to.get_mut(..end) {
                to.copy_from_slice(record);
            }
        }
    }
    let mut at = end;
    while at < old {
        put(to, at, &[b' '; PIECE]);
        at += PIECE;
    }
}

#[inline]
fn put(to: &mut [u8], at: usize, piece: &[u8; PIECE]) {
    let to = to.get_mut(at..).and_then(<[u8]>::first_chunk_mut);
    if let Some(to) = to {
        *to = *piece;
    }
}

/// Replaces the time of day in the fields of timestamps (`YYYYMMDDHHMM`) that begin at these offsets: by 00:00, or by
/// spaces if the date is not digits.
pub(crate) fn remove_times(record: &mut [u8], starts: impl Iterator<Item = usize>) {
    for start in starts {
        let field = record.get_mut(start..start + 12);
        if let Some((date, time)) = field.and_then(|field| field.split_at_mut_checked(8)) {
            let is_date = date.iter().all(u8::is_ascii_digit);
            time.fill(if is_date { b'0' } else { b' ' });
        }
    }
}

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
        // The next record keeps nothing of it.
        buffer.load(b"20260614");
        buffer.remove_times([0].into_iter());
        assert_eq!(buffer.field(0, 12), b"202606140000");
        buffer.load(b"2026");
        assert_eq!(buffer.field(0, 12), b"2026        ");
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
                buffer.load(record);
                prop_assert_eq!(buffer.field(0, kept.len()), kept);
                prop_assert!(buffer.field(kept.len(), ROOM).iter().all(|byte| *byte == b' '));
            }
        }
    }
}
