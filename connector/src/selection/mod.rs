//! Which persons a scan is about.
//!
//! A person's records do not stand together, and only one of them says where the person lives: so persons are
//! chosen in a pass of their own, and the scan takes the result. The pass that keeps to a policy also learns who is
//! protected, and who was in scope before and no longer is.

mod filter;
mod leavers;
mod protection;
mod renumbered;
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
use renumbered::Renumbered;

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
    statuses: Statuses,
    facts: Arc<Facts>,
}

/// What the extract and the roster say of persons, whatever the policy asks.
#[derive(Clone, Default)]
struct Facts {
    /// The day on which the extract was produced, if it is known. Protections are judged on it: the extract says how
    /// things were on no other.
    produced: Option<i32>,
    /// Persons with a 001.
    delivered: RoaringTreemap,
    protections: Protections,
    renumbered: Renumbered,
    roster: RoaringTreemap,
    /// Persons of whom a later extract has told: what this one says of them is past.
    superseded: RoaringTreemap,
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
    facts: Arc<Facts>,
    /// Numbers that others have taken the place of, whose persons are protected by those.
    protected_by_another: RoaringTreemap,
    pub(crate) leavers: Leavers,
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
    /// may have one that is not here either, and whoever has another number now has it by that.
    #[inline]
    pub(crate) fn is_protected(&self, person: u64) -> bool {
        self.facts.is_protected(person) || self.protected_by_another.contains(person)
    }

    /// The day on which the extract was produced, if it is known.
    pub(crate) fn produced(&self) -> Option<i32> {
        self.facts.produced
    }
}

impl Facts {
    #[inline]
    fn is_protected(&self, person: u64) -> bool {
        self.protections.of_persons().contains(person)
            || !self.delivered.contains(person)
            || self.superseded.contains(person)
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
            rules: Arc::new(rules),
            statuses: Statuses::default(),
            facts: Arc::new(Facts {
                roster,
                ..Facts::default()
            }),
            policy,
        };
        Ok(Self::new(filter, Some(by_policy)))
    }

    /// Persons whom later extracts have delivered, as their [`delivered`](Self::delivered) said: they are not chosen,
    /// not told to have left, and stay on the roster as they were.
    pub fn supersede(&mut self, delivered: &[u8]) -> Result<(), Error> {
        let superseded = roster::read_delivered(delivered)?;
        let Some(by_policy) = &mut self.by_policy else {
            return Err(no_policy());
        };
        if self.chosen.is_some() {
            return Err(Error::Misuse(
                "supersede after finish: the selection is made",
            ));
        }
        Arc::make_mut(&mut by_policy.facts).superseded |= superseded;
        Ok(())
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
        let (chosen, selected) = by_policy.judge(&self.filter);
        self.chosen = Some(chosen);
        Ok(selected)
    }

    /// Adds another finished selection.
    ///
    /// By a filter alone, whatever filter, it is everybody whom either has chosen. By one policy, it is as if one pass
    /// had seen both extracts: so they may be parts of one, each with its start record, and in any order.
    pub fn merge(&mut self, other: &Self) -> Result<(), Error> {
        let (Some(chosen), Some(others)) = (&mut self.chosen, &other.chosen) else {
            return Err(UNFINISHED);
        };
        match (&mut self.by_policy, &other.by_policy) {
            (None, None) => *Arc::make_mut(&mut chosen.persons) |= &*others.persons,
            (Some(by_policy), Some(other_policy)) if by_policy.policy == other_policy.policy => {
                by_policy.merge(other_policy)?;
                self.filter.merge(&other.filter);
                *chosen = by_policy.judge(&self.filter).0;
            }
            _ => {
                return Err(Error::InvalidRequest(
                    "selections by different policies cannot be merged".to_owned(),
                ));
            }
        }
        Ok(())
    }

    /// Who is in scope after this extract, as bytes for the next one's [`open_policy`](Self::open_policy).
    pub fn roster(&self) -> Result<Vec<u8>, Error> {
        let chosen = self.chosen()?;
        let scope = chosen.scope.as_ref().ok_or_else(no_policy)?;
        let stay = &scope.facts.roster - scope.leavers.all();
        roster::write(&(stay | &*chosen.persons))
    }

    /// Everybody with a 001 in this extract, as bytes for [`supersede`](Self::supersede) of one that comes before it
    /// and later is read.
    pub fn delivered(&self) -> Result<Vec<u8>, Error> {
        let scope = self.chosen()?.scope.as_ref().ok_or_else(no_policy)?;
        roster::write(&scope.facts.delivered)
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
                by_policy.begin(record);
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

fn no_policy() -> Error {
    Error::InvalidRequest("only a selection by a policy has rosters".to_owned())
}

const UNFINISHED: Error = Error::Misuse("the selection is not finished: call finish first");

impl ByPolicy {
    /// Takes note of the start record.
    fn begin(&mut self, record: &[u8]) {
        let start = grammar::start_record(record);
        let produced = start.and_then(|start| start.production_date);
        Arc::make_mut(&mut self.facts).produced = produced;
        self.day = self.day.or(produced);
    }

    fn see(&mut self, place: usize, person: u64, record: &[u8]) {
        let facts = Arc::make_mut(&mut self.facts);
        if place == PERSON {
            facts.delivered.insert(person);
            facts.renumbered.see(person, record);
            self.statuses.see(person, record);
        } else if place == protection::TABLE {
            facts.protections.see(person, record, facts.produced);
        }
    }

    /// Adds what another pass by the same policy has seen.
    fn merge(&mut self, other: &Self) -> Result<(), Error> {
        if self.facts.produced != other.facts.produced {
            return Err(Error::InvalidRequest(
                "selections by a policy can be merged where the extracts were produced on the same day: protections \
                 are judged on it"
                    .to_owned(),
            ));
        }
        self.statuses.merge(&other.statuses);
        let facts = Arc::make_mut(&mut self.facts);
        facts.delivered |= &other.facts.delivered;
        facts.protections.merge(&other.facts.protections);
        facts.renumbered.merge(&other.facts.renumbered);
        facts.roster |= &other.facts.roster;
        facts.superseded |= &other.facts.superseded;
        Ok(())
    }

    /// Whom the policy chooses by all that was seen, and who leaves.
    fn judge(&self, filter: &Filter) -> (Chosen, Selected) {
        let facts = &*self.facts;
        let protected = facts.protections.of_persons();
        let by_another = facts
            .renumbered
            .where_valid(|valid| facts.is_protected(valid));
        let mut persons = filter.meeting();
        persons -= &facts.superseded;
        let mut kept_out = RoaringTreemap::new();
        let is_dropped = self.rules.protection == ProtectionRule::Drop;
        if is_dropped {
            persons &= &facts.delivered;
            kept_out = &persons & protected;
            kept_out |= &persons & &by_another;
            persons -= &kept_out;
        }
        let mut left = &facts.roster & &facts.delivered;
        left -= &persons;
        left -= &facts.superseded;
        let leavers = Leavers::new(
            left,
            &self.statuses,
            &kept_out,
            is_dropped.then_some([protected, &by_another]),
            filter,
        );
        let selected = Selected {
            persons: persons.len(),
            entered: persons.difference_len(&facts.roster),
            left: leavers.all().len(),
        };
        let scope = Scope {
            rules: self.rules.clone(),
            facts: self.facts.clone(),
            protected_by_another: by_another,
            leavers,
        };
        let chosen = Chosen {
            persons: Arc::new(persons),
            scope: Some(Arc::new(scope)),
        };
        (chosen, selected)
    }
}

impl Scope {
    /// Whether rows of this person are among those of a scan, beside the chosen ones': leavers come once more where
    /// the policy says so, save those whom protection keeps out.
    pub(crate) fn comes_once_more(&self, person: u64) -> bool {
        self.rules.leavers == LeaverRule::Last
            && self.leavers.all().contains(person)
            && !(self.rules.protection == ProtectionRule::Drop && self.is_protected(person))
    }
}
