//! The first pass over a state: what several extracts together say about each person.
//!
//! The extracts come newest first. Each is read like a single one, and then only what it says of persons whom no newer
//! extract has is added to the result. So the rules of a single extract apply, and memory holds numbers of persons, never
//! records.

use std::sync::Arc;

use roaring::RoaringTreemap;

use super::policy_pass::{ExtractFacts, PolicyPass};
use super::state_scope::{NumberSet, StateExtract, StateScope};
use super::{Selected, SelectedPersons, Selection, roster};
use crate::columns::Origin;
use crate::error::Error;
use crate::grammar;
use crate::input::Splitter;
use crate::person_records::PersonRecords;
use crate::policy::{PersonFilter, PersonMatcher, Policy, Rules, View};
use crate::record::EVENT;

/// The longest name of an agreement, in bytes.
const MAX_NAME: usize = 64;

/// An extract of a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtractPlace {
    /// The name of the agreement that delivered the extract.
    pub agreement: String,
    /// The date that places the extract in the order, `YYYY-MM-DD`: usually its production date.
    pub production_date: String,
    /// The place among extracts of one date. A larger number is newer.
    pub sequence: u64,
}

/// A pass over a state.
pub(super) struct StatePass {
    /// What the extracts so far say about the persons of the state.
    filter: PersonMatcher,
    facts: PolicyPass,
    extracts: Vec<StateExtract>,
    agreements: Vec<Agreement>,
    /// The persons with a state.
    decided: RoaringTreemap,
    /// The persons whose subscription has ended in an agreement.
    ended: RoaringTreemap,
    is_open: bool,
    /// The persons with records in the open extract, of the types that the pass reads.
    mentioned: RoaringTreemap,
    /// The persons with events in the open extract, if the pass reads them.
    with_event: RoaringTreemap,
    has_policy: bool,
}

/// What is known of an agreement.
struct Agreement {
    name: String,
    /// The persons whom the extracts so far have delivered, or whose subscription they have ended. Older extracts of the
    /// agreement show nothing of them.
    decided: RoaringTreemap,
    /// Those of them who were delivered. Older extracts of the agreement do not protect them or by them. A receipt leaves
    /// a protection as it is: it says nothing about it.
    delivered: RoaringTreemap,
}

impl Selection {
    /// Begins a first pass over a state, under a policy or without one. `roster` is what [`roster`](Self::roster) returned
    /// for the preceding state; only a pass under a policy can have one.
    ///
    /// The extracts follow, newest first, each between [`begin_extract`](Self::begin_extract) and
    /// [`end_extract`](Self::end_extract).
    pub fn open_state(policy: Option<Policy>, roster: Option<&[u8]>) -> Result<Self, Error> {
        let has_policy = policy.is_some();
        if !has_policy && roster.is_some() {
            return Err(super::no_policy());
        }
        let policy = policy.unwrap_or_else(Policy::open);
        let rules = Arc::new(Rules::of_state(&policy)?);
        let matcher = |persons: PersonFilter| PersonMatcher::under(persons, Some(rules.clone()));
        let mut facts = PolicyPass::new(policy.clone(), rules.clone());
        if let Some(roster) = roster {
            Arc::make_mut(&mut facts.facts).roster = roster::read(roster)?;
        }
        let state = StatePass {
            filter: matcher(policy.persons.clone())?,
            facts,
            extracts: Vec::new(),
            agreements: Vec::new(),
            decided: RoaringTreemap::new(),
            ended: RoaringTreemap::new(),
            is_open: false,
            mentioned: RoaringTreemap::new(),
            with_event: RoaringTreemap::new(),
            has_policy,
        };
        let filter = matcher(policy.persons.clone())?;
        let mut selection = Self::new(filter, Some(PolicyPass::new(policy, rules)));
        selection.state = Some(state);
        Ok(selection)
    }

    /// Begins the next extract of a state.
    ///
    /// Fails if the extract is not older than the one before, if its place is not valid, or if the selection is not one of
    /// a state.
    pub fn begin_extract(&mut self, place: &ExtractPlace) -> Result<(), Error> {
        if self.chosen.is_some() {
            return Err(Error::Misuse(
                "begin-extract after finish: the selection is finished",
            ));
        }
        let (Some(state), Some(pass)) = (&mut self.state, &mut self.policy_pass) else {
            return Err(NO_STATE);
        };
        let day = state.begin(place)?;
        self.splitter = Splitter::default();
        self.has_begun = false;
        self.has_ended = false;
        for pass in [&mut state.facts, pass] {
            // The newest extract determines the day, unless the policy does.
            pass.day = pass.day.or(Some(day));
        }
        Ok(())
    }

    /// Ends the extract that was begun last.
    pub fn end_extract(&mut self) -> Result<(), Error> {
        self.state.as_ref().ok_or(NO_STATE)?.check_open()?;
        self.splitter.finish();
        self.read()?;
        let (Some(state), Some(pass)) = (&mut self.state, &mut self.policy_pass) else {
            return Err(NO_STATE);
        };
        state.end(&mut self.filter, pass)
    }

    /// Ends the pass over a state.
    pub(super) fn finish_state(&mut self) -> Result<Selected, Error> {
        let Some(state) = &mut self.state else {
            return Err(NO_STATE);
        };
        let (chosen, selected) = state.finish()?;
        self.chosen = Some(chosen);
        Ok(selected)
    }

    /// Returns the persons whose records in the extract at that place of the pass, from 0, are superseded: a newer extract
    /// of the same agreement has a 001 or 997 of the number. Records that still protect a person are not superseded. The
    /// result is for [`CopyOptions::superseded`](crate::CopyOptions::superseded).
    pub fn superseded_persons(&self, extract: usize) -> Result<Vec<u8>, Error> {
        let extracts = self.chosen()?.state.as_ref().ok_or(NO_STATE)?;
        let extract = extracts.extracts.get(extract).ok_or_else(|| {
            Error::InvalidRequest(format!(
                "the state has no extract {extract}: it has {}",
                extracts.extracts.len()
            ))
        })?;
        roster::write(&extract.superseded.to_bitmap())
    }

    /// Returns these numbers and all numbers of the same persons in a state, sorted. Fails if a number is not ten digits.
    pub fn tied_numbers(&self, numbers: &[String]) -> Result<Vec<String>, Error> {
        self.chosen()?;
        let state = self.state.as_ref().ok_or(NO_STATE)?;
        let known = super::person_numbers(numbers)?;
        let tied = state.facts.facts.links.tied_to(&known);
        Ok(super::ten_digits(&tied))
    }
}

const NO_STATE: Error =
    Error::Misuse("the selection is not one of a state: open it with open-state");

impl StatePass {
    /// Returns what the extracts so far say about the persons of the state.
    pub(super) fn facts(&self) -> &ExtractFacts {
        &self.facts.facts
    }

    /// Fails if no extract is open.
    pub(super) fn check_open(&self) -> Result<(), Error> {
        match self.is_open {
            true => Ok(()),
            false => Err(Error::Misuse(
                "no extract of the state is open: call begin-extract first",
            )),
        }
    }

    /// Begins an extract and returns the day that places it.
    fn begin(&mut self, place: &ExtractPlace) -> Result<i32, Error> {
        if self.is_open {
            return Err(Error::Misuse(
                "an extract of the state is open: call end-extract first",
            ));
        }
        let day = place.day()?;
        let last = self.extracts.last();
        if last.is_some_and(|last| (day, place.sequence) >= (last.origin.day, last.place.sequence))
        {
            return Err(Error::InvalidRequest(
                "the extracts of a state come newest first, by production date and then by sequence number, and each \
                 only once"
                    .to_owned(),
            ));
        }
        self.is_open = true;
        let empty = || NumberSet::Few(Vec::new());
        self.extracts.push(StateExtract {
            place: place.clone(),
            origin: Arc::new(Origin {
                day,
                agreement: place.agreement.clone(),
            }),
            current: Arc::new(empty()),
            elsewhere: Arc::new(empty()),
            several: Arc::new(empty()),
            superseded: empty(),
        });
        Ok(day)
    }

    /// Notes the person of a record of the open extract.
    #[inline]
    pub(super) fn add_record(&mut self, index: usize, person: u64) {
        if index == EVENT {
            self.with_event.insert(person);
        } else {
            self.mentioned.insert(person);
        }
    }

    /// Ends the open extract: adds what it says of persons whom no newer extract has.
    fn end(&mut self, filter: &mut PersonMatcher, pass: &mut PolicyPass) -> Result<(), Error> {
        self.is_open = false;
        let mentioned = std::mem::take(&mut self.mentioned);
        let with_event = std::mem::take(&mut self.with_event);
        let facts = std::mem::take(Arc::make_mut(&mut pass.facts));
        let extract = self.extracts.last_mut().ok_or(Error::Internal)?;
        let name = &extract.place.agreement;
        let known = self.agreements.iter().position(|one| one.name == *name);
        let known = known.unwrap_or_else(|| {
            self.agreements.push(Agreement {
                name: name.clone(),
                decided: RoaringTreemap::new(),
                delivered: RoaringTreemap::new(),
            });
            self.agreements.len() - 1
        });
        let agreement = self.agreements.get_mut(known).ok_or(Error::Internal)?;
        let superseded = &agreement.decided;
        let delivered_later = &agreement.delivered;
        // A receipt ends what the extract itself says, too.
        let mut delivered = facts.records.persons() - &facts.unsubscribed;
        delivered -= superseded;
        let current = &delivered - &self.decided;
        let elsewhere = &delivered & &self.decided;
        let several = facts.records.several();
        let different: RoaringTreemap = several.different.keys().copied().collect();
        let identical: RoaringTreemap = several.identical.keys().copied().collect();

        // What a record says of a protection counts until the agreement delivers the person of the record again, also if
        // that person has ended or has no 001 here.
        let protecting = facts.protecting();
        let is_live = |person: u64| !delivered_later.contains(person);
        let ties = |person: u64| is_live(person) && !self.decided.contains(person);
        let damaged = &facts.damaged - delivered_later;
        let in_doubt = match facts.has_unknown_protection {
            true => &mentioned - delivered_later,
            false => RoaringTreemap::new(),
        };
        // No record of an extract whose damage still protects somebody is superseded: the damaged record can be keyed by
        // anybody.
        extract.superseded = NumberSet::new(match damaged.is_empty() && in_doubt.is_empty() {
            true => &mentioned & &(superseded - (protecting - delivered_later)),
            false => RoaringTreemap::new(),
        });

        let all = Arc::make_mut(&mut self.facts.facts);
        all.shifted |= (&facts.shifted | &different)
            .into_iter()
            .filter(|person| ties(*person))
            .collect::<RoaringTreemap>();
        all.links.absorb(facts.links, ties);
        // Protection is the union over the agreements, so the state of each agreement counts.
        all.protections.absorb(facts.protections, is_live);
        all.damaged |= damaged | in_doubt;
        self.facts.statuses.absorb(&mut pass.statuses, &current);
        self.filter.absorb(filter, &current, &with_event);

        self.ended |= &facts.unsubscribed - superseded;
        agreement.decided |= facts.records.persons() | &facts.unsubscribed;
        agreement.delivered |= facts.records.persons();
        extract.several = Arc::new(NumberSet::new((different | identical) & &delivered));
        extract.elsewhere = Arc::new(NumberSet::new(elsewhere));
        self.decided |= delivered;
        extract.current = Arc::new(NumberSet::new(current));
        Ok(())
    }

    /// Selects the persons of the state.
    fn finish(&mut self) -> Result<(SelectedPersons, Selected), Error> {
        if self.is_open {
            return Err(Error::Misuse(
                "an extract of the state is open: call end-extract first",
            ));
        }
        if self.facts.day.is_none() && self.filter.asks_for_ages() {
            return Err(Error::InvalidRequest(
                "the policy selects ages, but there is no day to calculate them on: the state has no extract. Name a day \
                 in the policy"
                    .to_owned(),
            ));
        }
        self.agreements = Vec::new();
        let ended = &self.ended - &self.decided;
        let facts = Arc::make_mut(&mut self.facts.facts);
        // Persons without any record can no longer be in scope.
        let mut gone = &facts.roster - &self.decided;
        gone -= self.filter.meeting(self.filter.with_place_event());
        gone -= &facts.damaged;
        facts.unsubscribed = &ended | gone;
        facts.records = PersonRecords::of(self.decided.clone());
        facts.produced = self.facts.day;
        let (mut chosen, mut selected) = self.facts.evaluate(&self.filter);
        let view = match &chosen.scope {
            Some(scope) if self.has_policy => scope.rules.view.clone(),
            _ => View::of_whole_state(),
        };
        if !self.has_policy {
            chosen.scope = None;
            chosen.persons = Arc::new(RoaringTreemap::new());
            selected = Selected {
                persons: self.decided.len(),
                entered: self.decided.len(),
                left: 0,
            };
        }
        chosen.state = Some(Arc::new(StateScope {
            extracts: std::mem::take(&mut self.extracts),
            ended,
            view,
        }));
        Ok((chosen, selected))
    }
}

impl ExtractPlace {
    /// Checks the place and returns its date as a day number.
    fn day(&self) -> Result<i32, Error> {
        let is_name = (1..=MAX_NAME).contains(&self.agreement.len())
            && self.agreement.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_name {
            return Err(Error::InvalidRequest(format!(
                "the name of an extract's agreement is not 1 to {MAX_NAME} printable ASCII characters without spaces"
            )));
        }
        grammar::date(self.production_date.as_bytes()).ok_or_else(|| {
            Error::InvalidRequest(
                "the production date of an extract is not a date of the form YYYY-MM-DD".to_owned(),
            )
        })
    }
}
