//! The ledger: what became of every delivery, in SQLite, durable at every step.
//!
//! A delivery is known by its agreement and the UUID of its transfer. The ledger holds states, sizes, digests, times
//! and counts, and no value of a person's record. What each state promises is said at [`State`]; the order in which
//! they are passed makes the rest safe to repeat after the power fails at any moment.
//!
//! One ledger serves one dataset, and one process at a time writes to both: see [`lock`](lock::StateLock). Where two
//! ledgers serve one all the same, each takes up what the other has published.

pub(crate) mod lock;
mod record;
mod schema;
mod share;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

pub use record::{Counts, FindingCount, NewDelivery, Reason, Record, State, Stray, Visit};
use record::{RECORD_COLUMNS, read_record};
pub use share::{Share, ShareCounts, ShareState};

use crate::transport::said;

/// Why the ledger cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// Another process works with it.
    #[error(
        "another cprflow works on this dataset{}: wait for it to end, or stop it. One process at a time writes to \
         {path}",
        .holder.map(|pid| format!(" (process {pid})")).unwrap_or_default(),
        path = path.display()
    )]
    InUse {
        /// The state directory.
        path: PathBuf,
        /// The process that has it, as far as it said so.
        holder: Option<u32>,
    },

    /// The file is no ledger, or damaged.
    #[error(
        "{path}: the ledger is damaged ({what}). Nothing was changed. Move the file away (with its -wal and -shm) \
         and run `cprflow sync` again: what was published stands in the dataset and is read back from there; \
         deliveries that were set aside are judged anew",
        path = path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        what: String,
    },

    /// A later cprflow made it.
    #[error("{path}: a later version of cprflow made this ledger (format {found}); update cprflow", path = path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i64,
    },

    /// The file cannot be made.
    #[error("{path}: {error}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        error: std::io::Error,
    },

    /// SQLite failed, for want of disk or permission as a rule.
    #[error("{path}: {error}", path = path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What it says.
        #[source]
        error: rusqlite::Error,
    },
}

/// An open ledger.
pub struct Ledger {
    connection: Connection,
    path: PathBuf,
}

impl Ledger {
    /// Opens the ledger of a state directory, and makes it if there is none.
    pub fn open(directory: &Path) -> Result<Self, LedgerError> {
        let path = directory.join(FILE);
        let connection = schema::open(&path)?;
        Ok(Self { connection, path })
    }

    /// Whether there is one in a state directory.
    pub(crate) fn is_in(directory: &Path) -> bool {
        directory.join(FILE).is_file()
    }

    /// Opens it only to read, if it is there.
    pub fn open_to_read(directory: &Path) -> Result<Option<Self>, LedgerError> {
        let path = directory.join(FILE);
        if !path.is_file() {
            return Ok(None);
        }
        let connection = schema::open_to_read(&path)?;
        Ok(Some(Self { connection, path }))
    }

    /// Whether it has taken up what stood in a place when it first met it.
    pub(crate) fn has_adopted(&self, place: Place<'_>) -> Result<bool, LedgerError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM adopted WHERE place = ?1)";
        let found = self
            .connection
            .query_row(sql, [place.name()], |row| row.get(0));
        self.told(found)
    }

    /// It has, and need not do so again.
    pub(crate) fn adopted(&self, place: Place<'_>, now: Timestamp) -> Result<(), LedgerError> {
        self.change(
            "INSERT INTO adopted (place, at) VALUES (?1, ?2)",
            [place.name(), now.to_string()],
        )
    }

    /// Does what is to be on the disk together or not at all.
    pub(crate) fn together<T, E: From<LedgerError>>(
        &mut self,
        act: impl FnOnce(&Self) -> Result<T, E>,
    ) -> Result<T, E> {
        self.told(self.connection.execute_batch("BEGIN IMMEDIATE"))?;
        let done = act(self).and_then(|done| {
            self.told(self.connection.execute_batch("COMMIT"))?;
            Ok(done)
        });
        if done.is_err() && !self.connection.is_autocommit() {
            // Should this fail too, closing the ledger does it.
            let _ = self.connection.execute_batch("ROLLBACK");
        }
        done
    }

    /// The directories of the dataset that it knows, each after its agreement.
    pub(crate) fn directories(&self) -> Result<BTreeSet<(String, String)>, LedgerError> {
        let sql = "SELECT agreement, directory FROM delivery WHERE directory IS NOT NULL";
        let found = self.connection.prepare(sql).and_then(|mut query| {
            let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect()
        });
        self.told(found)
    }

    /// A delivery, by the UUID of its transfer.
    pub fn find(&self, agreement: &str, transfer: &str) -> Result<Option<Record>, LedgerError> {
        let sql = format!(
            "SELECT {RECORD_COLUMNS} FROM delivery WHERE agreement = ?1 AND transfer_uuid = ?2"
        );
        let found = self
            .connection
            .query_row(&sql, params![agreement, transfer], read_record);
        self.told(found.optional())
    }

    /// A delivery, by its row.
    pub(crate) fn delivery(&self, id: i64) -> Result<Option<Record>, LedgerError> {
        let sql = format!("SELECT {RECORD_COLUMNS} FROM delivery WHERE id = ?1");
        let found = self.connection.query_row(&sql, [id], read_record);
        self.told(found.optional())
    }

    /// Every delivery, in the order in which they were first seen.
    pub fn all(&self) -> Result<Vec<Record>, LedgerError> {
        self.told(self.select(&format!(
            "SELECT {RECORD_COLUMNS} FROM delivery ORDER BY id"
        )))
    }

    /// The names of the agreements that it knows.
    pub(crate) fn agreements(&self) -> Result<BTreeSet<String>, LedgerError> {
        let sql = "SELECT agreement FROM delivery UNION SELECT agreement FROM visit";
        let found = self.connection.prepare(sql).and_then(|mut query| {
            let rows = query.query_map([], |row| row.get(0))?;
            rows.collect()
        });
        self.told(found)
    }

    /// Deliveries that are under way: begun, and neither done nor set aside.
    pub fn under_way(&self) -> Result<Vec<Record>, LedgerError> {
        self.told(self.select(&format!(
            "SELECT {RECORD_COLUMNS} FROM delivery WHERE state NOT IN ('done', 'set-aside') ORDER BY id"
        )))
    }

    /// The newest production date that was published of an agreement's task.
    pub fn newest_published(
        &self,
        agreement: &str,
        task_number: &str,
    ) -> Result<Option<String>, LedgerError> {
        self.told(self.connection.query_row(
            "SELECT max(production_date) FROM delivery
             WHERE agreement = ?1 AND task_number = ?2 AND state IN ('published', 'data-removed', 'done')",
            params![agreement, task_number],
            |row| row.get(0),
        ))
    }

    /// A delivery is about to be fetched. One that was begun before keeps its history and takes these facts.
    pub fn begin(&self, new: &NewDelivery, now: Timestamp) -> Result<Record, LedgerError> {
        let done = self.connection.execute(
            "INSERT INTO delivery (agreement, transfer_uuid, file_name, metadata_name, size, modified, sender,
                                   state, first_seen, updated)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'fetching', ?8, ?8)
             ON CONFLICT (agreement, transfer_uuid) DO UPDATE SET
                 file_name = excluded.file_name, metadata_name = excluded.metadata_name,
                 size = excluded.size, modified = excluded.modified, sender = excluded.sender,
                 state = 'fetching', reason_code = NULL, reason = NULL, updated = excluded.updated
             WHERE delivery.state NOT IN ('published', 'data-removed', 'done')",
            params![
                new.agreement,
                new.transfer_uuid,
                new.file_name,
                new.metadata_name,
                new.size as i64,
                new.modified.map(|time| time as i64),
                new.sender,
                now.to_string(),
            ],
        );
        self.told(done)?;
        let found = self.find(&new.agreement, &new.transfer_uuid)?;
        found.ok_or_else(|| self.contradiction())
    }

    /// The extract is whole in the spool, and this is what it holds.
    pub fn fetched(&self, id: i64, counts: &Counts, now: Timestamp) -> Result<(), LedgerError> {
        let findings = serde_json::to_string(&counts.findings).unwrap_or_default();
        self.change(
            "UPDATE delivery SET state = 'fetched', sha256 = ?2, task_number = ?3, production_date = ?4,
                 previous_production_date = ?5, records = ?6, persons = ?7, events = ?8, findings = ?9,
                 fetched = coalesce(fetched, ?10), updated = ?10 WHERE id = ?1",
            params![
                id,
                counts.sha256,
                counts.task_number,
                counts.production_date,
                counts.previous_production_date,
                counts.records as i64,
                counts.persons as i64,
                counts.events as i64,
                findings,
                now.to_string(),
            ],
        )
    }

    /// The delivery gets the next number of the dataset, unless it has one, and the directory that it will be
    /// published as.
    pub fn publishing(
        &mut self,
        id: i64,
        directory: impl FnOnce(u64) -> String,
        now: Timestamp,
    ) -> Result<(u64, String), LedgerError> {
        self.at_once(|transaction| {
            let sequence: i64 = transaction.query_row(
                "SELECT coalesce((SELECT sequence FROM delivery WHERE id = ?1),
                                 (SELECT coalesce(max(sequence), 0) + 1 FROM delivery))",
                [id],
                |row| row.get(0),
            )?;
            let name = directory(sequence as u64);
            transaction.execute(
                "UPDATE delivery SET state = 'publishing', sequence = ?2, directory = ?3, updated = ?4 WHERE id = ?1",
                params![id, sequence, name, now.to_string()],
            )?;
            Ok((sequence as u64, name))
        })
    }

    /// The delivery stands in the dataset under its name.
    pub fn published(&self, id: i64, now: Timestamp) -> Result<(), LedgerError> {
        self.change(
            "UPDATE delivery SET state = 'published', published = coalesce(published, ?2), updated = ?2 WHERE id = ?1",
            params![id, now.to_string()],
        )
    }

    /// A later state of the delivery: its files are gone from the server.
    pub fn removed(&self, id: i64, state: State, now: Timestamp) -> Result<(), LedgerError> {
        if state == State::Done {
            self.forget_names(id)?;
        }
        self.change(
            "UPDATE delivery SET state = ?2, updated = ?3 WHERE id = ?1",
            params![id, state.name(), now.to_string()],
        )
    }

    /// Nothing is asked for any more by the names of the delivery's files: what can be a person number in them goes.
    pub(crate) fn forget_names(&self, id: i64) -> Result<(), LedgerError> {
        let Some(record) = self.delivery(id)? else {
            return Ok(());
        };
        self.change(
            "UPDATE delivery SET file_name = ?2, metadata_name = ?3
             WHERE id = ?1 AND (file_name <> ?2 OR metadata_name <> ?3)",
            params![id, record.said_name(), said(&record.metadata_name)],
        )
    }

    /// The delivery waits for a person.
    pub fn set_aside(&self, id: i64, reason: &Reason, now: Timestamp) -> Result<(), LedgerError> {
        self.change(
            "UPDATE delivery SET state = 'set-aside', reason_code = ?2, reason = ?3, updated = ?4 WHERE id = ?1",
            params![id, reason.code, reason.message, now.to_string()],
        )
    }

    /// A person lets the delivery go on, with these findings accepted.
    pub fn release(
        &self,
        id: i64,
        accepted: &[String],
        production_date: Option<&str>,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        let accepted = serde_json::to_string(accepted).unwrap_or_default();
        self.change(
            "UPDATE delivery SET state = 'fetching', accepted = ?2,
                 told_production_date = coalesce(?3, told_production_date),
                 reason_code = NULL, reason = NULL, updated = ?4 WHERE id = ?1",
            params![id, accepted, production_date, now.to_string()],
        )
    }

    /// Takes up a delivery that stands in the dataset, from what it says of itself there.
    ///
    /// Whatever was begun with it here is over. Where another delivery has its number already, since another ledger
    /// gave it, it gets the next one.
    pub(crate) fn adopt(&self, record: &Record) -> Result<(), LedgerError> {
        let findings = serde_json::to_string(&record.counts.findings).unwrap_or_default();
        self.change(
            "INSERT INTO delivery (agreement, transfer_uuid, file_name, metadata_name, size, sender, state, sha256,
                 task_number, production_date, previous_production_date, sequence, directory, records, persons,
                 events, findings, first_seen, fetched, published, updated)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'published', ?7, ?8, ?9, ?10,
                 CASE WHEN EXISTS (SELECT 1 FROM delivery WHERE sequence = ?11
                                       AND NOT (agreement = ?1 AND transfer_uuid = ?2))
                      THEN (SELECT max(sequence) + 1 FROM delivery) ELSE ?11 END,
                 ?12, ?13, ?14, ?15, ?16, ?17, ?17, ?17, ?17)
             ON CONFLICT (agreement, transfer_uuid) DO UPDATE SET
                 file_name = excluded.file_name, metadata_name = excluded.metadata_name, size = excluded.size,
                 modified = NULL, sender = excluded.sender, state = excluded.state, reason_code = NULL,
                 reason = NULL, sha256 = excluded.sha256, task_number = excluded.task_number,
                 production_date = excluded.production_date,
                 previous_production_date = excluded.previous_production_date, sequence = excluded.sequence,
                 directory = excluded.directory, records = excluded.records, persons = excluded.persons,
                 events = excluded.events, findings = excluded.findings, fetched = excluded.fetched,
                 published = excluded.published, updated = excluded.updated
             WHERE delivery.state NOT IN ('published', 'data-removed', 'done')",
            params![
                record.agreement,
                record.transfer_uuid,
                record.file_name,
                record.metadata_name,
                record.size as i64,
                record.sender,
                record.counts.sha256,
                record.counts.task_number,
                record.counts.production_date,
                record.counts.previous_production_date,
                record.sequence.map(|sequence| sequence as i64),
                record.directory,
                record.counts.records as i64,
                record.counts.persons as i64,
                record.counts.events as i64,
                findings,
                record.updated.to_string(),
            ],
        )
    }

    /// A file in an inbox that is nobody's, or that something is wrong with, was seen.
    pub fn see_stray(
        &self,
        inbox: &str,
        name: &str,
        size: Option<u64>,
        reason: &Reason,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        self.change(
            "INSERT INTO stray (inbox, name, size, reason_code, reason, first_seen, last_seen)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)
             ON CONFLICT (inbox, name) DO UPDATE SET
                 size = excluded.size, reason_code = excluded.reason_code, reason = excluded.reason,
                 last_seen = excluded.last_seen",
            params![
                inbox,
                name,
                size.map(|size| size as i64),
                reason.code,
                reason.message,
                now.to_string(),
            ],
        )
    }

    /// Forgets strays of an inbox that were not seen at that time: they are gone.
    pub fn forget_strays(&self, inbox: &str, seen: Timestamp) -> Result<(), LedgerError> {
        self.told(self.connection.execute(
            "DELETE FROM stray WHERE inbox = ?1 AND last_seen <> ?2",
            params![inbox, seen.to_string()],
        ))?;
        Ok(())
    }

    /// The strays, by inbox and name.
    pub fn strays(&self) -> Result<Vec<Stray>, LedgerError> {
        let rows = self
            .connection
            .prepare(
                "SELECT inbox, name, size, reason_code, reason, first_seen FROM stray ORDER BY inbox, name",
            )
            .and_then(|mut query| {
                let rows = query.query_map([], record::read_stray)?;
                rows.collect()
            });
        self.told(rows)
    }

    /// An inbox was looked into, on behalf of an agreement.
    pub fn visited(
        &self,
        agreement: &str,
        error: Option<&str>,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        let now = now.to_string();
        self.change(
            "INSERT INTO visit (agreement, first, last, last_good, error)
             VALUES (?1, ?2, ?2, CASE WHEN ?3 IS NULL THEN ?2 END, ?3)
             ON CONFLICT (agreement) DO UPDATE SET
                 last = excluded.last, last_good = coalesce(excluded.last_good, last_good), error = excluded.error",
            params![agreement, now, error],
        )
    }

    /// When an agreement's inbox was looked into.
    pub fn visit(&self, agreement: &str) -> Result<Option<Visit>, LedgerError> {
        let found = self.connection.query_row(
            "SELECT first, last, last_good, error FROM visit WHERE agreement = ?1",
            [agreement],
            record::read_visit,
        );
        self.told(found.optional())
    }

    /// Whether SQLite finds the whole file sound.
    pub fn check(&self) -> Result<(), LedgerError> {
        schema::check(&self.connection, &self.path)
    }

    fn select(&self, sql: &str) -> rusqlite::Result<Vec<Record>> {
        let mut query = self.connection.prepare(sql)?;
        let rows = query.query_map([], read_record)?;
        rows.collect()
    }

    /// A change to one row.
    fn change(&self, sql: &str, values: impl rusqlite::Params) -> Result<(), LedgerError> {
        match self.told(self.connection.execute(sql, values))? {
            0 | 1 => Ok(()),
            _ => Err(self.contradiction()),
        }
    }

    fn told<T>(&self, result: rusqlite::Result<T>) -> Result<T, LedgerError> {
        result.map_err(|error| schema::told(&self.path, error))
    }

    fn contradiction(&self) -> LedgerError {
        LedgerError::Damaged {
            path: self.path.clone(),
            what: "it contradicts itself".to_owned(),
        }
    }
}

/// Where deliveries stand that a ledger can take up.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place<'a> {
    /// The dataset of the whole.
    Dataset,
    /// That of a tenant.
    Tenant(&'a str),
}

impl Place<'_> {
    /// Its name, as the ledger has it.
    fn name(self) -> String {
        match self {
            Self::Dataset => "dataset".to_owned(),
            Self::Tenant(tenant) => format!("tenant={tenant}"),
        }
    }
}

/// The ledger's file in its state directory.
const FILE: &str = "ledger.sqlite";

/// How long to wait for somebody who reads the ledger with another program.
const PATIENCE: Duration = Duration::from_secs(5);
