//! Who writes where: no dataset lies in another, and no state in a dataset.

use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use super::Store;
use crate::disk::ask as ask_disks;
use crate::error::Error;
use crate::tenant::Tenant;

/// How long it is waited for the disk of a tenant.
const TO_ANSWER: Duration = Duration::from_secs(10);

/// A directory that is somebody's own.
struct Place {
    whose: String,
    path: PathBuf,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Whole,
    Tenants,
    State,
}

/// Checks that everybody has a directory of their own. Links are followed: two names of one directory are one directory.
pub(super) fn check(stores: &[Store]) -> Result<(), Error> {
    let mut places = Vec::new();
    let mut tenants: Vec<&Tenant> = Vec::new();
    for store in stores {
        places.push(Place {
            whose: format!("the dataset {}", store.dataset.display()),
            path: real(&store.dataset)?,
            kind: Kind::Whole,
        });
        places.push(Place {
            whose: format!("the state {}", store.state.display()),
            path: real(&store.state)?,
            kind: Kind::State,
        });
        for tenant in &store.tenants {
            // One who may see agreements of several stores has one dataset for all of them.
            if !tenants.iter().any(|known| known.name == tenant.name) {
                tenants.push(tenant);
            }
        }
    }
    let ask = |tenant: &&Tenant| {
        let dataset = tenant.dataset.clone();
        move || real(&dataset)
    };
    let found = ask_disks(TO_ANSWER, tenants.iter().map(ask));
    for (tenant, found) in tenants.into_iter().zip(found) {
        let dataset = &tenant.dataset;
        places.push(Place {
            whose: format!(
                "the dataset {} of tenant {}",
                dataset.display(),
                tenant.name
            ),
            // A disk that does not answer is its tenant's own problem. Nobody can write to it by any name.
            path: match found {
                Some(path) => path?,
                None => std::path::absolute(dataset).map_err(Error::file(dataset))?,
            },
            kind: Kind::Tenants,
        });
    }
    for (number, one) in places.iter().enumerate() {
        for other in places.iter().skip(number + 1) {
            apart(one, other)?;
        }
    }
    Ok(())
}

fn apart(one: &Place, other: &Place) -> Result<(), Error> {
    let is_tenants = [one.kind, other.kind].contains(&Kind::Tenants);
    let is_state = [one.kind, other.kind].contains(&Kind::State);
    if is_state && !is_tenants {
        return Ok(());
    }
    let (inner, outer) = match (
        one.path.starts_with(&other.path),
        other.path.starts_with(&one.path),
    ) {
        (false, false) => return Ok(()),
        (true, true) => {
            return Err(Error::Request(format!(
                "{} and {} are one directory: give each a directory of its own",
                one.whose, other.whose
            )));
        }
        (true, false) => (one, other),
        (false, true) => (other, one),
    };
    // A dataset may lie below the state: nobody who reads it sees more than it.
    match outer.kind {
        Kind::State => Ok(()),
        Kind::Whole | Kind::Tenants => Err(Error::Request(format!(
            "{} lies inside {}: give each a directory of its own",
            inner.whose, outer.whose
        ))),
    }
}

/// The path without links, as far as it is there.
fn real(path: &Path) -> Result<PathBuf, Error> {
    let absolute = std::path::absolute(path).map_err(Error::file(path))?;
    let mut rest: Vec<OsString> = Vec::new();
    let mut there = absolute.as_path();
    let mut found = loop {
        match (std::fs::canonicalize(there), there.parent()) {
            (Ok(found), _) => break found,
            (Err(_), Some(parent)) => {
                let last = there.components().next_back();
                rest.push(
                    last.map(|part| part.as_os_str().to_owned())
                        .unwrap_or_default(),
                );
                there = parent;
            }
            (Err(_), None) => break there.to_owned(),
        }
    };
    for part in rest.into_iter().rev() {
        match Path::new(&part).components().next() {
            Some(Component::ParentDir) => {
                found.pop();
            }
            _ => found.push(part),
        }
    }
    Ok(found)
}
