//! Scans of a state: several extracts, one after the other.

use std::sync::Arc;

use super::Scan;
use super::State;
use super::options::Summary;
use crate::columns::schema::{TableId, all_tables, table_count};
use crate::error::Error;
use crate::input::{Shape, Splitter};
use crate::selection::{ExtractPlace, StateScope};
use crate::stats::ScanStats;

/// The progress of a scan through the extracts of a state.
pub(super) struct StateRun {
    scope: Arc<StateScope>,
    /// The number of extracts that were begun.
    begun: usize,
    phase: Phase,
    /// The number of records of the extracts that were read.
    records: u64,
    /// The same by index in [`all_tables`].
    by_table: Vec<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// No extract is open.
    Between,
    /// An extract is open.
    Open,
    /// The open extract has ended, and its last rows may not have been returned.
    Ending,
}

impl StateRun {
    pub(super) fn new(scope: &Arc<StateScope>) -> Self {
        Self {
            scope: scope.clone(),
            begun: 0,
            phase: Phase::Between,
            records: 0,
            by_table: vec![0; table_count()],
        }
    }

    /// Fails if no extract is open.
    pub(super) fn check_open(&self) -> Result<(), Error> {
        match self.phase {
            Phase::Open => Ok(()),
            Phase::Between | Phase::Ending => Err(Error::Misuse(
                "no extract of the state is open: call begin-extract first",
            )),
        }
    }

    /// Fails if not all extracts were read.
    pub(super) fn check_complete(&self) -> Result<(), Error> {
        match self.phase == Phase::Between && self.begun == self.scope.extracts() {
            true => Ok(()),
            false => Err(Error::Misuse(
                "the scan has not read every extract of the state to its end",
            )),
        }
    }

    /// Adds the counts of an extract that was read.
    fn add(&mut self, stats: &ScanStats) {
        self.records += stats.records;
        for (total, count) in self.by_table.iter_mut().zip(&stats.by_table) {
            *total += count;
        }
    }

    /// Returns the counts of all extracts so far, with those of the open one.
    pub(super) fn summary(&self, open: &ScanStats, bytes: u64, shape: Shape) -> Summary {
        let counts = self.by_table.iter().zip(&open.by_table);
        let counts = counts.map(|(total, open)| total + open);
        let tables: Vec<(TableId, u64)> = all_tables().zip(counts).collect();
        Summary {
            bytes,
            records: self.records + open.records,
            shape,
            start: None,
            declared_records: None,
            tables: tables.into_iter().filter(|(_, count)| *count > 0).collect(),
            findings: Vec::new(),
        }
    }
}

impl Scan {
    /// Begins the next extract of a state: the same as in the first pass, in the same order.
    pub fn begin_extract(&mut self, place: &ExtractPlace) -> Result<(), Error> {
        let extracts = self.extracts.as_mut().ok_or(NO_STATE)?;
        if extracts.phase != Phase::Between || self.is_finished {
            return Err(Error::Misuse(
                "an extract of the state is open, or its last rows were not taken: call end-extract, and next until it \
                 returns none",
            ));
        }
        if !matches!(self.state, State::Reading) {
            return Err(Error::Misuse("the scan has ended: open another one"));
        }
        let extract = extracts.scope.extract(extracts.begun, place)?;
        extracts.begun += 1;
        extracts.phase = Phase::Open;
        for builder in self.builders.iter_mut().flatten() {
            builder.set_origin(extract.origin.clone());
        }
        if let Some(row_filter) = &mut self.row_filter {
            row_filter.begin_extract(extract);
        }
        self.splitter = Splitter::default();
        Ok(())
    }

    /// Ends the extract of a state that was begun last. Then [`next`](Self::next) must be called until it returns `None`.
    pub fn end_extract(&mut self) -> Result<(), Error> {
        let extracts = self.extracts.as_mut().ok_or(NO_STATE)?;
        extracts.check_open()?;
        extracts.phase = Phase::Ending;
        self.splitter.finish();
        Ok(())
    }

    /// Leaves an extract of a state whose rows were all returned or wait for more.
    pub(super) fn leave_extract(&mut self) {
        if let Some(extracts) = &mut self.extracts
            && extracts.phase == Phase::Ending
        {
            extracts.add(&self.stats);
            extracts.phase = Phase::Between;
            self.stats = ScanStats::new(false, None);
        }
    }
}

const NO_STATE: Error = Error::Misuse("the scan is not one of a state");
