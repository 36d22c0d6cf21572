//! Which tables and columns a policy leaves.

use super::{CIVIL_STATUS_HISTORY, NumberRule, Policy, ProtectionRule, class_names};
use crate::error::Error;
use crate::layout::{self, Column, Kind, Sensitivity, Table};
use crate::schema::{self, ColumnId, TableId, all_tables};

/// The tables and columns that a policy lets through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// The tables, in the order in which a scan knows them; the last is `out_of_scope`.
    pub tables: Vec<ViewTable>,
}

/// A table as a policy lets it through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewTable {
    /// The table.
    pub id: TableId,
    /// Its columns, in order.
    pub columns: Vec<ColumnId>,
    /// Whether it may also show what stands beyond the known layout. Nobody knows what that tells: it is there only
    /// where the policy hides nothing of the persons whom it is about.
    pub has_tails: bool,
}

/// Why a table is not there.
enum Hidden {
    /// By a class.
    Class(&'static str),
    /// Something else, as a clause.
    Because(&'static str),
}

impl View {
    /// The table of that name.
    pub fn table(&self, name: &str) -> Option<&ViewTable> {
        self.tables.iter().find(|table| table.id.name() == name)
    }

    /// What the policy leaves; unknown names in it, and names of what its classes hide, are errors.
    pub(super) fn new(policy: &Policy) -> Result<Self, Error> {
        for class in &policy.classes {
            if !class_names().any(|name| name == class) {
                let names: Vec<_> = class_names().collect();
                return Err(invalid(format!(
                    "there is no class {class:?}; the classes are {}",
                    names.join(", ")
                )));
            }
        }
        for name in &policy.also {
            if !layout::by_name(name).is_some_and(|table| table.ties_numbers) {
                let mut tables = layout::tables().iter().filter(|table| table.ties_numbers);
                let names: Vec<_> = tables.by_ref().map(|table| table.name).collect();
                return Err(invalid(format!(
                    "\"also\" can name {}, not {name:?}",
                    names.join(", ")
                )));
            }
        }
        let named = policy.tables.as_deref();
        let with_columns = policy.columns.iter().map(|(table, _)| table);
        let with_rows = policy.rows.iter().map(|(table, _)| table);
        for name in named
            .iter()
            .copied()
            .flatten()
            .chain(with_columns)
            .chain(with_rows)
        {
            policy.check_table(name)?;
        }
        policy.check_once()?;
        let mut tables = Vec::new();
        for id in all_tables().chain([TableId::OutOfScope]) {
            if policy.hides(id).is_none() && policy.names(id) {
                tables.push(policy.view_table(id)?);
            }
        }
        Ok(Self { tables })
    }
}

impl Policy {
    /// Whether everything of everybody is there as it stands.
    fn is_open(&self) -> bool {
        self.hides_nothing() && self.persons.is_everybody()
    }

    /// Whether everything of the persons whom it is about is there as it stands.
    fn hides_nothing(&self) -> bool {
        class_names().all(|class| self.classes.iter().any(|allowed| allowed == class))
            && self.tables.is_none()
            && self.columns.is_empty()
            && self.rows.is_empty()
            && self.protection == ProtectionRule::Include
            && self.numbers == NumberRule::Keep
    }

    fn allows(&self, class: &str) -> bool {
        self.classes.iter().any(|allowed| allowed == class)
    }

    /// Whether records of church membership may be seen, and so events that tell of it.
    pub(super) fn allows_religion(&self) -> bool {
        self.allows(Sensitivity::Religion.name())
    }

    /// Whether the list of tables has this one, or there is no list. Nobody who leaves is kept secret.
    fn names(&self, id: TableId) -> bool {
        let named = |tables: &Vec<String>| tables.iter().any(|name| name == id.name());
        id == TableId::OutOfScope || self.tables.as_ref().is_none_or(named)
    }

    /// Why the policy has no such table, if it has none; its list of tables apart.
    fn hides(&self, id: TableId) -> Option<Hidden> {
        let table = match id {
            TableId::OutOfScope => return None,
            TableId::Unknown | TableId::Rejected => {
                let why = "it holds lines as they stand, which are there only where a policy hides nothing";
                return (!self.is_open()).then_some(Hidden::Because(why));
            }
            TableId::Layout(table) => table,
        };
        if table.ties_numbers {
            return self.hides_tie(table);
        }
        if !table.is_keyed() {
            let why = "its record is nobody's";
            return Some(Hidden::Because(why));
        }
        if let Some(subject) = table.subject() {
            let class = class_in(table, subject);
            if !self.allows(class) {
                return Some(Hidden::Class(class));
            }
        }
        let mut shown = table
            .columns
            .iter()
            .filter(|c| self.hides_column(table, c).is_none());
        // A row of numbers and nothing else says only that there is one; where the layout has no more, that is all
        // there is to say.
        let has_content = |column: &Column| column.kind != Kind::Pnr;
        let is_only_numbers = !table.columns.iter().any(has_content);
        if shown.clone().any(has_content) || (is_only_numbers && shown.next().is_some()) {
            return None;
        }
        let mut classes = table.columns.iter().filter(|column| has_content(column));
        let class = classes.find_map(|column| self.hides_column(table, column));
        Some(match class {
            Some(Hidden::Class(class)) => Hidden::Class(class),
            _ => Hidden::Because("it has only person numbers, and the policy drops them"),
        })
    }

    /// A table that ties numbers is there with all that makes it one, or not at all.
    fn hides_tie(&self, table: &'static Table) -> Option<Hidden> {
        let is_named = self.also.iter().any(|name| name == table.name);
        if self.numbers != NumberRule::Keep && !is_named {
            let why = "it ties numbers to persons, and the policy does not keep numbers; \"also\" can name it";
            return Some(Hidden::Because(why));
        }
        let is_everybody = self.persons.is_everybody() && self.protection != ProtectionRule::Drop;
        if !table.is_keyed() && !is_named && !is_everybody {
            let why = "its records are nobody's, and the policy is about some persons; \"also\" can name it";
            return Some(Hidden::Because(why));
        }
        let mut ties = table.columns.iter().filter(|c| c.sensitivity.is_some());
        ties.find_map(|column| self.hides_column(table, column))
    }

    /// Why the policy has no such column, if it has none; its list of columns apart.
    fn hides_column(&self, table: &Table, column: &Column) -> Option<Hidden> {
        if column.kind == Kind::Pnr && self.numbers == NumberRule::Drop {
            let why = "it holds person numbers, and the policy drops them";
            return Some(Hidden::Because(why));
        }
        let class = class_in(table, column.sensitivity?);
        (!self.allows(class)).then_some(Hidden::Class(class))
    }

    /// The table as the policy leaves it.
    fn view_table(&self, id: TableId) -> Result<ViewTable, Error> {
        let TableId::Layout(table) = id else {
            let mut columns = id.columns();
            columns.retain(|c| *c != ColumnId::Number || self.numbers != NumberRule::Drop);
            return Ok(ViewTable {
                id,
                columns,
                has_tails: true,
            });
        };
        let listed = self.columns.iter().find(|(name, _)| name == table.name);
        let listed = listed.map(|(_, columns)| columns.as_slice());
        let has_protected = self.protection == ProtectionRule::Include && table.is_keyed();
        for name in listed.unwrap_or_default() {
            self.check_column(table, name, has_protected)?;
        }
        let is_listed = |name: &str| listed.is_none_or(|names| names.iter().any(|n| n == name));
        let fields = table
            .columns
            .iter()
            .filter(|column| self.hides_column(table, column).is_none() && is_listed(column.name));
        let mut columns: Vec<ColumnId> = fields.map(ColumnId::Field).collect();
        columns.extend(has_protected.then_some(ColumnId::Protected));
        columns.extend(
            [ColumnId::Irregular, ColumnId::Line]
                .into_iter()
                .filter(|own| is_listed(own.name())),
        );
        if columns.is_empty() {
            return Err(invalid(format!(
                "no column of the table {:?} is listed",
                table.name
            )));
        }
        Ok(ViewTable {
            id,
            columns,
            has_tails: self.hides_nothing(),
        })
    }

    fn check_table(&self, name: &str) -> Result<(), Error> {
        let id = TableId::by_name(name).ok_or_else(|| {
            invalid(format!(
                "there is no table {name:?}; `cprflow tables` lists them"
            ))
        })?;
        match self.hides(id) {
            Some(Hidden::Class(class)) => Err(invalid(format!(
                "the policy names the table {name:?}, and hides its class {class:?}: allow the class or leave the \
                 table out"
            ))),
            Some(Hidden::Because(why)) => Err(invalid(format!(
                "the policy names the table {name:?}, and has no such table: {why}"
            ))),
            None if !self.names(id) => Err(invalid(format!(
                "the policy says something of the table {name:?}, which is not in its list of tables"
            ))),
            None => Ok(()),
        }
    }

    fn check_column(&self, table: &Table, name: &str, has_protected: bool) -> Result<(), Error> {
        if [schema::IRREGULAR, schema::LINE].contains(&name)
            || (name == schema::PROTECTED && has_protected)
        {
            return Ok(());
        }
        let column = table.column(name).ok_or_else(|| {
            invalid(format!(
                "the table {:?} has no column {name:?}; `cprflow schema {}` lists them",
                table.name, table.name
            ))
        })?;
        match self.hides_column(table, column) {
            None => Ok(()),
            Some(Hidden::Class(class)) => Err(invalid(format!(
                "the policy names the column {:?} of the table {:?}, and hides its class {class:?}: allow the class \
                 or leave the column out",
                column.name, table.name
            ))),
            Some(Hidden::Because(why)) => Err(invalid(format!(
                "the policy names the column {:?} of the table {:?}, and has no such column: {why}",
                column.name, table.name
            ))),
        }
    }

    /// Whether columns, and rows, are given once for each table, and of tables that have them.
    fn check_once(&self) -> Result<(), Error> {
        let columns: Vec<&String> = self.columns.iter().map(|(table, _)| table).collect();
        let rows: Vec<&String> = self.rows.iter().map(|(table, _)| table).collect();
        for names in [columns, rows] {
            for (place, name) in names.iter().enumerate() {
                if names.iter().take(place).any(|before| before == name) {
                    return Err(invalid(format!(
                        "the policy says twice what it lets through of the table {name:?}"
                    )));
                }
                if layout::by_name(name).is_none() {
                    return Err(invalid(format!(
                        "the table {name:?} is there whole or not at all"
                    )));
                }
            }
        }
        Ok(())
    }
}

/// The class that decides over a column of that class in this table: what was is another matter than what is.
fn class_in(table: &Table, class: Sensitivity) -> &'static str {
    match class {
        Sensitivity::CivilStatus if table.is_of_former_status() => CIVIL_STATUS_HISTORY,
        class => class.name(),
    }
}

fn invalid(message: String) -> Error {
    Error::InvalidRequest(message)
}
