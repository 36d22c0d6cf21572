//! What is left of tenants that are not configured any more, and in directories that datasets were moved away from.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use crate::config::Store;
use crate::dataset::{Dataset, published_deliveries};
use crate::error::Error;
use crate::fs::{ask_disks, entries};
use crate::ledger::Ledger;

/// The time in which a disk must say what it has.
const DISK_TIMEOUT: Duration = Duration::from_secs(10);

/// What is left of a tenant. It displays as a text for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormerTenant {
    /// The tenant's name.
    pub tenant: String,
    /// Whether the configuration has the tenant, with a dataset in another directory.
    pub is_configured: bool,
    /// The directory with the tenant's data, and what it has; `None` if it is not known or has nothing.
    pub dataset: Option<LeftDataset>,
    /// Whether the state directory has lists of the tenant's persons.
    pub has_rosters: bool,
}

/// What is left in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftDataset {
    /// The directory.
    pub path: PathBuf,
    /// The number of deliveries in it; `None` if the disk did not respond.
    pub deliveries: Option<usize>,
    /// Whether it has current tables.
    pub has_current: bool,
}

impl std::fmt::Display for FormerTenant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let tenant = &self.tenant;
        match self.is_configured {
            true => write!(
                f,
                "the dataset of tenant {tenant} was moved in the configuration"
            )?,
            false => write!(f, "tenant {tenant} is not in the configuration any more")?,
        }
        let mut left = Vec::new();
        if let Some(dataset) = &self.dataset {
            let path = dataset.path.display();
            if dataset.has_current {
                left.push(format!(
                    "current tables in {path} (the next `cprflow sync` withdraws them)"
                ));
            }
            match dataset.deliveries {
                None => left.push(format!("{path}, whose disk does not respond")),
                Some(0) => {}
                Some(count) => left.push(format!("{count} deliveries in {path}")),
            }
        }
        if self.has_rosters {
            left.push("lists of its persons in the state directory".to_owned());
        }
        write!(f, ". What is left of it: {}. ", left.join(", "))?;
        match (self.is_configured, &self.dataset) {
            (true, Some(dataset)) => write!(
                f,
                "Move the deliveries to the new directory, or delete the old one: rm -r {}",
                dataset.path.display()
            ),
            _ => write!(f, "To delete all of it: cprflow erase --tenant {tenant}"),
        }
    }
}

/// Returns the absolute path of a directory without `.` and `..`. It asks no disk.
pub(crate) fn plain_path(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut plain = PathBuf::new();
    for part in absolute.components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    plain
}

/// A directory in which a tenant had data and that is not the tenant's in the configuration any more.
#[derive(Debug, Clone)]
pub(crate) struct FormerDataset {
    pub(crate) tenant: String,
    pub(crate) path: PathBuf,
    /// The directories that datasets have in the configuration.
    configured: Vec<PathBuf>,
}

impl FormerDataset {
    /// Opens the dataset. Returns `None` if there is none, or if the configuration has the directory under another name. Asks
    /// the disk.
    pub(crate) fn open(&self) -> Option<Dataset> {
        let own = fs::canonicalize(&self.path).ok()?;
        let is_own = |path: &PathBuf| fs::canonicalize(path).is_ok_and(|path| path == own);
        let dataset = Dataset::at(&self.path).filter(Dataset::exists);
        dataset.filter(|_| !self.configured.iter().any(is_own))
    }
}

/// Returns the directories in which tenants had data and that are not theirs in the configuration any more. A directory
/// that another tenant or the unrestricted dataset has now is left out.
pub(crate) fn left_datasets(store: &Store, ledger: &Ledger) -> Result<Vec<FormerDataset>, Error> {
    Ok(former_of(store, ledger.tenant_datasets()?))
}

/// Returns the directories that the unrestricted dataset had before, apart from those that a dataset has now. The name of their
/// tenant is empty.
pub(crate) fn left_unrestricted(
    store: &Store,
    ledger: &Ledger,
) -> Result<Vec<FormerDataset>, Error> {
    let paths = ledger.unrestricted_datasets()?.into_iter();
    Ok(former_of(
        store,
        paths.map(|path| (String::new(), path)).collect(),
    ))
}

fn former_of(store: &Store, mut known: Vec<(String, PathBuf)>) -> Vec<FormerDataset> {
    let tenants = store.tenants.iter().map(|own| &own.dataset);
    let datasets = tenants.chain([&store.dataset]);
    let configured: Vec<PathBuf> = datasets.map(|path| plain_path(path)).collect();
    known.retain(|(_, path)| !configured.contains(path));
    let former = known.into_iter().map(|(tenant, path)| FormerDataset {
        tenant,
        path,
        configured: configured.clone(),
    });
    former.collect()
}

/// Returns what is left of tenants that are not configured any more, and in directories that datasets were moved away
/// from.
pub fn former_tenants(store: &Store, ledger: &Ledger) -> Result<Vec<FormerTenant>, Error> {
    let is_configured = |name: &str| store.tenants.iter().any(|own| own.name.as_str() == name);
    let left = left_datasets(store, ledger)?;
    let questions = left.iter().map(|former| {
        let former = former.clone();
        move || describe(&former)
    });
    let answers = ask_disks(DISK_TIMEOUT, questions);
    let mut found = Vec::new();
    for (former, answer) in left.into_iter().zip(answers) {
        let FormerDataset { tenant, path, .. } = former;
        let dataset = match answer {
            None => Some(LeftDataset {
                path,
                deliveries: None,
                has_current: false,
            }),
            Some(described) => described?,
        };
        found.extend(dataset.map(|dataset| FormerTenant {
            is_configured: is_configured(&tenant),
            dataset: Some(dataset),
            has_rosters: false,
            tenant,
        }));
    }
    let mut with_rosters = BTreeSet::new();
    for directory in ["rosters", "generations"] {
        for path in entries(&store.state.join(directory))? {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if !is_configured(&name) && !entries(&path)?.is_empty() {
                with_rosters.insert(name.into_owned());
            }
        }
    }
    for tenant in with_rosters {
        match found.iter_mut().find(|one| one.tenant == tenant) {
            Some(one) => one.has_rosters = true,
            None => found.push(FormerTenant {
                tenant,
                is_configured: false,
                dataset: None,
                has_rosters: true,
            }),
        }
    }
    Ok(found)
}

/// Returns what a directory has of a dataset; `None` if it has nothing.
fn describe(former: &FormerDataset) -> Result<Option<LeftDataset>, Error> {
    let Some(dataset) = former.open() else {
        return Ok(None);
    };
    let has_current = dataset.has_generations()?;
    let deliveries = published_deliveries(&former.path)?.len();
    let left = LeftDataset {
        path: former.path.clone(),
        deliveries: Some(deliveries),
        has_current,
    };
    Ok((has_current || deliveries > 0).then_some(left))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_the_same_however_it_is_written() {
        let plain = |path: &str| plain_path(Path::new(path));
        assert_eq!(plain("/a/b/../c/./d"), Path::new("/a/c/d"));
        assert_eq!(plain("/.."), Path::new("/"));
        assert!(plain("a").is_absolute());
    }
}
