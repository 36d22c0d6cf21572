//! Policies: what a tenant may see of a delivery.
//!
//! The component enforces a policy on the records, before any data leaves the sandbox. Only the pseudonyms of person
//! numbers are made by the host, because the key never enters the component.

mod policy_view;
mod pseudonym;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::pnr::Pnr;

pub use policy_view::{AGREEMENT, AS_OF, INTO_SCOPE, OUT_OF_SCOPE, PROTECTED, PolicyView};
pub use pseudonym::PseudonymKey;

/// A filter on persons. It selects the persons who meet every given condition; without conditions, every person who has
/// a 001.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct PersonFilter {
    /// Persons who live in one of these municipalities, four digits each.
    ///
    /// Persons who are dead or gone may have a last known address. It counts only if `status_codes` is given.
    pub municipality_codes: Option<Vec<String>>,
    /// Persons with one of these statuses (001).
    pub status_codes: Option<Vec<String>>,
    /// Persons of these ages (youngest, oldest), in whole years, both ends included.
    pub ages: Option<(u16, u16)>,
    /// Persons with one of these events (099) in the delivery.
    pub event_codes: Option<Vec<String>>,
    /// Persons with one of these numbers.
    pub numbers: Option<Vec<Pnr>>,
}

/// How persons with protection of name and address are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProtectionRule {
    /// Protected persons are shown like others, and every table of persons has a column `protected`.
    Include,
    /// The names, addresses and free text of protected persons are null.
    #[default]
    Mask,
    /// Protected persons are left out.
    Drop,
}

/// How person numbers are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NumberRule {
    /// Person numbers are shown.
    #[default]
    Keep,
    /// Each person number is replaced by its HMAC-SHA-256 with the tenant's key, so that joins still work.
    Pseudonym,
    /// Columns with person numbers are left out.
    Drop,
}

/// What is reported about a leaver: a person who was in scope and no longer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LeaverRule {
    /// A row in `out_of_scope`.
    #[default]
    Notice,
    /// A row in `out_of_scope`, and all the person's rows once more.
    Last,
}

/// What a tenant may see of a delivery. Everything that a policy does not allow is left out.
#[derive(Clone, PartialEq, Eq)]
pub struct Policy {
    /// The persons whose records the tenant may see.
    pub persons: PersonFilter,
    /// The day on which ages are calculated, `YYYY-MM-DD`; none for the production date. Protections do not
    /// depend on it, and leavers are reported with the production date.
    pub day: Option<String>,
    /// The day that an extract shows which has no usable production date, `YYYY-MM-DD`, in place of the production date.
    pub as_of: Option<String>,
    /// The classes of personal data that the tenant may see, from [`CLASSES`]. Columns without a class are always
    /// visible.
    pub classes: BTreeSet<String>,
    /// The visible tables; none for all that the classes allow.
    pub tables: Option<BTreeSet<String>>,
    /// The visible columns of some tables. The other tables show all columns that the classes allow.
    pub columns: BTreeMap<String, Vec<String>>,
    /// The conditions on the rows of some tables, as in `cprflow scan --where`.
    pub rows: BTreeMap<String, String>,
    /// How persons with protection of name and address are treated.
    pub protection: ProtectionRule,
    /// How person numbers are treated.
    pub numbers: NumberRule,
    /// What is reported about leavers.
    pub leavers: LeaverRule,
    /// Whether persons and rows may be selected by something that the policy hides, although the selection reveals it.
    pub may_reveal: bool,
}

/// The classes of personal data that a policy allows by default.
pub const DEFAULT_CLASSES: [&str; 4] = ["address", "civil-status", "name", "protection"];

/// The classes of personal data, `civil-status-history` among them: [`CLASSES`] without the words for tables.
pub const DATA_CLASSES: [&str; 12] = [
    "address",
    "civil-status",
    "civil-status-history",
    "economic",
    "family",
    "franchise",
    "free-text",
    "identity",
    "name",
    "protection",
    "religion",
    "social",
];

/// The valid values of [`Policy::classes`]: the classes of the catalog and four more.
///
/// `civil-status-history` stands for former civil statuses and separations. `former-pnr`, `person-id` and `input-error`
/// each stand for the table of that name. These tables tie person numbers to persons in other ways than the record's
/// key. They are left out unless the policy keeps person numbers or names their class.
pub const CLASSES: [&str; 15] = [
    "address",
    "civil-status",
    "civil-status-history",
    "economic",
    "family",
    "former-pnr",
    "franchise",
    "free-text",
    "identity",
    "input-error",
    "name",
    "person-id",
    "protection",
    "religion",
    "social",
];

impl Default for Policy {
    /// Returns the policy that selects all persons, masks the protected ones, and allows the [`DEFAULT_CLASSES`].
    ///
    /// It hides family relations, franchise, religion, former civil statuses, social, economic and identity columns, and
    /// free text.
    fn default() -> Self {
        Self {
            persons: PersonFilter::default(),
            day: None,
            as_of: None,
            classes: DEFAULT_CLASSES.map(str::to_owned).into(),
            tables: None,
            columns: BTreeMap::new(),
            rows: BTreeMap::new(),
            protection: ProtectionRule::default(),
            numbers: NumberRule::default(),
            leavers: LeaverRule::default(),
            may_reveal: false,
        }
    }
}

impl fmt::Debug for Policy {
    /// Shows the tables that have a condition on rows, but not the conditions: they can contain a person number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy")
            .field("persons", &self.persons)
            .field("day", &self.day)
            .field("as_of", &self.as_of)
            .field("classes", &self.classes)
            .field("tables", &self.tables)
            .field("columns", &self.columns)
            .field("rows", &self.rows.keys())
            .field("protection", &self.protection)
            .field("numbers", &self.numbers)
            .field("leavers", &self.leavers)
            .field("may_reveal", &self.may_reveal)
            .finish()
    }
}

impl fmt::Debug for PersonFilter {
    /// Shows how many person numbers there are, but not the numbers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PersonFilter")
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
    fn debug_hides_person_numbers() {
        let mut policy = Policy::default();
        policy.persons.numbers = Some(vec!["0101965074".parse().unwrap()]);
        let predicate = "pnr = '0101965074'".to_owned();
        policy.rows.insert("person".to_owned(), predicate);
        assert!(!format!("{policy:?}").contains("0101965074"));
    }
}
