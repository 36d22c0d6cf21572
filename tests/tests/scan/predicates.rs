//! `cprflow scan --where`: the rows it returns, and the errors of invalid predicates.

use cprflow_tests::command::cprflow_with;
use cprflow_tests::extract;

/// Four persons and an address, with a value of each kind.
const EXTRACT: &[u8] = b"00000000000001109012026061520260614\n\
    0010101010010          01199001011200*K1990-01-01*\n\
    0010101010029          03000000000000 M1985-05-05\n\
    0010101010037          90202001011299 K1940-00-00\n\
    0010101010045          05201501010000 M2015-01-01\n\
    002010101001008510123\n\
    999999999999900000005\n";

/// Returns the person numbers of the rows.
fn numbers(table: &str, predicate: &str) -> Vec<String> {
    let arguments = [
        "scan",
        "-",
        "--table",
        table,
        "--columns",
        "pnr",
        "--format",
        "csv",
        "--where",
        predicate,
    ];
    let ended = cprflow_with(arguments, EXTRACT);
    assert!(ended.code < 2, "{predicate}: {}", ended.stderr);
    let mut lines: Vec<_> = ended.text().lines().map(str::to_owned).collect();
    assert_eq!(lines.remove(0), "pnr");
    lines
}

#[test]
fn returns_rows_for_which_the_predicate_is_true() {
    for (predicate, expected) in [
        ("status = '01'", &["0101010010"][..]),
        (
            "status != '01'",
            &["0101010029", "0101010037", "0101010045"],
        ),
        (
            "status in ('01', '03') and birth_date < '1990-01-01'",
            &["0101010029"],
        ),
        (
            "STATUS IN ('01','03') AND NOT birth_date < '1990-01-01'",
            &["0101010010"],
        ),
        (
            "birth_date between '1985-05-05' and '1990-01-01'",
            &["0101010010", "0101010029"],
        ),
        // An irregular date is null: neither before nor after.
        (
            "birth_date < '2000-01-01' or birth_date >= '2000-01-01'",
            &["0101010010", "0101010029", "0101010045"],
        ),
        ("birth_date is null", &["0101010037"]),
        (
            "status_start is not null",
            &["0101010010", "0101010037", "0101010045"],
        ),
        ("status_start = '2020-01-01'", &["0101010037"]),
        (
            "status_start >= '1990-01-01 12:00' and status_start < '1990-01-01 12:01'",
            &["0101010010"],
        ),
        ("birth_date_uncertain = true", &["0101010010"]),
        (
            "pnr_start_date_uncertain != true",
            &["0101010010", "0101010029", "0101010037", "0101010045"],
        ),
        ("line = 3 or line > 4", &["0101010029", "0101010045"]),
        (
            "pnr > '0101010029' and (status = '05' or sex = 'K')",
            &["0101010037", "0101010045"],
        ),
        ("sex = 'X'", &[]),
    ] {
        assert_eq!(numbers("person", predicate), expected, "{predicate}");
    }
    assert_eq!(
        numbers("address", "municipality_code = '0851'"),
        ["0101010010"]
    );
    assert!(numbers("address", "municipality_code = '0101'").is_empty());
}

#[test]
fn a_predicate_filters_all_rows_of_an_extract() {
    let bytes = extract::small(500, 21);
    let count = |predicate: Option<&str>| -> u64 {
        let mut arguments = vec!["scan", "-", "--table", "person", "--format", "summary"];
        if let Some(predicate) = predicate {
            arguments.extend(["--where", predicate]);
        }
        let ended = cprflow_with(arguments, &bytes);
        assert!(ended.code < 2, "{}", ended.stderr);
        let line = ended.text().lines().find(|line| line.starts_with("person"));
        line.map_or(0, |line| {
            line.split_whitespace().last().unwrap().parse().unwrap()
        })
    };
    let (men, women) = (count(Some("sex = 'M'")), count(Some("sex = 'K'")));
    assert!(men > 100 && women > 100);
    assert_eq!(men + women, count(None));
    assert_eq!(count(Some("sex not in ('M', 'K') or sex is null")), 0);
}

#[test]
fn rejects_invalid_predicates() {
    let said = |predicate: &str| {
        let arguments = ["scan", "-", "--table", "person", "--where", predicate];
        let ended = cprflow_with(arguments, EXTRACT);
        assert_eq!(ended.code, 2, "{predicate}");
        assert!(ended.stdout.is_empty());
        ended.stderr
    };
    insta::assert_snapshot!("where-unknown-column", said("age > 17"));
    insta::assert_snapshot!("where-no-quotes", said("status = 01"));
    insta::assert_snapshot!("where-no-date", said("birth_date < '1990'"));
    insta::assert_snapshot!("where-unfinished", said("status = '01' and"));
    insta::assert_snapshot!("where-null", said("birth_date = null"));
    // Predicates can contain person numbers, and errors are logged, so the message must not repeat them.
    for predicate in [
        "pnr = 0101010010",
        "pnr = '0101010010",
        "birth_date = '0101010010'",
        "pnr '0101010010'",
    ] {
        assert!(!said(predicate).contains("0101010010"), "{predicate}");
    }
    let bomb = "(".repeat(20_000);
    assert!(said(&bomb).contains("nested deeper"));
    let without_table = cprflow_with(["scan", "-", "--where", "status = '01'"], EXTRACT);
    assert_eq!(without_table.code, 2);
    assert!(without_table.stderr.contains("--table"));
}
