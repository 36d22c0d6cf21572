//! Rosters: the persons in a tenant's scope after a delivery. The next delivery needs them to find the leavers.
//!
//! The file is `<state>/rosters/<tenant>/<agreement>.<number>.roster`, where the number is that of the delivery in the
//! tenant's dataset. A roster is on the disk before its delivery is published, and the ledger has the number of the last
//! published delivery. So the current roster always fits the dataset, whenever the program is killed.
//!
//! `<agreement>.<number>.delivered`, beside the roster, has all persons in that delivery, in scope or not. An older
//! delivery that arrives later must not bring them back. The file is kept as long as an extract may stay in the spool.
//!
//! `<agreement>.<number>.before` has those persons of that delivery who were in scope before it. With it, the delivery can be
//! made again with the same leavers. The file is kept as long as the delivery.
//!
//! All files hold person numbers, in the component's own format. Only their owner may read them.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::fs::{entries, private_directory, sync_directory};

/// The rosters of one tenant for one agreement.
#[derive(Debug, Clone)]
pub(crate) struct Rosters {
    directory: PathBuf,
    agreement: String,
}

impl Rosters {
    /// Returns the rosters in a state directory. Creates no file.
    pub(crate) fn new(state: &Path, tenant: &str, agreement: &str) -> Self {
        Self {
            directory: state.join("rosters").join(tenant),
            agreement: agreement.to_owned(),
        }
    }

    /// Reads the roster after the delivery of a number. Returns `None` if it does not exist.
    pub(crate) fn read(&self, number: u64) -> Result<Option<Vec<u8>>, Error> {
        read(self.path(number))
    }

    /// Reads the persons in the delivery of a number. Returns `None` if the file does not exist any more.
    pub(crate) fn read_delivered(&self, number: u64) -> Result<Option<Vec<u8>>, Error> {
        read(self.delivered_path(number))
    }

    /// Reads those persons of the delivery of a number who were in scope before it. Returns `None` if the file does not
    /// exist any more.
    pub(crate) fn read_before(&self, number: u64) -> Result<Option<Vec<u8>>, Error> {
        read(self.before_path(number))
    }

    /// Writes those persons of the delivery of a number who were in scope before it, durably.
    pub(crate) fn write_before(&self, number: u64, before: &[u8]) -> Result<(), Error> {
        self.write_file(&self.before_path(number), before)
    }

    /// Returns the path of the file with those persons of the delivery of a number who were in scope before it.
    pub(crate) fn before_path(&self, number: u64) -> PathBuf {
        let name = format!("{}.{number:06}.{BEFORE_EXTENSION}", self.agreement);
        self.directory.join(name)
    }

    /// Returns the path of the roster after the delivery of a number.
    pub(crate) fn path(&self, number: u64) -> PathBuf {
        let name = format!("{}.{number:06}.roster", self.agreement);
        self.directory.join(name)
    }

    /// Returns the path of the file with the persons in the delivery of a number.
    pub(crate) fn delivered_path(&self, number: u64) -> PathBuf {
        let name = format!("{}.{number:06}.{DELIVERED_EXTENSION}", self.agreement);
        self.directory.join(name)
    }

    /// Writes the roster after the delivery of a number, durably.
    pub(crate) fn write(&self, number: u64, roster: &[u8]) -> Result<(), Error> {
        self.write_file(&self.path(number), roster)
    }

    /// Writes the persons in the delivery of a number, durably.
    pub(crate) fn write_delivered(&self, number: u64, delivered: &[u8]) -> Result<(), Error> {
        self.write_file(&self.delivered_path(number), delivered)
    }

    fn write_file(&self, path: &Path, persons: &[u8]) -> Result<(), Error> {
        private_directory(&self.directory)?;
        // All files have the same temporary name, so the next write removes what a killed run left.
        let part = self.directory.join(format!("{}.part", self.agreement));
        let mut file = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(true)
            .mode(0o600)
            .open(&part)
            .map_err(Error::file(&part))?;
        file.write_all(persons)
            .and_then(|()| file.sync_all())
            .map_err(Error::file(&part))?;
        fs::rename(&part, path).map_err(Error::file(path))?;
        sync_directory(Some(&self.directory))?;
        // The parent directory may be new too.
        sync_directory(self.directory.parent())
    }

    /// Returns the numbers of the deliveries that have a file here.
    pub(crate) fn numbers(&self) -> Result<BTreeSet<u64>, Error> {
        let prefix = format!("{}.", self.agreement);
        let number = |path: &PathBuf| {
            let name = path.file_name()?.to_string_lossy();
            let (number, _) = name.strip_prefix(&prefix)?.split_once('.')?;
            number.parse::<u64>().ok()
        };
        Ok(entries(&self.directory)?
            .iter()
            .filter_map(number)
            .collect())
    }

    /// Removes the rosters that are older than the one of a number, and what a killed run left of an unfinished one.
    ///
    /// Removes nothing if the roster of that number does not exist, because the older ones may be the only ones. Newer
    /// rosters stay, because their delivery may be in the dataset already although the ledger does not have it.
    pub(crate) fn remove_older(&self, number: u64) -> Result<(), Error> {
        if !self.path(number).is_file() {
            return Ok(());
        }
        let prefix = format!("{}.", self.agreement);
        for path in entries(&self.directory)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let Some(rest) = name.strip_prefix(&prefix) else {
                continue;
            };
            let found = rest.strip_suffix(".roster").map(str::parse::<u64>);
            let is_older = matches!(found, Some(Ok(found)) if found < number);
            if is_older || rest == "part" {
                fs::remove_file(&path).map_err(Error::file(&path))?;
            }
        }
        Ok(())
    }
}

/// The extension of the files with the persons in a delivery.
const DELIVERED_EXTENSION: &str = "delivered";

/// The extension of the files with those persons of a delivery who were in scope before it.
const BEFORE_EXTENSION: &str = "before";

/// Returns whether a file has the persons in a delivery, and is not a roster.
pub(crate) fn is_of_delivered(path: &Path) -> bool {
    let extension = path.extension();
    extension.is_some_and(|one| one == DELIVERED_EXTENSION || one == BEFORE_EXTENSION)
}

fn read(path: PathBuf) -> Result<Option<Vec<u8>>, Error> {
    match fs::read(&path) {
        Ok(persons) => Ok(Some(persons)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::file(path)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_roster_by_number_and_removes_older_ones() {
        use std::os::unix::fs::PermissionsExt;
        let state = tempfile::tempdir().unwrap();
        let rosters = Rosters::new(state.path(), "social", "a");
        let others = Rosters::new(state.path(), "social", "a_b");
        assert_eq!(rosters.read(1).unwrap(), None);
        rosters.remove_older(1).unwrap();
        rosters.write(1, b"one").unwrap();
        rosters.write(2, b"two").unwrap();
        others.write(3, b"three").unwrap();
        assert_eq!(rosters.numbers().unwrap(), BTreeSet::from([1, 2]));
        assert_eq!(rosters.read(1).unwrap().unwrap(), b"one");
        rosters.remove_older(7).unwrap();
        rosters.remove_older(1).unwrap();
        assert!(rosters.read(1).unwrap().is_some() && rosters.read(2).unwrap().is_some());
        rosters.remove_older(2).unwrap();
        assert_eq!(rosters.read(1).unwrap(), None);
        assert_eq!(rosters.read(2).unwrap().unwrap(), b"two");
        assert_eq!(others.read(3).unwrap().unwrap(), b"three");
        for (path, expected) in [
            (rosters.path(2), 0o600),
            (state.path().join("rosters/social"), 0o700),
        ] {
            let mode = fs::metadata(path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, expected);
        }
    }
}
