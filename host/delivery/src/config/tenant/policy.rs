//! The keys of `[tenant.NAME]` that make up its policy.

use std::collections::{BTreeMap, BTreeSet};

use toml::Value;

use crate::config::error::{ConfigurationError, KeyPath, KeyProblem};
use crate::config::table_reader::{LIST, TableReader, texts};
use cprflow::policy::{
    CLASSES, DEFAULT_CLASSES, LeaverRule, NumberRule, PersonFilter, Policy, ProtectionRule,
};

const PROTECTIONS: [(&str, ProtectionRule); 3] = [
    ("include", ProtectionRule::Include),
    ("mask", ProtectionRule::Mask),
    ("drop", ProtectionRule::Drop),
];

const NUMBERS: [(&str, NumberRule); 3] = [
    ("keep", NumberRule::Keep),
    ("pseudonym", NumberRule::Pseudonym),
    ("drop", NumberRule::Drop),
];

const LEAVERS: [(&str, LeaverRule); 2] =
    [("notice", LeaverRule::Notice), ("last", LeaverRule::Last)];

/// The class that only a purpose for church membership shows.
const RELIGION: &str = "religion";

/// The name in `classes` that stands for [`DEFAULT_CLASSES`]. These are also the classes if the key is missing.
const DEFAULT: &str = "default";

/// Keys that are now part of `classes`.
const REPLACED_BY_CLASSES: [&str; 2] = ["also_classes", "also"];

/// Reads a policy from the keys of a tenant.
pub(super) fn read(
    table: &mut TableReader,
    persons: PersonFilter,
    with_church: bool,
) -> Result<Policy, ConfigurationError> {
    Ok(Policy {
        persons,
        day: day(table)?,
        as_of: None,
        classes: classes(table, with_church)?,
        tables: table.texts("tables")?.map(BTreeSet::from_iter),
        columns: columns(table)?,
        rows: rows(table)?,
        protection: table
            .choice("protection", &PROTECTIONS)?
            .unwrap_or_default(),
        numbers: table.choice("numbers", &NUMBERS)?.unwrap_or_default(),
        leavers: table.choice("leavers", &LEAVERS)?.unwrap_or_default(),
        may_reveal: table.flag("may_reveal")?.unwrap_or_default(),
    })
}

fn day(table: &mut TableReader) -> Result<Option<String>, ConfigurationError> {
    let Some(text) = table.text("day")? else {
        return Ok(None);
    };
    let date: Result<jiff::civil::Date, _> = text.parse();
    match date {
        Ok(date) if date.to_string() == text => Ok(Some(text)),
        _ => Err(table.invalid(
            "day",
            "a date in quotes, YYYY-MM-DD, or delete the key to use the production date of each delivery",
        )),
    }
}

/// Reads the classes of personal data that the tenant may see.
fn classes(
    table: &mut TableReader,
    with_church: bool,
) -> Result<BTreeSet<String>, ConfigurationError> {
    for key in REPLACED_BY_CLASSES {
        if table.has_removed(key) {
            return Err(table.at(key).error(KeyProblem::ReplacedByClasses));
        }
    }
    let named = table.texts("classes")?;
    let named = named.unwrap_or_else(|| vec![DEFAULT.to_owned()]);
    let mut classes = BTreeSet::new();
    for class in named {
        let problem = match class.as_str() {
            DEFAULT => {
                classes.extend(DEFAULT_CLASSES.map(str::to_owned));
                continue;
            }
            RELIGION => KeyProblem::ReligionInClasses,
            known if CLASSES.contains(&known) => {
                classes.insert(class);
                continue;
            }
            _ => {
                let known = CLASSES.iter().filter(|class| **class != RELIGION);
                KeyProblem::UnknownClass {
                    known: [DEFAULT].iter().chain(known).copied().collect(),
                }
            }
        };
        return Err(table.at("classes").error(problem));
    }
    if with_church {
        classes.insert(RELIGION.to_owned());
    }
    Ok(classes)
}

/// Reads `[tenant.NAME.columns]`: for a table, the columns that the tenant may see.
fn columns(table: &mut TableReader) -> Result<BTreeMap<String, Vec<String>>, ConfigurationError> {
    let Some(tables) = table.table("columns")? else {
        return Ok(BTreeMap::new());
    };
    let read = |(at, name, value): (KeyPath, String, Value)| match texts(value) {
        Some(columns) => Ok((name, columns)),
        None => Err(at.error(KeyProblem::Invalid {
            expected: format!("{LIST}: the columns to show"),
        })),
    };
    tables.entries().map(read).collect()
}

/// Reads `[tenant.NAME.rows]`: for a table, the condition on its rows.
fn rows(table: &mut TableReader) -> Result<BTreeMap<String, String>, ConfigurationError> {
    let Some(tables) = table.table("rows")? else {
        return Ok(BTreeMap::new());
    };
    let read = |(at, name, value): (KeyPath, String, Value)| match value {
        Value::String(rows) if !rows.trim().is_empty() => Ok((name, rows)),
        _ => Err(at.error(KeyProblem::Invalid {
            expected: "a condition on rows, for example \"status in ('01', '03')\"".to_owned(),
        })),
    };
    tables.entries().map(read).collect()
}
