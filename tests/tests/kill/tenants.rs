//! Kills the publication to tenants with SIGKILL at every step. In the end each tenant has the same deliveries as without
//! a kill, and each leaver is listed exactly once.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::path::PathBuf;

use cprflow_connector::generate::{self, Settings};
use cprflow_tests::extract;
use cprflow_tests::reference_reader::Tables;
use cprflow_tests::scope::municipalities;
use cprflow_tests::test_run::{TestRun, files, tables, transfer};

/// Every step after the check of a delivery at which a run can be stopped, in order.
const POINTS: &[&str] = &[
    "fetched",
    "kept",
    "committed",
    "shared-out",
    "tenant-scanned",
    "tenant-publishing",
    "roster-written",
    "staged",
    "renamed",
    "tenant-published",
    "roster-settled",
    "data-gone",
    "data-removed",
    "metadata-gone",
    "done",
    "spool-removed",
];

const TENANTS: [&str; 2] = ["one", "two"];

#[test]
fn killed_at_every_step() {
    let nights = nights();
    let unharmed = test_run(&nights[0]);
    for (night, extract) in nights.iter().enumerate() {
        put(&unharmed, night, extract);
        assert_eq!(unharmed.sync().code, 0);
    }
    let expected = TENANTS.map(|tenant| all(&unharmed, tenant));
    let left: usize = expected
        .iter()
        .flatten()
        .map(|night| night["out_of_scope"].len())
        .sum();
    assert!(
        left > 0,
        "the deliveries have no leavers, so nothing is tested"
    );
    for point in POINTS {
        let test = test_run(&nights[0]);
        for (night, extract) in nights.iter().enumerate() {
            put(&test, night, extract);
            test.stop_at(point).kill();
            nothing_is_lost(&test, night, point);
            // If the next run passes this step again, it is killed there again: resuming must work repeatedly.
            let comes_again = !["committed", "data-gone", "done", "spool-removed"].contains(point);
            if night == 1 && comes_again && is_waiting(&test, night) {
                test.stop_at(point).kill();
                nothing_is_lost(&test, night, point);
            }
            let ended = test.sync();
            assert_eq!(ended.code, 0, "{point}: {}", ended.stderr);
        }
        for (tenant, expected) in TENANTS.iter().zip(&expected) {
            assert!(all(&test, tenant) == *expected, "{point}: {tenant}");
            let sequences: Vec<_> = test
                .published_to(tenant)
                .into_iter()
                .map(|(_, manifest)| manifest.sequence)
                .collect();
            assert_eq!(sequences, [1, 2, 3, 4], "{point}: {tenant}");
            let rosters = files(&test.path(&format!("state/rosters/{tenant}")));
            let count = |ending: &str| {
                let is_one = |path: &&PathBuf| path.extension().is_some_and(|end| end == ending);
                rosters.iter().filter(is_one).count()
            };
            let kept = ["roster", "delivered", "before"].map(count);
            assert_eq!((kept, rosters.len()), ([1, 4, 4], 9), "{point}: {tenant}");
        }
        assert!(test.remote().is_empty(), "{point}");
        assert!(files(&test.path("state/spool")).is_empty(), "{point}");
        let quiet = test.sync();
        assert_eq!((quiet.code, quiet.text()), (0, "nothing new\n"), "{point}");
    }
}

/// A new ledger records all deliveries of a tenant or none.
#[test]
fn killed_while_a_new_ledger_records_tenant_deliveries() {
    let nights = nights();
    let test = test_run(&nights[0]);
    for (night, extract) in nights.iter().enumerate() {
        put(&test, night, extract);
        assert_eq!(test.sync().code, 0);
    }
    let before = TENANTS.map(|tenant| all(&test, tenant));
    test.remove_ledger();
    for (night, extract) in nights.iter().enumerate() {
        put(&test, night, extract);
    }
    for _ in 0..2 {
        test.stop_at("adopting-shares").kill();
    }
    let ended = test.sync();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(TENANTS.map(|tenant| all(&test, tenant)) == before);
    assert!(test.remote().is_empty());
}

/// A glob over a tenant's dataset returns only complete deliveries, at every step.
#[test]
fn incomplete_deliveries_are_never_visible() {
    let nights = nights();
    let first = {
        let unharmed = test_run(&nights[0]);
        put(&unharmed, 0, &nights[0]);
        assert_eq!(unharmed.sync().code, 0);
        TENANTS.map(|tenant| all(&unharmed, tenant))
    };
    for point in POINTS {
        let test = test_run(&nights[0]);
        put(&test, 0, &nights[0]);
        let stopped = test.stop_at(point);
        for (tenant, expected) in TENANTS.iter().zip(&first) {
            let seen = all(&test, tenant);
            assert!(seen.is_empty() || seen == *expected, "{point}: {tenant}");
        }
        stopped.kill();
    }
}

/// Asserts that a night's delivery is on the server, in the spool, or published to both tenants.
fn nothing_is_lost(test: &TestRun, night: usize, point: &str) {
    let name = format!("n{night}");
    let is_remote = test.remote().contains(&name);
    let is_spooled = files(&test.path("state/spool"))
        .iter()
        .any(|path| path.to_string_lossy().contains(&transfer(night as u32 + 1)));
    let has = |tenant: &&str| test.published_to(tenant).len() > night;
    let is_published = TENANTS.iter().all(has);
    assert!(
        is_remote || is_spooled || is_published,
        "{point}: the delivery of night {night} is lost"
    );
    assert!(
        is_remote || is_published,
        "{point}: the delivery was removed before both tenants had it"
    );
}

/// Returns whether a tenant still waits for a night's delivery.
fn is_waiting(test: &TestRun, night: usize) -> bool {
    let lacks = |tenant: &&str| test.published_to(tenant).len() <= night;
    TENANTS.iter().any(lacks) && test.remote().contains(&format!("n{night}"))
}

fn test_run(first: &[u8]) -> TestRun {
    let test = TestRun::local();
    let codes = municipalities(first);
    let tenant = |name: &str, code: &str| {
        format!(
            "[tenant.{name}]\nagreements = [\"town\"]\npurpose = \"test\"\ndataset = \"tenants/{name}\"\n\
             persons = {{ municipalities = [\"{code}\"] }}\n"
        )
    };
    test.configure(&format!(
        "[agreement.town]\ninbox = \"inbox\"\n{}{}",
        tenant("one", &codes[0]),
        tenant("two", &codes[1])
    ));
    test
}

fn put(test: &TestRun, night: usize, extract: &[u8]) {
    test.put(&format!("n{night}"), extract, &transfer(night as u32 + 1));
}

/// Returns a status file and three more nights. In each, a third of the persons moves to the next municipality.
fn nights() -> Vec<Vec<u8>> {
    let settings = Settings::busy(60, 3);
    let status = extract::status(&settings);
    let codes = municipalities(&status);
    let mut nights = vec![status.clone()];
    for night in 1..=3 {
        let mut bytes = Vec::new();
        generate::changes(&settings, night, &mut bytes).unwrap();
        let changes = extract::lines(&bytes);
        // The start record of this night, followed by the persons of the status file.
        let mut lines = extract::lines(&status);
        lines[0] = changes[0].clone();
        let addresses = lines.iter_mut().filter(|line| line.starts_with(b"002"));
        for (place, line) in addresses.enumerate() {
            let code = &codes[(place + night as usize) % 3 % codes.len()];
            line[13..17].copy_from_slice(code.as_bytes());
        }
        nights.push(extract::join(&lines, b"\n"));
    }
    nights
}

fn all(test: &TestRun, tenant: &str) -> Vec<Tables> {
    let published = test.published_to(tenant).into_iter();
    published.map(|(directory, _)| tables(&directory)).collect()
}
