//! The order of an erasure, and its file: `<state>/erasing`. The file holds person numbers until everything is erased. Only
//! its owner may read it.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::EraseError;
use crate::error::Error;
use crate::fs::{remove_file, sync_directory, write_private_file};
use crate::names::{AgreementName, TenantName};
use cprflow::Pnr;

/// The name of the file in a state directory.
pub(crate) const ORDER_FILE: &str = "erasing";

/// The version of the file.
const VERSION: u32 = 1;

/// What is erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ErasedSubject {
    /// The persons with these numbers, under all their numbers.
    Numbers(BTreeSet<Pnr>),
    /// Everything of an agreement that has ended.
    Agreement(AgreementName),
    /// Everything that was published to a tenant.
    Tenant(TenantName),
}

/// What an operator asks to erase.
#[derive(Debug, Clone)]
pub struct EraseRequest {
    /// What is erased.
    pub subject: ErasedSubject,
    /// Why, for the proof.
    pub reason: Option<String>,
    /// Whether the numbers are blanked in the records of relatives too.
    pub blank_references: bool,
    /// Whether the operator knows that no filter of a subscription brings the persons any more.
    pub is_unsubscribed: bool,
    /// Whether the operator knows that the list of erased persons is lost: these persons begin a new one.
    pub is_list_lost: bool,
}

/// An erasure that is to be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) subject: ErasedSubject,
    pub(crate) reason: Option<String>,
    pub(crate) blank_references: bool,
    /// Whether the persons were erased before: they came back from a backup, or under another number.
    pub(crate) is_restored: bool,
    pub(crate) ordered: Timestamp,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OrderFile {
    version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    numbers: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    agreement: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    reason: Option<String>,
    blank_references: bool,
    is_restored: bool,
    ordered: Timestamp,
}

impl Order {
    pub(super) fn new(request: &EraseRequest, now: Timestamp) -> Self {
        Self {
            subject: request.subject.clone(),
            reason: request.reason.clone(),
            blank_references: request.blank_references,
            is_restored: false,
            ordered: now,
        }
    }

    /// Reads the order of a state directory; `None` if nothing is to be erased.
    pub(crate) fn read(state: &Path) -> Result<Option<Self>, Error> {
        let path = path(state);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::file(path)(error)),
        };
        // The error of serde is dropped, because it could repeat a number.
        let file: Option<OrderFile> = serde_json::from_slice(&bytes).ok();
        let order = file
            .filter(|file| file.version == VERSION)
            .and_then(Self::from_file);
        match order {
            Some(order) => Ok(Some(order)),
            None => Err(EraseError::DamagedOrder { path }.into()),
        }
    }

    /// Writes the order, durably.
    pub(super) fn write(&self, state: &Path) -> Result<(), Error> {
        let mut file = OrderFile {
            version: VERSION,
            numbers: None,
            agreement: None,
            tenant: None,
            reason: self.reason.clone(),
            blank_references: self.blank_references,
            is_restored: self.is_restored,
            ordered: self.ordered,
        };
        match &self.subject {
            ErasedSubject::Numbers(numbers) => {
                let digits = numbers.iter().map(|number| number.as_str().to_owned());
                file.numbers = Some(digits.collect());
            }
            ErasedSubject::Agreement(name) => file.agreement = Some(name.to_string()),
            ErasedSubject::Tenant(name) => file.tenant = Some(name.to_string()),
        }
        let path = path(state);
        let bytes = serde_json::to_vec(&file).map_err(io::Error::other);
        write_private_file(&path, &bytes.map_err(Error::file(&path))?)
    }

    /// Removes the order, because everything is erased.
    pub(super) fn remove(state: &Path) -> Result<(), Error> {
        remove_file(&path(state))?;
        sync_directory(Some(state))
    }

    fn from_file(file: OrderFile) -> Option<Self> {
        let subject = match (file.numbers, file.agreement, file.tenant) {
            (Some(digits), None, None) => {
                let numbers: Result<_, _> = digits.iter().map(|one| one.parse()).collect();
                ErasedSubject::Numbers(numbers.ok()?)
            }
            (None, Some(name), None) => ErasedSubject::Agreement(AgreementName::new(&name)?),
            (None, None, Some(name)) => ErasedSubject::Tenant(TenantName::new(&name)?),
            _ => return None,
        };
        Some(Self {
            subject,
            reason: file.reason,
            blank_references: file.blank_references,
            is_restored: file.is_restored,
            ordered: file.ordered,
        })
    }
}

fn path(state: &Path) -> PathBuf {
    state.join(ORDER_FILE)
}
