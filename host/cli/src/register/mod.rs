//! `cprflow register`: works with the kept extracts.

mod accept_missing;

use clap::{Args, Subcommand};

use crate::failure::{Failure, Outcome};

/// Work with the register: the extracts that cprflow keeps
///
/// Every applied extract is kept, compressed, in the state directory. The current tables are made from them.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  cprflow register accept-missing municipality --config cprflow.toml")]
pub(crate) struct Register {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    AcceptMissing(accept_missing::AcceptMissing),
}

impl Register {
    /// Runs the subcommand.
    pub(crate) fn run(&self) -> Result<Outcome, Failure> {
        match &self.command {
            Command::AcceptMissing(accept) => accept.run(),
        }
    }
}
