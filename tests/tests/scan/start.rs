//! How the command starts: from the machine code that is built in, so it needs no cache and no writable file.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::fs;
use std::io::Write;
use std::process::{Command, Output, Stdio};

use cprflow::Connector;
use cprflow_tests::command::{TestDirectory, binary, component_file};
use cprflow_tests::{Requirement, extract, require, rows};

/// The arguments of a scan that ends after the first row of standard input.
const FIRST_ROW: [&str; 7] = [
    "scan",
    "-",
    "--table",
    "person",
    "--limit",
    "1",
    "--format=csv",
];

/// Runs a command with an extract on standard input.
fn run(mut command: Command) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let written = child
        .stdin
        .take()
        .unwrap()
        .write_all(&extract::small(20, 1));
    let output = child.wait_with_output().unwrap();
    // The command may end before it has read all input.
    drop(written);
    output
}

/// Asserts that a command printed the names of the columns and one row, and no warning.
fn assert_first_row(output: &Output) {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && error.is_empty(), "{error}");
    let rows = String::from_utf8_lossy(&output.stdout);
    assert_eq!(rows.lines().count(), 2, "{rows}");
}

#[test]
fn starts_without_home_and_environment() {
    let mut command = Command::new(binary());
    command.env_clear().args(FIRST_ROW);
    assert_first_row(&run(command));
}

/// Neither a cache nor anything else is left behind in the user's directories.
#[test]
fn writes_no_file_when_it_starts() {
    let home = TestDirectory::new();
    for arguments in [&FIRST_ROW[..], &["tables"]] {
        let mut command = Command::new(binary());
        command
            .args(arguments)
            .env_clear()
            .env("HOME", home.root())
            .env("XDG_CACHE_HOME", home.path("cache"))
            .env("TMPDIR", home.root())
            .current_dir(home.root());
        let output = run(command);
        assert!(output.status.success(), "{output:?}");
        assert_eq!(fs::read_dir(home.root()).unwrap().count(), 0);
    }
}

/// The whole file system is read-only, and the home directory too.
#[test]
fn starts_on_a_read_only_file_system() {
    let home = TestDirectory::new();
    let script = "mount -o remount,bind,ro / && mount -t tmpfs -o ro tmpfs \"$HOME\" && cd \"$HOME\" || exit 77
        touch file / 2>&- && exit 78
        exec \"$@\"";
    let mut command = Command::new("unshare");
    command
        .args([
            "--mount",
            "--propagation",
            "private",
            "sh",
            "-c",
            script,
            "sh",
        ])
        .arg(binary())
        .args(FIRST_ROW)
        .env("HOME", home.root())
        .env("TMPDIR", home.root())
        .env_remove("XDG_CACHE_HOME");
    let output = run(command);
    let is_mounted = output.status.code() != Some(77) && output.status.code() != Some(1);
    let missing = "no mount can be changed, so a start on a read-only file system is not tested";
    if require(Requirement::Mounts, is_mounted.then_some(()), missing).is_some() {
        assert_first_row(&output);
    }
}

/// The machine code that is built in is that of the component, for which its digest stands in reports. The compiler at
/// hand makes other code, for this processor, and both return the same rows.
#[test]
fn the_built_in_code_is_that_of_the_component() {
    let compiled = Connector::from_file(&component_file()).unwrap();
    let embedded = rows::connector();
    assert_eq!(embedded.sha256(), compiled.sha256());
    let catalog = |connector: &Connector| serde_json::to_string(connector.catalog()).unwrap();
    assert_eq!(catalog(embedded), catalog(&compiled));
    let extract = extract::small(200, 3);
    let scan = |connector: &Connector| {
        let batches = cprflow::Scan::new(connector)
            .batch_rows(50)
            .read_all(extract.as_slice());
        let batches = batches.unwrap().map(Result::unwrap);
        batches
            .map(|batch| (batch.table, batch.batch))
            .collect::<Vec<_>>()
    };
    assert!(scan(embedded) == scan(&compiled));
}
