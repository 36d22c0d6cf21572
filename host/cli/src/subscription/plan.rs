//! `cprflow subscription plan`: shows what `apply` would change.

use std::io::Write;

use clap::Args;
use cprflow::Connector;
use cprflow_delivery::subscription::{self, ChangeLimits};

use super::options::PnrFileOption;
use super::render::{self, ComparedWith};
use super::target_agreement::TargetOptions;
use crate::failure::{Failure, Outcome};
use crate::output::message;

/// Show what `apply` would change, and the effects
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes:
  0  the subscription is as configured
  1  the subscription is different, or a reorder is not finished
  2  failed

Example:
  cprflow subscription plan --config cprflow.toml --agreement roskilde")]
pub(super) struct Plan {
    /// Show what `apply --prune` would change
    #[arg(long)]
    prune: bool,

    #[command(flatten)]
    pnr_file: PnrFileOption,

    #[command(flatten)]
    target: TargetOptions,
}

impl Plan {
    /// Runs the subcommand.
    pub(super) fn run(&self, connector: &Connector) -> Result<Outcome, Failure> {
        let target = self.target.choose()?;
        let wanted = self.pnr_file.apply_to(target.wanted()?)?.wanted()?;
        let current = target.client(connector)?.current_filters()?;
        let plan = subscription::Plan::new(&wanted, &current)?;
        let mut out = crate::output::stdout()?;
        writeln!(out, "{}", target.title())?;
        let compared_with = ComparedWith::Configuration { prunes: self.prune };
        render::plan(&mut out, &plan, compared_with, target.agreement.environment)?;
        render::warn_of_unknown_municipalities(&plan.add);
        let limits = ChangeLimits {
            allow_national: target.allows_national(),
            max_removals: None,
            may_remove_most: false,
        };
        if let Err(error) = plan.check(limits) {
            message::warning(&error.to_string());
        }
        let outcome = target.warn_of_unfinished_reorder()?;
        Ok(match plan.is_done() {
            true => outcome,
            false => Outcome::NeedsAttention,
        })
    }
}
