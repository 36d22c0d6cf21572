//! The journal of a reorder: which kinds of filters it has already removed.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::SubscriptionError;
use super::filter::FilterKind;
use super::snapshot::{Snapshot, Snapshots};
use crate::error::Error;
use crate::fs::write_private_file;
use crate::names::AgreementName;

/// The progress of a reorder.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Journal {
    /// The snapshot of the subscription before the reorder.
    pub(super) snapshot: PathBuf,
    /// The kinds that are removed and added again.
    pub(super) kinds: BTreeSet<FilterKind>,
    /// The kinds that are already removed.
    pub(super) removed: BTreeSet<FilterKind>,
}

impl Journal {
    const FILE_NAME: &str = "reorder.json";

    /// Reads the journal in the directory of a subscription; `None` if no reorder is unfinished.
    pub(super) fn read(directory: &Path) -> Result<Option<Self>, Error> {
        let path = directory.join(Self::FILE_NAME);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::file(path)(error)),
        };
        let journal = serde_json::from_slice(&bytes);
        let journal = journal.map_err(|_| SubscriptionError::JournalDamaged { path })?;
        Ok(Some(journal))
    }

    /// Reads the snapshot of the subscription before the reorder.
    pub(super) fn snapshot(
        &self,
        directory: &Path,
        agreement: &AgreementName,
    ) -> Result<Snapshot, Error> {
        Snapshots::read(&self.snapshot, agreement.as_str()).map_err(|error| {
            SubscriptionError::JournalSnapshot {
                path: directory.join(Self::FILE_NAME),
                error: Box::new(error),
            }
            .into()
        })
    }

    /// Writes the journal. It is on the disk when this returns.
    pub(super) fn write(&self, directory: &Path) -> Result<(), Error> {
        let path = directory.join(Self::FILE_NAME);
        let bytes = serde_json::to_vec(self).map_err(|error| Error::File {
            path: path.clone(),
            error: error.into(),
        })?;
        write_private_file(&path, &bytes)
    }

    /// Deletes the journal, because the reorder is finished.
    pub(super) fn remove(directory: &Path) -> Result<(), Error> {
        let path = directory.join(Self::FILE_NAME);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::file(path)(error)),
            _ => Ok(()),
        }
    }
}
