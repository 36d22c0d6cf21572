//! Runs the command `cprflow` as a process.

use std::ffi::OsStr;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::thread;

/// The result of a command.
#[derive(Debug)]
pub struct CommandOutput {
    /// The exit code.
    pub code: i32,
    /// The bytes of standard output.
    pub stdout: Vec<u8>,
    /// The text of standard error.
    pub stderr: String,
}

impl CommandOutput {
    /// Returns standard output as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).unwrap()
    }
}

/// Runs `cprflow` with these arguments and nothing on standard input.
pub fn cprflow<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> CommandOutput {
    cprflow_with(arguments, b"")
}

/// Runs `cprflow` with these arguments and this standard input.
pub fn cprflow_with<A: AsRef<OsStr>>(
    arguments: impl IntoIterator<Item = A>,
    input: &[u8],
) -> CommandOutput {
    let mut child = command()
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // The command may end before it has read all input.
    let feeder = thread::spawn(move || stdin.write_all(&input).is_ok());
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    CommandOutput {
        code: output.status.code().expect("the command ended by itself"),
        stdout: output.stdout,
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Returns the command without colours, with the width of the snapshots of help texts.
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

/// Returns the path of the command, which is built if necessary. `CPRFLOW_BIN` selects another binary.
pub fn binary() -> &'static PathBuf {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| match std::env::var_os("CPRFLOW_BIN") {
        Some(named) => PathBuf::from(named),
        None => build("--bin", "cprflow"),
    })
}

/// Returns the path of an example, which is built if necessary.
pub fn example(name: &str) -> PathBuf {
    build("--example", name)
}

/// Returns the directory of this build's profile, which contains the test executable.
pub fn profile_directory() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let deps = test.parent().unwrap();
    match deps.file_name() {
        Some(name) if name == "deps" => deps.parent().unwrap().to_owned(),
        _ => deps.to_owned(),
    }
}

/// Returns the component that the host embeds: that of `CPRFLOW_COMPONENT`, or the one that its build made.
pub fn component_file() -> PathBuf {
    if let Some(prebuilt) = std::env::var_os("CPRFLOW_COMPONENT") {
        return PathBuf::from(prebuilt);
    }
    // The build script of the host has a directory for each checkout, named by the hash of the checkout's path.
    let mut checkout = DefaultHasher::new();
    crate::root().hash(&mut checkout);
    let built = format!(
        "component/{:016x}/wasm32-wasip2/component/cprflow_connector.wasm",
        checkout.finish()
    );
    let profile = profile_directory();
    let mut targets = profile.ancestors().map(|directory| directory.join(&built));
    targets
        .find(|file| file.is_file())
        .expect("the build of the host builds the component")
}

/// A temporary directory, which is removed when the value is dropped.
#[derive(Debug)]
pub struct TestDirectory(tempfile::TempDir);

impl TestDirectory {
    /// Creates an empty directory.
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// Returns the path.
    pub fn root(&self) -> String {
        self.0.path().to_str().unwrap().to_owned()
    }

    /// Returns the path of an entry.
    pub fn path(&self, name: &str) -> String {
        let path: PathBuf = self.0.path().join(name);
        path.to_str().unwrap().to_owned()
    }

    /// Writes a file and returns its path.
    pub fn file(&self, name: &str, bytes: &[u8]) -> String {
        std::fs::write(self.path(name), bytes).unwrap();
        self.path(name)
    }

    /// Returns the sorted names in a subdirectory.
    pub fn names(&self, directory: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.path(directory)).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

impl Default for TestDirectory {
    fn default() -> Self {
        Self::new()
    }
}

/// An example of the workspace. Cargo includes the features of the dependencies of tests only with an example or a test.
pub const AN_EXAMPLE: &str = "read_extract";

/// Builds a program with Cargo, which does nothing if it is up to date, and returns its path.
fn build(kind: &str, name: &str) -> PathBuf {
    let directory = profile_directory();
    let profile = match directory.file_name().and_then(OsStr::to_str) {
        Some("debug") | None => "dev",
        Some(profile) => profile,
    };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    // Cargo describes the package of the test to it. Build scripts that look at these variables, such as ring's, would
    // run again for every test program, and everything that depends on them would be compiled again.
    for (variable, _) in std::env::vars_os() {
        let name = variable.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&variable);
        }
    }
    let built = command
        .current_dir(crate::root())
        // The tests are built with the features of the whole workspace and, like every example, with those of the
        // dependencies of tests. Other features would cause a second build.
        .args(["build", "--workspace", kind, name])
        .args(["--example", AN_EXAMPLE])
        .args(["--profile", profile, "--message-format", "json"])
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    let binary = String::from_utf8_lossy(&built.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["target"]["name"] == name)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from));
    // Without sources, the program beside the test is used.
    let binary = binary.unwrap_or_else(|| match kind {
        "--example" => directory.join("examples").join(name),
        _ => directory.join(name),
    });
    assert!(binary.is_file(), "{} does not exist", binary.display());
    binary
}
