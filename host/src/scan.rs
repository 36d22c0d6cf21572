//! Scans: any [`Read`] in, Arrow batches out, with the sandbox between.

use std::fmt;
use std::io::{ErrorKind, Read};
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchReader};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use wasmtime::component::ResourceAny;

use crate::catalog::Table;
use crate::decode::Decoder;
use crate::error::{ComponentError, DataError, DataErrorKind, Error};
use crate::policy::Policy;
use crate::pseudonym::PseudonymKey;
use crate::report::Summary;
use crate::sandbox::bindings::exports::cprflow::connector::source as wit;
use crate::sandbox::{Connector, Limits, Output, Session, tame};
use crate::selected::Selection;

/// Bytes handed to the component at a time. Large enough to make the cost of a call small, small enough for both
/// copies, the host's and the component's, to stay in the processor's cache.
const BLOCK: usize = 256 * 1024;

/// What to scan, and how.
///
/// ```
/// use cprflow::{Connector, Scan};
///
/// let extract = "00000000000001109012001111720011116\n\
///     0010101965058          01000000000000 K1896-01-01 1997-09-09\n\
///     999999999999900000001\n";
/// let connector = Connector::embedded()?;
/// let rows = Scan::new(&connector)
///     .table("person")
///     .columns(["pnr", "birth_date"])
///     .read(extract.as_bytes())?;
/// for batch in rows {
///     assert_eq!(batch?.num_rows(), 1);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Scan {
    connector: Connector,
    requests: Vec<wit::TableRequest>,
    batch_rows: u32,
    limit: Option<u64>,
    check_persons: bool,
    expected_previous: Option<String>,
    pub(crate) limits: Limits,
    pub(crate) tenant: Option<Arc<str>>,
    block: usize,
    pub(crate) policy: Option<Policy>,
    pub(crate) roster: Option<Vec<u8>>,
    pub(crate) superseded: Option<Vec<u8>>,
    pub(crate) pseudonym_key: Option<PseudonymKey>,
}

impl Scan {
    /// A scan of every table, until [`table`](Self::table) names one.
    pub fn new(connector: &Connector) -> Self {
        Self {
            connector: connector.clone(),
            requests: Vec::new(),
            batch_rows: 0,
            limit: None,
            check_persons: false,
            expected_previous: None,
            limits: Limits::default(),
            tenant: None,
            block: BLOCK,
            policy: None,
            roster: None,
            superseded: None,
            pseudonym_key: None,
        }
    }

    /// The connector that will run it.
    pub fn connector(&self) -> &Connector {
        &self.connector
    }

    /// Adds a table to those that are wanted.
    pub fn table(mut self, name: impl Into<String>) -> Self {
        self.requests.push(wit::TableRequest {
            name: name.into(),
            columns: None,
            where_: None,
        });
        self
    }

    /// The columns wanted of the table that was named last, in this order.
    pub fn columns(mut self, columns: impl IntoIterator<Item = impl Into<String>>) -> Self {
        if let Some(request) = self.requests.last_mut() {
            request.columns = Some(columns.into_iter().map(Into::into).collect());
        }
        self
    }

    /// Which rows of the table that was named last, for example `status in ('01', '03') and birth_date < '1990-01-01'`.
    /// Under a policy it is judged on what the policy lets through.
    pub fn where_(mut self, predicate: impl Into<String>) -> Self {
        if let Some(request) = self.requests.last_mut() {
            request.where_ = Some(predicate.into());
        }
        self
    }

    /// Keeps the scan to what a tenant may see; [`read_selected`](Self::read_selected) runs it.
    pub fn policy(mut self, policy: &Policy) -> Self {
        self.policy = Some(policy.clone());
        self
    }

    /// The roster that the policy's scan of the delivery before has left ([`DeliveryReader::roster`]).
    pub fn roster(mut self, roster: Vec<u8>) -> Self {
        self.roster = Some(roster);
        self
    }

    /// Whom extracts that come after this one have delivered ([`DeliveryReader::delivered`]): what this one says of
    /// them is past.
    pub fn superseded(mut self, delivered: Vec<u8>) -> Self {
        self.superseded = Some(delivered);
        self
    }

    /// The key of the pseudonyms that a policy asks for.
    pub fn pseudonym_key(mut self, key: PseudonymKey) -> Self {
        self.pseudonym_key = Some(key);
        self
    }

    /// Rows at the most of a scan of one table; it stops reading when it has them.
    pub fn limit(mut self, rows: u64) -> Self {
        self.limit = Some(rows);
        self
    }

    /// Rows in a batch at the most. The component's own choice is 8,192.
    pub fn batch_rows(mut self, rows: u32) -> Self {
        self.batch_rows = rows;
        self
    }

    /// Whether to find persons without 001, which costs memory by person.
    pub fn check_persons(mut self, check: bool) -> Self {
        self.check_persons = check;
        self
    }

    /// The production date of the extract before, `YYYY-MM-DD`: a break in the chain becomes a finding.
    pub fn expected_previous(mut self, date: impl Into<String>) -> Self {
        self.expected_previous = Some(date.into());
        self
    }

    /// What the component may use at the most.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// For whom it is: an error of the component's names the tenant.
    pub fn tenant(mut self, name: impl Into<Arc<str>>) -> Self {
        self.tenant = Some(name.into());
        self
    }

    /// Bytes handed to the component at a time (256 KiB). It changes no batch.
    pub fn block_bytes(mut self, bytes: usize) -> Self {
        self.block = bytes.max(1);
        self
    }

    /// The rows of the one table that was named.
    pub fn read<R: Read>(self, input: R) -> Result<TableReader<R>, Error> {
        let (request, limit) = self.one_table()?;
        // The component says what is wrong with the request, if anything is.
        let batches = self.read_all(input)?;
        batches.into_table(&request, limit)
    }

    /// The rows of all tables that are wanted, in one pass.
    pub fn read_all<R: Read>(self, input: R) -> Result<DeliveryReader<R>, Error> {
        if self.policy.is_some() {
            return Err(Error::Request(
                "a policy takes two passes over the extract: call read_selected".to_owned(),
            ));
        }
        let tenant = self.tenant.clone();
        let begun = self
            .start()
            .and_then(|session| self.begin(session, None, input));
        begun.map_err(|error| error.of_tenant(tenant.as_deref()))
    }

    /// What was asked of the one table that was named, and how many rows at the most.
    pub(crate) fn one_table(&self) -> Result<(wit::TableRequest, Option<u64>), Error> {
        match self.requests.as_slice() {
            [request] => Ok((request.clone(), self.limit)),
            _ => Err(Error::Request(
                "name one table: a stream of batches has one schema".to_owned(),
            )),
        }
    }

    /// A fresh instance for this scan.
    pub(crate) fn start(&self) -> Result<Session, Error> {
        self.connector.start(self.limits)
    }

    /// Room for the bytes that are handed to the component at a time.
    pub(crate) fn block(&self) -> Vec<u8> {
        vec![0; self.block]
    }

    /// Begins the pass that makes rows.
    pub(crate) fn begin<R>(
        self,
        mut session: Session,
        selection: Option<Selection>,
        input: R,
    ) -> Result<DeliveryReader<R>, Error> {
        let block = self.block();
        let batch_rows = match self.limit {
            // No more is read than is needed for the rows that are wanted.
            Some(limit) if self.batch_rows == 0 => limit.clamp(1, DEFAULT_BATCH_ROWS) as u32,
            Some(limit) => limit.clamp(1, u64::from(self.batch_rows)) as u32,
            None => self.batch_rows,
        };
        let most = u32::try_from(self.limits.batch_rows).unwrap_or(u32::MAX);
        let batch_rows = batch_rows.min(most);
        let asked = match batch_rows {
            0 => u64::MAX,
            rows => rows.into(),
        };
        let options = wit::ScanOptions {
            tables: (!self.requests.is_empty()).then(|| self.requests.clone()),
            batch_rows,
            check_persons: self.check_persons,
            expected_previous: self.expected_previous,
        };
        let persons = selection.as_ref().map(|selection| selection.resource);
        let scan = session.call(|bindings, store| {
            let source = bindings.cprflow_connector_source();
            source.scan().call_open(store, &options, persons)
        })?;
        Ok(DeliveryReader {
            scan: scan.map_err(scan_error)?,
            output: Output::new(self.limits, asked),
            tenant: self.tenant,
            session,
            connector: self.connector,
            requests: self.requests,
            selection,
            input,
            block,
            bytes: 0,
            decoders: Vec::new(),
            state: State::Reading,
        })
    }
}

/// The component's own choice of rows in a batch.
const DEFAULT_BATCH_ROWS: u64 = 8 * 1024;

/// A batch of rows of one table.
#[derive(Clone)]
pub struct TableBatch {
    /// The table's name.
    pub table: String,
    /// The rows.
    pub batch: RecordBatch,
}

impl fmt::Debug for TableBatch {
    /// Says how many rows there are, not what is in them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableBatch")
            .field("table", &self.table)
            .field("rows", &self.batch.num_rows())
            .finish()
    }
}

/// The rows of all tables of an extract, in one pass over it.
///
/// What was read before an error comes first, then the error, and then nothing more.
pub struct DeliveryReader<R> {
    pub(crate) session: Session,
    scan: ResourceAny,
    connector: Connector,
    requests: Vec<wit::TableRequest>,
    pub(crate) selection: Option<Selection>,
    input: R,
    block: Vec<u8>,
    bytes: u64,
    output: Output,
    pub(crate) tenant: Option<Arc<str>>,
    decoders: Vec<TableDecoder>,
    state: State,
}

/// What the batches of one table go through.
struct TableDecoder {
    table: String,
    decoder: Decoder,
    /// Places of the columns whose values become pseudonyms.
    pseudonyms: Vec<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Reading,
    Ended,
    Over,
}

impl<R: Read> Iterator for DeliveryReader<R> {
    type Item = Result<TableBatch, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.state == State::Over {
            return None;
        }
        let next = self.advance().transpose();
        let next = next.map(|next| next.map_err(|error| error.of_tenant(self.tenant.as_deref())));
        if !matches!(next, Some(Ok(_))) {
            self.state = State::Over;
        }
        next
    }
}

impl<R> DeliveryReader<R> {
    /// What the scan has seen so far. Whatever can only be told at the end is in it after the last batch.
    pub fn summary(&mut self) -> Result<Summary, Error> {
        let scan = self.scan;
        let summary = self.session.call(|bindings, store| {
            let source = bindings.cprflow_connector_source();
            source.scan().call_summary(store, scan)
        });
        let checked =
            summary.and_then(|summary| Ok(Summary::checked(summary, self.connector.catalog())?));
        checked.map_err(|error| error.of_tenant(self.tenant.as_deref()))
    }

    /// Bytes read from the input so far.
    pub fn bytes_read(&self) -> u64 {
        self.bytes
    }

    /// Rows handed on so far, of all tables together.
    pub fn rows_read(&self) -> u64 {
        self.output.rows()
    }

    /// The batches as those of one table.
    pub(crate) fn into_table(
        self,
        request: &wit::TableRequest,
        limit: Option<u64>,
    ) -> Result<TableReader<R>, Error> {
        let table = self.table(&request.name);
        let schema = table.and_then(|table| table.schema(request.columns.as_deref()));
        let schema = schema.ok_or_else(|| {
            ComponentError::Misbehaved("it scans columns that its catalog lacks".to_owned())
        })?;
        Ok(TableReader {
            batches: self,
            schema,
            left: limit,
        })
    }

    /// The table of that name, if the scan can yield it.
    fn table(&self, name: &str) -> Option<&Table> {
        match &self.selection {
            Some(selection) => selection.view.table(name),
            None => self.connector.catalog().table(name),
        }
    }
}

impl<R: Read> DeliveryReader<R> {
    fn advance(&mut self) -> Result<Option<TableBatch>, Error> {
        let scan = self.scan;
        loop {
            let next = self.session.call_for_batch(|bindings, store| {
                let source = bindings.cprflow_connector_source();
                source.scan().call_next(store, scan)
            })?;
            if let Some(batch) = next.map_err(scan_error)? {
                return self.decode(batch).map(Some);
            }
            if self.state == State::Ended {
                return Ok(None);
            }
            let count = fill(&mut self.input, &mut self.block)?;
            let block = self.block.get(..count).unwrap_or_default();
            let pushed = self.session.call(|bindings, store| {
                let source = bindings.cprflow_connector_source();
                match count {
                    0 => source.scan().call_finish(store, scan),
                    _ => source.scan().call_push(store, scan, block),
                }
            })?;
            pushed.map_err(scan_error)?;
            if count == 0 {
                self.state = State::Ended;
                if let Some(selection) = &self.selection {
                    selection.check_input(self.bytes)?;
                }
            }
            self.bytes += count as u64;
        }
    }

    fn decode(&mut self, batch: wit::Batch) -> Result<TableBatch, Error> {
        self.output
            .count(batch.rows.into(), batch.ipc.len() as u64, self.bytes)?;
        let found = self
            .decoders
            .iter()
            .position(|decoder| decoder.table == batch.table);
        let place = match found {
            Some(place) => place,
            None => {
                let schema = self.schema_of(&batch.table).ok_or_else(|| {
                    ComponentError::Misbehaved(
                        "it returns a table that was not asked for".to_owned(),
                    )
                })?;
                let limits = self.output.limits();
                limits.check_columns(schema.fields().len())?;
                let text_bytes = limits.text_bytes;
                let pseudonyms = match &self.selection {
                    Some(selection) => selection.view.pseudonyms(&batch.table, &schema),
                    None => Vec::new(),
                };
                self.decoders.push(TableDecoder {
                    table: batch.table.clone(),
                    decoder: Decoder::new(schema).text_bytes(text_bytes),
                    pseudonyms,
                });
                self.decoders.len() - 1
            }
        };
        let Some(decoder) = self.decoders.get_mut(place) else {
            return Err(Error::Request("no decoder".to_owned()));
        };
        let mut decoded = decoder.decoder.decode(batch.ipc, batch.rows as usize)?;
        if !decoder.pseudonyms.is_empty() {
            let selection = self.selection.as_ref();
            let key = selection.and_then(|selection| selection.key.as_ref());
            let key =
                key.ok_or_else(|| Error::Request("there is no key for pseudonyms".to_owned()))?;
            decoded = key.replace(&decoded, &decoder.pseudonyms)?;
        }
        Ok(TableBatch {
            table: batch.table,
            batch: decoded,
        })
    }

    /// The schema of a table that was asked for.
    fn schema_of(&self, name: &str) -> Option<SchemaRef> {
        let table = self.table(name)?;
        match self.requests.iter().find(|request| request.name == name) {
            Some(request) => table.schema(request.columns.as_deref()),
            None if self.requests.is_empty() => table.schema(None),
            None => None,
        }
    }
}

/// Reads the next block; 0 at the end of the input.
pub(crate) fn fill(input: &mut impl Read, block: &mut [u8]) -> Result<usize, Error> {
    loop {
        match input.read(block) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            read => return read.map_err(Error::Input),
        }
    }
}

/// The rows of one table: an Arrow [`RecordBatchReader`].
pub struct TableReader<R> {
    pub(crate) batches: DeliveryReader<R>,
    schema: SchemaRef,
    /// Rows still to come at the most.
    left: Option<u64>,
}

impl<R: Read> TableReader<R> {
    /// The next batch, with cprflow's own error.
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

    /// What the scan has seen so far.
    pub fn summary(&mut self) -> Result<Summary, Error> {
        self.batches.summary()
    }

    /// Bytes read from the input so far.
    pub fn bytes_read(&self) -> u64 {
        self.batches.bytes_read()
    }

    /// Rows handed on so far.
    pub fn rows_read(&self) -> u64 {
        self.batches.rows_read()
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

pub(crate) fn scan_error(error: wit::Error) -> Error {
    let message = tame(&error.message);
    let kind = match error.kind {
        wit::ErrorKind::InvalidRequest => return Error::Request(message),
        wit::ErrorKind::Misuse | wit::ErrorKind::Internal => {
            return ComponentError::Misbehaved(message).into();
        }
        wit::ErrorKind::RecordTooLong => DataErrorKind::RecordTooLong,
        wit::ErrorKind::LookAlike => DataErrorKind::LookAlike,
        wit::ErrorKind::LostTrack => DataErrorKind::LostTrack,
    };
    DataError {
        kind,
        line: error.line,
        offset: error.offset,
        message,
    }
    .into()
}
