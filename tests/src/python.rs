//! A Python that reads what cprflow writes.

use std::path::PathBuf;

/// The Python of `CPRFLOW_PYTHON` or of the repository's `.venv`.
///
/// Without one this says so and gives none; with `CPRFLOW_REQUIRE_PYTHON` it fails.
pub fn python() -> Option<PathBuf> {
    let own = crate::root().join(".venv").join("bin").join("python");
    let found = match std::env::var_os("CPRFLOW_PYTHON") {
        Some(named) => Some(PathBuf::from(named)),
        None => Some(own).filter(|own| own.is_file()),
    };
    if found.is_none() {
        let why = "no Python with tests/python/requirements.txt (CPRFLOW_PYTHON, or .venv in the repository)";
        assert!(
            std::env::var_os("CPRFLOW_REQUIRE_PYTHON").is_none(),
            "{why}"
        );
        crate::skipped(why);
    }
    found
}
