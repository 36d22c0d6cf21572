//! `cprflow subscription add`, `remove`, `clear` and `apply`.

use std::collections::BTreeSet;
use std::io::Write;

use clap::Args;
use cprflow::Connector;
use cprflow::subscriber::{Filter, Permission, Plan, check_national};
use cprflow::subscription::Operation;

use super::super::{Failure, Outcome, say};
use super::errand::{Errand, dry_run, nothing, show};
use super::words::Against;
use super::{Manner, NumberList, Values, kind, words};

/// Filters that may be removed by the way when nobody says otherwise.
const MAX_REMOVALS: usize = 100;

/// Add filters that are not there yet
///
/// A run that was cut off goes on where it ended.
#[derive(Debug, Args)]
pub(super) struct Add {
    #[command(flatten)]
    values: Values,

    #[command(flatten)]
    pub(super) manner: Manner,
}

/// Remove filters, after showing what is there and keeping a snapshot
///
/// Adding one again later orders a full load.
#[derive(Debug, Args)]
pub(super) struct Remove {
    #[command(flatten)]
    values: Values,

    #[command(flatten)]
    pub(super) manner: Manner,
}

/// Remove every filter of a kind, after showing what is there and keeping a snapshot
#[derive(Debug, Args)]
pub(super) struct Clear {
    /// The kind: pnr, municipality, age-range, change-code or no-filter
    #[arg(value_name = "GROUP")]
    group: String,

    #[command(flatten)]
    pub(super) manner: Manner,
}

/// Make the subscription what the configuration says
///
/// It only adds, unless --prune is given, and removes nothing before all that was to be added is there. A run that was
/// cut off goes on where it ended.
#[derive(Debug, Args)]
pub(super) struct Apply {
    /// Remove what is not in the configuration, too
    #[arg(long)]
    prune: bool,

    /// Refuse to do anything if more than that would be removed: 100 if nobody says otherwise, and then no more than
    /// half of the person numbers either
    #[arg(long, value_name = "COUNT", requires = "prune")]
    max_removals: Option<usize>,

    #[command(flatten)]
    list: NumberList,

    #[command(flatten)]
    pub(super) manner: Manner,
}

impl Add {
    pub(super) fn run(&self, connector: &Connector) -> Result<Outcome, Failure> {
        let chosen = self.manner.target.choose()?;
        let filters = self.values.filters()?;
        check_national(&filters, chosen.allows_national())?;
        words::warn_of_unknown(&filters);
        if self.manner.dry_run {
            return dry_run(connector, &chosen, filters.iter().map(Filter::add));
        }
        let mut errand = Errand::new(connector, &chosen, &self.manner)?;
        let holding = errand.holding()?;
        let mut plan = Plan::default();
        for filter in &filters {
            if holding.filters.contains(filter) {
                *plan.stay.entry(filter.kind()).or_default() += 1;
            } else {
                plan.add.insert(filter.clone());
            }
        }
        show(&chosen, &plan, Against::Configuration { prunes: false })?;
        match plan.add.is_empty() || errand.ask(self.values.takes_stdin())? {
            true => errand.act(|work| work.add(&filters, &holding)),
            false => nothing(),
        }
    }
}

impl Remove {
    pub(super) fn run(&self, connector: &Connector) -> Result<Outcome, Failure> {
        let chosen = self.manner.target.choose()?;
        let filters = self.values.filters()?;
        if self.manner.dry_run {
            return dry_run(connector, &chosen, filters.iter().map(Filter::remove));
        }
        let mut errand = Errand::new(connector, &chosen, &self.manner)?;
        let holding = errand.look()?;
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
        show(&chosen, &plan, Against::Configuration { prunes: true })?;
        match errand.ask(self.values.takes_stdin())? {
            true => errand.act(|work| work.remove(&plan.surplus, &holding)),
            false => nothing(),
        }
    }
}

impl Clear {
    pub(super) fn run(&self, connector: &Connector) -> Result<Outcome, Failure> {
        let chosen = self.manner.target.choose()?;
        let kind = kind(&self.group)?;
        if self.manner.dry_run {
            return dry_run(connector, &chosen, [Operation::RemoveAll(kind.group())]);
        }
        let mut errand = Errand::new(connector, &chosen, &self.manner)?;
        let holding = errand.look()?;
        let count = holding.of(kind).count();
        if count == 0 {
            say::done(&format!("there is nothing to clear: no {}", kind.plural()));
            return Ok(Outcome::Clean);
        }
        writeln!(
            anstream::stdout(),
            "all {count} of {} will be removed",
            kind.plural()
        )?;
        match errand.ask(false)? {
            true => errand.act(|work| work.clear(kind, &holding)),
            false => nothing(),
        }
    }
}

impl Apply {
    pub(super) fn run(&self, connector: &Connector) -> Result<Outcome, Failure> {
        let chosen = self.manner.target.choose()?;
        let wanted = self.list.over(chosen.wanted()?)?.wanted()?;
        let mut errand = Errand::new(connector, &chosen, &self.manner)?;
        let holding = errand.holding()?;
        let plan = Plan::new(&wanted, &holding)?;
        let against = Against::Configuration { prunes: self.prune };
        show(&chosen, &plan, against)?;
        words::warn_of_unknown(&plan.add);
        plan.check(Permission {
            allow_national: chosen.allows_national(),
            max_removals: self
                .prune
                .then_some(self.max_removals.unwrap_or(MAX_REMOVALS)),
            may_remove_most: self.max_removals.is_some(),
        })?;
        let surplus = plan.surplus.iter().filter(|_| self.prune);
        if plan.add.is_empty() && surplus.clone().next().is_none() {
            return nothing();
        }
        if self.manner.dry_run {
            let add = plan.add.iter().map(Filter::add);
            return dry_run(connector, &chosen, add.chain(surplus.map(Filter::remove)));
        }
        match errand.ask(self.list.takes_stdin())? {
            true => errand.act(|work| work.apply(&plan, self.prune, &holding)),
            false => nothing(),
        }
    }
}
