//! `cprflow expire`: removes what was kept long enough.

use std::io::{self, Write};

use clap::Args;
use cprflow::Connector;
use cprflow_delivery::retention::{self, Expiry};
use cprflow_delivery::{Stop, calendar};
use indicatif::HumanBytes;

use crate::failure::{Failure, Outcome};
use crate::options::{ReportFormat, SourceOptions};
use crate::output::{message, print_json};

/// Remove what was kept long enough
///
/// The directories of deliveries are removed when they were published longer ago than `keep_deliveries`. Extracts that are
/// kept longer than that are rewritten: records that a newer extract has replaced are left out. The current tables do not
/// change.
///
/// Without --yes, the command only shows what it would do. `cprflow sync` does it after each run.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes:
  0  done, or shown
  2  failed

Examples:
  cprflow expire --config cprflow.toml
  cprflow expire --yes --format json --config cprflow.toml")]
pub(crate) struct Expire {
    /// Do it. Without this option, nothing is changed
    #[arg(long)]
    yes: bool,

    #[command(flatten)]
    source: SourceOptions,

    /// Format of the report
    #[arg(long, value_enum, default_value_t)]
    format: ReportFormat,
}

impl Expire {
    /// Runs the subcommand.
    pub(crate) fn run(
        &self,
        connector: impl FnOnce() -> Result<Connector, cprflow::Error>,
    ) -> Result<Outcome, Failure> {
        let configuration = self.source.configuration()?;
        let now = calendar::now();
        let connector = self.yes.then(connector).transpose()?;
        let mut all = Vec::new();
        for store in &configuration.stores {
            all.push(match &connector {
                Some(connector) => retention::expire(connector, store, &Stop::default(), now)?,
                None => retention::due(store, now)?,
            });
        }
        match self.format {
            ReportFormat::Json => print_json(&all)?,
            ReportFormat::Text => {
                let mut out = crate::output::stdout()?;
                all.iter().try_for_each(|expiry| print(&mut out, expiry))?;
            }
        }
        let is_empty = all.iter().all(Expiry::is_empty);
        match (is_empty, self.yes) {
            (true, _) => message::note("nothing was kept long enough"),
            (false, true) => {}
            (false, false) => message::note("nothing was changed. Add --yes to do it"),
        }
        Ok(Outcome::Success)
    }
}

fn print(out: &mut impl Write, expiry: &Expiry) -> io::Result<()> {
    for delivery in &expiry.deliveries {
        writeln!(
            out,
            "delivery  {}/agreement={}/{}",
            delivery.dataset.display(),
            delivery.agreement,
            delivery.directory
        )?;
    }
    for kept in &expiry.extracts {
        let mut compacted = expiry.compacted.iter();
        let done = compacted.find(|one| {
            one.agreement == kept.agreement && one.production_date == kept.production_date
        });
        write!(
            out,
            "extract   of {} from {}, {}",
            kept.agreement,
            kept.production_date,
            HumanBytes(kept.file_size)
        )?;
        match done {
            None => writeln!(out)?,
            Some(done) => writeln!(
                out,
                ": {} records left out, now {}",
                done.left_out,
                HumanBytes(done.after)
            )?,
        }
    }
    Ok(())
}
