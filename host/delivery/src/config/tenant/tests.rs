use std::time::Duration;

use cprflow::policy::{CLASSES, LeaverRule, NumberRule, Policy, ProtectionRule};

use super::*;
use crate::config::{Configuration, file};
use crate::error::Error;

const AGREEMENTS: &str = "dataset = \"all\"\nstate = \"state\"\n[agreement.a]\ninbox = \"in\"\n\
                          record_types = [\"001\", \"002\", \"004\", \"022\", \"099\"]\n[agreement.b]\ninbox = \"in\"\n\
                          record_types = [\"001\", \"002\", \"099\"]\n";

const TENANT: &str = "[tenant.t]\nagreements = [\"a\"]\npurpose = \"p\"\ndataset = \"t\"\n";

fn configuration(text: &str) -> Result<Configuration, Error> {
    file::read(&format!("{AGREEMENTS}{text}"), Path::new("/nowhere/etc"))
}

#[test]
fn reads_every_key_of_a_tenant() {
    let configuration = configuration(
        r#"
        [tenant.social]
        agreements = ["a", "b"]
        purpose = "social services"
        dataset = "/nowhere/social"
        group = 100
        key = { file = "social.key" }
        day = "2026-01-01"
        classes = ["default", "economic", "former-pnr"]
        church = { purpose = "fees" }
        tables = ["person", "church"]
        protection = "include"
        numbers = "pseudonym"
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
        total_seconds = 60
        output_mb = 10
        rows = 1000
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
            "former-pnr",
            "name",
            "protection",
            "religion"
        ]
    );
    assert_eq!(
        (rules.numbers, rules.leavers),
        (NumberRule::Pseudonym, LeaverRule::Last)
    );
    assert_eq!(rules.columns["person"], ["pnr", "status"]);
    assert_eq!(tenant.limits.memory, 64 << 20);
    assert_eq!(tenant.limits.total, Duration::from_secs(60));
    assert_eq!((tenant.limits.output, tenant.limits.rows), (10 << 20, 1000));
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
fn defaults_to_the_most_restrictive_policy() {
    let configuration = configuration(TENANT).unwrap();
    let rules = &configuration.tenant("t").unwrap().rules;
    assert_eq!(*rules, Policy::default());
    assert_eq!(rules.protection, ProtectionRule::Mask);
}

#[test]
fn errors_name_the_tenant_and_the_key_and_never_repeat_a_value() {
    let more = |text: &str| format!("{TENANT}{text}");
    for (text, expected) in [
        (
            "[tenant.T]\n".to_owned(),
            "[tenant.T]: the name is not valid",
        ),
        (
            "[tenant.t]\n".to_owned(),
            "[tenant.t] agreements: the key is missing",
        ),
        (
            "[tenant.t]\nagreements = [\"c\"]\n".to_owned(),
            "there are a, b",
        ),
        (
            "[tenant.t]\nagreements = []\n".to_owned(),
            "agreements: the value is not valid. Write a list",
        ),
        (
            "[tenant.t]\nagreements = [\"a\"]\n".to_owned(),
            "purpose: the key is missing",
        ),
        (
            "[tenant.t]\nagreements = [\"a\"]\npurpose = \" \"\n".to_owned(),
            "purpose: the purpose is empty",
        ),
        (
            "[tenant.t]\nagreements = [\"a\"]\npurpose = \"for 120190-1234\"\n".to_owned(),
            "purpose: the purpose contains something that can be a person number",
        ),
        (
            "[tenant.t]\nagreements = [\"a\"]\npurpose = \"for 1201901234\"\n".to_owned(),
            "purpose: the purpose contains something that can be a person number",
        ),
        (
            more("church = { purpose = \"fees of 1201901234\" }"),
            "[tenant.t.church] purpose: the purpose contains something that can be a person number",
        ),
        (
            "[tenant.t]\nagreements = [\"a\"]\npurpose = \"p\"\n".to_owned(),
            "dataset: the key is missing",
        ),
        (
            more("numbers = \"pseudonym\""),
            "key: `numbers = \"pseudonym\"` needs a key",
        ),
        (
            more("numbers = \"1201901234\""),
            "numbers: the value is not valid. Write one of \"keep\", \"pseudonym\", \"drop\"",
        ),
        (
            more("key = \"1201901234\""),
            "key: the configuration must not contain the secret",
        ),
        (
            more("key = { env = \"K\" }"),
            "key: the key is used only for",
        ),
        (
            more("group = \"\""),
            "group: the value is not valid. Write the name of a group",
        ),
        (
            more("group = -1"),
            "group: the value is not valid. Write the name of a group",
        ),
        (
            more("group = [\"1201901234\"]"),
            "group: the value is not valid",
        ),
        (
            more("persons = 1"),
            "[tenant.t.persons]: the value is not valid. Write a table",
        ),
        (
            more("persons = { numbers = 1201901234 }"),
            "[tenant.t.persons] numbers: the value is not valid. Write the path",
        ),
        (
            more("persons = { numbers = [\"1201901234\"] }"),
            "[tenant.t.persons] numbers: the value is not valid. Write the path",
        ),
        (
            more("persons = { municipalities = [\"1201901234\"] }"),
            "[tenant.t.persons] municipalities: the value is not valid: a municipality",
        ),
        (
            more("persons = { municipalities = [] }"),
            "[tenant.t.persons] municipalities: the value is not valid. Write a list",
        ),
        (
            more("persons = { statuses = [\"1\"] }"),
            "[tenant.t.persons] statuses: ",
        ),
        (
            more("persons = { ages = [66, 18] }"),
            "[tenant.t.persons] ages: ",
        ),
        (
            more("persons = { ages = [18] }"),
            "[tenant.t.persons] ages: ",
        ),
        (
            more("persons = { events = [\"x\"] }"),
            "[tenant.t.persons] events: the value is not valid: a change code",
        ),
        (
            more("persons = { people = 1 }"),
            "[tenant.t.persons] people: there is no such key; there are ages,",
        ),
        (more("days = 1"), "days: there is no such key"),
        (
            more("day = \"2026-02-30\""),
            "day: the value is not valid. Write a date",
        ),
        (
            more("classes = [\"religion\"]"),
            "classes: religion cannot be named here",
        ),
        (
            more("classes = [\"name\", \"religion\"]"),
            "church = { purpose",
        ),
        (
            more("classes = [\"default\", \"1201901234\"]"),
            "the known classes are default, address, civil-status",
        ),
        (
            more("church = {}"),
            "[tenant.t.church] purpose: the key is missing. Write what church membership",
        ),
        (
            more("protection = \"hide\""),
            "protection: the value is not valid. Write one of",
        ),
        (more("leavers = 1"), "leavers: "),
        (
            more("columns = { person = \"pnr\" }"),
            "[tenant.t.columns] person: the value is not valid. Write a list",
        ),
        (
            more("rows = { person = [] }"),
            "[tenant.t.rows] person: the value is not valid. Write a condition",
        ),
        (
            more("limits = { memory_mb = 1 }"),
            "[tenant.t.limits] memory_mb: the value is not valid. Write a whole number from 16 to 4096",
        ),
        (
            more("limits = { rows = 0 }"),
            "[tenant.t.limits] rows: the value is not valid. Write a whole number",
        ),
        (
            more("limits = { memory = 1 }"),
            "[tenant.t.limits] memory: there is no such key; there are memory_mb, output_mb, rows, total_seconds",
        ),
        (
            "[tenant.t]\nagreements = [\"b\"]\npurpose = \"p\"\ndataset = \"t\"\n".to_owned(),
            "protection: the policy hides protected persons, but agreement b does not order record type 004",
        ),
        (
            more("[tenant.u]\nagreements = [\"a\"]\npurpose = \"p\"\ndataset = \"t\"\n"),
            "are one directory",
        ),
        (
            more("[tenant.u]\nagreements = [\"a\"]\npurpose = \"p\"\ndataset = \"x/../t/u\"\n"),
            "is inside",
        ),
        (
            "[tenant.t]\nagreements = [\"a\"]\npurpose = \"p\"\ndataset = \"all/t\"\n".to_owned(),
            "is inside the dataset /nowhere/etc/all",
        ),
        (
            "[tenant.t]\nagreements = [\"a\"]\npurpose = \"p\"\ndataset = \".\"\n".to_owned(),
            "is inside the dataset /nowhere/etc/. of tenant t",
        ),
    ] {
        let error = configuration(&text).map(drop).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
        assert!(!error.contains("1201901234"), "{error}");
    }
}

#[test]
fn reads_the_example_of_tenants() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/tenants/cprflow.toml");
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
fn refuses_two_links_to_one_directory() {
    let place = tempfile::tempdir().unwrap();
    std::fs::create_dir(place.path().join("one")).unwrap();
    std::os::unix::fs::symlink("one", place.path().join("two")).unwrap();
    let tenant = |name: &str| {
        format!("[tenant.{name}]\nagreements = [\"a\"]\npurpose = \"p\"\ndataset = \"{name}\"\n")
    };
    let text = format!("{AGREEMENTS}{}{}", tenant("one"), tenant("two"));
    let error = file::read(&text, place.path()).unwrap_err().to_string();
    assert!(error.contains("are one directory"), "{error}");
}

fn classes(text: &str) -> Vec<String> {
    let configuration = configuration(&format!("{TENANT}{text}")).unwrap();
    let rules = &configuration.tenant("t").unwrap().rules;
    rules.classes.iter().cloned().collect()
}

#[test]
fn default_in_classes_stands_for_the_default_classes() {
    let default = ["address", "civil-status", "name", "protection"];
    assert_eq!(classes(""), default);
    assert_eq!(classes("classes = [\"default\"]"), default);
    assert_eq!(
        classes("classes = [\"default\", \"economic\"]"),
        ["address", "civil-status", "economic", "name", "protection"]
    );
}

#[test]
fn classes_without_default_are_the_only_classes() {
    assert_eq!(classes("classes = [\"former-pnr\"]"), ["former-pnr"]);
    assert_eq!(
        classes("classes = [\"name\", \"name\", \"economic\"]"),
        ["economic", "name"]
    );
}

#[test]
fn accepts_every_class_but_religion() {
    for class in CLASSES {
        let read = configuration(&format!("{TENANT}classes = [\"{class}\"]"));
        assert_eq!(read.is_ok(), class != "religion", "{class}");
    }
}

#[test]
fn a_purpose_for_church_membership_adds_religion() {
    let church = "church = { purpose = \"fees\" }";
    assert_eq!(
        classes(&format!("{church}\nclasses = [\"name\"]")),
        ["name", "religion"]
    );
    assert!(classes(church).contains(&"religion".to_owned()));
}

fn error(text: &str) -> String {
    let read = configuration(&format!("{TENANT}{text}"));
    read.unwrap_err().to_string()
}

#[test]
fn refuses_an_unknown_class_and_lists_the_known_ones() {
    let error = error("classes = [\"default\", \"finance\"]");
    assert!(error.starts_with("[tenant.t] classes: "), "{error}");
    assert!(!error.contains("finance"), "{error}");
    for class in CLASSES.into_iter().filter(|class| *class != "religion") {
        assert!(error.contains(class), "{class}: {error}");
    }
    assert!(!error.contains("religion"), "{error}");
}

#[test]
fn refuses_religion_in_classes_and_names_the_key_church() {
    for list in ["[\"religion\"]", "[\"default\", \"religion\"]"] {
        let error = error(&format!("classes = {list}"));
        assert!(error.starts_with("[tenant.t] classes: "), "{error}");
        assert!(error.contains("church = { purpose = "), "{error}");
    }
    // A purpose for church membership does not make it a name for this key.
    let error = error("church = { purpose = \"fees\" }\nclasses = [\"religion\"]");
    assert!(error.starts_with("[tenant.t] classes: "), "{error}");
}

#[test]
fn refuses_the_keys_that_classes_replaced() {
    for key in ["also_classes", "also"] {
        for text in [
            format!("{key} = [\"economic\"]"),
            format!("classes = [\"default\"]\n{key} = []"),
            format!("{key} = 1"),
        ] {
            let error = error(&text);
            assert!(error.starts_with(&format!("[tenant.t] {key}: ")), "{error}");
            assert!(error.contains("classes = [\"default\", …]"), "{error}");
        }
    }
}

#[test]
fn refuses_the_limits_that_cprflow_sets_itself() {
    for key in ["call_ms", "columns", "text_bytes"] {
        let error = error(&format!("limits = {{ rows = 1, {key} = 500 }}"));
        let start = format!("[tenant.t.limits] {key}: ");
        assert!(error.starts_with(&start), "{error}");
        assert!(error.contains("cprflow sets it itself"), "{error}");
        assert!(!error.contains("500"), "{error}");
    }
}

#[test]
fn errors_hide_names_that_can_be_person_numbers() {
    for text in [
        format!("{TENANT}persons = {{ 1201901234 = 1 }}"),
        format!("{TENANT}columns = {{ 1201901234 = 1 }}"),
    ] {
        let error = configuration(&text).unwrap_err().to_string();
        assert!(error.contains("[number]"), "{error}");
        assert!(!error.contains("1201901234"), "{error}");
    }
}

/// The name becomes a directory of the state, and is written to logs.
#[test]
fn refuses_a_name_that_can_be_a_person_number() {
    for name in [
        "0101801234",
        "010180-1234",
        "010180_1234",
        "01-01-80-1234",
        "person-0101801234",
        "x010180-1234y",
        "20260101801234",
    ] {
        let tenant = TENANT.replace("[tenant.t]", &format!("[tenant.{name}]"));
        let agreement = format!("[agreement.{name}]\ninbox = \"in\"\n{TENANT}");
        for (text, table) in [(tenant, "[tenant.NAME]"), (agreement, "[agreement.NAME]")] {
            let error = configuration(&text).unwrap_err().to_string();
            let expected = format!("{table}: the name can be a person number");
            assert!(error.starts_with(&expected), "{error}");
            assert!(!error.contains("1234"), "{error}");
        }
    }
    for name in [
        "school-0265",
        "0265",
        "unit-2026-11",
        "a1b2c3d4e5f6g7h8i9j0",
    ] {
        let tenant = TENANT.replace("[tenant.t]", &format!("[tenant.{name}]"));
        assert!(configuration(&tenant).is_ok(), "{name}");
    }
}

#[test]
fn an_unknown_tenant_is_named_without_a_person_number() {
    let configuration = configuration(TENANT).unwrap();
    let error = |name: &str| configuration.tenant(name).unwrap_err().to_string();
    assert!(error("other").contains("no tenant \"other\"; there are: t"));
    assert!(error("010180-1234").contains("no tenant \"[number]\"; there are: t"));
}

#[test]
fn refuses_a_list_whose_path_can_have_a_person_number() {
    let error = error("persons = { numbers = \"lists/010180-1234.txt\" }");
    let start =
        "[tenant.t.persons] numbers: the path contains something that can be a person number";
    assert!(error.starts_with(start), "{error}");
    assert!(!error.contains("1234"), "{error}");
}

#[test]
fn refuses_a_variable_that_is_no_key_and_does_not_repeat_it() {
    let path = std::env::var("PATH").unwrap();
    let error = error("numbers = \"pseudonym\"\nkey = { env = \"PATH\" }");
    assert!(
        error.starts_with("[tenant.t] key: the key for pseudonyms is not written as hexadecimal"),
        "{error}"
    );
    assert!(error.contains("openssl rand -hex 32 > FILE"), "{error}");
    assert!(!error.contains(&path), "{error}");
    // Commands that do not need the key work without the variable, and without the file.
    for key in [
        "{ env = \"CPRFLOW_NO_SUCH_VARIABLE\" }",
        "{ file = \"no-such-file\" }",
    ] {
        let text = format!("{TENANT}numbers = \"pseudonym\"\nkey = {key}");
        assert!(configuration(&text).is_ok(), "{key}");
    }
}

/// Without these records, the policy would choose or protect nobody, and nothing in an extract shows that.
#[test]
fn refuses_a_policy_whose_record_types_are_not_ordered() {
    const ALL: [&str; 5] = ["001", "002", "004", "022", "099"];
    let error = |missing: &str, policy: &str| {
        let ordered: Vec<_> = ALL.iter().filter(|one| **one != missing).collect();
        let text = format!(
            "dataset = \"all\"\nstate = \"state\"\n[agreement.a]\ninbox = \"in\"\nrecord_types = {ordered:?}\n\
             {TENANT}{policy}"
        );
        let read = file::read(&text, Path::new("/nowhere/etc"));
        read.err().map(|error| error.to_string())
    };
    let include = "protection = \"include\"\n";
    let persons = |condition: &str| format!("{include}persons = {{ {condition} }}\n");
    let by_municipality = persons("municipalities = [\"0265\"]");
    let with_statuses = persons("municipalities = [\"0265\"], statuses = [\"01\"]");
    let by_age = persons("ages = [5, 16]");
    let by_event = persons("events = [\"A01\"]");
    for (missing, policy, key) in [
        ("004", "", "[tenant.t] protection"),
        ("004", "protection = \"drop\"", "[tenant.t] protection"),
        ("022", "", "[tenant.t] protection"),
        ("022", "protection = \"drop\"", "[tenant.t] protection"),
        ("002", &by_municipality, "[tenant.t.persons] municipalities"),
        ("001", &by_municipality, "[tenant.t.persons] municipalities"),
        ("002", &with_statuses, "[tenant.t.persons] municipalities"),
        ("001", &with_statuses, "[tenant.t.persons] statuses"),
        ("001", &by_age, "[tenant.t.persons] ages"),
        ("099", &by_event, "[tenant.t.persons] events"),
        ("001", &by_event, "[tenant.t] agreements"),
        ("001", include, "[tenant.t] agreements"),
    ] {
        let error = error(missing, policy).unwrap_or_else(|| panic!("{missing} {policy}"));
        assert!(error.starts_with(&format!("{key}: the policy ")), "{error}");
        let expected = format!("agreement a does not order record type {missing}, which ");
        assert!(error.contains(&expected), "{error}");
    }
    for (missing, policy) in [
        ("002", ""),
        ("099", ""),
        ("004", include),
        ("022", include),
        ("099", &by_municipality),
        ("002", &by_age),
        ("002", &by_event),
        ("none", &by_municipality),
        ("none", &by_event),
    ] {
        assert_eq!(error(missing, policy), None, "{missing} {policy}");
    }
    // An agreement that does not say what it orders is not checked.
    let text = format!(
        "dataset = \"all\"\nstate = \"state\"\n[agreement.a]\ninbox = \"in\"\n{TENANT}{by_municipality}"
    );
    assert!(file::read(&text, Path::new("/nowhere/etc")).is_ok());
}
