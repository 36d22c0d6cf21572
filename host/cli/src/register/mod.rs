//! `cprflow register`: works with the kept extracts.

mod accept_missing;
mod export;
mod show;

use clap::{Args, Subcommand};
use cprflow::Connector;

use crate::failure::{Failure, Outcome};

/// Work with the register: the extracts that cprflow keeps
///
/// Every applied extract is kept, compressed, in the state directory. The current tables are made from them.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cprflow register export --as-of 2026-11-01 -o november.cpr --config cprflow.toml
  cprflow register show --numbers numbers.txt --config cprflow.toml
  cprflow register accept-missing municipality --config cprflow.toml")]
pub(crate) struct Register {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    AcceptMissing(accept_missing::AcceptMissing),
    Export(export::Export),
    Show(show::Show),
}

impl Register {
    /// Runs the subcommand. Loads the component only if it is needed.
    pub(crate) fn run(
        &self,
        connector: impl FnOnce() -> Result<Connector, cprflow::Error>,
    ) -> Result<Outcome, Failure> {
        match &self.command {
            Command::AcceptMissing(accept) => accept.run(),
            Command::Export(export) => export.run(&connector()?),
            Command::Show(show) => show.run(&connector()?),
        }
    }
}
