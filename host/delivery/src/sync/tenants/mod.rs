//! Publishes deliveries to the tenants of a store during a run, and collects the results.

mod current;
mod dataset_claim;
mod error;
mod failure;
mod foreign;
mod leavers;
mod produce_again;
mod protecting_extracts;
mod publisher;
mod ready;
mod scheduler;
mod staging;
mod tenant_scan;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use self::dataset_claim::claim;
use self::failure::{name_limit, reason_code};
use self::publisher::TenantPublisher;
use self::ready::ReadyTenant;
use self::scheduler::{
    Heartbeat, Job, JobFailure, JobOutcome, PendingDelivery, Scheduler, Timeouts,
};
use crate::config::Store;
use crate::current::RegisterSource;
use crate::error::Error;
use crate::fs;
use crate::ledger::{AdoptedDataset, Ledger, LedgerError, Reason, TenantDelivery};
use crate::stop::Stop;
use crate::sync::report::{MadeCurrent, PublishedDelivery, RunProblem, RunReport};
use crate::tenant::Tenant;
use cprflow::Connector;

pub use self::error::TenantPublishError;
pub(crate) use self::leavers::publish_leavers;
pub(crate) use self::produce_again::numbers_in;
pub use self::tenant_scan::{tenant_part_scan, tenant_scan};

/// The tenants of a store during a run.
///
/// The files and the disk of a tenant are only used in that tenant's own threads, so that a disk that does not respond
/// delays no other tenant.
pub(super) struct Tenants {
    publisher: TenantPublisher,
    /// The prepared tenants, in the order of the configuration. Empty for a tenant that is not prepared yet, or cannot
    /// be.
    prepared: Vec<OnceLock<ReadyTenant>>,
    scheduler: Arc<Scheduler>,
    outcome: Mutex<Outcome>,
}

#[derive(Default)]
struct Outcome {
    published: Vec<PublishedDelivery>,
    current: Vec<MadeCurrent>,
    problems: Vec<RunProblem>,
    /// The error that stopped the run for all tenants.
    fatal: Option<Error>,
}

/// The time to read a tenant's files and open its dataset.
const PREPARE_TIMEOUT: Duration = Duration::from_secs(120);

/// The time that the tenants' disks have to remove the current tables.
const WITHDRAW_TIMEOUT: Duration = Duration::from_secs(30);

/// The time that a publication may take beyond the tenant's limit before it is abandoned. A thread that is not stuck
/// notices the limit itself and reports a better error.
const TIMEOUT_GRACE: Duration = Duration::from_secs(10);

impl Tenants {
    /// Creates the tenants of a store, none of them prepared. A tenant in `unusable` receives nothing in this run; its
    /// error goes into the report. `may_show_erased` says that an erasure is not complete.
    pub(super) fn new(
        connector: &Connector,
        store: &Store,
        ledger: Ledger,
        mut unusable: BTreeMap<&str, Error>,
        may_show_erased: bool,
        stop: &Stop,
        now: fn() -> Timestamp,
    ) -> Result<Arc<Self>, Error> {
        let shares = ledger.tenant_deliveries()?;
        let has_failed_before = |name: &str| {
            let mut shares = shares.iter();
            shares.any(|share| {
                share.tenant == name && share.attempts > 0 && !share.state.is_settled()
            })
        };
        let all = store.tenants.iter().enumerate();
        let failed_before: BTreeSet<_> = all
            .filter(|(_, tenant)| has_failed_before(tenant.name.as_str()))
            .map(|(number, _)| number)
            .collect();
        let timeouts: Vec<_> = store.tenants.iter().map(timeouts).collect();
        let tenants = Self {
            publisher: TenantPublisher {
                connector: connector.clone(),
                store: store.clone(),
                ledger: Mutex::new(ledger),
                stop: stop.clone(),
                now,
                may_show_erased,
                protected: Mutex::default(),
                rewritten: Mutex::default(),
            },
            prepared: timeouts.iter().map(|_| OnceLock::new()).collect(),
            scheduler: Arc::new(Scheduler::new(&timeouts, &failed_before)),
            outcome: Mutex::default(),
        };
        for (number, tenant) in store.tenants.iter().enumerate() {
            if let Some(error) = unusable.remove(tenant.name.as_str()) {
                tenants.scheduler.exclude(number);
                let ledger = tenants.publisher.ledger();
                tenants.record_current_failure(&ledger, tenant, &error);
                drop(ledger);
                let mut outcome = tenants.outcome();
                outcome.add_problem(None, tenant.name.as_str(), error);
            }
        }
        Ok(Arc::new(tenants))
    }

    /// Returns the names of the tenants that get the deliveries of an agreement.
    pub(super) fn of(&self, agreement: &str) -> Vec<&str> {
        if !self.publisher.store.publish.deliveries {
            return Vec::new();
        }
        let tenants = self.publisher.store.tenants_of(agreement);
        tenants.map(|tenant| tenant.name.as_str()).collect()
    }

    /// Queues the deliveries that earlier runs did not publish to their tenants. Removes rosters that an earlier run was
    /// killed before it could remove.
    pub(super) fn add_waiting(&self) -> Result<(), Error> {
        self.publisher.clear_rosters()?;
        let shares = self.publisher.ledger().tenant_deliveries()?;
        for share in shares.iter().filter(|share| !share.state.is_settled()) {
            let record = self.publisher.ledger().delivery(share.delivery)?;
            // A delivery that is not accepted yet is queued when this run has processed it.
            if record.is_some_and(|record| record.state.is_published()) {
                self.add_share(share)?;
            }
        }
        Ok(())
    }

    /// Queues a delivery for each of its tenants.
    pub(super) fn add(&self, delivery: i64) -> Result<(), Error> {
        for tenant in &self.publisher.store.tenants {
            let name = tenant.name.as_str();
            let share = self.publisher.ledger().tenant_delivery(delivery, name)?;
            if let Some(share) = share.filter(|share| !share.state.is_settled()) {
                self.add_share(&share)?;
            }
        }
        Ok(())
    }

    fn add_share(&self, share: &TenantDelivery) -> Result<(), Error> {
        let store = &self.publisher.store;
        let mut agreements = store.agreements.iter();
        let has_agreement = agreements.any(|agreement| agreement.name.as_str() == share.agreement);
        let mut tenants = store.tenants.iter();
        let number = tenants.position(|tenant| {
            tenant.name.as_str() == share.tenant && tenant.sees(&share.agreement)
        });
        let Some(number) = number.filter(|_| has_agreement) else {
            // The tenant may no longer see the agreement. An operator decides about the delivery.
            return Ok(());
        };
        let pending = PendingDelivery {
            delivery: share.delivery,
            agreement: share.agreement.clone(),
        };
        if !self.scheduler.add(number, pending) {
            let now = (self.publisher.now)();
            record_not_ready(&self.publisher.ledger(), share.delivery, &share.tenant, now)?;
        }
        Ok(())
    }

    /// Prepares the tenants and publishes deliveries to them until [`close`](Self::close) was called and none is left.
    pub(super) fn run(self: &Arc<Self>) {
        let own = Arc::clone(self);
        let run_job = move |number: usize, job: &Job, heartbeat: &Heartbeat| {
            own.run_job(number, job, heartbeat)
        };
        let on_failure = |number: usize, job: &Job, heartbeat: &Heartbeat, failure: JobFailure| {
            self.abandon_job(number, job, heartbeat, failure);
        };
        self.scheduler
            .run(&self.publisher.stop, run_job, on_failure);
    }

    /// Runs a job in its own thread and records its result.
    fn run_job(&self, number: usize, job: &Job, heartbeat: &Heartbeat) -> JobOutcome {
        let Some(tenant) = self.publisher.store.tenants.get(number) else {
            return JobOutcome::TenantFailed;
        };
        let name = tenant.name.as_str();
        let agreement = match job {
            Job::Prepare | Job::Current => "",
            Job::Publish(pending) => &pending.agreement,
        };
        let span = tracing::info_span!("tenant", tenant = name, agreement);
        let _entered = span.enter();
        // The message of a panic is dropped, because it may hold data of the tenant's rows.
        let result = catch_unwind(AssertUnwindSafe(|| {
            self.try_job(tenant, number, job, heartbeat)
        }));
        let error = match result.unwrap_or(Err(Error::Bug)) {
            Ok(done) => {
                self.outcome().add(done);
                return JobOutcome::Done;
            }
            Err(_) if heartbeat.is_abandoned() => return JobOutcome::TenantFailed,
            Err(error) => name_limit(error, &tenant.limits),
        };
        if let Some(ready) = self.prepared.get(number).and_then(OnceLock::get) {
            // Frees disk space for the other tenants. If this fails, the next run tries again.
            let _ = self.publisher.clear_staging(ready);
        }
        if self.publisher.stop.is_set() {
            return JobOutcome::StopRun;
        }
        let ledger = self.publisher.ledger();
        if !heartbeat.finish() {
            return JobOutcome::TenantFailed;
        }
        tracing::error!(%error, "publishing to a tenant failed");
        self.record_failure(&ledger, number, job, error)
    }

    /// Runs a job. Everything that it changes without holding the ledger's lock belongs to the tenant alone.
    fn try_job(
        &self,
        tenant: &Tenant,
        number: usize,
        job: &Job,
        heartbeat: &Heartbeat,
    ) -> Result<Done, Error> {
        // Held as long as the thread lives, even if the thread is abandoned and outlives the run.
        let _claim = claim(&tenant.dataset)?;
        let prepared = self.prepared.get(number);
        match (job, prepared.and_then(OnceLock::get)) {
            (Job::Prepare, _) => {
                crate::failpoint::reached_by("tenant-preparing", tenant.name.as_str());
                let ready = ReadyTenant::new(&self.publisher.connector, tenant)?
                    .open(&self.publisher.store.state)?;
                self.publisher.remove_unrestricted(&ready, heartbeat)?;
                self.publisher.clear_staging(&ready)?;
                if let Some(prepared) = prepared.filter(|_| heartbeat.finish()) {
                    // Each tenant is prepared once, so that the cell is empty.
                    let _ = prepared.set(ready);
                }
                Ok(Done::Nothing)
            }
            (Job::Publish(pending), Some(ready)) => {
                let published = self.publisher.publish(ready, pending, heartbeat)?;
                Ok(published.map_or(Done::Nothing, Done::Published))
            }
            (Job::Current, Some(ready)) => {
                let again = self.publisher.produce_again(ready, heartbeat);
                // The current tables are made from the register, so they do not wait for older deliveries.
                let made = self.publisher.make_current(ready, heartbeat)?;
                again?;
                Ok(made.map_or(Done::Nothing, Done::Current))
            }
            (Job::Publish(_) | Job::Current, None) => Ok(Done::Nothing),
        }
    }

    /// Records the failure of a job in the ledger and the report.
    fn record_failure(
        &self,
        ledger: &Ledger,
        number: usize,
        job: &Job,
        error: Error,
    ) -> JobOutcome {
        let Some(tenant) = self.publisher.store.tenants.get(number) else {
            return JobOutcome::TenantFailed;
        };
        let (name, now) = (tenant.name.as_str(), (self.publisher.now)());
        if !matches!(job, Job::Publish(_)) {
            self.record_current_failure(ledger, tenant, &error);
        }
        let recorded = match job {
            Job::Publish(pending) => {
                let reason = Reason::new(reason_code(&error), error.to_string());
                ledger.tenant_failed(pending.delivery, name, &reason, now)
            }
            Job::Current => Ok(()),
            Job::Prepare => {
                let mut waiting = self.scheduler.exclude(number).into_iter();
                waiting
                    .try_for_each(|pending| record_not_ready(ledger, pending.delivery, name, now))
            }
        };
        let mut outcome = self.outcome();
        match (recorded, error, job) {
            (Err(fatal), _, _) => {
                outcome.fatal = Some(fatal.into());
                JobOutcome::StopRun
            }
            // Here a ledger error is no reason to stop the run: another process may be using the tenant's dataset.
            (Ok(()), error, Job::Prepare | Job::Current) => {
                outcome.add_problem(None, name, error);
                JobOutcome::TenantFailed
            }
            (Ok(()), fatal @ Error::Ledger(_), _) => {
                outcome.fatal = Some(fatal);
                JobOutcome::StopRun
            }
            (Ok(()), error, Job::Publish(pending)) => {
                outcome.add_problem(Some(&pending.agreement), name, error);
                JobOutcome::Failed
            }
        }
    }

    /// Records in the tenant's home ledger why its current tables could not be made, so that `status` tells it. The error
    /// is in the report too, so that an error of the ledger is not one more.
    fn record_current_failure(&self, ledger: &Ledger, tenant: &Tenant, error: &Error) {
        let store = &self.publisher.store;
        let sources = RegisterSource::of_tenant(store, tenant);
        let Some(home) = sources.first().filter(|_| store.publish.current) else {
            return;
        };
        let place = AdoptedDataset::Tenant(tenant.name.as_str());
        let text = error.to_string();
        let recorded = match home.state == store.state {
            true => ledger.set_generation_error(place, Some(&text)),
            false => Ledger::open(&home.state)
                .and_then(|ledger| ledger.set_generation_error(place, Some(&text))),
        };
        if let Err(error) = recorded {
            tracing::warn!(tenant = tenant.name.as_str(), %error, "the failure could not be recorded");
        }
    }

    /// Abandons a job without a result. Its thread, if it has one, is left alone and changes nothing any more.
    fn abandon_job(&self, number: usize, job: &Job, heartbeat: &Heartbeat, failure: JobFailure) {
        let Some(tenant) = self.publisher.store.tenants.get(number) else {
            return;
        };
        let error = match failure {
            JobFailure::TimedOut => Error::TenantStuck {
                path: tenant.dataset.clone(),
                seconds: heartbeat.elapsed().as_secs(),
            },
            JobFailure::NoThread => TenantPublishError::NoThread.into(),
        };
        {
            // A thread that records its result holds the ledger's lock, so that it is not abandoned halfway.
            let ledger = self.publisher.ledger();
            if !heartbeat.abandon() {
                return;
            }
            if !self.publisher.stop.is_set() {
                tracing::error!(tenant = tenant.name.as_str(), %error, "a tenant's job was abandoned");
                self.record_failure(&ledger, number, job, error);
            }
        }
        self.scheduler
            .end_job(number, heartbeat, JobOutcome::TenantFailed);
    }

    /// Returns whether no tenant may still receive a delivery in this run.
    pub(super) fn is_settled(&self, delivery: i64) -> bool {
        self.scheduler.is_settled(delivery)
    }

    /// Returns whether the run was stopped, so that no tenant receives anything more.
    pub(super) fn is_stopped(&self) -> bool {
        self.publisher.stop.is_set() || self.scheduler.is_stopped()
    }

    /// Waits until every queued delivery is published, failed or was abandoned.
    pub(super) fn wait(&self) {
        self.scheduler.wait();
    }

    /// Declares that no delivery is added any more.
    pub(super) fn close(&self) {
        self.scheduler.close();
    }

    /// Stops the run for all tenants: no job starts any more.
    pub(super) fn stop(&self) {
        self.scheduler.stop();
    }

    /// Asks for the current tables of every tenant, after its deliveries.
    pub(super) fn want_current(&self) {
        self.scheduler.want_current();
    }

    /// Withdraws the current tables of tenants for which newer ones could not be made, and the deliveries of tenants that
    /// could not be prepared, as far as they may show what is hidden now. While an erasure is not complete, the tables of a
    /// tenant stay only if this run has made them or found that they are as they must be.
    pub(super) fn withdraw_outdated(&self) {
        if self.is_stopped() {
            return;
        }
        let reason = |name: &str| {
            let outcome = self.outcome();
            let mut problems = outcome.problems.iter().rev();
            let own = problems.find(|problem| problem.tenant.as_deref() == Some(name));
            own.map(|problem| problem.error.to_string())
        };
        let tenants = self.publisher.store.tenants.iter().zip(&self.prepared);
        let mut questions = Vec::new();
        for (tenant, prepared) in tenants {
            let (connector, store) = (
                self.publisher.connector.clone(),
                self.publisher.store.clone(),
            );
            let (tenant, error) = (tenant.clone(), reason(tenant.name.as_str()));
            let is_locked = prepared.get().is_some();
            let is_known_good = prepared
                .get()
                .is_some_and(|ready| ready.is_current_good.get().is_some());
            let must_go = self.publisher.may_show_erased && !is_known_good;
            let (stop, now) = (self.publisher.stop.clone(), self.publisher.now);
            questions.push(move || {
                let deliveries = match is_locked {
                    true => Ok(()),
                    false => {
                        produce_again::withdraw_of_unready(&connector, &store, &tenant, &stop, now)
                    }
                };
                let withdrawn = match store.publish.current {
                    true => {
                        let locked = is_locked;
                        current::withdraw_outdated(
                            &connector, &store, &tenant, locked, must_go, error,
                        )
                    }
                    false => Ok(false),
                };
                deliveries.and(withdrawn)
            });
        }
        let answers = fs::ask_disks(WITHDRAW_TIMEOUT, questions);
        for (tenant, answer) in self.publisher.store.tenants.iter().zip(answers) {
            let name = tenant.name.as_str();
            match answer {
                Some(Ok(false)) => {}
                Some(Ok(true)) => {
                    tracing::warn!(tenant = name, "the current tables were withdrawn");
                }
                Some(Err(error)) => self.outcome().add_problem(None, name, error),
                None => self.outcome().add_problem(
                    None,
                    name,
                    Error::TenantStuck {
                        path: tenant.dataset.clone(),
                        seconds: WITHDRAW_TIMEOUT.as_secs(),
                    },
                ),
            }
        }
    }

    /// Moves the results into the report. Fails if an error stopped the run for all tenants.
    pub(super) fn report(&self, report: &mut RunReport) -> Result<(), Error> {
        let outcome = std::mem::take(&mut *self.outcome());
        let rewritten = self.publisher.rewritten.lock();
        report
            .rewritten
            .append(&mut rewritten.unwrap_or_else(PoisonError::into_inner));
        report.published.extend(outcome.published);
        report.current.extend(outcome.current);
        report.problems.extend(outcome.problems);
        match outcome.fatal {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    fn outcome(&self) -> MutexGuard<'_, Outcome> {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a job has done.
enum Done {
    Nothing,
    Published(PublishedDelivery),
    Current(MadeCurrent),
}

impl Outcome {
    fn add(&mut self, done: Done) {
        match done {
            Done::Nothing => {}
            Done::Published(published) => self.published.push(published),
            Done::Current(made) => self.current.push(made),
        }
    }

    fn add_problem(&mut self, agreement: Option<&str>, tenant: &str, error: Error) {
        self.problems.push(RunProblem {
            agreement: agreement.map(str::to_owned),
            tenant: Some(tenant.to_owned()),
            error,
        });
    }
}

/// Returns the timeouts of a tenant's jobs.
fn timeouts(tenant: &Tenant) -> Timeouts {
    let publish = tenant.limits.total.saturating_add(TIMEOUT_GRACE);
    Timeouts {
        prepare: PREPARE_TIMEOUT.min(publish),
        publish,
    }
}

/// Records in the ledger that a delivery is not published to a tenant because the tenant itself cannot be used.
fn record_not_ready(
    ledger: &Ledger,
    delivery: i64,
    tenant: &str,
    now: Timestamp,
) -> Result<(), LedgerError> {
    let reason = Reason::new(
        "tenant-not-ready",
        "the tenant cannot receive deliveries. Run `cprflow tenant check` to see why",
    );
    ledger.tenant_failed(delivery, tenant, &reason, now)
}
