//! What can be wrong with a delivery in the inbox, on demand.
//!
//! What can be wrong with the server or the line (files that may not be deleted or vanish, connections that are cut in the
//! middle of a file) needs a server of its own: `tests/tests/sync_faults` has those.

/// Something out of order about a night's delivery of an agreement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hazard {
    /// The metadata file comes first. The data file comes when uploads are completed; until then there is none.
    MetadataFirst,
    /// The data file comes first. The metadata file comes when uploads are completed; until then there is none.
    MetadataLate,
    /// The data file is half there beside its metadata file. The rest comes when uploads are completed.
    Growing,
    /// The metadata tells another size than the data file has.
    SizeMismatch,
    /// The metadata names another file.
    NamesAnother,
    /// The metadata is not well-formed.
    BrokenMetadata,
    /// The metadata is an empty file.
    EmptyMetadata,
    /// The metadata has a document type with entities that would expand to gigabytes.
    MetadataBomb,
    /// The delivery comes twice, under two names, as one transfer.
    RepeatedTransfer,
    /// The data file has the name of the one before, and other content.
    ReusedName,
    /// Files of other services and technical receipts lie beside it.
    ForeignFiles,
    /// Names made to do harm lie beside it: line ends, dots, dashes, links, bytes that are no text.
    HostileNames,
    /// The end record counts one record too many.
    WrongCount,
    /// There is no end record.
    MissingEnd,
    /// The data file ends in the middle of a record, and the metadata agrees with that.
    CutOff,
    /// The full load is cut after so many persons, as after five hours, and goes on the next night.
    FiveHours {
        /// How many.
        persons: usize,
    },
}

impl Hazard {
    /// Every hazard under its name.
    pub const ALL: [(&'static str, Self); 16] = [
        ("metadata-first", Self::MetadataFirst),
        ("metadata-late", Self::MetadataLate),
        ("growing", Self::Growing),
        ("size-mismatch", Self::SizeMismatch),
        ("names-another", Self::NamesAnother),
        ("broken-metadata", Self::BrokenMetadata),
        ("empty-metadata", Self::EmptyMetadata),
        ("metadata-bomb", Self::MetadataBomb),
        ("repeated-transfer", Self::RepeatedTransfer),
        ("reused-name", Self::ReusedName),
        ("foreign-files", Self::ForeignFiles),
        ("hostile-names", Self::HostileNames),
        ("wrong-count", Self::WrongCount),
        ("missing-end", Self::MissingEnd),
        ("cut-off", Self::CutOff),
        ("five-hours", Self::FiveHours { persons: 10 }),
    ];

    /// The hazard of that name.
    pub fn named(name: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find_map(|(known, hazard)| (known == name).then_some(hazard))
    }
}
