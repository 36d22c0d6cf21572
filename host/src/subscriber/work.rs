//! Changes of a subscription, carried out call by call. Each can be killed at any point and run again.
//!
//! What is there is asked of the platform every time, and what is missing is worked out from that: so a run goes on
//! where the one before it ended. Before anything is removed it is asked once more, for somebody else may have changed
//! it since it was shown: only what is in a snapshot goes. Only a reorder needs to remember something of its own, for it
//! removes what it adds again; its journal says what was removed already, and that is never removed twice.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::desk::{Change, Desk, now};
use super::filter::{Filter, Holding, Kind, of_kind};
use super::hours::{FEW_CALLS, calls_take, closed, closed_within};
use super::snapshot::{Snapshot, Snapshots};
use super::{Place, Plan, SubscriberError, private_file};
use crate::agreement::AgreementName;
use crate::error::Error;
use crate::hook;
use crate::subscription::ChangeResult;

/// Calls after which the log says how far the work is: about a minute.
const TOLD_CALLS: usize = 250;

/// What came of the work.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Filters that were added.
    pub added: usize,
    /// Filters that were there already. After a call without an answer that means that it had its effect.
    pub already_there: usize,
    /// Filters that were removed.
    pub removed: usize,
    /// Filters that were to be removed and were not there.
    pub not_there: usize,
    /// Answers that nobody knows.
    pub other: BTreeMap<String, usize>,
    /// Filters that are still not as they should be, after the platform was asked again.
    pub left: usize,
    /// Filters that were to be removed and were left alone, because not all that was to be added is there.
    pub spared: usize,
    /// Filters that a reorder has removed and that are still missing.
    pub missing: usize,
}

impl Tally {
    /// Takes in what came of more work.
    fn take_in(&mut self, more: Self) {
        self.added += more.added;
        self.already_there += more.already_there;
        self.removed += more.removed;
        self.not_there += more.not_there;
        self.left += more.left;
        self.spared += more.spared;
        self.missing += more.missing;
        for (word, count) in more.other {
            *self.other.entry(word).or_default() += count;
        }
    }
}

/// Whoever wants to know how far the work is.
pub trait Observer {
    /// So many calls are ahead.
    fn begins(&self, calls: usize);
    /// A call is made.
    fn advanced(&self);
    /// All calls are made, or it is given up.
    fn ends(&self);
    /// What is there is kept in that file, before anything of it is removed.
    fn kept(&self, _snapshot: &Path) {}
}

/// When calls may be made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pace {
    /// Many calls at any hour.
    pub any_hour: bool,
}

/// Changes of the subscription of one agreement.
pub struct Work<'w, 'a> {
    desk: &'w mut Desk<'a>,
    place: &'w Place,
    agreement: &'w AgreementName,
    pace: Pace,
    observer: &'w dyn Observer,
}

impl std::fmt::Debug for Work<'_, '_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Work")
            .field("agreement", &self.agreement)
            .finish_non_exhaustive()
    }
}

/// How many calls a reorder of these filters takes.
pub fn call_count(kinds: &BTreeSet<Kind>, holding: &Holding) -> usize {
    kinds.len() + ordered(kinds, &holding.filters).count()
}

/// A reorder that was begun and not finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    /// The kinds that it removes and adds again.
    pub kinds: BTreeSet<Kind>,
    /// Those of them that are removed already.
    pub removed: BTreeSet<Kind>,
    /// What it adds again.
    pub filters: BTreeSet<Filter>,
    /// Where that is kept.
    pub snapshot: PathBuf,
}

impl Unfinished {
    /// The calls that finish it, for what is there: whole kinds to remove, and then filters to add.
    pub fn calls(&self, holding: &Holding) -> (Vec<Kind>, BTreeSet<Filter>) {
        let clear: Vec<_> = self.kinds.difference(&self.removed).copied().collect();
        let of_cleared = holding
            .filters
            .iter()
            .filter(|filter| clear.contains(&filter.kind()));
        let wanted: BTreeSet<_> = self.filters.iter().chain(of_cleared).cloned().collect();
        let stays =
            |filter: &Filter| holding.filters.contains(filter) && !clear.contains(&filter.kind());
        let add = wanted.into_iter().filter(|filter| !stays(filter)).collect();
        (clear, add)
    }
}

impl<'w, 'a> Work<'w, 'a> {
    /// Work at that desk, remembered in that place.
    pub fn new(
        desk: &'w mut Desk<'a>,
        place: &'w Place,
        agreement: &'w AgreementName,
        pace: Pace,
        observer: &'w dyn Observer,
    ) -> Self {
        Self {
            desk,
            place,
            agreement,
            pace,
            observer,
        }
    }

    /// The kinds of a reorder that was begun and not finished.
    pub fn unfinished(place: &Path) -> Result<Option<BTreeSet<Kind>>, Error> {
        Ok(Journal::read(place)?.map(|journal| journal.kinds))
    }

    /// The same, with what is left of it to do.
    pub fn unfinished_reorder(
        place: &Path,
        agreement: &AgreementName,
    ) -> Result<Option<Unfinished>, Error> {
        let Some(journal) = Journal::read(place)? else {
            return Ok(None);
        };
        let snapshot = journal.snapshot(place, agreement)?;
        Ok(Some(Unfinished {
            filters: ordered(&journal.kinds, &snapshot.holding.filters)
                .cloned()
                .collect(),
            snapshot: journal.snapshot,
            kinds: journal.kinds,
            removed: journal.removed,
        }))
    }

    /// Adds those of the filters that are missing in what is there.
    pub fn add(&mut self, filters: &BTreeSet<Filter>, holding: &Holding) -> Result<Tally, Error> {
        self.check_finished()?;
        let plan = Plan {
            add: filters.difference(&holding.filters).cloned().collect(),
            ..Plan::default()
        };
        let mut tally = self.add_missing(&plan)?.0;
        tally.already_there += filters.len() - plan.add.len();
        Ok(tally)
    }

    /// Removes filters that are there. What was there is kept in a snapshot. `holding` is what the filters were chosen
    /// from.
    pub fn remove(
        &mut self,
        filters: &BTreeSet<Filter>,
        holding: &Holding,
    ) -> Result<Tally, Error> {
        self.check_finished()?;
        self.keep_if_unchanged(&holding.filters, holding)?;
        self.remove_each(filters)
    }

    /// Adds what a plan adds, and if it is to prune, removes what the plan finds too much. `holding` is what the plan
    /// was made from.
    pub fn apply(&mut self, plan: &Plan, prunes: bool, holding: &Holding) -> Result<Tally, Error> {
        self.check_finished()?;
        let (mut tally, after) = self.add_missing(plan)?;
        if prunes && !plan.surplus.is_empty() {
            if tally.left > 0 {
                // What is to be removed may be all that there is of a kind.
                tally.spared = plan.surplus.len();
            } else {
                let shown = holding.filters.union(&plan.add).cloned().collect();
                let before = after.unwrap_or_else(|| holding.clone());
                self.keep_if_unchanged(&shown, &before)?;
                tally.take_in(self.remove_each(&plan.surplus)?);
            }
        }
        hook::reached("apply-done");
        Ok(tally)
    }

    /// Removes every filter of a kind. What was there is kept in a snapshot. `holding` is what was there when that was
    /// decided.
    pub fn clear(&mut self, kind: Kind, holding: &Holding) -> Result<Tally, Error> {
        self.check_finished()?;
        let before = self.keep_if_unchanged(&holding.filters, holding)?.holding;
        let mut tally = self.carry_out(vec![Change::Clear(kind)], self.pace)?;
        let left = self.desk.holding()?;
        tally.left = left.of(kind).count();
        tally.removed = before.of(kind).count().saturating_sub(tally.left);
        Ok(tally)
    }

    /// Removes the filters of these kinds and adds them again, so that the platform delivers everything once more.
    /// `holding` is what was there when that was decided.
    pub fn reorder(&mut self, kinds: &BTreeSet<Kind>, holding: &Holding) -> Result<Tally, Error> {
        self.check_finished()?;
        // There is no beginning it at an hour at which it could not be ended.
        self.check_time_for(call_count(kinds, holding))?;
        let snapshot = self.keep_if_unchanged(&holding.filters, holding)?;
        let journal = Journal {
            snapshot: snapshot.path,
            kinds: kinds.clone(),
            removed: BTreeSet::new(),
        };
        journal.write(self.place.directory())?;
        hook::reached("reorder-begun");
        self.go_on(journal)
    }

    /// Goes on with a reorder that was begun. What it removed already is not removed again.
    pub fn resume(&mut self) -> Result<Tally, Error> {
        match Journal::read(self.place.directory())? {
            Some(journal) => self.go_on(journal),
            None => Err(SubscriberError::NothingToReorder.into()),
        }
    }

    /// The snapshot to restore when nobody names another: that of an unfinished reorder, or else the newest.
    pub fn snapshot_to_restore(place: &Path, agreement: &AgreementName) -> Result<Snapshot, Error> {
        match Journal::read(place)? {
            Some(journal) => journal.snapshot(place, agreement),
            None => Snapshots::new(place).newest(agreement.as_str()),
        }
    }

    /// Puts back what a plan made from a snapshot finds missing. A reorder that was begun is over with that if nothing
    /// of what it removes is missing any more.
    pub fn restore(&mut self, plan: &Plan) -> Result<Tally, Error> {
        let journal = Journal::read(self.place.directory())?;
        if journal.is_some() {
            // What a reorder has removed comes back whatever the hour is.
            self.pace.any_hour = true;
        }
        let mut tally = self.add_missing(plan)?.0;
        if let Some(journal) = journal {
            let snapshot = journal.snapshot(self.place.directory(), self.agreement)?;
            let there = self.desk.holding()?;
            let wanted = ordered(&journal.kinds, &snapshot.holding.filters);
            let missing = wanted.filter(|filter| !there.filters.contains(filter));
            tally.missing = missing.count();
            if tally.missing == 0 {
                Journal::remove(self.place.directory())?;
            }
        }
        Ok(tally)
    }

    /// Adds what a plan adds and looks whether it is there; what there is then, if anything was to be added.
    fn add_missing(&mut self, plan: &Plan) -> Result<(Tally, Option<Holding>), Error> {
        if plan.add.is_empty() {
            return Ok((Tally::default(), None));
        }
        let add = plan.add.iter().map(Change::Add).collect();
        let mut tally = self.carry_out(add, self.pace)?;
        let after = self.desk.holding()?;
        tally.left = plan.add.difference(&after.filters).count();
        Ok((tally, Some(after)))
    }

    /// Removes filters one by one and looks whether they are gone.
    fn remove_each(&mut self, filters: &BTreeSet<Filter>) -> Result<Tally, Error> {
        let remove = filters.iter().map(Change::Remove).collect();
        let mut tally = self.carry_out(remove, self.pace)?;
        let after = self.desk.holding()?;
        tally.left = filters.intersection(&after.filters).count();
        Ok(tally)
    }

    /// Kind by kind, so that little is missing at a time.
    fn go_on(&mut self, mut journal: Journal) -> Result<Tally, Error> {
        let mut snapshot = journal.snapshot(self.place.directory(), self.agreement)?;
        let mut tally = Tally::default();
        for kind in journal.kinds.clone() {
            if !journal.removed.contains(&kind) {
                self.empty(kind, &mut journal, &mut snapshot, &mut tally)?;
            }
            let there = self.desk.holding()?;
            let wanted = of_kind(&snapshot.holding.filters, kind);
            // Adding what is there changes nothing, so filters that cannot be read are no reason to leave others out.
            let missing = wanted.filter(|filter| !there.filters.contains(filter));
            let missing: Vec<_> = missing.map(Change::Add).collect();
            // What was removed comes back whatever the hour is.
            let added = self.carry_out(missing, Pace { any_hour: true })?;
            tally.take_in(added);
        }
        let after = self.desk.holding()?;
        let after = after.whole()?;
        let wanted = ordered(&journal.kinds, &snapshot.holding.filters);
        tally.left = wanted.filter(|filter| !after.contains(filter)).count();
        hook::reached("reorder-done");
        if tally.left == 0 {
            Journal::remove(self.place.directory())?;
        }
        Ok(tally)
    }

    /// Removes a kind of a reorder, if there is time to add it again.
    fn empty(
        &mut self,
        kind: Kind,
        journal: &mut Journal,
        snapshot: &mut Snapshot,
        tally: &mut Tally,
    ) -> Result<(), Error> {
        hook::reached(&format!("reorder-looks-{}", kind.name()));
        let there = self.desk.holding()?;
        let there = there.whole()?;
        let known = &snapshot.holding.filters;
        let is_new = |filter: &&Filter| !known.contains(filter);
        if of_kind(there, kind).any(|filter| is_new(&filter)) {
            // Somebody has added it since: it goes with the rest, so it must come back with the rest.
            let both = Holding {
                filters: known.iter().chain(of_kind(there, kind)).cloned().collect(),
                unreadable: 0,
            };
            *snapshot = self.take_snapshot(&both)?;
            journal.snapshot.clone_from(&snapshot.path);
            journal.write(self.place.directory())?;
        }
        let left: BTreeSet<_> = journal
            .kinds
            .difference(&journal.removed)
            .copied()
            .collect();
        self.check_time_for(call_count(&left, &snapshot.holding))?;
        let mut cleared = self.carry_out(vec![Change::Clear(kind)], self.pace)?;
        let left = self.desk.holding()?.of(kind).count();
        if left > 0 {
            return Err(SubscriberError::NotEmptied { kind, left }.into());
        }
        cleared.removed = of_kind(there, kind).count();
        tally.take_in(cleared);
        // Nothing of the kind is added before this is on the disk, so repeating it takes nothing away that a reorder
        // has put back.
        journal.removed.insert(kind);
        journal.write(self.place.directory())?;
        hook::reached(&format!("reorder-removed-{}", kind.name()));
        Ok(())
    }

    fn check_finished(&self) -> Result<(), Error> {
        match Journal::read(self.place.directory())? {
            Some(_) => Err(SubscriberError::Unfinished.into()),
            None => Ok(()),
        }
    }

    /// Looks again, and keeps what is there in a snapshot; an error if it is not what was shown.
    fn keep_if_unchanged(
        &mut self,
        shown: &BTreeSet<Filter>,
        before: &Holding,
    ) -> Result<Snapshot, Error> {
        before.whole()?;
        hook::reached("looks-again");
        let there = self.desk.holding()?;
        if there.whole()? != shown {
            return Err(SubscriberError::ChangedMeanwhile.into());
        }
        self.take_snapshot(&there)
    }

    fn take_snapshot(&self, holding: &Holding) -> Result<Snapshot, Error> {
        let snapshots = Snapshots::new(self.place.directory());
        let snapshot = snapshots.take(self.agreement.as_str(), holding, Timestamp::now())?;
        self.observer.kept(&snapshot.path);
        Ok(snapshot)
    }

    fn carry_out(&mut self, changes: Vec<Change<'_>>, pace: Pace) -> Result<Tally, Error> {
        if changes.is_empty() {
            return Ok(Tally::default());
        }
        self.observer.begins(changes.len());
        let tally = self.make(&changes, pace);
        self.observer.ends();
        tally
    }

    fn make(&mut self, changes: &[Change<'_>], pace: Pace) -> Result<Tally, Error> {
        let mut tally = Tally::default();
        for (done, change) in changes.iter().enumerate() {
            self.desk.stop().check()?;
            check_hours(pace, done, changes.len())?;
            match self.desk.change(*change, done, changes.len())? {
                ChangeResult::Added => tally.added += 1,
                ChangeResult::AlreadyExisted => tally.already_there += 1,
                ChangeResult::Removed => tally.removed += 1,
                ChangeResult::NonExistingPnr
                | ChangeResult::NonExistingAgeRange
                | ChangeResult::NonExistingMunicipalityCode
                | ChangeResult::NonExistingChangeCode => tally.not_there += 1,
                ChangeResult::Other(word) => *tally.other.entry(word).or_default() += 1,
            }
            self.observer.advanced();
            // For whoever has no terminal to see it on.
            if (done + 1) % TOLD_CALLS == 0 {
                tracing::info!(
                    agreement = self.agreement.as_str(),
                    done = done + 1,
                    of = changes.len(),
                    "calls are made"
                );
            }
        }
        Ok(tally)
    }

    /// An error if so many calls could not be made before a time that is not for them.
    fn check_time_for(&self, calls: usize) -> Result<(), SubscriberError> {
        if self.pace.any_hour || calls <= FEW_CALLS {
            return Ok(());
        }
        check_hours(self.pace, 0, calls)?;
        match closed_within(now(), calls_take(calls)) {
            None => Ok(()),
            Some(closed) => Err(SubscriberError::NoTime {
                calls,
                minutes: calls_take(calls).as_secs().div_ceil(60),
                why: closed.why,
                from: closed.from,
                until: closed.until,
            }),
        }
    }
}

fn check_hours(pace: Pace, done: usize, total: usize) -> Result<(), SubscriberError> {
    if pace.any_hour || total <= FEW_CALLS {
        return Ok(());
    }
    match closed(now()) {
        None => Ok(()),
        Some(closed) => Err(SubscriberError::Hours {
            done,
            total,
            why: closed.why,
            until: closed.until,
        }),
    }
}

/// What a reorder has done.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Journal {
    /// What there was before.
    snapshot: PathBuf,
    /// What is ordered again.
    kinds: BTreeSet<Kind>,
    /// What is removed already.
    removed: BTreeSet<Kind>,
}

impl Journal {
    const NAME: &str = "reorder.json";

    fn read(directory: &Path) -> Result<Option<Self>, Error> {
        let path = directory.join(Self::NAME);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::file(path)(error)),
        };
        let journal = serde_json::from_slice(&bytes).map_err(|_| SubscriberError::State {
            path,
            what: "this journal of a reorder is damaged: look with `cprflow subscription list` what is there, put \
                   back what is missing with `cprflow subscription restore --snapshot FILE`, and remove the file"
                .to_owned(),
        })?;
        Ok(Some(journal))
    }

    /// What there was before it.
    fn snapshot(&self, directory: &Path, agreement: &AgreementName) -> Result<Snapshot, Error> {
        Snapshots::read(&self.snapshot, agreement.as_str()).map_err(|error| {
            SubscriberError::State {
                path: directory.join(Self::NAME),
                what: format!(
                    "the snapshot of this unfinished reorder cannot be used ({error}): look with `cprflow subscription \
                     list` what is there, put back what is missing from a list of your own or with `cprflow subscription \
                     restore --snapshot FILE`, and remove the journal"
                ),
            }
            .into()
        })
    }

    fn write(&self, directory: &Path) -> Result<(), Error> {
        let path = directory.join(Self::NAME);
        let bytes = serde_json::to_vec(self).map_err(|error| Error::File {
            path: path.clone(),
            error: error.into(),
        })?;
        private_file(&path, &bytes)
    }

    fn remove(directory: &Path) -> Result<(), Error> {
        let path = directory.join(Self::NAME);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::file(path)(error)),
            _ => Ok(()),
        }
    }
}

/// The filters of these kinds.
fn ordered<'f>(
    kinds: &BTreeSet<Kind>,
    filters: &'f BTreeSet<Filter>,
) -> impl Iterator<Item = &'f Filter> {
    let kinds = kinds.clone();
    filters
        .iter()
        .filter(move |filter| kinds.contains(&filter.kind()))
}
