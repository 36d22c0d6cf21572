//! Writes tables as Parquet files, many at once within one memory budget.

use std::fs::{self, File};
use std::io::Write;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;
use tempfile::NamedTempFile;

use crate::error::Error;
use crate::unfinished::unfinished_file;

/// The default memory budget of all open row groups together, in bytes (24 MiB). Above it the largest group is written.
const DEFAULT_BUDGET: usize = 24 * 1024 * 1024;

/// The largest number of rows in a row group.
const MAX_GROUP_ROWS: usize = 1024 * 1024;

/// The largest dictionary of a column in a row group, in bytes. Later values are written without a dictionary.
///
/// Codes and most names stay below it. Person numbers, identifiers and times exceed any limit, and looking them up
/// until then is wasted time. The usual 1 MiB takes 25 % more time and makes larger files.
const DICTIONARY_BYTES: usize = 256 * 1024;

/// Writes one table as a Parquet file.
pub struct ParquetFile<W: Write + Send> {
    writer: ArrowWriter<W>,
    path: PathBuf,
}

impl<W: Write + Send> ParquetFile<W> {
    /// Begins a file that is written to `sink`. `path` is only used in error messages.
    pub fn new(sink: W, schema: SchemaRef, path: impl Into<PathBuf>) -> Result<Self, Error> {
        let path = path.into();
        let writer = ArrowWriter::try_new(sink, schema, Some(properties()))
            .map_err(Error::parquet(&path))?;
        Ok(Self { writer, path })
    }

    /// Appends rows. Keeps at most 24 MiB of them in memory.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        self.append(batch)?;
        if self.memory() > DEFAULT_BUDGET {
            self.flush()?;
        }
        Ok(())
    }

    /// Ends the file and returns the sink.
    pub fn finish(self) -> Result<W, Error> {
        self.writer.into_inner().map_err(Error::parquet(self.path))
    }

    fn append(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        self.writer.write(batch).map_err(Error::parquet(&self.path))
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.writer.flush().map_err(Error::parquet(&self.path))
    }

    fn memory(&self) -> usize {
        self.writer.memory_size()
    }
}

/// Writes the tables of an extract to `<directory>/<table>.parquet`.
///
/// The files get their names when [`finish`](Self::finish) is called, so an interrupted run leaves no incomplete
/// result. Only their owner can read them. A table without rows gets a file only after
/// [`begin_table`](Self::begin_table).
pub struct ParquetDirectory {
    directory: PathBuf,
    budget: usize,
    tables: Vec<(String, ParquetFile<NamedTempFile>)>,
}

impl ParquetDirectory {
    /// Prepares a directory, and creates it if it does not exist.
    ///
    /// Fails if it already contains Parquet files, unless `replace` is true. [`finish`](Self::finish) then deletes
    /// them.
    pub fn create(directory: &Path, replace: bool) -> Result<Self, Error> {
        fs::create_dir_all(directory).map_err(Error::file(directory))?;
        if !replace && !parquet_files(directory)?.is_empty() {
            return Err(Error::Tables {
                path: directory.to_owned(),
                what: "the directory already contains Parquet files, and tables of two extracts must not be \
                       mixed: choose another directory, or replace the files with --force"
                    .to_owned(),
            });
        }
        Ok(Self {
            directory: directory.to_owned(),
            budget: DEFAULT_BUDGET,
            tables: Vec::new(),
        })
    }

    /// Sets the memory budget of all open row groups together, in bytes. Default: 24 MiB. A larger budget makes larger
    /// row groups.
    pub fn with_budget(mut self, bytes: usize) -> Self {
        self.budget = bytes;
        self
    }

    /// Begins a table, so that it gets a file even without rows. Does nothing if the table was begun already.
    pub fn begin_table(&mut self, table: &str, schema: SchemaRef) -> Result<(), Error> {
        self.index_of(table, schema).map(drop)
    }

    /// Appends rows to a table.
    pub fn write(&mut self, table: &str, batch: &RecordBatch) -> Result<(), Error> {
        let index = self.index_of(table, batch.schema())?;
        if let Some((_, file)) = self.tables.get_mut(index) {
            file.append(batch)?;
        }
        self.keep_within_budget()
    }

    /// Ends all files and gives them their names. Returns the number of files.
    ///
    /// Writes the last row group of every table, in as many threads as there are processors.
    pub fn finish(mut self) -> Result<usize, Error> {
        // The threads take files from the end, so the largest come first.
        self.tables.sort_by_key(|(_, file)| file.memory());
        let open = Mutex::new(self.tables);
        let next = || open.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let directory = &self.directory;
        let finish = || {
            let mut finished = Vec::new();
            while let Some((table, file)) = next() {
                let path = directory.join(format!("{table}.parquet"));
                let file = file.finish()?;
                file.as_file().sync_all().map_err(Error::file(&path))?;
                finished.push((path, file));
            }
            Ok(finished)
        };
        let threads = thread::available_parallelism().map_or(1, NonZero::get);
        let finished: Result<Vec<_>, Error> = thread::scope(|scope| {
            let start = |_| thread::Builder::new().spawn_scoped(scope, finish);
            // One thread is enough if the system allows no more.
            let threads: Vec<_> = (0..threads).map_while(|index| start(index).ok()).collect();
            if threads.is_empty() {
                return finish().map(|finished| vec![finished]);
            }
            let joined = threads.into_iter().map(|thread| {
                let finished = thread.join();
                finished.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            });
            joined.collect()
        });
        let finished: Vec<_> = finished?.into_iter().flatten().collect();
        for old in parquet_files(&self.directory)? {
            fs::remove_file(&old).map_err(Error::file(old))?;
        }
        let count = finished.len();
        for (path, file) in finished {
            file.persist(&path)
                .map_err(|error| Error::file(&path)(error.error))?;
        }
        Ok(count)
    }

    /// Returns the index of an open table, and begins the table if necessary.
    fn index_of(&mut self, table: &str, schema: SchemaRef) -> Result<usize, Error> {
        let index = self.tables.iter().position(|(name, _)| name == table);
        if let Some(index) = index {
            return Ok(index);
        }
        self.tables
            .push((table.to_owned(), self.begin(table, schema)?));
        Ok(self.tables.len() - 1)
    }

    fn begin(&self, table: &str, schema: SchemaRef) -> Result<ParquetFile<NamedTempFile>, Error> {
        let path = self.directory.join(format!("{table}.parquet"));
        let file = unfinished_file(&self.directory, table).map_err(Error::file(&path))?;
        ParquetFile::new(file, schema, path)
    }

    fn keep_within_budget(&mut self) -> Result<(), Error> {
        loop {
            let memory = self.tables.iter().map(|(_, file)| file.memory());
            if memory.sum::<usize>() <= self.budget {
                return Ok(());
            }
            let largest = self.tables.iter_mut().max_by_key(|(_, file)| file.memory());
            let Some((_, file)) = largest else {
                return Ok(());
            };
            let before = file.memory();
            file.flush()?;
            if file.memory() >= before {
                // The memory left belongs to no row group, so more flushing would never end.
                return Ok(());
            }
        }
    }
}

/// Returns the finished Parquet files in a directory.
fn parquet_files(directory: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(Error::file(directory))? {
        let path = entry.map_err(Error::file(directory))?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "parquet")
        {
            files.push(path);
        }
    }
    Ok(files)
}

fn properties() -> WriterProperties {
    let line = ColumnPath::from("line");
    WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_dictionary_page_size_limit(DICTIONARY_BYTES)
        .set_max_row_group_row_count(Some(MAX_GROUP_ROWS))
        // Record numbers only grow, so their differences are smaller than a dictionary.
        .set_column_dictionary_enabled(line.clone(), false)
        .set_column_encoding(line, Encoding::DELTA_BINARY_PACKED)
        .set_created_by(concat!("cprflow ", env!("CARGO_PKG_VERSION")).to_owned())
        .build()
}

/// Opens a Parquet file to read batches of at most `batch_rows` rows.
pub(super) fn open(path: &Path, batch_rows: usize) -> Result<ParquetRecordBatchReader, Error> {
    let file = File::open(path).map_err(Error::file(path))?;
    ParquetRecordBatchReaderBuilder::try_new(file)
        .and_then(|builder| builder.with_batch_size(batch_rows).build())
        .map_err(Error::parquet(path))
}
