//! `cprflow subscription remove`: removes filters.

use std::collections::BTreeSet;

use clap::Args;
use cprflow::Connector;
use cprflow_delivery::subscription::{Filter, Plan};

use super::command_flow::{CommandFlow, no_change, print_dry_run, show_plan};
use super::options::{ChangeOptions, FilterArguments};
use super::render::ComparedWith;
use crate::failure::{Failure, Outcome};
use crate::output::message;

/// Remove filters
///
/// Shows the current filters and saves them in a snapshot first. Adding a removed filter for person numbers or a
/// municipality again orders a new initial load.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cprflow subscription remove municipality 0265 --config cprflow.toml
  cprflow subscription remove pnr - --yes --config cprflow.toml < numbers.txt")]
pub(super) struct Remove {
    #[command(flatten)]
    arguments: FilterArguments,

    #[command(flatten)]
    pub(super) options: ChangeOptions,
}

impl Remove {
    /// Runs the subcommand.
    pub(super) fn run(&self, connector: &Connector) -> Result<Outcome, Failure> {
        let target = self.options.target.choose()?;
        let filters = self.arguments.filters()?;
        if self.options.dry_run {
            return print_dry_run(connector, &target, filters.iter().map(Filter::remove));
        }
        let mut flow = CommandFlow::new(connector, &target, &self.options)?;
        let current = flow.show_current_filters()?;
        let present: BTreeSet<_> = filters.intersection(&current.filters).cloned().collect();
        let absent = filters.len() - present.len();
        if absent > 0 {
            message::warning(&format!(
                "{absent} of these filters are not in the subscription"
            ));
        }
        if present.is_empty() {
            return no_change();
        }
        let plan = Plan {
            surplus: present,
            ..Plan::default()
        };
        show_plan(&target, &plan, ComparedWith::Configuration { prunes: true })?;
        match flow.confirm(self.arguments.uses_stdin())? {
            true => flow.execute(|executor| executor.remove(&plan.surplus, &current)),
            false => no_change(),
        }
    }
}
