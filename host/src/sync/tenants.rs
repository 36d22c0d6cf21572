//! The tenants of a run: who is well, who gets what, and what became of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::Scope;

use jiff::Timestamp;

use super::Stop;
use super::hand::{Hand, Ready};
use super::pool::{Ended, Pool, Pulse, Work};
use super::run::{Problem, Published, Report};
use crate::config::Store;
use crate::error::{ComponentError, Error};
use crate::ledger::{Ledger, Reason, Share};
use crate::sandbox::Connector;

/// The tenants of a store, while a run lasts.
pub(super) struct Tenants<'a> {
    hand: Hand<'a>,
    /// In the order of the configuration; none for one that something is wrong with, which is told.
    members: Vec<Option<Ready<'a>>>,
    pool: Pool,
    outcome: Mutex<Outcome>,
}

#[derive(Default)]
struct Outcome {
    published: Vec<Published>,
    problems: Vec<Problem>,
    /// Why nobody can go on.
    fatal: Option<Error>,
}

impl<'a> Tenants<'a> {
    /// Makes the tenants ready. What is wrong with one is its own problem, also what was found before.
    pub(super) fn new(
        connector: &'a Connector,
        store: &'a Store,
        ledger: Ledger,
        mut ill: BTreeMap<&str, Error>,
        stop: &'a Stop,
        now: fn() -> Timestamp,
    ) -> Result<Self, Error> {
        let mut outcome = Outcome::default();
        let mut members = Vec::new();
        for tenant in &store.tenants {
            let ready = match ill.remove(tenant.name.as_str()) {
                Some(error) => Err(error),
                None => Ready::new(connector, tenant).and_then(Ready::open),
            };
            members.push(
                ready
                    .map_err(|error| outcome.tell(None, tenant.name.as_str(), error))
                    .ok(),
            );
        }
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
        Ok(Self {
            hand: Hand {
                connector,
                store,
                ledger: Mutex::new(ledger),
                stop,
                now,
            },
            pool: Pool::new(members.len(), &troubled),
            members,
            outcome: Mutex::new(outcome),
        })
    }

    /// The tenants who may see an agreement's data.
    pub(super) fn of(&self, agreement: &str) -> Vec<&'a str> {
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
        let store = self.hand.store;
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
        match self.members.get(number) {
            Some(Some(_)) => self.pool.add(
                number,
                Work {
                    delivery: share.delivery,
                    agreement: share.agreement.clone(),
                },
            ),
            _ => {
                let reason = Reason::new(
                    "tenant-not-ready",
                    "something is wrong with the tenant itself: see `cprflow tenant check`",
                );
                self.hand.ledger().share_failed(
                    share.delivery,
                    &share.tenant,
                    &reason,
                    (self.hand.now)(),
                )?;
            }
        }
        Ok(())
    }

    /// Hands deliveries to tenants until there are no more.
    pub(super) fn run<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        act: &'scope (impl Fn(usize, &Work, &Pulse) -> Ended + Sync),
    ) {
        self.pool.run(scope, act);
    }

    /// Hands a delivery to a tenant.
    pub(super) fn act(&self, number: usize, work: &Work, pulse: &Pulse) -> Ended {
        let Some(Some(ready)) = self.members.get(number) else {
            return Ended::Failed;
        };
        let name = ready.tenant.name.as_str();
        let span = tracing::info_span!("tenant", tenant = name, agreement = work.agreement);
        let _entered = span.enter();
        let error = match self.hand.publish(ready, work, pulse) {
            Ok(published) => {
                self.outcome().published.extend(published);
                return Ended::Done;
            }
            Err(_) if self.hand.stop.is_set() => return Ended::Stop,
            Err(error) => error,
        };
        let reason = Reason::new(code(&error), error.to_string());
        let told = self
            .hand
            .ledger()
            .share_failed(work.delivery, name, &reason, (self.hand.now)());
        match (told, error) {
            (Err(fatal), _) => {
                self.outcome().fatal = Some(fatal.into());
                Ended::Stop
            }
            (Ok(()), fatal @ Error::Ledger(_)) => {
                self.outcome().fatal = Some(fatal);
                Ended::Stop
            }
            (Ok(()), error) => {
                // What is left of it makes room for others.
                let _ = ready.dataset.clear_staging();
                tracing::error!(%error, "a tenant's delivery could not be published");
                self.outcome().tell(Some(&work.agreement), name, error);
                Ended::Failed
            }
        }
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
        for ready in self.members.iter().flatten() {
            if let Err(error) = ready.dataset.clear_staging() {
                self.outcome().tell(None, ready.tenant.name.as_str(), error);
            }
        }
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

/// A stable code for what went wrong.
fn code(error: &Error) -> &'static str {
    match error {
        Error::Component(error) => match error.cause() {
            ComponentError::Memory { .. } => "memory-limit",
            ComponentError::Deadline { .. } => "deadline",
            ComponentError::Limit { .. } | ComponentError::Time { .. } => "limit",
            ComponentError::Trapped(_) => "trap",
            _ => "component",
        },
        Error::TenantLimit { .. } => "limit",
        Error::File { .. } | Error::Parquet { .. } => "disk",
        Error::Request(_) => "request",
        _ => "failed",
    }
}
