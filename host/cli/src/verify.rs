//! `cprflow verify`: checks an extract and prints a report.

use std::io::{self, Write};
use std::path::PathBuf;

use anstyle::Style;
use clap::Args;
use cprflow::{Connector, DataError, Error, Finding, Shape, Summary};
use indicatif::HumanCount;
use serde::Serialize;

use crate::failure::{Failure, Outcome};
use crate::input::{self, Input};
use crate::options::{FailOn, ReportFormat};
use crate::output::progress::ScanProgress;
use crate::output::{message, print_json, stdout};
use crate::usage::UsageError;

/// Check whether an extract is complete and correct
///
/// Prints the rows of each table, the task number, the production dates and the findings. The report contains no value
/// of a person's record, so it can be sent to a helpdesk.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes:
  0  no errors and no warnings; there may be notes
  1  there are errors or warnings (with --fail-on error: errors), or an input
     is not an extract
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
  cprflow verify inbox/ extract.gz --fail-on error
  cprflow verify D100313.L431101 --format json | jq '.findings[].code'")]
pub(crate) struct Verify {
    /// Extracts, directories of extracts, or - for standard input. They may be packed with gzip
    #[arg(required = true)]
    input: Vec<PathBuf>,

    /// The production date of the previous extract. Warns if this extract does not follow it
    #[arg(long, value_name = "YYYY-MM-DD")]
    previous: Option<String>,

    /// The lowest level of findings for which the exit code is 1
    #[arg(long, value_enum, value_name = "LEVEL", default_value_t)]
    fail_on: FailOn,

    /// Format of the report. With several extracts, the JSON report is an array
    #[arg(long, value_enum, default_value_t)]
    format: ReportFormat,

    /// Threads that read the extract. Default, and with 0: one for each core
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    threads: usize,
}

/// What was found in an extract.
struct Verified {
    file: PathBuf,
    summary: Summary,
    /// The error that stopped the reading before the end of the extract.
    stopped: Option<DataError>,
}

/// The report as JSON.
#[derive(Serialize)]
struct Report<'a> {
    /// The extract, if there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
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
        let files = input::expand(&self.input)?;
        if self.previous.is_some() && files.len() > 1 {
            return Err(UsageError::PreviousNeedsOneExtract.into());
        }
        let verified: Result<Vec<_>, _> = files
            .into_iter()
            .map(|file| self.verify(connector, file))
            .collect();
        let verified = verified?;
        match (self.format, &verified[..]) {
            (ReportFormat::Text, several) => {
                let mut out = stdout()?;
                for (index, one) in several.iter().enumerate() {
                    if several.len() > 1 {
                        let gap = if index > 0 { "\n" } else { "" };
                        let bold = Style::new().bold();
                        writeln!(out, "{gap}{bold}{}{bold:#}", one.name())?;
                    }
                    one.print_text(&mut out)?;
                }
            }
            (ReportFormat::Json, [only]) => print_json(&only.report(false))?,
            (ReportFormat::Json, several) => {
                let reports: Vec<_> = several.iter().map(|one| one.report(true)).collect();
                print_json(&reports)?;
            }
        }
        let needs_attention = verified.iter().any(|one| {
            one.stopped.is_some() || self.fail_on.outcome(&one.summary) != Outcome::Success
        });
        Ok(match needs_attention {
            true => Outcome::NeedsAttention,
            false => Outcome::Success,
        })
    }

    fn verify(&self, connector: &Connector, file: PathBuf) -> Result<Verified, Failure> {
        let input = Input::open(&file)?;
        let progress = ScanProgress::new(input.len);
        let mut scan = cprflow::Scan::new(connector)
            .check_persons(true)
            .threads(self.threads);
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
        Ok(Verified {
            file,
            summary,
            stopped,
        })
    }
}

impl Verified {
    /// Returns the name of the file. A file can be named by a person number.
    fn name(&self) -> String {
        cprflow_redact::redact(&self.file.display().to_string(), 200)
    }

    fn report(&self, is_named: bool) -> Report<'_> {
        Report {
            file: is_named.then(|| self.name()),
            summary: &self.summary,
            error: self.stopped.as_ref().map(|error| ReportedError {
                line: error.line,
                offset: error.offset,
                message: &error.message,
            }),
        }
    }

    fn print_text(&self, out: &mut impl Write) -> io::Result<()> {
        print_text(out, &self.summary, self.stopped.as_ref())
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
