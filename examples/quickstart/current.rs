//! The current tables of a dataset, read with arrow and parquet alone.
//!
//! `current` in the dataset is a link to the newest generation of the current tables. It is resolved once, so that all
//! tables are of one generation.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::compute::{concat_batches, filter_record_batch};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::Outcome;

/// The current tables of a dataset.
pub(crate) struct Current(PathBuf);

impl Current {
    /// Finds the current tables of a dataset.
    pub(crate) fn of(dataset: &Path) -> Outcome<Self> {
        Ok(Self(fs::canonicalize(dataset.join("current"))?))
    }

    /// Counts the rows of a table by the value of a column.
    pub(crate) fn count_by(&self, table: &str, column: &str) -> Outcome<BTreeMap<String, u64>> {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        let rows = self.read(table, &[column])?;
        for value in rows.column(0).as_string::<i32>().iter().flatten() {
            *counts.entry(value.to_owned()).or_default() += 1;
        }
        Ok(counts)
    }

    /// Returns the number of a person with name and address protection, if there is one.
    pub(crate) fn protected_person(&self) -> Outcome<Option<String>> {
        let protections = self.read("protection", &["pnr", "protection_type"])?;
        let numbers = protections.column(0).as_string::<i32>().iter();
        let mut rows = numbers.zip(protections.column(1).as_string::<i32>());
        let protected = rows.find(|(_, protection_type)| *protection_type == Some("0001"));
        Ok(protected.and_then(|(number, _)| number.map(str::to_owned)))
    }

    /// Returns the rows of a person. The first of the columns must be `pnr`.
    pub(crate) fn person(&self, table: &str, columns: &[&str], pnr: &str) -> Outcome<RecordBatch> {
        let rows = self.read(table, columns)?;
        let numbers = rows.column(0).as_string::<i32>().iter();
        let wanted: BooleanArray = numbers.map(|number| Some(number == Some(pnr))).collect();
        Ok(filter_record_batch(&rows, &wanted)?)
    }

    /// Reads these columns of a table, in the order of the file.
    fn read(&self, table: &str, columns: &[&str]) -> Outcome<RecordBatch> {
        let file = File::open(self.0.join(format!("{table}.parquet")))?;
        let reader = ParquetRecordBatchReaderBuilder::try_new(file)?;
        let mask = ProjectionMask::columns(reader.parquet_schema(), columns.iter().copied());
        let reader = reader.with_projection(mask).build()?;
        let schema = arrow::array::RecordBatchReader::schema(&reader);
        let batches = reader.collect::<Result<Vec<_>, _>>()?;
        Ok(concat_batches(&schema, &batches)?)
    }
}
