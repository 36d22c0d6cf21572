//! Why a subscription was not changed. No error holds a person number, a whole UUID or a secret.

use std::path::PathBuf;

use super::filter::Kind;
use super::list::ListError;
use crate::error::Error;

/// A subscription cannot be read or changed, or must not.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubscriberError {
    /// The agreement has no service.
    #[error(
        "agreement {agreement} has no [agreement.{agreement}.service] in the configuration: it names the UUIDs of the \
         agreement and the client certificate (see `cprflow init`)"
    )]
    NoService {
        /// Which.
        agreement: String,
    },

    /// The configuration does not say what the subscription should be.
    #[error(
        "agreement {agreement} has no [agreement.{agreement}.subscription] in the configuration: it says what the \
         subscription should hold (see `cprflow init`)"
    )]
    NothingWanted {
        /// Which.
        agreement: String,
    },

    /// A list of person numbers is refused.
    #[error("{path}: {error}", path = path.display())]
    List {
        /// The list.
        path: PathBuf,
        /// Why.
        #[source]
        error: ListError,
    },

    /// A filter may reach all of Denmark.
    #[error(
        "{} may bring persons from all of Denmark, and the agreement has to cover that. If it does, write \
         `allow_national = true` into [agreement.….subscription]; nothing was changed", kind.plural()
    )]
    National {
        /// Of which kind.
        kind: Kind,
    },

    /// More than half of the person numbers would be removed.
    #[error(
        "{count} of {held} person numbers would be removed, which is more than half of them: a list that was cut off at \
         the end of a line looks like that. If it is whole, give --max-removals {count}; nothing was changed"
    )]
    MostRemoved {
        /// How many.
        count: usize,
        /// How many there are.
        held: usize,
    },

    /// More would be removed than may be.
    #[error(
        "{count} filters would be removed, and {limit} may be: is the list whole? If it is, give \
         --max-removals {count}; nothing was changed"
    )]
    TooManyRemovals {
        /// How many.
        count: usize,
        /// How many may be.
        limit: usize,
    },

    /// Nothing would be left of a kind.
    #[error(
        "all {plural} would be removed and none would be left, which is never done by the way: if that is what you \
         want, run `cprflow subscription clear {name}`; nothing was changed",
        plural = kind.plural(), name = kind.name()
    )]
    WouldEmpty {
        /// Which.
        kind: Kind,
    },

    /// There are filters that cannot be read, so a snapshot would not be whole.
    #[error(
        "the subscription has {count} filters that cprflow cannot read, so nobody can tell what is missing and what \
         is too much, or put back what is removed; no call was made on that ground. Look at them in the administration \
         module: a newer cprflow may know them"
    )]
    Unreadable {
        /// How many.
        count: u64,
    },

    /// A reorder was begun and not finished.
    #[error(
        "a reorder of this subscription was begun and not finished, and filters may be missing: run `cprflow \
         subscription reorder` to finish it, or `cprflow subscription restore` to put back what is missing"
    )]
    Unfinished,

    /// There is nothing to order again.
    #[error(
        "the subscription has no person numbers and no municipalities, so there is no full load to order"
    )]
    NothingToReorder,

    /// It is no time for many calls.
    #[error(
        "{done} of {total} calls are made. It is {why} until {until}, Danish time: run it again then and it goes on \
         from here, or give --any-hour"
    )]
    Hours {
        /// Calls that are made.
        done: usize,
        /// Calls in all.
        total: usize,
        /// What time it is.
        why: &'static str,
        /// Until when.
        until: jiff::civil::DateTime,
    },

    /// So many calls would not be made before a time that is not for them.
    #[error(
        "{calls} calls take about {minutes} min, and from {from} until {until}, Danish time, it is {why}: what is \
         removed could not all be added again before. Run it again after that, or give --any-hour; nothing more was \
         changed"
    )]
    NoTime {
        /// How many calls.
        calls: usize,
        /// How long they take, roughly.
        minutes: u64,
        /// What time it is then.
        why: &'static str,
        /// From when.
        from: jiff::civil::DateTime,
        /// Until when.
        until: jiff::civil::DateTime,
    },

    /// The subscription is not what was shown.
    #[error(
        "the subscription is no longer what was shown: somebody else has changed it meanwhile. Nothing was removed; run \
         it again and look once more"
    )]
    ChangedMeanwhile,

    /// A kind was removed, says the service, and is still there.
    #[error(
        "the service answered, and {left} of {} are still there: nothing was added again, and nothing is ordered. Run \
         `cprflow subscription reorder` again to go on, and ask the helpdesk if that does not help", kind.plural()
    )]
    NotEmptied {
        /// Which.
        kind: Kind,
        /// How many are there.
        left: usize,
    },

    /// There is no snapshot.
    #[error("there is no snapshot in {path}: nothing was ever removed, so there is nothing to restore", path = path.display())]
    NoSnapshot {
        /// Where they would be.
        path: PathBuf,
    },

    /// A file of cprflow's own cannot be read.
    #[error("{path}: {what}", path = path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        what: String,
    },

    /// A call failed, for good or for too long.
    #[error("{error}\n{}", hints(error, *done, *total, call_id, *may_have_been_applied))]
    Call {
        /// Why.
        #[source]
        error: Box<Error>,
        /// Calls that were made before it.
        done: usize,
        /// Calls in all.
        total: usize,
        /// What the call is called (`CallersServiceCallIdentifier`).
        call_id: String,
        /// Whether it may have been carried out all the same.
        may_have_been_applied: bool,
    },

    /// An answer of another kind than the call's.
    #[error(
        "the service's answer does not belong to the call: this is a bug of cprflow's component"
    )]
    OtherReply,

    /// There is no randomness to be had.
    #[error("the operating system gives no random bytes: {0}")]
    Random(String),
}

/// What the reader of a failed call needs besides the failure: how far it is, and what the helpdesk asks for.
fn hints(
    error: &Error,
    done: usize,
    total: usize,
    call_id: &str,
    may_have_been_applied: bool,
) -> String {
    let mut hints = format!("  our id of the call, for the platform's helpdesk: {call_id}");
    if let Error::Subscription(failure) = error
        && let Some(fault) = &failure.fault
    {
        for (what, id) in [
            ("CallUUID", &fault.call_uuid),
            ("Received", &fault.received),
        ] {
            if let Some(id) = id {
                hints.push_str(&format!("\n  {what}, as the platform says: {id}"));
            }
        }
    }
    if may_have_been_applied {
        hints.push_str(
            "\n  the call may have been carried out all the same; running the command again finds out",
        );
    }
    if total > 1 {
        hints.push_str(&format!(
            "\n  {done} of {total} calls are made; running the command again goes on from here"
        ));
    }
    hints
}
