//! Backs up the state directories of a configuration in one file, and restores them.
//!
//! The file is a tar archive: `backup.json` first ([`BackupSummary`]), then the files of each state directory, then
//! `files.json` with the size and SHA-256 of every file. A backup that is cut off or damaged is recognised before anything
//! is changed.
//!
//! | module | contents |
//! |---|---|
//! | `write` | [`back_up`] |
//! | `read` | reads the archive, and compares every file with its digest |
//! | `restore` | [`check_backup`] and [`restore`]: puts the directories in place |
//! | `erasures` | keeps what was erased after the backup |
//! | `rosters` | keeps the rosters of deliveries that tenants got after the backup |
//! | `error` | [`BackupError`] |

mod erasures;
mod error;
mod read;
mod restore;
mod rosters;
mod write;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use error::BackupError;
pub use restore::{Restored, RestoredStore, check_backup, restore};
pub use write::back_up;

/// The version of the archive.
const FORMAT: u32 = 1;

/// The name of the first file.
const SUMMARY: &str = "backup.json";

/// The name of the last file.
const FILES: &str = "files.json";

/// The name of the ledger's file.
const LEDGER: &str = "ledger.sqlite";

/// What a backup has.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BackupSummary {
    /// The version of the archive: 1.
    format: u32,
    /// The program that wrote it, and its version.
    pub written_by: String,
    /// The time of the backup.
    pub made: Timestamp,
    /// The state directories.
    pub stores: Vec<BackedUpStore>,
}

/// A state directory in a backup.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BackedUpStore {
    /// The name of its directory in the archive.
    directory: String,
    /// The agreements that are published from it.
    pub agreements: Vec<String>,
    /// The number of extracts in the register.
    pub extracts: u64,
    /// The newest production date of an extract, `YYYY-MM-DD`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newest: Option<String>,
}

/// Size and digest of a file in the archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct BackedUpFile {
    bytes: u64,
    sha256: String,
}

/// The files of an archive, by their paths.
type BackedUpFiles = BTreeMap<String, BackedUpFile>;
