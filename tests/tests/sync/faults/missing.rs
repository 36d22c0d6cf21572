//! Published deliveries that were deleted or changed by hand.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::fs::{self, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use cprflow_tests::extract;
use cprflow_tests::test_run::{TestRun, transfer};
use serde_json::Value;

/// The part of the advice by which every message about missing deliveries is recognised.
const ADVICE: &str = "order a new full load with `cprflow subscription reorder`";

/// Returns a run with an unrestricted dataset and the tenants `one` and `other`, and two published deliveries.
fn two_deliveries() -> TestRun {
    let test = TestRun::local();
    let tenant = |name: &str| {
        format!(
            "[tenant.{name}]\nagreements = [\"town\"]\npurpose = \"test\"\ndataset = \"tenants/{name}\"\n"
        )
    };
    test.configure(&format!(
        "[agreement.town]\ninbox = \"inbox\"\nunrestricted = \"test\"\n{}{}",
        tenant("one"),
        tenant("other")
    ));
    put(&test, 1);
    put(&test, 2);
    assert_eq!(test.sync().code, 0);
    assert_eq!(test.published().len(), 2);
    test
}

fn put(test: &TestRun, number: u32) {
    let extract = extract::small(20, u64::from(number));
    test.put(
        &format!("d26030{number}.l431101"),
        &extract,
        &transfer(number),
    );
}

/// Runs `status` and `doctor`, and returns what they say about the deliveries: `None` if they say that all is well.
fn said(test: &TestRun, more: &[&str]) -> Option<String> {
    let status = test.run("status", more);
    let doctor = test.run("doctor", more);
    let is_well = !status.text().contains(ADVICE);
    assert_eq!(status.code, i32::from(!is_well), "{}", status.text());
    assert_eq!(doctor.code, i32::from(!is_well), "{}", doctor.text());
    assert_eq!(
        doctor.text().contains(ADVICE),
        !is_well,
        "{}",
        doctor.text()
    );
    let mut lines = status.text().lines();
    let line = lines.find(|line| line.contains(ADVICE)).map(str::to_owned);
    if let Some(line) = &line {
        let told = line.trim_start().trim_start_matches("attention").trim();
        let failed = format!("FAIL  deliveries: {told}");
        assert!(
            doctor.text().contains(&failed),
            "{failed}\n{}",
            doctor.text()
        );
    }
    line
}

fn json(test: &TestRun) -> Value {
    let status = test.run("status", &["--format", "json"]);
    serde_json::from_slice(&status.stdout).unwrap()
}

/// A file of the first delivery of a dataset.
fn first_file(deliveries: &[(PathBuf, cprflow_delivery::Manifest)], name: &str) -> PathBuf {
    deliveries[0].0.join(name)
}

#[test]
fn a_file_of_a_delivery_that_is_deleted_or_changed() {
    let test = two_deliveries();
    assert_eq!(said(&test, &[]), None);
    assert_eq!(said(&test, &["--deep"]), None);
    let doctor = test.run("doctor", &["--deep"]);
    for expected in [
        "ok    deliveries: 2 published are as published (names, sizes and digests)",
        "ok    deliveries: 2 published to tenant one are as published (names, sizes and digests)",
    ] {
        assert!(doctor.text().contains(expected), "{}", doctor.text());
    }
    type Change = fn(&Path);
    let overwrite: Change = |path| {
        let mut file = OpenOptions::new().write(true).open(path).unwrap();
        file.seek(SeekFrom::Start(10)).unwrap();
        file.write_all(b"changed").unwrap();
    };
    let append: Change = |path| {
        let mut file = OpenOptions::new().append(true).open(path).unwrap();
        file.write_all(b"more").unwrap();
    };
    let remove: Change = |path| fs::remove_file(path).unwrap();
    let clear: Change = |path| fs::write(path, "{").unwrap();
    let copy: Change = |path| {
        fs::copy(path, path.with_file_name("copy.parquet")).unwrap();
    };
    for (name, change, expected, is_found_by_size) in [
        ("person.parquet", remove, "person.parquet is gone", true),
        ("person.parquet", append, "bytes instead of", true),
        (
            "person.parquet",
            overwrite,
            "person.parquet was changed",
            false,
        ),
        ("person.parquet", copy, "copy.parquet was added", true),
        ("_delivery.json", remove, "_delivery.json is gone", true),
        (
            "_delivery.json",
            clear,
            "_delivery.json is not readable",
            true,
        ),
    ] {
        for deliveries in [test.published(), test.published_to("one")] {
            let path = first_file(&deliveries, name);
            let sound = fs::read(&path).unwrap();
            change(&path);
            let shallow = said(&test, &[]);
            assert_eq!(shallow.is_some(), is_found_by_size, "{name}: {shallow:?}");
            let deep = said(&test, &["--deep"]).unwrap();
            assert!(deep.contains(expected), "{expected}: {deep}");
            let directory = deliveries[0].0.file_name().unwrap().to_str().unwrap();
            assert!(deep.contains(directory), "{directory}: {deep}");
            assert_eq!(
                deep.contains("of tenant one"),
                path.starts_with(test.path("tenants")),
                "{deep}"
            );
            fs::write(&path, &sound).unwrap();
            let _ = fs::remove_file(path.with_file_name("copy.parquet"));
            assert_eq!(said(&test, &["--deep"]), None);
        }
    }
    // The manifest of another delivery.
    let deliveries = test.published();
    let (one, other) = (&deliveries[0].0, &deliveries[1].0);
    fs::copy(other.join("_delivery.json"), one.join("_delivery.json")).unwrap();
    let told = said(&test, &[]).unwrap();
    assert!(told.contains("describes another delivery"), "{told}");
}

/// The manifest of a tenant names the extract by a digest with a key.
#[test]
fn a_tenants_delivery_that_is_of_another_extract() {
    let test = two_deliveries();
    let (first, manifest) = &test.published_to("one")[0];
    assert!(
        manifest.sha256.starts_with("hmac-sha256:"),
        "{}",
        manifest.sha256
    );
    let path = first.join("_delivery.json");
    let other = &test.published_to("one")[1].1.sha256;
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace(&manifest.sha256, other)).unwrap();
    let told = said(&test, &[]).unwrap();
    assert!(told.contains("describes another delivery"), "{told}");
    assert!(told.contains("of tenant one"), "{told}");
}

/// The run goes on, and asks for a person.
#[test]
fn a_delivery_that_is_deleted() {
    let test = two_deliveries();
    let [(first, _), _] = &test.published_to("one")[..] else {
        panic!("two deliveries")
    };
    let name = first.file_name().unwrap().to_str().unwrap();
    let aside = test.path("aside");
    fs::rename(first, &aside).unwrap();
    put(&test, 3);
    let ended = test.sync();
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    let missing =
        format!("1 of 2 is missing or changed. agreement=town/{name}: the directory is gone");
    for text in [
        ended.text(),
        &said(&test, &[]).unwrap().replace("of 3", "of 2"),
    ] {
        assert!(text.contains(&missing), "{missing}: {text}");
        assert!(text.contains("of tenant one"), "{text}");
    }
    assert_eq!(test.published().len(), 3);
    assert_eq!(test.published_to("one").len(), 2);
    assert_eq!(test.published_to("other").len(), 3);
    let status = json(&test);
    assert_eq!(status[0]["damaged"], Value::Array(Vec::new()));
    let damaged = &status[0]["tenants"][0]["damaged"];
    assert_eq!(damaged[0]["directory"], name);
    assert_eq!(damaged[0]["damage"][0], "the directory is gone");
    assert_eq!(damaged.as_array().unwrap().len(), 1);
    // Restored, all is well.
    fs::rename(&aside, first).unwrap();
    assert_eq!(said(&test, &["--deep"]), None);
    assert_eq!(test.sync().code, 0);
    // A person accepts the loss.
    fs::remove_dir_all(first).unwrap();
    assert_eq!(test.sync().code, 1);
    let accept = ["--gone", "--reason", "lost"];
    let accepted = test.run("set-aside", &accept);
    assert_eq!(accepted.code, 0, "{}", accepted.stderr);
    let told = format!("agreement=town/{name} of tenant one is not looked for any more");
    assert!(accepted.stderr.contains(&told), "{}", accepted.stderr);
    assert_eq!(said(&test, &["--deep"]), None);
    assert_eq!(test.sync().code, 0);
    let again = test.run("set-aside", &accept);
    assert!(
        again.stderr.contains("nothing was changed"),
        "{}",
        again.stderr
    );
    // What is lost later is found.
    let (second, _) = &test.published_to("one")[0];
    fs::remove_dir_all(second).unwrap();
    assert!(said(&test, &[]).is_some());
}

/// The dataset may be on a disk that is not mounted. A new one would lack the earlier deliveries.
#[test]
fn a_dataset_that_is_deleted() {
    for is_emptied in [false, true] {
        let test = two_deliveries();
        fs::remove_dir_all(test.dataset()).unwrap();
        if is_emptied {
            fs::create_dir(test.dataset()).unwrap();
        }
        put(&test, 3);
        let ended = test.sync();
        assert_eq!(ended.code, 2, "{}", ended.text());
        let gone = format!(
            "the dataset {} is gone or empty, but 2 deliveries were published in it",
            test.dataset().display()
        );
        assert!(ended.stderr.contains(&gone), "{}", ended.stderr);
        assert!(ended.stderr.contains(ADVICE), "{}", ended.stderr);
        assert_eq!(test.remote().len(), 2, "the server keeps the delivery");
        assert_eq!(test.dataset().exists(), is_emptied, "no dataset was made");
        assert_eq!(test.published_to("one").len(), 2);
        assert!(said(&test, &[]).unwrap().contains(&gone));
        assert_eq!(json(&test)[0]["damaged"].as_array().unwrap().len(), 2);
        let accepted = test.run("set-aside", &["--gone", "--reason", "disk lost"]);
        assert_eq!(accepted.code, 0, "{}", accepted.stderr);
        assert_eq!(test.sync().code, 0);
        assert_eq!(test.published().len(), 1);
        assert_eq!(said(&test, &[]), None);
        assert_eq!(test.published_to("one").len(), 3);
    }
}

/// One tenant's dataset is gone: the others get their deliveries.
#[test]
fn a_tenants_dataset_that_is_deleted() {
    let test = two_deliveries();
    let dataset = test.dataset_of("one");
    let aside = test.path("aside");
    fs::rename(&dataset, &aside).unwrap();
    put(&test, 3);
    let ended = test.sync();
    assert_eq!(ended.code, 2, "{}", ended.text());
    let gone = format!(
        "tenant one: the dataset {} is gone or empty, but 2 deliveries were published in it",
        dataset.display()
    );
    assert!(ended.stderr.contains(&gone), "{}", ended.stderr);
    assert!(!dataset.exists(), "no dataset was made");
    assert_eq!(test.published_to("other").len(), 3);
    let gone = format!(
        "the dataset {} of tenant one is gone or empty",
        dataset.display()
    );
    assert!(said_by_status(&test).contains(&gone));
    // The disk is mounted again, and the delivery that waited is published.
    fs::rename(&aside, &dataset).unwrap();
    let ended = test.sync();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(test.published_to("one").len(), 3);
    assert_eq!(said(&test, &["--deep"]), None);
    // Without a backup, a person accepts the loss for this tenant alone.
    fs::remove_dir_all(&dataset).unwrap();
    fs::remove_dir_all(&test.published()[0].0).unwrap();
    let accept = ["--gone", "--tenant", "one", "--reason", "disk lost"];
    assert_eq!(test.run("set-aside", &accept).code, 0);
    put(&test, 4);
    let ended = test.sync();
    assert_eq!(
        ended.code, 1,
        "the unrestricted dataset lacks one: {}",
        ended.stderr
    );
    assert_eq!(test.published_to("one").len(), 1);
    assert!(!said_by_status(&test).contains("of tenant one"));
}

fn said_by_status(test: &TestRun) -> String {
    test.run("status", &[]).text().to_owned()
}

/// An agreement whose data goes to tenants alone has no unrestricted dataset to look for.
#[test]
fn an_agreement_of_tenants_alone() {
    let test = TestRun::local();
    test.configure(
        "[agreement.town]\ninbox = \"inbox\"\n[tenant.one]\nagreements = [\"town\"]\npurpose = \"test\"\n\
         dataset = \"tenants/one\"\n",
    );
    put(&test, 1);
    assert_eq!(test.sync().code, 0);
    put(&test, 2);
    assert_eq!(test.sync().code, 0);
    assert!(!test.dataset().exists());
    assert_eq!(said(&test, &["--deep"]), None);
    let status = test.run("status", &[]);
    assert!(
        status.text().contains("newest         d260302.l431101"),
        "{}",
        status.text()
    );
    // A new ledger knows the deliveries from the tenant's dataset alone.
    test.remove_ledger();
    assert_eq!(test.sync().code, 0);
    assert_eq!(said(&test, &["--deep"]), None);
    fs::remove_dir_all(&test.published_to("one")[0].0).unwrap();
    assert!(said(&test, &[]).unwrap().contains("of tenant one"));
}

/// Manifests of older versions list no files. The names of the tables are compared.
#[test]
fn a_delivery_of_an_older_version() {
    let test = two_deliveries();
    let path = first_file(&test.published(), "_delivery.json");
    let mut manifest: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let files = manifest.as_object_mut().unwrap().remove("files").unwrap();
    assert_eq!(
        files["person.parquet"]["sha256"].as_str().unwrap().len(),
        64
    );
    fs::write(&path, manifest.to_string()).unwrap();
    assert_eq!(said(&test, &["--deep"]), None);
    fs::remove_file(path.with_file_name("event.parquet")).unwrap();
    assert!(said(&test, &[]).unwrap().contains("event.parquet is gone"));
}
