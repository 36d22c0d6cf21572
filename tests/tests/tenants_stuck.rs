//! Tenants that hang, dawdle or meet a bug: the others get what is theirs, the run ends, and it says whose fault it was.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use cprflow_tests::command::command;
use cprflow_tests::extract;
use cprflow_tests::trial::{Trial, tables, transfer};

/// What stands in the way of a tenant whose disk does not answer: nothing comes out of a pipe that nobody writes to.
#[test]
fn a_tenant_whose_files_do_not_answer() {
    let (trial, extract) = trial(
        "",
        "persons = { numbers = \"numbers\" }\nlimits = { total_seconds = 1 }\n",
    );
    let numbers = trial.path("numbers");
    let made = Command::new("mkfifo")
        .args(["-m", "600"])
        .arg(&numbers)
        .status();
    assert!(made.unwrap().success());
    let (code, said) = sync(&trial, &[]);
    assert_eq!(code, 2, "{said}");
    assert!(
        said.contains("error: tenant stuck: nothing has come back of it within 1"),
        "{said}"
    );
    well_has_it(&trial);
    assert!(trial.published_to("stuck").is_empty());
    assert!(trial.remote().is_empty(), "the spool keeps it");
    let status = trial.run("status", &[]);
    assert!(
        status.text().contains("(tenant-not-ready)"),
        "{}",
        status.text()
    );
    // It answers again.
    fs::remove_file(&numbers).unwrap();
    let lines = extract::lines(&extract);
    let first = lines.iter().find(|line| line.starts_with(b"001")).unwrap();
    fs::write(&numbers, [&first[3..13], b"\n"].concat()).unwrap();
    fs::set_permissions(&numbers, fs::Permissions::from_mode(0o600)).unwrap();
    let (code, said) = sync(&trial, &[]);
    assert_eq!(code, 0, "{said}");
    let (directory, manifest) = trial.published_to("stuck").pop().unwrap();
    assert_eq!(tables(&directory)["person"].len(), 1);
    // The list stands in the digest under the key of the state: everybody here finds the same.
    let checked = trial.run_only("tenant", &["check", "stuck"]);
    assert!(
        checked.text().contains(&manifest.policy),
        "{}",
        checked.text()
    );
    let status = trial.run("status", &[]);
    assert_eq!(status.code, 0, "{}", status.text());
    assert!(
        !status.text().contains("its policy is not"),
        "{}",
        status.text()
    );
    fs::write(trial.path("state/policy.key"), [7; 32]).unwrap();
    let status = trial.run("status", &[]);
    assert!(
        status.text().contains("its policy is not"),
        "{}",
        status.text()
    );
}

#[test]
fn a_tenant_that_hangs_before_it_is_ready() {
    hangs_at("tenant-preparing");
}

#[test]
fn a_tenant_that_hangs_before_it_is_published() {
    hangs_at("tenant-scanned");
}

/// Its directory stands in the dataset, and the ledger has not heard of it.
#[test]
fn a_tenant_that_hangs_after_it_is_published() {
    hangs_at("tenant-renamed");
}

fn hangs_at(point: &str) {
    let (trial, _) = trial("", "limits = { total_seconds = 1 }\n");
    let begun = Instant::now();
    let at = format!("{point}:stuck");
    let nowhere = trial.path("go-on").display().to_string();
    let (code, said) = sync(
        &trial,
        &[("CPRFLOW_STOP_AT", &at), ("CPRFLOW_GO_ON", &nowhere)],
    );
    assert_eq!(code, 2, "{said}");
    let whose = match point {
        "tenant-preparing" => "error: tenant stuck: ",
        _ => "error: tenant stuck, agreement town: ",
    };
    assert!(said.contains(whose), "{said}");
    assert!(
        said.contains("and it was given up: see whether the disk of"),
        "{said}"
    );
    assert!(begun.elapsed() > Duration::from_secs(10));
    well_has_it(&trial);
    assert!(trial.remote().is_empty());
    let status = trial.run("status", &[]);
    assert_eq!(status.code, 1);
    let (code, said) = sync(&trial, &[]);
    assert_eq!(code, 0, "{said}");
    let published = trial.published_to("stuck");
    assert_eq!(published.len(), 1);
    assert_eq!(published[0].1.sequence, 1);
    assert!(tables(&published[0].0) == tables(&trial.published_to("well")[0].0));
    assert!(cprflow_tests::trial::files(&trial.path("state/spool")).is_empty());
    assert!(!trial.path("tenants/.stuck.staging").exists());
}

/// Asked to stop, it does not wait for whoever does not come back.
#[test]
fn a_tenant_that_hangs_does_not_keep_a_run_that_is_to_stop() {
    let (trial, _) = trial("", "");
    let stopped = trial.stop_at("tenant-scanned:stuck");
    let killed = Command::new("kill")
        .args(["-TERM", &stopped.id().to_string()])
        .status();
    assert!(killed.unwrap().success());
    let (code, said) = stopped.ends();
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("stopped before the end"), "{said}");
    let (code, said) = sync(&trial, &[]);
    assert_eq!(code, 0, "{said}");
    well_has_it(&trial);
    assert_eq!(trial.published_to("stuck").len(), 1);
}

/// Whoever still moves says itself that its time is over.
#[test]
fn a_tenant_that_is_slow_has_its_time_and_no_more() {
    let (trial, _) = trial("", "limits = { total_seconds = 1 }\n");
    let stopped = trial.stop_at("tenant-reading:stuck");
    thread::sleep(Duration::from_millis(2_100));
    let (code, said) = stopped.go_on();
    assert_eq!(code, 2, "{said}");
    assert!(
        said.contains(
            "error: tenant stuck, agreement town: it was stopped: more than `limits.total_seconds` allows, which is 1"
        ),
        "{said}"
    );
    well_has_it(&trial);
    assert!(!trial.path("tenants/.stuck.staging").exists());
}

#[test]
fn a_bug_in_one_tenants_publication_is_told_and_nothing_of_what_it_says() {
    let (trial, extract) = trial("", "");
    let lines = extract::lines(&extract);
    let first = lines.iter().find(|line| line.starts_with(b"001")).unwrap();
    let number = String::from_utf8(first[3..13].to_vec()).unwrap();
    let bug = [
        ("CPRFLOW_PANIC_AT", "tenant-scanned:stuck"),
        ("CPRFLOW_PANIC_WITH", &number),
    ];
    let (code, said) = sync(&trial, &bug);
    assert_eq!(code, 2, "{said}");
    assert!(
        said.contains("error: tenant stuck, agreement town: a bug in cprflow ended it"),
        "{said}"
    );
    assert!(
        said.contains("error: there is a bug in cprflow, at host/src/hook.rs:"),
        "{said}"
    );
    well_has_it(&trial);
    assert!(trial.published_to("stuck").is_empty());
    assert!(!trial.path("tenants/.stuck.staging").exists());
    let status = trial.run("status", &[]);
    assert!(
        status.text().contains("tried 1 times: a bug in cprflow")
            && status.text().contains("(bug)"),
        "{}",
        status.text()
    );
    let (code, said) = sync(&trial, &[]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(trial.published_to("stuck").len(), 1);
}

/// Each limit is told by its key and its tenant.
#[test]
fn each_limit_has_a_name() {
    let many = "persons = { numbers = \"many\" }\n";
    for (limits, list, expected) in [
        (
            "memory_mb = 16",
            many,
            "it wanted more than 16777216 bytes of memory: `limits.memory_mb` allows no more",
        ),
        (
            "call_ms = 1",
            many,
            "a call took longer than 1ms: `limits.call_ms` allows no more",
        ),
        (
            "output_mb = 1",
            "",
            "more than 1048576 bytes of batches in all: `limits.output_mb` allows no more",
        ),
        (
            "rows = 10",
            "",
            "more than 10 rows in all: `limits.rows` allows no more",
        ),
    ] {
        let (trial, _) = trial_of(4_000, "", &format!("{list}limits = {{ {limits} }}\n"));
        let path = trial.path("many");
        fs::write(&path, many_numbers()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let (code, said) = sync(&trial, &[]);
        assert_eq!(code, 2, "{said}");
        let expected =
            format!("error: tenant stuck, agreement town: the component was stopped: {expected}");
        assert!(said.contains(&expected), "{expected}: {said}");
        well_has_it(&trial);
        assert!(trial.published_to("stuck").is_empty());
        assert!(!trial.path("tenants/.stuck.staging").exists());
    }
}

/// A million of them, none of which is anybody's.
fn many_numbers() -> String {
    let mut text = String::new();
    for year in 0..100 {
        for day in 1..=10 {
            for serial in 0..1_000 {
                text.push_str(&format!("{day:02}01{year:02}{serial:04}\n"));
            }
        }
    }
    text
}

fn well_has_it(trial: &Trial) {
    assert_eq!(trial.published_to("well").len(), 1);
}

fn trial(well: &str, stuck: &str) -> (Trial, Vec<u8>) {
    trial_of(30, well, stuck)
}

/// A delivery that waits for two tenants.
fn trial_of(persons: u64, well: &str, stuck: &str) -> (Trial, Vec<u8>) {
    let trial = Trial::local();
    let tenant = |name: &str, more: &str| {
        format!(
            "[tenant.{name}]\nagreements = [\"town\"]\npurpose = \"test\"\ndataset = \"tenants/{name}\"\n{more}"
        )
    };
    trial.configure(&format!(
        "[agreement.town]\ninbox = \"inbox\"\n{}{}",
        tenant("stuck", stuck),
        tenant("well", well)
    ));
    let extract = extract::small(persons, 3);
    trial.put("d260302.l431101", &extract, &transfer(1));
    (trial, extract)
}

/// Runs `cprflow sync` with that in its environment; gives the exit code and what it said.
fn sync(trial: &Trial, environment: &[(&str, &str)]) -> (i32, String) {
    let output = command()
        .arg("sync")
        .args(trial.source())
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    trial.search(&said);
    trial.search(&String::from_utf8(output.stdout).unwrap());
    (output.status.code().unwrap(), said)
}
