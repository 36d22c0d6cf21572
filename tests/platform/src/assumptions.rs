//! What the stand-in does where documents are silent: each under a name, with what would be otherwise if it is wrong.

/// Something that the stand-in takes for true of the real platform without a document that says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assumption {
    /// Its name.
    pub name: &'static str,
    /// What is assumed.
    pub what: &'static str,
    /// The option that makes it otherwise, if there is one.
    pub option: Option<&'static str>,
}

/// All of them.
pub const ASSUMPTIONS: &[Assumption] = &[
    assumed(
        "filter-groups-add-up",
        "A person is covered whom any filter of any group covers; change codes bring in the persons of their events.",
        Some("Options::groups"),
    ),
    assumed(
        "full-load-by-number-and-municipality",
        "Only PNR and municipality filters bring a full load; age ranges, change codes and NoFilter bring changes alone.",
        None,
    ),
    assumed(
        "full-load-once",
        "A person whom a filter covers already is not loaded again when another filter comes to cover them too.",
        None,
    ),
    assumed(
        "full-load-has-no-events",
        "A full load has no 099 records, also for persons whom the same night touched.",
        None,
    ),
    assumed(
        "full-load-in-the-night-file",
        "Full loads and changes of a night come in one file, not in two.",
        None,
    ),
    assumed(
        "full-load-happens",
        "Full loads happen; in the real test environment they do not.",
        Some("Options::has_initial_load"),
    ),
    assumed(
        "leaving-is-told-once",
        "Whoever leaves the covered persons by an event is delivered once more, with what is true after it.",
        None,
    ),
    assumed(
        "removing-is-not-told",
        "Persons whom a removed filter covered are simply no longer delivered.",
        None,
    ),
    assumed(
        "changed-number-keeps-its-filter",
        "A PNR filter on a number that is changed stays; the receipt (997) comes, and GetAllFilters is as before.",
        None,
    ),
    assumed(
        "no-input-errors",
        "SF6002's extracts have no 910 records, for its subscribers send CPR no input.",
        None,
    ),
    assumed(
        "cut-load-goes-on",
        "A full load that is cut off goes on the next night, and nothing in either file says so.",
        Some("Options::cut_after"),
    ),
    assumed(
        "previous-date-is-the-last-extract's",
        "Record 000 names the production date of the agreement's last extract, not of the last run.",
        Some("Options::previous"),
    ),
    assumed(
        "remove-all-answers-removed",
        "RemoveAll answers REMOVED, also for a group that is empty.",
        None,
    ),
    assumed(
        "remove-no-filter-answers-removed",
        "RemoveNoFilterSubscription answers REMOVED, also where none was set.",
        None,
    ),
    assumed(
        "strict-judge",
        "Requests are judged by the schema and more strictly than the real service does, which takes some that are invalid.",
        None,
    ),
    assumed(
        "numbers-have-ten-digits",
        "A PNR that is not ten digits is a fault of the client; the schema only limits its length.",
        None,
    ),
    assumed(
        "change-codes-have-a-pattern",
        "A change code is a capital letter and two digits; the schema only limits its length.",
        None,
    ),
    assumed(
        "reversed-ages-are-refused",
        "An age range that ends before it starts is refused with InvalidCallParameters.",
        None,
    ),
    assumed(
        "no-numbers-in-free-text",
        "Ten digits in a free text of the invocation context are a fault of the client, for the platform logs them.",
        None,
    ),
    assumed(
        "unknown-agreement-is-a-text-block",
        "An unknown agreement or user, and an unregistered certificate, are faults of the client in the platform's text block.",
        None,
    ),
    assumed(
        "other-system-is-wrong-user-system",
        "Another IT system than the agreement's is refused with WrongUserSystem.",
        None,
    ),
    assumed(
        "typed-faults",
        "The service's own errors are told as ServiceplatformFault; other forms come on demand.",
        Some("Fault::Refusal"),
    ),
    assumed(
        "file-names",
        "Data files are called dYYMMDD.lNNNNNN, with the agreement's task number.",
        Some("Options::naming"),
    ),
    assumed(
        "data-before-metadata",
        "Files appear whole, the data file before its metadata file.",
        Some("Hazard::MetadataFirst, MetadataLate, Growing"),
    ),
    assumed(
        "metadata-root",
        "Metadata begins with FileMetadata and has no routing block.",
        Some("Options::metadata_root, has_routing"),
    ),
    assumed(
        "same-name-replaces",
        "A file of the same name in the inbox is replaced; the real server may refuse the newer one.",
        None,
    ),
    assumed(
        "nothing-expires",
        "Files stay until they are deleted; the specification says 40 days in one place and 30 in another.",
        None,
    ),
];

const fn assumed(
    name: &'static str,
    what: &'static str,
    option: Option<&'static str>,
) -> Assumption {
    Assumption { name, what, option }
}
