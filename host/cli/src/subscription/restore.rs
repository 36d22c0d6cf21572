//! `cprflow subscription restore`: adds the missing filters of a snapshot.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use cprflow::Connector;
use cprflow_delivery::subscription::{
    Executor, Filter, FilterKind, Plan, Snapshots, WantedFilters, check_national,
};

use super::command_flow::{CommandFlow, no_change, print_dry_run, show_plan};
use super::options::{ChangeOptions, check_file_name_unless_exists};
use super::render::ComparedWith;
use crate::failure::{Failure, Outcome};

/// Add the filters that a snapshot has and the subscription does not have
///
/// Uses the snapshot of an unfinished reorder or, without one, the newest snapshot. Removes nothing. Filters for person
/// numbers and municipalities order an initial load of their persons.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  cprflow subscription restore --config cprflow.toml")]
pub(super) struct Restore {
    /// Use this snapshot
    #[arg(long, value_name = "FILE")]
    snapshot: Option<PathBuf>,

    #[command(flatten)]
    pub(super) options: ChangeOptions,
}

impl Restore {
    /// Runs the subcommand.
    pub(super) fn run(&self, connector: &Connector) -> Result<Outcome, Failure> {
        let target = self.options.target.choose()?;
        let name = &target.agreement.name;
        if let Some(path) = &self.snapshot {
            check_file_name_unless_exists(path)?;
        }
        let directory = target.directory();
        let (snapshot, origin) = match &self.snapshot {
            Some(path) => (
                Snapshots::read(path, name.as_str())?,
                "named with --snapshot",
            ),
            None => {
                let origin = match Executor::unfinished(&directory)? {
                    Some(_) => "taken before the unfinished reorder",
                    None => "the newest",
                };
                (Executor::snapshot_to_restore(&directory, name)?, origin)
            }
        };
        let mut flow = CommandFlow::new(connector, &target, &self.options)?;
        let current = flow.show_current_filters()?;
        let mut wanted = WantedFilters::default();
        for kind in FilterKind::ALL {
            let filters: BTreeSet<_> = snapshot.contents.of(kind).cloned().collect();
            if !filters.is_empty() {
                wanted.0.insert(kind, filters);
            }
        }
        let plan = Plan {
            surplus: BTreeSet::new(),
            ..Plan::new(&wanted, &current)?
        };
        writeln!(
            crate::output::stdout()?,
            "snapshot of {} ({origin}, {} snapshots are kept): {}",
            snapshot.taken.strftime("%Y-%m-%dT%H:%M:%SZ"),
            Snapshots::new(&directory).paths()?.len(),
            snapshot.path.display()
        )?;
        show_plan(&target, &plan, ComparedWith::Snapshot)?;
        check_national(&plan.add, target.allows_national())?;
        if self.options.dry_run {
            return print_dry_run(connector, &target, plan.add.iter().map(Filter::add));
        }
        // If no filter is missing, the restore only ends an unfinished reorder, which needs no confirmation.
        match plan.add.is_empty() || flow.confirm(false)? {
            true => flow.execute(|executor| executor.restore(&plan)),
            false => no_change(),
        }
    }
}
