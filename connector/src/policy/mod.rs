//! Policies: what a tenant may see of an extract. Everything that a policy does not allow is left out.
//!
//! A [`Policy`] is the text form. `Rules` is the same policy checked against the layouts, once, before the first byte
//! is read.

mod masking;
mod persons;
mod row_rules;
mod rules;
mod shifted;
#[cfg(test)]
mod tests;
mod view;

use std::fmt;

pub(crate) use masking::relatives;
pub use persons::{AgeRange, PersonFilter};
pub(crate) use persons::{ConditionKind, PersonMatcher};
pub(crate) use row_rules::row_bits;
pub(crate) use rules::Rules;
pub(crate) use shifted::is_shifted;
pub use view::{View, ViewTable};

use crate::error::Error;
use crate::layout::Sensitivity;

/// The names in [`Policy::classes`] that show a table which ties person numbers to each other or to other identifiers.
/// Each is paired with the name of its table.
pub(crate) const NUMBER_TABLES: [(&str, &str); 3] = [
    ("former-pnr", "former_pnr"),
    ("person-id", "person_id"),
    ("input-error", "input_error"),
];

/// How persons with protection of name and address are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ProtectionRule {
    /// Protected persons are shown like others, and every table of persons has a column `protected`.
    Include,
    /// The names, addresses and free text of protected persons are null, also where they are relatives in another
    /// person's record.
    #[default]
    Mask,
    /// Protected persons are left out. Where they are relatives, they are masked.
    Drop,
}

/// How person numbers are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NumberRule {
    /// Person numbers are shown.
    #[default]
    Keep,
    /// The host replaces each person number by a pseudonym.
    Pseudonym,
    /// Columns with person numbers are left out.
    Drop,
}

/// What is reported about a leaver: a person who was in scope and no longer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LeaverRule {
    /// A row in `out_of_scope`.
    #[default]
    Notice,
    /// A row in `out_of_scope`, and all the person's rows once more if they still describe what was in scope: the person
    /// is dead or has disappeared, or the number has ended, and no address (002) is in another municipality than the
    /// filter's. The rows of persons who have moved, emigrated or otherwise left describe a state outside the scope.
    Last,
}

/// What a tenant may see of an extract.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// The persons whose records the tenant may see.
    pub persons: PersonFilter,
    /// The day on which ages are calculated, `YYYY-MM-DD`; `None` for the extract's production date. Protections do
    /// not depend on it, and leavers are reported with the production date.
    pub day: Option<String>,
    /// The day that an extract shows which has no usable production date, `YYYY-MM-DD`, in place of the production date.
    pub as_of: Option<String>,
    /// The classes of personal data that the tenant may see. Columns without a class are always visible.
    ///
    /// The names are those of [`Sensitivity`], and `former-pnr`, `person-id` and
    /// `input-error`. Each of these three shows the table of that name although person numbers are not kept, or, for
    /// `input-error`, although only some persons are in scope. The classes of the table's columns must be allowed too.
    pub classes: Vec<String>,
    /// The visible tables; `None` for all that the classes allow.
    pub tables: Option<Vec<String>>,
    /// The visible columns of some tables; the other tables show all columns that the classes allow.
    pub columns: Vec<(String, Vec<String>)>,
    /// The visible rows of some tables: a predicate on the record, in which masked values are null.
    pub rows: Vec<(String, String)>,
    /// How persons with protection of name and address are treated.
    pub protection: ProtectionRule,
    /// How person numbers are treated.
    pub numbers: NumberRule,
    /// What is reported about leavers.
    pub leavers: LeaverRule,
    /// Whether persons and rows may be selected by what the classes hide. Without it such a policy is refused, because
    /// being selected reveals it.
    pub may_reveal: bool,
}

impl Policy {
    /// Returns a policy that hides nothing.
    pub fn open() -> Self {
        Self {
            classes: class_names().map(str::to_owned).collect(),
            protection: ProtectionRule::Include,
            ..Self::default()
        }
    }

    /// Returns the visible tables and columns. Fails if the policy names something that does not exist or that it
    /// hides.
    pub fn view(&self) -> Result<View, Error> {
        self.persons.check()?;
        Ok(Rules::new(self)?.view)
    }
}

impl View {
    /// Returns the tables and columns of a state: all, or what a policy lets through. Fails if the policy names something
    /// that does not exist or that it hides.
    pub fn state(policy: Option<&Policy>) -> Result<Self, Error> {
        let Some(policy) = policy else {
            return Ok(Self::of_whole_state());
        };
        policy.persons.check()?;
        Ok(Rules::of_state(policy)?.view)
    }
}

impl fmt::Debug for Policy {
    /// Shows the tables with a row predicate, but not its text, which can hold a person number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows: Vec<&String> = self.rows.iter().map(|(table, _)| table).collect();
        f.debug_struct("Policy")
            .field("persons", &self.persons)
            .field("day", &self.day)
            .field("as_of", &self.as_of)
            .field("classes", &self.classes)
            .field("tables", &self.tables)
            .field("columns", &self.columns)
            .field("rows", &rows)
            .field("protection", &self.protection)
            .field("numbers", &self.numbers)
            .field("leavers", &self.leavers)
            .field("may_reveal", &self.may_reveal)
            .finish()
    }
}

/// Returns every class of personal data; without the names of [`NUMBER_TABLES`].
fn class_names() -> impl Iterator<Item = &'static str> {
    Sensitivity::ALL.iter().map(|class| class.name())
}
