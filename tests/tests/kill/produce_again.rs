//! Kills a run with SIGKILL while it makes a tenant's deliveries again. After the next run nothing that is hidden is left,
//! and the deliveries and the change feed are those of a run without a kill.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::fs;
use std::path::Path;

use cprflow_tests::handmade::Handmade;
use cprflow_tests::reference_reader::Tables;
use cprflow_tests::search::files_with;
use cprflow_tests::test_run::{TestRun, files, tables, transfer};
use serde_json::Value;

const ALICE: &str = "0101010010";
const BERTA: &str = "0101010029";

/// Every step of making a delivery again, in order.
const POINTS: &[&str] = &[
    "hidden-stored",
    "rewriting-scanned",
    "rewriting-begun",
    "rewriting-staged",
    "rewriting-exchanged",
    "rewriting-cleared",
    "rewriting-recorded",
];

/// The step between two renames, where the file system cannot exchange two directories.
const MOVED: &str = "rewriting-moved";

/// Every step of removing a delivery that cannot be made again.
const REMOVAL_POINTS: &[&str] = &["rewriting-withdrawing", "rewriting-removed"];

fn configure(test: &TestRun, agreements: &str) {
    test.configure(&format!(
        "[agreement.town]\ninbox = \"inbox\"\nfiles.name = \"n.*\"\n[agreement.other]\ninbox = \"inbox\"\n\
         files.name = \"o.*\"\n[tenant.one]\nagreements = {agreements}\npurpose = \"test\"\ndataset = \"tenants/one\"\n\
         [tenant.two]\nagreements = [\"town\", \"other\"]\npurpose = \"test\"\ndataset = \"tenants/two\"\n"
    ));
}

/// Two nights, and a third one in which Alice is protected.
fn nights() -> [Vec<u8>; 3] {
    let night = |date: &str| Handmade::new("431101", date);
    let first = night("20260302")
        .resident(ALICE, "0265", "Almindelig")
        .resident(BERTA, "0265", "Birk");
    let second = night("20260303").resident(ALICE, "0265", "Almindelig");
    let third = night("20260304")
        .resident(ALICE, "0265", "Almindelig")
        .record("004", &[("pnr", ALICE), ("protection_type", "0001")]);
    [first.finish(), second.finish(), third.finish()]
}

fn put(test: &TestRun, number: u32) {
    let extract = &nights()[number as usize - 1];
    test.put(&format!("n{number}"), extract, &transfer(number));
}

fn published(test: &TestRun) -> Vec<Tables> {
    let all = test.published_to("one").into_iter();
    all.map(|(directory, _)| tables(&directory)).collect()
}

fn feed(test: &TestRun) -> Vec<(u64, String, u64)> {
    let listed = test.run("deliveries", &["--format", "json", "--tenant", "one"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    let entries = listed.as_array().unwrap().iter();
    let number = |value: &Value| value.as_u64().unwrap();
    let entry = |entry: &Value| {
        let kind = entry["kind"].as_str().unwrap().to_owned();
        (number(&entry["sequence"]), kind, number(&entry["place"]))
    };
    entries.map(entry).collect()
}

fn two_nights() -> TestRun {
    let test = TestRun::local();
    configure(&test, "[\"town\"]");
    for number in [1, 2] {
        put(&test, number);
        assert_eq!(test.sync().code, 0);
    }
    test
}

fn assert_ended(test: &TestRun, point: &str, hidden: &str) {
    let ended = test.sync();
    assert_eq!(ended.code, 0, "{point}: {}{}", ended.stderr, ended.text());
    let found = files_with(&test.dataset_of("one"), hidden);
    assert!(found.is_empty(), "{point}: {found:?}");
    let beside: Vec<_> = fs::read_dir(test.path("tenants")).unwrap().collect();
    assert_eq!(beside.len(), 2, "{point}: {beside:?}");
}

fn assert_quiet(test: &TestRun, point: &str) {
    let quiet = test.sync();
    assert_eq!((quiet.code, quiet.text()), (0, "nothing new\n"), "{point}");
    let status = test.run("status", &["--deep"]);
    let text = status.text();
    assert!(!text.contains("missing or changed"), "{point}: {text}");
}

#[test]
fn killed_while_deliveries_are_made_again() {
    let unharmed = two_nights();
    put(&unharmed, 3);
    assert_eq!(unharmed.sync().code, 0);
    let expected = (published(&unharmed), feed(&unharmed));
    assert_eq!(expected.1.len(), 5, "{:?}", expected.1);
    let all = POINTS.iter().map(|point| (*point, false));
    for (point, lacks_exchange) in all.chain([(MOVED, true), ("rewriting-exchanged", true)]) {
        let test = two_nights();
        if lacks_exchange {
            test.forbid_exchange();
        }
        put(&test, 3);
        test.stop_at(point).kill();
        // The second of the two deliveries, or the same one again.
        if !["hidden-stored", "rewriting-recorded"].contains(&point) {
            test.stop_at(point).kill();
        }
        assert_ended(&test, point, "Almindelig");
        assert!(published(&test) == expected.0, "{point}");
        let mut kinds = feed(&test);
        let mut wanted = expected.1.clone();
        // Both tenants make their deliveries at the same time, but each in its own order.
        for list in [&mut kinds, &mut wanted] {
            list.sort();
        }
        assert_eq!(kinds, wanted, "{point}");
        assert_quiet(&test, point);
    }
}

#[test]
fn killed_while_deliveries_are_removed() {
    for point in REMOVAL_POINTS {
        let test = TestRun::local();
        configure(&test, "[\"town\", \"other\"]");
        put(&test, 1);
        assert_eq!(test.sync().code, 0);
        let other = Handmade::new("431101", "20260302").resident(BERTA, "0265", "Birk");
        test.put("o2", &other.finish(), &transfer(2));
        assert_eq!(test.sync().code, 0);
        configure(&test, "[\"other\"]");
        for _ in 0..2 {
            test.stop_at(point).kill();
        }
        assert_ended(&test, point, "Almindelig");
        assert!(
            is_gone(&test.dataset_of("one").join("agreement=town")),
            "{point}"
        );
        let kinds: Vec<_> = feed(&test).into_iter().map(|(_, kind, _)| kind).collect();
        assert_eq!(kinds, ["expired", "new", "rewritten"], "{point}");
        assert_quiet(&test, point);
    }
}

fn is_gone(directory: &Path) -> bool {
    files(directory).is_empty()
}
