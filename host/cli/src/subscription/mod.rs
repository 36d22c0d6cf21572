//! `cprflow subscription`: shows and changes the subscription of an agreement.
//!
//! | module | content |
//! |---|---|
//! | `list`, `plan` | subcommands that change nothing |
//! | `apply`, `add`, `remove`, `clear`, `reorder`, `restore` | subcommands that change filters |
//! | `command_flow` | what these have in common: show the change, ask, make the calls, report |
//! | `options` | options and arguments that several of them share |
//! | `target_agreement` | the agreement, its service and its directory |
//! | `render` | filters, plans and results as text |

mod add;
mod apply;
mod clear;
mod command_flow;
mod list;
mod options;
mod plan;
mod remove;
mod render;
mod reorder;
mod restore;
mod target_agreement;

use clap::{Args, Subcommand};
use cprflow::Connector;

use crate::failure::{Failure, Outcome};

/// Show and change the subscription of an agreement
///
/// The subscription decides whose data the platform delivers. The platform evaluates filters at night, so a filter that
/// is added today is delivered tomorrow at the earliest. Each command works on one agreement.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes:
  0  success
  1  `plan` found a difference, or something needs attention
  2  failed, or did only part of the work

Examples:
  cprflow subscription plan --config cprflow.toml
  cprflow subscription apply --config cprflow.toml --agreement roskilde
  cprflow subscription add municipality 0265 --config cprflow.toml
  cprflow subscription add pnr numbers.txt --config cprflow.toml
  cprflow subscription remove pnr - --yes --config cprflow.toml < numbers.txt")]
pub(crate) struct Subscription {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(list::List),
    Add(add::Add),
    Remove(remove::Remove),
    Clear(clear::Clear),
    Plan(plan::Plan),
    Apply(apply::Apply),
    Reorder(reorder::Reorder),
    Restore(restore::Restore),
}

impl Subscription {
    /// Runs the subcommand.
    pub(crate) fn run(&self, connector: &Connector) -> Result<Outcome, Failure> {
        match self.run_command(connector) {
            // Commands print everything before they change something, so this error came before any change.
            Err(Failure::Stdout(error)) if self.changes_filters() => {
                Err(Failure::StdoutBeforeChange(error))
            }
            ended => ended,
        }
    }

    fn changes_filters(&self) -> bool {
        let options = match &self.command {
            Command::List(_) | Command::Plan(_) => return false,
            Command::Add(add) => &add.options,
            Command::Remove(remove) => &remove.options,
            Command::Clear(clear) => &clear.options,
            Command::Apply(apply) => &apply.options,
            Command::Reorder(reorder) => &reorder.options,
            Command::Restore(restore) => &restore.options,
        };
        !options.dry_run
    }

    fn run_command(&self, connector: &Connector) -> Result<Outcome, Failure> {
        match &self.command {
            Command::List(list) => list.run(connector),
            Command::Add(add) => add.run(connector),
            Command::Remove(remove) => remove.run(connector),
            Command::Clear(clear) => clear.run(connector),
            Command::Plan(plan) => plan.run(connector),
            Command::Apply(apply) => apply.run(connector),
            Command::Reorder(reorder) => reorder.run(connector),
            Command::Restore(restore) => restore.run(connector),
        }
    }
}
