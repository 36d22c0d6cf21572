//! Restores an extract from its tables: the inverse of a scan of all tables.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use cprflow_connector::restore::{RestoreError, Restorer};
use cprflow_connector::schema::TableId;
use cprflow_connector::writer::{OutputShape, RecordWriter};
use parquet::arrow::arrow_reader::ParquetRecordBatchReader;

use super::directory;
use crate::error::Error;

/// The number of rows of one table in memory at a time.
const BATCH_ROWS: usize = 1024;

/// Restores an extract from the tables in a directory, as `cprflow scan --all --format parquet` wrote them. Returns the
/// number of records.
///
/// The records are those that were scanned, in their order, byte for byte up to trailing spaces. Fails if the directory
/// has other Parquet files, or if the shape cannot represent a record. [`OutputShape::Packed`] cannot represent records
/// of unknown type, rejected lines and records longer than their layout.
pub fn write_extract(directory: &Path, shape: OutputShape, out: impl Write) -> Result<u64, Error> {
    let mut tables = open(directory)?;
    // The next record of all tables is on top.
    let mut next = BinaryHeap::new();
    for (index, table) in tables.iter().enumerate() {
        next.extend(table.line()?.map(|line| Reverse((line, index))));
    }
    let mut writer = RecordWriter::new(out, shape);
    let mut record = Vec::new();
    while let Some(Reverse((_, index))) = next.pop() {
        let Some(table) = tables.get_mut(index) else {
            continue;
        };
        record.clear();
        table.record(&mut record)?;
        table.check_shape(&record, shape)?;
        let written = match table.id {
            TableId::Layout(layout) => writer.write(layout, &record),
            TableId::Unknown | TableId::Rejected | TableId::OutOfScope | TableId::IntoScope => {
                writer.write_raw(&record)
            }
        };
        written.map_err(Error::file("the extract"))?;
        table.advance()?;
        next.extend(table.line()?.map(|line| Reverse((line, index))));
    }
    let records = writer.records();
    let flushed = writer.into_inner().flush();
    flushed.map_err(Error::file("the extract"))?;
    Ok(records)
}

/// The file of a table, and its next row.
struct TableRows {
    id: TableId,
    path: PathBuf,
    reader: ParquetRecordBatchReader,
    batch: Option<RecordBatch>,
    row: usize,
}

/// Opens all Parquet files in a directory.
fn open(directory: &Path) -> Result<Vec<TableRows>, Error> {
    let mut tables = Vec::new();
    for entry in fs::read_dir(directory).map_err(Error::file(directory))? {
        let path = entry.map_err(Error::file(directory))?.path();
        if path
            .extension()
            .is_none_or(|extension| extension != "parquet")
        {
            continue;
        }
        let name = path.file_stem().and_then(|name| name.to_str());
        let Some(id) = name.and_then(TableId::by_name) else {
            let what =
                "this is not a table of an extract. Move the file to another directory".to_owned();
            return Err(Error::Tables { path, what });
        };
        let mut rows = TableRows {
            id,
            reader: directory::open(&path, BATCH_ROWS)?,
            path,
            batch: None,
            row: 0,
        };
        rows.next_batch()?;
        tables.push(rows);
    }
    if tables.is_empty() {
        return Err(Error::Tables {
            path: directory.to_owned(),
            what: "the directory has no tables: use the directory that `cprflow scan --all --format parquet \
                   -o <directory>` wrote"
                .to_owned(),
        });
    }
    Ok(tables)
}

impl TableRows {
    /// Returns the record number of the next row, or `None` after the last.
    fn line(&self) -> Result<Option<i64>, Error> {
        match &self.batch {
            Some(batch) => Ok(Some(self.restorer(batch)?.line(self.row))),
            None => Ok(None),
        }
    }

    /// Writes the record of the next row into an empty buffer.
    fn record(&self, record: &mut Vec<u8>) -> Result<(), Error> {
        match &self.batch {
            Some(batch) => self
                .restorer(batch)?
                .record(self.row, record)
                .map_err(|error| self.restore_error(error)),
            None => Ok(()),
        }
    }

    /// Moves to the next row.
    fn advance(&mut self) -> Result<(), Error> {
        self.row += 1;
        match &self.batch {
            Some(batch) if self.row >= batch.num_rows() => self.next_batch(),
            _ => Ok(()),
        }
    }

    /// Reads the next batch that has rows.
    fn next_batch(&mut self) -> Result<(), Error> {
        self.row = 0;
        loop {
            let batch = self.reader.next().transpose().map_err(|error| {
                Error::parquet(&self.path)(parquet::errors::ParquetError::ArrowError(
                    error.to_string(),
                ))
            })?;
            self.batch = batch;
            if self.batch.as_ref().is_none_or(|batch| batch.num_rows() > 0) {
                return Ok(());
            }
        }
    }

    fn restorer<'a>(&self, batch: &'a RecordBatch) -> Result<Restorer<'a>, Error> {
        Restorer::new(self.id, batch).map_err(|error| self.restore_error(error))
    }

    fn restore_error(&self, error: RestoreError) -> Error {
        Error::Tables {
            path: self.path.clone(),
            what: error.to_string(),
        }
    }

    /// Fails if the shape cannot represent the record: without line ends every record must have the length of its type,
    /// and with them no record may contain one.
    fn check_shape(&self, record: &[u8], shape: OutputShape) -> Result<(), Error> {
        if shape != OutputShape::Packed {
            return self.check_line(record);
        }
        let fits = match self.id {
            TableId::Layout(layout) => record.len() == layout.record_length(),
            TableId::Unknown | TableId::Rejected | TableId::OutOfScope | TableId::IntoScope => {
                false
            }
        };
        if fits {
            return Ok(());
        }
        Err(Error::Tables {
            path: self.path.clone(),
            what: "records of unknown type, rejected lines and records longer than their layout cannot be \
                   written without line ends, because the next record could not be found: choose another shape"
                .to_owned(),
        })
    }

    /// Fails if a reader of lines would split the record or remove its end.
    fn check_line(&self, record: &[u8]) -> Result<(), Error> {
        let end = record.iter().rposition(|byte| *byte != b' ');
        if !record.contains(&b'\n') && end.and_then(|end| record.get(end)) != Some(&b'\r') {
            return Ok(());
        }
        Err(Error::Tables {
            path: self.path.clone(),
            what: "a record that contains a line end cannot be written as a line: choose the shape without \
                   line ends"
                .to_owned(),
        })
    }
}
