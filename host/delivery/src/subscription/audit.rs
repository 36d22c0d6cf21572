//! The audit log: every change of a subscription that was requested, and its result.
//!
//! The platform knows only the calling system. The system itself must be able to tell which user requested which change
//! for which person. A line is a JSON object. Each call has two lines: the first is on the disk before the call is made,
//! so that no call is missing, and the second contains the result. Person numbers are logged as keyed hashes. With the
//! key, one can check whether a given person was subscribed to; the numbers cannot be read back.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;

use super::SubscriptionError;
use super::filter::{Filter, FilterKind};
use cprflow_redact::redact;

use crate::error::Error;
use crate::fs::sync_directory;
use crate::keyed_hash::Key;
use cprflow::Pnr;

/// The name of the log in the directory of a subscription.
pub(super) const FILE_NAME: &str = "audit.jsonl";

/// The error text for a file that is not a key.
const DAMAGED_KEY: &str = "this is no key of the audit log. Restore the right file from a backup: without it, the \
                           person numbers in earlier lines cannot be checked";

/// The audit log of an agreement.
#[derive(Debug)]
pub struct AuditLog {
    path: PathBuf,
    file: File,
    key: Key,
    user: String,
    agreement: String,
    purpose: Option<String>,
    legal_basis: Option<String>,
}

/// A call in the log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry<'a> {
    pub(crate) operation: &'static str,
    pub(crate) kind: FilterKind,
    pub(crate) filter: Option<&'a Filter>,
    pub(crate) call_id: &'a str,
    /// The result; `sent` before the call is made.
    pub(crate) result: &'a str,
    /// The identifier that the platform gave the call.
    pub(crate) platform_call_id: Option<&'a str>,
}

/// A line of the log.
#[derive(Serialize)]
struct Line<'a> {
    time: String,
    #[serde(rename = "who")]
    user: &'a str,
    agreement: &'a str,
    purpose: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    legal_basis: Option<&'a str>,
    operation: &'a str,
    kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pnr_hash: Option<String>,
    result: &'a str,
    call_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform_call_id: Option<&'a str>,
}

impl AuditLog {
    /// Opens the log in a directory, and creates the log and its key if they are missing.
    pub fn open(directory: &Path, agreement: &str, purpose: Option<&str>) -> Result<Self, Error> {
        let path = directory.join(FILE_NAME);
        let key = Key::open(&directory.join("audit.key"), DAMAGED_KEY)?;
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&path)
            .map_err(Error::file(&path))?;
        sync_directory(Some(directory))?;
        Ok(Self {
            file,
            path,
            key,
            user: user(),
            agreement: agreement.to_owned(),
            purpose: purpose.map(str::to_owned),
            legal_basis: None,
        })
    }

    /// Sets the legal basis (hjemmel) of the purpose. Default: none.
    pub fn with_legal_basis(mut self, legal_basis: Option<&str>) -> Self {
        self.legal_basis = legal_basis.map(str::to_owned);
        self
    }

    /// Writes a line. It is on the disk when this returns. If it fails, the caller must not make the change.
    pub(crate) fn write(&mut self, entry: Entry<'_>) -> Result<(), Error> {
        let (value, pnr_hash) = match entry.filter {
            Some(Filter::Pnr(pnr)) => (None, Some(hash(&self.key, pnr))),
            Some(filter) => (Some(filter.to_string()), None),
            None => (None, None),
        };
        let line = Line {
            time: Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            user: &self.user,
            agreement: &self.agreement,
            purpose: self.purpose.as_deref(),
            legal_basis: self.legal_basis.as_deref(),
            operation: entry.operation,
            kind: entry.kind.name(),
            value,
            pnr_hash,
            result: entry.result,
            call_id: entry.call_id,
            platform_call_id: entry.platform_call_id,
        };
        let mut line = serde_json::to_vec(&line).map_err(|error| Error::File {
            path: self.path.clone(),
            error: error.into(),
        })?;
        line.push(b'\n');
        // One write call, so that a killed process leaves no partial line.
        self.file
            .write_all(&line)
            .and_then(|()| self.file.sync_data())
            .map_err(Error::file(&self.path))
    }
}

/// Returns the keyed hash of a person number.
fn hash(key: &Key, pnr: &Pnr) -> String {
    letters(&key.hash([pnr.as_str()]))
}

/// Encodes bytes as letters from a to p, so that the log contains no digits that could be a person number.
fn letters(bytes: &[u8]) -> String {
    let letter = |half: u8| char::from(b'a' + half);
    let halves = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    halves.map(letter).collect()
}

/// Fills a buffer with random bytes of the operating system.
pub(crate) fn random(bytes: &mut [u8]) -> Result<(), SubscriptionError> {
    getrandom::fill(bytes).map_err(|error| SubscriptionError::Random(error.to_string()))
}

/// The maximum number of characters of a user name in the log.
const MAX_USER_CHARS: usize = 200;

/// Returns the user who runs the program: the user ID of the process, and the user name in the environment.
fn user() -> String {
    let id = rustix::process::getuid().as_raw();
    let variables = ["SUDO_USER", "USER", "LOGNAME"];
    match variables
        .iter()
        .find_map(|variable| std::env::var(variable).ok())
    {
        Some(name) => format!("{} (uid {id})", redact(&name, MAX_USER_CHARS)),
        None => format!("uid {id}"),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn person_numbers_are_hashed_with_the_same_key_after_reopening() {
        let directory = tempfile::tempdir().unwrap();
        let filter = Filter::parse(FilterKind::Pnr, "0101010101").unwrap();
        for result in ["sent", "added"] {
            let mut audit = AuditLog::open(directory.path(), "roskilde", Some("a trial"))
                .unwrap()
                .with_legal_basis(Some("the Act, section 1"));
            audit
                .write(Entry {
                    operation: "add",
                    kind: FilterKind::Pnr,
                    filter: Some(&filter),
                    call_id: "id",
                    result,
                    platform_call_id: None,
                })
                .unwrap();
        }
        let text = std::fs::read_to_string(directory.path().join("audit.jsonl")).unwrap();
        assert!(!text.contains("0101010101"));
        let lines: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["pnr_hash"], lines[1]["pnr_hash"]);
        let hash = lines[0]["pnr_hash"].as_str().unwrap();
        assert_eq!(hash.len(), 64);
        assert!(hash.chars().all(|c| c.is_ascii_lowercase()), "{hash}");
        assert_eq!(lines[1]["result"], "added");
        assert_eq!(lines[1]["purpose"], "a trial");
        assert_eq!(lines[1]["legal_basis"], "the Act, section 1");
        for name in ["audit.jsonl", "audit.key"] {
            let mode = std::fs::metadata(directory.path().join(name)).unwrap();
            assert_eq!(mode.permissions().mode() & 0o777, 0o600, "{name}");
        }
        // Each agreement has its own key.
        let other = tempfile::tempdir().unwrap();
        let other = AuditLog::open(other.path(), "lejre", None).unwrap();
        let Filter::Pnr(pnr) = filter else { panic!() };
        assert_ne!(lines[0]["pnr_hash"], super::hash(&other.key, &pnr));
        assert!(format!("{other:?}").contains("Key(…)"));
    }

    #[test]
    fn refuses_a_damaged_key() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("audit.key"), "short").unwrap();
        let error = AuditLog::open(directory.path(), "a", None).unwrap_err();
        assert!(error.to_string().contains("no key"), "{error}");
    }
}
