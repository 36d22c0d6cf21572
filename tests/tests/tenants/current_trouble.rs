//! The current tables of tenants when something is lost, moved, changed or wrong: it is told, and nothing is shown too much.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use cprflow_delivery::GenerationManifest;
use cprflow_tests::command::CommandOutput;
use cprflow_tests::handmade::Handmade;
use cprflow_tests::reference_reader::{Row, Tables, Value};
use cprflow_tests::test_run::{TestRun, files, tables, transfer};

const ALICE: &str = "0101010010";
const BERTA: &str = "0101010029";
const CARLA: &str = "0101010037";

fn night(date: &str) -> Handmade {
    Handmade::new("431101", date)
}

fn three(date: &str) -> Handmade {
    night(date)
        .resident(ALICE, "0265", "Alm")
        .resident(BERTA, "0265", "Birk")
        .resident(CARLA, "0101", "Christ")
}

fn configure(test: &TestRun, top: &str, policy: &str) {
    test.configure(&format!(
        "{top}[agreement.town]\ninbox = \"inbox\"\nunrestricted = \"test\"\n[tenant.schools]\nagreements = [\"town\"]\n\
         purpose = \"test\"\ndataset = \"tenants/schools\"\n{policy}\n"
    ));
}

fn put(test: &TestRun, number: u32, extract: Handmade) {
    test.put(&format!("n{number}"), &extract.finish(), &transfer(number));
    sync(test);
}

fn sync(test: &TestRun) -> CommandOutput {
    let ended = test.sync();
    assert!(ended.code < 2, "{}{}", ended.stderr, ended.text());
    ended
}

fn current(test: &TestRun) -> Tables {
    tables(&test.dataset_of("schools").join("current"))
}

fn manifest(test: &TestRun) -> GenerationManifest {
    let path = test.dataset_of("schools").join("current/_generation.json");
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn texts(tables: &Tables, table: &str, column: &str) -> Vec<String> {
    let value = |row: &Row| match row.iter().find(|(name, _)| name == column) {
        Some((_, Value::Text(text))) => text.clone(),
        Some((_, Value::Null)) => "null".to_owned(),
        other => panic!("{other:?}"),
    };
    let mut texts: Vec<_> = tables[table].iter().map(value).collect();
    texts.sort();
    texts
}

fn scope(test: &TestRun) -> Vec<String> {
    texts(&current(test), "person", "pnr")
}

fn left(test: &TestRun) -> Vec<String> {
    texts(&current(test), "out_of_scope", "pnr")
}

fn has_current(dataset: &Path) -> bool {
    fs::symlink_metadata(dataset.join("current")).is_ok()
        || !files(&dataset.join("generations")).is_empty()
}

/// Asserts that `status` says something that needs attention.
fn assert_told(test: &TestRun, expected: &str) {
    let status = test.run("status", &[]);
    assert_eq!(status.code, 1, "{}", status.text());
    let mut lines = status.text().lines();
    let is_told = lines.any(|line| line.contains("attention") && line.contains(expected));
    assert!(is_told, "{expected}: {}", status.text());
}

fn assert_not_told(test: &TestRun, unexpected: &str) {
    let status = test.run("status", &[]);
    assert!(
        !status.text().contains(unexpected),
        "{unexpected}: {}",
        status.text()
    );
}

const CLOCK: [&str; 4] = [
    "2026-03-02T08:00:00Z",
    "2026-03-03T08:00:00Z",
    "2026-03-04T08:00:00Z",
    "2026-03-05T08:00:00Z",
];

/// A lost list of the persons in scope is made again from the extracts, so that leavers are told.
#[test]
fn a_lost_list_of_persons_is_made_again() {
    let test = TestRun::local();
    configure(&test, "", "persons = { municipalities = [\"0265\"] }");
    test.set_time(CLOCK[0]);
    put(&test, 1, three("20260302"));
    assert_eq!(scope(&test), [ALICE, BERTA]);
    let lists = test.path("state/generations");
    for damage in ["gone", "changed"] {
        for list in files(&lists) {
            match damage {
                "gone" => fs::remove_file(&list).unwrap(),
                _ => {
                    let mut bytes = fs::read(&list).unwrap();
                    *bytes.last_mut().unwrap() ^= 1;
                    fs::write(&list, bytes).unwrap();
                }
            }
        }
        let (number, time, moved) = match damage {
            "gone" => (2, CLOCK[1], ALICE),
            _ => (3, CLOCK[2], BERTA),
        };
        test.set_time(time);
        let day = &time[..10].replace('-', "");
        put(&test, number, night(day).resident(moved, "0101", "Away"));
        assert_eq!(left(&test), [moved], "{damage}");
        assert!(texts(&current(&test), "into_scope", "pnr").is_empty());
    }
    assert_not_told(&test, "was lost");
    assert_eq!(manifest(&test).compare_since, None);
}

/// If the list cannot be made again, it is told until a person has seen it.
#[test]
fn a_list_of_persons_that_stays_lost_is_told() {
    let test = TestRun::local();
    configure(&test, "", "");
    test.set_time(CLOCK[0]);
    put(&test, 1, three("20260302"));
    fs::remove_dir_all(test.path("state/generations")).unwrap();
    // Under another policy, others were in scope.
    configure(&test, "", "persons = { municipalities = [\"0265\"] }");
    test.set_time(CLOCK[1]);
    sync(&test);
    assert_eq!(scope(&test), [ALICE, BERTA]);
    assert!(left(&test).is_empty());
    assert_eq!(manifest(&test).compare_since.as_deref(), Some("2026-03-03"));
    assert_told(&test, "run `cprflow tenant accept schools`");
    test.set_time(CLOCK[2]);
    sync(&test);
    assert_eq!(manifest(&test).compare_since.as_deref(), Some("2026-03-03"));
    assert_told(&test, "was lost");
    assert_eq!(test.run_only("tenant accept", &["schools"]).code, 0);
    assert_not_told(&test, "was lost");
    test.set_time(CLOCK[3]);
    sync(&test);
    assert_eq!(manifest(&test).compare_since, None);
}

/// A new ledger compares with the generation that the old one has made.
#[test]
fn a_lost_state_does_not_lose_leavers_silently() {
    let test = TestRun::local();
    configure(&test, "", "");
    test.set_time(CLOCK[0]);
    put(&test, 1, three("20260302"));
    test.remove_ledger();
    fs::remove_dir_all(test.path("state/generations")).unwrap();
    test.set_time(CLOCK[1]);
    put(&test, 2, night("20260303").record("997", &[("pnr", ALICE)]));
    assert_eq!(scope(&test), [BERTA, CARLA]);
    let is_told = manifest(&test).compare_since.is_some();
    assert!(is_told || left(&test) == [ALICE]);
}

/// A tenant that is removed from the configuration sees nothing new, and nothing left behind is silent.
#[test]
fn a_removed_tenant_is_told_and_its_tables_are_withdrawn() {
    let test = TestRun::local();
    configure(&test, "", "");
    put(&test, 1, three("20260302"));
    let dataset = test.dataset_of("schools");
    assert!(has_current(&dataset));
    test.configure("[agreement.town]\ninbox = \"inbox\"\nunrestricted = \"test\"\n");
    assert_told(&test, "cprflow erase --tenant schools");
    let doctor = test.run("doctor", &[]);
    assert_eq!(doctor.code, 1);
    let expected = "cprflow erase --tenant schools";
    assert!(doctor.text().contains(expected), "{}", doctor.text());
    let ended = sync(&test);
    assert_eq!(ended.code, 1);
    assert!(!has_current(&dataset));
    assert_eq!(test.published_to("schools").len(), 1);
    assert_told(&test, "1 deliveries in ");
    // When everything is deleted, there is nothing to tell.
    fs::remove_dir_all(&dataset).unwrap();
    for directory in ["rosters", "generations"] {
        fs::remove_dir_all(test.path("state").join(directory)).unwrap();
    }
    assert_eq!(sync(&test).code, 0);
    assert_not_told(&test, "schools");
}

#[test]
fn a_moved_dataset_leaves_nothing_behind_silently() {
    let test = TestRun::local();
    configure(&test, "", "");
    put(&test, 1, three("20260302"));
    let text = fs::read_to_string(test.path("cprflow.toml")).unwrap();
    // Written in another way, it is the same directory.
    let same = text.replace("tenants/schools", "tenants/../tenants/./schools");
    fs::write(test.path("cprflow.toml"), same).unwrap();
    assert_eq!(sync(&test).code, 0);
    assert!(has_current(&test.dataset_of("schools")));
    let moved = text.replace("tenants/schools", "tenants/moved").replace(
        "dataset = \"disk/dataset\"",
        "publish = [\"current\"]\ndataset = \"disk/dataset\"",
    );
    fs::write(test.path("cprflow.toml"), moved).unwrap();
    // The deliveries in the old directory are missing in the new one.
    assert_eq!(test.sync().code, 2);
    assert!(!has_current(&test.dataset_of("schools")));
    assert_told(
        &test,
        "the dataset of tenant schools was moved in the configuration",
    );
}

/// The first tables of a tenant that cannot be made are told like later ones.
#[test]
fn first_tables_that_cannot_be_made_are_told() {
    for publish in ["", "publish = [\"current\"]\n"] {
        let test = TestRun::local();
        configure(&test, publish, "");
        test.put("n1", &three("20260302").finish(), &transfer(1));
        fs::write(test.path("tenants"), "not a directory").unwrap();
        assert_eq!(test.sync().code, 2);
        assert_told(
            &test,
            "tenant schools: the current tables could not be made",
        );
        fs::remove_file(test.path("tenants")).unwrap();
        sync(&test);
        assert_not_told(&test, "could not be made");
        assert_eq!(scope(&test), [ALICE, BERTA, CARLA]);
    }
    // A limit that is too low is found while the tables are made.
    let test = TestRun::local();
    configure(&test, "publish = [\"current\"]\n", "limits = { rows = 2 }");
    test.put("n1", &three("20260302").finish(), &transfer(1));
    assert_eq!(test.sync().code, 2);
    assert_told(
        &test,
        "tenant schools: the current tables could not be made",
    );
}

fn two_agreements(test: &TestRun, is_ended: bool, policy: &str) {
    let (top, old, agreements) = match is_ended {
        true => ("ended_agreements = [\"old\"]\n", "", "[\"town\"]"),
        false => (
            "",
            "[agreement.old]\ninbox = \"inbox\"\nunrestricted = \"test\"\nfiles = { task_numbers = [\"222222\"] }\n",
            "[\"town\", \"old\"]",
        ),
    };
    test.configure(&format!(
        "{top}[agreement.town]\ninbox = \"inbox\"\nunrestricted = \"test\"\nfiles = {{ task_numbers = [\"431101\"] }}\n\
         {old}[tenant.schools]\nagreements = {agreements}\npurpose = \"test\"\ndataset = \"tenants/schools\"\n{policy}\n"
    ));
}

/// A person who was protected only in an agreement that has ended stays protected.
#[test]
fn the_protections_of_an_ended_agreement_stay() {
    for policy in ["protection = \"mask\"", "protection = \"drop\""] {
        let test = TestRun::local();
        two_agreements(&test, false, policy);
        test.set_time(CLOCK[0]);
        let protected = |pnr| [("pnr", pnr), ("protection_type", "0001")];
        let old = Handmade::new("222222", "20260301")
            .resident(ALICE, "0265", "Almindelig")
            .record("004", &protected(ALICE))
            .resident(BERTA, "0265", "Birk")
            .record("004", &protected(BERTA));
        put(&test, 1, old);
        // Berta's protection has ended.
        put(
            &test,
            2,
            Handmade::new("222222", "20260302").resident(BERTA, "0265", "Birk"),
        );
        put(&test, 3, three("20260302"));
        let names = |test: &TestRun| texts(&current(test), "name", "surname");
        let expected = match policy {
            "protection = \"mask\"" => vec!["Birk", "Christ", "null"],
            _ => vec!["Birk", "Christ"],
        };
        assert_eq!(names(&test), expected);
        for lost in ["nothing", "ledger"] {
            two_agreements(&test, true, policy);
            if lost == "ledger" {
                test.remove_ledger();
            }
            sync(&test);
            assert_eq!(names(&test), expected, "{policy}, {lost}");
        }
        test.set_time(CLOCK[1]);
        sync(&test);
        assert_eq!(names(&test), expected, "{policy}");
        // Without the extracts it is not known who is protected.
        fs::remove_dir_all(test.path("state/register/old")).unwrap();
        test.set_time(CLOCK[2]);
        assert_ne!(test.sync().code, 0);
        assert_told(&test, "register accept-missing old");
        let accept = ["old", "--without-full-load"];
        assert_eq!(
            test.run_only("register accept-missing", &accept[..1]).code,
            2
        );
        assert_eq!(test.run_only("register accept-missing", &accept).code, 0);
        sync(&test);
        assert_eq!(names(&test), ["Alm", "Birk", "Christ"]);
    }
}

/// Damaged files of the current tables are told, and missing ones are made again.
#[test]
fn damaged_tables_are_told() {
    let test = TestRun::local();
    configure(&test, "", "");
    put(&test, 1, three("20260302"));
    for dataset in [test.dataset(), test.dataset_of("schools")] {
        let file = dataset.join("current/person.parquet");
        let mut bytes = fs::read(&file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&file, &bytes).unwrap();
        assert_eq!(test.run("status", &[]).code, 0, "the size is the same");
        let deep = test.run("status", &["--deep"]);
        assert_eq!(deep.code, 1);
        let expected = "person.parquet was changed";
        assert!(deep.text().contains(expected), "{}", deep.text());
        fs::remove_file(&file).unwrap();
        assert_told(&test, "person.parquet is gone");
        assert_eq!(sync(&test).code, 0);
        assert_eq!(tables(&dataset.join("current"))["person"].len(), 3);
    }
    assert_eq!(test.run("status", &["--deep"]).code, 0);
}

/// With another key, every pseudonym is another one. The old ones must not stay.
#[test]
fn another_key_makes_the_tables_again_at_once() {
    let test = TestRun::local();
    let write_key = |digit: char| {
        let key = test.path("schools.key");
        fs::write(
            &key,
            "8d2f1c6f0f6c4f7b9a3d5e7f8091a2b3"
                .replace('8', &digit.to_string())
                .repeat(2),
        )
        .unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    };
    write_key('8');
    let policy = "numbers = \"pseudonym\"\nkey = { file = \"schools.key\" }";
    configure(&test, "", policy);
    test.set_time(CLOCK[0]);
    put(&test, 1, three("20260302"));
    let before = scope(&test);
    assert_eq!(sync(&test).code, 0);
    assert_eq!((scope(&test), manifest(&test).number), (before.clone(), 1));
    write_key('9');
    sync(&test);
    let after = scope(&test);
    assert!(after.len() == 3 && after.iter().all(|one| !before.contains(one)));
    let generations = fs::read_dir(test.dataset_of("schools").join("generations")).unwrap();
    assert_eq!(generations.count(), 1, "the older one is gone at once");
}

/// A wrong clock does not fix the ages for ever.
#[test]
fn a_clock_far_ahead_is_told_and_not_followed() {
    let test = TestRun::local();
    configure(&test, "", "persons = { ages = [0, 150] }");
    test.set_time(CLOCK[0]);
    put(&test, 1, three("20260302"));
    test.set_time("2099-01-01T08:00:00Z");
    let ended = test.sync();
    assert_eq!(ended.code, 1, "{}{}", ended.stderr, ended.text());
    assert_eq!(manifest(&test).day, "2026-03-02");
    assert_told(&test, "`cprflow sync --accept-clock`");
    assert_told(&test, "tenant schools: the current tables are out of date");
    test.set_time(CLOCK[1]);
    assert_eq!(sync(&test).code, 0);
    assert_eq!(manifest(&test).day, "2026-03-03");
    // A machine that was off: the deliveries that came meanwhile say that the clock is right.
    test.set_time("2026-06-01T08:00:00Z");
    put(&test, 2, night("20260529").resident(ALICE, "0265", "Alm"));
    assert_eq!(manifest(&test).day, "2026-06-01");
    // A person can take the clock as right, in both directions.
    for (time, day) in [
        ("2027-06-01T08:00:00Z", "2027-06-01"),
        ("2026-06-02T08:00:00Z", "2026-06-02"),
    ] {
        test.set_time(time);
        assert_eq!(sync(&test).code, 1);
        assert_told(&test, "`cprflow sync --accept-clock`");
        let ended = test.run("sync", &["--accept-clock"]);
        assert!(ended.code < 2, "{}{}", ended.stderr, ended.text());
        assert_eq!(manifest(&test).day, day);
    }
}

/// What is missing is accepted only if a full load has come since.
#[test]
fn missing_extracts_are_not_accepted_before_a_full_load() {
    let test = TestRun::local();
    configure(&test, "", "");
    test.set_time(CLOCK[0]);
    put(&test, 1, three("20260302"));
    fs::remove_dir_all(test.path("state/register/town")).unwrap();
    let accept = || test.run_only("register accept-missing", &["town"]);
    let refused = accept();
    assert_eq!(refused.code, 2);
    let expected = "no full load of agreement town has come";
    assert!(refused.stderr.contains(expected), "{}", refused.stderr);
    // A night of changes is no full load.
    test.set_time(CLOCK[1]);
    let event = [
        ("pnr", ALICE),
        ("event_code", "A01"),
        ("registered", "202603030000"),
    ];
    let change = night("20260303").resident(ALICE, "0265", "Alm");
    test.put("n2", &change.record("099", &event).finish(), &transfer(2));
    test.sync();
    assert_eq!(accept().code, 2);
    test.set_time(CLOCK[2]);
    test.put("n3", &three("20260304").finish(), &transfer(3));
    test.sync();
    assert_eq!(accept().code, 0);
    sync(&test);
    assert_eq!(scope(&test), [ALICE, BERTA, CARLA]);
}

/// A change of a policy that hides most persons can be a mistake.
#[test]
fn a_policy_that_hides_most_persons_waits_for_a_person() {
    for publish in ["", "publish = [\"current\"]\n"] {
        let test = TestRun::local();
        configure(&test, publish, "");
        test.set_time(CLOCK[0]);
        put(&test, 1, three("20260302"));
        // One of three persons is hidden.
        configure(&test, publish, "persons = { municipalities = [\"0265\"] }");
        sync(&test);
        assert_eq!(scope(&test), [ALICE, BERTA]);
        // Both are hidden, though another one is shown.
        configure(&test, publish, "persons = { municipalities = [\"0101\"] }");
        test.set_time(CLOCK[1]);
        let change = night("20260303").resident(CARLA, "0101", "Christ").finish();
        test.put("n2", &change, &transfer(2));
        for _ in 0..2 {
            assert_eq!(test.sync().code, 2);
            assert!(!has_current(&test.dataset_of("schools")));
            let deliveries = usize::from(publish.is_empty());
            assert_eq!(test.published_to("schools").len(), deliveries);
            assert_told(&test, "2 of 2 persons would be hidden");
        }
        // The unrestricted dataset goes on.
        assert_eq!(tables(&test.dataset().join("current"))["person"].len(), 3);
        // Only the policy that a run has judged can be accepted.
        configure(&test, publish, "persons = { municipalities = [\"0102\"] }");
        let accept = || test.run_only("tenant accept", &["schools"]);
        let refused = accept();
        assert_eq!(refused.code, 2);
        assert!(
            refused.stderr.contains("was changed again"),
            "{}",
            refused.stderr
        );
        configure(&test, publish, "persons = { municipalities = [\"0101\"] }");
        let accepted = accept();
        assert_eq!(accepted.code, 0, "{}", accepted.stderr);
        assert!(
            accepted.stderr.contains("2 of 2 persons"),
            "{}",
            accepted.stderr
        );
        sync(&test);
        assert_eq!(scope(&test), [CARLA]);
        assert_eq!(left(&test), [ALICE, BERTA]);
        assert_not_told(&test, "would be hidden");
        assert!(accept().stderr.contains("nothing of this tenant waits"));
    }
}

/// The policy can be corrected instead.
#[test]
fn a_policy_that_was_a_mistake_can_be_corrected() {
    let test = TestRun::local();
    configure(&test, "", "");
    test.set_time(CLOCK[0]);
    put(&test, 1, three("20260302"));
    configure(&test, "", "persons = { municipalities = [\"0101\"] }");
    assert_eq!(test.sync().code, 2);
    assert!(!has_current(&test.dataset_of("schools")));
    configure(&test, "", "");
    sync(&test);
    assert_eq!(scope(&test), [ALICE, BERTA, CARLA]);
    assert_not_told(&test, "would be hidden");
}
