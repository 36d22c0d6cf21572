//! Finds the Python that reads what cprflow writes.

use std::path::PathBuf;

use crate::Requirement;

/// Returns the Python of `CPRFLOW_PYTHON`, or else of the repository's `.venv`.
///
/// Without one it returns `None` and the test is skipped; see [`require`](crate::require).
pub fn python() -> Option<PathBuf> {
    let own = crate::root().join(".venv").join("bin").join("python");
    let found = match std::env::var_os("CPRFLOW_PYTHON") {
        Some(named) => Some(PathBuf::from(named)),
        None => Some(own).filter(|own| own.is_file()),
    };
    crate::require(
        Requirement::Python,
        found,
        "there is no Python with tests/python/requirements.txt (set CPRFLOW_PYTHON, or create .venv in the repository)",
    )
}
