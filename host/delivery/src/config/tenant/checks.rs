//! Checks that the keys of a tenant fit together.

use std::collections::BTreeSet;

use crate::agreement::Agreement;
use crate::config::error::{ConfigurationError, KeyPath, KeyProblem};
use crate::config::table_reader::TableReader;
use crate::fs::SecretSource;
use crate::names::AgreementName;
use crate::tenant::check_key;
use cprflow::policy::{NumberRule, PersonFilter, Policy, ProtectionRule};

/// Checks that there is a key if person numbers are replaced by pseudonyms, and only then.
pub(super) fn key_fits_numbers(
    policy: &Policy,
    key: Option<&SecretSource>,
    table: &TableReader,
) -> Result<(), ConfigurationError> {
    let problem = match (policy.numbers == NumberRule::Pseudonym, key) {
        (true, None) => KeyProblem::PseudonymsWithoutKey,
        (false, Some(_)) => KeyProblem::KeyWithoutPseudonyms,
        (true, Some(_)) | (false, None) => return Ok(()),
    };
    Err(table.at("key").error(problem))
}

/// Checks that a key in an environment variable is one, if the variable is set. It is easy to name a wrong variable.
///
/// Commands that do not need the key work without the variable. A file is read when its key is needed, because the disk
/// of a tenant must not stop the other tenants.
pub(super) fn variable_has_key(
    key: Option<&SecretSource>,
    table: &TableReader,
) -> Result<(), ConfigurationError> {
    let Some(variable @ SecretSource::Environment(_)) = key else {
        return Ok(());
    };
    let Ok(secret) = variable.read_secret() else {
        return Ok(());
    };
    let checked = check_key(secret.expose());
    checked.map_err(|error| table.at("key").error(KeyProblem::PseudonymKey(error)))
}

/// A record type without which a policy would choose nobody, or protect nobody.
struct NeededType {
    record_type: &'static str,
    /// The key of the configuration that needs it.
    at: KeyPath,
    /// What the policy does, as a verb with its object.
    usage: &'static str,
    /// What the records say, as a verb with its object.
    contents: &'static str,
    /// What to do instead of ordering the type.
    instead: &'static str,
}

/// Checks that all agreements of a tenant order the record types that the policy reads.
///
/// Nothing in an extract shows that a type is not ordered. Without 004, no person would be masked or left out. Without
/// 001, 002 or 099, no person would be in scope.
pub(super) fn record_types_are_ordered(
    policy: &Policy,
    own: &BTreeSet<AgreementName>,
    agreements: &[Agreement],
    table: &TableReader,
) -> Result<(), ConfigurationError> {
    let own = agreements.iter().filter(|one| own.contains(&one.name));
    for (agreement, ordered) in own.filter_map(|one| Some((one, one.record_types.as_ref()?))) {
        for needed in needed_types(policy, table) {
            if !ordered.iter().any(|ordered| ordered == needed.record_type) {
                return Err(needed.at.error(KeyProblem::RecordTypeNotOrdered {
                    record_type: needed.record_type,
                    agreement: agreement.name.clone(),
                    usage: needed.usage,
                    contents: needed.contents,
                    instead: needed.instead,
                }));
            }
        }
    }
    Ok(())
}

fn needed_types(policy: &Policy, table: &TableReader) -> Vec<NeededType> {
    let PersonFilter {
        municipality_codes,
        status_codes,
        ages,
        event_codes,
        numbers: _,
    } = &policy.persons;
    let by_person = |key, usage, contents, record_type| NeededType {
        record_type,
        at: table.below("persons", key),
        usage,
        contents,
        instead: "delete the key",
    };
    let mut needed = Vec::new();
    if municipality_codes.is_some() {
        let usage = "chooses persons by municipality";
        needed.push(by_person(
            "municipalities",
            usage,
            "has their address",
            "002",
        ));
        if status_codes.is_none() {
            let contents = "says whether they are residents";
            needed.push(by_person("municipalities", usage, contents, "001"));
        }
    }
    if status_codes.is_some() {
        let usage = "chooses persons by status";
        needed.push(by_person("statuses", usage, "has their status", "001"));
    }
    if ages.is_some() {
        let usage = "chooses persons by age";
        needed.push(by_person("ages", usage, "has their birth date", "001"));
    }
    if event_codes.is_some() {
        let usage = "chooses persons by event";
        needed.push(by_person("events", usage, "has their events", "099"));
    }
    needed.push(NeededType {
        record_type: "001",
        at: table.at("agreements"),
        usage: "shows persons",
        contents: "says which persons a delivery is about",
        instead: "remove the agreement",
    });
    let usage = match policy.protection {
        ProtectionRule::Mask => "would mask protected persons",
        ProtectionRule::Drop => "would drop protected persons",
        ProtectionRule::Include => return needed,
    };
    for (record_type, contents) in [
        ("004", "names them"),
        (
            "022",
            "names the former numbers of a person, so that a protection covers all numbers",
        ),
    ] {
        needed.push(NeededType {
            record_type,
            at: table.at("protection"),
            usage,
            contents,
            instead: "write protection = \"include\" if the tenant may see protected persons",
        });
    }
    needed
}
