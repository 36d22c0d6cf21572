//! `cprflow status`: shows the state of each agreement and tenant.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use clap::Args;
use cprflow_delivery::Generation;
use cprflow_delivery::calendar::{self, danish_time};
use cprflow_delivery::status::{self, TenantStatus};
use indicatif::HumanBytes;
use jiff::Timestamp;

use crate::failure::{Failure, Outcome};
use crate::metrics::MetricsOption;
use crate::options::{ReportFormat, SourceOptions, check_depth};
use crate::output::print_json;

/// Show what is published, what waits, and what needs attention
///
/// Reads the ledger and the client certificates, and compares the published deliveries with the disk. Does not connect
/// to a server.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes:
  0  nothing needs attention
  1  something needs attention
  2  failed

Examples:
  cprflow status --config cprflow.toml
  cprflow status --inbox inbox/ --dataset dataset/ --format json \\
      | jq '.[].remarks[] | select(.needs_attention)'")]
pub(crate) struct Status {
    #[command(flatten)]
    source: SourceOptions,

    /// Read every published file and compare its digest, which can take long. Default: compare
    /// names and sizes
    #[arg(long)]
    deep: bool,

    #[command(flatten)]
    metrics: MetricsOption,

    /// Format of the report
    #[arg(long, value_enum, default_value_t)]
    format: ReportFormat,
}

impl Status {
    /// Runs the subcommand.
    pub(crate) fn run(&self) -> Result<Outcome, Failure> {
        let configuration = self.source.configuration()?;
        let depth = check_depth(self.deep);
        let now = calendar::now();
        let agreements = status::status_to_depth(&configuration, now, depth)?;
        self.metrics.write(&agreements, None)?;
        match self.format {
            ReportFormat::Text => print_text(&mut crate::output::stdout()?, &agreements, now)?,
            ReportFormat::Json => print_json(&agreements)?,
        }
        let mut remarks = agreements.iter().flat_map(|status| &status.remarks);
        Ok(match remarks.any(|remark| remark.needs_attention) {
            true => Outcome::NeedsAttention,
            false => Outcome::Success,
        })
    }
}

fn print_text(
    out: &mut impl Write,
    agreements: &[status::Status],
    now: Timestamp,
) -> io::Result<()> {
    for (index, status) in agreements.iter().enumerate() {
        if index > 0 {
            writeln!(out)?;
        }
        print_agreement(out, status, now)?;
    }
    Ok(())
}

fn print_agreement(
    out: &mut impl Write,
    status: &status::Status,
    now: Timestamp,
) -> io::Result<()> {
    let bold = Style::new().bold();
    writeln!(out, "{bold}{}{bold:#}  {}", status.agreement, status.inbox)?;
    if let Some(visit) = &status.visit {
        writeln!(out, "  last check     {}", local_time(visit.last, now))?;
    }
    writeln!(out, "  published      {}", status.published)?;
    if let Some(newest) = &status.newest {
        writeln!(
            out,
            "  newest         {} of {}: {} records of {} persons{}",
            newest.redacted_file_name(),
            newest.production_date().unwrap_or("no date"),
            newest.counts.records,
            newest.counts.persons,
            match newest.published {
                Some(published) => format!(", published {}", local_time(published, now)),
                None => String::new(),
            },
        )?;
    }
    let register = &status.register;
    if register.extracts > 0 {
        writeln!(
            out,
            "  register       {} extracts, {} ({} as delivered)",
            register.extracts,
            HumanBytes(register.file_size),
            HumanBytes(register.size),
        )?;
    }
    if let Some(current) = &status.current {
        writeln!(out, "  current        {}", generation(current, now))?;
    }
    if let Some(certificate) = &status.client_certificate {
        writeln!(
            out,
            "  certificate    {}, valid until {} ({} days left)",
            certificate.file.display(),
            danish_time(certificate.ends).date(),
            certificate.days_left
        )?;
    }
    for record in &status.under_way {
        writeln!(
            out,
            "  in progress    {} ({})",
            record.redacted_file_name(),
            record.state
        )?;
    }
    for tenant in &status.tenants {
        print_tenant(out, tenant, now)?;
    }
    for remark in &status.remarks {
        let (color, label) = match remark.needs_attention {
            true => (AnsiColor::Red, "attention"),
            false => (AnsiColor::Cyan, "note"),
        };
        let style = Style::new().bold().fg_color(Some(color.into()));
        writeln!(out, "  {style}{label:14}{style:#} {}", remark.text)?;
    }
    Ok(())
}

/// Returns a time on Denmark's clock, with its age.
fn local_time(time: Timestamp, now: Timestamp) -> String {
    let local = danish_time(time).strftime("%Y-%m-%d %H:%M");
    let minutes = now.duration_since(time).as_mins().max(0);
    let age = match minutes {
        0 => "less than a minute".to_owned(),
        1 => "1 minute".to_owned(),
        2..120 => format!("{minutes} minutes"),
        120..2880 => format!("{} hours", minutes / 60),
        _ => format!("{} days", minutes / 60 / 24),
    };
    format!("{local} ({age} ago)")
}

/// Returns a generation of the current tables in words.
fn generation(generation: &Generation, now: Timestamp) -> String {
    let made = local_time(generation.made, now);
    match generation.is_current {
        true => format!(
            "generation {} for {}, made {made}",
            generation.number, generation.day
        ),
        false => "withdrawn".to_owned(),
    }
}

fn print_tenant(out: &mut impl Write, tenant: &TenantStatus, now: Timestamp) -> io::Result<()> {
    write!(
        out,
        "  tenant         {}: {} published",
        tenant.tenant, tenant.published
    )?;
    if let Some(newest) = &tenant.newest {
        write!(
            out,
            ", newest {}: {} persons of the scope delivered, {} entered, {} left",
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
    if let Some(current) = &tenant.current {
        writeln!(
            out,
            "  current        {}: {}; {} persons in scope, {} entered, {} left",
            tenant.tenant,
            generation(current, now),
            current.persons,
            current.entered,
            current.left,
        )?;
    }
    Ok(())
}
