//! Prints the report of a run.

use std::io::{self, Write};

use anstyle::Style;
use cprflow_delivery::sync::RunReport;
use indicatif::HumanCount;

use crate::log;
use crate::options::ReportFormat;
use crate::output::print_json;

/// Prints the report on standard output.
pub(super) fn print(report: &RunReport, format: ReportFormat) -> io::Result<()> {
    match format {
        ReportFormat::Text => print_text(&mut crate::output::stdout()?, report),
        // A log collector reads line by line, and it gets the report together with the log.
        ReportFormat::Json if log::is_json() => {
            let mut out = crate::output::raw_stdout()?.lock();
            serde_json::to_writer(&mut out, report)?;
            writeln!(out)
        }
        ReportFormat::Json => print_json(report),
    }
}

fn print_text(out: &mut impl Write, report: &RunReport) -> io::Result<()> {
    let bold = Style::new().bold();
    for published in &report.published {
        let (to, unit) = match &published.tenant {
            Some(tenant) => (format!(" to tenant {tenant}"), "rows"),
            None => (String::new(), "records"),
        };
        writeln!(
            out,
            "{bold}published{bold:#}  {}{to} as {}: {} {unit} of {} persons",
            published.file_name,
            published.directory.display(),
            HumanCount(published.records),
            HumanCount(published.persons),
        )?;
        for remark in &published.remarks {
            writeln!(out, "           {remark}")?;
        }
    }
    for rewritten in &report.rewritten {
        let of = match &rewritten.tenant {
            Some(tenant) => format!("of tenant {tenant}"),
            None => "of the dataset".to_owned(),
        };
        let directory = rewritten.directory.display();
        match &rewritten.removed {
            None => writeln!(
                out,
                "{bold}rewritten{bold:#}  {directory} {of}: made again without what is hidden now"
            )?,
            Some(why) => writeln!(out, "{bold}removed{bold:#}    {directory} {of}: {why}")?,
        }
    }
    for made in &report.current {
        let to = match &made.tenant {
            Some(tenant) => format!("of tenant {tenant}"),
            None => "of the dataset".to_owned(),
        };
        let generation = &made.generation;
        write!(
            out,
            "{bold}current{bold:#}    tables {to}: generation {} for {}",
            generation.number, generation.day,
        )?;
        match made.tenant {
            Some(_) => writeln!(
                out,
                ", {} persons in scope, {} entered, {} left",
                HumanCount(generation.persons),
                HumanCount(generation.entered),
                HumanCount(generation.left),
            )?,
            None => writeln!(out, ", {} rows", HumanCount(generation.rows))?,
        }
    }
    for file in &report.set_aside {
        write!(
            out,
            "{bold}set aside{bold:#}  {} ({}): {}",
            file.file_name, file.reason.code, file.reason.message
        )?;
        match &file.transfer_uuid {
            Some(transfer) if !file.reason.is_by_hand() => {
                writeln!(out, ". Then run cprflow retry {transfer}")?;
            }
            _ => writeln!(out)?,
        }
    }
    for (label, files) in [
        ("waiting  ", &report.waiting),
        ("skipped  ", &report.strays),
    ] {
        for file in files {
            writeln!(
                out,
                "{bold}{label}{bold:#}  {} ({}): {}",
                file.file_name, file.reason.code, file.reason.message
            )?;
        }
    }
    for missing in &report.missing {
        writeln!(out, "{bold}missing  {bold:#}  {}", missing.remark)?;
    }
    for erasing in &report.erasing {
        writeln!(out, "{bold}erasing  {bold:#}  {erasing}")?;
    }
    let has_news =
        !report.published.is_empty() || !report.current.is_empty() || !report.rewritten.is_empty();
    // A delivery that needs a decision was said above, and may have been set aside by this run. So was an erasure that waits.
    let is_said = report.needs_decision() || !report.erasing.is_empty();
    if !has_news && !is_said && report.problems.is_empty() {
        writeln!(out, "nothing new")?;
    }
    Ok(())
}
