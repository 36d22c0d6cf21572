//! Tenants that hang, are slow or panic: the others get their deliveries, the run ends, and the error names the tenant.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use cprflow_tests::command::command;
use cprflow_tests::extract;
use cprflow_tests::test_run::{TestRun, tables, transfer};

/// A pipe without a writer takes the place of a file on a disk that does not respond.
#[test]
fn a_tenant_whose_files_do_not_respond() {
    let (test, extract) = test_run(
        "",
        "persons = { numbers = \"numbers\" }\nlimits = { total_seconds = 1 }\n",
    );
    let numbers = test.path("numbers");
    let made = Command::new("mkfifo")
        .args(["-m", "600"])
        .arg(&numbers)
        .status();
    assert!(made.unwrap().success());
    let (code, said) = sync(&test, &[]);
    assert_eq!(code, 2, "{said}");
    assert!(
        said.contains("error: tenant stuck: the tenant's worker did not respond within 1"),
        "{said}"
    );
    well_has_it(&test);
    assert!(test.published_to("stuck").is_empty());
    assert!(test.remote().is_empty(), "the spool keeps it");
    let status = test.run("status", &[]);
    assert!(
        status.text().contains("(tenant-not-ready)"),
        "{}",
        status.text()
    );
    // The file responds again.
    fs::remove_file(&numbers).unwrap();
    let lines = extract::lines(&extract);
    let first = lines.iter().find(|line| line.starts_with(b"001")).unwrap();
    fs::write(&numbers, [&first[3..13], b"\n"].concat()).unwrap();
    fs::set_permissions(&numbers, fs::Permissions::from_mode(0o600)).unwrap();
    let (code, said) = sync(&test, &[]);
    assert_eq!(code, 0, "{said}");
    let (directory, manifest) = test.published_to("stuck").pop().unwrap();
    assert_eq!(tables(&directory)["person"].len(), 1);
    // The digest of the list depends on the key of the state directory, which the later runs use too.
    let checked = test.run_only("tenant", &["check", "stuck"]);
    assert!(
        checked.text().contains(&manifest.policy),
        "{}",
        checked.text()
    );
    let status = test.run("status", &[]);
    assert_eq!(status.code, 0, "{}", status.text());
    assert!(
        !status
            .text()
            .contains("the policy has changed since the newest delivery"),
        "{}",
        status.text()
    );
    fs::write(test.path("state/policy.key"), [7; 32]).unwrap();
    let status = test.run("status", &[]);
    assert!(
        status
            .text()
            .contains("the policy has changed since the newest delivery"),
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

/// The delivery is in the dataset, and the ledger has no record of it.
#[test]
fn a_tenant_that_hangs_after_it_is_published() {
    hangs_at("tenant-renamed");
}

fn hangs_at(point: &str) {
    let (test, _) = test_run("", "limits = { total_seconds = 1 }\n");
    let begun = Instant::now();
    let at = format!("{point}:stuck");
    let nowhere = test.path("go-on").display().to_string();
    let (code, said) = sync(
        &test,
        &[("CPRFLOW_STOP_AT", &at), ("CPRFLOW_GO_ON", &nowhere)],
    );
    assert_eq!(code, 2, "{said}");
    let whose = match point {
        "tenant-preparing" => "error: tenant stuck: ",
        _ => "error: tenant stuck, agreement town: ",
    };
    assert!(said.contains(whose), "{said}");
    assert!(
        said.contains("and was abandoned. Check whether the disk of"),
        "{said}"
    );
    assert!(begun.elapsed() > Duration::from_secs(10));
    well_has_it(&test);
    assert!(test.remote().is_empty());
    let status = test.run("status", &[]);
    assert_eq!(status.code, 1);
    let (code, said) = sync(&test, &[]);
    assert_eq!(code, 0, "{said}");
    let published = test.published_to("stuck");
    assert_eq!(published.len(), 1);
    assert_eq!(published[0].1.sequence, 1);
    assert!(tables(&published[0].0) == tables(&test.published_to("well")[0].0));
    assert!(cprflow_tests::test_run::files(&test.path("state/spool")).is_empty());
    assert!(!test.path("tenants/.stuck.staging").exists());
}

/// A run that must stop does not wait for a tenant that hangs.
#[test]
fn a_hanging_tenant_does_not_delay_a_stop() {
    let (test, _) = test_run("", "");
    let stopped = test.stop_at("tenant-scanned:stuck");
    let killed = Command::new("kill")
        .args(["-TERM", &stopped.id().to_string()])
        .status();
    assert!(killed.unwrap().success());
    let (code, said) = stopped.ends();
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("stopped before the end"), "{said}");
    let (code, said) = sync(&test, &[]);
    assert_eq!(code, 0, "{said}");
    well_has_it(&test);
    assert_eq!(test.published_to("stuck").len(), 1);
}

/// A tenant that is slow and does not hang reports its limit itself.
#[test]
fn a_slow_tenant_is_stopped_after_its_limit() {
    let (test, _) = test_run("", "limits = { total_seconds = 1 }\n");
    let stopped = test.stop_at("tenant-reading:stuck");
    thread::sleep(Duration::from_millis(2_100));
    let (code, said) = stopped.go_on();
    assert_eq!(code, 2, "{said}");
    assert!(
        said.contains(
            "error: tenant stuck, agreement town: publishing was stopped: it exceeded `limits.total_seconds`, which is 1"
        ),
        "{said}"
    );
    well_has_it(&test);
    assert!(!test.path("tenants/.stuck.staging").exists());
}

#[test]
fn a_panic_is_reported_without_its_text() {
    let (test, extract) = test_run("", "");
    let lines = extract::lines(&extract);
    let first = lines.iter().find(|line| line.starts_with(b"001")).unwrap();
    let number = String::from_utf8(first[3..13].to_vec()).unwrap();
    let bug = [
        ("CPRFLOW_PANIC_AT", "tenant-scanned:stuck"),
        ("CPRFLOW_PANIC_WITH", &number),
    ];
    let (code, said) = sync(&test, &bug);
    assert_eq!(code, 2, "{said}");
    assert!(
        said.contains("error: tenant stuck, agreement town: a bug in cprflow stopped the work"),
        "{said}"
    );
    assert!(
        said.contains("error: internal error at host/delivery/src/failpoint.rs:"),
        "{said}"
    );
    well_has_it(&test);
    assert!(test.published_to("stuck").is_empty());
    assert!(!test.path("tenants/.stuck.staging").exists());
    let status = test.run("status", &[]);
    assert!(
        status.text().contains("tried 1 times: a bug in cprflow")
            && status.text().contains("(bug)"),
        "{}",
        status.text()
    );
    let (code, said) = sync(&test, &[]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(test.published_to("stuck").len(), 1);
}

/// The message of each limit has its key and its tenant.
#[test]
fn each_limit_is_reported_by_its_key() {
    let many = "persons = { numbers = \"many\" }\n";
    let slow = slow_conditions();
    for (limits, list, expected) in [
        (
            "memory_mb = 16",
            many,
            "it asked for more than 16777216 bytes of memory. `limits.memory_mb` in the configuration sets",
        ),
        (
            "total_seconds = 1",
            slow.as_str(),
            // The component or its host notices it, by the speed of the machine.
            "`limits.total_seconds`",
        ),
        (
            "output_mb = 1",
            "",
            "more than 1048576 bytes of batches in total. `limits.output_mb` in the configuration sets",
        ),
        (
            "rows = 10",
            "",
            "more than 10 rows in total. `limits.rows` in the configuration sets this limit: raise it",
        ),
    ] {
        let (test, _) = trial_of(4_000, "", &format!("{list}limits = {{ {limits} }}\n"));
        let path = test.path("many");
        fs::write(&path, many_numbers()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let (code, said) = sync(&test, &[]);
        assert_eq!(code, 2, "{said}");
        let is_said = said.lines().any(|line| {
            line.starts_with("error: tenant stuck, agreement town: ") && line.contains(expected)
        });
        assert!(is_said, "{expected}: {said}");
        well_has_it(&test);
        assert!(test.published_to("stuck").is_empty());
        assert!(!test.path("tenants/.stuck.staging").exists());
    }
}

/// Returns conditions that no row meets, and that keep the component busy for several seconds.
fn slow_conditions() -> String {
    let condition = vec!["pnr<'0'"; 5_900].join(" or ");
    let tables = [
        "address",
        "address_history",
        "address_id",
        "birth_registration",
        "citizenship",
        "civil_status",
        "name",
        "person",
        "plaintext_address",
    ];
    let rows = tables.map(|table| format!("{table} = \"{condition}\""));
    format!("rows = {{ {} }}\n", rows.join(", "))
}

/// Returns a million person numbers that do not exist.
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

fn well_has_it(test: &TestRun) {
    assert_eq!(test.published_to("well").len(), 1);
}

fn test_run(well: &str, stuck: &str) -> (TestRun, Vec<u8>) {
    trial_of(30, well, stuck)
}

/// A delivery that waits for two tenants.
fn trial_of(persons: u64, well: &str, stuck: &str) -> (TestRun, Vec<u8>) {
    let test = TestRun::local();
    let tenant = |name: &str, more: &str| {
        format!(
            "[tenant.{name}]\nagreements = [\"town\"]\npurpose = \"test\"\ndataset = \"tenants/{name}\"\n{more}"
        )
    };
    test.configure(&format!(
        "[agreement.town]\ninbox = \"inbox\"\n{}{}",
        tenant("stuck", stuck),
        tenant("well", well)
    ));
    let extract = extract::small(persons, 3);
    test.put("d260302.l431101", &extract, &transfer(1));
    (test, extract)
}

/// Runs `cprflow sync` with these environment variables. Returns the exit code and the output.
fn sync(test: &TestRun, environment: &[(&str, &str)]) -> (i32, String) {
    let output = command()
        .arg("sync")
        .args(test.source())
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    test.search(&said);
    test.search(&String::from_utf8(output.stdout).unwrap());
    (output.status.code().unwrap(), said)
}
