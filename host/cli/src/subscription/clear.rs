//! `cprflow subscription clear`: removes every filter of a kind.

use std::io::Write;

use clap::Args;
use cprflow::Connector;
use cprflow::soap_messages::Operation;

use super::command_flow::{CommandFlow, no_change, print_dry_run};
use super::options::{ChangeOptions, filter_kind};
use crate::failure::{Failure, Outcome};
use crate::output::message;

/// Remove every filter of a kind
///
/// Shows the current filters and saves them in a snapshot first.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  cprflow subscription clear change-code --config cprflow.toml")]
pub(super) struct Clear {
    /// The kind of filter: pnr, municipality, age-range, change-code or no-filter
    #[arg(value_name = "GROUP")]
    group: String,

    #[command(flatten)]
    pub(super) options: ChangeOptions,
}

impl Clear {
    /// Runs the subcommand.
    pub(super) fn run(&self, connector: &Connector) -> Result<Outcome, Failure> {
        let target = self.options.target.choose()?;
        let kind = filter_kind(&self.group)?;
        if self.options.dry_run {
            return print_dry_run(connector, &target, [Operation::RemoveAll(kind.group())]);
        }
        let mut flow = CommandFlow::new(connector, &target, &self.options)?;
        let current = flow.show_current_filters()?;
        let count = current.of(kind).count();
        if count == 0 {
            message::done(&format!(
                "nothing to remove: the subscription has no filters of the kind {}",
                kind.name()
            ));
            return Ok(Outcome::Success);
        }
        writeln!(
            crate::output::stdout()?,
            "all {count} filters of the kind {} will be removed",
            kind.name()
        )?;
        match flow.confirm(false)? {
            true => flow.execute(|executor| executor.clear(kind, &current)),
            false => no_change(),
        }
    }
}
