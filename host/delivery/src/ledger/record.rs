//! The state of a delivery, and the other records of the ledger.

use std::fmt;

use jiff::Timestamp;
use rusqlite::Row;
use rusqlite::types::Type;
use serde::{Deserialize, Serialize};

use crate::routing::Routing;
use cprflow_transport::redacted_name;

/// The state of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// The download has started, and the spool may contain a part. The server has both files.
    Fetching,
    /// The extract is complete in the spool and its digest is known. The server has both files.
    Fetched,
    /// The delivery has a sequence number in the dataset, and may already be in the dataset.
    Publishing,
    /// The delivery is in the dataset, on the disk. Only now may its files be deleted on the server.
    Published,
    /// The extract is deleted on the server. Its metadata file may still exist.
    DataRemoved,
    /// All steps are complete.
    Done,
    /// The delivery waits for a person's decision. The spool and the server keep it.
    SetAside,
}

impl State {
    const ALL: [Self; 7] = [
        Self::Fetching,
        Self::Fetched,
        Self::Publishing,
        Self::Published,
        Self::DataRemoved,
        Self::Done,
        Self::SetAside,
    ];

    /// Returns the name in the ledger.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fetching => "fetching",
            Self::Fetched => "fetched",
            Self::Publishing => "publishing",
            Self::Published => "published",
            Self::DataRemoved => "data-removed",
            Self::Done => "done",
            Self::SetAside => "set-aside",
        }
    }

    /// Returns whether the dataset contains the delivery.
    pub const fn is_published(self) -> bool {
        matches!(self, Self::Published | Self::DataRemoved | Self::Done)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The reason why a delivery or a file needs a person's decision. It holds no value of a person's record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// A stable code, for example `count-mismatch`.
    pub code: String,
    /// The explanation: what is wrong and what to do.
    pub message: String,
}

/// The reason code of a delivery that an operator set aside.
pub(crate) const BY_HAND: &str = "by-hand";

impl Reason {
    /// Creates a reason.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
        }
    }

    /// Returns whether an operator set the delivery aside. Then the decision is made, and no person is needed any more.
    pub fn is_by_hand(&self) -> bool {
        self.code == BY_HAND
    }
}

/// The facts that are known about a delivery before it is fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDelivery {
    /// The name of the agreement.
    pub agreement: String,
    /// The UUID of the transfer, in lower case.
    pub transfer_uuid: String,
    /// The name of the data file on the server.
    pub file_name: String,
    /// The name of the metadata file on the server.
    pub metadata_name: String,
    /// The size of the data file in bytes.
    pub size: u64,
    /// The modification time on the server, in seconds since 1970.
    pub modified: Option<u64>,
    /// The sender in the metadata file.
    pub sender: Option<String>,
    /// The routing block of the metadata file, if there is one.
    pub routing: Option<Routing>,
}

/// The number of findings with the same code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindingCount {
    /// The stable code.
    pub code: String,
    /// The level: `error`, `warning` or `note`.
    pub level: String,
    /// The number of findings.
    pub count: u64,
}

/// The identity and the counts of an extract.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// The SHA-256 of the extract, in hexadecimal; empty before it is fetched. `hmac-sha256:` and a digest with a key if
    /// only a tenant's manifest tells of the delivery.
    pub sha256: String,
    /// The task number in record 000.
    pub task_number: Option<String>,
    /// The production date, `YYYY-MM-DD`: from record 000, or from the person who retried the delivery.
    pub production_date: Option<String>,
    /// The production date of the previous extract in record 000, `YYYY-MM-DD`.
    pub previous_production_date: Option<String>,
    /// The number of records of all types.
    pub records: u64,
    /// The number of records of type 001.
    pub persons: u64,
    /// The number of records of type 099.
    pub events: u64,
    /// The findings.
    pub findings: Vec<FindingCount>,
}

impl Counts {
    /// Returns whether the extract looks like an initial load or a part of one: it has persons without events. Nothing in
    /// an extract says so for certain.
    pub(crate) fn looks_like_load(&self) -> bool {
        self.persons > 0 && self.events < self.persons
    }
}

/// The size of a delivery whose size is not known, because a tenant's manifest alone tells of it.
pub(crate) const UNKNOWN_SIZE: u64 = 0;

/// A delivery in the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Record {
    /// The row ID.
    #[serde(skip)]
    pub id: i64,
    /// The name of the agreement.
    pub agreement: String,
    /// The UUID of the transfer.
    pub transfer_uuid: String,
    /// The name of the data file on the server; redacted after the file is deleted there.
    #[serde(serialize_with = "serialize_name")]
    pub file_name: String,
    /// The name of the metadata file on the server; redacted after the file is deleted there.
    #[serde(serialize_with = "serialize_name")]
    pub metadata_name: String,
    /// The size of the data file in bytes; 0 if it is not known.
    pub size: u64,
    /// The modification time on the server, in seconds since 1970.
    pub modified: Option<u64>,
    /// The sender in the metadata file.
    pub sender: Option<String>,
    /// The routing block of the metadata file; `None` if it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub routing: Option<Routing>,
    /// The state.
    pub state: State,
    /// The reason why the delivery was set aside. Of a published delivery, the reason `gone`: a person knows that it is no
    /// longer in the dataset.
    pub reason: Option<Reason>,
    /// The codes of the findings that a person accepted for this delivery.
    pub accepted: Vec<String>,
    /// The day that a person gave as the delivery's place in the order (`--as-of`), because the extract has no
    /// production date or one in the future.
    pub as_of: Option<String>,
    /// The identity and the counts of the extract.
    #[serde(flatten)]
    pub counts: Counts,
    /// The sequence number in the dataset.
    pub sequence: Option<u64>,
    /// The directory in the dataset, below the directory of the agreement; `None` if only tenants have the delivery.
    pub directory: Option<String>,
    /// The time at which it was first seen.
    pub first_seen: Timestamp,
    /// The time of publication.
    pub published: Option<Timestamp>,
    /// The time at which its directory was removed from the dataset, because it was kept long enough.
    pub expired: Option<Timestamp>,
    /// The time of the last change.
    pub updated: Timestamp,
}

/// Serializes a file name without anything that could be a person number, because reports are shared.
fn serialize_name<S: serde::Serializer>(name: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&redacted_name(name))
}

impl Record {
    /// Returns the name of the data file for reports, without anything that could be a person number.
    pub fn redacted_file_name(&self) -> String {
        redacted_name(&self.file_name)
    }

    /// Returns the day that orders the deliveries: that of a person, or else the production date of the extract.
    ///
    /// A person is only asked for a day if the extract has no usable one.
    pub fn production_date(&self) -> Option<&str> {
        let from_extract = self.counts.production_date.as_deref();
        self.as_of.as_deref().or(from_extract)
    }
}

/// A file in an inbox that belongs to no agreement, or that cannot be processed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnclaimedFile {
    /// The address of the inbox.
    pub inbox: String,
    /// The redacted name of the file, followed by a number if several redacted names are equal.
    pub name: String,
    /// The size in bytes.
    pub size: Option<u64>,
    /// The reason why it is not processed.
    pub reason: Reason,
    /// The time at which it was first seen.
    pub first_seen: Timestamp,
}

/// The visits to the inbox of an agreement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InboxVisit {
    /// The time of the first visit.
    pub first: Timestamp,
    /// The time of the last visit.
    pub last: Timestamp,
    /// The time of the last visit without an error.
    pub last_good: Option<Timestamp>,
    /// The error of the last visit; `None` if it had no error.
    pub error: Option<String>,
}

/// The columns that [`read_record`] reads, in this order.
pub(super) const RECORD_COLUMNS: &str =
    "id, agreement, transfer_uuid, file_name, metadata_name, size, modified, sender, state, reason_code, reason,
     accepted, operator_production_date, coalesce(sha256, ''), task_number, production_date, previous_production_date,
     records, persons, events, findings, sequence, directory, first_seen, published, updated, routing,
     expired";

pub(super) fn read_record(row: &Row<'_>) -> rusqlite::Result<Record> {
    let state: String = row.get(8)?;
    let state = State::ALL.into_iter().find(|known| known.name() == state);
    let code: Option<String> = row.get(9)?;
    let message: Option<String> = row.get(10)?;
    Ok(Record {
        id: row.get(0)?,
        agreement: row.get(1)?,
        transfer_uuid: row.get(2)?,
        file_name: row.get(3)?,
        metadata_name: row.get(4)?,
        size: row.get::<_, i64>(5)? as u64,
        modified: row.get::<_, Option<i64>>(6)?.map(|time| time as u64),
        sender: row.get(7)?,
        state: state.ok_or_else(|| unreadable(8, "unknown state"))?,
        reason: code.map(|code| Reason::new(code, message.unwrap_or_default())),
        accepted: json(row, 11)?,
        as_of: row.get(12)?,
        counts: Counts {
            sha256: row.get(13)?,
            task_number: row.get(14)?,
            production_date: row.get(15)?,
            previous_production_date: row.get(16)?,
            records: row.get::<_, i64>(17)? as u64,
            persons: row.get::<_, i64>(18)? as u64,
            events: row.get::<_, i64>(19)? as u64,
            findings: json(row, 20)?,
        },
        sequence: row.get::<_, Option<i64>>(21)?.map(|number| number as u64),
        directory: row.get(22)?,
        first_seen: time(row, 23)?,
        published: optional_time(row, 24)?,
        updated: time(row, 25)?,
        routing: optional_json(row, 26)?,
        expired: optional_time(row, 27)?,
    })
}

/// Returns the text of a routing block in the ledger.
pub(super) fn routing_text(routing: Option<&Routing>) -> Option<String> {
    routing.and_then(|routing| serde_json::to_string(routing).ok())
}

pub(super) fn read_unclaimed_file(row: &Row<'_>) -> rusqlite::Result<UnclaimedFile> {
    Ok(UnclaimedFile {
        inbox: row.get(0)?,
        name: row.get(1)?,
        size: row.get::<_, Option<i64>>(2)?.map(|size| size as u64),
        reason: Reason::new(row.get::<_, String>(3)?, row.get::<_, String>(4)?),
        first_seen: time(row, 5)?,
    })
}

pub(super) fn read_inbox_visit(row: &Row<'_>) -> rusqlite::Result<InboxVisit> {
    Ok(InboxVisit {
        first: time(row, 0)?,
        last: time(row, 1)?,
        last_good: optional_time(row, 2)?,
        error: row.get(3)?,
    })
}

fn json<T: for<'a> Deserialize<'a>>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(|_| unreadable(column, "unexpected JSON"))
}

fn optional_json<T: for<'a> Deserialize<'a>>(
    row: &Row<'_>,
    column: usize,
) -> rusqlite::Result<Option<T>> {
    let text: Option<String> = row.get(column)?;
    let parse = |text: String| {
        serde_json::from_str(&text).map_err(|_| unreadable(column, "unexpected JSON"))
    };
    text.map(parse).transpose()
}

pub(super) fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    optional_time(row, column)?.ok_or_else(|| unreadable(column, "not a time"))
}

pub(super) fn optional_time(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Timestamp>> {
    let text: Option<String> = row.get(column)?;
    let parse = |text: String| text.parse().map_err(|_| unreadable(column, "not a time"));
    text.map(parse).transpose()
}

pub(super) fn unreadable(column: usize, what: &'static str) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, what.into())
}
