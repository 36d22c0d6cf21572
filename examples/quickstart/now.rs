//! A dataset as it is now, read with arrow and parquet alone. `cprflow views` says the same in SQL.
//!
//! Applying a delivery is replacing the persons that it carries: of each number, the latest delivery with a row in
//! `person` holds all that is true of it. The order of the directories' names is the order of applying.

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::compute::{concat_batches, filter_record_batch};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::Outcome;

/// The published deliveries of an agreement, and which of them holds of each number.
pub(crate) struct Now {
    deliveries: Vec<PathBuf>,
    latest: HashMap<String, usize>,
}

impl Now {
    /// Looks at what is published.
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

    /// The rows of a table that hold now, with these columns. The first is the person's number.
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

    /// The rows of a table that the last delivery brought.
    pub(crate) fn published_last(&self, table: &str, columns: &[&str]) -> Outcome<RecordBatch> {
        let last = self.deliveries.last().ok_or("nothing is published")?;
        read(last, table, columns)
    }

    /// How many rows of a table are published, in all deliveries.
    pub(crate) fn published_rows(&self, table: &str) -> Outcome<u64> {
        let mut rows = 0;
        for delivery in &self.deliveries {
            rows += read(delivery, table, &["line"])?.num_rows() as u64;
        }
        Ok(rows)
    }

    /// The tables of the last delivery, and how many rows each has.
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

/// A table of a delivery, with these columns in the order of the file.
fn read(delivery: &Path, table: &str, columns: &[&str]) -> Outcome<RecordBatch> {
    let file = File::open(delivery.join(format!("{table}.parquet")))?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)?;
    let mask = ProjectionMask::columns(reader.parquet_schema(), columns.iter().copied());
    let reader = reader.with_projection(mask).build()?;
    let schema = arrow::array::RecordBatchReader::schema(&reader);
    let batches = reader.collect::<Result<Vec<_>, _>>()?;
    Ok(concat_batches(&schema, &batches)?)
}
