//! The texts of the command, word for word, and what they must not contain.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::collections::BTreeSet;

use cprflow_connector::layout;
use cprflow_tests::command::{cprflow, cprflow_with};
use cprflow_tests::extract::{self, Dice, EVERY_DAMAGE};

#[test]
fn help() {
    insta::assert_snapshot!("help", cprflow(["--help"]).text());
    insta::assert_snapshot!("help-scan", cprflow(["scan", "--help"]).text());
    insta::assert_snapshot!("help-verify", cprflow(["verify", "--help"]).text());
}

/// The help names every finding that the documentation describes.
#[test]
fn the_help_of_verify_names_every_finding() {
    let page = std::fs::read_to_string(cprflow_tests::root().join("docs/data-model.md")).unwrap();
    let levels = ["error", "warning", "note"];
    let codes: BTreeSet<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` | "))
        .filter(|(_, rest)| levels.iter().any(|level| rest.starts_with(level)))
        .map(|(code, _)| code)
        .collect();
    assert!(codes.len() >= 17, "{codes:?}");
    let help = cprflow(["verify", "--help"]);
    for code in codes {
        assert!(help.text().contains(code), "{code}");
    }
}

#[test]
fn prints_reports() {
    insta::assert_snapshot!(
        "report-sound",
        cprflow_with(["verify", "-"], &extract::small(12, 1)).text()
    );
    let mut lines = extract::lines(&extract::small(12, 1));
    extract::damage(&mut lines, &mut Dice::new(4), 12, EVERY_DAMAGE);
    insta::assert_snapshot!(
        "report-damaged",
        cprflow_with(["verify", "-"], &extract::join(&lines, b"\n")).text()
    );
    let packed = extract::packed(2, 1);
    let lost = [&packed[..35 + 121], b"777"].concat();
    insta::assert_snapshot!(
        "report-lost-track",
        cprflow_with(["verify", "-", "--format", "json"], &lost).text()
    );
}

#[test]
fn errors() {
    let said = |arguments: &[&str]| {
        let ended = cprflow_with(arguments, b"0000101000119910923120\n");
        assert!(ended.code > 0, "{arguments:?}");
        ended.stderr
    };
    insta::assert_snapshot!("error-no-table-named", said(&["scan", "-"]));
    insta::assert_snapshot!("error-all-as-frames", said(&["scan", "-", "--all"]));
    insta::assert_snapshot!(
        "error-unknown-table",
        said(&["scan", "-", "--table", "persons"])
    );
    insta::assert_snapshot!(
        "error-unknown-column",
        said(&["scan", "-", "--table", "person", "--columns", "age"])
    );
    insta::assert_snapshot!(
        "error-look-alike",
        said(&["scan", "-", "--table", "person"])
    );
    insta::assert_snapshot!(
        "error-no-file",
        said(&["scan", "/nowhere", "--table", "person"])
    );
    insta::assert_snapshot!("error-unknown-schema", said(&["schema", "persons"]));
    insta::assert_snapshot!("error-no-directory", said(&["write", "/nowhere"]));
}

/// Standard error goes to logs and reports go to helpdesks, so neither may contain person numbers.
#[test]
fn no_person_number_in_reports_or_on_standard_error() {
    let mut extracts = vec![extract::small(60, 9), extract::packed(60, 9)];
    for seed in 0..6 {
        let mut lines = extract::lines(&extract::small(60, seed));
        extract::damage(&mut lines, &mut Dice::new(seed), 200, EVERY_DAMAGE);
        extracts.push(extract::join(&lines, b"\n"));
        // In a packed extract this damage ends the reading, in some cases in the middle of a person number.
        extracts.push(extract::join(&lines, b""));
        extracts.push(extract::join(&lines[1..], b"\n"));
        let mut shifted = extract::packed(10, seed);
        shifted.drain(150..160);
        extracts.push(shifted);
    }
    // The first line is a person's record, and once a person's record with the type of a start record.
    let mut swapped = extract::lines(&extract::small(5, 1));
    swapped[0] = [b"000", &swapped[1][3..]].concat();
    extracts.push(extract::join(&swapped, b"\n"));
    let directory = tempfile::tempdir().unwrap();
    let tables = directory.path().join("tables");
    let tables = tables.to_str().unwrap();
    let mut checked = 0;
    for (place, extract) in extracts.iter().enumerate() {
        let numbers = numbers(extract);
        assert!(numbers.len() > 4);
        for arguments in [
            &["verify", "-"][..],
            &["verify", "-", "--format", "json"],
            &["scan", "-", "--format", "summary"],
            &["scan", "-", "--table", "person"],
            &[
                "scan",
                "-",
                "--table",
                "rejected_record",
                "--format",
                "jsonl",
            ],
            &[
                "scan", "-", "--all", "--format", "parquet", "--force", "-o", tables,
            ],
            &["write", tables, "--shape", "packed"],
        ] {
            let ended = cprflow_with(arguments, extract);
            let is_report = arguments[0] == "verify" || arguments.contains(&"summary");
            let mut said = ended.stderr.clone();
            if is_report {
                said.push_str(ended.text());
            }
            for number in &numbers {
                assert!(
                    !said.contains(number.as_str()),
                    "extract {place}, {arguments:?}: a person number is printed"
                );
            }
            checked += 1;
        }
    }
    assert_eq!(checked, extracts.len() * 7);
}

/// Returns every sequence of ten digits that a person number field could hold.
fn numbers(extract: &[u8]) -> BTreeSet<String> {
    let mut numbers = BTreeSet::new();
    for line in extract::lines(extract) {
        for window in line.windows(13) {
            let (record_type, number) = window.split_at(3);
            let is_keyed = layout::tables()
                .iter()
                .any(|t| t.is_keyed() && t.record_type.as_bytes() == record_type);
            if is_keyed
                && number.iter().all(u8::is_ascii_digit)
                && number.iter().any(|digit| *digit != b'0')
            {
                numbers.insert(String::from_utf8(number.to_vec()).unwrap());
            }
        }
    }
    numbers
}
