//! `cprflow tables`: lists the tables.

use clap::Args;
use cprflow::Connector;

use crate::failure::{Failure, Outcome};
use crate::options::ListFormat;
use crate::output::{print_columns, print_json};

/// List all tables with record type, name, Danish title and description
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cprflow tables
  cprflow tables --format json | jq '.[].name'")]
pub(crate) struct Tables {
    /// Format of the list
    #[arg(long, value_enum, default_value_t)]
    format: ListFormat,
}

impl Tables {
    /// Runs the subcommand.
    pub(crate) fn run(&self, connector: &Connector) -> Result<Outcome, Failure> {
        match self.format {
            ListFormat::Json => print_json(&connector.catalog())?,
            ListFormat::Table => {
                let rows = connector.catalog().tables().iter().map(|table| {
                    [
                        table.record_type.as_deref().unwrap_or("-"),
                        &table.name,
                        &table.cpr_title,
                        &table.description,
                    ]
                });
                print_columns(["TYPE", "TABLE", "TITLE", "DESCRIPTION"], rows)?;
            }
        }
        Ok(Outcome::Success)
    }
}
