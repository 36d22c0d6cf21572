//! Runs scans and collects their rows.

use std::sync::OnceLock;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Date32Type, Int64Type, TimestampMicrosecondType};
use cprflow::{Connector, Error, Finding, Level, Scan, Summary};

use crate::reference_reader::{Row, Tables, Value};

/// Returns the embedded component, which is loaded once.
pub fn connector() -> &'static Connector {
    static CONNECTOR: OnceLock<Connector> = OnceLock::new();
    CONNECTOR.get_or_init(|| Connector::embedded().unwrap())
}

/// Returns the component of this crate, compiled by this process. It runs in the same engine as every other component
/// that is loaded from bytes; the embedded one has an engine of its own.
pub fn compiled_connector() -> &'static Connector {
    static CONNECTOR: OnceLock<Connector> = OnceLock::new();
    let load = || Connector::from_file(&crate::command::component_file()).unwrap();
    CONNECTOR.get_or_init(load)
}

/// The result of a scan.
#[derive(Debug)]
pub struct Scanned {
    /// The batches in order, each with the name of its table.
    pub batches: Vec<(String, RecordBatch)>,
    /// The error that ended the scan early, if any.
    pub error: Option<Error>,
    /// The summary.
    pub summary: Summary,
}

impl Scanned {
    /// Returns the rows of all tables.
    pub fn tables(&self) -> Tables {
        let mut tables = Tables::new();
        for (table, batch) in &self.batches {
            tables.entry(table.clone()).or_default().extend(rows(batch));
        }
        tables
    }

    /// Returns level, code and count of every finding as text.
    pub fn findings(&self) -> Vec<String> {
        let text = |finding: &Finding| {
            let level = match finding.level {
                Level::Error => "error",
                Level::Warning => "warning",
                Level::Note => "note",
            };
            format!("{level} {} {}", finding.code, finding.count)
        };
        self.summary.findings.iter().map(text).collect()
    }

    /// Returns the findings that are errors or warnings.
    pub fn complaints(&self) -> Vec<String> {
        let mut findings = self.findings();
        findings.retain(|finding| !finding.starts_with("note "));
        findings
    }

    /// Returns the number of rows of a table.
    pub fn count(&self, table: &str) -> usize {
        let batches = self.batches.iter().filter(|(name, _)| name == table);
        batches.map(|(_, batch)| batch.num_rows()).sum()
    }

    /// Returns the number of rows of all tables.
    pub fn count_all(&self) -> usize {
        self.batches.iter().map(|(_, batch)| batch.num_rows()).sum()
    }
}

/// Scans all tables in the sandbox, and checks that each person has a 001.
pub fn scan(bytes: &[u8]) -> Scanned {
    scan_with(Scan::new(connector()).check_persons(true), bytes)
}

/// Runs a scan of all tables.
pub fn scan_with(scan: Scan, bytes: &[u8]) -> Scanned {
    let mut reader = scan.read_all(bytes).unwrap();
    let mut batches = Vec::new();
    let mut error = None;
    for batch in reader.by_ref() {
        match batch {
            Ok(rows) => batches.push((rows.table, rows.batch)),
            Err(ended) => error = Some(ended),
        }
    }
    let summary = reader.summary().unwrap();
    Scanned {
        batches,
        error,
        summary,
    }
}

/// Returns the rows of a batch.
pub fn rows(batch: &RecordBatch) -> Vec<Row> {
    let schema = batch.schema();
    let columns = schema.fields().iter().zip(batch.columns());
    let mut rows = vec![Row::new(); batch.num_rows()];
    for (field, column) in columns {
        for (place, row) in rows.iter_mut().enumerate() {
            row.push((field.name().clone(), value(column, place)));
        }
    }
    rows
}

fn value(column: &dyn Array, row: usize) -> Value {
    if column.is_null(row) {
        return Value::Null;
    }
    match column.data_type() {
        DataType::Utf8 => Value::Text(column.as_string::<i32>().value(row).to_owned()),
        DataType::Date32 => Value::Days(column.as_primitive::<Date32Type>().value(row).into()),
        DataType::Timestamp(..) => {
            Value::Micros(column.as_primitive::<TimestampMicrosecondType>().value(row))
        }
        DataType::Boolean => Value::Flag(column.as_boolean().value(row)),
        DataType::Int64 => Value::Number(column.as_primitive::<Int64Type>().value(row)),
        DataType::Map(..) => {
            let entries = column.as_map().value(row);
            let texts = |place: usize| {
                let texts = entries.column(place).as_string::<i32>();
                texts
                    .iter()
                    .map(|text| text.unwrap().to_owned())
                    .collect::<Vec<_>>()
            };
            Value::Map(texts(0).into_iter().zip(texts(1)).collect())
        }
        other => panic!("no table has a column of type {other}"),
    }
}
