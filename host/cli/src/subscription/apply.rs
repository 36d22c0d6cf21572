//! `cprflow subscription apply`: changes the subscription to what is configured.

use clap::Args;
use cprflow::Connector;
use cprflow_delivery::subscription::{ChangeLimits, Filter, Plan};

use super::command_flow::{CommandFlow, no_change, print_dry_run, show_plan};
use super::options::{ChangeOptions, PnrFileOption};
use super::render::{self, ComparedWith};
use crate::failure::{Failure, Outcome};

/// The largest number of filters that `--prune` removes without `--max-removals`.
const DEFAULT_MAX_REMOVALS: usize = 100;

/// Change the subscription to what is configured
///
/// Only adds filters, unless --prune is given. Filters are removed only after all missing filters were added. If the
/// command is stopped, run it again: it continues where it stopped.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cprflow subscription apply --config cprflow.toml --agreement roskilde
  cprflow subscription apply --prune --max-removals 250 --config cprflow.toml")]
pub(super) struct Apply {
    /// Also remove filters that are not in the configuration
    #[arg(long)]
    prune: bool,

    /// Change nothing if more than this many filters would be removed. Default: 100 filters and
    /// half of the person numbers
    #[arg(long, value_name = "COUNT", requires = "prune")]
    max_removals: Option<usize>,

    #[command(flatten)]
    pnr_file: PnrFileOption,

    #[command(flatten)]
    pub(super) options: ChangeOptions,
}

impl Apply {
    /// Runs the subcommand.
    pub(super) fn run(&self, connector: &Connector) -> Result<Outcome, Failure> {
        let target = self.options.target.choose()?;
        let wanted = self.pnr_file.apply_to(target.wanted()?)?.wanted()?;
        let mut flow = CommandFlow::new(connector, &target, &self.options)?;
        let current = flow.current_filters()?;
        let plan = Plan::new(&wanted, &current)?;
        let compared_with = ComparedWith::Configuration { prunes: self.prune };
        show_plan(&target, &plan, compared_with)?;
        render::warn_of_unknown_municipalities(&plan.add);
        plan.check(ChangeLimits {
            allow_national: target.allows_national(),
            max_removals: self
                .prune
                .then_some(self.max_removals.unwrap_or(DEFAULT_MAX_REMOVALS)),
            may_remove_most: self.max_removals.is_some(),
        })?;
        let surplus = plan.surplus.iter().filter(|_| self.prune);
        if plan.add.is_empty() && surplus.clone().next().is_none() {
            return no_change();
        }
        if self.options.dry_run {
            let add = plan.add.iter().map(Filter::add);
            return print_dry_run(connector, &target, add.chain(surplus.map(Filter::remove)));
        }
        match flow.confirm(self.pnr_file.uses_stdin())? {
            true => flow.execute(|executor| executor.apply(&plan, self.prune, &current)),
            false => no_change(),
        }
    }
}
