//! `cprflow scan --tenant` hides whom a run would hide, and shows nothing if a protection could be missing.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::fs;
use std::path::Path;

use cprflow_tests::command::command;
use cprflow_tests::handmade::Handmade;
use cprflow_tests::test_run::{TestRun, transfer};

use crate::hidden_later::{
    ALICE, BERTA, CARLA, assert_hidden, assert_shown, configure, copy, other, protection, put,
    start, town,
};

const DORIS: &str = "0101010045";

/// What a scan of an extract printed.
struct Scanned {
    code: i32,
    rows: String,
    said: String,
}

/// Scans an extract of an agreement for a tenant.
fn scan(test: &TestRun, extract: Handmade, tenant: &str, agreement: &str) -> Scanned {
    let file = test.path("scanned");
    fs::write(&file, extract.finish()).unwrap();
    let output = command()
        .arg("scan")
        .arg(&file)
        .args(["--tenant", tenant, "--agreement", agreement])
        .args(["--table", "name", "--format", "csv"])
        .arg("--config")
        .arg(test.path("cprflow.toml"))
        .output()
        .unwrap();
    Scanned {
        code: output.status.code().unwrap(),
        rows: String::from_utf8(output.stdout).unwrap(),
        said: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Asserts which surnames a scan shows to the tenants that hide protected persons.
#[track_caller]
fn assert_scan(
    test: &TestRun,
    extract: &Handmade,
    agreement: &str,
    shown: &[&str],
    hidden: &[&str],
) {
    for tenant in ["mask", "drop"] {
        let scanned = scan(test, extract.clone(), tenant, agreement);
        assert!(scanned.code < 2, "{tenant}: {}", scanned.said);
        for name in shown {
            assert!(
                scanned.rows.contains(name),
                "{tenant}: {name}: {}",
                scanned.said
            );
        }
        for name in hidden {
            assert!(!scanned.rows.contains(name), "{tenant}: {name} is shown");
        }
    }
}

/// Asserts that a scan is refused, shows nothing and says what to do.
#[track_caller]
fn assert_refused(test: &TestRun, extract: &Handmade, agreement: &str, what_to_do: &str) {
    for tenant in ["mask", "drop"] {
        let scanned = scan(test, extract.clone(), tenant, agreement);
        assert_eq!(scanned.code, 2, "{tenant}: {}", scanned.said);
        assert!(scanned.rows.is_empty(), "{tenant}: {}", scanned.rows);
        assert!(
            scanned.said.contains(what_to_do)
                && scanned.said.contains("protection could be missing"),
            "{tenant}: {}",
            scanned.said
        );
    }
}

fn replaced(extract: Handmade, old: &str, new: &str) -> Handmade {
    extract.record(
        "001",
        &[("pnr", old), ("status", "60"), ("current_pnr", new)],
    )
}

/// Agreement `town` has delivered Carla, and then the protection of Alice.
fn two_deliveries() -> TestRun {
    let test = start(&["town", "other"], "");
    test.set_time("2026-03-05T08:00:00Z");
    let first = town("20260302").resident(CARLA, "0265", "Carlsen");
    assert_eq!(put(&test, "town", 1, first).code, 0);
    copy(&test.path("state"), &test.path("older"));
    let second = protection(town("20260303").resident(ALICE, "0265", "Anders"), ALICE);
    assert_eq!(put(&test, "town", 2, second).code, 0);
    test
}

fn of_other() -> Handmade {
    other("20260304")
        .resident(ALICE, "0265", "Anders")
        .resident(BERTA, "0265", "Birk")
}

/// What is lost, how, and the command that the error names.
type Loss = (&'static str, fn(&TestRun), &'static str);

/// A lost extract, register or state directory may have protected somebody.
#[test]
fn a_scan_is_refused_if_a_protection_could_be_missing() {
    let test = two_deliveries();
    assert_scan(&test, &of_other(), "other", &["Birk"], &["Anders"]);
    let lost: [Loss; 6] = [
        (
            "one extract",
            |test| {
                let file = format!("state/register/town/{}.cpr.zst", transfer(2));
                fs::remove_file(test.path(&file)).unwrap();
            },
            "cprflow subscription reorder",
        ),
        (
            "the register of an agreement",
            |test| fs::remove_dir_all(test.path("state/register/town")).unwrap(),
            "cprflow subscription reorder",
        ),
        ("the ledger", TestRun::remove_ledger, "cprflow sync"),
        (
            "the state directory",
            |test| fs::remove_dir_all(test.path("state")).unwrap(),
            "cprflow sync",
        ),
        (
            "the newest state, copied back by hand",
            |test| {
                fs::remove_dir_all(test.path("state")).unwrap();
                copy(&test.path("older"), &test.path("state"));
            },
            "cprflow sync",
        ),
        (
            "the newest state, as a run knows it",
            |test| {
                fs::remove_dir_all(test.path("state")).unwrap();
                copy(&test.path("older"), &test.path("state"));
                test.sync();
            },
            "cprflow subscription reorder",
        ),
    ];
    for (what, lose, what_to_do) in lost {
        eprintln!("lost: {what}");
        let test = two_deliveries();
        lose(&test);
        assert_refused(&test, &of_other(), "other", what_to_do);
        // The agreement's own extract cannot be judged either. The roster can be gone too, which is told first.
        let own = town("20260304").resident(ALICE, "0265", "Anders");
        for tenant in ["mask", "drop"] {
            let scanned = scan(&test, own.clone(), tenant, "town");
            assert_eq!(scanned.code, 2, "{what}: {tenant}: {}", scanned.said);
            assert!(scanned.rows.is_empty(), "{what}: {tenant}");
        }
    }
}

/// After a restore, the state directory knows which delivery it lacks.
#[test]
fn a_scan_is_refused_after_a_restore_without_the_newest_delivery() {
    let test = start(&["town", "other"], "");
    test.set_time("2026-03-05T08:00:00Z");
    let first = town("20260302").resident(CARLA, "0265", "Carlsen");
    assert_eq!(put(&test, "town", 1, first).code, 0);
    let backup = test.path("backup.tar");
    let backup = backup.to_str().unwrap();
    assert_eq!(test.run_only("backup", &["-o", backup]).code, 0);
    test.set_time("2026-03-05T09:00:00Z");
    let second = protection(town("20260303").resident(ALICE, "0265", "Anders"), ALICE);
    assert_eq!(put(&test, "town", 2, second).code, 0);
    assert_eq!(test.run_only("restore", &[backup, "--yes"]).code, 1);
    assert_refused(&test, &of_other(), "other", "cprflow sync");
}

/// An extract that may lack records may lack a protection, also if a person has accepted it.
#[test]
fn a_scan_is_refused_if_records_may_be_missing() {
    let test = start(&["town", "other"], "");
    test.set_time("2026-03-05T08:00:00Z");
    let whole = town("20260302").resident(ALICE, "0265", "Anders").finish();
    let lines: Vec<&[u8]> = whole.split_inclusive(|byte| *byte == b'\n').collect();
    let cut_off = lines[..lines.len() - 1].concat();
    let text = fs::read_to_string(test.path("cprflow.toml")).unwrap();
    let accepting = text.replace(
        "files.name = \"town.*\"\n",
        "files.name = \"town.*\"\naccept = [\"missing-end\"]\n",
    );
    assert_ne!(text, accepting);
    fs::write(test.path("cprflow.toml"), accepting).unwrap();
    test.put("town1", &cut_off, &transfer(1));
    test.sync();
    assert_refused(
        &test,
        &of_other(),
        "other",
        "cprflow register accept-missing",
    );
}

/// Before anything is published, nothing can be missing.
#[test]
fn a_scan_needs_no_state_before_the_first_run() {
    let test = start(&["town", "other"], "");
    assert_scan(&test, &of_other(), "other", &["Anders", "Birk"], &[]);
    assert!(!test.path("state").exists());
}

/// A tenant without protection sees everybody anyway.
#[test]
fn a_tenant_that_sees_protected_persons_needs_no_register() {
    let test = two_deliveries();
    let text = fs::read_to_string(test.path("cprflow.toml")).unwrap();
    fs::write(
        test.path("cprflow.toml"),
        text.replace("protection = \"mask\"", "protection = \"include\""),
    )
    .unwrap();
    fs::remove_dir_all(test.path("state/register/town")).unwrap();
    let scanned = scan(&test, of_other(), "mask", "other");
    assert!(scanned.code < 2, "{}", scanned.said);
    assert!(scanned.rows.contains("Anders"), "{}", scanned.rows);
}

/// The older deliveries of the agreement tell that another number of the person, or a relative, is protected. What the new
/// extract says anew replaces what they say.
#[test]
fn a_scan_hides_whom_older_deliveries_of_the_agreement_protect() {
    let test = start(&["town"], "");
    test.set_time("2026-03-05T08:00:00Z");
    let first = protection(replaced(town("20260302"), ALICE, BERTA), ALICE)
        .resident(BERTA, "0265", "Birk")
        .resident(CARLA, "0265", "Carlsen");
    let first = protection(first, CARLA).record(
        "033",
        &[
            ("pnr", CARLA),
            ("child_pnr", DORIS),
            ("protection_start_date", "2020-01-01"),
        ],
    );
    put(&test, "town", 1, first.resident(DORIS, "0265", "Dahl"));
    for name in ["Birk", "Carlsen", "Dahl"] {
        assert_hidden(&test, name);
    }
    // Berta is tied to Alice, who is protected, and Doris is the child of Carla.
    let next = town("20260303")
        .resident(BERTA, "0265", "Birk")
        .resident(DORIS, "0265", "Dahl")
        .resident("0101010053", "0265", "Eskildsen");
    let hidden = ["Birk", "Dahl"];
    assert_scan(&test, &next, "town", &["Eskildsen"], &hidden);
    // Carla is delivered again without a protection, as a run would find her.
    let free = town("20260303").resident(CARLA, "0265", "Carlsen");
    assert_scan(&test, &free, "town", &["Carlsen"], &[]);
    // An extract that is older than the register's newest one says less than that one.
    let late = town("20260301").resident(CARLA, "0265", "Carlsen");
    assert_scan(&test, &late, "town", &[], &["Carlsen"]);
    // A run shows the same.
    put(&test, "town", 2, next);
    for name in hidden {
        assert_hidden(&test, name);
    }
    assert_shown(&test, "Eskildsen");
}

/// Protections of agreements count that the tenant had before: ended ones, and those that were taken from it.
#[test]
fn a_scan_hides_whom_former_agreements_protect() {
    let next = || {
        town("20260304")
            .resident(ALICE, "0265", "Anders")
            .resident(BERTA, "0265", "Birk")
    };
    for is_ended in [false, true] {
        let test = start(&["town", "other"], "");
        test.set_time("2026-03-05T08:00:00Z");
        let protected = protection(other("20260302").resident(ALICE, "0265", "Anders"), ALICE);
        put(&test, "other", 1, protected);
        let first = town("20260303").resident(CARLA, "0265", "Carlsen");
        put(&test, "town", 2, first);
        configure(&test, &["town"], "");
        if is_ended {
            end_other(&test.path("cprflow.toml"));
        }
        for has_run in [false, true] {
            if has_run {
                let ended = test.sync();
                assert!(ended.code < 2, "{}", ended.stderr);
            }
            let before = fs::read(test.path("state/ledger.sqlite")).unwrap();
            assert_scan(&test, &next(), "town", &["Birk"], &["Anders"]);
            let after = fs::read(test.path("state/ledger.sqlite")).unwrap();
            assert!(before == after, "the scan has changed the ledger");
        }
        // A run shows the same.
        put(&test, "town", 3, next());
        assert_hidden(&test, "Anders");
        assert_shown(&test, "Birk");
    }
}

/// Replaces the agreement `other` in a configuration, and its own tenant, by the note that it has ended.
fn end_other(file: &Path) {
    let text = fs::read_to_string(file).unwrap();
    let (head, rest) = text.split_once("[agreement.other]").unwrap();
    let (_, rest) = rest.split_once("[tenant.mask]").unwrap();
    let (rest, _) = rest.split_once("[tenant.third]").unwrap();
    let text = format!("ended_agreements = [\"other\"]\n{head}[tenant.mask]{rest}");
    fs::write(file, text).unwrap();
}
