//! The summary of a scan: counts, dates and findings.

use serde::Serialize;

/// The physical shape of an extract: the way records are laid out in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// Not enough was read to tell.
    Unknown,
    /// Records end with LF or CRLF and may be shorter than their layout.
    Lines,
    /// Records follow each other without line ends; the record type determines the length.
    Packed,
    /// Records follow each other without line ends and are all of one length.
    PackedUniform,
}

/// The severity of a finding. The order is from most to least severe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// The extract cannot be trusted.
    Error,
    /// Something is unusual, but no data is lost.
    Warning,
    /// Information; nothing is wrong.
    Note,
}

impl Level {
    /// Returns the name of the level: `error`, `warning` or `note`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// The start record (000).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StartRecord {
    /// The task number (OPGAVENR), redacted.
    pub task_number: String,
    /// The production date (PRODDTO), `YYYY-MM-DD`, if it is a date.
    pub production_date: Option<String>,
    /// The previous production date (PRODDTOFORRIG), `YYYY-MM-DD`, if it is a date.
    pub previous_production_date: Option<String>,
}

/// The number of records of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableCount {
    /// The table's name.
    pub table: String,
    /// The number of records read, whether or not the rows were requested.
    pub records: u64,
}

/// A place where a finding occurs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FindingPlace {
    /// The record type, if the finding concerns one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record_type: Option<String>,
    /// The column, if the finding concerns one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// The number of occurrences.
    pub count: u64,
    /// The number of the first record, 1-based.
    pub first_line: u64,
}

/// A finding about an extract. It never contains a value of a person's record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The stable code, for example `count-mismatch`.
    pub code: String,
    /// The severity.
    pub level: Level,
    /// The number of occurrences.
    pub count: u64,
    /// The message for people.
    pub message: String,
    /// The places by record type and column; empty if they add nothing.
    pub places: Vec<FindingPlace>,
}

/// What a scan has read so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// The number of bytes read.
    pub bytes: u64,
    /// The number of records read; blank lines are not counted.
    pub records: u64,
    /// The physical shape of the file.
    pub shape: Shape,
    /// The start record, if there was one.
    pub start: Option<StartRecord>,
    /// The number of records between start and end that the end record declares, if there was one.
    pub declared_records: Option<u64>,
    /// The number of records by table, without tables that have none.
    pub tables: Vec<TableCount>,
    /// The findings, most severe first.
    pub findings: Vec<Finding>,
}

impl Summary {
    /// Returns whether any finding is an error or a warning.
    pub fn needs_attention(&self) -> bool {
        self.findings
            .iter()
            .any(|finding| finding.level != Level::Note)
    }
}
