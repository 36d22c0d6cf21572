//! Published deliveries whose extracts the register lacks, and whose files the server still has, or has again.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use cprflow_tests::command::CommandOutput;
use cprflow_tests::handmade::Handmade;
use cprflow_tests::search::files_with;
use cprflow_tests::test_run::{TestRun, transfer};

const ALICE: &str = "0101010010";
const BERTA: &str = "0101010029";
const CARLA: &str = "0101010037";

fn night(date: &str) -> Handmade {
    Handmade::new("431101", date)
}

fn first() -> Handmade {
    night("20260302").resident(ALICE, "0265", "Almindelig")
}

fn second() -> Handmade {
    night("20260303").resident(BERTA, "0265", "Birk")
}

/// Who gets the deliveries, and what is published.
struct Setup {
    publish: &'static str,
    is_unrestricted: bool,
    has_tenant: bool,
}

const SETUPS: [Setup; 4] = [
    Setup {
        publish: "\"current\", \"deliveries\"",
        is_unrestricted: false,
        has_tenant: true,
    },
    Setup {
        publish: "\"current\", \"deliveries\"",
        is_unrestricted: true,
        has_tenant: false,
    },
    Setup {
        publish: "\"current\"",
        is_unrestricted: true,
        has_tenant: true,
    },
    Setup {
        publish: "\"current\", \"deliveries\"",
        is_unrestricted: true,
        has_tenant: true,
    },
];

impl Setup {
    fn start(&self) -> TestRun {
        let test = TestRun::local();
        let unrestricted = match self.is_unrestricted {
            true => "unrestricted = \"test\"\n",
            false => "",
        };
        let tenant = match self.has_tenant {
            true => {
                "[tenant.schools]\nagreements = [\"town\"]\npurpose = \"test\"\ndataset = \"tenants/schools\"\n"
            }
            false => "",
        };
        test.configure(&format!(
            "publish = [{}]\n[agreement.town]\ninbox = \"inbox\"\n{unrestricted}{tenant}",
            self.publish
        ));
        test
    }

    /// The datasets in which the persons are.
    fn datasets(&self, test: &TestRun) -> Vec<PathBuf> {
        let unrestricted = self.is_unrestricted.then(|| test.dataset());
        let tenant = self.has_tenant.then(|| test.path("tenants/schools"));
        unrestricted.into_iter().chain(tenant).collect()
    }
}

fn put(test: &TestRun, number: u32, extract: Handmade) {
    test.put(&format!("n{number}"), &extract.finish(), &transfer(number));
}

fn night_of(test: &TestRun, number: u32, extract: Handmade) -> CommandOutput {
    test.set_time(&format!("2026-03-{:02}T08:00:00Z", number + 1));
    put(test, number, extract);
    test.sync()
}

/// The file of a delivery in the register.
fn kept(test: &TestRun, number: u32) -> PathBuf {
    let register = test.path("state/register/town");
    register.join(format!("{}.cpr.zst", transfer(number)))
}

/// Two nights. The register lacks the second one afterwards.
fn lose(test: &TestRun, is_restored: bool) {
    assert_eq!(night_of(test, 1, first()).code, 0);
    let file = test.path("backup.tar");
    let file = file.to_str().unwrap();
    assert_eq!(test.run_only("backup", &["-o", file]).code, 0);
    assert_eq!(night_of(test, 2, second()).code, 0);
    assert!(test.remote().is_empty());
    assert!(kept(test, 2).is_file());
    match is_restored {
        true => assert_eq!(test.run_only("restore", &[file, "--yes"]).code, 1),
        false => fs::remove_file(kept(test, 2)).unwrap(),
    }
    assert!(!kept(test, 2).exists());
}

/// The extract comes back into the register, and the file is removed from the server only then.
#[test]
fn a_delivery_that_the_register_lacks_is_kept_from_the_server() {
    for setup in SETUPS {
        for is_restored in [true, false] {
            let what = format!(
                "{} {} {} {is_restored}",
                setup.publish, setup.is_unrestricted, setup.has_tenant
            );
            let test = setup.start();
            lose(&test, is_restored);
            let before = kept(&test, 1);
            put(&test, 2, second());
            let ended = test.sync();
            assert!(ended.code < 2, "{what}: {}", ended.stderr);
            let register = test.path("state/register/town");
            assert_eq!(files_with(&register, "Birk"), [kept(&test, 2)], "{what}");
            assert!(before.is_file());
            assert_eq!(test.remote(), Vec::<String>::new(), "{what}");
            // The current tables have everybody again.
            for dataset in setup.datasets(&test) {
                let newest = fs::canonicalize(dataset.join("current")).unwrap();
                for name in ["Almindelig", "Birk"] {
                    assert!(!files_with(&newest, name).is_empty(), "{what}: {name}");
                }
            }
            let ended = test.sync();
            assert_eq!(ended.code, 0, "{what}: {}", ended.stderr);
            assert!(files_with(&test.path("state/spool"), "Birk").is_empty());
        }
    }
}

/// A file with other bytes is not the delivery that was published. It stays on the server.
#[test]
fn a_file_with_other_bytes_stays_on_the_server() {
    for is_restored in [true, false] {
        let test = SETUPS[0].start();
        lose(&test, is_restored);
        put(&test, 2, night("20260303").resident(BERTA, "0265", "Bang"));
        for _ in 0..2 {
            let ended = test.sync();
            assert!(
                ended.stderr.contains("transfer-reused")
                    || ended.text().contains("transfer-reused"),
                "{}{}",
                ended.stderr,
                ended.text()
            );
            assert_eq!(test.remote().len(), 2);
            assert!(!kept(&test, 2).exists());
            assert!(files_with(&test.path("state"), "Bang").is_empty());
            if is_restored {
                assert!(!test.path("tenants/schools/current").exists());
            }
        }
        // The right file takes its place.
        put(&test, 2, second());
        let ended = test.sync();
        assert!(ended.code < 2, "{}", ended.stderr);
        assert!(kept(&test, 2).is_file());
        assert!(test.remote().is_empty());
    }
}

/// A run that is killed after the extract was kept, or before the file was removed, is continued by the next one.
#[test]
fn a_run_that_was_killed_is_continued() {
    for point in ["downloaded", "kept", "committed", "kept-again", "data-gone"] {
        let test = SETUPS[3].start();
        lose(&test, true);
        put(&test, 2, second());
        test.stop_at(point).kill();
        let ended = test.sync();
        assert!(ended.code < 2, "{point}: {}", ended.stderr);
        assert!(kept(&test, 2).is_file(), "{point}");
        assert!(test.remote().is_empty(), "{point}: {:?}", test.remote());
        assert_eq!(test.sync().code, 0, "{point}");
    }
}

/// Persons who were erased are left out of an extract that is kept again.
#[test]
fn erased_persons_do_not_come_back_with_the_file() {
    let test = SETUPS[3].start();
    let both = || first().resident(CARLA, "0265", "Ask");
    assert_eq!(night_of(&test, 1, both()).code, 0);
    assert_eq!(night_of(&test, 2, second()).code, 0);
    let receipt = night("20260304").record("997", &[("pnr", ALICE)]);
    assert_eq!(night_of(&test, 3, receipt).code, 0);
    let list = test.path("erase.txt");
    fs::write(&list, ALICE).unwrap();
    fs::set_permissions(&list, fs::Permissions::from_mode(0o600)).unwrap();
    let erased = test.run_only("erase", &["--numbers", list.to_str().unwrap(), "--yes"]);
    assert_eq!(erased.code, 0, "{}", erased.stderr);
    let register = test.path("state/register/town");
    for file in files_with(&register, "Ask") {
        fs::remove_file(file).unwrap();
    }
    put(&test, 1, both());
    let ended = test.sync();
    assert!(ended.code < 2, "{}", ended.stderr);
    assert!(test.remote().is_empty());
    assert_eq!(files_with(&register, "Ask").len(), 1);
    for directory in ["state", "tenants", "disk"] {
        let found = files_with(&test.path(directory), "Almindelig");
        assert!(found.is_empty(), "{found:?}");
    }
}
