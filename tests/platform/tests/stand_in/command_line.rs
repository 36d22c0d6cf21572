//! The command `cprflow-platform` as a process.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use cprflow_connector::generate::{self, Person, Settings};
use cprflow_platform::{ASSUMPTIONS, Agreement, DeliveryFault, ServiceFault};
use rustix::process::{Pid, Signal, kill_process};

use crate::client::{Client, agent};
use crate::operations::{ORGANIZATION_IDENTIFIER, self_signed};

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
        Self::start_with(directory, &[])
    }

    /// Starts a stand-in with more arguments.
    fn start_with(directory: &Path, arguments: &[&str]) -> Self {
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
            .args(arguments)
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

/// Returns a client of the first or second agreement of the stand-in in a directory.
fn client(directory: &Path, agreement: u32) -> Client {
    let description = description(directory);
    let path = |value: &serde_json::Value| PathBuf::from(value.as_str().unwrap());
    let certificate = path(&description["client"]["certificate"]);
    let key = path(&description["client"]["key"]);
    let ca = path(&description["ca"]);
    let timeout = std::time::Duration::from_secs(10);
    Client {
        agent: agent(&ca, Some((&certificate, &key)), timeout),
        url: description["url"].as_str().unwrap().to_owned(),
        agreement: Agreement::from_seed(1, agreement),
    }
}

/// Returns the content of `platform.json`.
fn description(directory: &Path) -> serde_json::Value {
    let text = std::fs::read(directory.join("platform.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

/// The addresses and the version of the contract are those of the command line.
#[test]
fn serves_at_the_named_address_with_the_named_contract() {
    let directory = tempfile::tempdir().unwrap();
    let arguments = [
        "--contract",
        "1.0",
        "--listen",
        "127.0.0.2",
        "--sftp",
        "in-process",
    ];
    let serving = Serving::start_with(directory.path(), &arguments);
    let description = description(directory.path());
    let url = description["url"].as_str().unwrap();
    assert!(url.starts_with("https://127.0.0.2:"), "{url}");
    let client = client(directory.path(), 0);
    let fault = client.call("AddNoFilterSubscription", "").unwrap();
    assert_eq!(fault.status, 500);
    serving.end();

    // The name is in the URLs, and the certificate is for it.
    let directory = tempfile::tempdir().unwrap();
    let arguments = ["--host", "localhost", "--listen", "127.0.0.1"];
    let serving = Serving::start_with(directory.path(), &arguments);
    let client = self::client(directory.path(), 0);
    assert!(
        client.url.starts_with("https://localhost:"),
        "{}",
        client.url
    );
    assert_eq!(client.add_municipality("0851"), "ADDED");
    serving.end();
}

#[test]
fn prints_the_persons_of_the_population() {
    let directory = tempfile::tempdir().unwrap();
    let serving = Serving::start(directory.path());
    run(&["night", "--count", "2"], directory.path());
    let settings = Settings::busy(500, 1);
    let population = generate::population(&settings, 2).unwrap();
    let population: Vec<_> = population.map(Result::unwrap).collect();

    let text = output_text(&run(&["persons"], directory.path()));
    assert!(text.lines().eq(population.iter().map(Person::number)));
    let place = population.iter().find_map(Person::municipality_code);
    let place = place.unwrap();
    let residents = || {
        let lives_there = |person: &&Person| person.municipality_code() == Some(place);
        population.iter().filter(lives_there)
    };
    // Leading zeros can be left out.
    let code = place.trim_start_matches('0');
    let text = output_text(&run(&["persons", "--municipality", code], directory.path()));
    assert!(text.lines().eq(residents().map(Person::number)));
    let json = ["persons", "--municipality", place, "--format", "json"];
    let json: serde_json::Value =
        serde_json::from_slice(&run(&json, directory.path()).stdout).unwrap();
    let expected: Vec<_> = residents()
        .map(|person| {
            serde_json::json!({
                "pnr": person.number(),
                "current_pnr": person.current_number(),
                "status": person.status(),
                "birth_date": person.birth_date().to_string(),
                "municipality_code": place,
                "is_protected": person.is_protected(),
            })
        })
        .collect();
    assert_eq!(json, serde_json::Value::Array(expected));
    let wrong = run(&["persons", "--municipality", "Odense"], directory.path());
    assert_eq!(wrong.status.code(), Some(2));
    serving.end();
}

#[test]
fn prints_the_calls_of_an_accepted_client_as_json() {
    let directory = tempfile::tempdir().unwrap();
    let attribute = (ORGANIZATION_IDENTIFIER, "NTRDK-12345678");
    let (own, key) = self_signed(directory.path(), attribute, (2020, 2099));
    let argument = format!("{}=23456789", own.display());
    let serving = Serving::start_with(directory.path(), &["--client-certificate", &argument]);
    let accepted = &description(directory.path())["accepted_clients"];
    let expected = serde_json::json!([{"certificate": own, "cvr": "23456789"}]);
    assert_eq!(*accepted, expected);
    let mut client = client(directory.path(), 0);
    let timeout = std::time::Duration::from_secs(10);
    let ca = directory.path().join("ca.pem");
    client.agent = agent(&ca, Some((&own, &key)), timeout);
    client.add_municipality("0851");
    client.add_pnr("0101010101");
    client.call("GetAllFilters", "").unwrap();
    client.call("AddChangeCodeSubscription", "").unwrap();
    let seen = run(&["seen", "--format", "json"], directory.path());
    let text = String::from_utf8(seen.stdout).unwrap();
    assert!(!text.contains("0101010101"));
    let events: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    let kinds: Vec<_> = events.iter().map(|event| &event["event"]).collect();
    assert_eq!(kinds, ["call", "call", "call", "contract-violation"]);
    assert_eq!(events[0]["operation"], "AddMunicipalityCodeSubscription");
    assert_eq!(events[0]["filter"]["value"], "0851");
    assert_eq!(events[0]["cvr"], "23456789");
    assert_eq!(events[1]["result"], "ADDED");
    assert_eq!(events[1]["applied"], true);
    assert_eq!(events[2]["filter"], serde_json::Value::Null);
    let again = run(&["seen", "--format", "json"], directory.path());
    assert_eq!(String::from_utf8(again.stdout).unwrap(), "[]\n");
    serving.end();
}

#[test]
fn serves_answers_requests_and_continues_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let serving = Serving::start(directory.path());
    let client = |directory: &Path| client(directory, 1);
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
    let wrong = [
        "serve",
        "--directory",
        ".",
        "--client-certificate",
        "own.pem=12",
    ];
    assert!(output_text(&run(&wrong, no_directory)).contains("own.pem=12345678"));
    let assumptions = output_text(&run(&["--assumptions"], no_directory));
    for assumption in ASSUMPTIONS {
        assert!(assumptions.contains(assumption.name));
    }
    let faults = output_text(&run(&["--faults"], no_directory));
    assert_eq!(
        faults.lines().count(),
        ServiceFault::all().len() + DeliveryFault::ALL.len()
    );
    for help in [
        vec!["--help"],
        vec!["serve", "--help"],
        vec!["persons", "--help"],
        vec!["seen", "--help"],
    ] {
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
