//! What a person should hear about an extract. Nothing here holds a value of a person's record.

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// The extract cannot be trusted as it stands.
    Error,
    /// Something is unusual and nothing is lost.
    Warning,
    /// Worth knowing; nothing is wrong.
    Note,
}

/// What was found. The codes are stable: configurations name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Code {
    /// The first record is not the start record (000).
    MissingStart,
    /// There is no end record (999).
    MissingEnd,
    /// The end record's number of records is not the number of records there are.
    CountMismatch,
    /// The file is UTF-8 where ISO-8859-1 belongs: letters take two bytes and shift what follows.
    DamagedEncoding,
    /// The file is another product of CPR's.
    LookAlike,
    /// Records other than input errors (910) follow the end record.
    RecordsAfterEnd,
    /// Lines without a record type or without a complete key.
    RejectedRecord,
    /// Records of a type that no layout covers.
    UnknownType,
    /// Persons with records but without 001.
    PersonWithout001,
    /// The previous production date is not that of the extract before.
    SequenceGap,
    /// Values that their type cannot hold exactly.
    IrregularValue,
    /// Records that are longer than their known layout.
    LongerRecord,
}

impl Code {
    /// The code as configurations and reports write it.
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

    /// How grave it is.
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

/// Where the occurrences of a finding are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Record type, where the finding concerns one.
    pub record_type: Option<String>,
    /// Column, where the finding concerns one.
    pub column: Option<String>,
    /// How many.
    pub count: u64,
    /// The first record of them, 1-based.
    pub first_line: u64,
}

/// Something that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What.
    pub code: Code,
    /// How often.
    pub count: u64,
    /// A sentence for people.
    pub message: String,
    /// Where, by record type and column; empty where that says nothing.
    pub places: Vec<Place>,
}
