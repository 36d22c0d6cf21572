//! Snapshots of a subscription, which are taken before filters are removed.
//!
//! Snapshots contain person numbers, so only their owner can read the files.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::SubscriptionError;
use super::filter::{CurrentFilters, Filter, FilterKind};
use crate::error::Error;
use crate::fs::private_directory;
use crate::fs::write_private_file;

/// The version of the file format.
const VERSION: u32 = 1;

/// The snapshots of an agreement's subscription.
#[derive(Debug, Clone)]
pub struct Snapshots {
    directory: PathBuf,
}

/// The filters of a subscription at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The file.
    pub path: PathBuf,
    /// The time at which it was taken.
    pub taken: Timestamp,
    /// The filters. All of them are readable.
    pub contents: CurrentFilters,
}

/// The contents of a snapshot file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SnapshotFile {
    version: u32,
    agreement: String,
    taken: Timestamp,
    filters: Vec<(FilterKind, String)>,
}

impl Snapshots {
    /// Returns the snapshots in the directory of a subscription.
    pub fn new(subscription: &Path) -> Self {
        Self {
            directory: subscription.join("snapshots"),
        }
    }

    /// Writes a snapshot and reads it back. It is on the disk when this returns, and can be restored.
    ///
    /// Fails if the snapshot read back differs, for example because a filter has an invalid value.
    pub fn take(
        &self,
        agreement: &str,
        current: &CurrentFilters,
        now: Timestamp,
    ) -> Result<Snapshot, Error> {
        private_directory(&self.directory)?;
        let path = self.free_path(now);
        let value = |filter: &Filter| match filter {
            Filter::NoFilter => String::new(),
            Filter::Pnr(pnr) => pnr.as_str().to_owned(),
            other => other.to_string(),
        };
        let filters = current.filters.iter();
        let file = SnapshotFile {
            version: VERSION,
            agreement: agreement.to_owned(),
            taken: now,
            filters: filters
                .map(|filter| (filter.kind(), value(filter)))
                .collect(),
        };
        let bytes = serde_json::to_vec(&file).map_err(|error| Error::File {
            path: path.clone(),
            error: error.into(),
        })?;
        write_private_file(&path, &bytes)?;
        // Only filters that can be restored may be removed, so the file is read back before it is relied on.
        match Self::read(&path, agreement) {
            Ok(snapshot) if snapshot.contents == *current => Ok(snapshot),
            _ => {
                fs::remove_file(&path).map_err(Error::file(&path))?;
                Err(SubscriptionError::SnapshotNotReadBack { path }.into())
            }
        }
    }

    /// Reads the newest snapshot. Fails if there is none.
    pub fn newest(&self, agreement: &str) -> Result<Snapshot, Error> {
        match self.paths()?.pop() {
            Some(path) => Self::read(&path, agreement),
            None => Err(SubscriptionError::NoSnapshot {
                path: self.directory.clone(),
            }
            .into()),
        }
    }

    /// Gives the snapshots of an agreement the agreement's new name.
    pub(crate) fn rename(&self, old: &str, new: &str) -> Result<(), Error> {
        for path in self.paths()? {
            let bytes = fs::read(&path).map_err(Error::file(&path))?;
            // A damaged snapshot stays as it is: whoever restores it is told.
            let Ok(mut file) = serde_json::from_slice::<SnapshotFile>(&bytes) else {
                continue;
            };
            if file.agreement != old {
                continue;
            }
            file.agreement = new.to_owned();
            let bytes = serde_json::to_vec(&file)
                .map_err(std::io::Error::from)
                .map_err(Error::file(&path))?;
            write_private_file(&path, &bytes)?;
        }
        Ok(())
    }

    /// Returns the paths of all snapshots, the oldest first.
    pub fn paths(&self) -> Result<Vec<PathBuf>, Error> {
        let mut paths = Vec::new();
        if self.directory.is_dir() {
            for entry in fs::read_dir(&self.directory).map_err(Error::file(&self.directory))? {
                let path = entry.map_err(Error::file(&self.directory))?.path();
                // Temporary files have no extension.
                if path
                    .extension()
                    .is_some_and(|extension| extension == "json")
                {
                    paths.push(path);
                }
            }
        }
        paths.sort();
        Ok(paths)
    }

    /// Reads a snapshot. Fails if it belongs to another agreement, because restoring it would add other persons.
    pub fn read(path: &Path, agreement: &str) -> Result<Snapshot, Error> {
        let bytes = fs::read(path).map_err(Error::file(path))?;
        let path = path.to_owned();
        let damaged = || SubscriptionError::SnapshotDamaged { path: path.clone() };
        // The error of serde is dropped, because it could repeat a value.
        let file: SnapshotFile = serde_json::from_slice(&bytes).map_err(|_| damaged())?;
        if file.version != VERSION {
            return Err(SubscriptionError::SnapshotVersion { path }.into());
        }
        if file.agreement != agreement {
            return Err(SubscriptionError::SnapshotOfOtherAgreement { path }.into());
        }
        let filter = |(kind, text): (FilterKind, String)| match kind {
            FilterKind::NoFilter => Ok(Filter::NoFilter),
            kind => Filter::parse(kind, &text).map_err(|_| damaged()),
        };
        let filters = file.filters.into_iter().map(filter);
        let filters = filters.collect::<Result<_, SubscriptionError>>()?;
        Ok(Snapshot {
            taken: file.taken,
            contents: CurrentFilters {
                filters,
                unreadable: 0,
            },
            path,
        })
    }

    /// Returns an unused path whose name sorts by time. Messages contain the name, so it has no ten digits in a row that
    /// could be a person number.
    fn free_path(&self, now: Timestamp) -> PathBuf {
        let time = now.strftime("%Y-%m-%dT%H.%M.%SZ").to_string();
        let numbered =
            (0_u32..).map(|number| self.directory.join(format!("{time}-{number:04}.json")));
        let mut free = numbered.filter(|path| !path.exists());
        free.next()
            .unwrap_or_else(|| self.directory.join("last.json"))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn filters_of_all_kinds() -> CurrentFilters {
        let of = |kind, text: &str| Filter::parse(kind, text).unwrap();
        CurrentFilters {
            filters: [
                Filter::NoFilter,
                of(FilterKind::AgeRange, "0-17"),
                of(FilterKind::ChangeCode, "A01"),
                of(FilterKind::Municipality, "0265"),
                of(FilterKind::Pnr, "0101010101"),
            ]
            .into(),
            unreadable: 0,
        }
    }

    #[test]
    fn reads_back_the_newest_snapshot() {
        let directory = tempfile::tempdir().unwrap();
        let snapshots = Snapshots::new(directory.path());
        let error = snapshots.newest("a").unwrap_err();
        assert!(error.to_string().contains("nothing to restore"), "{error}");
        let now = Timestamp::now();
        let first = snapshots
            .take("a", &CurrentFilters::default(), now)
            .unwrap();
        let second = snapshots.take("a", &filters_of_all_kinds(), now).unwrap();
        assert_ne!(first.path, second.path);
        let name = second.path.file_name().unwrap().to_str().unwrap();
        assert!(!cprflow_redact::holds_person_number(name), "{name}");
        assert_eq!(snapshots.newest("a").unwrap(), second);
        let mode = fs::metadata(&second.path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn refuses_a_snapshot_that_cannot_be_read_back() {
        let directory = tempfile::tempdir().unwrap();
        let snapshots = Snapshots::new(directory.path());
        let mut current = filters_of_all_kinds();
        current.filters.insert(Filter::ChangeCode("a01".to_owned()));
        let error = snapshots.take("a", &current, Timestamp::now()).unwrap_err();
        assert!(error.to_string().contains("nothing was removed"), "{error}");
        assert!(snapshots.newest("a").is_err(), "the file was not deleted");
    }

    #[test]
    fn refuses_a_damaged_snapshot_without_repeating_a_value() {
        let directory = tempfile::tempdir().unwrap();
        let snapshots = Snapshots::new(directory.path());
        // The error contains the file name, which contains the time. This time has no "0101".
        let taken = snapshots
            .take("a", &filters_of_all_kinds(), Timestamp::UNIX_EPOCH)
            .unwrap();
        let error = Snapshots::read(&taken.path, "b").unwrap_err();
        assert!(error.to_string().contains("another agreement"), "{error}");
        let text = fs::read_to_string(&taken.path).unwrap();
        for damaged in [
            text.replace("\"0101010101\"", "\"010101010\""),
            text.replace("\"pnr\"", "\"010101-0101\""),
            text.replace("\"version\":1", "\"version\":2"),
            text[..text.len() / 2].to_owned(),
        ] {
            fs::write(&taken.path, damaged).unwrap();
            let error = Snapshots::read(&taken.path, "a").unwrap_err().to_string();
            assert!(!error.contains("0101"), "{error}");
        }
    }
}
