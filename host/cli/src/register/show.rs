//! `cprflow register show`: shows everything that is kept of persons.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::PathBuf;

use arrow::json::{ArrayWriter, WriterBuilder};
use clap::Args;
use cprflow::{Connector, Error, Pnr, TableBatch};
use cprflow_delivery::calendar::{self, danish_time};
use cprflow_delivery::register_state::{PersonReport, RegisterReport, read_numbers, show_persons};
use cprflow_redact::holds_person_number;
use serde_json::{Value, json};

use crate::failure::{Failure, Outcome};
use crate::options::{ReportFormat, SourceOptions};
use crate::output::{Sink, message};
use crate::usage::UsageError;

/// Show everything that is kept of persons (GDPR, article 15)
///
/// Lists the records, the deliveries that had them, the tenants that may see the person and since when, and the files with
/// data of the person. Records under other numbers of the same person are included. Records of relatives that name the
/// person are not. Deliveries that wait or were set aside are listed as files, if the number stands anywhere in them.
///
/// What could not be searched is named in the answer, for example a dataset that is not mounted. Then the answer is not
/// complete.
///
/// The numbers are read from a file, one on each line, because other users can see a command line.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes:
  0  shown, also if nothing is kept
  1  something could not be searched, for example a missing extract: the answer is not complete
  2  failed

Examples:
  cprflow register show --numbers numbers.txt --config cprflow.toml
  cprflow register show --numbers numbers.txt --format json -o answer.json")]
pub(super) struct Show {
    /// The file with the person numbers. Only its owner may be able to read it
    #[arg(long, value_name = "FILE")]
    numbers: PathBuf,

    /// The file to write. Only its owner can read it. Default: standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Replace the file if it exists
    #[arg(long)]
    force: bool,

    /// Format of the report
    #[arg(long, value_enum, default_value_t)]
    format: ReportFormat,

    #[command(flatten)]
    source: SourceOptions,
}

impl Show {
    /// Runs the subcommand.
    pub(super) fn run(&self, connector: &Connector) -> Result<Outcome, Failure> {
        let name = self.numbers.to_string_lossy();
        if !self.numbers.exists() && holds_person_number(&name) {
            return Err(UsageError::PersonNumberOnCommandLine.into());
        }
        let configuration = self.source.configuration()?;
        let numbers: BTreeSet<Pnr> = read_numbers(&self.numbers)?;
        let today = danish_time(calendar::now()).date();
        let report = show_persons(connector, &configuration, &numbers, today)?;
        let mut sink = Sink::open(self.output.as_deref(), self.force)?;
        let name = sink.name();
        match self.format {
            ReportFormat::Json => {
                let value = json_report(&report)?;
                let written = serde_json::to_writer_pretty(&mut sink, &value);
                let written = written.map_err(io::Error::from);
                written
                    .and_then(|()| writeln!(sink))
                    .map_err(Error::file(name))?;
            }
            ReportFormat::Text => {
                let written = print_report(&mut sink, &report);
                written.map_err(Error::file(name))?;
            }
        }
        sink.finish()?;
        for left in &report.left {
            message::warning(&format!("not searched: {left}"));
        }
        match report.missing.len() {
            0 if report.left.is_empty() => Ok(Outcome::Success),
            0 => Ok(Outcome::NeedsAttention),
            count => {
                message::warning(&format!(
                    "{count} extracts in the register are missing or were changed, so the answer is not complete. `cprflow status` names them"
                ));
                Ok(Outcome::NeedsAttention)
            }
        }
    }
}

/// Returns the report with the records as JSON.
fn json_report(report: &RegisterReport) -> Result<Value, Failure> {
    let mut persons = Vec::new();
    for person in &report.persons {
        let mut value = serde_json::to_value(person).map_err(io::Error::from)?;
        if let Some(fields) = value.as_object_mut() {
            fields.insert("records".to_owned(), json!(records(&person.records)?));
        }
        persons.push(value);
    }
    Ok(json!({ "persons": persons, "missing": report.missing, "left": report.left }))
}

/// Returns rows as JSON, by table.
fn records(batches: &[TableBatch]) -> Result<BTreeMap<String, Vec<Value>>, Failure> {
    let mut tables: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for TableBatch { table, batch } in batches.iter().filter(|one| one.batch.num_rows() > 0) {
        let builder = WriterBuilder::new().with_explicit_nulls(true);
        let mut writer: ArrayWriter<Vec<u8>> = builder.build(Vec::new());
        let written = writer.write(batch).and_then(|()| writer.finish());
        written.map_err(Error::Output)?;
        let rows: Vec<Value> =
            serde_json::from_slice(&writer.into_inner()).map_err(io::Error::from)?;
        tables.entry(table.clone()).or_default().extend(rows);
    }
    Ok(tables)
}

fn print_report(out: &mut impl Write, report: &RegisterReport) -> io::Result<()> {
    let is_complete = report.is_complete();
    for person in &report.persons {
        print(out, person, is_complete)?;
    }
    for path in &report.missing {
        writeln!(
            out,
            "not searched     {}: the file is gone or was changed",
            path.display()
        )?;
    }
    for left in &report.left {
        writeln!(out, "not searched     {left}")?;
    }
    Ok(())
}

fn print(out: &mut impl Write, person: &PersonReport, is_complete: bool) -> io::Result<()> {
    writeln!(out, "{}", person.number.as_str())?;
    for other in &person.other_numbers {
        writeln!(out, "  other number   {}", other.as_str())?;
    }
    if person.deliveries.is_empty() && person.stored.is_empty() {
        return match is_complete {
            true => writeln!(out, "  nothing is kept"),
            false => writeln!(
                out,
                "  nothing was found, but not everything was searched: see the end"
            ),
        };
    }
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for batch in &person.records {
        *counts.entry(&batch.table).or_default() += batch.batch.num_rows();
    }
    for (table, rows) in counts.into_iter().filter(|(_, rows)| *rows > 0) {
        writeln!(out, "  records        {rows} in {table}")?;
    }
    for delivery in &person.deliveries {
        let records: u64 = delivery.records.values().sum();
        writeln!(
            out,
            "  delivery       {} of agreement {}: {records} records kept",
            delivery.production_date, delivery.agreement
        )?;
    }
    for scope in &person.tenants {
        match scope.since {
            Some(since) => writeln!(
                out,
                "  tenant         {}: in scope since {since}",
                scope.tenant
            )?,
            None => writeln!(out, "  tenant         {}: not in scope", scope.tenant)?,
        }
    }
    person
        .stored
        .iter()
        .try_for_each(|path| writeln!(out, "  stored in      {}", path.display()))
}
