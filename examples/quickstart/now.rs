//! The current tables of a dataset and its deliveries, read with arrow and parquet alone.
//!
//! `current` in the dataset is a link to the newest generation of the current tables. It is resolved once, so that all
//! tables are of one generation. The names of the delivery directories sort in the order of applying them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::Outcome;

/// The current tables of a dataset, and the published deliveries of an agreement.
pub(crate) struct Now {
    current: PathBuf,
    deliveries: Vec<PathBuf>,
}

impl Now {
    /// Finds the current tables, and the published deliveries of an agreement.
    pub(crate) fn of(dataset: &Path, agreement: &str) -> Outcome<Self> {
        let mut deliveries = Vec::new();
        for entry in fs::read_dir(dataset.join(format!("agreement={agreement}")))? {
            deliveries.push(entry?.path());
        }
        deliveries.sort();
        let current = fs::canonicalize(dataset.join("current"))?;
        Ok(Self {
            current,
            deliveries,
        })
    }

    /// Returns the current rows of a table, with these columns.
    pub(crate) fn table(&self, table: &str, columns: &[&str]) -> Outcome<RecordBatch> {
        read(&self.current, table, columns)
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

/// Reads a table in a directory, with these columns in the order of the file.
fn read(directory: &Path, table: &str, columns: &[&str]) -> Outcome<RecordBatch> {
    let file = File::open(directory.join(format!("{table}.parquet")))?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)?;
    let mask = ProjectionMask::columns(reader.parquet_schema(), columns.iter().copied());
    let reader = reader.with_projection(mask).build()?;
    let schema = arrow::array::RecordBatchReader::schema(&reader);
    let batches = reader.collect::<Result<Vec<_>, _>>()?;
    Ok(concat_batches(&schema, &batches)?)
}
