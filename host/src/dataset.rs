//! The dataset: published deliveries, each one directory that appears at once and whole.
//!
//! `<dataset>/agreement=<name>/delivery=<production date>-<sequence>-<first 8 of the transfer UUID>/<table>.parquet`,
//! and `_delivery.json` beside the tables. The order of the names is the order of applying.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::group::Group;
use crate::ledger::lock::StateLock;
use crate::ledger::{Counts, FindingCount, Record, ShareCounts, State};
use crate::report::{Finding, Level};
use crate::spool::{entries, private_directory, sync_directory};

/// What `_delivery.json` says of a delivery. It holds no value of a person's record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The format of this file: 1.
    pub format: u32,
    /// The agreement's name.
    pub agreement: String,
    /// Who answers for the data, as the configuration says.
    pub controller: Option<String>,
    /// The delivery's number in the dataset.
    pub sequence: u64,
    /// The UUID of the transfer.
    pub transfer_uuid: String,
    /// The data file's name on the server, without what can be a person number.
    pub file_name: String,
    /// The metadata file's name on the server; the same.
    pub metadata_name: String,
    /// Who sent it.
    pub sender: Option<String>,
    /// Bytes of the extract.
    pub size: u64,
    /// SHA-256 of the extract.
    pub sha256: String,
    /// The task number of record 000.
    pub task_number: Option<String>,
    /// When the extract was produced.
    pub production_date: String,
    /// When the one before was.
    pub previous_production_date: Option<String>,
    /// When it was published, in UTC.
    pub published: String,
    /// Records of all types in the extract; for a tenant only its own rows.
    pub records: u64,
    /// Rows of every table.
    pub rows: std::collections::BTreeMap<String, u64>,
    /// The record types that the agreement orders; none if that is not known.
    pub record_types: Option<Vec<String>>,
    /// What was found.
    pub findings: Vec<ManifestFinding>,
    /// Findings of level error that were accepted.
    pub accepted: Vec<String>,
    /// What read the extract.
    pub component: ComponentIdentity,
    /// What was let through.
    pub policy: String,
    /// What for.
    pub purpose: String,
    /// For whom; none where everything was let through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<TenantManifest>,
    /// The program that wrote this.
    pub written_by: String,
}

/// What a manifest says of the tenant, and of nobody else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantManifest {
    /// The tenant's name.
    pub name: String,
    /// What church membership is for, where it may be seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub church_purpose: Option<String>,
    /// Persons in scope.
    pub persons: u64,
    /// Those of them who were not before.
    pub entered: u64,
    /// Persons who no longer are.
    pub left: u64,
}

/// A finding in a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestFinding {
    /// Stable code.
    pub code: String,
    /// `error`, `warning` or `note`.
    pub level: String,
    /// How often.
    pub count: u64,
    /// A sentence for people.
    pub message: String,
}

/// Which component it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComponentIdentity {
    /// SHA-256 of its bytes.
    pub sha256: String,
}

impl From<&Finding> for ManifestFinding {
    fn from(finding: &Finding) -> Self {
        Self {
            code: finding.code.clone(),
            level: finding.level.name().to_owned(),
            count: finding.count,
            message: finding.message.clone(),
        }
    }
}

impl Level {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// A dataset's directory.
#[derive(Debug, Clone)]
pub(crate) struct Dataset {
    root: PathBuf,
    staging: PathBuf,
    /// Who may read it beside its owner.
    group: Option<Group>,
}

impl Dataset {
    /// Opens it, and makes it if it is not there.
    ///
    /// Deliveries are made ready beside it, not in it: a glob such as `**/person.parquet` goes into hidden
    /// directories too. They are renamed into it, so both must be on one file system.
    pub(crate) fn open(root: &Path) -> Result<Self, Error> {
        private_directory(root)?;
        let device = |path: &Path| {
            let metadata = fs::metadata(path).map_err(Error::file(path))?;
            Ok::<_, Error>(metadata.dev())
        };
        match (root.parent(), Self::at(root)) {
            (Some(parent), Some(dataset)) if device(parent)? == device(root)? => Ok(dataset),
            _ => Err(Error::Request(format!(
                "{} is a file system of its own: name a directory in it as the dataset. Deliveries are made ready \
                 beside the dataset and renamed into it",
                root.display()
            ))),
        }
    }

    /// The dataset of a directory, without a look whether it is there; none if it can be none.
    pub(crate) fn at(root: &Path) -> Option<Self> {
        let (parent, name) = (root.parent()?, root.file_name()?);
        Some(Self {
            root: root.to_owned(),
            staging: parent.join(format!(".{}.staging", name.to_string_lossy())),
            group: None,
        })
    }

    /// The same for a group to read; without one its owner alone may.
    pub(crate) fn for_group(self, group: Option<Group>) -> Result<Self, Error> {
        if let Some(group) = &group {
            group.open_directory(&self.root)?;
        }
        Ok(Self { group, ..self })
    }

    /// A new directory in which a delivery is made ready. No other attempt has the same: whoever was given up in the
    /// middle of one may come back to it.
    pub(crate) fn staging(&self, agreement: &str, transfer: &str) -> Result<PathBuf, Error> {
        let parent = self.staging.join(agreement);
        let make = || {
            private_directory(&parent)?;
            let made = tempfile::Builder::new()
                .prefix(&format!("{transfer}-"))
                .permissions(fs::Permissions::from_mode(0o700))
                .tempdir_in(&parent);
            made.map(tempfile::TempDir::keep)
                .map_err(Error::file(&parent))
        };
        // Another agreement's run may have removed the directory above just now, because it was empty.
        make().or_else(|_| make())
    }

    /// Removes what is left of deliveries that were being made ready.
    pub(crate) fn clear_staging(&self) -> Result<(), Error> {
        remove_directory(&self.staging)
    }

    /// The same for an agreement alone: another store may be making deliveries of its own ready for the same tenant.
    pub(crate) fn clear_staging_of(&self, agreement: &str) -> Result<(), Error> {
        remove_directory(&self.staging.join(agreement))?;
        // Unless there is something of another agreement in it.
        let _ = fs::remove_dir(&self.staging);
        Ok(())
    }

    /// Gives a directory that is ready its name, at once and durably. All of its files are on the disk.
    pub(crate) fn publish(&self, staged: &Path, agreement: &str, name: &str) -> Result<(), Error> {
        sync_directory(Some(staged))?;
        let parent = self.agreement(agreement);
        private_directory(&parent)?;
        // Also where it was there: whoever made it may have been killed before this.
        sync_directory(Some(&self.root))?;
        if let Some(group) = &self.group {
            group.open_directory(&parent)?;
            group.open_files(staged)?;
        }
        let target = parent.join(name);
        crate::hook::reached("staged");
        fs::rename(staged, &target).map_err(Error::file(&target))?;
        crate::hook::reached("renamed");
        sync_directory(Some(&parent))
    }

    /// What a published delivery says of itself; none if there is no such delivery.
    pub(crate) fn manifest(&self, agreement: &str, name: &str) -> Result<Option<Manifest>, Error> {
        read_manifest(&self.agreement(agreement).join(name))
    }

    /// Whether any delivery of an agreement is published in a dataset.
    pub(crate) fn has_deliveries(root: &Path, agreement: &str) -> Result<bool, Error> {
        let there = entries(&root.join(format!("agreement={agreement}")))?;
        Ok(there
            .iter()
            .any(|path| name_of(path).starts_with("delivery=")))
    }

    /// The tables that ever had a row in a published delivery of an agreement.
    pub(crate) fn tables_seen(
        root: &Path,
        agreement: &str,
    ) -> Result<std::collections::BTreeSet<String>, Error> {
        let mut seen = std::collections::BTreeSet::new();
        for delivery in entries(&root.join(format!("agreement={agreement}")))? {
            let rows = read_manifest(&delivery)?.map(|manifest| manifest.rows);
            let tables = rows.into_iter().flatten().filter(|(_, rows)| *rows > 0);
            seen.extend(tables.map(|(table, _)| table));
        }
        Ok(seen)
    }

    /// Takes the right to change it, or says who has it; none if there is no such directory.
    pub(crate) fn lock(&self) -> Result<Option<StateLock>, Error> {
        let is_there = self.root.is_dir();
        is_there
            .then(|| StateLock::take_dataset(&self.root))
            .transpose()
    }

    /// The published deliveries that are wanted, by the name of their directory. What is wanted is asked by the
    /// agreement's name and that one; nothing else is read.
    pub(crate) fn deliveries(
        &self,
        is_wanted: impl Fn(&str, &str) -> bool,
    ) -> Result<Vec<(String, Manifest)>, Error> {
        let mut found = Vec::new();
        for directory in entries(&self.root)? {
            let name = name_of(&directory);
            let agreement = name.strip_prefix("agreement=");
            for delivery in entries_of_directory(&directory, agreement.is_some())? {
                let name = name_of(&delivery);
                if name.starts_with("delivery=")
                    && is_wanted(agreement.unwrap_or_default(), &name)
                    && let Some(manifest) = read_manifest(&delivery)?
                {
                    found.push((name, manifest));
                }
            }
        }
        Ok(found)
    }

    fn agreement(&self, agreement: &str) -> PathBuf {
        self.root.join(format!("agreement={agreement}"))
    }
}

/// The name of a delivery's directory.
pub(crate) fn delivery_name(production_date: &str, sequence: u64, transfer: &str) -> String {
    let first: String = transfer.chars().take(8).collect();
    format!("delivery={production_date}-{sequence:06}-{first}")
}

impl Manifest {
    /// Writes it into the directory of its delivery, durably.
    pub(crate) fn write(&self, directory: &Path) -> Result<(), Error> {
        use std::os::unix::fs::OpenOptionsExt;
        let path = directory.join(MANIFEST);
        let mut text = serde_json::to_vec_pretty(self)
            .map_err(io::Error::from)
            .map_err(Error::file(&path))?;
        text.push(b'\n');
        let mut file = fs::OpenOptions::new()
            .create_new(true)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(Error::file(&path))?;
        file.write_all(&text)
            .and_then(|()| file.sync_all())
            .map_err(Error::file(&path))
    }

    /// The name of its delivery's directory.
    pub(crate) fn name(&self) -> String {
        delivery_name(&self.production_date, self.sequence, &self.transfer_uuid)
    }

    /// What a tenant got of the delivery.
    pub(crate) fn share(&self) -> ShareCounts {
        let count = |count: fn(&TenantManifest) -> u64| self.tenant.as_ref().map_or(0, count);
        ShareCounts {
            policy: self.policy.clone(),
            persons: count(|tenant| tenant.persons),
            entered: count(|tenant| tenant.entered),
            left: count(|tenant| tenant.left),
            rows: self.rows.values().sum(),
        }
    }

    /// The delivery as the ledger would have it.
    pub(crate) fn record(&self, directory: String, now: jiff::Timestamp) -> Record {
        let published = self.published.parse().unwrap_or(now);
        let rows = |table: &str| self.rows.get(table).copied().unwrap_or_default();
        Record {
            id: 0,
            agreement: self.agreement.clone(),
            transfer_uuid: self.transfer_uuid.clone(),
            file_name: self.file_name.clone(),
            metadata_name: self.metadata_name.clone(),
            size: self.size,
            modified: None,
            sender: self.sender.clone(),
            state: State::Published,
            reason: None,
            accepted: self.accepted.clone(),
            told_production_date: None,
            counts: Counts {
                sha256: self.sha256.clone(),
                task_number: self.task_number.clone(),
                production_date: Some(self.production_date.clone()),
                previous_production_date: self.previous_production_date.clone(),
                records: self.records,
                persons: rows("person"),
                events: rows("event"),
                findings: self.findings.iter().map(count).collect(),
            },
            sequence: Some(self.sequence),
            directory: Some(directory),
            first_seen: published,
            published: Some(published),
            updated: published,
        }
    }
}

fn count(finding: &ManifestFinding) -> FindingCount {
    FindingCount {
        code: finding.code.clone(),
        level: finding.level.clone(),
        count: finding.count,
    }
}

const MANIFEST: &str = "_delivery.json";

fn read_manifest(directory: &Path) -> Result<Option<Manifest>, Error> {
    let path = directory.join(MANIFEST);
    let file = match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(Error::file(&path))?,
    };
    let manifest = serde_json::from_reader(io::BufReader::new(file));
    manifest.map(Some).map_err(|_| Error::Tables {
        path,
        what: "this is no description of a delivery: it was changed by something else than cprflow. Put it back, or \
               move the whole directory out of the dataset; until then nobody can tell whether it is published"
            .to_owned(),
    })
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
