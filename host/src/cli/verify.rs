//! `cprflow verify`.

use std::io::Write;
use std::path::PathBuf;

use anstyle::Style;
use clap::{Args, ValueEnum};
use cprflow::{Connector, DataError, Error, Finding, Shape, Summary};
use indicatif::HumanCount;
use serde::Serialize;

use super::progress::{Input, Progress};
use super::{Failure, Outcome, say};

/// Tell whether an extract is whole and sound
///
/// Prints rows per table, task number, production dates and findings. The report holds no value of a person's
/// record: it can be sent to a helpdesk.
#[derive(Debug, Args)]
#[command(after_help = "\
Findings:
  errors    missing-start, missing-end, count-mismatch, damaged-encoding, look-alike, records-after-end
  warnings  rejected-record, unknown-type, person-without-001, sequence-gap (with --previous)
  notes     irregular-value, longer-record

Examples:
  cprflow verify D100313.L431101
  cprflow verify D100313.L431101 --previous 2001-11-16
  cprflow verify D100313.L431101 --format json | jq '.findings[].code'")]
pub(crate) struct Verify {
    /// The extract; - for standard input
    input: PathBuf,

    /// The production date of the extract before: a break in the chain becomes a warning
    #[arg(long, value_name = "YYYY-MM-DD")]
    previous: Option<String>,

    /// How to print the report
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Format {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
}

#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    summary: &'a Summary,
    /// What ended the reading before the end, if anything did.
    error: Option<ReportedError<'a>>,
}

#[derive(Serialize)]
struct ReportedError<'a> {
    line: Option<u64>,
    offset: Option<u64>,
    message: &'a str,
}

impl Verify {
    pub(crate) fn run(&self, connector: &Connector) -> Result<Outcome, Failure> {
        let input = Input::open(&self.input)?;
        let progress = Progress::new(input.len);
        let mut scan = cprflow::Scan::new(connector).check_persons(true);
        if let Some(previous) = &self.previous {
            scan = scan.expected_previous(previous);
        }
        let mut batches = scan.read_all(input)?;
        let mut stopped = None;
        while let Some(rows) = batches.next() {
            match rows {
                Ok(_) => progress.at(batches.bytes_read(), batches.rows_read()),
                Err(Error::Data(error)) => stopped = Some(error),
                Err(error) => return Err(error.into()),
            }
        }
        progress.clear();
        let summary = batches.summary()?;
        match self.format {
            Format::Text => text(&mut anstream::stdout().lock(), &summary, stopped.as_ref())?,
            Format::Json => {
                let report = Report {
                    summary: &summary,
                    error: stopped.as_ref().map(|error| ReportedError {
                        line: error.line,
                        offset: error.offset,
                        message: &error.message,
                    }),
                };
                let mut out = std::io::stdout().lock();
                serde_json::to_writer_pretty(&mut out, &report).map_err(std::io::Error::from)?;
                writeln!(out)?;
            }
        }
        Ok(match stopped.is_some() || summary.needs_attention() {
            true => Outcome::Findings,
            false => Outcome::Clean,
        })
    }
}

fn text(
    out: &mut impl Write,
    summary: &Summary,
    stopped: Option<&DataError>,
) -> Result<(), std::io::Error> {
    let date = |date: &Option<String>| date.clone().unwrap_or_else(|| "no date".to_owned());
    if let Some(start) = &summary.start {
        writeln!(out, "task number  {}", start.task_number)?;
        writeln!(out, "produced     {}", date(&start.production_date))?;
        writeln!(
            out,
            "one before   {}",
            date(&start.previous_production_date)
        )?;
    }
    let shape = match summary.shape {
        Shape::Unknown => "unknown",
        Shape::Lines => "lines",
        Shape::Packed => "no line ends",
        Shape::PackedUniform => "no line ends, records of one length",
    };
    writeln!(out, "shape        {shape}")?;
    writeln!(out, "bytes        {}", HumanCount(summary.bytes))?;
    writeln!(out, "records      {}", HumanCount(summary.records))?;
    if let Some(declared) = summary.declared_records {
        writeln!(out, "declared     {}", HumanCount(declared))?;
    }
    writeln!(out)?;
    for count in &summary.tables {
        writeln!(
            out,
            "{:24} {:>14}",
            count.table,
            HumanCount(count.records).to_string()
        )?;
    }
    writeln!(out)?;
    for finding in &summary.findings {
        print(out, finding)?;
    }
    let bold = Style::new().bold();
    match stopped {
        Some(error) => writeln!(out, "{bold}reading stopped{bold:#}: {error}"),
        None if summary.needs_attention() => {
            writeln!(out, "{bold}look at the findings above{bold:#}")
        }
        None => writeln!(out, "{bold}whole and sound{bold:#}"),
    }
}

fn print(out: &mut impl Write, finding: &Finding) -> Result<(), std::io::Error> {
    /// Lines for one finding; the rest is in the JSON report.
    const PLACES: usize = 12;
    let (color, word) = say::level(finding.level);
    let style = Style::new().bold().fg_color(Some(color.into()));
    writeln!(
        out,
        "{style}{word}{style:#} {} ({}): {}",
        finding.code,
        HumanCount(finding.count),
        finding.message
    )?;
    for place in finding.places.iter().take(PLACES) {
        let what = match (&place.record_type, &place.column) {
            (Some(record_type), Some(column)) => format!("{record_type} {column}"),
            (Some(record_type), None) => record_type.clone(),
            _ => "records".to_owned(),
        };
        let count = HumanCount(place.count).to_string();
        writeln!(
            out,
            "  {what:44} {count:>12}, first at record {}",
            HumanCount(place.first_line)
        )?;
    }
    if finding.places.len() > PLACES {
        writeln!(out, "  and {} more places", finding.places.len() - PLACES)?;
    }
    Ok(())
}
