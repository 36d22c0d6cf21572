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
    let group = group(&mut keys)?;
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
        group,
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

/// The group that may read the dataset: a name or a number, which is looked up when it is needed.
fn group(keys: &mut Keys) -> Result<Option<String>, String> {
    match keys.value("group") {
        None => Ok(None),
        Some(Value::String(name)) if !name.trim().is_empty() => Ok(Some(name)),
        Some(Value::Integer(number)) if u32::try_from(number).is_ok() => {
            Ok(Some(number.to_string()))
        }
        Some(_) => Err(keys.wrong(
            "group",
            "the name of a group of this machine's, or its number",
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
    let columns = keys.count("columns")?;
    let text_bytes = keys.count("text_bytes")?;
    keys.done()?;
    // Whoever writes a larger number means no limit, and gets as much as there can be of one.
    let bytes = |megabytes: u64| megabytes.min(1 << 24) << 20;
    let size = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
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
        columns: columns.map_or(defaults.columns, size),
        text_bytes: text_bytes.map_or(defaults.text_bytes, size),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Configuration, file};

    const AGREEMENTS: &str = "dataset = \"all\"\nstate = \"state\"\n[agreement.a]\ninbox = \"in\"\n\
                              record_types = [\"001\", \"004\"]\n[agreement.b]\ninbox = \"in\"\n\
                              record_types = [\"001\"]\n";

    const TENANT: &str = "[tenant.t]\nagreements = [\"a\"]\npurpose = \"p\"\ndataset = \"t\"\n";

    fn configuration(text: &str) -> Result<Configuration, String> {
        file::read(&format!("{AGREEMENTS}{text}"), Path::new("/nowhere/etc"))
    }

    #[test]
    fn a_whole_tenant() {
        let configuration = configuration(
            r#"
            [tenant.social]
            agreements = ["a", "b"]
            purpose = "social services"
            dataset = "/nowhere/social"
            group = 100
            key = { file = "social.key" }
            day = "2026-01-01"
            also_classes = ["economic"]
            church = { purpose = "fees" }
            tables = ["person", "church"]
            protection = "include"
            numbers = "pseudonym"
            also = ["person_id"]
            leavers = "last"
            [tenant.social.persons]
            municipalities = ["265", "0851"]
            statuses = ["01"]
            ages = [18, 66]
            events = ["A01"]
            numbers = "numbers"
            [tenant.social.columns]
            person = ["pnr", "status"]
            [tenant.social.rows]
            person = "status = '01'"
            [tenant.social.limits]
            memory_mb = 64
            call_ms = 100
            total_seconds = 60
            output_mb = 10
            rows = 1000
            columns = 60
            text_bytes = 4096
            "#,
        )
        .unwrap();
        let tenant = configuration.tenant("social").unwrap();
        assert!(tenant.sees("a") && tenant.sees("b") && !tenant.sees("c"));
        assert_eq!(
            tenant.numbers.as_deref(),
            Some(Path::new("/nowhere/etc/numbers"))
        );
        assert_eq!(tenant.group.as_deref(), Some("100"));
        let rules = &tenant.rules;
        assert_eq!(
            rules.persons.municipality_codes.as_ref().unwrap(),
            &["0265", "0851"]
        );
        assert_eq!(rules.persons.ages, Some((18, 66)));
        let classes: Vec<_> = rules.classes.iter().map(String::as_str).collect();
        assert_eq!(
            classes,
            [
                "address",
                "civil-status",
                "economic",
                "name",
                "protection",
                "religion"
            ]
        );
        assert_eq!(
            (rules.numbers, rules.leavers),
            (Numbers::Pseudonym, Leavers::Last)
        );
        assert_eq!(rules.columns["person"], ["pnr", "status"]);
        assert_eq!(tenant.limits.memory, 64 << 20);
        assert_eq!(tenant.limits.call, Duration::from_millis(100));
        assert_eq!((tenant.limits.output, tenant.limits.rows), (10 << 20, 1000));
        let widths = (tenant.limits.columns, tenant.limits.text_bytes);
        assert_eq!(widths, (60, 4096));
        assert_eq!(configuration.stores[0].tenants_of("a").count(), 1);
        assert!(
            configuration
                .tenant("other")
                .unwrap_err()
                .to_string()
                .contains("there are: social")
        );
    }

    #[test]
    fn without_words_to_the_contrary_little_is_seen() {
        let configuration = configuration(TENANT).unwrap();
        let rules = &configuration.tenant("t").unwrap().rules;
        assert_eq!(*rules, Policy::default());
        assert_eq!(rules.protection, Protection::Mask);
    }

    #[test]
    fn what_is_wrong_is_said_by_tenant_and_key_and_no_value_repeated() {
        let more = |text: &str| format!("{TENANT}{text}");
        for (text, expected) in [
            ("[tenant.T]\n".to_owned(), "tenant T: a name has"),
            (
                "[tenant.t]\n".to_owned(),
                "tenant t: agreements: name those",
            ),
            (
                "[tenant.t]\nagreements = [\"c\"]\n".to_owned(),
                "there are a, b",
            ),
            (
                "[tenant.t]\nagreements = []\n".to_owned(),
                "agreements: this is a list",
            ),
            (
                "[tenant.t]\nagreements = [\"a\"]\n".to_owned(),
                "purpose: say what",
            ),
            (
                "[tenant.t]\nagreements = [\"a\"]\npurpose = \" \"\n".to_owned(),
                "purpose: this is a purpose, in words",
            ),
            (
                "[tenant.t]\nagreements = [\"a\"]\npurpose = \"for 120190-1234\"\n".to_owned(),
                "purpose: there is something in it that can be a person number",
            ),
            (
                "[tenant.t]\nagreements = [\"a\"]\npurpose = \"for 1201901234\"\n".to_owned(),
                "purpose: there is something in it that can be a person number",
            ),
            (
                more("church = { purpose = \"fees of 1201901234\" }"),
                "church.purpose: there is something in it that can be a person number",
            ),
            (
                "[tenant.t]\nagreements = [\"a\"]\npurpose = \"p\"\n".to_owned(),
                "dataset: name a directory",
            ),
            (
                more("numbers = \"pseudonym\""),
                "key: `numbers = \"pseudonym\"` needs a key",
            ),
            (
                more("numbers = \"1201901234\""),
                "numbers: this is one of \"keep\", \"pseudonym\", \"drop\"",
            ),
            (more("key = \"1201901234\""), "key: say where it is"),
            (more("key = { env = \"K\" }"), "key: it is for pseudonyms"),
            (more("group = \"\""), "group: this is the name of a group"),
            (more("group = -1"), "group: this is the name of a group"),
            (more("group = [\"1201901234\"]"), "group: this is the name"),
            (more("persons = 1"), "persons: this is a table"),
            (
                more("persons = { numbers = 1201901234 }"),
                "persons.numbers: this is the path",
            ),
            (
                more("persons = { numbers = [\"1201901234\"] }"),
                "persons.numbers: this is the path",
            ),
            (
                more("persons = { municipalities = [\"1201901234\"] }"),
                "persons.municipalities: a municipality",
            ),
            (
                more("persons = { municipalities = [] }"),
                "persons.municipalities: this is a list",
            ),
            (more("persons = { statuses = [\"1\"] }"), "persons.statuses"),
            (more("persons = { ages = [66, 18] }"), "persons.ages"),
            (more("persons = { ages = [18] }"), "persons.ages"),
            (
                more("persons = { events = [\"x\"] }"),
                "persons.events: a change code",
            ),
            (
                more("persons = { people = 1 }"),
                "persons.people: there is no such key; there are ages,",
            ),
            (more("days = 1"), "days: there is no such key"),
            (more("day = \"2026-02-30\""), "day: this is a date"),
            (
                more("classes = [\"religion\"]"),
                "classes: religion does not stand here",
            ),
            (more("also_classes = [\"religion\"]"), "church = { purpose"),
            (
                more("also_classes = [\"all\"]"),
                "there are address, civil-status",
            ),
            (
                more("classes = [\"name\"]\nalso_classes = [\"name\"]"),
                "give one of the two",
            ),
            (more("church = {}"), "church.purpose: church membership"),
            (more("protection = \"hide\""), "protection: this is one of"),
            (more("leavers = 1"), "leavers: "),
            (
                more("also = [\"person\"]"),
                "also: this is a list of these: former_pnr",
            ),
            (
                more("columns = { person = \"pnr\" }"),
                "columns.person: this is a list",
            ),
            (
                more("rows = { person = [] }"),
                "rows.person: this says which rows",
            ),
            (
                more("limits = { memory_mb = 1 }"),
                "limits.memory_mb: a component has",
            ),
            (
                more("limits = { rows = 0 }"),
                "limits.rows: this is a whole number",
            ),
            (
                more("limits = { memory = 1 }"),
                "limits.memory: there is no such key",
            ),
            (
                "[tenant.t]\nagreements = [\"b\"]\npurpose = \"p\"\ndataset = \"t\"\n".to_owned(),
                "protection: it is to mask protected persons, and agreement b does not order record type 004",
            ),
            (
                more("[tenant.u]\nagreements = [\"a\"]\npurpose = \"p\"\ndataset = \"t\"\n"),
                "are one directory",
            ),
            (
                more("[tenant.u]\nagreements = [\"a\"]\npurpose = \"p\"\ndataset = \"x/../t/u\"\n"),
                "lies inside",
            ),
            (
                "[tenant.t]\nagreements = [\"a\"]\npurpose = \"p\"\ndataset = \"all/t\"\n"
                    .to_owned(),
                "lies inside the dataset /nowhere/etc/all",
            ),
            (
                "[tenant.t]\nagreements = [\"a\"]\npurpose = \"p\"\ndataset = \".\"\n".to_owned(),
                "lies inside the dataset /nowhere/etc/. of tenant t",
            ),
        ] {
            let error = configuration(&text).map(drop).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
            assert!(!error.contains("1201901234"), "{error}");
        }
    }

    #[test]
    fn the_example_is_a_configuration() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/tenants/cprflow.toml");
        let configuration = Configuration::from_file(&path).unwrap();
        let names: Vec<_> = configuration
            .tenants()
            .into_iter()
            .map(|tenant| tenant.name.as_str())
            .collect();
        assert_eq!(names, ["schools", "statistics"]);
        assert_eq!(
            configuration.stores[0].tenants_of("municipality").count(),
            2
        );
    }

    #[test]
    fn links_lead_to_what_they_lead_to() {
        let place = tempfile::tempdir().unwrap();
        std::fs::create_dir(place.path().join("one")).unwrap();
        std::os::unix::fs::symlink("one", place.path().join("two")).unwrap();
        let tenant = |name: &str| {
            format!(
                "[tenant.{name}]\nagreements = [\"a\"]\npurpose = \"p\"\ndataset = \"{name}\"\n"
            )
        };
        let text = format!("{AGREEMENTS}{}{}", tenant("one"), tenant("two"));
        let error = file::read(&text, place.path()).map(drop).unwrap_err();
        assert!(error.contains("are one directory"), "{error}");
    }
}
