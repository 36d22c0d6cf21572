//! One pass over an extract: blocks of bytes in, batches out.

use std::fmt;

use crate::error::Error;
use crate::finding::Finding;
use crate::gate::Gate;
use crate::grammar;
use crate::layout;
use crate::plan::{LeaverTable, Plan};
use crate::schema::{TableId, all_tables};
use crate::selection::Selection;
use crate::split::{Shape, Splitter, Step};
use crate::table::TableBuilder;
use crate::tally::{Class, Tally, TypeSet, iso};
use arrow::array::RecordBatch;

/// Rows in a batch where the caller does not say. Enough to make the cost of a batch small beside that of its
/// rows, few enough for its columns to stay in the processor's cache.
pub const DEFAULT_BATCH_ROWS: usize = 8 * 1024;

/// Rows in a batch at the most.
const MAX_BATCH_ROWS: usize = 1024 * 1024;

/// A batch is handed over when its records have this many bytes, however few rows it has: it keeps offsets
/// within 32 bits and memory bounded.
const MAX_BATCH_BYTES: usize = 8 * 1024 * 1024;

/// A table to scan.
#[derive(Clone, Default)]
pub struct TableRequest {
    /// The table's name.
    pub name: String,
    /// The columns wanted, in this order; none for all of them.
    pub columns: Option<Vec<String>>,
    /// Which rows, for example `status in ('01', '03')`; none for all of them. Under a policy it is judged on what
    /// the policy lets through.
    pub predicate: Option<String>,
}

/// What a scan is asked to do.
#[derive(Debug, Clone, Default)]
pub struct ScanOptions {
    /// The tables wanted; none for all of them.
    pub tables: Option<Vec<TableRequest>>,
    /// Rows in a batch at the most; 0 for [`DEFAULT_BATCH_ROWS`].
    pub batch_rows: usize,
    /// Whether to keep the numbers seen, so that persons without 001 can be found.
    pub check_persons: bool,
    /// The production date of the extract before, `YYYY-MM-DD`.
    pub expected_previous: Option<String>,
}

/// A batch of rows of one table.
#[derive(Clone)]
pub struct TableBatch {
    /// The table.
    pub table: TableId,
    /// The rows.
    pub batch: RecordBatch,
}

/// The start record (000).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// OPGAVENR, as it stands.
    pub task_number: String,
    /// PRODDTO as `YYYY-MM-DD`, if it is a date.
    pub production_date: Option<String>,
    /// PRODDTOFORRIG as `YYYY-MM-DD`, if it is a date.
    pub previous_production_date: Option<String>,
}

/// What a scan has seen so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Bytes read.
    pub bytes: u64,
    /// Records read; blank lines do not count.
    pub records: u64,
    /// How the records are laid out.
    pub shape: Shape,
    /// The start record, if there was one.
    pub start: Option<Start>,
    /// What the end record says is the number of records between start and end.
    pub declared_records: Option<u64>,
    /// Records per table, tables without any left out.
    pub tables: Vec<(TableId, u64)>,
    /// What a person should hear, gravest first.
    pub findings: Vec<Finding>,
}

/// One pass over an extract.
///
/// Call [`next`](Scan::next) until it gives none, then [`push`](Scan::push) the next block or
/// [`finish`](Scan::finish), and so on until it gives none after `finish`. The batches are the same whatever
/// the sizes of the blocks.
pub struct Scan {
    splitter: Splitter,
    tally: Tally,
    /// By place in [`all_tables`]; none for tables that are not wanted.
    builders: Vec<Option<TableBuilder>>,
    /// Types whose records are only counted, if there are any.
    unwanted: Option<TypeSet>,
    batch_rows: usize,
    /// None where every record passes as it stands.
    gate: Option<Gate>,
    /// Who has left, once all else is said; none where nobody asks.
    leavers: Option<LeaverTable>,
    bytes: u64,
    state: State,
}

#[derive(Debug)]
enum State {
    Reading,
    /// All is read, or as much as can be; the builders from this place on are still to be emptied.
    Emptying(usize, Option<Error>),
    Over(Option<Error>),
}

impl fmt::Debug for TableRequest {
    /// Says whether there is a predicate, not which: it can hold a person number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableRequest")
            .field("name", &self.name)
            .field("columns", &self.columns)
            .field("has_predicate", &self.predicate.is_some())
            .finish()
    }
}

impl fmt::Debug for TableBatch {
    /// Says how many rows there are, not what is in them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableBatch")
            .field("table", &self.table.name())
            .field("rows", &self.batch.num_rows())
            .finish()
    }
}

impl fmt::Debug for Scan {
    /// Says how far it is, not what it has read.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scan")
            .field("bytes", &self.bytes)
            .field("records", &self.tally.records)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl Scan {
    /// Begins a scan; with a selection it yields only the records of the persons in it, and of those what the
    /// selection's policy lets through.
    pub fn open(options: &ScanOptions, persons: Option<&Selection>) -> Result<Self, Error> {
        let expected_previous = match &options.expected_previous {
            Some(text) => Some(grammar::date(text.as_bytes()).ok_or_else(|| {
                Error::InvalidRequest(format!("{text:?} is not a date of the form YYYY-MM-DD"))
            })?),
            None => None,
        };
        let batch_rows = match options.batch_rows {
            0 => DEFAULT_BATCH_ROWS,
            rows => rows.min(MAX_BATCH_ROWS),
        };
        let chosen = persons.map(Selection::chosen).transpose()?;
        let Plan {
            builders,
            gate,
            leavers,
        } = Plan::new(options.tables.as_deref(), chosen)?;
        let is_unwanted = |place| matches!(builders.get(place), Some(None));
        Ok(Self {
            splitter: Splitter::default(),
            tally: Tally::new(options.check_persons, expected_previous),
            unwanted: Some(TypeSet::keyed(is_unwanted)).filter(|types| !types.is_empty()),
            builders,
            batch_rows,
            gate,
            leavers,
            bytes: 0,
            state: State::Reading,
        })
    }

    /// Takes the next bytes.
    pub fn push(&mut self, block: Vec<u8>) -> Result<(), Error> {
        if self.splitter.has_ended() {
            return Err(Error::Misuse("push after finish: open another scan"));
        }
        if matches!(self.state, State::Reading) {
            self.bytes += block.len() as u64;
            self.splitter.push(block);
        }
        Ok(())
    }

    /// Says that there are no more bytes.
    pub fn finish(&mut self) -> Result<(), Error> {
        if self.splitter.has_ended() {
            return Err(Error::Misuse("finish was called before"));
        }
        self.splitter.finish();
        Ok(())
    }

    /// The next batch; none when more bytes are needed, or after [`finish`](Scan::finish) when all is said.
    ///
    /// What was read before an error comes first, then the error, and then the error again.
    #[expect(
        clippy::should_implement_trait,
        reason = "none means two things here, and an iterator's only one"
    )]
    pub fn next(&mut self) -> Result<Option<TableBatch>, Error> {
        loop {
            match &mut self.state {
                State::Reading => match self.read() {
                    Ok(Some(full)) => return self.take(full).map(Some),
                    Ok(None) if self.splitter.has_ended() => {
                        self.tally.complete();
                        self.state = State::Emptying(0, None);
                    }
                    Ok(None) => return Ok(None),
                    Err(error) => {
                        if let Error::LookAlike { position, product } = error {
                            self.tally.found_look_alike(position, product);
                        }
                        self.state = State::Emptying(0, Some(error));
                    }
                },
                State::Emptying(next, error) => {
                    let rows_left = |builder: &Option<TableBuilder>| {
                        builder.as_ref().is_some_and(|builder| builder.rows() > 0)
                    };
                    let rest = self.builders.iter().skip(*next).position(rows_left);
                    match rest {
                        Some(skipped) => {
                            let place = *next + skipped;
                            *next = place + 1;
                            return self.take(place).map(Some);
                        }
                        // Nobody has left an extract that could not be read to its end.
                        None if error.is_some() => self.state = State::Over(error.take()),
                        None => match self.take_leavers()? {
                            Some(batch) => return Ok(Some(batch)),
                            None => self.state = State::Over(None),
                        },
                    }
                }
                State::Over(Some(error)) => return Err(error.clone()),
                State::Over(None) => return Ok(None),
            }
        }
    }

    /// What the scan has seen so far. Whatever can only be told at the end is in it once all is read.
    pub fn summary(&self) -> Summary {
        let irregular = self.builders.iter().flatten().flat_map(|builder| {
            let record_type = builder.id().record_type().unwrap_or_default();
            builder
                .irregular_values()
                .map(move |(column, seen)| (record_type, column, seen))
        });
        Summary {
            bytes: self.bytes,
            records: self.tally.records,
            shape: self.splitter.shape(),
            start: self.tally.start.as_ref().map(|start| Start {
                task_number: start.task_number.clone(),
                production_date: start.production_date.map(iso),
                previous_production_date: start.previous_production_date.map(iso),
            }),
            declared_records: self.tally.declared_records(),
            tables: all_tables()
                .zip(self.tally.by_table.iter().copied())
                .filter(|(_, records)| *records > 0)
                .collect(),
            findings: self.tally.findings(
                self.splitter.has_mark(),
                self.splitter.is_cut_off(),
                irregular.collect(),
            ),
        }
    }

    /// Reads on until a table's batch is full (its place) or more bytes are needed (none).
    fn read(&mut self) -> Result<Option<usize>, Error> {
        loop {
            if let Some(unwanted) = &self.unwanted
                && self.tally.can_pass()
            {
                let tally = &mut self.tally;
                self.splitter.skip_lines(|line| tally.pass(unwanted, line));
            }
            if self.splitter.next()? != Step::Record {
                return Ok(None);
            }
            let position = self.splitter.position();
            let record = self.splitter.record();
            let class = self.tally.enter(record, position)?;
            let place = match class {
                Class::Known(index) => index,
                Class::Unknown(_) => UNKNOWN,
                Class::Rejected(_) => REJECTED,
            };
            let Some(Some(builder)) = self.builders.get_mut(place) else {
                continue;
            };
            let mask = match &mut self.gate {
                None => None,
                Some(gate) => match gate.pass(class, place, record, position.line) {
                    None => continue,
                    mask => mask,
                },
            };
            match (class, builder.id()) {
                (Class::Known(_), TableId::Layout(table)) => match mask {
                    None => builder.push_record(table, record, position.line),
                    Some(mask) => builder.push_masked(table, record, position.line, mask),
                },
                (Class::Rejected(reason), _) => {
                    builder.push_raw(reason.name().as_bytes(), record, position.line);
                }
                _ => {
                    let record_type = record.get(..3).unwrap_or_default();
                    builder.push_raw(record_type, record, position.line);
                }
            }
            if builder.rows() >= self.batch_rows || builder.bytes() >= MAX_BATCH_BYTES {
                return Ok(Some(place));
            }
        }
    }

    fn take(&mut self, place: usize) -> Result<TableBatch, Error> {
        let builder = self.builders.get_mut(place).and_then(Option::as_mut);
        let builder = builder.ok_or(Error::Internal)?;
        Ok(TableBatch {
            table: builder.id(),
            batch: builder.take().map_err(|_| Error::Internal)?,
        })
    }

    fn take_leavers(&mut self) -> Result<Option<TableBatch>, Error> {
        let Some(leavers) = &mut self.leavers else {
            return Ok(None);
        };
        let batch = leavers.next(self.batch_rows)?;
        Ok(batch.map(|batch| TableBatch {
            table: TableId::OutOfScope,
            batch,
        }))
    }
}

/// Places in [`all_tables`] of the two tables that are no record type's.
const UNKNOWN: usize = layout::tables().len();
const REJECTED: usize = UNKNOWN + 1;
