//! Whatever can be wrong with an inbox, and what comes of it. `docs/faults.md` has a line for each of these tests.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

mod hostile;
mod line;
mod pairs;
mod repeats;
mod server;
mod store;

use std::fs;

use cprflow_connector::generate::{self, Settings};
use cprflow_tests::extract;
use cprflow_tests::trial::Trial;

const NAME: &str = "d260302.l431101";

/// The table of the documentation names every test of this directory, and no other.
#[test]
fn every_fault_is_documented() {
    let page = fs::read_to_string(cprflow_tests::root().join("docs/faults.md")).unwrap();
    let mut names = Vec::new();
    for file in fs::read_dir(cprflow_tests::root().join("tests/tests/sync_faults")).unwrap() {
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
    let settings = Settings::new(60, 3);
    (extract::status(&settings), night(&settings, 1))
}

fn night(settings: &Settings, night: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    generate::changes(settings, night, &mut bytes).unwrap();
    bytes
}

/// A run leaves it where it is, and says why; nobody has to do anything yet.
fn waits(trial: &Trial, name: &str, code: &str) {
    let before = trial.remote();
    let ended = trial.sync();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let line = format!("waiting    {name} ({code})");
    assert!(ended.text().contains(&line), "{}", ended.text());
    assert!(trial.published().is_empty());
    assert_eq!(trial.remote(), before);
}

/// A run publishes what is there, so that exactly these extracts are published, and the inbox is empty.
fn published(trial: &Trial, extracts: &[&[u8]]) {
    let ended = trial.sync();
    assert_eq!(ended.code, 0, "{}{}", ended.stderr, ended.text());
    trial.assert_published(extracts);
    assert!(trial.remote().is_empty());
}
