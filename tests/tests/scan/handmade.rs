//! Compares every value of small hand-made extracts with values that were written by hand.
//!
//! `tests/data/README.md` describes the files.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use chrono::{NaiveDate, NaiveDateTime};
use cprflow_tests::command::{TestDirectory, cprflow};
use cprflow_tests::reference_reader::{FieldRule, Row, Tables, Value};
use cprflow_tests::{layout_data, rows, test_run};
use serde_json::Value as Json;

#[test]
fn every_value_is_the_one_written_by_hand() {
    let extracts = extracts();
    assert!(extracts.len() >= 6);
    for path in extracts {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let expected = fs::read_to_string(path.with_extension("expected.json")).unwrap();
        let expected: Json = serde_json::from_str(&expected).unwrap();
        let tables = expected_tables(&expected["tables"]);

        let scanned = rows::scan(&fs::read(&path).unwrap());
        assert!(scanned.error.is_none(), "{name}: {:?}", scanned.error);
        assert_same(&name, &scanned.tables(), &tables);
        let findings = expected["findings"].as_array().unwrap().iter();
        let findings: Vec<_> = findings.map(|text| text.as_str().unwrap()).collect();
        assert_eq!(scanned.findings(), findings, "{name}");

        let directory = TestDirectory::new();
        let output = directory.path("out");
        let extract = path.to_str().unwrap();
        let ended = cprflow([
            "scan", extract, "--all", "--format", "parquet", "--output", &output,
        ]);
        // The command ends with 1 if a finding needs attention. Notes do not.
        let needs_attention = findings.iter().any(|text| !text.starts_with("note "));
        assert_eq!(
            ended.code,
            i32::from(needs_attention),
            "{name}: {}",
            ended.stderr
        );
        assert_same(&name, &test_run::tables(Path::new(&output)), &tables);
    }
}

/// Returns the hand-made extracts in alphabetical order.
fn extracts() -> Vec<PathBuf> {
    let folder = cprflow_tests::root().join("tests/data/extracts");
    let entries = fs::read_dir(folder).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "cpr"));
    paths.sort();
    paths
}

fn assert_same(name: &str, found: &Tables, expected: &Tables) {
    let tables = |tables: &Tables| tables.keys().cloned().collect::<Vec<_>>();
    assert_eq!(tables(found), tables(expected), "{name}");
    for (table, expected) in expected {
        assert_eq!(found[table], *expected, "{name}: {table}");
    }
}

/// Returns the rows of an `expected.json`, with all columns of each table.
fn expected_tables(expected: &Json) -> Tables {
    let rules = layout_data::rules();
    let by_table: BTreeMap<&str, &[FieldRule]> = rules
        .values()
        .map(|rule| (rule.table.as_str(), rule.fields.as_slice()))
        .collect();
    let tables = expected.as_object().unwrap().iter();
    let tables = tables.map(|(table, rows)| {
        let rows = rows.as_array().unwrap().iter();
        let rows = rows.map(|row| match table.as_str() {
            "unknown_record" => raw_row("record_type", row),
            "rejected_record" => raw_row("reason", row),
            table => expected_row(by_table[table], row),
        });
        (table.clone(), rows.collect())
    });
    tables.collect()
}

fn raw_row(label: &str, row: &Json) -> Row {
    let text = |column: &str| Value::Text(row[column].as_str().unwrap().to_owned());
    assert_eq!(row.as_object().unwrap().len(), 3);
    vec![
        ("line".to_owned(), number(&row["line"])),
        (label.to_owned(), text(label)),
        ("raw".to_owned(), text("raw")),
    ]
}

/// Returns a row. A column that is not listed is null, or false if it is a flag.
fn expected_row(fields: &[FieldRule], row: &Json) -> Row {
    let listed = row.as_object().unwrap();
    let mut columns: Row = fields
        .iter()
        .map(|field| {
            let value = match listed.get(&field.column) {
                Some(listed) => value(&field.kind, listed),
                None if field.kind == "flag" => Value::Flag(false),
                None => Value::Null,
            };
            (field.column.clone(), value)
        })
        .collect();
    let irregular = match listed.get("irregular") {
        Some(entries) => Value::Map(irregular(fields, entries)),
        None => Value::Null,
    };
    columns.push(("irregular".to_owned(), irregular));
    columns.push(("line".to_owned(), number(&row["line"])));
    for column in listed.keys() {
        let is_known = columns.iter().any(|(known, _)| known == column);
        assert!(is_known, "{column} is not a column of the table");
    }
    columns
}

/// Returns the irregular values in the order of their fields. The tail comes last.
fn irregular(fields: &[FieldRule], entries: &Json) -> Vec<(String, String)> {
    let entries = entries.as_object().unwrap();
    let columns = fields.iter().map(|field| field.column.as_str());
    let ordered: Vec<_> = columns
        .chain(["+"])
        .filter_map(|column| {
            let text = entries.get(column)?.as_str().unwrap();
            Some((column.to_owned(), text.to_owned()))
        })
        .collect();
    assert_eq!(ordered.len(), entries.len());
    ordered
}

/// Parses a value: dates as `2026-03-02`, times as `2026-03-02T12:30`.
fn value(kind: &str, listed: &Json) -> Value {
    let text = || listed.as_str().unwrap();
    match kind {
        _ if listed.is_null() => Value::Null,
        "date" | "date8" => {
            let date: NaiveDate = text().parse().unwrap();
            let days = date.signed_duration_since(NaiveDate::default()).num_days();
            Value::Days(days)
        }
        "timestamp" => {
            let time = NaiveDateTime::parse_from_str(text(), "%Y-%m-%dT%H:%M").unwrap();
            Value::Micros(time.and_utc().timestamp_micros())
        }
        "flag" => Value::Flag(listed.as_bool().unwrap()),
        "count" => number(listed),
        _ => Value::Text(text().to_owned()),
    }
}

fn number(listed: &Json) -> Value {
    Value::Number(listed.as_i64().unwrap())
}
