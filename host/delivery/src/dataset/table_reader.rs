//! Returns the rows of a table, one delivery after the other.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{
    Array, ArrayRef, Int64Array, RecordBatch, RecordBatchOptions, RecordBatchReader, StringArray,
    new_null_array,
};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use bytes::Bytes;
use cprflow_connector::batch_filter::BatchFilter;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowPredicateFn, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowFilter,
};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

use super::error::DatasetError;
use super::table::{DELIVERY_COLUMNS, TableFile, TableQuery, other_type, unreadable};
use crate::error::Error;

/// The default number of rows in a batch.
const BATCH_ROWS: u32 = 8 * 1024;

/// Returns an error if reading must stop.
type Check = Arc<dyn Fn() -> io::Result<()> + Send + Sync>;

/// The rows of a table of a dataset: an Arrow [`RecordBatchReader`].
pub struct DatasetTableReader {
    schema: SchemaRef,
    files: Arc<[TableFile]>,
    /// The index of the next file to open.
    next: usize,
    current: Option<(usize, ParquetRecordBatchReader)>,
    filter: Option<BatchFilter>,
    /// The number of rows left until the limit; none without a limit.
    left: Option<u64>,
    batch_rows: usize,
    bytes: Arc<AtomicU64>,
    rows: u64,
    /// Called before each page is read.
    check: Option<Check>,
    /// Whether a read has failed. The rows after it cannot be returned, because some before them are missing.
    failed: bool,
}

impl DatasetTableReader {
    pub(super) fn new(
        schema: SchemaRef,
        files: Arc<[TableFile]>,
        filter: Option<BatchFilter>,
        query: &TableQuery,
    ) -> Self {
        let batch_rows = query.batch_rows.unwrap_or(BATCH_ROWS).max(1);
        let batch_rows = match query.limit {
            Some(limit) => u64::from(batch_rows).min(limit.max(1)) as u32,
            None => batch_rows,
        };
        Self {
            schema,
            files,
            next: 0,
            current: None,
            filter,
            left: query.limit,
            batch_rows: batch_rows as usize,
            bytes: Arc::default(),
            rows: 0,
            check: None,
            failed: false,
        }
    }

    /// Sets a function that is called before each page of a file is read. If it returns an error, the read fails.
    ///
    /// A condition that few rows meet can keep the reader busy for a long time before the next batch. The function can
    /// stop it.
    pub fn check_with(
        mut self,
        check: impl Fn() -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        self.check = Some(Arc::new(check));
        self
    }

    /// Returns the number of bytes of pages that were read so far.
    pub fn bytes_read(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Returns the number of rows returned so far.
    pub fn rows_read(&self) -> u64 {
        self.rows
    }

    /// Returns the next batch, or `None` after the last.
    ///
    /// After an error, each further call returns [`DatasetError::ReadFailed`].
    pub fn next_batch(&mut self) -> Result<Option<RecordBatch>, Error> {
        if self.failed {
            return Err(DatasetError::ReadFailed.into());
        }
        // Also a panic leaves the reader failed.
        self.failed = true;
        let next = self.advance()?;
        self.failed = false;
        Ok(next)
    }

    /// Returns the next batch of a reader that has not failed.
    fn advance(&mut self) -> Result<Option<RecordBatch>, Error> {
        loop {
            if self.left == Some(0) {
                return Ok(None);
            }
            let Some((index, reader)) = &mut self.current else {
                match self.open_next()? {
                    true => continue,
                    false => return Ok(None),
                }
            };
            let Some(file) = self.files.get(*index) else {
                return Ok(None);
            };
            let batch = match reader.next() {
                None => {
                    self.current = None;
                    continue;
                }
                // The texts of these errors come from the Parquet library. They can tell what is wrong with a page, but
                // hold no value.
                Some(Err(error)) => return Err(unreadable(&file.path, &error.to_string())),
                Some(Ok(batch)) if batch.num_rows() == 0 => continue,
                Some(Ok(batch)) => batch,
            };
            let rows = self.left.map_or(batch.num_rows(), |left| {
                batch
                    .num_rows()
                    .min(usize::try_from(left).unwrap_or(usize::MAX))
            });
            let batch = complete(&batch.slice(0, rows), &self.schema, file)?;
            self.left = self.left.map(|left| left - rows as u64);
            self.rows += rows as u64;
            return Ok(Some(batch));
        }
    }

    /// Opens the next file that can have rows. Returns `false` after the last.
    fn open_next(&mut self) -> Result<bool, Error> {
        while let Some(file) = self.files.get(self.next) {
            self.next += 1;
            if let Some(reader) = self.open(file)? {
                self.current = Some((self.next - 1, reader));
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Opens a file; `None` if none of its rows can meet the condition.
    fn open(&self, file: &TableFile) -> Result<Option<ParquetRecordBatchReader>, Error> {
        let path = &file.path;
        let input = CountedFile {
            file: Arc::new(File::open(path).map_err(Error::file(path))?),
            bytes: self.bytes.clone(),
            check: self.check.clone(),
        };
        let before = self.bytes_read();
        let builder = ParquetRecordBatchReaderBuilder::try_new(input);
        // The footer is not counted, because every query reads it.
        self.bytes.store(before, Ordering::Relaxed);
        let mut builder = builder.map_err(cprflow::Error::parquet(path))?;
        let own = builder.schema().clone();
        let mask = |has: &dyn Fn(&str) -> bool| {
            let fields = own.fields().iter().enumerate();
            let wanted = fields.filter(|(_, field)| has(field.name()));
            let wanted: Vec<usize> = wanted.map(|(index, _)| index).collect();
            wanted
        };
        if let Some(filter) = &self.filter {
            let compared = mask(&|name| filter.columns().any(|column| column == name));
            if compared.is_empty() {
                // All compared columns are null in this file.
                let options = RecordBatchOptions::new().with_row_count(Some(1));
                let nothing = Arc::new(arrow::datatypes::Schema::empty());
                let row = RecordBatch::try_new_with_options(nothing, Vec::new(), &options);
                let row = row.map_err(|error| unreadable(path, &error.to_string()))?;
                let matches = filter.matches(&row);
                if matches
                    .map_err(|column| other_type(path, column))?
                    .true_count()
                    == 0
                {
                    return Ok(None);
                }
            } else {
                let filter = filter.clone();
                let compared = ProjectionMask::roots(builder.parquet_schema(), compared);
                let predicate = ArrowPredicateFn::new(compared, move |batch| {
                    filter.matches(&batch).map_err(|column| {
                        ArrowError::SchemaError(format!("the column {column:?} has another type"))
                    })
                });
                builder = builder.with_row_filter(RowFilter::new(vec![Box::new(predicate)]));
            }
        }
        let wanted = mask(&|name| self.schema.column_with_name(name).is_some());
        let wanted = ProjectionMask::roots(builder.parquet_schema(), wanted);
        let reader = builder
            .with_projection(wanted)
            .with_batch_size(self.batch_rows)
            .build();
        Ok(Some(reader.map_err(cprflow::Error::parquet(path))?))
    }
}

impl Iterator for DatasetTableReader {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.next_batch().transpose()?;
        Some(next.map_err(|error| ArrowError::ExternalError(Box::new(error))))
    }
}

impl RecordBatchReader for DatasetTableReader {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }
}

/// Returns the rows with the columns of the schema: those of the file, nulls, and those about the delivery.
fn complete(
    batch: &RecordBatch,
    schema: &SchemaRef,
    file: &TableFile,
) -> Result<RecordBatch, Error> {
    let rows = batch.num_rows();
    let column = |name: &String, data_type| -> ArrayRef {
        let is_own = !file.is_current && DELIVERY_COLUMNS.iter().any(|(own, _)| own == name);
        match batch.column_by_name(name).filter(|_| !is_own) {
            Some(column) => column.clone(),
            None if !is_own => new_null_array(data_type, rows),
            None => match name.as_str() {
                "agreement" => repeated(&file.agreement, rows),
                "delivery" => repeated(&file.delivery, rows),
                _ => {
                    let sequence = i64::try_from(file.sequence).unwrap_or(i64::MAX);
                    Arc::new(Int64Array::from_value(sequence, rows))
                }
            },
        }
    };
    let fields = schema.fields().iter();
    let columns = fields.map(|field| column(field.name(), field.data_type()));
    let columns: Vec<ArrayRef> = columns.collect();
    let mut fields = schema.fields().iter().zip(&columns);
    if let Some((field, _)) = fields.find(|(field, array)| field.data_type() != array.data_type()) {
        return Err(other_type(&file.path, field.name()));
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let complete = RecordBatch::try_new_with_options(schema.clone(), columns, &options);
    // A column that may not be null is null, which no file that cprflow wrote can have.
    complete.map_err(|error| unreadable(&file.path, &error.to_string()))
}

fn repeated(text: &str, rows: usize) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(std::iter::repeat_n(
        text, rows,
    )))
}

/// A file that counts the bytes of the pages that are read, and that can refuse to read more.
struct CountedFile {
    file: Arc<File>,
    bytes: Arc<AtomicU64>,
    check: Option<Check>,
}

impl CountedFile {
    fn check(&self) -> Result<(), ParquetError> {
        match &self.check {
            None => Ok(()),
            Some(check) => Ok(check()?),
        }
    }
}

impl Length for CountedFile {
    fn len(&self) -> u64 {
        Length::len(self.file.as_ref())
    }
}

impl ChunkReader for CountedFile {
    type T = <File as ChunkReader>::T;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        self.check()?;
        self.file.get_read(start)
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        self.check()?;
        self.bytes.fetch_add(length as u64, Ordering::Relaxed);
        self.file.get_bytes(start, length)
    }
}
