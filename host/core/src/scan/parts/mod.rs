//! Reads the parts of one extract at the same time, in several instances of the component.
//!
//! The main instance reads the beginning of the extract and then leaves the rest to parts. The thread that asks for rows
//! reads the input and cuts it into parts of some megabytes, between two records. Threads with an instance each take the
//! next part; the asking thread takes one itself, in the main instance, whenever the oldest part is not ready. Results
//! are returned in the order of the extract, so only as many parts are in memory as threads can use.
//!
//! The main instance takes what each part has counted. If it refuses a part, or a part has an error in its data, the main
//! instance reads on from there alone: rows, findings and errors are always those of a scan with one thread.
//!
//! - `cut` cuts the input into parts.
//! - `memory` keeps the memory of parts for the next ones.
//! - `queue` hands parts to threads and their results back.
//! - `run` joins both: [`PartRun`].
//! - `scan_pass` makes the rows of a part, and `selection_pass` selects the persons of a part.

mod cut;
mod memory;
mod queue;
mod run;
mod scan_pass;
mod selection_pass;

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use crate::error::{ComponentError, Error};
use crate::sandbox::Session;
use crate::wit::source as wit;

pub(super) use run::{Begun, FinishedPart, PartRun, Rest};
pub(super) use scan_pass::{ScanPass, ScanSetup, shift_lines};
pub(super) use selection_pass::{ChosenPieces, SelectionPassSetup};

/// The default number of bytes in a part of many tables. A part must be large, because each of its tables ends with a batch
/// that is not full. It must be small, because several are in memory.
pub(super) const PART_BYTES: usize = 8 << 20;

/// The same for each table, where few are read.
const PART_BYTES_OF_TABLE: usize = 2 << 20;

/// Returns the default number of bytes in a part of that many requested tables; 0 are all tables.
pub(super) const fn default_part_bytes(tables: usize) -> usize {
    match tables {
        1..4 => tables * PART_BYTES_OF_TABLE,
        _ => PART_BYTES,
    }
}

/// The largest number of threads.
const MAX_THREADS: usize = 64;

/// How an extract is divided into parts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Division {
    /// The number of threads; 0 for one for each core.
    threads: usize,
    part_bytes: usize,
    /// The number of bytes before which the extract is not divided.
    not_before: u64,
}

impl Division {
    /// Reads everything in one instance.
    pub(super) const NONE: Self = Self::new(1, PART_BYTES);

    /// Divides an extract for that many threads, or with 0 for one for each core.
    pub(super) const fn new(threads: usize, part_bytes: usize) -> Self {
        Self {
            threads,
            part_bytes,
            not_before: (part_bytes / 8) as u64,
        }
    }

    /// Returns whether to try to divide an extract of which the main instance has read that many bytes.
    pub(super) fn may_begin(&mut self, bytes: u64) -> bool {
        let may_begin = self.threads != 1 && bytes >= self.not_before;
        if may_begin {
            // If it cannot be divided here, it is tried again after as much as a part.
            self.not_before = bytes.saturating_add(self.part_bytes as u64);
        }
        may_begin
    }

    /// Returns the helpers of a scan: the threads besides the one that asks for rows.
    fn helpers(self) -> Helpers {
        match self.threads {
            0 => Helpers::reserve(cores() - 1),
            threads => Helpers {
                count: threads.min(MAX_THREADS) - 1,
                are_reserved: false,
            },
        }
    }
}

/// Returns the number of cores that this process may use.
fn cores() -> usize {
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    cores.min(MAX_THREADS)
}

/// The number of helpers that all scans with the default number of threads have together. It is limited, because as many
/// scans as there are cores can run at the same time, for example those of tenants.
static RESERVED: AtomicUsize = AtomicUsize::new(0);

/// The helpers of one scan.
struct Helpers {
    count: usize,
    are_reserved: bool,
}

impl Helpers {
    /// Reserves those of `all` helpers that no other scan has reserved.
    fn reserve(all: usize) -> Self {
        let free = |reserved: usize| all.saturating_sub(reserved);
        let reserve = |reserved: usize| Some(reserved + free(reserved));
        let before = RESERVED.fetch_update(Ordering::Relaxed, Ordering::Relaxed, reserve);
        Self {
            count: before.map_or(0, free),
            are_reserved: true,
        }
    }
}

impl Drop for Helpers {
    fn drop(&mut self) {
        if self.are_reserved {
            RESERVED.fetch_sub(self.count, Ordering::Relaxed);
        }
    }
}

/// A pass over parts in one instance.
pub(super) trait PartPass: Send + 'static {
    /// What a part says.
    type Output: Send + 'static;

    /// Reads a part. It ends early if `stop` is set.
    fn read(
        &mut self,
        session: &mut Session,
        part: &[u8],
        stop: &AtomicBool,
    ) -> Result<Self::Output, PartError>;

    /// Moves past the records of a block, and returns how many of its last bytes belong to a record that is not complete.
    /// Returns `None` if the records cannot be found.
    fn walk(&mut self, session: &mut Session, block: &[u8]) -> Result<Option<u64>, Error>;
}

/// Why a part has no result.
pub(super) enum PartError {
    /// The part has an error in its data, or is not read any more. The main instance reads it.
    Unread,
    /// The instance failed.
    Failed(Error),
}

impl From<Error> for PartError {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<ComponentError> for PartError {
    fn from(error: ComponentError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<wit::Error> for PartError {
    fn from(error: wit::Error) -> Self {
        match Error::from(error) {
            Error::Data(_) => Self::Unread,
            other => Self::Failed(other),
        }
    }
}
