//! `cprflow subscription` as a process, against the stand-in platform over TLS with client certificates.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use cprflow_connector::generate::Day;
use cprflow_delivery::config::Configuration;
use cprflow_platform::{
    FaultStyle, Operation, ServerCertificate, ServiceErrorCode, ServiceEvent, ServiceFault,
    TlsVersions,
};
use cprflow_tests::command::{command, cprflow};
use cprflow_tests::subscription_run::{SubscriptionRun, effects, numbers, pem};
use jiff::{SignedDuration, Timestamp};

#[test]
fn all_operations_over_both_versions_of_tls() {
    for versions in [TlsVersions::Only12, TlsVersions::Only13] {
        let test = SubscriptionRun::new("allow_national = true");
        test.platform
            .set_tls(ServerCertificate::Valid, versions)
            .unwrap();
        test.list(&numbers(1));
        let list = test.path("numbers.txt").display().to_string();
        let values: [&[&str]; 5] = [
            &["pnr", &list],
            &["municipality", "0265"],
            &["age-range", "0-17"],
            &["change-code", "A01"],
            &["no-filter"],
        ];
        for value in values {
            let said = test.ok(&[&["add"][..], value, &["--yes"]].concat());
            assert!(said.contains("agreement a0"), "{said}");
            assert!(said.contains("test environment"), "{said}");
            assert!(said.contains("0265 Roskilde"), "{said}");
            assert!(said.contains("1 added"), "{said}");
        }
        assert_eq!(test.filters().len(), 5);
        let listed = test.ok(&["list"]);
        for expected in [
            "person numbers (1)",
            "0265 Roskilde",
            "0-17",
            "A01",
            "all of Denmark",
        ] {
            assert!(listed.contains(expected), "{listed}");
        }
        for value in values {
            let said = test.ok(&[&["remove"][..], value, &["--yes"]].concat());
            assert!(said.contains("current filters"), "{said}");
        }
        assert!(test.filters().is_empty());
        test.ok(&["add", "municipality", "0265", "0101", "--yes"]);
        test.ok(&["clear", "municipality", "--yes"]);
        assert!(test.filters().is_empty());
        let called: std::collections::BTreeSet<_> = test
            .platform
            .take_events()
            .into_iter()
            .map(|seen| match seen {
                ServiceEvent::Call { operation, .. } => operation.name(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(called.len(), 12, "{called:?}");
    }
}

#[test]
fn plan_and_apply() {
    let test = SubscriptionRun::new(
        "pnr_file = \"numbers.txt\"\nmunicipality_codes = [\"0265\", \"0001\"]",
    );
    test.list(&numbers(3));
    test.ok(&["add", "municipality", "265", "--yes"]);
    test.platform.take_events();
    let planned = test.run(&["plan"]);
    assert_eq!(planned.code, 1, "there is a difference");
    assert!(planned.text().contains("+ 3 numbers"), "{}", planned.text());
    assert!(planned.text().contains("4 calls"), "{}", planned.text());
    assert!(
        planned.stderr.contains("0001 is not a municipality"),
        "{}",
        planned.stderr
    );
    assert!(
        effects(&test.platform.take_events()).is_empty(),
        "a plan changes nothing"
    );
    let refused = test.refused(&["apply"]);
    assert!(refused.contains("--yes"), "{refused}");
    assert!(effects(&test.platform.take_events()).is_empty());
    let said = test.ok(&["apply", "--yes"]);
    assert!(said.contains("4 added"), "{said}");
    assert_eq!(test.subscribed_numbers(), numbers(3));
    assert!(test.ok(&["plan"]).contains("nothing to do"));
    // The audit log has two lines per call, with the hash of the number and the purpose.
    let audit = test.audit();
    assert_eq!(audit.len(), 2 * 5);
    let last = audit.last().unwrap();
    assert_eq!(last["result"], "added");
    assert_eq!(last["purpose"], "a trial");
    assert_eq!(last["operation"], "add");
    assert_eq!(last["kind"], "pnr");
    assert_eq!(last["pnr_hash"].as_str().unwrap().len(), 64);
    assert!(last["who"].as_str().unwrap().contains("uid"));

    // By default it only adds. Removal must be requested and has a limit.
    test.list(&numbers(1));
    assert_eq!(test.run(&["plan"]).code, 1);
    test.ok(&["apply", "--yes"]);
    assert_eq!(test.subscribed_numbers(), numbers(3));
    let refused = test.refused(&["apply", "--prune", "--max-removals", "1", "--yes"]);
    assert!(refused.contains("--max-removals 2"), "{refused}");
    assert_eq!(test.subscribed_numbers(), numbers(3));
    test.ok(&["apply", "--prune", "--max-removals", "2", "--yes"]);
    assert_eq!(test.subscribed_numbers(), numbers(1));
    // Removed filters can be restored.
    test.ok(&["restore", "--yes"]);
    assert_eq!(test.subscribed_numbers(), numbers(3));
}

/// Snapshots the text that a person reads before confirming `apply`.
#[test]
fn a_plan_describes_its_consequences() {
    let wanted = "allow_national = true\npnr_file = \"numbers.txt\"\nmunicipality_codes = [\"0265\", \"0101\"]\n\
                  age_ranges = [\"0-17\"]\nchange_codes = [\"A01\", \"A05\"]\nno_filter = true";
    let test = SubscriptionRun::new(wanted);
    test.list(&numbers(4)[..2]);
    let list = test.path("numbers.txt").display().to_string();
    test.ok(&["add", "pnr", &list, "--yes"]);
    test.list(&numbers(4)[1..]);
    for value in [
        &["municipality", "0265", "0147"][..],
        &["change-code", "A01", "A09"],
        &["age-range", "18-99"],
    ] {
        test.ok(&[&["add"][..], value, &["--yes"]].concat());
    }
    let planned = |arguments: &[&str]| {
        let ended = test.run(arguments);
        assert_eq!(ended.code, 1, "{}", ended.stderr);
        let url = test.platform.url();
        let host = url.split('/').nth(2).unwrap();
        ended.text().replace(host, "HOST")
    };
    insta::assert_snapshot!("plan-test", planned(&["plan"]));
    insta::assert_snapshot!("plan-prune", planned(&["plan", "--prune"]));
    let config = test.path("cprflow.toml");
    let text = fs::read_to_string(&config).unwrap();
    let text = text.replace("environment = \"test\"", "environment = \"production\"");
    fs::write(&config, text).unwrap();
    insta::assert_snapshot!("plan-production", planned(&["plan"]));
}

#[test]
fn an_empty_list_does_not_empty_a_subscription() {
    let test = SubscriptionRun::new("pnr_file = \"numbers.txt\"");
    test.list(&numbers(2));
    test.ok(&["apply", "--yes"]);
    for (list, expected) in [
        ("", "no person number"),
        ("", "`cprflow subscription clear pnr`"),
        ("\n\n", "no person number"),
        ("3113000001\n31130", "cut off"),
        ("3113000001\nname;number\n", "line 2"),
        ("3113000001\n113000002\n", "spreadsheet"),
        ("[\"3113000001\"]\n", "line 1"),
    ] {
        fs::write(test.path("numbers.txt"), list).unwrap();
        let said = test.refused(&["apply", "--prune", "--yes"]);
        assert!(said.contains(expected), "{said}");
        assert_eq!(test.subscribed_numbers(), numbers(2), "{list:?}");
    }
    fs::write(test.path("numbers.txt"), "").unwrap();
    test.configure("municipality_codes = []");
    test.ok(&["add", "municipality", "0265", "--yes"]);
    let said = test.refused(&["apply", "--prune", "--yes"]);
    assert!(said.contains("clear municipality"), "{said}");
}

#[test]
fn national_filters_must_be_allowed() {
    let test = SubscriptionRun::new("no_filter = true");
    for arguments in [
        &["add", "no-filter", "--yes"][..],
        &["add", "age-range", "0-17", "--yes"],
        &["add", "change-code", "A01", "--yes"],
        &["apply", "--yes"],
    ] {
        let said = test.refused(arguments);
        assert!(said.contains("allow_national = true"), "{said}");
    }
    assert!(test.filters().is_empty());
    assert!(effects(&test.platform.take_events()).is_empty());
}

#[test]
fn refuses_person_numbers_on_the_command_line() {
    let test = SubscriptionRun::new("");
    for arguments in [
        &["add", "pnr", "3113000001", "--yes"][..],
        &["add", "pnr", "311300-0001", "--yes"],
        &["remove", "pnr", "3113000001", "--yes"],
        &["add", "3113000001", "--yes"],
        &["add", "pnr", "3113000001", "3113000002", "--yes"],
        &["add", "municipality", "3113000001", "--yes"],
        &["clear", "3113000001", "--yes"],
        &["clear", "pnr", "311300-0001", "--yes"],
        &["add", "pnr", "3113000001,3113000002", "--yes"],
        &["add", "pnr", "lists/311300-0001.txt", "--yes"],
        &["apply", "--pnr-file", "3113000001", "--yes"],
        &["apply", "3113000001", "--yes"],
        &["plan", "--pnr-file", "311300-0001"],
        &["plan", "3113000001"],
        &["list", "3113000001"],
        &["restore", "311300-0001", "--yes"],
        &["restore", "--snapshot", "3113000001", "--yes"],
        &["reorder", "pnr", "3113000001", "--yes"],
        &["apply", "--prune", "--max-removals", "311300-0001", "--yes"],
        &["list", "--agreement", "3113000001"],
        &["3113000001"],
    ] {
        test.refused(arguments);
    }
    // An argument that cannot be a person number is repeated in the message.
    assert!(test.refused(&["list", "everything"]).contains("everything"));
    test.configure("pnr_file = \"3113000001\"");
    let said = test.refused(&["plan"]);
    assert!(said.contains("subscription] pnr_file: "), "{said}");
    test.configure("");
    assert!(test.platform.take_events().is_empty(), "nothing was sent");
    let ended = test.run_with(&["add", "pnr", "-", "--yes"], "3113000001\n");
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(test.subscribed_numbers(), numbers(1));
}

#[test]
fn a_dry_run_masks_and_sends_nothing() {
    let test = SubscriptionRun::new("");
    let ended = test.run_with(
        &["add", "pnr", "-", "--dry-run"],
        "3113000001\n3113000002\n",
    );
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(
        ended.text().contains("AddPNRSubscription"),
        "{}",
        ended.text()
    );
    assert!(ended.text().contains("**********"), "{}", ended.text());
    assert!(ended.text().contains("********-****-****-****-********"));
    assert!(ended.text().contains("and 1 more"));
    let end = &test.agreement().uuid[32..];
    assert!(
        ended.text().contains(end),
        "the end of the UUID identifies it"
    );
    for arguments in [
        &["clear", "pnr", "--dry-run"][..],
        &["remove", "no-filter", "--dry-run"],
    ] {
        test.ok(arguments);
    }
    assert!(test.platform.take_events().is_empty(), "nothing was sent");
    assert!(test.audit().is_empty());
}

/// Standard output is closed before the plan is printed.
#[test]
fn changes_nothing_if_the_plan_cannot_be_printed() {
    let test = SubscriptionRun::new("municipality_codes = [\"0265\"]");
    let unseen = |arguments: &[&str]| {
        let mut child = command()
            .args(test.arguments(arguments))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        test.ended(child.wait_with_output().unwrap())
    };
    for arguments in [
        &["apply", "--yes"][..],
        &["add", "municipality", "0265", "--yes"],
    ] {
        let ended = unseen(arguments);
        assert_eq!(ended.code, 2, "{}", ended.stderr);
        assert!(
            ended.stderr.contains("Nothing was changed"),
            "{}",
            ended.stderr
        );
        assert!(test.filters().is_empty());
    }
    // A command that changes nothing may ignore the closed output.
    assert_eq!(unseen(&["list"]).code, 0);
    assert_eq!(unseen(&["apply", "--dry-run"]).code, 0);
}

#[test]
fn a_signal_before_the_first_call_ends_the_command() {
    use std::os::unix::process::ExitStatusExt;
    let test = SubscriptionRun::new("");
    test.configure_service(&(pem(test.platform.client()) + "timeout_seconds = 300"), "");
    let silence = ServiceFault::Silence { is_applied: false };
    test.platform.arm(&silence, 1);
    let mut child = command()
        .args(test.arguments(&["add", "municipality", "0265", "--yes"]))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while test.platform.take_events().is_empty() {
        assert!(child.try_wait().unwrap().is_none());
        thread::sleep(Duration::from_millis(10));
    }
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.signal(), Some(2), "{status}");
    assert!(test.filters().is_empty());
}

#[test]
fn names_the_environment() {
    let test = SubscriptionRun::new("");
    let said = test.ok(&["list"]);
    let url = test.platform.url();
    let host = url.split('/').nth(2).unwrap();
    assert!(
        said.contains(&format!("test environment at {host}")),
        "{said}"
    );
    let config = test.path("cprflow.toml");
    let text = fs::read_to_string(&config).unwrap();
    let nobody = text.replace(host, "127.0.0.1:1");
    fs::write(&config, nobody).unwrap();
    let said = test.refused(&["list"]);
    assert!(
        said.contains("127.0.0.1:1 refuses the connection"),
        "{said}"
    );
    let other = text.replace(host, "prod.serviceplatformen.dk");
    fs::write(&config, other).unwrap();
    let said = test.refused(&["list"]);
    assert!(said.contains("the production environment"), "{said}");
}

#[test]
fn requires_the_name_of_one_agreement() {
    let test = SubscriptionRun::of(2, "");
    let said = test.refused(&["add", "municipality", "0265", "--yes"]);
    assert!(said.contains("--agreement"), "{said}");
    assert!(said.contains("a0, a1"), "{said}");
    test.ok(&["add", "municipality", "0265", "--yes", "--agreement", "a1"]);
    assert!(test.filters().is_empty());
    assert_eq!(
        test.platform.filters(&test.platform.agreements()[1]).len(),
        1
    );
}

#[test]
fn faults_say_what_to_do() {
    let test = SubscriptionRun::new("");
    for (error, party, times) in [
        (
            ServiceErrorCode::WrongUserSystem,
            "Check the service agreement",
            1,
        ),
        (
            ServiceErrorCode::InvalidCallParameters,
            "The request is wrong",
            1,
        ),
        // A failure of the platform is tried three times and then reported.
        (
            ServiceErrorCode::ServiceConfigurationDatabaseError,
            "The platform may answer later",
            3,
        ),
    ] {
        for style in FaultStyle::ALL {
            let fault = ServiceFault::DocumentedError {
                error,
                style,
                is_applied: false,
            };
            test.platform.arm_for_changes(&fault, times);
            let said = test.refused(&["add", "municipality", "0265", "--yes"]);
            assert!(said.contains(party), "{style:?}: {said}");
            assert!(said.contains(error.text()), "{style:?}: {said}");
            assert!(said.contains("our ID of the call"), "{said}");
            assert_eq!(test.platform.disarm(), 0);
            let audit = test.audit();
            let last = audit.last().unwrap();
            let is_refused = times == 1;
            assert_eq!(
                last["result"],
                if is_refused { "refused" } else { "unknown" }
            );
            if style == FaultStyle::TextBlock {
                assert!(last["platform_call_id"].is_string());
                let call = last["platform_call_id"].as_str().unwrap();
                assert!(said.contains(call), "the helpdesk asks for it: {said}");
            }
        }
    }
    assert!(test.filters().is_empty(), "none of it was carried out");
    // A person number in a fault is redacted, in the message and in the log.
    for _ in 0..3 {
        test.platform
            .arm_for_changes(&ServiceFault::PersonNumberInFault, 1);
    }
    let ended = test.run_with(
        &["add", "pnr", "-", "--yes", "--log-level", "trace"],
        "3113000001\n",
    );
    assert_eq!(ended.code, 2, "{}", ended.stderr);
    assert!(
        ended.stderr.contains("PNR not found: [number]"),
        "{}",
        ended.stderr
    );
}

#[test]
fn reports_subscribed_persons_who_were_never_delivered() {
    let test = SubscriptionRun::new("");
    test.ok(&["add", "municipality", "0265", "--yes"]);
    let ended = test.run_with(&["add", "pnr", "-", "--yes"], "3113000001\n3113000002\n");
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let config = test.path("cprflow.toml");
    let told = |days: i64| {
        let configuration = Configuration::from_file(&config).unwrap();
        let now = Timestamp::now() + SignedDuration::from_hours(24 * days);
        let status = cprflow_delivery::status::status(&configuration, now).unwrap();
        let remarks = status[0].remarks.iter();
        let found = remarks.filter(|remark| remark.text.contains("since these filters were added"));
        found.map(|remark| remark.text.clone()).collect::<String>()
    };
    assert_eq!(told(14), "", "the test environment loads nothing");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("environment = \"test\"\n", "")).unwrap();
    assert_eq!(told(0), "");
    let said = told(14);
    test.search(&said);
    assert!(
        said.contains("municipality 0265 Roskilde, 2 person numbers"),
        "{said}"
    );
    test.ok(&["clear", "pnr", "--yes"]);
    assert!(!told(14).contains("person numbers"));
    test.ok(&["clear", "municipality", "--yes"]);
    assert_eq!(told(14), "");
}

/// A delivery that was produced before the subscription cannot contain the new persons, whenever it arrives.
#[test]
fn a_delivery_from_before_the_subscription_does_not_count() {
    let test = SubscriptionRun::with("", |options| {
        options.population.persons = 400;
        options.population.first_day = Day::new(2020, 1, 1).unwrap();
    });
    test.ok(&["add", "municipality", "0265", "--yes"]);
    let config = test.path("cprflow.toml");
    let text = fs::read_to_string(&config).unwrap();
    let inbox = format!("inbox = {:?}", test.platform.inbox());
    let text = text.replace("environment = \"test\"\n", "");
    fs::write(&config, text.replace("inbox = \"inbox\"", &inbox)).unwrap();
    test.platform.run_night().unwrap();
    let path = config.display().to_string();
    let purpose = ["--unrestricted", "a trial", "--church-purpose", "a trial"];
    let ended = cprflow([&["sync", "--config", &path], &purpose[..]].concat());
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let configuration = Configuration::from_file(&config).unwrap();
    let now = Timestamp::now() + SignedDuration::from_hours(24 * 14);
    let status = cprflow_delivery::status::status(&configuration, now).unwrap();
    assert_eq!(status[0].published, 1);
    let mut remarks = status[0].remarks.iter();
    assert!(
        remarks.any(|remark| remark
            .text
            .contains("no delivery was made since these filters were added")),
        "{:?}",
        status[0].remarks
    );
}

#[test]
fn an_unclear_add_that_is_already_present_succeeds() {
    for fault in [
        ServiceFault::ResetAfterApplying,
        ServiceFault::DocumentedError {
            error: ServiceErrorCode::ServiceConfigurationDatabaseError,
            style: FaultStyle::Plain,
            is_applied: true,
        },
        ServiceFault::Status {
            status: 504,
            has_page: true,
            is_applied: true,
        },
    ] {
        let test = SubscriptionRun::new("");
        test.platform.arm_for_changes(&fault, 1);
        let said = test.ok(&["add", "municipality", "0265", "--yes"]);
        assert!(said.contains("1 already present"), "{said}");
        let seen = test.platform.take_events();
        let is_add = |seen: &&ServiceEvent| {
            let ServiceEvent::Call { operation, .. } = seen else {
                return false;
            };
            matches!(operation, Operation::Add(_))
        };
        assert_eq!(seen.iter().filter(is_add).count(), 2);
        assert!(seen.iter().all(|seen| !matches!(
            seen,
            ServiceEvent::Call {
                operation: Operation::Remove(_) | Operation::RemoveAll(_),
                ..
            }
        )));
    }
}

#[test]
fn many_calls_wait_for_off_peak_hours() {
    let test = SubscriptionRun::new("pnr_file = \"numbers.txt\"");
    test.list(&numbers(101));
    let at = |time: &str, more: &[&str]| {
        let ended = test.run_at(time, &[&["apply", "--yes"][..], more].concat());
        (ended.code, ended.stderr)
    };
    // The times are 11:00 in Denmark, the middle of the night, and its beginning.
    for (time, until) in [
        ("2026-11-24T10:00:00Z", "24T16:00"),
        ("2026-11-24T01:00:00Z", "24T06:00"),
        ("2026-11-24T21:00:00Z", "25T06:00"),
    ] {
        let (code, said) = at(time, &[]);
        assert_eq!(code, 2, "{said}");
        assert!(said.contains(until), "{said}");
        assert!(said.contains("0 of 101 calls"), "{said}");
    }
    assert!(test.subscribed_numbers().is_empty());
    let (code, said) = at("2026-11-24T10:00:00Z", &["--any-hour"]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(test.subscribed_numbers().len(), 101);
}

/// Returns every point at which a run of `calls` calls can be stopped.
fn points(calls: usize) -> Vec<String> {
    (1..=calls)
        .flat_map(|call| [format!("before-call-{call}"), format!("after-call-{call}")])
        .collect()
}

#[test]
fn apply_and_clear_complete_after_a_kill_at_every_call() {
    for point in points(3).into_iter().chain(["apply-done".to_owned()]) {
        let test = SubscriptionRun::new("pnr_file = \"numbers.txt\"");
        test.list(&numbers(3));
        assert!(test.kill_at(&point, &["apply", "--yes"]), "{point}");
        test.ok(&["apply", "--yes"]);
        assert_eq!(test.subscribed_numbers(), numbers(3), "{point}");
        let effects = effects(&test.platform.take_events());
        assert_eq!(effects.len(), 3, "{point}: {effects:?}");
        assert!(
            effects.values().all(|times| *times == 1),
            "{point}: {effects:?}"
        );
    }
    for point in points(1) {
        let test = SubscriptionRun::new("");
        test.ok(&["add", "municipality", "0265", "0101", "--yes"]);
        assert!(
            test.kill_at(&point, &["clear", "municipality", "--yes"]),
            "{point}"
        );
        test.ok(&["clear", "municipality", "--yes"]);
        assert!(test.filters().is_empty(), "{point}");
        // After a kill at any point, a snapshot has the previous filters.
        test.ok(&["restore", "--yes"]);
        assert_eq!(test.filters().len(), 2, "{point}");
    }
}

#[test]
fn reorder_killed_at_every_call_orders_one_full_load() {
    let more = ["reorder-begun", "reorder-removed-pnr", "reorder-done"].map(str::to_owned);
    for point in points(4).into_iter().chain(more) {
        for ending in ["reorder", "restore"] {
            let test = SubscriptionRun::new("municipality_codes = [\"0265\"]");
            test.list(&numbers(3));
            let list = test.path("numbers.txt").display().to_string();
            test.ok(&["add", "pnr", &list, "--yes"]);
            test.ok(&["add", "municipality", "0265", "--yes"]);
            test.platform.take_events();
            assert!(
                test.kill_at(&point, &["reorder", "pnr", "--yes"]),
                "{point}"
            );
            // No other change starts before the reorder is completed.
            let said = test.run(&["apply", "--yes"]).stderr + &test.run(&["list"]).stderr;
            assert!(said.contains("not finished"), "{point}: {said}");
            test.ok(&[ending, "--yes"]);
            assert_eq!(test.subscribed_numbers(), numbers(3), "{point}, {ending}");
            assert_eq!(test.filters().len(), 4, "filters outside the reorder stay");
            let effects = effects(&test.platform.take_events());
            for number in numbers(3) {
                let added = effects.get(&format!("ADDED {number}"));
                let expected = match (ending, added) {
                    // Restoring filters that are present orders no full load.
                    ("restore", None) => point == "before-call-1" || point == "reorder-begun",
                    (_, times) => times == Some(&1),
                };
                assert!(expected, "{point}, {ending}: {effects:?}");
            }
            // The reorder is completed.
            assert!(!test.ok(&["list"]).contains("not finished"), "{point}");
        }
    }
}

#[test]
fn keys_and_secrets_are_not_copied() {
    use std::os::unix::fs::PermissionsExt;
    let test = SubscriptionRun::new("");
    test.ok(&[
        "add",
        "municipality",
        "0265",
        "--yes",
        "--log-level",
        "trace",
    ]);
    test.ok(&["clear", "municipality", "--yes"]);
    let mut files = Vec::new();
    walk(&test.state(), &mut files);
    assert!(files.len() >= 4, "log, key, lock, snapshot: {files:?}");
    for file in files {
        let mode = fs::metadata(&file).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", file.display());
    }
    let mut key = Vec::new();
    let path = test.state().join("audit.key");
    fs::File::open(path).unwrap().read_to_end(&mut key).unwrap();
    let hexadecimal: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(key.len(), 32);
    let audit = fs::read_to_string(test.state().join("audit.jsonl")).unwrap();
    assert!(!audit.contains(&hexadecimal));
}

fn walk(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => walk(&path, files),
            false => files.push(path),
        }
    }
}
