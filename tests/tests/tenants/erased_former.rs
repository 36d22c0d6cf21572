//! Erasing an agreement of which tenants have deliveries that are not in the configuration any more.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::fs;

use cprflow_tests::search::files_with;
use cprflow_tests::test_run::TestRun;
use serde_json::Value;

use crate::hidden_later::{ALICE, BERTA, other, put, town};

/// A tenant: its name, its directory and the agreements that it may see.
type Tenant<'a> = (&'a str, &'a str, &'a [&'a str]);

/// Writes a configuration with these agreements and tenants.
fn configure(test: &TestRun, top: &str, agreements: &[&str], tenants: &[Tenant<'_>]) {
    let mut text = format!("{top}\n");
    for agreement in agreements {
        text.push_str(&format!(
            "[agreement.{agreement}]\ninbox = \"inbox\"\nfiles.name = \"{agreement}.*\"\nunrestricted = \"test\"\n"
        ));
    }
    for (tenant, directory, seen) in tenants {
        text.push_str(&format!(
            "[tenant.{tenant}]\nagreements = {seen:?}\npurpose = \"test\"\ndataset = \"tenants/{directory}\"\n"
        ));
    }
    test.configure(&text);
}

/// Erases the agreement `town`. Returns the exit code, and what the command and the newest proof name as left.
fn erase(test: &TestRun) -> (i32, Vec<String>, Vec<String>) {
    let arguments = ["--agreement", "town", "--yes", "--format", "json"];
    let ended = test.run("erase", &arguments);
    let told: Value = serde_json::from_slice(&ended.stdout).unwrap();
    let proofs = fs::read_to_string(test.path("state/erasures.jsonl")).unwrap();
    let proof: Value = serde_json::from_str(proofs.lines().last().unwrap()).unwrap();
    assert_eq!(proof["subject"], "agreement town");
    let texts = |left: &Value| {
        let left = left.as_array().into_iter().flatten();
        left.map(|one| one.as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    (
        ended.code,
        texts(&told["stores"][0]["left"]),
        texts(&proof["left"]),
    )
}

/// Only the tenant that has deliveries of the agreement is named, until they are deleted.
#[test]
fn the_proof_of_an_agreement_names_what_former_tenants_have() {
    let test = TestRun::local();
    let tenants: [Tenant<'_>; 3] = [
        ("gone", "gone", &["town"]),
        ("moved", "old", &["town", "other"]),
        ("third", "third", &["other"]),
    ];
    configure(&test, "", &["town", "other"], &tenants);
    test.set_time("2026-03-05T08:00:00Z");
    let alice = town("20260302").resident(ALICE, "0265", "Anders");
    assert!(put(&test, "town", 1, alice).code < 2);
    let berta = other("20260303").resident(BERTA, "0265", "Birk");
    assert!(put(&test, "other", 2, berta).code < 2);
    let ended = "ended_agreements = [\"town\"]";
    let moved: [Tenant<'_>; 1] = [("moved", "new", &["other"])];
    configure(&test, ended, &["other"], &moved);
    // A part of the dataset was forgotten in the old directory.
    let (old, new) = (test.dataset_of("old"), test.dataset_of("new"));
    fs::rename(&old, &new).unwrap();
    fs::create_dir(&old).unwrap();
    fs::rename(new.join("agreement=town"), old.join("agreement=town")).unwrap();
    let (code, told, proved) = erase(&test);
    assert_eq!(code, 1, "{told:?}");
    for left in [told, proved] {
        assert_eq!(left.len(), 2, "{left:?}");
        let named = |tenant: &str, directory: &str| {
            let path = test.dataset_of(directory).display().to_string();
            let mut left = left.iter();
            left.any(|one| one.contains(&format!("tenant {tenant} ")) && one.contains(&path))
        };
        assert!(named("gone", "gone") && named("moved", "old"), "{left:?}");
    }
    assert!(files_with(&test.dataset(), "Anders").is_empty());
    assert!(!files_with(&test.dataset_of("gone"), "Anders").is_empty());
    // As the texts say.
    let deleted = test.run("erase", &["--tenant", "gone", "--yes"]);
    assert_eq!(deleted.code, 0, "{}{}", deleted.stderr, deleted.text());
    fs::remove_dir_all(&old).unwrap();
    // The proof of another erasure has another time.
    test.set_time("2026-03-05T09:00:00Z");
    assert_eq!(erase(&test), (0, Vec::new(), Vec::new()));
    for place in ["state", "disk", "tenants"] {
        let left = files_with(&test.path(place), "Anders");
        assert!(left.is_empty(), "{left:?}");
    }
}
