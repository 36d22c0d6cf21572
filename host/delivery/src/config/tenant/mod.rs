//! `[tenant.NAME]`: the parties that share deliveries. Errors name the tenant and the key, and never repeat a value.

mod checks;
mod limits;
mod persons;
mod policy;
mod record_types;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use cprflow_redact::holds_person_number;
use toml::Value;

use super::error::{ConfigurationError, KeyPath, KeyProblem};
use super::service::secret_source;
use super::table_reader::TableReader;
use crate::agreement::Agreement;
use crate::names::{AgreementName, TenantName};
use crate::tenant::{Tenant, TenantLimits};
use cprflow::policy::PersonFilter;

pub use record_types::RecordTypeUse;

/// Reads all tenants. Relative paths in them start at `directory`.
pub(super) fn read(
    tenants: BTreeMap<String, Value>,
    agreements: &[Agreement],
    directory: &Path,
) -> Result<Vec<Tenant>, ConfigurationError> {
    let read = |(name, value): (String, Value)| tenant(&name, value, agreements, directory);
    tenants.into_iter().map(read).collect()
}

fn tenant(
    name: &str,
    value: Value,
    agreements: &[Agreement],
    directory: &Path,
) -> Result<Tenant, ConfigurationError> {
    if holds_person_number(name) {
        return Err(KeyPath::table("tenant.NAME").error(KeyProblem::NameHoldsPersonNumber));
    }
    let path = format!("tenant.{name}");
    let name =
        TenantName::new(name).ok_or_else(|| KeyPath::table(&path).error(KeyProblem::Name))?;
    let mut table = TableReader::new(path, value)?;
    let own_agreements = own_agreements(&mut table, agreements)?;
    let purpose = table.purpose("purpose")?.ok_or_else(|| {
        let expected = "what the data is used for; it is written to every _delivery.json";
        table.missing("purpose", expected)
    })?;
    let dataset = table
        .path("dataset")?
        .ok_or_else(|| table.missing("dataset", "a directory for this tenant alone"))?;
    let group = group(&mut table)?;
    let key = match table.value("key") {
        None => None,
        Some(reference) => Some(secret_source(&reference, directory).ok_or_else(|| {
            let problem = KeyProblem::SecretInConfiguration;
            table.at("key").error(problem)
        })?),
    };
    let (persons, pnr_list) = match table.table("persons")? {
        Some(persons) => persons::read(persons)?,
        None => (PersonFilter::default(), None),
    };
    let legal_basis = table.legal_basis()?;
    let (church_purpose, church_legal_basis) = church(&mut table)?;
    let rules = policy::read(&mut table, persons, church_purpose.is_some())?;
    let limits = match table.table("limits")? {
        Some(limits) => limits::read(limits)?,
        None => TenantLimits::default(),
    };
    table.finish()?;
    checks::key_fits_numbers(&rules, key.as_ref(), &table)?;
    checks::variable_has_key(key.as_ref(), &table)?;
    record_types::check(&rules, &own_agreements, agreements, &table)?;
    Ok(Tenant {
        name,
        agreements: own_agreements,
        purpose,
        legal_basis,
        church_purpose,
        church_legal_basis,
        dataset: directory.join(dataset),
        group,
        key,
        rules,
        numbers: pnr_list.map(|path| directory.join(path)),
        limits,
    })
}

/// Reads the agreements whose data the tenant may see.
fn own_agreements(
    table: &mut TableReader,
    agreements: &[Agreement],
) -> Result<BTreeSet<AgreementName>, ConfigurationError> {
    let names = table.texts("agreements")?.ok_or_else(|| {
        let expected =
            "the agreements whose data the tenant may see, for example [\"municipality\"]";
        table.missing("agreements", expected)
    })?;
    let find = |name: &String| {
        let mut known = agreements.iter().map(|agreement| &agreement.name);
        known.find(|known| known.as_str() == name).cloned()
    };
    let found: Option<_> = names.iter().map(find).collect();
    found.ok_or_else(|| {
        let known = agreements.iter().map(|one| one.name.to_string()).collect();
        let problem = KeyProblem::UnknownAgreement { known };
        table.at("agreements").error(problem)
    })
}

/// Reads the group that may read the dataset: a name or a number. The group is looked up when it is needed.
fn group(table: &mut TableReader) -> Result<Option<String>, ConfigurationError> {
    match table.value("group") {
        None => Ok(None),
        Some(Value::String(name)) if !name.trim().is_empty() => Ok(Some(name)),
        Some(Value::Integer(number)) if u32::try_from(number).is_ok() => {
            Ok(Some(number.to_string()))
        }
        Some(_) => Err(table.invalid(
            "group",
            "the name of a group of this machine, or its number",
        )),
    }
}

/// Reads the purpose for which church membership may be seen, and its legal basis.
fn church(table: &mut TableReader) -> Result<(Option<String>, Option<String>), ConfigurationError> {
    let Some(mut church) = table.table("church")? else {
        return Ok((None, None));
    };
    let purpose = church.purpose("purpose")?;
    let legal_basis = church.legal_basis()?;
    church.finish()?;
    let purpose = purpose.ok_or_else(|| {
        let expected = "what church membership is used for. It reveals religious belief (GDPR article 9), so it needs \
                        its own purpose";
        church.missing("purpose", expected)
    })?;
    Ok((Some(purpose), legal_basis))
}
