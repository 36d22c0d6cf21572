//! Kills an erasure with SIGKILL at every step. After the next run of the daily job, everything that was asked for is erased,
//! and nothing else.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::fs;
use std::path::{Path, PathBuf};

use cprflow_tests::handmade::Handmade;
use cprflow_tests::reference_reader::Tables;
use cprflow_tests::search::files_with;
use cprflow_tests::test_run::{TestRun, tables, transfer};

const ALICE: &str = "0101010010";
const BERTA: &str = "0101010029";
const SURNAME: &str = "Almindelig";

/// Every step of an erasure, in order.
const POINTS: &[&str] = &[
    "erase-ordered",
    "erase-remembered",
    "erase-rewritten",
    "erase-noted",
    "erase-replaced",
    "erase-extracts",
    "erase-rosters",
    "erase-hidden",
    "erase-spool",
    "erase-lists",
    // The unrestricted dataset.
    "rewriting-staged",
    "rewriting-exchanged",
    "erase-exchanged",
    "erase-recorded",
    // The tenant.
    "rewriting-scanned",
    "rewriting-begun",
    "rewriting-cleared",
    "rewriting-recorded",
    // The current tables.
    "generation-staged",
    "generation-added",
    "current-switched",
    "generations-removed",
    "generation-recorded",
    "erase-cleaned",
    "erase-proved",
    "erase-done",
];

/// Every step of erasing an agreement.
const AGREEMENT_POINTS: &[&str] = &["erase-agreement-noted", "erase-agreement-removed"];

/// Every step of erasing what a tenant has.
const TENANT_POINTS: &[&str] = &["erase-tenant-noted", "erase-tenant-removed"];

fn two_nights() -> TestRun {
    let test = TestRun::local();
    test.configure(
        "[agreement.town]\ninbox = \"inbox\"\nunrestricted = \"test\"\n[tenant.one]\nagreements = [\"town\"]\n\
         purpose = \"test\"\ndataset = \"tenants/one\"\n",
    );
    let night = |date: &str| Handmade::new("431101", date);
    let nights = [
        night("20260302")
            .resident(ALICE, "0265", SURNAME)
            .resident(BERTA, "0265", "Birk"),
        night("20260303").resident(ALICE, "0265", SURNAME),
    ];
    for (number, extract) in (1..).zip(nights) {
        test.put(&format!("n{number}"), &extract.finish(), &transfer(number));
        assert_eq!(test.sync().code, 0);
    }
    fs::write(test.path("persons"), format!("{ALICE}\n")).unwrap();
    test
}

fn found(test: &TestRun, text: &str) -> Vec<PathBuf> {
    let places = ["state", "disk", "tenants"].map(|place| test.path(place));
    places
        .iter()
        .flat_map(|place| files_with(place, text))
        .collect()
}

fn published(test: &TestRun) -> Vec<Tables> {
    let all = test.published().into_iter().chain(test.published_to("one"));
    let mut all: Vec<_> = all.map(|(directory, _)| tables(&directory)).collect();
    for dataset in [test.dataset(), test.dataset_of("one")] {
        let mut current = tables(&dataset.join("current"));
        // They are compared with another generation if the first run was killed.
        current.retain(|table, _| table != "into_scope" && table != "out_of_scope");
        all.push(current);
    }
    all
}

fn assert_tidy(test: &TestRun, point: &str) {
    assert!(!test.path("state/erasing").exists(), "{point}");
    for place in ["disk", "tenants"] {
        let names = |path: &Path| fs::read_dir(path).unwrap().count();
        assert_eq!(names(&test.path(place)), 1, "{point}: {place}");
    }
    let quiet = test.sync();
    assert_eq!((quiet.code, quiet.text()), (0, "nothing new\n"), "{point}");
    let status = test.run("status", &["--deep"]);
    let text = status.text();
    assert!(!text.contains("missing or changed"), "{point}: {text}");
}

#[test]
fn killed_while_a_person_is_erased() {
    let arguments = |test: &TestRun| {
        let persons = test.path("persons").display().to_string();
        [
            "--numbers".to_owned(),
            persons,
            "--yes".to_owned(),
            "--not-subscribed".to_owned(),
        ]
    };
    let unharmed = two_nights();
    let own = arguments(&unharmed);
    let own: Vec<&str> = own.iter().map(String::as_str).collect();
    let ended = unharmed.run("erase", &own);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let expected = published(&unharmed);
    assert!(format!("{expected:?}").contains("Birk"));
    for point in POINTS {
        let test = two_nights();
        let own = arguments(&test);
        let own: Vec<&str> = own.iter().map(String::as_str).collect();
        test.stop_command_at("erase", &own, point).kill();
        // The daily job is killed at the same step, if it comes to it.
        if ["erase-remembered", "erase-rosters", "rewriting-exchanged"].contains(point) {
            test.stop_at(point).kill();
        }
        let ended = test.sync();
        assert_eq!(ended.code, 0, "{point}: {}{}", ended.stderr, ended.text());
        for text in [ALICE, SURNAME] {
            let left = found(&test, text);
            assert!(left.is_empty(), "{point}: {text} is in {left:?}");
        }
        assert!(published(&test) == expected, "{point}");
        let proofs = fs::read_to_string(test.path("state/erasures.jsonl")).unwrap();
        assert_eq!(proofs.lines().count(), 1, "{point}");
        assert_tidy(&test, point);
    }
}

/// Returns the files and directories below one that are not complete.
fn unfinished(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with(".tmp") || name.ends_with(".part") {
            found.push(path);
        } else if path.is_dir() {
            found.extend(unfinished(&path));
        }
    }
    found
}

/// A file that has no name yet can have the numbers in clear.
#[test]
fn killed_before_a_private_file_has_its_name() {
    for file in ["erasing", "erasures"] {
        let test = two_nights();
        let persons = test.path("persons").display().to_string();
        let arguments = ["--numbers", &persons, "--yes", "--not-subscribed"];
        let point = format!("private-file:{file}");
        test.stop_command_at("erase", &arguments, &point).kill();
        let state = test.path("state");
        assert!(!unfinished(&state).is_empty(), "{file}");
        // Any command that locks the state directory removes it.
        let ended = test.sync();
        assert_eq!(ended.code, 0, "{file}: {}{}", ended.stderr, ended.text());
        let left = unfinished(&state);
        assert!(left.is_empty(), "{file}: {left:?}");
        let ended = test.run("erase", &arguments);
        assert_eq!(ended.code, 0, "{file}: {}", ended.stderr);
        for text in [ALICE, SURNAME] {
            let left = found(&test, text);
            assert!(left.is_empty(), "{file}: {text} is in {left:?}");
        }
    }
}

/// A new list without the persons would bring them back.
#[test]
fn killed_while_a_lost_list_begins_again() {
    let points = [
        ("erase-list-lost", false),
        ("private-file:erasures", false),
        ("erase-remembered", true),
    ];
    for (point, goes_on) in points {
        let test = two_nights();
        let persons = test.path("persons").display().to_string();
        let arguments = ["--numbers", &persons, "--yes", "--not-subscribed"];
        assert_eq!(test.run("erase", &arguments).code, 0);
        fs::remove_file(test.path("state/erasures")).unwrap();
        let again = [&arguments[..], &["--list-lost"]].concat();
        test.stop_command_at("erase", &again, point).kill();
        // An extract from before the erasure.
        let late = Handmade::new("431101", "20260301").resident(ALICE, "0265", SURNAME);
        test.put("n3", &late.finish(), &transfer(3));
        let ended = test.sync();
        assert_eq!(ended.code < 2, goes_on, "{point}: {}", ended.stderr);
        assert!(found(&test, SURNAME).is_empty(), "{point}");
        let ended = test.run("erase", &again);
        assert!(ended.code < 2, "{point}: {}", ended.stderr);
        let ended = test.sync();
        assert!(ended.code < 2, "{point}: {}", ended.stderr);
        assert!(found(&test, SURNAME).is_empty(), "{point}");
        assert!(!test.path("state/erasing").exists(), "{point}");
    }
}

#[test]
fn killed_while_the_ledger_is_copied() {
    let test = two_nights();
    let target = test.path("backup.tar").display().to_string();
    let arguments = ["-o", &target];
    test.stop_command_at("backup", &arguments, "backup-copied")
        .kill();
    let state = test.path("state");
    assert!(!unfinished(&state).is_empty());
    assert_eq!(test.sync().code, 0);
    let left = unfinished(&state);
    assert!(left.is_empty(), "{left:?}");
}

/// The backup has no name yet. The next one removes what is left of it.
#[test]
fn killed_before_a_backup_has_its_name() {
    let test = two_nights();
    let target = test.path("backup.tar").display().to_string();
    let arguments = ["-o", &target];
    let left = || {
        let names = fs::read_dir(test.path("")).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
        names
            .filter(|name| name.starts_with(".backup.tar-") && name.ends_with(".part"))
            .count()
    };
    test.stop_command_at("backup", &arguments, "backup-written")
        .kill();
    assert_eq!(left(), 1);
    assert!(!Path::new(&target).exists());
    let ended = test.run_only("backup", &arguments);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(Path::new(&target).is_file());
    assert_eq!(left(), 0);
}

#[test]
fn killed_while_a_tenant_is_erased() {
    for point in TENANT_POINTS {
        let test = two_nights();
        let arguments = ["--tenant", "one", "--yes"];
        test.stop_command_at("erase", &arguments, point).kill();
        let ended = test.sync();
        // `status` says that the tenant's current tables are gone.
        assert!(ended.code < 2, "{point}: {}{}", ended.stderr, ended.text());
        assert!(test.published_to("one").is_empty(), "{point}");
        assert!(!test.dataset_of("one").join("current").exists(), "{point}");
        assert_eq!(test.published().len(), 2, "{point}");
        assert!(!test.path("state/erasing").exists(), "{point}");
    }
}

#[test]
fn killed_while_an_agreement_is_erased() {
    for point in AGREEMENT_POINTS {
        let test = two_nights();
        test.configure(
            "ended_agreements = [\"town\"]\n[agreement.other]\ninbox = \"inbox\"\nunrestricted = \"test\"\n\
             files.name = \"o.*\"\n[tenant.one]\nagreements = [\"other\"]\npurpose = \"test\"\n\
             dataset = \"tenants/one\"\n",
        );
        let arguments = ["--agreement", "town", "--yes"];
        test.stop_command_at("erase", &arguments, point).kill();
        let ended = test.sync();
        assert_eq!(ended.code, 0, "{point}: {}{}", ended.stderr, ended.text());
        for text in [ALICE, SURNAME, "Birk"] {
            let left = found(&test, text);
            assert!(left.is_empty(), "{point}: {text} is in {left:?}");
        }
    }
}
