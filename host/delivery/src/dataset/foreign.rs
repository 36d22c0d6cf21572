//! Data in a dataset that was made for somebody else, by the manifests.

use std::path::{Path, PathBuf};

use super::generation_manifest::GenerationManifest;
use super::generations::GENERATIONS;
use super::manifest::Manifest;
use super::{AGREEMENT_PREFIX, Dataset};
use crate::error::Error;
use crate::fs::entries;
use crate::ledger::{Record, TenantDelivery};

/// A delivery or a generation in a dataset that was made for somebody else.
#[derive(Debug, Clone)]
pub(crate) struct ForeignData {
    /// The directory of the delivery or the generation.
    pub(crate) directory: PathBuf,
    /// The tenant that it was made for; `None` for unrestricted data.
    pub(crate) made_for: Option<String>,
    /// The delivery; `None` for a generation.
    pub(crate) delivery: Option<ForeignDelivery>,
}

/// A delivery that was made for somebody else.
#[derive(Debug, Clone)]
pub(crate) struct ForeignDelivery {
    /// The agreement, by the directory.
    pub(crate) agreement: String,
    /// The name of the directory.
    pub(crate) name: String,
    /// The manifest.
    pub(crate) manifest: Box<Manifest>,
}

/// The directory in which the ledger has a delivery.
#[derive(Debug, Clone)]
pub(crate) struct DeliveryPlace {
    pub(crate) agreement: String,
    /// The name of the directory.
    pub(crate) name: String,
    /// The UUID of the transfer.
    pub(crate) transfer_uuid: String,
}

impl DeliveryPlace {
    /// Returns the place of a delivery in the unrestricted dataset; `None` if it has none there.
    pub(crate) fn of(record: &Record) -> Option<Self> {
        Some(Self {
            agreement: record.agreement.clone(),
            name: record.directory.clone()?,
            transfer_uuid: record.transfer_uuid.clone(),
        })
    }

    /// Returns the place of a delivery in a tenant's dataset; `None` if it has none there.
    pub(crate) fn of_tenant(share: &TenantDelivery) -> Option<Self> {
        Some(Self {
            agreement: share.agreement.clone(),
            name: share.directory.clone()?,
            transfer_uuid: share.transfer_uuid.clone(),
        })
    }
}

impl Dataset {
    /// Returns what is in the directory in which the ledger has a delivery of the owner, if the manifest says that it was
    /// made for somebody else or is another delivery. The owner `None` is the unrestricted dataset.
    ///
    /// A directory without a readable manifest counts as the delivery that the ledger has there.
    pub(crate) fn foreign_delivery(
        &self,
        owner: Option<&str>,
        place: &DeliveryPlace,
    ) -> Option<ForeignData> {
        let directory = self.agreement(&place.agreement).join(&place.name);
        let Ok(Some(manifest)) = Manifest::read(&directory) else {
            return None;
        };
        let made_for = manifest.tenant.as_ref().map(|tenant| tenant.name.clone());
        // The digest of the extract does not decide: the key of a tenant's digests can be lost.
        if made_for.as_deref() == owner && manifest.transfer_uuid == place.transfer_uuid {
            return None;
        }
        Some(ForeignData {
            directory,
            made_for,
            delivery: Some(ForeignDelivery {
                agreement: place.agreement.clone(),
                name: place.name.clone(),
                manifest: Box::new(manifest),
            }),
        })
    }

    /// Removes the directory in which the ledger has a delivery of the owner, unless it was made for somebody else or is
    /// another delivery.
    pub(crate) fn remove_own_delivery(
        &self,
        owner: Option<&str>,
        place: &DeliveryPlace,
    ) -> Result<(), Error> {
        match self.foreign_delivery(owner, place) {
            Some(_) => Ok(()),
            None => self.remove_delivery(&place.agreement, &place.name),
        }
    }

    /// Returns the deliveries and generations in a directory that were made for another tenant than the owner, or without
    /// a tenant's policy. The owner `None` is the unrestricted dataset.
    ///
    /// A directory without a readable manifest is left out: the comparison with the ledger names it.
    pub(crate) fn foreign_data(
        root: &Path,
        owner: Option<&str>,
    ) -> Result<Vec<ForeignData>, Error> {
        let mut found = Vec::new();
        for (agreement, name) in Self::delivery_names(root)? {
            let parent = root.join(format!("{AGREEMENT_PREFIX}{agreement}"));
            let directory = parent.join(&name);
            let Ok(Some(manifest)) = Manifest::read(&directory) else {
                continue;
            };
            let made_for = manifest.tenant.as_ref().map(|tenant| tenant.name.clone());
            if made_for.as_deref() != owner {
                found.push(ForeignData {
                    directory,
                    made_for,
                    delivery: Some(ForeignDelivery {
                        agreement,
                        name,
                        manifest: Box::new(manifest),
                    }),
                });
            }
        }
        found.extend(Self::foreign_generations(root, owner)?);
        Ok(found)
    }

    /// Returns the generations among them.
    pub(crate) fn foreign_generations(
        root: &Path,
        owner: Option<&str>,
    ) -> Result<Vec<ForeignData>, Error> {
        let mut found = Vec::new();
        for directory in entries(&root.join(GENERATIONS))? {
            let Ok(Some(manifest)) = GenerationManifest::read(&directory) else {
                continue;
            };
            if manifest.tenant.as_deref() != owner {
                found.push(ForeignData {
                    directory,
                    made_for: manifest.tenant,
                    delivery: None,
                });
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn every_generation_is_judged_by_its_manifest() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("dataset");
        for (number, tenant) in [(1, Some("one")), (2, None), (3, Some("two"))] {
            let directory = root.join(format!("{GENERATIONS}/{number:06}"));
            fs::create_dir_all(&directory).unwrap();
            let manifest = GenerationManifest {
                number,
                tenant: tenant.map(str::to_owned),
                ..GenerationManifest::default()
            };
            manifest.write(&directory).unwrap();
        }
        // It has no manifest.
        fs::create_dir_all(root.join("generations/000004")).unwrap();
        let found = |owner: Option<&str>| {
            let found = Dataset::foreign_data(&root, owner).unwrap();
            let mut names: Vec<_> = found.into_iter().map(|data| data.made_for).collect();
            names.sort();
            names
        };
        let (one, two) = (Some("one".to_owned()), Some("two".to_owned()));
        assert_eq!(found(Some("one")), [None, two.clone()]);
        assert_eq!(found(None), [one.clone(), two.clone()]);
        assert_eq!(found(Some("three")), [None, one, two]);
    }

    #[test]
    fn a_directory_that_is_not_there_has_nothing() {
        let place = tempfile::tempdir().unwrap();
        let found = Dataset::foreign_data(&place.path().join("none"), Some("one"));
        assert!(found.unwrap().is_empty());
    }
}
