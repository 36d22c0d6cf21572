//! An extract again from its tables: the inverse of a scan of all of them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use cprflow_connector::emit::{Emitter, Shape};
use cprflow_connector::restore::{RestoreError, Restorer};
use cprflow_connector::schema::TableId;
use parquet::arrow::arrow_reader::ParquetRecordBatchReader;

use crate::error::Error;
use crate::parquet_out;

/// Rows of one table in memory at a time.
const BATCH_ROWS: usize = 1024;

/// Writes the extract whose tables are in a directory, as `cprflow scan --all` made them, in that shape. Returns
/// the number of records.
///
/// The records are those that were scanned, byte for byte up to trailing spaces, in their order. Without line
/// ends there is no place for records of unknown type, rejected lines and tails: they are refused.
pub fn write_extract(directory: &Path, shape: Shape, out: impl Write) -> Result<u64, Error> {
    let mut tables = open(directory)?;
    // The record that comes next stands on top, whichever table it is in.
    let mut next = BinaryHeap::new();
    for (place, table) in tables.iter().enumerate() {
        next.extend(table.line()?.map(|line| Reverse((line, place))));
    }
    let mut emitter = Emitter::new(out, shape);
    let mut record = Vec::new();
    while let Some(Reverse((_, place))) = next.pop() {
        let Some(table) = tables.get_mut(place) else {
            continue;
        };
        record.clear();
        table.record(&mut record)?;
        table.check_shape(&record, shape)?;
        let written = match table.id {
            TableId::Layout(layout) => emitter.write(layout, &record),
            TableId::Unknown | TableId::Rejected | TableId::OutOfScope => {
                emitter.write_raw(&record)
            }
        };
        written.map_err(Error::file("the extract"))?;
        table.advance()?;
        next.extend(table.line()?.map(|line| Reverse((line, place))));
    }
    let records = emitter.records();
    let flushed = emitter.into_inner().flush();
    flushed.map_err(Error::file("the extract"))?;
    Ok(records)
}

/// A table's file, and the row that is next.
struct Rows {
    id: TableId,
    path: PathBuf,
    reader: ParquetRecordBatchReader,
    batch: Option<RecordBatch>,
    row: usize,
}

fn open(directory: &Path) -> Result<Vec<Rows>, Error> {
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
            let what = "this is no table of an extract: take it out of the directory".to_owned();
            return Err(Error::Tables { path, what });
        };
        let mut rows = Rows {
            id,
            reader: parquet_out::open(&path, BATCH_ROWS)?,
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
            what: "there are no tables in it: name the directory that `cprflow scan --all --format parquet \
                   -o` made"
                .to_owned(),
        });
    }
    Ok(tables)
}

impl Rows {
    /// The record number of the next row, if there is one.
    fn line(&self) -> Result<Option<i64>, Error> {
        match &self.batch {
            Some(batch) => Ok(Some(self.restorer(batch)?.line(self.row))),
            None => Ok(None),
        }
    }

    fn record(&self, record: &mut Vec<u8>) -> Result<(), Error> {
        match &self.batch {
            Some(batch) => self
                .restorer(batch)?
                .record(self.row, record)
                .map_err(|error| self.misfit(error)),
            None => Ok(()),
        }
    }

    fn advance(&mut self) -> Result<(), Error> {
        self.row += 1;
        match &self.batch {
            Some(batch) if self.row >= batch.num_rows() => self.next_batch(),
            _ => Ok(()),
        }
    }

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
        Restorer::new(self.id, batch).map_err(|error| self.misfit(error))
    }

    fn misfit(&self, error: RestoreError) -> Error {
        Error::Tables {
            path: self.path.clone(),
            what: error.to_string(),
        }
    }

    /// Without line ends, every record must have the length that its type says; with them, no record may hold one.
    fn check_shape(&self, record: &[u8], shape: Shape) -> Result<(), Error> {
        if shape != Shape::Packed {
            return self.check_line(record);
        }
        let fits = match self.id {
            TableId::Layout(layout) => record.len() == layout.record_length(),
            TableId::Unknown | TableId::Rejected | TableId::OutOfScope => false,
        };
        if fits {
            return Ok(());
        }
        Err(Error::Tables {
            path: self.path.clone(),
            what: "records of unknown type, rejected lines and records longer than their layout cannot be \
                   written without line ends, for no reader could find what follows them: choose another shape"
                .to_owned(),
        })
    }

    fn check_line(&self, record: &[u8]) -> Result<(), Error> {
        let end = record.iter().rposition(|byte| *byte != b' ');
        if !record.contains(&b'\n') && end.and_then(|end| record.get(end)) != Some(&b'\r') {
            return Ok(());
        }
        Err(Error::Tables {
            path: self.path.clone(),
            what: "a record with a line end within it cannot be written as a line: choose the shape without \
                   line ends"
                .to_owned(),
        })
    }
}
