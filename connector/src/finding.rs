//! Findings: what a scan reports about an extract. They never contain a value of a person's record.

/// The severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// The extract cannot be trusted.
    Error,
    /// Something is unusual, but no data is lost.
    Warning,
    /// Information; nothing is wrong.
    Note,
}

/// The kind of a finding. The codes are stable, because configurations name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Code {
    /// The first record is not the start record (000).
    MissingStart,
    /// There is no end record (999).
    MissingEnd,
    /// The number of records that the end record declares is wrong.
    CountMismatch,
    /// The file is UTF-8 instead of ISO-8859-1: letters take two bytes and shift the fields after them.
    DamagedEncoding,
    /// The file is another product of CPR.
    LookAlike,
    /// Records other than input errors (910) follow the end record.
    RecordsAfterEnd,
    /// Lines have no record type or no complete key.
    RejectedRecord,
    /// Records have a type that no layout describes.
    UnknownType,
    /// Persons have records but no 001.
    PersonWithout001,
    /// The previous production date is not that of the preceding extract.
    SequenceGap,
    /// Values cannot be held exactly by the type of their column.
    IrregularValue,
    /// Records are longer than their known layout.
    LongerRecord,
}

impl Code {
    /// Returns the code as configurations and reports write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MissingStart => "missing-start",
            Self::MissingEnd => "missing-end",
            Self::CountMismatch => "count-mismatch",
            Self::DamagedEncoding => "damaged-encoding",
            Self::LookAlike => "look-alike",
            Self::RecordsAfterEnd => "records-after-end",
            Self::RejectedRecord => "rejected-record",
            Self::UnknownType => "unknown-type",
            Self::PersonWithout001 => "person-without-001",
            Self::SequenceGap => "sequence-gap",
            Self::IrregularValue => "irregular-value",
            Self::LongerRecord => "longer-record",
        }
    }

    /// Returns the severity.
    pub const fn level(self) -> Level {
        match self {
            Self::MissingStart
            | Self::MissingEnd
            | Self::CountMismatch
            | Self::DamagedEncoding
            | Self::LookAlike
            | Self::RecordsAfterEnd => Level::Error,
            Self::RejectedRecord
            | Self::UnknownType
            | Self::PersonWithout001
            | Self::SequenceGap => Level::Warning,
            Self::IrregularValue | Self::LongerRecord => Level::Note,
        }
    }
}

/// A place where a finding occurs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The record type, if the finding concerns one.
    pub record_type: Option<String>,
    /// The column, if the finding concerns one.
    pub column: Option<String>,
    /// The number of occurrences.
    pub count: u64,
    /// The number of the first record, 1-based.
    pub first_line: u64,
}

/// A finding about an extract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The kind of the finding.
    pub code: Code,
    /// The number of occurrences.
    pub count: u64,
    /// The message for people, without values of a person's record.
    pub message: String,
    /// The places by record type and column; empty if they add nothing.
    pub places: Vec<Place>,
}

/// How often something occurred, and at which record first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Occurrences {
    pub(crate) count: u64,
    pub(crate) first_line: u64,
}

impl Occurrences {
    pub(crate) fn add(&mut self, line: u64) {
        if self.count == 0 {
            self.first_line = line;
        }
        self.count += 1;
    }
}
