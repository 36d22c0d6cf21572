//! Checks that the directories of inboxes, datasets, tenants and states are separate.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use super::error::ConfigurationError;
use super::store::Store;
use crate::dataset::Dataset;
use crate::error::Error;
use crate::fs::ask_disks;
use crate::tenant::Tenant;
use cprflow_transport::Inbox;

/// Time in which the disk of an inbox or a tenant must respond.
const DISK_TIMEOUT: Duration = Duration::from_secs(10);

/// The number of symbolic links in a path after which it counts as a circle. Linux has the same limit.
const MAX_LINKS: usize = 40;

/// A directory that cprflow reads deliveries from or writes to.
struct UsedDirectory {
    /// The use and the path as configured, for errors.
    description: String,
    /// The path without symbolic links.
    path: PathBuf,
    usage: DirectoryUse,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum DirectoryUse {
    /// An inbox that is a directory of this machine. Several agreements may share it.
    Inbox,
    /// The dataset of a store or a tenant.
    Dataset,
    /// The directory beside a dataset in which deliveries are prepared. A run removes everything in it.
    Staging,
    /// The directory of a ledger, or the one in which the stores have their state directories.
    State,
}

/// Checks that no directory is inside another one or equal to it. `state` is the directory in which the stores have
/// their state.
///
/// The exceptions are directories of the same use that may be shared: inboxes, and state directories. Symbolic links
/// are followed, so two names of one directory count as one.
pub(super) fn check(stores: &[Store], state: &Path) -> Result<(), Error> {
    let directories = used_directories(stores, state)?;
    for (index, one) in directories.iter().enumerate() {
        for other in directories.iter().skip(index + 1) {
            check_pair(one, other)?;
        }
    }
    Ok(())
}

/// Returns all directories in use. Those in which deliveries are prepared come last: where the dataset is at a wrong
/// place, the error must be about the dataset.
fn used_directories(stores: &[Store], state: &Path) -> Result<Vec<UsedDirectory>, Error> {
    let mut directories = vec![state_directory(state)?];
    let mut staging = Vec::new();
    // Disks of inboxes and tenants may not respond, and must not stop the others.
    let mut remote: Vec<(String, DirectoryUse, PathBuf)> = Vec::new();
    let mut tenants: Vec<&Tenant> = Vec::new();
    for store in stores {
        directories.push(state_directory(&store.state)?);
        let description = format!("the dataset {}", store.dataset.display());
        staging.extend(staging_of(&store.dataset, &description));
        directories.push(UsedDirectory {
            path: resolve(&store.dataset)?,
            description,
            usage: DirectoryUse::Dataset,
        });
        for agreement in &store.agreements {
            if let Inbox::Directory(inbox) = &agreement.inbox {
                let description = format!(
                    "the inbox {} of agreement {}",
                    inbox.display(),
                    agreement.name
                );
                remote.push((description, DirectoryUse::Inbox, inbox.clone()));
            }
        }
        for tenant in &store.tenants {
            if !tenants.iter().any(|known| known.name == tenant.name) {
                tenants.push(tenant);
            }
        }
    }
    for tenant in tenants {
        let dataset = &tenant.dataset;
        let description = format!(
            "the dataset {} of tenant {}",
            dataset.display(),
            tenant.name
        );
        staging.extend(staging_of(dataset, &description));
        remote.push((description, DirectoryUse::Dataset, dataset.clone()));
    }
    remote.extend(staging);
    let question = |(_, _, path): &(String, DirectoryUse, PathBuf)| {
        let path = path.clone();
        move || resolve(&path)
    };
    let answers = ask_disks(DISK_TIMEOUT, remote.iter().map(question));
    for ((description, usage, path), answer) in remote.into_iter().zip(answers) {
        directories.push(UsedDirectory {
            description,
            // Nothing can be written by any path to a disk that does not respond.
            path: match answer {
                Some(resolved) => resolved?,
                None => std::path::absolute(&path).map_err(Error::file(path))?,
            },
            usage,
        });
    }
    Ok(directories)
}

fn state_directory(path: &Path) -> Result<UsedDirectory, Error> {
    Ok(UsedDirectory {
        description: format!("the state directory {}", path.display()),
        path: resolve(path)?,
        usage: DirectoryUse::State,
    })
}

/// Returns the directory in which the deliveries of a dataset are prepared; `None` if the path cannot be a dataset.
fn staging_of(dataset: &Path, description: &str) -> Option<(String, DirectoryUse, PathBuf)> {
    let staging = Dataset::at(dataset)?.staging_root().to_owned();
    let description = format!(
        "{}, in which deliveries of {description} are prepared",
        staging.display()
    );
    Some((description, DirectoryUse::Staging, staging))
}

fn check_pair(one: &UsedDirectory, other: &UsedDirectory) -> Result<(), ConfigurationError> {
    let may_be_shared = !matches!(one.usage, DirectoryUse::Dataset);
    if one.usage == other.usage && may_be_shared {
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
    Err(ConfigurationError::NestedDirectories {
        inner: inner.description.clone(),
        outer: outer.description.clone(),
    })
}

/// Returns the absolute path without symbolic links and `..`. Directories that do not exist yet are kept as they are
/// written. A link to a directory that does not exist yet is followed.
fn resolve(path: &Path) -> Result<PathBuf, Error> {
    let absolute = std::path::absolute(path).map_err(Error::file(path))?;
    let mut left: VecDeque<OsString> = components(&absolute);
    let mut resolved = PathBuf::new();
    let mut links = 0;
    while let Some(part) = left.pop_front() {
        match Path::new(&part).components().next() {
            Some(Component::Normal(_)) => {}
            Some(Component::ParentDir) => {
                resolved.pop();
                continue;
            }
            Some(Component::CurDir) | None => continue,
            Some(Component::RootDir | Component::Prefix(_)) => {
                resolved = PathBuf::from(part);
                continue;
            }
        }
        resolved.push(&part);
        // A path that cannot be read, or does not exist, is no link.
        let Ok(target) = std::fs::read_link(&resolved) else {
            continue;
        };
        links += 1;
        if links > MAX_LINKS {
            let circle = io::Error::other("the symbolic links of this path form a circle");
            return Err(Error::file(path)(circle));
        }
        resolved.pop();
        for part in components(&target).into_iter().rev() {
            left.push_front(part);
        }
    }
    Ok(resolved)
}

fn components(path: &Path) -> VecDeque<OsString> {
    let parts = path.components();
    parts.map(|part| part.as_os_str().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::config::file;

    /// Reads a configuration in a directory of its own, and returns its error.
    fn error_in(place: &Path, top: &str, inbox: &str, tenants: &[(&str, &str)]) -> Option<String> {
        let tenant = |(name, dataset): &(&str, &str)| {
            format!(
                "[tenant.{name}]\nagreements = [\"a\"]\npurpose = \"p\"\ndataset = \"{dataset}\"\n"
            )
        };
        let tenants: String = tenants.iter().map(tenant).collect();
        let text = format!("{top}[agreement.a]\ninbox = \"{inbox}\"\n{tenants}");
        let read = file::read(&text, place);
        read.err().map(|error| error.to_string())
    }

    const SEPARATE: &str = "dataset = \"all\"\nstate = \"state\"\n";

    #[test]
    fn accepts_separate_directories() {
        let place = tempfile::tempdir().unwrap();
        let place = place.path();
        // Directories with similar names, and a missing directory with a link to its parent.
        fs::create_dir(place.join("tenants")).unwrap();
        symlink("tenants", place.join("link")).unwrap();
        let tenants = [
            ("t", "state2"),
            ("u", "allin"),
            ("v", "link/v"),
            ("w", "tenants/w"),
        ];
        assert_eq!(error_in(place, SEPARATE, "in", &tenants), None);
        assert_eq!(error_in(place, SEPARATE, "sftp/in/", &tenants), None);
    }

    #[test]
    fn refuses_a_tenants_dataset_in_a_directory_of_another_use() {
        for (dataset, outer) in [
            ("in/t", "the inbox "),
            ("in", "the inbox "),
            ("state", "the state directory "),
            ("state/t", "the state directory "),
            ("state/rosters", "the state directory "),
            ("state/rosters/t/", "the state directory "),
            ("x/../state/spool/a", "the state directory "),
            ("./state//spool/../t", "the state directory "),
            ("all/t", "the dataset "),
            (".all.staging", "in which deliveries of the dataset "),
            (".all.staging/a", "in which deliveries of the dataset "),
        ] {
            let place = tempfile::tempdir().unwrap();
            let error = error_in(place.path(), SEPARATE, "in", &[("t", dataset)]);
            let error = error.unwrap_or_else(|| panic!("{dataset} is accepted"));
            assert!(error.contains(outer), "{dataset}: {error}");
            assert!(error.contains("of tenant t"), "{dataset}: {error}");
            assert!(error.contains("Give each its own directory"), "{error}");
        }
    }

    #[test]
    fn refuses_nested_datasets_states_and_inboxes() {
        for (dataset, state, inbox) in [
            ("in", "state", "in"),
            ("in/all", "state", "in"),
            ("all", "state", "all/in"),
            ("all", "in", "in"),
            ("all", "in/state", "in"),
            ("all", "state", "state/in"),
            ("all", "state", "state/spool/a"),
            ("state", "state", "in"),
            ("state/all", "state", "in"),
            ("all", "all/state", "in"),
            (".", "state", "in"),
            ("all", "state", ".all.staging/in"),
            ("all", ".all.staging", "in"),
        ] {
            let place = tempfile::tempdir().unwrap();
            let top = format!("dataset = \"{dataset}\"\nstate = \"{state}\"\n");
            let error = error_in(place.path(), &top, inbox, &[]);
            let error = error.unwrap_or_else(|| panic!("{dataset} {state} {inbox}"));
            let is_told = error.contains("are one directory") || error.contains("is inside");
            assert!(is_told, "{dataset} {state} {inbox}: {error}");
        }
    }

    #[test]
    fn refuses_a_tenants_dataset_in_another_tenants() {
        for (one, other) in [
            ("t", "t"),
            ("t", "t/u"),
            ("t/u/v", "t"),
            ("t", "./t/"),
            ("t", ".t.staging"),
        ] {
            let place = tempfile::tempdir().unwrap();
            let tenants = [("one", one), ("other", other)];
            let error = error_in(place.path(), SEPARATE, "in", &tenants);
            assert!(error.is_some(), "{one} {other}");
        }
    }

    #[test]
    fn follows_symbolic_links() {
        let place = tempfile::tempdir().unwrap();
        let place = place.path();
        fs::create_dir_all(place.join("state/rosters")).unwrap();
        fs::create_dir(place.join("in")).unwrap();
        symlink("in", place.join("inbox")).unwrap();
        symlink(place.join("state/rosters"), place.join("names")).unwrap();
        symlink("not-yet", place.join("later")).unwrap();
        symlink("round", place.join("about")).unwrap();
        symlink("about", place.join("round")).unwrap();
        for (tenants, outer) in [
            ([("t", "inbox/t"), ("u", "u")], "the inbox "),
            ([("t", "names"), ("u", "u")], "the state directory "),
            ([("t", "names/../t"), ("u", "u")], "the state directory "),
            // A link to a directory that does not exist yet is that directory.
            ([("t", "later"), ("u", "not-yet")], "are one directory"),
            ([("t", "later/t"), ("u", "not-yet")], "is inside"),
            ([("t", "round"), ("u", "u")], "form a circle"),
        ] {
            let error = error_in(place, SEPARATE, "in", &tenants);
            let error = error.unwrap_or_else(|| panic!("{tenants:?} are accepted"));
            assert!(error.contains(outer), "{tenants:?}: {error}");
        }
        // The inbox has another name than the one that is configured.
        let error = error_in(place, SEPARATE, "inbox", &[("t", "in/t")]).unwrap();
        assert!(error.contains("the inbox "), "{error}");
    }

    #[test]
    fn a_state_directory_of_the_command_line_is_checked_too() {
        let place = tempfile::tempdir().unwrap();
        let text = format!("{SEPARATE}[agreement.a]\ninbox = \"in\"\n");
        let read = || file::read(&text, place.path()).unwrap();
        for state in ["in", "in/state", "all", "all/state"] {
            let moved = read().state(&place.path().join(state));
            assert!(moved.is_err(), "{state}");
        }
        read().state(&place.path().join("elsewhere")).unwrap();
    }
}
