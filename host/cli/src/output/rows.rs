//! Writes the rows of one table, in any of the formats.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::ipc::writer::StreamWriter;
use cprflow::{Error, Irregular, ParquetFile, Representation, Timestamps};

use super::sink::Sink;
use super::{framed, message};
use crate::failure::Failure;
use crate::usage::UsageError;

/// The representation of rows in CSV, which cannot hold nested values.
const FLAT: Representation = Representation {
    irregular: Irregular::Json,
    timestamps: Timestamps::Naive,
};

/// The formats of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowFormat {
    Table,
    Csv,
    Jsonl,
    Arrow,
    Parquet,
}

/// The layout of rows as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TextLayout {
    /// A frame with one line per row. On a terminal the columns that do not fit are left out.
    Frame,
    /// One line per value.
    Vertical,
}

/// Writes batches of one table to a [`Sink`].
pub(crate) enum RowWriter {
    Table {
        sink: Sink,
        schema: SchemaRef,
        layout: TextLayout,
        /// The largest width of a frame, in characters.
        width: Option<usize>,
        rows: u64,
        /// The largest number of columns that were left out of a frame.
        hidden: usize,
    },
    Csv(Box<arrow::csv::Writer<Sink>>),
    Jsonl(arrow::json::Writer<Sink, arrow::json::writer::LineDelimited>),
    Arrow(StreamWriter<Sink>),
    Parquet(Box<ParquetFile<Sink>>),
}

impl RowWriter {
    /// Creates the writer. Fails if a binary format would go to a terminal.
    pub(crate) fn new(
        format: RowFormat,
        layout: TextLayout,
        sink: Sink,
        schema: SchemaRef,
    ) -> Result<Self, Failure> {
        if matches!(format, RowFormat::Arrow | RowFormat::Parquet) && sink.is_terminal() {
            return Err(UsageError::BinaryToTerminal.into());
        }
        Ok(match format {
            RowFormat::Table => Self::Table {
                width: sink.is_terminal().then(framed::terminal_width).flatten(),
                sink,
                schema,
                layout,
                rows: 0,
                hidden: 0,
            },
            RowFormat::Csv => {
                let mut writer = arrow::csv::WriterBuilder::new()
                    .with_header(true)
                    .build(sink);
                // An empty batch writes the header, also if no row follows.
                let empty = RecordBatch::new_empty(FLAT.schema(&schema));
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
            Self::Table {
                sink,
                layout,
                width,
                rows,
                hidden,
                ..
            } => {
                let first = *rows + 1;
                *rows += batch.num_rows() as u64;
                match layout {
                    TextLayout::Frame => {
                        *hidden = write_framed(sink, batch, *width)?.max(*hidden);
                        Ok(())
                    }
                    TextLayout::Vertical => {
                        framed::write_vertical(sink, batch, first).map_err(Error::Output)
                    }
                }
            }
            Self::Csv(writer) => FLAT
                .batch(batch)
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
                layout,
                width,
                rows,
                mut hidden,
            } => {
                if rows == 0 && layout == TextLayout::Frame {
                    hidden = write_framed(&mut sink, &RecordBatch::new_empty(schema), width)?;
                }
                if hidden > 0 {
                    message::note(&format!(
                        "{hidden} columns do not fit the terminal. Name columns with --columns, or use --vertical"
                    ));
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

/// Writes a table in a frame, and returns how many columns were left out. Each batch has its own frame, so that a long
/// table needs no memory.
fn write_framed(
    sink: &mut Sink,
    batch: &RecordBatch,
    width: Option<usize>,
) -> Result<usize, Error> {
    let (text, hidden) = framed::frame(batch, width).map_err(Error::Output)?;
    let name = sink.name();
    writeln!(sink, "{text}").map_err(Error::file(name))?;
    Ok(hidden)
}
