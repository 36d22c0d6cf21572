//! What an instance may use, and the host's side of a store, which watches over it.

use std::fmt;
use std::time::{Duration, Instant};

use wasmtime::ResourceLimiter;

use crate::catalog::MAX_COLUMNS;
use crate::error::ComponentError;

/// What a scan may use at the most. Every limit is finite and set before the component's first instruction.
///
/// ```
/// use std::time::{Duration, Instant};
/// use cprflow::Limits;
///
/// let limits = Limits::new().memory(64 << 20).call(Duration::from_millis(100));
/// assert_eq!(limits, Limits::new().memory(64 << 20).call(Duration::from_millis(100)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub(crate) memory: usize,
    pub(crate) call: Duration,
    pub(crate) total: Duration,
    pub(crate) answer_bytes: usize,
    pub(crate) batch_bytes: usize,
    pub(crate) batch_rows: usize,
    pub(crate) columns: usize,
    pub(crate) text_bytes: usize,
    pub(crate) empty_batches: u32,
    pub(crate) output_rows: u64,
    pub(crate) output_bytes: u64,
    pub(crate) output_per_input: u64,
    pub(crate) handles: usize,
}

impl Limits {
    /// The defaults, which a scan of all of Denmark keeps to.
    pub const fn new() -> Self {
        Self {
            memory: 256 << 20,
            call: Duration::from_secs(10),
            total: Duration::from_secs(6 * 60 * 60),
            answer_bytes: 4 << 20,
            batch_bytes: 128 << 20,
            batch_rows: 1 << 20,
            columns: MAX_COLUMNS,
            text_bytes: 128 << 10,
            empty_batches: 16,
            output_rows: 1 << 32,
            output_bytes: 1 << 40,
            output_per_input: 64,
            handles: 16,
        }
    }

    /// Bytes of the component's memory. The default of 256 MiB is room for the widest batches of all tables at
    /// once, several times over.
    pub const fn memory(mut self, bytes: usize) -> Self {
        self.memory = bytes;
        self
    }

    /// How long one call may take. A call reads one block or makes one batch, a matter of milliseconds: the
    /// default of 10 seconds is for machines that are busy with other things. It is kept to a few milliseconds.
    pub const fn call(mut self, time: Duration) -> Self {
        self.call = time;
        self
    }

    /// How long all calls of an instance together may take: each within its own deadline, they could go on for
    /// ever. All of Denmark takes minutes; the default is 6 hours.
    pub const fn total(mut self, time: Duration) -> Self {
        self.total = time;
        self
    }

    /// Bytes that a call may return, batches apart: catalogs, summaries, errors. cprflow's own catalog takes a
    /// tenth of the default of 4 MiB.
    pub const fn answer_bytes(mut self, bytes: usize) -> Self {
        self.answer_bytes = bytes;
        self
    }

    /// Bytes of a batch. The default of 128 MiB is far beyond a batch of the component's own choice of rows, and
    /// half of the memory that it was made in.
    pub const fn batch_bytes(mut self, bytes: usize) -> Self {
        self.batch_bytes = bytes;
        self
    }

    /// Rows of a batch, 1,048,576 by default. A batch never has more than were asked for, in any case.
    pub const fn batch_rows(mut self, rows: usize) -> Self {
        self.batch_rows = rows;
        self
    }

    /// Columns of a table, 512 by default: the widest of cprflow's own has some fifty.
    pub const fn columns(mut self, columns: usize) -> Self {
        self.columns = columns;
        self
    }

    /// Bytes of a text, in UTF-8. No column's text is longer than its field can be; what is beside the columns (a line
    /// as it stands, what did not fit a column) can be as long as a record, which the default of 128 KiB has room for.
    pub const fn text_bytes(mut self, bytes: usize) -> Self {
        self.text_bytes = bytes;
        self
    }

    /// Batches without a row, one after the other. There is no use for any; the default is 16.
    pub const fn empty_batches(mut self, batches: u32) -> Self {
        self.empty_batches = batches;
        self
    }

    /// Rows of all tables together. The default of 2³² is several times the civil register.
    pub const fn output_rows(mut self, rows: u64) -> Self {
        self.output_rows = rows;
        self
    }

    /// Bytes of all batches together, 1 TiB by default: the civil register with its history takes a tenth.
    pub const fn output_bytes(mut self, bytes: u64) -> Self {
        self.output_bytes = bytes;
        self
    }

    /// Bytes of batches for each byte that was read, beyond the first 64 MiB. Short records become wide rows, by a
    /// factor of ten at the worst; the default is 64. It ends a component that makes rows out of nothing.
    pub const fn output_per_input(mut self, factor: u64) -> Self {
        self.output_per_input = factor;
        self
    }

    /// Handles of resources that live at a time. A scan needs two; the default is 16.
    pub const fn handles(mut self, handles: usize) -> Self {
        self.handles = handles;
        self
    }
}

impl Limits {
    /// Refuses a table that is too wide.
    pub(crate) fn check_columns(&self, columns: usize) -> Result<(), ComponentError> {
        if columns <= self.columns {
            return Ok(());
        }
        Err(ComponentError::Limit {
            limit: LimitKind::Columns,
            at_most: self.columns as u64,
        })
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::new()
    }
}

/// Bytes of batches that any scan may make, however little it has read: schemas and single rows.
pub(crate) const FREE_OUTPUT: u64 = 64 << 20;

/// A limit on what a component returns or holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LimitKind {
    /// [`Limits::answer_bytes`].
    AnswerBytes,
    /// [`Limits::batch_bytes`].
    BatchBytes,
    /// [`Limits::batch_rows`], or what the scan asked for.
    BatchRows,
    /// [`Limits::empty_batches`].
    EmptyBatches,
    /// [`Limits::output_rows`].
    OutputRows,
    /// [`Limits::output_bytes`], or as much as the bytes that were read allow for.
    OutputBytes,
    /// [`Limits::handles`].
    Handles,
    /// Tables of its catalog.
    Tables,
    /// Columns of a table of its catalog; [`Limits::columns`].
    Columns,
    /// [`Limits::text_bytes`].
    TextBytes,
    /// Findings of a summary.
    Findings,
    /// Core instances, memories or tables of function references.
    CoreObjects,
}

impl fmt::Display for LimitKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AnswerBytes => "bytes in answer to a call",
            Self::BatchBytes => "bytes in a batch",
            Self::BatchRows => "rows in a batch",
            Self::EmptyBatches => "batches without a row in a row",
            Self::OutputRows => "rows in all",
            Self::OutputBytes => "bytes of batches in all",
            Self::Handles => "handles of resources",
            Self::Tables => "tables in its catalog",
            Self::Columns => "columns in a table",
            Self::TextBytes => "bytes in a text",
            Self::Findings => "findings in a summary",
            Self::CoreObjects => "core instances, memories or tables",
        })
    }
}

/// The host's side of a store: it only watches over memory and time.
pub(crate) struct Host {
    /// When the call that is under way has had its time.
    pub(super) due: Instant,
    memory_limit: usize,
    memory_used: usize,
    memory_refused: bool,
}

impl Host {
    pub(super) fn new(memory_limit: usize) -> Self {
        Self {
            due: Instant::now(),
            memory_limit,
            memory_used: 0,
            memory_refused: false,
        }
    }

    /// Whether the instance was stopped for wanting more memory than it may have.
    pub(super) fn refused_memory(&self) -> bool {
        self.memory_refused
    }
}

impl ResourceLimiter for Host {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // The limit is for all memories of the instance together.
        let used = self.memory_used - current.min(self.memory_used) + desired;
        if used > self.memory_limit {
            self.memory_refused = true;
            wasmtime::bail!("the memory limit is reached");
        }
        self.memory_used = used;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= MAX_TABLE_ELEMENTS)
    }

    fn instances(&self) -> usize {
        MAX_CORE_INSTANCES as usize
    }

    fn tables(&self) -> usize {
        MAX_TABLES as usize
    }

    fn memories(&self) -> usize {
        MAX_MEMORIES as usize
    }
}

/// Function references in a table of the component, of which a Rust program has some hundreds.
pub(super) const MAX_TABLE_ELEMENTS: usize = 10_000;

/// Core instances of a component: its program, and the shims that lead to its imports. cprflow's own has a few.
pub(super) const MAX_CORE_INSTANCES: u32 = 16;

/// Tables of a component: its program's and the shims'.
pub(super) const MAX_TABLES: u32 = 8;

/// Memories of a component. One is what a Rust program has.
pub(super) const MAX_MEMORIES: u32 = 2;
