//! The rows of a scan as a stream, and the counters of what was read.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{RecordBatch, RecordBatchReader};
use arrow::compute::cast;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use cprflow::{Level, PartInput, Representation, Summary, TableReader};
use cprflow_delivery::DatasetTableReader;
use pyo3::prelude::*;

use crate::failure::{Failure, guard};
use crate::input::InputReader;

/// A stream of batches. It works without Python's global lock.
pub(crate) struct Stream {
    /// The rows that are left; none after the last batch or an error, so that the component's instance is free again.
    rows: Option<Rows>,
    schema: SchemaRef,
    representation: Representation,
    /// The number of rows after which the scan stops before the end of the input; none without a limit.
    limit: Option<u64>,
    /// The codes of findings of level error with which an extract is read all the same.
    accept: Arc<[String]>,
    counters: Vec<Arc<Counters>>,
    counted: Counts,
    /// Whether an error has ended the stream before the last row.
    failed: bool,
}

/// The rows of an extract or of a dataset.
pub(crate) enum Rows {
    Extract(Box<TableReader<InputReader>>),
    /// A part of an extract, which was checked when it was divided.
    Part(Box<TableReader<PartInput<InputReader>>>),
    Dataset(Box<DatasetTableReader>),
}

impl Stream {
    /// Creates a stream of rows in a representation with this schema.
    pub(crate) fn new(
        rows: Rows,
        schema: SchemaRef,
        representation: Representation,
        limit: Option<u64>,
        accept: Arc<[String]>,
        counters: Vec<Arc<Counters>>,
    ) -> Self {
        for counters in &counters {
            counters.streams.fetch_add(1, Ordering::Relaxed);
        }
        Self {
            rows: Some(rows),
            schema,
            representation,
            limit,
            accept,
            counters,
            counted: Counts::default(),
            failed: false,
        }
    }

    /// Returns the next batch, or `None` after the last.
    ///
    /// Fails after the last batch if a finding says that the extract cannot be trusted. After an error, each further call
    /// fails: an ordinary end would say that the rows before the error are all rows.
    pub(crate) fn next_batch(&mut self) -> Result<Option<RecordBatch>, Failure> {
        if self.failed {
            return Err(Failure::request(
                "an error has ended this stream before, so the rows that it returned are not all rows. Discard them and \
                 start a new scan",
            ));
        }
        // Also a panic leaves the stream failed.
        self.failed = true;
        let next = self.advance()?;
        self.failed = false;
        Ok(next)
    }

    /// Ends the stream after an error of its user, for example if a batch could not be handed on.
    pub(crate) fn fail(&mut self) {
        self.failed = true;
        self.rows = None;
    }

    /// Returns the next batch of a stream that has not failed.
    fn advance(&mut self) -> Result<Option<RecordBatch>, Failure> {
        let Some(mut rows) = self.rows.take() else {
            return Ok(None);
        };
        let (next, rows) = guard(|| {
            let next = rows.next()?;
            let next = next.map(|batch| self.represent(&batch)).transpose()?;
            Ok((next, rows))
        })?;
        self.count(&rows, next.as_ref());
        if next.is_some() {
            self.rows = Some(rows);
        } else if self.limit.is_none_or(|limit| self.counted.rows < limit) {
            guard(|| match rows {
                Rows::Extract(mut rows) => check_findings(rows.summary()?, &self.accept),
                Rows::Part(_) | Rows::Dataset(_) => Ok(()),
            })?;
        }
        Ok(next)
    }

    /// Returns a batch in the representation and the types of the schema.
    fn represent(&self, batch: &RecordBatch) -> Result<RecordBatch, Failure> {
        let own = |error: ArrowError| Failure::from(cprflow::Error::Output(error));
        let batch = self.representation.batch(batch).map_err(own)?;
        if batch.schema().fields() == self.schema.fields() {
            return Ok(batch);
        }
        // The consumer has asked for other types.
        let fields = self.schema.fields().iter().zip(batch.columns());
        let columns = fields.map(|(field, column)| cast(column, field.data_type()));
        let columns = columns.collect::<Result<Vec<_>, _>>();
        let batch = columns.and_then(|columns| RecordBatch::try_new(self.schema.clone(), columns));
        batch.map_err(own)
    }

    /// Adds what was read since the last batch to the counters.
    fn count(&mut self, rows: &Rows, batch: Option<&RecordBatch>) {
        let (bytes_read, bytes_returned) = match rows {
            Rows::Extract(rows) => (rows.bytes_read(), rows.bytes_returned()),
            Rows::Part(rows) => (rows.bytes_read(), rows.bytes_returned()),
            Rows::Dataset(rows) => (rows.bytes_read(), 0),
        };
        let before = self.counted;
        self.counted = Counts {
            batches: before.batches + u64::from(batch.is_some()),
            rows: before.rows + batch.map_or(0, |batch| batch.num_rows() as u64),
            bytes_read,
            bytes_returned,
        };
        for counters in &self.counters {
            counters.add(before, self.counted);
        }
    }
}

impl Rows {
    fn next(&mut self) -> Result<Option<RecordBatch>, Failure> {
        Ok(match self {
            Self::Extract(rows) => rows.next_batch()?,
            Self::Part(rows) => rows.next_batch()?,
            Self::Dataset(rows) => rows.next_batch()?,
        })
    }
}

impl Iterator for Stream {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.next_batch().transpose()?;
        Some(next.map_err(Failure::into_arrow))
    }
}

impl RecordBatchReader for Stream {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }
}

/// What one stream has read.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    batches: u64,
    rows: u64,
    bytes_read: u64,
    bytes_returned: u64,
}

/// What several streams have read together.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    streams: AtomicU64,
    batches: AtomicU64,
    rows: AtomicU64,
    bytes_read: AtomicU64,
    bytes_returned: AtomicU64,
}

impl Counters {
    fn add(&self, before: Counts, now: Counts) {
        let add = |counter: &AtomicU64, before: u64, now: u64| {
            counter.fetch_add(now - before, Ordering::Relaxed);
        };
        add(&self.batches, before.batches, now.batches);
        add(&self.rows, before.rows, now.rows);
        add(&self.bytes_read, before.bytes_read, now.bytes_read);
        add(
            &self.bytes_returned,
            before.bytes_returned,
            now.bytes_returned,
        );
    }

    /// Returns the counts so far.
    pub(crate) fn stats(&self) -> ScanStats {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ScanStats {
            streams: get(&self.streams),
            batches: get(&self.batches),
            rows: get(&self.rows),
            bytes_read: get(&self.bytes_read),
            bytes_returned: get(&self.bytes_returned),
        }
    }
}

/// Fails if a finding of level error was not accepted.
pub(crate) fn check_findings(summary: Summary, accept: &[String]) -> Result<(), Failure> {
    let is_refused = |code: &String| !accept.contains(code);
    let mut errors = summary
        .findings
        .into_iter()
        .filter(|finding| finding.level == Level::Error && is_refused(&finding.code));
    match errors.next() {
        None => Ok(()),
        Some(finding) => Err(Failure::Finding {
            message: format!(
                "{}: {}. The rows before this error are not complete or not right. Look at all findings with verify(). To read \
                 the extract all the same, open it with accept=[{:?}]",
                finding.code,
                finding.message.trim_end_matches('.'),
                finding.code
            ),
            code: finding.code,
        }),
    }
}

/// What all streams of a scan, or of an extract or dataset, have read so far.
#[pyclass(frozen, get_all, eq, module = "cprflow")]
#[derive(PartialEq, Eq)]
pub(crate) struct ScanStats {
    /// The number of streams that were started.
    streams: u64,
    /// The number of batches.
    batches: u64,
    /// The number of rows.
    rows: u64,
    /// The number of bytes read of the extract, or of pages of Parquet files.
    bytes_read: u64,
    /// The number of bytes of batches that left the sandbox; 0 for a dataset.
    bytes_returned: u64,
}

#[pymethods]
impl ScanStats {
    fn __repr__(&self) -> String {
        format!(
            "ScanStats(streams={}, batches={}, rows={}, bytes_read={}, bytes_returned={})",
            self.streams, self.batches, self.rows, self.bytes_read, self.bytes_returned
        )
    }
}
