//! Computes what a tenant must get of an extract, by a slow and obvious method.
//!
//! The oracle takes the rows of [`reference_reader`], holds everything in plain sets, and shares no code with the
//! product except the types of a policy. Its lists of what each column and each event discloses are its own.
//!
//! - [`choose`]: which persons a policy selects, who leaves the scope, and why
//! - [`columns`]: what each column discloses, and about whom
//! - [`compare`]: compares the product's result with the expected one
//! - [`events`]: what each event code discloses
//! - [`extract_cases`]: extracts that cover every case, with names that belong to one person only
//! - [`native`]: asks the connector, linked as a library
//! - [`order`]: the order of the rows
//! - [`predicate`]: conditions on rows
//! - [`product`]: asks the product, through the sandbox
//! - [`protect`]: which persons are protected
//! - [`redact`]: removes person numbers from texts
//! - [`refusal`]: which policies are refused because they select by what they hide
//! - [`search`]: finds every mention of a person in a result
//! - [`show`]: which rows are shown, and which values are masked
//! - [`state`]: what several extracts together say about each person
//! - [`view`]: which tables and columns are shown

pub mod choose;
pub mod columns;
pub mod compare;
pub mod events;
pub mod extract_cases;
pub mod native;
pub mod order;
pub mod predicate;
pub mod product;
pub mod protect;
pub mod redact;
pub mod refusal;
pub mod search;
mod shifted;
pub mod show;
pub mod state;
pub mod view;

use std::collections::{BTreeMap, BTreeSet};

use cprflow::policy::{NumberRule, Policy};

use crate::reference_reader::{self, Rules, Tables};
use choose::{Choice, Facts};
use predicate::Predicate;
use protect::Elsewhere;
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
    /// A protection is in force only from its start date on.
    ProtectionWaitsForStart,
    /// A deletion date ends the protection.
    DeletionDateEndsProtection,
    /// A deletion date that is not a valid date ends the protection.
    IrregularDateEndsProtection,
    /// A protection whose type cannot be read does not count.
    UnreadableTypeUnprotected,
    /// A rejected line never protects.
    DamagedProtectionIgnored,
    /// A damaged protection without a readable number protects no person.
    UnknownProtectionIgnored,
    /// The roster changes for a person with a damaged protection.
    DamageChangesRoster,
    /// A person without a record 001 counts as unprotected.
    UnknownPersonUnprotected,
    /// The protection of a person does not cover the person's other numbers.
    NumberChangesIgnored,
    /// A protection covers the numbers that are valid instead, not the replaced ones.
    ProtectionSpreadsOneWay,
    /// A protection covers one change of the number only.
    ChainEndsAfterOneChange,
    /// Former numbers (022) do not belong to the person.
    FormerNumbersIgnored,
    /// A replaced number counts as unprotected if the valid number is missing.
    MissingValidNumberUnprotected,
    /// A former number that is missing from the extract masks the valid one.
    MissingFormerNumberProtects,
    /// A person with two different records 001 is shown.
    DoubledPersonShown,
    /// The roster changes for a person with two different records 001.
    DoubledPersonChangesRoster,
    /// Ages are differences of calendar years.
    AgeByCalendarYear,
    /// A person without a birth date meets every condition on age.
    UnknownAgePasses,
    /// Persons who are dead or have left the country still live at their last known address.
    LastAddressIsResidence,
    /// Persons without an address in Denmark or Greenland (status 20) are residents.
    OtherStatusIsResidence,
    /// Persons who are no residents any more have "moved".
    StatusToldAsMoved,
    /// Persons without an address that has a municipality have "moved".
    MissingAddressToldAsMoved,
    /// The last rows of a leaver are returned although they describe a state outside the scope.
    NewAddressRepeated,
    /// Persons of the roster who are not in the extract leave the scope.
    UndeliveredPersonLeaves,
    /// A person whose subscription has ended stays in scope.
    UnsubscribedStays,
    /// The reason of a leaver ignores the status: the dead have "moved".
    StatusIgnoredAsReason,
    /// The column `line` is shown although something is hidden.
    LineShown,
    /// Tables whose subject is hidden are still shown, with their remaining columns.
    HiddenSubjectShown,
    /// Relatives and franchise have no class.
    FamilyShown,
    /// The class of current civil statuses also opens former ones.
    FormerCivilStatusShown,
    /// The current civil status names the former spouse.
    FormerSpouseShown,
    /// Credit warnings among protections are shown.
    CreditWarningShown,
    /// Protections of an unreadable type are shown, although they can be credit warnings.
    UnreadableTypeShown,
    /// Only events that disclose religion are hidden.
    OtherEventsShown,
    /// The row of a hidden event is left out.
    HiddenEventLeftOut,
    /// Derived marks are always shown.
    MarkShown,
    /// The time of day of a hidden event is shown.
    EventTimeShown,
    /// Events of unknown meaning are shown.
    UnknownEventShown,
    /// Events that all persons of a place have are shown for protected persons.
    PlaceEventShown,
    /// Columns that show where a protected person is or was are not masked.
    PlaceShown,
    /// The codes of municipal conditions are not masked.
    ConditionShown,
    /// The name of a protected relative is shown.
    ProtectedRelativeShown,
    /// The name of a relative without a record 001 is shown.
    UnknownRelativeShown,
    /// Where protected persons are dropped, only the name and address of a relative are hidden.
    RelativeNumberShown,
    /// The relative's date of protection is ignored.
    RelativeProtectionDateIgnored,
    /// Free text about protected persons is shown.
    FreeTextShown,
    /// A person who is left out because of a doubt is told as protected.
    DoubtToldAsProtected,
    /// A row whose values stand in wrong columns is shown.
    ShiftedRowShown,
    /// `irregular` shows values whose column is masked.
    IrregularUnmasked,
    /// Person numbers stay in `irregular` where numbers are not kept.
    NumberInIrregularShown,
    /// Person numbers stay in texts where numbers are not kept.
    NumberInTextShown,
    /// The tail is shown although something is masked or hidden.
    TailUnmasked,
    /// Conditions on rows see the values that are masked in the result.
    RowFilterSeesMaskedValues,
    /// Conditions on rows see values of hidden classes as null although the policy may reveal them.
    RowFilterMissesRevealedValues,
    /// The last rows of a leaver are not masked.
    LeaverUnmasked,
    /// Persons and rows are selected by what the policy hides.
    HiddenSelects,
    /// Persons are selected by an event whose derived mark is hidden.
    HiddenMarkSelects,
    /// Protected persons are selected by an event that all persons of a place have.
    PlaceEventSelects,
    /// Rows without a person number stay in the order of the extract.
    OrderOfExtractKept,
}

impl InjectedBug {
    /// All injected bugs.
    pub const ALL: [Self; 57] = [
        Self::ProtectionWaitsForStart,
        Self::DeletionDateEndsProtection,
        Self::IrregularDateEndsProtection,
        Self::UnreadableTypeUnprotected,
        Self::DamagedProtectionIgnored,
        Self::UnknownProtectionIgnored,
        Self::DamageChangesRoster,
        Self::UnknownPersonUnprotected,
        Self::NumberChangesIgnored,
        Self::ProtectionSpreadsOneWay,
        Self::ChainEndsAfterOneChange,
        Self::FormerNumbersIgnored,
        Self::MissingValidNumberUnprotected,
        Self::MissingFormerNumberProtects,
        Self::DoubledPersonShown,
        Self::DoubledPersonChangesRoster,
        Self::AgeByCalendarYear,
        Self::UnknownAgePasses,
        Self::LastAddressIsResidence,
        Self::OtherStatusIsResidence,
        Self::StatusToldAsMoved,
        Self::MissingAddressToldAsMoved,
        Self::NewAddressRepeated,
        Self::UndeliveredPersonLeaves,
        Self::UnsubscribedStays,
        Self::StatusIgnoredAsReason,
        Self::LineShown,
        Self::HiddenSubjectShown,
        Self::FamilyShown,
        Self::FormerCivilStatusShown,
        Self::FormerSpouseShown,
        Self::CreditWarningShown,
        Self::UnreadableTypeShown,
        Self::OtherEventsShown,
        Self::HiddenEventLeftOut,
        Self::MarkShown,
        Self::EventTimeShown,
        Self::UnknownEventShown,
        Self::PlaceEventShown,
        Self::PlaceShown,
        Self::ConditionShown,
        Self::ProtectedRelativeShown,
        Self::UnknownRelativeShown,
        Self::RelativeNumberShown,
        Self::RelativeProtectionDateIgnored,
        Self::FreeTextShown,
        Self::IrregularUnmasked,
        Self::NumberInIrregularShown,
        Self::NumberInTextShown,
        Self::TailUnmasked,
        Self::RowFilterSeesMaskedValues,
        Self::RowFilterMissesRevealedValues,
        Self::LeaverUnmasked,
        Self::HiddenSelects,
        Self::HiddenMarkSelects,
        Self::PlaceEventSelects,
        Self::OrderOfExtractKept,
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
    /// Persons whom rows of another agreement protect.
    elsewhere: Elsewhere,
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
            elsewhere: Elsewhere::default(),
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
        let facts = Facts::of(
            &self.rows,
            wanted.policy.day.as_deref(),
            &self.elsewhere,
            wanted.bug,
        );
        let choice = choose::choose(&facts, &wanted.policy, roster)?;
        let view = view::view(&self.rules, &wanted.policy, wanted.bug);
        let tables = show::show(&self.rules, &self.rows, wanted, &facts, &choice, &view);
        Some(Expected {
            delivery: TenantDelivery {
                view,
                tables,
                persons: choice.chosen.len() as u64,
                entered: choice.entered.len() as u64,
                left: choice.left.len() as u64,
            },
            roster: choice.roster.clone(),
            choice,
            facts,
        })
    }
}
