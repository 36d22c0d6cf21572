//! The tenants of a run: who is well, who gets what, and what became of it.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use jiff::Timestamp;

use super::Stop;
use super::hand::{Hand, Ready};
use super::pool::{Ended, Job, Loss, Patience, Pool, Pulse, Work};
use super::run::{Problem, Published, Report};
use crate::config::Store;
use crate::error::{ComponentError, Error};
use crate::ledger::{Ledger, LedgerError, Reason, Share};
use crate::sandbox::{Connector, LimitKind};
use crate::tenant::{Tenant, TenantLimits};

/// The tenants of a store, while a run lasts. Each one's files and disk are touched in threads of its own only, so that
/// one whose disk does not answer holds up nobody else.
pub(super) struct Tenants {
    hand: Hand,
    /// In the order of the configuration; nothing for one that is not ready yet, or that something is wrong with.
    members: Vec<OnceLock<Ready>>,
    pool: Arc<Pool>,
    outcome: Mutex<Outcome>,
}

#[derive(Default)]
struct Outcome {
    published: Vec<Published>,
    problems: Vec<Problem>,
    /// Why nobody can go on.
    fatal: Option<Error>,
}

/// How long it may take to read a tenant's files and to look into its dataset.
const TO_PREPARE: Duration = Duration::from_secs(120);

/// What a publication may take beyond its time before it is given up: whoever is not stuck says itself what it was.
const BEYOND: Duration = Duration::from_secs(10);

impl Tenants {
    /// The tenants of a store, none of them ready yet. Something may be wrong with one that was found before: then it
    /// gets nothing.
    pub(super) fn new(
        connector: &Connector,
        store: &Store,
        ledger: Ledger,
        mut ill: BTreeMap<&str, Error>,
        stop: &Stop,
        now: fn() -> Timestamp,
    ) -> Result<Arc<Self>, Error> {
        let shares = ledger.shares()?;
        let is_troubled = |name: &str| {
            let mut shares = shares.iter();
            shares.any(|share| {
                share.tenant == name && share.attempts > 0 && !share.state.is_settled()
            })
        };
        let all = store.tenants.iter().enumerate();
        let troubled: BTreeSet<_> = all
            .filter(|(_, tenant)| is_troubled(tenant.name.as_str()))
            .map(|(number, _)| number)
            .collect();
        let patience: Vec<_> = store.tenants.iter().map(patience).collect();
        let tenants = Self {
            hand: Hand {
                connector: connector.clone(),
                store: store.clone(),
                ledger: Mutex::new(ledger),
                stop: stop.clone(),
                now,
            },
            members: patience.iter().map(|_| OnceLock::new()).collect(),
            pool: Arc::new(Pool::new(&patience, &troubled)),
            outcome: Mutex::default(),
        };
        for (number, tenant) in store.tenants.iter().enumerate() {
            if let Some(error) = ill.remove(tenant.name.as_str()) {
                tenants.pool.shut(number);
                tenants.outcome().tell(None, tenant.name.as_str(), error);
            }
        }
        Ok(Arc::new(tenants))
    }

    /// The tenants who may see an agreement's data.
    pub(super) fn of(&self, agreement: &str) -> Vec<&str> {
        let tenants = self.hand.store.tenants_of(agreement);
        tenants.map(|tenant| tenant.name.as_str()).collect()
    }

    /// Hands out what an earlier run left, and removes rosters that it was killed before it could remove.
    pub(super) fn add_waiting(&self) -> Result<(), Error> {
        self.hand.clear_rosters()?;
        let shares = self.hand.ledger().shares()?;
        for share in shares.iter().filter(|share| !share.state.is_settled()) {
            let record = self.hand.ledger().delivery(share.delivery)?;
            // One that was not judged to its end comes again by itself.
            if record.is_some_and(|record| record.state.is_published()) {
                self.add_share(share)?;
            }
        }
        Ok(())
    }

    /// Hands out a delivery.
    pub(super) fn add(&self, delivery: i64) -> Result<(), Error> {
        for name in self
            .hand
            .store
            .tenants
            .iter()
            .map(|tenant| tenant.name.as_str())
        {
            let share = self.hand.ledger().share(delivery, name)?;
            if let Some(share) = share.filter(|share| !share.state.is_settled()) {
                self.add_share(&share)?;
            }
        }
        Ok(())
    }

    fn add_share(&self, share: &Share) -> Result<(), Error> {
        let store = &self.hand.store;
        let mut agreements = store.agreements.iter();
        let is_here = agreements.any(|agreement| agreement.name.as_str() == share.agreement);
        let mut tenants = store.tenants.iter();
        let number = tenants.position(|tenant| {
            tenant.name.as_str() == share.tenant && tenant.sees(&share.agreement)
        });
        let Some(number) = number.filter(|_| is_here) else {
            // No longer a tenant of the agreement: a person decides.
            return Ok(());
        };
        let work = Work {
            delivery: share.delivery,
            agreement: share.agreement.clone(),
        };
        if !self.pool.add(number, work) {
            let now = (self.hand.now)();
            not_ready(&self.hand.ledger(), share.delivery, &share.tenant, now)?;
        }
        Ok(())
    }

    /// Makes tenants ready and hands deliveries to them until there are no more.
    pub(super) fn run(self: &Arc<Self>) {
        let own = Arc::clone(self);
        let act = move |number: usize, job: &Job, pulse: &Pulse| own.act(number, job, pulse);
        let lost = |number: usize, job: &Job, pulse: &Pulse, loss: Loss| {
            self.lose(number, job, pulse, loss);
        };
        self.pool.run(&self.hand.stop, act, lost);
    }

    /// Does what is to be done for a tenant, and tells what came of it.
    fn act(&self, number: usize, job: &Job, pulse: &Pulse) -> Ended {
        let Some(tenant) = self.hand.store.tenants.get(number) else {
            return Ended::Hopeless;
        };
        let name = tenant.name.as_str();
        let agreement = match job {
            Job::Prepare => "",
            Job::Publish(work) => &work.agreement,
        };
        let span = tracing::info_span!("tenant", tenant = name, agreement);
        let _entered = span.enter();
        // What a panic says stays unsaid: it may hold what the tenant's rows hold.
        let done = catch_unwind(AssertUnwindSafe(|| self.try_to(tenant, number, job, pulse)));
        let error = match done.unwrap_or(Err(Error::Bug)) {
            Ok(published) => {
                self.outcome().published.extend(published);
                return Ended::Done;
            }
            Err(_) if pulse.is_abandoned() => return Ended::Hopeless,
            Err(error) => bounded(error, &tenant.limits),
        };
        if let Some(ready) = self.members.get(number).and_then(OnceLock::get) {
            // What is left of it makes room for others. If that cannot be, the next run tries again.
            let _ = self.hand.clear_staging(ready);
        }
        if self.hand.stop.is_set() {
            return Ended::Stop;
        }
        let ledger = self.hand.ledger();
        if !pulse.finish() {
            return Ended::Hopeless;
        }
        tracing::error!(%error, "nothing could be published to a tenant");
        self.fail(&ledger, number, job, error)
    }

    /// Does it. Only so far as it holds the ledger is anything its own that is not the tenant's.
    fn try_to(
        &self,
        tenant: &Tenant,
        number: usize,
        job: &Job,
        pulse: &Pulse,
    ) -> Result<Option<Published>, Error> {
        // As long as the thread lives, whatever becomes of the run.
        let _held = hold(&tenant.dataset)?;
        let member = self.members.get(number);
        match (job, member.and_then(OnceLock::get)) {
            (Job::Prepare, _) => {
                crate::hook::reached_by("tenant-preparing", tenant.name.as_str());
                let ready =
                    Ready::new(&self.hand.connector, tenant)?.open(&self.hand.store.state)?;
                self.hand.clear_staging(&ready)?;
                if let Some(member) = member.filter(|_| pulse.finish()) {
                    // It is made ready once.
                    let _ = member.set(ready);
                }
                Ok(None)
            }
            (Job::Publish(work), Some(ready)) => self.hand.publish(ready, work, pulse),
            (Job::Publish(_), None) => Ok(None),
        }
    }

    /// Tells that nothing came of a job.
    fn fail(&self, ledger: &Ledger, number: usize, job: &Job, error: Error) -> Ended {
        let Some(tenant) = self.hand.store.tenants.get(number) else {
            return Ended::Hopeless;
        };
        let (name, now) = (tenant.name.as_str(), (self.hand.now)());
        let told = match job {
            Job::Publish(work) => {
                let reason = Reason::new(code(&error), error.to_string());
                ledger.share_failed(work.delivery, name, &reason, now)
            }
            Job::Prepare => {
                let mut waiting = self.pool.shut(number).into_iter();
                waiting.try_for_each(|work| not_ready(ledger, work.delivery, name, now))
            }
        };
        let mut outcome = self.outcome();
        match (told, error, job) {
            (Err(fatal), _, _) => {
                outcome.fatal = Some(fatal.into());
                Ended::Stop
            }
            // Somebody else may be at work in its dataset.
            (Ok(()), error, Job::Prepare) => {
                outcome.tell(None, name, error);
                Ended::Hopeless
            }
            (Ok(()), fatal @ Error::Ledger(_), _) => {
                outcome.fatal = Some(fatal);
                Ended::Stop
            }
            (Ok(()), error, Job::Publish(work)) => {
                outcome.tell(Some(&work.agreement), name, error);
                Ended::Failed
            }
        }
    }

    /// Gives up a job that has not come back in its time. Its thread is left to itself, and changes nothing any more
    /// should it come back.
    fn lose(&self, number: usize, job: &Job, pulse: &Pulse, loss: Loss) {
        let Some(tenant) = self.hand.store.tenants.get(number) else {
            return;
        };
        let error = match loss {
            Loss::Late => Error::TenantStuck {
                path: tenant.dataset.clone(),
                seconds: pulse.elapsed().as_secs(),
            },
            Loss::NoThread => Error::Request(
                "the machine has no room for another thread: see how many there are, and the next run tries again"
                    .to_owned(),
            ),
        };
        {
            // Whoever tells what became of its work has the ledger meanwhile.
            let ledger = self.hand.ledger();
            if !pulse.abandon() {
                return;
            }
            if !self.hand.stop.is_set() {
                tracing::error!(tenant = tenant.name.as_str(), %error, "a tenant is given up");
                self.fail(&ledger, number, job, error);
            }
        }
        self.pool.end(number, pulse, Ended::Hopeless);
    }

    /// Whether no tenant may still get a delivery in this run.
    pub(super) fn is_settled(&self, delivery: i64) -> bool {
        self.pool.is_settled(delivery)
    }

    /// Whether what is not handed out yet stays so in this run.
    pub(super) fn is_stopped(&self) -> bool {
        self.hand.stop.is_set() || self.pool.is_stopped()
    }

    /// Waits until everything is handed out or given up.
    pub(super) fn wait(&self) {
        self.pool.wait();
    }

    /// Nothing more comes.
    pub(super) fn close(&self) {
        self.pool.close();
    }

    /// Nothing more is begun.
    pub(super) fn give_up(&self) {
        self.pool.stop();
    }

    /// What became of it; an error if nobody could go on.
    pub(super) fn report(&self, report: &mut Report) -> Result<(), Error> {
        let outcome = std::mem::take(&mut *self.outcome());
        report.published.extend(outcome.published);
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

impl Outcome {
    fn tell(&mut self, agreement: Option<&str>, tenant: &str, error: Error) {
        self.problems.push(Problem {
            agreement: agreement.map(str::to_owned),
            tenant: Some(tenant.to_owned()),
            error,
        });
    }
}

/// How long a tenant's jobs may take.
fn patience(tenant: &Tenant) -> Patience {
    let publish = tenant.limits.total.saturating_add(BEYOND);
    Patience {
        prepare: TO_PREPARE.min(publish),
        publish,
    }
}

/// Datasets that a thread is at work in. One that does not come back is still there in the runs that follow.
static HELD: Mutex<BTreeMap<PathBuf, Weak<()>>> = Mutex::new(BTreeMap::new());

/// Notes that a thread is at work in a dataset, until what is given back is dropped.
fn hold(dataset: &Path) -> Result<Arc<()>, Error> {
    let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
    held.retain(|_, thread| thread.strong_count() > 0);
    if held.contains_key(dataset) {
        return Err(Error::Request(format!(
            "a thread that began work in it earlier has not come back: see whether the disk of {} answers. What the \
             tenant is to get waits until then",
            dataset.display()
        )));
    }
    let thread = Arc::new(());
    held.insert(dataset.to_owned(), Arc::downgrade(&thread));
    Ok(thread)
}

/// Tells the ledger why a tenant does not get a delivery that there is nothing wrong with.
fn not_ready(
    ledger: &Ledger,
    delivery: i64,
    tenant: &str,
    now: Timestamp,
) -> Result<(), LedgerError> {
    let reason = Reason::new(
        "tenant-not-ready",
        "something is wrong with the tenant itself: see `cprflow tenant check`",
    );
    ledger.share_failed(delivery, tenant, &reason, now)
}

/// The same with the key of the configuration that says so, where a limit of the tenant's own was reached.
fn bounded(error: Error, limits: &TenantLimits) -> Error {
    let Error::Component(error) = error else {
        return error;
    };
    let key = match error.cause() {
        ComponentError::Memory { limit } if *limit == limits.memory => "limits.memory_mb",
        ComponentError::Deadline { limit } if *limit == limits.call => "limits.call_ms",
        ComponentError::Time { limit } if *limit == limits.total => "limits.total_seconds",
        ComponentError::Limit { limit, at_most } => match limit {
            LimitKind::OutputBytes if *at_most == limits.output => "limits.output_mb",
            LimitKind::OutputRows if *at_most == limits.rows => "limits.rows",
            _ => return error.into(),
        },
        _ => return error.into(),
    };
    Error::TenantBound { key, error }
}

/// A stable code for what went wrong.
fn code(error: &Error) -> &'static str {
    match error {
        Error::Component(error) | Error::TenantBound { error, .. } => match error.cause() {
            ComponentError::Memory { .. } => "memory-limit",
            ComponentError::Deadline { .. } => "deadline",
            ComponentError::Limit { .. } | ComponentError::Time { .. } => "limit",
            ComponentError::Trapped(_) => "trap",
            _ => "component",
        },
        Error::TenantLimit { .. } => "limit",
        Error::TenantStuck { .. } => "stuck",
        Error::Incomplete { .. } => "incomplete",
        Error::Group { .. } => "group",
        Error::Bug => "bug",
        Error::File { .. } | Error::Parquet { .. } => "disk",
        Error::Request(_) => "request",
        _ => "failed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_begins_in_a_dataset_that_somebody_has_not_come_back_from() {
        let dataset = Path::new("/nowhere/held");
        let thread = hold(dataset).unwrap();
        let refused = hold(dataset).unwrap_err().to_string();
        assert!(refused.contains("has not come back"), "{refused}");
        assert!(hold(Path::new("/nowhere/other")).is_ok());
        drop(thread);
        assert!(hold(dataset).is_ok());
    }
}
