//! `cprflow register accept-missing`: accepts that the register lacks older extracts, or records of them.

use clap::Args;
use cprflow_delivery::{AgreementName, accept_missing_extracts};

use crate::agreement::agreement_name;
use crate::failure::{Failure, Outcome};
use crate::options::SourceOptions;
use crate::output::message;

/// Accept that the register lacks older extracts, or records of them
///
/// Without them, the current tables lack persons or protections, so cprflow does not make the tables. First order a new
/// full load with `cprflow subscription reorder`. When it has come, the register has every person again: then run this
/// command. It refuses if no full load has come since. The agreement can be one of `ended_agreements`.
///
/// It also accepts kept extracts whose files are gone or were changed, and removes the changed files: if you can restore them
/// from a backup, do that first. An erasure that waits for them is then completed by the next `cprflow sync`.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes:
  0  accepted; also if nothing is missing
  2  failed

Examples:
  cprflow register accept-missing municipality --config cprflow.toml
  cprflow register accept-missing old --without-full-load --config cprflow.toml")]
pub(crate) struct AcceptMissing {
    /// The agreement
    #[arg(value_parser = agreement_name, value_name = "AGREEMENT")]
    name: AgreementName,

    /// Accept the loss although no full load has come since. Persons and protections may then be missing
    #[arg(long)]
    without_full_load: bool,

    #[command(flatten)]
    source: SourceOptions,
}

impl AcceptMissing {
    /// Runs the subcommand.
    pub(crate) fn run(&self) -> Result<Outcome, Failure> {
        let configuration = self.source.configuration()?;
        let accepted =
            match accept_missing_extracts(&configuration, &self.name, self.without_full_load)? {
                1 => "1 delivery".to_owned(),
                count => format!("{count} deliveries"),
            };
        message::done(&format!(
            "what {accepted} lack is accepted: the current tables are made from the next `cprflow sync` on"
        ));
        Ok(Outcome::Success)
    }
}
