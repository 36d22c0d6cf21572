//! Changes of a subscription, made call by call. Each can be killed at any point and run again.
//!
//! Each change asks the platform for the current filters and computes what is missing. So a second run continues where
//! the first one ended. Before a removal, the platform is asked again, because another program may have changed the
//! subscription since it was shown. Only filters in a snapshot are removed.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::calls::{CallCounts, CallObserver, Pace};
use super::client::{Change, Client};
use super::filter::{CurrentFilters, Filter, FilterKind};
use super::journal::Journal;
use super::snapshot::{Snapshot, Snapshots};
use super::{Plan, SubscriptionDirectory, SubscriptionError};
use crate::error::Error;
use crate::failpoint;
use crate::names::AgreementName;

/// Changes the subscription of one agreement.
pub struct Executor<'w, 'a> {
    pub(super) client: &'w mut Client<'a>,
    pub(super) directory: &'w SubscriptionDirectory,
    pub(super) agreement: &'w AgreementName,
    pub(super) pace: Pace,
    pub(super) observer: &'w dyn CallObserver,
}

impl std::fmt::Debug for Executor<'_, '_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Executor")
            .field("agreement", &self.agreement)
            .finish_non_exhaustive()
    }
}

impl<'w, 'a> Executor<'w, 'a> {
    /// Creates an executor that uses this client and keeps snapshots and journal in this directory.
    pub fn new(
        client: &'w mut Client<'a>,
        directory: &'w SubscriptionDirectory,
        agreement: &'w AgreementName,
        pace: Pace,
        observer: &'w dyn CallObserver,
    ) -> Self {
        Self {
            client,
            directory,
            agreement,
            pace,
            observer,
        }
    }

    /// Adds the filters that are missing in `current`.
    pub fn add(
        &mut self,
        filters: &BTreeSet<Filter>,
        current: &CurrentFilters,
    ) -> Result<CallCounts, Error> {
        self.check_finished()?;
        let plan = Plan {
            add: filters.difference(&current.filters).cloned().collect(),
            ..Plan::default()
        };
        let mut counts = self.add_missing(&plan)?.0;
        counts.already_there += filters.len() - plan.add.len();
        Ok(counts)
    }

    /// Removes filters, after a snapshot of the subscription.
    ///
    /// `current` is what the filters were chosen from. Fails if the subscription has changed since.
    pub fn remove(
        &mut self,
        filters: &BTreeSet<Filter>,
        current: &CurrentFilters,
    ) -> Result<CallCounts, Error> {
        self.check_finished()?;
        self.take_snapshot_if_unchanged(&current.filters, current)?;
        self.remove_each(filters)
    }

    /// Adds the missing filters of a plan. With `prunes`, also removes its surplus filters, after a snapshot.
    ///
    /// `current` is what the plan was made from. Removing fails if the subscription has changed since.
    pub fn apply(
        &mut self,
        plan: &Plan,
        prunes: bool,
        current: &CurrentFilters,
    ) -> Result<CallCounts, Error> {
        self.check_finished()?;
        let (mut counts, after) = self.add_missing(plan)?;
        if prunes && !plan.surplus.is_empty() {
            if counts.left > 0 {
                // The filters to remove may be the only ones of their kind.
                counts.spared = plan.surplus.len();
            } else {
                let shown = current.filters.union(&plan.add).cloned().collect();
                let before = after.unwrap_or_else(|| current.clone());
                self.take_snapshot_if_unchanged(&shown, &before)?;
                counts.add(self.remove_each(&plan.surplus)?);
            }
        }
        failpoint::reached("apply-done");
        Ok(counts)
    }

    /// Removes all filters of a kind, after a snapshot of the subscription.
    ///
    /// `current` is what the decision was based on. Fails if the subscription has changed since.
    pub fn clear(
        &mut self,
        kind: FilterKind,
        current: &CurrentFilters,
    ) -> Result<CallCounts, Error> {
        self.check_finished()?;
        let snapshot = self.take_snapshot_if_unchanged(&current.filters, current)?;
        let mut counts = self.carry_out(vec![Change::Clear(kind)], self.pace)?;
        let after = self.client.current_filters()?;
        counts.left = after.of(kind).count();
        counts.believe_list(0, |counts| &mut counts.removed);
        let before = snapshot.contents.of(kind).count();
        counts.removed = before.saturating_sub(counts.left);
        Ok(counts)
    }

    /// Adds the missing filters of a plan that was made from a snapshot.
    ///
    /// An unfinished reorder ends with this if none of the filters that it removed is missing any more.
    pub fn restore(&mut self, plan: &Plan) -> Result<CallCounts, Error> {
        let journal = Journal::read(self.directory.directory())?;
        if journal.is_some() {
            // Filters that a reorder removed are added again at any hour.
            self.pace.any_hour = true;
        }
        let mut counts = self.add_missing(plan)?.0;
        if let Some(journal) = journal {
            counts.missing = self.missing_of_reorder(&journal)?;
        }
        Ok(counts)
    }

    /// Adds the missing filters of a plan and checks the result. Returns the filters after that, if any was to be added.
    fn add_missing(&mut self, plan: &Plan) -> Result<(CallCounts, Option<CurrentFilters>), Error> {
        if plan.add.is_empty() {
            return Ok((CallCounts::default(), None));
        }
        let add = plan.add.iter().map(Change::Add).collect();
        let mut counts = self.carry_out(add, self.pace)?;
        let after = self.client.current_filters()?;
        counts.left = plan.add.difference(&after.filters).count();
        counts.believe_list(plan.add.len(), |counts| &mut counts.added);
        Ok((counts, Some(after)))
    }

    /// Removes filters one by one and checks the result.
    fn remove_each(&mut self, filters: &BTreeSet<Filter>) -> Result<CallCounts, Error> {
        let remove = filters.iter().map(Change::Remove).collect();
        let mut counts = self.carry_out(remove, self.pace)?;
        let after = self.client.current_filters()?;
        counts.left = filters.intersection(&after.filters).count();
        counts.believe_list(filters.len(), |counts| &mut counts.removed);
        Ok(counts)
    }

    /// Asks for the current filters again and keeps them in a snapshot. Fails if they are not the ones that were shown.
    pub(super) fn take_snapshot_if_unchanged(
        &mut self,
        shown: &BTreeSet<Filter>,
        before: &CurrentFilters,
    ) -> Result<Snapshot, Error> {
        before.complete()?;
        failpoint::reached("looks-again");
        let current = self.client.current_filters()?;
        if current.complete()? != shown {
            return Err(SubscriptionError::ChangedMeanwhile.into());
        }
        self.take_snapshot(&current)
    }

    pub(super) fn take_snapshot(&self, current: &CurrentFilters) -> Result<Snapshot, Error> {
        let snapshots = Snapshots::new(self.directory.directory());
        let snapshot = snapshots.take(self.agreement.as_str(), current, Timestamp::now())?;
        self.observer.kept(&snapshot.path);
        Ok(snapshot)
    }
}
