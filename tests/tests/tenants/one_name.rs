//! Datasets of tenants that are named without a directory (`dataset = "schools"`), by a configuration that is named without
//! one too. [`std::path::Path::parent`] of such a name is empty, and no file has the empty name.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use cprflow_tests::command::{CommandOutput, command};
use cprflow_tests::search::files_with;
use cprflow_tests::test_run::{TestRun, transfer};

use crate::hidden_later::{ALICE, town};

/// The options that name the configuration in the working directory.
const CONFIGURATIONS: [&[&str]; 3] = [
    &[],
    &["--config", "cprflow.toml"],
    &["--config", "./cprflow.toml"],
];

fn start() -> TestRun {
    let test = TestRun::local();
    test.configure(
        "[agreement.town]\ninbox = \"inbox\"\n\
         [tenant.schools]\nagreements = [\"town\"]\npurpose = \"test\"\ndataset = \"schools\"\n",
    );
    let extract = town("20260302").resident(ALICE, "0265", "Anders");
    test.put("town1", &extract.finish(), &transfer(1));
    test
}

/// Runs a command in the directory of the configuration.
fn run(test: &TestRun, arguments: &[&str], configuration: &[&str]) -> CommandOutput {
    let output = command()
        .args(arguments)
        .args(configuration)
        .current_dir(test.path(""))
        .env("CPRFLOW_NOW", "2026-03-05T08:00:00Z")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    test.search(&stderr);
    CommandOutput {
        code: output.status.code().unwrap(),
        stdout: output.stdout,
        stderr,
    }
}

#[test]
fn a_dataset_beside_the_configuration_is_published() {
    for configuration in CONFIGURATIONS {
        let test = start();
        // Before the first run, no directory of the tenant exists.
        for arguments in [
            &["tenant", "check"][..],
            &["doctor"],
            &["sync"],
            &["status", "--deep"],
            &["doctor", "--deep"],
            &["sync"],
        ] {
            let ended = run(&test, arguments, configuration);
            assert_eq!(
                ended.code,
                0,
                "{arguments:?} {configuration:?}: {}{}",
                ended.text(),
                ended.stderr
            );
        }
        let schools = test.path("schools");
        assert!(
            !files_with(&schools, "Anders").is_empty(),
            "{configuration:?}"
        );
        assert!(!test.path(".schools.staging").exists(), "{configuration:?}");
    }
}

/// Other users could divert what is prepared beside the dataset.
#[test]
fn the_directory_of_the_configuration_is_checked_as_any_parent() {
    for configuration in CONFIGURATIONS {
        let test = start();
        fs::set_permissions(test.path(""), Permissions::from_mode(0o777)).unwrap();
        let doctor = run(&test, &["doctor"], configuration);
        let sync = run(&test, &["sync"], configuration);
        fs::set_permissions(test.path(""), Permissions::from_mode(0o755)).unwrap();
        for (command, ended) in [("doctor", doctor), ("sync", sync)] {
            let said = format!("{}{}", ended.text(), ended.stderr);
            assert_ne!(ended.code, 0, "{command} {configuration:?}: {said}");
            assert!(
                said.contains("every user can write to this directory"),
                "{command} {configuration:?}: {said}"
            );
        }
        assert!(
            files_with(&test.path("schools"), "Anders").is_empty(),
            "{configuration:?}"
        );
    }
}
