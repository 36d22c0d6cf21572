//! Changes of a subscription, carried out call by call. Each can be killed at any point and run again.
//!
//! What is there is asked of the platform every time, and what is missing is worked out from that: so a run goes on
//! where the one before it ended. Only a reorder needs to remember something of its own, for it removes what it adds
//! again; its journal says what was removed already, and that is never removed twice.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::desk::{Change, Desk, now};
use super::filter::{Filter, Holding, Kind};
use super::hours::{FEW_CALLS, closed};
use super::snapshot::{Snapshot, Snapshots};
use super::{Place, Plan, SubscriberError, private_file};
use crate::agreement::AgreementName;
use crate::error::Error;
use crate::hook;
use crate::subscription::ChangeResult;

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
}

/// Whoever wants to know how far the work is.
pub trait Observer {
    /// So many calls are ahead.
    fn begins(&self, calls: usize);
    /// A call is made.
    fn advanced(&self);
    /// All calls are made, or it is given up.
    fn ends(&self);
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

    /// Adds filters.
    pub fn add(&mut self, filters: &BTreeSet<Filter>) -> Result<Tally, Error> {
        self.check_finished()?;
        self.carry_out(filters.iter().map(Change::Add).collect())
    }

    /// Removes filters that are there. What was there is kept in a snapshot.
    pub fn remove(
        &mut self,
        filters: &BTreeSet<Filter>,
        holding: &Holding,
    ) -> Result<Tally, Error> {
        self.check_finished()?;
        self.take_snapshot(holding)?;
        self.carry_out(filters.iter().map(Change::Remove).collect())
    }

    /// Adds what a plan adds, and if it is to prune, removes what the plan finds too much. `holding` is what the plan
    /// was made from.
    pub fn apply(&mut self, plan: &Plan, prunes: bool, holding: &Holding) -> Result<Tally, Error> {
        self.check_finished()?;
        let tally = self.follow(plan, prunes, holding)?;
        hook::reached("apply-done");
        Ok(tally)
    }

    /// Removes every filter of a kind. What was there is kept in a snapshot.
    pub fn clear(&mut self, kind: Kind, holding: &Holding) -> Result<Tally, Error> {
        self.check_finished()?;
        self.take_snapshot(holding)?;
        let mut tally = self.carry_out(vec![Change::Clear(kind)])?;
        let left = self.desk.holding()?;
        tally.left = left.of(kind).count();
        tally.removed = holding.of(kind).count().saturating_sub(tally.left);
        Ok(tally)
    }

    /// Removes the filters of these kinds and adds them again, so that the platform delivers everything once more.
    pub fn reorder(&mut self, kinds: &BTreeSet<Kind>, holding: &Holding) -> Result<Tally, Error> {
        self.check_finished()?;
        // There is no beginning it that could not be ended.
        self.check_hours(0, call_count(kinds, holding))?;
        let snapshot = self.take_snapshot(holding)?;
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
            Some(journal) => Snapshots::read(&journal.snapshot, agreement.as_str()),
            None => Snapshots::new(place).newest(agreement.as_str()),
        }
    }

    /// Puts back what a plan made from a snapshot finds missing. A reorder that was begun is over with that.
    pub fn restore(&mut self, plan: &Plan, holding: &Holding) -> Result<Tally, Error> {
        let tally = self.follow(plan, false, holding)?;
        if tally.left == 0 {
            Journal::remove(self.place.directory())?;
        }
        Ok(tally)
    }

    fn follow(&mut self, plan: &Plan, prunes: bool, holding: &Holding) -> Result<Tally, Error> {
        let mut changes: Vec<_> = plan.add.iter().map(Change::Add).collect();
        if prunes && !plan.surplus.is_empty() {
            self.take_snapshot(holding)?;
            changes.extend(plan.surplus.iter().map(Change::Remove));
        }
        if changes.is_empty() {
            return Ok(Tally::default());
        }
        let mut tally = self.carry_out(changes)?;
        let after = self.desk.holding()?;
        let after = after.whole()?;
        tally.left = plan.add.difference(after).count();
        if prunes {
            tally.left += plan.surplus.intersection(after).count();
        }
        Ok(tally)
    }

    fn go_on(&mut self, mut journal: Journal) -> Result<Tally, Error> {
        let snapshot = Snapshots::read(&journal.snapshot, self.agreement.as_str())?;
        for kind in journal.kinds.clone() {
            if journal.removed.contains(&kind) {
                continue;
            }
            // Nothing of the kind is added before this is on the disk, so repeating it takes nothing away that a
            // reorder has put back.
            self.carry_out(vec![Change::Clear(kind)])?;
            journal.removed.insert(kind);
            journal.write(self.place.directory())?;
            hook::reached(&format!("reorder-removed-{}", kind.name()));
        }
        let wanted: BTreeSet<_> = ordered(&journal.kinds, &snapshot.holding.filters)
            .cloned()
            .collect();
        let there = self.desk.holding()?;
        let missing = wanted.difference(there.whole()?).map(Change::Add);
        let mut tally = self.carry_out(missing.collect())?;
        let after = self.desk.holding()?;
        tally.left = wanted.difference(after.whole()?).count();
        hook::reached("reorder-done");
        if tally.left == 0 {
            Journal::remove(self.place.directory())?;
        }
        Ok(tally)
    }

    fn check_finished(&self) -> Result<(), Error> {
        match Journal::read(self.place.directory())? {
            Some(_) => Err(SubscriberError::Unfinished.into()),
            None => Ok(()),
        }
    }

    fn take_snapshot(&self, holding: &Holding) -> Result<Snapshot, Error> {
        holding.whole()?;
        let snapshots = Snapshots::new(self.place.directory());
        snapshots.take(self.agreement.as_str(), holding, Timestamp::now())
    }

    fn carry_out(&mut self, changes: Vec<Change<'_>>) -> Result<Tally, Error> {
        self.observer.begins(changes.len());
        let tally = self.make(&changes);
        self.observer.ends();
        tally
    }

    fn make(&mut self, changes: &[Change<'_>]) -> Result<Tally, Error> {
        let mut tally = Tally::default();
        for (done, change) in changes.iter().enumerate() {
            self.desk.stop().check()?;
            self.check_hours(done, changes.len())?;
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
        }
        Ok(tally)
    }

    fn check_hours(&self, done: usize, total: usize) -> Result<(), SubscriberError> {
        if self.pace.any_hour || total <= FEW_CALLS {
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
