//! `cprflow verify`: checks an extract and prints a report.

use std::io::{self, Write};
use std::path::PathBuf;

use anstyle::Style;
use clap::Args;
use cprflow::{Connector, DataError, Error, Finding, Shape, Summary};
use indicatif::HumanCount;
use serde::Serialize;

use crate::failure::{Failure, Outcome};
use crate::input::Input;
use crate::options::ReportFormat;
use crate::output::progress::ScanProgress;
use crate::output::{message, print_json};

/// Check whether an extract is complete and correct
///
/// Prints the rows of each table, the task number, the production dates and the findings. The report contains no value
/// of a person's record, so it can be sent to a helpdesk.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes:
  0  no errors and no warnings; there may be notes
  1  there are errors or warnings, or the input is not an extract
  2  failed

Findings:
  errors    missing-start, missing-end, count-mismatch, damaged-encoding,
            look-alike, records-after-end, second-start, nothing-known
  warnings  rejected-record, unknown-type, person-without-001,
            sequence-gap (only with --previous)
  notes     irregular-value, longer-record, padding-after-end
  by the extent of the damage:
            protection-unreadable (error or warning), person-twice (warning or
            note), control-characters (error, warning or note)

Examples:
  cprflow verify D100313.L431101
  cprflow verify D100313.L431101 --previous 2001-11-16
  cprflow verify D100313.L431101 --format json | jq '.findings[].code'")]
pub(crate) struct Verify {
    /// The extract, or - for standard input
    input: PathBuf,

    /// The production date of the previous extract. Warns if this extract does not follow it
    #[arg(long, value_name = "YYYY-MM-DD")]
    previous: Option<String>,

    /// Format of the report
    #[arg(long, value_enum, default_value_t)]
    format: ReportFormat,
}

/// The report as JSON.
#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    summary: &'a Summary,
    /// The error that stopped the reading before the end of the extract.
    error: Option<ReportedError<'a>>,
}

#[derive(Serialize)]
struct ReportedError<'a> {
    line: Option<u64>,
    offset: Option<u64>,
    message: &'a str,
}

impl Verify {
    /// Runs the subcommand.
    pub(crate) fn run(&self, connector: &Connector) -> Result<Outcome, Failure> {
        let input = Input::open(&self.input)?;
        let progress = ScanProgress::new(input.len);
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
            ReportFormat::Text => {
                print_text(&mut anstream::stdout().lock(), &summary, stopped.as_ref())?;
            }
            ReportFormat::Json => print_json(&Report {
                summary: &summary,
                error: stopped.as_ref().map(|error| ReportedError {
                    line: error.line,
                    offset: error.offset,
                    message: &error.message,
                }),
            })?,
        }
        Ok(match stopped.is_some() || summary.needs_attention() {
            true => Outcome::NeedsAttention,
            false => Outcome::Success,
        })
    }
}

fn print_text(
    out: &mut impl Write,
    summary: &Summary,
    stopped: Option<&DataError>,
) -> io::Result<()> {
    let date = |date: &Option<String>| date.clone().unwrap_or_else(|| "no date".to_owned());
    if let Some(start) = &summary.start {
        writeln!(out, "task number  {}", start.task_number)?;
        writeln!(out, "produced     {}", date(&start.production_date))?;
        writeln!(
            out,
            "previous     {}",
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
        print_finding(out, finding)?;
    }
    let bold = Style::new().bold();
    match stopped {
        Some(error) => writeln!(out, "{bold}reading stopped{bold:#}: {error}"),
        None if summary.needs_attention() => {
            writeln!(out, "{bold}needs attention: see the findings above{bold:#}")
        }
        None => writeln!(out, "{bold}complete, no errors, no warnings{bold:#}"),
    }
}

fn print_finding(out: &mut impl Write, finding: &Finding) -> io::Result<()> {
    /// The number of places that are printed for one finding. The JSON report has all of them.
    const MAX_PLACES: usize = 12;
    let (color, word) = message::level(finding.level);
    let style = Style::new().bold().fg_color(Some(color.into()));
    writeln!(
        out,
        "{style}{word}{style:#} {} ({}): {}",
        finding.code,
        HumanCount(finding.count),
        finding.message
    )?;
    for place in finding.places.iter().take(MAX_PLACES) {
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
    let more = finding.places.len().saturating_sub(MAX_PLACES);
    if more > 0 {
        writeln!(out, "  and {more} more places")?;
    }
    Ok(())
}
