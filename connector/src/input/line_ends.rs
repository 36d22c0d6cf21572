//! Finds the line ends of a block, and its other control characters, before its lines are read.
//!
//! To look for each line's end by itself costs a wrong prediction of the processor for nearly every line, because lines of
//! different lengths follow each other. Here the places are collected without a branch for each line.

use crate::lanes::{LANES, Lanes};

/// The number of bytes that are searched at once. They are then still in the first-level cache when the lines are read.
const WINDOW: usize = 8 * 1024;

/// The number of bytes that one turn of the loop looks at. A turn has a fixed cost in the sandbox, where the deadline is
/// checked in each.
const TURN: usize = 4 * LANES;

/// The number of places that are written in each turn, whether there are so many or not. Most turns have one or two.
const WRITTEN: usize = 2;

/// The control characters of a block, found window by window.
#[derive(Default)]
pub(super) struct ControlPlaces {
    /// The places in the window. Those from `count` on have no meaning. Empty until the first window is searched.
    places: Vec<u16>,
    count: usize,
    /// The index of the first place that was not returned.
    next: usize,
    /// Where the window begins and ends in the block.
    begin: usize,
    end: usize,
    /// Whether all bytes of the window are ASCII.
    is_ascii: bool,
}

impl ControlPlaces {
    /// Forgets the block: another one is searched from its first byte on.
    pub(super) fn restart(&mut self) {
        (self.count, self.next, self.begin, self.end) = (0, 0, 0, 0);
        self.is_ascii = true;
    }

    /// Returns the place of the first control character of the block at `from` or after it that was not returned, and
    /// whether the bytes between are known to be ASCII. `from` may not fall from call to call.
    #[inline]
    pub(super) fn next(&mut self, block: &[u8], from: usize) -> Option<(usize, bool)> {
        let mut is_ascii = self.is_ascii;
        loop {
            while self.next < self.count {
                let place = self.begin + usize::from(*self.places.get(self.next)?);
                self.next += 1;
                if place >= from {
                    return Some((place, is_ascii));
                }
            }
            // The bytes before `from` were read in another way.
            if self.end <= from {
                self.end = from;
                is_ascii = true;
            }
            if self.end >= block.len() {
                return None;
            }
            self.search(block);
            is_ascii &= self.is_ascii;
        }
    }

    /// Searches the window after this one.
    // Apart from the code that reads lines: there, the loop would have too few registers.
    #[inline(never)]
    fn search(&mut self, block: &[u8]) {
        let rest = block.get(self.end..).unwrap_or_default();
        let window = rest.get(..WINDOW).unwrap_or(rest);
        self.begin = self.end;
        self.end += window.len();
        self.next = 0;
        self.places.resize(WINDOW + WRITTEN, 0);
        let (turns, tail) = window.as_chunks::<TURN>();
        let mut found = Found {
            places: &mut self.places,
            count: 0,
            all: Lanes::zero(),
        };
        for (index, turn) in turns.iter().enumerate() {
            found.add(index * TURN, turn);
        }
        if !tail.is_empty() {
            // Spaces are no control characters.
            let mut turn = [b' '; TURN];
            for (to, from) in turn.iter_mut().zip(tail) {
                *to = *from;
            }
            found.add(turns.len() * TURN, &turn);
        }
        self.is_ascii = found.all.high() == 0;
        self.count = found.count;
    }
}

/// What was found in a window so far.
struct Found<'a> {
    places: &'a mut [u16],
    count: usize,
    /// The union of the bits of all bytes.
    all: Lanes,
}

impl Found<'_> {
    /// Adds the places in some bytes.
    #[inline]
    fn add(&mut self, offset: usize, bytes: &[u8; TURN]) {
        let [a, b, c, d] = quarters(bytes).map(Lanes::load);
        self.all = self.all.or(a.or(b).or(c.or(d)));
        let bits = |lanes: Lanes| u64::from(lanes.controls().high());
        let low = bits(a) | bits(b) << LANES;
        let high = bits(c) | bits(d) << LANES;
        let mut controls = low | high << (2 * LANES);
        let found = controls.count_ones() as usize;
        let places = self.places.get_mut(self.count..).unwrap_or_default();
        if let Some(places) = places.first_chunk_mut::<WRITTEN>() {
            for place in places {
                *place = (offset + controls.trailing_zeros() as usize) as u16;
                controls &= controls.wrapping_sub(1);
            }
        }
        if controls != 0 {
            let places = places.get_mut(WRITTEN..).unwrap_or_default();
            add_more(places, offset, controls);
        }
        self.count += found;
    }
}

/// Writes the places that the bits tell.
#[cold]
#[inline(never)]
fn add_more(places: &mut [u16], offset: usize, mut controls: u64) {
    for place in places {
        if controls == 0 {
            return;
        }
        *place = (offset + controls.trailing_zeros() as usize) as u16;
        controls &= controls - 1;
    }
}

/// Divides the bytes into four pieces.
#[inline]
fn quarters(bytes: &[u8; TURN]) -> [&[u8; LANES]; 4] {
    let (pieces, _) = bytes.as_chunks::<LANES>();
    match pieces {
        [a, b, c, d] => [a, b, c, d],
        // There are always four.
        _ => [&[b' '; LANES]; 4],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::is_control;
    use proptest::prelude::*;

    /// Returns all places of a block, with whether the bytes before each were said to be ASCII.
    fn all(places: &mut ControlPlaces, block: &[u8]) -> Vec<(usize, bool)> {
        places.restart();
        let mut found = Vec::new();
        let mut from = 0;
        while let Some((place, is_ascii)) = places.next(block, from) {
            let before = &block[from..place];
            assert!(!is_ascii || before.is_ascii(), "{from}..{place}");
            from = place + 1;
            found.push((place, is_ascii));
        }
        found
    }

    fn expected(block: &[u8]) -> Vec<usize> {
        let is_control = |place: &usize| is_control(block[*place]);
        (0..block.len()).filter(is_control).collect()
    }

    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![20 => Just(b'a'), 1 => Just(b'\n'), 1 => any::<u8>()];
        let shares = prop_oneof![
            proptest::collection::vec(byte, 0..300),
            proptest::collection::vec(any::<u8>(), 0..300),
            proptest::collection::vec(0_u8..0x20, 0..300),
        ];
        // Windows are larger than what is random, so bytes without controls stand before.
        (shares, 0..3 * WINDOW).prop_map(|(mut bytes, before)| {
            bytes.splice(0..0, vec![b'.'; before]);
            bytes
        })
    }

    proptest! {
        #[test]
        fn finds_every_control_character(first in bytes(), second in bytes()) {
            let mut places = ControlPlaces::default();
            for block in [first, second] {
                let found = all(&mut places, &block);
                let found: Vec<usize> = found.into_iter().map(|(place, _)| place).collect();
                prop_assert_eq!(found, expected(&block));
            }
        }

        #[test]
        fn begins_where_it_is_told(block in bytes(), steps in proptest::collection::vec(0..2000_usize, 1..40)) {
            let mut places = ControlPlaces::default();
            places.restart();
            let mut from = 0;
            for step in steps {
                from = (from + step).min(block.len());
                let found = places.next(&block, from);
                let expected = (from..block.len()).find(|place| is_control(block[*place]));
                prop_assert_eq!(found.map(|(place, _)| place), expected);
                match found {
                    Some((place, is_ascii)) => {
                        prop_assert!(!is_ascii || block[from..place].is_ascii());
                        from = place + 1;
                    }
                    None => break,
                }
            }
        }
    }

    #[test]
    fn a_block_of_control_characters_only_has_all_of_them() {
        for length in [
            0,
            1,
            2,
            63,
            64,
            65,
            WINDOW - 1,
            WINDOW,
            WINDOW + 1,
            3 * WINDOW + 7,
        ] {
            let block = vec![b'\n'; length];
            let found = all(&mut ControlPlaces::default(), &block);
            assert_eq!(
                found,
                (0..length).map(|place| (place, true)).collect::<Vec<_>>()
            );
        }
    }

    #[test]
    fn letters_outside_ascii_are_noticed_in_their_window() {
        let mut block = vec![b'a'; 2 * WINDOW];
        block[100] = 0xe6;
        block[200] = b'\n';
        block[WINDOW + 300] = b'\n';
        block[WINDOW + 400] = b'\n';
        let found = all(&mut ControlPlaces::default(), &block);
        let expected = [(200, false), (WINDOW + 300, false), (WINDOW + 400, true)];
        assert_eq!(found, expected);
    }
}
