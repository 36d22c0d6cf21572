//! `cprflow subscription` as a process, against the stand-in platform over TLS with client certificates: what it does.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use cprflow::config::Configuration;
use cprflow_connector::generate::Day;
use cprflow_platform::{
    Fault, FaultStyle, KnownError, Operation, Seen, ServerCertificate, TlsVersions,
};
use cprflow_tests::command::{command, cprflow};
use cprflow_tests::steering::{Trial, effects, numbers, pem};
use jiff::{SignedDuration, Timestamp};

#[test]
fn all_operations_over_both_versions_of_tls() {
    for versions in [TlsVersions::Only12, TlsVersions::Only13] {
        let trial = Trial::new("allow_national = true");
        trial
            .platform
            .set_tls(ServerCertificate::Valid, versions)
            .unwrap();
        trial.list(&numbers(1));
        let list = trial.path("numbers.txt").display().to_string();
        let values: [&[&str]; 5] = [
            &["pnr", &list],
            &["municipality", "0265"],
            &["age-range", "0-17"],
            &["change-code", "A01"],
            &["no-filter"],
        ];
        for value in values {
            let said = trial.ok(&[&["add"][..], value, &["--yes"]].concat());
            assert!(said.contains("agreement a0"), "{said}");
            assert!(said.contains("test environment"), "{said}");
            assert!(said.contains("0265 Roskilde"), "{said}");
            assert!(said.contains("1 added"), "{said}");
        }
        assert_eq!(trial.filters().len(), 5);
        let listed = trial.ok(&["list"]);
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
            let said = trial.ok(&[&["remove"][..], value, &["--yes"]].concat());
            assert!(said.contains("there is now"), "{said}");
        }
        assert!(trial.filters().is_empty());
        trial.ok(&["add", "municipality", "0265", "0101", "--yes"]);
        trial.ok(&["clear", "municipality", "--yes"]);
        assert!(trial.filters().is_empty());
        let called: std::collections::BTreeSet<_> = trial
            .platform
            .seen()
            .into_iter()
            .map(|seen| match seen {
                Seen::Call { operation, .. } => operation.name(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(called.len(), 12, "{called:?}");
    }
}

#[test]
fn plan_and_apply() {
    let trial = Trial::new("pnr_file = \"numbers.txt\"\nmunicipality_codes = [\"0265\", \"0001\"]");
    trial.list(&numbers(3));
    trial.ok(&["add", "municipality", "265", "--yes"]);
    trial.platform.seen();
    let planned = trial.run(&["plan"]);
    assert_eq!(planned.code, 1, "there is a difference");
    assert!(planned.text().contains("+ 3 numbers"), "{}", planned.text());
    assert!(planned.text().contains("4 calls"), "{}", planned.text());
    assert!(
        planned.stderr.contains("0001 is no municipality"),
        "{}",
        planned.stderr
    );
    assert!(
        effects(&trial.platform.seen()).is_empty(),
        "a plan changes nothing"
    );
    let refused = trial.refused(&["apply"]);
    assert!(refused.contains("--yes"), "{refused}");
    assert!(effects(&trial.platform.seen()).is_empty());
    let said = trial.ok(&["apply", "--yes"]);
    assert!(said.contains("4 added"), "{said}");
    assert_eq!(trial.held(), numbers(3));
    assert!(trial.ok(&["plan"]).contains("nothing to do"));
    // Two lines a call, with the hash of a number and the purpose.
    let audit = trial.audit();
    assert_eq!(audit.len(), 2 * 5);
    let last = audit.last().unwrap();
    assert_eq!(last["result"], "added");
    assert_eq!(last["purpose"], "a trial");
    assert_eq!(last["operation"], "add");
    assert_eq!(last["kind"], "pnr");
    assert_eq!(last["pnr_hash"].as_str().unwrap().len(), 64);
    assert!(last["who"].as_str().unwrap().contains("uid"));

    // It only adds; removing has to be asked for, and has a limit.
    trial.list(&numbers(1));
    assert_eq!(trial.run(&["plan"]).code, 1);
    trial.ok(&["apply", "--yes"]);
    assert_eq!(trial.held(), numbers(3));
    let refused = trial.refused(&["apply", "--prune", "--max-removals", "1", "--yes"]);
    assert!(refused.contains("--max-removals 2"), "{refused}");
    assert_eq!(trial.held(), numbers(3));
    trial.ok(&["apply", "--prune", "--max-removals", "2", "--yes"]);
    assert_eq!(trial.held(), numbers(1));
    // What was removed can be put back.
    trial.ok(&["restore", "--yes"]);
    assert_eq!(trial.held(), numbers(3));
}

/// Word for word: what is read before `apply` is said yes to.
#[test]
fn a_plan_says_what_it_will_cause() {
    let wanted = "allow_national = true\npnr_file = \"numbers.txt\"\nmunicipality_codes = [\"0265\", \"0101\"]\n\
                  age_ranges = [\"0-17\"]\nchange_codes = [\"A01\", \"A05\"]\nno_filter = true";
    let trial = Trial::new(wanted);
    trial.list(&numbers(4)[..2]);
    let list = trial.path("numbers.txt").display().to_string();
    trial.ok(&["add", "pnr", &list, "--yes"]);
    trial.list(&numbers(4)[1..]);
    for value in [
        &["municipality", "0265", "0147"][..],
        &["change-code", "A01", "A09"],
        &["age-range", "18-99"],
    ] {
        trial.ok(&[&["add"][..], value, &["--yes"]].concat());
    }
    let planned = |arguments: &[&str]| {
        let ended = trial.run(arguments);
        assert_eq!(ended.code, 1, "{}", ended.stderr);
        let url = trial.platform.url();
        let host = url.split('/').nth(2).unwrap();
        ended.text().replace(host, "HOST")
    };
    insta::assert_snapshot!("plan-test", planned(&["plan"]));
    insta::assert_snapshot!("plan-prune", planned(&["plan", "--prune"]));
    let config = trial.path("cprflow.toml");
    let text = fs::read_to_string(&config).unwrap();
    let text = text.replace("environment = \"test\"", "environment = \"production\"");
    fs::write(&config, text).unwrap();
    insta::assert_snapshot!("plan-production", planned(&["plan"]));
}

#[test]
fn no_list_empties_a_subscription() {
    let trial = Trial::new("pnr_file = \"numbers.txt\"");
    trial.list(&numbers(2));
    trial.ok(&["apply", "--yes"]);
    for (list, expected) in [
        ("", "no person number"),
        ("\n\n", "no person number"),
        ("3113000001\n31130", "cut off"),
        ("3113000001\nname;number\n", "line 2"),
        ("3113000001\n113000002\n", "spreadsheet"),
        ("[\"3113000001\"]\n", "line 1"),
    ] {
        fs::write(trial.path("numbers.txt"), list).unwrap();
        let said = trial.refused(&["apply", "--prune", "--yes"]);
        assert!(said.contains(expected), "{said}");
        assert_eq!(trial.held(), numbers(2), "{list:?}");
    }
    fs::write(trial.path("numbers.txt"), "").unwrap();
    trial.configure("municipality_codes = []");
    trial.ok(&["add", "municipality", "0265", "--yes"]);
    let said = trial.refused(&["apply", "--prune", "--yes"]);
    assert!(said.contains("clear municipality"), "{said}");
}

#[test]
fn what_may_reach_all_of_denmark_has_to_be_allowed() {
    let trial = Trial::new("no_filter = true");
    for arguments in [
        &["add", "no-filter", "--yes"][..],
        &["add", "age-range", "0-17", "--yes"],
        &["add", "change-code", "A01", "--yes"],
        &["apply", "--yes"],
    ] {
        let said = trial.refused(arguments);
        assert!(said.contains("allow_national = true"), "{said}");
    }
    assert!(trial.filters().is_empty());
    assert!(effects(&trial.platform.seen()).is_empty());
}

#[test]
fn the_command_line_is_no_place_for_person_numbers() {
    let trial = Trial::new("");
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
        trial.refused(arguments);
    }
    // What cannot be a number is still repeated, to be found.
    assert!(
        trial
            .refused(&["list", "everything"])
            .contains("everything")
    );
    trial.configure("pnr_file = \"3113000001\"");
    assert!(trial.refused(&["plan"]).contains("subscription.pnr_file"));
    trial.configure("");
    assert!(trial.platform.seen().is_empty(), "nothing was sent");
    let ended = trial.run_with(&["add", "pnr", "-", "--yes"], "3113000001\n");
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(trial.held(), numbers(1));
}

#[test]
fn a_dry_run_masks_and_sends_nothing() {
    let trial = Trial::new("");
    let ended = trial.run_with(
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
    let end = &trial.agreement().uuid[32..];
    assert!(ended.text().contains(end), "the end of it tells which");
    for arguments in [
        &["clear", "pnr", "--dry-run"][..],
        &["remove", "no-filter", "--dry-run"],
    ] {
        trial.ok(arguments);
    }
    assert!(trial.platform.seen().is_empty(), "nothing was sent");
    assert!(trial.audit().is_empty());
}

/// Standard output is closed before anything is written to it.
#[test]
fn what_nobody_sees_is_not_done() {
    let trial = Trial::new("municipality_codes = [\"0265\"]");
    let unseen = |arguments: &[&str]| {
        let mut child = command()
            .args(trial.arguments(arguments))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        trial.ended(child.wait_with_output().unwrap())
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
        assert!(trial.filters().is_empty());
    }
    // Who only looks may look away.
    assert_eq!(unseen(&["list"]).code, 0);
    assert_eq!(unseen(&["apply", "--dry-run"]).code, 0);
}

#[test]
fn before_anything_is_done_a_signal_ends_it_at_once() {
    use std::os::unix::process::ExitStatusExt;
    let trial = Trial::new("");
    trial.configure_service(
        &(pem(trial.platform.client()) + "timeout_seconds = 300"),
        "",
    );
    let silence = Fault::Silence { is_applied: false };
    trial.platform.arm(&silence, 1);
    let mut child = command()
        .args(trial.arguments(&["add", "municipality", "0265", "--yes"]))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while trial.platform.seen().is_empty() {
        assert!(child.try_wait().unwrap().is_none());
        thread::sleep(Duration::from_millis(10));
    }
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.signal(), Some(2), "{status}");
    assert!(trial.filters().is_empty());
}

#[test]
fn where_it_leads_is_said() {
    let trial = Trial::new("");
    let said = trial.ok(&["list"]);
    let url = trial.platform.url();
    let host = url.split('/').nth(2).unwrap();
    assert!(
        said.contains(&format!("test environment at {host}")),
        "{said}"
    );
    let config = trial.path("cprflow.toml");
    let text = fs::read_to_string(&config).unwrap();
    let nobody = text.replace(host, "127.0.0.1:1");
    fs::write(&config, nobody).unwrap();
    let said = trial.refused(&["list"]);
    assert!(
        said.contains("127.0.0.1:1 refuses the connection"),
        "{said}"
    );
    let other = text.replace(host, "prod.serviceplatformen.dk");
    fs::write(&config, other).unwrap();
    let said = trial.refused(&["list"]);
    assert!(said.contains("the production environment"), "{said}");
}

#[test]
fn one_agreement_is_named() {
    let trial = Trial::of(2, "");
    let said = trial.refused(&["add", "municipality", "0265", "--yes"]);
    assert!(said.contains("--agreement"), "{said}");
    assert!(said.contains("a0, a1"), "{said}");
    trial.ok(&["add", "municipality", "0265", "--yes", "--agreement", "a1"]);
    assert!(trial.filters().is_empty());
    assert_eq!(
        trial
            .platform
            .filters(&trial.platform.agreements()[1])
            .len(),
        1
    );
}

#[test]
fn faults_are_advice() {
    let trial = Trial::new("");
    for (error, party, times) in [
        (
            KnownError::WrongUserSystem,
            "Check the service agreement",
            1,
        ),
        (KnownError::InvalidCallParameters, "The request is wrong", 1),
        // The platform's own trouble is tried three times, and then told.
        (
            KnownError::ServiceConfigurationDatabaseError,
            "The platform may answer later",
            3,
        ),
    ] {
        for style in FaultStyle::ALL {
            let fault = Fault::Refusal {
                error,
                style,
                is_applied: false,
            };
            trial.platform.arm_at_changes(&fault, times);
            let said = trial.refused(&["add", "municipality", "0265", "--yes"]);
            assert!(said.contains(party), "{style:?}: {said}");
            assert!(said.contains(error.text()), "{style:?}: {said}");
            assert!(said.contains("our id of the call"), "{said}");
            assert_eq!(trial.platform.disarm(), 0);
            let audit = trial.audit();
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
    assert!(trial.filters().is_empty(), "none of it was carried out");
    // A person number in a fault is scrubbed, here and in the log.
    for _ in 0..3 {
        trial
            .platform
            .arm_at_changes(&Fault::PersonNumberInFault, 1);
    }
    let ended = trial.run_with(
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
fn what_was_subscribed_to_and_never_came_is_told() {
    let trial = Trial::new("");
    trial.ok(&["add", "municipality", "0265", "--yes"]);
    let ended = trial.run_with(&["add", "pnr", "-", "--yes"], "3113000001\n3113000002\n");
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let config = trial.path("cprflow.toml");
    let told = |days: i64| {
        let configuration = Configuration::from_file(&config).unwrap();
        let now = Timestamp::now() + SignedDuration::from_hours(24 * days);
        let status = cprflow::status::status(&configuration, now).unwrap();
        let remarks = status[0].remarks.iter();
        let found = remarks.filter(|remark| remark.text.contains("subscribed to"));
        found.map(|remark| remark.text.clone()).collect::<String>()
    };
    assert_eq!(told(14), "", "the test environment loads nothing");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("environment = \"test\"\n", "")).unwrap();
    assert_eq!(told(0), "");
    let said = told(14);
    trial.search(&said);
    assert!(
        said.contains("municipality 0265 Roskilde, 2 person numbers"),
        "{said}"
    );
    trial.ok(&["clear", "pnr", "--yes"]);
    assert!(!told(14).contains("person numbers"));
    trial.ok(&["clear", "municipality", "--yes"]);
    assert_eq!(told(14), "");
}

/// A delivery that was made before somebody was subscribed to cannot have brought them, whenever it comes.
#[test]
fn an_older_delivery_ends_no_waiting() {
    let trial = Trial::with("", |options| {
        options.population.persons = 400;
        options.population.first_day = Day::new(2020, 1, 1).unwrap();
    });
    trial.ok(&["add", "municipality", "0265", "--yes"]);
    let config = trial.path("cprflow.toml");
    let text = fs::read_to_string(&config).unwrap();
    let inbox = format!("inbox = {:?}", trial.platform.inbox());
    let text = text.replace("environment = \"test\"\n", "");
    fs::write(&config, text.replace("inbox = \"inbox\"", &inbox)).unwrap();
    trial.platform.night().unwrap();
    let path = config.display().to_string();
    let ended = cprflow(["sync", "--config", &path, "--unrestricted", "a trial"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let configuration = Configuration::from_file(&config).unwrap();
    let now = Timestamp::now() + SignedDuration::from_hours(24 * 14);
    let status = cprflow::status::status(&configuration, now).unwrap();
    assert_eq!(status[0].published, 1);
    let mut remarks = status[0].remarks.iter();
    assert!(
        remarks.any(|remark| remark
            .text
            .contains("subscribed to, and no delivery was made")),
        "{:?}",
        status[0].remarks
    );
}

#[test]
fn an_ambiguous_add_that_was_there_already_is_a_success() {
    for fault in [
        Fault::ResetAfterApplying,
        Fault::Refusal {
            error: KnownError::ServiceConfigurationDatabaseError,
            style: FaultStyle::Plain,
            is_applied: true,
        },
        Fault::Status {
            status: 504,
            has_page: true,
            is_applied: true,
        },
    ] {
        let trial = Trial::new("");
        trial.platform.arm_at_changes(&fault, 1);
        let said = trial.ok(&["add", "municipality", "0265", "--yes"]);
        assert!(said.contains("1 there already"), "{said}");
        let seen = trial.platform.seen();
        let is_add = |seen: &&Seen| {
            let Seen::Call { operation, .. } = seen else {
                return false;
            };
            matches!(operation, Operation::Add(_))
        };
        assert_eq!(seen.iter().filter(is_add).count(), 2);
        assert!(seen.iter().all(|seen| !matches!(
            seen,
            Seen::Call {
                operation: Operation::Remove(_) | Operation::RemoveAll(_),
                ..
            }
        )));
    }
}

#[test]
fn many_calls_wait_for_their_hour() {
    let trial = Trial::new("pnr_file = \"numbers.txt\"");
    trial.list(&numbers(101));
    let at = |time: &str, more: &[&str]| {
        let ended = trial.run_at(time, &[&["apply", "--yes"][..], more].concat());
        (ended.code, ended.stderr)
    };
    // 11:00 in Denmark, the middle of the night, and its beginning.
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
    assert!(trial.held().is_empty());
    let (code, said) = at("2026-11-24T10:00:00Z", &["--any-hour"]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(trial.held().len(), 101);
}

/// Every point of a call, in a run of so many.
fn points(calls: usize) -> Vec<String> {
    (1..=calls)
        .flat_map(|call| [format!("before-call-{call}"), format!("after-call-{call}")])
        .collect()
}

#[test]
fn apply_and_clear_are_killed_at_every_call_and_end_as_wanted() {
    for point in points(3).into_iter().chain(["apply-done".to_owned()]) {
        let trial = Trial::new("pnr_file = \"numbers.txt\"");
        trial.list(&numbers(3));
        assert!(trial.kill_at(&point, &["apply", "--yes"]), "{point}");
        trial.ok(&["apply", "--yes"]);
        assert_eq!(trial.held(), numbers(3), "{point}");
        let effects = effects(&trial.platform.seen());
        assert_eq!(effects.len(), 3, "{point}: {effects:?}");
        assert!(
            effects.values().all(|times| *times == 1),
            "{point}: {effects:?}"
        );
    }
    for point in points(1) {
        let trial = Trial::new("");
        trial.ok(&["add", "municipality", "0265", "0101", "--yes"]);
        assert!(
            trial.kill_at(&point, &["clear", "municipality", "--yes"]),
            "{point}"
        );
        trial.ok(&["clear", "municipality", "--yes"]);
        assert!(trial.filters().is_empty(), "{point}");
        // Whatever it was killed at, what was there is known.
        trial.ok(&["restore", "--yes"]);
        assert_eq!(trial.filters().len(), 2, "{point}");
    }
}

#[test]
fn a_reorder_is_killed_at_every_call_and_orders_one_full_load() {
    let more = ["reorder-begun", "reorder-removed-pnr", "reorder-done"].map(str::to_owned);
    for point in points(4).into_iter().chain(more) {
        for ending in ["reorder", "restore"] {
            let trial = Trial::new("municipality_codes = [\"0265\"]");
            trial.list(&numbers(3));
            let list = trial.path("numbers.txt").display().to_string();
            trial.ok(&["add", "pnr", &list, "--yes"]);
            trial.ok(&["add", "municipality", "0265", "--yes"]);
            trial.platform.seen();
            assert!(
                trial.kill_at(&point, &["reorder", "pnr", "--yes"]),
                "{point}"
            );
            // Nothing else is begun before that is ended.
            let said = trial.run(&["apply", "--yes"]).stderr + &trial.run(&["list"]).stderr;
            assert!(said.contains("not finished"), "{point}: {said}");
            trial.ok(&[ending, "--yes"]);
            assert_eq!(trial.held(), numbers(3), "{point}, {ending}");
            assert_eq!(
                trial.filters().len(),
                4,
                "what was not to be reordered stays"
            );
            let effects = effects(&trial.platform.seen());
            for number in numbers(3) {
                let added = effects.get(&format!("ADDED {number}"));
                let expected = match (ending, added) {
                    // Putting back what is not missing orders nothing.
                    ("restore", None) => point == "before-call-1" || point == "reorder-begun",
                    (_, times) => times == Some(&1),
                };
                assert!(expected, "{point}, {ending}: {effects:?}");
            }
            // It is over.
            assert!(!trial.ok(&["list"]).contains("not finished"), "{point}");
        }
    }
}

#[test]
fn keys_and_secrets_stay_where_they_are() {
    use std::os::unix::fs::PermissionsExt;
    let trial = Trial::new("");
    trial.ok(&[
        "add",
        "municipality",
        "0265",
        "--yes",
        "--log-level",
        "trace",
    ]);
    trial.ok(&["clear", "municipality", "--yes"]);
    let mut files = Vec::new();
    walk(&trial.state(), &mut files);
    assert!(files.len() >= 4, "log, key, lock, snapshot: {files:?}");
    for file in files {
        let mode = fs::metadata(&file).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", file.display());
    }
    let mut key = Vec::new();
    let path = trial.state().join("audit.key");
    fs::File::open(path).unwrap().read_to_end(&mut key).unwrap();
    let hexadecimal: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(key.len(), 32);
    let audit = fs::read_to_string(trial.state().join("audit.jsonl")).unwrap();
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
