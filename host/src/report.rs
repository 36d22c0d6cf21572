//! What a scan has to say about an extract, beside its rows.

use serde::Serialize;

use crate::catalog::Catalog;
use crate::error::ComponentError;
use crate::sandbox::bindings::exports::cprflow::connector::source as wit;
use crate::sandbox::{LimitKind, tame};

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

/// Findings of a summary at the most, and places of a finding. There are some dozens of codes and some hundreds of
/// columns.
const MAX_FINDINGS: usize = 1_000;
const MAX_PLACES: usize = 10_000;

impl Summary {
    /// What a component says of a scan, if it can be true: the tables are those of its catalog, dates are dates, and
    /// there are no more findings than a person can read.
    pub(crate) fn checked(
        summary: wit::Summary,
        catalog: &Catalog,
    ) -> Result<Self, ComponentError> {
        let mut tables: Vec<TableCount> = Vec::new();
        for count in summary.tables {
            let is_new = tables.iter().all(|known| known.table != count.table);
            if !is_new || catalog.table(&count.table).is_none() {
                return Err(misbehaved(
                    "its summary counts tables that its catalog lacks",
                ));
            }
            tables.push(TableCount {
                table: count.table,
                records: count.records,
            });
        }
        let places = summary.findings.iter().map(|finding| finding.places.len());
        if summary.findings.len() > MAX_FINDINGS || places.sum::<usize>() > MAX_PLACES {
            return Err(ComponentError::Limit {
                limit: LimitKind::Findings,
                at_most: MAX_FINDINGS as u64,
            });
        }
        let findings = summary.findings.into_iter().map(Finding::checked);
        Ok(Self {
            bytes: summary.bytes,
            records: summary.records,
            shape: match summary.shape {
                wit::Shape::Unknown => Shape::Unknown,
                wit::Shape::Lines => Shape::Lines,
                wit::Shape::Packed => Shape::Packed,
                wit::Shape::PackedUniform => Shape::PackedUniform,
            },
            start: summary.start.map(Start::checked).transpose()?,
            declared_records: summary.declared_records,
            tables,
            findings: findings.collect::<Result<_, _>>()?,
        })
    }
}

impl Start {
    fn checked(start: wit::Start) -> Result<Self, ComponentError> {
        let date = |date: Option<String>| match date {
            Some(date) if !is_date(&date) => Err(misbehaved("its summary has a date that is none")),
            date => Ok(date),
        };
        Ok(Self {
            task_number: tame(&start.task_number),
            production_date: date(start.production_date)?,
            previous_production_date: date(start.previous_production_date)?,
        })
    }
}

impl Finding {
    fn checked(finding: wit::Finding) -> Result<Self, ComponentError> {
        let is_code = |code: &str| {
            matches!(code.len(), 1..=64)
                && code
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
                && tame(code) == code
        };
        if !is_code(&finding.code) {
            return Err(misbehaved("its summary has a finding without a code"));
        }
        let places = finding.places.into_iter();
        Ok(Self {
            code: finding.code,
            level: match finding.level {
                wit::Level::Note => Level::Note,
                wit::Level::Warning => Level::Warning,
                wit::Level::Error => Level::Error,
            },
            count: finding.count,
            message: tame(&finding.message),
            places: places
                .map(|place| Place {
                    record_type: place.record_type.as_deref().map(tame),
                    column: place.column.as_deref().map(tame),
                    count: place.count,
                    first_line: place.first_line,
                })
                .collect(),
        })
    }
}

/// Whether the text has the form `YYYY-MM-DD`.
fn is_date(text: &str) -> bool {
    text.len() == 10
        && text.bytes().enumerate().all(|(place, byte)| match place {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        })
}

fn misbehaved(what: &str) -> ComponentError {
    ComponentError::Misbehaved(what.to_owned())
}
