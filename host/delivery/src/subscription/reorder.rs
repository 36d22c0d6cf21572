//! Reorders: filters are removed and added again, so that the platform delivers a new full load.
//!
//! A reorder removes what it adds again. Its [`Journal`] records the kinds that it has removed, so that a resumed reorder
//! never removes a kind twice.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::SubscriptionError;
use super::calls::{CallCounts, Pace};
use super::client::Change;
use super::executor::Executor;
use super::filter::{CurrentFilters, Filter, FilterKind, of_kind};
use super::journal::Journal;
use super::snapshot::{Snapshot, Snapshots};
use crate::error::Error;
use crate::failpoint;
use crate::names::AgreementName;

/// Returns the number of calls for a reorder of these kinds.
pub fn call_count(kinds: &BTreeSet<FilterKind>, current: &CurrentFilters) -> usize {
    kinds.len() + of_kinds(kinds, &current.filters).count()
}

/// An unfinished reorder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    /// The kinds that are removed and added again.
    pub kinds: BTreeSet<FilterKind>,
    /// The kinds that are already removed.
    pub removed: BTreeSet<FilterKind>,
    /// The filters that are added again.
    pub filters: BTreeSet<Filter>,
    /// The snapshot with these filters.
    pub snapshot: PathBuf,
}

impl Unfinished {
    /// Returns the calls that finish the reorder: the kinds to remove, and then the filters to add.
    pub fn calls(&self, current: &CurrentFilters) -> (Vec<FilterKind>, BTreeSet<Filter>) {
        let clear: Vec<_> = self.kinds.difference(&self.removed).copied().collect();
        let of_cleared = current
            .filters
            .iter()
            .filter(|filter| clear.contains(&filter.kind()));
        let wanted: BTreeSet<_> = self.filters.iter().chain(of_cleared).cloned().collect();
        let is_kept =
            |filter: &Filter| current.filters.contains(filter) && !clear.contains(&filter.kind());
        let add = wanted.into_iter().filter(|filter| !is_kept(filter));
        let add = add.collect();
        (clear, add)
    }
}

impl Executor<'_, '_> {
    /// Returns the kinds of an unfinished reorder.
    pub fn unfinished(directory: &Path) -> Result<Option<BTreeSet<FilterKind>>, Error> {
        Ok(Journal::read(directory)?.map(|journal| journal.kinds))
    }

    /// Returns an unfinished reorder with what is left to do.
    pub fn unfinished_reorder(
        directory: &Path,
        agreement: &AgreementName,
    ) -> Result<Option<Unfinished>, Error> {
        let Some(journal) = Journal::read(directory)? else {
            return Ok(None);
        };
        let snapshot = journal.snapshot(directory, agreement)?;
        Ok(Some(Unfinished {
            filters: of_kinds(&journal.kinds, &snapshot.contents.filters)
                .cloned()
                .collect(),
            snapshot: journal.snapshot,
            kinds: journal.kinds,
            removed: journal.removed,
        }))
    }

    /// Returns the snapshot to restore by default: the one of an unfinished reorder, or else the newest.
    pub fn snapshot_to_restore(
        directory: &Path,
        agreement: &AgreementName,
    ) -> Result<Snapshot, Error> {
        match Journal::read(directory)? {
            Some(journal) => journal.snapshot(directory, agreement),
            None => Snapshots::new(directory).newest(agreement.as_str()),
        }
    }

    /// Removes the filters of these kinds and adds them again, so that the platform delivers a new full load.
    ///
    /// `current` is what the decision was based on. Fails if the subscription has changed since.
    pub fn reorder(
        &mut self,
        kinds: &BTreeSet<FilterKind>,
        current: &CurrentFilters,
    ) -> Result<CallCounts, Error> {
        self.check_finished()?;
        // A reorder must not start at an hour at which it could not be finished.
        self.check_time_for(call_count(kinds, current))?;
        let snapshot = self.take_snapshot_if_unchanged(&current.filters, current)?;
        let journal = Journal {
            snapshot: snapshot.path,
            kinds: kinds.clone(),
            removed: BTreeSet::new(),
        };
        journal.write(self.directory.directory())?;
        failpoint::reached("reorder-begun");
        self.continue_reorder(journal)
    }

    /// Continues an unfinished reorder. Kinds that it has removed are not removed again.
    pub fn resume(&mut self) -> Result<CallCounts, Error> {
        match Journal::read(self.directory.directory())? {
            Some(journal) => self.continue_reorder(journal),
            None => Err(SubscriptionError::NothingToReorder.into()),
        }
    }

    /// Removes and adds one kind after the other, so that few filters are missing at a time.
    fn continue_reorder(&mut self, mut journal: Journal) -> Result<CallCounts, Error> {
        let mut snapshot = journal.snapshot(self.directory.directory(), self.agreement)?;
        let mut counts = CallCounts::default();
        // The number of calls to add that had an unknown result.
        let mut unknown = 0;
        for kind in journal.kinds.clone() {
            if !journal.removed.contains(&kind) {
                counts.add(self.remove_kind(kind, &mut journal, &mut snapshot)?);
            }
            let current = self.client.current_filters()?;
            let wanted = of_kind(&snapshot.contents.filters, kind);
            // Adding an existing filter changes nothing, so unreadable filters do not prevent adding the others.
            let missing = wanted.filter(|filter| !current.filters.contains(filter));
            let missing: Vec<_> = missing.map(Change::Add).collect();
            let (calls, before) = (missing.len(), counts.added + counts.already_there);
            // Removed filters are added again at any hour.
            counts.add(self.carry_out(missing, Pace { any_hour: true })?);
            unknown += calls - (counts.added + counts.already_there - before).min(calls);
        }
        let after = self.client.current_filters()?;
        let after = after.complete()?;
        let wanted = of_kinds(&journal.kinds, &snapshot.contents.filters);
        counts.left = wanted.filter(|filter| !after.contains(filter)).count();
        counts.believe_list(0, |counts| &mut counts.added);
        if counts.left == 0 {
            counts.added += unknown;
        }
        failpoint::reached("reorder-done");
        if counts.left == 0 {
            Journal::remove(self.directory.directory())?;
        }
        Ok(counts)
    }

    /// Removes all filters of a kind, if there is time to add them again.
    fn remove_kind(
        &mut self,
        kind: FilterKind,
        journal: &mut Journal,
        snapshot: &mut Snapshot,
    ) -> Result<CallCounts, Error> {
        failpoint::reached(&format!("reorder-looks-{}", kind.name()));
        let current = self.client.current_filters()?;
        let current = current.complete()?;
        let in_snapshot = &snapshot.contents.filters;
        if of_kind(current, kind).any(|filter| !in_snapshot.contains(filter)) {
            // Another program added a filter since. It is removed with the others, so it must be added again too.
            let all = in_snapshot.iter().chain(of_kind(current, kind));
            let all = CurrentFilters {
                filters: all.cloned().collect(),
                unreadable: 0,
            };
            *snapshot = self.take_snapshot(&all)?;
            journal.snapshot.clone_from(&snapshot.path);
            journal.write(self.directory.directory())?;
        }
        let kinds_left: BTreeSet<_> = journal
            .kinds
            .difference(&journal.removed)
            .copied()
            .collect();
        self.check_time_for(call_count(&kinds_left, &snapshot.contents))?;
        let mut counts = self.carry_out(vec![Change::Clear(kind)], self.pace)?;
        let left = self.client.current_filters()?.of(kind).count();
        if left > 0 {
            return Err(SubscriptionError::NotEmptied { kind, left }.into());
        }
        counts.believe_list(0, |counts| &mut counts.removed);
        counts.removed = of_kind(current, kind).count();
        // This is on the disk before a filter of the kind is added. So a resumed reorder never removes a filter that was
        // added again.
        journal.removed.insert(kind);
        journal.write(self.directory.directory())?;
        failpoint::reached(&format!("reorder-removed-{}", kind.name()));
        Ok(counts)
    }

    /// Fails if an earlier reorder is unfinished.
    pub(super) fn check_finished(&self) -> Result<(), Error> {
        match Journal::read(self.directory.directory())? {
            Some(_) => Err(SubscriptionError::Unfinished.into()),
            None => Ok(()),
        }
    }

    /// Returns how many filters a reorder removed and that are still missing. With none, the reorder is finished and its
    /// journal is deleted.
    pub(super) fn missing_of_reorder(&mut self, journal: &Journal) -> Result<usize, Error> {
        let snapshot = journal.snapshot(self.directory.directory(), self.agreement)?;
        let current = self.client.current_filters()?;
        let wanted = of_kinds(&journal.kinds, &snapshot.contents.filters);
        let missing = wanted.filter(|filter| !current.filters.contains(filter));
        let missing = missing.count();
        if missing == 0 {
            Journal::remove(self.directory.directory())?;
        }
        Ok(missing)
    }
}

/// Returns the filters of these kinds.
fn of_kinds<'f>(
    kinds: &BTreeSet<FilterKind>,
    filters: &'f BTreeSet<Filter>,
) -> impl Iterator<Item = &'f Filter> {
    let kinds = kinds.clone();
    filters
        .iter()
        .filter(move |filter| kinds.contains(&filter.kind()))
}
