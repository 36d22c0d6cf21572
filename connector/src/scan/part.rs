//! Scans of parts of an extract, which run at the same time in several instances.
//!
//! One scan, the main scan, reads the beginning of the extract. [`Scan::begin_parts`] then tells what a scan of a later
//! part must know. Scans of [`Scan::open_part`] read the parts in any order, and the main scan takes what they have counted
//! in the order of the extract. It refuses a part that depends on the records before it, and then reads on by itself. So
//! rows, findings and errors are those of one scan.

use super::irregular::IrregularCounts;
use super::options::ScanOptions;
use super::{Scan, State, with_rows};
use crate::columns::TableBuilder;
use crate::error::Error;
use crate::input::{PartStart, Splitter, SplitterStart};
use crate::selection::Selection;
use crate::stats::{ScanStats, StatsStart};
use crate::wire::{Reader, Writer};

/// What a scan of a part knows of the records before it.
#[derive(Debug, Clone, Copy)]
pub(super) struct PartContext {
    splitter: SplitterStart,
    stats: StatsStart,
}

impl PartContext {
    fn write(self) -> Vec<u8> {
        let mut writer = Writer::default();
        self.splitter.write(&mut writer);
        self.stats.write(&mut writer);
        writer.into_bytes()
    }

    fn read(bytes: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(bytes);
        let context = Self {
            splitter: SplitterStart::read(&mut reader)?,
            stats: StatsStart::read(&mut reader)?,
        };
        reader.end()?;
        Ok(context)
    }
}

impl Scan {
    /// Leaves the records that follow to scans of parts. Returns `None` if the extract cannot be divided here.
    ///
    /// Call it after [`next`](Self::next) has returned `None`. Afterwards `next` returns the rows that were read so far.
    pub fn begin_parts(&mut self) -> Result<Option<PartStart>, Error> {
        let is_reading = matches!(self.state, State::Reading) && !self.is_finished;
        if !is_reading || self.extracts.is_some() || self.part.is_some() {
            return Ok(None);
        }
        let starts = (self.splitter.start_of_part(), self.stats.start_of_part());
        let (Some(splitter), Some(stats)) = starts else {
            return Ok(None);
        };
        let rest = self.splitter.take_rest();
        self.bytes -= rest.len() as u64;
        self.state = State::Flushing(0);
        Ok(Some(PartStart {
            context: PartContext { splitter, stats }.write(),
            rest,
            has_line_ends: splitter.has_line_ends(),
        }))
    }

    /// Begins a scan of parts. The options and the selection are those of the main scan.
    ///
    /// Each part begins with a record: after a line end, or where [`walk`](Self::walk) says. [`push`](Self::push) takes
    /// its bytes, and [`end_part`](Self::end_part) marks its end. Then [`next`](Self::next) returns its rows until it
    /// returns `None`, and [`take_part`](Self::take_part) returns what was counted. The next part can follow.
    ///
    /// Lines are counted from the beginning of the part. No rows of persons who have left the scope are returned.
    pub fn open_part(
        options: &ScanOptions,
        persons: Option<&Selection>,
        context: &[u8],
    ) -> Result<Self, Error> {
        let context = PartContext::read(context)?;
        let mut scan = Self::open(options, persons)?;
        scan.splitter = Splitter::of_part(context.splitter);
        scan.stats = ScanStats::of_part(context.stats);
        scan.scope_tables.clear();
        scan.part = Some(context);
        Ok(scan)
    }

    /// Marks the end of the part.
    pub fn end_part(&mut self) -> Result<(), Error> {
        if self.part.is_none() {
            return Err(NO_PART);
        }
        self.splitter.finish();
        Ok(())
    }

    /// Returns what was counted in the part, for [`add_part`](Self::add_part) of the main scan, and begins the next part.
    pub fn take_part(&mut self) -> Result<Vec<u8>, Error> {
        let context = self.part.ok_or(NO_PART)?;
        let is_over = matches!(self.state, State::Reading) && self.splitter.has_ended();
        if !is_over || with_rows(&self.builders, 0).is_some() {
            return Err(Error::Misuse(
                "the part has not ended: call end-part, and next until it returns none",
            ));
        }
        let mut irregular = IrregularCounts::default();
        for (table, builder) in self.builders.iter_mut().enumerate() {
            let taken = builder.as_mut().map(TableBuilder::take_irregular);
            for (column, seen) in taken.into_iter().flatten() {
                irregular.add(table, column, seen, 0);
            }
        }
        let mut writer = Writer::default();
        writer.number(std::mem::take(&mut self.bytes));
        self.stats.take_part(context.stats, &mut writer)?;
        irregular.write(&mut writer);
        self.splitter.take_part(context.splitter, &mut writer);
        Ok(writer.into_bytes())
    }

    /// Adds what was counted in the next part, and returns the number of records before it: the lines of its rows begin
    /// after that.
    ///
    /// Returns `None` if the part depends on what was read before it, or has been read by a scan of other options. Then
    /// [`push`](Self::push) must take its bytes and all that follow.
    pub fn add_part(&mut self, part: &[u8]) -> Result<Option<u64>, Error> {
        let is_reading = matches!(self.state, State::Reading) && !self.is_finished;
        if !is_reading || self.part.is_some() || self.splitter.rest() > 0 {
            return Err(Error::Misuse(
                "the scan has not left its records to parts: call begin-parts, and next until it returns none",
            ));
        }
        let mut reader = Reader::new(part);
        let bytes = reader.number()?;
        let stats = ScanStats::read_part(&mut reader)?;
        if !self.stats.accepts(&stats) {
            return Ok(None);
        }
        let irregular = IrregularCounts::read(&mut reader)?;
        let lines = self.splitter.records();
        self.splitter.add_part(&mut reader)?;
        reader.end()?;
        self.stats.add_part(stats, lines);
        self.irregular_of_parts.add_part(irregular, lines);
        self.bytes = self.bytes.saturating_add(bytes);
        Ok(Some(lines))
    }

    /// Moves past the records of a block without reading them, in a scan of parts. Returns how many bytes at the end of
    /// the block belong to a record that is not complete: a part can end before them.
    ///
    /// It finds the records of an extract without line ends. A scan that walks does nothing else.
    pub fn walk(&mut self, block: Vec<u8>) -> Result<u64, Error> {
        if self.part.is_none() {
            return Err(NO_PART);
        }
        self.splitter.walk(block)
    }
}

const NO_PART: Error = Error::Misuse("the scan is not one of parts: open it with open-part");
