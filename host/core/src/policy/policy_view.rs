//! The tables and columns that a policy lets through: the component's answer, checked against its catalog and the
//! policy.

use arrow::datatypes::{DataType, SchemaRef};

use super::{NumberRule, Policy, ProtectionRule};
use crate::catalog::{Catalog, Column, Table};
use crate::error::{ComponentError, Error};
use crate::wit::catalog as wit;

/// The name of the table of leavers: persons who were in scope and no longer are.
pub const OUT_OF_SCOPE: &str = "out_of_scope";

/// The name of the table of persons who have come into scope. Only a state has it.
pub const INTO_SCOPE: &str = "into_scope";

/// The name of the column with the date that places a row's extract in the order. Only a state has it.
pub const AS_OF: &str = "as_of";

/// The name of the column with the agreement of a row's extract. Only a state has it.
pub const AGREEMENT: &str = "agreement";

/// The column with the record's number in its extract, which a state lacks.
const LINE: &str = "line";

/// The name of the column that tells whether a row's person has protection of name and address.
pub const PROTECTED: &str = "protected";

/// The kind of the columns that contain person numbers, and the name of the person's column in [`OUT_OF_SCOPE`].
const PNR: &str = "pnr";

/// The tables and columns that a policy lets through, as a scan returns them.
#[derive(Debug, Clone)]
pub struct PolicyView {
    tables: Vec<Table>,
    numbers: NumberRule,
}

impl PolicyView {
    /// Checks a component's view of a policy.
    ///
    /// Fails if it has a table or column that the catalog lacks or the policy hides, or lacks `out_of_scope`.
    pub(crate) fn new(
        tables: Vec<wit::Table>,
        catalog: &Catalog,
        policy: &Policy,
    ) -> Result<Self, Error> {
        let mut checked: Vec<Table> = Vec::with_capacity(tables.len());
        for table in tables.into_iter().map(Table::from) {
            let result = if checked.iter().any(|other| other.name == table.name) {
                Err("has a table twice")
            } else if table.name == OUT_OF_SCOPE {
                check_out_of_scope(&table, policy)
            } else {
                check_table(&table, &table.columns, catalog, policy)
            };
            result.map_err(|what| {
                ComponentError::Misbehaved(format!("its view of the policy {what}"))
            })?;
            checked.push(table);
        }
        if !checked.iter().any(|table| table.name == OUT_OF_SCOPE) {
            let what = format!("its view of the policy lacks {OUT_OF_SCOPE}");
            return Err(ComponentError::Misbehaved(what).into());
        }
        Ok(Self {
            tables: checked,
            numbers: policy.numbers,
        })
    }

    /// Checks a component's view of a state under a policy.
    ///
    /// Fails like [`new`](Self::new), or if it lacks `into_scope`.
    pub(crate) fn of_state(
        tables: Vec<wit::Table>,
        catalog: &Catalog,
        policy: Option<&Policy>,
    ) -> Result<Self, Error> {
        let misbehaved =
            |what: &str| ComponentError::Misbehaved(format!("its view of a state {what}"));
        let mut checked: Vec<Table> = Vec::with_capacity(tables.len());
        for table in tables.into_iter().map(Table::from) {
            let result = if checked.iter().any(|other| other.name == table.name) {
                Err("has a table twice")
            } else {
                match (table.name.as_str(), policy) {
                    (OUT_OF_SCOPE, Some(policy)) => check_out_of_scope(&table, policy),
                    (INTO_SCOPE, Some(policy)) => check_into_scope(&table, policy),
                    _ => check_state_table(&table, catalog, policy),
                }
            };
            result.map_err(misbehaved)?;
            checked.push(table);
        }
        let has = |name: &str| checked.iter().any(|table| table.name == name);
        if policy.is_some() && !(has(OUT_OF_SCOPE) && has(INTO_SCOPE)) {
            return Err(misbehaved("lacks out_of_scope or into_scope").into());
        }
        Ok(Self {
            tables: checked,
            numbers: policy.map_or(NumberRule::Keep, |policy| policy.numbers),
        })
    }

    /// Returns the tables, in the order of a scan. The last is `out_of_scope`, and `into_scope` after it in a state under a
    /// policy.
    pub fn tables(&self) -> &[Table] {
        &self.tables
    }

    /// Returns the table with this name, if the policy lets it through.
    pub fn table(&self, name: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.name == name)
    }

    /// Returns how the policy treats person numbers.
    pub(crate) fn numbers(&self) -> NumberRule {
        self.numbers
    }

    /// Returns the indexes of the columns that the host must replace by pseudonyms.
    pub(crate) fn pseudonym_columns(&self, table: &str, schema: &SchemaRef) -> Vec<usize> {
        let is_pseudonymous = self.numbers == NumberRule::Pseudonym;
        let Some(table) = self.table(table).filter(|_| is_pseudonymous) else {
            return Vec::new();
        };
        let holds_number = |name: &String| {
            let column = table.columns.iter().find(|column| column.name == *name);
            column.is_some_and(|column| is_number(table, column))
        };
        let fields = schema.fields().iter().enumerate();
        fields
            .filter(|(_, field)| holds_number(field.name()))
            .map(|(index, _)| index)
            .collect()
    }
}

/// Returns whether a column contains person numbers.
fn is_number(table: &Table, column: &Column) -> bool {
    match &column.field {
        Some(field) => field.kind == PNR,
        None => matches!(table.name.as_str(), OUT_OF_SCOPE | INTO_SCOPE) && column.name == PNR,
    }
}

/// Returns the table of the catalog that a table of a view shows.
fn known_table<'a>(table: &Table, catalog: &'a Catalog) -> Result<&'a Table, &'static str> {
    let known = catalog
        .table(&table.name)
        .ok_or("has a table that its catalog lacks")?;
    if (&known.record_type, &known.cpr_title, &known.description)
        != (&table.record_type, &table.cpr_title, &table.description)
    {
        return Err("describes a table differently from its catalog");
    }
    Ok(known)
}

/// Checks a table of a state against the catalog and the policy.
fn check_state_table(
    table: &Table,
    catalog: &Catalog,
    policy: Option<&Policy>,
) -> Result<(), &'static str> {
    let known = known_table(table, catalog)?;
    let keeps_dates = policy.is_none_or(|policy| policy.numbers != NumberRule::Drop);
    let mut expected = vec![(AS_OF, DataType::Date32), (AGREEMENT, DataType::Utf8)];
    if !keeps_dates {
        expected.remove(0);
    }
    let own = table.columns.len().saturating_sub(expected.len());
    let (columns, added) = table.columns.split_at(own);
    let is_expected = added.len() == expected.len()
        && added
            .iter()
            .zip(expected)
            .all(|(column, (name, data_type))| {
                column.name == name
                    && column.data_type == data_type
                    && !column.nullable
                    && column.field.is_none()
            });
    if !is_expected {
        return Err("has a table without as_of or agreement, or one that has them in another form");
    }
    let added = |column: &Column| matches!(column.name.as_str(), AS_OF | AGREEMENT | LINE);
    if columns.iter().any(added) {
        return Err("has a table with line, or with as_of or agreement twice");
    }
    match policy {
        Some(policy) => check_table(table, columns, catalog, policy),
        None if columns.iter().all(|column| known.columns.contains(column)) => Ok(()),
        None => Err("has a column that its catalog lacks"),
    }
}

/// Checks the columns of a table of a view against the catalog and the policy.
fn check_table(
    table: &Table,
    columns: &[Column],
    catalog: &Catalog,
    policy: &Policy,
) -> Result<(), &'static str> {
    let known = known_table(table, catalog)?;
    if let Some(tables) = &policy.tables
        && !tables.contains(&table.name)
    {
        return Err("has a table that the policy does not name");
    }
    for (index, column) in columns.iter().enumerate() {
        let mut before = columns.iter().take(index);
        if before.any(|other| other.name == column.name) {
            return Err("has a column twice");
        }
        if column.name == PROTECTED && column.field.is_none() {
            let is_valid = column.data_type == DataType::Boolean && !column.nullable;
            if !is_valid || policy.protection != ProtectionRule::Include {
                return Err(
                    "has a column \"protected\" that the policy does not ask for, or that has another type",
                );
            }
            continue;
        }
        if !known.columns.contains(column) {
            return Err("has a column that its catalog lacks");
        }
        let class = column.field.as_ref().and_then(|f| f.sensitivity.as_deref());
        if class.is_some_and(|class| !policy.classes.contains(class)) {
            return Err("has a column of a class that the policy hides");
        }
        if policy.numbers == NumberRule::Drop && is_number(table, column) {
            return Err("has a column of person numbers that the policy drops");
        }
        if let Some(columns) = policy.columns.get(&table.name)
            && !columns.contains(&column.name)
        {
            return Err("has a column that the policy does not name");
        }
    }
    Ok(())
}

/// Checks the columns of `out_of_scope`.
fn check_out_of_scope(table: &Table, policy: &Policy) -> Result<(), &'static str> {
    let expected = vec![
        (PNR, DataType::Utf8, false),
        ("reason", DataType::Utf8, false),
        ("date", DataType::Date32, true),
    ];
    match has_columns(table, expected, policy) {
        true => Ok(()),
        false => Err("has other columns in out_of_scope than the contract"),
    }
}

/// Checks the columns of `into_scope`.
fn check_into_scope(table: &Table, policy: &Policy) -> Result<(), &'static str> {
    let expected = vec![
        (PNR, DataType::Utf8, false),
        ("date", DataType::Date32, true),
    ];
    match has_columns(table, expected, policy) {
        true => Ok(()),
        false => Err("has other columns in into_scope than the contract"),
    }
}

/// Returns whether a table that is not in the catalog has these columns; the first is left out if numbers are dropped.
fn has_columns(table: &Table, mut expected: Vec<(&str, DataType, bool)>, policy: &Policy) -> bool {
    if policy.numbers == NumberRule::Drop {
        expected.remove(0);
    }
    table.record_type.is_none()
        && table.columns.len() == expected.len()
        && table
            .columns
            .iter()
            .zip(expected)
            .all(|(column, (name, data_type, nullable))| {
                column.name == name
                    && column.data_type == data_type
                    && column.nullable == nullable
                    && column.field.is_none()
            })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, kind: &str, class: Option<&str>) -> wit::Column {
        wit::Column {
            name: name.to_owned(),
            data_type: wit::DataType::Utf8,
            nullable: true,
            field: Some(wit::Field {
                cpr_name: name.to_uppercase(),
                position: 4,
                length: 10,
                kind: kind.to_owned(),
                sensitivity: class.map(str::to_owned),
            }),
        }
    }

    fn own_column(name: &str, data_type: wit::DataType, nullable: bool) -> wit::Column {
        wit::Column {
            name: name.to_owned(),
            data_type,
            nullable,
            field: None,
        }
    }

    fn table(name: &str, columns: Vec<wit::Column>) -> wit::Table {
        wit::Table {
            name: name.to_owned(),
            record_type: Some("001".to_owned()).filter(|_| name != OUT_OF_SCOPE),
            cpr_title: String::new(),
            description: String::new(),
            columns,
        }
    }

    fn person() -> wit::Table {
        let columns = vec![
            column("pnr", "pnr", None),
            column("given_name", "text", Some("name")),
            column("church_relation", "code", Some("religion")),
        ];
        table("person", columns)
    }

    fn out_of_scope() -> wit::Table {
        let columns = vec![
            own_column("pnr", wit::DataType::Utf8, false),
            own_column("reason", wit::DataType::Utf8, false),
            own_column("date", wit::DataType::Date, true),
        ];
        table(OUT_OF_SCOPE, columns)
    }

    /// Returns the error for this view, with a catalog of only the table `person`.
    fn error(policy: &Policy, tables: Vec<wit::Table>) -> Option<String> {
        let catalog = Catalog::new(vec![person()], Vec::new()).unwrap();
        let view = PolicyView::new(tables, &catalog, policy);
        view.err().map(|error| error.to_string())
    }

    /// Returns `person` after a change, and `out_of_scope`.
    fn changed(change: impl FnOnce(&mut wit::Table)) -> Vec<wit::Table> {
        let mut table = person();
        table.columns.pop();
        change(&mut table);
        vec![table, out_of_scope()]
    }

    #[test]
    fn accepts_a_view_within_the_catalog_and_the_policy() {
        assert_eq!(error(&Policy::default(), changed(|_| {})), None);
        let fewer = changed(|table| drop(table.columns.pop()));
        assert_eq!(error(&Policy::default(), fewer), None);
        let including = Policy {
            protection: ProtectionRule::Include,
            ..Policy::default()
        };
        let protected = own_column(PROTECTED, wit::DataType::Boolean, false);
        let with_protected = changed(|table| table.columns.push(protected));
        assert_eq!(error(&including, with_protected), None);
    }

    #[test]
    fn rejects_a_view_beyond_the_catalog_or_the_policy() {
        let policy = Policy::default();
        let protected = |nullable| own_column(PROTECTED, wit::DataType::Boolean, nullable);
        for (tables, expected) in [
            (
                changed(|table| table.columns = person().columns),
                "a class that the policy hides",
            ),
            (
                changed(|table| table.name = "people".to_owned()),
                "a table that its catalog lacks",
            ),
            (
                changed(|table| table.description = "Anna".to_owned()),
                "describes a table differently",
            ),
            (
                changed(|table| table.columns[1].nullable = false),
                "a column that its catalog lacks",
            ),
            (
                changed(|table| table.columns[1].data_type = wit::DataType::Date),
                "a column that its catalog lacks",
            ),
            (
                changed(|table| table.columns[1].field = None),
                "a column that its catalog lacks",
            ),
            (
                changed(|table| table.columns.push(column("pnr", "pnr", None))),
                "a column twice",
            ),
            (
                changed(|table| table.columns.push(protected(false))),
                "\"protected\" that the policy does not ask for",
            ),
            (vec![person(), person(), out_of_scope()], "hides"),
            (vec![out_of_scope(), out_of_scope()], "a table twice"),
            (vec![], "lacks out_of_scope"),
            (
                vec![table(OUT_OF_SCOPE, person().columns)],
                "other columns in out_of_scope",
            ),
        ] {
            let error = error(&policy, tables).unwrap();
            assert!(error.contains(expected), "{error}");
        }
        let including = Policy {
            protection: ProtectionRule::Include,
            ..Policy::default()
        };
        let nullable = changed(|table| table.columns.push(protected(true)));
        assert!(
            error(&including, nullable)
                .unwrap()
                .contains("does not ask for")
        );
        let narrow = Policy {
            columns: [("person".to_owned(), vec!["pnr".to_owned()])].into(),
            ..Policy::default()
        };
        assert!(
            error(&narrow, changed(|_| {}))
                .unwrap()
                .contains("does not name")
        );
        let dropping = Policy {
            numbers: NumberRule::Drop,
            ..Policy::default()
        };
        assert!(
            error(&dropping, changed(|_| {}))
                .unwrap()
                .contains("person numbers")
        );
    }

    fn of_state(policy: Option<&Policy>, tables: Vec<wit::Table>) -> Option<String> {
        let catalog = Catalog::new(vec![person()], Vec::new()).unwrap();
        let view = PolicyView::of_state(tables, &catalog, policy);
        view.err().map(|error| error.to_string())
    }

    /// Returns `person` of a state after a change.
    fn state_person(change: impl FnOnce(&mut Vec<wit::Column>)) -> wit::Table {
        let mut table = person();
        table.columns.pop();
        table
            .columns
            .push(own_column(AS_OF, wit::DataType::Date, false));
        table
            .columns
            .push(own_column(AGREEMENT, wit::DataType::Utf8, false));
        change(&mut table.columns);
        table
    }

    fn into_scope() -> wit::Table {
        let mut table = out_of_scope();
        table.columns.remove(1);
        wit::Table {
            name: INTO_SCOPE.to_owned(),
            ..table
        }
    }

    #[test]
    fn checks_the_view_of_a_state() {
        let policy = Policy::default();
        let tables = || vec![state_person(|_| {}), out_of_scope(), into_scope()];
        assert_eq!(of_state(Some(&policy), tables()), None);
        assert_eq!(of_state(None, vec![state_person(|_| {})]), None);
        let dropping = Policy {
            numbers: NumberRule::Drop,
            ..Policy::default()
        };
        let with_date = of_state(Some(&dropping), tables()).unwrap();
        assert!(with_date.contains("as_of or agreement"), "{with_date}");
        type Change = fn(&mut Vec<wit::Column>);
        let changes: [(Change, &str); 6] = [
            (|columns| drop(columns.pop()), "as_of or agreement"),
            (|columns| drop(columns.remove(2)), "as_of or agreement"),
            (|columns| columns[2].nullable = true, "as_of or agreement"),
            (|columns| columns.swap(2, 3), "as_of or agreement"),
            (
                |columns| columns.insert(0, own_column(LINE, wit::DataType::Int64, false)),
                "with line",
            ),
            (
                |columns| columns.insert(2, column("church_relation", "code", Some("religion"))),
                "a class that the policy hides",
            ),
        ];
        for (change, expected) in changes {
            let tables = vec![state_person(change), out_of_scope(), into_scope()];
            let error = of_state(Some(&policy), tables).unwrap();
            assert!(error.contains(expected), "{error}");
        }
        let without = of_state(Some(&policy), vec![state_person(|_| {}), out_of_scope()]);
        assert!(
            without
                .unwrap()
                .contains("lacks out_of_scope or into_scope")
        );
        let twice = vec![state_person(|_| {}), state_person(|_| {})];
        assert!(of_state(None, twice).unwrap().contains("a table twice"));
        // Without a policy there are no such tables.
        let leavers = vec![state_person(|_| {}), out_of_scope()];
        assert!(of_state(None, leavers).is_some());
        let invented = vec![state_person(|columns| columns[1].nullable = false)];
        assert!(of_state(None, invented).unwrap().contains("catalog lacks"));
    }
}
