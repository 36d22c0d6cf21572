//! Kills a run with SIGKILL while it keeps an extract and makes current tables. After the next run the tables are those
//! of a run without a kill, and nothing is left over.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::fs;
use std::path::Path;

use cprflow_delivery::GenerationManifest;
use cprflow_tests::handmade::Handmade;
use cprflow_tests::reference_reader::Tables;
use cprflow_tests::test_run::{TestRun, files, tables, transfer};

const ALICE: &str = "0101010010";
const BERTA: &str = "0101010029";

/// Every step of keeping an extract and making the current tables of the unrestricted dataset, in order.
const POINTS: &[&str] = &[
    "kept",
    "committed",
    "current-dataset",
    "generation-staged",
    "generation-added",
    "current-linked",
    "current-switched",
    "generations-removed",
    "generation-recorded",
];

/// Every step of making the current tables of a tenant.
const TENANT_POINTS: &[&str] = &[
    "current-reading",
    "generation-roster",
    "generation-staged",
    "generation-added",
    "current-linked",
    "current-switched",
    "generations-removed",
    "generation-recorded",
];

fn nights() -> [Vec<u8>; 2] {
    let first = Handmade::new("431101", "20260302")
        .resident(ALICE, "0265", "Almindelig")
        .resident(BERTA, "0265", "Birk");
    let second = Handmade::new("431101", "20260303")
        .resident(ALICE, "0265", "Almindelig")
        .record("004", &[("pnr", ALICE), ("protection_type", "0001")]);
    [first.finish(), second.finish()]
}

fn put(test: &TestRun, number: u32) {
    let extract = &nights()[number as usize - 1];
    test.put(&format!("n{number}"), extract, &transfer(number));
}

fn manifest(dataset: &Path) -> Option<GenerationManifest> {
    let text = fs::read(dataset.join("current/_generation.json")).ok()?;
    Some(serde_json::from_slice(&text).unwrap())
}

/// Asserts that `current` leads to a complete generation, if it exists.
fn assert_whole(dataset: &Path, point: &str) {
    if !dataset.join("current").exists() {
        return;
    }
    let manifest = manifest(dataset).unwrap_or_else(|| panic!("{point}: no manifest"));
    let found = tables(&dataset.join("current"));
    for (table, rows) in &manifest.rows {
        assert_eq!(found[table].len() as u64, *rows, "{point}: {table}");
    }
}

/// Asserts that nothing of a killed run is left in a dataset and in the state directory.
fn assert_tidy(test: &TestRun, dataset: &Path, point: &str) {
    let names = |path: &Path| {
        let entries = fs::read_dir(path).into_iter().flatten();
        let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
        entries.map(name).collect::<Vec<_>>()
    };
    assert!(
        !names(dataset).iter().any(|name| name == ".current.new"),
        "{point}"
    );
    let parent = dataset.parent().unwrap();
    let staging = |name: &std::ffi::OsString| name.to_string_lossy().ends_with(".staging");
    assert!(!names(parent).iter().any(staging), "{point}");
    let kept = files(&test.path("state/register"));
    assert_eq!(kept.len(), 2, "{point}");
    let manifest = manifest(dataset).unwrap();
    for name in names(&dataset.join("generations")) {
        let number: u64 = name.to_string_lossy().parse().unwrap();
        assert!(
            number <= manifest.number,
            "{point}: a generation that was never current"
        );
    }
}

fn without_generation(mut found: Tables) -> Tables {
    // The second night is compared with another generation of the same day if the first run was killed.
    found.retain(|table, _| table != "into_scope" && table != "out_of_scope");
    found
}

#[test]
fn killed_while_the_tables_of_the_dataset_are_made() {
    let unharmed = TestRun::local();
    for number in [1, 2] {
        put(&unharmed, number);
        assert_eq!(unharmed.sync().code, 0);
    }
    let expected = tables(&unharmed.dataset().join("current"));
    assert_eq!(expected["name"].len(), 2);
    for point in POINTS {
        let test = TestRun::local();
        put(&test, 1);
        test.stop_at(point).kill();
        assert_whole(&test.dataset(), point);
        put(&test, 2);
        test.stop_at(point).kill();
        assert_whole(&test.dataset(), point);
        let ended = test.sync();
        assert_eq!(ended.code, 0, "{point}: {}{}", ended.stderr, ended.text());
        assert!(
            tables(&test.dataset().join("current")) == expected,
            "{point}"
        );
        test.assert_published(&[&nights()[0], &nights()[1]]);
        assert_tidy(&test, &test.dataset(), point);
        assert!(test.remote().is_empty(), "{point}");
        let quiet = test.sync();
        assert_eq!((quiet.code, quiet.text()), (0, "nothing new\n"), "{point}");
    }
}

#[test]
fn killed_while_the_tables_of_a_tenant_are_made() {
    let run = || {
        let test = TestRun::local();
        test.configure(
            "publish = [\"current\"]\n[agreement.town]\ninbox = \"inbox\"\n[tenant.one]\nagreements = [\"town\"]\n\
             purpose = \"test\"\ndataset = \"tenants/one\"\n",
        );
        test
    };
    let unharmed = run();
    for number in [1, 2] {
        put(&unharmed, number);
        assert_eq!(unharmed.sync().code, 0);
    }
    let tables_of = |test: &TestRun| tables(&test.dataset_of("one").join("current"));
    let expected = without_generation(tables_of(&unharmed));
    for point in TENANT_POINTS {
        let test = run();
        for number in [1, 2] {
            put(&test, number);
            test.stop_at(point).kill();
            assert_whole(&test.dataset_of("one"), point);
        }
        let ended = test.sync();
        assert_eq!(ended.code, 0, "{point}: {}{}", ended.stderr, ended.text());
        assert!(without_generation(tables_of(&test)) == expected, "{point}");
        assert_tidy(&test, &test.dataset_of("one"), point);
        // What was visible before Alice was protected is gone, whenever the run was killed.
        let generations = test.dataset_of("one").join("generations");
        for entry in fs::read_dir(&generations).unwrap() {
            let rows = format!("{:?}", tables(&entry.unwrap().path()));
            assert!(!rows.contains("Almindelig"), "{point}");
        }
        let lists = files(&test.path("state/generations/one"));
        let count = |ending: &str| {
            let is_one =
                |path: &&std::path::PathBuf| path.extension().is_some_and(|own| own == ending);
            lists.iter().filter(is_one).count()
        };
        assert!((1..=2).contains(&count("roster")), "{point}: {lists:?}");
        assert_eq!(count("shown"), 1, "{point}: {lists:?}");
        let quiet = test.sync();
        assert_eq!((quiet.code, quiet.text()), (0, "nothing new\n"), "{point}");
    }
}
