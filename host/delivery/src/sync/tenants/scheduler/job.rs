//! The jobs that threads do for tenants.

/// A delivery that a tenant is to receive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PendingDelivery {
    /// The delivery's row in the ledger.
    pub(crate) delivery: i64,
    /// The delivery's agreement. If a delivery fails, later ones of the same agreement wait for another run.
    pub(crate) agreement: String,
}

/// What a thread does for a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Job {
    /// Reads the tenant's files and opens its dataset. This is each tenant's first job.
    Prepare,
    /// Publishes a delivery to the tenant.
    Publish(PendingDelivery),
    /// Makes a new generation of the tenant's current tables, if one is needed.
    Current,
}

/// How a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JobOutcome {
    /// The job succeeded. The tenant's next job may start.
    Done,
    /// The delivery was not published. Later deliveries of the same agreement must wait for another run.
    Failed,
    /// The tenant receives nothing more in this run.
    TenantFailed,
    /// No job of any tenant may start any more.
    StopRun,
}

/// Why a job has no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JobFailure {
    /// The job exceeded its timeout.
    TimedOut,
    /// The operating system refused to start a thread.
    NoThread,
}
