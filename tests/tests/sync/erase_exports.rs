//! The targets of exports that an erasure names.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::fs;
use std::path::Path;

use cprflow_tests::test_run::TestRun;
use serde_json::{Value, json};

use crate::erase::{ALICE, erase, private, three_nights};

/// Databases that were loaded from a dataset keep the persons until they are loaded again, so the proof names them.
#[test]
fn the_proof_names_exports() {
    let test = three_nights();
    let of = |dataset: &Path, kind: &str, target: &str| {
        let directory = dataset.join("_exports");
        fs::create_dir(&directory).unwrap();
        let text = json!({"format": 1, "kind": kind, "target": target, "tables": {}});
        private(
            &directory.join(format!("{kind}-0123456789abcdef.json")),
            &text.to_string(),
        );
        private(&directory.join(".lock"), "");
    };
    of(&test.dataset(), "delta", "/lake/cpr");
    of(&test.dataset_of("one"), "postgresql", "db.example/cpr");
    private(&test.dataset_of("one").join("_exports/damaged.json"), "{");
    private(&test.path("persons"), &format!("{ALICE}\n"));
    let persons = test.path("persons").display().to_string();
    let arguments = ["--numbers", &persons, "--not-subscribed"];
    let planned = test.run("erase", &[&arguments[..], &["--format", "json"]].concat());
    let planned: Value = serde_json::from_slice(&planned.stdout).unwrap();
    let exports = planned["stores"][0]["exports"].as_array().unwrap();
    let targets: Vec<_> = exports
        .iter()
        .map(|export| export["target"].as_str().unwrap())
        .collect();
    assert_eq!(targets[0], "/lake/cpr");
    assert!(
        targets[1].ends_with("damaged.json") && targets[2] == "db.example/cpr",
        "{targets:?}"
    );
    let ended = test.run("erase", &[&arguments[..], &["--yes"]].concat());
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    for line in [
        "export    delta /lake/cpr: load it again with `cprflow export` --vacuum 0",
        "export    postgresql db.example/cpr: load it again with `cprflow export`",
    ] {
        assert!(ended.text().contains(line), "{}", ended.text());
    }
    let proof = fs::read_to_string(test.path("state/erasures.jsonl")).unwrap();
    assert!(
        proof.contains("/lake/cpr") && proof.contains("db.example/cpr"),
        "{proof}"
    );
}

/// The proof and the status name the targets that have not caught up with an erasure, and no others.
#[test]
fn exports_that_have_caught_up_are_not_named() {
    let test = three_nights();
    let generation = || {
        let target = fs::read_link(test.dataset().join("current")).unwrap();
        let name = target.file_name().unwrap().to_str().unwrap().to_owned();
        name.parse::<u64>().unwrap()
    };
    let directory = test.dataset().join("_exports");
    fs::create_dir(&directory).unwrap();
    let write = |name: &str, started: &str, generation: u64, cleaned: u64| {
        let text = json!({
            "format": 1,
            "kind": "delta",
            "target": format!("/lake/{name}"),
            "started": started,
            "finished": started,
            "tables": {
                "person": {
                    "generation": generation,
                    "exported": started,
                    "cleaned": cleaned,
                    "cleaned_at": started,
                },
            },
        });
        let file = directory.join(format!("delta-{name}.json"));
        private(&file, &text.to_string());
    };
    let (before, after) = ("2026-03-04T09:00:00Z", "2026-03-05T08:00:00.500000Z");
    let old = generation();
    write("early", before, old, old);
    write("files", after, old + 9, old);
    write("new", after, old + 9, old + 9);
    let status = test.run("status", &[]);
    assert!(!status.text().contains("/lake/"), "{}", status.text());
    erase(&test, &["--references"]);
    assert!(generation() > old);
    let proof = fs::read_to_string(test.path("state/erasures.jsonl")).unwrap();
    let proof: Value = serde_json::from_str(proof.trim_end()).unwrap();
    let named: Vec<_> = proof["exports"]
        .as_array()
        .unwrap()
        .iter()
        .map(|export| {
            let text = |key: &str| export[key].as_str().unwrap().to_owned();
            (text("target"), text("lag"))
        })
        .collect();
    let expected = [("/lake/early", "rows"), ("/lake/files", "old-files")];
    assert_eq!(
        named,
        expected.map(|(target, lag)| (target.to_owned(), lag.to_owned()))
    );
    assert_eq!(proof["generations"]["unrestricted"], generation());
    let status = test.run("status", &[]);
    assert_eq!(status.code, 1, "{}", status.stderr);
    for text in [
        "the export to /lake/early has not caught up with an erasure",
        "the export to /lake/files has new rows, but files of older versions",
    ] {
        assert!(status.text().contains(text), "{}", status.text());
    }
    assert!(!status.text().contains("/lake/new"), "{}", status.text());
    write("early", after, generation(), generation());
    write("files", before, generation(), generation());
    let status = test.run("status", &[]);
    assert!(!status.text().contains("/lake/early"), "{}", status.text());
    let text = "the export to /lake/files has not caught up";
    assert!(status.text().contains(text), "{}", status.text());
}

/// Writes the file of a target of which all tables were exported and cleaned by a run that began at a time.
fn write_target(dataset: &Path, name: &str, started: &str, number: u64) {
    let directory = dataset.join("_exports");
    fs::create_dir_all(&directory).unwrap();
    let numbers = json!({"town": number});
    let text = json!({
        "format": 1,
        "kind": "delta",
        "target": format!("/lake/{name}"),
        "started": started,
        "finished": started,
        "tables": {
            "person": {
                "sequences": numbers,
                "exported": {"town": started},
                "cleaned": numbers,
                "cleaned_at": started,
            },
        },
    });
    private(
        &directory.join(format!("delta-{name}.json")),
        &text.to_string(),
    );
}

/// Returns the targets that the newest proof names.
fn proved(test: &TestRun) -> Vec<String> {
    let proofs = fs::read_to_string(test.path("state/erasures.jsonl")).unwrap();
    let proof: Value = serde_json::from_str(proofs.lines().last().unwrap()).unwrap();
    let exports = proof["exports"].as_array().into_iter().flatten();
    let target = |one: &Value| one["target"].as_str().unwrap().to_owned();
    exports.map(target).collect()
}

/// A delivery that expires before it is made again gets no new number. A run in between can have copied it.
#[test]
fn a_run_before_the_end_of_an_erasure_does_not_count() {
    let test = three_nights();
    let (away, one) = (test.path("away"), test.dataset_of("one"));
    fs::rename(&one, &away).unwrap();
    let persons = test.path("persons").display().to_string();
    let arguments = ["--numbers", &persons, "--yes", "--not-subscribed"];
    let ended = test.run("erase", &arguments);
    assert_eq!(ended.code, 1, "{}{}", ended.stderr, ended.text());
    write_target(&test.dataset(), "between", "2026-03-05T20:00:00Z", 99);
    test.set_time("2026-03-06T08:00:00Z");
    fs::rename(&away, &one).unwrap();
    assert!(test.sync().code < 2);
    assert!(!test.path("state/erasing").exists());
    assert_eq!(proved(&test), ["/lake/between"]);
    let status = || test.run("status", &[]).text().to_owned();
    let told = "the export to /lake/between has not caught up with an erasure";
    assert!(status().contains(told), "{}", status());
    write_target(&test.dataset(), "between", "2026-03-06T08:00:00Z", 99);
    assert!(!status().contains("/lake/"), "{}", status());
    // The numbers count too: the clock of the machine that exports can be ahead.
    write_target(&test.dataset(), "between", "2026-03-06T08:00:00Z", 1);
    assert!(status().contains(told), "{}", status());
}
