//! What is left beside a tenant's dataset of deliveries that were made again.

use std::fs;

use cprflow_tests::search::files_with;
use cprflow_tests::test_run::{TestRun, transfer};

use crate::hidden_later::{ALICE, BERTA, assert_hidden, other, protection, put, start, town};

/// Agreement `other` has delivered Alice, and `town` has her protection in the inbox.
fn with_protection_in_inbox() -> TestRun {
    let test = start(&["town", "other"], "");
    test.set_time("2026-03-05T08:00:00Z");
    let both = other("20260302")
        .resident(ALICE, "0265", "Anders")
        .resident(BERTA, "0265", "Birk");
    assert_eq!(put(&test, "other", 1, both).code, 0);
    let protected = protection(town("20260303").resident(ALICE, "0265", "Anders"), ALICE);
    test.put("town2", &protected.finish(), &transfer(2));
    test
}

/// A run of one agreement makes the delivery of the other one again, and leaves no copy of what it was.
#[test]
fn a_run_of_one_agreement_leaves_no_copy_of_the_other_ones_delivery() {
    for has_exchange in [true, false] {
        let test = with_protection_in_inbox();
        if !has_exchange {
            test.forbid_exchange();
        }
        let ended = test.run_only("sync", &["--agreement", "town"]);
        assert!(ended.code < 2, "{}", ended.stderr);
        assert_hidden(&test, "Anders");
        for tenant in ["mask", "drop"] {
            let staging = test.path(&format!("tenants/.{tenant}.staging"));
            assert!(files_with(&staging, "Anders").is_empty(), "{tenant}");
            assert!(!staging.exists(), "{tenant}");
        }
        assert_eq!(test.run_only("status", &["--deep"]).code, 0);
    }
}

/// A run that was killed has left a copy. The commands that look at the disk name it, and the next run removes it.
#[test]
fn a_copy_that_a_killed_run_has_left_is_named_and_removed() {
    let test = with_protection_in_inbox();
    let stopped = test.stop_command_at("sync", &["--agreement", "town"], "rewriting-exchanged");
    // While the run is active, the files are those that it works on.
    let active = test.run_only("doctor", &[]);
    assert!(
        !active.text().contains("deliveries in preparation"),
        "{}",
        active.text()
    );
    stopped.kill();
    let is_left = |tenant: &str| {
        let staging = test.path(&format!("tenants/.{tenant}.staging"));
        !files_with(&staging, "Anders").is_empty()
    };
    assert!(["mask", "drop"].into_iter().any(is_left));
    for (command, arguments) in [
        ("doctor", &[][..]),
        ("status", &["--deep"][..]),
        ("status", &[][..]),
    ] {
        let ended = test.run_only(command, arguments);
        assert_eq!(ended.code, 1, "{command}: {}", ended.text());
        let said = format!("{}{}", ended.text(), ended.stderr);
        assert!(
            said.contains("deliveries in preparation") && said.contains("agreement other"),
            "{command}: {said}"
        );
    }
    let ended = test.run_only("sync", &["--agreement", "town"]);
    assert!(ended.code < 2, "{}", ended.stderr);
    assert!(!["mask", "drop"].into_iter().any(is_left));
    assert_hidden(&test, "Anders");
    let ended = test.run_only("doctor", &[]);
    assert!(
        !ended.text().contains("deliveries in preparation"),
        "{}",
        ended.text()
    );
    assert!(fs::read_dir(test.path("tenants")).unwrap().all(|entry| {
        let name = entry.unwrap().file_name();
        !name.to_string_lossy().ends_with(".staging")
    }));
}
