//! Tests of policies: the view, the masks and the rows that a scan returns.

mod classes;
mod damage;
mod protection;
mod rows;
mod view;

use arrow::array::{Array, AsArray};
use arrow::datatypes::DataType;

use super::*;
use crate::columns::schema::{ColumnId, IRREGULAR, OUT_OF_SCOPE, PROTECTED, TableId, all_tables};
use crate::layout;
use crate::{Scan, ScanOptions, Selection, TableRequest};

const DEFAULT_CLASSES: [&str; 4] = ["address", "civil-status", "name", "protection"];

fn policy() -> Policy {
    Policy {
        classes: DEFAULT_CLASSES.map(str::to_owned).into(),
        day: Some("2026-06-15".to_owned()),
        ..Policy::default()
    }
}

fn open() -> Policy {
    Policy {
        day: Some("2026-06-15".to_owned()),
        ..Policy::open()
    }
}

fn with_classes(policy: &Policy, more: &[&str]) -> Vec<String> {
    [policy.classes.clone(), names(more)].concat()
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn tables_of(policy: &Policy) -> Vec<&'static str> {
    let tables = policy.view().unwrap().tables;
    tables.iter().map(|table| table.id.name()).collect()
}

fn columns_of(policy: &Policy, table: &str) -> Vec<&'static str> {
    let view = policy.view().unwrap();
    let table = view.table(table).unwrap_or_else(|| panic!("no {table}"));
    table.columns.iter().map(|column| column.name()).collect()
}

fn refused(policy: &Policy) -> String {
    match policy.view() {
        Err(Error::InvalidRequest(message)) => message,
        other => panic!("{other:?}"),
    }
}

/// Returns a trimmed record of that table with these fields.
fn record(table: &str, fields: &[(&str, &str)]) -> String {
    let table = layout::by_name(table).unwrap();
    let mut record = vec![b' '; table.record_length()];
    record[..3].copy_from_slice(table.record_type.as_bytes());
    for (name, text) in fields {
        let column = table.column(name).unwrap();
        record[column.start()..][..text.len()].copy_from_slice(text.as_bytes());
    }
    let text = String::from_utf8(record).unwrap();
    format!("{}\n", text.trim_end())
}

/// Returns all cells of a scan under that policy as `table line column value`, without nulls.
fn cells(policy: &Policy, extract: &str) -> Vec<String> {
    cells_of(policy, extract, &ScanOptions::default())
}

fn cells_of(policy: &Policy, extract: &str, options: &ScanOptions) -> Vec<String> {
    let mut selection = Selection::open_policy(policy.clone(), None).unwrap();
    selection.push(extract.as_bytes().to_vec()).unwrap();
    selection.finish().unwrap();
    let mut scan = Scan::open(options, Some(&selection)).unwrap();
    scan.push(extract.as_bytes().to_vec()).unwrap();
    scan.finish().unwrap();
    let mut cells = Vec::new();
    while let Some(rows) = scan.next().unwrap() {
        for (field, column) in rows
            .batch
            .schema()
            .fields()
            .iter()
            .zip(rows.batch.columns())
        {
            for (row, line) in rows.lines.iter().enumerate() {
                if let Some(value) = value(column, row) {
                    cells.push(format!(
                        "{} {line} {} {value}",
                        rows.table.name(),
                        field.name()
                    ));
                }
            }
        }
    }
    cells
}

fn value(column: &dyn Array, row: usize) -> Option<String> {
    if column.is_null(row) {
        return None;
    }
    Some(match column.data_type() {
        DataType::Utf8 => column.as_string::<i32>().value(row).to_owned(),
        DataType::Boolean => column.as_boolean().value(row).to_string(),
        DataType::Map(..) => {
            let entries = column.as_map().value(row);
            let texts = |place: usize| entries.column(place).as_string::<i32>().clone();
            let (keys, values) = (texts(0), texts(1));
            let pairs = keys.iter().zip(&values);
            let pairs: Vec<_> = pairs
                .map(|(k, v)| format!("{}={}", k.unwrap(), v.unwrap()))
                .collect();
            pairs.join(";")
        }
        _ => "…".to_owned(),
    })
}

fn has(cells: &[String], cell: &str) -> bool {
    cells.iter().any(|one| one == cell)
}

fn speaks_of(cells: &[String], beginning: &str) -> bool {
    cells.iter().any(|one| one.starts_with(beginning))
}

/// Returns two persons who are each other's spouses, the second of them protected, and a third without a 001.
fn family() -> String {
    let person = |pnr| {
        record(
            "person",
            &[("pnr", pnr), ("status", "01"), ("occupation", "Smith")],
        )
    };
    let name = |pnr, name| {
        record(
            "name",
            &[
                ("pnr", pnr),
                ("given_name", name),
                ("name_start", "202000001200"),
            ],
        )
    };
    let spouse = |pnr, spouse, name| {
        record(
            "civil_status",
            &[
                ("pnr", pnr),
                ("civil_status", "G"),
                ("spouse_pnr", spouse),
                ("spouse_name", name),
            ],
        )
    };
    [
        "00000000000001109012026061520260614\n".to_owned(),
        person("0101010010"),
        name("0101010010", "Anna"),
        spouse("0101010010", "0101010029", "Bodil"),
        person("0101010029"),
        name("0101010029", "Bodil"),
        spouse("0101010029", "0101010010", "Anna"),
        record(
            "protection",
            &[
                ("pnr", "0101010029"),
                ("protection_type", "0001"),
                ("start_date", "2020-00-00"),
            ],
        ),
        name("0101010037", "Clara"),
        spouse("0101010010", "0101010037", "Clara"),
        spouse("0101010010", "", "Dorte"),
        spouse("0101010010", "0101010010", "Anna"),
    ]
    .concat()
}
