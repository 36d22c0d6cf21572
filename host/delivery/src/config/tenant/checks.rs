//! Checks that the keys of a tenant fit together.

use crate::config::error::{ConfigurationError, KeyProblem};
use crate::config::table_reader::TableReader;
use crate::fs::SecretSource;
use crate::tenant::check_key;
use cprflow::policy::{NumberRule, Policy};

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
