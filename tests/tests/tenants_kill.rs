//! Publishing to tenants killed with SIGKILL at every step: in the end each tenant has what it would have had without
//! it. Nobody who leaves is told twice, and nobody is forgotten.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::path::PathBuf;

use cprflow_connector::generate::{self, Settings};
use cprflow_tests::cut::Tables;
use cprflow_tests::extract;
use cprflow_tests::scope::municipalities;
use cprflow_tests::trial::{Trial, files, tables, transfer};

/// Every point at which a run can be stopped after a delivery was found sound, in the order in which it passes them.
const POINTS: &[&str] = &[
    "fetched",
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
    let unharmed = trial(&nights[0]);
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
    assert!(left > 0, "nobody leaves, so nothing is tested");
    for point in POINTS {
        let trial = trial(&nights[0]);
        for (night, extract) in nights.iter().enumerate() {
            put(&trial, night, extract);
            trial.stop_at(point).kill();
            nothing_is_lost(&trial, night, point);
            // Killed there a second time, where it comes by again: going on must not depend on being done only once.
            let comes_again = !["data-gone", "done", "spool-removed"].contains(point);
            if night == 1 && comes_again && is_left(&trial, night) {
                trial.stop_at(point).kill();
                nothing_is_lost(&trial, night, point);
            }
            let ended = trial.sync();
            assert_eq!(ended.code, 0, "{point}: {}", ended.stderr);
        }
        for (tenant, expected) in TENANTS.iter().zip(&expected) {
            assert!(all(&trial, tenant) == *expected, "{point}: {tenant}");
            let sequences: Vec<_> = trial
                .published_to(tenant)
                .into_iter()
                .map(|(_, manifest)| manifest.sequence)
                .collect();
            assert_eq!(sequences, [1, 2, 3, 4], "{point}: {tenant}");
            let rosters = files(&trial.path(&format!("state/rosters/{tenant}")));
            let count = |ending: &str| {
                let is_one = |path: &&PathBuf| path.extension().is_some_and(|end| end == ending);
                rosters.iter().filter(is_one).count()
            };
            let kept = (count("roster"), count("delivered"), rosters.len());
            assert_eq!(kept, (1, 4, 5), "{point}: {tenant}");
        }
        assert!(trial.remote().is_empty(), "{point}");
        assert!(files(&trial.path("state/spool")).is_empty(), "{point}");
        let quiet = trial.sync();
        assert_eq!((quiet.code, quiet.text()), (0, "nothing new\n"), "{point}");
    }
}

/// A new ledger takes up what the tenants have, for each of them all or nothing.
#[test]
fn killed_while_a_new_ledger_takes_up_what_tenants_have() {
    let nights = nights();
    let trial = trial(&nights[0]);
    for (night, extract) in nights.iter().enumerate() {
        put(&trial, night, extract);
        assert_eq!(trial.sync().code, 0);
    }
    let before = TENANTS.map(|tenant| all(&trial, tenant));
    trial.lose_ledger();
    for (night, extract) in nights.iter().enumerate() {
        put(&trial, night, extract);
    }
    for _ in 0..2 {
        trial.stop_at("adopting-shares").kill();
    }
    let ended = trial.sync();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(TENANTS.map(|tenant| all(&trial, tenant)) == before);
    assert!(trial.remote().is_empty());
}

/// Whoever globs a tenant's dataset at any moment sees whole deliveries only.
#[test]
fn half_a_delivery_is_never_seen() {
    let nights = nights();
    let first = {
        let unharmed = trial(&nights[0]);
        put(&unharmed, 0, &nights[0]);
        assert_eq!(unharmed.sync().code, 0);
        TENANTS.map(|tenant| all(&unharmed, tenant))
    };
    for point in POINTS {
        let trial = trial(&nights[0]);
        put(&trial, 0, &nights[0]);
        let stopped = trial.stop_at(point);
        for (tenant, expected) in TENANTS.iter().zip(&first) {
            let seen = all(&trial, tenant);
            assert!(seen.is_empty() || seen == *expected, "{point}: {tenant}");
        }
        stopped.kill();
    }
}

/// A night is on the server, or in the spool, or with both tenants.
fn nothing_is_lost(trial: &Trial, night: usize, point: &str) {
    let name = format!("n{night}");
    let is_remote = trial.remote().contains(&name);
    let is_spooled = files(&trial.path("state/spool"))
        .iter()
        .any(|path| path.to_string_lossy().contains(&transfer(night as u32 + 1)));
    let has = |tenant: &&str| trial.published_to(tenant).len() > night;
    let is_published = TENANTS.iter().all(has);
    assert!(
        is_remote || is_spooled || is_published,
        "{point}: night {night} is nowhere"
    );
    assert!(
        is_remote || is_published,
        "{point}: it went before they had it"
    );
}

/// Whether a tenant has not got a night yet.
fn is_left(trial: &Trial, night: usize) -> bool {
    let lacks = |tenant: &&str| trial.published_to(tenant).len() <= night;
    TENANTS.iter().any(lacks) && trial.remote().contains(&format!("n{night}"))
}

fn trial(first: &[u8]) -> Trial {
    let trial = Trial::local();
    let codes = municipalities(first);
    let tenant = |name: &str, code: &str| {
        format!(
            "[tenant.{name}]\nagreements = [\"town\"]\npurpose = \"test\"\ndataset = \"tenants/{name}\"\n\
             persons = {{ municipalities = [\"{code}\"] }}\n"
        )
    };
    trial.configure(&format!(
        "[agreement.town]\ninbox = \"inbox\"\n{}{}",
        tenant("one", &codes[0]),
        tenant("two", &codes[1])
    ));
    trial
}

fn put(trial: &Trial, night: usize, extract: &[u8]) {
    trial.put(&format!("n{night}"), extract, &transfer(night as u32 + 1));
}

/// A status file, and three nights in each of which a third of the persons has moved on to the next municipality.
fn nights() -> Vec<Vec<u8>> {
    let settings = Settings::new(60, 3);
    let status = extract::status(&settings);
    let codes = municipalities(&status);
    let mut nights = vec![status.clone()];
    for night in 1..=3 {
        let mut bytes = Vec::new();
        generate::changes(&settings, night, &mut bytes).unwrap();
        let changes = extract::lines(&bytes);
        // Today's start record over the persons of the status file.
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

fn all(trial: &Trial, tenant: &str) -> Vec<Tables> {
    let published = trial.published_to(tenant).into_iter();
    published.map(|(directory, _)| tables(&directory)).collect()
}
