//! Prints filters, plans and results for people. Person numbers are only counted.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use cprflow_delivery::Environment;
use cprflow_delivery::subscription::{
    CallCounts, CallObserver, CurrentFilters, Filter, FilterKind, Plan, estimated_duration,
    municipality_name,
};
use cprflow_transport::HELPDESK;
use indicatif::{HumanCount, HumanDuration, ProgressBar};

use crate::failure::Outcome;
use crate::output::message;
use crate::output::progress::{SharedBar, set_template};

/// The largest number of filters of a kind that are listed one by one.
const MAX_LISTED: usize = 50;

/// Prints the filters of a subscription.
pub(super) fn current_filters(out: &mut impl Write, current: &CurrentFilters) -> io::Result<()> {
    if current.filters.is_empty() {
        writeln!(out, "  no filters, so nothing is delivered")?;
    }
    for kind in FilterKind::ALL {
        let count = current.of(kind).count();
        if count > 0 {
            writeln!(out, "{}", heading(kind, count))?;
            filter_lines(out, ' ', kind, current.of(kind), "")?;
        }
    }
    match current.unreadable {
        0 => Ok(()),
        count => writeln!(
            out,
            "{count} more filters, which cprflow cannot read; the platform's administration module shows them"
        ),
    }
}

/// What a plan compares the subscription with.
#[derive(Debug, Clone, Copy)]
pub(super) enum ComparedWith {
    /// The configuration, or the command line.
    Configuration {
        /// Whether surplus filters are removed.
        prunes: bool,
    },
    /// A snapshot.
    Snapshot,
}

/// Prints a plan like a diff, with the effect of each change, the number of calls and the time that they take.
pub(super) fn plan(
    out: &mut impl Write,
    plan: &Plan,
    compared_with: ComparedWith,
    environment: Option<Environment>,
) -> io::Result<()> {
    let prunes = matches!(compared_with, ComparedWith::Configuration { prunes: true });
    for kind in FilterKind::ALL {
        let (add, surplus) = (plan.add_of(kind).count(), plan.surplus_of(kind).count());
        let stay = plan.unchanged.get(&kind).copied().unwrap_or_default();
        if add + surplus + stay == 0 {
            continue;
        }
        writeln!(out, "{}", kind.plural())?;
        if stay > 0 {
            writeln!(out, "    {} unchanged", HumanCount(stay as u64))?;
        }
        let note = match kind {
            _ if kind.is_national() => "may reach all of Denmark",
            _ if environment == Some(Environment::Test) => {
                "orders an initial load (not in the test environment)"
            }
            _ => "orders an initial load",
        };
        filter_lines(out, '+', kind, plan.add_of(kind), note)?;
        let note = match prunes {
            true if kind.brings_full_load() => {
                "will be removed; adding it again orders an initial load"
            }
            true => "will be removed",
            false => "stays; only --prune removes it",
        };
        filter_lines(out, '-', kind, plan.surplus_of(kind), note)?;
    }
    let reason = match compared_with {
        ComparedWith::Configuration { .. } => "this kind is not in the configuration",
        ComparedWith::Snapshot => "this kind is not in the snapshot",
    };
    for (kind, count) in &plan.unmanaged {
        let count = HumanCount(*count as u64);
        writeln!(
            out,
            "{} ({count}): not changed, because {reason}",
            kind.plural()
        )?;
    }
    let calls = plan.add.len() + if prunes { plan.surplus.len() } else { 0 };
    match calls {
        0 => writeln!(out, "nothing to do"),
        calls => writeln!(out, "{}", duration(calls)),
    }
}

/// Returns the number of calls and the time that they take.
pub(super) fn duration(calls: usize) -> String {
    let time = estimated_duration(calls);
    format!(
        "{} {}, about {}",
        HumanCount(calls as u64),
        if calls == 1 { "call" } else { "calls" },
        HumanDuration(time.max(Duration::from_secs(1)))
    )
}

/// Warns of municipality codes that do not exist. The platform accepts any number.
pub(super) fn warn_of_unknown_municipalities<'f>(filters: impl IntoIterator<Item = &'f Filter>) {
    for filter in filters {
        if let Filter::MunicipalityCode(code) = filter
            && municipality_name(code).is_none()
        {
            message::warning(&format!(
                "{code} is not a municipality that cprflow knows. The platform accepts any code, but delivers no \
                 persons for one that does not exist"
            ));
        }
    }
}

/// Prints what the calls did and returns the outcome of the command.
pub(super) fn result(counts: &CallCounts) -> Outcome {
    let mut parts = Vec::new();
    for (count, what) in [
        (counts.added, "added"),
        (counts.already_there, "already present"),
        (counts.removed, "removed"),
        (counts.not_there, "already absent"),
    ] {
        if count > 0 {
            parts.push(format!("{} {what}", HumanCount(count as u64)));
        }
    }
    for (word, count) in &counts.other {
        message::warning(&format!(
            "{count} calls returned a result that the service's contract does not define: {word}"
        ));
    }
    if parts.is_empty() {
        parts.push("nothing was changed".to_owned());
    }
    message::done(&parts.join(", "));
    if counts.left > 0 {
        message::warning(&format!(
            "{} filters are not as requested, although the service answered every call. Run the command again. If that \
             does not help, ask the helpdesk ({HELPDESK})",
            counts.left
        ));
    }
    if counts.spared > 0 {
        message::warning(&format!(
            "nothing was removed: {} filters stay until all missing filters are added. Run the command again",
            counts.spared
        ));
    }
    if counts.missing > 0 {
        message::warning(&format!(
            "the reorder is not finished: {} of its filters are missing. Run `cprflow subscription reorder` to finish \
             it, or `cprflow subscription restore` without --snapshot to add them again",
            counts.missing
        ));
    }
    match counts.left + counts.spared + counts.missing + counts.other.len() {
        0 => Outcome::Success,
        _ => Outcome::NeedsAttention,
    }
}

/// Prints a line for each filter, or the number of person numbers.
fn filter_lines<'f>(
    out: &mut impl Write,
    sign: char,
    kind: FilterKind,
    filters: impl Iterator<Item = &'f Filter>,
    note: &str,
) -> io::Result<()> {
    let filters: Vec<_> = filters.collect();
    let note = match note {
        "" => String::new(),
        note => format!("    {note}"),
    };
    if kind == FilterKind::Pnr {
        return match filters.len() {
            0 => Ok(()),
            count => writeln!(out, "  {sign} {} numbers{note}", HumanCount(count as u64)),
        };
    }
    for filter in filters.iter().take(MAX_LISTED) {
        match filter {
            Filter::MunicipalityCode(code) => {
                let name = municipality_name(code).unwrap_or("(unknown)");
                writeln!(out, "  {sign} {code} {name}{note}")?;
            }
            filter => writeln!(out, "  {sign} {filter}{note}")?,
        }
    }
    if filters.len() > MAX_LISTED {
        writeln!(
            out,
            "  {sign} and {} more{note}",
            filters.len() - MAX_LISTED
        )?;
    }
    Ok(())
}

fn heading(kind: FilterKind, count: usize) -> String {
    match kind {
        FilterKind::NoFilter => kind.plural().to_owned(),
        _ => format!("{} ({})", kind.plural(), HumanCount(count as u64)),
    }
}

/// The progress of the calls, with the time left.
#[derive(Default)]
pub(super) struct CallProgress(SharedBar);

impl CallObserver for CallProgress {
    fn begins(&self, calls: usize) {
        let bar = ProgressBar::new(calls as u64);
        set_template(&bar, "{bar:32} {human_pos}/{human_len} calls  {eta} left");
        self.0.set(bar);
    }

    fn advanced(&self) {
        self.0.with(|bar| bar.inc(1));
    }

    fn ends(&self) {
        self.0.clear();
    }

    fn kept(&self, snapshot: &Path) {
        message::done(&format!(
            "saved a snapshot of the current filters: {}",
            snapshot.display()
        ));
    }
}
