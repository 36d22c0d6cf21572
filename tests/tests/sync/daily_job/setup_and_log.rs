//! `init` and `doctor`, and the log as JSON.

use std::fs;

use cprflow_tests::command::{CommandOutput, cprflow};
use cprflow_tests::extract;
use cprflow_tests::test_run::{TestRun, transfer};
use serde_json::Value;

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
    let unnamed = ["sync", "--log-format", "json"].map(str::to_owned);
    is_told(
        &test.cprflow(&unnamed),
        "no inbox and no dataset were named",
    );
    let half = ["status", "--dataset", "dataset", "--log-format", "json"].map(str::to_owned);
    is_told(&test.cprflow(&half), "--inbox is missing");
}
