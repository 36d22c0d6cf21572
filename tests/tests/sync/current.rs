//! The current tables of the unrestricted dataset, and the register that they are made from.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use cprflow_delivery::GenerationManifest;
use cprflow_tests::extract;
use cprflow_tests::handmade::Handmade;
use cprflow_tests::reference_reader::{Row, Tables, Value};
use cprflow_tests::rows;
use cprflow_tests::test_run::{TestRun, files, tables, transfer};

const ALICE: &str = "0101010010";
const BERTA: &str = "0101010029";
const CARLA: &str = "0101010037";

fn night(date: &str) -> Handmade {
    Handmade::new("431101", date)
}

fn current(test: &TestRun) -> Tables {
    tables(&test.dataset().join("current"))
}

fn manifest(dataset: &Path) -> GenerationManifest {
    let text = fs::read(dataset.join("current/_generation.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

/// Returns the values of a column, sorted.
fn texts(tables: &Tables, table: &str, column: &str) -> Vec<String> {
    let value = |row: &Row| match row.iter().find(|(name, _)| name == column) {
        Some((_, Value::Text(text))) => text.clone(),
        Some((_, Value::Days(days))) => days.to_string(),
        other => panic!("{other:?}"),
    };
    let mut texts: Vec<_> = tables[table].iter().map(value).collect();
    texts.sort();
    texts
}

fn put(test: &TestRun, number: u32, extract: &[u8]) {
    test.put(&format!("n{number}"), extract, &transfer(number));
}

/// The rows of a whole extract, as the current tables have them: without `line`, with `as_of` and `agreement`.
fn expected(extract: &[u8], days: i64) -> BTreeMap<String, Vec<Row>> {
    let mut expected = BTreeMap::new();
    for (table, mut rows) in rows::scan(extract).tables() {
        for row in &mut rows {
            row.retain(|(column, _)| column != "line");
            row.push(("as_of".to_owned(), Value::Days(days)));
            row.push(("agreement".to_owned(), Value::Text("default".to_owned())));
        }
        let is_of_persons = rows
            .iter()
            .all(|row| row.iter().any(|(name, _)| name == "pnr"));
        if is_of_persons {
            rows.sort_by_key(|row| format!("{row:?}"));
            expected.insert(table, rows);
        }
    }
    expected
}

#[test]
fn shows_every_row_of_a_first_delivery() {
    let test = TestRun::local();
    test.set_time("2026-03-03T08:00:00Z");
    let extract = extract::small(60, 3);
    put(&test, 1, &extract);
    let ended = test.sync();
    assert_eq!(ended.code, 0, "{}{}", ended.stderr, ended.text());
    assert!(
        ended.text().contains("generation 1 for 2026-03-03"),
        "{}",
        ended.text()
    );
    let produced = test.published()[0]
        .1
        .production_date
        .parse::<jiff::civil::Date>();
    let days = jiff::civil::date(1970, 1, 1)
        .until(produced.unwrap())
        .unwrap()
        .get_days();
    let expected = expected(&extract, days.into());
    let found = current(&test);
    assert!(found.len() > 30, "empty tables too");
    for (table, mut rows) in found {
        rows.sort_by_key(|row| format!("{row:?}"));
        let expected = expected.get(&table).cloned().unwrap_or_default();
        assert!(rows == expected, "{table}");
    }
    let link = fs::read_link(test.dataset().join("current")).unwrap();
    assert_eq!(link, Path::new("generations/000001"));
    let manifest = manifest(&test.dataset());
    assert_eq!((manifest.number, manifest.day.as_str()), (1, "2026-03-03"));
    assert_eq!(manifest.policy, "unrestricted");
    assert_eq!(manifest.purposes, ["test"]);
    assert_eq!(manifest.extracts.len(), 1);
    for file in files(&test.dataset().join("generations")) {
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", file.display());
    }
}

#[test]
fn the_newest_delivery_of_a_person_counts() {
    let test = TestRun::local();
    put(
        &test,
        1,
        &night("20260302")
            .resident(ALICE, "0265", "Alm")
            .resident(BERTA, "0265", "Birk")
            .finish(),
    );
    assert_eq!(test.sync().code, 0);
    assert_eq!(texts(&current(&test), "person", "pnr"), [ALICE, BERTA]);
    let second = night("20260304").resident(BERTA, "0101", "Bro").finish();
    put(&test, 2, &second);
    assert_eq!(test.sync().code, 0);
    let found = current(&test);
    assert_eq!(texts(&found, "person", "pnr"), [ALICE, BERTA]);
    assert_eq!(texts(&found, "name", "surname"), ["Alm", "Bro"]);
    assert_eq!(
        texts(&found, "address", "municipality_code"),
        ["0101", "0265"]
    );
    // A late delivery changes only who is not in a newer one.
    let late = night("20260303")
        .resident(BERTA, "0265", "Late")
        .resident(CARLA, "0265", "Christ")
        .finish();
    put(&test, 3, &late);
    assert_eq!(test.sync().code, 0);
    let found = current(&test);
    assert_eq!(texts(&found, "name", "surname"), ["Alm", "Bro", "Christ"]);
    // The receipt says that the subscription of a person has ended.
    let ended = night("20260305").record("997", &[("pnr", ALICE)]).finish();
    put(&test, 4, &ended);
    assert_eq!(test.sync().code, 0);
    let found = current(&test);
    assert_eq!(texts(&found, "person", "pnr"), [BERTA, CARLA]);
    assert_eq!(texts(&found, "name", "surname"), ["Bro", "Christ"]);
    assert_eq!(manifest(&test.dataset()).extracts.len(), 4);
}

#[test]
fn a_generation_is_made_once_a_day_and_lives_two_days() {
    let test = TestRun::local();
    let generations = || {
        let directory = fs::read_dir(test.dataset().join("generations")).unwrap();
        let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
        let mut names: Vec<_> = directory.map(name).collect();
        names.sort();
        names
            .iter()
            .map(|name| name.to_string_lossy().parse().unwrap())
            .collect::<Vec<u32>>()
    };
    test.set_time("2026-03-02T08:00:00Z");
    put(
        &test,
        1,
        &night("20260302").resident(ALICE, "0265", "Alm").finish(),
    );
    assert_eq!(test.sync().code, 0);
    for (time, expected) in [
        ("2026-03-02T20:00:00Z", &[1][..]),
        // In Denmark, this is the next day.
        ("2026-03-02T23:30:00Z", &[1, 2]),
        // The clock went back.
        ("2026-03-02T08:00:00Z", &[1, 2]),
        ("2026-03-03T08:00:00Z", &[1, 2]),
        ("2026-03-04T08:00:00Z", &[1, 2, 3]),
        ("2026-03-05T08:00:00Z", &[2, 3, 4]),
        ("2026-03-09T08:00:00Z", &[4, 5]),
    ] {
        test.set_time(time);
        let ended = test.sync();
        assert!(ended.code < 2, "{}", ended.stderr);
        assert_eq!(generations(), expected, "{time}");
    }
    assert_eq!(manifest(&test.dataset()).day, "2026-03-09");
}

#[test]
fn only_what_is_configured_is_published() {
    let test = TestRun::local();
    let configure = |publish: &str| {
        test.configure(&format!(
            "publish = {publish}\n[agreement.town]\ninbox = \"inbox\"\nunrestricted = \"test\"\n"
        ));
    };
    configure("[\"current\"]");
    put(
        &test,
        1,
        &night("20260302").resident(ALICE, "0265", "Alm").finish(),
    );
    let ended = test.sync();
    assert_eq!(ended.code, 0, "{}{}", ended.stderr, ended.text());
    assert!(test.published().is_empty());
    assert!(test.remote().is_empty(), "removed from the server");
    assert_eq!(texts(&current(&test), "person", "pnr"), [ALICE]);
    let quiet = test.sync();
    assert_eq!((quiet.code, quiet.text()), (0, "nothing new\n"));
    configure("[\"deliveries\"]");
    put(
        &test,
        2,
        &night("20260303").resident(BERTA, "0265", "Birk").finish(),
    );
    assert_eq!(test.sync().code, 0);
    assert_eq!(test.published().len(), 1);
    assert!(!test.dataset().join("current").exists());
    assert!(files(&test.dataset().join("generations")).is_empty());
    configure("[\"current\", \"deliveries\"]");
    assert_eq!(test.sync().code, 0);
    assert_eq!(texts(&current(&test), "person", "pnr"), [ALICE, BERTA]);
}

/// If only the current tables are published, they must have a delivery before it is removed from the server.
#[test]
fn a_delivery_stays_on_the_server_until_it_is_current() {
    let test = TestRun::local();
    test.configure(
        "publish = [\"current\"]\n[agreement.town]\ninbox = \"inbox\"\nunrestricted = \"test\"\n",
    );
    put(
        &test,
        1,
        &night("20260302").resident(ALICE, "0265", "Alm").finish(),
    );
    fs::create_dir_all(test.dataset().join("current")).unwrap();
    fs::set_permissions(test.dataset(), fs::Permissions::from_mode(0o700)).unwrap();
    let ended = test.sync();
    assert_eq!(ended.code, 2, "{}", ended.text());
    assert!(
        ended.stderr.contains("something else is there"),
        "{}",
        ended.stderr
    );
    assert_eq!(test.remote().len(), 2);
    fs::remove_dir(test.dataset().join("current")).unwrap();
    let ended = test.sync();
    assert_eq!(ended.code, 0, "{}{}", ended.stderr, ended.text());
    assert!(test.remote().is_empty());
    assert_eq!(texts(&current(&test), "person", "pnr"), [ALICE]);
}

#[test]
fn the_register_keeps_every_applied_extract_and_nothing_else() {
    let test = TestRun::local();
    let kept = || -> Vec<PathBuf> { files(&test.path("state/register")) };
    let first = night("20260302").resident(ALICE, "0265", "Alm").finish();
    put(&test, 1, &first);
    let mut cut = night("20260303").resident(BERTA, "0265", "Birk").finish();
    cut.truncate(cut.len() - 12);
    put(&test, 2, &cut);
    assert_eq!(test.sync().code, 1);
    let path = test.path(&format!("state/register/default/{}.cpr.zst", transfer(1)));
    assert_eq!(kept(), std::slice::from_ref(&path));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    // A lost ledger knows the extract again, and makes the same tables.
    test.remove_ledger();
    put(
        &test,
        3,
        &night("20260304").resident(CARLA, "0265", "Christ").finish(),
    );
    assert_eq!(test.sync().code, 1);
    assert_eq!(kept().len(), 2);
    assert_eq!(texts(&current(&test), "person", "pnr"), [ALICE, CARLA]);
    // A changed file is told by `status`, and nothing is made from it.
    fs::write(&path, "x").unwrap();
    let status = test.run("status", &[]);
    assert_eq!(status.code, 1);
    assert!(
        status.text().contains("are gone or were changed"),
        "{}",
        status.text()
    );
    put(
        &test,
        4,
        &night("20260305").resident(BERTA, "0265", "Birk").finish(),
    );
    let ended = test.sync();
    assert_eq!(ended.code, 2);
    assert!(
        ended.stderr.contains("is gone or was changed"),
        "{}",
        ended.stderr
    );
    assert_eq!(texts(&current(&test), "person", "pnr"), [ALICE, CARLA]);
    let status = test.run("status", &[]);
    assert!(
        status.text().contains("are out of date"),
        "{}",
        status.text()
    );
    // Without a backup, a new full load has the persons again.
    put(
        &test,
        5,
        &night("20260306").resident(ALICE, "0265", "Alm").finish(),
    );
    assert_eq!(test.sync().code, 2);
    assert_eq!(test.run("register accept-missing", &["default"]).code, 0);
    assert!(test.sync().code < 2);
    assert_eq!(
        texts(&current(&test), "person", "pnr"),
        [ALICE, BERTA, CARLA]
    );
}

/// Without the extracts of earlier deliveries, persons would be missing.
#[test]
fn an_incomplete_register_makes_no_current_tables() {
    let test = TestRun::local();
    put(
        &test,
        1,
        &night("20260302").resident(ALICE, "0265", "Alm").finish(),
    );
    assert_eq!(test.sync().code, 0);
    fs::remove_dir_all(test.path("state")).unwrap();
    put(
        &test,
        2,
        &night("20260303").resident(BERTA, "0265", "Birk").finish(),
    );
    let ended = test.sync();
    assert_eq!(ended.code, 1, "{}", ended.text());
    assert!(
        ended.stderr.contains("register accept-missing"),
        "{}",
        ended.stderr
    );
    assert_eq!(test.published().len(), 2, "deliveries are published");
    let accepted = test.run("register accept-missing", &["default"]);
    assert_eq!(accepted.code, 0, "{}", accepted.stderr);
    assert_eq!(test.sync().code, 0);
    assert_eq!(texts(&current(&test), "person", "pnr"), [BERTA]);
}

/// A reader that resolves the link once reads tables that belong together, while generations switch.
#[test]
fn a_reader_that_resolves_the_link_once_never_fails_and_never_mixes() {
    let test = TestRun::local();
    put(
        &test,
        1,
        &night("20260301").resident(ALICE, "0265", "Night1").finish(),
    );
    assert_eq!(test.sync().code, 0);
    let is_done = AtomicBool::new(false);
    let link = test.dataset().join("current");
    let reads = thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut reads = 0;
            while !is_done.load(Ordering::Relaxed) {
                let resolved = fs::canonicalize(&link).unwrap();
                let text = fs::read(resolved.join("_generation.json")).unwrap();
                let manifest: GenerationManifest = serde_json::from_slice(&text).unwrap();
                let tables = tables(&resolved);
                let dates = texts(&tables, "person", "as_of");
                assert_eq!(dates, texts(&tables, "name", "as_of"));
                assert_eq!(dates, texts(&tables, "address", "as_of"));
                assert_eq!(manifest.rows["person"], tables["person"].len() as u64);
                reads += 1;
            }
            reads
        });
        for number in 2..8 {
            let extract = night(&format!("2026030{number}"))
                .resident(ALICE, "0265", &format!("Night{number}"))
                .finish();
            put(&test, number, &extract);
            assert_eq!(test.sync().code, 0);
        }
        is_done.store(true, Ordering::Relaxed);
        reader.join().unwrap()
    });
    assert!(reads > 6, "{reads}");
    assert_eq!(texts(&current(&test), "name", "surname"), ["Night7"]);
}
