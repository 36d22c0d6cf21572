//! What a tenant may see. What is not allowed is not there.
//!
//! A [`Policy`] is words; `Rules` are those words held against the layouts, once, before the first byte is read.

mod rules;
mod view;

use std::fmt;

pub(crate) use rules::Rules;
pub use view::{View, ViewTable};

use crate::error::Error;
use crate::layout::Sensitivity;
use crate::selection::PersonFilter;

/// The class that stands for former civil statuses and separations.
pub const CIVIL_STATUS_HISTORY: &str = "civil-status-history";

/// What becomes of persons with protection of name and address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ProtectionRule {
    /// They are as everybody else, and every table has a column `protected`.
    Include,
    /// Their names, addresses and free text are null, and so are those of protected relatives.
    #[default]
    Mask,
    /// They are not there; relatives as under mask.
    Drop,
}

/// What becomes of person numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NumberRule {
    /// They stand as they are.
    #[default]
    Keep,
    /// The host will replace each by a pseudonym.
    Pseudonym,
    /// No column holds one.
    Drop,
}

/// What is said of a person who was in scope and no longer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LeaverRule {
    /// A row in `out_of_scope`.
    #[default]
    Notice,
    /// That, and all the person's rows once more.
    Last,
}

/// What a tenant may see of an extract.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// Whose records.
    pub persons: PersonFilter,
    /// The day on which ages are judged, `YYYY-MM-DD`; none for the production date, on which all else is.
    pub day: Option<String>,
    /// The classes of personal data that may be seen. Columns without a class always may.
    pub classes: Vec<String>,
    /// The tables; none for all that the classes allow.
    pub tables: Option<Vec<String>>,
    /// For some tables the columns.
    pub columns: Vec<(String, Vec<String>)>,
    /// For some tables the rows: a predicate, judged on the record with what is masked in it as null.
    pub rows: Vec<(String, String)>,
    /// Persons with protection of name and address.
    pub protection: ProtectionRule,
    /// Person numbers.
    pub numbers: NumberRule,
    /// Which of the tables that tie numbers to persons may be seen although numbers may not.
    pub also: Vec<String>,
    /// Persons who leave.
    pub leavers: LeaverRule,
}

impl Policy {
    /// A policy that hides nothing of anybody.
    pub fn open() -> Self {
        Self {
            classes: class_names().map(str::to_owned).collect(),
            protection: ProtectionRule::Include,
            ..Self::default()
        }
    }

    /// The tables and columns that it lets through, or what is wrong with it.
    pub fn view(&self) -> Result<View, Error> {
        self.persons.check()?;
        Ok(Rules::new(self)?.view)
    }
}

impl fmt::Debug for Policy {
    /// Says for which tables rows are chosen, not by what: a predicate can hold a person number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows: Vec<&String> = self.rows.iter().map(|(table, _)| table).collect();
        f.debug_struct("Policy")
            .field("persons", &self.persons)
            .field("day", &self.day)
            .field("classes", &self.classes)
            .field("tables", &self.tables)
            .field("columns", &self.columns)
            .field("rows", &rows)
            .field("protection", &self.protection)
            .field("numbers", &self.numbers)
            .field("also", &self.also)
            .field("leavers", &self.leavers)
            .finish()
    }
}

/// Every class that a policy can allow.
fn class_names() -> impl Iterator<Item = &'static str> {
    let of_columns = Sensitivity::ALL.iter().map(|class| class.name());
    of_columns.chain([CIVIL_STATUS_HISTORY])
}
