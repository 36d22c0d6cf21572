//! Limits of the operating system (`ulimit`): the command ends in a result or in an error that names the limit.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::fs;
use std::process::Command;

use cprflow_tests::command::{TestDirectory, binary};
use cprflow_tests::extract;

/// Runs the command under a limit. Returns the exit code, which is missing if a signal ended it, and standard error.
fn run(limit: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new("prlimit")
        .arg(limit)
        .arg(binary())
        .args(arguments)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), told)
}

#[test]
fn sizes_and_numbers_of_files() {
    let place = TestDirectory::new();
    let extract = place.file("extract", &extract::small(200, 1));
    let (rows, tables) = (place.path("rows.csv"), place.path("tables"));
    let one = ["scan", &extract, "-t", "person", "-o", &rows];
    let all = ["scan", &extract, "--all", "-f", "parquet", "-o", &tables];
    for (limit, arguments, expected) in [
        ("--fsize=1000", &one[..], "File too large"),
        ("--fsize=1000", &all, "File too large"),
        ("--nofile=12", &all, "(`ulimit -n`"),
    ] {
        let (code, told) = run(limit, arguments);
        assert_eq!(code, Some(2), "{limit} {arguments:?}: {told}");
        assert!(told.contains(expected), "{limit} {arguments:?}: {told}");
    }
    // No part of a result is left under its name.
    assert!(!fs::exists(&rows).unwrap());
    let left = fs::read_dir(&tables).into_iter().flatten();
    let left = left.filter(|entry| {
        let path = entry.as_ref().unwrap().path();
        path.extension().is_some_and(|end| end == "parquet")
    });
    assert_eq!(left.count(), 0);
}

/// The smallest limits end the program before it has begun, and larger ones let it scan. In between, the component gets no
/// memory, which is no bug of the component.
#[test]
fn address_space() {
    let place = TestDirectory::new();
    let extract = place.file("extract", &extract::small(20, 1));
    let mut codes = Vec::new();
    for megabytes in (60..=400).step_by(5) {
        let limit = format!("--as={megabytes}000000");
        let (code, told) = run(&limit, &["scan", &extract, "-t", "person"]);
        let is_named = told.contains("ulimit -v") && !told.contains("bug in the component");
        assert!(code != Some(2) || is_named, "{limit}: {told}");
        // With the smallest limits, a signal or the loader of programs (127) ends it.
        assert!(matches!(code, None | Some(0 | 2 | 127)), "{limit}: {told}");
        codes.push(code);
    }
    assert!(
        codes.contains(&Some(2)),
        "the limit was not felt: {codes:?}"
    );
    assert_eq!(codes.last(), Some(&Some(0)), "{codes:?}");
}
