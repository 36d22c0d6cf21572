//! Erasing an agreement or a tenant while a directory has data that was made for somebody else: nothing is removed before a
//! person has cleared that up. Every byte is compared.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use cprflow_tests::command::CommandOutput;
use cprflow_tests::search::files_with;
use cprflow_tests::test_run::{TestRun, files};

use crate::hidden_later::{ALICE, BERTA, CARLA, copy, other, put, town};

/// Writes a configuration with these agreements, which publish everything and to two tenants.
fn configure(test: &TestRun, top: &str, agreements: &[&str]) {
    let mut text = format!("{top}\n");
    for agreement in agreements {
        text.push_str(&format!(
            "[agreement.{agreement}]\ninbox = \"inbox\"\nfiles.name = \"{agreement}.*\"\nunrestricted = \"test\"\n"
        ));
    }
    for tenant in ["one", "two"] {
        text.push_str(&format!(
            "[tenant.{tenant}]\nagreements = {agreements:?}\npurpose = \"test\"\ndataset = \"tenants/{tenant}\"\n"
        ));
    }
    test.configure(&text);
}

/// One delivery of each of two agreements: Alice in `town`, Berta in `other`.
fn start() -> TestRun {
    let test = TestRun::local();
    configure(&test, "", &["town", "other"]);
    test.set_time("2026-03-05T08:00:00Z");
    let alice = town("20260302").resident(ALICE, "0265", "Anders");
    assert!(put(&test, "town", 1, alice).code < 2);
    let berta = other("20260303").resident(BERTA, "0265", "Birk");
    assert!(put(&test, "other", 2, berta).code < 2);
    test
}

/// The same, and `town` has ended.
fn ended() -> TestRun {
    let test = start();
    configure(&test, "ended_agreements = [\"town\"]", &["other"]);
    test
}

/// Returns the directory of the delivery of an agreement in a dataset.
fn delivery(dataset: &Path, agreement: &str) -> PathBuf {
    let parent = dataset.join(format!("agreement={agreement}"));
    let mut all = fs::read_dir(parent).unwrap();
    let only = all.next().unwrap().unwrap().path();
    assert!(all.next().is_none());
    only
}

/// Exchanges two directories.
fn exchange(test: &TestRun, one: &Path, other: &Path) {
    let aside = test.path("aside");
    fs::rename(one, &aside).unwrap();
    fs::rename(other, one).unwrap();
    fs::rename(&aside, other).unwrap();
}

fn snapshot(directories: [&Path; 2]) -> BTreeMap<PathBuf, Vec<u8>> {
    let all = directories.into_iter().flat_map(files);
    let all: BTreeMap<_, _> = all
        .map(|file| (file.clone(), fs::read(file).unwrap()))
        .collect();
    assert!(!all.is_empty());
    all
}

/// Asserts that a command names the directory and says what is in it.
#[track_caller]
fn assert_names(ended: &CommandOutput, code: i32, directory: &Path, found: &str) {
    let said = format!("{}{}", ended.stderr, ended.text());
    assert_eq!(ended.code, code, "{said}");
    let told = format!("{} has {found}, but the ledger has", directory.display());
    assert!(said.contains(&told), "{told}: {said}");
}

#[track_caller]
fn assert_nowhere(test: &TestRun, text: &str) {
    for place in ["state", "disk", "tenants"] {
        let left = files_with(&test.path(place), text);
        assert!(left.is_empty(), "{text} is in {left:?}");
    }
}

/// Two tenants' directories of one delivery were exchanged.
#[test]
fn a_tenants_erasure_keeps_the_directory_of_another_tenant() {
    let test = start();
    let [one, two] = ["one", "two"].map(|tenant| delivery(&test.dataset_of(tenant), "town"));
    exchange(&test, &one, &two);
    let before = snapshot([&one, &two]);
    let with_and_without: [&[&str]; 2] = [&["--tenant", "one"], &["--tenant", "one", "--yes"]];
    for arguments in with_and_without {
        let refused = test.run("erase", arguments);
        assert_names(&refused, 2, &one, "data that was made for tenant two");
        assert!(!test.path("state/erasing").exists());
        assert_eq!(snapshot([&one, &two]), before);
        assert_eq!(test.published_to("one").len(), 2);
    }
    exchange(&test, &one, &two);
    let done = test.run("erase", &["--tenant", "one", "--yes"]);
    assert_eq!(done.code, 0, "{}{}", done.stderr, done.text());
    assert!(test.published_to("one").is_empty());
    assert_eq!(test.published_to("two").len(), 2);
}

/// The directories of two agreements were exchanged, in the unrestricted dataset or in a tenant's.
#[test]
fn an_agreements_erasure_keeps_the_directory_of_another_agreement() {
    for tenant in [None, Some("one")] {
        let test = ended();
        let dataset = tenant.map_or(test.dataset(), |tenant| test.dataset_of(tenant));
        let [own, theirs] = ["town", "other"].map(|agreement| delivery(&dataset, agreement));
        exchange(&test, &own, &theirs);
        let before = snapshot([&own, &theirs]);
        let arguments = ["--agreement", "town", "--yes"];
        let refused = test.run("erase", &arguments);
        assert_names(&refused, 2, &own, "another delivery of agreement other");
        assert!(!test.path("state/erasing").exists());
        assert_eq!(snapshot([&own, &theirs]), before);
        exchange(&test, &own, &theirs);
        let done = test.run("erase", &arguments);
        assert_eq!(done.code, 0, "{}{}", done.stderr, done.text());
        assert_nowhere(&test, "Anders");
        assert!(!files_with(&theirs, "Birk").is_empty());
    }
}

/// The directories are exchanged when the erasure has begun: it waits, and the inboxes do not.
#[test]
fn an_erasure_that_has_begun_waits_for_a_person() {
    let test = ended();
    let dataset = test.dataset();
    let [own, theirs] = ["town", "other"].map(|agreement| delivery(&dataset, agreement));
    let arguments = ["--agreement", "town", "--yes"];
    test.stop_command_at("erase", &arguments, "erase-ordered")
        .kill();
    exchange(&test, &own, &theirs);
    let before = snapshot([&own, &theirs]);
    let found = "another delivery of agreement other";
    let carla = other("20260304").resident(CARLA, "0265", "Carlsen");
    assert_names(&put(&test, "other", 3, carla), 2, &own, found);
    assert_names(&test.sync(), 2, &own, found);
    for command in ["status", "doctor"] {
        assert_names(&test.run(command, &[]), 1, &own, found);
    }
    assert!(test.path("state/erasing").exists());
    assert_eq!(snapshot([&own, &theirs]), before);
    for dataset in [test.dataset(), test.dataset_of("one")] {
        assert!(!files_with(&dataset, "Carlsen").is_empty());
    }
    exchange(&test, &own, &theirs);
    let done = test.sync();
    assert!(done.code < 2, "{}{}", done.stderr, done.text());
    assert!(!test.path("state/erasing").exists());
    assert_nowhere(&test, "Anders");
    assert!(!files_with(&theirs, "Birk").is_empty());
}

/// A directory whose manifest cannot be read counts as the delivery that the ledger has there, and so does the same delivery of
/// this installation's unrestricted dataset.
#[test]
fn a_tenants_erasure_removes_damaged_and_unrestricted_directories_of_its_deliveries() {
    for is_damaged in [true, false] {
        let test = start();
        let own = delivery(&test.dataset_of("one"), "town");
        match is_damaged {
            true => fs::write(own.join("_delivery.json"), "{").unwrap(),
            false => {
                fs::remove_dir_all(&own).unwrap();
                copy(&delivery(&test.dataset(), "town"), &own);
            }
        }
        let done = test.run("erase", &["--tenant", "one", "--yes"]);
        assert_eq!(done.code, 0, "{}{}", done.stderr, done.text());
        assert!(!own.exists());
        assert!(files_with(&test.dataset_of("one"), "Anders").is_empty());
        assert!(!files_with(&test.dataset(), "Anders").is_empty());
    }
}
