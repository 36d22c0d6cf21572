//! `cprflow subscription reorder`: orders a new initial load.

use std::collections::BTreeSet;
use std::io::Write;

use clap::Args;
use cprflow::Connector;
use cprflow::soap_messages::Operation;
use cprflow_delivery::Environment;
use cprflow_delivery::subscription::{
    Executor, Filter, FilterKind, SubscriptionError, Unfinished, call_count,
};
use indicatif::HumanCount;

use super::command_flow::{CommandFlow, no_change, print_dry_run};
use super::options::{ChangeOptions, filter_kind};
use super::render;
use super::target_agreement::TargetAgreement;
use crate::failure::{Failure, Outcome};
use crate::output::message;
use crate::usage::UsageError;

/// Order a new initial load: remove person numbers and municipalities, and add them again
///
/// The platform then delivers all data of these persons again. The current filters are shown and saved in a snapshot
/// first. If a reorder was stopped, the next one finishes it and removes no filter twice; `restore` adds the missing
/// filters and removes nothing.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cprflow subscription reorder --config cprflow.toml
  cprflow subscription reorder municipality --config cprflow.toml")]
pub(super) struct Reorder {
    /// Reorder only this kind of filter: pnr or municipality. Default: both
    #[arg(value_name = "GROUP")]
    group: Option<String>,

    #[command(flatten)]
    pub(super) options: ChangeOptions,
}

impl Reorder {
    /// Runs the subcommand. Finishes an unfinished reorder, if there is one.
    pub(super) fn run(&self, connector: &Connector) -> Result<Outcome, Failure> {
        let target = self.options.target.choose()?;
        let name = &target.agreement.name;
        match Executor::unfinished_reorder(&target.directory(), name)? {
            Some(unfinished) => self.finish(connector, &target, &unfinished),
            None => self.start(connector, &target),
        }
    }

    fn start(&self, connector: &Connector, target: &TargetAgreement) -> Result<Outcome, Failure> {
        let group = self.group.as_deref().map(filter_kind).transpose()?;
        if group.is_some_and(|kind| !kind.brings_full_load()) {
            return Err(UsageError::NotReorderable.into());
        }
        let mut flow = CommandFlow::new(connector, target, &self.options)?;
        let current = flow.show_current_filters()?;
        let kinds: BTreeSet<_> = FilterKind::ALL
            .into_iter()
            .filter(|kind| kind.brings_full_load() && group.is_none_or(|group| group == *kind))
            .filter(|kind| current.of(*kind).next().is_some())
            .collect();
        if kinds.is_empty() {
            return Err(SubscriptionError::NothingToReorder.into());
        }
        let change = format!("all {} will be removed and added again", plurals(&kinds));
        print_effect(target, &change, call_count(&kinds, &current))?;
        if self.options.dry_run {
            let remove = kinds.iter().map(|kind| Operation::RemoveAll(kind.group()));
            let filters = current.filters.iter();
            let add = filters.filter(|filter| kinds.contains(&filter.kind()));
            return print_dry_run(connector, target, remove.chain(add.map(Filter::add)));
        }
        match flow.confirm(false)? {
            true => flow.execute(|executor| executor.reorder(&kinds, &current)),
            false => no_change(),
        }
    }

    fn finish(
        &self,
        connector: &Connector,
        target: &TargetAgreement,
        unfinished: &Unfinished,
    ) -> Result<Outcome, Failure> {
        message::warning(
            "the previous reorder was not finished. This command finishes it and does not start a new one",
        );
        let mut flow = CommandFlow::new(connector, target, &self.options)?;
        let current = flow.show_current_filters()?;
        let (remove, add) = unfinished.calls(&current);
        let mut changes = Vec::new();
        if !unfinished.removed.is_empty() {
            let removed = plurals(&unfinished.removed);
            changes.push(format!("the previous reorder removed all {removed}"));
        }
        if !remove.is_empty() {
            changes.push(format!("all {} will be removed", plurals(&remove)));
        }
        changes.push(format!(
            "{} filters will be added",
            HumanCount(add.len() as u64)
        ));
        print_effect(target, &changes.join(", "), remove.len() + add.len())?;
        if self.options.dry_run {
            let remove = remove.iter().map(|kind| Operation::RemoveAll(kind.group()));
            let add = add.iter().map(Filter::add);
            return print_dry_run(connector, target, remove.chain(add));
        }
        match flow.confirm(false)? {
            true => flow.execute(|executor| executor.resume()),
            false => no_change(),
        }
    }
}

/// Prints what a reorder changes and which deliveries follow, before the question.
fn print_effect(target: &TargetAgreement, change: &str, calls: usize) -> Result<(), Failure> {
    let mut out = crate::output::stdout()?;
    writeln!(out, "{change}")?;
    writeln!(
        out,
        "from the next night on, the platform delivers all data of the persons that these filters cover; this can be \
         several GB and take more than one night"
    )?;
    writeln!(
        out,
        "until a filter is added again, changes of its persons are not delivered"
    )?;
    writeln!(out, "{}", render::duration(calls))?;
    if target.agreement.environment == Some(Environment::Test) {
        writeln!(out, "the test environment delivers no initial loads")?;
    }
    Ok(())
}

fn plurals<'k>(kinds: impl IntoIterator<Item = &'k FilterKind>) -> String {
    let names: Vec<_> = kinds.into_iter().map(|kind| kind.plural()).collect();
    names.join(" and ")
}
