//! The reference tables of a dataset: `<dataset>/codes/<table>.parquet`.
//!
//! They hold no value of a person's record, so they are the same in every dataset. They are written again when the
//! component changes.

use std::fs;
use std::path::Path;

use cprflow::{Connector, ParquetFile};
use serde::{Deserialize, Serialize};

use super::Dataset;
use super::manifest::ComponentIdentity;
use crate::error::Error;
use crate::fs::{check_own_directory, private_directory, sync_directory, write_private_file};

/// The name of the directory of the reference tables.
pub(crate) const CODES: &str = "codes";

/// The name of the file that says which component the tables come from. It is written last.
const MANIFEST: &str = "_codes.json";

/// The manifest of the reference tables.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct CodesManifest {
    /// The version of the format: 1.
    format: u32,
    /// The names of the tables.
    tables: Vec<String>,
    /// The component that the tables come from.
    component: ComponentIdentity,
}

impl Dataset {
    /// Writes the reference tables, unless those of this component are there already.
    pub(crate) fn write_codes(&self, connector: &Connector) -> Result<(), Error> {
        let directory = self.root.join(CODES);
        if is_of(&directory, connector) {
            return Ok(());
        }
        private_directory(&directory)?;
        check_own_directory(&directory, &self.root)?;
        let tables = connector.code_tables()?;
        for table in &tables {
            let path = directory.join(format!("{}.parquet", table.name));
            let mut file = ParquetFile::new(Vec::new(), table.schema(), &path)?;
            file.write(&table.rows()?)?;
            write_private_file(&path, &file.finish()?)?;
        }
        let manifest = CodesManifest {
            format: 1,
            tables: tables.into_iter().map(|table| table.name).collect(),
            component: ComponentIdentity {
                sha256: connector.sha256().to_owned(),
            },
        };
        let path = directory.join(MANIFEST);
        let text = serde_json::to_vec_pretty(&manifest)
            .map_err(std::io::Error::other)
            .map_err(Error::file(&path))?;
        if let Some(group) = &self.group {
            group.open_directory(&directory)?;
        }
        write_private_file(&path, &text)?;
        if let Some(group) = &self.group {
            group.open_files(&directory)?;
        }
        sync_directory(Some(&self.root))
    }
}

/// Returns whether a directory has the reference tables of this component.
fn is_of(directory: &Path, connector: &Connector) -> bool {
    let manifest = fs::read(directory.join(MANIFEST)).ok();
    let manifest = manifest.and_then(|text| serde_json::from_slice::<CodesManifest>(&text).ok());
    manifest.is_some_and(|manifest| {
        let is_there = |table: &String| directory.join(format!("{table}.parquet")).is_file();
        manifest.format == 1
            && manifest.component.sha256 == connector.sha256()
            && manifest.tables.iter().all(is_there)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_the_reference_tables_once() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("dataset");
        let dataset = Dataset::open(&root).unwrap();
        let connector = Connector::embedded().unwrap();
        dataset.write_codes(&connector).unwrap();
        let status = root.join("codes/status.parquet");
        let before = fs::read(&status).unwrap();
        assert!(root.join("codes/authority.parquet").is_file());
        fs::write(&status, "kept").unwrap();
        dataset.write_codes(&connector).unwrap();
        assert_eq!(
            fs::read(&status).unwrap(),
            b"kept",
            "they are of this component"
        );
        fs::remove_file(&status).unwrap();
        dataset.write_codes(&connector).unwrap();
        assert_eq!(fs::read(&status).unwrap(), before);
    }
}
