//! The error of a second process that uses the same directory.

use std::path::PathBuf;

/// Another process uses the same state directory or dataset.
#[derive(Debug, thiserror::Error)]
#[error(
    "another cprflow{} is using {path}, and only one process may use it at a time. Wait until that process ends, or stop it",
    holder.map(|pid| format!(" (process {pid})")).unwrap_or_default(),
    path = path.display()
)]
pub struct InUse {
    /// The directory.
    pub path: PathBuf,
    /// The id of the process that holds the lock, if it is known.
    pub holder: Option<u32>,
}
