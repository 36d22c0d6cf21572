//! A tenant that fails or exceeds a limit delays no other tenant, and an operator decides for it.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use cprflow_tests::extract;
use cprflow_tests::test_run::{TestRun, files, tables};

use super::{AGREEMENT, key, nights, put, tenant};

/// No current tables, so that a limit is only exceeded by a delivery.
const DELIVERIES: &str = "publish = [\"deliveries\"]\n";

#[test]
fn a_failing_tenant_does_not_delay_others() {
    let test = TestRun::local();
    let nights = nights(150, 7);
    let with_limit = |rows: u64| {
        test.configure(&format!(
            "{AGREEMENT}{}{}",
            tenant("small", "town", &format!("limits = {{ rows = {rows} }}\n")),
            tenant("well", "town", ""),
        ));
    };
    // Only the first delivery exceeds the limit of the tenant.
    let least = nights[1..].iter().map(|night| night.len()).max().unwrap();
    assert!(least * 2 < nights[0].len());
    with_limit(1_000);
    for (night, extract) in nights.iter().enumerate() {
        put(&test, night, extract);
        let ended = test.sync();
        assert_eq!(ended.code, 2, "{}", ended.text());
        assert!(
            ended.stderr.contains(
                "tenant small, agreement town: the component was stopped: more than 1000 rows in total"
            ),
            "{}",
            ended.stderr
        );
        assert_eq!(test.published_to("well").len(), night + 1);
        assert!(
            test.published_to("small").is_empty(),
            "no delivery is published before the first"
        );
        assert!(test.remote().is_empty(), "the spool keeps it");
    }
    assert_eq!(spooled(&test), nights.len());
    let status = test.run("status", &[]);
    assert_eq!(status.code, 1);
    assert!(
        status.text().contains(&format!(
            "tenant small: {} deliveries wait, first d260302.l431101, tried {} times",
            nights.len(),
            nights.len()
        )),
        "{}",
        status.text()
    );
    // A file that a tenant still needs stays in the spool, however old it is.
    let old = std::process::Command::new("find")
        .arg(test.path("state/spool"))
        .args([
            "-name",
            "*.extract",
            "-exec",
            "touch",
            "-d",
            "-400 days",
            "{}",
            "+",
        ])
        .status();
    assert!(old.unwrap().success());
    assert_eq!(test.sync().code, 2);
    assert_eq!(spooled(&test), nights.len());
    with_limit(1_000_000);
    let ended = test.sync();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let sequences = test.published_to("small").into_iter();
    let sequences: Vec<_> = sequences.map(|(_, manifest)| manifest.sequence).collect();
    assert_eq!(sequences, (1..=nights.len() as u64).collect::<Vec<_>>());
    for (one, other) in test
        .published_to("small")
        .iter()
        .zip(test.published_to("well"))
    {
        assert!(tables(&one.0) == tables(&other.0));
    }
    assert_eq!(spooled(&test), 0);
    assert_eq!(test.run("status", &[]).code, 0);
}

#[test]
fn an_operator_decides_for_one_tenant() {
    let test = TestRun::local();
    let nights = nights(150, 8);
    let one = tenant("small", "town", "limits = { rows = 1000 }\n");
    test.configure(&format!(
        "{DELIVERIES}{AGREEMENT}{one}{}",
        tenant("well", "town", "")
    ));
    for (night, extract) in nights.iter().enumerate() {
        put(&test, night, extract);
        assert_eq!(test.sync().code, 2);
    }
    // The decision is too late for one tenant and in time for the other.
    let aside = |tenant: &str| {
        test.run(
            "set-aside",
            &[
                "d260302.l431101",
                "--tenant",
                tenant,
                "--reason",
                "too large for it",
            ],
        )
    };
    let refused = aside("well");
    assert_eq!(refused.code, 2);
    assert!(
        refused.stderr.contains("published already"),
        "{}",
        refused.stderr
    );
    // A new tenant lacks the earlier deliveries. It can still get those that are in the spool.
    test.configure(&format!(
        "{DELIVERIES}{AGREEMENT}{one}{}{}",
        tenant("well", "town", ""),
        tenant("late", "town", "")
    ));
    let status = test.run("status", &[]);
    assert!(
        status.text().contains(&format!(
            "tenant late: it lacks {} deliveries of agreement town",
            nights.len()
        )),
        "{}",
        status.text()
    );
    for text in [
        "Persons who are only in earlier deliveries are missing",
        ". The spool still has d2603",
    ] {
        assert!(status.text().contains(text), "{text}: {}", status.text());
    }
    let retried = test.run("retry", &["d260302.l431101", "--tenant", "late"]);
    assert_eq!(retried.code, 2, "the tenant small still fails");
    assert_eq!(test.published_to("late").len(), 1);
    assert_eq!(
        test.run("retry", &["d260302.l431101", "--tenant", "late"])
            .code,
        2
    );
    let ended = aside("small");
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let ended = test.sync();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let published = test.published_to("small").into_iter();
    let files: Vec<_> = published.map(|(_, manifest)| manifest.file_name).collect();
    assert_eq!(files.len(), nights.len() - 1);
    assert!(!files.contains(&"d260302.l431101".to_owned()));
    assert_eq!(spooled(&test), 0);
    let refused = test.run("retry", &["d260302.l431101", "--tenant", "small"]);
    assert_eq!(refused.code, 2);
    assert!(
        refused.stderr.contains("no longer in the spool"),
        "{}",
        refused.stderr
    );
}

#[test]
fn errors_of_one_tenant_do_not_affect_others() {
    let test = TestRun::local();
    test.configure(&format!(
        "{AGREEMENT}{}{}{}{}{}",
        tenant("file", "town", ""),
        tenant(
            "key",
            "town",
            "numbers = \"pseudonym\"\nkey = { file = \"open.key\" }\n"
        ),
        tenant("list", "town", "persons = { numbers = \"numbers\" }\n"),
        tenant("table", "town", "tables = [\"church\"]\n"),
        tenant("well", "town", ""),
    ));
    fs::create_dir_all(test.path("tenants")).unwrap();
    fs::write(test.dataset_of("file"), "no directory").unwrap();
    key(&test, "open.key", 'k');
    fs::set_permissions(test.path("open.key"), fs::Permissions::from_mode(0o644)).unwrap();
    key(&test, "numbers", '1');
    put(&test, 0, &extract::small(30, 9));
    let ended = test.sync();
    assert_eq!(ended.code, 2, "{}", ended.text());
    for expected in [
        "tenant file: ",
        "open.key: other users can read this secret (mode 644)",
        "tenant list: ",
        "tenant table: ",
    ] {
        assert!(
            ended.stderr.contains(expected),
            "{expected}: {}",
            ended.stderr
        );
    }
    assert_eq!(test.published_to("well").len(), 1);
    assert!(test.remote().is_empty());
    let checked = test.run_only("tenant", &["check"]);
    assert_eq!(checked.code, 1);
    assert!(
        checked.text().contains("error        "),
        "{}",
        checked.text()
    );
    assert_eq!(test.run_only("tenant", &["check", "well"]).code, 0);
    let doctor = test.run("doctor", &[]);
    assert!(doctor.text().contains("FAIL  key: "), "{}", doctor.text());
    assert!(
        doctor.text().contains("FAIL  policy: "),
        "{}",
        doctor.text()
    );
    // After the correction, the tenant gets the deliveries that the spool has kept.
    fs::remove_file(test.dataset_of("file")).unwrap();
    fs::set_permissions(test.path("open.key"), fs::Permissions::from_mode(0o600)).unwrap();
    let ended = test.sync();
    assert_eq!(ended.code, 2);
    for name in ["file", "key"] {
        assert_eq!(test.published_to(name).len(), 1, "{name}: {}", ended.stderr);
    }
}

fn spooled(test: &TestRun) -> usize {
    files(&test.path("state/spool")).len()
}
