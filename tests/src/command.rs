//! The command `cprflow` as a process.

use std::ffi::OsStr;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::thread;

/// How a command ended.
#[derive(Debug)]
pub struct Ended {
    /// The exit code.
    pub code: i32,
    /// What it printed.
    pub stdout: Vec<u8>,
    /// What it said.
    pub stderr: String,
}

impl Ended {
    /// What it printed, as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).unwrap()
    }
}

/// Runs `cprflow` with these arguments and nothing on standard input.
pub fn cprflow<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Ended {
    cprflow_with(arguments, b"")
}

/// Runs `cprflow` with these arguments and that on standard input.
pub fn cprflow_with<A: AsRef<OsStr>>(
    arguments: impl IntoIterator<Item = A>,
    input: &[u8],
) -> Ended {
    let mut child = command()
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // It may well end without reading it all.
    let feeder = thread::spawn(move || stdin.write_all(&input).is_ok());
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    Ended {
        code: output.status.code().expect("it was not killed"),
        stdout: output.stdout,
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The command, without colours and as wide as help texts are snapshot.
pub fn command() -> Command {
    let mut command = Command::new(binary());
    command
        .env_remove("CLICOLOR_FORCE")
        .env_remove("CPRFLOW_CONFIG")
        .env_remove("CPRFLOW_LOG")
        .env("NO_COLOR", "1")
        .env("COLUMNS", "100");
    command
}

/// The binary, built like this test if that is not done yet. `CPRFLOW_BIN` names another.
pub fn binary() -> &'static PathBuf {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| match std::env::var_os("CPRFLOW_BIN") {
        Some(named) => PathBuf::from(named),
        None => build("--bin", "cprflow"),
    })
}

/// An example, built like this test if that is not done yet.
pub fn example(name: &str) -> PathBuf {
    build("--example", name)
}

/// The directory of this build's profile, which the test executable stands in or below.
pub fn profile_directory() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let deps = test.parent().unwrap();
    match deps.file_name() {
        Some(name) if name == "deps" => deps.parent().unwrap().to_owned(),
        _ => deps.to_owned(),
    }
}

/// A directory for a test's files; it goes with the test.
#[derive(Debug)]
pub struct Place(tempfile::TempDir);

impl Place {
    /// An empty one.
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// Its path.
    pub fn root(&self) -> String {
        self.0.path().to_str().unwrap().to_owned()
    }

    /// The path of something in it.
    pub fn path(&self, name: &str) -> String {
        let path: PathBuf = self.0.path().join(name);
        path.to_str().unwrap().to_owned()
    }

    /// Makes a file in it, and gives its path.
    pub fn file(&self, name: &str, bytes: &[u8]) -> String {
        std::fs::write(self.path(name), bytes).unwrap();
        self.path(name)
    }

    /// What is in a directory in it, sorted.
    pub fn names(&self, directory: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.path(directory)).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

impl Default for Place {
    fn default() -> Self {
        Self::new()
    }
}

/// Cargo says where it puts the program; it has nothing to do when that is fresh.
fn build(kind: &str, name: &str) -> PathBuf {
    let directory = profile_directory();
    let profile = match directory.file_name().and_then(OsStr::to_str) {
        Some("debug") | None => "dev",
        Some(profile) => profile,
    };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .current_dir(crate::root())
        // With the features of the whole workspace, as the tests themselves are built, or much is built once more.
        .args(["build", "--workspace", kind, name])
        .args(["--profile", profile, "--message-format", "json"])
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    let binary = String::from_utf8_lossy(&built.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["target"]["name"] == name)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from));
    // Where there are no sources to build from, the one beside the test must do.
    let binary = binary.unwrap_or_else(|| match kind {
        "--example" => directory.join("examples").join(name),
        _ => directory.join(name),
    });
    assert!(binary.is_file(), "there is no {}", binary.display());
    binary
}
