//! Rosters: who was in a tenant's scope after a delivery, for the next one to tell who has left.
//!
//! `<state>/rosters/<tenant>/<agreement>.<number>.roster`, where the number is that of the delivery in the tenant's
//! dataset. A roster is on the disk before its delivery is published, and the ledger says which delivery was published
//! last: so whenever the program is killed, the roster in force is the one that fits what the tenant has.
//!
//! Beside it lies `<agreement>.<number>.delivered`, whom that delivery brought, in scope or not: one that comes after it
//! and is older must not bring them back. It stays as long as an extract may stay in the spool.
//!
//! Both hold person numbers, in the component's own form. Their files are for their owner only.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::policy::Policy;
use crate::sandbox::bindings::exports::cprflow::connector::source as wit;
use crate::sandbox::{Connector, Limits};
use crate::scan::scan_error;
use crate::spool::{entries, private_directory, sync_directory};

/// The rosters of a tenant and an agreement.
#[derive(Debug, Clone)]
pub(crate) struct Rosters {
    directory: PathBuf,
    agreement: String,
}

impl Rosters {
    pub(crate) fn new(state: &Path, tenant: &str, agreement: &str) -> Self {
        Self {
            directory: state.join("rosters").join(tenant),
            agreement: agreement.to_owned(),
        }
    }

    /// The roster that the delivery of that number left; none if there is none.
    pub(crate) fn read(&self, number: u64) -> Result<Option<Vec<u8>>, Error> {
        read(self.path(number))
    }

    /// Whom the delivery of that number brought; none if that is not known any more.
    pub(crate) fn read_delivered(&self, number: u64) -> Result<Option<Vec<u8>>, Error> {
        read(self.delivered_path(number))
    }

    /// Where that roster is.
    pub(crate) fn path(&self, number: u64) -> PathBuf {
        let name = format!("{}.{number:06}.roster", self.agreement);
        self.directory.join(name)
    }

    /// Where it is said whom that delivery brought.
    pub(crate) fn delivered_path(&self, number: u64) -> PathBuf {
        let name = format!("{}.{number:06}.{DELIVERED}", self.agreement);
        self.directory.join(name)
    }

    /// Keeps the roster that the delivery of that number leaves, durably.
    pub(crate) fn write(&self, number: u64, roster: &[u8]) -> Result<(), Error> {
        self.keep(&self.path(number), roster)
    }

    /// Keeps whom the delivery of that number brings, durably.
    pub(crate) fn write_delivered(&self, number: u64, delivered: &[u8]) -> Result<(), Error> {
        self.keep(&self.delivered_path(number), delivered)
    }

    fn keep(&self, path: &Path, persons: &[u8]) -> Result<(), Error> {
        private_directory(&self.directory)?;
        // One name for all that are on their way: what a killed run left of one goes with the next.
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
        // The directories above may be new too.
        sync_directory(self.directory.parent())
    }

    /// Removes what is older than the roster of that number, and what a killed run left of one on its way. If that
    /// roster is not there, the older ones may be all that is left.
    ///
    /// A newer one stays: its delivery may stand in the dataset already, and the ledger not know.
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
            let own = rest.strip_suffix(".roster").map(str::parse::<u64>);
            let is_older = matches!(own, Some(Ok(own)) if own < number);
            if is_older || rest == "part" {
                fs::remove_file(&path).map_err(Error::file(&path))?;
            }
        }
        Ok(())
    }
}

/// How the name of a file ends that says whom a delivery brought.
const DELIVERED: &str = "delivered";

/// Whether a file says whom a delivery brought.
pub(crate) fn is_of_delivered(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == DELIVERED)
}

fn read(path: PathBuf) -> Result<Option<Vec<u8>>, Error> {
    match fs::read(&path) {
        Ok(persons) => Ok(Some(persons)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::file(path)(error)),
    }
}

impl Connector {
    /// A roster of everybody who is in one of two.
    ///
    /// Only the component knows what a roster says: two selections from nothing, each with one of them, are merged.
    pub(crate) fn join_rosters(
        &self,
        limits: Limits,
        one: &[u8],
        other: &[u8],
    ) -> Result<Vec<u8>, Error> {
        // Whom a policy chooses makes no difference where there is nobody to choose.
        let policy = wit::Policy::from(&Policy::default());
        let mut session = self.start(limits)?;
        let mut open = |roster: &[u8]| {
            let opened = session.call(|bindings, store| {
                let selection = bindings.cprflow_connector_source().selection();
                selection.call_open_policy(store, &policy, Some(roster), None)
            })?;
            let opened = opened.map_err(scan_error)?;
            let finished = session.call(|bindings, store| {
                let selection = bindings.cprflow_connector_source().selection();
                selection.call_finish(store, opened)
            })?;
            finished.map_err(scan_error)?;
            Ok::<_, Error>(opened)
        };
        let (one, other) = (open(one)?, open(other)?);
        let merged = session.call(|bindings, store| {
            let selection = bindings.cprflow_connector_source().selection();
            selection.call_merge(store, one, other)
        })?;
        merged.map_err(scan_error)?;
        let roster = session.call(|bindings, store| {
            let selection = bindings.cprflow_connector_source().selection();
            selection.call_roster(store, one)
        })?;
        roster.map_err(scan_error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_roster_of_a_number_is_found_again_and_older_ones_go() {
        use std::os::unix::fs::PermissionsExt;
        let state = tempfile::tempdir().unwrap();
        let rosters = Rosters::new(state.path(), "social", "a");
        let others = Rosters::new(state.path(), "social", "a_b");
        assert_eq!(rosters.read(1).unwrap(), None);
        rosters.remove_older(1).unwrap();
        rosters.write(1, b"one").unwrap();
        rosters.write(2, b"two").unwrap();
        others.write(3, b"three").unwrap();
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
