//! An agreement that gets another name, or ends.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use cprflow_connector::generate::{self, Settings};
use cprflow_tests::command::CommandOutput;
use cprflow_tests::extract;
use cprflow_tests::test_run::{TestRun, files, transfer};

/// A run with two nights, the second with leavers for the tenant, of which `town` has published the first.
struct Renamed {
    test: TestRun,
    second: Vec<u8>,
}

fn configuration(agreement: &str, more: &str) -> String {
    format!(
        "{more}[agreement.{agreement}]\ninbox = \"inbox\"\nunrestricted = \"test\"\n\
         [tenant.all]\nagreements = [\"{agreement}\"]\npurpose = \"test\"\ndataset = \"tenants/all\"\n"
    )
}

fn rename(test: &TestRun, old: &str, new: &str) -> CommandOutput {
    let config = test.path("cprflow.toml").display().to_string();
    let arguments = ["agreement", "rename", old, new, "--config", &config];
    test.cprflow(&arguments.map(str::to_owned))
}

/// Returns every file of the datasets with its bytes, by the path below the dataset.
fn contents(test: &TestRun) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for root in [test.dataset(), test.dataset_of("all")] {
        for file in files(&root) {
            let is_current = ["current", "generations"]
                .iter()
                .any(|name| file.starts_with(root.join(name)));
            if !file.ends_with(".lock") && !is_current {
                all.insert(file.clone(), fs::read(file).unwrap());
            }
        }
    }
    all
}

impl Renamed {
    fn new() -> Self {
        let test = TestRun::local();
        let settings = Settings::busy(80, 11);
        let mut second = Vec::new();
        generate::changes(&settings, 1, &mut second).unwrap();
        test.configure(&configuration("town", ""));
        test.put("one", &extract::status(&settings), &transfer(1));
        assert_eq!(test.sync().code, 0);
        Self { test, second }
    }
}

#[test]
fn an_unknown_agreement_with_deliveries_is_refused() {
    let Renamed { test, second } = Renamed::new();
    test.configure(&configuration("city", ""));
    test.put("two", &second, &transfer(2));
    for subcommand in ["sync", "doctor"] {
        let ended = test.run(subcommand, &[]);
        let text = format!("{}{}", ended.stderr, ended.text());
        assert_ne!(ended.code, 0, "{text}");
        assert!(text.contains("cprflow agreement rename town NEW"), "{text}");
        assert!(text.contains("ended_agreements = [\"town\"]"), "{text}");
    }
    assert_eq!(test.published().len(), 1);
    // An agreement that has ended leaves its deliveries.
    test.configure(&configuration("city", "ended_agreements = [\"town\"]\n"));
    let ended = test.sync();
    assert_eq!(ended.code, 0, "{}{}", ended.stderr, ended.text());
    assert_eq!(test.published().len(), 2);
}

#[test]
fn a_renamed_agreement_goes_on_where_it_was() {
    let plain = Renamed::new();
    plain.test.put("two", &plain.second, &transfer(2));
    assert_eq!(plain.test.sync().code, 0);
    let expected: Vec<_> = plain.test.published_to("all").into_iter().collect();

    let Renamed { test, second } = Renamed::new();
    test.configure(&configuration("city", ""));
    let ended = rename(&test, "town", "city");
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(ended.stderr.contains("with 1 delivery"), "{}", ended.stderr);
    test.put("two", &second, &transfer(2));
    let ended = test.sync();
    assert_eq!(ended.code, 0, "{}{}", ended.stderr, ended.text());
    for path in contents(&test).into_keys() {
        let text = path.to_string_lossy();
        // The names of codes belong to no agreement.
        assert!(
            text.contains("agreement=city/") || text.contains("/codes/"),
            "{}",
            path.display()
        );
    }
    for (_, manifest) in test.published().iter().chain(&test.published_to("all")) {
        assert_eq!(manifest.agreement, "city");
    }
    // The tenant's roster was renamed too: the same persons entered and left.
    let found = test.published_to("all");
    assert_eq!(found.len(), expected.len());
    for ((_, found), (_, expected)) in found.iter().zip(&expected) {
        assert_eq!(found.tenant, expected.tenant);
        assert_eq!(found.rows, expected.rows);
    }
    assert_eq!(test.run("doctor", &[]).code, 0);
    let again = rename(&test, "town", "city");
    assert_eq!(again.code, 2);
    assert!(
        again.stderr.contains("nothing to rename"),
        "{}",
        again.stderr
    );
}

#[test]
fn a_rename_that_was_killed_is_completed_by_the_next() {
    let Renamed { test, second } = Renamed::new();
    test.configure(&configuration("city", ""));
    test.stop_command_at("agreement rename", &["town", "city"], "agreement-renaming")
        .kill();
    let ended = test.sync();
    assert_eq!(ended.code, 2, "{}", ended.text());
    assert!(
        ended.stderr.contains("agreement rename"),
        "{}",
        ended.stderr
    );
    assert_eq!(rename(&test, "town", "city").code, 0);
    test.put("two", &second, &transfer(2));
    let ended = test.sync();
    assert_eq!(ended.code, 0, "{}{}", ended.stderr, ended.text());
    assert_eq!(test.published().len(), 2);
    assert_eq!(test.published_to("all").len(), 2);
}

#[test]
fn refuses_names_that_do_not_fit_the_configuration() {
    let Renamed { test, .. } = Renamed::new();
    for (old, new, expected) in [
        ("town", "city", "still has the agreement town"),
        ("city", "village", "has no agreement village"),
        ("city", "town", "no delivery of an agreement city"),
        ("0101801234", "town", "no delivery of an agreement"),
    ] {
        let ended = rename(&test, old, new);
        assert_eq!(ended.code, 2);
        assert!(
            ended.stderr.contains(expected),
            "{old} {new}: {}",
            ended.stderr
        );
    }
    test.configure(&configuration("city", ""));
    fs::create_dir_all(test.dataset().join("agreement=city")).unwrap();
    let before = contents(&test);
    let ended = rename(&test, "town", "city");
    assert_eq!(ended.code, 2);
    assert!(ended.stderr.contains("exists beside"), "{}", ended.stderr);
    assert_eq!(contents(&test), before);
}

/// A dataset that is not mounted would keep the old name for ever.
#[test]
fn a_rename_waits_for_every_dataset() {
    for is_unrestricted in [false, true] {
        for is_killed in [false, true] {
            let Renamed { test, .. } = Renamed::new();
            test.configure(&configuration("city", ""));
            if is_killed {
                test.stop_command_at("agreement rename", &["town", "city"], "agreement-renaming")
                    .kill();
            }
            let dataset = match is_unrestricted {
                true => test.dataset(),
                false => test.dataset_of("all"),
            };
            let aside = test.path("aside");
            fs::rename(&dataset, &aside).unwrap();
            let before = contents(&test);
            let ended = rename(&test, "town", "city");
            assert_eq!(ended.code, 2, "{}", ended.stderr);
            let expected = match is_unrestricted {
                true => format!("nothing was changed: the dataset {} is", dataset.display()),
                false => format!("the dataset {} of tenant all is gone", dataset.display()),
            };
            assert!(ended.stderr.contains(&expected), "{}", ended.stderr);
            assert_eq!(contents(&test), before);
            fs::rename(&aside, &dataset).unwrap();
            assert_eq!(rename(&test, "town", "city").code, 0);
            let ended = test.sync();
            assert_eq!(ended.code, 0, "{}{}", ended.stderr, ended.text());
            assert_eq!(test.published().len(), 1);
            assert_eq!(test.published_to("all").len(), 1);
            assert_eq!(test.run("doctor", &[]).code, 0);
        }
    }
}

/// A dataset that was lost, and comes back after the agreement was renamed, gets the new name too.
#[test]
fn a_dataset_with_the_old_name_is_renamed_later() {
    for is_unrestricted in [false, true] {
        let Renamed { test, second } = Renamed::new();
        test.configure(&configuration("city", ""));
        let dataset = match is_unrestricted {
            true => test.dataset(),
            false => test.dataset_of("all"),
        };
        let old = test.path("old");
        fs::rename(&dataset, &old).unwrap();
        let gone = ["--gone", "--reason", "disk lost"];
        assert_eq!(test.run("set-aside", &gone).code, 0);
        assert_eq!(rename(&test, "town", "city").code, 0);
        test.put("two", &second, &transfer(2));
        assert!(test.sync().code < 2);
        let place = dataset.join("agreement=town");
        fs::rename(old.join("agreement=town"), &place).unwrap();
        assert!(test.sync().code < 2);
        for subcommand in ["status", "doctor"] {
            let ended = test.run(subcommand, &[]);
            assert_eq!(ended.code, 1, "{}", ended.text());
            assert!(
                ended.text().contains("`cprflow agreement rename town NEW`"),
                "{}",
                ended.text()
            );
        }
        let ended = rename(&test, "town", "city");
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        assert!(!place.exists());
        assert_eq!(test.published().len(), 2);
        assert_eq!(test.published_to("all").len(), 2);
        for (_, manifest) in test.published().iter().chain(&test.published_to("all")) {
            assert_eq!(manifest.agreement, "city");
        }
        assert!(test.sync().code < 2);
    }
}
