//! Bits of rows, for validity and booleans.

use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer};

/// The number of bits in a word: rows are converted in groups of this size.
pub(crate) const GROUP: usize = 64;

/// One bit per row.
#[derive(Default)]
pub(crate) struct Bits {
    words: Vec<u64>,
    /// The bits after the last whole word; the others are 0.
    last: u64,
    len: usize,
    ones: usize,
}

impl Bits {
    /// Appends one bit.
    #[inline]
    pub(crate) fn push(&mut self, bit: bool) {
        self.push_group(u64::from(bit), 1);
    }

    /// Appends the lowest `rows` bits of a word, at most [`GROUP`]. The other bits must be 0.
    #[inline]
    pub(crate) fn push_group(&mut self, group: u64, rows: usize) {
        let at = self.len % GROUP;
        self.last |= group << at;
        if at + rows >= GROUP {
            self.words.push(self.last);
            self.last = match at {
                0 => 0,
                at => group >> (GROUP - at),
            };
        }
        self.len += rows;
        self.ones += group.count_ones() as usize;
    }

    /// Appends the same bit many times.
    pub(crate) fn push_run(&mut self, bit: bool, rows: usize) {
        let mut left = rows;
        while left > 0 {
            let rows = left.min(GROUP);
            self.push_group(if bit { first_bits(rows) } else { 0 }, rows);
            left -= rows;
        }
    }

    /// Returns the number of bits.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Returns the bits and removes them.
    pub(crate) fn take(&mut self) -> BooleanBuffer {
        let taken = std::mem::take(self);
        let mut words = taken.words;
        if !taken.len.is_multiple_of(GROUP) {
            words.push(taken.last);
        }
        BooleanBuffer::new(Buffer::from_vec(words), 0, taken.len)
    }

    /// Returns the bits as validity and removes them. `None` means that all rows are valid.
    pub(crate) fn take_nulls(&mut self) -> Option<NullBuffer> {
        if self.ones == self.len {
            *self = Self::default();
            return None;
        }
        Some(NullBuffer::new(self.take()))
    }
}

/// Moves the highest `rows` bits of a word, at most [`GROUP`], to the lowest places. A loop that adds each row's bit at the
/// highest place has one variable less than a loop that counts the rows.
#[inline]
pub(crate) fn to_lowest(bits: u64, rows: usize) -> u64 {
    bits.checked_shr((GROUP - rows) as u32).unwrap_or(0)
}

/// Calls `one` with each item, four times in a turn of the loop. In the sandbox every turn checks the deadline and loads
/// constants again, which costs as much as the work on a short field.
#[inline(always)]
pub(crate) fn each<T>(mut items: impl Iterator<Item = T>, mut one: impl FnMut(T)) {
    loop {
        let Some(item) = items.next() else { return };
        one(item);
        let Some(item) = items.next() else { return };
        one(item);
        let Some(item) = items.next() else { return };
        one(item);
        let Some(item) = items.next() else { return };
        one(item);
    }
}

/// Returns a word with the lowest `rows` bits set, at most [`GROUP`].
#[inline]
pub(crate) fn first_bits(rows: usize) -> u64 {
    match rows {
        GROUP.. => u64::MAX,
        rows => (1 << rows) - 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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

    proptest! {
        #[test]
        fn groups_and_runs_are_the_same_as_single_bits(
            parts in proptest::collection::vec((any::<u64>(), 1..=64_usize, any::<bool>()), 0..20),
        ) {
            let (mut grouped, mut single) = (Bits::default(), Bits::default());
            for (word, rows, is_run) in parts {
                let group = match is_run {
                    true => {
                        grouped.push_run(word & 1 == 1, rows * 3);
                        (0..rows * 3).for_each(|_| single.push(word & 1 == 1));
                        continue;
                    }
                    false => word & first_bits(rows),
                };
                grouped.push_group(group, rows);
                (0..rows).for_each(|i| single.push(group >> i & 1 == 1));
            }
            prop_assert_eq!(grouped.ones, single.ones);
            prop_assert_eq!(grouped.take(), single.take());
        }
    }
}
