//! `cprflow subscription reorder` and `restore`.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use cprflow::subscriber::{
    Filter, Kind, Plan, Snapshots, SubscriberError, Unfinished, Wanted, Work, call_count,
    check_national,
};
use cprflow::subscription::Operation;
use cprflow::{Connector, Environment};
use indicatif::HumanCount;

use super::super::{Failure, Outcome, say};
use super::errand::{Errand, dry_run, nothing, show};
use super::target::Chosen;
use super::words::Against;
use super::{Manner, kind, not_a_number, words};

/// Order a full load: remove person numbers and municipalities, and add them again
///
/// The platform then delivers everything about everybody once more. What is there is shown first and kept in a
/// snapshot. A reorder that was cut off is finished by the next one, and nothing is removed twice; `restore` only
/// puts back what is missing.
#[derive(Debug, Args)]
pub(super) struct Reorder {
    /// Only this kind: pnr or municipality
    #[arg(value_name = "GROUP")]
    group: Option<String>,

    #[command(flatten)]
    pub(super) manner: Manner,
}

/// Put back what a snapshot holds and the subscription does not
///
/// The snapshot is that of an unfinished reorder, or else the newest. Nothing is removed. What is added is delivered
/// in full.
#[derive(Debug, Args)]
pub(super) struct Restore {
    /// Another snapshot
    #[arg(long, value_name = "FILE")]
    snapshot: Option<PathBuf>,

    #[command(flatten)]
    pub(super) manner: Manner,
}

impl Reorder {
    pub(super) fn run(&self, connector: &Connector) -> Result<Outcome, Failure> {
        let chosen = self.manner.target.choose()?;
        let name = &chosen.agreement.name;
        if let Some(unfinished) = Work::unfinished_reorder(&chosen.directory(), name)? {
            return self.finish(connector, &chosen, &unfinished);
        }
        let asked = self.group.as_deref().map(kind).transpose()?;
        if asked.is_some_and(|kind| !kind.brings_full_load()) {
            return Err(Failure::Usage(
                "only pnr and municipality bring a full load; there is nothing to reorder of another kind".to_owned(),
            ));
        }
        let mut errand = Errand::new(connector, &chosen, &self.manner)?;
        let holding = errand.look()?;
        let kinds: BTreeSet<_> = Kind::ALL
            .into_iter()
            .filter(|kind| kind.brings_full_load() && asked.is_none_or(|asked| asked == *kind))
            .filter(|kind| holding.of(*kind).next().is_some())
            .collect();
        if kinds.is_empty() {
            return Err(SubscriberError::NothingToReorder.into());
        }
        let what = format!("all {} will be removed and added again", plurals(&kinds));
        warn_of_effect(&chosen, &what, call_count(&kinds, &holding))?;
        if self.manner.dry_run {
            let clear = kinds.iter().map(|kind| Operation::RemoveAll(kind.group()));
            let again = holding.filters.iter();
            let again = again.filter(|filter| kinds.contains(&filter.kind()));
            return dry_run(connector, &chosen, clear.chain(again.map(Filter::add)));
        }
        match errand.ask(false)? {
            true => errand.act(|work| work.reorder(&kinds, &holding)),
            false => nothing(),
        }
    }

    fn finish(
        &self,
        connector: &Connector,
        chosen: &Chosen,
        unfinished: &Unfinished,
    ) -> Result<Outcome, Failure> {
        say::warning("a reorder was begun and not finished; this finishes it, and begins no other");
        let mut errand = Errand::new(connector, chosen, &self.manner)?;
        let holding = errand.look()?;
        let (clear, add) = unfinished.calls(&holding);
        let mut parts = Vec::new();
        if !unfinished.removed.is_empty() {
            let removed = plurals(&unfinished.removed);
            parts.push(format!("of the reorder, {removed} are removed already"));
        }
        if !clear.is_empty() {
            parts.push(format!("all {} will be removed", plurals(&clear)));
        }
        parts.push(format!(
            "{} filters will be added",
            HumanCount(add.len() as u64)
        ));
        warn_of_effect(chosen, &parts.join(", "), clear.len() + add.len())?;
        if self.manner.dry_run {
            let clear = clear.iter().map(|kind| Operation::RemoveAll(kind.group()));
            return dry_run(connector, chosen, clear.chain(add.iter().map(Filter::add)));
        }
        match errand.ask(false)? {
            true => errand.act(|work| work.resume()),
            false => nothing(),
        }
    }
}

/// What a reorder does and brings, before it is asked for.
fn warn_of_effect(chosen: &Chosen, what: &str, calls: usize) -> Result<(), Failure> {
    let mut out = anstream::stdout().lock();
    writeln!(
        out,
        "{what}. The next night then delivers everything about everybody whom they cover, which may take gigabytes and \
         more than one night; until all are added again, changes of those who are missing are not delivered\n{}",
        words::how_long(calls)
    )?;
    if chosen.agreement.environment == Some(Environment::Test) {
        writeln!(out, "the test environment makes no full loads")?;
    }
    Ok(())
}

fn plurals<'k>(kinds: impl IntoIterator<Item = &'k Kind>) -> String {
    let names: Vec<_> = kinds.into_iter().map(|kind| kind.plural()).collect();
    names.join(" and ")
}

impl Restore {
    pub(super) fn run(&self, connector: &Connector) -> Result<Outcome, Failure> {
        let chosen = self.manner.target.choose()?;
        let name = &chosen.agreement.name;
        if let Some(path) = &self.snapshot {
            not_a_number(path)?;
        }
        let directory = chosen.directory();
        let (snapshot, why) = match &self.snapshot {
            Some(path) => (
                Snapshots::read(path, name.as_str())?,
                "the one that was named",
            ),
            None => {
                let why = match Work::unfinished(&directory)? {
                    Some(_) => "what there was before the unfinished reorder",
                    None => "the newest",
                };
                (Work::snapshot_to_restore(&directory, name)?, why)
            }
        };
        let mut errand = Errand::new(connector, &chosen, &self.manner)?;
        let holding = errand.look()?;
        let mut wanted = Wanted::default();
        for kind in Kind::ALL {
            let filters: BTreeSet<_> = snapshot.holding.of(kind).cloned().collect();
            if !filters.is_empty() {
                wanted.0.insert(kind, filters);
            }
        }
        let plan = Plan {
            surplus: BTreeSet::new(),
            ..Plan::new(&wanted, &holding)?
        };
        writeln!(
            anstream::stdout(),
            "the snapshot of {}, {why} of {} that are kept ({}):",
            snapshot.taken.strftime("%Y-%m-%dT%H:%M:%SZ"),
            Snapshots::new(&directory).paths()?.len(),
            snapshot.path.display()
        )?;
        show(&chosen, &plan, Against::Snapshot)?;
        check_national(&plan.add, chosen.allows_national())?;
        if self.manner.dry_run {
            return dry_run(connector, &chosen, plan.add.iter().map(Filter::add));
        }
        // Where nothing is missing, all there is to do is to end a reorder that was begun.
        match plan.add.is_empty() || errand.ask(false)? {
            true => errand.act(|work| work.restore(&plan)),
            false => nothing(),
        }
    }
}
