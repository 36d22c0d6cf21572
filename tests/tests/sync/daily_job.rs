//! The daily job without faults, and decisions of an operator.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use cprflow_connector::generate::{self, Settings};
use cprflow_tests::command::{CommandOutput, command, cprflow};
use cprflow_tests::extract;
use cprflow_tests::test_run::{TestRun, files, transfer};
use parquet::basic::Compression;
use parquet::file::reader::{FileReader, SerializedFileReader};
use serde_json::Value;

#[test]
fn publishes_the_rows_of_a_delivery_over_sftp() {
    let Some(test) = TestRun::sftp() else { return };
    let (status, changes) = nights(300);
    test.put("d260302.l431101", &status, &transfer(1));
    test.put("d260303.l431101", &changes, &transfer(2));
    let ended = test.sync();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    test.assert_published(&[&status, &changes]);
    assert!(test.remote().is_empty());
    let again = test.sync();
    assert_eq!((again.code, again.text()), (0, "nothing new\n"));

    let published = test.published();
    let name = published[0].0.file_name().unwrap().to_str().unwrap();
    assert_eq!(name, "delivery=2026-03-02-000001-00000001");
    let manifest = &published[0].1;
    assert_eq!(
        (manifest.policy.as_str(), manifest.purpose.as_str()),
        ("unrestricted", "test")
    );
    assert_eq!(manifest.size, Some(status.len() as u64));
    assert_eq!(
        manifest.component.sha256,
        cprflow::Connector::embedded().unwrap().sha256()
    );
    for file in files(&published[0].0) {
        if file
            .extension()
            .is_some_and(|extension| extension == "parquet")
        {
            is_compressed_and_described(&file);
        }
    }
    assert_eq!(manifest.rows["person"], 300);
    let digest = Command::new("sha256sum")
        .stdin(file_with(&test.path("copy"), &status))
        .output()
        .unwrap();
    assert!(digest.stdout.starts_with(manifest.sha256.as_bytes()));
    // Every directory and file is accessible to its owner only.
    for path in below(&test.dataset())
        .iter()
        .chain(&below(&test.path("state")))
    {
        let mode = fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let is_private = match path.is_dir() {
            true => mode == 0o700,
            false => mode & 0o077 == 0,
        };
        assert!(is_private, "{mode:o} {}", path.display());
    }
}

#[test]
fn publishes_by_production_date_and_reports_gaps() {
    let test = TestRun::local();
    let settings = Settings::busy(60, 3);
    let night = |night: u32| {
        let mut bytes = Vec::new();
        generate::changes(&settings, night, &mut bytes).unwrap();
        bytes
    };
    // The order does not depend on the file names.
    test.put("a", &night(3), &transfer(3));
    test.put("b", &night(1), &transfer(1));
    let ended = test.sync();
    assert_eq!(ended.code, 0, "{}", ended.text());
    assert_eq!(test.published_files(), ["b", "a"]);
    assert!(
        ended.text().contains("sequence-gap (1)"),
        "a gap is reported: {}",
        ended.text()
    );
    // A late delivery is ordered by its production date, before deliveries that arrived earlier.
    test.put("c", &night(2), &transfer(2));
    let ended = test.sync();
    assert!(
        ended.text().contains("late: it was produced on"),
        "{}",
        ended.text()
    );
    assert_eq!(test.published_files(), ["b", "c", "a"]);
    test.assert_published(&[&night(1), &night(2), &night(3)]);
}

#[test]
fn unrestricted_publication_must_be_configured() {
    let test = TestRun::local();
    test.put("d", &extract::small(5, 1), &transfer(1));
    let ended = test.run("sync", &[]);
    assert_eq!(ended.code, 2);
    assert!(
        ended.stderr.contains("--unrestricted PURPOSE"),
        "{}",
        ended.stderr
    );
    assert_eq!(test.run("sync", &["--unrestricted", " "]).code, 2);
    for number in ["0101010101", "case of 010101-0101"] {
        let ended = test.run("sync", &["--unrestricted", number]);
        assert_eq!(ended.code, 2);
        assert!(ended.stderr.contains("person number"), "{}", ended.stderr);
        assert!(!ended.stderr.contains("0101"), "{}", ended.stderr);
    }
    assert_eq!(test.remote().len(), 2);
    assert!(test.published().is_empty());
}

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
        test.run("retry", &["nobody", "--unrestricted", "test"])
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

#[test]
fn watch_checks_and_stops_on_signals() {
    let test = TestRun::local();
    let (status, changes) = nights(40);
    let config = configuration(&test, "");
    let mut watch = command()
        .args([
            "sync",
            "--watch",
            "--log-format",
            "json",
            "--config",
            &config,
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let log = BufReader::new(watch.stderr.take().unwrap());
    let mut events = log
        .lines()
        .map(|line| -> Value { serde_json::from_str(&line.unwrap()).unwrap() });
    // In a service window it waits before the first check. A signal starts a check immediately.
    let mut wait_until_it_waits = || {
        let said = events.find(|event| {
            event["message"]
                .as_str()
                .is_some_and(|message| message.contains("waiting"))
        });
        assert!(said.is_some());
    };
    wait_until_it_waits();
    test.put("a", &status, &transfer(1));
    signal(&watch, "HUP");
    eventually(|| test.published().len() == 1 && test.remote().is_empty());
    // The configuration is read again: another agreement, another directory.
    test.put("b", &changes, &transfer(2));
    let text = fs::read_to_string(&config)
        .unwrap()
        .replace("agreement.one", "agreement.two");
    fs::write(&config, format!("ended_agreements = [\"one\"]\n{text}")).unwrap();
    signal(&watch, "HUP");
    eventually(|| test.published().len() == 2 && test.remote().is_empty());
    let agreements: Vec<_> = test
        .published()
        .into_iter()
        .map(|(_, m)| m.agreement)
        .collect();
    assert_eq!(agreements, ["one", "two"]);
    // A configuration that is invalid for a while is reported and does not end the watch.
    fs::write(&config, "nonsense").unwrap();
    signal(&watch, "HUP");
    assert!(events.any(|event| {
        event["message"]
            .as_str()
            .is_some_and(|message| message.starts_with("the check of the inboxes failed"))
    }));
    assert!(watch.try_wait().unwrap().is_none());
    signal(&watch, "TERM");
    let ended = watch.wait().unwrap();
    assert_eq!(ended.code(), Some(0));
}

#[test]
fn a_terminated_run_loses_nothing() {
    let Some(test) = TestRun::sftp() else { return };
    let (status, _) = nights(3_000);
    test.put("a", &status, &transfer(1));
    let stopped = test.stop_at("half-downloaded");
    let told = Command::new("kill").arg(stopped.id().to_string()).status();
    assert!(told.unwrap().success());
    let (code, said) = stopped.go_on();
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("the next run continues from here"), "{said}");
    assert_eq!(test.remote().len(), 2);
    assert_eq!(test.sync().code, 0);
    test.assert_published(&[&status]);
}

/// An inbox counts as checked only after a complete check.
#[test]
fn a_terminated_check_is_not_recorded() {
    let test = TestRun::local();
    fs::create_dir(test.path("other")).unwrap();
    test.configure(
        "[agreement.one]\ninbox = \"inbox\"\nunrestricted = \"test\"\n\
         [agreement.two]\ninbox = \"other\"\nunrestricted = \"test\"\n",
    );
    test.put("a", &extract::small(20, 1), &transfer(1));
    let stopped = test.stop_at("ready");
    let told = Command::new("kill").arg(stopped.id().to_string()).status();
    assert!(told.unwrap().success());
    let (code, said) = stopped.go_on();
    assert_eq!(code, 2, "{said}");
    let status = test.run("status", &[]);
    // The first inbox was being checked, and the second was not reached.
    let text = status.text();
    let never = [
        "the first check of the inbox has not ended",
        "was never checked",
    ];
    assert!(
        never.iter().all(|words| text.matches(words).count() == 1),
        "{}",
        status.text()
    );
    assert_eq!(test.sync().code, 0);
    let status = test.run("status", &[]);
    assert!(
        !status.text().contains("was never checked"),
        "{}",
        status.text()
    );
}

#[test]
fn init_and_doctor_handle_a_configuration() {
    let test = TestRun::local();
    let file = test.path("cprflow.toml").display().to_string();
    let ended = cprflow(["init", "--environment", "test", &file]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(
        fs::read_to_string(&file)
            .unwrap()
            .contains("sftpexttest.serviceplatformen.dk")
    );
    assert_eq!(
        cprflow(["init", &file]).code,
        2,
        "an existing configuration is not changed"
    );
    let examined = cprflow(["doctor", "--config", &file]);
    assert_eq!(examined.code, 1, "{}", examined.text());
    assert!(
        examined
            .text()
            .contains("FAIL  connection: cannot use the private key"),
        "{}",
        examined.text()
    );

    let well = test.run("doctor", &[]);
    assert_eq!(well.code, 0, "{}", well.text());
    assert!(
        well.text().contains("ok    folder: 0 files"),
        "{}",
        well.text()
    );
    fs::remove_dir(test.inbox()).unwrap();
    let ill = test.run("doctor", &[]);
    assert_eq!(ill.code, 1);
}

#[test]
fn the_log_is_json_and_names_the_delivery() {
    let test = TestRun::local();
    test.put("d260302.l431101", &extract::small(20, 1), &transfer(1));
    let ended = test.run(
        "sync",
        &[
            "--unrestricted",
            "test",
            "--log-format",
            "json",
            "--format",
            "json",
        ],
    );
    let report: Value = serde_json::from_str(ended.text()).unwrap();
    assert_eq!(report["published"][0]["persons"], 20);
    let events: Vec<Value> = ended
        .stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let published = events
        .iter()
        .find(|event| event["message"] == "published")
        .unwrap();
    assert_eq!(published["span"]["transfer"], transfer(1));
    assert_eq!(published["span"]["agreement"], "default");
}

/// Every line of the log is JSON in every kind of failure, and one of them has the level error.
#[test]
fn a_failing_run_logs_json() {
    let test = TestRun::local();
    let json = ["--log-format", "json", "--format", "json"];
    let events = |ended: &CommandOutput| -> Vec<Value> {
        let lines = ended.stderr.lines().chain(ended.text().lines());
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    let is_told = |ended: &CommandOutput, what: &str| {
        let events = events(ended);
        let told = events
            .iter()
            .any(|event| event["level"] == "ERROR" && event.to_string().contains(what));
        assert!(told, "{events:?}");
        assert_eq!(ended.code, 2);
    };
    // The failures: a missing inbox, a run that cannot start, a command that cannot start.
    fs::remove_dir(test.inbox()).unwrap();
    let ended = test.run("sync", &[&["--unrestricted", "test"], &json[..]].concat());
    is_told(&ended, "there is no folder");
    is_told(&test.run("sync", &json), "--unrestricted PURPOSE");
    let nobody = ["sync", "--log-format", "json"].map(str::to_owned);
    is_told(&test.cprflow(&nobody), "no inbox and no dataset were named");
    let half = ["status", "--dataset", "dataset", "--log-format", "json"].map(str::to_owned);
    is_told(&test.cprflow(&half), "--inbox is missing");
}

/// Asserts that every column is compressed with zstd and has statistics with which readers can skip data.
fn is_compressed_and_described(table: &Path) {
    let reader = SerializedFileReader::new(fs::File::open(table).unwrap()).unwrap();
    for group in reader.metadata().row_groups() {
        assert!(group.num_rows() > 0);
        for column in group.columns() {
            let name = format!("{} {}", table.display(), column.column_path());
            assert!(
                matches!(column.compression(), Compression::ZSTD(_)),
                "{name}"
            );
            let statistics = column.statistics();
            assert!(
                statistics.is_some_and(|known| known.null_count_opt().is_some()),
                "{name}"
            );
        }
    }
}

fn nights(persons: u64) -> (Vec<u8>, Vec<u8>) {
    let settings = Settings::busy(persons, 3);
    (extract::status(&settings), extract::changes(&settings))
}

/// Returns the extract with an end record that counts one record too many.
fn wrong_counter(extract: &[u8]) -> Vec<u8> {
    let mut lines = extract::lines(extract);
    let end = lines
        .iter_mut()
        .find(|line| line.starts_with(b"999"))
        .unwrap();
    let counted: u32 = String::from_utf8_lossy(&end[13..21]).parse().unwrap();
    end[13..21].copy_from_slice(format!("{:08}", counted + 1).as_bytes());
    extract::join(&lines, b"\n")
}

/// Returns a configuration with one agreement on the inbox of the test.
fn configuration(test: &TestRun, more: &str) -> String {
    let path = test.path("cprflow.toml");
    let text = format!(
        "dataset = \"disk/dataset\"\nstate = \"state\"\n[agreement.one]\ncontroller = \"Somebody\"\ninbox = \"inbox\"\n\
         unrestricted = \"test\"\nchurch.purpose = \"test\"\n{more}\n"
    );
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

fn file_with(path: &Path, bytes: &[u8]) -> fs::File {
    fs::write(path, bytes).unwrap();
    fs::File::open(path).unwrap()
}

/// Returns a directory and everything below it.
fn below(directory: &Path) -> Vec<std::path::PathBuf> {
    let mut found = vec![directory.to_owned()];
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(below(&path)),
            false => found.push(path),
        }
    }
    found
}

fn signal(process: &Child, name: &str) {
    let sent = Command::new("kill")
        .args(["-s", name, &process.id().to_string()])
        .status();
    assert!(sent.unwrap().success());
}

fn eventually(condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "the condition was never met"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}
