//! `cprflow register export`: writes the state of the register as one extract.

use std::path::PathBuf;

use clap::Args;
use cprflow::Connector;
use cprflow_delivery::register_state::{RegisterState, export_register};
use indicatif::HumanCount;
use jiff::civil::Date;

use crate::failure::{Failure, Outcome};
use crate::options::SourceOptions;
use crate::output::{Sink, message};

/// Write the state of the register on a day as one extract
///
/// The extract has the records that count on that day: of each person those of the newest extract, and all events. Every
/// program that reads extracts can read it. `cprflow scan --register` writes the same state as tables.
///
/// A day before the retention limit can be refused, because `cprflow expire` leaves out replaced records.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes:
  0  written
  2  failed

Examples:
  cprflow register export -o state.cpr --config cprflow.toml
  cprflow register export --as-of 2026-11-01 --agreement municipality -o november.cpr")]
pub(super) struct Export {
    /// The last production date that counts. Default: all
    #[arg(long, value_name = "YYYY-MM-DD")]
    as_of: Option<Date>,

    /// The file to write. Only its owner can read it. Default: standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Replace the file if it exists
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    source: SourceOptions,
}

impl Export {
    /// Runs the subcommand.
    pub(super) fn run(&self, connector: &Connector) -> Result<Outcome, Failure> {
        let configuration = self.source.configuration()?;
        let agreement = self.source.agreement();
        let state = RegisterState::open(&configuration, agreement, self.as_of)?;
        let mut sink = Sink::open(self.output.as_deref(), self.force)?;
        let exported = export_register(connector, &state, &mut sink)?;
        sink.finish()?;
        message::done(&format!(
            "wrote {} records of {} persons; the newest extract is of {}",
            HumanCount(exported.records),
            HumanCount(exported.persons),
            exported.production_date
        ));
        Ok(Outcome::Success)
    }
}
