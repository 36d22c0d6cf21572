//! What a tenant must get of an extract, worked out the slow and obvious way.
//!
//! It reads rows that [`cut`](mod@crate::cut) has cut, holds everything in plain sets, and shares no code with the product
//! but the types in which a policy is written. Which column tells what stands in a list of its own.
//!
//! - [`columns`]: what every column tells, and of whom
//! - [`choose`]: whose records, who leaves and why
//! - [`view`]: which tables and columns
//! - [`show`]: which rows, and what is masked in them
//! - [`native`]: the same question put to the connector as a library
//! - [`predicate`]: conditions on rows
//! - [`gate`]: the same question put to the product
//! - [`held`]: the two answers, compared
//! - [`season`]: extracts that bring every case, with names that nobody shares
//! - [`search`]: who is told of where

pub mod choose;
pub mod columns;
pub mod gate;
pub mod held;
pub mod native;
pub mod predicate;
pub mod search;
pub mod season;
pub mod show;
pub mod view;

use std::collections::{BTreeMap, BTreeSet};

use cprflow::policy::{Numbers, Policy};

use crate::cut::{self, Rules, Tables};
use choose::{Choice, Facts};
use predicate::Predicate;
use view::View;

/// A policy, and its conditions on rows in a form that can be judged here.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// The policy as the product takes it.
    pub policy: Policy,
    /// The conditions, by table.
    pub rows: BTreeMap<String, Predicate>,
    /// The key of the pseudonyms, where the policy asks for them.
    pub key: Vec<u8>,
    /// A rule that is kept otherwise than it should be, so that a test can see whether it would be missed.
    pub slip: Option<Slip>,
}

/// A rule kept wrongly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slip {
    /// Protections are judged on the day that the policy names for ages.
    PolicyDayLifts,
    /// Protections are in force before they start.
    StartsAtOnce,
    /// Protections never end.
    NeverEnds,
    /// A protection without a deletion date that is whole and valid has ended if anything stands there.
    IrregularDateLifts,
    /// A protection is in force on the day of its deletion.
    LastDayCounts,
    /// Somebody without 001 is not protected.
    UnknownIsOpen,
    /// Whoever is protected is not under a former number.
    FormerNumberIsOpen,
    /// Ages are differences of years.
    AgeByYear,
    /// Nobody's birth date fails to give an age.
    AgeUnknownPasses,
    /// Whoever is dead or gone lives at the last known address.
    LastAddressIsHome,
    /// Whoever is not delivered leaves too.
    AbsentLeave,
    /// Whoever dies or goes away has moved.
    StatusIsNoReason,
    /// Tables whose subject is hidden show what is left of them.
    SubjectsShow,
    /// The class of present civil statuses opens former ones.
    FormerStatusesShow,
    /// Events of the church are shown.
    ChurchEventsShow,
    /// A protected relative is named.
    RelativesShow,
    /// A relative of whom the extract has no 001 is named.
    UnknownRelativesShow,
    /// The relative's date of protection is not looked at.
    RelativesDateIsIgnored,
    /// Free text of protected persons is shown.
    FreeTextShows,
    /// `irregular` shows what is masked.
    IrregularTells,
    /// The tail is shown where something is masked or hidden.
    TailTells,
    /// Conditions on rows are judged on values that are masked.
    RowsTellWhatIsMasked,
    /// Rows of whoever leaves come only once more if nothing was protected.
    LeaversAreNotMasked,
}

impl Slip {
    /// All of them.
    pub const ALL: [Self; 23] = [
        Self::PolicyDayLifts,
        Self::StartsAtOnce,
        Self::NeverEnds,
        Self::IrregularDateLifts,
        Self::LastDayCounts,
        Self::UnknownIsOpen,
        Self::FormerNumberIsOpen,
        Self::AgeByYear,
        Self::AgeUnknownPasses,
        Self::LastAddressIsHome,
        Self::AbsentLeave,
        Self::StatusIsNoReason,
        Self::SubjectsShow,
        Self::FormerStatusesShow,
        Self::ChurchEventsShow,
        Self::RelativesShow,
        Self::UnknownRelativesShow,
        Self::RelativesDateIsIgnored,
        Self::FreeTextShows,
        Self::IrregularTells,
        Self::TailTells,
        Self::RowsTellWhatIsMasked,
        Self::LeaversAreNotMasked,
    ];
}

impl Wanted {
    /// A policy without conditions on rows.
    pub fn new(policy: Policy) -> Self {
        let key = match policy.numbers {
            Numbers::Pseudonym => b"thirty-two bytes, as keys must be".to_vec(),
            Numbers::Keep | Numbers::Drop => Vec::new(),
        };
        Self {
            policy,
            rows: BTreeMap::new(),
            key,
            slip: None,
        }
    }

    /// The same policy with a condition on the rows of a table.
    pub fn rows(mut self, table: &str, predicate: Predicate) -> Self {
        self.policy
            .rows
            .insert(table.to_owned(), predicate.to_string());
        self.rows.insert(table.to_owned(), predicate);
        self
    }
}

/// What a tenant gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// The tables of the policy and their columns, in order.
    pub view: View,
    /// The rows, by table; empty tables left out.
    pub tables: Tables,
    /// Persons who were chosen and are in the extract.
    pub persons: u64,
    /// Those of them who were not in the roster.
    pub entered: u64,
    /// Persons of the roster who are in the extract and no longer chosen.
    pub left: u64,
}

/// An extract as the oracle sees it.
#[derive(Debug, Clone)]
pub struct Extract {
    rules: Rules,
    rows: Tables,
}

/// An answer of the oracle's.
#[derive(Debug, Clone)]
pub struct Answer {
    /// What the tenant gets.
    pub share: Share,
    /// Who is in scope after it.
    pub roster: BTreeSet<String>,
    /// Who was chosen, who left, and why.
    pub choice: Choice,
    /// What is known of the persons.
    pub facts: Facts,
}

impl Extract {
    /// An extract of lines.
    pub fn of_lines(rules: &Rules, bytes: &[u8]) -> Self {
        Self {
            rules: rules.clone(),
            rows: cut::expected(rules, cut::records_of_lines(bytes)),
        }
    }

    /// Its rows as they are, before any policy.
    pub fn rows(&self) -> &Tables {
        &self.rows
    }

    /// Everybody whose number keys a row.
    pub fn persons(&self) -> BTreeSet<String> {
        let rows = self.rows.values().flatten();
        rows.filter_map(choose::key).map(str::to_owned).collect()
    }

    /// What a tenant with that policy and that roster must get; none where ages are asked for and nothing says on
    /// which day.
    pub fn ask(&self, wanted: &Wanted, roster: &BTreeSet<String>) -> Option<Answer> {
        let facts = Facts::of(&self.rows, wanted.policy.day.as_deref(), wanted.slip);
        let choice = choose::choose(&facts, &wanted.policy, roster)?;
        let view = view::view(&self.rules, &wanted.policy, wanted.slip);
        let tables = show::show(&self.rules, &self.rows, wanted, &facts, &choice, &view);
        let came = &choice.chosen;
        let stayed = roster
            .iter()
            .filter(|number| !choice.left.contains_key(*number));
        Some(Answer {
            share: Share {
                view,
                tables,
                persons: came.len() as u64,
                entered: came.difference(roster).count() as u64,
                left: choice.left.len() as u64,
            },
            roster: stayed.chain(came).cloned().collect(),
            choice,
            facts,
        })
    }
}
