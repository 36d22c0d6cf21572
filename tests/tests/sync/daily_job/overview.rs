//! What `inbox` and `status` show, and old files in the spool.

use std::process::Command;

use cprflow_tests::extract;
use cprflow_tests::test_run::{TestRun, transfer};
use serde_json::Value;

use super::{nights, wrong_counter};

#[test]
fn removes_old_files_from_the_spool() {
    let test = TestRun::local();
    let wrong = wrong_counter(&extract::small(20, 1));
    test.put("d", &wrong, &transfer(1));
    assert_eq!(test.sync().code, 1);
    let spooled = test.path(&format!("state/spool/default/{}.extract", transfer(1)));
    let touched = Command::new("touch")
        .args(["-d", "-3 days"])
        .arg(&spooled)
        .status();
    assert!(touched.unwrap().success());
    let sync = |days: &str| test.run("sync", &["--unrestricted", "test", "--max-age", days]);
    sync("4");
    assert!(spooled.is_file());
    let ended = sync("2");
    assert!(
        ended.stderr.contains("kept as long as --max-age says"),
        "{}",
        ended.stderr
    );
    assert!(!spooled.exists());
    // The server still has the file, so it is downloaded again.
    let accepted = ["d", "--accept", "count-mismatch", "--unrestricted", "test"];
    assert_eq!(test.run("retry", &accepted).code, 0);
    test.assert_published(&[&wrong]);
}

#[test]
fn lists_the_inbox_without_changing_it() {
    let test = TestRun::local();
    test.put("d260302.l431101", &extract::small(20, 1), &transfer(1));
    test.file("x.sftpreceipt", b"x");
    let old = Command::new("touch")
        .args(["-d", "-288 hours"])
        .arg(test.inbox().join("d260302.l431101"))
        .status();
    assert!(old.unwrap().success());
    let inbox = test.run("inbox", &["--format", "json"]);
    assert_eq!(inbox.code, 0);
    let lines: Value = serde_json::from_str(inbox.text()).unwrap();
    let first = &lines[0];
    assert_eq!(
        (&first["state"], &first["age_days"], &first["days_left"]),
        (&"ready".into(), &12.into(), &18.into())
    );
    assert_eq!(first["production_date"], "2026-03-02");
    assert_eq!(
        (&lines[1]["name"], &lines[1]["is_delivery"]),
        (&"x.sftpreceipt".into(), &false.into())
    );
    let text = test.run("inbox", &[]);
    assert!(text.text().contains("not deliveries, or not complete yet:"));
    assert_eq!(test.remote().len(), 3);
    assert!(!test.path("state").exists());
}

/// Two agreements share one inbox, and a third has a missing inbox.
#[test]
fn lists_each_inbox() {
    let test = TestRun::local();
    let (status, changes) = nights(20);
    let agreement = |name: &str, pattern: &str, inbox: &str| {
        format!(
            "[agreement.{name}]\ninbox = \"{inbox}\"\nunrestricted = \"test\"\n\
             files.name = \"{pattern}\"\n"
        )
    };
    test.configure(
        &[
            agreement("a", "^lost$", "lost"),
            agreement("one", "^a$", "inbox"),
            agreement("two", "^b$", "inbox"),
        ]
        .concat(),
    );
    test.put("a", &wrong_counter(&status), &transfer(1));
    test.put("b", &wrong_counter(&changes), &transfer(2));
    assert_eq!(test.sync().code, 2);
    let inbox = test.run("inbox", &["--format", "json"]);
    assert_eq!(inbox.code, 2, "{}", inbox.stderr);
    assert!(
        inbox.stderr.contains("there is no folder"),
        "{}",
        inbox.stderr
    );
    let lines: Value = serde_json::from_str(inbox.text()).unwrap();
    let states: Vec<_> = (0..2).map(|line| &lines[line]["state"]).collect();
    assert_eq!(states, ["set-aside", "set-aside"]);
}

#[test]
fn reports_overdue_deliveries_and_initial_loads() {
    let test = TestRun::local();
    let (status, changes) = nights(40);
    let standing = test.run("status", &[]);
    assert_eq!(standing.code, 0);
    assert!(
        standing.text().contains("was never checked"),
        "{}",
        standing.text()
    );
    test.sync();
    test.put("a", &status, &transfer(1));
    test.sync();
    let standing = test.run("status", &[]);
    assert!(
        standing.text().contains("an initial load"),
        "{}",
        standing.text()
    );
    test.put("b", &changes, &transfer(2));
    test.sync();
    let standing = test.run("status", &[]);
    assert_eq!(standing.code, 0, "{}", standing.text());
    assert!(
        !standing.text().contains("an initial load"),
        "{}",
        standing.text()
    );
    // For three weeks nothing arrives.
    let ledger = rusqlite::Connection::open(test.path("state/ledger.sqlite")).unwrap();
    let past = "strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '-21 days')";
    ledger
        .execute(&format!("UPDATE delivery SET published = {past}"), [])
        .unwrap();
    let standing = test.run("status", &[]);
    assert_eq!(standing.code, 1);
    assert!(
        standing.text().contains("of CPR's working days"),
        "{}",
        standing.text()
    );
    // No run has checked the inbox for a long time.
    ledger
        .execute(&format!("UPDATE inbox_visit SET last = {past}"), [])
        .unwrap();
    let standing = test.run("status", &[]);
    assert!(
        standing
            .text()
            .contains("Check whether `cprflow sync` is still running"),
        "{}",
        standing.text()
    );
    // No delivery has ever arrived.
    let nothing = "DELETE FROM kept_extract; DELETE FROM delivery;";
    ledger.execute_batch(nothing).unwrap();
    ledger
        .execute(&format!("UPDATE inbox_visit SET first = {past}"), [])
        .unwrap();
    let standing = test.run("status", &[]);
    assert!(
        standing.text().contains("no delivery has arrived in"),
        "{}",
        standing.text()
    );
}
