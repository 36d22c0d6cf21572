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
