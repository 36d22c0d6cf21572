//! The daily job with tenants: each tenant gets its own part of a delivery, and none delays another.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

mod failing_tenant;
mod group;
mod leavers;
mod new_ledger;
mod own_delivery;
mod policy_text;
mod restored;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use cprflow_connector::generate::{self, Settings};
use cprflow_tests::extract;
use cprflow_tests::test_run::{TestRun, files, transfer};

/// An agreement on the inbox of the test.
const AGREEMENT: &str = "[agreement.town]\ncontroller = \"The town\"\ninbox = \"inbox\"\n\
                         files = { name = 'd\\d{6}\\.l431101' }\n";

/// Returns a status file and the change files of the following nights.
fn nights(persons: u64, seed: u64) -> Vec<Vec<u8>> {
    let settings = Settings::busy(persons, seed);
    let changes = |night| {
        let mut bytes = Vec::new();
        generate::changes(&settings, night, &mut bytes).unwrap();
        bytes
    };
    std::iter::once(extract::status(&settings))
        .chain((1..=6).map(changes))
        .collect()
}

fn put(test: &TestRun, night: usize, extract: &[u8]) {
    let name = format!("d2603{:02}.l431101", night + 2);
    test.put(&name, extract, &transfer(night as u32 + 1));
}

/// Returns the configuration of a tenant with a dataset below `tenants`.
fn tenant(name: &str, agreement: &str, more: &str) -> String {
    format!(
        "[tenant.{name}]\nagreements = [\"{agreement}\"]\npurpose = \"what {name} does\"\n\
         dataset = \"tenants/{name}\"\n{more}"
    )
}

fn in_municipality(code: &str) -> String {
    format!("persons = {{ municipalities = [\"{code}\"] }}\n")
}

fn key(test: &TestRun, name: &str, digit: char) {
    let path = test.path(name);
    fs::write(&path, format!("{}\n", String::from(digit).repeat(64))).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// Asserts that every directory and file is accessible to its owner only.
fn assert_private(directory: &Path) {
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(directory), 0o700, "{}", directory.display());
    for file in files(directory) {
        assert_eq!(mode(&file) & 0o077, 0, "{}", file.display());
        assert_eq!(mode(file.parent().unwrap()), 0o700, "{}", file.display());
    }
}
