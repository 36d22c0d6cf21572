//! What a subscription held before something was removed from it.
//!
//! Snapshots hold person numbers: they are their owner's only.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::filter::{Filter, Holding, Kind};
use super::{SubscriberError, private_file};
use crate::error::Error;
use crate::spool::private_directory;

/// The form that is written and read.
const VERSION: u32 = 1;

/// The snapshots of an agreement's subscription.
#[derive(Debug, Clone)]
pub struct Snapshots {
    directory: PathBuf,
}

/// What a subscription held at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The file.
    pub path: PathBuf,
    /// When it was taken.
    pub taken: Timestamp,
    /// What there was.
    pub holding: Holding,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    version: u32,
    agreement: String,
    taken: Timestamp,
    filters: Vec<(Kind, String)>,
}

impl Snapshots {
    /// Those in the directory of a subscription.
    pub fn new(subscription: &Path) -> Self {
        Self {
            directory: subscription.join("snapshots"),
        }
    }

    /// Writes one and reads it back. It is on the disk when this returns, and can be restored.
    pub fn take(
        &self,
        agreement: &str,
        holding: &Holding,
        now: Timestamp,
    ) -> Result<Snapshot, Error> {
        private_directory(&self.directory)?;
        let path = self.free_path(now);
        let value = |filter: &Filter| match filter {
            Filter::NoFilter => String::new(),
            Filter::Pnr(pnr) => pnr.as_str().to_owned(),
            other => other.to_string(),
        };
        let filters = holding.filters.iter();
        let written = Written {
            version: VERSION,
            agreement: agreement.to_owned(),
            taken: now,
            filters: filters
                .map(|filter| (filter.kind(), value(filter)))
                .collect(),
        };
        let bytes = serde_json::to_vec(&written).map_err(|error| Error::File {
            path: path.clone(),
            error: error.into(),
        })?;
        private_file(&path, &bytes)?;
        // What cannot be put back must not be removed, so nobody relies on a file that nobody has read.
        match Self::read(&path, agreement) {
            Ok(snapshot) if snapshot.holding == *holding => Ok(snapshot),
            _ => {
                fs::remove_file(&path).map_err(Error::file(&path))?;
                Err(state(
                    &path,
                    "this snapshot could not be read back as it was written, so nothing was removed. If the disk is in \
                     order, that is a bug of cprflow",
                ))
            }
        }
    }

    /// The newest.
    pub fn newest(&self, agreement: &str) -> Result<Snapshot, Error> {
        match self.paths()?.pop() {
            Some(path) => Self::read(&path, agreement),
            None => Err(SubscriberError::NoSnapshot {
                path: self.directory.clone(),
            }
            .into()),
        }
    }

    /// All of them, the oldest first.
    pub fn paths(&self) -> Result<Vec<PathBuf>, Error> {
        let mut paths = Vec::new();
        if self.directory.is_dir() {
            for entry in fs::read_dir(&self.directory).map_err(Error::file(&self.directory))? {
                let path = entry.map_err(Error::file(&self.directory))?.path();
                // Temporary files have no ending.
                if path.extension().is_some_and(|ending| ending == "json") {
                    paths.push(path);
                }
            }
        }
        paths.sort();
        Ok(paths)
    }

    /// Reads one. It must be of that agreement: a snapshot of another would subscribe to other persons.
    pub fn read(path: &Path, agreement: &str) -> Result<Snapshot, Error> {
        let bytes = fs::read(path).map_err(Error::file(path))?;
        // What serde says of it could repeat a value.
        let written: Written = serde_json::from_slice(&bytes)
            .map_err(|_| state(path, "this is no snapshot, or a damaged one"))?;
        if written.version != VERSION {
            return Err(state(
                path,
                "this snapshot is of another version of cprflow",
            ));
        }
        if written.agreement != agreement {
            return Err(state(path, "this is the snapshot of another agreement"));
        }
        let filter = |(kind, text): (Kind, String)| match kind {
            Kind::NoFilter => Ok(Filter::NoFilter),
            kind => Filter::parse(kind, &text)
                .map_err(|_| state(path, "a value in it is none: the snapshot is damaged")),
        };
        Ok(Snapshot {
            path: path.to_owned(),
            taken: written.taken,
            holding: Holding {
                filters: written
                    .filters
                    .into_iter()
                    .map(filter)
                    .collect::<Result<_, _>>()?,
                unreadable: 0,
            },
        })
    }

    /// A name that sorts by time, and that no other snapshot has. It is told, so nothing in it can be taken for a person
    /// number.
    fn free_path(&self, now: Timestamp) -> PathBuf {
        let time = now.strftime("%Y-%m-%dT%H.%M.%SZ").to_string();
        let numbered =
            (0_u32..).map(|number| self.directory.join(format!("{time}-{number:04}.json")));
        let mut free = numbered.filter(|path| !path.exists());
        free.next()
            .unwrap_or_else(|| self.directory.join("last.json"))
    }
}

fn state(path: &Path, what: &str) -> Error {
    SubscriberError::State {
        path: path.to_owned(),
        what: what.to_owned(),
    }
    .into()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn holding() -> Holding {
        let of = |kind, text: &str| Filter::parse(kind, text).unwrap();
        Holding {
            filters: [
                Filter::NoFilter,
                of(Kind::AgeRange, "0-17"),
                of(Kind::ChangeCode, "A01"),
                of(Kind::Municipality, "0265"),
                of(Kind::Pnr, "0101010101"),
            ]
            .into(),
            unreadable: 0,
        }
    }

    #[test]
    fn what_is_taken_is_read_again() {
        let directory = tempfile::tempdir().unwrap();
        let snapshots = Snapshots::new(directory.path());
        let error = snapshots.newest("a").unwrap_err();
        assert!(error.to_string().contains("nothing to restore"), "{error}");
        let now = Timestamp::now();
        let first = snapshots.take("a", &Holding::default(), now).unwrap();
        let second = snapshots.take("a", &holding(), now).unwrap();
        assert_ne!(first.path, second.path);
        let name = second.path.file_name().unwrap().to_str().unwrap();
        assert!(!cprflow_connector::holds_number(name), "{name}");
        assert_eq!(snapshots.newest("a").unwrap(), second);
        let mode = fs::metadata(&second.path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn what_could_not_be_read_again_is_not_taken() {
        let directory = tempfile::tempdir().unwrap();
        let snapshots = Snapshots::new(directory.path());
        let mut holding = holding();
        holding.filters.insert(Filter::ChangeCode("a01".to_owned()));
        let error = snapshots.take("a", &holding, Timestamp::now()).unwrap_err();
        assert!(error.to_string().contains("nothing was removed"), "{error}");
        assert!(snapshots.newest("a").is_err(), "it is gone");
    }

    #[test]
    fn what_is_no_snapshot_is_refused_without_a_word_of_it() {
        let directory = tempfile::tempdir().unwrap();
        let snapshots = Snapshots::new(directory.path());
        // The time is in the name of the file, and that in the error.
        let taken = snapshots
            .take("a", &holding(), Timestamp::UNIX_EPOCH)
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
