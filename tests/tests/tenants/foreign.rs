//! Data in a tenant's directory that was made for somebody else: for another tenant, without a policy, or by another
//! installation. It is named, nothing is published beside it, and nothing of it is removed. Every byte is compared.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use cprflow_tests::command::CommandOutput;
use cprflow_tests::search::files_with;
use cprflow_tests::test_run::{TestRun, files};

use crate::hidden_later::{ALICE, BERTA, CARLA, copy, protection, put, town};

/// What is said of data without a tenant's policy that a run does not replace.
const UNRESTRICTED: &str = "has unrestricted data, which can show";

/// The directory of the unrestricted dataset, unless a test moves it.
const DATASET: &str = "disk/dataset";

/// Writes a configuration with an unrestricted dataset and tenants: name, directory, rule of protection.
fn configure(test: &TestRun, top: &str, dataset: &str, tenants: &[(&str, &str, &str)]) {
    let mut text = format!(
        "{top}\n[agreement.town]\ninbox = \"inbox\"\nfiles.name = \"town.*\"\nunrestricted = \"test\"\n"
    );
    for (name, directory, rule) in tenants {
        text.push_str(&format!(
            "[tenant.{name}]\nagreements = [\"town\"]\npurpose = \"test\"\ndataset = \"{directory}\"\n\
             protection = \"{rule}\"\n"
        ));
    }
    test.configure(&text);
    let file = test.path("cprflow.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace(DATASET, dataset)).unwrap();
}

/// Two nights: Alice and Berta, who is protected. Then Carla, who is protected.
fn two_nights(test: &TestRun) {
    let first = town("20260302")
        .resident(ALICE, "0265", "Anders")
        .resident(BERTA, "0265", "Birk");
    let first = put(test, "town", 1, protection(first, BERTA));
    assert_eq!(first.code, 0, "{}{}", first.stderr, first.text());
    let second = town("20260303").resident(CARLA, "0265", "Ceder");
    let second = put(test, "town", 2, protection(second, CARLA));
    assert_eq!(second.code, 0, "{}{}", second.stderr, second.text());
}

/// Everything in a directory, without the lock.
fn snapshot(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = files(directory);
    found.retain(|file| file.file_name().unwrap() != ".lock");
    let read = |file: PathBuf| {
        let bytes = fs::read(&file).unwrap();
        (file, bytes)
    };
    let all: BTreeMap<_, _> = found.into_iter().map(read).collect();
    assert!(!all.is_empty(), "{}", directory.display());
    all
}

/// Asserts that `status` and `doctor` end with 1 and say this.
#[track_caller]
fn assert_said(test: &TestRun, text: &str) {
    for (command, more) in [
        ("status", vec![]),
        ("status", vec!["--deep"]),
        ("doctor", vec![]),
        ("doctor", vec!["--deep"]),
    ] {
        let ended = test.run(command, &more);
        assert_eq!(ended.code, 1, "{command} {more:?}: {}", ended.text());
        assert!(
            ended.text().contains(text),
            "{command} {more:?}: {text}: {}",
            ended.text()
        );
    }
}

#[track_caller]
fn assert_refused(ended: &CommandOutput, text: &str) {
    assert_eq!(ended.code, 2, "{}{}", ended.stderr, ended.text());
    assert!(ended.stderr.contains(text), "{}", ended.stderr);
}

/// Replaces a delivery in one dataset by the directory of the same delivery in another one.
fn replace(test: &TestRun, number: usize, by: &Path, of: &str) {
    let (own, _) = test.published_to(of).swap_remove(number);
    let name = own.file_name().unwrap();
    fs::remove_dir_all(&own).unwrap();
    copy(&by.join("agreement=town").join(name), &own);
}

/// A tenant's delivery was restored from the copy of the unrestricted dataset. The ledger knows both, so it is made again.
#[test]
fn a_delivery_that_is_the_unrestricted_one() {
    for number in [0, 1] {
        let test = TestRun::local();
        configure(&test, "", DATASET, &[("mask", "tenants/mask", "mask")]);
        two_nights(&test);
        let mask = test.dataset_of("mask");
        let hidden = ["Birk", "Ceder"][number];
        assert!(files_with(&mask, hidden).is_empty());
        replace(&test, number, &test.dataset(), "mask");
        assert!(!files_with(&mask, hidden).is_empty());
        let unrestricted = snapshot(&test.dataset());
        assert_said(&test, "has the unrestricted data of a delivery");
        let ended = test.sync();
        assert!(ended.code < 2, "{}", ended.stderr);
        assert!(files_with(&mask, hidden).is_empty());
        let published = test.published_to("mask");
        assert_eq!(published.len(), 2);
        for (_, manifest) in &published {
            let tenant = manifest.tenant.as_ref().unwrap();
            assert_eq!(tenant.name, "mask");
        }
        assert_eq!(snapshot(&test.dataset()), unrestricted);
        let ended = test.sync();
        assert_eq!(ended.code, 0, "{}{}", ended.stderr, ended.text());
        let doctor = test.run("doctor", &["--deep"]);
        assert_eq!(doctor.code, 0, "{}", doctor.text());
    }
}

/// The copy of another tenant, whose policy shows protected persons: every delivery is looked at, not only the first.
#[test]
fn a_delivery_of_another_tenant() {
    for number in [0, 1] {
        let test = TestRun::local();
        let tenants = [
            ("mask", "tenants/mask", "mask"),
            ("incl", "tenants/incl", "include"),
        ];
        configure(&test, "", DATASET, &tenants);
        two_nights(&test);
        replace(&test, number, &test.dataset_of("incl"), "mask");
        let deliveries = test.dataset_of("mask").join("agreement=town");
        let before = snapshot(&deliveries);
        let text = "has data that was made for tenant incl";
        assert_said(&test, text);
        assert_refused(&test.sync(), text);
        let third = town("20260304").resident(ALICE, "0265", "Adam");
        assert_refused(&put(&test, "town", 3, third), text);
        assert_eq!(snapshot(&deliveries), before);
        // The tenant's own tables may show what is hidden now.
        assert!(!test.dataset_of("mask").join("current").exists());
        assert_eq!(test.published_to("incl").len(), 3);
        assert_said(&test, text);
    }
}

/// A delivery that the ledger does not know, and one that this installation did not make, are not removed.
#[test]
fn unrestricted_data_that_the_ledger_does_not_know() {
    for is_other in [false, true] {
        let test = TestRun::local();
        configure(&test, "", DATASET, &[("mask", "tenants/mask", "mask")]);
        two_nights(&test);
        let (first, _) = test.published_to("mask").swap_remove(0);
        match is_other {
            // The name is not that of the delivery for the tenant.
            false => {
                let (unrestricted, _) = test.published().swap_remove(0);
                let name = "delivery=2026-03-02-000009-00000000";
                copy(&unrestricted, &first.with_file_name(name));
            }
            // The time of publication is not that of the ledger.
            true => {
                replace(&test, 0, &test.dataset(), "mask");
                let path = first.join("_delivery.json");
                let text = fs::read_to_string(&path).unwrap();
                let mut manifest: serde_json::Value = serde_json::from_str(&text).unwrap();
                manifest["published"] = "2026-01-01T00:00:00Z".into();
                fs::write(&path, manifest.to_string()).unwrap();
            }
        }
        let before = snapshot(&test.dataset_of("mask"));
        assert_said(&test, UNRESTRICTED);
        assert_refused(&test.sync(), UNRESTRICTED);
        assert_eq!(snapshot(&test.dataset_of("mask")), before);
    }
}

/// A tenant gets the old directory of the unrestricted dataset, which was moved.
#[test]
fn a_tenant_in_the_old_directory_of_the_unrestricted_dataset() {
    for (publish, has_current) in [("", true), ("publish = [\"deliveries\"]", false)] {
        for is_new in [false, true] {
            let test = TestRun::local();
            let before: &[_] = match is_new {
                true => &[],
                false => &[("mask", "tenants/mask", "mask")],
            };
            fs::create_dir(test.path("q")).unwrap();
            configure(&test, publish, "q/old", before);
            two_nights(&test);
            let (old, new) = (test.path("q/old"), test.path("q/new"));
            copy(&old, &new);
            configure(&test, publish, "q/new", &[("mask", "q/old", "mask")]);
            let content = (snapshot(&old), snapshot(&new));
            if has_current || is_new {
                assert_said(&test, UNRESTRICTED);
                assert_refused(&test.sync(), UNRESTRICTED);
                let third = town("20260304").resident(ALICE, "0265", "Adam");
                assert_refused(&put(&test, "town", 3, third), UNRESTRICTED);
                assert_eq!(snapshot(&old), content.0);
                assert!(!files_with(&new, "Adam").is_empty(), "others go on");
                // As the message says.
                fs::rename(&old, test.path("q/aside")).unwrap();
            }
            let ended = test.sync();
            // The deliveries that the tenant had are gone with the directory.
            let is_gone = has_current && !is_new;
            assert_eq!(ended.code == 2, is_gone, "{}", ended.stderr);
            for hidden in ["Birk", "Ceder"] {
                assert!(!old.exists() || files_with(&old, hidden).is_empty());
            }
        }
    }
}

/// A tenant of a second configuration is pointed at a dataset of the first one. The first one loses nothing.
#[test]
fn a_dataset_of_another_configuration() {
    for (place, text) in [
        (DATASET, UNRESTRICTED),
        ("tenants/mask", "has data that was made for tenant mask"),
    ] {
        let first = TestRun::local();
        configure(&first, "", DATASET, &[("mask", "tenants/mask", "mask")]);
        two_nights(&first);
        let theirs = first.path(place);
        let before = snapshot(&theirs);
        let current = fs::read_link(theirs.join("current")).unwrap();
        let second = TestRun::local();
        let directory = theirs.to_str().unwrap();
        configure(&second, "", DATASET, &[("other", directory, "mask")]);
        let doctor = second.run("doctor", &[]);
        assert_eq!(doctor.code, 1, "{}", doctor.text());
        assert!(doctor.text().contains(text), "{}", doctor.text());
        for (number, date) in [(1, "20260303"), (2, "20260304")] {
            let night = town(date).resident(CARLA, "0265", "Ceder");
            assert_refused(&put(&second, "town", number, night), text);
            assert_eq!(snapshot(&theirs), before);
            assert_eq!(fs::read_link(theirs.join("current")).unwrap(), current);
        }
        assert_said(&second, text);
        second.run("erase", &["--tenant", "other", "--yes"]);
        assert_eq!(snapshot(&theirs), before);
        let ended = first.sync();
        assert_eq!(ended.code, 0, "{}{}", ended.stderr, ended.text());
    }
}

/// The unrestricted dataset is moved to the old directory of a tenant, and a tenant's delivery is in the unrestricted dataset.
#[test]
fn data_of_a_tenant_in_the_unrestricted_dataset() {
    let test = TestRun::local();
    configure(&test, "", DATASET, &[("mask", "tenants/mask", "mask")]);
    two_nights(&test);
    let (own, _) = test.published().swap_remove(0);
    let (masked, _) = test.published_to("mask").swap_remove(0);
    let aside = test.path("aside");
    fs::rename(&own, &aside).unwrap();
    copy(&masked, &own);
    let text = "has data that was made for tenant mask, so that rows and values are missing";
    assert_said(&test, text);
    assert_eq!(test.sync().code, 1);
    fs::remove_dir_all(&own).unwrap();
    fs::rename(&aside, &own).unwrap();
    assert_eq!(test.sync().code, 0);
    // The datasets change places.
    fs::rename(test.dataset(), test.path("aside")).unwrap();
    fs::rename(test.dataset_of("mask"), test.path("tenants/new")).unwrap();
    fs::rename(test.path("aside"), test.path("tenants/mask")).unwrap();
    configure(
        &test,
        "",
        "tenants/mask",
        &[("mask", "tenants/new", "mask")],
    );
    let before = snapshot(&test.path("tenants/mask"));
    let ended = test.sync();
    assert!(ended.code < 2, "{}", ended.stderr);
    assert_eq!(snapshot(&test.path("tenants/mask")), before);
    assert!(test.path("tenants/mask/current").exists());
}
