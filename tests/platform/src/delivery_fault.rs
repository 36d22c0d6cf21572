//! Faults of a delivery in the inbox that can be armed.
//!
//! Faults of the server or the network (files that cannot be deleted or that disappear, connections that break in the
//! middle of a file) need a special server. The tests of
//! `cprflow sync` cover those.

/// A fault of one delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeliveryFault {
    /// The metadata file appears first. The data file appears only when uploads are completed.
    MetadataFirst,
    /// The data file appears first. The metadata file appears only when uploads are completed.
    MetadataLate,
    /// The data file has half of its bytes beside its metadata file. The rest is added when uploads are completed.
    Growing,
    /// The metadata states a size that is one byte larger than the data file.
    SizeMismatch,
    /// The metadata names a file that does not exist.
    NamesAnother,
    /// The metadata is not well-formed XML.
    BrokenMetadata,
    /// The metadata is an empty file.
    EmptyMetadata,
    /// The metadata has a document type with nested entities that would expand to gigabytes.
    MetadataBomb,
    /// The delivery appears twice, with two names and one transfer UUID.
    RepeatedTransfer,
    /// The data file has the name of the previous delivery and different content.
    ReusedName,
    /// The inbox also contains files of other services and technical receipts.
    ForeignFiles,
    /// The inbox also contains files with malicious names (line ends, dots, dashes, invalid UTF-8) and links.
    HostileNames,
    /// The end record (999) counts one record too many.
    WrongCount,
    /// The end record (999) is missing.
    MissingEnd,
    /// The data file ends in the middle of a record, and the metadata states that size.
    CutOff,
    /// The full load stops after a number of persons and continues in the next run, as on the real platform after five
    /// hours.
    FiveHours {
        /// The number of persons in the first part.
        persons: usize,
    },
}

impl DeliveryFault {
    /// Every fault with its name on the command line.
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

    /// Returns the fault with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find_map(|(known, fault)| (known == name).then_some(fault))
    }
}
