//! The files of export targets in datasets, `<dataset>/_exports/*.json`, as `cprflow export` writes them.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;

use super::exports::{ExportLag, ExportTarget};
use crate::config::Store;
use crate::error::Error;
use crate::fs::{ask_disks, entries};
use crate::ledger::Ledger;
use crate::tenant::former::{FormerDataset, left_datasets, left_unrestricted};

/// The directory of the files in a dataset.
pub(super) const DIRECTORY: &str = "_exports";

/// The version of the files' format.
pub(super) const FORMAT: u32 = 1;

/// The time in which a disk must say which targets it has.
const DISK_TIMEOUT: Duration = Duration::from_secs(10);

/// A target and its file.
#[derive(Debug)]
pub(super) struct ListedTarget {
    /// The tenant of the dataset; `None` for the unrestricted dataset.
    pub(super) tenant: Option<String>,
    pub(super) target: ExportTarget,
    /// `None` if it cannot be read.
    pub(super) progress: Option<Progress>,
}

/// How a file names its target.
#[derive(Deserialize)]
struct Description {
    kind: String,
    target: String,
    schema: Option<String>,
}

/// What a file says of the rows that its target has.
#[derive(Debug, Deserialize)]
pub(super) struct Progress {
    pub(super) format: u32,
    /// The time at which the last run began.
    pub(super) started: Timestamp,
    /// The time at which it ended; `None` if it was interrupted.
    pub(super) finished: Option<Timestamp>,
    pub(super) tables: BTreeMap<String, Table>,
}

/// What a table of a target has.
#[derive(Debug, Deserialize)]
pub(super) struct Table {
    #[serde(rename = "generation", alias = "sequences")]
    pub(super) rows: Number,
    /// The time at which the last run that exported the table began. Older versions did not write it.
    pub(super) exported: Option<Times>,
    /// The number for which all files of older versions were removed.
    pub(super) cleaned: Option<Number>,
    /// The time at which the run that removed them began. Older versions did not write it.
    pub(super) cleaned_at: Option<Timestamp>,
}

/// A time, or times by agreement for the change feed.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Times {
    All(Timestamp),
    Agreements(BTreeMap<String, Timestamp>),
}

/// The number of a generation, or the numbers in the change feed by agreement.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Number {
    Generation(u64),
    Sequences(BTreeMap<String, u64>),
}

/// Returns the datasets of a store, with the names of their tenants.
pub(super) fn datasets(store: &Store) -> impl Iterator<Item = (Option<&str>, &Path)> {
    let tenants = store.tenants.iter();
    let tenants = tenants.map(|tenant| (Some(tenant.name.as_str()), tenant.dataset.as_path()));
    std::iter::once((None, store.dataset.as_path())).chain(tenants)
}

/// Returns the targets of the datasets of a store, and of the directories in which datasets were before: those of tenants that
/// are not configured any more, and of datasets that were moved. Files and directories that cannot be read are targets too.
pub(super) fn listed(store: &Store, ledger: &Ledger) -> Result<Vec<ListedTarget>, Error> {
    let mut all: Vec<ListedTarget> = datasets(store)
        .flat_map(|(tenant, dataset)| read_all(tenant, dataset, false))
        .collect();
    // The name of a file tells its target. A newer file of the same tenant says what the target has now.
    let newer: BTreeSet<(Option<String>, Option<OsString>)> = all.iter().map(name).collect();
    let tenants = left_datasets(store, ledger)?.into_iter();
    let tenants = tenants.map(|former| (Some(former.tenant.clone()), former));
    let unrestricted = left_unrestricted(store, ledger)?.into_iter();
    let former: Vec<_> = unrestricted
        .map(|former| (None, former))
        .chain(tenants)
        .collect();
    let questions = former.iter().map(|(tenant, former)| {
        let (tenant, former) = (tenant.clone(), former.clone());
        move || read_former(tenant.as_deref(), &former)
    });
    let answers = ask_disks(DISK_TIMEOUT, questions);
    for ((tenant, former), answer) in former.iter().zip(answers) {
        let unknown = || vec![ListedTarget::unknown(tenant.as_deref(), &former.path)];
        let found = answer.unwrap_or_else(unknown).into_iter();
        all.extend(found.filter(|listed| !newer.contains(&name(listed))));
    }
    Ok(all)
}

/// Returns the tenant of a target and the name of its file.
fn name(listed: &ListedTarget) -> (Option<String>, Option<OsString>) {
    let file = listed.target.file.file_name();
    (listed.tenant.clone(), file.map(ToOwned::to_owned))
}

/// Returns the targets of a directory in which a dataset was before. A directory that does not exist has none.
fn read_former(tenant: Option<&str>, former: &FormerDataset) -> Vec<ListedTarget> {
    match fs::metadata(&former.path) {
        Err(error) if is_missing(&error) => Vec::new(),
        Err(_) => vec![ListedTarget::unknown(tenant, &former.path)],
        // The configuration can have it under another name.
        Ok(_) if former.open().is_none() => Vec::new(),
        Ok(_) => read_all(tenant, &former.path, true),
    }
}

fn is_missing(error: &io::Error) -> bool {
    let kind = error.kind();
    kind == io::ErrorKind::NotFound || kind == io::ErrorKind::NotADirectory
}

/// Returns the targets of a dataset.
fn read_all(tenant: Option<&str>, dataset: &Path, is_former: bool) -> Vec<ListedTarget> {
    let directory = dataset.join(DIRECTORY);
    let mut paths = entries(&directory).unwrap_or_else(|_| vec![directory.clone()]);
    paths.retain(|path| {
        *path == directory
            || path
                .extension()
                .is_some_and(|extension| extension == "json")
    });
    let files = paths.into_iter();
    files
        .map(|path| ListedTarget::read(tenant, dataset, path, is_former))
        .collect()
}

impl ListedTarget {
    fn read(tenant: Option<&str>, dataset: &Path, file: PathBuf, is_former: bool) -> Self {
        let text = fs::read(&file).unwrap_or_default();
        let unknown = || Description {
            kind: "unknown".to_owned(),
            target: file.display().to_string(),
            schema: None,
        };
        let Description {
            kind,
            target,
            schema,
        } = serde_json::from_slice(&text).unwrap_or_else(|_| unknown());
        Self {
            tenant: tenant.map(ToOwned::to_owned),
            target: ExportTarget {
                dataset: dataset.to_owned(),
                kind,
                target,
                schema,
                file,
                is_former,
                lag: ExportLag::Rows,
            },
            progress: serde_json::from_slice(&text).ok(),
        }
    }

    /// Returns what stands for the targets of a directory that cannot be read.
    fn unknown(tenant: Option<&str>, dataset: &Path) -> Self {
        let file = dataset.join(DIRECTORY);
        Self {
            tenant: tenant.map(ToOwned::to_owned),
            target: ExportTarget {
                dataset: dataset.to_owned(),
                kind: "unknown".to_owned(),
                target: file.display().to_string(),
                schema: None,
                file,
                is_former: true,
                lag: ExportLag::Unknown,
            },
            progress: None,
        }
    }
}
