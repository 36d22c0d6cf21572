//! `cprflow subscription add`, `remove`, `clear` and `apply`.

use std::collections::BTreeSet;
use std::io::Write;

use clap::Args;
use cprflow::Connector;
use cprflow::subscriber::{
    Filter, Holding, Pace, Permission, Plan, Work, check_national, masked_request,
};
use cprflow::subscription::Operation;

use super::super::{Failure, Outcome, say};
use super::target::{Chosen, Target, ask, stop_on_signals};
use super::{Manner, NumberList, Values, kind, words};

/// Filters that may be removed by the way when nobody says otherwise.
const MAX_REMOVALS: usize = 100;

/// Add filters
#[derive(Debug, Args)]
pub(super) struct Add {
    #[command(flatten)]
    values: Values,

    #[command(flatten)]
    manner: Manner,

    #[command(flatten)]
    target: Target,
}

/// Remove filters, after showing what is there and keeping a snapshot
///
/// Adding one again later orders a full load.
#[derive(Debug, Args)]
pub(super) struct Remove {
    #[command(flatten)]
    values: Values,

    #[command(flatten)]
    manner: Manner,

    #[command(flatten)]
    target: Target,
}

/// Remove every filter of a kind, after showing what is there and keeping a snapshot
#[derive(Debug, Args)]
pub(super) struct Clear {
    /// The kind: pnr, municipality, age-range, change-code or no-filter
    #[arg(value_name = "GROUP")]
    group: String,

    #[command(flatten)]
    manner: Manner,

    #[command(flatten)]
    target: Target,
}

/// Make the subscription what the configuration says
///
/// It only adds, unless --prune is given. A run that was cut off goes on where it ended.
#[derive(Debug, Args)]
pub(super) struct Apply {
    /// Remove what is not in the configuration, too
    #[arg(long)]
    prune: bool,

    /// Refuse to do anything if more than that would be removed
    #[arg(long, value_name = "COUNT", requires = "prune", default_value_t = MAX_REMOVALS)]
    max_removals: usize,

    #[command(flatten)]
    list: NumberList,

    #[command(flatten)]
    manner: Manner,

    #[command(flatten)]
    target: Target,
}

impl Add {
    pub(super) fn run(&self, connector: &Connector) -> Result<Outcome, Failure> {
        let chosen = self.target.choose()?;
        let filters = self.values.filters()?;
        let allowed = chosen.allows_national();
        check_national(&filters, allowed)?;
        words::warn_of_unknown(&filters);
        if self.manner.dry_run {
            return dry_run(connector, &chosen, filters.iter().map(Filter::add));
        }
        let plan = Plan {
            add: filters,
            ..Plan::default()
        };
        show(&chosen, &plan, false)?;
        if !ask(self.manner.yes, self.values.takes_stdin())? {
            return nothing();
        }
        work(connector, &chosen, &self.manner, None, |work, _| {
            work.add(&plan.add)
        })
    }
}

impl Remove {
    pub(super) fn run(&self, connector: &Connector) -> Result<Outcome, Failure> {
        let chosen = self.target.choose()?;
        let filters = self.values.filters()?;
        if self.manner.dry_run {
            return dry_run(connector, &chosen, filters.iter().map(Filter::remove));
        }
        let holding = look(connector, &chosen)?;
        let there: BTreeSet<_> = filters.intersection(&holding.filters).cloned().collect();
        let missing = filters.len() - there.len();
        if missing > 0 {
            say::warning(&format!("{missing} of them are not in the subscription"));
        }
        if there.is_empty() {
            return nothing();
        }
        let plan = Plan {
            surplus: there,
            ..Plan::default()
        };
        show(&chosen, &plan, true)?;
        if !ask(self.manner.yes, self.values.takes_stdin())? {
            return nothing();
        }
        work(
            connector,
            &chosen,
            &self.manner,
            Some(&holding),
            |work, holding| work.remove(&plan.surplus, holding),
        )
    }
}

impl Clear {
    pub(super) fn run(&self, connector: &Connector) -> Result<Outcome, Failure> {
        let chosen = self.target.choose()?;
        let kind = kind(&self.group)?;
        if self.manner.dry_run {
            return dry_run(connector, &chosen, [Operation::RemoveAll(kind.group())]);
        }
        let holding = look(connector, &chosen)?;
        let count = holding.of(kind).count();
        if count == 0 {
            say::done(&format!("there is nothing to clear: no {}", kind.plural()));
            return Ok(Outcome::Clean);
        }
        let mut out = anstream::stdout().lock();
        writeln!(out, "all {count} of {} will be removed", kind.plural())?;
        drop(out);
        if !ask(self.manner.yes, false)? {
            return nothing();
        }
        work(
            connector,
            &chosen,
            &self.manner,
            Some(&holding),
            |work, holding| work.clear(kind, holding),
        )
    }
}

impl Apply {
    pub(super) fn run(&self, connector: &Connector) -> Result<Outcome, Failure> {
        let chosen = self.target.choose()?;
        let wanted = self.list.over(chosen.wanted()?).wanted()?;
        let holding = chosen.desk(connector, &stop_on_signals()?)?.holding()?;
        let plan = Plan::new(&wanted, &holding)?;
        show(&chosen, &plan, self.prune)?;
        words::warn_of_unknown(&plan.add);
        plan.check(Permission {
            allow_national: chosen.allows_national(),
            max_removals: self.prune.then_some(self.max_removals),
        })?;
        let none = BTreeSet::new();
        let surplus = match self.prune {
            true => &plan.surplus,
            false => &none,
        };
        if plan.add.is_empty() && surplus.is_empty() {
            return nothing();
        }
        if self.manner.dry_run {
            let add = plan.add.iter().map(Filter::add);
            let calls = add.chain(surplus.iter().map(Filter::remove));
            return dry_run(connector, &chosen, calls);
        }
        if !ask(self.manner.yes, self.list.takes_stdin())? {
            return nothing();
        }
        work(
            connector,
            &chosen,
            &self.manner,
            Some(&holding),
            |work, holding| work.apply(&plan, self.prune, holding),
        )
    }
}

/// Says whose subscription it is and what it holds.
pub(super) fn look(connector: &Connector, chosen: &Chosen) -> Result<Holding, Failure> {
    let holding = chosen.desk(connector, &stop_on_signals()?)?.holding()?;
    let mut out = anstream::stdout().lock();
    writeln!(out, "{}", chosen.title())?;
    writeln!(out, "there is now:")?;
    words::holding(&mut out, &holding)?;
    Ok(holding)
}

/// Does the work, and tells what came of it. `holding` is what was shown.
pub(super) fn work(
    connector: &Connector,
    chosen: &Chosen,
    manner: &Manner,
    holding: Option<&Holding>,
    act: impl FnOnce(&mut Work<'_, '_>, &Holding) -> Result<cprflow::subscriber::Tally, cprflow::Error>,
) -> Result<Outcome, Failure> {
    let place = chosen.place()?;
    let stop = stop_on_signals()?;
    let desk = chosen.desk(connector, &stop)?;
    let mut desk = desk.with_audit(chosen.audit(&place)?);
    let pace = Pace {
        any_hour: manner.any_hour,
    };
    let calls = words::Calls::default();
    let mut work = Work::new(&mut desk, &place, &chosen.agreement.name, pace, &calls);
    let none = Holding::default();
    let tally = act(&mut work, holding.unwrap_or(&none))?;
    Ok(words::tally(&tally))
}

/// Prints the calls as they would be made: one of each kind, and how many there are like it.
pub(super) fn dry_run(
    connector: &Connector,
    chosen: &Chosen,
    operations: impl IntoIterator<Item = Operation>,
) -> Result<Outcome, Failure> {
    let mut out = anstream::stdout().lock();
    writeln!(out, "{}", chosen.title())?;
    let mut groups: Vec<(std::mem::Discriminant<Operation>, Operation, usize)> = Vec::new();
    for operation in operations {
        let kind = std::mem::discriminant(&operation);
        match groups.iter_mut().find(|(known, ..)| *known == kind) {
            Some((_, _, count)) => *count += 1,
            None => groups.push((kind, operation, 1)),
        }
    }
    for (_, operation, count) in groups {
        writeln!(
            out,
            "{}",
            masked_request(connector, &chosen.service, &operation)?
        )?;
        if count > 1 {
            writeln!(out, "and {} more like this", count - 1)?;
        }
    }
    say::done("nothing was sent");
    Ok(Outcome::Clean)
}

pub(super) fn nothing() -> Result<Outcome, Failure> {
    say::done("nothing was changed");
    Ok(Outcome::Clean)
}

pub(super) fn show(chosen: &Chosen, plan: &Plan, prunes: bool) -> Result<(), Failure> {
    let mut out = anstream::stdout().lock();
    writeln!(out, "{}", chosen.title())?;
    Ok(words::plan(
        &mut out,
        plan,
        prunes,
        chosen.agreement.environment,
    )?)
}
