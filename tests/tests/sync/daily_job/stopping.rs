//! `watch`, and runs that are terminated.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use cprflow_tests::command::command;
use cprflow_tests::extract;
use cprflow_tests::test_run::{TestRun, transfer};
use serde_json::Value;

use super::{configuration, nights};

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
