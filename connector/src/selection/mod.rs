//! Which persons a scan is about.
//!
//! A person's records do not stand together, and only one of them says where the person lives: so persons are
//! chosen in a pass of their own, and the scan takes the result. The pass that keeps to a policy also learns who is
//! protected, and who was in scope before and no longer is.

mod filter;
mod leavers;
mod protection;
mod roster;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use roaring::RoaringTreemap;

pub use filter::{AgeRange, PersonFilter};
pub(crate) use leavers::Leavers;

use crate::error::Error;
use crate::grammar;
use crate::layout;
use crate::policy::{LeaverRule, Policy, ProtectionRule, Rules};
use crate::split::{Splitter, Step};
use crate::tally::{Class, PERSON, START, TypeSet, classify, pnr_number};
use filter::Filter;
use leavers::Statuses;
use protection::Protections;

/// The persons whom a filter, or a policy, chooses from an extract.
pub struct Selection {
    splitter: Splitter,
    filter: Filter,
    /// None for a selection by a filter alone.
    by_policy: Option<ByPolicy>,
    has_begun: bool,
    /// Types whose records say nothing about whom to choose.
    unwanted: TypeSet,
    chosen: Option<Chosen>,
}

/// What a pass by a policy learns beside whom the filter chooses.
struct ByPolicy {
    policy: Policy,
    rules: Arc<Rules>,
    /// The day on which ages are judged, if it is known: the policy may name one.
    day: Option<i32>,
    /// The day on which protections are judged, if it is known: the extract says how things were on no other.
    produced: Option<i32>,
    /// Persons with a 001.
    delivered: RoaringTreemap,
    protections: Protections,
    statuses: Statuses,
    roster: RoaringTreemap,
}

/// How many persons a pass has chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Selected {
    /// Persons who were chosen and are in the extract.
    pub persons: u64,
    /// Those of them who were not in the roster.
    pub entered: u64,
    /// Persons of the roster who are in the extract and no longer chosen.
    pub left: u64,
}

/// What a finished pass knows, as a scan takes it.
#[derive(Clone)]
pub(crate) struct Chosen {
    pub(crate) persons: Arc<RoaringTreemap>,
    pub(crate) scope: Option<Arc<Scope>>,
}

/// What a finished pass by a policy knows.
#[derive(Clone)]
pub(crate) struct Scope {
    pub(crate) rules: Arc<Rules>,
    /// The day on which the extract was produced, if it is known.
    pub(crate) produced: Option<i32>,
    delivered: RoaringTreemap,
    protected: RoaringTreemap,
    pub(crate) leavers: Leavers,
    roster: RoaringTreemap,
}

impl fmt::Debug for Selection {
    /// Says how many persons are chosen, not who.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let chosen = self.chosen.as_ref();
        f.debug_struct("Selection")
            .field("chosen", &chosen.map(|chosen| chosen.persons.len()))
            .finish_non_exhaustive()
    }
}

impl Scope {
    /// Whether a person has protection of name and address, or must be taken for one who has: whose 001 is not here
    /// may have one that is not here either.
    #[inline]
    pub(crate) fn is_protected(&self, person: u64) -> bool {
        self.protected.contains(person) || !self.delivered.contains(person)
    }
}

impl Selection {
    /// Begins a first pass by a filter alone.
    pub fn open(filter: PersonFilter) -> Result<Self, Error> {
        Ok(Self::new(Filter::new(filter)?, None))
    }

    /// Begins a first pass by a policy, with the roster that the pass over the extract before has left.
    pub fn open_policy(policy: Policy, roster: Option<&[u8]>) -> Result<Self, Error> {
        let rules = Rules::new(&policy)?;
        let filter = Filter::new(policy.persons.clone())?;
        let roster = match roster {
            Some(bytes) => roster::read(bytes)?,
            None => RoaringTreemap::new(),
        };
        let by_policy = ByPolicy {
            day: rules.day,
            produced: None,
            rules: Arc::new(rules),
            delivered: RoaringTreemap::new(),
            protections: Protections::default(),
            statuses: Statuses::default(),
            roster,
            policy,
        };
        Ok(Self::new(filter, Some(by_policy)))
    }

    fn new(filter: Filter, by_policy: Option<ByPolicy>) -> Self {
        let is_by_policy = by_policy.is_some();
        let speaks = |place: usize| {
            filter.reads(place) || is_by_policy && (place == PERSON || protection::TABLE == place)
        };
        Self {
            unwanted: TypeSet::keyed(|place| !speaks(place)),
            splitter: Splitter::default(),
            filter,
            by_policy,
            has_begun: false,
            chosen: None,
        }
    }

    /// Takes the next bytes of the extract.
    pub fn push(&mut self, block: Vec<u8>) -> Result<(), Error> {
        if self.chosen.is_some() {
            return Err(Error::Misuse("push after finish: the selection is made"));
        }
        self.splitter.push(block);
        self.read()
    }

    /// Ends the pass, and says how many persons were chosen.
    pub fn finish(&mut self) -> Result<Selected, Error> {
        if self.chosen.is_some() {
            return Err(Error::Misuse("finish was called before"));
        }
        self.splitter.finish();
        self.read()?;
        let Some(by_policy) = &mut self.by_policy else {
            let persons = self.filter.finish();
            let selected = Selected {
                persons: persons.len(),
                entered: persons.len(),
                left: 0,
            };
            self.chosen = Some(Chosen {
                persons: Arc::new(persons),
                scope: None,
            });
            return Ok(selected);
        };
        if by_policy.day.is_none() && self.filter.asks_for_ages() {
            return Err(Error::InvalidRequest(
                "the policy is about ages, and there is no day to judge them on: the extract's start record has no \
                 production date. Name a day in the policy"
                    .to_owned(),
            ));
        }
        let (chosen, selected) = by_policy.finish(&mut self.filter);
        self.chosen = Some(chosen);
        Ok(selected)
    }

    /// Adds the persons of another finished selection, made by the same policy or both by a filter alone.
    pub fn merge(&mut self, other: &Self) -> Result<(), Error> {
        let policy = |selection: &Self| selection.by_policy.as_ref().map(|by| by.policy.clone());
        let is_same = policy(self) == policy(other);
        let (Some(chosen), Some(other)) = (&mut self.chosen, &other.chosen) else {
            return Err(UNFINISHED);
        };
        if !is_same {
            return Err(Error::InvalidRequest(
                "selections by different policies cannot be merged".to_owned(),
            ));
        }
        *Arc::make_mut(&mut chosen.persons) |= &*other.persons;
        if let (Some(scope), Some(other)) = (&mut chosen.scope, &other.scope) {
            let scope = Arc::make_mut(scope);
            scope.merge(other);
            if scope.rules.protection == ProtectionRule::Drop {
                // Who is protected by either is not there.
                *Arc::make_mut(&mut chosen.persons) -= &scope.protected;
            }
            scope.leavers.remove(&chosen.persons);
        }
        Ok(())
    }

    /// Who is in scope after this extract, as bytes for the next one's [`open_policy`](Self::open_policy).
    pub fn roster(&self) -> Result<Vec<u8>, Error> {
        let chosen = self.chosen()?;
        let Some(scope) = &chosen.scope else {
            return Err(Error::InvalidRequest(
                "only a selection by a policy has a roster".to_owned(),
            ));
        };
        let stay = &scope.roster - scope.leavers.all();
        roster::write(&(stay | &*chosen.persons))
    }

    /// The chosen persons, and what is known of them.
    pub(crate) fn chosen(&self) -> Result<&Chosen, Error> {
        self.chosen.as_ref().ok_or(UNFINISHED)
    }

    fn read(&mut self) -> Result<(), Error> {
        loop {
            if self.has_begun {
                let unwanted = &self.unwanted;
                self.splitter.skip_lines(|line| unwanted.has_type_of(line));
            }
            if self.splitter.next()? != Step::Record {
                return Ok(());
            }
            let is_first = !std::mem::replace(&mut self.has_begun, true);
            let record = self.splitter.record();
            let Class::Known(place) = classify(record) else {
                continue;
            };
            if let Some(by_policy) = &mut self.by_policy
                && is_first
                && place == START
            {
                let start = grammar::start_record(record);
                by_policy.produced = start.and_then(|start| start.production_date);
                by_policy.day = by_policy.day.or(by_policy.produced);
            }
            if !layout::tables()
                .get(place)
                .is_some_and(layout::Table::is_keyed)
            {
                continue;
            }
            let person = pnr_number(record.get(3..13).unwrap_or_default());
            if person == NOBODY {
                continue;
            }
            let day = self.by_policy.as_ref().and_then(|by_policy| by_policy.day);
            self.filter.see(place, person, record, day);
            if let Some(by_policy) = &mut self.by_policy {
                by_policy.see(place, person, record);
            }
        }
    }
}

/// Ten zeros are nobody.
const NOBODY: u64 = 0;

const UNFINISHED: Error = Error::Misuse("the selection is not finished: call finish first");

impl ByPolicy {
    fn see(&mut self, place: usize, person: u64, record: &[u8]) {
        if place == PERSON {
            self.delivered.insert(person);
            if self.roster.contains(person) {
                self.statuses.see(person, record);
            }
        } else if place == protection::TABLE {
            self.protections.see(person, record, self.produced);
        }
    }

    fn finish(&mut self, filter: &mut Filter) -> (Chosen, Selected) {
        let delivered = std::mem::take(&mut self.delivered);
        let roster = std::mem::take(&mut self.roster);
        let protected = self.protections.take();
        let old = &roster & &delivered;
        // Whoever leaves must be told why, which takes all that the filter knows.
        let failing = filter.failing(&old);
        let mut persons = filter.finish();
        let is_dropped = self.rules.protection == ProtectionRule::Drop;
        if is_dropped {
            persons -= &protected;
            persons &= &delivered;
        }
        let left = old - &persons;
        let reasons = std::mem::take(&mut self.statuses);
        let protected_ones = is_dropped.then_some(&protected);
        let leavers = Leavers::new(left, &failing, reasons, protected_ones);
        let selected = Selected {
            persons: persons.len(),
            entered: persons.difference_len(&roster),
            left: leavers.all().len(),
        };
        let scope = Scope {
            rules: self.rules.clone(),
            produced: self.produced,
            delivered,
            protected,
            leavers,
            roster,
        };
        let chosen = Chosen {
            persons: Arc::new(persons),
            scope: Some(Arc::new(scope)),
        };
        (chosen, selected)
    }
}

impl Scope {
    fn merge(&mut self, other: &Self) {
        self.produced = self.produced.or(other.produced);
        self.delivered |= &other.delivered;
        self.protected |= &other.protected;
        self.roster |= &other.roster;
        self.leavers.add(&other.leavers);
    }

    /// Whether rows of this person are among those of a scan, beside the chosen ones': leavers come once more where
    /// the policy says so, save those whom protection keeps out.
    pub(crate) fn comes_once_more(&self, person: u64) -> bool {
        self.rules.leavers == LeaverRule::Last
            && self.leavers.all().contains(person)
            && !(self.rules.protection == ProtectionRule::Drop && self.is_protected(person))
    }
}
