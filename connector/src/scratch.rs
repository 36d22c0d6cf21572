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
#[derive(Debug)]
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
        let mut high = 0_u128;
        let mut to = self.bytes.chunks_exact_mut(PIECE);
        let (pieces, rest) = record.as_chunks::<PIECE>();
        for (piece, to) in pieces.iter().zip(to.by_ref()) {
            high |= u128::from_le_bytes(*piece);
            to.copy_from_slice(piece);
        }
        let mut last = [b' '; PIECE];
        for (byte, to) in rest.iter().zip(&mut last) {
            *to = *byte;
        }
        high |= u128::from_le_bytes(last);
        if let Some(to) = to.next() {
            to.copy_from_slice(&last);
        }
        // What a longer record left behind.
        let filled = (pieces.len() + 1) * PIECE;
        if self.used > filled {
            for to in to.take((self.used - filled).div_ceil(PIECE)) {
                to.copy_from_slice(&[b' '; PIECE]);
            }
        }
        self.used = record.len();
        high & HIGH_BITS == 0
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
