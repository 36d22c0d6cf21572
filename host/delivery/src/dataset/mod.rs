//! The dataset: the directory of the published deliveries.
//!
//! A delivery is one directory, which appears complete and in one step:
//! `<dataset>/agreement=<name>/delivery=<production date>-<sequence>-<first 8 of the transfer UUID>/`. It contains
//! `<table>.parquet` for each table, and the manifest `_delivery.json`. Deliveries are applied in the order of the
//! directory names.
//!
//! `<dataset>/current` leads to the newest generation of the current tables, `<dataset>/generations/<number>`.
//! `<dataset>/codes` has the reference tables.

mod codes;
mod deliveries;
mod error;
mod exchange;
mod files;
mod foreign;
mod generation_manifest;
mod generations;
mod manifest;
mod table;
mod table_reader;

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::fs::{
    Group, StateLock, check_not_writable_by_others, check_own_directory, check_parent,
    directory_of, entries, private_directory, sync_directory,
};
pub(crate) use codes::CODES;
pub use deliveries::{DatasetDelivery, published_deliveries};
pub use error::DatasetError;
pub use files::{CheckDepth, DeliveryFile};
pub(crate) use files::{Damage, Identity, compare_with_disk, describe_files};
pub(crate) use foreign::{DeliveryPlace, ForeignData};
pub use generation_manifest::{DatasetGeneration, GenerationExtract, GenerationManifest};
pub(crate) use generations::{GENERATIONS, current_generation, generation_directory};
pub(crate) use manifest::{Audience, ManifestBuilder};
pub use manifest::{ComponentIdentity, Manifest, ManifestFinding, TenantManifest};
pub use table::{DatasetTable, TableQuery};
pub use table_reader::DatasetTableReader;

/// The start of the name of an agreement's directory in a dataset.
const AGREEMENT_PREFIX: &str = "agreement=";

/// Checks that other users cannot change a dataset or divert its deliveries. A dataset that does not exist is safe.
pub fn check_dataset_permissions(root: &Path) -> Result<(), Error> {
    Dataset::check_permissions(root)
}

/// The directory of a dataset.
#[derive(Debug, Clone)]
pub(crate) struct Dataset {
    root: PathBuf,
    staging: PathBuf,
    /// The group that may read the dataset beside its owner.
    group: Option<Group>,
}

impl Dataset {
    /// Opens a dataset and creates its directory if it is missing.
    ///
    /// Deliveries are prepared in a directory beside the dataset, not in it, because a glob such as `**/person.parquet`
    /// also matches hidden directories. They are renamed into the dataset, so that both must be on one file system.
    pub(crate) fn open(root: &Path) -> Result<Self, Error> {
        private_directory(root)?;
        Self::check_permissions(root)?;
        let device = |path: &Path| {
            let metadata = fs::metadata(path).map_err(Error::file(path))?;
            Ok::<_, Error>(metadata.dev())
        };
        match Self::at(root) {
            Some(dataset) if device(directory_of(root))? == device(root)? => Ok(dataset),
            _ => {
                let path = root.to_owned();
                Err(DatasetError::MountPoint { path }.into())
            }
        }
    }

    /// Checks that other users cannot change a dataset or divert its deliveries: nobody else can write to its
    /// directories, and the directories that cprflow makes are no links. A dataset that does not exist is safe.
    pub(crate) fn check_permissions(root: &Path) -> Result<(), Error> {
        let Some(dataset) = Self::at(root) else {
            return Ok(());
        };
        check_not_writable_by_others(root)?;
        check_parent(directory_of(root))?;
        dataset.check_staging()?;
        for path in entries(root)? {
            let name = name_of(&path);
            if name.starts_with(AGREEMENT_PREFIX) || name == GENERATIONS || name == CODES {
                check_own_directory(&path, root)?;
            }
        }
        Ok(())
    }

    /// Checks that no other user made the directory in which deliveries are prepared.
    fn check_staging(&self) -> Result<(), Error> {
        check_own_directory(&self.staging, &self.root)
    }

    /// Returns the dataset of a directory without looking at the disk; `None` if the path cannot be a dataset.
    pub(crate) fn at(root: &Path) -> Option<Self> {
        let staging = format!(".{}.staging", root.file_name()?.to_string_lossy());
        Some(Self {
            root: root.to_owned(),
            staging: root.with_file_name(staging),
            group: None,
        })
    }

    /// Returns the directory of the dataset.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Returns whether the directory exists.
    pub(crate) fn exists(&self) -> bool {
        self.root.is_dir()
    }

    /// Returns the directory in which deliveries are prepared. It is beside the dataset.
    pub(crate) fn staging_root(&self) -> &Path {
        &self.staging
    }

    /// Lets a group read the dataset; without a group, only its owner can.
    pub(crate) fn for_group(self, group: Option<Group>) -> Result<Self, Error> {
        if let Some(group) = &group {
            group.open_directory(&self.root)?;
        }
        Ok(Self { group, ..self })
    }

    /// Lets a group read what is written from now on. Unlike [`for_group`](Self::for_group), this changes nothing yet.
    pub(crate) fn for_existing_group(self, group: Option<Group>) -> Self {
        Self { group, ..self }
    }

    /// Gives the deliveries of an agreement another name: the directory, and the name in each manifest. What already has
    /// the new name stays, so that an interrupted rename can be run again.
    pub(crate) fn rename_agreement(&self, old: &str, new: &str) -> Result<(), Error> {
        let (from, to) = (self.agreement(old), self.agreement(new));
        if from.is_dir() {
            // This fails if the new directory has deliveries.
            fs::rename(&from, &to).map_err(Error::file(&to))?;
            sync_directory(Some(&self.root))?;
        }
        for delivery in entries_of_directory(&to, true)? {
            let Some(manifest) = Manifest::read(&delivery)?.filter(|one| one.agreement == old)
            else {
                continue;
            };
            let agreement = new.to_owned();
            Manifest {
                agreement,
                ..manifest
            }
            .replace(&delivery)?;
            if let Some(group) = &self.group {
                group.open_files(&delivery)?;
            }
        }
        Ok(())
    }

    /// Creates a new directory in which a delivery is prepared. Each attempt has its own, because an abandoned thread may
    /// still write to the directory of its attempt.
    pub(crate) fn staging(&self, agreement: &str, transfer: &str) -> Result<PathBuf, Error> {
        let parent = self.staging.join(agreement);
        let make = || {
            self.check_staging()?;
            private_directory(&parent)?;
            // Another user may have made the directory since the first check.
            self.check_staging()?;
            let made = tempfile::Builder::new()
                .prefix(&format!("{transfer}-"))
                .permissions(fs::Permissions::from_mode(0o700))
                .tempdir_in(&parent);
            made.map(tempfile::TempDir::keep)
                .map_err(Error::file(&parent))
        };
        // A run of another agreement may have removed the parent directory just now, because it was empty.
        make().or_else(|_| make())
    }

    /// Removes everything that is left of deliveries in preparation.
    pub(crate) fn clear_staging(&self) -> Result<(), Error> {
        self.check_staging()?;
        remove_directory(&self.staging)
    }

    /// Removes what is left of deliveries in preparation of one agreement. Another store may prepare deliveries of its own
    /// agreements for the same tenant.
    pub(crate) fn clear_staging_of(&self, agreement: &str) -> Result<(), Error> {
        self.check_staging()?;
        remove_directory(&self.staging.join(agreement))?;
        // This fails if the directory still has deliveries of another agreement, which must stay.
        let _ = fs::remove_dir(&self.staging);
        Ok(())
    }

    /// Returns the agreements of which the directory for deliveries in preparation still has files, although no process
    /// works on the dataset. A delivery that was exchanged there can show what is hidden now.
    pub(crate) fn left_in_staging(&self) -> Result<BTreeSet<String>, Error> {
        let mut left = BTreeSet::new();
        for directory in entries(&self.staging)? {
            if directory.is_dir() && !entries(&directory)?.is_empty() {
                left.insert(name_of(&directory));
            }
        }
        // Only asked if it matters: the question takes the lock for a moment.
        if !left.is_empty() && StateLock::is_dataset_taken(&self.root) {
            left.clear();
        }
        Ok(left)
    }

    /// Moves a prepared directory into the dataset, in one step and durably. Its files must be on the disk already.
    pub(crate) fn publish(&self, staged: &Path, agreement: &str, name: &str) -> Result<(), Error> {
        sync_directory(Some(staged))?;
        let parent = self.agreement(agreement);
        private_directory(&parent)?;
        check_own_directory(&parent, &self.root)?;
        // Needed even if the directory existed: the run that created it may have been killed before it synced the parent.
        sync_directory(Some(&self.root))?;
        if let Some(group) = &self.group {
            group.open_directory(&parent)?;
            group.open_files(staged)?;
        }
        let target = parent.join(name);
        crate::failpoint::reached("staged");
        fs::rename(staged, &target).map_err(Error::file(&target))?;
        crate::failpoint::reached("renamed");
        sync_directory(Some(&parent))
    }

    /// Removes the directory of a published delivery. The directory goes out of the dataset in one step.
    pub(crate) fn remove_delivery(&self, agreement: &str, name: &str) -> Result<(), Error> {
        let parent = self.agreement(agreement);
        let directory = parent.join(name);
        if !directory.is_dir() {
            return Ok(());
        }
        check_own_directory(&parent, &self.root)?;
        let aside = self.staging(agreement, name)?;
        let removed = aside.join(name);
        fs::rename(&directory, &removed).map_err(Error::file(&directory))?;
        sync_directory(Some(&parent))?;
        self.clear_staging_of(agreement)
    }

    /// Reads the manifest of a published delivery; `None` if the delivery is not in the dataset.
    pub(crate) fn manifest(&self, agreement: &str, name: &str) -> Result<Option<Manifest>, Error> {
        Manifest::read(&self.agreement(agreement).join(name))
    }

    /// Returns whether a delivery was made again less often than the ledger knows, because an older copy was put back.
    pub(crate) fn is_older(
        &self,
        agreement: &str,
        name: &str,
        made_again: u64,
    ) -> Result<bool, Error> {
        if made_again == 0 {
            return Ok(false);
        }
        let manifest = self.manifest(agreement, name)?;
        Ok(manifest.is_some_and(|manifest| manifest.made_again < made_again))
    }

    /// Returns whether a dataset has a delivery of an agreement.
    pub(crate) fn has_deliveries(root: &Path, agreement: &str) -> Result<bool, Error> {
        let there = entries(&root.join(format!("{AGREEMENT_PREFIX}{agreement}")))?;
        Ok(there
            .iter()
            .any(|path| name_of(path).starts_with("delivery=")))
    }

    /// Returns agreement and directory of each delivery of a dataset, by their names alone.
    pub(crate) fn delivery_names(root: &Path) -> Result<BTreeSet<(String, String)>, Error> {
        let mut found = BTreeSet::new();
        for directory in entries(root)? {
            let name = name_of(&directory);
            let Some(agreement) = name.strip_prefix(AGREEMENT_PREFIX) else {
                continue;
            };
            for delivery in entries_of_directory(&directory, true)? {
                let delivery = name_of(&delivery);
                if delivery.starts_with("delivery=") {
                    found.insert((agreement.to_owned(), delivery));
                }
            }
        }
        Ok(found)
    }

    /// Returns the tables that have a row in any published delivery of an agreement.
    pub(crate) fn tables_seen(root: &Path, agreement: &str) -> Result<BTreeSet<String>, Error> {
        let mut seen = BTreeSet::new();
        for delivery in entries(&root.join(format!("{AGREEMENT_PREFIX}{agreement}")))? {
            let rows = Manifest::read(&delivery)?.map(|manifest| manifest.rows);
            let tables = rows.into_iter().flatten().filter(|(_, rows)| *rows > 0);
            seen.extend(tables.map(|(table, _)| table));
        }
        Ok(seen)
    }

    /// Locks the dataset for changes; `None` if its directory does not exist. Fails if another process has the lock.
    pub(crate) fn lock(&self) -> Result<Option<StateLock>, Error> {
        let is_there = self.root.is_dir();
        is_there
            .then(|| StateLock::take_dataset(&self.root))
            .transpose()
    }

    /// Returns the directory names and manifests of published deliveries. `is_wanted` receives the agreement's name and
    /// the directory's name; only wanted manifests are read.
    pub(crate) fn deliveries(
        &self,
        is_wanted: impl Fn(&str, &str) -> bool,
    ) -> Result<Vec<(String, Manifest)>, Error> {
        Self::check_permissions(&self.root)?;
        let mut found = Vec::new();
        for directory in entries(&self.root)? {
            let name = name_of(&directory);
            let agreement = name.strip_prefix(AGREEMENT_PREFIX);
            for delivery in entries_of_directory(&directory, agreement.is_some())? {
                let name = name_of(&delivery);
                if name.starts_with("delivery=")
                    && is_wanted(agreement.unwrap_or_default(), &name)
                    && let Some(manifest) = Manifest::read(&delivery)?
                {
                    found.push((name, manifest));
                }
            }
        }
        Ok(found)
    }

    /// Returns the directory of the deliveries of an agreement.
    pub(crate) fn agreement(&self, agreement: &str) -> PathBuf {
        self.root.join(format!("{AGREEMENT_PREFIX}{agreement}"))
    }
}

/// Returns the name of a delivery's directory.
pub(crate) fn delivery_name(production_date: &str, sequence: u64, transfer: &str) -> String {
    let first: String = transfer.chars().take(8).collect();
    format!("delivery={production_date}-{sequence:06}-{first}")
}

fn entries_of_directory(path: &Path, wanted: bool) -> Result<Vec<PathBuf>, Error> {
    match wanted && path.is_dir() {
        true => entries(path),
        false => Ok(Vec::new()),
    }
}

fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn remove_directory(path: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::file(path)(error)),
        _ => Ok(()),
    }
}
