//! `cprflow subscription` as a process, where it removes: whatever happens, nobody is left out for good, and nothing
//! goes that was not seen and kept.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use cprflow_platform::{Agreement, Fault, Filter};
use cprflow_tests::steering::{Trial, effects, numbers};
use serde_json::json;

/// 11:00 in Denmark, when many calls are not made; a minute to that; and an hour after it.
const PEAK: &str = "2026-11-24T10:00:00Z";
const BEFORE_PEAK: &str = "2026-11-24T07:59:40Z";
const EVENING: &str = "2026-11-24T16:00:00Z";

/// A subscription to so many persons.
fn of_numbers(count: usize) -> Trial {
    let trial = Trial::new("pnr_file = \"numbers.txt\"");
    trial.list(&numbers(count));
    trial.ok(&["apply", "--yes", "--any-hour"]);
    trial.platform.seen();
    trial
}

fn snapshots(trial: &Trial) -> Vec<PathBuf> {
    let directory = fs::read_dir(trial.state().join("snapshots"));
    let entries = directory.into_iter().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// Somebody else changes the subscription, from another machine.
fn somebody_else(trial: &Trial, arguments: &[&str]) {
    let elsewhere = trial.path("elsewhere").display().to_string();
    trial.ok(&[arguments, &["--yes", "--state", &elsewhere]].concat());
}

#[test]
fn a_reorder_empties_nothing_that_it_could_not_fill_again() {
    let trial = of_numbers(101);
    // There is no time for it, or not enough.
    for (time, expected) in [
        (PEAK, "0 of 102 calls"),
        (BEFORE_PEAK, "102 calls take about 1 min"),
    ] {
        let ended = trial.run_at(time, &["reorder", "--yes"]);
        assert_eq!(ended.code, 2, "{}", ended.stderr);
        assert!(ended.stderr.contains(expected), "{}", ended.stderr);
        assert!(!trial.ok(&["list"]).contains("not finished"));
    }
    // The same where it was begun, and nothing is removed yet.
    assert!(trial.kill_at("reorder-begun", &["reorder", "--yes", "--any-hour"]));
    for time in [PEAK, BEFORE_PEAK] {
        let ended = trial.run_at(time, &["reorder", "--yes"]);
        assert_eq!(ended.code, 2, "{}", ended.stderr);
        assert!(ended.stderr.contains("--any-hour"), "{}", ended.stderr);
    }
    assert_eq!(trial.held(), numbers(101));
    assert!(effects(&trial.platform.seen()).is_empty());
    let ended = trial.run_at(EVENING, &["reorder", "--yes"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(trial.held(), numbers(101));
    assert_eq!(effects(&trial.platform.seen()).len(), 102);
}

#[test]
fn what_a_reorder_has_removed_comes_back_at_any_hour() {
    for ending in ["reorder", "restore"] {
        let trial = of_numbers(101);
        assert!(trial.kill_at("reorder-removed-pnr", &["reorder", "--yes", "--any-hour"]));
        assert!(trial.held().is_empty());
        let ended = trial.run_at(PEAK, &[ending, "--yes"]);
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        assert_eq!(trial.held(), numbers(101));
        assert!(!trial.ok(&["list"]).contains("not finished"));
    }
}

#[test]
fn what_was_added_meanwhile_is_not_removed() {
    for arguments in [
        &["remove", "municipality", "0265", "--yes"][..],
        &["clear", "municipality", "--yes"],
        &["apply", "--prune", "--yes"],
        &["reorder", "--yes"],
    ] {
        let trial = Trial::new("municipality_codes = [\"0101\"]");
        trial.ok(&["add", "municipality", "0265", "0101", "--yes"]);
        trial.platform.seen();
        let ended = trial.meanwhile("looks-again", arguments, || {
            somebody_else(&trial, &["add", "municipality", "0147"]);
        });
        assert_eq!(ended.code, 2, "{arguments:?}: {}", ended.stderr);
        assert!(
            ended.stderr.contains("no longer what was shown"),
            "{}",
            ended.stderr
        );
        assert_eq!(trial.filters().len(), 3, "{arguments:?}");
        assert_eq!(effects(&trial.platform.seen()).len(), 1, "{arguments:?}");
        assert!(snapshots(&trial).is_empty());
        // Nothing was begun.
        trial.ok(arguments);
    }
}

#[test]
fn what_is_added_in_the_middle_of_a_reorder_comes_back_with_the_rest() {
    let late = |trial: &Trial| {
        fs::write(trial.path("late.txt"), "3113000009\n").unwrap();
        let list = trial.path("late.txt").display().to_string();
        somebody_else(trial, &["add", "pnr", &list]);
    };
    let expected: BTreeSet<_> = numbers(3)
        .into_iter()
        .chain(["3113000009".to_owned()])
        .collect();
    // Before it is finished,
    let trial = of_numbers(3);
    assert!(trial.kill_at("reorder-begun", &["reorder", "--yes"]));
    late(&trial);
    trial.ok(&["reorder", "--yes"]);
    assert_eq!(BTreeSet::from_iter(trial.held()), expected);
    // and while it works.
    let trial = of_numbers(3);
    let ended = trial.meanwhile("reorder-looks-pnr", &["reorder", "--yes"], || late(&trial));
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(BTreeSet::from_iter(trial.held()), expected);
    let added = effects(&trial.platform.seen());
    assert_eq!(added["ADDED 3113000009"], 2, "{added:?}");
}

#[test]
fn what_could_not_be_put_back_is_not_removed() {
    let place = tempfile::tempdir().unwrap();
    let state = place.path().join("state.json");
    let memory = json!({
        "filters": [[{ "change-code": "a01" }, true], [{ "municipality-code": 265 }, true],
            [{ "age-range": { "start": 17, "end": 0 } }, true], [{ "municipality-code": 0 }, true]],
        "covered": [], "backlog": [], "previous": null, "last_name": null,
    });
    let book = json!([0, [[Agreement::of_seed(1, 0).uuid, memory]]]);
    fs::write(&state, serde_json::to_vec(&book).unwrap()).unwrap();
    let trial = Trial::with("municipality_codes = [\"0265\"]", |options| {
        options.state = Some(state);
    });
    assert!(trial.ok(&["list"]).contains("3 filters more"));
    for arguments in [
        &["reorder", "--yes"][..],
        &["clear", "municipality", "--yes"],
        &["remove", "municipality", "0265", "--yes"],
        &["apply", "--prune", "--yes"],
    ] {
        let said = trial.refused(arguments);
        assert!(
            said.contains("3 filters that cprflow cannot read"),
            "{said}"
        );
    }
    assert!(effects(&trial.platform.seen()).is_empty());
    assert!(!trial.ok(&["list"]).contains("not finished"));
    // What is missing can still be added.
    trial.ok(&["add", "municipality", "0101", "--yes"]);
}

#[test]
fn another_snapshot_does_not_end_a_reorder() {
    let trial = Trial::new("");
    trial.ok(&["add", "municipality", "0265", "--yes"]);
    let said = trial.ok(&["remove", "municipality", "0265", "--yes"]);
    let other = snapshots(&trial).pop().unwrap();
    let told = format!("what is there is kept in {}", other.display());
    assert!(said.contains(&told), "{said}");
    trial.list(&numbers(3));
    let list = trial.path("numbers.txt").display().to_string();
    trial.ok(&["add", "pnr", &list, "--yes"]);
    assert!(trial.kill_at("reorder-removed-pnr", &["reorder", "--yes"]));
    let other = other.display().to_string();
    let ended = trial.run(&["restore", "--snapshot", &other, "--yes"]);
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert!(
        ended
            .stderr
            .contains("3 filters that it removes are missing"),
        "{}",
        ended.stderr
    );
    assert!(ended.text().contains("the one that was named of 2"));
    assert_eq!(trial.filters(), [Filter::MunicipalityCode(265)]);
    let said = trial.ok(&["restore", "--yes"]);
    assert!(said.contains("before the unfinished reorder"), "{said}");
    assert!(said.contains("not in the snapshot"), "{said}");
    assert_eq!(trial.held(), numbers(3));
    assert!(!trial.ok(&["list"]).contains("not finished"));
}

#[test]
fn a_reorder_that_removes_nothing_is_no_success() {
    let trial = of_numbers(3);
    trial.platform.arm_at_changes(&Fault::NotCarriedOut, 1);
    let said = trial.refused(&["reorder", "--yes"]);
    assert!(
        said.contains("3 of person numbers are still there"),
        "{said}"
    );
    assert_eq!(trial.held(), numbers(3));
    trial.ok(&["reorder", "--yes"]);
    assert_eq!(trial.held(), numbers(3));
    assert_eq!(effects(&trial.platform.seen()).len(), 4);
    // A word that nobody knows is told, though all is as it should be.
    trial.platform.arm_at_changes(&Fault::UnknownResult, 1);
    let ended = trial.run(&["reorder", "--yes"]);
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert!(ended.stderr.contains("POSTPONED"), "{}", ended.stderr);
    assert_eq!(trial.held(), numbers(3));
}

#[test]
fn nothing_is_pruned_before_all_is_there_that_should_be() {
    let trial = of_numbers(3);
    trial.list(&["3113000009".to_owned()]);
    let prune = &["apply", "--prune", "--max-removals", "3", "--yes"];
    trial.platform.arm_at_changes(&Fault::NotCarriedOut, 1);
    let ended = trial.run(prune);
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert!(
        ended.stderr.contains("nothing was removed"),
        "{}",
        ended.stderr
    );
    assert_eq!(trial.held(), numbers(3));
    trial.ok(prune);
    assert_eq!(trial.held(), ["3113000009"]);
}

#[test]
fn a_list_that_lacks_most_of_its_numbers_has_to_be_meant() {
    let trial = of_numbers(10);
    trial.list(&numbers(4));
    let said = trial.refused(&["apply", "--prune", "--yes"]);
    assert!(said.contains("6 of 10 person numbers"), "{said}");
    assert!(said.contains("--max-removals 6"), "{said}");
    assert_eq!(trial.held(), numbers(10));
    trial.list(&numbers(5));
    trial.ok(&["apply", "--prune", "--yes"]);
    trial.list(&numbers(1));
    trial.ok(&["apply", "--prune", "--max-removals", "4", "--yes"]);
    assert_eq!(trial.held(), numbers(1));
}

#[test]
fn an_unknown_word_is_a_finding() {
    let trial = Trial::new("");
    for arguments in [
        &["add", "municipality", "0265", "--yes"][..],
        &["remove", "municipality", "0265", "--yes"],
    ] {
        trial.platform.arm_at_changes(&Fault::UnknownResult, 1);
        let ended = trial.run(arguments);
        assert_eq!(ended.code, 1, "{arguments:?}: {}", ended.stderr);
        assert!(ended.stderr.contains("POSTPONED"), "{}", ended.stderr);
    }
    // What was answered is looked after.
    trial.platform.arm_at_changes(&Fault::NotCarriedOut, 1);
    let ended = trial.run(&["add", "municipality", "0265", "--yes"]);
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert!(
        ended.stderr.contains("1 filters are still not"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_list_that_was_cut_off_goes_on_where_it_ended() {
    let trial = Trial::new("");
    trial.list(&numbers(4));
    let list = trial.path("numbers.txt").display().to_string();
    let add = &["add", "pnr", &list, "--yes"];
    assert!(trial.kill_at("before-call-3", add));
    let said = trial.ok(add);
    assert!(said.contains("+ 2 numbers    a full load"), "{said}");
    assert!(said.contains("2 as they should be"), "{said}");
    assert!(said.contains("2 added, 2 there already"), "{said}");
    // Two lines for each that was added, and one for that which was not.
    assert_eq!(trial.audit().len(), 2 * 4 + 1);
    let said = trial.ok(add);
    assert!(!said.contains("a full load"), "{said}");
    assert!(said.contains("4 there already"), "{said}");
}

#[test]
fn removals_are_killed_at_every_call_and_what_was_there_is_known() {
    for command in ["remove", "apply"] {
        for call in 1..=2 {
            for point in [format!("before-call-{call}"), format!("after-call-{call}")] {
                let trial = of_numbers(4);
                trial.list(&numbers(2));
                let gone = trial.path("gone.txt").display().to_string();
                fs::write(&gone, numbers(4)[2..].join("\n") + "\n").unwrap();
                let arguments = match command {
                    "remove" => vec!["remove", "pnr", &gone, "--yes"],
                    _ => vec!["apply", "--prune", "--yes"],
                };
                assert!(trial.kill_at(&point, &arguments), "{command} {point}");
                let first = snapshots(&trial).pop().unwrap().display().to_string();
                trial.ok(&arguments);
                assert_eq!(trial.held(), numbers(2), "{command} {point}");
                let removed = effects(&trial.platform.seen());
                assert!(removed.values().all(|times| *times == 1), "{removed:?}");
                // Also a restore that is killed leaves all that it has put back.
                let restore = &["restore", "--snapshot", &first, "--yes"];
                assert!(trial.kill_at("after-call-1", restore));
                assert_eq!(trial.held().len(), 3);
                trial.ok(restore);
                assert_eq!(trial.held(), numbers(4), "{command} {point}");
                let added = effects(&trial.platform.seen());
                assert!(added.values().all(|times| *times == 1), "{added:?}");
            }
        }
    }
}

#[test]
fn a_reorder_of_both_kinds_is_killed_and_orders_one_full_load() {
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
        let trial = of_numbers(2);
        trial.ok(&["add", "municipality", "0265", "--yes"]);
        trial.platform.seen();
        assert!(trial.kill_at(point, &["reorder", "--yes"]), "{point}");
        // What is left of it is told, with its calls.
        let said = trial.ok(&["reorder", "--dry-run"]);
        assert!(said.contains("begun and not finished"), "{said}");
        assert!(
            said.contains("delivers everything about everybody"),
            "{said}"
        );
        let removes = said.contains("<sub:FilterGroup>PNR");
        assert_eq!(removes, !is_removed, "{point}: {said}");
        trial.ok(&["reorder", "--yes"]);
        assert_eq!(trial.held(), numbers(2), "{point}");
        assert_eq!(trial.filters().len(), 3, "{point}");
        let effects = effects(&trial.platform.seen());
        for what in [
            "3113000001",
            "3113000002",
            "AddMunicipalityCodeSubscription",
        ] {
            assert_eq!(effects[&format!("ADDED {what}")], 1, "{point}: {effects:?}");
        }
        assert!(!trial.ok(&["list"]).contains("not finished"), "{point}");
    }
}
