//! Runs the daily job with an inbox, a dataset and a state directory of its own.
//!
//! All output is searched for the person numbers of the extracts of the test. At the end of the test, the ledger, the
//! manifests and the file names are searched too.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread;

use cprflow_delivery::Manifest;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::command::{CommandOutput, TestDirectory, command};
use crate::layout_data;
use crate::reference_reader::{Row, Tables};
use crate::rows;
use crate::sshd::{Setup, Sshd};

/// The kind of inbox.
#[derive(Debug)]
enum Inbox {
    Directory,
    Sftp(Box<Sshd>),
}

/// An inbox, a dataset and a state directory for the command.
#[derive(Debug)]
pub struct TestRun {
    place: TestDirectory,
    inbox: Inbox,
    /// A port to connect to instead of the server's port.
    port: Option<u16>,
    numbers: RefCell<BTreeSet<String>>,
    /// The time that the commands take for now, as RFC 3339.
    now: RefCell<Option<String>>,
    /// Whether there is a configuration file. Without one, everything is set by arguments.
    is_configured: Cell<bool>,
    /// Whether file systems cannot exchange two directories.
    lacks_exchange: Cell<bool>,
}

impl TestRun {
    /// Creates a run whose inbox is a directory.
    pub fn local() -> Self {
        let test = Self {
            place: TestDirectory::new(),
            inbox: Inbox::Directory,
            port: None,
            numbers: RefCell::default(),
            now: RefCell::default(),
            is_configured: Cell::default(),
            lacks_exchange: Cell::default(),
        };
        fs::create_dir(test.inbox()).unwrap();
        test
    }

    /// Creates a run whose inbox is served by OpenSSH. Returns `None` without `sshd`; see [`require`](crate::require).
    pub fn sftp() -> Option<Self> {
        Self::sftp_with(Setup::default())
    }

    /// Creates a run whose inbox is served by OpenSSH with these settings.
    pub fn sftp_with(setup: Setup) -> Option<Self> {
        Sshd::start(setup).map(Self::at)
    }

    /// Creates a run whose inbox is served by this server.
    pub fn at(sshd: Sshd) -> Self {
        Self {
            place: TestDirectory::new(),
            inbox: Inbox::Sftp(Box::new(sshd)),
            port: None,
            numbers: RefCell::default(),
            now: RefCell::default(),
            is_configured: Cell::default(),
            lacks_exchange: Cell::default(),
        }
    }

    /// Returns the server.
    pub fn sshd(&mut self) -> &mut Sshd {
        match &mut self.inbox {
            Inbox::Sftp(sshd) => sshd,
            Inbox::Directory => panic!("this test has no server"),
        }
    }

    /// Connects through a proxy at this port from now on.
    pub fn connect_through(&mut self, port: u16) {
        self.port = Some(port);
    }

    /// Returns the directory of the inbox.
    pub fn inbox(&self) -> PathBuf {
        match &self.inbox {
            Inbox::Directory => self.path("inbox"),
            Inbox::Sftp(sshd) => sshd.inbox(),
        }
    }

    /// Returns the directory of the dataset.
    pub fn dataset(&self) -> PathBuf {
        self.path("disk/dataset")
    }

    /// Returns a path in the directory of the test.
    pub fn path(&self, name: &str) -> PathBuf {
        PathBuf::from(self.place.path(name))
    }

    /// Puts a delivery into the inbox.
    pub fn put(&self, name: &str, extract: &[u8], transfer: &str) {
        self.data(name, extract);
        let metadata = metadata(name, extract.len() as u64, transfer);
        self.file(&format!("{name}.metadata"), metadata.as_bytes());
    }

    /// Puts only a data file into the inbox.
    pub fn data(&self, name: &str, extract: &[u8]) {
        self.numbers.borrow_mut().extend(numbers(extract));
        self.file(name, extract);
    }

    /// Adds a person number that is not in an extract and must not be printed either.
    pub fn forbid_number(&self, number: &str) {
        self.numbers.borrow_mut().insert(number.to_owned());
    }

    /// Puts a file into the inbox.
    pub fn file(&self, name: &str, bytes: &[u8]) {
        fs::write(self.inbox().join(name), bytes).unwrap();
    }

    /// Returns the sorted file names in the inbox.
    pub fn remote(&self) -> Vec<String> {
        let entries = fs::read_dir(self.inbox()).unwrap();
        let name = |entry: std::io::Result<fs::DirEntry>| {
            entry.unwrap().file_name().to_string_lossy().into_owned()
        };
        let mut names: Vec<_> = entries.map(name).collect();
        names.sort();
        names
    }

    /// Writes a configuration file with these agreements and tenants, which all later commands use.
    ///
    /// `unrestricted = "test"` also gets a purpose for church membership, which most extracts of the tests have.
    pub fn configure(&self, text: &str) {
        let text = text.replace(
            "unrestricted = \"test\"\n",
            "unrestricted = \"test\"\nchurch.purpose = \"test\"\n",
        );
        let text = format!("dataset = \"disk/dataset\"\nstate = \"state\"\n{text}");
        fs::write(self.path("cprflow.toml"), text).unwrap();
        self.is_configured.set(true);
    }

    /// Returns the arguments for inbox, dataset and state, or for the configuration file.
    pub fn source(&self) -> Vec<String> {
        if self.is_configured.get() {
            return vec!["--config".to_owned(), self.place.path("cprflow.toml")];
        }
        let mut arguments = vec![
            "--dataset".to_owned(),
            self.dataset().display().to_string(),
            "--state".to_owned(),
            self.place.path("state"),
            "--inbox".to_owned(),
        ];
        match &self.inbox {
            Inbox::Directory => arguments.push(self.place.path("inbox")),
            Inbox::Sftp(sshd) => {
                let server = sshd.server_at(self.port.unwrap_or(sshd.port()));
                arguments.push(server.to_string());
                let settings = sshd.settings();
                arguments.push("--identity".to_owned());
                arguments.push(settings.identity.display().to_string());
                for key in settings.host_keys {
                    arguments.push("--host-key".to_owned());
                    arguments.push(key.to_string());
                }
            }
        }
        arguments
    }

    /// Sets the time that the commands take for now, as RFC 3339. Default: the clock of the machine.
    pub fn set_time(&self, now: &str) {
        self.now.replace(Some(now.to_owned()));
    }

    /// Makes the commands believe that file systems cannot exchange two directories.
    pub fn forbid_exchange(&self) {
        self.lacks_exchange.set(true);
    }

    fn environment(&self) -> Vec<(&'static str, String)> {
        let now = self.now.borrow().clone();
        let no_exchange = self.lacks_exchange.get().then(|| "1".to_owned());
        let all = [("CPRFLOW_NOW", now), ("CPRFLOW_NO_EXCHANGE", no_exchange)];
        let set = all
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)));
        set.collect()
    }

    /// Runs `cprflow sync`.
    pub fn sync(&self) -> CommandOutput {
        self.run("sync", self.purpose())
    }

    fn purpose(&self) -> &'static [&'static str] {
        match self.is_configured.get() {
            true => &[],
            false => &["--unrestricted", "test"],
        }
    }

    /// Runs a command on the inbox and dataset.
    pub fn run(&self, subcommand: &str, more: &[&str]) -> CommandOutput {
        let mut arguments: Vec<_> = subcommand.split(' ').map(str::to_owned).collect();
        arguments.extend(self.source());
        arguments.extend(more.iter().map(|argument| (*argument).to_owned()));
        self.cprflow(&arguments)
    }

    /// Runs a command whose own arguments come before those of the configuration.
    pub fn run_only(&self, subcommand: &str, more: &[&str]) -> CommandOutput {
        let mut arguments: Vec<_> = subcommand.split(' ').map(str::to_owned).collect();
        arguments.extend(more.iter().map(|argument| (*argument).to_owned()));
        arguments.extend(self.source());
        self.cprflow(&arguments)
    }

    /// Runs the command, and searches its output. `--unrestricted` also gets a purpose for church membership.
    pub fn cprflow(&self, arguments: &[String]) -> CommandOutput {
        // The log has its most detailed level, so that all of it is searched. Tests of the log set their own level.
        let output = command()
            .args(arguments)
            .args(church_purpose(arguments))
            .env("CPRFLOW_LOG", "trace")
            .envs(self.environment())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let ended = CommandOutput {
            code: output.status.code().expect("the command ended by itself"),
            stdout: output.stdout,
            stderr: String::from_utf8(output.stderr).unwrap(),
        };
        self.search(&String::from_utf8_lossy(&ended.stdout));
        self.search(&ended.stderr);
        ended
    }

    /// Runs `cprflow sync` until it is paused at a point.
    pub fn stop_at(&self, point: &str) -> PausedCommand {
        self.stop_command_at("sync", self.purpose(), point)
    }

    /// Runs a command on the inbox and dataset until it is paused at a point.
    pub fn stop_command_at(&self, subcommand: &str, more: &[&str], point: &str) -> PausedCommand {
        let mut child = command()
            .args(subcommand.split(' '))
            .args(self.source())
            .args(more)
            .args(church_purpose(more))
            .env("CPRFLOW_LOG", "trace")
            .envs(self.environment())
            .env("CPRFLOW_STOP_AT", point)
            .env("CPRFLOW_GO_ON", self.path("go-on"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let awaited = format!("stopped at {point}");
        let mut said = String::new();
        loop {
            let mut line = String::new();
            let count = lines.read_line(&mut line).unwrap();
            assert!(
                count > 0,
                "the command ended before it reached {point}: {said}"
            );
            said.push_str(&line);
            if line.trim_end() == awaited {
                break;
            }
        }
        self.search(&said);
        // Later output must not fill the pipe.
        let rest = thread::spawn(move || {
            let mut rest = String::new();
            lines.read_to_string(&mut rest).unwrap();
            rest
        });
        PausedCommand {
            child,
            go_on: self.path("go-on"),
            rest: Some(rest),
            numbers: self.numbers.borrow().clone(),
        }
    }

    /// Removes the ledger, as an operator does with a damaged one.
    pub fn remove_ledger(&self) {
        fs::remove_file(self.path("state/ledger.sqlite")).unwrap();
        for name in ["-wal", "-shm"] {
            // These files exist only while the ledger is open, or after a kill.
            let _ = fs::remove_file(self.path(&format!("state/ledger.sqlite{name}")));
        }
    }

    /// Returns the published deliveries in the order in which they apply: directory and manifest.
    pub fn published(&self) -> Vec<(PathBuf, Manifest)> {
        published(&self.dataset())
    }

    /// Returns the directory of a tenant's dataset, as the tests configure it.
    pub fn dataset_of(&self, tenant: &str) -> PathBuf {
        self.path("tenants").join(tenant)
    }

    /// Returns the deliveries of a tenant in the order in which they apply.
    pub fn published_to(&self, tenant: &str) -> Vec<(PathBuf, Manifest)> {
        published(&self.dataset_of(tenant))
    }

    /// Returns the file names of the published deliveries in the order in which they apply.
    pub fn published_files(&self) -> Vec<String> {
        let published = self.published().into_iter();
        published.map(|(_, manifest)| manifest.file_name).collect()
    }

    /// Asserts that exactly these extracts are published, row for row, in this order.
    pub fn assert_published(&self, extracts: &[&[u8]]) {
        let published = self.published();
        assert_eq!(
            published.len(),
            extracts.len(),
            "{:?}",
            self.published_files()
        );
        for ((directory, _), extract) in published.iter().zip(extracts) {
            let expected = rows::scan(extract).tables();
            let found = tables(directory);
            assert_eq!(found.len(), 47, "every table, empty ones too");
            for (table, rows) in found {
                let expected = expected.get(&table).cloned().unwrap_or_default();
                assert!(rows == expected, "{table} of {}", directory.display());
            }
        }
    }

    /// Asserts that a text has no person number of the test.
    pub fn search(&self, text: &str) {
        search(&self.numbers.borrow(), text);
    }
}

/// Returns the arguments with a purpose for church membership, which most extracts of the tests have. Empty if the
/// arguments publish nothing to everyone, or have such a purpose.
pub fn church_purpose(arguments: &[impl AsRef<str>]) -> &'static [&'static str] {
    let has = |name: &str| arguments.iter().any(|argument| argument.as_ref() == name);
    match has("--unrestricted") && !has("--church-purpose") {
        true => &["--church-purpose", "test"],
        false => &[],
    }
}

fn search(numbers: &BTreeSet<String>, text: &str) {
    let mut digits = 0;
    for (place, character) in text.char_indices() {
        digits = match character.is_ascii_digit() {
            true => digits + 1,
            false => 0,
        };
        if digits >= 10 {
            let run = &text[place - 9..=place];
            assert!(!numbers.contains(run), "a person number is printed");
        }
    }
}

impl Drop for TestRun {
    fn drop(&mut self) {
        if thread::panicking() {
            return;
        }
        for path in [self.path("state"), self.dataset(), self.path("tenants")] {
            for file in files(&path) {
                let name = file.file_name().unwrap().to_string_lossy().into_owned();
                let is_told =
                    name.starts_with("ledger") || name.ends_with(".json") || name.ends_with("lock");
                if is_told {
                    self.search(&String::from_utf8_lossy(&fs::read(&file).unwrap()));
                }
                self.search(&file.to_string_lossy());
            }
        }
    }
}

/// A command that is paused at a point.
#[derive(Debug)]
pub struct PausedCommand {
    child: Child,
    go_on: PathBuf,
    rest: Option<thread::JoinHandle<String>>,
    numbers: BTreeSet<String>,
}

impl PausedCommand {
    /// Returns the process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills the command with SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.said_since();
    }

    /// Returns the output since the pause, and searches it.
    fn said_since(&mut self) -> String {
        let rest = self.rest.take().unwrap().join().unwrap();
        search(&self.numbers, &rest);
        rest
    }

    /// Waits until the command ends without continuing. Returns its exit code and its output since the pause.
    pub fn ends(mut self) -> (i32, String) {
        let status = self.child.wait().unwrap();
        let rest = self.rest.take().unwrap().join().unwrap();
        (status.code().expect("the command ended by itself"), rest)
    }

    /// Lets the command continue. Returns its exit code and its output since the pause.
    pub fn go_on(mut self) -> (i32, String) {
        fs::write(&self.go_on, "").unwrap();
        let status = self.child.wait().unwrap();
        fs::remove_file(&self.go_on).unwrap();
        let rest = self.said_since();
        (status.code().expect("the command ended by itself"), rest)
    }
}

impl Drop for PausedCommand {
    fn drop(&mut self) {
        // The command may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns a metadata file in the form of the platform.
pub fn metadata(name: &str, size: u64, transfer: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <ns2:FileMetadata xmlns:ns2=\"http://serviceplatformen.dk/xml/wsdl/soap11/SFTP/1/types\">\
         <FileTransferUUID>{transfer}</FileTransferUUID><FileDescriptor><FileName>{name}</FileName>\
         <SizeInBytes>{size}</SizeInBytes><Sender>platform</Sender><Recipients>SYSTEM</Recipients></FileDescriptor>\
         <FileContentDescriptor/></ns2:FileMetadata>\n"
    )
}

/// Returns a transfer UUID that contains a number.
pub fn transfer(number: u32) -> String {
    format!("{number:08x}-0000-4000-8000-000000000000")
}

/// Returns the deliveries of a dataset in the order in which they apply: directory and manifest.
fn published(dataset: &Path) -> Vec<(PathBuf, Manifest)> {
    let mut found = Vec::new();
    let agreements = fs::read_dir(dataset).into_iter().flatten();
    for agreement in agreements.map(|entry| entry.unwrap().path()) {
        let name = agreement.file_name().unwrap().to_string_lossy();
        if !name.starts_with("agreement=") {
            continue;
        }
        for delivery in fs::read_dir(&agreement).unwrap() {
            let delivery = delivery.unwrap().path();
            let text = fs::read_to_string(delivery.join("_delivery.json")).unwrap();
            found.push((delivery, serde_json::from_str(&text).unwrap()));
        }
    }
    found.sort_by(|one: &(PathBuf, Manifest), other| one.0.cmp(&other.0));
    found
}

/// Returns the tables in the directory of a delivery.
pub fn tables(directory: &Path) -> Tables {
    let mut tables = BTreeMap::new();
    for file in files(directory) {
        if file
            .extension()
            .is_some_and(|extension| extension == "parquet")
        {
            let table = file.file_stem().unwrap().to_string_lossy().into_owned();
            tables.insert(table, self::table(&file));
        }
    }
    tables.into_iter().collect()
}

/// Returns the rows of a Parquet file.
pub fn table(file: &Path) -> Vec<Row> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(file).unwrap());
    let batches = reader.unwrap().build().unwrap();
    batches
        .flat_map(|batch| rows::rows(&batch.unwrap()))
        .collect()
}

/// Returns every file below a directory.
pub fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found
}

/// Returns the person numbers of an extract: the keys of its lines, and the numbers of parents, spouses and children.
pub fn numbers(extract: &[u8]) -> BTreeSet<String> {
    let rules = layout_data::rules();
    let at = |line: &[u8], position: usize| {
        let number = line.get(position - 1..position + 9)?;
        let is_number = number.iter().all(u8::is_ascii_digit)
            && !matches!(number, b"0000000000" | b"9999999999");
        is_number.then(|| String::from_utf8(number.to_vec()).unwrap())
    };
    let mut numbers = BTreeSet::new();
    for line in extract.split(|byte| *byte == b'\n') {
        let record_type = String::from_utf8_lossy(line.get(..3).unwrap_or_default());
        let fields = rules.get(&*record_type).into_iter();
        let columns = fields.flat_map(|rule| &rule.fields);
        let positions = columns
            .filter(|field| field.kind == "pnr")
            .map(|field| field.position);
        // Lines of unknown types have their key at the same position.
        let all = positions.chain([4]);
        numbers.extend(all.filter_map(|position| at(line, position)));
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn searches_for_numbers_of_relatives_too() {
        let extract = crate::extract::small(1_000, 1);
        let keys: BTreeSet<String> = extract
            .split(|byte| *byte == b'\n')
            .filter_map(|line| line.get(3..13))
            .map(|key| String::from_utf8_lossy(key).into_owned())
            .collect();
        let numbers = numbers(&extract);
        let others = numbers.iter().filter(|number| !keys.contains(*number));
        let others = others.count();
        assert!(others > 0, "every relative is also a key");
        let named = "MOR".to_owned() + numbers.iter().next().unwrap();
        let found = std::panic::catch_unwind(|| search(&numbers, &named));
        assert!(found.is_err());
    }
}
