//! The signal between a job's thread and the scheduler.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::timeouts::STALL_TIMEOUT;

/// Shows that a job makes progress, and tells its thread whether its result still counts.
///
/// A job is either finished by its thread or abandoned by the scheduler, never both: the first of the two wins.
#[derive(Debug, Clone)]
pub(crate) struct Heartbeat {
    started: Instant,
    /// Milliseconds from the start to the last beat.
    last_beat: Arc<AtomicU64>,
    fate: Arc<AtomicU8>,
}

const RUNNING: u8 = 0;
const FINISHED: u8 = 1;
const ABANDONED: u8 = 2;

impl Heartbeat {
    /// Creates the heartbeat of a job that starts now.
    pub(crate) fn new() -> Self {
        Self {
            started: Instant::now(),
            last_beat: Arc::default(),
            fate: Arc::default(),
        }
    }

    /// Records progress.
    pub(crate) fn beat(&self) {
        let now = self.started.elapsed().as_millis() as u64;
        self.last_beat.store(now, Ordering::Relaxed);
    }

    /// Returns the time since the job started.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Marks the job as finished. Returns `false` if it was abandoned before: then its result must not be recorded.
    pub(crate) fn finish(&self) -> bool {
        self.decide(FINISHED)
    }

    /// Marks the job as abandoned. Returns `false` if it was finished before.
    pub(crate) fn abandon(&self) -> bool {
        self.decide(ABANDONED)
    }

    /// Returns whether the job was abandoned. Its thread must then change nothing any more, because another thread may
    /// do the same work.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.fate.load(Ordering::SeqCst) == ABANDONED
    }

    fn decide(&self, fate: u8) -> bool {
        let decided = self
            .fate
            .compare_exchange(RUNNING, fate, Ordering::SeqCst, Ordering::SeqCst);
        decided.is_ok() || decided == Err(fate)
    }

    /// Returns whether the job occupies a core: it made progress within [`STALL_TIMEOUT`], and `time_slice` has not passed
    /// since its start.
    pub(super) fn is_working(&self, time_slice: Duration) -> bool {
        let last = Duration::from_millis(self.last_beat.load(Ordering::Relaxed));
        let elapsed = self.started.elapsed();
        elapsed.saturating_sub(last) <= STALL_TIMEOUT && elapsed <= time_slice
    }

    /// Returns whether both are heartbeats of the same job.
    pub(super) fn is_same_job(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.fate, &other.fate)
    }
}
