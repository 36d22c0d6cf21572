//! `[tenant.NAME]`: the parties that share deliveries. An error names the tenant and the key, and never repeats a value.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use toml::Value;

use super::keys::{Keys, LIST, texts};
use super::service::{SECRET, secret_place};
use crate::agreement::{Agreement, AgreementName};
use crate::policy::{CLASSES, DEFAULT_CLASSES, Leavers, Numbers, Persons, Policy, Protection};
use crate::subscriber::{Filter, Kind};
use crate::tenant::{Tenant, TenantLimits, TenantName};

/// Reads the tenants; relative paths in them start at `directory`.
pub(super) fn read(
    tenants: BTreeMap<String, Value>,
    agreements: &[Agreement],
    directory: &Path,
) -> Result<Vec<Tenant>, String> {
    let read = |(name, value): (String, Value)| {
        let tenant = tenant(&name, value, agreements, directory);
        tenant.map_err(|what| format!("tenant {name}: {what}"))
    };
    tenants.into_iter().map(read).collect()
}

fn tenant(
    name: &str,
    value: Value,
    agreements: &[Agreement],
    directory: &Path,
) -> Result<Tenant, String> {
    let name = TenantName::new(name).ok_or(
        "a name has 1 to 64 small letters, digits, - and _: it becomes a directory of the state",
    )?;
    let mut keys = Keys::new("", value)?;
    let bound = bound(&mut keys, agreements)?;
    let purpose = keys
        .purpose("purpose")?
        .ok_or("purpose: say what the data is for; it stands in every _delivery.json")?;
    let dataset = keys
        .path("dataset")?
        .ok_or("dataset: name a directory of the tenant's own")?;
    let key = keys
        .value("key")
        .map(|place| secret_place(&place, directory).ok_or(format!("key: {SECRET}")))
        .transpose()?;
    let (persons, list) = match keys.table("persons")? {
        Some(table) => persons(table)?,
        None => (Persons::default(), None),
    };
    let church_purpose = church(&mut keys)?;
    let rules = Policy {
        persons,
        day: day(&mut keys)?,
        classes: classes(&mut keys, church_purpose.is_some())?,
        tables: keys.texts("tables")?.map(BTreeSet::from_iter),
        columns: columns(&mut keys)?,
        rows: rows(&mut keys)?,
        protection: keys.choice("protection", &PROTECTIONS)?.unwrap_or_default(),
        numbers: keys.choice("numbers", &NUMBERS)?.unwrap_or_default(),
        also: also(&mut keys)?,
        leavers: keys.choice("leavers", &LEAVERS)?.unwrap_or_default(),
    };
    let limits = match keys.table("limits")? {
        Some(table) => limits(table)?,
        None => TenantLimits::default(),
    };
    keys.done()?;
    if rules.numbers == Numbers::Pseudonym && key.is_none() {
        return Err(format!(
            "key: `numbers = \"pseudonym\"` needs a key of the tenant's own; {SECRET}. Make one with `openssl rand \
             -hex 32` and `chmod 600`"
        ));
    }
    if rules.numbers != Numbers::Pseudonym && key.is_some() {
        return Err("key: it is for pseudonyms, and without `numbers = \"pseudonym\"` there are none: leave it out"
            .to_owned());
    }
    can_judge_protection(&rules, &bound, agreements)?;
    Ok(Tenant {
        name,
        agreements: bound,
        purpose,
        church_purpose,
        dataset: directory.join(dataset),
        key,
        rules,
        numbers: list.map(|path| directory.join(path)),
        limits,
    })
}

const PROTECTIONS: [(&str, Protection); 3] = [
    ("include", Protection::Include),
    ("mask", Protection::Mask),
    ("drop", Protection::Drop),
];

const NUMBERS: [(&str, Numbers); 3] = [
    ("keep", Numbers::Keep),
    ("pseudonym", Numbers::Pseudonym),
    ("drop", Numbers::Drop),
];

const LEAVERS: [(&str, Leavers); 2] = [("notice", Leavers::Notice), ("last", Leavers::Last)];

/// The agreements whose data the tenant may see.
fn bound(keys: &mut Keys, agreements: &[Agreement]) -> Result<BTreeSet<AgreementName>, String> {
    let names = keys
        .texts("agreements")?
        .ok_or("agreements: name those whose data it may see, for example [\"municipality\"]")?;
    let find = |name: &String| {
        let mut known = agreements.iter().map(|agreement| &agreement.name);
        known.find(|known| known.as_str() == name).cloned()
    };
    let bound: Option<_> = names.iter().map(find).collect();
    bound.ok_or_else(|| {
        let known: Vec<_> = agreements.iter().map(|one| one.name.as_str()).collect();
        format!(
            "agreements: it names one that is not in the configuration; there are {}",
            known.join(", ")
        )
    })
}

/// Whose records, and the file of their numbers.
fn persons(mut keys: Keys) -> Result<(Persons, Option<std::path::PathBuf>), String> {
    let filters = |keys: &mut Keys, key: &'static str, kind: Kind| {
        let parse = |code: &String| Filter::parse(kind, code).map(|filter| filter.to_string());
        let codes = keys.texts(key)?;
        let codes: Result<Option<Vec<_>>, String> = codes
            .map(|codes| codes.iter().map(parse).collect())
            .transpose();
        codes.map_err(|what| format!("{}: {what}", keys.place(key)))
    };
    let municipality_codes = filters(&mut keys, "municipalities", Kind::Municipality)?;
    let event_codes = filters(&mut keys, "events", Kind::ChangeCode)?;
    let status_codes = keys.texts("statuses")?;
    let is_status = |code: &String| code.len() == 2 && code.bytes().all(|b| b.is_ascii_digit());
    if !status_codes.iter().flatten().all(is_status) {
        return Err(keys.wrong(
            "statuses",
            "a list of codes of two digits in quotes, for example [\"01\", \"03\"]",
        ));
    }
    let ages = match keys.value("ages") {
        None => None,
        Some(value) => Some(ages(&value).ok_or_else(|| {
            keys.wrong(
                "ages",
                "the youngest and the oldest in whole years, for example [18, 66]",
            )
        })?),
    };
    // A list that stands here itself must not be repeated in an error, and Keys never does.
    let numbers = match keys.value("numbers") {
        None => None,
        Some(Value::String(path)) if !path.is_empty() => Some(path.into()),
        Some(_) => {
            return Err(keys.wrong(
                "numbers",
                "the path of a file with a person number a line; the numbers do not stand in the configuration",
            ));
        }
    };
    keys.done()?;
    let persons = Persons {
        municipality_codes,
        status_codes,
        ages,
        event_codes,
        numbers: None,
    };
    Ok((persons, numbers))
}

fn ages(value: &Value) -> Option<(u16, u16)> {
    let [youngest, oldest] = value.as_array()?.as_slice() else {
        return None;
    };
    let age = |value: &Value| {
        u16::try_from(value.as_integer()?)
            .ok()
            .filter(|age| *age <= 200)
    };
    let (youngest, oldest) = (age(youngest)?, age(oldest)?);
    (youngest <= oldest).then_some((youngest, oldest))
}

fn day(keys: &mut Keys) -> Result<Option<String>, String> {
    let Some(text) = keys.text("day")? else {
        return Ok(None);
    };
    let date: Result<jiff::civil::Date, _> = text.parse();
    match date {
        Ok(date) if date.to_string() == text => Ok(Some(text)),
        _ => Err(keys.wrong(
            "day",
            "a date, YYYY-MM-DD in quotes; without it the day on which the delivery was produced",
        )),
    }
}

/// The purpose for which church membership may be seen.
fn church(keys: &mut Keys) -> Result<Option<String>, String> {
    let Some(mut church) = keys.table("church")? else {
        return Ok(None);
    };
    let purpose = church.purpose("purpose")?;
    church.done()?;
    let purpose = purpose.ok_or(
        "church.purpose: church membership tells of religious belief (GDPR article 9): say what it is for, apart from \
         the rest",
    )?;
    Ok(Some(purpose))
}

const RELIGION: &str = "religion";

fn classes(keys: &mut Keys, with_church: bool) -> Result<BTreeSet<String>, String> {
    let (only, also) = (keys.texts("classes")?, keys.texts("also_classes")?);
    for (key, classes) in [("classes", &only), ("also_classes", &also)] {
        for class in classes.iter().flatten() {
            if class == RELIGION {
                return Err(format!(
                    "{key}: religion does not stand here. Church membership tells of religious belief (GDPR article \
                     9), so it needs a purpose of its own: church = {{ purpose = \"…\" }}"
                ));
            }
            if !CLASSES.contains(&class.as_str()) {
                return Err(format!(
                    "{key}: it names a class that does not exist; there are {}",
                    CLASSES.join(", ")
                ));
            }
        }
    }
    let mut classes: BTreeSet<String> = match (only, also) {
        (Some(_), Some(_)) => {
            return Err(
                "also_classes: `classes` says all of them, `also_classes` says which beside the usual ones: give one \
                 of the two"
                    .to_owned(),
            );
        }
        (Some(only), None) => only.into_iter().collect(),
        (None, also) => {
            let usual = DEFAULT_CLASSES.map(str::to_owned).into_iter();
            usual.chain(also.into_iter().flatten()).collect()
        }
    };
    if with_church {
        classes.insert(RELIGION.to_owned());
    }
    Ok(classes)
}

fn columns(keys: &mut Keys) -> Result<BTreeMap<String, Vec<String>>, String> {
    let Some(tables) = keys.table("columns")? else {
        return Ok(BTreeMap::new());
    };
    let read = |(at, table, value): (String, String, Value)| {
        let columns = texts(value).ok_or_else(|| format!("{at}: this is {LIST}: columns"))?;
        Ok((table, columns))
    };
    tables.rest().map(read).collect()
}

fn rows(keys: &mut Keys) -> Result<BTreeMap<String, String>, String> {
    let Some(tables) = keys.table("rows")? else {
        return Ok(BTreeMap::new());
    };
    let read = |(at, table, value): (String, String, Value)| match value {
        Value::String(rows) if !rows.trim().is_empty() => Ok((table, rows)),
        _ => Err(format!(
            "{at}: this says which rows, for example \"status in ('01', '03')\""
        )),
    };
    tables.rest().map(read).collect()
}

/// Tables that tie numbers to persons in other ways than by the record's key.
const ALSO: [&str; 3] = ["former_pnr", "input_error", "person_id"];

fn also(keys: &mut Keys) -> Result<BTreeSet<String>, String> {
    let also = keys.texts("also")?.unwrap_or_default();
    match also.iter().all(|table| ALSO.contains(&table.as_str())) {
        true => Ok(also.into_iter().collect()),
        false => Err(keys.wrong("also", &format!("a list of these: {}", ALSO.join(", ")))),
    }
}

fn limits(mut keys: Keys) -> Result<TenantLimits, String> {
    let defaults = TenantLimits::default();
    let memory = keys.count("memory_mb")?;
    let call = keys.count("call_ms")?;
    let total = keys.count("total_seconds")?;
    let output = keys.count("output_mb")?;
    let rows = keys.count("rows")?;
    keys.done()?;
    // Whoever writes a larger number means no limit, and gets as much as there can be of one.
    let bytes = |megabytes: u64| megabytes.min(1 << 24) << 20;
    Ok(TenantLimits {
        memory: memory.map_or(Ok(defaults.memory), |megabytes| match megabytes {
            16..=4096 => Ok(usize::try_from(bytes(megabytes)).unwrap_or(defaults.memory)),
            _ => Err("limits.memory_mb: a component has between 16 and 4096 megabytes"),
        })?,
        call: call.map_or(defaults.call, |time| {
            Duration::from_millis(time.min(3_600_000))
        }),
        total: total.map_or(defaults.total, |time| {
            Duration::from_secs(time.min(604_800))
        }),
        output: output.map_or(defaults.output, bytes),
        rows: rows.unwrap_or(defaults.rows),
    })
}

/// Who is protected stands in record 004. Where that is not ordered, nobody would be masked.
fn can_judge_protection(
    rules: &Policy,
    bound: &BTreeSet<AgreementName>,
    agreements: &[Agreement],
) -> Result<(), String> {
    let lacks = |agreement: &&Agreement| {
        let types = agreement.record_types.as_ref();
        bound.contains(&agreement.name)
            && types.is_some_and(|types| !types.iter().any(|record_type| record_type == "004"))
    };
    let word = match rules.protection {
        Protection::Mask => "mask",
        Protection::Drop => "drop",
        Protection::Include => return Ok(()),
    };
    match agreements.iter().find(lacks) {
        None => Ok(()),
        Some(agreement) => Err(format!(
            "protection: it is to {word} protected persons, and agreement {} does not order record type 004, which \
             says who they are: order it, or say `protection = \"include\"` if the tenant may see them",
            agreement.name
        )),
    }
}
