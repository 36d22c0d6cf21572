//! Reads the batches of a running scan: [`DeliveryReader`] of all tables, [`TableReader`] of one.

use std::fmt;
use std::io::Read;
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchReader};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use wasmtime::component::ResourceAny;

use super::decode::Decoder;
use super::input::{Input, InputStep};
use super::policy_scan::Selection;
use super::row_order::{Order, RowOrder};
use crate::catalog::Table;
use crate::component::Connector;
use crate::error::{ComponentError, Error, RequestError};
use crate::sandbox::{Limits, OutputCounter, Session};
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
    pub(super) connector: Connector,
    pub(super) tenant: Option<Arc<str>>,
    /// The requested tables; empty for all.
    pub(super) requests: Vec<wit::TableRequest>,
    /// The result of the first pass; none without a policy.
    pub(super) selection: Option<Selection>,
    pub(super) limits: Limits,
    /// The requested number of rows in a batch; 0 for the component's default.
    pub(super) batch_rows: u32,
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
    bytes: u64,
    output: OutputCounter,
    decoders: Vec<TableDecoder>,
    row_order: RowOrder,
    /// The error that ended the scan. It is returned after the rows before it.
    failed: Option<Error>,
    state: ReadState,
}

/// The decoder of one table's batches.
struct TableDecoder {
    table: String,
    decoder: Decoder,
    /// The indexes of the columns whose values become pseudonyms.
    pseudonym_columns: Vec<usize>,
    order: Order,
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
        let batch_rows = match running.batch_rows {
            0 => u64::MAX,
            rows => rows.into(),
        };
        Self {
            output: OutputCounter::new(running.limits, batch_rows),
            running,
            input,
            buffer,
            bytes: 0,
            decoders: Vec::new(),
            row_order: RowOrder::default(),
            failed: None,
            state: ReadState::Reading,
        }
    }

    /// Returns what the scan has read so far. Findings about the end of the extract are included after the last batch.
    pub fn summary(&mut self) -> Result<Summary, Error> {
        let running = &mut self.running;
        let scan = running.scan;
        let summary = running.session.call(|bindings, store| {
            let source = bindings.cprflow_connector_source();
            source.scan().call_summary(store, scan)
        });
        let catalog = running.connector.catalog();
        let checked = summary.and_then(|summary| Ok(Summary::checked(summary, catalog)?));
        checked.map_err(|error| running.name_tenant(error))
    }

    /// Returns the number of bytes read from the input so far.
    pub fn bytes_read(&self) -> u64 {
        self.bytes
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
        let table = self.running.table(&request.name);
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

    /// Returns the table with this name, if the policy lets it through.
    fn table(&self, name: &str) -> Option<&Table> {
        match &self.selection {
            Some(selection) => selection.view.table(name),
            None => self.connector.catalog().table(name),
        }
    }

    /// Returns whether the rows of a table belong to persons. A table that the catalog lacks has leavers.
    fn is_of_persons(&self, name: &str) -> bool {
        let table = self.connector.catalog().table(name);
        table.is_none_or(|table| {
            let first = table.columns.first();
            let field = first.and_then(|column| column.field.as_ref());
            field.is_some_and(|field| field.kind == PNR)
        })
    }

    /// Returns the schema of a table, if the table was requested.
    fn schema_of(&self, name: &str) -> Option<SchemaRef> {
        let table = self.table(name)?;
        match self.requests.iter().find(|request| request.name == name) {
            Some(request) => table.schema(request.columns.as_deref()),
            None if self.requests.is_empty() => table.schema(None),
            None => None,
        }
    }

    /// Creates the decoder of a table.
    ///
    /// Fails if the table was not requested or has too many columns.
    fn decoder(&self, table: &str) -> Result<TableDecoder, ComponentError> {
        let schema = self.schema_of(table).ok_or_else(|| {
            ComponentError::misbehaved("it returned a table that was not requested")
        })?;
        self.limits.check_columns(schema.fields().len())?;
        let selection = self.selection.as_ref();
        Ok(TableDecoder {
            order: match selection {
                None => Order::Extract,
                Some(selection) if !selection.is_restricted => Order::Extract,
                Some(selection) => {
                    let is_of_persons = self.is_of_persons(table);
                    Order::of(&schema, is_of_persons, selection.view.numbers())
                }
            },
            table: table.to_owned(),
            pseudonym_columns: selection
                .map(|selection| selection.view.pseudonym_columns(table, &schema))
                .unwrap_or_default(),
            decoder: Decoder::new(schema).text_bytes(self.limits.text_bytes),
        })
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

    /// Reads the next batch. Returns `false` after the last.
    fn read(&mut self) -> Result<bool, Error> {
        let scan = self.running.scan;
        loop {
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
            let step = self.input.next(&mut self.buffer)?;
            let running = &mut self.running;
            let count = match step {
                InputStep::Block(count) => count,
                _ => 0,
            };
            let block = self.buffer.get(..count).unwrap_or_default();
            let taken = running.session.call(|bindings, store| {
                let source = bindings.cprflow_connector_source().scan();
                match &step {
                    InputStep::Begin(place) => {
                        source.call_begin_extract(store, scan, &place.into())
                    }
                    InputStep::Block(_) => source.call_push(store, scan, block),
                    InputStep::EndExtract => source.call_end_extract(store, scan),
                    InputStep::End => source.call_finish(store, scan),
                }
            })?;
            taken?;
            if matches!(step, InputStep::End) {
                self.state = ReadState::InputEnded;
                if let Some(selection) = &self.running.selection {
                    selection.check_input(self.bytes)?;
                }
            }
            self.bytes += count as u64;
        }
    }

    /// Decodes a batch, replaces person numbers by pseudonyms and brings the rows into their order.
    fn decode(&mut self, batch: wit::Batch) -> Result<(), Error> {
        let mut bytes = batch.ipc.len();
        self.output
            .count(batch.rows.into(), bytes as u64, self.bytes)?;
        let known = self
            .decoders
            .iter()
            .position(|decoder| decoder.table == batch.table);
        let index = match known {
            Some(index) => index,
            None => {
                self.decoders.push(self.running.decoder(&batch.table)?);
                self.decoders.len() - 1
            }
        };
        let Some(decoder) = self.decoders.get_mut(index) else {
            return Err(ComponentError::misbehaved("a table has no decoder").into());
        };
        let mut decoded = decoder.decoder.decode(batch.ipc, batch.rows as usize)?;
        if !decoder.pseudonym_columns.is_empty() {
            let selection = self.running.selection.as_ref();
            let key = selection.and_then(|selection| selection.key.as_ref());
            let key = key.ok_or(RequestError::NoPseudonymKey)?;
            decoded = key.replace(&decoded, &decoder.pseudonym_columns)?;
            bytes += PSEUDONYM_BYTES * decoder.pseudonym_columns.len() * decoded.num_rows();
        }
        let order = decoder.order;
        let batch = TableBatch {
            table: batch.table,
            batch: decoded,
        };
        self.row_order.add(batch, order, bytes).map_err(Error::Sort)
    }
}

/// The kind of the columns that contain person numbers.
const PNR: &str = "pnr";

/// The length of a pseudonym.
const PSEUDONYM_BYTES: usize = 64;

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
