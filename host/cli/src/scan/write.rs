//! Writes the rows of `cprflow scan`.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use arrow::array::RecordBatchReader;
use cprflow::{Connector, Error, ParquetDirectory, Summary};
use indicatif::{HumanBytes, HumanCount};

use super::{RequestedTable, Scan};
use crate::failure::{Failure, Outcome};
use crate::output::{RowFormat, RowWriter, Sink, TextLayout, message, print_columns};
use crate::usage::UsageError;

/// How the reading of an extract ended.
struct Ended {
    file: PathBuf,
    /// The error in the data that ended it before the end of the extract.
    result: Result<(), Error>,
    summary: Summary,
}

impl Scan {
    /// Writes one table to the output file or to standard output.
    pub(super) fn write_table(
        &self,
        connector: &Connector,
        files: &[PathBuf],
        request: &RequestedTable,
        format: RowFormat,
    ) -> Result<Outcome, Failure> {
        let layout = match self.vertical {
            true => TextLayout::Vertical,
            false => TextLayout::Frame,
        };
        let mut writer = None;
        let mut names = None;
        let mut ended = Vec::new();
        let mut left = self.limit;
        for file in files {
            if left == Some(0) && !ended.is_empty() {
                break;
            }
            let (mut rows, progress) = self.read_table(connector, file, request, left)?;
            let writer = match &mut writer {
                Some(writer) => writer,
                none => {
                    let schema = rows.schema();
                    names = self.names.of_table(connector, &request.name, &schema)?;
                    let schema = names
                        .as_ref()
                        .map_or(schema, |names| names.schema().clone());
                    let sink = Sink::open(self.output.as_deref(), self.force)?;
                    none.insert(RowWriter::new(format, layout, sink, schema)?)
                }
            };
            // Rows and a progress bar on the same terminal would overwrite each other.
            if self.output.is_none() && io::stdout().is_terminal() {
                progress.clear();
            }
            let result = loop {
                match rows.next_batch() {
                    Ok(Some(batch)) => {
                        left = left.map(|left| left.saturating_sub(batch.num_rows() as u64));
                        match &names {
                            Some(names) => writer.write(&names.add_to(&batch)?)?,
                            None => writer.write(&batch)?,
                        }
                    }
                    Ok(None) => break Ok(()),
                    Err(error) => break Err(error),
                }
                progress.at(rows.bytes_read(), rows.rows_read());
            };
            progress.clear();
            ended.push(Ended {
                file: file.clone(),
                result: data_error(result)?,
                summary: rows.summary()?,
            });
        }
        if let Some(writer) = writer {
            writer.finish()?;
        }
        self.report(ended)
    }

    /// Writes every table to a Parquet file in the output directory.
    pub(super) fn write_all_tables(
        &self,
        connector: &Connector,
        files: &[PathBuf],
    ) -> Result<Outcome, Failure> {
        let directory = self.output.as_deref();
        let directory = directory.ok_or(UsageError::AllNeedsDirectory)?;
        let mut tables = ParquetDirectory::create(directory, self.force)?;
        let mut ended = Vec::new();
        let (mut bytes, mut rows) = (0, 0);
        for file in files {
            let (mut batches, progress) = self.read_all(connector, file, None)?;
            // A tenant gets all tables of its policy, also empty ones.
            for table in batches.view().iter().flat_map(|view| view.tables()) {
                if let Some(schema) = table.schema(None) {
                    tables.begin_table(&table.name, schema)?;
                }
            }
            let result = loop {
                match batches.next() {
                    Some(Ok(rows)) => tables.write(&rows.table, &rows.batch)?,
                    Some(Err(error)) => break Err(error),
                    None => break Ok(()),
                }
                progress.at(batches.bytes_read(), batches.rows_read());
            };
            progress.clear();
            bytes += batches.bytes_read();
            rows += batches.rows_read();
            ended.push(Ended {
                file: file.clone(),
                result: data_error(result)?,
                summary: batches.summary()?,
            });
        }
        let count = tables.finish()?;
        let outcome = self.report(ended)?;
        message::done(&format!(
            "wrote {} rows in {count} tables, from {}",
            HumanCount(rows),
            HumanBytes(bytes)
        ));
        Ok(outcome)
    }

    /// Prints the number of rows of each table. The rows are converted and checked, and not written.
    pub(super) fn count_rows(
        &self,
        connector: &Connector,
        files: &[PathBuf],
    ) -> Result<Outcome, Failure> {
        let request = self.requested(connector)?;
        let mut counts: Vec<(String, u64)> = Vec::new();
        let mut ended = Vec::new();
        for file in files {
            let (mut batches, progress) = self.read_all(connector, file, request.as_ref())?;
            let result = loop {
                let rows = match batches.next() {
                    Some(Ok(rows)) => rows,
                    Some(Err(error)) => break Err(error),
                    None => break Ok(()),
                };
                let more = rows.batch.num_rows() as u64;
                match counts.iter_mut().find(|(table, _)| *table == rows.table) {
                    Some((_, count)) => *count += more,
                    None => counts.push((rows.table, more)),
                }
                progress.at(batches.bytes_read(), batches.rows_read());
            };
            progress.clear();
            ended.push(Ended {
                file: file.clone(),
                result: data_error(result)?,
                summary: batches.summary()?,
            });
        }
        let index = |name: &str| {
            let mut tables = connector.catalog().tables().iter();
            // The table out_of_scope of a tenant is not in the catalog, and comes last.
            tables
                .position(|table| table.name == name)
                .unwrap_or(usize::MAX)
        };
        counts.sort_by_key(|(table, _)| index(table));
        let texts: Vec<[String; 2]> = counts
            .into_iter()
            .map(|(table, count)| [table, count.to_string()])
            .collect();
        let rows = texts.iter().map(|row| row.each_ref().map(String::as_str));
        print_columns(["TABLE", "ROWS"], rows)?;
        self.report(ended)
    }

    /// Prints the findings of the extracts, and the errors that ended their reading.
    fn report(&self, extracts: Vec<Ended>) -> Result<Outcome, Failure> {
        let is_only = extracts.len() == 1;
        let mut outcome = Outcome::Success;
        for extract in extracts {
            let name: Option<&Path> = (!is_only).then_some(&extract.file);
            message::findings(&extract.summary, name);
            match extract.result {
                Err(error) if is_only => return Err(error.into()),
                Err(error) => {
                    message::error_in(name, &error.to_string());
                    outcome = Outcome::NeedsAttention;
                }
                Ok(()) if self.fail_on.outcome(&extract.summary) == Outcome::NeedsAttention => {
                    outcome = Outcome::NeedsAttention;
                }
                Ok(()) => {}
            }
        }
        Ok(outcome)
    }
}

/// Returns the error if it is about the data: the rows before it are valid and are written.
///
/// Fails if the input could not be read or the component failed: the rows before it are no result, and the output file
/// does not get its name.
fn data_error(ended: Result<(), Error>) -> Result<Result<(), Error>, Failure> {
    match ended {
        Err(error @ (Error::Component(_) | Error::Input(_))) => Err(error.into()),
        ended => Ok(ended),
    }
}
