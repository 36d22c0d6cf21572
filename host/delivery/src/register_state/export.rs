//! Writes the state of the register as one extract.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use cprflow_connector::layout::{self, Table};
use cprflow_connector::restore::Restorer;
use cprflow_connector::schema::TableId;
use cprflow_connector::writer::{OutputShape, RecordBuilder, RecordWriter};

use super::{RegisterState, RegisterStateError};
use crate::error::Error;
use cprflow::{Connector, StateScan, TableBatch};

/// What was exported.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ExportedState {
    /// The number of records, start and end included.
    pub records: u64,
    /// The number of persons.
    pub persons: u64,
    /// The newest production date of the extracts, which the export has as its own.
    pub production_date: String,
}

/// Writes the records that count in a state as one extract: of each person those of the newest extract, and all events.
///
/// The start record has the newest production date. The records of a person do not follow each other.
pub fn export_register(
    connector: &Connector,
    state: &RegisterState,
    sink: &mut dyn Write,
) -> Result<ExportedState, Error> {
    let mut writer = ExtractWriter::new(sink, state.newest())?;
    let batches = StateScan::new(connector).read(state.places(), state.opener())?;
    for batch in batches {
        let TableBatch { table, batch } = batch?;
        writer.write(&table, &batch)?;
    }
    let persons = writer.counts.get("person").copied().unwrap_or_default();
    Ok(ExportedState {
        records: writer.finish()?,
        persons,
        production_date: state.newest().to_owned(),
    })
}

/// Writes rows of tables as the records of an extract.
pub(super) struct ExtractWriter<W: Write> {
    writer: RecordWriter<W>,
    record: Vec<u8>,
    counts: BTreeMap<String, u64>,
}

impl<W: Write> ExtractWriter<W> {
    /// Writes the start record. `production_date` is `YYYY-MM-DD`.
    pub(super) fn new(sink: W, production_date: &str) -> Result<Self, Error> {
        let mut extract = Self {
            writer: RecordWriter::new(sink, OutputShape::Trimmed),
            record: Vec::new(),
            counts: BTreeMap::new(),
        };
        let date = production_date.replace('-', "");
        extract.mark(
            "000",
            &[("sort_key", "0000000000"), ("production_date", &date)],
        )?;
        Ok(extract)
    }

    /// Writes the rows of a table that is part of the layout, and skips the others.
    pub(super) fn write(&mut self, table: &str, batch: &RecordBatch) -> Result<(), Error> {
        let Some(TableId::Layout(layout)) = TableId::by_name(table) else {
            return Ok(());
        };
        let failed = |what: String| {
            Error::from(RegisterStateError::Record {
                table: table.to_owned(),
                what,
            })
        };
        let batch = with_lines(batch).map_err(|error| failed(error.to_string()))?;
        let restorer = Restorer::new(TableId::Layout(layout), &batch)
            .map_err(|error| failed(error.to_string()))?;
        for row in 0..batch.num_rows() {
            self.record.clear();
            restorer
                .record(row, &mut self.record)
                .map_err(|error| failed(error.to_string()))?;
            self.writer
                .write(layout, &self.record)
                .map_err(Error::file("the extract"))?;
        }
        *self.counts.entry(table.to_owned()).or_default() += batch.num_rows() as u64;
        Ok(())
    }

    /// Writes the end record and returns the number of records.
    pub(super) fn finish(mut self) -> Result<u64, Error> {
        let records: u64 = self.counts.values().sum();
        let count = format!("{records:08}");
        self.mark(
            "999",
            &[("sort_key", "9999999999"), ("record_count", &count)],
        )?;
        let flushed = self.writer.into_inner().flush();
        flushed.map_err(Error::file("the extract"))?;
        Ok(records + 2)
    }

    fn mark(&mut self, record_type: &str, columns: &[(&str, &str)]) -> Result<(), Error> {
        let is_wanted = |table: &&Table| table.record_type == record_type;
        let Some(table) = layout::tables().iter().find(is_wanted) else {
            return Ok(());
        };
        let mut record = RecordBuilder::new(table);
        for (column, text) in columns {
            record.set(column, text);
        }
        let written = self.writer.write_built(&record);
        written.map_err(Error::file("the extract"))
    }
}

/// Returns the rows with a column `line`, which a state does not have and a record needs.
fn with_lines(batch: &RecordBatch) -> Result<RecordBatch, arrow::error::ArrowError> {
    if batch.column_by_name("line").is_some() {
        return Ok(batch.clone());
    }
    let rows = i64::try_from(batch.num_rows()).unwrap_or(i64::MAX);
    let lines: ArrayRef = Arc::new(Int64Array::from_iter_values(1..=rows));
    let schema = batch.schema();
    let fields = schema.fields().iter().cloned();
    let line = Arc::new(Field::new("line", DataType::Int64, false));
    let fields: Vec<_> = fields.chain([line]).collect();
    let columns = batch.columns().iter().cloned().chain([lines]);
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.collect())
}
