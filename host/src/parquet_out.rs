//! Tables as Parquet files, many at once within one memory budget.

use std::fs::{self, File};
use std::io::Write;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;
use tempfile::NamedTempFile;

use crate::error::Error;

/// Bytes that all open row groups together may hold before the largest is written out.
const BUDGET: usize = 24 * 1024 * 1024;

/// Rows in a row group at the most.
const MAX_GROUP_ROWS: usize = 1024 * 1024;

/// Bytes that a column's dictionary may grow to in a row group; what comes after that is written plain. Columns of person
/// numbers, identifiers and moments reach any limit, so it decides how long they are looked up in vain: four times as
/// much, which is usual, takes a quarter more time and makes larger files. Codes, and most names, stay below it.
const DICTIONARY: usize = 256 * 1024;

/// Writes one table.
pub struct ParquetFile<W: Write + Send> {
    writer: ArrowWriter<W>,
    path: PathBuf,
}

impl<W: Write + Send> ParquetFile<W> {
    /// Begins a file; `path` is for error messages.
    pub fn new(sink: W, schema: SchemaRef, path: impl Into<PathBuf>) -> Result<Self, Error> {
        let path = path.into();
        let writer = ArrowWriter::try_new(sink, schema, Some(properties()))
            .map_err(Error::parquet(&path))?;
        Ok(Self { writer, path })
    }

    /// Appends rows.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        self.append(batch)?;
        if self.memory() > BUDGET {
            self.flush()?;
        }
        Ok(())
    }

    /// Ends the file, and gives back what it was written to.
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

/// Writes the tables of an extract to `<directory>/<table>.parquet`, tables without rows only if they are named.
///
/// The files appear under their names when [`finish`](Self::finish) is called; before that, and if it never is,
/// there is nothing to be mistaken for a result. They are readable by their owner only.
pub struct ParquetDirectory {
    directory: PathBuf,
    budget: usize,
    tables: Vec<(String, ParquetFile<NamedTempFile>)>,
}

impl ParquetDirectory {
    /// Prepares a directory, which is made if it is not there.
    ///
    /// One that holds Parquet files already is refused, for its tables would mix with the new ones, unless
    /// `replace` says that they may go.
    pub fn create(directory: &Path, replace: bool) -> Result<Self, Error> {
        fs::create_dir_all(directory).map_err(Error::file(directory))?;
        if !replace && !parquet_files(directory)?.is_empty() {
            return Err(Error::Tables {
                path: directory.to_owned(),
                what: "there are Parquet files in it already, and tables of two extracts must not mix: \
                       choose another directory, or replace them with --force"
                    .to_owned(),
            });
        }
        Ok(Self {
            directory: directory.to_owned(),
            budget: BUDGET,
            tables: Vec::new(),
        })
    }

    /// How many bytes all open row groups together may hold (24 MiB): more make larger row groups.
    pub fn with_budget(mut self, bytes: usize) -> Self {
        self.budget = bytes;
        self
    }

    /// Begins a table that may stay without rows. One that is begun already is left as it is.
    pub fn begin_table(&mut self, table: &str, schema: SchemaRef) -> Result<(), Error> {
        self.place(table, schema).map(drop)
    }

    /// Appends rows to a table.
    pub fn write(&mut self, table: &str, batch: &RecordBatch) -> Result<(), Error> {
        let place = self.place(table, batch.schema())?;
        if let Some((_, file)) = self.tables.get_mut(place) {
            file.append(batch)?;
        }
        self.keep_within_budget()
    }

    /// Ends all files and gives them their names. Returns how many there are.
    ///
    /// The last row group of every table is written only now, so it is done by as many threads as there are processors.
    pub fn finish(mut self) -> Result<usize, Error> {
        // Taken from the end, the largest come first.
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
            let threads: Vec<_> = (0..threads).map(|_| scope.spawn(finish)).collect();
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

    /// Where a table stands among the open ones.
    fn place(&mut self, table: &str, schema: SchemaRef) -> Result<usize, Error> {
        if let Some(place) = self.tables.iter().position(|(name, _)| name == table) {
            return Ok(place);
        }
        self.tables
            .push((table.to_owned(), self.begin(table, schema)?));
        Ok(self.tables.len() - 1)
    }

    fn begin(&self, table: &str, schema: SchemaRef) -> Result<ParquetFile<NamedTempFile>, Error> {
        let path = self.directory.join(format!("{table}.parquet"));
        let file = tempfile::Builder::new()
            .prefix(&format!(".{table}-"))
            .suffix(".part")
            .tempfile_in(&self.directory)
            .map_err(Error::file(&path))?;
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
                // What is left is no row group's, and flushing on would not end.
                return Ok(());
            }
        }
    }
}

/// Finished Parquet files in a directory.
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
        .set_dictionary_page_size_limit(DICTIONARY)
        .set_max_row_group_row_count(Some(MAX_GROUP_ROWS))
        // Ever-growing numbers: differences say more with less than a dictionary.
        .set_column_dictionary_enabled(line.clone(), false)
        .set_column_encoding(line, Encoding::DELTA_BINARY_PACKED)
        .set_created_by(concat!("cprflow ", env!("CARGO_PKG_VERSION")).to_owned())
        .build()
}

/// Opens a Parquet file's rows, in batches of that many.
pub(crate) fn open(
    path: &Path,
    batch_rows: usize,
) -> Result<parquet::arrow::arrow_reader::ParquetRecordBatchReader, Error> {
    let file = File::open(path).map_err(Error::file(path))?;
    parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file)
        .and_then(|builder| builder.with_batch_size(batch_rows).build())
        .map_err(Error::parquet(path))
}
