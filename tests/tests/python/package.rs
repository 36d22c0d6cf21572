//! Builds the package and installs it for the tests.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use cprflow_tests::command::{AN_EXAMPLE, profile_directory};
use cprflow_tests::{Requirement, require};

/// The package, installed for the Python that has the engines.
pub(crate) struct Installed {
    /// The Python with `tests/python/requirements.txt`.
    pub(crate) python: PathBuf,
    /// The directory that contains the package.
    pub(crate) directory: PathBuf,
}

/// Returns the installed package. Returns `None` without Python; see [`cprflow_tests::require`].
pub(crate) fn installed() -> Option<&'static Installed> {
    static INSTALLED: OnceLock<Option<Installed>> = OnceLock::new();
    let install = || {
        let python = python_for_package()?;
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python-package");
        // The package of an earlier run can have files that this one has not.
        let _ = std::fs::remove_dir_all(&directory);
        match is_release() {
            true => install_wheel(&python, &directory),
            false => install_module(&directory),
        }
        Some(Installed { python, directory })
    };
    INSTALLED.get_or_init(install).as_ref()
}

fn install_wheel(python: &Path, directory: &Path) {
    run(Command::new(python)
        .args(["-m", "pip", "install", "--quiet", "--no-index"])
        .args(["--no-deps", "--target"])
        .arg(directory)
        .arg(wheel(python)));
}

/// Builds the native module like the tests, so that it shares what is built for them, and puts it beside the Python
/// files.
fn install_module(directory: &Path) {
    let mut cargo = Command::new(env!("CARGO"));
    // Build scripts that look at these variables would run again; see `cprflow_tests::command`.
    for (variable, _) in std::env::vars_os() {
        let name = variable.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(&variable);
        }
    }
    // Like `cprflow_tests::command::binary`, with the features with which the tests are built.
    cargo.args(["build", "--workspace", "--lib", "--locked"]);
    cargo.args(["--example", AN_EXAMPLE]);
    if profile_directory().ends_with("release") {
        cargo.arg("--release");
    }
    run(cargo
        .current_dir(cprflow_tests::root())
        .env("CARGO_TARGET_DIR", target_directory()));
    let package = directory.join("cprflow");
    copy_sources(
        &cprflow_tests::root().join("host/python/python/cprflow"),
        &package,
    );
    let module = profile_directory().join("lib_native.so");
    std::fs::copy(module, package.join("_native.abi3.so")).expect("cargo has built the module");
}

/// Copies the Python files of a package and of those in it.
fn copy_sources(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory can be created");
    for entry in std::fs::read_dir(from).expect("the package has files") {
        let path = entry.expect("the directory can be read").path();
        let target = to.join(path.file_name().expect("a file has a name"));
        if path.is_dir() {
            copy_sources(&path, &target);
        } else if path.extension().is_none_or(|extension| extension != "so") {
            std::fs::copy(&path, target).expect("a file can be copied");
        }
    }
}

/// Returns the Python that has the engines, if the package is to be tested. Building it takes minutes, so it is only built
/// on demand.
pub(crate) fn python_for_package() -> Option<PathBuf> {
    let is_wanted = is_release() || is_set(Requirement::PythonPackage.variable());
    let missing = "building the Python package was not asked for, so it is not tested";
    require(Requirement::PythonPackage, is_wanted.then_some(()), missing)?;
    cprflow_tests::python::python()
}

/// Returns whether the tests run with the wheel that users install, and not with a module of the tests' profile.
pub(crate) fn is_release() -> bool {
    is_set(NAMED_WHEEL) || is_set(Requirement::Wheel.variable())
}

/// The variable that names a wheel that is built already.
const NAMED_WHEEL: &str = "CPRFLOW_WHEEL";

fn is_set(variable: &str) -> bool {
    std::env::var_os(variable).is_some_and(|value| !value.is_empty() && value != "0")
}

/// Returns the wheel, which is built if necessary. `CPRFLOW_WHEEL` names one that is built already.
pub(crate) fn wheel(python: &Path) -> &'static Path {
    static WHEEL: OnceLock<PathBuf> = OnceLock::new();
    WHEEL.get_or_init(|| match std::env::var_os(NAMED_WHEEL) {
        Some(named) => PathBuf::from(named),
        None => build(python),
    })
}

fn build(python: &Path) -> PathBuf {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("wheel");
    let _ = std::fs::remove_dir_all(&out);
    let scripts = python.parent().expect("Python is in a directory");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::iter::once(scripts.to_owned()).chain(std::env::split_paths(&path));
    run(Command::new(python)
        .args(["-m", "maturin", "build", "--profile", "small", "--locked"])
        .args(["--zig", "--compatibility", "manylinux_2_28"])
        .arg("--manifest-path")
        .arg(cprflow_tests::root().join("host/python/Cargo.toml"))
        .arg("--out")
        .arg(&out)
        .env(
            "PATH",
            std::env::join_paths(path).expect("no path has a colon"),
        )
        .env("CARGO_TARGET_DIR", target_directory()));
    let mut wheels: Vec<_> = std::fs::read_dir(&out)
        .expect("maturin has made the directory")
        .map(|entry| entry.expect("the directory can be read").path())
        .collect();
    assert_eq!(wheels.len(), 1, "{wheels:?}");
    wheels.remove(0)
}

/// Returns the target directory of this build, so that the package is built once and not for every run.
fn target_directory() -> PathBuf {
    let profile = profile_directory();
    profile
        .parent()
        .expect("a profile has a directory")
        .to_owned()
}

/// Runs a command to its end.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.output().expect("the command can be run");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}\n{}",
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    );
    text(&output.stdout)
}
