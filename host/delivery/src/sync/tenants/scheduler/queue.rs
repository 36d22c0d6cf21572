//! The queues of the tenants, and the choice of the next job.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::heartbeat::Heartbeat;
use super::job::{Job, JobOutcome, PendingDelivery};
use super::timeouts::{MAX_STALLED_JOBS, Timeouts};

/// The queue of one tenant.
struct TenantQueue {
    stage: TenantStage,
    timeouts: Timeouts,
    waiting: VecDeque<PendingDelivery>,
    /// Whether the current tables must be made after the deliveries.
    is_current_wanted: bool,
    running: Option<(Job, Heartbeat)>,
    /// The agreements with a delivery that failed in this run.
    failed: BTreeSet<String>,
    /// Whether a delivery to the tenant failed in an earlier run.
    failed_before: bool,
    /// The number of the tenant's last turn; 0 if it had none.
    last_turn: u64,
}

/// How far a tenant is in this run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum TenantStage {
    /// The tenant must be prepared.
    Unprepared,
    /// The tenant can receive deliveries.
    Ready,
    /// The tenant receives nothing in this run.
    Excluded,
}

impl TenantQueue {
    /// Returns whether a job of the tenant can start.
    fn can_start(&self) -> bool {
        self.running.is_none()
            && match self.stage {
                TenantStage::Unprepared => true,
                TenantStage::Ready => !self.waiting.is_empty() || self.is_current_wanted,
                TenantStage::Excluded => false,
            }
    }
}

impl TenantQueue {
    /// Excludes the tenant from the rest of the run.
    fn exclude(&mut self) {
        self.stage = TenantStage::Excluded;
        self.is_current_wanted = false;
    }
}

/// The queues of all tenants.
#[derive(Default)]
pub(super) struct Queues {
    tenants: Vec<TenantQueue>,
    /// For each delivery, the number of tenants that may still receive it in this run. Deliveries with 0 are left out.
    unsettled: BTreeMap<i64, usize>,
    turns: u64,
    /// Whether no delivery is added any more.
    pub(super) is_closed: bool,
    /// Whether no job starts any more.
    pub(super) is_stopped: bool,
}

impl Queues {
    /// Creates an empty queue for each tenant. `failed_before` are the tenants with a failure in an earlier run.
    pub(super) fn new(tenants: &[Timeouts], failed_before: &BTreeSet<usize>) -> Self {
        let queue = |(tenant, timeouts): (usize, &Timeouts)| TenantQueue {
            stage: TenantStage::Unprepared,
            timeouts: *timeouts,
            waiting: VecDeque::new(),
            is_current_wanted: false,
            running: None,
            failed: BTreeSet::new(),
            failed_before: failed_before.contains(&tenant),
            last_turn: 0,
        };
        Self {
            tenants: tenants.iter().enumerate().map(queue).collect(),
            ..Self::default()
        }
    }

    /// Adds a delivery at the end of a tenant's queue. Behind a failed delivery of the same agreement, it is left for
    /// another run. Returns `false` if the tenant receives nothing in this run.
    pub(super) fn add(&mut self, tenant: usize, pending: PendingDelivery) -> bool {
        let Some(queue) = self.tenants.get_mut(tenant) else {
            return false;
        };
        if queue.stage == TenantStage::Excluded {
            return false;
        }
        if self.is_stopped
            || queue.failed.contains(&pending.agreement)
            || queue.waiting.contains(&pending)
        {
            return true;
        }
        *self.unsettled.entry(pending.delivery).or_default() += 1;
        queue.waiting.push_back(pending);
        true
    }

    /// Asks for the current tables of every tenant that is not excluded, after its deliveries.
    pub(super) fn want_current(&mut self) {
        if self.is_stopped {
            return;
        }
        for queue in &mut self.tenants {
            queue.is_current_wanted = queue.stage != TenantStage::Excluded;
        }
    }

    /// Excludes a tenant from the rest of the run and returns the deliveries that wait in its queue.
    pub(super) fn exclude(&mut self, tenant: usize) -> Vec<PendingDelivery> {
        let Some(queue) = self.tenants.get_mut(tenant) else {
            return Vec::new();
        };
        queue.exclude();
        queue.waiting.iter().cloned().collect()
    }

    /// Returns whether no tenant may still receive a delivery in this run.
    pub(super) fn is_settled(&self, delivery: i64) -> bool {
        !self.unsettled.contains_key(&delivery)
    }

    /// Stops the run: no job starts any more.
    pub(super) fn stop(&mut self) {
        self.is_stopped = true;
        for queue in &mut self.tenants {
            queue.is_current_wanted = false;
        }
        self.discard(|_, _| true);
    }

    /// Takes the next job and marks it as running; `None` if every core is occupied or no job can start.
    pub(super) fn start_next(
        &mut self,
        cores: usize,
        time_slice: Duration,
    ) -> Option<(usize, Job, Heartbeat)> {
        if self.is_stopped {
            return None;
        }
        let running = self
            .tenants
            .iter()
            .filter_map(|queue| queue.running.as_ref());
        let (working, stalled): (Vec<_>, Vec<_>) =
            running.partition(|(_, heartbeat)| heartbeat.is_working(time_slice));
        if working.len() + stalled.len().saturating_sub(MAX_STALLED_JOBS) >= cores {
            return None;
        }
        let (tenant, queue) = self
            .tenants
            .iter_mut()
            .enumerate()
            .filter(|(_, queue)| queue.can_start())
            .min_by_key(|(_, queue)| (queue.failed_before, queue.last_turn))?;
        self.turns += 1;
        queue.last_turn = self.turns;
        let job = match queue.stage {
            TenantStage::Unprepared => Job::Prepare,
            _ => match queue.waiting.pop_front() {
                Some(pending) => Job::Publish(pending),
                None => {
                    queue.is_current_wanted = false;
                    Job::Current
                }
            },
        };
        let heartbeat = Heartbeat::new();
        queue.running = Some((job.clone(), heartbeat.clone()));
        Some((tenant, job, heartbeat))
    }

    /// Returns the running jobs for which `is_late` is true, given their timeout and heartbeat.
    pub(super) fn late_jobs(
        &self,
        is_late: impl Fn(Duration, &Heartbeat) -> bool,
    ) -> Vec<(usize, Job, Heartbeat)> {
        let late = |(tenant, queue): (usize, &TenantQueue)| {
            let (job, heartbeat) = queue.running.as_ref()?;
            let timeout = match job {
                Job::Prepare => queue.timeouts.prepare,
                Job::Publish(_) | Job::Current => queue.timeouts.publish,
            };
            is_late(timeout, heartbeat).then(|| (tenant, job.clone(), heartbeat.clone()))
        };
        self.tenants.iter().enumerate().filter_map(late).collect()
    }

    /// Records how a job ended. Does nothing if the job was ended before.
    pub(super) fn end_job(&mut self, tenant: usize, heartbeat: &Heartbeat, outcome: JobOutcome) {
        let Some(queue) = self.tenants.get_mut(tenant) else {
            return;
        };
        let is_own = |(_, running): &mut (Job, Heartbeat)| running.is_same_job(heartbeat);
        let Some((job, _)) = queue.running.take_if(is_own) else {
            return;
        };
        let pending = match job {
            Job::Prepare | Job::Current => None,
            Job::Publish(pending) => Some(pending),
        };
        match (outcome, &pending) {
            (JobOutcome::Done, _) if queue.stage == TenantStage::Unprepared => {
                queue.stage = TenantStage::Ready;
            }
            (JobOutcome::Failed, Some(pending)) => {
                queue.failed.insert(pending.agreement.clone());
            }
            (JobOutcome::Failed, None) | (JobOutcome::TenantFailed | JobOutcome::StopRun, _) => {
                queue.exclude();
            }
            (JobOutcome::Done, _) => {}
        }
        if let Some(pending) = &pending {
            self.settle(pending.delivery);
        }
        match (outcome, pending) {
            (JobOutcome::Done, _) => {}
            (JobOutcome::Failed, Some(failed)) => self
                .discard(|number, other| number == tenant && other.agreement == failed.agreement),
            (JobOutcome::Failed, None) | (JobOutcome::TenantFailed, _) => {
                self.discard(|number, _| number == tenant);
            }
            (JobOutcome::StopRun, _) => self.stop(),
        }
    }

    /// Returns whether a job runs or can still start.
    pub(super) fn is_busy(&self) -> bool {
        let is_unprepared =
            |queue: &TenantQueue| queue.stage == TenantStage::Unprepared && !self.is_stopped;
        !self.unsettled.is_empty()
            || self.tenants.iter().any(|queue| {
                queue.running.is_some() || queue.is_current_wanted || is_unprepared(queue)
            })
    }

    /// Removes waiting deliveries from the queues; a later run publishes them.
    fn discard(&mut self, is_discarded: impl Fn(usize, &PendingDelivery) -> bool) {
        let mut discarded = Vec::new();
        for (tenant, queue) in self.tenants.iter_mut().enumerate() {
            queue.waiting.retain(|pending| {
                let is_discarded = is_discarded(tenant, pending);
                if is_discarded {
                    discarded.push(pending.delivery);
                }
                !is_discarded
            });
        }
        for delivery in discarded {
            self.settle(delivery);
        }
    }

    /// Records that one tenant fewer may still receive a delivery.
    fn settle(&mut self, delivery: i64) {
        if let Some(tenants) = self.unsettled.get_mut(&delivery) {
            *tenants -= 1;
            if *tenants == 0 {
                self.unsettled.remove(&delivery);
            }
        }
    }
}
