//! What a tenant may see of a delivery.
//!
//! A policy is carried to the component as it stands and enforced there, on the record, before anything leaves the
//! sandbox; only the pseudonym of person numbers is made by the host, because its key never enters the component.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::pnr::Pnr;

/// Whose records: everybody who meets every condition that is given.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Persons {
    /// Who live in one of these municipalities, four digits each: of whoever is dead or gone there may be a last known
    /// address, which counts only where there are status codes.
    pub municipality_codes: Option<Vec<String>>,
    /// Whose status is one of these.
    pub status_codes: Option<Vec<String>>,
    /// Who is of these ages, in whole years, both ends included.
    pub ages: Option<(u16, u16)>,
    /// Who has one of these events in the delivery.
    pub event_codes: Option<Vec<String>>,
    /// Who has one of these numbers.
    pub numbers: Option<Vec<Pnr>>,
}

/// What becomes of persons with protection of name and address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protection {
    /// They are as everybody else, and every table says who they are.
    Include,
    /// Their names, addresses and free text are null.
    #[default]
    Mask,
    /// They are not there.
    Drop,
}

/// What becomes of person numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Numbers {
    /// They stand as they are.
    #[default]
    Keep,
    /// Each is replaced by its HMAC-SHA-256 with the tenant's key, so that joins still work.
    Pseudonym,
    /// No column holds one.
    Drop,
}

/// What is said of a person who was in scope and no longer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Leavers {
    /// A row in `out_of_scope`.
    #[default]
    Notice,
    /// That, and all the person's rows once more.
    Last,
}

/// What a tenant may see. What is not allowed is not there.
#[derive(Clone, PartialEq, Eq)]
pub struct Policy {
    /// Whose records.
    pub persons: Persons,
    /// The day on which ages are judged, `YYYY-MM-DD`; none for the production date, on which all else is.
    pub day: Option<String>,
    /// The classes of personal data that may be seen. Columns without a class always may.
    pub classes: BTreeSet<String>,
    /// The tables; none for all that the classes allow.
    pub tables: Option<BTreeSet<String>>,
    /// For some tables the columns.
    pub columns: BTreeMap<String, Vec<String>>,
    /// For some tables the rows, as in `cprflow scan --where`.
    pub rows: BTreeMap<String, String>,
    /// Persons with protection of name and address.
    pub protection: Protection,
    /// Person numbers.
    pub numbers: Numbers,
    /// Which of `person_id`, `former_pnr` and `input_error` may be seen although numbers may not.
    pub also: BTreeSet<String>,
    /// Persons who leave.
    pub leavers: Leavers,
}

/// The classes that a policy lets through without words to the contrary.
pub const DEFAULT_CLASSES: [&str; 4] = ["address", "civil-status", "name", "protection"];

/// Every class: those of the catalog, and `civil-status-history`, which stands for former civil statuses and
/// separations.
pub const CLASSES: [&str; 10] = [
    "address",
    "civil-status",
    "civil-status-history",
    "economic",
    "free-text",
    "identity",
    "name",
    "protection",
    "religion",
    "social",
];

impl Default for Policy {
    /// Everybody, masked where protected; no religion, no former civil status, no social, economic or identity
    /// columns and no free text.
    fn default() -> Self {
        Self {
            persons: Persons::default(),
            day: None,
            classes: DEFAULT_CLASSES.map(str::to_owned).into(),
            tables: None,
            columns: BTreeMap::new(),
            rows: BTreeMap::new(),
            protection: Protection::default(),
            numbers: Numbers::default(),
            also: BTreeSet::new(),
            leavers: Leavers::default(),
        }
    }
}

impl fmt::Debug for Policy {
    /// Says for which tables rows are chosen, not by what: a predicate can hold a person number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy")
            .field("persons", &self.persons)
            .field("day", &self.day)
            .field("classes", &self.classes)
            .field("tables", &self.tables)
            .field("columns", &self.columns)
            .field("rows", &self.rows.keys())
            .field("protection", &self.protection)
            .field("numbers", &self.numbers)
            .field("also", &self.also)
            .field("leavers", &self.leavers)
            .finish()
    }
}

impl fmt::Debug for Persons {
    /// Says how many numbers there are, not which.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Persons")
            .field("municipality_codes", &self.municipality_codes)
            .field("status_codes", &self.status_codes)
            .field("ages", &self.ages)
            .field("event_codes", &self.event_codes)
            .field("numbers", &self.numbers.as_ref().map(Vec::len))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_named_by_debug() {
        let mut policy = Policy::default();
        policy.persons.numbers = Some(vec!["0101965074".parse().unwrap()]);
        let predicate = "pnr = '0101965074'".to_owned();
        policy.rows.insert("person".to_owned(), predicate);
        assert!(!format!("{policy:?}").contains("0101965074"));
    }
}
