//! The extracts that the register keeps.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, params};
use serde::Serialize;

use super::{Ledger, LedgerError, Record};
use crate::register::FileHeader;

/// A file of the register that is on the disk, before the ledger knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeptFile {
    /// The name of the file in the register's directory of its agreement.
    pub(crate) file: String,
    /// The size of the file in bytes.
    pub(crate) file_size: u64,
    /// The SHA-256 of the file, in hexadecimal.
    pub(crate) file_sha256: String,
    /// The size of the extract in bytes.
    pub(crate) size: u64,
}

impl KeptFile {
    /// Returns what a ledger stores of a file that is damaged: no size and digest, so that the extract counts as changed until
    /// the file is restored or a person accepts the loss. `size` is the size of the extract as it was delivered.
    pub(crate) fn damaged(file: String, size: u64) -> Self {
        Self {
            file,
            file_size: 0,
            file_sha256: String::new(),
            size,
        }
    }

    /// Returns whether the file was damaged when a ledger that was lost was made again.
    pub(crate) fn is_damaged(&self) -> bool {
        self.file_sha256.is_empty()
    }
}

/// An extract that the register keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeptExtract {
    /// The row ID.
    #[serde(skip)]
    pub id: i64,
    /// The name of the agreement.
    pub agreement: String,
    /// The row ID of the delivery.
    #[serde(skip)]
    pub delivery: i64,
    /// The sequence number of the delivery.
    pub sequence: u64,
    /// The day that orders the extracts, `YYYY-MM-DD`.
    pub production_date: String,
    /// The task number in record 000.
    pub task_number: Option<String>,
    /// The SHA-256 of the extract, in hexadecimal.
    pub sha256: String,
    /// The size of the extract in bytes.
    pub size: u64,
    /// The name of the file in the register's directory of its agreement.
    pub file: String,
    /// The size of the file in bytes.
    pub file_size: u64,
    /// The SHA-256 of the file, in hexadecimal.
    pub file_sha256: String,
    /// Whether the extract belongs to the unrestricted dataset too, and not to tenants alone.
    pub is_unrestricted: bool,
    /// The code of the finding that says that records may be missing.
    pub incomplete: Option<String>,
    /// The time at which it was kept.
    pub kept: Timestamp,
}

impl KeptExtract {
    /// Returns whether the extract was rewritten without records that newer extracts have replaced.
    pub(crate) fn is_rewritten(&self) -> bool {
        self.file.contains(".r")
    }

    /// Returns whether the file was damaged when a ledger that was lost was made again: see [`KeptFile::damaged`].
    pub(crate) fn was_damaged(&self) -> bool {
        self.file_sha256.is_empty()
    }
}

const COLUMNS: &str = "kept_extract.id, kept_extract.agreement, kept_extract.delivery, kept_extract.sequence,
    kept_extract.production_date, kept_extract.task_number, kept_extract.sha256, kept_extract.size, kept_extract.file,
    kept_extract.file_size, kept_extract.file_sha256, kept_extract.is_unrestricted, kept_extract.incomplete,
    kept_extract.kept";

impl Ledger {
    /// Records that the extract of a delivery is in the register, and assigns the delivery its sequence number, unless
    /// it has one. From this commit on, the delivery is applied.
    pub(crate) fn keep(
        &mut self,
        record: &Record,
        header: &FileHeader,
        kept: &KeptFile,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        self.immediate_transaction(|transaction| {
            transaction.execute(
                "UPDATE delivery SET register = 'kept',
                     sequence = coalesce(sequence, (SELECT number FROM next_number))
                 WHERE id = ?1",
                [record.id],
            )?;
            transaction.execute(
                "INSERT INTO kept_extract (agreement, delivery, sequence, production_date, task_number, sha256, size,
                     file, file_size, file_sha256, is_unrestricted, incomplete, kept)
                 SELECT agreement, id, sequence, ?2, task_number, sha256, ?3, ?4, ?5, ?6, ?7, ?8, ?9
                 FROM delivery WHERE id = ?1
                 ON CONFLICT (delivery) DO UPDATE SET
                     production_date = excluded.production_date, task_number = excluded.task_number,
                     sha256 = excluded.sha256, size = excluded.size, file = excluded.file,
                     file_size = excluded.file_size, file_sha256 = excluded.file_sha256,
                     is_unrestricted = excluded.is_unrestricted, incomplete = excluded.incomplete, kept = excluded.kept",
                params![
                    record.id,
                    header.production_date,
                    kept.size as i64,
                    kept.file,
                    kept.file_size as i64,
                    kept.file_sha256,
                    header.is_unrestricted,
                    header.incomplete,
                    now.to_string(),
                ],
            )?;
            Ok(())
        })
    }

    /// Adds a delivery that only the register knows, because the ledger is new and the delivery has no directory.
    pub(crate) fn adopt_kept(
        &mut self,
        agreement: &str,
        header: &FileHeader,
        kept: &KeptFile,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        self.checked(self.connection.execute(
            "INSERT INTO delivery (agreement, transfer_uuid, file_name, metadata_name, size, state, sha256, task_number,
                 production_date, sequence, records, persons, events, first_seen, fetched, published, updated)
             VALUES (?1, ?2, ?3, ?4, ?5, 'done', ?6, ?7, ?8,
                 (SELECT number FROM next_number), ?9, ?10, ?11, ?12, ?12, ?12, ?13)",
            params![
                agreement,
                header.name,
                header.file_name,
                header.metadata_name,
                header.size as i64,
                header.sha256,
                header.task_number,
                header.production_date,
                header.records[0] as i64,
                header.records[1] as i64,
                header.records[2] as i64,
                header.kept,
                now.to_string(),
            ],
        ))?;
        let record = self.find(agreement, &header.name)?;
        let record = record.ok_or_else(|| self.contradiction())?;
        self.keep(&record, header, kept, now)
    }

    /// Adds a delivery of which only a production date is known, because current tables were made from it. Its extract is
    /// missing in the register until a person accepts that.
    pub(crate) fn adopt_unseen(
        &self,
        agreement: &str,
        production_date: &str,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        self.change(
            "INSERT INTO delivery (agreement, transfer_uuid, file_name, metadata_name, size, state, production_date,
                 sequence, first_seen, published, updated)
             VALUES (?1, ?2, 'unknown', 'unknown', 0, 'done', ?3, (SELECT number FROM next_number), ?4, ?4, ?4)
             ON CONFLICT (agreement, transfer_uuid) DO NOTHING",
            params![agreement, format!("unknown-{production_date}"), production_date, now.to_string()],
        )
    }

    /// Replaces the file of a kept extract by one with fewer records, which is on the disk already.
    pub(crate) fn replace_kept(
        &self,
        id: i64,
        kept: &KeptFile,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        self.change(
            "UPDATE kept_extract SET file = ?2, file_size = ?3, file_sha256 = ?4, size = ?5, kept = ?6 WHERE id = ?1",
            params![
                id,
                kept.file,
                kept.file_size as i64,
                kept.file_sha256,
                kept.size as i64,
                now.to_string(),
            ],
        )
    }

    /// Records that a kept extract could not be rewritten, so that it is not tried again at once.
    pub(crate) fn postpone_compaction(&self, id: i64, now: Timestamp) -> Result<(), LedgerError> {
        self.change(
            "UPDATE kept_extract SET kept = ?2 WHERE id = ?1",
            params![id, now.to_string()],
        )
    }

    /// Records that the directory of a delivery is no longer kept in the unrestricted dataset.
    pub(crate) fn expire(&self, id: i64, now: Timestamp) -> Result<(), LedgerError> {
        self.change(
            "UPDATE delivery SET expired = ?2 WHERE id = ?1 AND expired IS NULL",
            params![id, now.to_string()],
        )
    }

    /// Records the same for the dataset of a tenant.
    pub(crate) fn expire_for_tenant(
        &self,
        delivery: i64,
        tenant: &str,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        self.change(
            "UPDATE tenant_delivery SET expired = ?3 WHERE delivery = ?1 AND tenant = ?2 AND expired IS NULL",
            params![delivery, tenant, now.to_string()],
        )
    }

    /// Forgets the kept extract of a delivery that is not applied after all. Its file is removed by the next clean-up.
    pub(crate) fn unkeep(&mut self, delivery: i64) -> Result<(), LedgerError> {
        self.immediate_transaction(|transaction| {
            transaction.execute("DELETE FROM kept_extract WHERE delivery = ?1", [delivery])?;
            transaction.execute(
                "UPDATE delivery SET register = NULL WHERE id = ?1",
                [delivery],
            )?;
            Ok(())
        })
    }

    /// Returns the kept extract of a delivery.
    pub(crate) fn kept_extract(&self, delivery: i64) -> Result<Option<KeptExtract>, LedgerError> {
        let sql = format!("SELECT {COLUMNS} FROM kept_extract WHERE delivery = ?1");
        let found = self.connection.query_row(&sql, [delivery], read_kept);
        self.checked(found.optional())
    }

    /// Returns every kept extract, applied or not, in the order in which they apply.
    pub fn kept_extracts(&self) -> Result<Vec<KeptExtract>, LedgerError> {
        let sql = format!("SELECT {COLUMNS} FROM kept_extract ORDER BY production_date, sequence");
        self.rows(&sql, [], read_kept)
    }

    /// Returns the kept extracts that are applied, in the order in which they apply: those of published deliveries.
    pub(crate) fn applied_extracts(&self) -> Result<Vec<KeptExtract>, LedgerError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM kept_extract JOIN delivery ON delivery.id = kept_extract.delivery
             WHERE delivery.state IN ('published', 'data-removed', 'done')
             ORDER BY kept_extract.production_date, kept_extract.sequence"
        );
        self.rows(&sql, [], read_kept)
    }

    /// Returns the published deliveries whose extracts the register never had, and that are not accepted as missing.
    pub(crate) fn missing_in_register(&self) -> Result<Vec<Record>, LedgerError> {
        let sql = format!(
            "SELECT {} FROM delivery
             WHERE register IS NULL AND state IN ('published', 'data-removed', 'done') ORDER BY sequence",
            super::record::RECORD_COLUMNS
        );
        self.rows(&sql, [], super::record::read_record)
    }

    /// Records that a person knows that the register lacks extracts, or records of extracts, of an agreement's older
    /// deliveries. Returns the number of deliveries.
    pub(crate) fn accept_missing_in_register(&self, agreement: &str) -> Result<u64, LedgerError> {
        let changed = self.connection.execute(
            "UPDATE delivery SET register = 'accepted'
             WHERE agreement = ?1 AND register IS NULL AND state IN ('published', 'data-removed', 'done')",
            [agreement],
        );
        let without_extract = self.checked(changed)?;
        let changed = self.connection.execute(
            "UPDATE kept_extract SET incomplete = NULL WHERE agreement = ?1 AND incomplete IS NOT NULL",
            [agreement],
        );
        Ok((without_extract + self.checked(changed)?) as u64)
    }
}

fn read_kept(row: &Row<'_>) -> rusqlite::Result<KeptExtract> {
    let count = |column: usize| row.get::<_, i64>(column).map(i64::cast_unsigned);
    Ok(KeptExtract {
        id: row.get(0)?,
        agreement: row.get(1)?,
        delivery: row.get(2)?,
        sequence: count(3)?,
        production_date: row.get(4)?,
        task_number: row.get(5)?,
        sha256: row.get(6)?,
        size: count(7)?,
        file: row.get(8)?,
        file_size: count(9)?,
        file_sha256: row.get(10)?,
        is_unrestricted: row.get(11)?,
        incomplete: row.get(12)?,
        kept: super::record::time(row, 13)?,
    })
}
