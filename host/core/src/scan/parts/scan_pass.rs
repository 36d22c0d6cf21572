//! Makes the rows of a part.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::{AsArray, Int64Array, RecordBatch};
use arrow::datatypes::Int64Type;
use wasmtime::component::ResourceAny;

use super::selection_pass::ChosenPieces;
use super::{PartError, PartPass};
use crate::error::{ComponentError, Error};
use crate::sandbox::{OutputCounter, Session};
use crate::scan::table_decoders::{DecodedBatch, OutputPlan, TableDecoders};
use crate::wit::source as wit;

/// What an instance needs to read parts.
#[derive(Clone)]
pub(in crate::scan) struct ScanSetup {
    pub(in crate::scan) plan: Arc<OutputPlan>,
    pub(in crate::scan) options: Arc<wit::ScanOptions>,
    pub(in crate::scan) context: Arc<Vec<u8>>,
    pub(in crate::scan) block_bytes: usize,
    pub(in crate::scan) batch_rows: u64,
    /// The selection for other instances; none without a policy.
    pub(in crate::scan) chosen: Option<Arc<ChosenPieces>>,
}

/// The pass that makes rows.
pub(in crate::scan) struct ScanPass {
    scan: ResourceAny,
    /// A second scan, which walks.
    walker: Option<ResourceAny>,
    setup: ScanSetup,
    decoders: TableDecoders,
    /// Counts what this instance returns, so that it cannot fill the memory before its parts are returned.
    output: OutputCounter,
    bytes: u64,
}

/// The rows of a part, and what was counted in it.
pub(in crate::scan) struct PartRows {
    pub(in crate::scan) batches: Vec<DecodedBatch>,
    pub(in crate::scan) counts: Vec<u8>,
}

impl ScanSetup {
    /// Starts an instance and opens the pass in it.
    pub(in crate::scan) fn start(self) -> Result<(Session, ScanPass), Error> {
        let mut session = self.plan.connector.start(self.plan.limits)?;
        let persons = match &self.chosen {
            Some(chosen) => Some(chosen.open(&mut session)?),
            None => None,
        };
        let pass = self.open(&mut session, persons, false)?;
        Ok((session, pass))
    }

    /// Opens the pass in an instance that has the selection. `walks` tells whether the pass also finds records.
    pub(in crate::scan) fn open(
        mut self,
        session: &mut Session,
        persons: Option<ResourceAny>,
        walks: bool,
    ) -> Result<ScanPass, Error> {
        let scan = self.open_scan(session, persons)?;
        let walker = match walks {
            true => Some(self.open_scan(session, persons)?),
            false => None,
        };
        // The instance has its own copy, and the pieces can be large.
        self.chosen = None;
        Ok(ScanPass {
            scan,
            walker,
            decoders: TableDecoders::new(self.plan.clone()),
            output: OutputCounter::new(self.plan.limits, self.batch_rows),
            bytes: 0,
            setup: self,
        })
    }

    fn open_scan(
        &self,
        session: &mut Session,
        persons: Option<ResourceAny>,
    ) -> Result<ResourceAny, Error> {
        let scan = session.call(|bindings, store| {
            let source = bindings.cprflow_connector_source().scan();
            source.call_open_part(store, &self.options, persons, &self.context)
        })?;
        Ok(scan?)
    }
}

impl ScanPass {
    /// Takes the batches that the instance has.
    fn take_batches(
        &mut self,
        session: &mut Session,
        batches: &mut Vec<DecodedBatch>,
    ) -> Result<(), PartError> {
        let scan = self.scan;
        loop {
            let next = session.call_for_batch(|bindings, store| {
                let source = bindings.cprflow_connector_source();
                source.scan().call_next(store, scan)
            })?;
            let Some(batch) = next? else {
                return Ok(());
            };
            let (rows, bytes) = (batch.rows.into(), batch.ipc.len() as u64);
            self.output.count(rows, bytes, self.bytes)?;
            batches.push(self.decoders.decode(batch)?);
        }
    }
}

impl PartPass for ScanPass {
    type Output = PartRows;

    fn read(
        &mut self,
        session: &mut Session,
        part: &[u8],
        stop: &AtomicBool,
    ) -> Result<PartRows, PartError> {
        let scan = self.scan;
        let mut batches = Vec::new();
        for block in part.chunks(self.setup.block_bytes) {
            if stop.load(Ordering::Relaxed) {
                return Err(PartError::Unread);
            }
            self.bytes += block.len() as u64;
            let pushed = session.call(|bindings, store| {
                let source = bindings.cprflow_connector_source();
                source.scan().call_push(store, scan, block)
            })?;
            pushed?;
            self.take_batches(session, &mut batches)?;
        }
        let ended = session.call(|bindings, store| {
            let source = bindings.cprflow_connector_source();
            source.scan().call_end_part(store, scan)
        })?;
        ended?;
        self.take_batches(session, &mut batches)?;
        let counts = session.call_for_batch(|bindings, store| {
            let source = bindings.cprflow_connector_source();
            source.scan().call_take_part(store, scan)
        })?;
        Ok(PartRows {
            batches,
            counts: counts?,
        })
    }

    fn walk(&mut self, session: &mut Session, block: &[u8]) -> Result<Option<u64>, Error> {
        let Some(walker) = self.walker else {
            return Ok(None);
        };
        let walked = session.call(|bindings, store| {
            let source = bindings.cprflow_connector_source();
            source.scan().call_walk(store, walker, block)
        })?;
        match walked.map_err(Error::from) {
            Ok(rest) => Ok(Some(rest)),
            Err(Error::Data(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Adds the number of records before a part to the column with the number of the record.
pub(in crate::scan) fn shift_lines(
    batch: &RecordBatch,
    column: usize,
    lines: u64,
) -> Result<RecordBatch, ComponentError> {
    let damaged = || ComponentError::misbehaved("the numbers of its records cannot be read");
    let mut columns = batch.columns().to_vec();
    let line = columns.get_mut(column).ok_or_else(damaged)?;
    let numbers = line.as_primitive_opt::<Int64Type>().ok_or_else(damaged)?;
    let lines = i64::try_from(lines).map_err(|_| damaged())?;
    let shifted: Int64Array = numbers.unary(|number| number.wrapping_add(lines));
    *line = Arc::new(shifted);
    RecordBatch::try_new(batch.schema(), columns).map_err(|_| damaged())
}
