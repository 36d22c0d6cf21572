//! Checks that the agreements of a tenant order the record types that its policy reads.

use std::collections::BTreeSet;

use crate::agreement::Agreement;
use crate::config::error::{ConfigurationError, KeyPath, KeyProblem};
use crate::config::table_reader::TableReader;
use crate::names::AgreementName;
use cprflow::policy::{PersonFilter, Policy, ProtectionRule};

/// What a policy reads from a record type.
#[derive(Debug, PartialEq, Eq)]
pub struct RecordTypeUse {
    /// The record type, three digits.
    pub record_type: &'static str,
    /// What the policy does with it, as a verb with its object.
    pub usage: &'static str,
    /// What the records say, as a verb with its object.
    pub contents: &'static str,
    /// What to do instead of ordering the type.
    pub instead: &'static str,
}

const DELETE_KEY: &str = "delete the key";

const RESIDENCE: RecordTypeUse = RecordTypeUse {
    record_type: "002",
    usage: "chooses persons by municipality",
    contents: "has their address",
    instead: DELETE_KEY,
};

const RESIDENT: RecordTypeUse = RecordTypeUse {
    record_type: "001",
    usage: "chooses persons by municipality",
    contents: "says whether they are residents",
    instead: DELETE_KEY,
};

const STATUS: RecordTypeUse = RecordTypeUse {
    record_type: "001",
    usage: "chooses persons by status",
    contents: "has their status",
    instead: DELETE_KEY,
};

const AGE: RecordTypeUse = RecordTypeUse {
    record_type: "001",
    usage: "chooses persons by age",
    contents: "has their birth date",
    instead: DELETE_KEY,
};

const EVENT: RecordTypeUse = RecordTypeUse {
    record_type: "099",
    usage: "chooses persons by event",
    contents: "has their events",
    instead: DELETE_KEY,
};

const PERSON: RecordTypeUse = RecordTypeUse {
    record_type: "001",
    usage: "shows persons",
    contents: "says which persons a delivery is about",
    instead: "remove the agreement",
};

const INCLUDE: &str = "write protection = \"include\" if the tenant may see protected persons";

const PROTECTION: RecordTypeUse = RecordTypeUse {
    record_type: "004",
    usage: "hides protected persons",
    contents: "names them",
    instead: INCLUDE,
};

const FORMER_NUMBER: RecordTypeUse = RecordTypeUse {
    record_type: "022",
    usage: "hides protected persons",
    contents: "has former numbers, so that a protection covers all numbers of a person",
    instead: INCLUDE,
};

/// Checks that all agreements of a tenant order the record types that the policy reads.
///
/// Nothing in an extract shows that a type is not ordered. Without 004, no person would be masked or left out. Without
/// 001, 002 or 099, no person would be in scope.
pub(super) fn check(
    policy: &Policy,
    own: &BTreeSet<AgreementName>,
    agreements: &[Agreement],
    table: &TableReader,
) -> Result<(), ConfigurationError> {
    let own = agreements.iter().filter(|one| own.contains(&one.name));
    for (agreement, ordered) in own.filter_map(|one| Some((one, one.record_types.as_ref()?))) {
        for (at, needed) in needed(policy, table) {
            if !ordered.iter().any(|ordered| ordered == needed.record_type) {
                return Err(at.error(KeyProblem::RecordTypeNotOrdered {
                    needed,
                    agreement: agreement.name.clone(),
                }));
            }
        }
    }
    Ok(())
}

/// Returns the record types that a policy reads, each with the key of the configuration that needs it.
fn needed(policy: &Policy, table: &TableReader) -> Vec<(KeyPath, &'static RecordTypeUse)> {
    let PersonFilter {
        municipality_codes,
        status_codes,
        ages,
        event_codes,
        numbers: _,
    } = &policy.persons;
    let by_municipality = municipality_codes.is_some();
    let is_protecting = policy.protection != ProtectionRule::Include;
    let persons = |key| table.below("persons", key);
    let all = [
        (by_municipality, persons("municipalities"), &RESIDENCE),
        (
            by_municipality && status_codes.is_none(),
            persons("municipalities"),
            &RESIDENT,
        ),
        (status_codes.is_some(), persons("statuses"), &STATUS),
        (ages.is_some(), persons("ages"), &AGE),
        (event_codes.is_some(), persons("events"), &EVENT),
        (true, table.at("agreements"), &PERSON),
        (is_protecting, table.at("protection"), &PROTECTION),
        (is_protecting, table.at("protection"), &FORMER_NUMBER),
    ];
    let needed = all.into_iter().filter(|(is_needed, _, _)| *is_needed);
    needed.map(|(_, at, needed)| (at, needed)).collect()
}
