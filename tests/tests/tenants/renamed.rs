//! A tenant with a new name: the data that was made for the old name stays the old tenant's.

use cprflow_tests::search::files_with;
use cprflow_tests::test_run::TestRun;

use crate::hidden_later::{ALICE, BERTA, put, town};

/// Writes a configuration in which the only tenant has this name and this directory.
fn configure(test: &TestRun, name: &str, dataset: &str) {
    test.configure(&format!(
        "[agreement.town]\ninbox = \"inbox\"\nfiles.name = \"town.*\"\n\
         [tenant.{name}]\nagreements = [\"town\"]\npurpose = \"test\"\ndataset = \"tenants/{dataset}\"\n"
    ));
}

/// A delivery was published to `old`, and then `new` was refused in its directory.
fn refused() -> TestRun {
    let test = TestRun::local();
    configure(&test, "old", "old");
    test.set_time("2026-03-05T08:00:00Z");
    let first = town("20260302").resident(ALICE, "0265", "Anders");
    assert_eq!(put(&test, "town", 1, first).code, 0);
    configure(&test, "new", "old");
    for _ in 0..2 {
        let ended = test.sync();
        assert_eq!(ended.code, 2, "{}{}", ended.stderr, ended.text());
        let told = "has data that was made for tenant old";
        assert!(ended.stderr.contains(told), "{}", ended.stderr);
    }
    test
}

#[track_caller]
fn assert_shows(test: &TestRun, tenant: &str, text: &str, is_shown: bool) {
    let found = files_with(&test.dataset_of(tenant), text);
    assert_eq!(!found.is_empty(), is_shown, "{tenant}: {text}: {found:?}");
}

#[test]
fn a_tenant_that_was_refused_gets_an_empty_directory() {
    let test = refused();
    configure(&test, "new", "new");
    let ended = test.sync();
    let said = format!("{}{}", ended.text(), ended.stderr);
    assert!(
        ended.code < 2 && !said.contains("is gone or empty"),
        "{said}"
    );
    // The old directory is the old tenant's, and not one that `new` was moved away from.
    assert!(
        said.contains("tenant old is not in the configuration any more")
            && !said.contains("Move the deliveries"),
        "{said}"
    );
    assert_shows(&test, "new", "Anders", true);
    let second = town("20260303").resident(BERTA, "0265", "Birk");
    let ended = put(&test, "town", 2, second);
    assert!(ended.code < 2, "{}", ended.stderr);
    assert_eq!(test.published_to("new").len(), 1);
    assert_shows(&test, "new", "Birk", true);
    let ended = test.run("erase", &["--tenant", "old", "--yes"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(!ended.stderr.contains("[tenant.old]"), "{}", ended.stderr);
    assert_shows(&test, "old", "Anders", false);
    assert_shows(&test, "new", "Anders", true);
}

/// The directory cannot be emptied while the configuration has it for another tenant.
#[test]
fn the_old_name_is_erased_when_the_new_one_has_its_own_directory() {
    let test = refused();
    let ended = test.run("erase", &["--tenant", "old", "--yes"]);
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert!(
        ended.stderr.contains("the erasure is not complete")
            && !ended.stderr.contains("[tenant.old]"),
        "{}",
        ended.stderr
    );
    let again = test.run("erase", &["--tenant", "old", "--yes"]);
    assert_ne!(again.code, 0, "{}", again.stderr);
    assert!(!again.stderr.contains("has no tenant"), "{}", again.stderr);
    configure(&test, "new", "new");
    let ended = test.sync();
    assert!(ended.code < 2, "{}", ended.stderr);
    assert_shows(&test, "old", "Anders", false);
    assert_shows(&test, "new", "Anders", true);
}
