//! The manifest of a published delivery, `_delivery.json`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::delivery_name;
use super::error::DatasetError;
use super::files::DeliveryFile;
use crate::agreement::Agreement;
use crate::error::Error;
use crate::fs::write_private_file;
use crate::ledger::{Counts, FindingCount, Record, State, TenantCounts, UNKNOWN_SIZE};
use crate::routing::Routing;
use cprflow::{Connector, Finding, Level};
use cprflow_transport::redacted_name;

/// The name of the manifest's file in the directory of its delivery.
const MANIFEST: &str = "_delivery.json";

/// The version of the manifest's format.
const FORMAT: u32 = 1;

/// The manifest of a delivery (`_delivery.json`). It holds no value of a person's record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of the format: 1.
    pub format: u32,
    /// The agreement's name.
    pub agreement: String,
    /// The data controller, as in the configuration.
    pub controller: Option<String>,
    /// The delivery's sequence number in the dataset.
    pub sequence: u64,
    /// The UUID of the transfer.
    pub transfer_uuid: String,
    /// The data file's name on the server. Digits that can be a person number are redacted.
    pub file_name: String,
    /// The metadata file's name on the server, redacted in the same way.
    pub metadata_name: String,
    /// The sender, as in the metadata.
    pub sender: Option<String>,
    /// The sender and the recipient in the routing block of the metadata; left out if it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routing: Option<Routing>,
    /// The size of the extract in bytes; left out for a tenant, because it tells how much is hidden.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// The SHA-256 of the extract, in hexadecimal. For a tenant `hmac-sha256:` and a digest with a key of the state
    /// directory: without the key, nobody can find hidden values by trying.
    pub sha256: String,
    /// The task number (OPGAVENR) of record 000.
    pub task_number: Option<String>,
    /// The production date of the extract, `YYYY-MM-DD`.
    pub production_date: String,
    /// The production date of the delivery before, as record 000 gives it.
    pub previous_production_date: Option<String>,
    /// The time of the publication, in UTC (RFC 3339).
    pub published: String,
    /// How often the delivery was made again, because something in it was hidden or erased; left out for never.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub made_again: u64,
    /// The number of records of all types in the extract; for a tenant, the number of its rows.
    pub records: u64,
    /// The number of rows per table.
    pub rows: BTreeMap<String, u64>,
    /// The files of the delivery by name, without the manifest. Empty in manifests of older versions.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, DeliveryFile>,
    /// The record types that the agreement orders; `None` if the configuration does not name them, and for a tenant.
    pub record_types: Option<Vec<String>>,
    /// The findings of the extract; empty for a tenant.
    pub findings: Vec<ManifestFinding>,
    /// The codes of the findings of level error that were accepted, and `routing-mismatch` if that was accepted.
    pub accepted: Vec<String>,
    /// The component that read the extract.
    pub component: ComponentIdentity,
    /// `unrestricted`, or `sha256:` and the digest of the tenant's policy.
    pub policy: String,
    /// The purpose of the processing.
    pub purpose: String,
    /// The legal basis (hjemmel) of the processing; left out if the configuration names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub legal_basis: Option<String>,
    /// The purpose of publishing church membership in the unrestricted dataset, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub church_purpose: Option<String>,
    /// The legal basis (hjemmel) of that purpose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub church_legal_basis: Option<String>,
    /// The tenant; `None` in the unrestricted dataset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<TenantManifest>,
    /// The program that wrote the manifest, and its version.
    pub written_by: String,
}

/// The tenant's part of a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantManifest {
    /// The tenant's name.
    pub name: String,
    /// The purpose of showing church membership, if the tenant may see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub church_purpose: Option<String>,
    /// The legal basis (hjemmel) of that purpose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub church_legal_basis: Option<String>,
    /// The number of persons in scope.
    pub persons: u64,
    /// The number of those persons who were not in scope before.
    pub entered: u64,
    /// The number of persons who were in scope before and no longer are.
    pub left: u64,
    /// Whether the delivery was set aside for the tenant, so that it has only the table of the leavers.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub leavers_only: bool,
}

/// A finding in a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestFinding {
    /// The stable code of the finding.
    pub code: String,
    /// `error`, `warning` or `note`.
    pub level: String,
    /// The number of occurrences.
    pub count: u64,
    /// The message for people.
    pub message: String,
}

/// The identity of a component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComponentIdentity {
    /// The SHA-256 of its bytes, in hexadecimal.
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

impl From<&ManifestFinding> for FindingCount {
    fn from(finding: &ManifestFinding) -> Self {
        Self {
            code: finding.code.clone(),
            level: finding.level.clone(),
            count: finding.count,
        }
    }
}

/// The audience of a published delivery: what differs between a manifest of the unrestricted dataset and one of a
/// tenant's dataset.
pub(crate) enum Audience<'a> {
    /// Everything is visible.
    Unrestricted {
        /// The agreement, with the purpose of the processing.
        agreement: &'a Agreement,
        /// The findings of the extract.
        findings: &'a [Finding],
    },
    /// A tenant sees what its policy allows. The manifest has no findings: they describe the complete extract, and so
    /// also persons whom the tenant may not see.
    Tenant {
        /// The digest of the tenant's policy.
        policy_digest: &'a str,
        /// The purpose of the tenant's processing.
        purpose: &'a str,
        /// The legal basis (hjemmel) of the tenant's processing.
        legal_basis: Option<&'a str>,
        /// The tenant's part of the manifest.
        tenant: TenantManifest,
        /// The digest of the extract with the key of the state directory.
        extract_digest: String,
    },
}

/// Builds the manifest of a delivery for any audience.
pub(crate) struct ManifestBuilder<'a> {
    pub(crate) connector: &'a Connector,
    pub(crate) record: &'a Record,
    /// The delivery's agreement; `None` if it is no longer configured.
    pub(crate) agreement: Option<&'a Agreement>,
    /// The delivery's sequence number in the dataset.
    pub(crate) sequence: u64,
    /// The number of rows per table.
    pub(crate) rows: BTreeMap<String, u64>,
    /// The files in the directory.
    pub(crate) files: BTreeMap<String, DeliveryFile>,
    /// The time of the publication.
    pub(crate) published: Timestamp,
    /// How often the delivery was made again.
    pub(crate) made_again: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl ManifestBuilder<'_> {
    /// Returns the manifest for an audience.
    pub(crate) fn build(self, audience: Audience<'_>) -> Manifest {
        let Self {
            connector,
            record,
            agreement,
            sequence,
            rows,
            files,
            published,
            made_again,
        } = self;
        let counts = &record.counts;
        let errors = counts.findings.iter();
        let errors = errors.filter(|finding| finding.level == Level::Error.name());
        let mismatch = agreement.and_then(|agreement| agreement.routing_mismatch(record));
        let (policy, purpose, legal_basis, findings, tenant) = match &audience {
            Audience::Unrestricted {
                agreement,
                findings,
            } => (
                "unrestricted".to_owned(),
                agreement.unrestricted.as_deref().unwrap_or_default(),
                agreement.legal_basis.as_deref(),
                findings.iter().map(ManifestFinding::from).collect(),
                None,
            ),
            Audience::Tenant {
                policy_digest,
                purpose,
                legal_basis,
                tenant,
                ..
            } => (
                format!("sha256:{policy_digest}"),
                *purpose,
                *legal_basis,
                Vec::new(),
                Some(tenant.clone()),
            ),
        };
        let (church, size, sha256) = match audience {
            Audience::Unrestricted { agreement, .. } => {
                (Some(agreement), Some(record.size), counts.sha256.clone())
            }
            Audience::Tenant { extract_digest, .. } => (None, None, extract_digest),
        };
        let (records, record_types) = match tenant {
            None => (
                counts.records,
                agreement.and_then(|agreement| agreement.record_types.clone()),
            ),
            Some(_) => (rows.values().sum(), None),
        };
        Manifest {
            format: FORMAT,
            agreement: record.agreement.clone(),
            controller: agreement.and_then(|agreement| agreement.controller.clone()),
            sequence,
            transfer_uuid: record.transfer_uuid.clone(),
            file_name: record.redacted_file_name(),
            metadata_name: redacted_name(&record.metadata_name),
            sender: record.sender.clone(),
            routing: record.routing.clone(),
            size,
            sha256,
            task_number: counts.task_number.clone(),
            production_date: record.production_date().unwrap_or_default().to_owned(),
            previous_production_date: counts.previous_production_date.clone(),
            published: published.to_string(),
            made_again,
            records,
            rows,
            files,
            record_types,
            findings,
            // An error that was not accepted would have set the delivery aside.
            accepted: errors
                .map(|finding| finding.code.clone())
                .chain(mismatch.map(|reason| reason.code))
                .collect(),
            component: ComponentIdentity {
                sha256: connector.sha256().to_owned(),
            },
            policy,
            purpose: purpose.to_owned(),
            legal_basis: legal_basis.map(str::to_owned),
            church_purpose: church.and_then(|agreement| agreement.church_purpose.clone()),
            church_legal_basis: church.and_then(|agreement| agreement.church_legal_basis.clone()),
            tenant,
            written_by: concat!("cprflow ", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

impl Manifest {
    /// Writes the manifest durably into the directory of its delivery. Fails if the directory has a manifest.
    pub(crate) fn write(&self, directory: &Path) -> Result<(), Error> {
        let path = directory.join(MANIFEST);
        let text = self.text(&path)?;
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

    /// Replaces the manifest in the directory of its delivery, durably and in one step.
    pub(super) fn replace(&self, directory: &Path) -> Result<(), Error> {
        let path = directory.join(MANIFEST);
        write_private_file(&path, &self.text(&path)?)
    }

    fn text(&self, path: &Path) -> Result<Vec<u8>, Error> {
        let mut text = serde_json::to_vec_pretty(self)
            .map_err(io::Error::from)
            .map_err(Error::file(path))?;
        text.push(b'\n');
        Ok(text)
    }

    /// Reads the manifest in the directory of a delivery; `None` if there is no manifest.
    pub(super) fn read(directory: &Path) -> Result<Option<Self>, Error> {
        let path = directory.join(MANIFEST);
        let file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(Error::file(&path))?,
        };
        let manifest = serde_json::from_reader(io::BufReader::new(file));
        Ok(manifest
            .map(Some)
            .map_err(|_| DatasetError::UnreadableManifest { path })?)
    }

    /// Returns the name of the delivery's directory.
    pub(crate) fn name(&self) -> String {
        delivery_name(&self.production_date, self.sequence, &self.transfer_uuid)
    }

    /// Returns what the ledger stores of a tenant's part of the delivery.
    pub(crate) fn tenant_counts(&self) -> TenantCounts {
        let count = |count: fn(&TenantManifest) -> u64| self.tenant.as_ref().map_or(0, count);
        TenantCounts {
            policy: self.policy.clone(),
            persons: count(|tenant| tenant.persons),
            entered: count(|tenant| tenant.entered),
            left: count(|tenant| tenant.left),
            rows: self.rows.values().sum(),
        }
    }

    /// Returns the delivery as a ledger's record, for a ledger that does not know it. `directory` is the name of the
    /// delivery's directory, and `now` stands in for an unreadable time of publication.
    pub(crate) fn record(&self, directory: String, now: Timestamp) -> Record {
        let published = self.published.parse().unwrap_or(now);
        let rows = |table: &str| self.rows.get(table).copied().unwrap_or_default();
        Record {
            id: 0,
            agreement: self.agreement.clone(),
            transfer_uuid: self.transfer_uuid.clone(),
            file_name: self.file_name.clone(),
            metadata_name: self.metadata_name.clone(),
            size: self.size.unwrap_or(UNKNOWN_SIZE),
            modified: None,
            sender: self.sender.clone(),
            routing: self.routing.clone(),
            state: State::Published,
            reason: None,
            accepted: self.accepted.clone(),
            as_of: None,
            counts: Counts {
                sha256: self.sha256.clone(),
                task_number: self.task_number.clone(),
                production_date: Some(self.production_date.clone()),
                previous_production_date: self.previous_production_date.clone(),
                records: self.records,
                persons: rows("person"),
                events: rows("event"),
                findings: self.findings.iter().map(FindingCount::from).collect(),
            },
            sequence: Some(self.sequence),
            directory: Some(directory),
            first_seen: published,
            published: Some(published),
            expired: None,
            updated: published,
        }
    }
}
