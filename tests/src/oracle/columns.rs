//! What every column discloses, and about whom: the oracle's own list, which a test compares with the catalog.

/// The classes of personal data, as `docs/privacy.md` lists them.
pub const CLASSES: [&str; 12] = [
    "address",
    "civil-status",
    FORMER_CIVIL_STATUS,
    "economic",
    "family",
    "franchise",
    "free-text",
    "identity",
    "name",
    "protection",
    "religion",
    "social",
];

/// Columns by table and class of personal data. Columns that are not listed have no class.
#[rustfmt::skip]
pub const CLASSED: &[(&str, &str, &[&str])] = &[
    ("person", "identity", &["current_pnr"]),
    ("person", "free-text", &["occupation", "key_constant"]),
    ("address", "address", &[
        "municipality_code", "street_code", "house_number", "floor", "door", "building_number", "co_name", "moved_in",
        "moved_in_uncertain", "moved_into_municipality", "moved_into_municipality_uncertain",
        "previous_municipality_code", "left_previous_municipality", "left_previous_municipality_uncertain",
        "supplementary_authority_code", "supplementary_address_1", "supplementary_address_2", "supplementary_address_3",
        "supplementary_address_4", "supplementary_address_5", "supplementary_address_start_date",
        "supplementary_address_deletion_date", "street_name", "address_uuid",
    ]),
    ("plaintext_address", "name", &["addressing_name"]),
    ("plaintext_address", "address", PLAINTEXT),
    ("protection", "protection", &["protection_type", "start_date", "deletion_date"]),
    ("emigration", "address", &["emigration_country_code"]),
    ("emigration", "address", FOREIGN),
    ("contact_address", "address", &[
        "contact_address_1", "contact_address_2", "contact_address_3", "contact_address_4", "contact_address_5",
        "start_date", "deletion_date",
    ]),
    ("disappearance", "social", &["disappeared", "disappeared_uncertain"]),
    ("name", "name", &[
        "given_name", "given_name_mark", "middle_name", "middle_name_mark", "surname", "surname_mark", "name_start",
        "name_start_uncertain", "addressing_name",
    ]),
    ("birth_registration", "free-text", &["birth_authority_text"]),
    ("church", "religion", &["church_relation", "start_date", "start_date_uncertain"]),
    ("civil_status", "civil-status", &[
        "civil_status", "spouse_birth_date", "spouse_birth_date_uncertain", "civil_status_start",
        "civil_status_start_uncertain", "separation_reference",
    ]),
    ("civil_status", "family", &["spouse_pnr"]),
    ("civil_status", "name", &["spouse_name", "spouse_name_mark"]),
    ("separation", "civil-status", &["civil_status_reference", "start_date", "start_date_uncertain"]),
    ("child", "family", &["child_pnr"]),
    ("parents", "family", &[
        "mother_since", "mother_since_uncertain", "mother_pnr", "mother_birth_date", "mother_birth_date_uncertain",
        "father_since", "father_since_uncertain", "father_pnr", "father_birth_date", "father_birth_date_uncertain",
    ]),
    ("parents", "name", &["mother_name", "mother_name_mark", "father_name", "father_name_mark"]),
    ("custody", "family", &[
        "custody_type", "start_date", "start_date_uncertain", "deletion_date", "custodian_pnr",
        "custodian_pnr_start_date",
    ]),
    ("guardianship", "social", &[
        "start_date", "start_date_uncertain", "deletion_date", "guardian_relation_type", "guardian_pnr",
        "guardian_pnr_start_date",
    ]),
    ("guardianship", "name", &["guardian_name"]),
    ("guardianship", "address", GUARDIAN),
    ("municipal_condition", "social", &["condition_type", "condition_code", "start_date", "start_date_uncertain"]),
    ("municipal_condition", "free-text", &["remark"]),
    ("note", "free-text", &["note_text"]),
    ("franchise", "franchise", &["election_code", "franchise_date", "start_date", "deletion_date"]),
    ("relocation_order", "social", &["start_date"]),
    ("relocation_order", "free-text", &["remark"]),
    ("former_pnr", "identity", &["former_pnr"]),
    ("address_history", "address", &[
        "correction_mark", "municipality_code", "street_code", "house_number", "floor", "door", "building_number",
        "co_name", "moved_in", "moved_in_uncertain", "moved_out", "moved_out_uncertain",
    ]),
    ("emigration_history", "address", &["emigration_country_code", "immigration_country_code"]),
    ("emigration_history", "address", FOREIGN),
    ("disappearance_history", "social", &[
        "correction_mark", "disappeared", "disappeared_uncertain", "found", "found_uncertain",
    ]),
    ("name_history", "name", &[
        "correction_mark", "given_name", "given_name_mark", "middle_name", "middle_name_mark", "surname",
        "surname_mark", "name_start", "name_start_uncertain", "name_end", "name_end_uncertain",
    ]),
    ("church_history", "religion", &[
        "church_relation", "start_date", "start_date_uncertain", "end_date", "end_date_uncertain",
    ]),
    ("civil_status_history", FORMER_CIVIL_STATUS, &[
        "correction_mark", "civil_status", "spouse_birth_date", "spouse_birth_date_uncertain", "civil_status_start",
        "civil_status_start_uncertain", "civil_status_end", "civil_status_end_uncertain", "separation_reference",
    ]),
    ("civil_status_history", "family", &["spouse_pnr"]),
    ("civil_status_history", "name", &["spouse_name", "spouse_name_mark"]),
    ("separation_history", FORMER_CIVIL_STATUS, &[
        "correction_mark", "civil_status_reference", "start_date", "start_date_uncertain", "end_date",
        "end_date_uncertain",
    ]),
    ("mother_address", "family", &["mother_pnr"]),
    ("mother_address", "name", &["addressing_name"]),
    ("mother_address", "address", PLAINTEXT),
    ("mother_address", "protection", &["protection_start_date"]),
    ("father_address", "family", &["father_pnr"]),
    ("father_address", "name", &["addressing_name"]),
    ("father_address", "address", PLAINTEXT),
    ("father_address", "protection", &["protection_start_date"]),
    ("child_address", "family", &["child_pnr"]),
    ("child_address", "name", &["addressing_name"]),
    ("child_address", "address", PLAINTEXT),
    ("child_address", "protection", &["protection_start_date"]),
    ("protection_history", "protection", &["protection_type", "start_date", "end_date"]),
    ("credit_warning_history", "economic", &["protection_type", "credit_warning_start", "credit_warning_end"]),
    ("person_id", "identity", &["person_id"]),
    ("credit_warning", "economic", &["protection_type", "credit_warning_start"]),
    ("shared_residence", "family", &["start_date", "start_date_uncertain"]),
    ("guardianship_typed", "social", &[
        "start_date", "start_date_uncertain", "deletion_date", "guardian_relation_type", "guardian_pnr",
        "guardian_pnr_start_date", "guardianship_type",
    ]),
    ("guardianship_typed", "name", &["guardian_name"]),
    ("guardianship_typed", "address", GUARDIAN),
    ("address_id", "address", &["address_uuid"]),
    ("event", "free-text", &["key_constant"]),
    ("input_error", "identity", &["sort_key", "input_key"]),
    ("input_error", "free-text", &["error_text"]),
    ("subscription_receipt", "free-text", &["key_constant"]),
];

/// The columns of a plain-text address.
#[rustfmt::skip]
const PLAINTEXT: &[&str] = &[
    "co_name", "locality", "standard_address", "town_name", "postal_code", "postal_district", "municipality_code",
    "street_code", "house_number", "floor", "door", "building_number", "street_addressing_name",
];

#[rustfmt::skip]
const FOREIGN: &[&str] = &[
    "foreign_address_1", "foreign_address_2", "foreign_address_3", "foreign_address_4", "foreign_address_5",
];

#[rustfmt::skip]
const GUARDIAN: &[&str] = &[
    "guardian_address_start_date", "guardian_address_1", "guardian_address_2", "guardian_address_3",
    "guardian_address_4", "guardian_address_5",
];

/// Columns with a relative's number, and the other columns of the same table that are about that relative.
#[rustfmt::skip]
pub const RELATIVES: &[(&str, &str, &[&[&str]])] = &[
    ("civil_status", "spouse_pnr", &[SPOUSE]),
    ("civil_status_history", "spouse_pnr", &[SPOUSE]),
    ("child", "child_pnr", &[]),
    ("parents", "mother_pnr", &[&[
        "mother_since", "mother_since_uncertain", "mother_birth_date", "mother_birth_date_uncertain", "mother_name",
        "mother_name_mark",
    ]]),
    ("parents", "father_pnr", &[&[
        "father_since", "father_since_uncertain", "father_birth_date", "father_birth_date_uncertain", "father_name",
        "father_name_mark",
    ]]),
    ("custody", "custodian_pnr", &[&["custodian_pnr_start_date"]]),
    ("guardianship", "guardian_pnr", &[&["guardian_pnr_start_date", "guardian_name"], GUARDIAN]),
    ("guardianship_typed", "guardian_pnr", &[&["guardian_pnr_start_date", "guardian_name"], GUARDIAN]),
    ("mother_address", "mother_pnr", &[&["addressing_name", "protection_start_date"], PLAINTEXT]),
    ("father_address", "father_pnr", &[&["addressing_name", "protection_start_date"], PLAINTEXT]),
    ("child_address", "child_pnr", &[&["addressing_name", "protection_start_date"], PLAINTEXT]),
];

const SPOUSE: &[&str] = &[
    "spouse_birth_date",
    "spouse_birth_date_uncertain",
    "spouse_name",
    "spouse_name_mark",
];

/// Columns that show where the record's own person is or was, although they are no address. The condition code of 018
/// does so for some types only, see [`CONDITIONS_WITHOUT_PLACE`].
pub const PLACES: &[(&str, &str)] = &[
    ("birth_registration", "birth_authority_code"),
    ("franchise", "election_code"),
];

/// The types of municipal conditions (018) whose code does not show where a person is.
pub const CONDITIONS_WITHOUT_PLACE: [&str; 3] = ["1", "2", "3"];

/// The civil statuses (012) of persons whose spouse is the present one: married, or in a registered partnership.
pub const WITH_PRESENT_SPOUSE: [&str; 2] = ["G", "P"];

/// Tables that tie person numbers to other numbers. Texts in them are not changed.
pub const NUMBER_TABLES: [&str; 3] = ["former_pnr", "person_id", "input_error"];

/// Tables in which the mere presence of a row discloses something, with the class of what it discloses.
#[rustfmt::skip]
pub const SUBJECTS: &[(&str, &str)] = &[
    ("protection", "protection"),
    ("disappearance", "social"),
    ("church", "religion"),
    ("civil_status", "civil-status"),
    ("separation", "civil-status"),
    ("child", "family"),
    ("parents", "family"),
    ("custody", "family"),
    ("mother_address", "family"),
    ("father_address", "family"),
    ("child_address", "family"),
    ("shared_residence", "family"),
    ("franchise", "franchise"),
    ("guardianship", "social"),
    ("municipal_condition", "social"),
    ("note", "free-text"),
    ("relocation_order", "social"),
    ("disappearance_history", "social"),
    ("church_history", "religion"),
    ("civil_status_history", FORMER_CIVIL_STATUS),
    ("separation_history", FORMER_CIVIL_STATUS),
    ("protection_history", "protection"),
    ("credit_warning_history", "economic"),
    ("credit_warning", "economic"),
    ("guardianship_typed", "social"),
];

/// The class of former civil statuses.
pub const FORMER_CIVIL_STATUS: &str = "civil-status-history";

/// Returns the class of a column, which a policy must allow to show the column.
pub fn class(table: &str, column: &str) -> Option<&'static str> {
    let found = CLASSED
        .iter()
        .find(|(of, _, columns)| *of == table && columns.contains(&column));
    found.map(|(_, class, _)| *class)
}

/// Returns the column with the number of the relative whom a column is about: the column itself if it holds that number.
pub fn relative(table: &str, column: &str) -> Option<&'static str> {
    let tells = |number: &str, groups: &[&[&str]]| {
        number == column || groups.iter().any(|columns| columns.contains(&column))
    };
    let found = RELATIVES
        .iter()
        .find(|(of, number, groups)| *of == table && tells(number, groups));
    found.map(|(_, number, _)| *number)
}
