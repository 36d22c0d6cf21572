//! What the ledger says of a delivery.

use std::fmt;

use jiff::Timestamp;
use rusqlite::Row;
use rusqlite::types::Type;
use serde::{Deserialize, Serialize};

use crate::transport::said;

/// How far a delivery is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It was begun: some of it may be in the spool. The server has all of it.
    Fetching,
    /// The extract is whole in the spool and known by its digest. The server has it too.
    Fetched,
    /// It has its place in the order of the dataset, and may or may not stand there already.
    Publishing,
    /// It stands in the dataset, on the disk. Now, and not before, the server's copy may go.
    Published,
    /// The extract is gone from the server; its metadata file may still be there.
    DataRemoved,
    /// Nothing is left to do.
    Done,
    /// It waits for a person. Spool and server keep it.
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

    /// Its name, as the ledger has it.
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

    /// Whether the delivery stands in the dataset.
    pub const fn is_published(self) -> bool {
        matches!(self, Self::Published | Self::DataRemoved | Self::Done)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why something waits for a person. It holds no value of a person's record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// Stable code, for example `count-mismatch`.
    pub code: String,
    /// A sentence for people: what is wrong and what to do.
    pub message: String,
}

impl Reason {
    /// A reason.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
        }
    }
}

/// What is known of a delivery before it is fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDelivery {
    /// The agreement's name.
    pub agreement: String,
    /// The UUID of the transfer, in lower case.
    pub transfer_uuid: String,
    /// The name of the data file on the server.
    pub file_name: String,
    /// The name of the metadata file on the server.
    pub metadata_name: String,
    /// Bytes of the data file.
    pub size: u64,
    /// When the server says that it was modified, in seconds since 1970.
    pub modified: Option<u64>,
    /// Who sent it, as the metadata says.
    pub sender: Option<String>,
}

/// A finding's code and how often it was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindingCount {
    /// Stable code.
    pub code: String,
    /// How grave: `error`, `warning` or `note`.
    pub level: String,
    /// How often.
    pub count: u64,
}

/// What an extract holds, in numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// SHA-256 of the extract, in hexadecimal; empty before it is fetched.
    pub sha256: String,
    /// The task number of record 000.
    pub task_number: Option<String>,
    /// When it was produced, `YYYY-MM-DD`, by record 000 or by the person who released it.
    pub production_date: Option<String>,
    /// When the one before was produced.
    pub previous_production_date: Option<String>,
    /// Records of all types.
    pub records: u64,
    /// Records of type 001.
    pub persons: u64,
    /// Records of type 099.
    pub events: u64,
    /// What was found.
    pub findings: Vec<FindingCount>,
}

/// A delivery in the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Record {
    /// Its row.
    #[serde(skip)]
    pub id: i64,
    /// The agreement's name.
    pub agreement: String,
    /// The UUID of the transfer.
    pub transfer_uuid: String,
    /// The name of the data file on the server; once it is gone from there, as it is said.
    #[serde(serialize_with = "serialize_name")]
    pub file_name: String,
    /// The name of the metadata file on the server; the same.
    #[serde(serialize_with = "serialize_name")]
    pub metadata_name: String,
    /// Bytes of the data file.
    pub size: u64,
    /// When the server says that it was modified, in seconds since 1970.
    pub modified: Option<u64>,
    /// Who sent it.
    pub sender: Option<String>,
    /// How far it is.
    pub state: State,
    /// Why it waits for a person, if it does.
    pub reason: Option<Reason>,
    /// Findings that a person accepted for this delivery.
    pub accepted: Vec<String>,
    /// The production date that a person gave it, for want of one in the extract.
    pub told_production_date: Option<String>,
    /// What it holds.
    #[serde(flatten)]
    pub counts: Counts,
    /// Its number in the dataset.
    pub sequence: Option<u64>,
    /// Its directory in the dataset, below that of the agreement.
    pub directory: Option<String>,
    /// When it was seen first.
    pub first_seen: Timestamp,
    /// When it was published.
    pub published: Option<Timestamp>,
    /// When its state changed last.
    pub updated: Timestamp,
}

/// Others see it.
fn serialize_name<S: serde::Serializer>(name: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&said(name))
}

impl Record {
    /// The data file's name, as it is said: without anything that can be a person number.
    pub fn said_name(&self) -> String {
        said(&self.file_name)
    }

    /// The production date by which the delivery is ordered.
    pub fn production_date(&self) -> Option<&str> {
        let told = self.told_production_date.as_deref();
        self.counts.production_date.as_deref().or(told)
    }
}

/// A file in an inbox that is nobody's, or that something is wrong with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stray {
    /// Which inbox.
    pub inbox: String,
    /// The file's name, as it is said; with a number behind it where several are said alike.
    pub name: String,
    /// Its size.
    pub size: Option<u64>,
    /// What is the matter with it.
    pub reason: Reason,
    /// When it was seen first.
    pub first_seen: Timestamp,
}

/// When an agreement's inbox was looked into.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Visit {
    /// The first time.
    pub first: Timestamp,
    /// The last time.
    pub last: Timestamp,
    /// The last time that went well.
    pub last_good: Option<Timestamp>,
    /// Why the last time did not, if it did not.
    pub error: Option<String>,
}

/// The columns that [`read_record`] reads, in its order.
pub(super) const RECORD_COLUMNS: &str =
    "id, agreement, transfer_uuid, file_name, metadata_name, size, modified, sender, state, reason_code, reason,
     accepted, told_production_date, coalesce(sha256, ''), task_number, production_date, previous_production_date,
     records, persons, events, findings, sequence, directory, first_seen, published, updated";

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
        state: state.ok_or_else(|| unreadable(8, "no such state"))?,
        reason: code.map(|code| Reason::new(code, message.unwrap_or_default())),
        accepted: json(row, 11)?,
        told_production_date: row.get(12)?,
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
    })
}

pub(super) fn read_stray(row: &Row<'_>) -> rusqlite::Result<Stray> {
    Ok(Stray {
        inbox: row.get(0)?,
        name: row.get(1)?,
        size: row.get::<_, Option<i64>>(2)?.map(|size| size as u64),
        reason: Reason::new(row.get::<_, String>(3)?, row.get::<_, String>(4)?),
        first_seen: time(row, 5)?,
    })
}

pub(super) fn read_visit(row: &Row<'_>) -> rusqlite::Result<Visit> {
    Ok(Visit {
        first: time(row, 0)?,
        last: time(row, 1)?,
        last_good: optional_time(row, 2)?,
        error: row.get(3)?,
    })
}

fn json<T: for<'a> Deserialize<'a>>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(|_| unreadable(column, "no JSON of that kind"))
}

pub(super) fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    optional_time(row, column)?.ok_or_else(|| unreadable(column, "no time"))
}

pub(super) fn optional_time(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Timestamp>> {
    let text: Option<String> = row.get(column)?;
    let parse = |text: String| text.parse().map_err(|_| unreadable(column, "no time"));
    text.map(parse).transpose()
}

pub(super) fn unreadable(column: usize, what: &'static str) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, what.into())
}
