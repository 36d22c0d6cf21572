//! The command: exit codes, formats, files and messages.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use cprflow_tests::command::{CommandOutput, TestDirectory, cprflow, cprflow_with};
use cprflow_tests::extract;
use cprflow_tests::rows;
use serde_json::Value;

#[test]
fn exit_codes() {
    let place = TestDirectory::new();
    let sound = place.file("sound", &extract::small(20, 1));
    let truncated = place.file("truncated", &truncated_extract());
    let packed = extract::packed(5, 1);
    let lost = place.file("lost", &[&packed[..35], b"777"].concat());
    let register = place.file("register", b"0000101000119910923120\n");
    let tables = place.path("tables");
    let nowhere = place.path("nowhere");
    let again = place.path("again");
    let empty = place.path("empty");
    std::fs::create_dir(&empty).unwrap();
    // A record of a new type is a warning.
    let warned = place.file(
        "warned",
        b"00000000000000001202603020260301\n0010101010101          01000000000000 K1990-01-01\n\
          7770101010101A RECORD OF A NEW TYPE\n999999999999900000002\n",
    );
    let cases: &[(i32, &[&str])] = &[
        (0, &["verify", &sound]),
        (0, &["scan", &sound, "--table", "person"]),
        (
            0,
            &[
                "scan", &sound, "--all", "--format", "parquet", "-o", &tables,
            ],
        ),
        (0, &["scan", &sound, "--format", "summary"]),
        (0, &["write", &tables, "-o", &place.path("again")]),
        (0, &["tables"]),
        (0, &["schema", "person"]),
        (0, &["--version"]),
        (0, &["help"]),
        (1, &["verify", &truncated]),
        (1, &["verify", &lost]),
        (1, &["verify", &register]),
        (1, &["verify", &sound, "--previous", "1999-01-01"]),
        (1, &["scan", &truncated, "--table", "person"]),
        (1, &["scan", &lost, "--table", "person"]),
        (1, &["scan", &register, "--format", "summary"]),
        (2, &[]),
        (2, &["verify"]),
        (2, &["verify", &nowhere]),
        (1, &["verify", &place.root()]),
        (2, &["verify", &empty]),
        (0, &["verify", &warned, "--fail-on", "error"]),
        (1, &["verify", &warned, "--fail-on", "warning"]),
        (1, &["scan", &warned, "--format", "summary"]),
        (
            0,
            &["scan", &warned, "--format", "summary", "--fail-on", "error"],
        ),
        (2, &["verify", &sound, &warned, "--previous", "1999-01-01"]),
        (2, &["scan", &sound, "--table", "person", "-o", &again]),
        (
            0,
            &[
                "scan", &sound, "--table", "person", "-o", &again, "-f", "csv", "--force",
            ],
        ),
        (2, &["verify", &sound, "--previous", "yesterday"]),
        (2, &["scan", &sound]),
        (2, &["scan", &sound, "--all"]),
        (2, &["scan", &sound, "--all", "--format", "parquet"]),
        (2, &["scan", &sound, "--table", "nobody"]),
        (
            2,
            &["scan", &sound, "--table", "person", "--columns", "age"],
        ),
        (
            2,
            &["scan", &sound, "--table", "person", "-o", "/nowhere/at/all"],
        ),
        (
            2,
            &["scan", &sound, "--table", "person", "--batch-rows", "0"],
        ),
        (2, &["schema", "nobody"]),
        (2, &["write", &nowhere]),
        (2, &["generate", "--persons", "0"]),
        (2, &["--component", &sound, "tables"]),
        (2, &["--component", &nowhere, "tables"]),
    ];
    for (code, arguments) in cases {
        let ended = cprflow(*arguments);
        assert_eq!(ended.code, *code, "{arguments:?}: {}", ended.stderr);
        let is_silent = ended.stdout.is_empty();
        assert!(
            *code != 2 || is_silent,
            "{arguments:?}: a command that fails with 2 must not print rows"
        );
        assert!(
            *code != 2 || !ended.stderr.is_empty(),
            "{arguments:?}: the command must say why it failed"
        );
    }
}

#[test]
fn prints_the_rows_before_an_error() {
    let file = truncated_extract();
    let ended = cprflow_with(["scan", "-", "-t", "person", "-f", "jsonl"], &file);
    assert_eq!(ended.code, 1);
    assert_eq!(json_lines(&ended).len(), rows::scan(&file).count("person"));
    assert!(
        ended.stderr.starts_with("error: missing-end (1): "),
        "{}",
        ended.stderr
    );
}

#[test]
fn csv() {
    let bytes = extract::small(200, 2);
    let ended = cprflow_with(
        ["scan", "-", "-t", "civil_status_history", "-f", "csv"],
        &bytes,
    );
    let expected = &rows::scan(&bytes).tables()["civil_status_history"];
    let mut reader = csv::Reader::from_reader(ended.stdout.as_slice());
    let head: Vec<_> = reader
        .headers()
        .unwrap()
        .iter()
        .map(str::to_owned)
        .collect();
    assert_eq!(
        head,
        expected[0]
            .iter()
            .map(|(name, _)| name.clone())
            .collect::<Vec<_>>()
    );
    let place = head.iter().position(|name| name == "irregular").unwrap();
    let mut irregular = 0;
    let records: Vec<_> = reader.records().map(Result::unwrap).collect();
    for (record, row) in records.iter().zip(expected) {
        match &row[place].1 {
            cprflow_tests::reference_reader::Value::Map(entries) => {
                let json: Value = serde_json::from_str(&record[place]).unwrap();
                assert_eq!(json.as_object().unwrap().len(), entries.len());
                assert!(entries.iter().all(|(key, raw)| json[key] == raw.as_str()));
                irregular += 1;
            }
            _ => assert_eq!(&record[place], ""),
        }
    }
    assert_eq!(records.len(), expected.len());
    assert!(irregular > 0, "no row has an irregular value");
}

#[test]
fn jsonl_has_nulls() {
    let bytes = extract::small(50, 2);
    let ended = cprflow_with(["scan", "-", "-t", "person", "-f", "jsonl"], &bytes);
    let lines = json_lines(&ended);
    assert_eq!(lines.len(), 50);
    let columns = rows::connector()
        .catalog()
        .table("person")
        .unwrap()
        .columns
        .len();
    for line in &lines {
        assert_eq!(line.as_object().unwrap().len(), columns);
    }
    assert!(lines.iter().any(|line| line["occupation"].is_null()));
}

#[test]
fn prints_a_table_and_a_summary() {
    let bytes = extract::small(4, 2);
    let frame = cprflow_with(
        [
            "scan",
            "-",
            "-t",
            "delivery_end",
            "--columns",
            "record_count,line",
        ],
        &bytes,
    );
    let records = bytes
        .split(|byte| *byte == b'\n')
        .position(|line| line.starts_with(b"999"))
        .unwrap();
    let lines: Vec<_> = frame.text().lines().collect();
    assert_eq!(lines[1], "| record_count | line |");
    let numbers: Vec<_> = lines[3]
        .split(['|', ' '])
        .filter(|text| !text.is_empty())
        .collect();
    assert_eq!(
        numbers,
        [(records - 1).to_string(), (records + 1).to_string()]
    );

    let summary = cprflow_with(["scan", "-", "-f", "summary"], &bytes);
    let scanned = rows::scan(&bytes).tables();
    let rows: usize = scanned.values().map(Vec::len).sum();
    let counts = summary.text().lines().skip(1).map(|line| {
        line.split_whitespace()
            .nth(1)
            .unwrap()
            .parse::<usize>()
            .unwrap()
    });
    assert_eq!(counts.sum::<usize>(), rows);

    // A table without rows still has columns.
    let none = cprflow_with(["scan", "-", "-t", "unknown_record", "-f", "csv"], &bytes);
    assert_eq!(none.text(), "line,record_type,raw\n");
}

#[test]
fn stops_at_the_row_limit() {
    let bytes = extract::small(500, 1);
    for limit in [0, 1, 7, 400, 500, 10_000] {
        let ended = cprflow_with(
            [
                "scan",
                "-",
                "-t",
                "person",
                "-f",
                "jsonl",
                "--limit",
                &limit.to_string(),
            ],
            &bytes,
        );
        assert_eq!((ended.code, json_lines(&ended).len()), (0, limit.min(500)));
    }
}

#[test]
fn the_catalog_as_json() {
    let tables: Value =
        serde_json::from_str(cprflow(["tables", "--format", "json"]).text()).unwrap();
    assert_eq!(tables.as_array().unwrap().len(), 47);
    assert_eq!(tables[1]["name"], "person");
    assert_eq!(tables[1]["record_type"], "001");
    let person: Value =
        serde_json::from_str(cprflow(["schema", "person", "--format", "json"]).text()).unwrap();
    assert_eq!(person, tables[1]);
    let column = &person["columns"][3];
    assert_eq!(
        (column["name"].as_str(), column["cpr_name"].as_str()),
        (Some("status_start"), Some("STATUSHAENSTART"))
    );
    assert_eq!(
        (column["type"].as_str(), column["position"].as_u64()),
        (Some("timestamp[us]"), Some(26))
    );
    let lines = cprflow(["tables"]).text().lines().count();
    assert_eq!(lines, 48);
}

#[test]
fn completions_of_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ended = cprflow(["completions", shell]);
        assert_eq!(ended.code, 0);
        assert!(
            ended.text().contains("cprflow") && ended.text().contains("verify"),
            "{shell}"
        );
    }
}

#[test]
fn manual_pages_of_every_subcommand() {
    let place = TestDirectory::new();
    let pages = place.path("new/man1");
    assert_eq!(cprflow(["man", &pages]).code, 0);
    let read = |page: &str| std::fs::read_to_string(format!("{pages}/{page}.1")).unwrap();
    // In a manual page, a hyphen has a backslash before it.
    assert!(read("cprflow").contains("cprflow\\-verify(1)"));
    assert!(read("cprflow-tenant-check").contains("\\-\\-config"));
    assert!(read("cprflow").contains("cprflow\\-man(1)"));
    // Hidden subcommands have none.
    assert!(
        !place
            .names("new/man1")
            .contains(&"cprflow-compile-component.1".to_owned())
    );
    // A file is where the directory should be.
    let file = place.file("file", b"");
    assert_eq!(cprflow(["man", &file]).code, 2);
}

#[test]
fn verifies_the_previous_production_date() {
    let settings = cprflow_connector::generate::Settings::busy(300, 1);
    let changes = extract::changes(&settings);
    let (year, month, day) = settings.production_date(0).parts();
    let right = format!("{year:04}-{month:02}-{day:02}");
    let verify = |previous: &str| {
        cprflow_with(
            ["verify", "-", "--previous", previous, "--format", "json"],
            &changes,
        )
    };
    let codes = |ended: &CommandOutput| -> Vec<String> {
        let report: Value = serde_json::from_str(ended.text()).unwrap();
        let findings = report["findings"].as_array().unwrap();
        findings
            .iter()
            .filter(|f| f["level"] != "note")
            .map(|f| f["code"].as_str().unwrap().to_owned())
            .collect()
    };
    let ended = verify(&right);
    assert_eq!((ended.code, codes(&ended)), (0, vec![]));
    let ended = verify("1999-12-31");
    assert_eq!(
        (ended.code, codes(&ended)),
        (1, vec!["sequence-gap".to_owned()])
    );
    for garbage in ["", "today", "1999-02-30", "19991231"] {
        assert_eq!(verify(garbage).code, 2, "{garbage:?}");
    }
}

#[test]
fn refuses_a_component_with_forbidden_imports() {
    let place = TestDirectory::new();
    let component =
        wat::parse_str("(component (import \"wasi:sockets/tcp@0.2.6\" (instance)))").unwrap();
    let component = place.file("evil.wasm", &component);
    let ended = cprflow(["--component", &component, "tables"]);
    assert_eq!(ended.code, 2);
    assert!(
        ended.stderr.contains("it imports wasi:sockets/tcp@0.2.6"),
        "{}",
        ended.stderr
    );
}

/// Returns a file of lines without its last four lines.
fn truncated_extract() -> Vec<u8> {
    let mut lines = extract::lines(&extract::small(20, 1));
    lines.truncate(lines.len() - 4);
    extract::join(&lines, b"\n")
}

fn json_lines(ended: &CommandOutput) -> Vec<Value> {
    ended
        .text()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}
