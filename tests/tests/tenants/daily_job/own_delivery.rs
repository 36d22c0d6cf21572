//! What each tenant gets of a delivery, and what a scan for it returns.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use cprflow_tests::extract;
use cprflow_tests::reference_reader::Tables;
use cprflow_tests::scope::{Scope, every_text, municipalities, texts};
use cprflow_tests::test_run::{TestRun, files, tables};
use serde_json::Value;

use super::{AGREEMENT, assert_private, in_municipality, key, nights, put, tenant};

#[test]
fn each_tenant_gets_only_its_own_delivery() {
    let test = TestRun::local();
    let nights = nights(200, 1);
    let [north, south, ..] = &municipalities(&nights[0])[..] else {
        panic!("two municipalities")
    };
    test.configure(&format!(
        "{AGREEMENT}[agreement.other]\ninbox = \"inbox\"\nfiles = {{ name = 'x.*' }}\n{}{}{}",
        tenant("north", "town", &in_municipality(north)),
        tenant("south", "town", &in_municipality(south)),
        tenant("elsewhere", "other", ""),
    ));
    let mut scopes = BTreeMap::from([("north", Scope::new(north)), ("south", Scope::new(south))]);
    for (night, extract) in nights.iter().enumerate() {
        put(&test, night, extract);
        let ended = test.sync();
        assert_eq!(ended.code, 0, "{}{}", ended.stderr, ended.text());
        for (name, scope) in &mut scopes {
            let expected = scope.apply(extract);
            let published = test.published_to(name);
            let (directory, manifest) = published.last().unwrap();
            assert_eq!(published.len(), night + 1);
            let found = tables(directory);
            assert!(!found.contains_key("church") && !found.contains_key("unknown_record"));
            assert_eq!(texts(&found["person"], "pnr"), expected.chosen);
            assert_eq!(texts(&found["out_of_scope"], "pnr"), expected.left);
            let own = manifest.tenant.as_ref().unwrap();
            assert_eq!(
                (own.persons, own.entered, own.left),
                (
                    expected.chosen.len() as u64,
                    expected.entered.len() as u64,
                    expected.left.len() as u64
                )
            );
            assert_eq!(manifest.rows["person"], found["person"].len() as u64);
            assert_eq!(manifest.purpose, format!("what {name} does"));
            assert!(
                manifest.policy.starts_with("sha256:"),
                "{}",
                manifest.policy
            );
            assert_eq!(manifest.controller.as_deref(), Some("The town"));
        }
    }
    assert!(
        test.remote().is_empty(),
        "both tenants have it, so the server's copy is removed"
    );
    assert!(
        !test.dataset().exists(),
        "no unrestricted dataset is configured"
    );
    assert!(test.published_to("elsewhere").is_empty());
    assert!(is_empty(&test.path("state/spool/town")));
    // No name, directory or person number of one tenant is in the dataset of the other.
    for (one, other) in [("north", "south"), ("south", "north")] {
        for file in files(&test.dataset_of(one)) {
            let bytes = fs::read(&file).unwrap();
            let path = file.strip_prefix(test.dataset_of(one)).unwrap();
            assert!(!path.to_string_lossy().contains(other));
            if path.ends_with("_delivery.json") {
                assert!(!String::from_utf8(bytes).unwrap().contains(other));
            }
        }
    }
    assert_private(&test.path("tenants/north"));
    assert_private(&test.path("state"));
    // A tenant of another agreement is refused.
    let refused = scan(
        &test,
        "elsewhere",
        &nights[0],
        &["--agreement", "town", "--table", "person"],
    );
    assert_eq!(refused.0, 2);
    assert!(
        refused
            .1
            .contains("may not see data of that agreement, only of other"),
        "{}",
        refused.1
    );
}

#[test]
fn publishes_the_unrestricted_dataset_too_if_configured() {
    let test = TestRun::local();
    let extract = extract::small(60, 4);
    test.configure(&format!(
        "{AGREEMENT}unrestricted = \"everything\"\nchurch.purpose = \"everything\"\n{}",
        tenant("here", "town", "")
    ));
    put(&test, 0, &extract);
    let ended = test.run("sync", &["--format", "json"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    test.assert_published(&[&extract]);
    let report: Value = serde_json::from_str(ended.text()).unwrap();
    assert_eq!(report["published"][0]["tenant"], Value::Null);
    assert_eq!(report["published"][1]["tenant"], "here");
    let found = tables(&test.published_to("here")[0].0);
    assert_eq!(found["person"].len(), 60);
    assert!(test.remote().is_empty());
}

#[test]
fn a_scan_for_a_tenant_returns_its_delivery() {
    let test = TestRun::local();
    let nights = nights(150, 5);
    let here = &municipalities(&nights[0])[0];
    test.configure(&format!(
        "{AGREEMENT}{}{}",
        tenant("here", "town", &in_municipality(here)),
        tenant(
            "hidden",
            "town",
            &format!(
                "numbers = \"pseudonym\"\nkey = {{ file = \"key\" }}\n{}",
                in_municipality(here)
            )
        ),
    ));
    key(&test, "key", 'k');
    for (night, extract) in nights.iter().enumerate() {
        let before = contents(&test.path("state/rosters"));
        let mut shown = BTreeMap::new();
        for name in ["here", "hidden"] {
            let directory = test.path(&format!("shown-{name}-{night}"));
            let output = directory.display().to_string();
            let (code, said) = scan(
                &test,
                name,
                extract,
                &["--all", "--format", "parquet", "-o", &output],
            );
            assert_eq!(code, 0, "{said}");
            shown.insert(name, tables(&directory));
        }
        assert_eq!(
            contents(&test.path("state/rosters")),
            before,
            "a scan changes nothing"
        );
        put(&test, night, extract);
        assert_eq!(test.sync().code, 0);
        for (name, shown) in shown {
            let (directory, _) = test.published_to(name).pop().unwrap();
            assert!(shown == tables(&directory), "{name}, night {night}");
        }
    }
    let (code, said) = scan(&test, "nobody", &nights[0], &["--table", "person"]);
    assert_eq!(code, 2);
    assert!(said.contains("there are: here, hidden"), "{said}");
}

#[test]
fn pseudonyms_join_within_one_tenant_only() {
    let test = TestRun::local();
    let nights = nights(150, 6);
    let pseudonyms =
        |file: &str| format!("numbers = \"pseudonym\"\nkey = {{ file = \"{file}\" }}\n");
    test.configure(&format!(
        "{AGREEMENT}{}{}",
        tenant("one", "town", &pseudonyms("one.key")),
        tenant("two", "town", &pseudonyms("two.key")),
    ));
    key(&test, "one.key", '1');
    key(&test, "two.key", '2');
    let mut numbers = BTreeSet::new();
    for (night, extract) in nights.iter().enumerate() {
        put(&test, night, extract);
        assert_eq!(test.sync().code, 0);
        let lines = extract::lines(extract);
        let keyed = lines.iter().filter(|line| line.starts_with(b"001"));
        numbers.extend(keyed.map(|line| String::from_utf8(line[3..13].to_vec()).unwrap()));
    }
    let all = |name: &str| -> Vec<Tables> {
        let published = test.published_to(name).into_iter();
        published.map(|(directory, _)| tables(&directory)).collect()
    };
    let (one, two) = (all("one"), all("two"));
    let persons: Vec<_> = one
        .iter()
        .map(|night| texts(&night["person"], "pnr"))
        .collect();
    assert_eq!(persons[0].len(), 150);
    assert!(persons.iter().flatten().all(|pseudonym| {
        pseudonym.len() == 64
            && pseudonym
                .bytes()
                .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    }));
    for night in &one {
        let known = texts(&night["person"], "pnr");
        for table in ["name", "address", "event"] {
            let named = texts(&night[table], "pnr");
            // A status file contains no events.
            let is_some = table == "event" || !named.is_empty();
            assert!(named.is_subset(&known) && is_some, "{table}");
        }
    }
    assert!(
        persons[1..]
            .iter()
            .all(|night| night.intersection(&persons[0]).count() > 0)
    );
    let other: BTreeSet<_> = two
        .iter()
        .flat_map(|night| texts(&night["person"], "pnr"))
        .collect();
    assert_eq!(
        persons
            .iter()
            .flatten()
            .filter(|pseudonym| other.contains(*pseudonym))
            .count(),
        0
    );
    for night in one.iter().chain(&two) {
        let said = every_text(night);
        assert_eq!(
            numbers
                .iter()
                .filter(|number| said.contains(*number))
                .count(),
            0
        );
    }
}

/// Runs `cprflow scan --tenant`. Returns the exit code and the output.
fn scan(test: &TestRun, tenant: &str, extract: &[u8], more: &[&str]) -> (i32, String) {
    let input = test.path("shown.cpr");
    fs::write(&input, extract).unwrap();
    let mut arguments = vec!["scan".to_owned(), input.display().to_string()];
    arguments.extend(["--tenant", tenant, "--config"].map(str::to_owned));
    arguments.push(test.path("cprflow.toml").display().to_string());
    arguments.extend(more.iter().map(|argument| (*argument).to_owned()));
    let ended = cprflow_tests::command::cprflow(arguments);
    (ended.code, ended.stderr)
}

/// Returns every file below a directory with its bytes.
fn contents(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let read = |path: PathBuf| (path.clone(), fs::read(path).unwrap());
    files(directory).into_iter().map(read).collect()
}

fn is_empty(directory: &Path) -> bool {
    fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_none())
}
