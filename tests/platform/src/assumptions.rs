//! The assumptions of the stand-in platform: its behaviour where the documents say nothing.

/// An assumption about the real platform that no document confirms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assumption {
    /// The name of the assumption, in lower case with hyphens.
    pub name: &'static str,
    /// The assumed behaviour.
    pub what: &'static str,
    /// The option or fault that changes the behaviour, with its command line form, if there is one.
    pub option: Option<&'static str>,
}

/// All assumptions.
pub const ASSUMPTIONS: &[Assumption] = &[
    assumption(
        "filters-combine-as-a-union",
        "A person is covered if any filter of any group matches. Change codes add the persons of their events.",
        Some("Options::filter_combination (--narrow)"),
    ),
    assumption(
        "full-load-by-number-and-municipality",
        "Only PNR and municipality filters bring a full load. Age ranges, change codes and NoFilter bring changes only.",
        None,
    ),
    assumption(
        "full-load-once",
        "A person who is already covered is not loaded again when another filter covers them too.",
        None,
    ),
    assumption(
        "full-load-has-no-events",
        "A full load has no 099 records, not even for persons who changed in the same night.",
        None,
    ),
    assumption(
        "full-load-in-the-nightly-file",
        "The full loads and changes of a night are delivered in one file.",
        None,
    ),
    assumption(
        "full-load-happens",
        "Full loads happen. The real test environment does not deliver them.",
        Some("Options::has_initial_load (--no-initial-load)"),
    ),
    assumption(
        "leaver-is-delivered-once",
        "A person who leaves the filters that remain because of an event is delivered once more, with the data after the event.",
        None,
    ),
    assumption(
        "filter-removal-is-not-delivered",
        "Persons covered only by a removed filter are no longer delivered, without a notice. Their full load is not continued.",
        None,
    ),
    assumption(
        "changed-number-keeps-its-filter",
        "A PNR filter stays when the person number changes. A receipt (997) is delivered, and GetAllFilters does not change.",
        None,
    ),
    assumption(
        "no-input-errors",
        "Extracts of SF6002 have no 910 records, because its subscribers send no input to CPR.",
        None,
    ),
    assumption(
        "interrupted-load-continues",
        "An interrupted full load continues in the next nightly run. Neither file says so.",
        Some("Options::cut_after (--cut-after)"),
    ),
    assumption(
        "previous-date-of-the-last-extract",
        "The previous production date in record 000 is the date of the agreement's last extract, not of the last run.",
        Some("Options::previous_date"),
    ),
    assumption(
        "remove-all-answers-removed",
        "RemoveAll answers REMOVED, also for an empty group.",
        None,
    ),
    assumption(
        "remove-no-filter-answers-removed",
        "RemoveNoFilterSubscription answers REMOVED, also if the filter was not set.",
        None,
    ),
    assumption(
        "strict-validation",
        "Requests are validated against the schema, more strictly than by the real service, which accepts some invalid ones.",
        None,
    ),
    assumption(
        "numbers-have-ten-digits",
        "A PNR that is not ten digits gets a Client fault. The schema only limits its length.",
        None,
    ),
    assumption(
        "change-codes-have-a-pattern",
        "A change code is a capital letter and two digits. The schema only limits its length.",
        None,
    ),
    assumption(
        "reversed-ages-are-rejected",
        "An age range whose end is below its start is rejected with InvalidCallParameters.",
        None,
    ),
    assumption(
        "no-numbers-in-free-text",
        "Ten digits in a free text of the invocation context get a Client fault, because the platform logs these texts.",
        None,
    ),
    assumption(
        "unknown-agreement-is-a-text-block",
        "An unknown agreement or user and an unregistered certificate get a Client fault in the text block format.",
        None,
    ),
    assumption(
        "other-system-is-wrong-user-system",
        "A UserSystemUUID other than the agreement's is rejected with WrongUserSystem.",
        None,
    ),
    assumption(
        "typed-faults",
        "The service reports its own errors as ServiceplatformFault. Other formats can be armed.",
        Some("ServiceFault::DocumentedError (arm)"),
    ),
    assumption(
        "file-names",
        "Data files are named dYYMMDD.lNNNNNN, with the task number of the agreement.",
        Some("Options::naming (--agreement-in-names)"),
    ),
    assumption(
        "data-before-metadata",
        "Files appear complete, and the data file appears before its metadata file.",
        Some("DeliveryFault::MetadataFirst, MetadataLate, Growing (hazard)"),
    ),
    assumption(
        "working-days",
        "Nightly runs are made from Monday to Friday, except on public holidays, 5 June, 24 December and 31 December.",
        None,
    ),
    assumption(
        "delivered-at-four",
        "A nightly run is at 04:00 UTC of the production date. Received and SenderTimestamp count from the last run.",
        None,
    ),
    assumption(
        "one-sending-system",
        "SenderIt-system is the same in all metadata files.",
        None,
    ),
    assumption(
        "metadata-root",
        "The root element of metadata is FileMetadata, without a routing block.",
        Some("Options::metadata_root, has_routing (--trigger, --routing)"),
    ),
    assumption(
        "same-name-replaces",
        "A new file replaces a file of the same name in the inbox. The real server may reject the new file.",
        None,
    ),
    assumption(
        "files-do-not-expire",
        "Files stay until they are deleted. The specification says 40 days in one place and 30 in another.",
        Some("Options::delete_after (--delete-after)"),
    ),
];

const fn assumption(
    name: &'static str,
    what: &'static str,
    option: Option<&'static str>,
) -> Assumption {
    Assumption { name, what, option }
}
