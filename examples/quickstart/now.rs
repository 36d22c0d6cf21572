//! The current state of a dataset, read with arrow and parquet alone. `cprflow views` does the same in SQL.
//!
//! A delivery replaces the persons that it carries. For each person number, the latest delivery with a row in `person`
//! holds everything that is valid. The names of the delivery directories sort in the order of applying them.

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::compute::{concat_batches, filter_record_batch};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::Outcome;

/// The published deliveries of an agreement, and the latest one for each person number.
pub(crate) struct Now {
    deliveries: Vec<PathBuf>,
    latest: HashMap<String, usize>,
}

impl Now {
    /// Reads the published deliveries of an agreement.
    pub(crate) fn of(dataset: &Path, agreement: &str) -> Outcome<Self> {
        let mut deliveries = Vec::new();
        for entry in fs::read_dir(dataset.join(format!("agreement={agreement}")))? {
            deliveries.push(entry?.path());
        }
        deliveries.sort();
        let mut latest = HashMap::new();
        for (place, delivery) in deliveries.iter().enumerate() {
            let persons = read(delivery, "person", &["pnr"])?;
            let numbers = persons.column(0).as_string::<i32>().iter().flatten();
            latest.extend(numbers.map(|number| (number.to_owned(), place)));
        }
        Ok(Self { deliveries, latest })
    }

    /// Returns the current rows of a table, with these columns. The first column must be the person number.
    pub(crate) fn table(&self, table: &str, columns: &[&str]) -> Outcome<RecordBatch> {
        let mut parts = Vec::new();
        for (place, delivery) in self.deliveries.iter().enumerate() {
            let rows = read(delivery, table, columns)?;
            let numbers = rows.column(0).as_string::<i32>().iter();
            let holds: BooleanArray = numbers
                .map(|number| Some(self.latest.get(number?) == Some(&place)))
                .collect();
            parts.push(filter_record_batch(&rows, &holds)?);
        }
        let schema = parts.first().ok_or("nothing is published")?.schema();
        Ok(concat_batches(&schema, &parts)?)
    }

    /// Returns the rows of a table in the last delivery.
    pub(crate) fn published_last(&self, table: &str, columns: &[&str]) -> Outcome<RecordBatch> {
        let last = self.deliveries.last().ok_or("nothing is published")?;
        read(last, table, columns)
    }

    /// Counts the rows of a table in all deliveries.
    pub(crate) fn published_rows(&self, table: &str) -> Outcome<u64> {
        let mut rows = 0;
        for delivery in &self.deliveries {
            rows += read(delivery, table, &["line"])?.num_rows() as u64;
        }
        Ok(rows)
    }

    /// Returns the tables of the last delivery and the number of rows of each.
    pub(crate) fn row_counts(&self) -> Outcome<Vec<(String, u64)>> {
        let last = self.deliveries.last().ok_or("nothing is published")?;
        let mut counts = Vec::new();
        for entry in fs::read_dir(last)? {
            let name = entry?.file_name().into_string().unwrap_or_default();
            if let Some(table) = name.strip_suffix(".parquet") {
                let rows = read(last, table, &["line"])?.num_rows() as u64;
                counts.push((table.to_owned(), rows));
            }
        }
        Ok(counts)
    }
}

/// Reads a table of a delivery, with these columns in the order of the file.
fn read(delivery: &Path, table: &str, columns: &[&str]) -> Outcome<RecordBatch> {
    let file = File::open(delivery.join(format!("{table}.parquet")))?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)?;
    let mask = ProjectionMask::columns(reader.parquet_schema(), columns.iter().copied());
    let reader = reader.with_projection(mask).build()?;
    let schema = arrow::array::RecordBatchReader::schema(&reader);
    let batches = reader.collect::<Result<Vec<_>, _>>()?;
    Ok(concat_batches(&schema, &batches)?)
}
