//! The times after which the scheduler stops waiting.

use std::time::Duration;

/// The time that each of a tenant's jobs may take before it is abandoned.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timeouts {
    pub(crate) prepare: Duration,
    pub(crate) publish: Duration,
}

/// The time after which a job without a heartbeat no longer occupies a core.
pub(super) const STALL_TIMEOUT: Duration = Duration::from_millis(500);

/// The time after which a job no longer occupies a core, even if it makes progress.
pub(super) const TIME_SLICE: Duration = Duration::from_secs(10);

/// The number of jobs that may run although they occupy no core. Further ones count as occupying a core, so that the
/// number of threads is limited.
pub(super) const MAX_STALLED_JOBS: usize = 16;

/// The interval at which the scheduler looks for jobs that stalled or exceeded their timeout.
pub(super) const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// The time that jobs have to end after the run was asked to stop.
pub(super) const STOP_TIMEOUT: Duration = Duration::from_secs(30);
