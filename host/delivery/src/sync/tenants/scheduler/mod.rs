//! Runs the tenants' jobs in threads: each tenant's deliveries in order, and all tenants in parallel.
//!
//! Each tenant has a queue of deliveries. They are published in order and one at a time, because each one builds on the
//! roster that the one before left. Every job runs in a thread of its own, and about as many jobs run as the machine has
//! cores. Turns are fair: the tenant whose last turn is longest ago is next, and tenants that failed in an earlier run
//! come after the others.
//!
//! No tenant may hold up another one. A job therefore occupies a core only while it makes progress, shown by its
//! [`Heartbeat`], and only for its first 10 seconds; afterwards another job starts beside it. A job that exceeds its
//! [`Timeouts`] is abandoned, and its tenant receives nothing more in this run. A thread cannot be killed, and it may
//! hang in a call to a disk that does not respond, so it is left alone; the heartbeat tells it that its result no longer
//! counts.
//!
//! | file | content |
//! |---|---|
//! | `job` | what a thread does for a tenant, and how that can end |
//! | `queue` | the tenants' queues and the choice of the next job; no threads |
//! | `heartbeat` | the signal between a job's thread and the scheduler |
//! | `timeouts` | the times after which the scheduler stops waiting |
//! | this file | the threads |

mod heartbeat;
mod job;
mod queue;
#[cfg(test)]
mod tests;
mod timeouts;

use std::collections::BTreeSet;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

pub(super) use self::heartbeat::Heartbeat;
pub(super) use self::job::{Job, JobFailure, JobOutcome, PendingDelivery};
use self::queue::Queues;
pub(super) use self::timeouts::Timeouts;
use self::timeouts::{POLL_INTERVAL, STOP_TIMEOUT, TIME_SLICE};
use crate::stop::Stop;

/// Runs the jobs of all tenants.
pub(super) struct Scheduler {
    queues: Mutex<Queues>,
    changed: Condvar,
    cores: usize,
    time_slice: Duration,
}

impl Scheduler {
    /// Creates a scheduler with an empty queue for each tenant. `failed_before` are the tenants with a failure in an
    /// earlier run.
    pub(super) fn new(tenants: &[Timeouts], failed_before: &BTreeSet<usize>) -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Self::with_cores(tenants, failed_before, cores, TIME_SLICE)
    }

    fn with_cores(
        tenants: &[Timeouts],
        failed_before: &BTreeSet<usize>,
        cores: usize,
        time_slice: Duration,
    ) -> Self {
        Self {
            queues: Mutex::new(Queues::new(tenants, failed_before)),
            changed: Condvar::new(),
            cores,
            time_slice,
        }
    }

    /// Adds a delivery at the end of a tenant's queue. Behind a failed delivery of the same agreement, it is left for
    /// another run. Returns `false` if the tenant receives nothing in this run.
    pub(super) fn add(&self, tenant: usize, pending: PendingDelivery) -> bool {
        let is_accepted = self.lock().add(tenant, pending);
        self.changed.notify_all();
        is_accepted
    }

    /// Asks for the current tables of every tenant that is not excluded, after its deliveries.
    pub(super) fn want_current(&self) {
        self.lock().want_current();
        self.changed.notify_all();
    }

    /// Excludes a tenant from the rest of the run and returns the deliveries that wait in its queue.
    pub(super) fn exclude(&self, tenant: usize) -> Vec<PendingDelivery> {
        self.lock().exclude(tenant)
    }

    /// Returns whether no tenant may still receive a delivery in this run.
    pub(super) fn is_settled(&self, delivery: i64) -> bool {
        self.lock().is_settled(delivery)
    }

    /// Declares that no delivery is added any more.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_all();
    }

    /// Returns whether the run was stopped.
    pub(super) fn is_stopped(&self) -> bool {
        self.lock().is_stopped
    }

    /// Stops the run: no job starts any more.
    pub(super) fn stop(&self) {
        self.lock().stop();
        self.changed.notify_all();
    }

    /// Waits until all jobs have ended or were abandoned.
    pub(super) fn wait(&self) {
        let queues = self.lock();
        drop(
            self.changed
                .wait_while(queues, |queues| queues.is_busy())
                .unwrap_or_else(PoisonError::into_inner),
        );
    }

    /// Runs all jobs until [`close`](Self::close) was called and no job is left.
    ///
    /// `run_job` does a job, in a thread of its own. `on_failure` is called in this thread for a job without a result: it
    /// must abandon the job and [end](Self::end_job) it.
    pub(super) fn run(
        self: &Arc<Self>,
        stop: &Stop,
        run_job: impl Fn(usize, &Job, &Heartbeat) -> JobOutcome + Clone + Send + 'static,
        on_failure: impl Fn(usize, &Job, &Heartbeat, JobFailure),
    ) {
        let mut stopped = None;
        loop {
            if stop.is_set() {
                stopped.get_or_insert_with(Instant::now);
                self.stop();
            }
            let is_late = |timeout: Duration, heartbeat: &Heartbeat| {
                let stop_took_too_long =
                    stopped.is_some_and(|since: Instant| since.elapsed() > STOP_TIMEOUT);
                stop_took_too_long || heartbeat.elapsed() > timeout
            };
            let late = self.lock().late_jobs(is_late);
            for (tenant, job, heartbeat) in late {
                on_failure(tenant, &job, &heartbeat, JobFailure::TimedOut);
            }
            let mut queues = self.lock();
            while let Some((tenant, job, heartbeat)) =
                queues.start_next(self.cores, self.time_slice)
            {
                drop(queues);
                if self
                    .start_thread(tenant, job.clone(), heartbeat.clone(), run_job.clone())
                    .is_err()
                {
                    on_failure(tenant, &job, &heartbeat, JobFailure::NoThread);
                }
                queues = self.lock();
            }
            if queues.is_closed && !queues.is_busy() {
                return;
            }
            drop(
                self.changed
                    .wait_timeout(queues, POLL_INTERVAL)
                    .unwrap_or_else(PoisonError::into_inner),
            );
        }
    }

    fn start_thread(
        self: &Arc<Self>,
        tenant: usize,
        job: Job,
        heartbeat: Heartbeat,
        run_job: impl Fn(usize, &Job, &Heartbeat) -> JobOutcome + Send + 'static,
    ) -> io::Result<()> {
        let scheduler = Arc::clone(self);
        let thread = thread::Builder::new().spawn(move || {
            // A panic in the work of one tenant must not end the work of the others.
            let outcome = catch_unwind(AssertUnwindSafe(|| run_job(tenant, &job, &heartbeat)));
            scheduler.end_job(tenant, &heartbeat, outcome.unwrap_or(JobOutcome::Failed));
        });
        thread.map(drop)
    }

    /// Records how a job ended. Does nothing if the job was abandoned and ended before.
    pub(super) fn end_job(&self, tenant: usize, heartbeat: &Heartbeat, outcome: JobOutcome) {
        self.lock().end_job(tenant, heartbeat, outcome);
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
