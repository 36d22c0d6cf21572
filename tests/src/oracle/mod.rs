//! Computes what a tenant must get of an extract, by a slow and obvious method.
//!
//! The oracle takes the rows of [`reference_reader`], holds everything in plain sets, and shares no code with the
//! product except the types of a policy. Its list of what each column discloses is its own.
//!
//! - [`choose`]: which persons a policy selects, who leaves the scope, and why
//! - [`columns`]: what each column discloses, and about whom
//! - [`compare`]: compares the product's result with the expected one
//! - [`extract_cases`]: extracts that cover every case, with names that belong to one person only
//! - [`native`]: asks the connector, linked as a library
//! - [`predicate`]: conditions on rows
//! - [`product`]: asks the product, through the sandbox
//! - [`search`]: finds every mention of a person in a result
//! - [`show`]: which rows are shown, and which values are masked
//! - [`view`]: which tables and columns are shown

pub mod choose;
pub mod columns;
pub mod compare;
pub mod extract_cases;
pub mod native;
pub mod predicate;
pub mod product;
pub mod search;
pub mod show;
pub mod view;

use std::collections::{BTreeMap, BTreeSet};

use cprflow::policy::{NumberRule, Policy};

use crate::reference_reader::{self, Rules, Tables};
use choose::{Choice, Facts};
use predicate::Predicate;
use view::View;

/// A policy, with its conditions on rows in a form that the oracle can evaluate.
#[derive(Debug, Clone, Default)]
pub struct TestPolicy {
    /// The policy in the product's form.
    pub policy: Policy,
    /// The conditions on rows, by table.
    pub rows: BTreeMap<String, Predicate>,
    /// The key of the pseudonyms. It is empty if the policy asks for none.
    pub key: Vec<u8>,
    /// A rule that the oracle applies wrongly, so that a test can check whether the difference would be noticed.
    pub bug: Option<InjectedBug>,
}

/// A rule that the oracle applies wrongly on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InjectedBug {
    /// Protections are evaluated on the policy's day for ages, not on the production date.
    ProtectionJudgedOnPolicyDay,
    /// Protections are in force before their start date.
    ProtectionStartsEarly,
    /// Protections never end.
    ProtectionNeverEnds,
    /// A deletion date that is not a valid date ends the protection.
    IrregularDateEndsProtection,
    /// A protection is still in force on its deletion date.
    ProtectionIncludesDeletionDay,
    /// A person without a record 001 counts as unprotected.
    UnknownPersonUnprotected,
    /// The protection of a person does not cover the person's former number.
    FormerNumberUnprotected,
    /// Ages are differences of calendar years.
    AgeByCalendarYear,
    /// A person without a birth date meets every condition on age.
    UnknownAgePasses,
    /// Persons who are dead or have left the country still live at their last known address.
    LastAddressIsResidence,
    /// Persons of the roster who are not in the extract leave the scope.
    UndeliveredPersonLeaves,
    /// The reason of a leaver ignores the status: the dead have "moved".
    StatusIgnoredAsReason,
    /// Tables whose subject is hidden are still shown, with their remaining columns.
    HiddenSubjectShown,
    /// The class of current civil statuses also opens former ones.
    FormerCivilStatusShown,
    /// Events that disclose religion are shown.
    ChurchEventShown,
    /// The name of a protected relative is shown.
    ProtectedRelativeShown,
    /// The name of a relative without a record 001 is shown.
    UnknownRelativeShown,
    /// The relative's date of protection is ignored.
    RelativeProtectionDateIgnored,
    /// Free text about protected persons is shown.
    FreeTextShown,
    /// `irregular` shows values whose column is masked.
    IrregularUnmasked,
    /// The tail is shown although something is masked or hidden.
    TailUnmasked,
    /// Conditions on rows see the values that are masked in the result.
    RowFilterSeesMaskedValues,
    /// The last rows of a leaver are not masked.
    LeaverUnmasked,
}

impl InjectedBug {
    /// All injected bugs.
    pub const ALL: [Self; 23] = [
        Self::ProtectionJudgedOnPolicyDay,
        Self::ProtectionStartsEarly,
        Self::ProtectionNeverEnds,
        Self::IrregularDateEndsProtection,
        Self::ProtectionIncludesDeletionDay,
        Self::UnknownPersonUnprotected,
        Self::FormerNumberUnprotected,
        Self::AgeByCalendarYear,
        Self::UnknownAgePasses,
        Self::LastAddressIsResidence,
        Self::UndeliveredPersonLeaves,
        Self::StatusIgnoredAsReason,
        Self::HiddenSubjectShown,
        Self::FormerCivilStatusShown,
        Self::ChurchEventShown,
        Self::ProtectedRelativeShown,
        Self::UnknownRelativeShown,
        Self::RelativeProtectionDateIgnored,
        Self::FreeTextShown,
        Self::IrregularUnmasked,
        Self::TailUnmasked,
        Self::RowFilterSeesMaskedValues,
        Self::LeaverUnmasked,
    ];
}

impl TestPolicy {
    /// Creates a policy without conditions on rows.
    pub fn new(policy: Policy) -> Self {
        let key = match policy.numbers {
            NumberRule::Pseudonym => b"thirty-two bytes, as keys must be".to_vec(),
            NumberRule::Keep | NumberRule::Drop => Vec::new(),
        };
        Self {
            policy,
            rows: BTreeMap::new(),
            key,
            bug: None,
        }
    }

    /// Adds a condition on the rows of a table.
    pub fn rows(mut self, table: &str, predicate: Predicate) -> Self {
        self.policy
            .rows
            .insert(table.to_owned(), predicate.to_string());
        self.rows.insert(table.to_owned(), predicate);
        self
    }
}

/// The delivery that a tenant gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantDelivery {
    /// The tables of the policy and their columns, in order.
    pub view: View,
    /// The rows, by table; empty tables left out.
    pub tables: Tables,
    /// The number of selected persons in the extract.
    pub persons: u64,
    /// The number of selected persons who were not in the roster.
    pub entered: u64,
    /// The number of persons of the roster who are in the extract and no longer selected.
    pub left: u64,
}

/// An extract, read by the reference reader.
#[derive(Debug, Clone)]
pub struct Extract {
    rules: Rules,
    rows: Tables,
}

/// The result that the oracle expects.
#[derive(Debug, Clone)]
pub struct Expected {
    /// The delivery that the tenant must get.
    pub delivery: TenantDelivery,
    /// The persons in scope after the delivery.
    pub roster: BTreeSet<String>,
    /// The persons who were selected, those who left the scope, and the reasons.
    pub choice: Choice,
    /// The facts about the persons that the selection uses.
    pub facts: Facts,
}

impl Extract {
    /// Reads an extract of lines.
    pub fn of_lines(rules: &Rules, bytes: &[u8]) -> Self {
        Self {
            rules: rules.clone(),
            rows: reference_reader::expected(rules, reference_reader::records_of_lines(bytes)),
        }
    }

    /// Returns the rows before any policy is applied.
    pub fn rows(&self) -> &Tables {
        &self.rows
    }

    /// Returns the person numbers that are the key of a row.
    pub fn persons(&self) -> BTreeSet<String> {
        let rows = self.rows.values().flatten();
        rows.filter_map(choose::key).map(str::to_owned).collect()
    }

    /// Returns what a tenant with this policy and roster must get. Returns `None` if the policy has an age condition
    /// and neither the policy nor the extract has a date.
    pub fn expected(&self, wanted: &TestPolicy, roster: &BTreeSet<String>) -> Option<Expected> {
        let facts = Facts::of(&self.rows, wanted.policy.day.as_deref(), wanted.bug);
        let choice = choose::choose(&facts, &wanted.policy, roster)?;
        let view = view::view(&self.rules, &wanted.policy, wanted.bug);
        let tables = show::show(&self.rules, &self.rows, wanted, &facts, &choice, &view);
        let came = &choice.chosen;
        let stayed = roster
            .iter()
            .filter(|number| !choice.left.contains_key(*number));
        Some(Expected {
            delivery: TenantDelivery {
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
