//! The ledger's file: its tables, and how it is opened and checked.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::LedgerError;
use crate::fs::InUse;

/// The format that this program reads and writes, in SQLite's `user_version`. A new file has 0.
const FORMAT: i64 = 6;

/// The maximum time to wait for another program that reads the ledger.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The tables of [`FORMAT`].
const TABLES: &str = "
-- One row per delivery, identified by the agreement and the UUID of the transfer.
CREATE TABLE delivery (
    id INTEGER PRIMARY KEY,
    agreement TEXT NOT NULL,
    transfer_uuid TEXT NOT NULL,
    file_name TEXT NOT NULL,
    metadata_name TEXT NOT NULL,
    size INTEGER NOT NULL,
    modified INTEGER,
    sender TEXT,
    routing TEXT,
    state TEXT NOT NULL CHECK (state IN
        ('fetching', 'fetched', 'publishing', 'published', 'data-removed', 'done', 'set-aside')),
    reason_code TEXT,
    reason TEXT,
    accepted TEXT NOT NULL DEFAULT '[]',
    sha256 TEXT,
    task_number TEXT,
    production_date TEXT,
    operator_production_date TEXT,
    previous_production_date TEXT,
    sequence INTEGER UNIQUE,
    directory TEXT,
    register TEXT CHECK (register IN ('kept', 'accepted')),
    records INTEGER NOT NULL DEFAULT 0,
    persons INTEGER NOT NULL DEFAULT 0,
    events INTEGER NOT NULL DEFAULT 0,
    findings TEXT NOT NULL DEFAULT '[]',
    first_seen TEXT NOT NULL,
    fetched TEXT,
    published TEXT,
    expired TEXT,
    updated TEXT NOT NULL,
    UNIQUE (agreement, transfer_uuid)
) STRICT;
-- Files in an inbox that belong to no agreement, or that cannot be processed.
CREATE TABLE unclaimed_file (
    inbox TEXT NOT NULL,
    name TEXT NOT NULL,
    size INTEGER,
    reason_code TEXT NOT NULL,
    reason TEXT NOT NULL,
    first_seen TEXT NOT NULL,
    last_seen TEXT NOT NULL,
    PRIMARY KEY (inbox, name)
) STRICT;
-- The times at which the inbox of an agreement was listed.
CREATE TABLE inbox_visit (
    agreement TEXT PRIMARY KEY,
    first TEXT NOT NULL,
    last TEXT NOT NULL,
    last_good TEXT,
    error TEXT
) STRICT;
-- One row per delivery and tenant.
CREATE TABLE tenant_delivery (
    delivery INTEGER NOT NULL REFERENCES delivery (id),
    tenant TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'publishing', 'published', 'set-aside')),
    reason_code TEXT,
    reason TEXT,
    attempts INTEGER NOT NULL DEFAULT 0,
    sequence INTEGER,
    directory TEXT,
    policy TEXT,
    hidden INTEGER NOT NULL DEFAULT 0,
    persons INTEGER NOT NULL DEFAULT 0,
    entered INTEGER NOT NULL DEFAULT 0,
    departed INTEGER NOT NULL DEFAULT 0,
    rows INTEGER NOT NULL DEFAULT 0,
    published TEXT,
    expired TEXT,
    updated TEXT NOT NULL,
    PRIMARY KEY (delivery, tenant),
    UNIQUE (tenant, sequence)
) STRICT;
-- The extracts that the register keeps. The row of a delivery is written when its file is on the disk, and the delivery
-- is applied from then on.
CREATE TABLE kept_extract (
    id INTEGER PRIMARY KEY,
    agreement TEXT NOT NULL,
    delivery INTEGER NOT NULL UNIQUE REFERENCES delivery (id),
    sequence INTEGER NOT NULL,
    production_date TEXT NOT NULL,
    task_number TEXT,
    sha256 TEXT NOT NULL,
    size INTEGER NOT NULL,
    file TEXT NOT NULL,
    file_size INTEGER NOT NULL,
    file_sha256 TEXT NOT NULL,
    is_unrestricted INTEGER NOT NULL,
    incomplete TEXT,
    kept TEXT NOT NULL,
    UNIQUE (agreement, file)
) STRICT;
-- The newest generation of the current tables of each dataset.
CREATE TABLE generation (
    dataset TEXT PRIMARY KEY,
    number INTEGER NOT NULL,
    is_current INTEGER NOT NULL,
    compared_with INTEGER,
    day TEXT NOT NULL,
    inputs TEXT NOT NULL,
    policy TEXT,
    persons INTEGER NOT NULL,
    entered INTEGER NOT NULL,
    departed INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    made TEXT NOT NULL,
    error TEXT,
    compare_since TEXT
) STRICT;
-- Published deliveries that were made again or removed, because something in them was hidden or erased. The tenant is empty
-- for the unrestricted dataset. The number is one of the sequence numbers of the dataset.
CREATE TABLE rewriting (
    tenant TEXT NOT NULL,
    number INTEGER NOT NULL,
    delivery INTEGER NOT NULL REFERENCES delivery (id),
    kind TEXT NOT NULL CHECK (kind IN ('rewritten', 'erased')),
    done INTEGER NOT NULL,
    at TEXT NOT NULL,
    PRIMARY KEY (tenant, number)
) STRICT;
-- A digest of the list of erased persons that was applied to the kept extracts, and the number of its lines. A restored
-- ledger has an older one.
CREATE TABLE erasures_applied (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    list TEXT NOT NULL
) STRICT;
-- The next sequence number of the unrestricted dataset.
CREATE VIEW next_number AS SELECT coalesce(max(number), 0) + 1 AS number FROM (
    SELECT max(sequence) AS number FROM delivery
    UNION ALL SELECT max(number) FROM rewriting WHERE tenant = '');
-- The sequence numbers of the tenants' datasets.
CREATE VIEW tenant_number AS
    SELECT tenant, sequence AS number FROM tenant_delivery
    UNION ALL SELECT tenant, number FROM rewriting;
-- The datasets whose existing deliveries the ledger has already adopted.
CREATE TABLE adopted (
    dataset TEXT PRIMARY KEY,
    at TEXT NOT NULL
) STRICT;
";

/// Opens a ledger for reading and writing, and creates it if the file is missing.
pub(super) fn open(path: &Path) -> Result<Connection, LedgerError> {
    let ledger_error = |error| ledger_error(path, error);
    if !path.exists() {
        create_private(path)?;
    }
    let connection = Connection::open(path).map_err(ledger_error)?;
    connection
        .busy_timeout(BUSY_TIMEOUT)
        .map_err(ledger_error)?;
    check(&connection, path)?;
    // Files are deleted on the server once a state is committed, so each commit must be on the disk. Removed values,
    // usually file names, must not remain in free pages of the file.
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;",
        )
        .map_err(ledger_error)?;
    match format(&connection).map_err(ledger_error)? {
        0 => {
            let create = format!(
                "BEGIN; {TABLES} {} PRAGMA user_version = {FORMAT}; COMMIT;",
                super::tenant_memory::TABLES
            );
            connection.execute_batch(&create).map_err(ledger_error)?;
            Ok(connection)
        }
        FORMAT => Ok(connection),
        found => Err(other_format(path, found)),
    }
}

/// Creates an empty file that only its owner can read. SQLite gives the files beside it the same mode.
fn create_private(path: &Path) -> Result<(), LedgerError> {
    let created = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    created.map(drop).map_err(|error| LedgerError::File {
        path: path.to_owned(),
        error,
    })
}

/// Opens an existing ledger for reading.
pub(super) fn open_to_read(path: &Path) -> Result<Connection, LedgerError> {
    let ledger_error = |error| ledger_error(path, error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(ledger_error)?;
    connection
        .busy_timeout(BUSY_TIMEOUT)
        .map_err(ledger_error)?;
    match format(&connection).map_err(ledger_error)? {
        0 | FORMAT => Ok(connection),
        found => Err(other_format(path, found)),
    }
}

/// Checks the integrity of the whole file. A ledger is small, so this takes milliseconds.
pub(super) fn check(connection: &Connection, path: &Path) -> Result<(), LedgerError> {
    let answer: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|error| ledger_error(path, error))?;
    match answer.as_str() {
        "ok" => Ok(()),
        _ => Err(LedgerError::Damaged {
            path: path.to_owned(),
            what: answer.chars().take(200).collect(),
        }),
    }
}

/// Converts an error of SQLite into an error that says what to do.
pub(super) fn ledger_error(path: &Path, error: rusqlite::Error) -> LedgerError {
    let path = path.to_owned();
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => LedgerError::Damaged {
            path,
            what: error.to_string(),
        },
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            InUse { path, holder: None }.into()
        }
        _ => LedgerError::Sqlite { path, error },
    }
}

fn other_format(path: &Path, found: i64) -> LedgerError {
    let path = path.to_owned();
    match found < FORMAT {
        true => LedgerError::Older { path, found },
        false => LedgerError::Newer { path, found },
    }
}

fn format(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}
