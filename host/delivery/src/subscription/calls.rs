//! Makes a list of calls one after the other, counts the results, and respects the hours without many calls.

use std::collections::BTreeMap;
use std::path::Path;

use super::SubscriptionError;
use super::client::{Change, now};
use super::executor::Executor;
use super::hours::{FEW_CALLS, closed, closed_within, estimated_duration};
use crate::error::Error;
use cprflow::soap_messages::ChangeResult;

/// The number of calls after which the log reports progress: about one minute.
const CALLS_PER_PROGRESS_LINE: usize = 250;

/// The counts of what a change of a subscription did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallCounts {
    /// Filters that were added.
    pub added: usize,
    /// Filters that already existed. After a call without a reply, this means that the call was carried out.
    pub already_there: usize,
    /// Filters that were removed.
    pub removed: usize,
    /// Filters that were to be removed and did not exist.
    pub not_there: usize,
    /// Results that cprflow does not know, with the number of each.
    pub other: BTreeMap<String, usize>,
    /// Filters whose change is missing in the subscription after the platform was asked again.
    pub left: usize,
    /// Filters that were to be removed and were kept, because some filters to add are still missing.
    pub spared: usize,
    /// Filters that a reorder removed and that are still missing.
    pub missing: usize,
}

impl CallCounts {
    /// Believes the list of filters, which was read after these calls: if it is as requested, a call with an unknown
    /// result did what it should. `count` is the count of such calls.
    pub(super) fn believe_list(&mut self, calls: usize, count: fn(&mut Self) -> &mut usize) {
        if self.left > 0 {
            return;
        }
        for (result, number) in std::mem::take(&mut self.other) {
            tracing::warn!(
                "{number} calls returned the result {result:?}, which the service's contract does not define. The list of \
                 filters shows that they did what they should"
            );
        }
        let known = self.added + self.already_there + self.removed + self.not_there;
        *count(self) += calls.saturating_sub(known);
    }

    /// Adds the counts of a further change.
    pub(super) fn add(&mut self, more: Self) {
        self.added += more.added;
        self.already_there += more.already_there;
        self.removed += more.removed;
        self.not_there += more.not_there;
        self.left += more.left;
        self.spared += more.spared;
        self.missing += more.missing;
        for (result, count) in more.other {
            *self.other.entry(result).or_default() += count;
        }
    }
}

/// An observer of the progress of calls.
pub trait CallObserver {
    /// Is called before the first of a number of calls.
    fn begins(&self, calls: usize);
    /// Is called after each call.
    fn advanced(&self);
    /// Is called after the last call, or after a failed one.
    fn ends(&self);
    /// Is called when a snapshot is written, before anything is removed.
    fn kept(&self, _snapshot: &Path) {}
}

/// The hours in which calls are allowed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pace {
    /// Whether more than [`FEW_CALLS`] calls are allowed at any hour.
    pub any_hour: bool,
}

impl Executor<'_, '_> {
    /// Makes the changes, one call each.
    pub(super) fn carry_out(
        &mut self,
        changes: Vec<Change<'_>>,
        pace: Pace,
    ) -> Result<CallCounts, Error> {
        if changes.is_empty() {
            return Ok(CallCounts::default());
        }
        self.observer.begins(changes.len());
        let counts = self.call_each(&changes, pace);
        self.observer.ends();
        counts
    }

    fn call_each(&mut self, changes: &[Change<'_>], pace: Pace) -> Result<CallCounts, Error> {
        let mut counts = CallCounts::default();
        for (done, change) in changes.iter().enumerate() {
            self.client.stop().check()?;
            check_hours(pace, done, changes.len())?;
            match self.client.change(*change, done, changes.len())? {
                ChangeResult::Added => counts.added += 1,
                ChangeResult::AlreadyExisted => counts.already_there += 1,
                ChangeResult::Removed => counts.removed += 1,
                ChangeResult::NonExistingPnr
                | ChangeResult::NonExistingAgeRange
                | ChangeResult::NonExistingMunicipalityCode
                | ChangeResult::NonExistingChangeCode => counts.not_there += 1,
                // The list of filters, which is read afterwards, tells what the call did.
                ChangeResult::Other(result) if result.is_empty() => {
                    tracing::warn!("the platform answered a call without a result");
                }
                ChangeResult::Other(result) => *counts.other.entry(result).or_default() += 1,
            }
            self.observer.advanced();
            // A run without a terminal has no progress bar.
            if (done + 1) % CALLS_PER_PROGRESS_LINE == 0 {
                tracing::info!(
                    agreement = self.agreement.as_str(),
                    done = done + 1,
                    total = changes.len(),
                    "calls to the subscription service were made"
                );
            }
        }
        Ok(counts)
    }

    /// Fails if this number of calls would not end before the next hours without many calls.
    pub(super) fn check_time_for(&self, calls: usize) -> Result<(), SubscriptionError> {
        if self.pace.any_hour || calls <= FEW_CALLS {
            return Ok(());
        }
        check_hours(self.pace, 0, calls)?;
        match closed_within(now(), estimated_duration(calls)) {
            None => Ok(()),
            Some(closed) => Err(SubscriptionError::NoTime {
                calls,
                minutes: estimated_duration(calls).as_secs().div_ceil(60),
                why: closed.why,
                from: closed.from,
                until: closed.until,
            }),
        }
    }
}

fn check_hours(pace: Pace, done: usize, total: usize) -> Result<(), SubscriptionError> {
    if pace.any_hour || total <= FEW_CALLS {
        return Ok(());
    }
    match closed(now()) {
        None => Ok(()),
        Some(closed) => Err(SubscriptionError::Hours {
            done,
            total,
            why: closed.why,
            until: closed.until,
        }),
    }
}
