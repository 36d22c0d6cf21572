//! `cprflow tenant list`: lists the tenants.

use clap::Args;

use crate::failure::{Failure, Outcome};
use crate::options::ConfigurationOption;
use crate::output::print_columns;

/// List the tenants with their agreements, dataset and purpose
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  cprflow tenant list --config cprflow.toml")]
pub(super) struct List {
    #[command(flatten)]
    configuration: ConfigurationOption,
}

impl List {
    /// Runs the subcommand.
    pub(super) fn run(&self) -> Result<Outcome, Failure> {
        let configuration = self.configuration.read()?;
        let rows: Vec<[String; 4]> = configuration
            .tenants()
            .into_iter()
            .map(|tenant| {
                let agreements: Vec<_> = tenant.agreements.iter().map(|one| one.as_str()).collect();
                [
                    tenant.name.to_string(),
                    agreements.join(", "),
                    tenant.dataset.display().to_string(),
                    tenant.purpose.clone(),
                ]
            })
            .collect();
        print_columns(
            ["TENANT", "AGREEMENTS", "DATASET", "PURPOSE"],
            rows.iter().map(|row| row.each_ref().map(String::as_str)),
        )?;
        Ok(Outcome::Success)
    }
}
