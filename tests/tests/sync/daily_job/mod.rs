//! The daily job without faults, and decisions of an operator.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

mod overview;
mod publication;
mod set_aside;
mod setup_and_log;
mod stopping;

use std::fs;

use cprflow_connector::generate::Settings;
use cprflow_tests::extract;
use cprflow_tests::test_run::TestRun;

fn nights(persons: u64) -> (Vec<u8>, Vec<u8>) {
    let settings = Settings::busy(persons, 3);
    (extract::status(&settings), extract::changes(&settings))
}

/// Returns the extract with an end record that counts one record too many.
fn wrong_counter(extract: &[u8]) -> Vec<u8> {
    let mut lines = extract::lines(extract);
    let end = lines
        .iter_mut()
        .find(|line| line.starts_with(b"999"))
        .unwrap();
    let counted: u32 = String::from_utf8_lossy(&end[13..21]).parse().unwrap();
    end[13..21].copy_from_slice(format!("{:08}", counted + 1).as_bytes());
    extract::join(&lines, b"\n")
}

/// Returns a configuration with one agreement on the inbox of the test.
fn configuration(test: &TestRun, more: &str) -> String {
    let path = test.path("cprflow.toml");
    let text = format!(
        "dataset = \"disk/dataset\"\nstate = \"state\"\n[agreement.one]\ncontroller = \"Somebody\"\ninbox = \"inbox\"\n\
         unrestricted = \"test\"\nchurch.purpose = \"test\"\n{more}\n"
    );
    fs::write(&path, text).unwrap();
    path.display().to_string()
}
