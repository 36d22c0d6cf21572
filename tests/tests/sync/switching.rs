//! pyarrow, polars and DuckDB read current tables while generations switch.

use std::fs;
use std::process::Command;

use cprflow_tests::command::{TestDirectory, binary};

/// `CPRFLOW_SWITCH_SECONDS=120` goes on for two minutes. See `tests/python/switching.py` for what must hold.
#[test]
fn readers_neither_fail_nor_mix_while_generations_switch() {
    let Some(python) = cprflow_tests::python::python() else {
        return;
    };
    let place = TestDirectory::new();
    let output = Command::new(python)
        .arg(cprflow_tests::root().join("tests/python/switching.py"))
        .arg(binary())
        .arg(place.root())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env_remove("CPRFLOW_LOG")
        .output()
        .unwrap();
    let report = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{report}{errors}");
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    let readers = report["readers"].as_object().unwrap();
    assert_eq!(readers.len(), 9, "three engines, three ways: {report}");
    for (name, reader) in readers {
        assert!(
            reader["generations"].as_u64() >= Some(7),
            "{name}: {report}"
        );
        let may_fail = name.ends_with("tenant, paths");
        assert!(may_fail || reader["removed"] == 0, "{name}: {report}");
    }
}

#[test]
fn the_documentation_has_the_function_that_is_tested() {
    let read = |path: &str| fs::read_to_string(cprflow_tests::root().join(path)).unwrap();
    let tested = read("tests/python/generation_reader.py");
    let start = tested.find("def open_tables").unwrap();
    let (function, _) = tested[start..].split_once("\n\n").unwrap();
    assert!(function.lines().count() > 5, "{function}");
    assert!(read("docs/register.md").contains(function), "{function}");
}
