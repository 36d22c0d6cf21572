//! `cprflow subscription` as a process, when it removes filters: no filter is lost permanently, and only filters that are
//! in a snapshot are removed.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use cprflow_platform::{Agreement, Filter, ServiceFault};
use cprflow_tests::subscription_run::{SubscriptionRun, effects, numbers};
use serde_json::json;

/// 11:00 in Denmark, within the hours in which many calls are not made.
const PEAK: &str = "2026-11-24T10:00:00Z";
/// 08:59:40 in Denmark, shortly before these hours.
const BEFORE_PEAK: &str = "2026-11-24T07:59:40Z";
/// 17:00 in Denmark, after these hours.
const EVENING: &str = "2026-11-24T16:00:00Z";

/// Starts with a subscription to `count` persons.
fn of_numbers(count: usize) -> SubscriptionRun {
    let test = SubscriptionRun::new("pnr_file = \"numbers.txt\"");
    test.list(&numbers(count));
    test.ok(&["apply", "--yes", "--any-hour"]);
    test.platform.take_events();
    test
}

fn snapshots(test: &SubscriptionRun) -> Vec<PathBuf> {
    let directory = fs::read_dir(test.state().join("snapshots"));
    let entries = directory.into_iter().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// Changes the subscription from another machine.
fn somebody_else(test: &SubscriptionRun, arguments: &[&str]) {
    let elsewhere = test.path("elsewhere").display().to_string();
    test.ok(&[arguments, &["--yes", "--state", &elsewhere]].concat());
}

#[test]
fn a_reorder_removes_only_what_it_can_restore() {
    let test = of_numbers(101);
    // There is no time, or not enough time, before the peak hours.
    for (time, expected) in [
        (PEAK, "0 of 102 calls"),
        (BEFORE_PEAK, "102 calls take about 1 min"),
    ] {
        let ended = test.run_at(time, &["reorder", "--yes"]);
        assert_eq!(ended.code, 2, "{}", ended.stderr);
        assert!(ended.stderr.contains(expected), "{}", ended.stderr);
        assert!(!test.ok(&["list"]).contains("not finished"));
    }
    // The same holds for a reorder that has started and removed nothing yet.
    assert!(test.kill_at("reorder-begun", &["reorder", "--yes", "--any-hour"]));
    for time in [PEAK, BEFORE_PEAK] {
        let ended = test.run_at(time, &["reorder", "--yes"]);
        assert_eq!(ended.code, 2, "{}", ended.stderr);
        assert!(ended.stderr.contains("--any-hour"), "{}", ended.stderr);
    }
    assert_eq!(test.subscribed_numbers(), numbers(101));
    assert!(effects(&test.platform.take_events()).is_empty());
    let ended = test.run_at(EVENING, &["reorder", "--yes"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(test.subscribed_numbers(), numbers(101));
    assert_eq!(effects(&test.platform.take_events()).len(), 102);
}

#[test]
fn a_reorder_restores_at_any_hour() {
    for ending in ["reorder", "restore"] {
        let test = of_numbers(101);
        assert!(test.kill_at("reorder-removed-pnr", &["reorder", "--yes", "--any-hour"]));
        assert!(test.subscribed_numbers().is_empty());
        let ended = test.run_at(PEAK, &[ending, "--yes"]);
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        assert_eq!(test.subscribed_numbers(), numbers(101));
        assert!(!test.ok(&["list"]).contains("not finished"));
    }
}

#[test]
fn filters_added_meanwhile_are_not_removed() {
    for arguments in [
        &["remove", "municipality", "0265", "--yes"][..],
        &["clear", "municipality", "--yes"],
        &["apply", "--prune", "--yes"],
        &["reorder", "--yes"],
    ] {
        let test = SubscriptionRun::new("municipality_codes = [\"0101\"]");
        test.ok(&["add", "municipality", "0265", "0101", "--yes"]);
        test.platform.take_events();
        let ended = test.run_paused_at("looks-again", arguments, || {
            somebody_else(&test, &["add", "municipality", "0147"]);
        });
        assert_eq!(ended.code, 2, "{arguments:?}: {}", ended.stderr);
        assert!(
            ended
                .stderr
                .contains("the subscription has changed since it was shown"),
            "{}",
            ended.stderr
        );
        assert_eq!(test.filters().len(), 3, "{arguments:?}");
        assert_eq!(
            effects(&test.platform.take_events()).len(),
            1,
            "{arguments:?}"
        );
        assert!(snapshots(&test).is_empty());
        // No reorder was started.
        test.ok(arguments);
    }
}

#[test]
fn filters_added_during_a_reorder_are_restored() {
    let late = |test: &SubscriptionRun| {
        fs::write(test.path("late.txt"), "3113000009\n").unwrap();
        let list = test.path("late.txt").display().to_string();
        somebody_else(test, &["add", "pnr", &list]);
    };
    let expected: BTreeSet<_> = numbers(3)
        .into_iter()
        .chain(["3113000009".to_owned()])
        .collect();
    // Filters are added before the reorder is completed,
    let test = of_numbers(3);
    assert!(test.kill_at("reorder-begun", &["reorder", "--yes"]));
    late(&test);
    test.ok(&["reorder", "--yes"]);
    assert_eq!(BTreeSet::from_iter(test.subscribed_numbers()), expected);
    // and while it runs.
    let test = of_numbers(3);
    let ended = test.run_paused_at("reorder-looks-pnr", &["reorder", "--yes"], || late(&test));
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(BTreeSet::from_iter(test.subscribed_numbers()), expected);
    let added = effects(&test.platform.take_events());
    assert_eq!(added["ADDED 3113000009"], 2, "{added:?}");
}

#[test]
fn filters_that_cannot_be_restored_are_not_removed() {
    let place = tempfile::tempdir().unwrap();
    let state = place.path().join("state.json");
    let memory = json!({
        "filters": [[{ "change-code": "a01" }, true], [{ "municipality-code": 265 }, true],
            [{ "age-range": { "start": 17, "end": 0 } }, true], [{ "municipality-code": 0 }, true]],
        "covered": [], "backlog": [], "previous": null, "last_name": null,
    });
    let book = json!([0, [[Agreement::from_seed(1, 0).uuid, memory]]]);
    fs::write(&state, serde_json::to_vec(&book).unwrap()).unwrap();
    let test = SubscriptionRun::with("municipality_codes = [\"0265\"]", |options| {
        options.state_file = Some(state);
    });
    assert!(test.ok(&["list"]).contains("3 more filters"));
    for arguments in [
        &["reorder", "--yes"][..],
        &["clear", "municipality", "--yes"],
        &["remove", "municipality", "0265", "--yes"],
        &["apply", "--prune", "--yes"],
    ] {
        let said = test.refused(arguments);
        assert!(
            said.contains("cprflow cannot read 3 filters of the subscription"),
            "{said}"
        );
    }
    assert!(effects(&test.platform.take_events()).is_empty());
    assert!(!test.ok(&["list"]).contains("not finished"));
    // The missing filters can still be added.
    test.ok(&["add", "municipality", "0101", "--yes"]);
}

#[test]
fn another_snapshot_does_not_complete_a_reorder() {
    let test = SubscriptionRun::new("");
    test.ok(&["add", "municipality", "0265", "--yes"]);
    let said = test.ok(&["remove", "municipality", "0265", "--yes"]);
    let other = snapshots(&test).pop().unwrap();
    let told = format!(
        "saved a snapshot of the current filters: {}",
        other.display()
    );
    assert!(said.contains(&told), "{said}");
    test.list(&numbers(3));
    let list = test.path("numbers.txt").display().to_string();
    test.ok(&["add", "pnr", &list, "--yes"]);
    assert!(test.kill_at("reorder-removed-pnr", &["reorder", "--yes"]));
    let other = other.display().to_string();
    let ended = test.run(&["restore", "--snapshot", &other, "--yes"]);
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert!(
        ended.stderr.contains("3 of its filters are missing"),
        "{}",
        ended.stderr
    );
    assert!(
        ended
            .text()
            .contains("named with --snapshot, 2 snapshots are kept")
    );
    assert_eq!(test.filters(), [Filter::MunicipalityCode(265)]);
    let said = test.ok(&["restore", "--yes"]);
    assert!(said.contains("before the unfinished reorder"), "{said}");
    assert!(said.contains("not in the snapshot"), "{said}");
    assert_eq!(test.subscribed_numbers(), numbers(3));
    assert!(!test.ok(&["list"]).contains("not finished"));
}

#[test]
fn a_reorder_that_removes_nothing_fails() {
    let test = of_numbers(3);
    test.platform
        .arm_for_changes(&ServiceFault::NotCarriedOut, 1);
    let said = test.refused(&["reorder", "--yes"]);
    assert!(
        said.contains("3 person numbers are still in the subscription"),
        "{said}"
    );
    assert_eq!(test.subscribed_numbers(), numbers(3));
    test.ok(&["reorder", "--yes"]);
    assert_eq!(test.subscribed_numbers(), numbers(3));
    assert_eq!(effects(&test.platform.take_events()).len(), 4);
    // An unknown result is reported. The list shows that all filters are present.
    test.platform
        .arm_for_changes(&ServiceFault::UnknownResult, 1);
    let ended = test.run(&["reorder", "--yes"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(ended.stderr.contains("POSTPONED"), "{}", ended.stderr);
    assert_eq!(test.subscribed_numbers(), numbers(3));
}

#[test]
fn prunes_only_after_all_additions_succeeded() {
    let test = of_numbers(3);
    test.list(&["3113000009".to_owned()]);
    let prune = &["apply", "--prune", "--max-removals", "3", "--yes"];
    test.platform
        .arm_for_changes(&ServiceFault::NotCarriedOut, 1);
    let ended = test.run(prune);
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert!(
        ended.stderr.contains("nothing was removed"),
        "{}",
        ended.stderr
    );
    assert_eq!(test.subscribed_numbers(), numbers(3));
    test.ok(prune);
    assert_eq!(test.subscribed_numbers(), ["3113000009"]);
}

#[test]
fn a_list_without_most_of_its_numbers_must_be_confirmed() {
    let test = of_numbers(10);
    test.list(&numbers(4));
    let said = test.refused(&["apply", "--prune", "--yes"]);
    assert!(said.contains("6 of 10 person numbers"), "{said}");
    assert!(said.contains("--max-removals 6"), "{said}");
    assert_eq!(test.subscribed_numbers(), numbers(10));
    test.list(&numbers(5));
    test.ok(&["apply", "--prune", "--yes"]);
    test.list(&numbers(1));
    test.ok(&["apply", "--prune", "--max-removals", "4", "--yes"]);
    assert_eq!(test.subscribed_numbers(), numbers(1));
}

#[test]
fn the_list_of_filters_decides_after_an_unknown_result() {
    let test = SubscriptionRun::new("");
    for arguments in [
        &["add", "municipality", "0265", "--yes"][..],
        &["remove", "municipality", "0265", "--yes"],
    ] {
        test.platform
            .arm_for_changes(&ServiceFault::UnknownResult, 1);
        let ended = test.run(arguments);
        assert_eq!(ended.code, 0, "{arguments:?}: {}", ended.stderr);
        assert!(ended.stderr.contains("POSTPONED"), "{}", ended.stderr);
    }
    // The filters are checked after the unknown result.
    test.platform
        .arm_for_changes(&ServiceFault::NotCarriedOut, 1);
    let ended = test.run(&["add", "municipality", "0265", "--yes"]);
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert!(
        ended.stderr.contains("1 filters are not as requested"),
        "{}",
        ended.stderr
    );
}

#[test]
fn an_interrupted_list_continues() {
    let test = SubscriptionRun::new("");
    test.list(&numbers(4));
    let list = test.path("numbers.txt").display().to_string();
    let add = &["add", "pnr", &list, "--yes"];
    assert!(test.kill_at("before-call-3", add));
    let said = test.ok(add);
    assert!(
        said.contains("+ 2 numbers    orders an initial load"),
        "{said}"
    );
    assert!(said.contains("2 unchanged"), "{said}");
    assert!(said.contains("2 added, 2 already present"), "{said}");
    // The audit log has two lines for each added filter, and one for the filter that was not added.
    assert_eq!(test.audit().len(), 2 * 4 + 1);
    let said = test.ok(add);
    assert!(!said.contains("initial load"), "{said}");
    assert!(said.contains("4 already present"), "{said}");
}

#[test]
fn removals_killed_at_every_call_keep_a_snapshot() {
    for command in ["remove", "apply"] {
        for call in 1..=2 {
            for point in [format!("before-call-{call}"), format!("after-call-{call}")] {
                let test = of_numbers(4);
                test.list(&numbers(2));
                let gone = test.path("gone.txt").display().to_string();
                fs::write(&gone, numbers(4)[2..].join("\n") + "\n").unwrap();
                let arguments = match command {
                    "remove" => vec!["remove", "pnr", &gone, "--yes"],
                    _ => vec!["apply", "--prune", "--yes"],
                };
                assert!(test.kill_at(&point, &arguments), "{command} {point}");
                let first = snapshots(&test).pop().unwrap().display().to_string();
                test.ok(&arguments);
                assert_eq!(test.subscribed_numbers(), numbers(2), "{command} {point}");
                let removed = effects(&test.platform.take_events());
                assert!(removed.values().all(|times| *times == 1), "{removed:?}");
                // A killed restore keeps the filters that it has restored.
                let restore = &["restore", "--snapshot", &first, "--yes"];
                assert!(test.kill_at("after-call-1", restore));
                assert_eq!(test.subscribed_numbers().len(), 3);
                test.ok(restore);
                assert_eq!(test.subscribed_numbers(), numbers(4), "{command} {point}");
                let added = effects(&test.platform.take_events());
                assert!(added.values().all(|times| *times == 1), "{added:?}");
            }
        }
    }
}

#[test]
fn a_killed_reorder_of_both_kinds_orders_one_full_load() {
    for (point, is_removed) in [
        ("reorder-begun", false),
        ("before-call-1", false),
        ("after-call-1", false),
        ("reorder-removed-municipality", false),
        ("after-call-2", false),
        ("reorder-looks-pnr", false),
        ("after-call-3", false),
        ("reorder-removed-pnr", true),
        ("before-call-5", true),
        ("reorder-done", true),
    ] {
        let test = of_numbers(2);
        test.ok(&["add", "municipality", "0265", "--yes"]);
        test.platform.take_events();
        assert!(test.kill_at(point, &["reorder", "--yes"]), "{point}");
        // The remaining calls of the reorder are reported.
        let said = test.ok(&["reorder", "--dry-run"]);
        assert!(
            said.contains("the previous reorder was not finished"),
            "{said}"
        );
        assert!(
            said.contains("delivers all data of the persons that these filters cover"),
            "{said}"
        );
        let removes = said.contains("<sub:FilterGroup>PNR");
        assert_eq!(removes, !is_removed, "{point}: {said}");
        test.ok(&["reorder", "--yes"]);
        assert_eq!(test.subscribed_numbers(), numbers(2), "{point}");
        assert_eq!(test.filters().len(), 3, "{point}");
        let effects = effects(&test.platform.take_events());
        for what in [
            "3113000001",
            "3113000002",
            "AddMunicipalityCodeSubscription",
        ] {
            assert_eq!(effects[&format!("ADDED {what}")], 1, "{point}: {effects:?}");
        }
        assert!(!test.ok(&["list"]).contains("not finished"), "{point}");
    }
}
