//! `cprflow agreement`: changes what cprflow keeps of an agreement.

mod rename;

use clap::{Args, Subcommand};

use crate::failure::{Failure, Outcome};

/// Change what cprflow keeps of an agreement
///
/// An agreement is the section [agreement.NAME] of the configuration. Its name stands in the datasets, in the ledger and
/// in the state directory.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  cprflow agreement rename municipality roskilde --config cprflow.toml")]
pub(crate) struct Agreement {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Rename(rename::Rename),
}

impl Agreement {
    /// Runs the subcommand.
    pub(crate) fn run(&self) -> Result<Outcome, Failure> {
        match &self.command {
            Command::Rename(rename) => rename.run(),
        }
    }
}
