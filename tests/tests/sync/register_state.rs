//! The state of the register as an extract or as tables, and what is kept of persons.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use cprflow_tests::command::CommandOutput;
use cprflow_tests::handmade::Handmade;
use cprflow_tests::reference_reader::{Row, Tables, Value};
use cprflow_tests::rows;
use cprflow_tests::test_run::{TestRun, tables, transfer};

pub(crate) const ALICE: &str = "0101010010";
pub(crate) const BERTA: &str = "0101010029";
pub(crate) const CARLA: &str = "0101010037";
pub(crate) const OLD_ALICE: &str = "0101010045";

pub(crate) fn night(date: &str) -> Handmade {
    Handmade::new("431101", date)
}

pub(crate) fn configure(test: &TestRun, keep: &str) {
    test.configure(&format!(
        "keep_deliveries = \"{keep}\"\n[agreement.town]\ninbox = \"inbox\"\nunrestricted = \"test\"\n[tenant.schools]\n\
         agreements = [\"town\"]\npurpose = \"test\"\ndataset = \"tenants/schools\"\npersons = {{ ages = [5, 16] }}\n\
         [tenant.south]\nagreements = [\"town\"]\npurpose = \"test\"\ndataset = \"tenants/south\"\n\
         persons = {{ municipalities = [\"0265\"] }}\n"
    ));
}

pub(crate) fn put(test: &TestRun, number: u32, time: &str, extract: Handmade) {
    test.set_time(time);
    test.put(&format!("n{number}"), &extract.finish(), &transfer(number));
    let ended = test.sync();
    assert!(ended.code < 2, "{}{}", ended.stderr, ended.text());
}

fn born(extract: Handmade, pnr: &str, birth_date: &str) -> Handmade {
    extract.record(
        "001",
        &[("pnr", pnr), ("status", "01"), ("birth_date", birth_date)],
    )
}

/// Three nights: Alice moves in the second, and Carla's subscription ends in the third.
pub(crate) fn three_nights(test: &TestRun) {
    let event = |pnr| {
        [
            ("pnr", pnr),
            ("registered", "202603010000"),
            ("event_code", "A01"),
        ]
    };
    let first = night("20260302")
        .resident(ALICE, "0265", "Almindelig")
        .record("099", &event(ALICE))
        .resident(BERTA, "0101", "Birk");
    put(
        test,
        1,
        "2026-03-02T08:00:00Z",
        born(first, CARLA, "2021-03-04"),
    );
    let second = night("20260303")
        .resident(ALICE, "0101", "Ask")
        .record("099", &event(BERTA));
    put(test, 2, "2026-03-03T08:00:00Z", second);
    let third = night("20260305").record("997", &[("pnr", CARLA)]);
    put(test, 3, "2026-03-05T08:00:00Z", third);
}

fn texts(tables: &Tables, table: &str, column: &str) -> Vec<String> {
    let value = |row: &Row| match row.iter().find(|(name, _)| name == column) {
        Some((_, Value::Text(text))) => text.clone(),
        other => panic!("{other:?}"),
    };
    let mut texts: Vec<_> = tables[table].iter().map(value).collect();
    texts.sort();
    texts
}

/// Runs a command with an output file, and returns how it ended and the path of the file.
pub(crate) fn write(
    test: &TestRun,
    subcommand: &str,
    more: &[&str],
    file: &str,
) -> (CommandOutput, String) {
    let path = test.path(file).display().to_string();
    let ended = test.run(subcommand, &[more, &["--force", "-o", &path]].concat());
    (ended, path)
}

pub(crate) fn mode(path: &str) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// The rows of tables, without the columns that only a state has, sorted.
fn plain(tables: impl IntoIterator<Item = (String, Vec<Row>)>) -> BTreeMap<String, Vec<String>> {
    let mut all = BTreeMap::new();
    for (table, rows) in tables {
        let row = |mut row: Row| {
            row.retain(|(column, _)| !["line", "as_of", "agreement"].contains(&column.as_str()));
            format!("{row:?}")
        };
        let is_of_person = |row: &Row| row.iter().any(|(column, _)| column == "pnr");
        let rows: Vec<Row> = rows.into_iter().filter(is_of_person).collect();
        let mut rows: Vec<String> = rows.into_iter().map(row).collect();
        rows.sort();
        if !rows.is_empty() {
            all.insert(table, rows);
        }
    }
    all
}

#[test]
fn the_state_is_exported_as_an_extract() {
    let test = TestRun::local();
    configure(&test, "forever");
    three_nights(&test);
    let (ended, path) = write(&test, "register export", &[], "state.cpr");
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(mode(&path), 0o600);
    let exported = fs::read(&path).unwrap();
    let scanned = rows::scan(&exported);
    let current = tables(&test.dataset().join("current"));
    let expected = plain(current);
    assert_eq!(plain(scanned.tables()), expected);
    assert_eq!(expected["person"].len(), 2);
    assert_eq!(expected["event"].len(), 2);
    let verified = test.cprflow(&["verify".to_owned(), path]);
    assert!(verified.code < 2, "{}", verified.text());
    // The state of an earlier day.
    let as_of = ["--as-of", "2026-03-02"];
    let (ended, path) = write(&test, "register export", &as_of, "state.cpr");
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let exported = plain(rows::scan(&fs::read(&path).unwrap()).tables());
    assert_eq!(exported["person"].len(), 3);
    assert!(
        exported["name"]
            .iter()
            .any(|row| row.contains("Almindelig"))
    );
    for (as_of, expected) in [
        ("2026-03-01", "has no extract of that time"),
        ("2026-13-01", "as-of"),
    ] {
        let (ended, _) = write(&test, "register export", &["--as-of", as_of], "other.cpr");
        assert_eq!(ended.code, 2);
        assert!(ended.stderr.contains(expected), "{}", ended.stderr);
        assert!(!test.path("other.cpr").exists());
    }
    let other = ["--agreement", "other"];
    assert_eq!(
        write(&test, "register export", &other, "other.cpr").0.code,
        2
    );
}

#[test]
fn the_state_is_scanned() {
    let test = TestRun::local();
    configure(&test, "forever");
    three_nights(&test);
    let scan = |more: &[&str], file: &str| {
        let mut arguments = vec!["scan".to_owned(), "--config".to_owned()];
        arguments.push(test.path("cprflow.toml").display().to_string());
        arguments.extend(["--register", "town", "--force", "-o"].map(str::to_owned));
        arguments.push(test.path(file).display().to_string());
        arguments.extend(more.iter().map(|one| (*one).to_owned()));
        test.cprflow(&arguments)
    };
    let ended = scan(&["--all"], "now");
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let found = tables(&test.path("now"));
    let current = tables(&test.dataset().join("current"));
    assert_eq!(plain(found.clone()), plain(current));
    assert_eq!(texts(&found, "person", "agreement"), ["town", "town"]);
    let ended = scan(
        &["--table", "person", "--columns", "pnr,as_of,agreement"],
        "origin.csv",
    );
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let text = fs::read_to_string(test.path("origin.csv")).unwrap();
    assert!(
        text.starts_with("pnr,as_of,agreement\n") && text.contains(",town\n"),
        "{text}"
    );
    let ended = scan(&["--all", "--as-of", "2026-03-02"], "then");
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let found = tables(&test.path("then"));
    assert_eq!(texts(&found, "name", "surname"), ["Almindelig", "Birk"]);
    let narrow = [
        "--table",
        "name",
        "--columns",
        "surname",
        "--where",
        "surname = 'Ask'",
    ];
    let ended = scan(&narrow, "name.csv");
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(
        fs::read_to_string(test.path("name.csv")).unwrap(),
        "surname\nAsk\n"
    );
    let ended = scan(&["--all", "--as-of", "2026-03-01"], "none");
    assert_eq!(ended.code, 2);
    for wrong in [&["n1"][..], &["--tenant", "schools"]] {
        let ended = scan(&[&["--table", "name"], wrong].concat(), "name.csv");
        assert_eq!(ended.code, 2, "{}", ended.stderr);
    }
}

/// The state of a day before the retention limit may lack records that were replaced since.
#[test]
fn a_state_that_is_not_complete_any_more_is_refused() {
    let test = TestRun::local();
    configure(&test, "30d");
    three_nights(&test);
    put(
        &test,
        4,
        "2026-04-20T08:00:00Z",
        night("20260420").resident(BERTA, "0265", "Bo"),
    );
    let export = |day: &str| write(&test, "register export", &["--as-of", day], "state.cpr").0;
    let refused = export("2026-03-02");
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    let expected = "The earliest complete day is 2026-04-20";
    assert!(refused.stderr.contains(expected), "{}", refused.stderr);
    assert_eq!(export("2026-04-20").code, 0);
}

#[test]
fn shows_everything_that_is_kept_of_a_person() {
    let test = TestRun::local();
    configure(&test, "forever");
    three_nights(&test);
    let former = [("pnr", ALICE), ("former_pnr", OLD_ALICE)];
    let fourth = night("20260306")
        .resident(ALICE, "0265", "Ask")
        .record("022", &former);
    put(&test, 4, "2026-03-06T08:00:00Z", fourth);
    let list = test.path("numbers.txt");
    fs::write(&list, format!("{ALICE}\n{CARLA}\n")).unwrap();
    fs::set_permissions(&list, fs::Permissions::from_mode(0o600)).unwrap();
    let list = list.display().to_string();
    let show = |format: &str| {
        let arguments = ["--numbers", &list, "--format", format];
        let (ended, path) = write(&test, "register show", &arguments, "answer");
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        assert_eq!(mode(&path), 0o600);
        fs::read_to_string(path).unwrap()
    };
    let answer: serde_json::Value = serde_json::from_str(&show("json")).unwrap();
    let alice = &answer["persons"][0];
    assert_eq!(alice["number"], ALICE);
    assert_eq!(alice["other_numbers"], serde_json::json!([OLD_ALICE]));
    assert_eq!(alice["records"]["name"][0]["surname"], "Ask");
    assert_eq!(alice["records"]["event"].as_array().unwrap().len(), 1);
    let dates = |person: &serde_json::Value| {
        let deliveries = person["deliveries"].as_array().unwrap().iter();
        let date =
            |delivery: &serde_json::Value| delivery["production_date"].as_str().unwrap().to_owned();
        deliveries.map(date).collect::<Vec<_>>()
    };
    assert_eq!(dates(alice), ["2026-03-02", "2026-03-03", "2026-03-06"]);
    assert_eq!(alice["deliveries"][0]["records"]["address"], 1);
    // Alice has been in scope of the south again since the sixth, and no child.
    let tenants = serde_json::json!([
        {"tenant": "schools", "in_scope": false, "since": null, "is_without_numbers": false},
        {"tenant": "south", "in_scope": true, "since": "2026-03-06", "is_without_numbers": false},
    ]);
    assert_eq!(alice["tenants"], tenants);
    let stored: Vec<_> = alice["stored"].as_array().unwrap().iter().collect();
    for path in &stored {
        assert!(Path::new(path.as_str().unwrap()).exists(), "{path}");
    }
    let all = format!("{stored:?}");
    for expected in [
        "state/register/town/",
        "disk/dataset/generations/",
        "disk/dataset/agreement=town/",
        "tenants/south/generations/",
        "state/generations/south",
        "tenants/south/agreement=town/",
    ] {
        assert!(all.contains(expected), "{expected}: {all}");
    }
    let carla = &answer["persons"][1];
    assert_eq!(dates(carla), ["2026-03-02", "2026-03-05"]);
    assert!(
        carla["records"].as_object().unwrap().is_empty(),
        "the subscription has ended"
    );
    let text = show("text");
    assert!(text.contains("south: in scope since 2026-03-06") && text.contains(OLD_ALICE));
    // A list that others can read is refused, and a number on the command line too.
    fs::set_permissions(&list, fs::Permissions::from_mode(0o644)).unwrap();
    let refused = write(&test, "register show", &["--numbers", &list], "answer").0;
    assert_eq!(refused.code, 2);
    // An empty list is about no tenant and no subscription.
    fs::set_permissions(&list, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&list, "\n").unwrap();
    let empty = write(&test, "register show", &["--numbers", &list], "answer").0;
    assert_eq!(empty.code, 2);
    let told = format!("{list}: the list has no person number. Check");
    assert!(empty.stderr.contains(&told), "{}", empty.stderr);
    assert!(!empty.stderr.contains("tenant"), "{}", empty.stderr);
    let named = test.run("register show", &["--numbers", ALICE]);
    assert_eq!(named.code, 2);
}

#[test]
fn metrics_tell_the_current_tables() {
    let test = TestRun::local();
    configure(&test, "forever");
    three_nights(&test);
    test.set_time("2026-03-05T09:00:00Z");
    let path = test.path("metrics.prom").display().to_string();
    let metrics = || {
        test.run("status", &["--metrics", &path]);
        fs::read_to_string(&path).unwrap()
    };
    let text = metrics();
    for expected in [
        "cprflow_current_generation{agreement=\"town\"} 3\n",
        "cprflow_current_generation{tenant=\"south\"} 3\n",
        "cprflow_current_age_seconds{agreement=\"town\"} 3600\n",
        "cprflow_current_persons{tenant=\"south\"} 0\n",
        "cprflow_current_withdrawn{tenant=\"south\"} 0\n",
        "cprflow_tenants_withdrawn 0\n",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    assert!(!text.contains("cprflow_current_persons{agreement"));
    // A tenant whose tables cannot be made.
    fs::remove_dir_all(test.path("state/register/town")).unwrap();
    test.set_time("2026-03-06T09:00:00Z");
    test.put(
        "n4",
        &night("20260306").resident(ALICE, "0265", "Ask").finish(),
        &transfer(4),
    );
    assert_eq!(test.sync().code, 2);
    assert!(
        metrics().contains("cprflow_tenants_withdrawn 2\n"),
        "{}",
        metrics()
    );
}
