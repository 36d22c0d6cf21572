//! Deliveries that are set aside, and decisions of an operator.

use std::fs;

use cprflow_tests::extract;
use cprflow_tests::test_run::{TestRun, transfer};
use serde_json::Value;

use super::{configuration, nights, wrong_counter};

#[test]
fn sets_a_damaged_delivery_aside_and_continues() {
    let test = TestRun::local();
    let (status, changes) = nights(40);
    let wrong = wrong_counter(&status);
    test.put("d260302.l431101", &wrong, &transfer(1));
    test.put("d260303.l431101", &changes, &transfer(2));
    let ended = test.sync();
    assert_eq!(ended.code, 1, "{}", ended.text());
    test.assert_published(&[&changes]);
    assert_eq!(
        test.remote(),
        ["d260302.l431101", "d260302.l431101.metadata"]
    );
    let status_text = test.run("status", &[]);
    assert_eq!(status_text.code, 1);
    assert!(
        status_text
            .text()
            .contains("was set aside (count-mismatch)"),
        "{}",
        status_text.text()
    );

    // Errors that cannot be accepted are refused, and so are unknown deliveries.
    assert_eq!(
        test.run("retry", &["unknown", "--unrestricted", "test"])
            .code,
        2
    );
    let refused = test.run(
        "retry",
        &[
            "d260302.l431101",
            "--accept",
            "lost-track",
            "--unrestricted",
            "test",
        ],
    );
    assert_eq!(refused.code, 2);
    // Without a reason nothing is published and nothing changes.
    let accept = ["d260302.l431101", "--accept", "count-mismatch"];
    assert_eq!(test.run("retry", &accept).code, 2);
    let status_text = test.run("status", &[]);
    assert!(
        status_text
            .text()
            .contains("was set aside (count-mismatch)"),
        "{}",
        status_text.text()
    );
    // A retry without changes sets it aside again.
    assert_eq!(
        test.run("retry", &["d260302.l431101", "--unrestricted", "test"])
            .code,
        1
    );
    let accepted = [
        "d260302.l431101",
        "--accept",
        "count-mismatch",
        "--unrestricted",
        "test",
    ];
    let ended = test.run("retry", &accepted);
    assert_eq!(ended.code, 0, "{}{}", ended.stderr, ended.text());
    test.assert_published(&[&wrong, &changes]);
    assert_eq!(test.published()[0].1.accepted, ["count-mismatch"]);
    assert!(test.remote().is_empty());
    assert_eq!(test.run("status", &[]).code, 0);
}

#[test]
fn an_agreement_can_accept_findings() {
    let test = TestRun::local();
    let wrong = wrong_counter(&extract::small(20, 1));
    test.put("d", &wrong, &transfer(1));
    let config = configuration(
        &test,
        "accept = [\"count-mismatch\"]\nrecord_types = [\"001\", \"997\"]",
    );
    let ended = test.cprflow(&["sync".into(), "--config".into(), config.clone()]);
    assert_eq!(ended.code, 0, "{}{}", ended.stderr, ended.text());
    test.assert_published(&[&wrong]);
    let manifest = &test.published()[0].1;
    assert_eq!(manifest.accepted, ["count-mismatch"]);
    assert_eq!(manifest.controller.as_deref(), Some("Somebody"));
    let status = test.cprflow(&["status".into(), "--config".into(), config]);
    assert!(
        status
            .text()
            .contains("ordered record types that no delivery contained: 997"),
        "{}",
        status.text()
    );
}

#[test]
fn sets_aside_a_delivery_without_production_date() {
    let test = TestRun::local();
    let bytes = extract::small(20, 1);
    let headless = extract::join(&extract::lines(&bytes)[1..], b"\n");
    test.put("headless", &headless, &transfer(1));
    assert_eq!(test.sync().code, 1);
    let retry = |more: &[&str]| {
        let arguments = [
            &[
                "headless",
                "--accept",
                "missing-start",
                "--unrestricted",
                "test",
            ],
            more,
        ]
        .concat();
        test.run("retry", &arguments)
    };
    let ended = retry(&[]);
    assert_eq!(ended.code, 1);
    assert!(
        ended.text().contains("(no-production-date)"),
        "{}",
        ended.text()
    );
    assert_eq!(retry(&["--as-of", "2026-13-01"]).code, 2);
    let ended = retry(&["--as-of", "2026-03-05"]);
    assert_eq!(ended.code, 0, "{}", ended.text());
    test.assert_published(&[&headless]);
    assert_eq!(test.published()[0].1.production_date, "2026-03-05");
}

#[test]
fn set_aside_by_hand() {
    let test = TestRun::local();
    let bytes = extract::small(20, 1);
    test.put("d", &bytes, &transfer(1));
    let number = test.run("set-aside", &["d", "--reason", "for 0101010101"]);
    assert_eq!(number.code, 2);
    assert!(!number.stderr.contains("0101010101"), "{}", number.stderr);
    let ended = test.run("set-aside", &["d", "--reason", "wrong order"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    // The decision is made: no person is needed, and the delivery stays visible.
    let sync = test.sync();
    assert_eq!(sync.code, 0, "{}", sync.stderr);
    assert_eq!(
        sync.text(),
        "set aside  d (by-hand): wrong order\nnothing new\n"
    );
    assert!(test.published().is_empty());
    let status = test.run("status", &[]);
    assert_eq!(status.code, 0, "{}", status.text());
    assert!(
        status
            .text()
            .contains("d was set aside by a person (by-hand): wrong order. If that was wrong"),
        "{}",
        status.text()
    );
    let inbox = test.run("inbox", &["--format", "json"]);
    let lines: Value = serde_json::from_str(inbox.text()).unwrap();
    assert_eq!(
        (&lines[0]["state"], &lines[0]["reason"]),
        (&"set-aside".into(), &"wrong order".into())
    );
    assert_eq!(test.run("retry", &["d", "--unrestricted", "test"]).code, 0);
    test.assert_published(&[&bytes]);
    assert_eq!(
        test.run("set-aside", &["d", "--reason", "too late"]).code,
        2
    );
}

/// A delivery that was damaged, and was sent again, needs a person until it is set aside by hand.
#[test]
fn set_aside_by_hand_ends_the_case_of_a_damaged_delivery() {
    let test = TestRun::local();
    let whole = extract::small(20, 1);
    test.put("d", &wrong_counter(&whole), &transfer(1));
    let sync = test.sync();
    assert_eq!(sync.code, 1);
    let advice = format!(". Then run cprflow retry {}\n", transfer(1));
    assert!(sync.text().ends_with(&advice), "{}", sync.text());
    for name in test.remote() {
        fs::remove_file(test.inbox().join(name)).unwrap();
    }
    test.put("d", &whole, &transfer(2));
    assert_eq!(test.sync().code, 1);
    test.assert_published(&[&whole]);
    let status = test.run("status", &[]);
    assert_eq!(status.code, 1);
    let advice = format!("run cprflow set-aside {} --reason TEXT", transfer(1));
    assert!(status.text().contains(&advice), "{}", status.text());
    let set_aside = test.run("set-aside", &["d", "--reason", "sent again"]);
    assert_eq!(set_aside.code, 0, "{}", set_aside.stderr);
    assert_eq!(test.sync().code, 0);
    let path = test.path("cprflow.prom").display().to_string();
    let status = test.run("status", &["--metrics", &path]);
    assert_eq!(status.code, 0, "{}", status.text());
    assert!(status.text().contains("sent again"), "{}", status.text());
    let metrics = fs::read_to_string(&path).unwrap();
    for name in ["cprflow_deliveries_set_aside", "cprflow_needs_attention"] {
        let line = format!("{name}{{agreement=\"default\"}} 0");
        assert!(metrics.lines().any(|one| one == line), "{metrics}");
    }
}

/// A run publishes a delivery while an operator decides about it. The decision must see the new state.
#[test]
fn a_decision_after_publication_is_refused() {
    let test = TestRun::local();
    let wrong = wrong_counter(&extract::small(20, 1));
    test.put("d", &wrong, &transfer(1));
    assert_eq!(test.sync().code, 1);
    let accept = ["d", "--accept", "count-mismatch", "--unrestricted", "test"];
    for (subcommand, more) in [
        ("set-aside", &["d", "--reason", "wrong"][..]),
        ("retry", &accept[..]),
    ] {
        let stopped = test.stop_command_at(subcommand, more, "decided");
        if test.published().is_empty() {
            let ended = test.run("retry", &accept);
            assert_eq!(ended.code, 0, "{}", ended.stderr);
        } else {
            // The delivery is finished and must not start again.
            let ledger = rusqlite::Connection::open(test.path("state/ledger.sqlite")).unwrap();
            let done = "UPDATE delivery SET state = 'done'";
            ledger.execute(done, []).unwrap();
        }
        let (code, said) = stopped.go_on();
        assert_eq!(code, 2, "{said}");
        let ledger = rusqlite::Connection::open(test.path("state/ledger.sqlite")).unwrap();
        let state: String = ledger
            .query_row("SELECT state FROM delivery", [], |row| row.get(0))
            .unwrap();
        assert_eq!(state, "done", "{said}");
        ledger
            .execute("UPDATE delivery SET state = 'set-aside'", [])
            .unwrap();
    }
    test.assert_published(&[&wrong]);
}
