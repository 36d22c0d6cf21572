//! The ledger's file: its tables, and whether it can be trusted.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::{LedgerError, PATIENCE};

/// The format that this program writes, in SQLite's `user_version`.
const FORMAT: i64 = 3;

const TABLES: &str = "
CREATE TABLE delivery (
    id INTEGER PRIMARY KEY,
    agreement TEXT NOT NULL,
    transfer_uuid TEXT NOT NULL,
    file_name TEXT NOT NULL,
    metadata_name TEXT NOT NULL,
    size INTEGER NOT NULL,
    modified INTEGER,
    sender TEXT,
    state TEXT NOT NULL CHECK (state IN
        ('fetching', 'fetched', 'publishing', 'published', 'data-removed', 'done', 'set-aside')),
    reason_code TEXT,
    reason TEXT,
    accepted TEXT NOT NULL DEFAULT '[]',
    sha256 TEXT,
    task_number TEXT,
    production_date TEXT,
    told_production_date TEXT,
    previous_production_date TEXT,
    sequence INTEGER UNIQUE,
    directory TEXT,
    records INTEGER NOT NULL DEFAULT 0,
    persons INTEGER NOT NULL DEFAULT 0,
    events INTEGER NOT NULL DEFAULT 0,
    findings TEXT NOT NULL DEFAULT '[]',
    first_seen TEXT NOT NULL,
    fetched TEXT,
    published TEXT,
    updated TEXT NOT NULL,
    UNIQUE (agreement, transfer_uuid)
) STRICT;
CREATE TABLE stray (
    inbox TEXT NOT NULL,
    name TEXT NOT NULL,
    size INTEGER,
    reason_code TEXT NOT NULL,
    reason TEXT NOT NULL,
    first_seen TEXT NOT NULL,
    last_seen TEXT NOT NULL,
    PRIMARY KEY (inbox, name)
) STRICT;
CREATE TABLE visit (
    agreement TEXT PRIMARY KEY,
    first TEXT NOT NULL,
    last TEXT NOT NULL,
    last_good TEXT,
    error TEXT
) STRICT;
";

/// What format 2 has beside format 1: the tenants' shares.
const SHARES: &str = "
CREATE TABLE share (
    delivery INTEGER NOT NULL REFERENCES delivery (id),
    tenant TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'publishing', 'published', 'set-aside')),
    reason_code TEXT,
    reason TEXT,
    attempts INTEGER NOT NULL DEFAULT 0,
    sequence INTEGER,
    directory TEXT,
    policy TEXT,
    persons INTEGER NOT NULL DEFAULT 0,
    entered INTEGER NOT NULL DEFAULT 0,
    departed INTEGER NOT NULL DEFAULT 0,
    rows INTEGER NOT NULL DEFAULT 0,
    published TEXT,
    updated TEXT NOT NULL,
    PRIMARY KEY (delivery, tenant),
    UNIQUE (tenant, sequence)
) STRICT;
";

/// What format 3 has beside format 2: the datasets of which the ledger has taken up what stood in them before.
const ADOPTED: &str = "
CREATE TABLE adopted (
    place TEXT PRIMARY KEY,
    at TEXT NOT NULL
) STRICT;
";

/// A ledger of before there was that table was made by a program that did it at once.
const IS_ADOPTED: &str =
    "INSERT INTO adopted (place, at) VALUES ('dataset', strftime('%Y-%m-%dT%H:%M:%SZ', 'now'));";

/// Opens a ledger, and makes it if there is none.
pub(super) fn open(path: &Path) -> Result<Connection, LedgerError> {
    let tell = |error| told(path, error);
    if !path.exists() {
        make_private(path)?;
    }
    let connection = Connection::open(path).map_err(tell)?;
    connection.busy_timeout(PATIENCE).map_err(tell)?;
    check(&connection, path)?;
    // A state that was told is on the disk: the deletion on the server relies on it. And what was removed, a name as a
    // rule, is not left in the file.
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;",
        )
        .map_err(tell)?;
    let add = match format(&connection).map_err(tell)? {
        0 => [TABLES, SHARES, ADOPTED].concat(),
        1 => [SHARES, ADOPTED, IS_ADOPTED].concat(),
        2 => [ADOPTED, IS_ADOPTED].concat(),
        FORMAT => return Ok(connection),
        found => return Err(newer(path, found)),
    };
    let add = format!("BEGIN; {add} PRAGMA user_version = {FORMAT}; COMMIT;");
    connection.execute_batch(&add).map_err(tell)?;
    Ok(connection)
}

/// An empty file for its owner only. SQLite gives the files beside it the same mode.
fn make_private(path: &Path) -> Result<(), LedgerError> {
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    made.map(drop).map_err(|error| LedgerError::File {
        path: path.to_owned(),
        error,
    })
}

/// Opens a ledger that is there, to read it.
pub(super) fn open_to_read(path: &Path) -> Result<Connection, LedgerError> {
    let tell = |error| told(path, error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(tell)?;
    connection.busy_timeout(PATIENCE).map_err(tell)?;
    match format(&connection).map_err(tell)? {
        0..=FORMAT => Ok(connection),
        found => Err(newer(path, found)),
    }
}

/// Whether it is of a format that knows shares.
pub(super) fn has_shares(connection: &Connection) -> rusqlite::Result<bool> {
    format(connection).map(|format| format >= 2)
}

/// Whether the whole file is sound. A ledger is small: this takes milliseconds.
pub(super) fn check(connection: &Connection, path: &Path) -> Result<(), LedgerError> {
    let answer: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|error| told(path, error))?;
    match answer.as_str() {
        "ok" => Ok(()),
        _ => Err(LedgerError::Damaged {
            path: path.to_owned(),
            what: answer.chars().take(200).collect(),
        }),
    }
}

/// What SQLite says, as an error that says what to do.
pub(super) fn told(path: &Path, error: rusqlite::Error) -> LedgerError {
    let path = path.to_owned();
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => LedgerError::Damaged {
            path,
            what: error.to_string(),
        },
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            LedgerError::InUse { path, holder: None }
        }
        _ => LedgerError::Sqlite { path, error },
    }
}

fn newer(path: &Path, found: i64) -> LedgerError {
    LedgerError::Newer {
        path: path.to_owned(),
        found,
    }
}

fn format(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}
