//! Rows to a file or to standard output, in any of the formats.

use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, MapArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use arrow::util::pretty::pretty_format_batches;
use clap::ValueEnum;
use cprflow::{Error, ParquetFile};
use tempfile::NamedTempFile;

use super::Failure;

/// The formats of one table's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RowFormat {
    Table,
    Csv,
    Jsonl,
    Arrow,
    Parquet,
}

/// Where rows go: a file that gets its name when it is whole, or standard output.
pub(crate) enum Sink {
    File(BufWriter<NamedTempFile>, PathBuf),
    Stdout(BufWriter<io::Stdout>),
}

impl Sink {
    /// Opens it. A new file is readable by its owner only: it holds personal data.
    pub(crate) fn open(path: Option<&Path>) -> Result<Self, Error> {
        let Some(path) = path.filter(|path| *path != Path::new("-")) else {
            return Ok(Self::Stdout(BufWriter::new(io::stdout())));
        };
        let directory = match path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        let file = NamedTempFile::new_in(directory).map_err(Error::file(path))?;
        Ok(Self::File(
            BufWriter::with_capacity(1024 * 1024, file),
            path.to_owned(),
        ))
    }

    /// Whether people would see the bytes.
    pub(crate) fn is_terminal(&self) -> bool {
        matches!(self, Self::Stdout(_)) && io::stdout().is_terminal()
    }

    /// What to call it in an error.
    pub(crate) fn name(&self) -> PathBuf {
        match self {
            Self::File(_, path) => path.clone(),
            Self::Stdout(_) => PathBuf::from("standard output"),
        }
    }

    /// Makes a file final.
    pub(crate) fn finish(self) -> Result<(), Error> {
        match self {
            Self::File(writer, path) => {
                let file = writer.into_inner();
                let file = file.map_err(|error| Error::file(&path)(error.into_error()))?;
                file.as_file().sync_all().map_err(Error::file(&path))?;
                file.persist(&path)
                    .map_err(|error| Error::file(&path)(error.error))?;
                Ok(())
            }
            Self::Stdout(mut writer) => writer.flush().map_err(Error::file("standard output")),
        }
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::File(writer, _) => writer.write(bytes),
            Self::Stdout(writer) => writer.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::File(writer, _) => writer.flush(),
            Self::Stdout(writer) => writer.flush(),
        }
    }
}

/// Writes batches of one table.
pub(crate) enum RowWriter {
    Table(Sink, SchemaRef, bool),
    Csv(Box<arrow::csv::Writer<Sink>>),
    Jsonl(arrow::json::Writer<Sink, arrow::json::writer::LineDelimited>),
    Arrow(StreamWriter<Sink>),
    Parquet(Box<ParquetFile<Sink>>),
}

impl RowWriter {
    /// Begins.
    pub(crate) fn new(format: RowFormat, sink: Sink, schema: SchemaRef) -> Result<Self, Failure> {
        if matches!(format, RowFormat::Arrow | RowFormat::Parquet) && sink.is_terminal() {
            return Err(Failure::Usage(
                "this format is binary: name a file with -o, or pipe it on".to_owned(),
            ));
        }
        Ok(match format {
            RowFormat::Table => Self::Table(sink, schema, false),
            RowFormat::Csv => {
                let mut writer = arrow::csv::WriterBuilder::new()
                    .with_header(true)
                    .build(sink);
                // The header stands there even if no row follows.
                let empty = RecordBatch::new_empty(Arc::new(flat_schema(&schema)));
                writer.write(&empty).map_err(Error::Output)?;
                Self::Csv(Box::new(writer))
            }
            RowFormat::Jsonl => Self::Jsonl(
                arrow::json::WriterBuilder::new()
                    .with_explicit_nulls(true)
                    .build(sink),
            ),
            RowFormat::Arrow => {
                Self::Arrow(StreamWriter::try_new(sink, &schema).map_err(Error::Output)?)
            }
            RowFormat::Parquet => {
                let name = sink.name();
                Self::Parquet(Box::new(ParquetFile::new(sink, schema, name)?))
            }
        })
    }

    /// Appends rows.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        match self {
            Self::Table(sink, _, begun) => {
                *begun = true;
                print(sink, batch)
            }
            Self::Csv(writer) => flat(batch)
                .and_then(|batch| writer.write(&batch))
                .map_err(Error::Output),
            Self::Jsonl(writer) => writer.write(batch).map_err(Error::Output),
            Self::Arrow(writer) => writer.write(batch).map_err(Error::Output),
            Self::Parquet(file) => file.write(batch),
        }
    }

    /// Ends.
    pub(crate) fn finish(self) -> Result<(), Error> {
        let sink = match self {
            Self::Table(mut sink, schema, begun) => {
                if !begun {
                    print(&mut sink, &RecordBatch::new_empty(schema))?;
                }
                sink
            }
            Self::Csv(writer) => writer.into_inner(),
            Self::Jsonl(mut writer) => {
                writer.finish().map_err(Error::Output)?;
                writer.into_inner()
            }
            Self::Arrow(writer) => writer.into_inner().map_err(Error::Output)?,
            Self::Parquet(file) => file.finish()?,
        };
        sink.finish()
    }
}

/// A table in a frame. Each batch has its own, so that a long one needs no memory.
fn print(sink: &mut Sink, batch: &RecordBatch) -> Result<(), Error> {
    let text = pretty_format_batches(std::slice::from_ref(batch)).map_err(Error::Output)?;
    let name = sink.name();
    writeln!(sink, "{text}").map_err(Error::file(name))
}

/// The schema that [`flat`] gives.
fn flat_schema(schema: &Schema) -> Schema {
    let flatten = |field: &Arc<Field>| match field.data_type() {
        DataType::Map(..) => Field::new(field.name(), DataType::Utf8, true),
        _ => field.as_ref().clone(),
    };
    Schema::new(schema.fields().iter().map(flatten).collect::<Vec<_>>())
}

/// The batch with its map as a JSON text: CSV has no place for anything nested.
fn flat(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let flatten = |column: &ArrayRef| match column.as_any().downcast_ref::<MapArray>() {
        Some(map) => Ok(Arc::new(map_as_json(map)?) as ArrayRef),
        None => Ok(column.clone()),
    };
    let columns = batch.columns().iter().map(flatten);
    let schema = Arc::new(flat_schema(&batch.schema()));
    RecordBatch::try_new(schema, columns.collect::<Result<_, ArrowError>>()?)
}

fn map_as_json(map: &MapArray) -> Result<StringArray, ArrowError> {
    let texts = |array: &ArrayRef| {
        let texts = array.as_any().downcast_ref::<StringArray>();
        texts
            .cloned()
            .ok_or_else(|| ArrowError::CastError("a map of other things than texts".to_owned()))
    };
    let (keys, values) = (texts(map.keys())?, texts(map.values())?);
    let offsets = map.value_offsets();
    let rows = offsets.windows(2).enumerate().map(|(row, ends)| {
        let &[from, to] = ends else { return None };
        map.is_valid(row).then(|| {
            let entries = (from as usize..to as usize)
                .map(|at| (keys.value(at).to_owned(), values.value(at).into()));
            serde_json::Value::Object(entries.collect()).to_string()
        })
    });
    Ok(rows.collect())
}
