//! A new ledger or a second state directory publishes nothing twice to a tenant.

use std::fs;

use cprflow_tests::extract;
use cprflow_tests::scope::{Scope, municipalities, texts};
use cprflow_tests::test_run::{TestRun, tables};

use super::{AGREEMENT, in_municipality, nights, put, tenant};

#[test]
fn a_new_ledger_records_the_deliveries_of_tenants() {
    let test = TestRun::local();
    let nights = nights(150, 10);
    let here = &municipalities(&nights[0])[0];
    test.configure(&format!(
        "{AGREEMENT}{}",
        tenant("here", "town", &in_municipality(here))
    ));
    let mut scope = Scope::new(here);
    for (night, extract) in nights.iter().enumerate() {
        let expected = scope.apply(extract);
        put(&test, night, extract);
        assert_eq!(test.sync().code, 0);
        let (directory, manifest) = test.published_to("here").pop().unwrap();
        assert_eq!(manifest.sequence, night as u64 + 1);
        assert_eq!(
            texts(&tables(&directory)["out_of_scope"], "pnr"),
            expected.left
        );
        test.remove_ledger();
    }
    // The same delivery is not published twice.
    put(&test, 0, &nights[0]);
    assert_eq!(test.sync().code, 0);
    assert_eq!(test.published_to("here").len(), nights.len());
    assert!(test.remote().is_empty());
    // Without the roster no leavers could be listed, so the run must stop.
    fs::remove_dir_all(test.path("state/rosters")).unwrap();
    put(&test, 9, &extract::small(30, 1));
    let ended = test.sync();
    assert_eq!(ended.code, 2);
    assert!(
        ended.stderr.contains("put it back from a backup"),
        "{}",
        ended.stderr
    );
    assert_eq!(test.published_to("here").len(), nights.len());
}

/// A second state directory recognises what the first has published to a tenant. Only the first has the roster, so the
/// second publishes nothing.
#[test]
fn a_second_state_directory_publishes_nothing_twice() {
    let test = TestRun::local();
    let nights = nights(60, 10);
    let here = &municipalities(&nights[0])[0];
    test.configure(&format!(
        "{AGREEMENT}{}",
        tenant("here", "town", &in_municipality(here))
    ));
    let other = || {
        let state = test.path("other-state").display().to_string();
        test.run("sync", &["--state", &state])
    };
    assert_eq!(other().code, 0);
    put(&test, 0, &nights[0]);
    assert_eq!(test.sync().code, 0);
    put(&test, 0, &nights[0]);
    // It lacks the key with which the manifest identifies the extract, so the copy on the server stays for a person.
    let ended = other();
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert!(
        ended.text().contains("(transfer-reused)"),
        "{}",
        ended.text()
    );
    assert_eq!(test.published_to("here").len(), 1);
    assert_eq!(test.remote().len(), 2);
    // The first one has the key, and removes the copy.
    assert_eq!(test.sync().code, 0);
    assert!(test.remote().is_empty());
    put(&test, 1, &nights[1]);
    let ended = other();
    assert_eq!(ended.code, 2);
    let told = "put it back from a backup";
    assert!(ended.stderr.contains(told), "{}", ended.stderr);
    // A person of the first delivery is protected now, and this state directory has no extract to make it again.
    assert!(test.published_to("here").is_empty());
}

/// A tenant whose published deliveries cannot be read gets nothing until they can, and then nothing twice. The other
/// tenants continue.
#[test]
fn a_new_ledger_waits_for_a_tenant_whose_deliveries_cannot_be_read() {
    let test = TestRun::local();
    let nights = nights(60, 10);
    let here = &municipalities(&nights[0])[0];
    test.configure(&format!(
        "{AGREEMENT}{}{}",
        tenant("ill", "town", &in_municipality(here)),
        tenant("well", "town", &in_municipality(here))
    ));
    put(&test, 0, &nights[0]);
    assert_eq!(test.sync().code, 0);
    test.remove_ledger();
    let manifest = test.published_to("ill")[0].0.join("_delivery.json");
    let sound = fs::read(&manifest).unwrap();
    fs::write(&manifest, "{").unwrap();
    put(&test, 0, &nights[0]);
    put(&test, 1, &nights[1]);
    let ended = test.sync();
    assert_eq!(ended.code, 2);
    assert!(
        ended.stderr.contains("no description of a delivery"),
        "{}",
        ended.stderr
    );
    assert_eq!(test.published_to("well").len(), 2);
    fs::write(&manifest, sound).unwrap();
    assert_eq!(test.published_to("ill").len(), 1);
    let ended = test.sync();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    for name in ["ill", "well"] {
        assert_eq!(test.published_to(name).len(), 2, "{name}");
    }
    assert!(test.remote().is_empty());
}
