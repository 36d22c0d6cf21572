//! Nights that were tried against the policies of tenants, with the results that are right: a scope by events, persons in
//! another order, and conditions of a scan on values that are hidden.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use cprflow_tests::command::command;
use cprflow_tests::handmade::Handmade;
use cprflow_tests::reference_reader::{Row, Tables, Value};
use cprflow_tests::test_run::{TestRun, tables, transfer};

const ALICE: &str = "0101010010";
const BERTA: &str = "0101010029";
const CARLA: &str = "0101010037";

/// The policies of the tests, by tenant.
const POLICIES: [(&str, &str); 4] = [
    ("masking", ""),
    ("dropping", "protection = \"drop\"\n"),
    (
        "pseudonymous",
        "numbers = \"pseudonym\"\nkey = { file = \"key\" }\n",
    ),
    ("numberless", "numbers = \"drop\"\n"),
];

/// An agreement, and tenants with these policies.
fn start(policies: &[(&str, &str)]) -> TestRun {
    let test = TestRun::local();
    test.set_time("2026-03-05T08:00:00Z");
    fs::write(test.path("key"), "0123456789abcdef".repeat(4)).unwrap();
    fs::set_permissions(test.path("key"), fs::Permissions::from_mode(0o600)).unwrap();
    let mut text = "[agreement.town]\ninbox = \"inbox\"\n".to_owned();
    for (name, policy) in policies {
        text.push_str(&format!(
            "[tenant.{name}]\nagreements = [\"town\"]\npurpose = \"test\"\ndataset = \"tenants/{name}\"\n{policy}"
        ));
    }
    test.configure(&text);
    test
}

fn night(date: &str) -> Handmade {
    Handmade::new("431101", date)
}

fn publish(test: &TestRun, number: u32, extract: Handmade) {
    test.put(&format!("n{number}"), &extract.finish(), &transfer(number));
    let ended = test.sync();
    assert!(ended.code < 2, "{}{}", ended.stderr, ended.text());
}

fn event(extract: Handmade, pnr: &str, code: &str) -> Handmade {
    let registered = ("registered", "202603010815");
    extract.record("099", &[("pnr", pnr), registered, ("event_code", code)])
}

fn protection(extract: Handmade, pnr: &str) -> Handmade {
    extract.record("004", &[("pnr", pnr), ("protection_type", "0001")])
}

fn current(test: &TestRun, tenant: &str) -> Tables {
    tables(&test.dataset_of(tenant).join("current"))
}

/// Returns the sorted texts of a column. Null is `null`.
fn texts(tables: &Tables, table: &str, column: &str) -> Vec<String> {
    let value = |row: &Row| match row.iter().find(|(name, _)| name == column) {
        Some((_, Value::Text(text))) => text.clone(),
        Some((_, Value::Null)) => "null".to_owned(),
        other => panic!("{other:?}"),
    };
    let mut texts: Vec<_> = tables[table].iter().map(value).collect();
    texts.sort();
    texts
}

/// A person who is delivered without the event leaves the scope of that delivery. The current tables have the events of all
/// extracts, so the old event keeps the person there, with the new name and address.
#[test]
fn an_old_event_keeps_a_person_in_the_current_tables_only() {
    let test = start(&[("schools", "persons = { events = [\"A01\"] }\n")]);
    let first = night("20260302").resident(ALICE, "0265", "Old");
    let first = event(first, ALICE, "A01").resident(CARLA, "0265", "Never");
    publish(&test, 1, first);
    let found = tables(&test.published_to("schools")[0].0);
    assert_eq!(texts(&found, "person", "pnr"), [ALICE]);
    assert_eq!(texts(&found, "name", "surname"), ["Old"]);

    let second = night("20260303").resident(ALICE, "0851", "New");
    publish(&test, 2, second);
    let published = test.published_to("schools");
    assert_eq!(published.len(), 2);
    let found = tables(&published[1].0);
    assert_eq!(texts(&found, "out_of_scope", "pnr"), [ALICE]);
    assert_eq!(texts(&found, "out_of_scope", "reason"), ["event"]);
    for table in ["person", "name", "address", "event"] {
        let rows = found.get(table);
        assert!(rows.is_none_or(Vec::is_empty), "{table}");
    }
    let found = current(&test, "schools");
    assert_eq!(texts(&found, "person", "pnr"), [ALICE]);
    assert_eq!(texts(&found, "name", "surname"), ["New"]);
    assert_eq!(texts(&found, "address", "municipality_code"), ["0851"]);
    assert_eq!(texts(&found, "event", "event_code"), ["A01"]);
    assert!(found["out_of_scope"].is_empty());
}

/// Adds everything about one of three persons. Alice is protected, and the mother of Berta.
fn person(extract: Handmade, pnr: &str) -> Handmade {
    match pnr {
        ALICE => event(
            protection(extract.resident(ALICE, "0265", "Anders"), ALICE),
            ALICE,
            "A01",
        ),
        BERTA => event(extract.resident(BERTA, "0265", "Birk"), BERTA, "A05").record(
            "015",
            &[
                ("pnr", BERTA),
                ("mother_pnr", ALICE),
                ("mother_name", "Anders"),
            ],
        ),
        _ => event(extract.resident(pnr, "0851", "Carlsen"), pnr, "A01"),
    }
}

/// Returns the sorted rows of every table of the deliveries and of the current tables of a tenant.
fn rows(test: &TestRun, tenant: &str) -> BTreeMap<String, Vec<String>> {
    let published = test.published_to(tenant);
    assert_eq!(published.len(), 2, "{tenant}");
    let deliveries = published.iter().map(|(directory, _)| tables(directory));
    let all = deliveries.chain([current(test, tenant)]).enumerate();
    let mut found = BTreeMap::new();
    for (place, tables) in all {
        for (table, rows) in tables {
            let mut rows: Vec<_> = rows.iter().map(|row| format!("{row:?}")).collect();
            rows.sort();
            found.insert(format!("{place} {table}"), rows);
        }
    }
    found
}

/// The order of the persons in an extract changes no row of any tenant.
#[test]
fn the_order_of_persons_changes_no_row() {
    let policies = POLICIES.map(|(name, policy)| {
        let more = "classes = [\"default\", \"family\"]\npersons = { statuses = [\"01\"] }\n";
        (name, format!("{more}{policy}"))
    });
    let policies: Vec<_> = policies
        .iter()
        .map(|(name, policy)| (*name, policy.as_str()))
        .collect();
    let in_order = |order: [&str; 3]| {
        let test = start(&policies);
        publish(&test, 1, order.into_iter().fold(night("20260302"), person));
        // Berta and Carla die.
        let dead = |extract: Handmade, pnr: &str| match pnr {
            ALICE => extract,
            _ => extract.record("001", &[("pnr", pnr), ("status", "90")]),
        };
        publish(&test, 2, order.into_iter().fold(night("20260303"), dead));
        test
    };
    let test = in_order([ALICE, BERTA, CARLA]);
    let names = |tenant: &str| {
        let found = tables(&test.published_to(tenant)[0].0);
        texts(&found, "name", "surname")
    };
    assert_eq!(names("masking"), ["Birk", "Carlsen", "null"]);
    assert_eq!(names("dropping"), ["Birk", "Carlsen"]);
    assert_eq!(names("pseudonymous"), ["Birk", "Carlsen", "null"]);
    assert_eq!(names("numberless"), ["Birk", "Carlsen", "null"]);
    let other = in_order([CARLA, BERTA, ALICE]);
    for (tenant, _) in POLICIES {
        let (one, other) = (rows(&test, tenant), rows(&other, tenant));
        assert_eq!(one["1 out_of_scope"].len(), 2, "{tenant}");
        assert!(one == other, "{tenant}");
    }
}

/// Returns the exit code and the rows of a scan for a tenant with a condition.
fn scan(test: &TestRun, file: &Path, tenant: &str, table: &str, condition: &str) -> (i32, usize) {
    let output = command()
        .arg("scan")
        .arg(file)
        .args(["--tenant", tenant, "--agreement", "town"])
        .args(["--table", table, "--where", condition, "--format", "csv"])
        .arg("--config")
        .arg(test.path("cprflow.toml"))
        .output()
        .unwrap();
    let rows = String::from_utf8(output.stdout).unwrap();
    // The first line names the columns.
    let rows = rows.lines().count().saturating_sub(1);
    (output.status.code().unwrap(), rows)
}

/// A condition gives as many rows for each value of a hidden cell. One on a hidden column is refused.
#[test]
fn a_condition_of_a_scan_tells_nothing_about_hidden_values() {
    let test = start(&POLICIES[..2]);
    for surname in ["Anders", "Zeuthen"] {
        let extract = night("20260302").resident(ALICE, "0265", surname);
        let extract = protection(extract, ALICE).resident(BERTA, "0265", "Birk");
        let file = test.path(surname);
        fs::write(&file, extract.finish()).unwrap();
        for (tenant, nulls) in [("masking", 1), ("dropping", 0)] {
            for (condition, count) in [
                ("surname = 'Anders'", 0),
                ("surname > 'M'", 0),
                ("not surname = 'Anders'", 1),
                ("surname is null", nulls),
            ] {
                let found = scan(&test, &file, tenant, "name", condition);
                assert_eq!(found, (0, count), "{surname}, {tenant}: {condition}");
            }
            let refused = scan(&test, &file, tenant, "person", "occupation is null");
            assert_eq!(refused, (2, 0), "{surname}, {tenant}");
        }
    }
}
