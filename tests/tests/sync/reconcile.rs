//! The comparison of the register with a new full load.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::fs;

use cprflow_tests::command::CommandOutput;
use cprflow_tests::handmade::Handmade;
use cprflow_tests::test_run::{TestRun, tables, transfer};

use crate::register_state::{
    ALICE, BERTA, CARLA, OLD_ALICE, configure, mode, night, put, three_nights, write,
};

#[test]
fn lists_who_is_not_in_a_new_full_load() {
    let test = TestRun::local();
    configure(&test, "forever");
    three_nights(&test);
    let since = ["town", "--since", "2026-03-10"];
    let compare = || write(&test, "reconcile", &since, "not-seen.txt").0;
    let refused = compare();
    assert_eq!(refused.code, 2);
    assert!(
        refused
            .stderr
            .contains("no full load of agreement town has come"),
        "{}",
        refused.stderr
    );
    put(
        &test,
        4,
        "2026-03-10T08:00:00Z",
        night("20260310").resident(ALICE, "0265", "Ask"),
    );
    let refused = compare();
    assert_eq!(refused.code, 2);
    assert!(
        refused.stderr.contains("looks like a part of a full load"),
        "{}",
        refused.stderr
    );
    assert!(!test.path("not-seen.txt").exists());
    let event = |pnr| {
        [
            ("pnr", pnr),
            ("registered", "202603110000"),
            ("event_code", "A01"),
        ]
    };
    let change = night("20260311")
        .resident(ALICE, "0265", "Ask")
        .record("099", &event(ALICE));
    put(&test, 5, "2026-03-11T08:00:00Z", change);
    let found = compare();
    assert_eq!(found.code, 1, "{}", found.stderr);
    assert!(found.stderr.contains("1 of 2 persons"), "{}", found.stderr);
    let path = test.path("not-seen.txt");
    assert_eq!(fs::read_to_string(&path).unwrap(), format!("{BERTA}\n"));
    assert_eq!(mode(&path.display().to_string()), 0o600);
    // Nothing is removed.
    assert_eq!(tables(&test.dataset().join("current"))["person"].len(), 2);
}

/// CPR delivers a person under the valid number only, so a full load never has the former ones.
#[test]
fn a_former_number_of_a_delivered_person_is_not_missing_in_a_full_load() {
    const BEFORE: &str = "0101010053";
    const LONG_BEFORE: &str = "0101010061";
    const OLD_CARLA: &str = "0101010088";
    let replaced = |pnr, by| [("pnr", pnr), ("status", "60"), ("current_pnr", by)];
    let tie = [("pnr", BERTA), ("former_pnr", BEFORE)];
    let test = TestRun::local();
    configure(&test, "forever");
    let first = night("20260302")
        .resident(ALICE, "0265", "Almindelig")
        .record("001", &replaced(OLD_ALICE, ALICE))
        .resident(BERTA, "0265", "Birk")
        .record("022", &tie)
        .resident(BEFORE, "0265", "Birk")
        .record("001", &replaced(LONG_BEFORE, BEFORE))
        .resident(CARLA, "0265", "Carlsen")
        .record("001", &replaced(OLD_CARLA, CARLA));
    put(&test, 1, "2026-03-02T08:00:00Z", first);
    // The load has neither number of Carla.
    let load = night("20260310")
        .resident(ALICE, "0265", "Ask")
        .resident(BERTA, "0265", "Birk")
        .record("022", &tie);
    put(&test, 2, "2026-03-10T08:00:00Z", load);
    let change = night("20260311").record(
        "099",
        &[
            ("pnr", ALICE),
            ("registered", "202603110000"),
            ("event_code", "A01"),
        ],
    );
    put(&test, 3, "2026-03-11T08:00:00Z", change);
    let since = ["town", "--since", "2026-03-10"];
    let (found, path) = write(&test, "reconcile", &since, "not-seen.txt");
    assert_eq!(found.code, 1, "{}", found.stderr);
    for told in ["2 of 7 persons", "3 more numbers are not listed"] {
        assert!(found.stderr.contains(told), "{told}: {}", found.stderr);
    }
    assert_eq!(
        fs::read_to_string(path).unwrap(),
        format!("{CARLA}\n{OLD_CARLA}\n")
    );
}

/// Returns an extract that declares one record more than it has.
fn short(extract: Handmade) -> Vec<u8> {
    let mut bytes = extract.clone().finish();
    let end = extract.line(b"").finish();
    let start = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        text.rfind("\n999").unwrap() + 1
    };
    bytes.truncate(start(&bytes));
    bytes.extend_from_slice(&end[start(&end)..]);
    bytes
}

/// The second part of a full load was set aside. Its person was delivered, and must not be in a list for `erase`.
#[test]
fn a_delivery_that_is_not_published_stops_the_comparison() {
    let test = TestRun::local();
    configure(&test, "forever");
    three_nights(&test);
    put(
        &test,
        4,
        "2026-03-10T08:00:00Z",
        night("20260310").resident(ALICE, "0265", "Ask"),
    );
    let second = short(night("20260311").resident(BERTA, "0101", "Birk"));
    test.set_time("2026-03-11T08:00:00Z");
    test.put("n5", &second, &transfer(5));
    let ended = test.sync();
    let told = format!("{}{}", ended.stderr, ended.text());
    assert!(told.contains("count-mismatch"), "{told}");
    let event = [
        ("pnr", ALICE),
        ("registered", "202603120000"),
        ("event_code", "A01"),
    ];
    test.set_time("2026-03-12T08:00:00Z");
    let third = night("20260312").record("099", &event);
    test.put("n6", &third.finish(), &transfer(6));
    let ended = test.sync();
    assert!(ended.code < 2, "{}{}", ended.stderr, ended.text());
    let compare = |since: &str| -> CommandOutput {
        write(
            &test,
            "reconcile",
            &["town", "--since", since],
            "not-seen.txt",
        )
        .0
    };
    let refused = compare("2026-03-10");
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    let transfer = transfer(5);
    for told in [
        "1 deliveries of agreement town since 2026-03-10 are not published".to_owned(),
        format!("run `cprflow retry {transfer}`"),
        format!("`cprflow set-aside {transfer} --reason TEXT`"),
    ] {
        assert!(refused.stderr.contains(&told), "{told}: {}", refused.stderr);
    }
    assert!(!test.path("not-seen.txt").exists());
    // The day of the delivery counts. Later, another reason stops the comparison.
    let later = compare("2026-03-12");
    assert_eq!(later.code, 2, "{}", later.stderr);
    assert!(
        later.stderr.contains("no full load of agreement town"),
        "{}",
        later.stderr
    );
    // A person decides that it stays out.
    let decided = ["n5", "--reason", "wrong"];
    assert_eq!(test.run("set-aside", &decided).code, 0);
    let listed = compare("2026-03-10");
    assert_eq!(listed.code, 1, "{}", listed.stderr);
    for told in [
        "1 of 2 persons",
        "1 deliveries since 2026-03-10 were set aside by a person",
    ] {
        assert!(listed.stderr.contains(told), "{told}: {}", listed.stderr);
    }
    // Or the delivery is published.
    let accept = ["n5", "--accept", "count-mismatch"];
    // The tenants' current tables stop: see docs/register.md.
    test.run("retry", &accept);
    let found = compare("2026-03-10");
    assert_eq!(found.code, 0, "{}", found.stderr);
    assert!(found.stderr.contains("0 of 2 persons"), "{}", found.stderr);
    assert!(!found.stderr.contains("set aside"), "{}", found.stderr);
}
