//! Cuts blocks of bytes into records, in all physical shapes and for any block size.

use memchr::memchr;

use super::line_ends::ControlPlaces;
use super::other_formats;
use super::shape_detection::{self, Lengths, MAX_RECORD, Shape};
use crate::error::{Error, Position};
use crate::finding::Occurrences;
use crate::record::is_padding;
use crate::value::{Survey, is_spaces};
use crate::wire::{DAMAGED, Reader, Writer};

/// The byte order mark of UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The result of [`Splitter::next`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// A record was found; [`Splitter::record`] returns it.
    Record,
    /// More bytes are needed.
    NeedMore,
    /// The end of the input was reached.
    End,
}

/// Cuts the input into records.
///
/// A record that lies within one block is not copied. A record that began in an earlier block is assembled in `head`.
/// The first bytes of the input also wait in `head` until the shape is known.
#[derive(Default)]
pub(crate) struct Splitter {
    head: Vec<u8>,
    /// The number of bytes of `head` that are consumed.
    head_at: usize,
    /// The number of bytes of `head` that are known to have no line end.
    searched: usize,
    block: Vec<u8>,
    block_at: usize,
    /// Where `block` has control characters.
    controls: ControlPlaces,
    ended: bool,
    has_byte_order_mark: bool,
    is_cut_off: bool,
    /// Lines that end with more than one CR.
    repeated_returns: Occurrences,
    shape: Shape,
    lengths: Lengths,
    /// The location of the current record.
    span: RecordSpan,
    /// What the search for its end has shown of the current record.
    survey: Option<Survey>,
    line: u64,
    /// The offset of the current record in the input.
    offset: u64,
    /// The offset of the first byte that is not consumed.
    next_offset: u64,
}

/// What the splitter of a part must know of the input before it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SplitterStart {
    shape: Shape,
    lengths: Lengths,
}

impl SplitterStart {
    /// Returns whether records end with LF.
    pub(crate) fn has_line_ends(self) -> bool {
        matches!(self.shape, Shape::Lines)
    }

    pub(crate) fn write(self, writer: &mut Writer) {
        let (shape, length) = match self.shape {
            Shape::Packed => (0, 0),
            Shape::PackedUniform(length) => (1, length),
            _ => (2, 0),
        };
        writer.number(shape);
        writer.number(length as u64);
        self.lengths.write(writer);
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let (shape, length) = (reader.number()?, reader.number()?);
        Ok(Self {
            shape: match shape {
                0 => Shape::Packed,
                1 if (1..=MAX_RECORD as u64).contains(&length) => {
                    Shape::PackedUniform(length as usize)
                }
                2 => Shape::Lines,
                _ => return Err(DAMAGED),
            },
            lengths: Lengths::read(reader)?,
        })
    }
}

/// A line without control characters.
struct CleanLine<'a> {
    /// The bytes before the line end.
    record: &'a [u8],
    length_with_end: usize,
    survey: Survey,
}

#[derive(Debug, Clone, Copy, Default)]
enum RecordSpan {
    #[default]
    Nowhere,
    Head(usize, usize),
    Block(usize, usize),
}

impl Splitter {
    /// Takes the next block. The previous block must be consumed.
    pub(crate) fn push(&mut self, block: Vec<u8>) {
        self.save_rest();
        self.block = block;
        self.block_at = 0;
        self.controls.restart();
    }

    /// Marks the end of the input.
    pub(crate) fn finish(&mut self) {
        self.ended = true;
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }

    pub(crate) fn shape(&self) -> Shape {
        self.shape
    }

    /// Returns whether the input began with the byte order mark of UTF-8, which is skipped.
    pub(crate) fn has_byte_order_mark(&self) -> bool {
        self.has_byte_order_mark
    }

    /// Returns whether the input has no line ends and ends in the middle of a record.
    pub(crate) fn is_cut_off(&self) -> bool {
        self.is_cut_off
    }

    /// Returns how many lines end with more than one CR. All of these are removed.
    pub(crate) fn repeated_returns(&self) -> Occurrences {
        self.repeated_returns
    }

    /// Creates the splitter of a part of the input, which begins with a record.
    pub(crate) fn of_part(start: SplitterStart) -> Self {
        Self {
            shape: start.shape,
            lengths: start.lengths,
            ..Self::default()
        }
    }

    /// Returns what the splitter of a part that begins here must know, or `None` if a record's end there would depend on
    /// bytes of another part.
    pub(crate) fn start_of_part(&self) -> Option<SplitterStart> {
        let is_known = match self.shape {
            Shape::Unknown => false,
            Shape::Lines => true,
            Shape::Packed | Shape::PackedUniform(_) => self.lengths.are_known(),
        };
        (is_known && !self.ended).then_some(SplitterStart {
            shape: self.shape,
            lengths: self.lengths,
        })
    }

    /// Returns the bytes that were not read as records, and removes them.
    pub(crate) fn take_rest(&mut self) -> Vec<u8> {
        self.save_rest();
        let rest = self.head.split_off(self.head_at.min(self.head.len()));
        self.head.clear();
        self.head_at = 0;
        self.searched = 0;
        self.span = RecordSpan::Nowhere;
        rest
    }

    /// Returns the number of bytes that were not read as records.
    pub(crate) fn rest(&self) -> usize {
        self.head.len() - self.head_at + (self.block.len() - self.block_at)
    }

    /// Moves past the records of a block. Returns how many bytes at its end belong to a record that is not complete.
    pub(crate) fn walk(&mut self, block: Vec<u8>) -> Result<u64, Error> {
        self.push(block);
        while self.next()? == Step::Record {}
        Ok(self.rest() as u64)
    }

    /// Returns the number of records so far.
    pub(crate) fn records(&self) -> u64 {
        self.line
    }

    /// Writes what a part says about the input, and begins the next part.
    pub(crate) fn take_part(&mut self, start: SplitterStart, writer: &mut Writer) {
        writer.number(self.line);
        writer.number(self.next_offset);
        writer.flag(self.is_cut_off);
        writer.seen(self.repeated_returns);
        *self = Self::of_part(start);
    }

    /// Adds what [`take_part`](Self::take_part) has written of the part that begins here.
    pub(crate) fn add_part(&mut self, reader: &mut Reader<'_>) -> Result<(), Error> {
        let (records, bytes) = (reader.number()?, reader.number()?);
        self.is_cut_off |= reader.flag()?;
        self.repeated_returns.add_part(reader.seen()?, self.line);
        self.line = self.line.saturating_add(records);
        self.next_offset = self.next_offset.saturating_add(bytes);
        Ok(())
    }

    /// Returns the current record without its line end.
    #[inline]
    pub(crate) fn record(&self) -> &[u8] {
        match self.span {
            RecordSpan::Nowhere => &[],
            RecordSpan::Head(from, to) => self.head.get(from..to).unwrap_or_default(),
            RecordSpan::Block(from, to) => self.block.get(from..to).unwrap_or_default(),
        }
    }

    /// Returns what was found in the current record while its end was searched; `None` if only the end was.
    #[inline]
    pub(crate) fn survey(&self) -> Option<Survey> {
        self.survey
    }

    /// Returns the position of the current record.
    #[inline]
    pub(crate) fn position(&self) -> Position {
        Position {
            line: self.line,
            offset: self.offset,
        }
    }

    /// Moves to the next record. Blank lines are skipped.
    #[inline]
    pub(crate) fn next(&mut self) -> Result<Step, Error> {
        self.next_after(|_, _| false)
    }

    /// Moves to the next record after those for which `skip` returns true. It gets records that are lines within the block
    /// and have no control characters, without their ends; others are never skipped.
    #[inline]
    pub(crate) fn next_after(
        &mut self,
        mut skip: impl FnMut(&[u8], Survey) -> bool,
    ) -> Result<Step, Error> {
        // The fast path: the next record is a line within the block.
        if matches!(self.shape, Shape::Lines) && self.head_at >= self.head.len() {
            let mut at = self.block_at;
            let mut line = self.line;
            let mut found = None;
            while let Some(clean) = clean_line(&self.block, at, &mut self.controls) {
                let from = at;
                at += clean.length_with_end;
                line += 1;
                if !skip(clean.record, clean.survey) {
                    found = Some((from, clean.record.len(), clean.survey));
                    break;
                }
            }
            let before = self.next_offset;
            self.next_offset += (at - self.block_at) as u64;
            let block_at = std::mem::replace(&mut self.block_at, at);
            self.line = line;
            if let Some((from, length, survey)) = found {
                self.span = RecordSpan::Block(from, from + length);
                self.survey = Some(survey);
                self.offset = before + (from - block_at) as u64;
                return Ok(Step::Record);
            }
        }
        self.survey = None;
        self.next_anywhere()
    }

    /// Moves to the next record in any shape, also across blocks.
    fn next_anywhere(&mut self) -> Result<Step, Error> {
        self.span = RecordSpan::Nowhere;
        loop {
            let step = match self.shape {
                Shape::Unknown => self.detect()?,
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

    /// Detects the shape from the first bytes, which are collected in `head`.
    fn detect(&mut self) -> Result<Option<Step>, Error> {
        self.save_rest();
        if !self.has_byte_order_mark {
            if self.head.starts_with(BYTE_ORDER_MARK) {
                self.has_byte_order_mark = true;
                self.head_at = BYTE_ORDER_MARK.len();
                self.next_offset = BYTE_ORDER_MARK.len() as u64;
            } else if BYTE_ORDER_MARK.starts_with(&self.head) && !self.ended {
                return Ok(Some(Step::NeedMore));
            }
        }
        let front = self.head.get(self.head_at..).unwrap_or_default();
        match shape_detection::detect(front, self.ended) {
            None if self.ended => return Ok(Some(Step::End)),
            None => return Ok(Some(Step::NeedMore)),
            Some(shape) => {
                if other_formats::needs_more(front) && !self.ended {
                    return Ok(Some(Step::NeedMore));
                }
                if let Some(format) = other_formats::recognise(front, shape) {
                    return Err(Error::OtherFormat {
                        position: Position { line: 1, offset: 0 },
                        format,
                    });
                }
                self.shape = shape;
            }
        }
        Ok(None)
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
        let returns = returns_at_end(rest.get(..length).unwrap_or_default());
        let to = from + length - returns;
        self.count_returns(returns);
        self.block_at = from + length + 1;
        self.take(RecordSpan::Block(from, to), length, 1)
    }

    /// Reads a line that began in an earlier block.
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
        let returns = returns_at_end(line);
        let to = end - returns;
        self.count_returns(returns);
        self.take(RecordSpan::Head(from, to), end - from, 1)
    }

    /// Handles the end of a block without a line end. The rest of the block is already in `head`.
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
                let returns = returns_at_end(rest);
                let to = self.head.len() - returns;
                self.count_returns(returns);
                self.take(RecordSpan::Head(from, to), length, 0)
            }
        }
    }

    /// Reads the next record of a file without line ends.
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
        // The first three digits give the type. The last record may be cut short.
        let length = match uniform {
            Some(length) if available.len() >= 3 => {
                shape_detection::known_type(available).map(|_| Some(length))
            }
            _ if available.len() >= 3 => {
                shape_detection::known_type(available).map(|table| self.lengths.of(table))
            }
            _ if self.ended => Some(Some(available.len())),
            _ => Some(None),
        };
        let Some(length) = length else {
            return self.next_padding();
        };
        if let Some(length) = length
            && available.len() >= length
        {
            let span = if in_head {
                self.head_at += length;
                RecordSpan::Head(from, from + length)
            } else {
                self.block_at += length;
                RecordSpan::Block(from, from + length)
            };
            return self.take(span, length, 0);
        }
        self.gather(length)
    }

    /// Moves enough bytes into `head` for the next record, or detects the length of its type.
    #[cold]
    fn gather(&mut self, length: Option<usize>) -> Result<Option<Step>, Error> {
        let rest = self.block.len() - self.block_at;
        let have = self.head.len() - self.head_at;
        let wanted = match length {
            Some(length) => length.saturating_sub(have),
            None => shape_detection::LOOK_AHEAD,
        };
        if rest > 0 {
            self.bring(wanted.min(rest));
        }
        let have = self.head.len() - self.head_at;
        match length {
            Some(length) if have >= length => Ok(None),
            Some(_) if self.ended => {
                // The file is cut off in the middle of a record. The incomplete record is still read.
                self.is_cut_off = true;
                let from = self.head_at;
                self.head_at = self.head.len();
                self.take(RecordSpan::Head(from, self.head.len()), have, 0)
            }
            Some(_) => Ok(Some(Step::NeedMore)),
            None => {
                let front = self.head.get(self.head_at..).unwrap_or_default();
                // The type has one length; only its digits were missing.
                if shape_detection::known_type(front)
                    .is_some_and(|table| self.lengths.of(table).is_some())
                {
                    return Ok(None);
                }
                match shape_detection::detect_length(front, self.lengths, self.ended) {
                    shape_detection::LengthDecision::Lengths(lengths) => {
                        self.lengths = lengths;
                        Ok(None)
                    }
                    shape_detection::LengthDecision::NeedMore
                        if self.block_at < self.block.len() =>
                    {
                        Ok(None)
                    }
                    shape_detection::LengthDecision::NeedMore => Ok(Some(Step::NeedMore)),
                    shape_detection::LengthDecision::LookAlike(product) => Err(Error::LookAlike {
                        position: self.upcoming(),
                        product,
                    }),
                    shape_detection::LengthDecision::LostTrack => {
                        Err(Error::LostTrack(self.upcoming()))
                    }
                }
            }
        }
    }

    /// Takes the rest of a file without line ends as one record if it is only padding.
    #[cold]
    fn next_padding(&mut self) -> Result<Option<Step>, Error> {
        self.save_rest();
        let rest = self.head.get(self.head_at..).unwrap_or_default();
        if rest.len() > MAX_RECORD || !is_padding(rest) {
            return Err(Error::LostTrack(self.upcoming()));
        }
        if !self.ended {
            return Ok(Some(Step::NeedMore));
        }
        let (from, length) = (self.head_at, rest.len());
        self.head_at = self.head.len();
        self.take(RecordSpan::Head(from, self.head.len()), length, 0)
    }

    fn count_returns(&mut self, returns: usize) {
        if returns > 1 {
            self.repeated_returns.add(self.line + 1);
        }
    }

    /// Skips line ends between records in a file that should have none. Returns whether there were any.
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

    /// Makes `length` bytes the current record, followed by a line end of `line_end` bytes.
    fn take(
        &mut self,
        span: RecordSpan,
        length: usize,
        line_end: usize,
    ) -> Result<Option<Step>, Error> {
        if length > MAX_RECORD {
            return Err(Error::RecordTooLong(self.upcoming()));
        }
        self.span = span;
        self.offset = self.next_offset;
        self.next_offset += (length + line_end) as u64;
        Ok(Some(Step::Record))
    }

    /// Moves the rest of the block to `head`.
    fn save_rest(&mut self) {
        let rest = self.block.len() - self.block_at;
        self.bring(rest);
    }

    /// Moves `count` bytes of the block to `head`.
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

    /// Returns the position of the record that is read next.
    fn upcoming(&self) -> Position {
        Position {
            line: self.line + 1,
            offset: self.next_offset,
        }
    }
}

/// Returns the line at `from`, if it lies within the block, is not blank, and has no control characters but those at its end.
#[inline]
fn clean_line<'a>(
    block: &'a [u8],
    from: usize,
    controls: &mut ControlPlaces,
) -> Option<CleanLine<'a>> {
    let (place, is_ascii) = controls.next(block, from)?;
    let end = match block.get(place..)? {
        [b'\n', ..] => 1,
        [b'\r', b'\n', ..] => 2,
        _ => return None,
    };
    let record = block.get(from..place)?;
    // A line that begins with a space may be blank.
    if record.first().is_none_or(|first| *first == b' ') || record.len() > MAX_RECORD {
        return None;
    }
    Some(CleanLine {
        record,
        length_with_end: record.len() + end,
        survey: Survey {
            has_control: false,
            is_ascii,
        },
    })
}

/// Returns how many CR a line ends with.
fn returns_at_end(line: &[u8]) -> usize {
    line.iter().rev().take_while(|byte| **byte == b'\r').count()
}
