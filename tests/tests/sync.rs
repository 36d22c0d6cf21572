//! The daily job when all is well, and when a person has to decide.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use cprflow_connector::generate::{self, Settings};
use cprflow_tests::command::{Ended, command, cprflow};
use cprflow_tests::extract;
use cprflow_tests::trial::{Trial, files, transfer};
use parquet::basic::Compression;
use parquet::file::reader::{FileReader, SerializedFileReader};
use serde_json::Value;

#[test]
fn a_delivery_over_sftp_is_the_scan_of_its_file() {
    let Some(trial) = Trial::sftp() else { return };
    let (status, changes) = nights(300);
    trial.put("d260302.l431101", &status, &transfer(1));
    trial.put("d260303.l431101", &changes, &transfer(2));
    let ended = trial.sync();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    trial.assert_published(&[&status, &changes]);
    assert!(trial.remote().is_empty());
    let again = trial.sync();
    assert_eq!((again.code, again.text()), (0, "nothing new\n"));

    let published = trial.published();
    let name = published[0].0.file_name().unwrap().to_str().unwrap();
    assert_eq!(name, "delivery=2026-03-02-000001-00000001");
    let manifest = &published[0].1;
    assert_eq!(
        (manifest.policy.as_str(), manifest.purpose.as_str()),
        ("unrestricted", "test")
    );
    assert_eq!(manifest.size, status.len() as u64);
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
        .stdin(file_with(&trial.path("copy"), &status))
        .output()
        .unwrap();
    assert!(digest.stdout.starts_with(manifest.sha256.as_bytes()));
    // Owner only, from the root to the last file.
    for path in below(&trial.dataset())
        .iter()
        .chain(&below(&trial.path("state")))
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
fn oldest_production_date_first_and_breaks_are_told() {
    let trial = Trial::local();
    let settings = Settings::new(60, 3);
    let night = |night: u32| {
        let mut bytes = Vec::new();
        generate::changes(&settings, night, &mut bytes).unwrap();
        bytes
    };
    // The names say nothing about the order.
    trial.put("a", &night(3), &transfer(3));
    trial.put("b", &night(1), &transfer(1));
    let ended = trial.sync();
    assert_eq!(ended.code, 0, "{}", ended.text());
    assert_eq!(trial.published_files(), ["b", "a"]);
    assert!(
        ended.text().contains("sequence-gap (1)"),
        "a break is told: {}",
        ended.text()
    );
    // And one that comes late has its place before those that came earlier.
    trial.put("c", &night(2), &transfer(2));
    let ended = trial.sync();
    assert!(
        ended.text().contains("late: it was produced on"),
        "{}",
        ended.text()
    );
    assert_eq!(trial.published_files(), ["b", "c", "a"]);
    trial.assert_published(&[&night(1), &night(2), &night(3)]);
}

#[test]
fn everything_must_be_asked_for() {
    let trial = Trial::local();
    trial.put("d", &extract::small(5, 1), &transfer(1));
    let ended = trial.run("sync", &[]);
    assert_eq!(ended.code, 2);
    assert!(
        ended.stderr.contains("--unrestricted PURPOSE"),
        "{}",
        ended.stderr
    );
    assert_eq!(trial.run("sync", &["--unrestricted", " "]).code, 2);
    for number in ["0101010101", "case of 010101-0101"] {
        let ended = trial.run("sync", &["--unrestricted", number]);
        assert_eq!(ended.code, 2);
        assert!(ended.stderr.contains("person number"), "{}", ended.stderr);
        assert!(!ended.stderr.contains("0101"), "{}", ended.stderr);
    }
    assert_eq!(trial.remote().len(), 2);
    assert!(trial.published().is_empty());
}

#[test]
fn a_damaged_delivery_is_set_aside_and_others_go_on() {
    let trial = Trial::local();
    let (status, changes) = nights(40);
    let wrong = wrong_counter(&status);
    trial.put("d260302.l431101", &wrong, &transfer(1));
    trial.put("d260303.l431101", &changes, &transfer(2));
    let ended = trial.sync();
    assert_eq!(ended.code, 1, "{}", ended.text());
    trial.assert_published(&[&changes]);
    assert_eq!(
        trial.remote(),
        ["d260302.l431101", "d260302.l431101.metadata"]
    );
    let status_text = trial.run("status", &[]);
    assert_eq!(status_text.code, 1);
    assert!(
        status_text.text().contains("is set aside (count-mismatch)"),
        "{}",
        status_text.text()
    );

    // What cannot be accepted is not, and what is no delivery is no delivery.
    assert_eq!(
        trial
            .run("retry", &["nobody", "--unrestricted", "test"])
            .code,
        2
    );
    let refused = trial.run(
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
    // Nobody said what for: nothing is published, and it stays as it is.
    let accept = ["d260302.l431101", "--accept", "count-mismatch"];
    assert_eq!(trial.run("retry", &accept).code, 2);
    let status_text = trial.run("status", &[]);
    assert!(
        status_text.text().contains("is set aside (count-mismatch)"),
        "{}",
        status_text.text()
    );
    // Tried again as it is, it is set aside again.
    assert_eq!(
        trial
            .run("retry", &["d260302.l431101", "--unrestricted", "test"])
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
    let ended = trial.run("retry", &accepted);
    assert_eq!(ended.code, 0, "{}{}", ended.stderr, ended.text());
    trial.assert_published(&[&wrong, &changes]);
    assert_eq!(trial.published()[0].1.accepted, ["count-mismatch"]);
    assert!(trial.remote().is_empty());
    assert_eq!(trial.run("status", &[]).code, 0);
}

#[test]
fn accepted_by_agreement() {
    let trial = Trial::local();
    let wrong = wrong_counter(&extract::small(20, 1));
    trial.put("d", &wrong, &transfer(1));
    let config = configuration(
        &trial,
        "accept = [\"count-mismatch\"]\nrecord_types = [\"001\", \"997\"]",
    );
    let ended = trial.cprflow(&["sync".into(), "--config".into(), config.clone()]);
    assert_eq!(ended.code, 0, "{}{}", ended.stderr, ended.text());
    trial.assert_published(&[&wrong]);
    let manifest = &trial.published()[0].1;
    assert_eq!(manifest.accepted, ["count-mismatch"]);
    assert_eq!(manifest.controller.as_deref(), Some("Somebody"));
    let status = trial.cprflow(&["status".into(), "--config".into(), config]);
    assert!(
        status
            .text()
            .contains("never seen in a delivery: record types 997"),
        "{}",
        status.text()
    );
}

#[test]
fn without_a_production_date_there_is_no_place() {
    let trial = Trial::local();
    let bytes = extract::small(20, 1);
    let headless = extract::join(&extract::lines(&bytes)[1..], b"\n");
    trial.put("headless", &headless, &transfer(1));
    assert_eq!(trial.sync().code, 1);
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
        trial.run("retry", &arguments)
    };
    let ended = retry(&[]);
    assert_eq!(ended.code, 1);
    assert!(
        ended.text().contains("(no-production-date)"),
        "{}",
        ended.text()
    );
    assert_eq!(retry(&["--production-date", "2026-13-01"]).code, 2);
    let ended = retry(&["--production-date", "2026-03-05"]);
    assert_eq!(ended.code, 0, "{}", ended.text());
    trial.assert_published(&[&headless]);
    assert_eq!(trial.published()[0].1.production_date, "2026-03-05");
}

#[test]
fn set_aside_by_hand() {
    let trial = Trial::local();
    let bytes = extract::small(20, 1);
    trial.put("d", &bytes, &transfer(1));
    let number = trial.run("set-aside", &["d", "--reason", "for 0101010101"]);
    assert_eq!(number.code, 2);
    assert!(!number.stderr.contains("0101010101"), "{}", number.stderr);
    let ended = trial.run("set-aside", &["d", "--reason", "wrong order"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(trial.sync().code, 1);
    assert!(trial.published().is_empty());
    let inbox = trial.run("inbox", &["--format", "json"]);
    let lines: Value = serde_json::from_str(inbox.text()).unwrap();
    assert_eq!(
        (&lines[0]["state"], &lines[0]["reason"]),
        (&"set-aside".into(), &"wrong order".into())
    );
    assert_eq!(trial.run("retry", &["d", "--unrestricted", "test"]).code, 0);
    trial.assert_published(&[&bytes]);
    assert_eq!(
        trial.run("set-aside", &["d", "--reason", "too late"]).code,
        2
    );
}

/// A run publishes it while somebody is about to decide: what is decided is how it is by then.
#[test]
fn a_decision_comes_too_late() {
    let trial = Trial::local();
    let wrong = wrong_counter(&extract::small(20, 1));
    trial.put("d", &wrong, &transfer(1));
    assert_eq!(trial.sync().code, 1);
    let accept = ["d", "--accept", "count-mismatch", "--unrestricted", "test"];
    for (subcommand, more) in [
        ("set-aside", &["d", "--reason", "wrong"][..]),
        ("retry", &accept[..]),
    ] {
        let stopped = trial.stop_command_at(subcommand, more, "decided");
        if trial.published().is_empty() {
            let ended = trial.run("retry", &accept);
            assert_eq!(ended.code, 0, "{}", ended.stderr);
        } else {
            // It is done with, and must not be begun again.
            let ledger = rusqlite::Connection::open(trial.path("state/ledger.sqlite")).unwrap();
            let done = "UPDATE delivery SET state = 'done'";
            ledger.execute(done, []).unwrap();
        }
        let (code, said) = stopped.go_on();
        assert_eq!(code, 2, "{said}");
        let ledger = rusqlite::Connection::open(trial.path("state/ledger.sqlite")).unwrap();
        let state: String = ledger
            .query_row("SELECT state FROM delivery", [], |row| row.get(0))
            .unwrap();
        assert_eq!(state, "done", "{said}");
        ledger
            .execute("UPDATE delivery SET state = 'set-aside'", [])
            .unwrap();
    }
    trial.assert_published(&[&wrong]);
}

#[test]
fn what_lies_in_the_spool_for_too_long_goes() {
    let trial = Trial::local();
    let wrong = wrong_counter(&extract::small(20, 1));
    trial.put("d", &wrong, &transfer(1));
    assert_eq!(trial.sync().code, 1);
    let spooled = trial.path(&format!("state/spool/default/{}.extract", transfer(1)));
    let touched = Command::new("touch")
        .args(["-d", "-3 days"])
        .arg(&spooled)
        .status();
    assert!(touched.unwrap().success());
    let sync = |days: &str| trial.run("sync", &["--unrestricted", "test", "--max-age", days]);
    sync("4");
    assert!(spooled.is_file());
    let ended = sync("2");
    assert!(
        ended.stderr.contains("kept as long as --max-age says"),
        "{}",
        ended.stderr
    );
    assert!(!spooled.exists());
    // It is on the server still, and comes from there.
    let accepted = ["d", "--accept", "count-mismatch", "--unrestricted", "test"];
    assert_eq!(trial.run("retry", &accepted).code, 0);
    trial.assert_published(&[&wrong]);
}

#[test]
fn the_inbox_is_listed_and_left_alone() {
    let trial = Trial::local();
    trial.put("d260302.l431101", &extract::small(20, 1), &transfer(1));
    trial.file("x.sftpreceipt", b"x");
    let old = Command::new("touch")
        .args(["-d", "-288 hours"])
        .arg(trial.inbox().join("d260302.l431101"))
        .status();
    assert!(old.unwrap().success());
    let inbox = trial.run("inbox", &["--format", "json"]);
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
    let text = trial.run("inbox", &[]);
    assert!(text.text().contains("no delivery, or not yet:"));
    assert_eq!(trial.remote().len(), 3);
    assert!(!trial.path("state").exists());
}

/// Two stores share one inbox and a third has one that is not there: each delivery stands as its own ledger knows it.
#[test]
fn every_inbox_is_listed_by_every_ledger() {
    let trial = Trial::local();
    let (status, changes) = nights(20);
    let agreement = |name: &str, pattern: &str, inbox: &str| {
        format!(
            "[agreement.{name}]\ninbox = \"{inbox}\"\ndataset = \"{name}\"\nunrestricted = \"test\"\n\
             files.name = \"{pattern}\"\n"
        )
    };
    trial.configure(
        &[
            agreement("a", "^lost$", "lost"),
            agreement("one", "^a$", "inbox"),
            agreement("two", "^b$", "inbox"),
        ]
        .concat(),
    );
    trial.put("a", &wrong_counter(&status), &transfer(1));
    trial.put("b", &wrong_counter(&changes), &transfer(2));
    assert_eq!(trial.sync().code, 2);
    let inbox = trial.run("inbox", &["--format", "json"]);
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
fn silence_and_initial_loads_are_told() {
    let trial = Trial::local();
    let (status, changes) = nights(40);
    let standing = trial.run("status", &[]);
    assert_eq!(standing.code, 0);
    assert!(
        standing.text().contains("never looked into"),
        "{}",
        standing.text()
    );
    trial.sync();
    trial.put("a", &status, &transfer(1));
    trial.sync();
    let standing = trial.run("status", &[]);
    assert!(
        standing.text().contains("an initial load"),
        "{}",
        standing.text()
    );
    trial.put("b", &changes, &transfer(2));
    trial.sync();
    let standing = trial.run("status", &[]);
    assert_eq!(standing.code, 0, "{}", standing.text());
    assert!(
        !standing.text().contains("an initial load"),
        "{}",
        standing.text()
    );
    // Three weeks later nothing has come.
    let ledger = rusqlite::Connection::open(trial.path("state/ledger.sqlite")).unwrap();
    let past = "strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '-21 days')";
    ledger
        .execute(&format!("UPDATE delivery SET published = {past}"), [])
        .unwrap();
    let standing = trial.run("status", &[]);
    assert_eq!(standing.code, 1);
    assert!(
        standing.text().contains("of CPR's working days"),
        "{}",
        standing.text()
    );
    // Nobody looks any more.
    ledger
        .execute(&format!("UPDATE visit SET last = {past}"), [])
        .unwrap();
    let standing = trial.run("status", &[]);
    assert!(
        standing.text().contains("is `cprflow sync` still running?"),
        "{}",
        standing.text()
    );
    // Nothing ever came.
    ledger.execute("DELETE FROM delivery", []).unwrap();
    ledger
        .execute(&format!("UPDATE visit SET first = {past}"), [])
        .unwrap();
    let standing = trial.run("status", &[]);
    assert!(
        standing.text().contains("nothing has ever come"),
        "{}",
        standing.text()
    );
}

#[test]
fn a_watch_looks_when_it_is_told_to_and_ends_when_it_is_told_to() {
    let trial = Trial::local();
    let (status, changes) = nights(40);
    let config = configuration(&trial, "");
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
    // In a service window it waits before the first look; asked, it looks all the same.
    let mut wait_until_it_waits = || {
        let said = events.find(|event| {
            event["message"]
                .as_str()
                .is_some_and(|message| message.contains("waiting"))
        });
        assert!(said.is_some());
    };
    wait_until_it_waits();
    trial.put("a", &status, &transfer(1));
    signal(&watch, "HUP");
    eventually(|| trial.published().len() == 1 && trial.remote().is_empty());
    // The configuration is read anew: another agreement, another directory.
    trial.put("b", &changes, &transfer(2));
    let text = fs::read_to_string(&config)
        .unwrap()
        .replace("agreement.one", "agreement.two");
    fs::write(&config, text).unwrap();
    signal(&watch, "HUP");
    eventually(|| trial.published().len() == 2 && trial.remote().is_empty());
    let agreements: Vec<_> = trial
        .published()
        .into_iter()
        .map(|(_, m)| m.agreement)
        .collect();
    assert_eq!(agreements, ["one", "two"]);
    // A configuration that is broken for a while is told, and does not end it.
    fs::write(&config, "nonsense").unwrap();
    signal(&watch, "HUP");
    assert!(events.any(|event| {
        event["message"]
            .as_str()
            .is_some_and(|message| message.starts_with("the look failed"))
    }));
    assert!(watch.try_wait().unwrap().is_none());
    signal(&watch, "TERM");
    let ended = watch.wait().unwrap();
    assert_eq!(ended.code(), Some(0));
}

#[test]
fn terminated_in_the_middle_nothing_is_lost() {
    let Some(trial) = Trial::sftp() else { return };
    let (status, _) = nights(3_000);
    trial.put("a", &status, &transfer(1));
    let stopped = trial.stop_at("half-downloaded");
    let told = Command::new("kill").arg(stopped.id().to_string()).status();
    assert!(told.unwrap().success());
    let (code, said) = stopped.go_on();
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("the next run goes on from here"), "{said}");
    assert_eq!(trial.remote().len(), 2);
    assert_eq!(trial.sync().code, 0);
    trial.assert_published(&[&status]);
}

/// What was not looked into to its end was not looked into.
#[test]
fn terminated_in_the_first_inbox_no_look_is_noted() {
    let trial = Trial::local();
    fs::create_dir(trial.path("other")).unwrap();
    trial.configure(
        "[agreement.one]\ninbox = \"inbox\"\nunrestricted = \"test\"\n\
         [agreement.two]\ninbox = \"other\"\nunrestricted = \"test\"\n",
    );
    trial.put("a", &extract::small(20, 1), &transfer(1));
    let stopped = trial.stop_at("ready");
    let told = Command::new("kill").arg(stopped.id().to_string()).status();
    assert!(told.unwrap().success());
    let (code, said) = stopped.go_on();
    assert_eq!(code, 2, "{said}");
    let status = trial.run("status", &[]);
    let never = status.text().matches("never looked into").count();
    assert_eq!(never, 2, "{}", status.text());
    assert_eq!(trial.sync().code, 0);
    let status = trial.run("status", &[]);
    assert!(!status.text().contains("never looked"), "{}", status.text());
}

#[test]
fn a_configuration_is_begun_and_examined() {
    let trial = Trial::local();
    let file = trial.path("cprflow.toml").display().to_string();
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
        "one that is there is left alone"
    );
    let examined = cprflow(["doctor", "--config", &file]);
    assert_eq!(examined.code, 1, "{}", examined.text());
    assert!(
        examined
            .text()
            .contains("ill   connection: cannot use the private key"),
        "{}",
        examined.text()
    );

    let well = trial.run("doctor", &[]);
    assert_eq!(well.code, 0, "{}", well.text());
    assert!(
        well.text().contains("well  folder: 0 files"),
        "{}",
        well.text()
    );
    fs::remove_dir(trial.inbox()).unwrap();
    let ill = trial.run("doctor", &[]);
    assert_eq!(ill.code, 1);
}

#[test]
fn the_log_is_json_and_names_the_delivery() {
    let trial = Trial::local();
    trial.put("d260302.l431101", &extract::small(20, 1), &transfer(1));
    let ended = trial.run(
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

/// Whoever collects the log gets nothing but JSON, whatever fails, and an error where something does.
#[test]
fn a_failing_run_says_it_in_json() {
    let trial = Trial::local();
    let json = ["--log-format", "json", "--format", "json"];
    let events = |ended: &Ended| -> Vec<Value> {
        let lines = ended.stderr.lines().chain(ended.text().lines());
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    let is_told = |ended: &Ended, what: &str| {
        let events = events(ended);
        let told = events
            .iter()
            .any(|event| event["level"] == "ERROR" && event.to_string().contains(what));
        assert!(told, "{events:?}");
        assert_eq!(ended.code, 2);
    };
    // One inbox that is not there, one run that cannot begin, one command that cannot.
    fs::remove_dir(trial.inbox()).unwrap();
    let ended = trial.run("sync", &[&["--unrestricted", "test"], &json[..]].concat());
    is_told(&ended, "there is no folder");
    is_told(&trial.run("sync", &json), "--unrestricted PURPOSE");
    let nobody = ["sync", "--log-format", "json"].map(str::to_owned);
    is_told(&trial.cprflow(&nobody), "which inbox, and which dataset?");
}

/// A store that cannot be worked on is told, and the next one is worked on.
#[test]
fn one_store_that_is_broken_stops_no_other() {
    let trial = Trial::local();
    let bytes = extract::small(20, 1);
    fs::create_dir(trial.path("other")).unwrap();
    trial.configure(
        "[agreement.one]\ninbox = \"other\"\ndataset = \"one\"\nunrestricted = \"test\"\n\
         [agreement.two]\ninbox = \"inbox\"\nunrestricted = \"test\"\n",
    );
    assert_eq!(trial.sync().code, 0);
    let is_of_one = |path: &&std::path::PathBuf| {
        let text = path.to_string_lossy();
        text.contains("/state/one-") && text.ends_with("ledger.sqlite")
    };
    let all = below(&trial.path("state"));
    fs::write(all.iter().find(is_of_one).unwrap(), "x".repeat(4096)).unwrap();
    trial.put("a", &bytes, &transfer(1));
    let ended = trial.sync();
    assert_eq!(ended.code, 2, "{}", ended.text());
    assert!(
        ended.stderr.contains("the ledger is damaged"),
        "{}",
        ended.stderr
    );
    assert!(ended.text().contains("published  a"), "{}", ended.text());
    trial.assert_published(&[&bytes]);
}

/// Another dataset comes and the first one goes: each keeps its ledger, and with it what waits for a person.
#[test]
fn a_ledger_stays_where_it_is_when_datasets_come_and_go() {
    let trial = Trial::local();
    fs::create_dir(trial.path("other")).unwrap();
    let one = "[agreement.one]\ninbox = \"inbox\"\nunrestricted = \"test\"\n";
    let two = "[agreement.two]\ninbox = \"other\"\ndataset = \"two\"\nunrestricted = \"test\"\n";
    let wrong = wrong_counter(&extract::small(20, 1));
    let is_set_aside = |name: &str| {
        let status = trial.run("status", &[]);
        let told = format!("{name} is set aside (count-mismatch)");
        assert!(status.text().contains(&told), "{}", status.text());
    };
    trial.configure(one);
    trial.put("a", &wrong, &transfer(1));
    assert_eq!(trial.sync().code, 1);
    is_set_aside("a");
    trial.configure(&[one, two].concat());
    is_set_aside("a");
    for name in ["a", "a.metadata"] {
        fs::rename(trial.inbox().join(name), trial.path("other").join(name)).unwrap();
    }
    assert_eq!(trial.sync().code, 1);
    trial.configure(two);
    is_set_aside("a");
    assert!(trial.path("state/ledger.sqlite").is_file());
    // Agreements that part, and one ledger that knows both.
    let parted = trial.path("parted");
    fs::create_dir(&parted).unwrap();
    let both = [one, &two.replace("dataset = \"two\"\n", "")].concat();
    trial.configure(&both);
    let state = ["--state".to_owned(), parted.display().to_string()];
    let run = |subcommand: &str| {
        let mut arguments = vec![subcommand.to_owned()];
        arguments.extend(trial.source());
        arguments.extend(state.clone());
        trial.cprflow(&arguments)
    };
    run("sync");
    trial.configure(&[one, two].concat());
    let refused = run("status");
    assert_eq!(refused.code, 2);
    assert!(
        refused.stderr.contains("say which of these goes on"),
        "{}",
        refused.stderr
    );
}

/// Every column is compressed with zstd and says how its values lie, so that readers can pass over what they need not.
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
    let settings = Settings::new(persons, 3);
    (extract::status(&settings), extract::changes(&settings))
}

/// The extract with an end record that counts one too many.
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

/// A configuration with one agreement on the trial's inbox.
fn configuration(trial: &Trial, more: &str) -> String {
    let path = trial.path("cprflow.toml");
    let text = format!(
        "dataset = \"disk/dataset\"\nstate = \"state\"\n[agreement.one]\ncontroller = \"Somebody\"\ninbox = \"inbox\"\n\
         unrestricted = \"test\"\n{more}\n"
    );
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

fn file_with(path: &Path, bytes: &[u8]) -> fs::File {
    fs::write(path, bytes).unwrap();
    fs::File::open(path).unwrap()
}

/// A directory and everything below it.
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
            "it did not happen"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}
