//! `cprflow subscription add`: adds filters.

use clap::Args;
use cprflow::Connector;
use cprflow_delivery::subscription::{Filter, Plan, check_national};

use super::command_flow::{CommandFlow, no_change, print_dry_run, show_plan};
use super::options::{ChangeOptions, FilterArguments};
use super::render::{self, ComparedWith};
use crate::failure::{Failure, Outcome};

/// Add filters that the subscription does not have
///
/// Filters for person numbers and municipalities order an initial load of their persons. If the command is stopped, run
/// it again: it continues where it stopped.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cprflow subscription add municipality 0265 --config cprflow.toml
  cprflow subscription add pnr numbers.txt --config cprflow.toml")]
pub(super) struct Add {
    #[command(flatten)]
    arguments: FilterArguments,

    #[command(flatten)]
    pub(super) options: ChangeOptions,
}

impl Add {
    /// Runs the subcommand.
    pub(super) fn run(&self, connector: &Connector) -> Result<Outcome, Failure> {
        let target = self.options.target.choose()?;
        let filters = self.arguments.filters()?;
        check_national(&filters, target.allows_national())?;
        render::warn_of_unknown_municipalities(&filters);
        if self.options.dry_run {
            return print_dry_run(connector, &target, filters.iter().map(Filter::add));
        }
        let mut flow = CommandFlow::new(connector, &target, &self.options)?;
        let current = flow.current_filters()?;
        let mut plan = Plan::default();
        for filter in &filters {
            if current.filters.contains(filter) {
                *plan.unchanged.entry(filter.kind()).or_default() += 1;
            } else {
                plan.add.insert(filter.clone());
            }
        }
        show_plan(
            &target,
            &plan,
            ComparedWith::Configuration { prunes: false },
        )?;
        match plan.add.is_empty() || flow.confirm(self.arguments.uses_stdin())? {
            true => flow.execute(|executor| executor.add(&filters, &current)),
            false => no_change(),
        }
    }
}
