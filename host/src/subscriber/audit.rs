//! The audit log: every change of a subscription that was asked of the platform, and what came of it.
//!
//! The platform knows the calling system only; who asked for what, and about whom, the system itself must be able to
//! tell. A line is a JSON object. Each call has two: one that is on the disk before the call is made, so that no call is
//! missing whatever happens, and one with what came of it. A person number stands in it as a keyed hash: whoever has
//! the key can tell whether a given person was subscribed to, and nobody can read the numbers back.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;

use super::SubscriberError;
use super::filter::{Filter, Kind};
use crate::error::Error;
use crate::keyed::Key;
use crate::pnr::Pnr;
use crate::spool::sync_directory;

/// The log's file, in the directory of a subscription.
pub(super) const NAME: &str = "audit.jsonl";

/// What is said of a file that is no key.
const DAMAGED: &str = "this is no key of the audit log. Put the right one back: without it nobody can tell whom \
                       earlier lines are about";

/// The audit log of an agreement.
#[derive(Debug)]
pub struct Audit {
    path: PathBuf,
    file: File,
    key: Key,
    who: String,
    agreement: String,
    purpose: Option<String>,
}

/// A call, as the log tells it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry<'a> {
    pub(crate) operation: &'static str,
    pub(crate) kind: Kind,
    pub(crate) filter: Option<&'a Filter>,
    pub(crate) call_id: &'a str,
    /// What came of it; `sent` before it is made.
    pub(crate) result: &'a str,
    /// What the platform calls the call.
    pub(crate) platform_call_id: Option<&'a str>,
}

#[derive(Serialize)]
struct Line<'a> {
    time: String,
    who: &'a str,
    agreement: &'a str,
    purpose: Option<&'a str>,
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

impl Audit {
    /// Opens the log in that directory, and makes it and its key if they are not there.
    pub fn open(directory: &Path, agreement: &str, purpose: Option<&str>) -> Result<Self, Error> {
        let path = directory.join(NAME);
        let key = Key::open(&directory.join("audit.key"), DAMAGED)?;
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
            who: who(),
            agreement: agreement.to_owned(),
            purpose: purpose.map(str::to_owned),
        })
    }

    /// Writes a line; it is on the disk when this returns. A change that cannot be told is not made, so this may
    /// fail.
    pub(crate) fn write(&mut self, entry: Entry<'_>) -> Result<(), Error> {
        let (value, pnr_hash) = match entry.filter {
            Some(Filter::Pnr(pnr)) => (None, Some(hash(&self.key, pnr))),
            Some(filter) => (Some(filter.to_string()), None),
            None => (None, None),
        };
        let line = Line {
            time: Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            who: &self.who,
            agreement: &self.agreement,
            purpose: self.purpose.as_deref(),
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
        // In one piece: whoever is killed leaves no half line.
        self.file
            .write_all(&line)
            .and_then(|()| self.file.sync_data())
            .map_err(Error::file(&self.path))
    }
}

/// The keyed hash of a number.
fn hash(key: &Key, pnr: &Pnr) -> String {
    letters(&key.hash([pnr.as_str()]))
}

/// Bytes in letters from a to p, so that nothing in the log can be taken for a person number.
fn letters(bytes: &[u8]) -> String {
    let letter = |half: u8| char::from(b'a' + half);
    let both = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    both.map(letter).collect()
}

/// Random bytes of the operating system's.
pub(crate) fn random(bytes: &mut [u8]) -> Result<(), SubscriberError> {
    getrandom::fill(bytes).map_err(|error| SubscriberError::Random(error.to_string()))
}

/// The user under whom the program runs: what the operating system knows, and what the session says.
fn who() -> String {
    let id = rustix::process::getuid().as_raw();
    let name = ["SUDO_USER", "USER", "LOGNAME"];
    match name
        .iter()
        .find_map(|variable| std::env::var(variable).ok())
    {
        Some(name) => format!("{} (uid {id})", crate::sandbox::tame(&name)),
        None => format!("uid {id}"),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn lines_hash_numbers_with_a_key_that_stays() {
        let directory = tempfile::tempdir().unwrap();
        let filter = Filter::parse(Kind::Pnr, "0101010101").unwrap();
        for result in ["sent", "added"] {
            let mut audit = Audit::open(directory.path(), "roskilde", Some("a trial")).unwrap();
            audit
                .write(Entry {
                    operation: "add",
                    kind: Kind::Pnr,
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
        for name in ["audit.jsonl", "audit.key"] {
            let mode = std::fs::metadata(directory.path().join(name)).unwrap();
            assert_eq!(mode.permissions().mode() & 0o777, 0o600, "{name}");
        }
        // Another agreement has another key.
        let other = tempfile::tempdir().unwrap();
        let other = Audit::open(other.path(), "lejre", None).unwrap();
        let Filter::Pnr(pnr) = filter else { panic!() };
        assert_ne!(lines[0]["pnr_hash"], super::hash(&other.key, &pnr));
        assert!(format!("{other:?}").contains("Key(…)"));
    }

    #[test]
    fn a_damaged_key_is_not_replaced() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("audit.key"), "short").unwrap();
        let error = Audit::open(directory.path(), "a", None).unwrap_err();
        assert!(error.to_string().contains("no key"), "{error}");
    }
}
