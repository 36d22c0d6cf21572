//! The command `cprflow-platform` as a process.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use cprflow_platform::{ASSUMPTIONS, Agreement, DeliveryFault, ServiceFault};
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

fn output_text(output: &Output) -> String {
    let text = [output.stdout.as_slice(), &output.stderr].concat();
    String::from_utf8(text).unwrap()
}

/// A running stand-in that is killed at the end of the test.
struct Serving(Child);

impl Serving {
    /// Starts a stand-in and waits until it has printed its addresses.
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
        let last = lines.find(|line| line.starts_with("nightly runs"));
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
fn serves_answers_requests_and_continues_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let serving = Serving::start(directory.path());
    let client = |directory: &Path| {
        let text = std::fs::read(directory.join("platform.json")).unwrap();
        let description: serde_json::Value = serde_json::from_slice(&text).unwrap();
        let path = |value: &serde_json::Value| PathBuf::from(value.as_str().unwrap());
        let certificate = path(&description["client"]["certificate"]);
        let key = path(&description["client"]["key"]);
        let ca = path(&description["ca"]);
        let timeout = std::time::Duration::from_secs(10);
        Client {
            agent: agent(&ca, Some((&certificate, &key)), timeout),
            url: description["url"].as_str().unwrap().to_owned(),
            agreement: Agreement::from_seed(1, 1),
        }
    };
    assert_eq!(client(directory.path()).add_municipality("0851"), "ADDED");
    let night = output_text(&run(&["night"], directory.path()));
    assert!(
        night.contains("nightly run 1, production date 2026-03-03, deliveries: 1"),
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
    let completed = output_text(&run(&["complete"], directory.path()));
    assert_eq!(completed, "completed uploads: 1\n");
    let seen = output_text(&run(&["seen"], directory.path()));
    assert_eq!(seen.lines().count(), 2, "{seen}");

    let twice = run(&["serve"], directory.path());
    assert_eq!(twice.status.code(), Some(2));
    assert!(
        output_text(&twice).contains("running in"),
        "{}",
        output_text(&twice)
    );
    serving.end();

    let serving = Serving::start(directory.path());
    assert_eq!(
        client(directory.path()).add_municipality("0851"),
        "ALREADY_EXISTED"
    );
    let night = output_text(&run(&["night"], directory.path()));
    assert!(night.starts_with("nightly run 5,"), "{night}");
    serving.end();
    let no_server = run(&["night"], directory.path());
    assert_eq!(no_server.status.code(), Some(2));
    assert!(output_text(&no_server).contains("no stand-in is running"));
}

#[test]
fn prints_assumptions_faults_and_examples() {
    let no_directory = Path::new("");
    let assumptions = output_text(&run(&["--assumptions"], no_directory));
    for assumption in ASSUMPTIONS {
        assert!(assumptions.contains(assumption.name));
    }
    let faults = output_text(&run(&["--faults"], no_directory));
    assert_eq!(
        faults.lines().count(),
        ServiceFault::all().len() + DeliveryFault::ALL.len()
    );
    for help in [vec!["--help"], vec!["serve", "--help"]] {
        let help = output_text(&run(&help, no_directory));
        assert!(help.contains("Example"), "{help}");
        assert!(
            help.lines().all(|line| line.chars().count() <= 100),
            "{help}"
        );
    }
    assert_eq!(run(&[], no_directory).status.code(), Some(2));
    let unknown = tempfile::tempdir().unwrap();
    assert_eq!(run(&["night"], unknown.path()).status.code(), Some(2));
}
