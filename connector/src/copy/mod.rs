//! Copies an extract without the records of some persons.
//!
//! A copied record keeps all its bytes, its line end included. The copy is made in one pass: bytes go in and come out.

mod decide;
mod section;
#[cfg(test)]
mod tests;

use std::fmt;

use roaring::RoaringTreemap;

use crate::columns::schema::{TableId, all_tables, table_count};
use crate::error::{Error, Position};
use crate::grammar;
use crate::input::{Splitter, Step};
use crate::layout;
use crate::record::{END, RecordClass, START, classify, pnr_number};
use crate::selection::read_superseded;
use decide::{Decision, Rules};
use section::Section;

/// What a copy leaves out.
#[derive(Clone, Default)]
pub struct CopyOptions {
    /// The persons who are erased, ten digits each. All their records are left out, and every line that belongs to no
    /// person and holds one of the numbers.
    pub erased: Vec<String>,
    /// The persons whose records are superseded, as
    /// [`Selection::superseded_persons`](crate::Selection::superseded_persons) returned them. Their records are left
    /// out, but not their events (099).
    pub superseded: Option<Vec<u8>>,
    /// Whether the erased persons are blanked in the records of others: all columns about them, and their numbers in
    /// texts.
    pub blank_references: bool,
}

impl fmt::Debug for CopyOptions {
    /// Shows how many persons there are, but not their numbers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CopyOptions")
            .field("erased", &self.erased.len())
            .field("has_superseded", &self.superseded.is_some())
            .field("blank_references", &self.blank_references)
            .finish()
    }
}

/// What a copy has left out or changed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CopyReport {
    /// The number of records copied, start and end record included.
    pub copied: u64,
    /// The number of records left out, by table, without tables that have none.
    pub left_out: Vec<(TableId, u64)>,
    /// The number of copied records that hold an erased number.
    pub referring: u64,
    /// The number of copied records in which erased persons were blanked.
    pub blanked: u64,
}

/// A copy of one extract without some of its records.
///
/// Call [`next`](Self::next) until it returns `None`, then [`push`](Self::push) the next block or call
/// [`finish`](Self::finish). Repeat this until `next` returns `None` after `finish`.
pub struct ExtractCopy {
    splitter: Splitter,
    rules: Rules,
    /// The bytes of the extract that are not copied yet.
    raw: Vec<u8>,
    /// The offset of the first of them in the extract.
    raw_offset: u64,
    /// The record whose end is not known yet.
    pending: Option<Pending>,
    section: Section,
    out: Vec<u8>,
    copied: u64,
    /// Records left out, by index in [`all_tables`].
    left_out: Vec<u64>,
    referring: u64,
    blanked: u64,
    is_finished: bool,
}

/// A record that was read. It ends where the next one begins, so that line ends and blank lines go with it.
struct Pending {
    offset: u64,
    length: usize,
    is_end: bool,
    decision: Decision,
}

impl fmt::Debug for ExtractCopy {
    /// Shows the progress, without any data of the extract.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExtractCopy")
            .field("copied", &self.copied)
            .finish_non_exhaustive()
    }
}

impl ExtractCopy {
    /// Begins a copy. Fails if a number is not ten digits or the list of superseded persons cannot be read.
    pub fn open(options: &CopyOptions) -> Result<Self, Error> {
        let mut erased = RoaringTreemap::new();
        for (index, number) in options.erased.iter().enumerate() {
            let is_person = grammar::is_code(number, 10) && number.bytes().any(|b| b != b'0');
            if !is_person {
                return Err(Error::InvalidRequest(format!(
                    "entry {} of the list of erased person numbers is not the ten digits of a person number",
                    index + 1
                )));
            }
            erased.insert(pnr_number(number.as_bytes()));
        }
        let superseded = match &options.superseded {
            Some(bytes) => read_superseded(bytes)?,
            None => RoaringTreemap::new(),
        };
        Ok(Self {
            splitter: Splitter::default(),
            rules: Rules {
                erased,
                superseded,
                blanks: options.blank_references,
            },
            raw: Vec::new(),
            raw_offset: 0,
            pending: None,
            section: Section::default(),
            out: Vec::new(),
            copied: 0,
            left_out: vec![0; table_count()],
            referring: 0,
            blanked: 0,
            is_finished: false,
        })
    }

    /// Takes the next bytes of the extract. Fails after [`finish`](Self::finish).
    ///
    /// After an error in the data the copy is of no use.
    pub fn push(&mut self, block: Vec<u8>) -> Result<(), Error> {
        if self.is_finished {
            return Err(Error::Misuse("push after finish: open another copy"));
        }
        self.raw.extend_from_slice(&block);
        self.splitter.push(block);
        self.read()
    }

    /// Marks the end of the extract. Fails if it is called twice.
    pub fn finish(&mut self) -> Result<(), Error> {
        if self.is_finished {
            return Err(Error::Misuse("finish was already called"));
        }
        self.is_finished = true;
        self.splitter.finish();
        self.read()?;
        let end = self.raw_offset + self.raw.len() as u64;
        self.copy_until(end);
        self.section.release(&mut self.out);
        Ok(())
    }

    /// Returns the next bytes of the copy. `None` means that more bytes are needed or, after [`finish`](Self::finish),
    /// that the copy is complete.
    #[expect(
        clippy::should_implement_trait,
        reason = "None can also mean that more bytes are needed, so this is not an iterator"
    )]
    pub fn next(&mut self) -> Option<Vec<u8>> {
        (!self.out.is_empty()).then(|| std::mem::take(&mut self.out))
    }

    /// Returns what was left out and changed so far.
    pub fn report(&self) -> CopyReport {
        let left_out = all_tables().zip(self.left_out.iter().copied());
        CopyReport {
            copied: self.copied,
            left_out: left_out.filter(|(_, records)| *records > 0).collect(),
            referring: self.referring,
            blanked: self.blanked,
        }
    }

    fn read(&mut self) -> Result<(), Error> {
        while self.splitter.next()? == Step::Record {
            let position = self.splitter.position();
            self.copy_until(position.offset);
            let record = self.splitter.record();
            let class = classify(record);
            let is_end = class == RecordClass::Known(END);
            if class == RecordClass::Known(START) {
                self.section.release(&mut self.out);
                self.section = Section::default();
            } else if is_end {
                self.section.release(&mut self.out);
                self.section.begin_end(record);
            } else if self.section.ends_before(class, record) {
                self.section.release(&mut self.out);
            }
            let decision = self.rules.decide(class, record, position)?;
            let is_left_out = matches!(decision, Decision::LeaveOut);
            if class != RecordClass::Known(START) && !is_end {
                self.section.count(is_left_out);
            }
            if is_left_out {
                let index = table_of(class);
                if let Some(count) = self.left_out.get_mut(index) {
                    *count += 1;
                }
            } else {
                self.copied += 1;
            }
            match &decision {
                Decision::Copy { refers } => self.referring += u64::from(*refers),
                Decision::Blank(_) => self.blanked += 1,
                Decision::LeaveOut => {}
            }
            self.pending = Some(Pending {
                offset: position.offset,
                length: record.len(),
                is_end,
                decision,
            });
        }
        // What is copied is dropped once for each block.
        let next = self
            .pending
            .as_ref()
            .map_or(self.raw_offset, |one| one.offset);
        let copied = usize::try_from(next - self.raw_offset).unwrap_or_default();
        self.raw.drain(..copied.min(self.raw.len()));
        self.raw_offset = next;
        Ok(())
    }

    /// Copies or leaves out the record that ends at this offset, or the bytes before the first record.
    fn copy_until(&mut self, end: u64) {
        let at = |offset: u64| usize::try_from(offset - self.raw_offset).unwrap_or(usize::MAX);
        let Some(pending) = self.pending.take() else {
            let head = self.raw.get(..at(end)).unwrap_or_default();
            self.out.extend_from_slice(head);
            // The head is copied only once.
            self.raw.drain(..head.len());
            self.raw_offset = end;
            return;
        };
        let bytes = self
            .raw
            .get(at(pending.offset)..at(end))
            .unwrap_or_default();
        let sink = self.section.sink(pending.is_end, &mut self.out);
        match pending.decision {
            Decision::LeaveOut => {}
            Decision::Copy { .. } => sink.extend_from_slice(bytes),
            Decision::Blank(record) => {
                sink.extend_from_slice(&record);
                sink.extend_from_slice(bytes.get(pending.length..).unwrap_or_default());
            }
        }
    }
}

/// Returns the index in [`all_tables`] of the table of a record.
fn table_of(class: RecordClass) -> usize {
    match class {
        RecordClass::Known(index) => index,
        RecordClass::Unknown(_) => layout::tables().len(),
        RecordClass::Rejected(_) => layout::tables().len() + 1,
    }
}

/// Creates the error of a copy that cannot tell the records of two persons apart.
fn not_separable(position: Position, why: &'static str) -> Error {
    Error::NotSeparable { position, why }
}
