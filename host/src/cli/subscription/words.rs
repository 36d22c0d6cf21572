//! What subscriptions and plans look like to people.

use std::io::{self, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use cprflow::Environment;
use cprflow::subscriber::{
    Filter, Holding, Kind, Observer, Plan, Tally, calls_take, municipality_name,
};
use indicatif::{HumanCount, HumanDuration, ProgressBar, ProgressStyle};

use super::super::{Outcome, say};

/// Values of a kind that are listed one by one, at the most.
const LISTED: usize = 50;

/// What a subscription holds.
pub(super) fn holding(out: &mut impl Write, holding: &Holding) -> io::Result<()> {
    if holding.filters.is_empty() {
        writeln!(out, "  nothing: no filter is set, and nothing is delivered")?;
    }
    for kind in Kind::ALL {
        let count = holding.of(kind).count();
        if count > 0 {
            writeln!(out, "{}", heading(kind, count))?;
            lines(out, ' ', kind, holding.of(kind), "")?;
        }
    }
    match holding.unreadable {
        0 => Ok(()),
        count => writeln!(
            out,
            "{count} filters more, which cprflow cannot read: look at them in the administration module"
        ),
    }
}

/// What a plan compares the subscription with.
#[derive(Debug, Clone, Copy)]
pub(super) enum Against {
    /// The configuration, or the command line.
    Configuration {
        /// Whether what is too much is removed.
        prunes: bool,
    },
    /// A snapshot.
    Snapshot,
}

/// A plan, like a diff, and what it will cause.
pub(super) fn plan(
    out: &mut impl Write,
    plan: &Plan,
    against: Against,
    environment: Option<Environment>,
) -> io::Result<()> {
    let prunes = matches!(against, Against::Configuration { prunes: true });
    for kind in Kind::ALL {
        let (add, surplus) = (plan.add_of(kind).count(), plan.surplus_of(kind).count());
        let stay = plan.stay.get(&kind).copied().unwrap_or_default();
        if add + surplus + stay == 0 {
            continue;
        }
        writeln!(out, "{}", kind.plural())?;
        if stay > 0 {
            writeln!(out, "    {} as they should be", HumanCount(stay as u64))?;
        }
        let note = match kind {
            _ if kind.is_national() => "may reach all of Denmark",
            _ if environment == Some(Environment::Test) => {
                "a full load (none in the test environment)"
            }
            _ => "a full load",
        };
        lines(out, '+', kind, plan.add_of(kind), note)?;
        let note = match prunes {
            true if kind.brings_full_load() => "will be removed; added again, it is loaded in full",
            true => "will be removed",
            false => "stays: only --prune removes",
        };
        lines(out, '-', kind, plan.surplus_of(kind), note)?;
    }
    let other = match against {
        Against::Configuration { .. } => "not in the configuration",
        Against::Snapshot => "not in the snapshot",
    };
    for (kind, count) in &plan.unmanaged {
        let count = HumanCount(*count as u64);
        writeln!(out, "{} ({count}): {other}, left alone", kind.plural())?;
    }
    let calls = plan.add.len() + if prunes { plan.surplus.len() } else { 0 };
    match calls {
        0 => writeln!(out, "nothing to do"),
        calls => writeln!(out, "{}", how_long(calls)),
    }
}

/// How many calls and about how long.
pub(super) fn how_long(calls: usize) -> String {
    let time = calls_take(calls);
    format!(
        "{} calls, about {}",
        HumanCount(calls as u64),
        HumanDuration(time.max(Duration::from_secs(1)))
    )
}

/// Words about municipalities that there are not: the platform takes any number.
pub(super) fn warn_of_unknown<'f>(filters: impl IntoIterator<Item = &'f Filter>) {
    for filter in filters {
        if let Filter::MunicipalityCode(code) = filter
            && municipality_name(code).is_none()
        {
            say::warning(&format!(
                "{code} is no municipality that cprflow knows. The platform takes any number and then delivers nobody"
            ));
        }
    }
}

/// What came of the work, and the exit code.
pub(super) fn tally(tally: &Tally) -> Outcome {
    let mut parts = Vec::new();
    for (count, what) in [
        (tally.added, "added"),
        (tally.already_there, "there already"),
        (tally.removed, "removed"),
        (tally.not_there, "not there to be removed"),
    ] {
        if count > 0 {
            parts.push(format!("{} {what}", HumanCount(count as u64)));
        }
    }
    for (word, count) in &tally.other {
        say::warning(&format!(
            "{count} calls were answered with a word that the contract does not know: {word}"
        ));
    }
    if parts.is_empty() {
        parts.push("nothing was changed".to_owned());
    }
    say::done(&parts.join(", "));
    if tally.left > 0 {
        say::warning(&format!(
            "{} filters are still not as they should be, though every call was answered: run it again, and ask the \
             helpdesk if that does not help",
            tally.left
        ));
    }
    if tally.spared > 0 {
        say::warning(&format!(
            "nothing was removed: {} filters stay until all that is to be added is there",
            tally.spared
        ));
    }
    if tally.missing > 0 {
        say::warning(&format!(
            "the reorder that was begun is not over: {} filters that it removes are missing. `cprflow subscription \
             reorder` finishes it; `cprflow subscription restore` without --snapshot puts them back",
            tally.missing
        ));
    }
    match tally.left + tally.spared + tally.missing + tally.other.len() {
        0 => Outcome::Clean,
        _ => Outcome::Findings,
    }
}

fn lines<'f>(
    out: &mut impl Write,
    sign: char,
    kind: Kind,
    filters: impl Iterator<Item = &'f Filter>,
    note: &str,
) -> io::Result<()> {
    let filters: Vec<_> = filters.collect();
    let note = match note {
        "" => String::new(),
        note => format!("    {note}"),
    };
    if kind == Kind::Pnr {
        return match filters.len() {
            0 => Ok(()),
            count => writeln!(out, "  {sign} {} numbers{note}", HumanCount(count as u64)),
        };
    }
    for filter in filters.iter().take(LISTED) {
        match filter {
            Filter::MunicipalityCode(code) => {
                let name = municipality_name(code).unwrap_or("(unknown)");
                writeln!(out, "  {sign} {code} {name}{note}")?;
            }
            filter => writeln!(out, "  {sign} {filter}{note}")?,
        }
    }
    if filters.len() > LISTED {
        writeln!(out, "  {sign} and {} more{note}", filters.len() - LISTED)?;
    }
    Ok(())
}

fn heading(kind: Kind, count: usize) -> String {
    match kind {
        Kind::NoFilter => kind.plural().to_owned(),
        _ => format!("{} ({})", kind.plural(), HumanCount(count as u64)),
    }
}

/// A bar of calls with the time left, if standard error is a terminal.
#[derive(Default)]
pub(super) struct Calls(Mutex<Option<ProgressBar>>);

impl Calls {
    fn bar(&self) -> std::sync::MutexGuard<'_, Option<ProgressBar>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Calls {
    fn begins(&self, calls: usize) {
        let bar = ProgressBar::new(calls as u64);
        if let Ok(style) =
            ProgressStyle::with_template("{bar:32} {human_pos}/{human_len} calls  {eta} left")
        {
            bar.set_style(style);
        }
        *self.bar() = Some(bar);
    }

    fn advanced(&self) {
        if let Some(bar) = &*self.bar() {
            bar.inc(1);
        }
    }

    fn ends(&self) {
        if let Some(bar) = self.bar().take() {
            bar.finish_and_clear();
        }
    }

    fn kept(&self, snapshot: &Path) {
        say::done(&format!("what is there is kept in {}", snapshot.display()));
    }
}
