//! Decides what a run does with each delivery of an inbox.
//!
//! The functions here are pure: they use no network, no disk and no ledger. [`inbox_run`](super::inbox_run)
//! collects the facts, asks a function of this module, and carries its answer out.

#[cfg(test)]
mod tests;

use jiff::civil::Date;

use super::stage::Staged;
use crate::agreement::Agreement;
use crate::config::{FUTURE_DATE, SAME_CONTENT};
use crate::erase::EraseError;
use crate::error::Error;
use crate::ledger::{Reason, Record, State, UNKNOWN_SIZE};
use crate::routing::ROUTING_MISMATCH;
use cprflow::{Catalog, DataError, DataErrorKind, Finding, Level, Summary, Table};
use cprflow_transport::{HELPDESK, RemoteFile, Stat};

/// The reason code of a delivery without a production date.
pub(crate) const NO_PRODUCTION_DATE: &str = "no-production-date";

/// The reason code of a file on the server whose transfer UUID belongs to another file that came before.
pub(super) const TRANSFER_REUSED: &str = "transfer-reused";

/// The reason code of a file whose extract the register lacks and cannot take.
pub(super) const NOT_KEPT: &str = "not-kept";

/// The reason code of a delivery that disappeared from the server before its download was complete.
const GONE_FROM_SERVER: &str = "gone-from-server";

/// What a run does with a delivery that is complete on the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FoundAction {
    /// Download the extract or take it from the spool, then publish it or set it aside.
    Fetch,
    /// Leave the published delivery on the server, because tenants still need the server's copy.
    WaitForTenants,
    /// Compare the server's copy with the published extract, then act on [`published_again`].
    CompareWithPublished,
    /// Take the extract of the published delivery into the register, which lacks it.
    KeepAgain,
    /// Leave the delivery where it is: it is set aside until a person decides.
    LeaveSetAside,
    /// Report that another file uses the transfer UUID of a known delivery.
    ReportReusedTransfer,
}

/// Decides what to do with a data file that is complete on the server.
///
/// `known` is the ledger's record of the same transfer UUID. `may_remove` is the answer of [`may_remove_remote`] for a
/// published delivery, and `lacks_extract` tells whether the register lacks its extract; they are not used for others.
pub(super) fn found_delivery(
    known: Option<&Record>,
    data: &RemoteFile,
    may_remove: bool,
    lacks_extract: bool,
) -> FoundAction {
    let Some(known) = known else {
        return FoundAction::Fetch;
    };
    match known.state {
        State::Published | State::DataRemoved | State::Done if lacks_extract => {
            FoundAction::KeepAgain
        }
        State::Published | State::DataRemoved | State::Done if may_remove => {
            FoundAction::CompareWithPublished
        }
        State::Published | State::DataRemoved | State::Done => FoundAction::WaitForTenants,
        State::SetAside if has_reason(known, GONE_FROM_SERVER) => FoundAction::Fetch,
        State::SetAside if is_reused(known, data) => FoundAction::ReportReusedTransfer,
        State::SetAside => FoundAction::LeaveSetAside,
        State::Fetching | State::Fetched | State::Publishing => FoundAction::Fetch,
    }
}

/// Returns whether a file on the server is another one than the known delivery of its transfer UUID, as far as its name and
/// its size tell. A published delivery can come again under another name. Its bytes can differ although the size is the same.
pub(super) fn is_reused(known: &Record, data: &RemoteFile) -> bool {
    let has_size = known.size == data.stat.size;
    match known.state {
        State::Published | State::DataRemoved | State::Done => {
            !has_size && known.size != UNKNOWN_SIZE
        }
        State::SetAside if has_reason(known, GONE_FROM_SERVER) => false,
        State::SetAside => !has_size || known.file_name != data.name.as_str(),
        // A file that is not complete yet is fetched again.
        State::Fetching | State::Fetched | State::Publishing => false,
    }
}

/// Returns the reason why a file stays on the server whose transfer UUID belongs to another file.
pub(super) fn transfer_reused() -> Reason {
    Reason::new(
        TRANSFER_REUSED,
        format!(
            "its transfer UUID belongs to another file that came before: ask the helpdesk ({HELPDESK}) which of them \
             is right"
        ),
    )
}

fn has_reason(record: &Record, code: &str) -> bool {
    let reason = record.reason.as_ref();
    reason.is_some_and(|reason| reason.code == code)
}

/// What a run does with a file on the server whose transfer is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PublishedCopyAction {
    /// Remove the file and its metadata: it has the bytes that were published.
    Remove,
    /// Report that another file uses the transfer UUID.
    ReportReusedTransfer,
}

/// Decides what to do with a file on the server whose transfer is published. `is_same` tells whether it has the bytes that
/// were published.
pub(super) fn published_again(is_same: bool) -> PublishedCopyAction {
    match is_same {
        true => PublishedCopyAction::Remove,
        false => PublishedCopyAction::ReportReusedTransfer,
    }
}

/// How far the tenants are with a published delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TenantProgress {
    /// A tenant may still receive the delivery in this run.
    Running,
    /// No tenant needs the delivery any more.
    Complete,
    /// No tenant receives the delivery any more in this run, and a tenant still needs it.
    Postponed {
        /// Whether the run was stopped. If so, tenants without a fault may also still need the delivery.
        is_run_stopped: bool,
        /// Whether the complete extract is in the spool, for a later run.
        is_spooled: bool,
    },
}

/// Decides whether the server's copy of a published delivery may be removed: every tenant without a fault has the
/// delivery, and the spool keeps the extract for the others.
pub(super) fn may_remove_remote(progress: TenantProgress) -> bool {
    match progress {
        TenantProgress::Running => false,
        TenantProgress::Complete => true,
        TenantProgress::Postponed {
            is_run_stopped,
            is_spooled,
        } => !is_run_stopped && is_spooled,
    }
}

/// What a run does with a file on the server that has the name of a published delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RemoteCopy {
    /// It is the published file. It is removed.
    Published,
    /// It is another file. It stays.
    Other,
    /// Only the file's bytes can tell, because the ledger was rebuilt, or the server does not say when the file was
    /// modified.
    CompareBytes,
}

/// Decides whether a file on the server is the one that was published.
pub(super) fn remote_copy(stat: &Stat, record: &Record) -> RemoteCopy {
    if record.size != UNKNOWN_SIZE && stat.size != record.size {
        return RemoteCopy::Other;
    }
    match (record.modified, stat.modified) {
        (Some(recorded), Some(found)) if recorded == found => RemoteCopy::Published,
        (Some(_), Some(_)) => RemoteCopy::Other,
        _ => RemoteCopy::CompareBytes,
    }
}

/// Returns whether bytes that an earlier run put into the spool belong to the file that is now on the server.
///
/// A server that does not say when a file was modified gives no proof, so that the download starts again.
pub(super) fn can_resume(known: Option<&Record>, stat: &Stat) -> bool {
    known.is_some_and(|known| {
        known.size == stat.size && known.modified == stat.modified && stat.modified.is_some()
    })
}

/// Returns the production date of the delivery before this one, for the scan to compare with record 000.
///
/// `newest` is the production date of the newest published delivery. A delivery that is not newer than that follows
/// another one, which is not known here, so that the scan compares nothing.
pub(super) fn expected_previous(
    newest: Option<String>,
    production_date: Option<&str>,
) -> Option<String> {
    newest.filter(|newest| production_date.is_some_and(|date| *date > **newest))
}

/// What a run does with a delivery that was scanned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Publish it.
    Publish,
    /// Set it aside for this reason.
    SetAside(Reason),
}

/// Decides whether a failed scan sets its delivery aside. Only a failure of the component is the delivery's own; any
/// other error ends the run and is returned.
pub(super) fn scan_failure(error: Error) -> Result<Reason, Error> {
    let reason = match &error {
        Error::Extract(cprflow::Error::Component(error)) if !is_of_machine(error) => {
            Some(Reason::new("component", error.to_string()))
        }
        _ => None,
    };
    reason.ok_or(error)
}

/// Returns whether the component could not run because the machine had no room for it.
fn is_of_machine(error: &cprflow::ComponentError) -> bool {
    use cprflow::ComponentError::{NoFile, NoMemory, PoolFull};
    matches!(error.cause(), NoFile(_) | NoMemory(_) | PoolFull { .. })
}

/// Decides whether a delivery is set aside because its metadata names another sender or recipient than the configuration,
/// and no person has accepted that. Needs no extract.
pub(super) fn wrong_routing(agreement: &Agreement, record: &Record) -> Option<Reason> {
    let is_accepted = |code: &String| code == ROUTING_MISMATCH;
    match record.accepted.iter().any(is_accepted) {
        true => None,
        false => agreement.routing_mismatch(record),
    }
}

/// Decides whether a scanned delivery is published.
///
/// `accepted` are the codes of the findings that the agreement accepts. The codes that a person accepted for this
/// delivery alone are in `record`. `published` is a published delivery of the agreement with the same extract.
pub(super) fn scanned_delivery(
    staged: &Staged,
    accepted: &[String],
    record: &Record,
    published: Option<&Record>,
    today: Date,
) -> Verdict {
    if let Some(broken) = &staged.broken {
        return Verdict::SetAside(Reason::new(
            broken.kind.code(),
            format!("{broken}. It cannot be accepted: what follows could not be read"),
        ));
    }
    let is_accepted = |code: &String| accepted.contains(code) || record.accepted.contains(code);
    let findings = staged.summary.findings.iter();
    let refused: Vec<_> = findings
        .filter(|finding| finding.level == Level::Error && !is_accepted(&finding.code))
        .collect();
    if let Some(first) = refused.first() {
        // The code of the first finding is shown beside the message. Only several findings need their codes in it.
        let text = |finding: &&Finding| match refused.len() {
            1 => finding.message.clone(),
            _ => format!("{} ({}): {}", finding.code, finding.count, finding.message),
        };
        let texts: Vec<_> = refused.iter().map(text).collect();
        return Verdict::SetAside(Reason::new(&first.code, texts.join("; ")));
    }
    let reason = no_usable_date(record, today).or_else(|| same_content(record, published?));
    reason.map_or(Verdict::Publish, Verdict::SetAside)
}

/// Returns why a delivery has no place in the order of the deliveries, if it has none.
fn no_usable_date(record: &Record, today: Date) -> Option<Reason> {
    if record.as_of.is_some() {
        return None;
    }
    let Some(date) = record.production_date() else {
        return Some(Reason::new(
            NO_PRODUCTION_DATE,
            "the extract has no production date, so that its place among the other deliveries is unknown. Give it one \
             with `cprflow retry … --as-of YYYY-MM-DD`",
        ));
    };
    // One day more: the clocks of CPR and of this machine need not agree.
    let is_future = |date: Date| today.tomorrow().is_ok_and(|tomorrow| date > tomorrow);
    date.parse().is_ok_and(is_future).then(|| {
        Reason::new(
            FUTURE_DATE,
            format!(
                "the extract says that it was produced on {date}, but today is {today}. All later deliveries would be \
                 taken for older ones. If the machine's clock is right, ask the helpdesk for a new extract, or give \
                 this one its place in the order with `cprflow retry … --accept {FUTURE_DATE} --as-of YYYY-MM-DD`"
            ),
        )
    })
}

/// Returns the reason why a delivery is set aside that has the extract of a published one.
fn same_content(record: &Record, published: &Record) -> Option<Reason> {
    let is_accepted = record.accepted.iter().any(|code| code == SAME_CONTENT);
    (!is_accepted).then(|| {
        Reason::new(
            SAME_CONTENT,
            format!(
                "it has exactly the bytes of transfer {}, which is published. Publishing it again would double its \
                 events. If that is wanted, run `cprflow retry … --accept {SAME_CONTENT}`",
                published.transfer_uuid
            ),
        )
    })
}

/// The class of personal data that needs a purpose of its own.
const RELIGION: &str = "religion";

/// Decides whether a delivery is set aside because it has church membership, and the agreement publishes all data without
/// a purpose for that.
pub(super) fn church_without_purpose(summary: &Summary, catalog: &Catalog) -> Option<Reason> {
    let is_of_church = |table: &&Table| {
        let mut fields = table
            .columns
            .iter()
            .filter_map(|column| column.field.as_ref());
        fields.any(|field| field.sensitivity.as_deref() == Some(RELIGION))
    };
    let records = |table: &Table| {
        let counts = summary.tables.iter();
        let of_table = counts.filter(|count| count.table == table.name);
        of_table.map(|count| count.records).sum::<u64>()
    };
    let tables: Vec<_> = catalog.tables().iter().filter(is_of_church).collect();
    if tables.iter().all(|table| records(table) == 0) {
        return None;
    }
    let types: Vec<_> = tables
        .iter()
        .filter_map(|table| table.record_type.as_deref())
        .collect();
    Some(Reason::new(
        "church-without-purpose",
        format!(
            "the extract has church membership (record types {}), which reveals religious belief (GDPR article 9). \
             Publishing all data needs a purpose of its own for it. Add `church = {{ purpose = \"…\" }}` to the \
             agreement, or `--church-purpose PURPOSE`, or change the order so that these record types are not delivered",
            types.join(" and ")
        ),
    ))
}

/// What a run does with a delivery that was begun and is no longer on the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum VanishedAction {
    /// Publish it from the spool, which has the complete extract.
    PublishFromSpool,
    /// Set it aside for this reason.
    SetAside(Reason),
}

/// Decides what to do with a delivery that was begun and is no longer on the server.
pub(super) fn vanished_delivery(is_spooled: bool) -> VanishedAction {
    match is_spooled {
        true => VanishedAction::PublishFromSpool,
        false => VanishedAction::SetAside(gone_from_server()),
    }
}

/// Returns the reason for a delivery that disappeared from the server before its download was complete.
pub(super) fn gone_from_server() -> Reason {
    Reason::new(
        GONE_FROM_SERVER,
        format!(
            "the delivery disappeared from the server before its download was complete: another program took it, \
             or the platform deleted it. Ask the helpdesk ({HELPDESK}) for a new delivery"
        ),
    )
}

/// Returns the reason for a delivery in which the records of an erased person cannot be told from those of another person.
pub(super) fn not_separable(error: &DataError) -> Reason {
    Reason::new(
        error.kind.code(),
        format!(
            "a record of an erased person goes on with the record of another person, because a line end is lost (record \
             {}). Ask the helpdesk ({HELPDESK}) to send the delivery again, then set this one aside with \
             `cprflow set-aside`",
            error.line.unwrap_or_default()
        ),
    )
}

/// Returns the reason for a delivery that ties erased persons to other numbers, if these cannot be erased from a kept extract.
pub(super) fn tied_not_separable(error: &EraseError) -> Reason {
    Reason::new(
        DataErrorKind::NotSeparable.code(),
        format!(
            "it was produced before an erasure, and tells other numbers of erased persons, under which they cannot be \
             erased: {error}"
        ),
    )
}

/// The code of [`erasure_unfinished`].
pub(super) const ERASURE_UNFINISHED: &str = "erasure-unfinished";

/// Returns the reason for a delivery with other numbers of erased persons, while an erasure is not complete.
pub(super) fn erasure_unfinished() -> Reason {
    Reason::new(
        ERASURE_UNFINISHED,
        "it tells other numbers of erased persons, and an erasure that was begun before is not complete. The next run of \
         `cprflow sync` continues both",
    )
}

/// Returns the remarks on a published delivery for a person: its errors and warnings, and whether it is late.
///
/// `newest` is the production date of the newest delivery that was published before.
pub(super) fn remarks(
    findings: &[Finding],
    production_date: Option<&str>,
    newest: Option<&str>,
) -> Vec<String> {
    let mut remarks: Vec<String> = findings
        .iter()
        .filter(|finding| finding.level != Level::Note)
        .map(|finding| format!("{} ({}): {}", finding.code, finding.count, finding.message))
        .collect();
    if let (Some(date), Some(newest)) = (production_date, newest)
        && date < newest
    {
        remarks.push(format!(
            "late: it was produced on {date}, and a delivery of {newest} is already published. Deliveries are applied \
             in the order of their production dates"
        ));
    }
    remarks
}
