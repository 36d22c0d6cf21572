//! The ledger: the state of every delivery, in SQLite, durable after every step.
//!
//! A delivery is identified by its agreement and the UUID of its transfer. The ledger holds states, sizes, digests,
//! times and counts, and no value of a person's record. [`State`] documents what each state guarantees. The order of
//! the states makes every later step safe to repeat after a power failure.
//!
//! One ledger serves one dataset, and one process at a time writes to both: see [`StateLock`](crate::fs::StateLock). If
//! two ledgers serve one dataset nevertheless, each adopts the deliveries that the other has published.
//!
//! | module | contents |
//! |---|---|
//! | `schema` | the tables; opening and checking the file |
//! | `record`, `deliveries` | the state of a delivery, and its changes |
//! | `tenant_record`, `tenant_deliveries` | the state of a delivery for a tenant, and its changes |
//! | `kept` | the extracts that the register keeps |
//! | `rewritings` | published deliveries that are made again because something was hidden or erased |
//! | `generations` | the newest generation of the current tables of each dataset |
//! | `tenant_memory` | where tenants' data is, which agreements they have seen, and what a person has to decide |
//! | `inbox` | visits to inboxes, and files that belong to no agreement |
//! | `adoption` | deliveries that are in a dataset and unknown to the ledger |

mod adoption;
mod deliveries;
mod error;
mod generations;
mod inbox;
mod kept;
mod record;
mod rewritings;
mod schema;
mod tenant_deliveries;
mod tenant_memory;
mod tenant_record;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use rusqlite::{Connection, Row, TransactionBehavior};

pub(crate) use adoption::AdoptedDataset;
pub use error::LedgerError;
pub use generations::Generation;
pub use kept::KeptExtract;
pub(crate) use kept::KeptFile;
pub(crate) use record::{BY_HAND, UNKNOWN_SIZE};
pub use record::{
    Counts, FindingCount, InboxVisit, NewDelivery, Reason, Record, State, UnclaimedFile,
};
pub(crate) use rewritings::{Rewriting, RewritingKind};
pub use tenant_memory::PolicyChange;
pub(crate) use tenant_record::LEAVERS_ONLY;
pub use tenant_record::{TenantCounts, TenantDelivery, TenantDeliveryState};

/// The name of the ledger's file in its state directory.
const FILE_NAME: &str = "ledger.sqlite";

/// An open ledger.
pub struct Ledger {
    connection: Connection,
    path: PathBuf,
}

impl Ledger {
    /// Opens the ledger of a state directory, and creates it if there is none.
    pub fn open(directory: &Path) -> Result<Self, LedgerError> {
        let path = directory.join(FILE_NAME);
        let connection = schema::open(&path)?;
        Ok(Self { connection, path })
    }

    /// Returns whether a state directory contains a ledger.
    pub(crate) fn is_in(directory: &Path) -> bool {
        directory.join(FILE_NAME).is_file()
    }

    /// Opens the ledger of a state directory for reading; `None` if there is no ledger.
    pub fn open_to_read(directory: &Path) -> Result<Option<Self>, LedgerError> {
        let path = directory.join(FILE_NAME);
        if !path.is_file() {
            return Ok(None);
        }
        let connection = schema::open_to_read(&path)?;
        Ok(Some(Self { connection, path }))
    }

    /// Checks the integrity of the whole file.
    pub fn check(&self) -> Result<(), LedgerError> {
        schema::check(&self.connection, &self.path)
    }

    /// Moves everything from the write-ahead log into the file and empties the log. Values that were replaced are in neither
    /// of them then, because removed values are overwritten.
    pub(crate) fn truncate_log(&self) -> Result<(), LedgerError> {
        let sql = "PRAGMA wal_checkpoint(TRUNCATE)";
        let is_busy = self
            .connection
            .query_row(sql, [], |row| row.get::<_, bool>(0));
        match self.checked(is_busy)? {
            false => Ok(()),
            true => Err(crate::fs::InUse {
                path: self.path.clone(),
                holder: None,
            }
            .into()),
        }
    }

    /// Writes a copy of the ledger as one file, with everything that is in the write-ahead log.
    pub(crate) fn copy_to(&self, path: &Path) -> Result<(), LedgerError> {
        let copied = self
            .connection
            .execute("VACUUM INTO ?1", [path.to_string_lossy()]);
        self.checked(copied.map(|_| ()))
    }

    /// Runs several changes as one transaction: all of them are written to the disk, or none.
    pub(crate) fn transaction<T, E: From<LedgerError>>(
        &mut self,
        act: impl FnOnce(&Self) -> Result<T, E>,
    ) -> Result<T, E> {
        self.checked(self.connection.execute_batch("BEGIN IMMEDIATE"))?;
        let done = act(self).and_then(|done| {
            self.checked(self.connection.execute_batch("COMMIT"))?;
            Ok(done)
        });
        if done.is_err() && !self.connection.is_autocommit() {
            // If the rollback fails, closing the connection rolls back.
            let _ = self.connection.execute_batch("ROLLBACK");
        }
        done
    }

    /// Runs statements as one transaction.
    ///
    /// Threads of one run write at the same time, so the write lock is taken before anything is read.
    fn immediate_transaction<T>(
        &mut self,
        act: impl FnOnce(&rusqlite::Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, LedgerError> {
        let done = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .and_then(|transaction| {
                let done = act(&transaction)?;
                transaction.commit()?;
                Ok(done)
            });
        self.checked(done)
    }

    /// Collects the rows of a query.
    fn rows<T, C: FromIterator<T>>(
        &self,
        sql: &str,
        values: impl rusqlite::Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<C, LedgerError> {
        let rows = self.connection.prepare(sql).and_then(|mut query| {
            let rows = query.query_map(values, read)?;
            rows.collect()
        });
        self.checked(rows)
    }

    /// Changes at most one row.
    fn change(&self, sql: &str, values: impl rusqlite::Params) -> Result<(), LedgerError> {
        match self.checked(self.connection.execute(sql, values))? {
            0 | 1 => Ok(()),
            _ => Err(self.contradiction()),
        }
    }

    /// Adds the path and the advice to an error of SQLite.
    fn checked<T>(&self, result: rusqlite::Result<T>) -> Result<T, LedgerError> {
        result.map_err(|error| schema::ledger_error(&self.path, error))
    }

    fn contradiction(&self) -> LedgerError {
        LedgerError::Damaged {
            path: self.path.clone(),
            what: "its contents contradict each other".to_owned(),
        }
    }
}
