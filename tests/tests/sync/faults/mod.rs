//! Faults of inboxes and their outcome. `docs/faults.md` has a line for each of these tests.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

mod connection;
mod hostile;
mod missing;
mod odd_server;
mod pairs;
mod permissions;
mod repeats;
mod routing;
mod server;
mod store;

use std::fs;

use cprflow_connector::generate::{self, Settings};
use cprflow_tests::extract;
use cprflow_tests::test_run::TestRun;

const NAME: &str = "d260302.l431101";

/// The tables of `docs/faults.md` name exactly the tests of this directory.
#[test]
fn every_fault_is_documented() {
    let page = fs::read_to_string(cprflow_tests::root().join("docs/faults.md")).unwrap();
    let mut names = Vec::new();
    for file in fs::read_dir(cprflow_tests::root().join("tests/tests/sync/faults")).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        let tests = text.split("#[test]\nfn ").skip(1);
        names.extend(tests.map(|rest| rest.split('(').next().unwrap().to_owned()));
    }
    names.retain(|name| name != "every_fault_is_documented");
    names.sort_unstable();
    assert!(names.len() > 30, "{names:?}");
    let mut documented: Vec<&str> = page
        .lines()
        .filter(|line| line.starts_with("| "))
        .filter_map(|line| line.rsplit('`').nth(1))
        .collect();
    documented.sort_unstable();
    assert_eq!(documented, names);
}

fn two_nights() -> (Vec<u8>, Vec<u8>) {
    let settings = Settings::busy(60, 3);
    (extract::status(&settings), night(&settings, 1))
}

fn night(settings: &Settings, night: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    generate::changes(settings, night, &mut bytes).unwrap();
    bytes
}

/// Asserts that a run leaves a file on the server with this reason, and that `sync` and `status` agree on whether a
/// person has to act.
fn assert_waiting(test: &TestRun, name: &str, code: &str) {
    let before = test.remote();
    let ended = test.sync();
    let status = test.run("status", &[]);
    assert_eq!(ended.code, status.code, "{}", ended.stderr);
    let is_final = ["metadata-unreadable", "name-differs"].contains(&code);
    assert!(ended.code == 0 || is_final, "{code}: {}", ended.stderr);
    let line = format!("waiting    {name} ({code})");
    assert!(ended.text().contains(&line), "{}", ended.text());
    assert!(test.published().is_empty());
    assert_eq!(test.remote(), before);
}

/// Runs the job, and asserts that exactly these extracts are published and the inbox is empty.
fn published(test: &TestRun, extracts: &[&[u8]]) {
    let ended = test.sync();
    assert_eq!(ended.code, 0, "{}{}", ended.stderr, ended.text());
    test.assert_published(extracts);
    assert!(test.remote().is_empty());
}
