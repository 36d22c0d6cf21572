//! Detects the physical shape of a file, and the lengths of records in a file without line ends.
//!
//! 001 and 002 have had two lengths. A file without line ends does not say which it uses. So the length is chosen for
//! which the following records begin where a record can begin.

use memchr::memchr;

use crate::error::Error;
use crate::grammar;
use crate::layout::{self, Table};
use crate::record::is_padding;
use crate::value::is_spaces;
use crate::wire::{Reader, Writer};

/// The largest length of a record, in bytes. A longer line does not belong to an extract.
pub(crate) const MAX_RECORD: usize = 64 * 1024;

/// The way records are laid out in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Shape {
    /// Not enough was read to tell.
    #[default]
    Unknown,
    /// Records end with LF or CRLF and may be shorter than their layout.
    Lines,
    /// Records follow each other without line ends; the record type determines the length.
    Packed,
    /// Records follow each other without line ends, all of this length in bytes.
    PackedUniform(usize),
}

/// The number of bytes that [`detect_length`] examines.
pub(crate) const LOOK_AHEAD: usize = 32 * 1024;

/// The number of consecutive records that must fit before a length is accepted.
const CHAIN: usize = 32;

/// The length of 001 in CPR's bitemporal product for Greenland, which begins and ends like an extract.
pub(crate) const GREENLAND_PERSON_LENGTH: usize = 366;

/// Describes that product in the error message.
pub(crate) const GREENLAND: &str = "the person records are those of the bitemporal product for Greenland, \
                                    which uses the same record types with other meanings";

/// The lengths that this file uses for the types that have had several: 001 and 002.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Lengths {
    person: Option<usize>,
    address: Option<usize>,
}

impl Lengths {
    /// Returns the length of that type's records, if it is known.
    pub(crate) fn of(self, table: &Table) -> Option<usize> {
        match (table.lengths, table.record_type) {
            ([length], _) => Some(*length),
            (_, "001") => self.person,
            _ => self.address,
        }
    }

    /// Returns whether the lengths of all types are known.
    pub(super) fn are_known(self) -> bool {
        self.person.is_some() && self.address.is_some()
    }

    pub(super) fn write(self, writer: &mut Writer) {
        for length in [self.person, self.address] {
            writer.optional(length.map(|length| length as u64));
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let mut length = || Ok(reader.optional()?.map(|length| length as usize));
        Ok(Self {
            person: length()?,
            address: length()?,
        })
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

/// The result of [`detect_length`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LengthDecision {
    /// The known lengths, including that of the current record.
    Lengths(Lengths),
    /// More bytes are needed to decide.
    NeedMore,
    /// The file is another product; holds a clause that describes it.
    LookAlike(&'static str),
    /// No length fits.
    LostTrack,
}

/// Returns the table of the record that begins here, if its type is known.
pub(crate) fn known_type(input: &[u8]) -> Option<&'static Table> {
    let record_type = *input.first_chunk::<3>()?;
    layout::tables().get(layout::index_of(record_type)?)
}

/// Returns the shape of a file that begins like this, or `None` if more bytes are needed.
pub(crate) fn detect(input: &[u8], ended: bool) -> Option<Shape> {
    let blank = input.iter().take_while(|b| matches!(b, b'\n' | b'\r'));
    let input = input.get(blank.count()..).unwrap_or_default();
    let Some(first) = known_type(input) else {
        // Input of an unknown kind can only be cut at line ends.
        return (ended || input.len() >= 3).then_some(Shape::Lines);
    };
    // The first record ends after the spaces that follow its shortest length.
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
    let ends = |at: usize| {
        let returns = input.get(next..at).unwrap_or_default();
        at <= next + 1 || returns.iter().all(|byte| *byte == b'\r')
    };
    if line_end.is_some_and(ends) {
        return Some(Shape::Lines);
    }
    let settled = ended || input.len() >= MAX_RECORD;
    let starts = |at: usize| input.get(at..).is_some_and(grammar::begins_record);
    if first.record_type == "000" {
        // A future layout may have a longer start record that goes on with digits. Its line then ends soon after.
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
        // A single record, with or without a line end.
        None if input.len() <= next => Some(Shape::Lines),
        // No line end anywhere: reading it as records gives the position of the error.
        None => Some(Shape::Packed),
    }
}

/// Detects the length of the record that begins here, whose type has had several lengths.
pub(crate) fn detect_length(input: &[u8], lengths: Lengths, ended: bool) -> LengthDecision {
    let Some(table) = known_type(input) else {
        return if input.len() < 3 {
            LengthDecision::NeedMore
        } else {
            LengthDecision::LostTrack
        };
    };
    // The decision must not depend on the sizes of the blocks, so it is always made on the same number of bytes.
    if input.len() < LOOK_AHEAD && !ended {
        return LengthDecision::NeedMore;
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
        // No record fits after any of the lengths.
        None | Some((_, Fit::No(CHAIN))) => {
            let begins_at = |at: usize| input.get(at..).is_some_and(grammar::begins_any_record);
            if begins_at(GREENLAND_PERSON_LENGTH) {
                LengthDecision::LookAlike(GREENLAND)
            } else {
                LengthDecision::LostTrack
            }
        }
        Some((length, _)) => LengthDecision::Lengths(lengths.with(table, length)),
    }
}

/// How well a chain of records fits, worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fit {
    /// A record would have to begin where none can. Holds the number of records that were still to be examined: fewer
    /// is better.
    No(usize),
    /// All bytes fit, and the input ends in the middle of a record.
    Open,
    /// The chain fits to the end of the input, or for as many records as are examined.
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

/// Returns how well the records fit if the next one begins at `at`.
fn fit(input: &[u8], at: usize, lengths: Lengths, chain: usize, ended: bool) -> Fit {
    let mut at = at;
    while matches!(input.get(at), Some(b'\n' | b'\r')) {
        at += 1;
    }
    let rest = input.get(at..).unwrap_or_default();
    let is_end = at == input.len() || is_padding(rest) && !is_spaces(rest);
    if chain == 0 || ended && is_end {
        return Fit::Yes;
    }
    // The type and key of the next record must be complete before they can be rejected.
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

    fn decided(length: usize) -> LengthDecision {
        LengthDecision::Lengths(Lengths {
            person: Some(length),
            address: None,
        })
    }

    #[test]
    fn detects_shapes() {
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
    fn detects_lengths_from_the_following_records() {
        for length in [106, 121] {
            let chain = format!("{}{}", person(length), name());
            assert_eq!(
                detect_length(chain.as_bytes(), Lengths::default(), true),
                decided(length)
            );
            // The last record of a file.
            let alone = person(length);
            assert_eq!(
                detect_length(alone.as_bytes(), Lengths::default(), true),
                decided(length)
            );
        }
        let alone = person(106);
        assert_eq!(
            detect_length(alone.as_bytes(), Lengths::default(), false),
            LengthDecision::NeedMore
        );
    }

    #[test]
    fn ignores_a_key_constant_that_looks_like_a_record() {
        let mut long = person(106);
        long.push_str("0080101965058  ");
        let chain = format!("{long}{}{}", name(), person(121));
        assert_eq!(
            detect_length(chain.as_bytes(), Lengths::default(), true),
            decided(121)
        );
    }

    #[test]
    fn recognises_the_product_for_greenland() {
        let chain = format!("{}0400101965058", person(366));
        assert_eq!(
            detect_length(chain.as_bytes(), Lengths::default(), true),
            LengthDecision::LookAlike(GREENLAND)
        );
    }
}
