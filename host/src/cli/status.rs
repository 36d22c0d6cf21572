//! `cprflow status`.

use std::io::Write;

use anstyle::{AnsiColor, Style};
use clap::Args;
use cprflow::status::{Status as Standing, status};
use jiff::Timestamp;

use super::source::Source;
use super::sync::ReportFormat;
use super::{Failure, Outcome};

/// Tell what was published, what waits, and what a person has to look at
///
/// It asks the ledger only, and no server.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes:
  0  all is well
  1  something needs a person
  2  could not run

Examples:
  cprflow status --config cprflow.toml
  cprflow status --inbox inbox/ --dataset dataset/ --format json | jq '.[].remarks[] | select(.needs_attention)'")]
pub(crate) struct Status {
    #[command(flatten)]
    source: Source,

    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    format: ReportFormat,
}

impl Status {
    pub(crate) fn run(&self) -> Result<Outcome, Failure> {
        let configuration = self.source.configuration()?;
        let all = status(&configuration, Timestamp::now())?;
        match self.format {
            ReportFormat::Text => text(&mut anstream::stdout().lock(), &all)?,
            ReportFormat::Json => {
                let mut out = std::io::stdout().lock();
                serde_json::to_writer_pretty(&mut out, &all).map_err(std::io::Error::from)?;
                writeln!(out)?;
            }
        }
        let mut remarks = all.iter().flat_map(|status| &status.remarks);
        Ok(match remarks.any(|remark| remark.needs_attention) {
            true => Outcome::Findings,
            false => Outcome::Clean,
        })
    }
}

fn text(out: &mut impl Write, all: &[Standing]) -> Result<(), std::io::Error> {
    let bold = Style::new().bold();
    for (place, status) in all.iter().enumerate() {
        if place > 0 {
            writeln!(out)?;
        }
        writeln!(out, "{bold}{}{bold:#}  {}", status.agreement, status.inbox)?;
        if let Some(visit) = &status.visit {
            writeln!(out, "  last look      {}", visit.last)?;
        }
        writeln!(out, "  published      {}", status.published)?;
        if let Some(newest) = &status.newest {
            writeln!(
                out,
                "  newest         {} of {}: {} records of {} persons",
                newest.said_name(),
                newest.production_date().unwrap_or("no date"),
                newest.counts.records,
                newest.counts.persons,
            )?;
        }
        for record in &status.under_way {
            writeln!(
                out,
                "  under way      {} ({})",
                record.said_name(),
                record.state
            )?;
        }
        for tenant in &status.tenants {
            write!(
                out,
                "  tenant         {}: {} published",
                tenant.tenant, tenant.published
            )?;
            if let Some(newest) = &tenant.newest {
                write!(
                    out,
                    ", newest {}: {} persons in scope, {} entered, {} left",
                    newest.directory.as_deref().unwrap_or_default(),
                    newest.counts.persons,
                    newest.counts.entered,
                    newest.counts.left,
                )?;
            }
            if tenant.waiting > 0 {
                write!(out, "; {} waiting", tenant.waiting)?;
            }
            writeln!(out)?;
        }
        for remark in &status.remarks {
            let (color, word) = match remark.needs_attention {
                true => (AnsiColor::Red, "look here"),
                false => (AnsiColor::Cyan, "note"),
            };
            let style = Style::new().bold().fg_color(Some(color.into()));
            writeln!(out, "  {style}{word:14}{style:#} {}", remark.text)?;
        }
    }
    Ok(())
}
