//! The examples that run the component in other hosts: Node and wasmtime-py.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use cprflow_tests::command::{TestDirectory, component_file, cprflow};
use cprflow_tests::{Requirement, require};
use serde_json::Value;

use crate::package::run;

/// Tables with dates, times, irregular values, counts and Danish letters.
const TABLES: [&str; 5] = [
    "person",
    "address",
    "plaintext_address",
    "delivery_start",
    "delivery_end",
];

/// A condition on persons.
const CONDITION: &str = "status in ('01', '03') and birth_date > '2000-01-01'";

#[test]
fn node_gives_the_rows_of_scan() {
    let found = Command::new("node").arg("--version").output();
    let found = found.ok().filter(|output| output.status.success());
    let missing = "there is no Node 20 or newer, so examples/node is not tested";
    if require(Requirement::Node, found, missing).is_none() {
        return;
    }
    let example = cprflow_tests::root().join("examples/node");
    let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join("node-example");
    std::fs::create_dir_all(&copy).expect("a directory can be created");
    for name in [
        "package.json",
        "package-lock.json",
        "transpile.js",
        "rows.js",
    ] {
        std::fs::copy(example.join(name), copy.join(name)).expect("the example has the file");
    }
    let node = |script: &str, arguments: &[&str]| {
        run(Command::new("node")
            .current_dir(&copy)
            .arg(script)
            .args(arguments))
    };
    let quiet = ["ci", "--no-audit", "--no-fund", "--loglevel=error"];
    let installed = Command::new("npm").current_dir(&copy).args(quiet).status();
    let installed = installed.ok().filter(ExitStatus::success);
    let missing = "npm cannot install the packages of examples/node, so it is not tested";
    if require(Requirement::Node, installed, missing).is_none() {
        return;
    }
    node("transpile.js", &[&component_file().display().to_string()]);
    compare(3000, |arguments| node("rows.js", arguments));
}

#[test]
fn wasmtime_py_gives_the_rows_of_scan() {
    let Some(python) = cprflow_tests::python::python() else {
        return;
    };
    let script = cprflow_tests::root().join("examples/wasmtime-py/rows.py");
    let component: PathBuf = component_file();
    // It copies each byte by itself, so the extract is small.
    compare(60, |arguments| {
        run(Command::new(&python)
            .arg(&script)
            .arg(&component)
            .args(arguments))
    });
}

/// Compares the rows of an example with those of `cprflow scan`.
fn compare(persons: u32, rows: impl Fn(&[&str]) -> String) {
    let place = TestDirectory::new();
    let extract = place.path("extract.cpr");
    let made = cprflow([
        "generate",
        "--persons",
        &persons.to_string(),
        "-o",
        &extract,
    ]);
    assert_eq!(made.code, 0, "{}", made.stderr);
    let scan = |options: &[&str]| {
        let output =
            cprflow([&["scan", &extract, "--format", "jsonl", "--table"], options].concat());
        assert_eq!(output.code, 0, "{}", output.stderr);
        parsed(output.text())
    };
    let same = |found: &str, expected: Vec<Value>, what: &str| {
        let found = parsed(found);
        assert!(!expected.is_empty(), "{what}");
        assert_eq!(found.len(), expected.len(), "{what}");
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found, expected, "{what}");
        }
    };
    for table in TABLES {
        same(&rows(&[&extract, table]), scan(&[table]), table);
    }
    let expected = scan(&["person", "--where", CONDITION]);
    same(&rows(&[&extract, "person", CONDITION]), expected, CONDITION);
}

fn parsed(lines: &str) -> Vec<Value> {
    let parse = |line| serde_json::from_str(line).expect("the line is JSON");
    lines.lines().map(parse).collect()
}
