//! The content of the report.

use jiff::civil::{Date, DateTime};

/// Everything that the page shows.
#[derive(Debug, Clone)]
pub struct Report {
    /// The time at which the report was made, on Denmark's clock.
    pub made: DateTime,
    /// The program and its version.
    pub version: String,
    /// The unrestricted dataset of the configuration that the report is about.
    pub dataset: String,
    /// The agreements.
    pub agreements: Vec<AgreementReport>,
    /// The tenants.
    pub tenants: Vec<TenantReport>,
}

/// A fact in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// What it is about.
    pub label: String,
    /// The fact.
    pub value: String,
}

impl Fact {
    /// Creates a fact.
    pub fn new(label: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            value: value.into(),
        }
    }
}

/// The deliveries of one agreement.
#[derive(Debug, Clone, Default)]
pub struct AgreementReport {
    /// The name of the agreement.
    pub name: String,
    /// Purpose, legal basis, controller, inbox and others.
    pub facts: Vec<Fact>,
    /// The most important numbers, for the top of the section.
    pub figures: Vec<Fact>,
    /// What a person has to do.
    pub attention: Vec<String>,
    /// What a person should know.
    pub notes: Vec<String>,
    /// The days of the calendar, oldest first.
    pub days: Vec<Day>,
    /// The volume of each published delivery, oldest first.
    pub volumes: Vec<Volume>,
    /// The number of rows of each table, by month.
    pub tables: Vec<Series>,
    /// The number of events with each code, by month.
    pub events: Vec<Series>,
    /// The findings in the deliveries.
    pub findings: Vec<FindingRow>,
    /// The deliveries and files that wait.
    pub waiting: Vec<WaitingItem>,
    /// The register and how long data is kept.
    pub retention: Vec<Fact>,
    /// Certificates and keys.
    pub certificates: Vec<Certificate>,
}

/// A day of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Day {
    /// The date.
    pub date: Date,
    /// What happened on it.
    pub kind: DayKind,
}

/// What happened on a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DayKind {
    /// Deliveries that were produced on this day are published.
    Delivered {
        /// The number of deliveries.
        deliveries: u64,
        /// The number of records in them.
        records: u64,
    },
    /// A delivery of this day was set aside and waits for a person.
    SetAside,
    /// One of CPR's working days without a delivery. That is normal if no person in the subscription has changed.
    Gap,
    /// A day on which CPR does not deliver.
    Rest,
    /// The inbox was not checked yet.
    Before,
}

/// The volume of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Volume {
    /// The production date.
    pub day: Date,
    /// The number of records.
    pub records: u64,
    /// The number of persons.
    pub persons: u64,
    /// The number of events.
    pub events: u64,
}

/// Counts by month.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Series {
    /// The name of a table, or the code of an event.
    pub name: String,
    /// The meaning, if it is not the name.
    pub meaning: String,
    /// The count of each month, oldest first. Months without any have 0.
    pub months: Vec<(Date, u64)>,
}

/// A kind of finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindingRow {
    /// The stable code.
    pub code: String,
    /// The level: `error`, `warning` or `note`.
    pub level: String,
    /// The number of findings.
    pub count: u64,
    /// The number of deliveries with them.
    pub deliveries: u64,
    /// The production date of the last of these deliveries.
    pub last: Option<Date>,
}

/// A delivery or a file that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingItem {
    /// The name.
    pub name: String,
    /// The state.
    pub state: String,
    /// The day since when.
    pub since: Option<Date>,
    /// The reason, with what to do.
    pub why: String,
}

/// A certificate or a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// What it is for.
    pub what: String,
    /// The file.
    pub place: String,
    /// The end of its validity; `None` if it has none.
    pub ends: Option<Date>,
    /// The whole days that are left.
    pub days_left: Option<i64>,
}

/// What one tenant gets.
#[derive(Debug, Clone, Default)]
pub struct TenantReport {
    /// The name of the tenant.
    pub name: String,
    /// Why the tenant may use the data.
    pub purpose: String,
    /// The legal basis of that use.
    pub legal_basis: Option<String>,
    /// What a person has to do.
    pub attention: Vec<String>,
    /// What a person should know.
    pub notes: Vec<String>,
    /// The most important numbers, for the top of the section.
    pub figures: Vec<Fact>,
    /// What the tenant may see and what is hidden.
    pub policy: Vec<PolicySection>,
    /// The persons in scope over time, oldest first.
    pub scope: Vec<ScopePoint>,
    /// Who left the scope and why: reasons and counts.
    pub reasons: Vec<(String, u64)>,
    /// The days on which another policy came into force.
    pub policy_changes: Vec<Date>,
    /// Where the tenant's data is stored.
    pub places: Vec<StoragePlace>,
}

/// A part of a policy in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicySection {
    /// What it is about.
    pub label: String,
    /// The sentences.
    pub lines: Vec<String>,
}

/// The persons in scope on a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScopePoint {
    /// The day.
    pub day: Date,
    /// The persons in scope.
    pub persons: u64,
    /// The persons who entered since the day before.
    pub entered: u64,
    /// The persons who left since the day before.
    pub left: u64,
}

/// A place where data is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoragePlace {
    /// What is stored.
    pub what: String,
    /// The directory.
    pub place: String,
    /// Who can read it.
    pub readers: String,
    /// How long it is kept.
    pub kept: String,
}
