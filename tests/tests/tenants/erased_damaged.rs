//! Erasing persons while a kept extract is lost or changed. Every file of the datasets is decoded and searched afterwards.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::fs;
use std::path::{Path, PathBuf};

use cprflow_tests::search::files_with;
use cprflow_tests::test_run::{TestRun, files, transfer};

use crate::hidden_later::{ALICE, BERTA, CARLA, erase, other, put, town};

/// What happens to the file of an extract.
type Damage = (&'static str, fn(&Path));

/// Three kinds of damage. The sizes of the last two files are as before.
const DAMAGE: [Damage; 3] = [
    ("lost", |path| fs::remove_file(path).unwrap()),
    ("body", |path| {
        let last = fs::read(path).unwrap().len() - 1;
        flip(path, last);
    }),
    // The description, after the eight bytes that begin its frame.
    ("description", |path| flip(path, 8)),
];

/// Changes one byte of a file.
fn flip(path: &Path, index: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[index] ^= 1;
    fs::write(path, bytes).unwrap();
}

/// Two agreements that publish everything, and two tenants of both.
fn start() -> TestRun {
    let test = TestRun::local();
    let mut text = String::new();
    for agreement in ["town", "other"] {
        text.push_str(&format!(
            "[agreement.{agreement}]\ninbox = \"inbox\"\nfiles.name = \"{agreement}.*\"\nunrestricted = \"test\"\n"
        ));
    }
    for tenant in ["mask", "drop"] {
        text.push_str(&format!(
            "[tenant.{tenant}]\nagreements = [\"town\", \"other\"]\npurpose = \"test\"\n\
             dataset = \"tenants/{tenant}\"\nprotection = \"{tenant}\"\n"
        ));
    }
    test.configure(&text);
    test.set_time("2026-03-05T08:00:00Z");
    let alice = town("20260302").resident(ALICE, "0265", "Anders");
    assert!(put(&test, "town", 1, alice).code < 2);
    let both = other("20260303")
        .resident(ALICE, "0265", "Anders")
        .resident(BERTA, "0265", "Birk");
    assert!(put(&test, "other", 2, both).code < 2);
    test
}

fn datasets(test: &TestRun) -> [PathBuf; 3] {
    [
        test.dataset(),
        test.dataset_of("mask"),
        test.dataset_of("drop"),
    ]
}

#[track_caller]
fn assert_erased(test: &TestRun, what: &str) {
    for dataset in datasets(test) {
        let left = files_with(&dataset, "Anders");
        assert!(left.is_empty(), "{what}: Anders is in {left:?}");
    }
}

/// The erased person is shown by no table, whatever has happened to an extract. The erasure waits until the file is restored or
/// its loss is accepted, and the inboxes do not wait for that.
#[test]
fn an_erased_person_of_a_damaged_extract_is_shown_by_no_table() {
    for (damage, act) in DAMAGE {
        for is_restored in [false, true] {
            let what = format!("{damage}, restored: {is_restored}");
            let test = start();
            let register = test.path("state/register/town");
            let kept = register.join(format!("{}.cpr.zst", transfer(1)));
            let whole = fs::read(&kept).unwrap();
            act(&kept);
            let ended = erase(&test, ALICE);
            assert_ne!(ended.code, 0, "{what}: {}{}", ended.stderr, ended.text());
            assert_erased(&test, &what);
            assert!(test.path("state/erasing").exists(), "{what}");
            // The other agreement delivers.
            let carla = other("20260304").resident(CARLA, "0265", "Carlsen");
            let ended = put(&test, "other", 3, carla);
            assert_eq!(ended.code, 2, "{what}: {}{}", ended.stderr, ended.text());
            let shown = files_with(&test.dataset(), "Carlsen");
            assert!(!shown.is_empty(), "{what}");
            assert_erased(&test, &what);
            assert!(test.path("state/erasing").exists(), "{what}");
            match is_restored {
                true => fs::write(&kept, whole).unwrap(),
                false => {
                    let arguments = ["town", "--without-full-load"];
                    let ended = test.run("register accept-missing", &arguments);
                    assert_eq!(ended.code, 0, "{what}: {}", ended.stderr);
                    assert!(files(&register).is_empty(), "{what}");
                }
            }
            let ended = test.sync();
            assert!(ended.code < 2, "{what}: {}{}", ended.stderr, ended.text());
            assert!(!test.path("state/erasing").exists(), "{what}");
            assert_erased(&test, &what);
            let left = files_with(&test.path("state"), "Anders");
            assert!(left.is_empty(), "{what}: Anders is in {left:?}");
            for dataset in datasets(&test) {
                let newest = fs::canonicalize(dataset.join("current")).unwrap();
                for name in ["Birk", "Carlsen"] {
                    let shown = files_with(&newest, name);
                    assert!(!shown.is_empty(), "{what}: {name} in {newest:?}");
                }
            }
        }
    }
}

/// Without an erasure, a tenant's current tables go too when an extract is lost: it can have had a protection.
#[test]
fn current_tables_of_a_tenant_go_with_an_extract() {
    let test = start();
    let kept = test.path(&format!("state/register/town/{}.cpr.zst", transfer(1)));
    fs::remove_file(kept).unwrap();
    let ended = test.sync();
    assert_eq!(ended.code, 2, "{}{}", ended.stderr, ended.text());
    for tenant in ["mask", "drop"] {
        let current = test.dataset_of(tenant).join("current");
        assert!(!current.exists(), "{tenant}");
    }
    let status = test.run("status", &[]);
    assert_eq!(status.code, 1);
    assert!(
        status.text().contains("were withdrawn"),
        "{}",
        status.text()
    );
}

/// Every command tells that an erasure is not complete, what stops it and how to end that, without a person number.
#[test]
fn a_pending_erasure_is_told() {
    let test = start();
    let kept = test.path(&format!("state/register/town/{}.cpr.zst", transfer(1)));
    flip(&kept, 8);
    let ended = erase(&test, ALICE);
    assert_ne!(ended.code, 0, "{}", ended.stderr);
    assert_told("erase", &ended.stderr);
    let ended = test.sync();
    assert_eq!(ended.code, 2, "{}", ended.stderr);
    assert_told("sync", ended.text());
    let path = test.path("cprflow.prom").display().to_string();
    let status = test.run("status", &["--metrics", &path]);
    assert_eq!(status.code, 1, "{}", status.text());
    assert_told("status", status.text());
    let metrics = fs::read_to_string(&path).unwrap();
    for agreement in ["town", "other"] {
        let line = format!("cprflow_erasure_pending{{agreement=\"{agreement}\"}} 1");
        assert!(metrics.lines().any(|one| one == line), "{metrics}");
    }
    let status = test.run("status", &["--format", "json"]);
    let all: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
    let erasing = &all[0]["erasing"];
    assert_eq!(erasing["subject"], "persons", "{erasing}");
    assert!(erasing["ordered"].is_string(), "{erasing}");
    let stopped_by = erasing["stopped_by"].as_array().unwrap();
    assert!(!stopped_by.is_empty(), "{erasing}");
    let doctor = test.run("doctor", &[]);
    assert_eq!(doctor.code, 1, "{}", doctor.text());
    assert_told("doctor", doctor.text());
    // Another erasure is refused, and says the same.
    let ended = erase(&test, BERTA);
    assert_eq!(ended.code, 2, "{}", ended.stderr);
    assert_told("erase", &ended.stderr);
    // Nothing is told any more when it is complete.
    let arguments = ["town", "--without-full-load"];
    assert_eq!(test.run("register accept-missing", &arguments).code, 0);
    assert!(test.sync().code < 2);
    let status = test.run("status", &["--metrics", &path]);
    assert!(
        !status.text().contains("the erasure of"),
        "{}",
        status.text()
    );
    let metrics = fs::read_to_string(&path).unwrap();
    let line = "cprflow_erasure_pending{agreement=\"town\"} 0";
    assert!(metrics.lines().any(|one| one == line), "{metrics}");
}

#[track_caller]
fn assert_told(what: &str, text: &str) {
    for told in [
        "the erasure of persons that was ordered on 2026-03-05 is not complete",
        "accept-missing town",
    ] {
        assert!(text.contains(told), "{what}: {text}");
    }
    assert!(!text.contains(ALICE), "{what}");
}
