//! The targets of exports that an erasure names.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::fs;
use std::path::Path;

use cprflow_tests::test_run::TestRun;
use serde_json::{Value, json};

use crate::erase::{AGREEMENTS, ALICE, TENANTS, erase, private, three_nights};

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

fn status(test: &TestRun) -> String {
    test.run("status", &[]).text().to_owned()
}

/// A tenant that is not in the configuration any more, and datasets in directories that are not there any more.
#[test]
fn targets_of_former_datasets_are_named() {
    let test = three_nights();
    let (one, nameless) = (test.dataset_of("one"), test.dataset_of("nameless"));
    let early = "2026-03-04T09:00:00Z";
    write_target(&one, "gone", early, 99);
    write_target(&nameless, "moved", early, 99);
    write_target(&test.dataset(), "everything", early, 99);
    let parts: Vec<&str> = TENANTS.split("[tenant.").collect();
    let without_one = format!("{}[tenant.{}[tenant.{}", parts[0], parts[2], parts[3]);
    let moved = without_one.replace("tenants/nameless", "tenants/new");
    test.configure(&format!("{AGREEMENTS}{moved}"));
    // The user has moved the deliveries only.
    fs::create_dir(test.dataset_of("new")).unwrap();
    for name in ["agreement=town", "generations", "current"] {
        fs::rename(nameless.join(name), test.dataset_of("new").join(name)).unwrap();
    }
    assert!(test.sync().code < 2);
    assert!(
        !status(&test).contains("the export to"),
        "{}",
        status(&test)
    );
    let persons = test.path("persons").display().to_string();
    let arguments = ["--numbers", &persons, "--not-subscribed"];
    let planned = test.run("erase", &arguments);
    let file = one.join("_exports/delta-gone.json");
    let line = format!(
        "export    delta /lake/gone: delete it and {}, because the configuration does not have its dataset any more",
        file.display()
    );
    assert!(planned.text().contains(&line), "{}", planned.text());
    let ended = test.run("erase", &[&arguments[..], &["--yes"]].concat());
    assert!(ended.code < 2, "{}", ended.stderr);
    let all = ["/lake/everything", "/lake/moved", "/lake/gone"];
    assert_eq!(proved(&test), all);
    let late = "2026-03-05T09:00:00Z";
    write_target(&test.dataset(), "everything", late, 99);
    // A run that read a former dataset copied what was not erased there.
    write_target(&one, "gone", late, 99);
    let text = status(&test);
    for name in ["gone", "moved"] {
        let told = format!("the export to /lake/{name} has not caught up with an erasure");
        assert!(text.contains(&told), "{text}");
    }
    assert!(!text.contains("/lake/everything"), "{text}");
    let told = format!("does not have its dataset {} any more", one.display());
    assert!(text.contains(&told), "{text}");
    // The dataset in the new directory is exported to the same target.
    write_target(&test.dataset_of("new"), "moved", late, 99);
    assert!(!status(&test).contains("/lake/moved"), "{}", status(&test));
    let deleted = test.run("erase", &["--tenant", "one", "--yes"]);
    assert_eq!(deleted.code, 0, "{}", deleted.stderr);
    assert!(status(&test).contains("/lake/gone"), "{}", status(&test));
    fs::write(&file, "{").unwrap();
    let told = format!(
        "the file of the export to {} cannot be read",
        file.display()
    );
    assert!(status(&test).contains(&told), "{}", status(&test));
    fs::remove_file(file).unwrap();
    let text = status(&test);
    assert!(
        !text.contains(&told) && !text.contains("/lake/gone"),
        "{text}"
    );
}

/// The unrestricted dataset was moved in the configuration, and its old directory stayed.
#[test]
fn targets_of_an_unrestricted_dataset_that_was_moved_are_named() {
    let test = three_nights();
    write_target(&test.dataset(), "old", "2026-03-04T09:00:00Z", 99);
    let (old, new) = (test.dataset(), test.path("disk/new"));
    fs::create_dir(&new).unwrap();
    for name in ["agreement=town", "generations", "current"] {
        fs::rename(old.join(name), new.join(name)).unwrap();
    }
    let configuration = fs::read_to_string(test.path("cprflow.toml")).unwrap();
    println!("{configuration}");
    let changed = configuration.replace("disk/dataset", "disk/new");
    assert_ne!(configuration, changed);
    fs::write(test.path("cprflow.toml"), changed).unwrap();
    assert!(test.sync().code < 2);
    erase(&test, &["--references"]);
    assert_eq!(proved(&test), ["/lake/old"]);
    let told = "the export to /lake/old has not caught up with an erasure";
    assert!(status(&test).contains(told), "{}", status(&test));
}

/// The disk of a former tenant is not mounted, so its targets are not known.
#[test]
fn a_former_dataset_that_is_not_there_is_named() {
    let test = three_nights();
    let one = test.dataset_of("one");
    let parts: Vec<&str> = TENANTS.split("[tenant.").collect();
    let without_one = format!("{}[tenant.{}[tenant.{}", parts[0], parts[2], parts[3]);
    test.configure(&format!("{AGREEMENTS}{without_one}"));
    fs::rename(&one, test.path("away")).unwrap();
    let persons = test.path("persons").display().to_string();
    let arguments = ["--numbers", &persons, "--not-subscribed", "--yes"];
    let ended = test.run("erase", &arguments);
    assert_eq!(ended.code, 1, "{}{}", ended.stderr, ended.text());
    let told = format!(
        "the dataset {} of tenant one: it has no tables",
        one.display()
    );
    let proofs = fs::read_to_string(test.path("state/erasures.jsonl")).unwrap();
    for text in [ended.text(), &proofs] {
        assert!(text.contains(&told), "{text}");
        let end = "Until it is there, the targets of its exports are not named";
        assert!(text.contains(end), "{text}");
    }
}
