//! The databases and tables that `cprflow export` has loaded from a dataset: `<dataset>/_exports/*.json`, written by the export.
//!
//! An erasure cannot reach them. They lose the persons when they are loaded again, so the proof names them.

use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::config::Store;
use crate::error::Error;
use crate::fs::entries;

/// The directory of the files in a dataset.
const DIRECTORY: &str = "_exports";

/// A target of exports that has not caught up with an erasure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExportTarget {
    /// The dataset that is exported.
    pub dataset: PathBuf,
    /// `delta`, `postgresql`, or `unknown` if the file cannot be read.
    pub kind: String,
    /// The target, without user and password.
    pub target: String,
}

/// What cprflow reads of a file.
#[derive(Deserialize)]
struct Description {
    kind: String,
    target: String,
}

/// Returns the targets of the datasets of a store.
pub(super) fn targets(store: &Store) -> Result<Vec<ExportTarget>, Error> {
    let mut targets = Vec::new();
    let datasets = store.tenants.iter().map(|tenant| &tenant.dataset);
    for dataset in [&store.dataset].into_iter().chain(datasets) {
        for path in entries(&dataset.join(DIRECTORY))? {
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let text = fs::read(&path).map_err(Error::file(&path))?;
            let unknown = || Description {
                kind: "unknown".to_owned(),
                target: path.display().to_string(),
            };
            let Description { kind, target } =
                serde_json::from_slice(&text).unwrap_or_else(|_| unknown());
            targets.push(ExportTarget {
                dataset: dataset.clone(),
                kind,
                target,
            });
        }
    }
    Ok(targets)
}
