//! The daily job with tenants: each tenant gets its own part of a delivery, and none delays another.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use cprflow_connector::generate::{self, Settings};
use cprflow_tests::extract;
use cprflow_tests::reference_reader::Tables;
use cprflow_tests::scope::{Scope, every_text, municipalities, texts};
use cprflow_tests::test_run::{TestRun, files, tables, transfer};
use serde_json::Value;

/// An agreement on the inbox of the test.
const AGREEMENT: &str = "[agreement.town]\ncontroller = \"The town\"\ninbox = \"inbox\"\n\
                         files = { name = 'd\\d{6}\\.l431101' }\n";

/// No current tables, so that a limit is only exceeded by a delivery.
const DELIVERIES: &str = "publish = [\"deliveries\"]\n";

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

/// Members of the group can read the dataset. Other users cannot, and only the owner can write.
#[test]
fn a_group_may_read_its_tenants_dataset() {
    use std::os::unix::fs::MetadataExt;
    let own = rustix::process::getegid().as_raw();
    // Root can set a group that new files do not have by default.
    let id = match rustix::process::geteuid().is_root() {
        true => 1,
        false => own,
    };
    let test = TestRun::local();
    let with_group = |group: &str| {
        test.configure(&format!(
            "{AGREEMENT}{}{}",
            tenant("shared", "town", &format!("group = {group}\n")),
            tenant("private", "town", "")
        ));
    };
    with_group("\"no-such-group-here\"");
    put(&test, 0, &extract::small(30, 9));
    let ended = test.sync();
    assert_eq!(ended.code, 2);
    let expected = "group: there is no such group on this machine";
    assert!(
        ended
            .stderr
            .contains(&format!("error: tenant shared: {expected}")),
        "{}",
        ended.stderr
    );
    let checked = test.run_only("tenant", &["check", "shared"]);
    assert_eq!(checked.code, 1);
    assert!(checked.text().contains(expected), "{}", checked.text());
    let doctor = test.run("doctor", &[]);
    assert!(
        doctor.text().contains(&format!("FAIL  {expected}")),
        "{}",
        doctor.text()
    );
    assert_eq!(test.published_to("private").len(), 1);
    with_group(&id.to_string());
    put(&test, 1, &extract::small(30, 10));
    let ended = test.sync();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(test.published_to("shared").len(), 2);
    let dataset = test.dataset_of("shared");
    let mut directories = BTreeSet::from([dataset.clone()]);
    for file in files(&dataset) {
        let metadata = fs::metadata(&file).unwrap();
        if file == dataset.join(".lock") {
            // The group is that of cprflow itself.
            assert_eq!(metadata.mode() & 0o7777, 0o600);
            continue;
        }
        assert_eq!(
            (metadata.mode() & 0o7777, metadata.gid()),
            (0o640, id),
            "{}",
            file.display()
        );
        let above = file
            .ancestors()
            .skip(1)
            .take_while(|path| path.starts_with(&dataset));
        directories.extend(above.map(Path::to_owned));
    }
    let generations = fs::read_dir(dataset.join("generations")).unwrap().count();
    assert_eq!(
        directories.len(),
        7 + generations,
        "the dataset, the agreement, two deliveries, the directory of generations, each of them, the link to the newest, and \
         the codes"
    );
    for directory in directories {
        let metadata = fs::metadata(&directory).unwrap();
        assert_eq!((metadata.mode() & 0o7777, metadata.gid()), (0o750, id));
    }
    assert_private(&test.dataset_of("private"));
    assert_private(&test.path("state"));
    let checked = test.run_only("tenant", &["check"]);
    assert!(
        checked.text().contains("the members of group"),
        "{}",
        checked.text()
    );
    let doctor = test.run("doctor", &[]);
    assert!(doctor.text().contains("ok    group: "), "{}", doctor.text());
}

#[test]
fn a_new_ledger_records_the_deliveries_of_tenants() {
    let test = TestRun::local();
    let nights = nights(150, 10);
    let here = &municipalities(&nights[0])[0];
    test.configure(&format!(
        "{AGREEMENT}{}",
        tenant("here", "town", &in_municipality(here))
    ));
    let mut scope = Scope::new(here);
    for (night, extract) in nights.iter().enumerate() {
        let expected = scope.apply(extract);
        put(&test, night, extract);
        assert_eq!(test.sync().code, 0);
        let (directory, manifest) = test.published_to("here").pop().unwrap();
        assert_eq!(manifest.sequence, night as u64 + 1);
        assert_eq!(
            texts(&tables(&directory)["out_of_scope"], "pnr"),
            expected.left
        );
        test.remove_ledger();
    }
    // The same delivery is not published twice.
    put(&test, 0, &nights[0]);
    assert_eq!(test.sync().code, 0);
    assert_eq!(test.published_to("here").len(), nights.len());
    assert!(test.remote().is_empty());
    // Without the roster no leavers could be listed, so the run must stop.
    fs::remove_dir_all(test.path("state/rosters")).unwrap();
    put(&test, 9, &extract::small(30, 1));
    let ended = test.sync();
    assert_eq!(ended.code, 2);
    assert!(
        ended.stderr.contains("put it back from a backup"),
        "{}",
        ended.stderr
    );
    assert_eq!(test.published_to("here").len(), nights.len());
}

/// A second state directory recognises what the first has published to a tenant. Only the first has the roster, so the
/// second publishes nothing.
#[test]
fn a_second_state_directory_publishes_nothing_twice() {
    let test = TestRun::local();
    let nights = nights(60, 10);
    let here = &municipalities(&nights[0])[0];
    test.configure(&format!(
        "{AGREEMENT}{}",
        tenant("here", "town", &in_municipality(here))
    ));
    let other = || {
        let state = test.path("other-state").display().to_string();
        test.run("sync", &["--state", &state])
    };
    assert_eq!(other().code, 0);
    put(&test, 0, &nights[0]);
    assert_eq!(test.sync().code, 0);
    put(&test, 0, &nights[0]);
    // It lacks the key with which the manifest identifies the extract, so the copy on the server stays for a person.
    let ended = other();
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert!(
        ended.text().contains("(transfer-reused)"),
        "{}",
        ended.text()
    );
    assert_eq!(test.published_to("here").len(), 1);
    assert_eq!(test.remote().len(), 2);
    // The first one has the key, and removes the copy.
    assert_eq!(test.sync().code, 0);
    assert!(test.remote().is_empty());
    put(&test, 1, &nights[1]);
    let ended = other();
    assert_eq!(ended.code, 2);
    let told = "put it back from a backup";
    assert!(ended.stderr.contains(told), "{}", ended.stderr);
    // A person of the first delivery is protected now, and this state directory has no extract to make it again.
    assert!(test.published_to("here").is_empty());
}

/// A tenant whose published deliveries cannot be read gets nothing until they can, and then nothing twice. The other
/// tenants continue.
#[test]
fn a_new_ledger_waits_for_a_tenant_whose_deliveries_cannot_be_read() {
    let test = TestRun::local();
    let nights = nights(60, 10);
    let here = &municipalities(&nights[0])[0];
    test.configure(&format!(
        "{AGREEMENT}{}{}",
        tenant("ill", "town", &in_municipality(here)),
        tenant("well", "town", &in_municipality(here))
    ));
    put(&test, 0, &nights[0]);
    assert_eq!(test.sync().code, 0);
    test.remove_ledger();
    let manifest = test.published_to("ill")[0].0.join("_delivery.json");
    let sound = fs::read(&manifest).unwrap();
    fs::write(&manifest, "{").unwrap();
    put(&test, 0, &nights[0]);
    put(&test, 1, &nights[1]);
    let ended = test.sync();
    assert_eq!(ended.code, 2);
    assert!(
        ended.stderr.contains("no description of a delivery"),
        "{}",
        ended.stderr
    );
    assert_eq!(test.published_to("well").len(), 2);
    fs::write(&manifest, sound).unwrap();
    assert_eq!(test.published_to("ill").len(), 1);
    let ended = test.sync();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    for name in ["ill", "well"] {
        assert_eq!(test.published_to(name).len(), 2, "{name}");
    }
    assert!(test.remote().is_empty());
}

/// The current state has no rows and no events of leavers, also with `leavers = "last"`.
#[test]
fn views_exclude_leavers() {
    let test = TestRun::local();
    let nights = nights(200, 11);
    let here = &municipalities(&nights[0])[0];
    let last = format!("leavers = \"last\"\n{}", in_municipality(here));
    test.configure(&format!(
        "{AGREEMENT}{}{}",
        tenant("notice", "town", &in_municipality(here)),
        tenant("last", "town", &last)
    ));
    let mut scope = Scope::new(here);
    let mut left = BTreeSet::new();
    for (night, extract) in nights.iter().enumerate() {
        left.extend(scope.apply(extract).left);
        put(&test, night, extract);
        assert_eq!(test.sync().code, 0);
    }
    left.retain(|number| !scope.persons.contains(number));
    assert!(
        !left.is_empty(),
        "the deliveries have no leavers, so nothing is tested"
    );
    for name in ["notice", "last"] {
        let dataset = test.dataset_of(name);
        let arguments = ["views", "--dialect", "duckdb", dataset.to_str().unwrap()];
        let sql = cprflow_tests::command::cprflow(arguments);
        assert_eq!(sql.code, 0, "{}", sql.stderr);
        let Some(python) = cprflow_tests::python::python() else {
            return;
        };
        let script = test.path("views.sql");
        fs::write(&script, &sql.stdout).unwrap();
        let numbers = |query: &str| -> BTreeSet<String> {
            let program = "import duckdb, sys\n\
                           db = duckdb.connect()\n\
                           db.execute(open(sys.argv[1]).read())\n\
                           print('\\n'.join(row[0] for row in db.execute(sys.argv[2]).fetchall()))";
            let answer = std::process::Command::new(&python)
                .args(["-c", program])
                .arg(&script)
                .arg(query)
                .output()
                .unwrap();
            assert!(
                answer.status.success(),
                "{}",
                String::from_utf8_lossy(&answer.stderr)
            );
            let text = String::from_utf8(answer.stdout).unwrap();
            text.lines()
                .filter(|line| !line.is_empty())
                .map(str::to_owned)
                .collect()
        };
        assert_eq!(numbers("SELECT pnr FROM person"), scope.persons, "{name}");
        let told = numbers("SELECT pnr FROM out_of_scope");
        assert!(left.is_subset(&told), "{name}");
        for table in ["name", "address", "event"] {
            let shown = numbers(&format!("SELECT pnr FROM {table}"));
            assert!(shown.is_disjoint(&left), "{name}: {table}");
            assert!(!shown.is_empty(), "{name}: {table}");
        }
    }
}

/// A late delivery describes an older state. Persons who left in it may be in scope again since then.
#[test]
fn a_late_delivery_removes_no_person_from_the_roster() {
    let test = TestRun::local();
    let status = extract::small(80, 3);
    let here = &municipalities(&status)[0];
    test.configure(&format!(
        "{AGREEMENT}{}",
        tenant("here", "town", &in_municipality(here))
    ));
    let mut scope = Scope::new(here);
    scope.apply(&status);
    assert!(scope.persons.len() > 5);
    let elsewhere: &[u8] = if here == "0101" { b"0851" } else { b"0101" };
    for (night, (date, is_away)) in [("20260310", false), ("20260305", true), ("20260320", true)]
        .into_iter()
        .enumerate()
    {
        let mut lines = extract::lines(&status);
        for line in lines
            .iter_mut()
            .filter(|line| line.starts_with(b"002") && is_away)
        {
            line[13..17].copy_from_slice(elsewhere);
        }
        let start = lines
            .iter_mut()
            .find(|line| line.starts_with(b"000"))
            .unwrap();
        start[19..27].copy_from_slice(date.as_bytes());
        put(&test, night, &extract::join(&lines, b"\n"));
        assert_eq!(test.sync().code, 0);
    }
    let told: Vec<_> = test
        .published_to("here")
        .into_iter()
        .map(|(directory, _)| texts(&tables(&directory)["out_of_scope"], "pnr"))
        .collect();
    // The late delivery lists no leavers, because later deliveries are newer.
    assert_eq!(told, [BTreeSet::new(), BTreeSet::new(), scope.persons]);
}

/// A late delivery with an older state does not bring a leaver back, also if the tenant never had that person.
#[test]
fn a_late_delivery_does_not_restore_leavers() {
    let test = TestRun::local();
    let status = extract::small(80, 3);
    let here = &municipalities(&status)[0];
    test.configure(&format!(
        "{AGREEMENT}{}",
        tenant("here", "town", &in_municipality(here))
    ));
    let mut scope = Scope::new(here);
    scope.apply(&status);
    let gone = scope.persons.first().unwrap().as_bytes().to_vec();
    let of = |date: &str, dead: Option<&[u8]>, only: Option<&[u8]>| {
        let mut lines = extract::lines(&status);
        lines.retain(|line| {
            let is_persons = !line.starts_with(b"000") && !line.starts_with(b"999");
            only.is_none_or(|only| !is_persons || line[3..13] == *only)
        });
        let count = lines.len() - 2;
        for line in &mut lines {
            match &line[..3] {
                b"000" => line[19..27].copy_from_slice(date.as_bytes()),
                b"999" => line[13..21].copy_from_slice(format!("{count:08}").as_bytes()),
                b"001" if dead.is_some_and(|dead| line[3..13] == *dead) => {
                    line[23..25].copy_from_slice(b"90");
                }
                _ => {}
            }
        }
        extract::join(&lines, b"\n")
    };
    let rosters = |ending: &str| {
        let all = fs::read_dir(test.path("state/rosters/here")).unwrap();
        let names = all.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.ends_with(ending)).count()
    };
    put(&test, 0, &of("20260310", Some(&gone), Some(&gone)));
    assert_eq!(test.sync().code, 0);
    put(&test, 1, &of("20260305", None, None));
    let ended = test.sync();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let published = test.published_to("here");
    let late = &published[0].0;
    assert!(late.to_string_lossy().contains("2026-03-05"));
    let came = texts(&tables(late)["person"], "pnr");
    let mut expected = scope.persons.clone();
    expected.pop_first();
    assert_eq!(came, expected);
    assert_eq!((rosters(".roster"), rosters(".delivered")), (1, 2));
    // Without the record of a person, the outcome is not guessed.
    for entry in fs::read_dir(test.path("state/rosters/here")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().unwrap() == "delivered" {
            fs::remove_file(path).unwrap();
        }
    }
    put(&test, 2, &of("20260301", None, None));
    let ended = test.sync();
    assert_eq!(ended.code, 2, "{}", ended.stderr);
    assert!(
        ended
            .stderr
            .contains("persons who left the scope since could come back"),
        "{}",
        ended.stderr
    );
    assert_eq!(test.published_to("here").len(), 2);
}

#[test]
fn prints_a_policy_in_words() {
    let test = TestRun::local();
    key(&test, "key", 'k');
    test.configure(&format!(
        "{AGREEMENT}{}{}{}{}",
        tenant(
            "social",
            "town",
            "numbers = \"pseudonym\"\nkey = { file = \"key\" }\nprotection = \"drop\"\nleavers = \"last\"\n\
             persons = { municipalities = [\"265\"], ages = [18, 66], statuses = [\"01\", \"03\"] }\n\
             rows = { event = \"event_code <> 'A01'\" }\nlimits = { memory_mb = 64, total_seconds = 500 }\n"
        ),
        tenant("church", "town", "church = { purpose = \"membership fees\" }\n"),
        tenant(
            "residents",
            "town",
            "numbers = \"drop\"\nmay_reveal = true\npersons = { municipalities = [\"0265\"], events = [\"A34\"] }\n"
        ),
        tenant("few", "town", "tables = [\"person\"]\n"),
    ));
    let ended = test.run_only("tenant", &["check"]);
    assert_eq!(ended.code, 0, "{}{}", ended.stderr, ended.text());
    let text = ended.text();
    for expected in [
        "what social does",
        "persons who live in municipality 0265, and whose status is 01 or 03, and who are 18 to 66 years old (in deliveries on the production date, in the current tables on their day)",
        "is replaced by a pseudonym",
        "in every table and delivery, and rows are sorted by it",
        "persons who live in municipality 0265, and who are residents (status 01, 03, 05 or 07; `statuses` chooses others), \
         and who have event A34 in the delivery\n",
        "may reveal   yes: persons and rows may be chosen by what the tenant does not see",
        "may reveal   no: a condition on what the tenant does not see is refused",
        "name, address, number, birth date and dates of a relative are null",
        "the rows of those who died, disappeared or lost their number are published once more, unless",
        "church membership is hidden: the tables church and church_history, and its events",
        "are null for A02, A03, A08, A10, A31, A32, A33, A34, A35,",
        "the same for events with the mark BØ, FA, HP,",
        "the table event is hidden",
        "columns with person numbers are left out, and rows are sorted by their values",
        "class religion: table church",
        "church membership is shown, for this purpose: membership fees",
        "memory 64.00 MiB",
        "unparsed lines",
        "policy       sha256:",
    ] {
        assert!(text.contains(expected), "{expected}:\n{text}");
    }
    let list = test.run_only("tenant", &["list"]);
    assert!(list.text().contains("what church does"), "{}", list.text());
    let doctor = test.run("doctor", &[]);
    assert!(
        doctor
            .text()
            .contains("ok    key: the key for pseudonyms can be read"),
        "{}",
        doctor.text()
    );
    assert!(
        doctor
            .text()
            .contains("ok    purpose: each tenant has its own"),
        "{}",
        doctor.text()
    );
}

/// Returns a status file and the change files of the following nights.
fn nights(persons: u64, seed: u64) -> Vec<Vec<u8>> {
    let settings = Settings::busy(persons, seed);
    let changes = |night| {
        let mut bytes = Vec::new();
        generate::changes(&settings, night, &mut bytes).unwrap();
        bytes
    };
    std::iter::once(extract::status(&settings))
        .chain((1..=6).map(changes))
        .collect()
}

fn put(test: &TestRun, night: usize, extract: &[u8]) {
    let name = format!("d2603{:02}.l431101", night + 2);
    test.put(&name, extract, &transfer(night as u32 + 1));
}

/// Returns the configuration of a tenant with a dataset below `tenants`.
fn tenant(name: &str, agreement: &str, more: &str) -> String {
    format!(
        "[tenant.{name}]\nagreements = [\"{agreement}\"]\npurpose = \"what {name} does\"\n\
         dataset = \"tenants/{name}\"\n{more}"
    )
}

fn in_municipality(code: &str) -> String {
    format!("persons = {{ municipalities = [\"{code}\"] }}\n")
}

fn key(test: &TestRun, name: &str, digit: char) {
    let path = test.path(name);
    fs::write(&path, format!("{}\n", String::from(digit).repeat(64))).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
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

fn spooled(test: &TestRun) -> usize {
    files(&test.path("state/spool")).len()
}

/// Returns every file below a directory with its bytes.
fn contents(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let read = |path: PathBuf| (path.clone(), fs::read(path).unwrap());
    files(directory).into_iter().map(read).collect()
}

/// Asserts that every directory and file is accessible to its owner only.
fn assert_private(directory: &Path) {
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(directory), 0o700, "{}", directory.display());
    for file in files(directory) {
        assert_eq!(mode(&file) & 0o077, 0, "{}", file.display());
        assert_eq!(mode(file.parent().unwrap()), 0o700, "{}", file.display());
    }
}

fn is_empty(directory: &Path) -> bool {
    fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_none())
}
