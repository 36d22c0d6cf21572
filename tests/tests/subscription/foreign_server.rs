//! `cprflow subscription` as a process, against a SOAP server of another project: Python's spyne. It validates requests
//! and responses by the schema of a WSDL.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use cprflow_redact::holds_person_number;
use cprflow_tests::command::{CommandOutput, cprflow_with};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

const UUIDS: [&str; 4] = [
    "6d3a1c52-8f1e-4c8a-9b57-0a3f0b1e2d41",
    "b2e7f0c4-1a5d-4f3b-8c96-5e4d3c2b1a02",
    "0f9e8d7c-6b5a-4938-a716-f5e4d3c2b1a3",
    "9cdccc2f-3243-11e2-8fef-d4bed98c5934",
];

#[test]
fn a_foreign_server_understands_every_operation() {
    let Some(python) = cprflow_tests::python::python() else {
        return;
    };
    let test = TestRun::start(&python);
    test.configure(UUIDS[0]);
    fs::write(test.path("numbers.txt"), "3113000001\n3113000002\n").unwrap();
    assert!(test.ok(&["list"]).contains("nothing"));
    let said = test.ok(&["apply", "--yes"]);
    assert!(said.contains("6 added"), "{said}");
    assert!(test.ok(&["plan"]).contains("nothing to do"));
    let listed = test.ok(&["list"]);
    for expected in [
        "person numbers (2)",
        "0265 Roskilde",
        "0-17",
        "A01",
        "all of Denmark",
    ] {
        assert!(listed.contains(expected), "{listed}");
    }
    assert!(
        test.ok(&["add", "municipality", "265", "--yes"])
            .contains("1 already present")
    );
    test.ok(&["reorder", "--yes"]);
    for value in [
        &["pnr", "numbers.txt"][..],
        &["municipality", "0265"],
        &["age-range", "0-17"],
        &["change-code", "A01"],
        &["no-filter"],
    ] {
        let value: Vec<_> = value
            .iter()
            .map(|word| word.replace("numbers.txt", &test.path("numbers.txt")))
            .collect();
        let value = value.iter().map(String::as_str);
        test.ok(&["remove"]
            .into_iter()
            .chain(value)
            .chain(["--yes"])
            .collect::<Vec<_>>());
    }
    test.ok(&["restore", "--yes"]);
    for kind in [
        "no-filter",
        "pnr",
        "municipality",
        "age-range",
        "change-code",
    ] {
        test.ok(&["clear", kind, "--yes"]);
    }
    assert!(test.ok(&["list"]).contains("nothing"));

    // Its faults are also built by another library.
    test.configure(UUIDS[3]);
    let ended = test.run(&["add", "municipality", "0265", "--yes"]);
    assert_eq!(ended.code, 2, "{}", ended.stderr);
    assert!(
        ended.stderr.contains("Check the service agreement"),
        "{}",
        ended.stderr
    );

    let said = test.end();
    let called: BTreeSet<_> = said.lines().collect();
    assert!(!said.contains("BREACH"), "{said}");
    assert_eq!(called.len(), 12, "{called:?}");
}

struct TestRun {
    server: Child,
    said: BufReader<ChildStdout>,
    port: String,
    directory: tempfile::TempDir,
}

impl TestRun {
    fn start(python: &Path) -> Self {
        let directory = tempfile::tempdir().unwrap();
        certificates(directory.path());
        let file = |name: &str| directory.path().join(name);
        let mut server = Command::new(python)
            .arg(cprflow_tests::root().join("tests/python/subscription_server.py"))
            .args([file("server.pem"), file("server.key"), file("ca.pem")])
            .args(UUIDS)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(server.stdout.take().unwrap());
        let mut first = String::new();
        said.read_line(&mut first).unwrap();
        let port = first.strip_prefix("PORT ").unwrap().trim();
        Self {
            server,
            said,
            port: port.to_owned(),
            directory,
        }
    }

    fn configure(&self, agreement: &str) {
        let [_, system, user, _] = UUIDS;
        let text = format!(
            "dataset = \"dataset\"\nstate = \"state\"\n[agreement.a]\ninbox = \"inbox\"\n[agreement.a.service]\n\
             endpoint = \"https://127.0.0.1:{}/service\"\nservice_agreement_uuid = {agreement:?}\n\
             user_system_uuid = {system:?}\nuser_uuid = {user:?}\ncertificate = \"client.pem\"\nkey = \"client.key\"\n\
             ca = \"ca.pem\"\ntimeout_seconds = 20\n[agreement.a.subscription]\nallow_national = true\n\
             pnr_file = \"numbers.txt\"\nmunicipality_codes = [\"0265\"]\nage_ranges = [\"0-17\"]\n\
             change_codes = [\"A01\"]\nno_filter = true\n",
            self.port
        );
        fs::write(self.path("cprflow.toml"), text).unwrap();
    }

    fn path(&self, name: &str) -> String {
        let path: PathBuf = self.directory.path().join(name);
        path.to_str().unwrap().to_owned()
    }

    fn run(&self, arguments: &[&str]) -> CommandOutput {
        let config = self.path("cprflow.toml");
        let all = ["subscription"].iter().chain(arguments).copied();
        let ended = cprflow_with(all.chain(["--config", &config]), b"");
        for said in [ended.text(), &ended.stderr] {
            assert!(
                !holds_person_number(said),
                "what can be a person number: {said}"
            );
        }
        ended
    }

    fn ok(&self, arguments: &[&str]) -> String {
        let ended = self.run(arguments);
        assert_eq!(
            ended.code,
            0,
            "{arguments:?}: {}{}",
            ended.text(),
            ended.stderr
        );
        ended.text().to_owned() + &ended.stderr
    }

    /// Ends the server and returns its output.
    fn end(mut self) -> String {
        drop(self.server.stdin.take());
        let mut said = String::new();
        self.said.read_to_string(&mut said).unwrap();
        assert!(self.server.wait().unwrap().success());
        said
    }
}

impl Drop for TestRun {
    fn drop(&mut self) {
        // The server may have ended already.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Creates an authority, a server certificate and a client certificate, with their keys.
fn certificates(directory: &Path) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
        .distinguished_name
        .push(DnType::CommonName, "authority");
    let key = KeyPair::generate().unwrap();
    let authority = params.self_signed(&key).unwrap();
    fs::write(directory.join("ca.pem"), authority.pem()).unwrap();
    let issuer = Issuer::new(params, key);
    for (name, usage) in [
        ("server", ExtendedKeyUsagePurpose::ServerAuth),
        ("client", ExtendedKeyUsagePurpose::ClientAuth),
    ] {
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        params.extended_key_usages = vec![usage];
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let leaf = params.signed_by(&key, &issuer).unwrap();
        fs::write(directory.join(format!("{name}.pem")), leaf.pem()).unwrap();
        let path = directory.join(format!("{name}.key"));
        fs::write(&path, key.serialize_pem()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
}
