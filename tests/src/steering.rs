//! A trial of `cprflow subscription`: the stand-in platform, a configuration, and the command run on them.
//!
//! Everything that it says, and everything that it keeps but for snapshots and lists, is searched for person numbers,
//! keys and whole UUIDs.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::thread;

use cprflow_platform::{
    Agreement, ClientCertificate, Filter, Operation, Options, Platform, Seen, SftpServer,
};

use crate::command::{Ended, command, cprflow_with};

/// Numbers of nobody: the days do not exist.
pub fn numbers(count: usize) -> Vec<String> {
    (1..=count).map(|n| format!("3113{n:06}")).collect()
}

/// The lines of the configuration that name a certificate's PEM files.
pub fn pem(certificate: &ClientCertificate) -> String {
    let (chain, key) = (&certificate.chain, &certificate.key);
    format!("certificate = {chain:?}\nkey = {key:?}\n")
}

/// A trial.
#[derive(Debug)]
pub struct Trial {
    /// The platform.
    pub platform: Platform,
    directory: tempfile::TempDir,
    /// What the configuration says of the way to the service, if not the usual.
    service: RefCell<Option<String>>,
}

impl Trial {
    /// One agreement, and what its subscription should hold.
    pub fn new(subscription: &str) -> Self {
        Self::of(1, subscription)
    }

    /// Several agreements, whose subscriptions should hold the same.
    pub fn of(agreements: u32, subscription: &str) -> Self {
        let agreements = (0..agreements).map(|n| Agreement::of_seed(1, n)).collect();
        Self::with(subscription, |options| options.agreements = agreements)
    }

    /// A platform of other options.
    pub fn with(subscription: &str, change: impl FnOnce(&mut Options)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut options = Options::new(directory.path().join("platform"), 10, 1);
        options.sftp = SftpServer::InProcess;
        change(&mut options);
        let platform = Platform::start(options).unwrap();
        let trial = Self {
            platform,
            directory,
            service: RefCell::default(),
        };
        trial.configure(subscription);
        trial
    }

    /// Says otherwise what the subscriptions should hold.
    pub fn configure(&self, subscription: &str) {
        let mut text = "dataset = \"dataset\"\nstate = \"state\"\n".to_owned();
        let service = self.service.borrow().clone();
        let service =
            service.unwrap_or_else(|| pem(self.platform.client()) + "timeout_seconds = 60");
        for (place, agreement) in self.platform.agreements().iter().enumerate() {
            text.push_str(&format!(
                "[agreement.a{place}]\nenvironment = \"test\"\ninbox = \"inbox\"\n\
                 [agreement.a{place}.service]\nendpoint = {:?}\nservice_agreement_uuid = {:?}\n\
                 user_system_uuid = {:?}\nuser_uuid = {:?}\nmunicipality = \"0265\"\npurpose = \"a trial\"\n\
                 {service}\nca = {:?}\n\
                 [agreement.a{place}.subscription]\n{subscription}\n",
                self.platform.url(),
                agreement.uuid,
                agreement.user_system,
                agreement.user,
                self.platform.ca(),
            ));
        }
        fs::write(self.path("cprflow.toml"), text).unwrap();
    }

    /// Configures the way to the service otherwise: the certificate and what else belongs there.
    pub fn configure_service(&self, lines: &str, subscription: &str) {
        *self.service.borrow_mut() = Some(lines.to_owned());
        self.configure(subscription);
    }

    /// A path of the trial's own.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes the list of person numbers.
    pub fn list(&self, numbers: &[String]) {
        fs::write(self.path("numbers.txt"), numbers.join("\n") + "\n").unwrap();
    }

    /// The whole command line.
    pub fn arguments(&self, arguments: &[&str]) -> Vec<String> {
        let mut all = vec!["subscription".to_owned()];
        all.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        all.push("--config".to_owned());
        all.push(self.path("cprflow.toml").display().to_string());
        all
    }

    /// Runs a command; what it says is searched.
    pub fn run(&self, arguments: &[&str]) -> Ended {
        self.run_with(arguments, "")
    }

    /// The same, with that on standard input.
    pub fn run_with(&self, arguments: &[&str], input: &str) -> Ended {
        let ended = cprflow_with(self.arguments(arguments), input.as_bytes());
        self.search(&ended.stderr);
        self.search(ended.text());
        ended
    }

    /// Runs a command that is to end well; what it says.
    pub fn ok(&self, arguments: &[&str]) -> String {
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

    /// Runs a command that is to be refused; what it says.
    pub fn refused(&self, arguments: &[&str]) -> String {
        let ended = self.run(arguments);
        assert_eq!(
            ended.code,
            2,
            "{arguments:?}: {}{}",
            ended.text(),
            ended.stderr
        );
        ended.stderr
    }

    /// The same, when it is that time (RFC 3339).
    pub fn run_at(&self, time: &str, arguments: &[&str]) -> Ended {
        let output = command()
            .args(self.arguments(arguments))
            .env("CPRFLOW_NOW", time)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        self.ended(output)
    }

    /// Runs a command, and does something while it stands still at that point.
    pub fn meanwhile(&self, point: &str, arguments: &[&str], act: impl FnOnce()) -> Ended {
        let go_on = self.path("go-on");
        let child = command()
            .args(self.arguments(arguments))
            .env("CPRFLOW_STOP_AT", point)
            .env("CPRFLOW_GO_ON", &go_on)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = child.unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        while !said.ends_with(&format!("stopped at {point}\n")) {
            let more = stderr.read_line(&mut said).unwrap();
            assert!(more > 0, "it never came to {point}: {said}");
        }
        act();
        fs::write(&go_on, "").unwrap();
        stderr.read_to_string(&mut said).unwrap();
        let mut output = child.wait_with_output().unwrap();
        fs::remove_file(&go_on).unwrap();
        output.stderr = said.into_bytes();
        self.ended(output)
    }

    /// How a command ended; what it said is searched.
    pub fn ended(&self, output: Output) -> Ended {
        let ended = Ended {
            code: output.status.code().expect("it was not killed"),
            stdout: output.stdout,
            stderr: String::from_utf8(output.stderr).unwrap(),
        };
        self.search(&ended.stderr);
        self.search(ended.text());
        ended
    }

    /// Runs a command and kills it at that point; false if it ended before.
    pub fn kill_at(&self, point: &str, arguments: &[&str]) -> bool {
        let mut child = command()
            .args(self.arguments(arguments))
            .env("CPRFLOW_STOP_AT", point)
            .env("CPRFLOW_GO_ON", self.path("never"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let mut is_there = false;
        for line in stderr.lines() {
            let line = line.unwrap();
            self.search(&line);
            if line == format!("stopped at {point}") {
                is_there = true;
                break;
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        is_there
    }

    /// The first agreement.
    pub fn agreement(&self) -> &Agreement {
        &self.platform.agreements()[0]
    }

    /// What its subscription holds.
    pub fn filters(&self) -> Vec<Filter> {
        self.platform.filters(self.agreement())
    }

    /// The person numbers that it holds.
    pub fn held(&self) -> Vec<String> {
        let pnr = |filter| match filter {
            Filter::Pnr(number) => Some(number),
            _ => None,
        };
        self.filters().into_iter().filter_map(pnr).collect()
    }

    /// Where what is to be remembered of it is.
    pub fn state(&self) -> PathBuf {
        self.path("state").join("subscription").join("a0")
    }

    /// Its audit log.
    pub fn audit(&self) -> Vec<serde_json::Value> {
        let text = fs::read_to_string(self.state().join("audit.jsonl")).unwrap_or_default();
        self.search(&text);
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// No person number, no whole UUID of the agreement, no key.
    pub fn search(&self, text: &str) {
        for agreement in self.platform.agreements() {
            for uuid in [&agreement.uuid, &agreement.user_system, &agreement.user] {
                assert!(!text.contains(uuid.as_str()), "a whole UUID: {text}");
            }
        }
        assert!(!text.contains("PRIVATE KEY"), "{text}");
        let mut digits = 0;
        for character in text.chars() {
            digits = match character.is_ascii_digit() {
                true => digits + 1,
                false => 0,
            };
            assert!(digits < 10, "what can be a person number: {text}");
        }
        assert!(
            !holds_hyphenated(text),
            "what can be a person number: {text}"
        );
    }

    fn search_names(&self, directory: &Path) {
        for entry in fs::read_dir(directory).into_iter().flatten() {
            let entry = entry.unwrap();
            self.search(&entry.file_name().to_string_lossy());
            if entry.file_type().unwrap().is_dir() {
                self.search_names(&entry.path());
            }
        }
    }
}

/// Whether a person number stands there as people write it: six digits, a hyphen and four.
fn holds_hyphenated(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_apart = |place: Option<usize>| {
        let byte = place.and_then(|place| bytes.get(place));
        byte.is_none_or(|byte| !byte.is_ascii_alphanumeric())
    };
    bytes.windows(11).enumerate().any(|(place, window)| {
        let digits = |part: &[u8]| part.iter().all(u8::is_ascii_digit);
        digits(&window[..6])
            && window[6] == b'-'
            && digits(&window[7..])
            && is_apart(place.checked_sub(1))
            && is_apart(Some(place + 11))
    })
}

impl Drop for Trial {
    fn drop(&mut self) {
        if !thread::panicking() {
            self.audit();
            let journal = fs::read_to_string(self.state().join("reorder.json"));
            self.search(&journal.unwrap_or_default());
            self.search_names(&self.path("state"));
        }
    }
}

/// How often each change was carried out with an effect.
pub fn effects(seen: &[Seen]) -> BTreeMap<String, usize> {
    let mut effects = BTreeMap::new();
    for seen in seen {
        if let Seen::Call {
            operation,
            result: Some(result @ ("ADDED" | "REMOVED")),
            is_applied: true,
            ..
        } = seen
        {
            let what = match operation {
                Operation::Add(Filter::Pnr(number)) | Operation::Remove(Filter::Pnr(number)) => {
                    number.as_str()
                }
                other => other.name(),
            };
            *effects.entry(format!("{result} {what}")).or_default() += 1;
        }
    }
    effects
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_as_people_write_them() {
        for text in ["311300-0001", "x 311300-0001.", "\"311300-0001\""] {
            assert!(holds_hyphenated(text), "{text}");
        }
        for text in [
            "",
            "2026-11-24",
            "12345678-1234-4567",
            "1311300-0001",
            "311300-00012",
        ] {
            assert!(!holds_hyphenated(text), "{text}");
        }
    }
}
