//! The current tables of tenants: everybody is judged every day, and what is hidden is gone at once.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::fs;
use std::path::Path;

use cprflow_delivery::GenerationManifest;
use cprflow_tests::handmade::Handmade;
use cprflow_tests::reference_reader::{Row, Tables, Value};
use cprflow_tests::test_run::{TestRun, files, tables, transfer};

const ALICE: &str = "0101010010";
const BERTA: &str = "0101010029";
const CARLA: &str = "0101010037";

fn night(date: &str) -> Handmade {
    Handmade::new("431101", date)
}

fn configure(test: &TestRun, top: &str, policy: &str) {
    test.configure(&format!(
        "{top}[agreement.town]\ninbox = \"inbox\"\n[tenant.schools]\nagreements = [\"town\"]\npurpose = \"test\"\n\
         dataset = \"tenants/schools\"\n{policy}\n"
    ));
}

fn put(test: &TestRun, number: u32, extract: Handmade) {
    test.put(&format!("n{number}"), &extract.finish(), &transfer(number));
    let ended = test.sync();
    assert!(ended.code < 2, "{}{}", ended.stderr, ended.text());
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

fn born(extract: Handmade, pnr: &str, birth_date: &str) -> Handmade {
    extract.record(
        "001",
        &[("pnr", pnr), ("status", "01"), ("birth_date", birth_date)],
    )
}

#[test]
fn a_child_enters_the_scope_on_its_birthday_without_a_delivery() {
    let test = TestRun::local();
    configure(&test, "", "persons = { ages = [5, 16] }");
    test.set_time("2026-03-02T08:00:00Z");
    let extract = night("20260302");
    let extract = born(extract, ALICE, "2021-03-04");
    let extract = born(extract, BERTA, "2009-03-05");
    put(&test, 1, born(extract, CARLA, "2015-01-01"));
    let scope = || texts(&current(&test), "person", "pnr");
    assert_eq!(scope(), [BERTA, CARLA]);
    for (time, expected, entered, left) in [
        (
            "2026-03-03T08:00:00Z",
            &[BERTA, CARLA][..],
            &[][..],
            &[][..],
        ),
        (
            "2026-03-04T08:00:00Z",
            &[ALICE, BERTA, CARLA],
            &[ALICE],
            &[],
        ),
        // The second run of a day tells the same.
        (
            "2026-03-04T20:00:00Z",
            &[ALICE, BERTA, CARLA],
            &[ALICE],
            &[],
        ),
        ("2026-03-05T08:00:00Z", &[ALICE, CARLA], &[], &[BERTA]),
        ("2026-03-06T08:00:00Z", &[ALICE, CARLA], &[], &[]),
    ] {
        test.set_time(time);
        let ended = test.sync();
        assert!(ended.code < 2, "{}", ended.stderr);
        assert_eq!(scope(), expected, "{time}");
        let found = current(&test);
        assert_eq!(texts(&found, "into_scope", "pnr"), entered, "{time}");
        assert_eq!(texts(&found, "out_of_scope", "pnr"), left, "{time}");
    }
    let ended = &manifest(&test);
    assert_eq!((ended.persons, ended.entered, ended.left), (2, 0, 0));
    assert_eq!(test.published_to("schools").len(), 1);
}

#[test]
fn a_person_whose_subscription_ended_is_no_longer_shown() {
    let test = TestRun::local();
    configure(&test, "", "");
    test.set_time("2026-03-02T08:00:00Z");
    put(
        &test,
        1,
        night("20260302")
            .resident(ALICE, "0265", "Alm")
            .resident(BERTA, "0265", "Birk"),
    );
    assert_eq!(texts(&current(&test), "person", "pnr"), [ALICE, BERTA]);
    test.set_time("2026-03-03T08:00:00Z");
    put(&test, 2, night("20260303").record("997", &[("pnr", ALICE)]));
    let found = current(&test);
    assert_eq!(texts(&found, "person", "pnr"), [BERTA]);
    assert_eq!(texts(&found, "out_of_scope", "pnr"), [ALICE]);
    assert_eq!(texts(&found, "out_of_scope", "reason"), ["unsubscribed"]);
}

/// Asserts that no table below a directory, current or not, has one of these texts.
fn assert_gone(directory: &Path, hidden: &[&str]) {
    let mut tables_seen = 0;
    for file in files(directory) {
        // The names of codes are the same in every dataset.
        if file
            .parent()
            .is_some_and(|parent| parent.ends_with("codes"))
        {
            continue;
        }
        let bytes = fs::read(&file).unwrap();
        for text in hidden {
            let found = bytes
                .windows(text.len())
                .any(|window| window == text.as_bytes());
            assert!(!found, "{text} is in {}", file.display());
        }
        if file
            .extension()
            .is_some_and(|extension| extension == "parquet")
        {
            tables_seen += 1;
        }
    }
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        let entries = fs::read_dir(&directory).unwrap();
        directories.extend(
            entries
                .map(|one| one.unwrap().path())
                .filter(|path| path.is_dir() && !path.ends_with("codes")),
        );
        let rows = format!("{:?}", own_tables(&directory));
        for text in hidden {
            assert!(
                !rows.contains(text),
                "{text} is below {}",
                directory.display()
            );
        }
    }
    assert!(tables_seen > 0);
}

/// Returns the tables in a directory, without those of its subdirectories.
fn own_tables(directory: &Path) -> Tables {
    let is_file = |path: &Path| {
        path.extension()
            .is_some_and(|extension| extension == "parquet")
    };
    let entries = fs::read_dir(directory).unwrap();
    match entries
        .map(|one| one.unwrap().path())
        .any(|path| is_file(&path))
    {
        true => tables(directory),
        false => Tables::default(),
    }
}

#[test]
fn what_becomes_hidden_is_gone_from_older_generations_at_once() {
    for protection in ["mask", "drop"] {
        let test = TestRun::local();
        let top = "publish = [\"current\"]\n";
        configure(&test, top, &format!("protection = \"{protection}\""));
        test.set_time("2026-03-02T08:00:00Z");
        put(
            &test,
            1,
            night("20260302")
                .resident(ALICE, "0265", "Almindelig")
                .resident(BERTA, "0265", "Birk"),
        );
        assert_eq!(
            texts(&current(&test), "name", "surname"),
            ["Almindelig", "Birk"]
        );
        test.set_time("2026-03-03T08:00:00Z");
        let protected = night("20260303")
            .resident(ALICE, "0265", "Almindelig")
            .record("004", &[("pnr", ALICE), ("protection_type", "0001")]);
        put(&test, 2, protected);
        let shown = texts(&current(&test), "name", "surname");
        assert_eq!(
            shown.last().unwrap(),
            if protection == "mask" { "null" } else { "Birk" }
        );
        assert!(!shown.contains(&"Almindelig".to_owned()));
        let mut hidden = vec!["Almindelig"];
        if protection == "drop" {
            // The table of those who left has the number.
            let left = texts(&current(&test), "out_of_scope", "pnr");
            assert_eq!(left, [ALICE]);
        } else {
            hidden.push("0042");
            // Berta's street is the same, so only Alice's rows count.
            hidden.pop();
        }
        assert_gone(&test.dataset_of("schools"), &hidden);
    }
}

/// If newer tables cannot be made, the older ones may show what is hidden now.
#[test]
fn current_is_withdrawn_if_it_cannot_be_made_again() {
    let test = TestRun::local();
    let key = test.path("schools.key");
    let write_key = || {
        use std::os::unix::fs::PermissionsExt;
        fs::write(
            &key,
            "8d2f1c6f0f6c4f7b9a3d5e7f8091a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3",
        )
        .unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    };
    write_key();
    let top = "publish = [\"current\"]\n";
    configure(
        &test,
        top,
        "numbers = \"pseudonym\"\nkey = { file = \"schools.key\" }",
    );
    test.set_time("2026-03-02T08:00:00Z");
    put(
        &test,
        1,
        night("20260302").resident(ALICE, "0265", "Almindelig"),
    );
    assert_eq!(texts(&current(&test), "name", "surname"), ["Almindelig"]);
    fs::remove_file(&key).unwrap();
    test.set_time("2026-03-03T08:00:00Z");
    // Nothing new came, so nothing can be hidden by it.
    assert_eq!(test.sync().code, 2);
    assert_eq!(texts(&current(&test), "name", "surname"), ["Almindelig"]);
    let extract = night("20260303").resident(BERTA, "0265", "Birk").finish();
    test.put("n2", &extract, &transfer(2));
    assert_eq!(test.sync().code, 2);
    let dataset = test.dataset_of("schools");
    assert!(!dataset.join("current").exists());
    assert!(files(&dataset.join("generations")).is_empty());
    let status = test.run("status", &[]);
    assert_eq!(status.code, 1);
    assert!(
        status.text().contains("were withdrawn"),
        "{}",
        status.text()
    );
    write_key();
    assert_eq!(test.sync().code, 0);
    assert_eq!(
        texts(&current(&test), "name", "surname"),
        ["Almindelig", "Birk"]
    );
}

/// Without the state, it is not known what was protected since the tables were made.
#[test]
fn current_is_withdrawn_if_the_state_is_lost() {
    let test = TestRun::local();
    configure(&test, "", "");
    test.set_time("2026-03-02T08:00:00Z");
    let resident = |date| night(date).resident(ALICE, "0265", "Almindelig");
    put(&test, 1, resident("20260302"));
    assert_eq!(texts(&current(&test), "name", "surname"), ["Almindelig"]);
    fs::remove_dir_all(test.path("state")).unwrap();
    test.set_time("2026-03-03T08:00:00Z");
    let protection = [("pnr", ALICE), ("protection_type", "0001")];
    let extract = resident("20260303").record("004", &protection).finish();
    test.put("n2", &extract, &transfer(2));
    for _ in 0..2 {
        let ended = test.sync();
        assert_ne!(ended.code, 0, "{}", ended.text());
        let dataset = test.dataset_of("schools");
        assert!(fs::symlink_metadata(dataset.join("current")).is_err());
        assert!(files(&dataset.join("generations")).is_empty());
    }
}

/// A narrower policy hides at once. A tenant that was added later gets everybody in scope at once.
#[test]
fn a_changed_policy_and_a_new_tenant_take_effect_at_once() {
    let test = TestRun::local();
    let top = "publish = [\"current\"]\n";
    configure(&test, top, "");
    test.set_time("2026-03-02T08:00:00Z");
    put(
        &test,
        1,
        night("20260302")
            .resident(ALICE, "0265", "Almindelig")
            .resident(BERTA, "0101", "Birk"),
    );
    assert_eq!(texts(&current(&test), "person", "pnr"), [ALICE, BERTA]);
    configure(&test, top, "persons = { municipalities = [\"0101\"] }");
    assert_eq!(test.sync().code, 0);
    assert_eq!(texts(&current(&test), "person", "pnr"), [BERTA]);
    assert_gone(&test.dataset_of("schools"), &["Almindelig"]);
    let more = "[tenant.other]\nagreements = [\"town\"]\npurpose = \"test\"\ndataset = \"tenants/other\"\n\
                persons = { municipalities = [\"0265\"] }";
    configure(&test, top, more);
    assert_eq!(test.sync().code, 0);
    let found = tables(&test.dataset_of("other").join("current"));
    assert_eq!(texts(&found, "person", "pnr"), [ALICE]);
}
