//! Selects the persons whose records a scan returns.
//!
//! A person's records do not follow each other, and only one of them has the address. So the persons are selected in a
//! first pass, and the scan uses its result. A pass under a policy also finds who is protected, and who was in scope
//! before and no longer is.

mod number_links;
mod out_of_scope;
mod part;
mod policy_pass;
mod protection;
mod roster;
mod state;
mod state_scope;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use roaring::RoaringTreemap;

pub(crate) use policy_pass::PolicyScope;
pub(crate) use roster::read_superseded;
pub use state::ExtractPlace;
pub(crate) use state_scope::{ScannedExtract, StateScope};

use crate::error::Error;
use crate::grammar;
use crate::input::{Splitter, Step};
use crate::layout;
use crate::policy::{PersonFilter, PersonMatcher, Policy, Rules, is_shifted};
use crate::record::{
    END, FORMER_NUMBER, PERSON, RECEIPT, RecordClass, RecordTypes, START, classify, is_padding,
    may_protect, padded, pnr_number,
};
use part::{PartContext, ReceivedPieces};
use policy_pass::PolicyPass;
use state::StatePass;

/// The persons whom a filter or a policy selects from an extract.
pub struct Selection {
    splitter: Splitter,
    filter: PersonMatcher,
    /// The state of a pass under a policy; `None` for a selection by a filter alone.
    policy_pass: Option<PolicyPass>,
    /// The extracts so far, in a pass over a state. `filter` and `policy_pass` then have what the open extract says.
    state: Option<StatePass>,
    has_begun: bool,
    has_ended: bool,
    /// The types whose records cannot change the selection.
    irrelevant: RecordTypes,
    /// What the pass knows of the records before its part; `None` for a pass that begins at the first record.
    part: Option<PartContext>,
    /// The pieces of another selection that this one takes; `None` for a pass.
    received: Option<ReceivedPieces>,
    chosen: Option<SelectedPersons>,
}

/// How many persons a pass has selected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Selected {
    /// The number of selected persons who are in the extract.
    pub persons: u64,
    /// The number of those who were not in the roster.
    pub entered: u64,
    /// The number of persons of the roster who are in the extract and no longer selected.
    pub left: u64,
}

/// The result of a finished pass, as a scan uses it.
#[derive(Clone)]
pub(crate) struct SelectedPersons {
    pub(crate) persons: Arc<RoaringTreemap>,
    pub(crate) scope: Option<Arc<PolicyScope>>,
    /// What each extract contributes, after a pass over a state.
    pub(crate) state: Option<Arc<StateScope>>,
}

impl SelectedPersons {
    /// Returns whether the records of a person are returned.
    #[inline]
    pub(crate) fn contains(&self, person: u64) -> bool {
        match &self.scope {
            // Without a policy, a state has everybody.
            None if self.state.is_some() => true,
            None => self.persons.contains(person),
            Some(scope) => self.persons.contains(person) || scope.is_repeated(person),
        }
    }
}

impl fmt::Debug for Selection {
    /// Shows how many persons are selected, not who they are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let chosen = self.chosen.as_ref();
        f.debug_struct("Selection")
            .field("chosen", &chosen.map(|chosen| chosen.persons.len()))
            .finish_non_exhaustive()
    }
}

impl Selection {
    /// Begins a first pass by a filter alone.
    pub fn open(filter: PersonFilter) -> Result<Self, Error> {
        Ok(Self::new(PersonMatcher::new(filter)?, None))
    }

    /// Begins a first pass under a policy. `roster` is what [`roster`](Self::roster) returned for the preceding
    /// extract.
    ///
    /// Fails if the policy is not valid or the roster cannot be read.
    pub fn open_policy(policy: Policy, roster: Option<&[u8]>) -> Result<Self, Error> {
        let rules = Arc::new(Rules::new(&policy)?);
        let filter = PersonMatcher::under(policy.persons.clone(), Some(rules.clone()))?;
        let roster = match roster {
            Some(bytes) => roster::read(bytes)?,
            None => RoaringTreemap::new(),
        };
        let mut policy_pass = PolicyPass::new(policy, rules);
        Arc::make_mut(&mut policy_pass.facts).roster = roster;
        Ok(Self::new(filter, Some(policy_pass)))
    }

    /// Adds persons whom later extracts have delivered, as returned by their
    /// [`delivered_persons`](Self::delivered_persons). They are not selected, not reported as leavers, and stay on the
    /// roster unchanged.
    ///
    /// Fails without a policy, after [`finish`](Self::finish), or if the list cannot be read.
    pub fn set_delivered_later(&mut self, delivered: &[u8]) -> Result<(), Error> {
        let delivered_later = roster::read_delivered(delivered)?;
        let Some(policy_pass) = &mut self.policy_pass else {
            return Err(no_policy());
        };
        if self.chosen.is_some() {
            return Err(Error::Misuse(
                "set_delivered_later after finish: the selection is finished",
            ));
        }
        Arc::make_mut(&mut policy_pass.facts).delivered_later |= delivered_later;
        Ok(())
    }

    /// Names persons who are protected by something that the extract does not have, for example a later extract. They count
    /// as protected, and so do all numbers tied to theirs.
    ///
    /// Fails without a policy, for a state, after [`finish`](Self::finish), or if a number is not ten digits.
    pub fn protect(&mut self, numbers: &[String]) -> Result<(), Error> {
        let numbers = person_numbers(numbers)?;
        let Some(policy_pass) = self
            .policy_pass
            .as_mut()
            .filter(|_| self.state.is_none() && self.chosen.is_none())
        else {
            return Err(Error::Misuse(
                "protect is for a pass under a policy over one extract, before finish",
            ));
        };
        Arc::make_mut(&mut policy_pass.facts).protected_elsewhere |= numbers;
        Ok(())
    }

    /// Returns the numbers of all persons who count as protected after a pass under a policy or over a state, sorted.
    pub fn protected_numbers(&self) -> Result<Vec<String>, Error> {
        self.chosen()?;
        let facts = match (&self.state, &self.policy_pass) {
            (Some(state), _) => state.facts(),
            (None, Some(policy_pass)) => &*policy_pass.facts,
            (None, None) => return Err(no_policy()),
        };
        let mut protected = facts.perhaps_protected() | facts.certainly_protected();
        if facts.has_unknown_protection {
            protected |= facts.records.persons();
        }
        Ok(ten_digits(&protected))
    }

    /// Returns a roster, or another list in the format of a roster, without these persons.
    pub fn roster_without(roster: &[u8], numbers: &[String]) -> Result<Vec<u8>, Error> {
        roster::write(&(roster::read(roster)? - person_numbers(numbers)?))
    }

    /// Returns the persons who are in both rosters, as a roster. Without the first one there are none.
    pub fn common_roster(one: Option<&[u8]>, other: &[u8]) -> Result<Vec<u8>, Error> {
        let other = roster::read(other)?;
        roster::write(&match one {
            Some(one) => roster::read(one)? & other,
            None => RoaringTreemap::new(),
        })
    }

    fn new(filter: PersonMatcher, policy_pass: Option<PolicyPass>) -> Self {
        let is_by_policy = policy_pass.is_some();
        let speaks = |index: usize| {
            filter.reads(index)
                || is_by_policy
                    && (index == PERSON
                        || index == RECEIPT
                        || index == FORMER_NUMBER
                        || may_protect(index))
        };
        Self {
            irrelevant: RecordTypes::keyed(|index| !speaks(index)),
            splitter: Splitter::default(),
            filter,
            policy_pass,
            state: None,
            has_begun: false,
            has_ended: false,
            part: None,
            received: None,
            chosen: None,
        }
    }

    /// Takes the next bytes of the extract. Fails after [`finish`](Self::finish).
    pub fn push(&mut self, block: Vec<u8>) -> Result<(), Error> {
        if self.chosen.is_some() {
            return Err(Error::Misuse(
                "push after finish: the selection is finished",
            ));
        }
        if self.received.is_some() {
            return Err(part::IS_RECEIVED);
        }
        if let Some(state) = &self.state {
            state.check_open()?;
        }
        self.splitter.push(block);
        self.read()
    }

    /// Ends the pass and returns how many persons were selected. Fails if the policy has an age filter and there is no
    /// day for it.
    pub fn finish(&mut self) -> Result<Selected, Error> {
        if self.chosen.is_some() {
            return Err(Error::Misuse("finish was already called"));
        }
        if self.part.is_some() || self.received.is_some() {
            return Err(part::IS_RECEIVED);
        }
        if self.state.is_some() {
            return self.finish_state();
        }
        self.splitter.finish();
        self.read()?;
        let Some(policy_pass) = &mut self.policy_pass else {
            let persons = self.filter.finish();
            let selected = Selected {
                persons: persons.len(),
                entered: persons.len(),
                left: 0,
            };
            self.chosen = Some(SelectedPersons {
                persons: Arc::new(persons),
                scope: None,
                state: None,
            });
            return Ok(selected);
        };
        if policy_pass.day.is_none() && self.filter.asks_for_ages() {
            return Err(Error::InvalidRequest(
                "the policy selects ages, but there is no day to calculate them on: the extract's start record has no \
                 production date. Name a day in the policy"
                    .to_owned(),
            ));
        }
        let (chosen, selected) = policy_pass.evaluate(&self.filter);
        self.chosen = Some(chosen);
        Ok(selected)
    }

    /// Adds another finished selection.
    ///
    /// By filters alone, the result has every person whom either has selected; the filters may differ. Under the same
    /// policy, the result is as if one pass had read both extracts. They may be parts of one extract, each with its
    /// start record, in any order. Fails for different policies and for different production dates.
    pub fn merge(&mut self, other: &Self) -> Result<(), Error> {
        let (Some(chosen), Some(others)) = (&mut self.chosen, &other.chosen) else {
            return Err(UNFINISHED);
        };
        if self.state.is_some() || other.state.is_some() {
            return Err(Error::InvalidRequest(
                "selections of states cannot be merged: read all extracts in one pass".to_owned(),
            ));
        }
        match (&mut self.policy_pass, &other.policy_pass) {
            (None, None) => *Arc::make_mut(&mut chosen.persons) |= &*others.persons,
            (Some(policy_pass), Some(other_policy))
                if policy_pass.policy == other_policy.policy =>
            {
                policy_pass.merge(other_policy)?;
                self.filter.merge(&other.filter);
                *chosen = policy_pass.evaluate(&self.filter).0;
            }
            _ => {
                return Err(Error::InvalidRequest(
                    "selections by different policies cannot be merged".to_owned(),
                ));
            }
        }
        Ok(())
    }

    /// Returns the persons in scope after this extract, as bytes for [`open_policy`](Self::open_policy) of the next
    /// extract.
    pub fn roster(&self) -> Result<Vec<u8>, Error> {
        let chosen = self.chosen()?;
        let scope = chosen.scope.as_ref().ok_or_else(no_policy)?;
        let stay = &scope.facts.roster - scope.leavers.all();
        // Persons with published rows are on the roster, also after damage. Without that, a later extract could not report
        // them as leavers.
        roster::write(&(stay | &*chosen.persons))
    }

    /// Returns all persons about whom this extract says what holds for them, as bytes for
    /// [`set_delivered_later`](Self::set_delivered_later) of an older extract that is read later: those with a 001, a 004,
    /// or a receipt that their subscription has ended (997).
    ///
    /// Of a state, returns the persons who have one: those with a valid 001. Everybody else is masked as a relative.
    pub fn delivered_persons(&self) -> Result<Vec<u8>, Error> {
        let scope = self.chosen()?.scope.as_ref().ok_or_else(no_policy)?;
        let facts = &scope.facts;
        if self.state.is_some() {
            return roster::write(facts.records.persons());
        }
        let mut delivered = facts.records.persons() | &facts.unsubscribed;
        delivered |= facts.protections.of_persons();
        delivered |= &facts.damaged;
        roster::write(&delivered)
    }

    /// Returns the selected persons. Fails before [`finish`](Self::finish).
    pub(crate) fn chosen(&self) -> Result<&SelectedPersons, Error> {
        self.chosen.as_ref().ok_or(UNFINISHED)
    }

    fn read(&mut self) -> Result<(), Error> {
        loop {
            let (has_begun, irrelevant) = (self.has_begun, &self.irrelevant);
            let step = self
                .splitter
                .next_after(|line, _| has_begun && irrelevant.has_type_of(line))?;
            if step != Step::Record {
                return Ok(());
            }
            let is_first = !std::mem::replace(&mut self.has_begun, true);
            let record = self.splitter.record();
            let class = classify(record);
            // Padding after the end is no damaged record.
            let is_padding = self.has_ended && is_padding(record);
            if let Some(policy_pass) = self.policy_pass.as_mut().filter(|_| !is_padding) {
                policy_pass.add_damage(class, record);
            }
            let RecordClass::Known(index) = class else {
                continue;
            };
            self.has_ended |= index == END;
            if let Some(policy_pass) = &mut self.policy_pass
                && is_first
                && index == START
                && self.state.is_none()
            {
                policy_pass.begin(record);
            }
            if !layout::tables()
                .get(index)
                .is_some_and(layout::Table::is_keyed)
            {
                continue;
            }
            let person = pnr_number(record.get(3..13).unwrap_or_default());
            if person == NO_PERSON {
                continue;
            }
            if let Some(state) = &mut self.state {
                state.add_record(index, person);
            }
            let day = self
                .policy_pass
                .as_ref()
                .and_then(|policy_pass| policy_pass.day);
            let Some(policy_pass) = &mut self.policy_pass else {
                self.filter.add_record(index, person, record, day);
                continue;
            };
            // Values that stand in wrong columns say nothing about the person for certain.
            let table = layout::tables().get(index);
            if table.is_some_and(|table| is_shifted(table, padded(record))) {
                self.filter.add_unreadable(index, person);
                policy_pass.add_shifted(index, person, record);
            } else {
                self.filter.add_record(index, person, record, day);
                policy_pass.add_record(index, person, record);
            }
        }
    }
}

/// Ten zeros do not name a person.
const NO_PERSON: u64 = 0;

fn no_policy() -> Error {
    Error::InvalidRequest("only a selection under a policy has a roster".to_owned())
}

/// Reads person numbers. Fails if one is not ten digits.
fn person_numbers(numbers: &[String]) -> Result<RoaringTreemap, Error> {
    let mut known = RoaringTreemap::new();
    for (index, number) in numbers.iter().enumerate() {
        if !grammar::is_code(number, 10) {
            return Err(Error::InvalidRequest(format!(
                "entry {} of the list of person numbers is not ten digits",
                index + 1
            )));
        }
        known.insert(pnr_number(number.as_bytes()));
    }
    Ok(known)
}

fn ten_digits(persons: &RoaringTreemap) -> Vec<String> {
    let numbers = persons.iter();
    numbers.map(|number| format!("{number:010}")).collect()
}

const UNFINISHED: Error = Error::Misuse("the selection is not finished: call finish first");
