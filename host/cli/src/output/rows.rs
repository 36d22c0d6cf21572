//! Writes the rows of one table, in any of the formats.

use std::io::Write;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, MapArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use arrow::util::pretty::pretty_format_batches;
use cprflow::{Error, ParquetFile};

use super::sink::Sink;
use crate::failure::Failure;
use crate::usage::UsageError;

/// The formats of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowFormat {
    Table,
    Csv,
    Jsonl,
    Arrow,
    Parquet,
}

/// Writes batches of one table to a [`Sink`].
pub(crate) enum RowWriter {
    Table {
        sink: Sink,
        schema: SchemaRef,
        has_rows: bool,
    },
    Csv(Box<arrow::csv::Writer<Sink>>),
    Jsonl(arrow::json::Writer<Sink, arrow::json::writer::LineDelimited>),
    Arrow(StreamWriter<Sink>),
    Parquet(Box<ParquetFile<Sink>>),
}

impl RowWriter {
    /// Creates the writer. Fails if a binary format would go to a terminal.
    pub(crate) fn new(format: RowFormat, sink: Sink, schema: SchemaRef) -> Result<Self, Failure> {
        if matches!(format, RowFormat::Arrow | RowFormat::Parquet) && sink.is_terminal() {
            return Err(UsageError::BinaryToTerminal.into());
        }
        Ok(match format {
            RowFormat::Table => Self::Table {
                sink,
                schema,
                has_rows: false,
            },
            RowFormat::Csv => {
                let mut writer = arrow::csv::WriterBuilder::new()
                    .with_header(true)
                    .build(sink);
                // An empty batch writes the header, also if no row follows.
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

    /// Appends the rows of a batch.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        match self {
            Self::Table { sink, has_rows, .. } => {
                *has_rows = true;
                write_framed(sink, batch)
            }
            Self::Csv(writer) => flat(batch)
                .and_then(|batch| writer.write(&batch))
                .map_err(Error::Output),
            Self::Jsonl(writer) => writer.write(batch).map_err(Error::Output),
            Self::Arrow(writer) => writer.write(batch).map_err(Error::Output),
            Self::Parquet(file) => file.write(batch),
        }
    }

    /// Writes the end of the format and finishes the sink.
    pub(crate) fn finish(self) -> Result<(), Error> {
        let sink = match self {
            Self::Table {
                mut sink,
                schema,
                has_rows,
            } => {
                if !has_rows {
                    write_framed(&mut sink, &RecordBatch::new_empty(schema))?;
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

/// Writes a table in a frame. Each batch has its own frame, so that a long table needs no memory.
fn write_framed(sink: &mut Sink, batch: &RecordBatch) -> Result<(), Error> {
    let text = pretty_format_batches(std::slice::from_ref(batch)).map_err(Error::Output)?;
    let name = sink.name();
    writeln!(sink, "{text}").map_err(Error::file(name))
}

/// Returns the schema of the batches that [`flat`] returns.
fn flat_schema(schema: &Schema) -> Schema {
    let flatten = |field: &Arc<Field>| match field.data_type() {
        DataType::Map(..) => Field::new(field.name(), DataType::Utf8, true),
        _ => field.as_ref().clone(),
    };
    Schema::new(schema.fields().iter().map(flatten).collect::<Vec<_>>())
}

/// Returns the batch with maps as JSON texts, because CSV cannot hold nested values.
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
            .ok_or_else(|| ArrowError::CastError("the map does not map text to text".to_owned()))
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
