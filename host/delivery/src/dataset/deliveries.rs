//! Finds the published deliveries of a dataset, for reading.

use std::fs;
use std::path::{Path, PathBuf};

use super::manifest::Manifest;
use super::name_of;
use crate::error::Error;
use crate::fs::entries;

/// A published delivery of a dataset.
#[derive(Debug, Clone)]
pub struct DatasetDelivery {
    /// The delivery's directory.
    pub directory: PathBuf,
    /// The delivery's manifest.
    pub manifest: Manifest,
}

impl DatasetDelivery {
    /// Returns the delivery's name, for example `2026-11-23-000042-47570fc2`. The names of an agreement sort in the
    /// order in which its deliveries apply.
    pub fn name(&self) -> String {
        let name = name_of(&self.directory);
        name.strip_prefix(DELIVERY).unwrap_or(&name).to_owned()
    }

    /// Returns the path of a table's file, which exists if the delivery has the table.
    pub fn table(&self, table: &str) -> PathBuf {
        self.directory.join(format!("{table}.parquet"))
    }
}

/// The beginning of the name of an agreement's directory.
const AGREEMENT: &str = "agreement=";

/// The beginning of the name of a delivery's directory.
const DELIVERY: &str = "delivery=";

/// Returns the published deliveries of a dataset in the order of their sequence numbers, which is the order of
/// publication within an agreement.
///
/// Fails if the directory does not exist, or if a manifest cannot be read.
pub fn published_deliveries(dataset: &Path) -> Result<Vec<DatasetDelivery>, Error> {
    // `entries` treats a directory that does not exist as empty.
    fs::read_dir(dataset).map_err(Error::file(dataset))?;
    let mut found = Vec::new();
    for agreement in directories(dataset, AGREEMENT)? {
        for directory in directories(&agreement, DELIVERY)? {
            if let Some(manifest) = Manifest::read(&directory)? {
                found.push(DatasetDelivery {
                    directory,
                    manifest,
                });
            }
        }
    }
    found.sort_by(|one, other| {
        let key = |one: &DatasetDelivery| (one.manifest.sequence, one.manifest.published.clone());
        key(one).cmp(&key(other))
    });
    Ok(found)
}

/// Returns the directories in a directory whose names begin with `key`, sorted by name.
fn directories(parent: &Path, key: &str) -> Result<Vec<PathBuf>, Error> {
    let mut found = entries(parent)?;
    found.retain(|path| name_of(path).starts_with(key) && path.is_dir());
    Ok(found)
}
