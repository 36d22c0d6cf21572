//! Retention: directories of deliveries, and extracts whose records were replaced.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::fs;

use cprflow_tests::handmade::Handmade;
use cprflow_tests::reference_reader::Tables;
use cprflow_tests::test_run::{TestRun, files, tables, transfer};
use serde_json::Value;

const ALICE: &str = "0101010010";
const BERTA: &str = "0101010029";
const CARLA: &str = "0101010037";

fn put(test: &TestRun, number: u32, time: &str, extract: Handmade) {
    test.set_time(time);
    test.put(&format!("n{number}"), &extract.finish(), &transfer(number));
    let ended = test.sync();
    assert!(ended.code < 2, "{}{}", ended.stderr, ended.text());
}

fn configure(test: &TestRun, keep: &str) {
    test.configure(&format!(
        "keep_deliveries = \"{keep}\"\n[agreement.town]\ninbox = \"inbox\"\nunrestricted = \"test\"\n[tenant.one]\n\
         agreements = [\"town\"]\npurpose = \"test\"\ndataset = \"tenants/one\"\n"
    ));
}

/// Three nights: Alice is replaced in the second, and Carla died long ago.
fn three_nights(test: &TestRun) {
    let night = |date: &str| Handmade::new("431101", date);
    let first = night("20250101").resident(ALICE, "0265", "Almindelig");
    let first = first.resident(BERTA, "0265", "Birk").record(
        "001",
        &[
            ("pnr", CARLA),
            ("status", "90"),
            ("status_start", "202401010000"),
        ],
    );
    put(test, 1, "2025-01-01T08:00:00Z", first);
    let second = night("20250102").resident(ALICE, "0101", "Ask");
    put(test, 2, "2025-01-02T08:00:00Z", second);
    let late = night("20241231").resident(BERTA, "0265", "Bro");
    put(test, 3, "2025-01-03T08:00:00Z", late);
}

fn current(test: &TestRun) -> Tables {
    tables(&test.dataset().join("current"))
}

fn json(test: &TestRun, subcommand: &str, more: &[&str]) -> Value {
    let ended = test.run(subcommand, &[more, &["--format", "json"]].concat());
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    serde_json::from_str(ended.text()).unwrap()
}

#[test]
fn lists_the_deliveries_since_a_number() {
    let test = TestRun::local();
    configure(&test, "forever");
    three_nights(&test);
    let listed = |more: &[&str]| {
        let all = json(&test, "deliveries", more);
        let entries = all.as_array().unwrap().iter();
        let entry = |entry: &Value| {
            let number = |key: &str| entry[key].as_u64().unwrap();
            let kind = entry["kind"].as_str().unwrap().to_owned();
            (number("sequence"), kind, number("place"))
        };
        entries.map(entry).collect::<Vec<_>>()
    };
    let new = |sequence, place| (sequence, "new".to_owned(), place);
    let late = (3, "late".to_owned(), 1);
    assert_eq!(listed(&[]), [new(1, 2), new(2, 3), late.clone()]);
    assert_eq!(listed(&["--since", "1"]), [new(2, 3), late.clone()]);
    assert_eq!(listed(&["--since", "3"]), []);
    assert_eq!(listed(&["--tenant", "one", "--since", "2"]), [late]);
}

#[test]
fn removes_what_was_kept_long_enough() {
    let test = TestRun::local();
    configure(&test, "90d");
    three_nights(&test);
    let before = current(&test);
    assert_eq!(before["person"].len(), 3);
    let kept = || files(&test.path("state/register")).len();
    test.set_time("2025-04-30T08:00:00Z");
    let due = json(&test, "expire", &[]);
    assert_eq!(due[0]["deliveries"].as_array().unwrap().len(), 6);
    assert_eq!(due[0]["extracts"].as_array().unwrap().len(), 3);
    assert_eq!(test.published().len(), 3, "nothing is done without --yes");
    let done = json(&test, "expire", &["--yes"]);
    let left_out: Vec<_> = done[0]["compacted"].as_array().unwrap().iter().collect();
    assert_eq!(left_out.len(), 3);
    assert!(test.published().is_empty() && test.published_to("one").is_empty());
    assert_eq!(kept(), 3);
    let ended = test.sync();
    assert!(ended.code < 2, "{}{}", ended.stderr, ended.text());
    // Everybody is as before, also Carla, who died long ago.
    let after = current(&test);
    assert_eq!(after, before);
    for status in [test.run("status", &["--deep"]), test.run("status", &[])] {
        assert!(
            !status.text().contains("is missing or changed"),
            "{}",
            status.text()
        );
        assert!(
            !status.text().contains("are gone or were changed"),
            "{}",
            status.text()
        );
    }
    assert_eq!(json(&test, "deliveries", &[])[0]["kind"], "expired");
    assert_eq!(
        json(&test, "expire", &[])[0]["extracts"]
            .as_array()
            .unwrap()
            .len(),
        0
    );
    // A lost ledger is made again from the register alone.
    test.remove_ledger();
    fs::remove_dir_all(test.dataset().join("generations")).unwrap();
    let ended = test.sync();
    assert!(ended.code < 2, "{}{}", ended.stderr, ended.text());
    assert_eq!(current(&test)["name"], after["name"]);
    assert_eq!(kept(), 3);
}

#[test]
fn killed_while_it_removes() {
    for point in [
        "expired",
        "expired-removed",
        "compacted",
        "compacted-recorded",
    ] {
        let test = TestRun::local();
        configure(&test, "90d");
        three_nights(&test);
        let before = current(&test);
        test.set_time("2025-04-30T08:00:00Z");
        test.stop_command_at("expire", &["--yes"], point).kill();
        // The clock has moved by more than a month.
        let ended = test.run("sync", &["--accept-clock"]);
        assert!(ended.code < 2, "{point}: {}{}", ended.stderr, ended.text());
        assert!(test.published().is_empty(), "{point}");
        assert!(test.published_to("one").is_empty(), "{point}");
        assert_eq!(files(&test.path("state/register")).len(), 3, "{point}");
        assert_eq!(test.sync().code, ended.code);
        assert_eq!(current(&test)["name"], before["name"], "{point}");
        let status = test.run("status", &["--deep"]);
        assert!(
            !status.text().contains("were changed") && !status.text().contains("or changed"),
            "{point}: {}",
            status.text()
        );
    }
}
