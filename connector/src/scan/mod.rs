//! Scans an extract in one pass: takes blocks of bytes, returns Arrow batches.

mod irregular;
mod options;
mod part;
mod plan;
mod row_filter;
mod scope_rows;
mod state;
mod state_rows;
#[cfg(test)]
mod tests;

use std::fmt;

use crate::columns::TableBuilder;
use crate::columns::schema::{TableId, all_tables};
use crate::error::Error;
use crate::grammar;
use crate::input::{Splitter, Step};
use crate::layout;
use crate::record::{RecordClass, RecordTypes};
use crate::selection::Selection;
use crate::stats::ScanStats;
use crate::value::iso_date;

use irregular::IrregularCounts;
pub use options::{DEFAULT_BATCH_ROWS, ScanOptions, Start, Summary, TableBatch, TableRequest};
use part::PartContext;
use plan::{Plan, ScopeTable};
use row_filter::RowFilter;
use state::StateRun;

/// The largest number of rows in a batch.
const MAX_BATCH_ROWS: usize = 1024 * 1024;

/// A batch is returned when its records have this many bytes, even if it has few rows. This keeps offsets within 32
/// bits and limits memory.
const MAX_BATCH_BYTES: usize = 8 * 1024 * 1024;

/// One pass over an extract.
///
/// Call [`next`](Scan::next) until it returns `None`, then [`push`](Scan::push) the next block or call
/// [`finish`](Scan::finish). Repeat this until `next` returns `None` after `finish`. The batches do not depend on the
/// sizes of the blocks.
pub struct Scan {
    splitter: Splitter,
    stats: ScanStats,
    /// The builders by index in [`all_tables`]; `None` for tables that are not requested.
    builders: Vec<Option<TableBuilder>>,
    /// The types whose records are only counted, all of them or those that do not meet a condition; `None` if there are no
    /// such types.
    counted_only: Option<RecordTypes>,
    batch_rows: usize,
    /// `None` if every record is returned unchanged.
    row_filter: Option<RowFilter>,
    /// The requested tables of persons who have left or come into the scope, returned last.
    scope_tables: Vec<ScopeTable>,
    /// The progress through the extracts of a state; `None` for a single extract.
    extracts: Option<StateRun>,
    /// What the scan knows of the records before its part; `None` for a scan that begins at the first record.
    part: Option<PartContext>,
    /// The irregular values of the parts that other scans have read.
    irregular_of_parts: IrregularCounts,
    bytes: u64,
    /// Whether [`finish`](Self::finish) was called.
    is_finished: bool,
    state: State,
}

#[derive(Debug)]
enum State {
    Reading,
    /// The builders from this index on still have rows to return. Then reading goes on.
    Flushing(usize),
    /// Reading has ended, perhaps with an error. The builders from this index on still have rows to return.
    Emptying(usize, Option<Error>),
    Over(Option<Error>),
}

impl fmt::Debug for Scan {
    /// Shows the progress, without any data of the extract.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scan")
            .field("bytes", &self.bytes)
            .field("records", &self.stats.records)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl Scan {
    /// Begins a scan. With a finished selection it returns only the records of the selected persons, and only what the
    /// selection's policy lets through.
    ///
    /// Fails if the options name a table, column or condition that does not exist or is hidden, or if the selection is
    /// not finished.
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
            row_filter,
            scope_tables,
        } = Plan::new(options.tables.as_deref(), chosen)?;
        let is_unwanted = |index| {
            let is_requested = builders.get(index).is_none_or(Option::is_some);
            let has_condition = |filter: &RowFilter| filter.can_sort_out(index);
            !is_requested || row_filter.as_ref().is_some_and(has_condition)
        };
        Ok(Self {
            splitter: Splitter::default(),
            stats: ScanStats::new(options.check_persons, expected_previous),
            counted_only: Some(RecordTypes::keyed(is_unwanted)).filter(|types| !types.is_empty()),
            builders,
            batch_rows,
            row_filter,
            scope_tables,
            extracts: chosen
                .and_then(|chosen| chosen.state.as_ref())
                .map(StateRun::new),
            part: None,
            irregular_of_parts: IrregularCounts::default(),
            bytes: 0,
            is_finished: false,
            state: State::Reading,
        })
    }

    /// Takes the next bytes. Fails after [`finish`](Scan::finish).
    pub fn push(&mut self, block: Vec<u8>) -> Result<(), Error> {
        if self.is_finished {
            return Err(Error::Misuse("push after finish: open another scan"));
        }
        if let Some(extracts) = &self.extracts {
            extracts.check_open()?;
        }
        if matches!(self.state, State::Reading) {
            self.bytes += block.len() as u64;
            self.splitter.push(block);
        }
        Ok(())
    }

    /// Marks the end of the input. Fails if it is called twice.
    pub fn finish(&mut self) -> Result<(), Error> {
        if self.is_finished {
            return Err(Error::Misuse("finish was already called"));
        }
        if let Some(extracts) = &self.extracts {
            extracts.check_complete()?;
        }
        self.is_finished = true;
        self.splitter.finish();
        Ok(())
    }

    /// Returns the next batch. `None` means that more bytes are needed or, after [`finish`](Scan::finish), that the
    /// scan has ended.
    ///
    /// After an error in the data, the rows before it are returned first. The error follows and is then repeated.
    #[expect(
        clippy::should_implement_trait,
        reason = "None can also mean that more bytes are needed, so this is not an iterator"
    )]
    pub fn next(&mut self) -> Result<Option<TableBatch>, Error> {
        loop {
            match &mut self.state {
                State::Reading => match self.read() {
                    Ok(Some(full)) => return self.take(full).map(Some),
                    Ok(None) if self.part.is_some() && self.splitter.has_ended() => {
                        self.state = State::Flushing(0);
                    }
                    Ok(None) if self.splitter.has_ended() && !self.is_finished => {
                        self.leave_extract();
                        return Ok(None);
                    }
                    Ok(None) if self.is_finished => {
                        self.stats.complete();
                        self.state = State::Emptying(0, None);
                    }
                    Ok(None) => return Ok(None),
                    Err(error) => {
                        if let Error::LookAlike { position, product } = error {
                            self.stats.set_look_alike(position, product);
                        }
                        self.state = State::Emptying(0, Some(error));
                    }
                },
                State::Flushing(next) => match with_rows(&self.builders, *next) {
                    Some(index) => {
                        *next = index + 1;
                        return self.take(index).map(Some);
                    }
                    None => {
                        self.state = State::Reading;
                        return Ok(None);
                    }
                },
                State::Emptying(next, error) => {
                    match with_rows(&self.builders, *next) {
                        Some(index) => {
                            *next = index + 1;
                            return self.take(index).map(Some);
                        }
                        // Leavers are not reported for an extract that could not be read to its end.
                        None if error.is_some() => self.state = State::Over(error.take()),
                        None => match self.take_scope_rows()? {
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

    /// Returns what the scan has read so far. Findings about the end of the extract are included once all is read.
    pub fn summary(&mut self) -> Summary {
        if let Some(extracts) = &self.extracts {
            return extracts.summary(&self.stats, self.bytes, self.splitter.shape());
        }
        let builders = self.builders.iter_mut().flatten();
        builders.for_each(TableBuilder::convert);
        let mut irregular = self.irregular_of_parts.clone();
        for (table, builder) in self.builders.iter().enumerate() {
            for (column, seen) in builder.iter().flat_map(TableBuilder::irregular_values) {
                irregular.add(table, column, seen, 0);
            }
        }
        Summary {
            bytes: self.bytes,
            records: self.stats.records,
            shape: self.splitter.shape(),
            start: self.stats.start.as_ref().map(|start| Start {
                task_number: start.task_number.clone(),
                production_date: start.production_date.map(iso_date),
                previous_production_date: start.previous_production_date.map(iso_date),
            }),
            declared_records: self.stats.declared_records(),
            tables: all_tables()
                .zip(self.stats.by_table.iter().copied())
                .filter(|(_, records)| *records > 0)
                .collect(),
            findings: self.stats.findings(
                self.splitter.has_byte_order_mark(),
                self.splitter.is_cut_off(),
                self.splitter.repeated_returns(),
                irregular.values(),
            ),
        }
    }

    /// Reads until a table's batch is full, and returns the table's index. Returns `None` if more bytes are needed.
    fn read(&mut self) -> Result<Option<usize>, Error> {
        loop {
            let step = match &self.counted_only {
                Some(counted_only) if self.stats.is_inside() => {
                    let (splitter, stats) = (&mut self.splitter, &mut self.stats);
                    match &self.row_filter {
                        None => next_not_counted(splitter, stats, *counted_only)?,
                        Some(filter) => {
                            next_that_may_return(splitter, stats, *counted_only, filter)?
                        }
                    }
                }
                _ => self.splitter.next()?,
            };
            if step != Step::Record {
                return Ok(None);
            }
            let position = self.splitter.position();
            let record = self.splitter.record();
            let class = match self.stats.add_usual(record, self.splitter.survey()) {
                Some(index) => RecordClass::Known(index),
                None => self.stats.add(record, position)?,
            };
            let index = match class {
                RecordClass::Known(index) => index,
                RecordClass::Unknown(_) => UNKNOWN,
                RecordClass::Rejected(_) => REJECTED,
            };
            let Some(Some(builder)) = self.builders.get_mut(index) else {
                continue;
            };
            let mask = match &mut self.row_filter {
                None => None,
                Some(row_filter) => match row_filter.apply(class, index, record, position.line) {
                    None => continue,
                    mask => mask,
                },
            };
            match (class, builder.id()) {
                (RecordClass::Known(_), TableId::Layout(table)) => match mask {
                    None => builder.push_record(table, record, position.line),
                    Some(mask) => builder.push_masked(table, record, position.line, mask),
                },
                (RecordClass::Rejected(reason), _) => {
                    builder.push_raw(reason.name().as_bytes(), record, position.line);
                }
                _ => {
                    let record_type = record.get(..3).unwrap_or_default();
                    builder.push_raw(record_type, record, position.line);
                }
            }
            if builder.rows() >= self.batch_rows || builder.bytes() >= MAX_BATCH_BYTES {
                return Ok(Some(index));
            }
        }
    }

    fn take(&mut self, index: usize) -> Result<TableBatch, Error> {
        let builder = self.builders.get_mut(index).and_then(Option::as_mut);
        let builder = builder.ok_or(Error::Internal)?;
        Ok(TableBatch {
            table: builder.id(),
            #[cfg(test)]
            lines: builder.lines(),
            batch: builder.take().map_err(|_| Error::Internal)?,
        })
    }

    fn take_scope_rows(&mut self) -> Result<Option<TableBatch>, Error> {
        for table in &mut self.scope_tables {
            if let Some(batch) = table.next(self.batch_rows)? {
                return Ok(Some(TableBatch {
                    table: table.id(),
                    #[cfg(test)]
                    lines: vec![0; batch.num_rows()],
                    batch,
                }));
            }
        }
        Ok(None)
    }
}

/// Moves to the next record after those that are only counted, and counts these.
// The two functions stand apart from the rest of the scan: in one function, the loop would have too few registers.
#[inline(never)]
fn next_not_counted(
    splitter: &mut Splitter,
    stats: &mut ScanStats,
    counted_only: RecordTypes,
) -> Result<Step, Error> {
    splitter.next_after(|line, survey| {
        let index = counted_only.of_line(line);
        index.is_some_and(|index| stats.add_usual_of(index, line, survey))
    })
}

/// Moves to the next record that may be returned, or that must be looked at, and counts those before it.
#[inline(never)]
fn next_that_may_return(
    splitter: &mut Splitter,
    stats: &mut ScanStats,
    counted_only: RecordTypes,
    row_filter: &RowFilter,
) -> Result<Step, Error> {
    splitter.next_after(|line, survey| {
        let index = counted_only.of_line(line);
        let index = index.filter(|index| !row_filter.may_return(*index, line));
        index.is_some_and(|index| stats.add_usual_of(index, line, survey))
    })
}

/// Returns the index of the first builder from `from` on that has rows.
fn with_rows(builders: &[Option<TableBuilder>], from: usize) -> Option<usize> {
    let has_rows =
        |builder: &Option<TableBuilder>| builder.as_ref().is_some_and(|builder| builder.rows() > 0);
    let skipped = builders.iter().skip(from).position(has_rows)?;
    Some(from + skipped)
}

/// The indexes in [`all_tables`] of the two tables that have no record type.
const UNKNOWN: usize = layout::tables().len();
const REJECTED: usize = UNKNOWN + 1;
