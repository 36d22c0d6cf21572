//! Determines the tables and columns that a policy lets through.

use super::{NUMBER_TABLES, NumberRule, Policy, ProtectionRule, class_names};
use crate::columns::schema::{self, ColumnId, TableId, all_tables};
use crate::error::Error;
use crate::layout::{self, Column, Kind, Table};

/// The tables and columns that a policy lets through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// The tables, in the order of a scan; the last is `out_of_scope`.
    pub tables: Vec<ViewTable>,
}

/// A table as a policy lets it through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewTable {
    /// The table.
    pub id: TableId,
    /// The visible columns, in order.
    pub columns: Vec<ColumnId>,
    /// Whether `irregular` may show the bytes after the known layout. Their meaning is unknown, so they are shown only
    /// if the policy hides nothing of the persons in scope.
    pub has_tails: bool,
}

/// The reason why a table or column is hidden.
enum Hidden {
    /// Its class is not allowed.
    Class(&'static str),
    /// Another reason, as a clause.
    Because(&'static str),
    /// The table ties numbers, and the policy's classes do not have its name.
    Unnamed {
        why: &'static str,
        class: &'static str,
    },
}

impl View {
    /// Returns the table of that name.
    pub fn table(&self, name: &str) -> Option<&ViewTable> {
        self.tables.iter().find(|table| table.id.name() == name)
    }

    /// Returns the view of a state under a policy with this view that treats person numbers like this.
    pub(super) fn of_state(self, numbers: NumberRule) -> Self {
        let mut tables: Vec<ViewTable> = self.tables.into_iter().filter_map(of_state).collect();
        if numbers == NumberRule::Drop {
            // Equal dates would show which rows belong to one person.
            for table in &mut tables {
                table.columns.retain(|column| *column != ColumnId::AsOf);
            }
        }
        for id in [TableId::OutOfScope, TableId::IntoScope] {
            tables.push(ViewTable {
                columns: shown_columns(id, numbers),
                id,
                has_tails: true,
            });
        }
        Self { tables }
    }

    /// Returns all tables and columns of a state.
    pub(crate) fn of_whole_state() -> Self {
        let whole = |id: TableId| ViewTable {
            columns: id.columns(),
            id,
            has_tails: true,
        };
        Self {
            tables: all_tables().map(whole).filter_map(of_state).collect(),
        }
    }

    /// Builds the view. Fails if the policy has unknown names, or names of what its classes hide.
    pub(super) fn new(policy: &Policy) -> Result<Self, Error> {
        for class in &policy.classes {
            let names = || class_names().chain(NUMBER_TABLES.map(|(name, _)| name));
            if !names().any(|name| name == class) {
                let names: Vec<_> = names().collect();
                return Err(invalid(format!(
                    "there is no class {class:?}; the classes are {}",
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
        for (class, name) in NUMBER_TABLES {
            if policy.allows(class)
                && let Some(Hidden::Because(why)) =
                    TableId::by_name(name).and_then(|id| policy.hides(id))
            {
                return Err(invalid(format!(
                    "the policy names the class {class:?} but hides its table {name:?}: {why}. Leave the class out"
                )));
            }
        }
        Ok(Self { tables })
    }
}

impl Policy {
    /// Returns whether the policy shows everything of every person, unchanged.
    fn is_open(&self) -> bool {
        self.hides_nothing() && self.persons.is_unrestricted()
    }

    /// Returns whether the policy shows everything of the persons in scope, unchanged.
    pub(super) fn hides_nothing(&self) -> bool {
        class_names().all(|class| self.classes.iter().any(|allowed| allowed == class))
            && self.tables.is_none()
            && self.columns.is_empty()
            && self.rows.is_empty()
            && self.protection == ProtectionRule::Include
            && self.numbers == NumberRule::Keep
    }

    pub(super) fn allows(&self, class: &str) -> bool {
        self.classes.iter().any(|allowed| allowed == class)
    }

    /// Returns whether the list of tables has this table, or there is no list. `out_of_scope` and `into_scope` are always
    /// visible.
    fn names(&self, id: TableId) -> bool {
        let named = |tables: &Vec<String>| tables.iter().any(|name| name == id.name());
        matches!(id, TableId::OutOfScope | TableId::IntoScope)
            || self.tables.as_ref().is_none_or(named)
    }

    /// Returns why the policy hides the table, if it does. Ignores the policy's list of tables.
    fn hides(&self, id: TableId) -> Option<Hidden> {
        let table = match id {
            TableId::OutOfScope | TableId::IntoScope => return None,
            TableId::Unknown | TableId::Rejected => {
                let why = "it holds unparsed lines, which are shown only if a policy hides nothing";
                return (!self.is_open()).then_some(Hidden::Because(why));
            }
            TableId::Layout(table) => table,
        };
        if table.ties_numbers {
            return self.hides_number_table(table);
        }
        if !table.is_keyed() {
            let why = "its records do not belong to a person";
            return Some(Hidden::Because(why));
        }
        if let Some(subject) = table.subject() {
            let class = subject.name();
            if !self.allows(class) {
                return Some(Hidden::Class(class));
            }
        }
        let mut shown = table
            .columns
            .iter()
            .filter(|c| self.hides_column(c).is_none());
        // A row that holds only person numbers shows no more than that it exists. It is useful only if the layout has
        // no other columns.
        let has_content = |column: &Column| column.kind != Kind::Pnr;
        let is_only_numbers = !table.columns.iter().any(has_content);
        if shown.clone().any(has_content) || (is_only_numbers && shown.next().is_some()) {
            return None;
        }
        let mut classes = table.columns.iter().filter(|column| has_content(column));
        let class = classes.find_map(|column| self.hides_column(column));
        Some(match class {
            Some(Hidden::Class(class)) => Hidden::Class(class),
            _ => Hidden::Because("it has only person numbers, which the policy drops"),
        })
    }

    /// Returns why the policy hides a table that ties numbers. Such a table is shown with all its identifying columns
    /// or not at all.
    fn hides_number_table(&self, table: &'static Table) -> Option<Hidden> {
        let mut names = NUMBER_TABLES.iter();
        let class = names.find_map(|(class, name)| (*name == table.name).then_some(*class));
        let class = class.unwrap_or_default();
        let is_named = self.allows(class);
        if self.numbers != NumberRule::Keep && !is_named {
            let why = "it ties numbers to persons, and the policy does not keep numbers";
            return Some(Hidden::Unnamed { why, class });
        }
        let is_unrestricted =
            self.persons.is_unrestricted() && self.protection != ProtectionRule::Drop;
        if !table.is_keyed() && !is_named && !is_unrestricted {
            let why =
                "its records do not belong to a person, and the policy selects only some persons";
            return Some(Hidden::Unnamed { why, class });
        }
        let mut ties = table.columns.iter().filter(|c| c.sensitivity.is_some());
        ties.find_map(|column| self.hides_column(column))
    }

    /// Returns why the policy hides the column, if it does. Ignores the policy's list of columns.
    fn hides_column(&self, column: &Column) -> Option<Hidden> {
        if column.kind == Kind::Pnr && self.numbers == NumberRule::Drop {
            let why = "it holds person numbers, which the policy drops";
            return Some(Hidden::Because(why));
        }
        let class = column.sensitivity?.name();
        (!self.allows(class)).then_some(Hidden::Class(class))
    }

    /// Returns why the policy hides the column, as a clause, if it does.
    pub(super) fn why_hidden(&self, column: &Column) -> Option<String> {
        Some(match self.hides_column(column)? {
            Hidden::Class(class) => format!("its class is {class:?}"),
            Hidden::Because(why) | Hidden::Unnamed { why, .. } => why.to_owned(),
        })
    }

    /// Returns the table with its visible columns.
    fn view_table(&self, id: TableId) -> Result<ViewTable, Error> {
        let TableId::Layout(table) = id else {
            return Ok(ViewTable {
                id,
                columns: shown_columns(id, self.numbers),
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
            .filter(|column| self.hides_column(column).is_none() && is_listed(column.name));
        let mut columns: Vec<ColumnId> = fields.map(ColumnId::Field).collect();
        columns.extend(has_protected.then_some(ColumnId::Protected));
        columns.extend(is_listed(schema::IRREGULAR).then_some(ColumnId::Irregular));
        columns.extend(self.is_open().then_some(ColumnId::Line));
        if columns.is_empty() {
            return Err(invalid(format!(
                "the policy lists no column of the table {:?}",
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
                "the policy names the table {name:?} but hides its class {class:?}: allow the class or leave the \
                 table out"
            ))),
            Some(Hidden::Because(why)) => Err(invalid(format!(
                "the policy names the table {name:?} but hides it: {why}"
            ))),
            Some(Hidden::Unnamed { why, class }) => Err(invalid(format!(
                "the policy names the table {name:?} but hides it: {why}. Add {class:?} to its classes to show it"
            ))),
            None if !self.names(id) => Err(invalid(format!(
                "the policy has columns or rows for the table {name:?}, which is not in its list of tables"
            ))),
            None => Ok(()),
        }
    }

    fn check_column(&self, table: &Table, name: &str, has_protected: bool) -> Result<(), Error> {
        if name == schema::IRREGULAR || (name == schema::PROTECTED && has_protected) {
            return Ok(());
        }
        if name == schema::LINE {
            // A policy with a list of columns always hides something.
            return Err(invalid(format!(
                "the policy names the column \"line\" of the table {:?} but hides it: gaps between record numbers show \
                 hidden rows, and equal numbers join tables. Only a policy that hides nothing has this column",
                table.name
            )));
        }
        let column = table.column(name).ok_or_else(|| {
            invalid(format!(
                "the table {:?} has no column {name:?}; `cprflow schema {}` lists them",
                table.name, table.name
            ))
        })?;
        match self.hides_column(column) {
            None => Ok(()),
            Some(Hidden::Class(class)) => Err(invalid(format!(
                "the policy names the column {:?} of the table {:?} but hides its class {class:?}: allow the class \
                 or leave the column out",
                column.name, table.name
            ))),
            Some(Hidden::Because(why) | Hidden::Unnamed { why, .. }) => Err(invalid(format!(
                "the policy names the column {:?} of the table {:?} but hides it: {why}",
                column.name, table.name
            ))),
        }
    }

    /// Checks that columns and rows are given only once for each table, and only for tables of a record type.
    fn check_once(&self) -> Result<(), Error> {
        let columns: Vec<&String> = self.columns.iter().map(|(table, _)| table).collect();
        let rows: Vec<&String> = self.rows.iter().map(|(table, _)| table).collect();
        for names in [columns, rows] {
            for (index, name) in names.iter().enumerate() {
                if names.iter().take(index).any(|before| before == name) {
                    return Err(invalid(format!(
                        "the policy has two entries of columns or of rows for the table {name:?}"
                    )));
                }
                if layout::by_name(name).is_none() {
                    return Err(invalid(format!(
                        "the table {name:?} cannot have a list of columns or a condition on rows"
                    )));
                }
            }
        }
        Ok(())
    }
}

/// Returns a table of a view as a state has it, or `None` if a state does not have it.
fn of_state(mut table: ViewTable) -> Option<ViewTable> {
    if !table.id.is_of_state() {
        return None;
    }
    table.columns.retain(|column| *column != ColumnId::Line);
    table.columns.extend([ColumnId::AsOf, ColumnId::Agreement]);
    Some(table)
}

/// Returns the columns of a table without a layout that a policy shows which treats person numbers like this.
fn shown_columns(id: TableId, numbers: NumberRule) -> Vec<ColumnId> {
    let mut columns = id.columns();
    columns.retain(|column| *column != ColumnId::Number || numbers != NumberRule::Drop);
    columns
}

fn invalid(message: String) -> Error {
    Error::InvalidRequest(message)
}
