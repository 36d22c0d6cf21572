//! Runs `cprflow subscription` against a stand-in platform, with a configuration of its own.
//!
//! All output, and all files except snapshots and lists of numbers, are searched for person numbers, keys and complete
//! UUIDs.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::thread;

use cprflow_platform::{
    Agreement, ClientCertificate, Filter, Operation, Options, Platform, ServiceEvent, SftpBackend,
};

use crate::command::{CommandOutput, command, cprflow_with};

/// Returns person numbers that cannot exist, because their dates do not exist.
pub fn numbers(count: usize) -> Vec<String> {
    (1..=count).map(|n| format!("3113{n:06}")).collect()
}

/// Returns the configuration of a certificate's PEM files.
pub fn pem(certificate: &ClientCertificate) -> String {
    let (chain, key) = (&certificate.chain, &certificate.key);
    format!("certificate = {chain:?}\nkey = {key:?}\n")
}

/// A stand-in platform and a configuration for the command.
#[derive(Debug)]
pub struct SubscriptionRun {
    /// The platform.
    pub platform: Platform,
    directory: tempfile::TempDir,
    /// The configuration of the connection to the service, if it is not the default.
    service: RefCell<Option<String>>,
}

impl SubscriptionRun {
    /// Starts a platform with one agreement, which has this subscription in the configuration.
    pub fn new(subscription: &str) -> Self {
        Self::of(1, subscription)
    }

    /// Starts a platform with several agreements that have the same subscription in the configuration.
    pub fn of(agreements: u32, subscription: &str) -> Self {
        let agreements = (0..agreements)
            .map(|n| Agreement::from_seed(1, n))
            .collect();
        Self::with(subscription, |options| options.agreements = agreements)
    }

    /// Starts a platform with other options.
    pub fn with(subscription: &str, change: impl FnOnce(&mut Options)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut options = Options::new(directory.path().join("platform"), 10, 1);
        options.sftp = SftpBackend::InProcess;
        change(&mut options);
        let platform = Platform::start(options).unwrap();
        let test = Self {
            platform,
            directory,
            service: RefCell::default(),
        };
        test.configure(subscription);
        test
    }

    /// Writes the configuration with this subscription.
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

    /// Writes the configuration with these lines for the connection to the service, such as the certificate.
    pub fn configure_service(&self, lines: &str, subscription: &str) {
        *self.service.borrow_mut() = Some(lines.to_owned());
        self.configure(subscription);
    }

    /// Returns a path in the directory of the test.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes the file of person numbers.
    pub fn list(&self, numbers: &[String]) {
        fs::write(self.path("numbers.txt"), numbers.join("\n") + "\n").unwrap();
    }

    /// Returns the complete arguments of the command.
    pub fn arguments(&self, arguments: &[&str]) -> Vec<String> {
        let mut all = vec!["subscription".to_owned()];
        all.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        all.push("--config".to_owned());
        all.push(self.path("cprflow.toml").display().to_string());
        all
    }

    /// Runs a command and searches its output.
    pub fn run(&self, arguments: &[&str]) -> CommandOutput {
        self.run_with(arguments, "")
    }

    /// Runs a command with this standard input, and searches its output.
    pub fn run_with(&self, arguments: &[&str], input: &str) -> CommandOutput {
        let ended = cprflow_with(self.arguments(arguments), input.as_bytes());
        self.search(&ended.stderr);
        self.search(ended.text());
        ended
    }

    /// Runs a command that must succeed. Returns its output.
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

    /// Runs a command that must be refused with exit code 2. Returns standard error.
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

    /// Runs a command at this time (RFC 3339).
    pub fn run_at(&self, time: &str, arguments: &[&str]) -> CommandOutput {
        let output = command()
            .args(self.arguments(arguments))
            .env("CPRFLOW_NOW", time)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        self.ended(output)
    }

    /// Runs a command, and calls `act` while it is paused at a point.
    pub fn run_paused_at(
        &self,
        point: &str,
        arguments: &[&str],
        act: impl FnOnce(),
    ) -> CommandOutput {
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
            assert!(more > 0, "the command never reached {point}: {said}");
        }
        act();
        fs::write(&go_on, "").unwrap();
        stderr.read_to_string(&mut said).unwrap();
        let mut output = child.wait_with_output().unwrap();
        fs::remove_file(&go_on).unwrap();
        output.stderr = said.into_bytes();
        self.ended(output)
    }

    /// Returns the result of a command, and searches its output.
    pub fn ended(&self, output: Output) -> CommandOutput {
        let ended = CommandOutput {
            code: output.status.code().expect("the command ended by itself"),
            stdout: output.stdout,
            stderr: String::from_utf8(output.stderr).unwrap(),
        };
        self.search(&ended.stderr);
        self.search(ended.text());
        ended
    }

    /// Runs a command and kills it at a point. Returns false if it ended before.
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

    /// Returns the first agreement.
    pub fn agreement(&self) -> &Agreement {
        &self.platform.agreements()[0]
    }

    /// Returns the filters of the first agreement.
    pub fn filters(&self) -> Vec<Filter> {
        self.platform.filters(self.agreement())
    }

    /// Returns the subscribed person numbers of the first agreement.
    pub fn subscribed_numbers(&self) -> Vec<String> {
        let pnr = |filter| match filter {
            Filter::Pnr(number) => Some(number),
            _ => None,
        };
        self.filters().into_iter().filter_map(pnr).collect()
    }

    /// Returns the state directory of the subscription.
    pub fn state(&self) -> PathBuf {
        self.path("state").join("subscription").join("a0")
    }

    /// Returns the audit log.
    pub fn audit(&self) -> Vec<serde_json::Value> {
        let text = fs::read_to_string(self.state().join("audit.jsonl")).unwrap_or_default();
        self.search(&text);
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Asserts that a text has no person number, no complete UUID of an agreement and no key.
    pub fn search(&self, text: &str) {
        for agreement in self.platform.agreements() {
            for uuid in [&agreement.uuid, &agreement.user_system, &agreement.user] {
                assert!(!text.contains(uuid.as_str()), "a complete UUID: {text}");
            }
        }
        assert!(!text.contains("PRIVATE KEY"), "{text}");
        let mut digits = 0;
        for character in text.chars() {
            digits = match character.is_ascii_digit() {
                true => digits + 1,
                false => 0,
            };
            assert!(digits < 10, "a possible person number: {text}");
        }
        assert!(!holds_hyphenated(text), "a possible person number: {text}");
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

/// Returns whether a text has a person number with a hyphen: six digits, a hyphen, four digits.
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

impl Drop for SubscriptionRun {
    fn drop(&mut self) {
        if !thread::panicking() {
            self.audit();
            let journal = fs::read_to_string(self.state().join("reorder.json"));
            self.search(&journal.unwrap_or_default());
            self.search_names(&self.path("state"));
        }
    }
}

/// Counts how often each change had an effect.
pub fn effects(seen: &[ServiceEvent]) -> BTreeMap<String, usize> {
    let mut effects = BTreeMap::new();
    for seen in seen {
        if let ServiceEvent::Call {
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
    fn finds_person_numbers_with_a_hyphen() {
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
