//! The command as a process.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use cprflow_platform::{ASSUMPTIONS, Agreement, Fault, Hazard};
use rustix::process::{Pid, Signal, kill_process};

use crate::client::{Client, agent};

fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cprflow-platform"));
    command.env("COLUMNS", "100");
    command
}

fn run(arguments: &[&str], directory: &Path) -> Output {
    let mut command = command();
    command.args(arguments);
    if !directory.as_os_str().is_empty() {
        command.arg("--directory").arg(directory);
    }
    command.output().unwrap()
}

fn said(output: &Output) -> String {
    let said = [output.stdout.as_slice(), &output.stderr].concat();
    String::from_utf8(said).unwrap()
}

/// A running stand-in that is ended with the test.
struct Serving(Child);

impl Serving {
    /// Starts one and waits until it has said how to reach it.
    fn start(directory: &Path) -> Self {
        let mut child = command()
            .args([
                "serve",
                "--persons",
                "500",
                "--agreements",
                "2",
                "--directory",
            ])
            .arg(directory)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let mut lines = out.lines().map(Result::unwrap);
        let last = lines.find(|line| line.starts_with("nights made"));
        assert!(last.is_some());
        Self(child)
    }

    fn end(mut self) {
        let id = Pid::from_child(&self.0);
        kill_process(id, Signal::TERM).unwrap();
        assert!(self.0.wait().unwrap().success());
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _killed = self.0.kill();
        let _ended = self.0.wait();
    }
}

#[test]
fn a_stand_in_serves_obeys_and_goes_on_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let serving = Serving::start(directory.path());
    let client = |directory: &Path| {
        let text = std::fs::read(directory.join("platform.json")).unwrap();
        let told: serde_json::Value = serde_json::from_slice(&text).unwrap();
        let path = |value: &serde_json::Value| PathBuf::from(value.as_str().unwrap());
        let certificate = path(&told["client"]["certificate"]);
        let key = path(&told["client"]["key"]);
        let ca = path(&told["ca"]);
        let patience = std::time::Duration::from_secs(10);
        Client {
            agent: agent(&ca, Some((&certificate, &key)), patience),
            url: told["url"].as_str().unwrap().to_owned(),
            agreement: Agreement::of_seed(1, 1),
        }
    };
    assert_eq!(client(directory.path()).add_municipality("0851"), "ADDED");
    let night = said(&run(&["night"], directory.path()));
    assert!(
        night.contains("night 1 of 2026-03-03: 1 deliveries"),
        "{night}"
    );
    assert!(night.contains("d260303.l431102"), "{night}");
    let armed = run(&["arm", "unknown-result"], directory.path());
    assert!(armed.status.success());
    assert_eq!(
        client(directory.path()).add_municipality("0851"),
        "POSTPONED"
    );
    assert!(
        run(&["hazard", "metadata-late"], directory.path())
            .status
            .success()
    );
    run(&["night", "--count", "3"], directory.path());
    let completed = said(&run(&["complete"], directory.path()));
    assert_eq!(completed, "1 uploads completed\n");
    let seen = said(&run(&["seen"], directory.path()));
    assert_eq!(seen.lines().count(), 2, "{seen}");

    let twice = run(&["serve"], directory.path());
    assert_eq!(twice.status.code(), Some(2));
    assert!(said(&twice).contains("running in"), "{}", said(&twice));
    serving.end();

    let serving = Serving::start(directory.path());
    assert_eq!(
        client(directory.path()).add_municipality("0851"),
        "ALREADY_EXISTED"
    );
    let night = said(&run(&["night"], directory.path()));
    assert!(night.starts_with("night 5 "), "{night}");
    serving.end();
    let nobody = run(&["night"], directory.path());
    assert_eq!(nobody.status.code(), Some(2));
    assert!(said(&nobody).contains("no stand-in answers"));
}

#[test]
fn assumptions_faults_and_examples_are_told() {
    let nowhere = Path::new("");
    let assumptions = said(&run(&["--assumptions"], nowhere));
    for assumption in ASSUMPTIONS {
        assert!(assumptions.contains(assumption.name));
    }
    let faults = said(&run(&["--faults"], nowhere));
    assert_eq!(
        faults.lines().count(),
        Fault::all().len() + Hazard::ALL.len()
    );
    for help in [vec!["--help"], vec!["serve", "--help"]] {
        let help = said(&run(&help, nowhere));
        assert!(help.contains("Example"), "{help}");
        assert!(
            help.lines().all(|line| line.chars().count() <= 100),
            "{help}"
        );
    }
    assert_eq!(run(&[], nowhere).status.code(), Some(2));
    let unknown = tempfile::tempdir().unwrap();
    assert_eq!(run(&["night"], unknown.path()).status.code(), Some(2));
}
