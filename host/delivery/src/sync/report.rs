//! The report of a run.

use std::path::PathBuf;

use serde::Serialize;

use crate::erase::PendingErasure;
use crate::error::Error;
use crate::integrity::DamagedDelivery;
use crate::ledger::{Generation, Reason, Record};

/// What a run did and what it left.
#[derive(Debug, Default, Serialize)]
pub struct RunReport {
    /// The deliveries that were published.
    pub published: Vec<PublishedDelivery>,
    /// The published deliveries that were made again or removed, because something in them is hidden or erased now.
    pub rewritten: Vec<RewrittenDelivery>,
    /// The generations of current tables that were made.
    pub current: Vec<MadeCurrent>,
    /// The deliveries that are set aside, from this and earlier runs: until a person decides, or because one has decided so.
    pub set_aside: Vec<SkippedFile>,
    /// The files that are not a complete delivery yet.
    pub waiting: Vec<SkippedFile>,
    /// The files that belong to no agreement or cannot be processed.
    pub strays: Vec<SkippedFile>,
    /// The datasets from which published deliveries are missing.
    pub missing: Vec<MissingDeliveries>,
    /// The erasures that are not complete, and what stops them.
    pub erasing: Vec<PendingErasure>,
    /// The errors of the run.
    pub problems: Vec<RunProblem>,
}

/// Published deliveries that are not in their dataset any more.
#[derive(Debug, Serialize)]
pub struct MissingDeliveries {
    /// The tenant whose dataset it is; `None` for the unrestricted dataset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// The directory of the dataset.
    pub dataset: PathBuf,
    /// The deliveries.
    pub deliveries: Vec<DamagedDelivery>,
    /// What is missing and what to do, for a person.
    pub remark: String,
}

/// A delivery that was published.
#[derive(Debug, Serialize)]
pub struct PublishedDelivery {
    /// The agreement's name.
    pub agreement: String,
    /// The tenant that received the delivery; `None` for the unrestricted dataset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// The data file's name. Digits that can be a person number are redacted.
    pub file_name: String,
    /// The delivery's directory, relative to the dataset.
    pub directory: PathBuf,
    /// The number of records of all types; for a tenant, the number of its rows.
    pub records: u64,
    /// The number of records of type 001; for a tenant, the number of persons in its scope.
    pub persons: u64,
    /// Remarks on the delivery for a person.
    pub remarks: Vec<String>,
}

/// A published delivery that was made again without what is hidden or erased now, or that was removed.
#[derive(Debug, Clone, Serialize)]
pub struct RewrittenDelivery {
    /// The tenant whose dataset it is; `None` for the unrestricted dataset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// The agreement's name.
    pub agreement: String,
    /// The delivery's directory, relative to the dataset.
    pub directory: PathBuf,
    /// Why the delivery was removed; `None` if it was made again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub removed: Option<String>,
}

/// A generation of current tables that was made.
#[derive(Debug, Serialize)]
pub struct MadeCurrent {
    /// The tenant whose dataset it is; `None` for the unrestricted dataset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// The directory of the dataset.
    pub dataset: PathBuf,
    /// The generation.
    #[serde(flatten)]
    pub generation: Generation,
}

/// A file or delivery that was not published, and why.
#[derive(Debug, Serialize)]
pub struct SkippedFile {
    /// The agreement's name, if the file has one.
    pub agreement: Option<String>,
    /// The file's name. Digits that can be a person number are redacted.
    pub file_name: String,
    /// The transfer UUID of a delivery that is set aside, for `cprflow retry`; `None` for other files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transfer_uuid: Option<String>,
    /// Why it was not published.
    pub reason: Reason,
}

/// An error of a run.
#[derive(Debug)]
pub struct RunProblem {
    /// The agreement that the error concerns, if it concerns one.
    pub agreement: Option<String>,
    /// The tenant that the error concerns, if it concerns one. Other tenants are not affected.
    pub tenant: Option<String>,
    /// The error.
    pub error: Error,
}

impl std::fmt::Display for RunProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.tenant, &self.agreement) {
            (Some(tenant), Some(agreement)) => {
                write!(f, "tenant {tenant}, agreement {agreement}: ")?
            }
            (Some(tenant), None) => write!(f, "tenant {tenant}: ")?,
            (None, Some(agreement)) => write!(f, "agreement {agreement}: ")?,
            (None, None) => {}
        }
        write!(f, "{}", self.error)
    }
}

impl Serialize for RunProblem {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut fields = serializer.serialize_struct("Problem", 3)?;
        fields.serialize_field("agreement", &self.agreement)?;
        fields.serialize_field("tenant", &self.tenant)?;
        fields.serialize_field("error", &self.error.to_string())?;
        fields.end()
    }
}

impl From<Record> for SkippedFile {
    fn from(record: Record) -> Self {
        Self {
            file_name: record.redacted_file_name(),
            agreement: Some(record.agreement),
            transfer_uuid: Some(record.transfer_uuid),
            reason: record.reason.unwrap_or_else(|| Reason::new("unknown", "")),
        }
    }
}

impl RunReport {
    /// Appends the report of another store's run.
    pub(crate) fn append(&mut self, other: Self) {
        self.published.extend(other.published);
        self.rewritten.extend(other.rewritten);
        self.current.extend(other.current);
        self.set_aside.extend(other.set_aside);
        self.waiting.extend(other.waiting);
        self.strays.extend(other.strays);
        self.missing.extend(other.missing);
        self.erasing.extend(other.erasing);
        self.problems.extend(other.problems);
    }

    /// Keeps what was done, and forgets what the next pass of the run finds again.
    pub(crate) fn begin_again(&mut self) {
        let done = std::mem::take(self);
        self.published = done.published;
        self.rewritten = done.rewritten;
        self.current = done.current;
    }

    /// Returns whether a delivery is set aside about which no person has decided.
    pub fn needs_decision(&self) -> bool {
        self.set_aside.iter().any(|file| !file.reason.is_by_hand())
    }

    /// Returns whether a person must act: a delivery needs a decision or is missing, an erasure is not complete, or a file that
    /// may belong to cprflow is not processed.
    pub fn needs_attention(&self) -> bool {
        let is_foreign = |stray: &SkippedFile| stray.reason.code == "foreign";
        self.needs_decision()
            || !self.missing.is_empty()
            || !self.erasing.is_empty()
            || !self.strays.iter().all(is_foreign)
    }
}
