//! Blocks of bytes to records, in all physical shapes, whatever the block size.

use memchr::memchr;

use crate::error::{Error, Position};

use crate::packed::{self, Lengths};
use crate::value::is_spaces;

/// No record is longer; a line that is belongs to no extract.
pub(crate) const MAX_RECORD: usize = 64 * 1024;

/// UTF-8's byte order mark.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// How records are laid out in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Shape {
    /// Nothing was read that would tell.
    #[default]
    Unknown,
    /// Records end with LF or CRLF and may be shorter than their layout.
    Lines,
    /// Records follow each other without line ends; the record type gives the length.
    Packed,
    /// Records follow each other without line ends, all of this length.
    PackedUniform(usize),
}

/// What [`Splitter::next`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// A record; [`Splitter::record`] has its bytes.
    Record,
    /// More bytes are needed.
    NeedMore,
    /// The input is at its end.
    End,
}

/// Cuts the input into records.
///
/// A record that lies within one block is used where it lies. Only one that began in an earlier block is put
/// together in `head`, which is also where the first bytes wait until the shape is known.
#[derive(Default)]
pub(crate) struct Splitter {
    head: Vec<u8>,
    /// How much of `head` is used up.
    head_at: usize,
    /// How much of `head` is known to hold no line end.
    searched: usize,
    block: Vec<u8>,
    block_at: usize,
    ended: bool,
    has_mark: bool,
    is_cut_off: bool,
    shape: Shape,
    lengths: Lengths,
    /// Where the current record is.
    place: Place,
    line: u64,
    /// Offset of the current record.
    offset: u64,
    /// Offset of the first byte that is not used up.
    next_offset: u64,
}

#[derive(Debug, Clone, Copy, Default)]
enum Place {
    #[default]
    Nowhere,
    Head(usize, usize),
    Block(usize, usize),
}

impl Splitter {
    /// Takes the next block; the one before must be used up.
    pub(crate) fn push(&mut self, block: Vec<u8>) {
        self.save_rest();
        self.block = block;
        self.block_at = 0;
    }

    /// Says that there are no more bytes.
    pub(crate) fn finish(&mut self) {
        self.ended = true;
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }

    pub(crate) fn shape(&self) -> Shape {
        self.shape
    }

    /// Whether the input begins with UTF-8's byte order mark, which is passed over.
    pub(crate) fn has_mark(&self) -> bool {
        self.has_mark
    }

    /// Whether the input, which has no line ends, ends in the middle of a record.
    pub(crate) fn is_cut_off(&self) -> bool {
        self.is_cut_off
    }

    /// The current record, without its line end.
    #[inline]
    pub(crate) fn record(&self) -> &[u8] {
        match self.place {
            Place::Nowhere => &[],
            Place::Head(from, to) => self.head.get(from..to).unwrap_or_default(),
            Place::Block(from, to) => self.block.get(from..to).unwrap_or_default(),
        }
    }

    /// Where the current record stands.
    #[inline]
    pub(crate) fn position(&self) -> Position {
        Position {
            line: self.line,
            offset: self.offset,
        }
    }

    /// Goes on to the next record. Blank lines are passed over.
    #[inline]
    pub(crate) fn next(&mut self) -> Result<Step, Error> {
        // Nearly always the next record is a line within the block.
        if matches!(self.shape, Shape::Lines)
            && self.head_at >= self.head.len()
            && let Some(rest) = self.block.get(self.block_at..)
            && let Some(length) = memchr(b'\n', rest)
            && let Some(line) = rest.get(..length)
            && let (Some(first), Some(last)) = (line.first(), line.last())
            && !matches!(first, b' ' | b'\r')
            && length <= MAX_RECORD
        {
            let from = self.block_at;
            self.place = Place::Block(from, from + length - usize::from(*last == b'\r'));
            self.block_at = from + length + 1;
            self.offset = self.next_offset;
            self.next_offset += length as u64 + 1;
            self.line += 1;
            return Ok(Step::Record);
        }
        self.next_anywhere()
    }

    /// Passes over lines within the block for as long as `pass` says so; it sees them with their CR.
    #[inline]
    pub(crate) fn skip_lines(&mut self, mut pass: impl FnMut(&[u8]) -> bool) {
        if !matches!(self.shape, Shape::Lines) || self.head_at < self.head.len() {
            return;
        }
        let mut at = self.block_at;
        while let Some(rest) = self.block.get(at..)
            && let Some(length) = memchr(b'\n', rest)
            && rest.get(..length).is_some_and(&mut pass)
        {
            at += length + 1;
            self.line += 1;
        }
        self.next_offset += (at - self.block_at) as u64;
        self.block_at = at;
    }

    /// The next record, wherever it is and in whatever shape.
    fn next_anywhere(&mut self) -> Result<Step, Error> {
        self.place = Place::Nowhere;
        loop {
            let step = match self.shape {
                Shape::Unknown => self.detect(),
                Shape::Lines => self.next_line()?,
                Shape::Packed => self.next_packed(None)?,
                Shape::PackedUniform(length) => self.next_packed(Some(length))?,
            };
            match step {
                Some(Step::Record) if self.is_blank() => {}
                Some(Step::Record) => {
                    self.line += 1;
                    return Ok(Step::Record);
                }
                Some(step) => return Ok(step),
                None => {}
            }
        }
    }

    fn is_blank(&self) -> bool {
        is_spaces(self.record())
    }

    /// Finds out the shape from the first bytes, which gather in `head` meanwhile.
    fn detect(&mut self) -> Option<Step> {
        self.save_rest();
        if !self.has_mark {
            if self.head.starts_with(MARK) {
                self.has_mark = true;
                self.head_at = MARK.len();
                self.next_offset = MARK.len() as u64;
            } else if MARK.starts_with(&self.head) && !self.ended {
                return Some(Step::NeedMore);
            }
        }
        let front = self.head.get(self.head_at..).unwrap_or_default();
        match packed::detect(front, self.ended) {
            Some(shape) => self.shape = shape,
            None if self.ended => return Some(Step::End),
            None => return Some(Step::NeedMore),
        }
        None
    }

    fn next_line(&mut self) -> Result<Option<Step>, Error> {
        if self.head_at < self.head.len() {
            return self.next_line_in_head();
        }
        let rest = self.block.get(self.block_at..).unwrap_or_default();
        let Some(length) = memchr(b'\n', rest) else {
            self.save_rest();
            return self.at_end_of_block();
        };
        let from = self.block_at;
        let to =
            from + length - usize::from(rest.get(..length).is_some_and(|l| l.ends_with(b"\r")));
        self.block_at = from + length + 1;
        self.take(Place::Block(from, to), length, 1)
    }

    /// The next line, when it began in an earlier block.
    #[cold]
    fn next_line_in_head(&mut self) -> Result<Option<Step>, Error> {
        let from = self.head_at;
        let searched = self.searched.max(from);
        let unsearched = self.head.get(searched..).unwrap_or_default();
        let end = match memchr(b'\n', unsearched) {
            Some(at) => searched + at,
            None => {
                let rest = self.block.get(self.block_at..).unwrap_or_default();
                let Some(at) = memchr(b'\n', rest) else {
                    self.save_rest();
                    self.searched = self.head.len();
                    return self.at_end_of_block();
                };
                self.head
                    .extend_from_slice(rest.get(..=at).unwrap_or_default());
                self.block_at += at + 1;
                self.head.len() - 1
            }
        };
        self.head_at = end + 1;
        let line = self.head.get(from..end).unwrap_or_default();
        let to = end - usize::from(line.ends_with(b"\r"));
        self.take(Place::Head(from, to), end - from, 1)
    }

    /// No line end in what is there: the rest is in `head` now.
    fn at_end_of_block(&mut self) -> Result<Option<Step>, Error> {
        let length = self.head.len() - self.head_at;
        if length > MAX_RECORD {
            return Err(Error::RecordTooLong(self.upcoming()));
        }
        match (self.ended, length) {
            (false, _) => Ok(Some(Step::NeedMore)),
            (true, 0) => Ok(Some(Step::End)),
            (true, _) => {
                let from = self.head_at;
                self.head_at = self.head.len();
                let rest = self.head.get(from..).unwrap_or_default();
                let to = self.head.len() - usize::from(rest.ends_with(b"\r"));
                self.take(Place::Head(from, to), length, 0)
            }
        }
    }

    /// The next record of a file without line ends.
    fn next_packed(&mut self, uniform: Option<usize>) -> Result<Option<Step>, Error> {
        if self.skip_line_ends() {
            return Ok(None);
        }
        let in_head = self.head_at < self.head.len();
        let (available, from) = if in_head {
            (&self.head, self.head_at)
        } else {
            (&self.block, self.block_at)
        };
        let available = available.get(from..).unwrap_or_default();
        if available.is_empty() {
            return Ok(Some(if self.ended {
                Step::End
            } else {
                Step::NeedMore
            }));
        }
        // A type is known from its first three digits; the last record may be cut short.
        let length = match uniform {
            Some(length) if available.len() >= 3 => {
                packed::known_type(available).map(|_| Some(length))
            }
            _ if available.len() >= 3 => {
                packed::known_type(available).map(|table| self.lengths.of(table))
            }
            _ if self.ended => Some(Some(available.len())),
            _ => Some(None),
        };
        let Some(length) = length else {
            return Err(Error::LostTrack(self.upcoming()));
        };
        if let Some(length) = length
            && available.len() >= length
        {
            let place = if in_head {
                self.head_at += length;
                Place::Head(from, from + length)
            } else {
                self.block_at += length;
                Place::Block(from, from + length)
            };
            return self.take(place, length, 0);
        }
        self.gather(length)
    }

    /// Brings enough of the block into `head` for the next record, or decides how long its type is.
    #[cold]
    fn gather(&mut self, length: Option<usize>) -> Result<Option<Step>, Error> {
        let rest = self.block.len() - self.block_at;
        let have = self.head.len() - self.head_at;
        let wanted = match length {
            Some(length) => length.saturating_sub(have),
            None => packed::LOOK_AHEAD,
        };
        if rest > 0 {
            self.bring(wanted.min(rest));
        }
        let have = self.head.len() - self.head_at;
        match length {
            Some(length) if have >= length => Ok(None),
            Some(_) if self.ended => {
                // Cut off in the middle of a record: what there is of it is read as it stands.
                self.is_cut_off = true;
                let from = self.head_at;
                self.head_at = self.head.len();
                self.take(Place::Head(from, self.head.len()), have, 0)
            }
            Some(_) => Ok(Some(Step::NeedMore)),
            None => {
                let front = self.head.get(self.head_at..).unwrap_or_default();
                // The type's digits were all that was missing.
                if packed::known_type(front).is_some_and(|table| self.lengths.of(table).is_some()) {
                    return Ok(None);
                }
                match packed::decide(front, self.lengths, self.ended) {
                    packed::Decision::Lengths(lengths) => {
                        self.lengths = lengths;
                        Ok(None)
                    }
                    packed::Decision::NeedMore if self.block_at < self.block.len() => Ok(None),
                    packed::Decision::NeedMore => Ok(Some(Step::NeedMore)),
                    packed::Decision::LookAlike(product) => Err(Error::LookAlike {
                        position: self.upcoming(),
                        product,
                    }),
                    packed::Decision::LostTrack => Err(Error::LostTrack(self.upcoming())),
                }
            }
        }
    }

    /// Passes over line ends between the records of a file that should have none; true if there were any.
    fn skip_line_ends(&mut self) -> bool {
        let is_line_end = |byte: Option<&u8>| matches!(byte, Some(b'\n' | b'\r'));
        let before = self.next_offset;
        loop {
            if is_line_end(self.head.get(self.head_at)) {
                self.head_at += 1;
            } else if self.head_at >= self.head.len() && is_line_end(self.block.get(self.block_at))
            {
                self.block_at += 1;
            } else {
                return self.next_offset > before;
            }
            self.next_offset += 1;
        }
    }

    /// Makes a record of that many bytes, followed by a line end of that many, the current one.
    fn take(
        &mut self,
        place: Place,
        length: usize,
        line_end: usize,
    ) -> Result<Option<Step>, Error> {
        if length > MAX_RECORD {
            return Err(Error::RecordTooLong(self.upcoming()));
        }
        self.place = place;
        self.offset = self.next_offset;
        self.next_offset += (length + line_end) as u64;
        Ok(Some(Step::Record))
    }

    /// Moves what is left of the block to `head`.
    fn save_rest(&mut self) {
        let rest = self.block.len() - self.block_at;
        self.bring(rest);
    }

    /// Moves that many bytes of the block to `head`.
    fn bring(&mut self, count: usize) {
        if self.head_at > 0 {
            self.head.drain(..self.head_at);
            self.searched = self.searched.saturating_sub(self.head_at);
            self.head_at = 0;
        }
        let until = self.block_at + count;
        self.head
            .extend_from_slice(self.block.get(self.block_at..until).unwrap_or_default());
        self.block_at = until;
    }

    /// Where the record stands that is about to be read.
    fn upcoming(&self) -> Position {
        Position {
            line: self.line + 1,
            offset: self.next_offset,
        }
    }
}
