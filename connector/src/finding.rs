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
    /// The number of records that the end record declares is wrong. It is a note if it is right with the input errors
    /// (910) that follow the end record: CPR does not say whether it counts them.
    CountMismatch,
    /// The file is UTF-8 instead of ISO-8859-1: letters take two bytes and shift the fields after them.
    DamagedEncoding,
    /// The file is another product of CPR.
    LookAlike,
    /// Records other than input errors (910) follow the end record.
    RecordsAfterEnd,
    /// A start record (000) is not the first record: two extracts are in one file, so persons may be there twice. Get
    /// the extracts apart, or order them again.
    SecondStart,
    /// The extract has records between start and end, and none has a known type and a complete key: it is another
    /// product of CPR, or no CPR extract. Ask for the right file.
    NothingKnown,
    /// A protection (004, 031-033) or a tie of numbers (001, 022) is damaged. It is an error if its person number cannot
    /// be read: any person may be the protected one, so tenants must not get the delivery. A tenant's policy then treats
    /// every person as protected. It is a warning if the number can be read, or if only the type cannot: that person is
    /// treated as protected. Order the extract again.
    ProtectionUnreadable,
    /// Persons have several 001. It is a warning if these differ: a policy then treats the person as protected and does
    /// not change the roster. It is a note if they are identical byte for byte. Needs the check of persons.
    PersonTwice,
    /// Values have control characters (0x00-0x1F, 0x7F) or characters of another code page (0x80-0x9F, which are no
    /// letters in ISO-8859-1). The values are kept. It is an error if more than one in 1,000 texts has them, because
    /// the file was then converted wrongly: fetch it again as CPR made it. Otherwise it is a warning. It is a note if
    /// there are only several CR at line ends, which are removed.
    ControlCharacters,
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
    /// Padding (0x1A, NUL, 0xFF or spaces) follows the end record. It is no data; nothing needs to be done.
    PaddingAfterEnd,
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
            Self::SecondStart => "second-start",
            Self::NothingKnown => "nothing-known",
            Self::ProtectionUnreadable => "protection-unreadable",
            Self::PersonTwice => "person-twice",
            Self::ControlCharacters => "control-characters",
            Self::RejectedRecord => "rejected-record",
            Self::UnknownType => "unknown-type",
            Self::PersonWithout001 => "person-without-001",
            Self::SequenceGap => "sequence-gap",
            Self::IrregularValue => "irregular-value",
            Self::LongerRecord => "longer-record",
            Self::PaddingAfterEnd => "padding-after-end",
        }
    }

    /// Returns the severity; the highest one for a code whose findings differ. [`Finding::level`] has that of a finding.
    pub const fn level(self) -> Level {
        match self {
            Self::MissingStart
            | Self::MissingEnd
            | Self::CountMismatch
            | Self::DamagedEncoding
            | Self::LookAlike
            | Self::RecordsAfterEnd
            | Self::SecondStart
            | Self::NothingKnown
            | Self::ProtectionUnreadable
            | Self::ControlCharacters => Level::Error,
            Self::PersonTwice
            | Self::RejectedRecord
            | Self::UnknownType
            | Self::PersonWithout001
            | Self::SequenceGap => Level::Warning,
            Self::IrregularValue | Self::LongerRecord | Self::PaddingAfterEnd => Level::Note,
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
    /// The severity.
    pub level: Level,
    /// The number of occurrences.
    pub count: u64,
    /// The message for people, without values of a person's record.
    pub message: String,
    /// The places by record type and column; empty if they add nothing.
    pub places: Vec<Place>,
}

/// Creates a place.
pub(crate) fn place(record_type: Option<&str>, column: Option<&str>, seen: Occurrences) -> Place {
    Place {
        record_type: record_type.map(str::to_owned),
        column: column.map(str::to_owned),
        count: seen.count,
        first_line: seen.first_line,
    }
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

    /// Adds what occurred in a part of the extract that begins after `lines` records.
    pub(crate) fn add_part(&mut self, part: Self, lines: u64) {
        if part.count > 0 {
            let first_line = part.first_line.saturating_add(lines);
            self.first_line = match self.count {
                0 => first_line,
                _ => self.first_line.min(first_line),
            };
            self.count = self.count.saturating_add(part.count);
        }
    }
}
