//! Prerequisites outside the repository: a test whose prerequisite is missing is skipped visibly, or fails.

use std::ffi::OsStr;
use std::fmt::Display;
use std::io::Write;

/// Something outside the repository that some tests need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requirement {
    /// The public samples and facts in the folder `shared` beside the repository.
    Shared,
    /// Permission to mount file systems.
    Mounts,
    /// OpenSSH's server.
    Sshd,
    /// Python with the packages of `tests/python/requirements.txt`.
    Python,
    /// Python with the packages of `tests/python/requirements-spark.txt`, and Java.
    Spark,
    /// Permission to build the Python package in the profile of the tests, which takes minutes.
    PythonPackage,
    /// The wheel of the Python package, named by `CPRFLOW_WHEEL`, or permission to build it, which takes many minutes.
    Wheel,
    /// Node 20 or newer, and its package manager npm, which downloads the packages of `examples/node`.
    Node,
}

impl Requirement {
    /// Returns the environment variable that makes the requirement mandatory.
    pub fn variable(self) -> &'static str {
        match self {
            Self::Shared => "CPRFLOW_REQUIRE_SHARED",
            Self::Mounts => "CPRFLOW_REQUIRE_MOUNTS",
            Self::Sshd => "CPRFLOW_REQUIRE_SSHD",
            Self::Python => "CPRFLOW_REQUIRE_PYTHON",
            Self::Spark => "CPRFLOW_REQUIRE_SPARK",
            Self::PythonPackage => "CPRFLOW_REQUIRE_PYTHON_PACKAGE",
            Self::Wheel => "CPRFLOW_RELEASE_WHEEL",
            Self::Node => "CPRFLOW_REQUIRE_NODE",
        }
    }
}

/// Returns `found`. If it is `None`, the calling test must return early.
///
/// A missing prerequisite is reported on standard error in a line that starts with `SKIPPED:`. `missing` says what is
/// missing and which tests are skipped.
///
/// # Panics
///
/// Panics if `found` is `None` and the environment variable of the requirement is set, for example to `1`. The value
/// `0` and the empty value count as not set.
pub fn require<T>(requirement: Requirement, found: Option<T>, missing: impl Display) -> Option<T> {
    let variable = requirement.variable();
    let is_mandatory = std::env::var_os(variable).is_some_and(|value| is_set(&value));
    require_if(is_mandatory, variable, found, missing)
}

fn require_if<T>(
    is_mandatory: bool,
    variable: &str,
    found: Option<T>,
    missing: impl Display,
) -> Option<T> {
    if found.is_none() {
        assert!(!is_mandatory, "{missing}, and {variable} is set");
        // Written directly, because the test harness captures what `eprintln!` prints.
        writeln!(
            std::io::stderr(),
            "SKIPPED: {missing} ({variable}=1 makes this a failure)"
        )
        .expect("standard error is open");
    }
    found
}

fn is_set(value: &OsStr) -> bool {
    !value.is_empty() && value != "0"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn returns_what_was_found() {
        for is_mandatory in [false, true] {
            assert_eq!(
                require_if(is_mandatory, "X", Some(1), "a file is missing"),
                Some(1)
            );
        }
    }

    #[test]
    fn skips_without_the_variable() {
        assert_eq!(
            require_if(false, "X", None::<u8>, "this is a test of skipping"),
            None
        );
    }

    #[test]
    #[should_panic(expected = "a file is missing, and X is set")]
    fn fails_with_the_variable() {
        require_if(true, "X", None::<u8>, "a file is missing");
    }

    #[test]
    fn zero_and_empty_count_as_not_set() {
        let values = ["1", "yes", "0", ""].map(|value| is_set(OsStr::new(value)));
        assert_eq!(values, [true, true, false, false]);
    }
}
