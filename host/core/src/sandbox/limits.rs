//! The limits of an instance, and the state of a store, which watches the memory.

use std::time::{Duration, Instant};

use wasmtime::ResourceLimiter;

use crate::error::{ComponentError, LimitKind};

/// The limits of a scan. All of them are set before the component's first instruction.
///
/// A component that exceeds a limit is stopped, and the scan ends with a [`ComponentError`].
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
    /// Returns the default limits, which suffice for a scan of all of Denmark.
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

    /// Sets the limit of the component's memory in bytes. Default: 256 MiB, several times what the widest batches of
    /// all tables need.
    pub const fn memory(mut self, bytes: usize) -> Self {
        self.memory = bytes;
        self
    }

    /// Sets the time limit of one call. Default: 10 seconds.
    ///
    /// A call reads one block or makes one batch, which takes milliseconds; the default leaves room for busy machines.
    /// The call is stopped within a few milliseconds after the limit.
    pub const fn call(mut self, time: Duration) -> Self {
        self.call = time;
        self
    }

    /// Sets the time limit of all calls of an instance together. Default: 6 hours. A scan of all of Denmark takes
    /// minutes.
    pub const fn total(mut self, time: Duration) -> Self {
        self.total = time;
        self
    }

    /// Sets the size limit of an answer that is not a batch (catalog, summary, error), in bytes. Default: 4 MiB, ten
    /// times cprflow's own catalog.
    pub const fn answer_bytes(mut self, bytes: usize) -> Self {
        self.answer_bytes = bytes;
        self
    }

    /// Sets the size limit of a batch in bytes. Default: 128 MiB, half of the component's memory and far more than a
    /// batch of the default number of rows.
    pub const fn batch_bytes(mut self, bytes: usize) -> Self {
        self.batch_bytes = bytes;
        self
    }

    /// Sets the largest number of rows in a batch. Default: 1,048,576. A batch never has more rows than the scan asked
    /// for.
    pub const fn batch_rows(mut self, rows: usize) -> Self {
        self.batch_rows = rows;
        self
    }

    /// Sets the largest number of columns in a table. Default: 512. The widest of cprflow's own tables has about 50.
    pub const fn columns(mut self, columns: usize) -> Self {
        self.columns = columns;
        self
    }

    /// Sets the size limit of a text in bytes of UTF-8. Default: 128 KiB, room for a whole record.
    ///
    /// The text of a column is also limited by the length of its field. Rejected lines and irregular values can be as
    /// long as a record.
    pub const fn text_bytes(mut self, bytes: usize) -> Self {
        self.text_bytes = bytes;
        self
    }

    /// Sets the largest number of consecutive empty batches. Default: 16. A correct component returns none.
    pub const fn empty_batches(mut self, batches: u32) -> Self {
        self.empty_batches = batches;
        self
    }

    /// Sets the largest number of rows of all tables together. Default: 2³², several times the civil register.
    pub const fn output_rows(mut self, rows: u64) -> Self {
        self.output_rows = rows;
        self
    }

    /// Sets the size limit of all batches together, in bytes. Default: 1 TiB, ten times the civil register with its
    /// history.
    pub const fn output_bytes(mut self, bytes: u64) -> Self {
        self.output_bytes = bytes;
        self
    }

    /// Sets the largest number of bytes of batches for each byte read, beyond the first 64 MiB. Default: 64.
    ///
    /// It stops a component that makes rows out of nothing. Short records become wide rows by a factor of ten at most.
    pub const fn output_per_input(mut self, factor: u64) -> Self {
        self.output_per_input = factor;
        self
    }

    /// Sets the largest number of resource handles that exist at a time. Default: 16. A scan needs two.
    pub const fn handles(mut self, handles: usize) -> Self {
        self.handles = handles;
        self
    }
}

impl Limits {
    /// Fails if a table has too many columns.
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

/// The bytes of batches that every scan may return however little it has read. They are for schemas and single rows.
pub(crate) const FREE_OUTPUT: u64 = 64 << 20;

/// The default of the largest number of columns in a table, and the limit of the catalog.
pub(crate) const MAX_COLUMNS: usize = 512;

/// The host's state of a store: the deadline of the running call, and the memory in use.
pub(crate) struct StoreState {
    /// The deadline of the running call.
    pub(super) deadline: Instant,
    memory_limit: usize,
    memory_used: usize,
    memory_refused: bool,
}

impl StoreState {
    pub(super) fn new(memory_limit: usize) -> Self {
        Self {
            deadline: Instant::now(),
            memory_limit,
            memory_used: 0,
            memory_refused: false,
        }
    }

    /// Returns whether the instance was stopped because it asked for too much memory.
    pub(super) fn refused_memory(&self) -> bool {
        self.memory_refused
    }
}

impl ResourceLimiter for StoreState {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // The limit applies to all memories of the instance together.
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

/// The largest number of function references in a table. A Rust program has some hundreds.
pub(super) const MAX_TABLE_ELEMENTS: usize = 10_000;

/// The largest number of core instances of a component: its program and the shims for its imports. cprflow's own
/// component has a few.
pub(super) const MAX_CORE_INSTANCES: u32 = 16;

/// The largest number of tables of function references of a component.
pub(super) const MAX_TABLES: u32 = 8;

/// The largest number of memories of a component. A Rust program has one.
pub(super) const MAX_MEMORIES: u32 = 2;
