//! The tables of a policy: what a component says that it lets through, held against its catalog and the policy.

use arrow::datatypes::{DataType, SchemaRef};

use crate::catalog::{Catalog, Column, Table};
use crate::error::{ComponentError, Error};
use crate::policy::{Numbers, Policy, Protection};
use crate::sandbox::bindings::exports::cprflow::connector::catalog as wit;

/// The table of persons who were in scope and no longer are.
pub const OUT_OF_SCOPE: &str = "out_of_scope";

/// The column that says whether a row's person has protection of name and address.
pub const PROTECTED: &str = "protected";

/// The kind of the columns that hold person numbers.
const PNR: &str = "pnr";

/// The tables and columns that a policy lets through, as a scan yields them.
#[derive(Debug, Clone)]
pub struct View {
    tables: Vec<Table>,
    is_pseudonymous: bool,
}

impl View {
    /// Believes a component only as far as its catalog and the policy go.
    pub(crate) fn new(
        tables: Vec<wit::Table>,
        catalog: &Catalog,
        policy: &Policy,
    ) -> Result<Self, Error> {
        let mut seen: Vec<Table> = Vec::with_capacity(tables.len());
        for table in tables.into_iter().map(Table::from) {
            let what = if seen.iter().any(|other| other.name == table.name) {
                Err("has a table twice")
            } else if table.name == OUT_OF_SCOPE {
                check_leavers(&table, policy)
            } else {
                check(&table, catalog, policy)
            };
            what.map_err(|what| {
                ComponentError::Misbehaved(format!("its view of the policy {what}"))
            })?;
            seen.push(table);
        }
        if !seen.iter().any(|table| table.name == OUT_OF_SCOPE) {
            let what = format!("its view of the policy lacks {OUT_OF_SCOPE}");
            return Err(ComponentError::Misbehaved(what).into());
        }
        Ok(Self {
            tables: seen,
            is_pseudonymous: policy.numbers == Numbers::Pseudonym,
        })
    }

    /// The tables, in the order in which a scan knows them; the last is `out_of_scope`.
    pub fn tables(&self) -> &[Table] {
        &self.tables
    }

    /// The table of that name.
    pub fn table(&self, name: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.name == name)
    }

    /// The places of the columns that the host must replace by pseudonyms.
    pub(crate) fn pseudonyms(&self, table: &str, schema: &SchemaRef) -> Vec<usize> {
        let Some(table) = self.table(table).filter(|_| self.is_pseudonymous) else {
            return Vec::new();
        };
        let holds_number = |name: &String| {
            let column = table.columns.iter().find(|column| column.name == *name);
            column.is_some_and(|column| is_number(table, column))
        };
        let fields = schema.fields().iter().enumerate();
        fields
            .filter(|(_, field)| holds_number(field.name()))
            .map(|(place, _)| place)
            .collect()
    }
}

/// Whether a column holds person numbers.
fn is_number(table: &Table, column: &Column) -> bool {
    match &column.field {
        Some(field) => field.kind == PNR,
        None => table.name == OUT_OF_SCOPE && column.name == PNR,
    }
}

/// Holds a table of the catalog against the catalog's own word and the policy's.
fn check(table: &Table, catalog: &Catalog, policy: &Policy) -> Result<(), &'static str> {
    let known = catalog
        .table(&table.name)
        .ok_or("has a table that its catalog lacks")?;
    if (&known.record_type, &known.cpr_title, &known.description)
        != (&table.record_type, &table.cpr_title, &table.description)
    {
        return Err("describes a table otherwise than its catalog");
    }
    if let Some(tables) = &policy.tables
        && !tables.contains(&table.name)
    {
        return Err("has a table that the policy does not name");
    }
    for (place, column) in table.columns.iter().enumerate() {
        let mut before = table.columns.iter().take(place);
        if before.any(|other| other.name == column.name) {
            return Err("has a column twice");
        }
        if column.name == PROTECTED && column.field.is_none() {
            let is_sound = column.data_type == DataType::Boolean && !column.nullable;
            if !is_sound || policy.protection != Protection::Include {
                return Err("has a column \"protected\" that does not belong");
            }
            continue;
        }
        if !known.columns.contains(column) {
            return Err("has a column that its catalog lacks");
        }
        let class = column.field.as_ref().and_then(|f| f.sensitivity.as_deref());
        if let Some(class) = class
            && !is_allowed(class, policy)
        {
            return Err("has a column of a class that the policy hides");
        }
        if policy.numbers == Numbers::Drop && is_number(table, column) {
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

fn is_allowed(class: &str, policy: &Policy) -> bool {
    policy.classes.contains(class)
        || class == "civil-status" && policy.classes.contains("civil-status-history")
}

/// Holds the table of leavers against the one that there can be.
fn check_leavers(table: &Table, policy: &Policy) -> Result<(), &'static str> {
    let mut expected = vec![
        (PNR, DataType::Utf8, false),
        ("reason", DataType::Utf8, false),
        ("date", DataType::Date32, true),
    ];
    if policy.numbers == Numbers::Drop {
        expected.remove(0);
    }
    let is_expected = table.record_type.is_none()
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
            });
    match is_expected {
        true => Ok(()),
        false => Err("has another out_of_scope than there can be"),
    }
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

    fn own(name: &str, data_type: wit::DataType, nullable: bool) -> wit::Column {
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

    fn leavers() -> wit::Table {
        let columns = vec![
            own("pnr", wit::DataType::Utf8, false),
            own("reason", wit::DataType::Utf8, false),
            own("date", wit::DataType::Date, true),
        ];
        table(OUT_OF_SCOPE, columns)
    }

    /// What is said of a view of the catalog that has the one table.
    fn said(policy: &Policy, tables: Vec<wit::Table>) -> Option<String> {
        let catalog = Catalog::new(vec![person()]).unwrap();
        let view = View::new(tables, &catalog, policy);
        view.err().map(|error| error.to_string())
    }

    /// The person table after a change, and the leavers.
    fn changed(change: impl FnOnce(&mut wit::Table)) -> Vec<wit::Table> {
        let mut table = person();
        table.columns.pop();
        change(&mut table);
        vec![table, leavers()]
    }

    #[test]
    fn a_view_within_the_catalog_and_the_policy_is_believed() {
        assert_eq!(said(&Policy::default(), changed(|_| {})), None);
        let fewer = changed(|table| drop(table.columns.pop()));
        assert_eq!(said(&Policy::default(), fewer), None);
        let including = Policy {
            protection: Protection::Include,
            ..Policy::default()
        };
        let protected = own(PROTECTED, wit::DataType::Boolean, false);
        let with_protected = changed(|table| table.columns.push(protected));
        assert_eq!(said(&including, with_protected), None);
    }

    #[test]
    fn a_view_beyond_the_catalog_or_the_policy_is_not() {
        let policy = Policy::default();
        let protected = |nullable| own(PROTECTED, wit::DataType::Boolean, nullable);
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
                "describes a table otherwise",
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
                "\"protected\" that does not belong",
            ),
            (vec![person(), person(), leavers()], "hides"),
            (vec![leavers(), leavers()], "a table twice"),
            (vec![], "lacks out_of_scope"),
            (
                vec![table(OUT_OF_SCOPE, person().columns)],
                "another out_of_scope",
            ),
        ] {
            let said = said(&policy, tables).unwrap();
            assert!(said.contains(expected), "{said}");
        }
        let including = Policy {
            protection: Protection::Include,
            ..Policy::default()
        };
        let nullable = changed(|table| table.columns.push(protected(true)));
        assert!(
            said(&including, nullable)
                .unwrap()
                .contains("does not belong")
        );
        let narrow = Policy {
            columns: [("person".to_owned(), vec!["pnr".to_owned()])].into(),
            ..Policy::default()
        };
        assert!(
            said(&narrow, changed(|_| {}))
                .unwrap()
                .contains("does not name")
        );
        let dropping = Policy {
            numbers: Numbers::Drop,
            ..Policy::default()
        };
        assert!(
            said(&dropping, changed(|_| {}))
                .unwrap()
                .contains("person numbers")
        );
    }
}
