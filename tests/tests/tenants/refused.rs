//! Extracts that must not be delivered to a tenant: records may be missing, or the extract belongs to another agreement.
//! Also an extract that can be read only once.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use cprflow_tests::command::{CommandOutput, command, cprflow, cprflow_with};
use cprflow_tests::extract;
use cprflow_tests::test_run::{TestRun, tables, transfer};

const TENANTS: [(&str, &str); 4] = [
    ("mask", ""),
    ("drop", "protection = \"drop\"\n"),
    (
        "some",
        "protection = \"include\"\npersons = { statuses = [\"01\"] }\n",
    ),
    ("all", "protection = \"include\"\n"),
];

/// A missing record could be a 004 or a 002, so a tenant could see a protected person, or a false leaver.
#[test]
fn an_extract_that_may_lack_records() {
    let whole = extract::lines(&extract::small(40, 3));
    let without = |record_type: &str| {
        let mut lines = whole.clone();
        let place = lines
            .iter()
            .position(|line| line.starts_with(record_type.as_bytes()));
        lines.remove(place.unwrap());
        extract::join(&lines, b"\n")
    };
    for (code, extract) in [
        ("missing-end", without("999")),
        ("count-mismatch", without("002")),
    ] {
        let test = test_run(&format!("accept = [\"{code}\"]\n"));
        test.put("d260302.l431101", &extract, &transfer(1));
        let ended = test.sync();
        assert_eq!(ended.code, 2, "{}", ended.text());
        for (name, what) in [
            ("mask", "masks protected persons"),
            ("drop", "leaves out protected persons"),
            ("some", "selects persons"),
        ] {
            let expected = format!(
                "error: tenant {name}, agreement town: records may be missing from the extract ({code}), but the \
                 policy {what}, which is only correct with all records"
            );
            assert!(
                ended.stderr.contains(&expected),
                "{expected}: {}",
                ended.stderr
            );
            assert!(test.published_to(name).is_empty(), "{name}");
            let shown = scan(&test, name, &extract);
            assert_eq!((shown.code, shown.text()), (2, ""), "{}", shown.stderr);
            assert!(
                shown.stderr.contains(&format!("({code})")),
                "{}",
                shown.stderr
            );
        }
        let status = test.run("status", &[]);
        assert!(status.text().contains("(incomplete)"), "{}", status.text());
        let published = test.published_to("all");
        assert_eq!(tables(&published[0].0)["person"].len(), 40);
        // An operator decides for each tenant.
        for name in ["mask", "drop", "some"] {
            let aside = ["d260302.l431101", "--tenant", name, "--reason", "cut off"];
            assert_eq!(test.run("set-aside", &aside).code, 0);
        }
        // The current tables would lack the same records, until a person says that a full load has come.
        let ended = test.sync();
        assert_eq!(ended.code, 2, "{}", ended.text());
        let advice = "run `cprflow register accept-missing town`";
        assert!(ended.stderr.contains(advice), "{}", ended.stderr);
        let has_current = |name: &str| test.dataset_of(name).join("current").exists();
        assert!(has_current("all") && !has_current("mask") && !has_current("drop"));
        assert_eq!(test.run("register accept-missing", &["town"]).code, 2);
        let accept = ["town", "--without-full-load"];
        assert_eq!(test.run("register accept-missing", &accept).code, 0);
        assert_eq!(test.sync().code, 0);
        assert!(has_current("mask") && has_current("drop") && has_current("some"));
    }
}

/// The end record counts fewer records than there are. That is an error, although no record is missing.
#[test]
fn an_extract_with_more_records_than_it_says() {
    let mut lines = extract::lines(&extract::small(40, 3));
    let place = lines
        .iter()
        .position(|line| line.starts_with(b"002"))
        .unwrap();
    lines.insert(place, lines[place].clone());
    let extract = extract::join(&lines, b"\n");
    let test = test_run("accept = [\"count-mismatch\"]\n");
    test.put("d260302.l431101", &extract, &transfer(1));
    let ended = test.sync();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    for (name, _) in TENANTS {
        assert_eq!(test.published_to(name).len(), 1, "{name}");
    }
}

#[test]
fn refuses_a_tenant_scan_of_another_agreements_extract() {
    let extract = extract::small(40, 3);
    let task = String::from_utf8(extract::lines(&extract)[0][13..19].to_vec()).unwrap();
    let other = if task == "000001" { "000002" } else { "000001" };
    let refused = scan(
        &test_run(&format!("files = {{ task_numbers = [\"{other}\"] }}\n")),
        "mask",
        &extract,
    );
    assert_eq!(
        (refused.code, refused.text()),
        (2, ""),
        "{}",
        refused.stderr
    );
    assert!(
        refused
            .stderr
            .contains("the extract is not of agreement town: its task number is none of those"),
        "{}",
        refused.stderr
    );
    let shown = scan(
        &test_run(&format!("files = {{ task_numbers = [\"{task}\"] }}\n")),
        "mask",
        &extract,
    );
    assert_eq!(shown.code, 0, "{}", shown.stderr);
}

/// Input from a pipe is copied to an unnamed file, because a policy reads it twice.
#[test]
fn a_scan_for_a_tenant_of_a_pipe() {
    let extract = extract::small(400, 3);
    let test = test_run("");
    let expected = scan(&test, "mask", &extract);
    assert!(expected.stdout.len() > 10_000);
    let spool = test.path("tmp");
    fs::create_dir(&spool).unwrap();
    let mut child = command()
        .args(arguments(&test, "mask", "-"))
        .env("TMPDIR", &spool)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let (first, rest) = extract.split_at(extract.len() / 2);
    stdin.write_all(first).unwrap();
    let descriptors = format!("/proc/{}/fd", child.id());
    let until = Instant::now() + Duration::from_secs(120);
    let kept = loop {
        let entries = fs::read_dir(&descriptors).unwrap();
        let mut paths = entries.map(|entry| entry.unwrap().path());
        let is_kept = |path: &std::path::PathBuf| {
            fs::read_link(path).is_ok_and(|link| link.starts_with(&spool))
        };
        if let Some(kept) = paths.find(is_kept) {
            break kept;
        }
        assert!(Instant::now() < until, "no file is kept");
        thread::sleep(Duration::from_millis(20));
    };
    let mode = fs::metadata(&kept).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(
        fs::read_dir(&spool).unwrap().count(),
        0,
        "the copy has a name"
    );
    let rest = rest.to_vec();
    let feeder = thread::spawn(move || stdin.write_all(&rest).unwrap());
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stdout == expected.stdout);
    assert_eq!(fs::read_dir(&spool).unwrap().count(), 0);
    // An empty pipe is not an extract.
    let empty = cprflow_with(arguments(&test, "mask", "-"), b"");
    assert_ne!(empty.code, 0);
}

fn test_run(agreement: &str) -> TestRun {
    let test = TestRun::local();
    let tenants = TENANTS.map(|(name, more)| {
        format!(
            "[tenant.{name}]\nagreements = [\"town\"]\npurpose = \"test\"\ndataset = \"tenants/{name}\"\n{more}"
        )
    });
    test.configure(&format!(
        "[agreement.town]\ninbox = \"inbox\"\n{agreement}{}",
        tenants.concat()
    ));
    test
}

fn scan(test: &TestRun, tenant: &str, extract: &[u8]) -> CommandOutput {
    let input = test.path("shown.cpr");
    fs::write(&input, extract).unwrap();
    cprflow(arguments(test, tenant, input.to_str().unwrap()))
}

fn arguments(test: &TestRun, tenant: &str, input: &str) -> Vec<String> {
    let configuration = test.path("cprflow.toml").display().to_string();
    let arguments = [
        "scan",
        input,
        "--tenant",
        tenant,
        "--config",
        &configuration,
    ];
    let table = ["--table", "address", "--format", "csv"];
    arguments
        .iter()
        .chain(&table)
        .map(|one| (*one).to_owned())
        .collect()
}
