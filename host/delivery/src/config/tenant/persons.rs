//! `[tenant.NAME.persons]`: the persons whose records a tenant may see.

use std::path::PathBuf;

use cprflow_redact::holds_person_number;
use toml::Value;

use crate::config::error::{ConfigurationError, KeyProblem};
use crate::config::service::filter;
use crate::config::table_reader::TableReader;
use crate::subscription::FilterKind;
use cprflow::policy::PersonFilter;

/// The highest age that may be written, in years.
const MAX_AGE: u16 = 200;

/// Reads the conditions, and the path of the list of person numbers.
pub(super) fn read(
    mut table: TableReader,
) -> Result<(PersonFilter, Option<PathBuf>), ConfigurationError> {
    let municipality_codes = filters(&mut table, "municipalities", FilterKind::Municipality)?;
    let event_codes = filters(&mut table, "events", FilterKind::ChangeCode)?;
    let status_codes = table.texts("statuses")?;
    let is_status = |code: &String| code.len() == 2 && code.bytes().all(|b| b.is_ascii_digit());
    if !status_codes.iter().flatten().all(is_status) {
        return Err(table.invalid(
            "statuses",
            "a list of codes of two digits in quotes, for example [\"01\", \"03\"]",
        ));
    }
    let ages = match table.value("ages") {
        None => None,
        Some(value) => Some(ages(&value).ok_or_else(|| {
            table.invalid(
                "ages",
                "the youngest and the oldest age in whole years, for example [18, 66]",
            )
        })?),
    };
    let pnr_list = match table.value("numbers") {
        None => None,
        Some(Value::String(path)) if holds_person_number(&path) => {
            let problem = KeyProblem::PathHoldsPersonNumber;
            return Err(table.at("numbers").error(problem));
        }
        Some(Value::String(path)) if !path.is_empty() => Some(path.into()),
        Some(_) => {
            return Err(table.invalid(
                "numbers",
                "the path of a file with one person number per line, not the numbers themselves",
            ));
        }
    };
    table.finish()?;
    let persons = PersonFilter {
        municipality_codes,
        status_codes,
        ages,
        event_codes,
        numbers: None,
    };
    Ok((persons, pnr_list))
}

/// Reads a list of codes that a subscription filter can have too.
fn filters(
    table: &mut TableReader,
    key: &'static str,
    kind: FilterKind,
) -> Result<Option<Vec<String>>, ConfigurationError> {
    let Some(codes) = table.texts(key)? else {
        return Ok(None);
    };
    let mut filters = Vec::new();
    for code in codes {
        filters.push(filter(kind, &code, table.at(key))?.to_string());
    }
    Ok(Some(filters))
}

fn ages(value: &Value) -> Option<(u16, u16)> {
    let [youngest, oldest] = value.as_array()?.as_slice() else {
        return None;
    };
    let age = |value: &Value| {
        u16::try_from(value.as_integer()?)
            .ok()
            .filter(|age| *age <= MAX_AGE)
    };
    let (youngest, oldest) = (age(youngest)?, age(oldest)?);
    (youngest <= oldest).then_some((youngest, oldest))
}
