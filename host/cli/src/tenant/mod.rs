//! `cprflow tenant`: explains what each tenant may see.

mod accept;
mod check;
mod list;
mod render;

use clap::{Args, Subcommand};
use cprflow::Connector;

use crate::failure::{Failure, Outcome};

/// Explain what each tenant may see, and accept changes
///
/// A tenant is a party that gets its own share of the deliveries. The section [tenant.NAME] of the configuration has
/// its policy and its purpose.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cprflow tenant list --config cprflow.toml
  cprflow tenant check social --config cprflow.toml
  cprflow tenant accept social --config cprflow.toml")]
pub(crate) struct Tenant {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Accept(Box<accept::Accept>),
    Check(check::Check),
    List(list::List),
}

/// Returns what a tenant may see in words: sections, each with its label and its lines.
pub(crate) fn policy_sections(
    connector: &Connector,
    tenant: &cprflow_delivery::Tenant,
) -> Result<Vec<(&'static str, Vec<String>)>, cprflow_delivery::Error> {
    let policy = tenant.policy()?;
    let view = connector.view(&policy)?;
    let group = tenant.group()?;
    let text = render::PolicyText {
        tenant,
        group: group.as_ref(),
        policy: &policy,
        view: &view,
        catalog: connector.catalog(),
    };
    Ok(text.sections())
}

impl Tenant {
    /// Runs the subcommand. Loads the component only if it is needed.
    pub(crate) fn run(
        &self,
        connector: impl FnOnce() -> Result<Connector, cprflow::Error>,
    ) -> Result<Outcome, Failure> {
        match &self.command {
            Command::Accept(accept) => accept.run(),
            Command::Check(check) => check.run(&connector()?),
            Command::List(list) => list.run(),
        }
    }
}
