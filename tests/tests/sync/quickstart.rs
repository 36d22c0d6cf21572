//! The quickstart as a process: its output, the files it keeps, and where it shows person numbers.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use arrow::array::AsArray;
use cprflow_tests::command::{cprflow, example};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

fn quickstart(arguments: &[&str]) -> Output {
    Command::new(example("quickstart"))
        .args(arguments)
        .env_remove("CLICOLOR_FORCE")
        .env("PATH", "")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[test]
fn the_quickstart_runs_all_steps_and_keeps_its_files() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("left");
    let left = directory.to_str().unwrap();
    let output = quickstart(&["--persons", "20000", "--keep", left]);
    let said = String::from_utf8(output.stdout).unwrap();
    let complained = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}{complained}");
    assert_eq!(
        complained, "",
        "messages of the commands keep their place in the output"
    );
    assert!(
        !said.contains('\x1b'),
        "without a terminal the output has no colours"
    );

    let mut rest = said.as_str();
    for expected in [
        "1/7  A platform on this machine",
        "20,000 persons who do not exist",
        "sftp://",
        "2/7  Subscribe to a municipality",
        "$ cprflow subscription apply --yes",
        "0265 Roskilde",
        "everything about",
        "$ cprflow sync",
        "published",
        "3/7  Who moved in, and from where?",
        "persons with events",
        "$ cprflow sync",
        "$ cprflow scan --register roskilde --table address",
        "previous_municipality_name",
        "4/7  A tenant that must not see a protected child",
        "[tenant.schools]",
        "$ cprflow sync",
        "a protected child in dataset/current",
        "the same child in tenants/schools/current",
        "5/7  A damaged delivery",
        "$ cprflow sync",
        "set aside",
        "exit code 1",
        "$ cprflow retry ",
        "published",
        "6/7  The tables as they are now",
        "status 01",
        "resident in Denmark",
        "7/7  The report, without personal data",
        "$ cprflow status",
        "$ cprflow report -o report.html",
        "rm -r",
        "The platform has stopped",
    ] {
        let (_, after) = rest
            .split_once(expected)
            .unwrap_or_else(|| panic!("no {expected} in {rest}"));
        rest = after;
    }

    // Person numbers appear only in the printed tables.
    let (framed, others): (Vec<_>, Vec<_>) = said
        .lines()
        .partition(|line| line.trim_start().starts_with('|'));
    assert!(framed.iter().any(|line| holds_number(line)), "{said}");
    for line in others {
        assert!(!holds_number(line), "{line}");
    }

    // The command can use the dataset, ledger and configuration that the quickstart keeps.
    let mode = fs::metadata(&directory).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    let config = directory.join("cprflow.toml");
    let status = cprflow([
        "status",
        "--format",
        "json",
        "--config",
        config.to_str().unwrap(),
    ]);
    let status: serde_json::Value = serde_json::from_str(status.text()).unwrap();
    assert_eq!(status[0]["published"], 3);
    assert_eq!(residents(&directory), shown(&said), "{said}");
    assert!(
        !quickstart(&["--keep", left]).status.success(),
        "the quickstart overwrites nothing"
    );
}

/// Returns whether a line has ten digits in a row, not more.
fn holds_number(line: &str) -> bool {
    let mut words = line.split(|character: char| !character.is_ascii_digit());
    words.any(|digits| digits.len() == 10)
}

/// Returns the number of residents that the output states.
fn shown(said: &str) -> usize {
    let line = said
        .lines()
        .find(|line| line.contains("status 01"))
        .unwrap();
    let count = line.split_whitespace().nth(2).unwrap();
    count.replace(',', "").parse().unwrap()
}

/// Counts the residents, by the last delivery of each person number.
fn residents(directory: &Path) -> usize {
    let agreement = directory.join("dataset/agreement=roskilde");
    let entries = fs::read_dir(agreement).unwrap();
    let mut deliveries: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    deliveries.sort();
    let mut statuses = BTreeMap::new();
    for delivery in deliveries {
        let file = File::open(delivery.join("person.parquet")).unwrap();
        let rows = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
        for batch in rows.build().unwrap() {
            let batch = batch.unwrap();
            let column = |name| batch.column_by_name(name).unwrap().as_string::<i32>();
            for (number, status) in column("pnr").iter().zip(column("status")) {
                statuses.insert(number.unwrap().to_owned(), status.unwrap().to_owned());
            }
        }
    }
    statuses.values().filter(|status| *status == "01").count()
}
