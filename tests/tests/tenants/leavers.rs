//! Leavers of a delivery that an operator sets aside for a tenant.

use std::fs;

use cprflow_tests::extract;
use cprflow_tests::scope::texts;
use cprflow_tests::test_run::{TestRun, files, tables, transfer};

/// The configuration: a tenant with all living persons that accepts at most this many rows.
fn configuration(rows: u64) -> String {
    format!(
        "publish = [\"deliveries\"]\n[agreement.town]\ninbox = \"inbox\"\naccept = [\"missing-end\"]\n[tenant.small]\nagreements = [\"town\"]\n\
         purpose = \"test\"\ndataset = \"tenants/small\"\npersons = {{ statuses = [\"01\"] }}\n\
         limits = {{ rows = {rows} }}\n"
    )
}

/// An extract of these persons with their statuses, produced on a day of March 2026.
fn night(day: u32, persons: &[(&str, &str)]) -> Vec<u8> {
    let start = format!("000{:10}431101202603{day:02}20260301", "0000000000");
    let person = |(number, status): &(&str, &str)| {
        format!("001{number}{:10}{status}202603010000 K1926-03-03", "")
    };
    let end = format!("999{:010}{:08}", 0, persons.len());
    let lines = std::iter::once(start)
        .chain(persons.iter().map(person))
        .chain([end]);
    let lines: Vec<_> = lines.map(String::into_bytes).collect();
    extract::join(&lines, b"\n")
}

const FIRST: [(&str, &str); 3] = [
    ("0101010101", "01"),
    ("0101010102", "01"),
    ("0101010103", "01"),
];

fn aside(test: &TestRun, name: &str) -> cprflow_tests::command::CommandOutput {
    let reason = ["--reason", "too large for it"];
    test.run(
        "set-aside",
        &[&[name, "--tenant", "small"], &reason[..]].concat(),
    )
}

#[test]
fn leavers_of_a_delivery_that_is_set_aside_are_told() {
    let test = TestRun::local();
    test.configure(&configuration(1000));
    test.put("d1", &night(2, &FIRST), &transfer(1));
    assert_eq!(test.sync().code, 0);
    // Two persons die, one stays, one enters. Only the table of the leavers fits the limit.
    test.configure(&configuration(2));
    let second = [
        ("0101010101", "90"),
        ("0101010102", "90"),
        ("0101010103", "01"),
        ("0101010104", "01"),
        ("0101010105", "01"),
    ];
    test.put("d2", &night(3, &second), &transfer(2));
    assert_eq!(test.sync().code, 2);
    let ended = aside(&test, "d2");
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(
        ended.stderr.contains("2 persons left the tenant's scope"),
        "{}",
        ended.stderr
    );
    let published = test.published_to("small");
    assert_eq!(published.len(), 2);
    let (directory, manifest) = &published[1];
    assert!(manifest.tenant.as_ref().unwrap().leavers_only);
    assert!(!published[0].1.tenant.as_ref().unwrap().leavers_only);
    let found = tables(directory);
    assert_eq!(found.keys().collect::<Vec<_>>(), ["out_of_scope"]);
    let left = texts(&found["out_of_scope"], "pnr");
    assert_eq!(
        left.into_iter().collect::<Vec<_>>(),
        ["0101010101", "0101010102"]
    );
    let status = test.run("status", &[]);
    let expected = "d2 was set aside (the tenant was told 2 leavers): too large for it";
    assert!(status.text().contains(expected), "{}", status.text());
    let retried = test.run("retry", &["d2", "--tenant", "small"]);
    assert_eq!(retried.code, 2);
    assert!(
        retried.stderr.contains("only the persons who left"),
        "{}",
        retried.stderr
    );
    // Who has left is not told again, and the spool and the server keep nothing.
    test.configure(&configuration(1000));
    test.put("d3", &night(4, &second), &transfer(3));
    assert_eq!(test.sync().code, 0);
    let found = tables(&test.published_to("small")[2].0);
    assert!(found["out_of_scope"].is_empty());
    assert_eq!(found["person"].len(), 3);
    assert!(test.remote().is_empty());
    assert!(files(&test.path("state/spool")).is_empty());
}

#[test]
fn a_delivery_without_leavers_leaves_no_trace_in_the_dataset() {
    let test = TestRun::local();
    test.configure(&configuration(1000));
    test.put("d1", &night(2, &FIRST), &transfer(1));
    assert_eq!(test.sync().code, 0);
    test.configure(&configuration(2));
    test.put(
        "d2",
        &night(
            3,
            &[
                ("0101010104", "01"),
                ("0101010105", "01"),
                ("0101010106", "01"),
            ],
        ),
        &transfer(2),
    );
    assert_eq!(test.sync().code, 2);
    let ended = aside(&test, "d2");
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(
        ended.stderr.contains("nobody left the tenant's scope"),
        "{}",
        ended.stderr
    );
    assert_eq!(test.published_to("small").len(), 1);
    assert_eq!(test.sync().code, 0);
    assert!(test.remote().is_empty());
}

/// An extract that may lack records says nothing certain about leavers, and neither does one that is gone.
#[test]
fn says_that_leavers_are_not_known() {
    for is_gone in [false, true] {
        let test = TestRun::local();
        test.configure(&configuration(1000));
        test.put("d1", &night(2, &FIRST), &transfer(1));
        assert_eq!(test.sync().code, 0);
        let mut lines = extract::lines(&night(3, &[("0101010101", "90")]));
        lines.pop();
        test.put("d2", &extract::join(&lines, b"\n"), &transfer(2));
        assert_eq!(test.sync().code, 2);
        if is_gone {
            for file in files(&test.path("state/spool")) {
                fs::remove_file(file).unwrap();
            }
        }
        let ended = aside(&test, "d2");
        assert_eq!(ended.code, 1, "{}", ended.stderr);
        assert!(
            ended.stderr.contains("Order all persons again"),
            "{}",
            ended.stderr
        );
        assert_eq!(test.published_to("small").len(), 1);
    }
}
