//! The policies under which a tenant's deliveries were made. A delivery that is made again must not show more than before.
//!
//! The file is `<state>/policies/<tenant>/<digest>.policy`, where the digest is that of the policy. It is on the disk before
//! the delivery is published. A list of person numbers is in it too, so only its owner may read it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::fs::{entries, private_directory, remove_file, sync_directory, write_private_file};
use cprflow::Pnr;
use cprflow::policy::{LeaverRule, NumberRule, PersonFilter, Policy, ProtectionRule};

/// The directory of the policies in a state directory.
pub(crate) const DIRECTORY: &str = "policies";

/// The end of the name of each file.
const EXTENSION: &str = ".policy";

/// The policies of the deliveries of one tenant.
#[derive(Debug, Clone)]
pub(crate) struct KeptPolicies {
    directory: PathBuf,
}

/// A policy in its file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyFile {
    municipalities: Option<Vec<String>>,
    statuses: Option<Vec<String>>,
    ages: Option<(u16, u16)>,
    events: Option<Vec<String>>,
    numbers: Option<Vec<String>>,
    day: Option<String>,
    classes: BTreeSet<String>,
    tables: Option<BTreeSet<String>>,
    columns: BTreeMap<String, Vec<String>>,
    rows: BTreeMap<String, String>,
    protection: ProtectionRule,
    number_rule: NumberRule,
    leavers: LeaverRule,
    may_reveal: bool,
}

impl KeptPolicies {
    /// Returns the policies in a state directory. Creates nothing.
    pub(crate) fn new(state: &Path, tenant: &str) -> Self {
        Self {
            directory: state.join(DIRECTORY).join(tenant),
        }
    }

    /// Writes a policy under its digest, durably, unless it is there already.
    pub(crate) fn keep(&self, digest: &str, policy: &Policy) -> Result<(), Error> {
        let path = self.path(digest);
        match path.is_file() {
            true => Ok(()),
            false => {
                private_directory(&self.directory)?;
                write(&path, policy)
            }
        }
    }

    /// Reads the policy with a digest. Returns `None` if its file is gone or cannot be read as a policy.
    pub(crate) fn read(&self, digest: &str) -> Result<Option<Policy>, Error> {
        read(&self.path(digest))
    }

    /// Takes these persons out of the lists of all policies. Returns the files that had one of them.
    pub(crate) fn remove_numbers(&self, numbers: &BTreeSet<Pnr>) -> Result<Vec<PathBuf>, Error> {
        let mut changed = Vec::new();
        for path in entries(&self.directory)? {
            let Some(mut policy) = read(&path)? else {
                continue;
            };
            let Some(list) = &mut policy.persons.numbers else {
                continue;
            };
            let before = list.len();
            list.retain(|number| !numbers.contains(number));
            if list.len() < before {
                write(&path, &policy)?;
                changed.push(path);
            }
        }
        Ok(changed)
    }

    /// Removes the policies that no delivery has.
    pub(crate) fn keep_only(&self, digests: &BTreeSet<&str>) -> Result<(), Error> {
        let needed: BTreeSet<PathBuf> = digests.iter().map(|digest| self.path(digest)).collect();
        let mut is_any_removed = false;
        for path in entries(&self.directory)? {
            if !needed.contains(&path) {
                remove_file(&path)?;
                is_any_removed = true;
            }
        }
        match is_any_removed {
            true => sync_directory(Some(&self.directory)),
            false => Ok(()),
        }
    }

    fn path(&self, digest: &str) -> PathBuf {
        // Manifests and the ledger write the name of the hash before the digest.
        let digest = digest.strip_prefix("sha256:").unwrap_or(digest);
        self.directory.join(format!("{digest}{EXTENSION}"))
    }
}

fn write(path: &Path, policy: &Policy) -> Result<(), Error> {
    let Policy {
        persons:
            PersonFilter {
                municipality_codes,
                status_codes,
                ages,
                event_codes,
                numbers,
            },
        day,
        // The day of an extract without a production date belongs to the delivery.
        as_of: _,
        classes,
        tables,
        columns,
        rows,
        protection,
        numbers: number_rule,
        leavers,
        may_reveal,
    } = policy.clone();
    let digits = |numbers: Vec<Pnr>| {
        let digits = numbers.iter().map(|number| number.as_str().to_owned());
        digits.collect()
    };
    let file = PolicyFile {
        municipalities: municipality_codes,
        statuses: status_codes,
        ages,
        events: event_codes,
        numbers: numbers.map(digits),
        day,
        classes,
        tables,
        columns,
        rows,
        protection,
        number_rule,
        leavers,
        may_reveal,
    };
    let bytes = serde_json::to_vec(&file).map_err(io::Error::other);
    write_private_file(path, &bytes.map_err(Error::file(path))?)
}

fn read(path: &Path) -> Result<Option<Policy>, Error> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::file(path)(error)),
    };
    // The error of serde is dropped, because it could repeat a value.
    let Ok(file) = serde_json::from_slice::<PolicyFile>(&bytes) else {
        return Ok(None);
    };
    let numbers = match file.numbers {
        None => None,
        Some(digits) => match digits.iter().map(|one| one.parse()).collect() {
            Ok(numbers) => Some(numbers),
            Err(_) => return Ok(None),
        },
    };
    Ok(Some(Policy {
        persons: PersonFilter {
            municipality_codes: file.municipalities,
            status_codes: file.statuses,
            ages: file.ages,
            event_codes: file.events,
            numbers,
        },
        day: file.day,
        as_of: None,
        classes: file.classes,
        tables: file.tables,
        columns: file.columns,
        rows: file.rows,
        protection: file.protection,
        numbers: file.number_rule,
        leavers: file.leavers,
        may_reveal: file.may_reveal,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_read_as_written_without_erased_numbers() {
        let state = tempfile::tempdir().unwrap();
        let kept = KeptPolicies::new(state.path(), "one");
        let number = |digits: &str| digits.parse::<Pnr>().unwrap();
        let mut policy = Policy {
            day: Some("2026-03-02".to_owned()),
            tables: Some(["person".to_owned()].into()),
            numbers: NumberRule::Pseudonym,
            may_reveal: true,
            ..Policy::default()
        };
        policy.persons.ages = Some((5, 16));
        policy.persons.numbers = Some(vec![number("0101010010"), number("0101010029")]);
        let rows = "status = '01'".to_owned();
        policy.rows.insert("person".to_owned(), rows);
        kept.keep("sha256:aa", &policy).unwrap();
        assert!(kept.read("aa").unwrap().unwrap() == policy);
        assert!(kept.read("bb").unwrap().is_none());
        let changed = kept.remove_numbers(&[number("0101010010")].into()).unwrap();
        assert_eq!(changed.len(), 1);
        assert_eq!(
            kept.remove_numbers(&[number("0101010010")].into()).unwrap(),
            Vec::<PathBuf>::new()
        );
        policy.persons.numbers = Some(vec![number("0101010029")]);
        assert!(kept.read("aa").unwrap().unwrap() == policy);
        kept.keep_only(&["sha256:aa"].into()).unwrap();
        assert!(kept.read("aa").unwrap().is_some());
        kept.keep_only(&BTreeSet::new()).unwrap();
        assert!(kept.read("aa").unwrap().is_none());
        fs::write(kept.path("cc"), "{").unwrap();
        assert!(kept.read("cc").unwrap().is_none());
    }
}
