//! Which physical shape a file has, and how long the records are in one without line ends.
//!
//! 001 and 002 have had two lengths. A file without line ends does not say which it uses, so the reader looks
//! which of them makes the records that follow begin where a record can begin.

use memchr::memchr;

use crate::grammar;
use crate::layout::{self, Table};
use crate::split::{MAX_RECORD, Shape};

/// As many bytes as [`decide`] wants to see at the most.
pub(crate) const LOOK_AHEAD: usize = 32 * 1024;

/// How many records in a row must fit before a length is believed.
const CHAIN: usize = 32;

/// The length of 001 in CPR's bitemporal product for Greenland, which begins and ends like an extract.
pub(crate) const GREENLAND_PERSON_LENGTH: usize = 366;

/// What that product is, for its error message.
pub(crate) const GREENLAND: &str = "the person records are those of the bitemporal product for Greenland, which uses the same record types \
     with other meanings";

/// The lengths that this file uses where a type has had several: 001 and 002.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Lengths {
    person: Option<usize>,
    address: Option<usize>,
}

impl Lengths {
    /// The length of that type's records, if it is decided.
    pub(crate) fn of(self, table: &Table) -> Option<usize> {
        match (table.lengths, table.record_type) {
            ([length], _) => Some(*length),
            (_, "001") => self.person,
            _ => self.address,
        }
    }

    fn with(mut self, table: &Table, length: usize) -> Self {
        match (table.lengths, table.record_type) {
            ([_], _) => {}
            (_, "001") => self.person = Some(length),
            _ => self.address = Some(length),
        }
        self
    }
}

/// What [`decide`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// The lengths so far, with that of the record at hand among them.
    Lengths(Lengths),
    /// It takes more bytes to tell.
    NeedMore,
    /// The file is another product; says which, as a clause.
    LookAlike(&'static str),
    /// No length fits.
    LostTrack,
}

/// The table of the record that begins here, if its type is known.
pub(crate) fn known_type(input: &[u8]) -> Option<&'static Table> {
    let record_type = *input.first_chunk::<3>()?;
    layout::tables().get(layout::index_of(record_type)?)
}

/// The shape of a file that begins like this; none if it takes more bytes to tell.
pub(crate) fn detect(input: &[u8], ended: bool) -> Option<Shape> {
    let blank = input.iter().take_while(|b| matches!(b, b'\n' | b'\r'));
    let input = input.get(blank.count()..).unwrap_or_default();
    let Some(first) = known_type(input) else {
        // Whatever this is, lines are the only way to cut it.
        return (ended || input.len() >= 3).then_some(Shape::Lines);
    };
    // The first record with nothing but spaces after it, up to the line end or to the next record.
    let shortest = first.lengths[0];
    let fill = input
        .iter()
        .skip(shortest)
        .take_while(|byte| **byte == b' ')
        .count();
    let next = shortest + fill;
    let line_end = memchr(
        b'\n',
        input.get(..MAX_RECORD.min(input.len())).unwrap_or_default(),
    );
    if line_end.is_some_and(|at| at <= next + 1) {
        return Some(Shape::Lines);
    }
    let settled = ended || input.len() >= MAX_RECORD;
    let starts = |at: usize| input.get(at..).is_some_and(grammar::begins_record);
    if first.record_type == "000" {
        // A longer start record of a layout to come could go on with digits: then its line ends soon after.
        let second = next + 13;
        if starts(next) && line_end.is_none_or(|at| at > second) {
            return Some(match fill {
                0 => Shape::Packed,
                _ => Shape::PackedUniform(next),
            });
        }
        if input.len() < second && !settled {
            return None;
        }
    } else if first.lengths.iter().any(|length| starts(*length)) {
        return Some(Shape::Packed);
    }
    match line_end {
        Some(_) => Some(Shape::Lines),
        None if !settled => None,
        // One record and no more, with or without its line end.
        None if input.len() <= next => Some(Shape::Lines),
        // No line end anywhere: reading on as records says at once where the track is lost.
        None => Some(Shape::Packed),
    }
}

/// Decides the length of the record that begins here, whose type has had several.
pub(crate) fn decide(input: &[u8], lengths: Lengths, ended: bool) -> Decision {
    let Some(table) = known_type(input) else {
        return if input.len() < 3 {
            Decision::NeedMore
        } else {
            Decision::LostTrack
        };
    };
    // What is decided must not depend on how the input came in blocks: so it is always decided on the same
    // stretch of it.
    if input.len() < LOOK_AHEAD && !ended {
        return Decision::NeedMore;
    }
    let is_whole = ended && input.len() <= LOOK_AHEAD;
    let input = input.get(..LOOK_AHEAD).unwrap_or(input);
    let mut best = None;
    for &length in table.lengths {
        let fit = fit(input, length, lengths.with(table, length), CHAIN, is_whole);
        if best.is_none_or(|(_, best_fit)| fit > best_fit) {
            best = Some((length, fit));
        }
    }
    match best {
        // Not even one record fits after any length.
        None | Some((_, Fit::No(CHAIN))) => {
            let begins_at = |at: usize| input.get(at..).is_some_and(grammar::begins_any_record);
            if begins_at(GREENLAND_PERSON_LENGTH) {
                Decision::LookAlike(GREENLAND)
            } else {
                Decision::LostTrack
            }
        }
        Some((length, _)) => Decision::Lengths(lengths.with(table, length)),
    }
}

/// How well a chain of records fits, worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fit {
    /// A record would begin where none can, when so many more were to be looked at: the fewer, the better.
    No(usize),
    /// What is there fits, and ends in the middle of a record.
    Open,
    /// It fits to the end of the input, or for as many records as are looked at.
    Yes,
}

impl Fit {
    fn rank(self) -> (u8, std::cmp::Reverse<usize>) {
        match self {
            Self::No(left) => (0, std::cmp::Reverse(left)),
            Self::Open => (1, std::cmp::Reverse(0)),
            Self::Yes => (2, std::cmp::Reverse(0)),
        }
    }
}

impl PartialOrd for Fit {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Fit {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.rank().cmp(&other.rank())
    }
}

/// How well the records fit if the next one begins at `at`.
fn fit(input: &[u8], at: usize, lengths: Lengths, chain: usize, ended: bool) -> Fit {
    let mut at = at;
    while matches!(input.get(at), Some(b'\n' | b'\r')) {
        at += 1;
    }
    if chain == 0 || (at == input.len() && ended) {
        return Fit::Yes;
    }
    let rest = input.get(at..).unwrap_or_default();
    // Key and type of the next record must be there before they can be wrong.
    if rest.len() < 13 {
        let digits = rest.iter().take(3).all(u8::is_ascii_digit);
        return if digits { Fit::Open } else { Fit::No(chain) };
    }
    match known_type(rest) {
        Some(table) if grammar::begins_record(rest) => {
            let candidates = match lengths.of(table) {
                Some(length) => &[length][..],
                None => table.lengths,
            };
            let fits = candidates.iter().map(|length| {
                fit(
                    input,
                    at + length,
                    lengths.with(table, *length),
                    chain - 1,
                    ended,
                )
            });
            fits.max().unwrap_or(Fit::No(chain))
        }
        _ => Fit::No(chain),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: &str = "00000000000001109012001111720011116";

    fn person(length: usize) -> String {
        format!(
            "{:<length$}",
            "0010101965058          01000000000000 K1896-01-01 1997-09-09"
        )
    }

    fn name() -> String {
        format!("{:<193}", "0080101965058Ude Ulrike")
    }

    fn decided(length: usize) -> Decision {
        Decision::Lengths(Lengths {
            person: Some(length),
            address: None,
        })
    }

    #[test]
    fn shapes() {
        let packed = format!("{START}{}{}", person(121), name());
        assert_eq!(detect(packed.as_bytes(), false), Some(Shape::Packed));
        let uniform = format!("{START:<382}{:<382}", person(121));
        assert_eq!(
            detect(uniform.as_bytes(), false),
            Some(Shape::PackedUniform(382))
        );
        let lines = format!("{START}\n{}\n", person(121));
        assert_eq!(detect(lines.as_bytes(), false), Some(Shape::Lines));
        let full = format!("{START:<382}\r\n{}\r\n", person(382));
        assert_eq!(detect(full.as_bytes(), false), Some(Shape::Lines));
        let longer = format!("{START}0010101965058\nxyz");
        assert_eq!(detect(longer.as_bytes(), true), Some(Shape::Lines));
        assert_eq!(detect(START.as_bytes(), true), Some(Shape::Lines));
        assert_eq!(detect(START.as_bytes(), false), None);
        assert_eq!(detect(b"", true), Some(Shape::Lines));
        let headless = format!("{}{}", person(106), name());
        assert_eq!(detect(headless.as_bytes(), false), Some(Shape::Packed));
    }

    #[test]
    fn lengths_are_decided_by_what_follows() {
        for length in [106, 121] {
            let chain = format!("{}{}", person(length), name());
            assert_eq!(
                decide(chain.as_bytes(), Lengths::default(), true),
                decided(length)
            );
            // The last record of a file.
            let alone = person(length);
            assert_eq!(
                decide(alone.as_bytes(), Lengths::default(), true),
                decided(length)
            );
        }
        let alone = person(106);
        assert_eq!(
            decide(alone.as_bytes(), Lengths::default(), false),
            Decision::NeedMore
        );
    }

    #[test]
    fn a_key_constant_that_looks_like_a_record_does_not_deceive() {
        let mut long = person(106);
        long.push_str("0080101965058  ");
        let chain = format!("{long}{}{}", name(), person(121));
        assert_eq!(
            decide(chain.as_bytes(), Lengths::default(), true),
            decided(121)
        );
    }

    #[test]
    fn greenland_is_recognised() {
        let chain = format!("{}0400101965058", person(366));
        assert_eq!(
            decide(chain.as_bytes(), Lengths::default(), true),
            Decision::LookAlike(GREENLAND)
        );
    }
}
