//! What a scan has to say about an extract, beside its rows.

use serde::Serialize;

use crate::sandbox::bindings::exports::cprflow::connector::source as wit;
use crate::sandbox::tame;

/// How the records are laid out in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// Nothing was read that would tell.
    Unknown,
    /// Records end with LF or CRLF and may be shorter than their layout.
    Lines,
    /// Records follow each other without line ends; the record type gives the length.
    Packed,
    /// Records follow each other without line ends and are all of one length.
    PackedUniform,
}

/// How grave a finding is, gravest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// The extract cannot be trusted as it stands.
    Error,
    /// Something is unusual and nothing is lost.
    Warning,
    /// Worth knowing; nothing is wrong.
    Note,
}

/// The start record (000).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Start {
    /// The task number (OPGAVENR), as it stands.
    pub task_number: String,
    /// When the extract was produced, `YYYY-MM-DD`, if that is a date.
    pub production_date: Option<String>,
    /// When the one before was, `YYYY-MM-DD`, if that is a date.
    pub previous_production_date: Option<String>,
}

/// How many records a table stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableCount {
    /// The table's name.
    pub table: String,
    /// The records seen of it, whether or not its rows were asked for.
    pub records: u64,
}

/// Where the occurrences of a finding are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// Record type, where the finding concerns one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record_type: Option<String>,
    /// Column, where the finding concerns one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// How many.
    pub count: u64,
    /// The first record of them, 1-based.
    pub first_line: u64,
}

/// Something that a person should hear about an extract. It never contains a value of a person's record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Stable code, for example `count-mismatch`.
    pub code: String,
    /// How grave it is.
    pub level: Level,
    /// How often.
    pub count: u64,
    /// A sentence for people.
    pub message: String,
    /// Where, by record type and column.
    pub places: Vec<Place>,
}

/// What a scan has seen so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Bytes read.
    pub bytes: u64,
    /// Records read; blank lines do not count.
    pub records: u64,
    /// How the records are laid out.
    pub shape: Shape,
    /// The start record, if there was one.
    pub start: Option<Start>,
    /// What the end record says is the number of records between start and end, if there was one.
    pub declared_records: Option<u64>,
    /// Records per table, tables without any left out.
    pub tables: Vec<TableCount>,
    /// What a person should hear, gravest first.
    pub findings: Vec<Finding>,
}

impl Summary {
    /// Whether a finding is an error or a warning.
    pub fn needs_attention(&self) -> bool {
        self.findings
            .iter()
            .any(|finding| finding.level != Level::Note)
    }
}

impl From<wit::Summary> for Summary {
    fn from(summary: wit::Summary) -> Self {
        Self {
            bytes: summary.bytes,
            records: summary.records,
            shape: match summary.shape {
                wit::Shape::Unknown => Shape::Unknown,
                wit::Shape::Lines => Shape::Lines,
                wit::Shape::Packed => Shape::Packed,
                wit::Shape::PackedUniform => Shape::PackedUniform,
            },
            start: summary.start.map(|start| Start {
                task_number: tame(&start.task_number),
                production_date: start.production_date.as_deref().map(tame),
                previous_production_date: start.previous_production_date.as_deref().map(tame),
            }),
            declared_records: summary.declared_records,
            tables: summary
                .tables
                .into_iter()
                .map(|count| TableCount {
                    table: tame(&count.table),
                    records: count.records,
                })
                .collect(),
            findings: summary.findings.into_iter().map(Finding::from).collect(),
        }
    }
}

impl From<wit::Finding> for Finding {
    fn from(finding: wit::Finding) -> Self {
        Self {
            code: tame(&finding.code),
            level: match finding.level {
                wit::Level::Note => Level::Note,
                wit::Level::Warning => Level::Warning,
                wit::Level::Error => Level::Error,
            },
            count: finding.count,
            message: tame(&finding.message),
            places: finding
                .places
                .into_iter()
                .map(|place| Place {
                    record_type: place.record_type.as_deref().map(tame),
                    column: place.column.as_deref().map(tame),
                    count: place.count,
                    first_line: place.first_line,
                })
                .collect(),
        }
    }
}
