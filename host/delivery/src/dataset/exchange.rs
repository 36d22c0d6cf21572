//! Puts a directory that was made again in the place of a published delivery.

use std::fs;
use std::path::Path;

use super::Dataset;
use crate::error::Error;
use crate::fs::{check_own_directory, exchange, private_directory, sync_directory};

impl Dataset {
    /// Puts a prepared directory in the place of a published delivery, durably. Its files must be on the disk already. What
    /// was published before is then beside the dataset, until the staging directories are cleared.
    ///
    /// This is one step, unless the file system cannot exchange two directories: then the delivery is missing for a moment.
    /// A run that is killed then is continued by the next one, because the ledger has the rewriting.
    pub(crate) fn exchange(&self, staged: &Path, agreement: &str, name: &str) -> Result<(), Error> {
        sync_directory(Some(staged))?;
        let parent = self.agreement(agreement);
        private_directory(&parent)?;
        check_own_directory(&parent, &self.root)?;
        if let Some(group) = &self.group {
            group.open_directory(&parent)?;
            group.open_files(staged)?;
        }
        let target = parent.join(name);
        crate::failpoint::reached("rewriting-staged");
        if !target.exists() {
            fs::rename(staged, &target).map_err(Error::file(&target))?;
        } else if !exchange(staged, &target)? {
            let aside = self.staging(agreement, name)?.join(name);
            fs::rename(&target, &aside).map_err(Error::file(&target))?;
            sync_directory(Some(&parent))?;
            crate::failpoint::reached("rewriting-moved");
            fs::rename(staged, &target).map_err(Error::file(&target))?;
        }
        sync_directory(Some(&parent))?;
        crate::failpoint::reached("rewriting-exchanged");
        Ok(())
    }

    /// Returns whether the directory of a delivery exists.
    pub(crate) fn has_delivery(&self, agreement: &str, name: &str) -> bool {
        self.agreement(agreement).join(name).is_dir()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_new_directory_is_in_place_and_the_old_one_beside_the_dataset() {
        let place = tempfile::tempdir().unwrap();
        let dataset = Dataset::open(&place.path().join("dataset")).unwrap();
        let stage = |text: &str| {
            let staged = dataset.staging("a", "uuid").unwrap();
            fs::write(staged.join("person.parquet"), text).unwrap();
            staged
        };
        let read = || {
            let file = dataset.agreement("a").join("delivery=1/person.parquet");
            fs::read_to_string(file).unwrap()
        };
        for text in ["one", "two", "three"] {
            dataset.exchange(&stage(text), "a", "delivery=1").unwrap();
            assert_eq!(read(), text);
            assert!(dataset.has_delivery("a", "delivery=1"));
        }
        dataset.clear_staging_of("a").unwrap();
        assert_eq!(read(), "three");
        assert!(!dataset.staging_root().exists());
    }
}
