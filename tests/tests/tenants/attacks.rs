//! Attacks on the policies of tenants that reveal nothing: extracts of several nights, and every value that each tenant
//! gets.
//!
//! `tests/data/README.md` describes the files.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Duration, NaiveDate};
use cprflow_tests::reference_reader::{Row, Value};
use cprflow_tests::test_run::{TestRun, tables, transfer};
use serde_json::{Value as Json, json};

#[test]
fn every_tenant_gets_what_was_checked_by_hand() {
    let attacks = entries(&cprflow_tests::root().join("tests/data/attacks"));
    assert!(attacks.len() >= 19, "{attacks:?}");
    for attack in attacks {
        check(&attack);
    }
}

/// Runs the daily job over the nights of an attack, and compares what each tenant gets.
fn check(attack: &Path) {
    let name = name_of(attack);
    let text = fs::read_to_string(attack.join("expected.json")).unwrap();
    let expected: Json = serde_json::from_str(&text).unwrap();
    let test = TestRun::local();
    test.configure(&fs::read_to_string(attack.join("cprflow.toml")).unwrap());
    write_key(&test.path("key"));

    let exit_codes = expected["exit_codes"].as_array().unwrap();
    let nights = entries(attack);
    let is_extract = |path: &&PathBuf| path.extension().is_some_and(|end| end == "cpr");
    assert_eq!(nights.iter().filter(is_extract).count(), exit_codes.len());
    for (night, exit_code) in exit_codes.iter().enumerate() {
        let extract = fs::read(attack.join(format!("night{}.cpr", night + 1))).unwrap();
        let file = format!("d2603{:02}.l431101", night + 2);
        test.put(&file, &extract, &transfer(night as u32 + 1));
        let ended = test.sync();
        assert_eq!(
            json!(ended.code),
            *exit_code,
            "{name}, night {}: {}{}",
            night + 1,
            ended.stderr,
            ended.text()
        );
    }

    let tenants = entries(&test.path("tenants"));
    let tenants: BTreeSet<_> = tenants.iter().map(|tenant| name_of(tenant)).collect();
    assert_eq!(tenants, keys(&expected["tenants"]), "{name}");
    for tenant in tenants {
        let expected = &expected["tenants"][&tenant];
        let published = test.published_to(&tenant);
        let directories: Vec<_> = published
            .into_iter()
            .map(|(directory, _)| directory)
            .collect();
        let delivery_of = |directory: &PathBuf| {
            let below = directory.strip_prefix(test.dataset_of(&tenant)).unwrap();
            below.to_string_lossy().into_owned()
        };
        let deliveries: BTreeSet<_> = directories.iter().map(delivery_of).collect();
        assert_eq!(deliveries, keys(expected), "{name}, {tenant}");
        for directory in &directories {
            let delivery = delivery_of(directory);
            let place = format!("{name}, {tenant}, {delivery}");
            assert_delivery(&place, directory, &expected[&delivery]);
        }
    }
    for (tenant, expected) in expected["current"].as_object().into_iter().flatten() {
        assert_current(&name, &test.dataset_of(tenant).join("current"), expected);
    }
}

/// Asserts that the listed tables have exactly these values now.
fn assert_current(name: &str, directory: &Path, expected: &Json) {
    let current = tables(directory);
    for (table, expected) in expected.as_object().unwrap() {
        let rows: Vec<_> = current[table].iter().map(values).collect();
        let place = format!("{name}: {}: {table}", directory.display());
        assert_eq!(sorted(&json!(rows)), sorted(expected), "{place}");
    }
}

/// Asserts that a delivery has exactly these tables, columns and values.
fn assert_delivery(place: &str, directory: &Path, expected: &Json) {
    let mut empty = BTreeSet::new();
    let mut filled = BTreeSet::new();
    for (table, rows) in tables(directory) {
        let Some(first) = rows.first() else {
            empty.insert(table);
            continue;
        };
        let columns: Vec<_> = first.iter().map(|(column, _)| column.as_str()).collect();
        let rows: Vec<_> = rows.iter().map(values).collect();
        let expected = &expected["tables"][&table];
        assert_eq!(json!(columns), expected["columns"], "{place}: {table}");
        let (found, expected) = (json!(rows), &expected["rows"]);
        match shows_numbers(&found) {
            true => assert_eq!(&found, expected, "{place}: {table}"),
            // Rows without a visible number are not in the order of the extract.
            false => assert_eq!(sorted(&found), sorted(expected), "{place}: {table}"),
        }
        filled.insert(table);
    }
    assert_eq!(filled, keys(&expected["tables"]), "{place}");
    assert_eq!(json!(empty), expected["empty"], "{place}");
}

/// Returns the values of a row in the notation of `expected.json`. Nulls are left out.
fn values(row: &Row) -> Json {
    let listed = row.iter().filter(|(_, value)| *value != Value::Null);
    let listed = listed.map(|(column, value)| (column.clone(), notation(value)));
    Json::Object(listed.collect())
}

fn notation(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Text(text) => json!(text),
        Value::Days(days) => json!((NaiveDate::default() + Duration::days(*days)).to_string()),
        Value::Micros(micros) => {
            let time = DateTime::from_timestamp_micros(*micros).unwrap();
            json!(time.format("%Y-%m-%dT%H:%M").to_string())
        }
        Value::Flag(flag) => json!(flag),
        Value::Number(number) => json!(number),
        Value::Map(entries) => {
            let texts = entries.iter();
            let texts = texts.map(|(column, text)| (column.clone(), json!(text)));
            Json::Object(texts.collect())
        }
    }
}

/// Returns the keys of an object.
fn keys(object: &Json) -> BTreeSet<String> {
    object.as_object().unwrap().keys().cloned().collect()
}

/// Returns whether the rows show person numbers: ten digits in `pnr`.
fn shows_numbers(rows: &Json) -> bool {
    let number = rows[0]["pnr"].as_str();
    number.is_some_and(|number| number.len() == 10)
}

fn sorted(rows: &Json) -> Vec<String> {
    let rows = rows.as_array().into_iter().flatten();
    let mut rows: Vec<String> = rows.map(Json::to_string).collect();
    rows.sort();
    rows
}

/// Writes the key that the pseudonyms in `expected.json` were made with.
fn write_key(path: &Path) {
    fs::write(path, format!("{}\n", "k".repeat(64))).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// Returns the entries of a directory in alphabetical order.
fn entries(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}
