//! The errors of a subscription. No error holds a person number, a whole UUID or a secret.

use std::error::Error;
use std::path::PathBuf;

use cprflow_transport::HELPDESK;
use jiff::civil::DateTime;

use super::filter::FilterKind;
use crate::pnr_list::ListError;

/// A reason why a subscription cannot be read or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubscriptionError {
    /// An agreement is to be renamed whose reorder is unfinished.
    #[error(
        "a reorder of {agreement} is unfinished, and its journal names files of that agreement. Give the agreement its \
         old name in the configuration, finish it with `cprflow subscription reorder`, then rename"
    )]
    ReorderUnfinished {
        /// The name of the agreement.
        agreement: String,
    },

    /// The agreement has no service in the configuration.
    #[error(
        "agreement {agreement} has no [agreement.{agreement}.service] in the configuration. Add that section with the \
         UUIDs of the agreement and the client certificate; `cprflow init` shows an example"
    )]
    NoService {
        /// The name of the agreement.
        agreement: String,
    },

    /// The agreement has no wanted subscription in the configuration.
    #[error(
        "agreement {agreement} has no [agreement.{agreement}.subscription] in the configuration. Add that section with \
         the filters that the subscription should have; `cprflow init` shows an example"
    )]
    NothingWanted {
        /// The name of the agreement.
        agreement: String,
    },

    /// The service has no client certificate in the configuration.
    #[error(
        "the subscription service has no client certificate in the configuration. Add `certificate` and `key` (PEM), or \
         `pkcs12` and `password`, to [agreement.NAME.service]"
    )]
    NoCertificate,

    /// A list of person numbers is refused.
    #[error("{path}: {error}", path = path.display())]
    List {
        /// The file.
        path: PathBuf,
        /// The reason.
        #[source]
        error: ListError,
    },

    /// The list of the configuration (`pnr_file`) is empty.
    #[error(
        "{path}: the list has no person number, so applying it would remove all person numbers from the subscription. \
         Check the file. If all are to be removed, run `cprflow subscription clear pnr`", path = path.display()
    )]
    EmptyList {
        /// The file.
        path: PathBuf,
    },

    /// A filter can match persons in all of Denmark, and the configuration does not allow that.
    #[error(
        "{} can match persons in all of Denmark, and the agreement must allow that. If it does, add \
         `allow_national = true` to [agreement.….subscription]. Nothing was changed", kind.plural()
    )]
    National {
        /// The kind of the filter.
        kind: FilterKind,
    },

    /// More than half of the person numbers would be removed.
    #[error(
        "{count} of {total} person numbers would be removed, which is more than half. Check whether the list is complete: \
         it may have been cut off at the end of a line. If it is complete, add --max-removals {count}. Nothing was changed"
    )]
    MostRemoved {
        /// The number of person numbers to remove.
        count: usize,
        /// The number of person numbers in the subscription.
        total: usize,
    },

    /// More filters would be removed than the limit allows.
    #[error(
        "{count} filters would be removed, and the limit is {limit}. Check whether the list is complete. If it is, add \
         --max-removals {count}. Nothing was changed"
    )]
    TooManyRemovals {
        /// The number of filters to remove.
        count: usize,
        /// The maximum number.
        limit: usize,
    },

    /// All filters of a kind would be removed.
    #[error(
        "all {plural} would be removed, and none would be left. If that is intended, run `cprflow subscription clear \
         {name}`. Nothing was changed",
        plural = kind.plural(), name = kind.name()
    )]
    WouldEmpty {
        /// The kind of the filters.
        kind: FilterKind,
    },

    /// Some filters of the subscription cannot be read, so a comparison or a snapshot would be incomplete.
    #[error(
        "cprflow cannot read {count} filters of the subscription, so it cannot compare the subscription or restore \
         it. No change was made on that basis. Look at the filters in the administration module (Administrationsmodul); \
         a newer version of cprflow may support them"
    )]
    Unreadable {
        /// The number of unreadable filters.
        count: u64,
    },

    /// An earlier reorder is not finished.
    #[error(
        "an earlier reorder of this subscription is not finished, and filters may be missing. Run `cprflow \
         subscription reorder` to finish it, or `cprflow subscription restore` to add the missing filters"
    )]
    Unfinished,

    /// The subscription has no filters that a reorder applies to.
    #[error(
        "the subscription has no person numbers and no municipalities, so there is no initial load to order. Adding \
         such a filter orders one (`cprflow subscription add`)"
    )]
    NothingToReorder,

    /// Many calls are not allowed at this hour.
    #[error(
        "{done} of {total} calls were made, because {why} last until {until} Danish time. Run the command again after \
         that to continue, or add --any-hour"
    )]
    Hours {
        /// The number of calls that were made.
        done: usize,
        /// The number of all calls.
        total: usize,
        /// The name of the hours, in the plural.
        why: &'static str,
        /// The end of the hours, Danish time.
        until: DateTime,
    },

    /// Many calls would not end before the next hours in which they are not allowed.
    #[error(
        "{calls} calls take about {minutes} min, and {why} last from {from} until {until} Danish time. Removed filters \
         could not all be added again before. Run the command again after that, or add --any-hour. Nothing more was \
         changed"
    )]
    NoTime {
        /// The number of calls.
        calls: usize,
        /// The estimated duration in minutes.
        minutes: u64,
        /// The name of the hours, in the plural.
        why: &'static str,
        /// The start of the hours, Danish time.
        from: DateTime,
        /// The end of the hours, Danish time.
        until: DateTime,
    },

    /// The subscription changed after it was shown.
    #[error(
        "the subscription has changed since it was shown, so nothing was removed. Run the command again and check the \
         subscription again"
    )]
    ChangedMeanwhile,

    /// The service confirmed the removal of all filters of a kind, and some are still in the subscription.
    #[error(
        "the service confirmed the removal of all {kinds}, and {left} {kinds} are still in the subscription. Nothing was \
         added again, so no initial load is ordered. Run `cprflow subscription reorder` again; if that fails too, ask the \
         helpdesk ({HELPDESK})", kinds = kind.plural()
    )]
    NotEmptied {
        /// The kind of the filters.
        kind: FilterKind,
        /// The number of filters that are still in the subscription.
        left: usize,
    },

    /// There is no snapshot.
    #[error("there is no snapshot in {path}: nothing was ever removed, so there is nothing to restore", path = path.display())]
    NoSnapshot {
        /// The directory of the snapshots.
        path: PathBuf,
    },

    /// A snapshot is damaged, or the file is not a snapshot.
    #[error("{path}: this is not a snapshot, or it is damaged. Use another snapshot", path = path.display())]
    SnapshotDamaged {
        /// The file.
        path: PathBuf,
    },

    /// Another version of cprflow wrote the snapshot.
    #[error("{path}: another version of cprflow wrote this snapshot. Restore it with that version", path = path.display())]
    SnapshotVersion {
        /// The file.
        path: PathBuf,
    },

    /// The snapshot belongs to another agreement.
    #[error("{path}: this is the snapshot of another agreement. Use a snapshot of this agreement", path = path.display())]
    SnapshotOfOtherAgreement {
        /// The file.
        path: PathBuf,
    },

    /// A new snapshot differs from what was written.
    #[error(
        "{path}: this snapshot could not be read back as it was written, so nothing was removed. Check the disk; if it \
         has no errors, report a bug in cprflow", path = path.display()
    )]
    SnapshotNotReadBack {
        /// The file, which was deleted.
        path: PathBuf,
    },

    /// The journal of an unfinished reorder is damaged.
    #[error(
        "{path}: this journal of a reorder is damaged. Look at the subscription with `cprflow subscription list`, add \
         what is missing with `cprflow subscription restore --snapshot FILE`, and delete the journal", path = path.display()
    )]
    JournalDamaged {
        /// The journal.
        path: PathBuf,
    },

    /// The snapshot of an unfinished reorder cannot be used.
    #[error(
        "{path}: the snapshot of this unfinished reorder cannot be used ({error}). Look at the subscription with \
         `cprflow subscription list`. Add what is missing from a list of your own, or with `cprflow subscription \
         restore --snapshot FILE`, and delete the journal", path = path.display()
    )]
    JournalSnapshot {
        /// The journal.
        path: PathBuf,
        /// The error of the snapshot.
        #[source]
        error: Box<dyn Error + Send + Sync>,
    },

    /// A file of cprflow cannot be used.
    #[error("{path}: {what}", path = path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// The problem, and what to do.
        what: String,
    },

    /// A change was requested from a client without an audit log.
    #[error(
        "the subscription was not changed, because the client has no audit log. This is a bug in cprflow: report it \
         with this message"
    )]
    NoAuditLog,

    /// A request cannot be masked for printing.
    #[error(
        "the request cannot be masked, so it is not printed ({0}). This is a bug in cprflow: report it with this \
         message"
    )]
    Mask(#[from] regex::Error),

    /// A call failed and is not repeated.
    #[error("{error}\n{}", hints(platform_ids, *done, *total, call_id, *may_have_been_applied))]
    Call {
        /// The error.
        #[source]
        error: Box<dyn Error + Send + Sync>,
        /// The platform's own identifiers of the call.
        platform_ids: PlatformIds,
        /// The number of calls that were made before.
        done: usize,
        /// The number of all calls.
        total: usize,
        /// The identifier of the call (`CallersServiceCallIdentifier`).
        call_id: String,
        /// Whether the platform may have carried out the call nevertheless.
        may_have_been_applied: bool,
    },

    /// The reply does not fit the call.
    #[error(
        "the reply of the service does not fit the call. This is a bug in the component: report it with this message"
    )]
    OtherReply,

    /// The operating system provides no random bytes.
    #[error(
        "the operating system provides no random bytes: {0}. Allow cprflow to call getrandom, or to read /dev/urandom"
    )]
    Random(String),
}

/// The identifiers that the platform gives a call, as far as its fault names them. The helpdesk asks for them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlatformIds {
    /// The UUID of the call.
    pub call_uuid: Option<String>,
    /// The time at which the platform received the call, unchanged.
    pub received: Option<String>,
}

/// Returns what the reader of a failed call needs besides the error: the identifiers for the helpdesk and the progress.
fn hints(
    platform_ids: &PlatformIds,
    done: usize,
    total: usize,
    call_id: &str,
    may_have_been_applied: bool,
) -> String {
    let mut hints =
        format!("  our ID of the call, for the platform's helpdesk ({HELPDESK}): {call_id}");
    for (what, id) in [
        ("CallUUID", &platform_ids.call_uuid),
        ("Received", &platform_ids.received),
    ] {
        if let Some(id) = id {
            hints.push_str(&format!("\n  {what} of the platform: {id}"));
        }
    }
    if may_have_been_applied {
        hints.push_str(
            "\n  the call may have been carried out nevertheless; run the command again to find out",
        );
    }
    if total > 1 {
        hints.push_str(&format!(
            "\n  {done} of {total} calls were made; run the command again to continue from here"
        ));
    }
    hints
}
