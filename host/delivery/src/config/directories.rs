//! Checks that the directories of datasets, tenants and states are separate.

use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use super::error::ConfigurationError;
use super::store::Store;
use crate::error::Error;
use crate::fs::ask_disks;
use crate::tenant::Tenant;

/// Time in which the disk of a tenant must respond.
const DISK_TIMEOUT: Duration = Duration::from_secs(10);

/// A directory that cprflow writes to.
struct UsedDirectory {
    /// The use and the path as configured, for errors.
    description: String,
    /// The path without symbolic links.
    path: PathBuf,
    usage: DirectoryUse,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum DirectoryUse {
    /// The dataset of a store, with all data.
    Dataset,
    TenantDataset,
    State,
}

/// Checks that no tenant shares a directory, and that no dataset is inside another one.
///
/// Symbolic links are followed, so two names of one directory count as one. A state directory may be inside the dataset
/// of its store, and a dataset inside a state directory.
pub(super) fn check(stores: &[Store]) -> Result<(), Error> {
    let mut directories = Vec::new();
    let mut tenants: Vec<&Tenant> = Vec::new();
    for store in stores {
        directories.push(UsedDirectory {
            description: format!("the dataset {}", store.dataset.display()),
            path: resolve(&store.dataset)?,
            usage: DirectoryUse::Dataset,
        });
        directories.push(UsedDirectory {
            description: format!("the state {}", store.state.display()),
            path: resolve(&store.state)?,
            usage: DirectoryUse::State,
        });
        for tenant in &store.tenants {
            // A tenant that may see agreements of several stores has one dataset for all of them.
            if !tenants.iter().any(|known| known.name == tenant.name) {
                tenants.push(tenant);
            }
        }
    }
    let question = |tenant: &&Tenant| {
        let dataset = tenant.dataset.clone();
        move || resolve(&dataset)
    };
    let answers = ask_disks(DISK_TIMEOUT, tenants.iter().map(question));
    for (tenant, answer) in tenants.into_iter().zip(answers) {
        let dataset = &tenant.dataset;
        directories.push(UsedDirectory {
            description: format!(
                "the dataset {} of tenant {}",
                dataset.display(),
                tenant.name
            ),
            // A disk that does not respond must not stop the other tenants. Nothing can be written to it by any path.
            path: match answer {
                Some(path) => path?,
                None => std::path::absolute(dataset).map_err(Error::file(dataset))?,
            },
            usage: DirectoryUse::TenantDataset,
        });
    }
    for (index, one) in directories.iter().enumerate() {
        for other in directories.iter().skip(index + 1) {
            check_pair(one, other)?;
        }
    }
    Ok(())
}

fn check_pair(one: &UsedDirectory, other: &UsedDirectory) -> Result<(), ConfigurationError> {
    let uses = [one.usage, other.usage];
    if uses.contains(&DirectoryUse::State) && !uses.contains(&DirectoryUse::TenantDataset) {
        return Ok(());
    }
    let (inner, outer) = match (
        one.path.starts_with(&other.path),
        other.path.starts_with(&one.path),
    ) {
        (false, false) => return Ok(()),
        (true, true) => {
            return Err(ConfigurationError::SameDirectory {
                one: one.description.clone(),
                other: other.description.clone(),
            });
        }
        (true, false) => (one, other),
        (false, true) => (other, one),
    };
    match outer.usage {
        // The readers of a dataset below a state directory get no access to the state.
        DirectoryUse::State => Ok(()),
        DirectoryUse::Dataset | DirectoryUse::TenantDataset => {
            Err(ConfigurationError::NestedDirectories {
                inner: inner.description.clone(),
                outer: outer.description.clone(),
            })
        }
    }
}

/// Returns the absolute path without symbolic links. Directories that do not exist yet are kept as they are written.
fn resolve(path: &Path) -> Result<PathBuf, Error> {
    let absolute = std::path::absolute(path).map_err(Error::file(path))?;
    let mut missing: Vec<OsString> = Vec::new();
    let mut existing = absolute.as_path();
    let mut resolved = loop {
        match (std::fs::canonicalize(existing), existing.parent()) {
            (Ok(resolved), _) => break resolved,
            (Err(_), Some(parent)) => {
                let last = existing.components().next_back();
                missing.push(
                    last.map(|part| part.as_os_str().to_owned())
                        .unwrap_or_default(),
                );
                existing = parent;
            }
            (Err(_), None) => break existing.to_owned(),
        }
    };
    for part in missing.into_iter().rev() {
        match Path::new(&part).components().next() {
            Some(Component::ParentDir) => {
                resolved.pop();
            }
            _ => resolved.push(part),
        }
    }
    Ok(resolved)
}
