//! `cprflow agreement`: changes what cprflow keeps of an agreement.

mod rename;

use clap::{Args, Subcommand};
use cprflow_delivery::AgreementName;

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

/// A name on the command line is not the name of an agreement.
#[derive(Debug, thiserror::Error)]
#[error("a name has 1 to 64 characters: small letters, digits, - and _")]
pub(crate) struct InvalidName;

/// Reads the name of an agreement on the command line.
pub(crate) fn agreement_name(text: &str) -> Result<AgreementName, InvalidName> {
    AgreementName::new(text).ok_or(InvalidName)
}
