//! First passes over parts of an extract, which run at the same time in several instances, and their result for scans in
//! other instances.
//!
//! As with scans (`scan::part`), the main selection reads the beginning, others read the parts, and the main selection
//! takes what they have found in the order of the extract. After it has finished, [`Selection::chosen_piece`] returns its
//! result piece by piece for the instances that scan the parts.

use std::sync::Arc;

use roaring::RoaringTreemap;

use super::number_links::NumberLinks;
use super::out_of_scope::{Leavers, PersonStatuses};
use super::policy_pass::{ExtractFacts, PolicyPass, PolicyScope};
use super::protection::Protections;
use super::{SelectedPersons, Selection, UNFINISHED, no_policy};
use crate::error::Error;
use crate::input::{PartStart, Splitter, SplitterStart};
use crate::person_records::PersonRecords;
use crate::policy::Policy;
use crate::wire::{Reader, Writer};

/// The error if a selection of parts or pieces is used like a pass of its own.
pub(super) const IS_RECEIVED: Error =
    Error::Misuse("the selection is one of parts or pieces: finish the one that takes all parts");

const NO_PART: Error = Error::Misuse("the selection is not one of parts: open it with open-part");

/// What a pass over a part knows of the records before it.
#[derive(Debug, Clone, Copy)]
pub(super) struct PartContext {
    splitter: SplitterStart,
    /// The production date, or the day that stands in place of it.
    produced: Option<i32>,
    /// The day on which ages are calculated.
    day: Option<i32>,
}

/// The pieces of a finished selection that were received.
#[derive(Default)]
pub(super) struct ReceivedPieces {
    has_facts: bool,
    facts: ExtractFacts,
    sets: Vec<RoaringTreemap>,
}

/// The number of pieces that are sets of persons. One with the facts about the whole extract comes before them.
const SETS: usize = 5;

impl PartContext {
    fn write(self) -> Vec<u8> {
        let mut writer = Writer::default();
        self.splitter.write(&mut writer);
        writer.day(self.produced);
        writer.day(self.day);
        writer.into_bytes()
    }

    fn read(bytes: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(bytes);
        let context = Self {
            splitter: SplitterStart::read(&mut reader)?,
            produced: reader.day()?,
            day: reader.day()?,
        };
        reader.end()?;
        Ok(context)
    }
}

impl Selection {
    /// Leaves the records that follow to passes over parts. Returns `None` if the extract cannot be divided here.
    pub fn begin_parts(&mut self) -> Result<Option<PartStart>, Error> {
        let is_reading = self.chosen.is_none()
            && self.has_begun
            && !self.has_ended
            && self.state.is_none()
            && self.part.is_none();
        let (Some(policy_pass), true) = (&self.policy_pass, is_reading) else {
            return Ok(None);
        };
        let Some(splitter) = self.splitter.start_of_part() else {
            return Ok(None);
        };
        let context = PartContext {
            splitter,
            produced: policy_pass.facts.produced,
            day: policy_pass.day,
        };
        Ok(Some(PartStart {
            context: context.write(),
            rest: self.splitter.take_rest(),
            has_line_ends: splitter.has_line_ends(),
        }))
    }

    /// Begins a pass over parts under the policy of the main selection.
    ///
    /// Each part begins with a record. [`push`](Self::push) takes its bytes, and [`take_part`](Self::take_part) returns
    /// what was found. The next part can follow.
    pub fn open_part(policy: Policy, context: &[u8]) -> Result<Self, Error> {
        let context = PartContext::read(context)?;
        let mut selection = Self::open_policy(policy, None)?;
        selection.begin_part(context);
        Ok(selection)
    }

    fn begin_part(&mut self, context: PartContext) {
        self.splitter = Splitter::of_part(context.splitter);
        self.has_begun = true;
        self.has_ended = false;
        if let Some(policy_pass) = &mut self.policy_pass {
            policy_pass.day = context.day;
            policy_pass.facts = Arc::new(ExtractFacts {
                produced: context.produced,
                ..ExtractFacts::default()
            });
        }
        self.part = Some(context);
    }

    /// Ends the part, returns what was found in it, for [`add_part`](Self::add_part) of the main selection, and begins
    /// the next part.
    pub fn take_part(&mut self) -> Result<Vec<u8>, Error> {
        let context = self.part.ok_or(NO_PART)?;
        self.splitter.finish();
        self.read()?;
        let mut writer = Writer::default();
        writer.flag(self.has_ended);
        self.splitter.take_part(context.splitter, &mut writer);
        let policy_pass = self.policy_pass.as_mut().ok_or(NO_PART)?;
        std::mem::take(&mut policy_pass.statuses).write(&mut writer)?;
        policy_pass.facts.write(&mut writer)?;
        self.filter.take_part(&mut writer)?;
        self.begin_part(context);
        Ok(writer.into_bytes())
    }

    /// Adds what was found in the next part. Returns `false` if the part follows the end record: then
    /// [`push`](Self::push) must take its bytes and all that follow.
    pub fn add_part(&mut self, part: &[u8]) -> Result<bool, Error> {
        let is_reading = self.chosen.is_none() && self.part.is_none() && self.splitter.rest() == 0;
        let (Some(policy_pass), true) = (&mut self.policy_pass, is_reading) else {
            return Err(Error::Misuse(
                "the selection has not left its records to parts: call begin-parts",
            ));
        };
        if self.has_ended {
            return Ok(false);
        }
        let mut reader = Reader::new(part);
        let has_ended = reader.flag()?;
        self.splitter.add_part(&mut reader)?;
        let of_part = PolicyPass {
            policy: policy_pass.policy.clone(),
            rules: policy_pass.rules.clone(),
            day: policy_pass.day,
            statuses: PersonStatuses::read(&mut reader)?,
            facts: Arc::new(ExtractFacts {
                produced: policy_pass.facts.produced,
                ..ExtractFacts::read(&mut reader)?
            }),
        };
        policy_pass.merge(&of_part)?;
        self.filter.add_part(&mut reader)?;
        reader.end()?;
        self.has_ended = has_ended;
        Ok(true)
    }

    /// Moves past the records of a block without reading them, in a selection of parts. Returns how many bytes at the
    /// end of the block belong to a record that is not complete: a part can end before them.
    pub fn walk(&mut self, block: Vec<u8>) -> Result<u64, Error> {
        if self.part.is_none() {
            return Err(NO_PART);
        }
        self.splitter.walk(block)
    }

    /// Returns a piece of the finished selection, for [`open_chosen`](Self::open_chosen) in another instance. The pieces
    /// are numbered from 0; `None` follows the last.
    pub fn chosen_piece(&self, piece: u32) -> Result<Option<Vec<u8>>, Error> {
        let chosen = self.chosen.as_ref().ok_or(UNFINISHED)?;
        let scope = chosen.scope.as_ref().ok_or_else(no_policy)?;
        if chosen.state.is_some() {
            return Err(Error::Misuse(
                "the selection of a state stays in its instance",
            ));
        }
        let facts = &scope.facts;
        let mut writer = Writer::default();
        let persons = match piece {
            0 => {
                writer.day(facts.produced);
                writer.flag(facts.has_unknown_protection);
                return Ok(Some(writer.into_bytes()));
            }
            1 => &*chosen.persons,
            2 => &scope.protected,
            3 => facts.records.persons(),
            4 => &facts.delivered_later,
            5 => scope.leavers.all_ended_in_scope(),
            _ => return Ok(None),
        };
        writer.persons(persons)?;
        Ok(Some(writer.into_bytes()))
    }

    /// Creates the selection of another instance from its pieces, which [`add_chosen`](Self::add_chosen) takes. It serves
    /// scans of parts; it has no roster and no leavers.
    pub fn open_chosen(policy: Policy) -> Result<Self, Error> {
        let mut selection = Self::open_policy(policy, None)?;
        selection.received = Some(ReceivedPieces::default());
        Ok(selection)
    }

    /// Takes the next piece. The selection is finished after the last.
    pub fn add_chosen(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let (Some(received), None) = (&mut self.received, &self.chosen) else {
            return Err(Error::Misuse(
                "the selection takes no pieces: open it with open-chosen",
            ));
        };
        let policy_pass = self.policy_pass.as_ref().ok_or_else(no_policy)?;
        let mut reader = Reader::new(bytes);
        if !received.has_facts {
            received.facts.produced = reader.day()?;
            received.facts.has_unknown_protection = reader.flag()?;
            received.has_facts = true;
        } else {
            received.sets.push(reader.persons()?);
        }
        reader.end()?;
        let sets = std::mem::take(&mut received.sets);
        match <[RoaringTreemap; SETS]>::try_from(sets) {
            Err(sets) => received.sets = sets,
            Ok([persons, protected, delivered, delivered_later, ended]) => {
                let mut facts = std::mem::take(&mut received.facts);
                facts.records = PersonRecords::of(delivered);
                facts.delivered_later = delivered_later;
                let scope = PolicyScope {
                    rules: policy_pass.rules.clone(),
                    facts: Arc::new(facts),
                    protected,
                    leavers: Leavers::of_part(ended),
                    entered: RoaringTreemap::new(),
                };
                self.chosen = Some(SelectedPersons {
                    persons: Arc::new(persons),
                    scope: Some(Arc::new(scope)),
                    state: None,
                });
            }
        }
        Ok(())
    }
}

impl ExtractFacts {
    /// Writes what a part says.
    fn write(&self, writer: &mut Writer) -> Result<(), Error> {
        self.records.write(writer);
        writer.persons(&self.unsubscribed)?;
        self.protections.write(writer)?;
        self.links.write(writer)?;
        writer.persons(&self.damaged)?;
        writer.persons(&self.shifted)?;
        writer.flag(self.has_unknown_protection);
        Ok(())
    }

    /// Reads what [`write`](Self::write) has written.
    fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        Ok(Self {
            records: PersonRecords::read(reader)?,
            unsubscribed: reader.persons()?,
            protections: Protections::read(reader)?,
            links: NumberLinks::read(reader)?,
            damaged: reader.persons()?,
            shifted: reader.persons()?,
            has_unknown_protection: reader.flag()?,
            ..Self::default()
        })
    }
}
