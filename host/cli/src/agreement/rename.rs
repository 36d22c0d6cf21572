//! `cprflow agreement rename`: gives an agreement another name.

use clap::Args;
use cprflow_delivery::{AgreementName, rename_agreement};

use super::agreement_name;
use crate::failure::{Failure, Outcome};
use crate::options::SourceOptions;
use crate::output::message;

/// Rename an agreement
///
/// First rename the agreement in the configuration: its section [agreement.NAME], and its name in the `agreements` of the
/// tenants. Then run this command. It renames the agreement's directories in all datasets, and its entries in the ledger
/// and in the state directory. If it is interrupted, run it again. It changes nothing while a dataset with deliveries of the
/// agreement is not there: its disk may not be mounted. If a dataset comes back later with the old name, for example from a
/// backup, run the command again. Then make the SQL views again with `cprflow views`.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes:
  0  renamed
  2  the agreement cannot be renamed; the message says why

Example:
  cprflow agreement rename municipality roskilde --config cprflow.toml")]
pub(crate) struct Rename {
    /// The old name, which the configuration no longer has
    #[arg(value_parser = agreement_name)]
    old: AgreementName,

    /// The new name, which the configuration has
    #[arg(value_parser = agreement_name)]
    new: AgreementName,

    #[command(flatten)]
    source: SourceOptions,
}

impl Rename {
    /// Runs the subcommand.
    pub(crate) fn run(&self) -> Result<Outcome, Failure> {
        let configuration = self.source.configuration()?;
        let renamed = rename_agreement(&configuration, &self.old, &self.new)?;
        let deliveries = match renamed {
            1 => "1 delivery".to_owned(),
            count => format!("{count} deliveries"),
        };
        message::done(&format!(
            "{} is now {}, with {deliveries}. Make the SQL views again with `cprflow views`",
            self.old, self.new
        ));
        Ok(Outcome::Success)
    }
}
