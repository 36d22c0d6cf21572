//! What `register show` finds of persons outside the extracts of the register, and what it says about places that it cannot
//! search.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use cprflow_tests::command::CommandOutput;
use cprflow_tests::test_run::TestRun;
use serde_json::Value;

use crate::hidden_later::{ALICE, BERTA, CARLA, put, town};

const NOTHING: &str = "nothing is kept";

/// Alice comes in the first night and moves in the second. A tenant has numbers, the other one has none.
fn two_nights() -> TestRun {
    let test = TestRun::local();
    let mut text = "[agreement.town]\ninbox = \"inbox\"\nunrestricted = \"test\"\n".to_owned();
    for (tenant, policy) in [("one", ""), ("numberless", "numbers = \"drop\"\n")] {
        text.push_str(&format!(
            "[tenant.{tenant}]\nagreements = [\"town\"]\npurpose = \"test\"\ndataset = \"tenants/{tenant}\"\n{policy}"
        ));
    }
    test.configure(&text);
    test.set_time("2026-03-02T08:00:00Z");
    let first = town("20260302").resident(ALICE, "0265", "Anders");
    let ended = put(&test, "town", 1, first);
    assert!(ended.code < 2, "{}{}", ended.stderr, ended.text());
    test.set_time("2026-03-03T08:00:00Z");
    let second = town("20260303").resident(ALICE, "0101", "Anders");
    let ended = put(&test, "town", 2, second);
    assert!(ended.code < 2, "{}{}", ended.stderr, ended.text());
    test
}

/// Asks for a person. Returns how the command ended, and the answer.
fn show(test: &TestRun, number: &str, format: &str) -> (CommandOutput, String) {
    let list = test.path("numbers.txt");
    fs::write(&list, format!("{number}\n")).unwrap();
    fs::set_permissions(&list, fs::Permissions::from_mode(0o600)).unwrap();
    let (list, answer) = (list.display().to_string(), test.path("answer"));
    let to = answer.display().to_string();
    let more = ["--numbers", &list, "--format", format, "--force", "-o", &to];
    let ended = test.run("register show", &more);
    (ended, fs::read_to_string(answer).unwrap())
}

/// Asks for a person. Returns the exit code and the answer as JSON.
fn ask(test: &TestRun, number: &str) -> (i32, Value) {
    let (ended, answer) = show(test, number, "json");
    (ended.code, serde_json::from_str(&answer).unwrap())
}

/// The files and directories of the only person of an answer.
fn stored(answer: &Value) -> BTreeSet<PathBuf> {
    let stored = answer["persons"][0]["stored"].as_array().unwrap();
    let path = |path: &Value| PathBuf::from(path.as_str().unwrap());
    stored.iter().map(path).collect()
}

/// The directories in a directory.
fn directories(place: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(place).unwrap();
    let found: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    assert!(!found.is_empty(), "{}", place.display());
    found
}

#[test]
fn a_delivery_that_was_set_aside_is_told() {
    let test = two_nights();
    let (code, answer) = ask(&test, BERTA);
    assert_eq!((code, stored(&answer)), (0, BTreeSet::new()));
    // The date is in the future, so the delivery waits for a person.
    let third = town("20270101").resident(BERTA, "0265", "Birk");
    let ended = put(&test, "town", 3, third);
    let told = format!("{}{}", ended.stderr, ended.text());
    assert!(told.contains("future-date"), "{told}");
    let (code, answer) = ask(&test, BERTA);
    assert_eq!(code, 0, "{answer}");
    let spool = test.path("state/spool/town");
    let waiting: BTreeSet<_> = directories(&spool).into_iter().collect();
    assert_eq!(stored(&answer), waiting);
    let (_, text) = show(&test, BERTA, "text");
    assert!(
        text.contains("stored in") && !text.contains(NOTHING),
        "{text}"
    );
    // Of a person who is nowhere, nothing is kept.
    let (ended, text) = show(&test, CARLA, "text");
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(text.contains(NOTHING), "{text}");
}

#[test]
fn older_generations_and_deliveries_without_numbers_are_told() {
    let test = two_nights();
    let (code, answer) = ask(&test, ALICE);
    assert_eq!(code, 0, "{answer}");
    let stored = stored(&answer);
    let older = directories(&test.dataset().join("generations"));
    assert_eq!(older.len(), 2);
    let datasets = [
        test.dataset(),
        test.dataset_of("one"),
        test.dataset_of("numberless"),
    ];
    for dataset in &datasets {
        for part in ["generations", "agreement=town"] {
            for directory in directories(&dataset.join(part)) {
                assert!(stored.contains(&directory), "{}", directory.display());
            }
        }
    }
    let deliveries = answer["persons"][0]["deliveries"].as_array().unwrap();
    assert_eq!(deliveries.len(), 2);
    for delivery in deliveries {
        let tenants = delivery["tenants"].as_array().unwrap().iter();
        let names: BTreeSet<_> = tenants.map(|one| one[0].as_str().unwrap()).collect();
        assert_eq!(names, BTreeSet::from(["one", "numberless"]));
    }
    // Others are in none of them.
    let (_, answer) = ask(&test, BERTA);
    assert_eq!(answer["persons"][0]["stored"], serde_json::json!([]));
}

/// Asserts that the answers about two persons say that a place was not searched.
#[track_caller]
fn assert_not_searched(test: &TestRun, place: &Path) {
    let place = place.display().to_string();
    let (code, answer) = ask(test, ALICE);
    assert_eq!(code, 1, "{answer}");
    let left = answer["left"].as_array().unwrap().iter();
    let told = left.filter(|one| one.as_str().unwrap().contains(&place));
    assert_eq!(told.count(), 1, "{answer}");
    let (ended, text) = show(test, BERTA, "text");
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    for said in [&ended.stderr, &text] {
        assert!(said.contains("not searched"), "{said}");
        assert!(said.contains(&place), "{said}");
    }
    assert!(!text.contains(NOTHING), "{text}");
    assert!(text.contains("nothing was found, but"), "{text}");
}

#[test]
fn what_is_not_there_is_named() {
    let test = two_nights();
    let aside = test.path("aside");
    let delivery = directories(&test.dataset_of("one").join("agreement=town")).remove(0);
    for place in [
        test.dataset(),
        test.dataset_of("one"),
        test.dataset_of("numberless"),
        delivery,
        test.path("state"),
    ] {
        fs::rename(&place, &aside).unwrap();
        assert_not_searched(&test, &place);
        fs::rename(&aside, &place).unwrap();
        assert_eq!(ask(&test, ALICE).0, 0);
    }
}

/// With current tables alone, the ledger has no deliveries in the datasets.
#[test]
fn a_dataset_of_current_tables_that_is_not_there_is_named() {
    let test = TestRun::local();
    test.configure(
        "publish = [\"current\"]\n[agreement.town]\ninbox = \"inbox\"\n[tenant.one]\nagreements = [\"town\"]\n\
         purpose = \"test\"\ndataset = \"tenants/one\"\n",
    );
    test.set_time("2026-03-02T08:00:00Z");
    let first = town("20260302").resident(ALICE, "0265", "Anders");
    let ended = put(&test, "town", 1, first);
    assert!(ended.code < 2, "{}{}", ended.stderr, ended.text());
    let (code, answer) = ask(&test, ALICE);
    assert_eq!(code, 0, "{answer}");
    let place = test.dataset_of("one");
    assert!(stored(&answer).contains(&place.join("generations/000001")));
    fs::rename(&place, test.path("aside")).unwrap();
    assert_not_searched(&test, &place);
}

#[test]
fn a_table_that_cannot_be_read_is_named() {
    let test = two_nights();
    for place in [
        test.dataset_of("one").join("generations/000002"),
        directories(&test.dataset_of("numberless").join("agreement=town")).remove(0),
    ] {
        let table = place.join("person.parquet");
        let whole = fs::read(&table).unwrap();
        let mode = fs::metadata(&table).unwrap().permissions();
        fs::write(&table, "damaged").unwrap();
        assert_not_searched(&test, &table);
        fs::write(&table, whole).unwrap();
        fs::set_permissions(&table, mode).unwrap();
        assert_eq!(ask(&test, ALICE).0, 0);
    }
}

#[test]
fn an_extract_that_was_changed_is_named() {
    let test = two_nights();
    let extract = directories(&test.path("state/register/town")).remove(0);
    let mut bytes = fs::read(&extract).unwrap();
    // The size stays.
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&extract, bytes).unwrap();
    let (code, answer) = ask(&test, BERTA);
    assert_eq!(code, 1, "{answer}");
    let path = extract.display().to_string();
    assert_eq!(answer["missing"], serde_json::json!([path]));
    let (ended, text) = show(&test, BERTA, "text");
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert!(text.contains(&path) && !text.contains(NOTHING), "{text}");
    // The other extract still has Alice.
    let (code, answer) = ask(&test, ALICE);
    assert_eq!(code, 1, "{answer}");
    let deliveries = answer["persons"][0]["deliveries"].as_array().unwrap();
    assert_eq!(deliveries.len(), 1);
}
