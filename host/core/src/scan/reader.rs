//! Reads the batches of a running scan: [`DeliveryReader`] of all tables, [`TableReader`] of one.

use std::fmt;
use std::io::Read;
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchReader};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use wasmtime::component::ResourceAny;

use super::distributed::PartBegin;
use super::input::{Input, InputStep};
use super::parts::{
    Begun, Division, FinishedPart, PartError, PartRun, Rest, ScanPass, ScanSetup, shift_lines,
};
use super::policy_scan::Selection;
use super::row_order::RowOrder;
use super::table_decoders::{OutputPlan, TableDecoders};
use crate::error::{ComponentError, Error};
use crate::sandbox::{OutputCounter, Session};
use crate::summary::Summary;
use crate::wit::source as wit;

/// A batch of rows of one table.
#[derive(Clone)]
pub struct TableBatch {
    /// The table's name.
    pub table: String,
    /// The rows.
    pub batch: RecordBatch,
}

impl fmt::Debug for TableBatch {
    /// Shows the number of rows, but not their values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableBatch")
            .field("table", &self.table)
            .field("rows", &self.batch.num_rows())
            .finish()
    }
}

/// An open scan of the component.
pub(super) struct RunningScan {
    pub(super) session: Session,
    pub(super) scan: ResourceAny,
    pub(super) tenant: Option<Arc<str>>,
    pub(super) plan: Arc<OutputPlan>,
    /// The options with which the scan was opened.
    pub(super) options: Arc<wit::ScanOptions>,
    /// The result of the first pass; none without a policy.
    pub(super) selection: Option<Selection>,
    pub(super) division: Division,
}

/// An iterator over the rows of all requested tables of an extract, read in one pass.
///
/// After an error in the data, the rows before it are returned first, then the error, and then `None`.
///
/// Under a policy, rows that do not show a person's number are sorted: the order of the extract would tell which rows of
/// different tables belong to one person.
pub struct DeliveryReader<R> {
    pub(super) running: RunningScan,
    input: Input<R>,
    buffer: Vec<u8>,
    /// The bytes that the component has read or that parts have.
    bytes: u64,
    /// Bytes that were read once and wait to be read again in a part. With `bytes`, the number never falls.
    returned: u64,
    output: OutputCounter,
    decoders: TableDecoders,
    /// The parts of the extract, while they are read.
    parts: Option<ReadParts>,
    /// What was read of the input and not given to the component.
    rest: Rest,
    row_order: RowOrder,
    /// The error that ended the scan. It is returned after the rows before it.
    failed: Option<Error>,
    state: ReadState,
    /// Where the parts that were read began, if that is wanted.
    begins: Option<Vec<PartBegin>>,
    /// The number of records before the input.
    lines: u64,
}

/// The parts of an extract that are being read.
struct ReadParts {
    run: Box<PartRun<ScanPass>>,
    /// Whether the rows before the parts were returned.
    is_their_turn: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ReadState {
    /// The input has not ended.
    Reading,
    /// The input has ended, and the component may have more batches.
    InputEnded,
    /// The component has no more batches, and rows may wait to be sorted.
    RowsEnded,
    /// The last batch or an error was returned.
    Finished,
}

impl<R: Read> Iterator for DeliveryReader<R> {
    type Item = Result<TableBatch, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.state == ReadState::Finished {
            return None;
        }
        let next = self.advance().transpose();
        let next = next.map(|next| next.map_err(|error| self.running.name_tenant(error)));
        if !matches!(next, Some(Ok(_))) {
            self.state = ReadState::Finished;
        }
        next
    }
}

impl<R> DeliveryReader<R> {
    pub(super) fn new(running: RunningScan, input: Input<R>, buffer: Vec<u8>) -> Self {
        Self {
            output: OutputCounter::new(running.plan.limits, running.batch_rows()),
            decoders: TableDecoders::new(running.plan.clone()),
            running,
            input,
            buffer,
            bytes: 0,
            returned: 0,
            parts: None,
            rest: Rest::default(),
            row_order: RowOrder::default(),
            failed: None,
            state: ReadState::Reading,
            begins: None,
            lines: 0,
        }
    }

    /// Remembers where parts begin.
    pub(super) fn keep_begins(&mut self) {
        self.begins = Some(Vec::new());
    }

    /// Returns where the parts that were read began.
    pub(super) fn into_begins(self) -> Vec<PartBegin> {
        self.begins.unwrap_or_default()
    }

    /// Adds a number to the numbers of the records.
    pub(super) fn after_lines(mut self, lines: u64) -> Self {
        self.lines = lines;
        self
    }

    /// Returns what the scan has read so far. Findings about the end of the extract are included after the last batch.
    pub fn summary(&mut self) -> Result<Summary, Error> {
        let running = &mut self.running;
        let scan = running.scan;
        let summary = running.session.call(|bindings, store| {
            let source = bindings.cprflow_connector_source();
            source.scan().call_summary(store, scan)
        });
        let catalog = running.plan.connector.catalog();
        let checked = summary.and_then(|summary| Ok(Summary::checked(summary, catalog)?));
        checked.map_err(|error| running.name_tenant(error))
    }

    /// Returns the number of bytes read from the input so far.
    pub fn bytes_read(&self) -> u64 {
        self.bytes + self.returned
    }

    fn add_bytes(&mut self, count: u64) {
        self.bytes += count;
        self.returned = self.returned.saturating_sub(count);
    }

    /// Returns the number of rows read so far, of all tables together.
    pub fn rows_read(&self) -> u64 {
        self.output.rows()
    }

    /// Returns the number of bytes of batches that the component has returned so far.
    pub fn bytes_returned(&self) -> u64 {
        self.output.bytes()
    }

    /// Restricts the reader to the one table of a request.
    pub(crate) fn into_table(
        self,
        request: &wit::TableRequest,
        limit: Option<u64>,
    ) -> Result<TableReader<R>, Error> {
        let table = self.running.plan.table(&request.name);
        let schema = table.and_then(|table| table.schema(request.columns.as_deref()));
        let schema = schema
            .ok_or_else(|| ComponentError::misbehaved("it scans columns that its catalog lacks"))?;
        Ok(TableReader {
            batches: self,
            schema,
            left: limit,
        })
    }
}

impl RunningScan {
    /// Adds the tenant's name to an error.
    pub(super) fn name_tenant(&self, error: Error) -> Error {
        error.of_tenant(self.tenant.as_deref())
    }

    /// Returns the largest number of rows in a batch that was asked for.
    fn batch_rows(&self) -> u64 {
        match self.options.batch_rows {
            0 => u64::MAX,
            rows => rows.into(),
        }
    }
}

impl<R: Read> DeliveryReader<R> {
    /// Returns the next batch in the order of the rows, or `None` after the last.
    fn advance(&mut self) -> Result<Option<TableBatch>, Error> {
        loop {
            if let Some(batch) = self.row_order.next() {
                return Ok(Some(batch));
            }
            if self.state != ReadState::RowsEnded {
                match self.read() {
                    Ok(true) => continue,
                    Ok(false) => {}
                    Err(error) => self.failed = Some(self.input.name(error)),
                }
                self.state = ReadState::RowsEnded;
            }
            if !self.row_order.finish_one().map_err(Error::Sort)? {
                return match self.failed.take() {
                    Some(error) => Err(error),
                    None => Ok(None),
                };
            }
        }
    }

    /// Reads the next batches. Returns `false` after the last.
    fn read(&mut self) -> Result<bool, Error> {
        let scan = self.running.scan;
        loop {
            if self.parts.as_ref().is_some_and(|parts| parts.is_their_turn) {
                match self.read_part()? {
                    true => return Ok(true),
                    false => continue,
                }
            }
            let next = self.running.session.call_for_batch(|bindings, store| {
                let source = bindings.cprflow_connector_source();
                source.scan().call_next(store, scan)
            })?;
            if let Some(batch) = next? {
                self.decode(batch)?;
                return Ok(true);
            }
            if self.state == ReadState::InputEnded {
                return Ok(false);
            }
            if let Some(parts) = &mut self.parts {
                parts.is_their_turn = true;
                continue;
            }
            let step = match self.rest.next(&mut self.buffer) {
                Some(0) => InputStep::End,
                Some(count) => InputStep::Block(count),
                None if self.running.division.may_begin(self.bytes) => {
                    self.begin_parts()?;
                    continue;
                }
                None => self.input.next(&mut self.buffer)?,
            };
            self.give(&step)?;
        }
    }

    /// Gives the component what comes next in the input. A block is in the buffer.
    fn give(&mut self, step: &InputStep) -> Result<(), Error> {
        let running = &mut self.running;
        let scan = running.scan;
        let count = match step {
            InputStep::Block(count) => *count,
            _ => 0,
        };
        let block = self.buffer.get(..count).unwrap_or_default();
        let taken = running.session.call(|bindings, store| {
            let source = bindings.cprflow_connector_source().scan();
            match step {
                InputStep::Begin(place) => source.call_begin_extract(store, scan, &place.into()),
                InputStep::Block(_) => source.call_push(store, scan, block),
                InputStep::EndExtract => source.call_end_extract(store, scan),
                InputStep::End => source.call_finish(store, scan),
            }
        })?;
        taken?;
        if matches!(step, InputStep::End) {
            self.state = ReadState::InputEnded;
            if let Some(selection) = &running.selection {
                selection.check_input(self.bytes)?;
            }
        }
        self.add_bytes(count as u64);
        Ok(())
    }

    /// Divides the extract from here on into parts, if that is possible.
    fn begin_parts(&mut self) -> Result<(), Error> {
        let running = &mut self.running;
        let Input::Extract(input) = &mut self.input else {
            running.division = Division::NONE;
            return Ok(());
        };
        let scan = running.scan;
        let start = |session: &mut Session| {
            let start = session.call_for_batch(|bindings, store| {
                let source = bindings.cprflow_connector_source();
                source.scan().call_begin_parts(store, scan)
            })?;
            Ok(start?)
        };
        let block_bytes = self.buffer.len();
        let batch_rows = running.batch_rows();
        let (plan, options, selection) = (&running.plan, &running.options, &running.selection);
        let open = |session: &mut Session, start: &wit::PartStart| {
            let chosen = match selection {
                Some(selection) => Some(Arc::new(selection.pieces(session)?)),
                None => None,
            };
            let setup = ScanSetup {
                plan: plan.clone(),
                options: options.clone(),
                context: Arc::new(start.context.clone()),
                block_bytes,
                batch_rows,
                chosen,
            };
            let persons = selection.as_ref().map(|selection| selection.resource);
            let own = setup.clone().open(session, persons, !start.has_line_ends)?;
            Ok((own, move || setup.start()))
        };
        let begun = PartRun::begin(
            running.division,
            block_bytes,
            self.bytes,
            input,
            &mut running.session,
            start,
            open,
        )?;
        match begun {
            Begun::Whole(rest) => self.rest = rest,
            Begun::Run(run, returned) => {
                self.bytes -= returned;
                self.returned = returned;
                self.parts = Some(ReadParts {
                    run,
                    is_their_turn: false,
                });
                running.division = Division::NONE;
            }
        }
        Ok(())
    }

    /// Takes the rows of the next part. Returns `false` if there are none: the part has none, or the component reads on
    /// without parts.
    fn read_part(&mut self) -> Result<bool, Error> {
        let (Some(mut parts), Input::Extract(input)) = (self.parts.take(), &mut self.input) else {
            return Ok(false);
        };
        let session = &mut self.running.session;
        let Some(FinishedPart { bytes, result }) = parts.run.next(input, session)? else {
            self.rest = parts.run.into_rest(None);
            return Ok(false);
        };
        let rows = match result {
            Ok(rows) => rows,
            Err(PartError::Failed(error)) => return Err(error),
            Err(PartError::Unread) => {
                self.rest = parts.run.into_rest(Some(bytes));
                return Ok(false);
            }
        };
        let scan = self.running.scan;
        let added = session.call(|bindings, store| {
            let source = bindings.cprflow_connector_source();
            source.scan().call_add_part(store, scan, &rows.counts)
        })?;
        let Some(lines) = added? else {
            self.rest = parts.run.into_rest(Some(bytes));
            return Ok(false);
        };
        let count = bytes.len() as u64;
        parts.run.reuse(bytes);
        self.parts = Some(parts);
        if let Some(begins) = &mut self.begins {
            let offset = self.bytes;
            begins.push(PartBegin { offset, lines });
        }
        self.add_bytes(count);
        let has_rows = !rows.batches.is_empty();
        for mut decoded in rows.batches {
            let count = decoded.batch.batch.num_rows() as u64;
            self.output.count(count, decoded.ipc_bytes, self.bytes)?;
            if let Some(line) = decoded.line {
                decoded.batch.batch = shift_lines(&decoded.batch.batch, line, lines)?;
            }
            let added = self
                .row_order
                .add(decoded.batch, decoded.order, decoded.bytes);
            added.map_err(Error::Sort)?;
        }
        Ok(has_rows)
    }

    /// Decodes a batch and brings the rows into their order.
    fn decode(&mut self, batch: wit::Batch) -> Result<(), Error> {
        let bytes = batch.ipc.len() as u64;
        self.output.count(batch.rows.into(), bytes, self.bytes)?;
        let mut decoded = self.decoders.decode(batch)?;
        if let (Some(line), 1..) = (decoded.line, self.lines) {
            decoded.batch.batch = shift_lines(&decoded.batch.batch, line, self.lines)?;
        }
        let added = self
            .row_order
            .add(decoded.batch, decoded.order, decoded.bytes);
        added.map_err(Error::Sort)
    }
}

/// An iterator over the rows of one table: an Arrow [`RecordBatchReader`].
pub struct TableReader<R> {
    pub(super) batches: DeliveryReader<R>,
    schema: SchemaRef,
    /// The number of rows left until the limit of the scan; none without a limit.
    left: Option<u64>,
}

impl<R: Read> TableReader<R> {
    /// Returns the next batch like [`next`](Iterator::next), but with an [`Error`] of this crate.
    pub fn next_batch(&mut self) -> Result<Option<RecordBatch>, Error> {
        if self.left == Some(0) {
            return Ok(None);
        }
        let Some(next) = self.batches.next().transpose()? else {
            return Ok(None);
        };
        let mut batch = next.batch;
        if let Some(left) = &mut self.left {
            let rows = batch
                .num_rows()
                .min(usize::try_from(*left).unwrap_or(usize::MAX));
            batch = batch.slice(0, rows);
            *left -= rows as u64;
        }
        Ok(Some(batch))
    }

    /// Returns what the scan has read so far, like [`DeliveryReader::summary`].
    pub fn summary(&mut self) -> Result<Summary, Error> {
        self.batches.summary()
    }

    /// Returns the number of bytes read from the input so far.
    pub fn bytes_read(&self) -> u64 {
        self.batches.bytes_read()
    }

    /// Returns the number of rows read from the component so far, including those beyond the limit of the scan.
    pub fn rows_read(&self) -> u64 {
        self.batches.rows_read()
    }

    /// Returns the number of bytes of batches that the component has returned so far.
    pub fn bytes_returned(&self) -> u64 {
        self.batches.bytes_returned()
    }
}

impl<R: Read> Iterator for TableReader<R> {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.next_batch().transpose()?;
        Some(next.map_err(|error| ArrowError::ExternalError(Box::new(error))))
    }
}

impl<R: Read> RecordBatchReader for TableReader<R> {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }
}
