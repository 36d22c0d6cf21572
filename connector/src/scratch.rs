//! A record at its full length, and copies that need no call.
//!
//! In WebAssembly every copy of unknown length is a call out of the compiled code, which costs more than a
//! field's bytes do. So records and fields are copied in pieces of a fixed length, a little further than they
//! reach.

use crate::layout::LONGEST_RECORD;

/// The length of a piece.
pub(crate) const PIECE: usize = 16;

/// Room for the longest record and for reading a piece that begins in its last byte.
const ROOM: usize = (LONGEST_RECORD + PIECE).next_multiple_of(PIECE) + PIECE;

/// A record filled up with spaces to any record's length.
pub(crate) struct Scratch {
    bytes: [u8; ROOM],
    /// From here on it is spaces.
    used: usize,
}

impl Default for Scratch {
    fn default() -> Self {
        Self {
            bytes: [b' '; ROOM],
            used: 0,
        }
    }
}

impl Scratch {
    /// Takes a record, as much of it as any layout covers; true if that is all ASCII.
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
        // The last piece overlaps the one before, and spaces follow it over what a longer record left behind.
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

    /// A record that is shorter than a piece.
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

    /// The field at these places.
    #[inline]
    pub(crate) fn field(&self, from: usize, to: usize) -> &[u8] {
        self.bytes.get(from..to).unwrap_or_default()
    }

    /// Everything from this place on: at least a piece more than any field that begins there.
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

    proptest! {
        #[test]
        fn a_record_is_followed_by_spaces(
            first in proptest::collection::vec(any::<u8>(), 0..500),
            second in proptest::collection::vec(any::<u8>(), 0..500),
        ) {
            let mut scratch = Scratch::default();
            for record in [&first, &second] {
                let kept = &record[..record.len().min(LONGEST_RECORD)];
                prop_assert_eq!(scratch.load(record), kept.is_ascii());
                prop_assert_eq!(scratch.field(0, kept.len()), kept);
                prop_assert!(scratch.onward(kept.len()).iter().all(|byte| *byte == b' '));
            }
        }
    }
}
