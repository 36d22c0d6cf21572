//! Writes the rows of `cprflow scan`.

use std::io::{self, IsTerminal};

use arrow::array::RecordBatchReader;
use cprflow::{Connector, Error, ParquetDirectory, Summary};
use indicatif::{HumanBytes, HumanCount};

use super::Scan;
use crate::failure::{Failure, Outcome};
use crate::output::{RowFormat, RowWriter, Sink, message, print_columns};
use crate::usage::UsageError;

impl Scan {
    /// Writes one table to the output file or to standard output.
    pub(super) fn write_table(
        &self,
        connector: &Connector,
        table: &str,
        format: RowFormat,
    ) -> Result<Outcome, Failure> {
        let (mut rows, progress) = self.read_table(connector, table)?;
        let sink = Sink::open(self.output.as_deref())?;
        // Rows and a progress bar on the same terminal would overwrite each other.
        if !sink.is_file() && io::stdout().is_terminal() {
            progress.clear();
        }
        let mut writer = RowWriter::new(format, sink, rows.schema())?;
        let ended = loop {
            match rows.next_batch() {
                Ok(Some(batch)) => writer.write(&batch)?,
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
            progress.at(rows.bytes_read(), rows.rows_read());
        };
        let ended = data_error(ended)?;
        writer.finish()?;
        progress.clear();
        report(ended, &rows.summary()?)
    }

    /// Writes every table to a Parquet file in the output directory.
    pub(super) fn write_all_tables(&self, connector: &Connector) -> Result<Outcome, Failure> {
        let directory = self.output.as_deref();
        let directory = directory.ok_or(UsageError::AllNeedsDirectory)?;
        let mut tables = ParquetDirectory::create(directory, self.force)?;
        let (mut batches, progress) = self.read_all(connector)?;
        // A tenant gets all tables of its policy, also empty ones.
        for table in batches.view().iter().flat_map(|view| view.tables()) {
            if let Some(schema) = table.schema(None) {
                tables.begin_table(&table.name, schema)?;
            }
        }
        let ended = loop {
            match batches.next() {
                Some(Ok(rows)) => tables.write(&rows.table, &rows.batch)?,
                Some(Err(error)) => break Err(error),
                None => break Ok(()),
            }
            progress.at(batches.bytes_read(), batches.rows_read());
        };
        let ended = data_error(ended)?;
        let count = tables.finish()?;
        progress.clear();
        let (bytes, rows) = (batches.bytes_read(), batches.rows_read());
        let outcome = report(ended, &batches.summary()?)?;
        message::done(&format!(
            "wrote {} rows in {count} tables, from {}",
            HumanCount(rows),
            HumanBytes(bytes)
        ));
        Ok(outcome)
    }

    /// Prints the number of rows of each table. The rows are converted and checked, and not written.
    pub(super) fn count_rows(&self, connector: &Connector) -> Result<Outcome, Failure> {
        let (mut batches, progress) = self.read_all(connector)?;
        let mut counts: Vec<(String, u64)> = Vec::new();
        let ended = loop {
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
        let ended = data_error(ended)?;
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
        report(ended, &batches.summary()?)
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

/// Prints the findings. Fails with the error in the data that ended the scan, if there was one.
fn report(ended: Result<(), Error>, summary: &Summary) -> Result<Outcome, Failure> {
    message::findings(summary);
    ended?;
    Ok(match summary.needs_attention() {
        true => Outcome::NeedsAttention,
        false => Outcome::Success,
    })
}
