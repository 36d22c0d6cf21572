//! DuckDB, polars, pandas and pyarrow read what cprflow writes, with the intended types.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::fs::File;
use std::path::Path;
use std::process::Command;

use arrow::ipc::writer::StreamWriter;
use chrono::{DateTime, Duration, NaiveDate};
use cprflow::{ParquetDirectory, Scan};
use cprflow_tests::extract;
use cprflow_tests::reference_reader::{Tables, Value};
use cprflow_tests::rows;
use serde_json::{Value as Json, json};

#[test]
fn engines_read_the_tables() {
    let Some(python) = cprflow_tests::python::python() else {
        return;
    };
    let bytes = extract::small(400, 6);
    let directory = tempfile::tempdir().unwrap();
    let tables = directory.path().join("tables");
    let stream = directory.path().join("event.arrow");
    write(&bytes, &tables, &stream);
    let output = Command::new(python)
        .arg(cprflow_tests::root().join("tests/python/engines.py"))
        .args([&tables, &stream])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let seen: Json = serde_json::from_slice(&output.stdout).unwrap();
    let expected = rows::scan(&bytes).tables();
    for engine in ["pyarrow", "duckdb", "polars", "pandas"] {
        compare(engine, &seen[engine], &expected);
    }
    let stream = &seen["stream"];
    assert_eq!(stream["types"], types(STREAMED));
    let rows = &expected[STREAMED];
    let lines: Vec<_> = rows
        .iter()
        .map(|row| json(&row.last().unwrap().1))
        .collect();
    for engine in ["pyarrow", "duckdb", "polars", "pandas"] {
        assert_eq!(stream[engine], rows.len(), "{engine}");
    }
    assert_eq!(stream["lines"], json!([lines[0], lines[lines.len() - 1]]));
}

/// The table that is also written as an Arrow stream.
const STREAMED: &str = "person";

fn write(bytes: &[u8], tables: &Path, stream: &Path) {
    let mut parquet = ParquetDirectory::create(tables, false).unwrap();
    for (table, batch) in rows::scan(bytes).batches {
        parquet.write(&table, &batch).unwrap();
    }
    parquet.finish().unwrap();
    let reader = Scan::new(rows::connector())
        .table(STREAMED)
        .batch_rows(100)
        .read(bytes)
        .unwrap();
    let schema = arrow::array::RecordBatchReader::schema(&reader);
    let mut writer = StreamWriter::try_new(File::create(stream).unwrap(), &schema).unwrap();
    for batch in reader {
        writer.write(&batch.unwrap()).unwrap();
    }
    writer.finish().unwrap();
}

fn compare(engine: &str, seen: &Json, expected: &Tables) {
    let names: Vec<_> = seen.as_object().unwrap().keys().collect();
    assert_eq!(names, expected.keys().collect::<Vec<_>>(), "{engine}");
    let mut maps = 0;
    for (table, rows) in expected {
        let seen = &seen[table];
        assert_eq!(seen["rows"], rows.len(), "{engine}: {table}");
        assert_eq!(seen["types"], types(table), "{engine}: {table}");
        let values = seen["values"].as_array().unwrap();
        assert_eq!(values.len(), rows.len().min(50), "{engine}: {table}");
        for (place, (seen, row)) in values.iter().zip(rows).enumerate() {
            let row: Json = row.iter().map(|(_, value)| json(value)).collect();
            assert_eq!(*seen, row, "{engine}: {table}, row {place}");
            maps += usize::from(row.as_array().unwrap().iter().any(Json::is_array));
        }
    }
    assert!(maps > 0, "{engine}: no row has a map");
}

/// Returns the types of a table's columns, in the notation of the script.
fn types(table: &str) -> Json {
    let table = rows::connector().catalog().table(table).unwrap();
    let kind = |data_type| match cprflow::type_name(data_type) {
        "utf8" => "text",
        "date32" => "date",
        "timestamp[us]" => "timestamp",
        "int64" => "int64",
        "boolean" => "boolean",
        _ => "map",
    };
    let types = table
        .columns
        .iter()
        .map(|column| (column.name.clone(), json!(kind(&column.data_type))));
    Json::Object(types.collect())
}

/// Returns a value in the notation of the script.
fn json(value: &Value) -> Json {
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
        Value::Map(entries) => json!(entries),
    }
}
