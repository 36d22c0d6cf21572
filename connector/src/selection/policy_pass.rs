//! A pass under a policy: what it learns from the records, and whom it selects.

use std::sync::Arc;

use roaring::RoaringTreemap;

use super::number_links::NumberLinks;
use super::out_of_scope::{Leavers, PersonStatuses};
use super::protection::Protections;
use super::{Selected, SelectedPersons};
use crate::damage::{DamagedProtection, damaged_protection, may_be_damaged};
use crate::error::Error;
use crate::grammar;
use crate::person_records::PersonRecords;
use crate::policy::{LeaverRule, PersonMatcher, Policy, ProtectionRule, Rules};
use crate::record::{FORMER_NUMBER, PERSON, RECEIPT, RecordClass, may_protect};

/// What a pass under a policy finds in addition to the filter.
pub(super) struct PolicyPass {
    pub(super) policy: Policy,
    pub(super) rules: Arc<Rules>,
    /// The day on which ages are calculated, if it is known: the policy's day or the production date.
    pub(super) day: Option<i32>,
    pub(super) statuses: PersonStatuses,
    pub(super) facts: Arc<ExtractFacts>,
}

/// The facts about persons from the extract and the roster, independent of the policy.
#[derive(Clone, Default)]
pub(super) struct ExtractFacts {
    /// The production date, or the day that stands in place of it, if one is known.
    pub(super) produced: Option<i32>,
    /// The 001 records.
    pub(super) records: PersonRecords,
    /// The persons whose subscription has ended (997).
    pub(super) unsubscribed: RoaringTreemap,
    pub(super) protections: Protections,
    pub(super) links: NumberLinks,
    /// The persons of damaged protections. They are protected, and the roster does not change for them, because the extract
    /// does not say for certain what holds for them.
    pub(super) damaged: RoaringTreemap,
    /// The persons with a 001 whose values stand in wrong columns. The same holds for them.
    pub(super) shifted: RoaringTreemap,
    /// Whether a damaged line may be about any person. Then this holds for all persons.
    pub(super) has_unknown_protection: bool,
    pub(super) roster: RoaringTreemap,
    /// The persons whom a later extract has delivered. This extract's data about them is outdated.
    pub(super) delivered_later: RoaringTreemap,
    /// The persons who are protected by something that the extract does not have.
    pub(super) protected_elsewhere: RoaringTreemap,
}

/// The result of a finished pass under a policy.
#[derive(Clone)]
pub(crate) struct PolicyScope {
    pub(crate) rules: Arc<Rules>,
    pub(super) facts: Arc<ExtractFacts>,
    /// The protected persons, including the other numbers of the same persons.
    pub(super) protected: RoaringTreemap,
    pub(crate) leavers: Leavers,
    /// The persons in scope who were not on the roster. Only a state reports them.
    pub(crate) entered: RoaringTreemap,
}

impl PolicyPass {
    pub(super) fn new(policy: Policy, rules: Arc<Rules>) -> Self {
        Self {
            day: rules.day.or(rules.as_of),
            statuses: PersonStatuses::default(),
            facts: Arc::new(ExtractFacts {
                produced: rules.as_of,
                ..ExtractFacts::default()
            }),
            rules,
            policy,
        }
    }

    /// Reads the production date from the start record.
    pub(super) fn begin(&mut self, record: &[u8]) {
        let start = grammar::start_record(record);
        let produced = start.and_then(|start| start.production_date);
        let produced = self.rules.as_of.or(produced);
        Arc::make_mut(&mut self.facts).produced = produced;
        self.day = self.day.or(produced);
    }

    pub(super) fn add_record(&mut self, index: usize, person: u64, record: &[u8]) {
        let facts = Arc::make_mut(&mut self.facts);
        if index == PERSON {
            facts.records.add(person, record, 0);
            facts.links.add_person(person, record);
            self.statuses.add_record(person, record);
        } else if index == RECEIPT {
            facts.unsubscribed.insert(person);
        } else if index == FORMER_NUMBER {
            facts.links.add_former(person, record);
        } else if may_protect(index) {
            facts.protections.add_record(index, person, record);
        }
    }

    /// Adds a record whose values stand in wrong columns. Its person is in doubt if it is a 001. A protection counts.
    pub(super) fn add_shifted(&mut self, index: usize, person: u64, record: &[u8]) {
        let facts = Arc::make_mut(&mut self.facts);
        if index == PERSON {
            facts.records.add(person, record, 0);
            facts.links.add_person(person, record);
            facts.shifted.insert(person);
        } else if index == FORMER_NUMBER {
            facts.links.add_former(person, record);
        } else if may_protect(index) {
            facts.protections.add_record(index, person, record);
        }
    }

    /// Adds what a damaged line still tells about a protection.
    pub(super) fn add_damage(&mut self, class: RecordClass, record: &[u8]) {
        if !may_be_damaged(class, record) {
            return;
        }
        match damaged_protection(class, record) {
            Some(DamagedProtection::Of(person)) => {
                Arc::make_mut(&mut self.facts).damaged.insert(person);
            }
            Some(DamagedProtection::Unknown) => {
                Arc::make_mut(&mut self.facts).has_unknown_protection = true;
            }
            None => {}
        }
    }

    /// Adds the facts of another pass under the same policy.
    pub(super) fn merge(&mut self, other: &Self) -> Result<(), Error> {
        if self.facts.produced != other.facts.produced {
            return Err(Error::InvalidRequest(
                "selections under a policy can be merged only if the extracts were produced on the same day, \
                 because ages are calculated on it and leavers are reported with it"
                    .to_owned(),
            ));
        }
        self.statuses.merge(&other.statuses);
        let facts = Arc::make_mut(&mut self.facts);
        facts.records.merge(&other.facts.records);
        facts.unsubscribed |= &other.facts.unsubscribed;
        facts.protections.merge(&other.facts.protections);
        facts.links.merge(&other.facts.links);
        facts.damaged |= &other.facts.damaged;
        facts.shifted |= &other.facts.shifted;
        facts.has_unknown_protection |= other.facts.has_unknown_protection;
        facts.roster |= &other.facts.roster;
        facts.delivered_later |= &other.facts.delivered_later;
        facts.protected_elsewhere |= &other.facts.protected_elsewhere;
        Ok(())
    }

    /// Selects the persons and finds the leavers from everything that was read.
    pub(super) fn evaluate(&self, filter: &PersonMatcher) -> (SelectedPersons, Selected) {
        let facts = &*self.facts;
        // It is not certain what holds for persons with two different 001, or with a damaged 004.
        let twice: RoaringTreemap = facts.records.several().different.into_keys().collect();
        let unchanged = facts.in_doubt();
        let certain = facts.certainly_protected();
        let protected = facts.perhaps_protected() | &certain;
        let delivered = facts.records.persons();
        // An event that all persons of a place have shows where a protected person lives.
        let by_place = match facts.has_unknown_protection {
            true => RoaringTreemap::new(),
            false => {
                let mut by_place = filter.with_place_event() & delivered;
                by_place -= &facts.delivered_later;
                by_place -= &protected;
                by_place
            }
        };
        let mut persons = filter.meeting(&by_place);
        persons -= &facts.delivered_later;
        persons -= &facts.unsubscribed;
        let mut excluded = RoaringTreemap::new();
        let is_dropped = self.rules.protection == ProtectionRule::Drop;
        if is_dropped {
            persons &= delivered;
            excluded = match facts.has_unknown_protection {
                true => persons.clone(),
                false => &persons & &protected,
            };
            persons -= &excluded;
        }
        // A receipt is certain, whatever else is damaged.
        let mut left = match facts.has_unknown_protection {
            true => RoaringTreemap::new(),
            false => &facts.roster & delivered,
        };
        left -= &unchanged;
        // Persons who are left out only because of a doubt have not left.
        left -= &excluded - &certain;
        left |= &facts.roster & &facts.unsubscribed;
        left -= &persons;
        left -= &facts.delivered_later;
        let entered = &persons - &facts.roster;
        let leavers = Leavers::new(
            left,
            &self.statuses,
            // Only their protection keeps some persons out. Of those with two different 001 the status is not certain.
            &(&excluded | &twice),
            &facts.unsubscribed,
            is_dropped.then_some(&certain),
            filter,
            &by_place,
        );
        let selected = Selected {
            persons: persons.len(),
            entered: entered.len(),
            left: leavers.all().len(),
        };
        let scope = PolicyScope {
            rules: self.rules.clone(),
            facts: self.facts.clone(),
            protected,
            leavers,
            entered,
        };
        let chosen = SelectedPersons {
            persons: Arc::new(persons),
            scope: Some(Arc::new(scope)),
            state: None,
        };
        (chosen, selected)
    }
}

impl ExtractFacts {
    /// Returns the persons whose records protect somebody, or tie their number to another one.
    pub(super) fn protecting(&self) -> RoaringTreemap {
        self.protections.sources() | self.links.sources()
    }

    /// Returns whether the extract has no valid data of a person.
    #[inline]
    pub(super) fn is_missing(&self, person: u64) -> bool {
        !self.records.persons().contains(person) || self.delivered_later.contains(person)
    }

    /// Returns the persons for whom it is not certain what holds: those with two different 001, or with a damaged 004.
    pub(super) fn in_doubt(&self) -> RoaringTreemap {
        let twice: RoaringTreemap = self.records.several().different.into_keys().collect();
        twice | &self.damaged | &self.shifted
    }

    /// Returns the persons who are protected for certain.
    pub(super) fn certainly_protected(&self) -> RoaringTreemap {
        let known = self.protections.of_persons() | &self.protected_elsewhere;
        self.links
            .protected(&known, |number| self.is_missing(number))
    }

    /// Returns the persons who may be protected, although nothing says so for certain.
    pub(super) fn perhaps_protected(&self) -> RoaringTreemap {
        self.links
            .perhaps_protected(&self.in_doubt(), |number| self.is_missing(number))
    }
}

impl PolicyScope {
    /// Returns whether a person has protection of name and address, or must be treated as protected.
    ///
    /// A person whose 001 is not in the extract may have a protection that is not in it either. All numbers of a person
    /// are protected if one of them is. If a protection may be about any person, all persons are protected.
    #[inline]
    pub(crate) fn is_protected(&self, person: u64) -> bool {
        self.protected.contains(person)
            || self.facts.is_missing(person)
            || self.facts.has_unknown_protection
    }

    /// Returns the production date, or the day in place of it, as a day number if one is known.
    pub(crate) fn produced(&self) -> Option<i32> {
        self.facts.produced
    }

    /// Returns whether the rows of this person are returned although the person has left. That is so if the policy
    /// repeats leavers' rows, the rows still describe what was in scope, and the policy does not exclude the person for
    /// protection.
    pub(crate) fn is_repeated(&self, person: u64) -> bool {
        self.rules.leavers == LeaverRule::Last
            && self.leavers.ended_in_scope(person)
            && !(self.rules.protection == ProtectionRule::Drop && self.is_protected(person))
    }
}
