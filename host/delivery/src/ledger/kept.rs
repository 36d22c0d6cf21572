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

/// An extract that the register keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeptExtract {
    /// The row ID.
    #[serde(skip)]
    pub id: i64,
    /// The name of the agreement.
    pub agreement: String,
    /// The row ID of the delivery; `None` for a base, which was made from older extracts.
    #[serde(skip)]
    pub delivery: Option<i64>,
    /// The sequence number of the delivery; of a base, the highest of its extracts.
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
                     sequence = coalesce(sequence, (SELECT coalesce(max(sequence), 0) + 1 FROM delivery))
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

    /// Records a base that a lost ledger knew, and that the deliveries up to its day are in it.
    pub(crate) fn keep_base(
        &mut self,
        agreement: &str,
        header: &FileHeader,
        kept: &KeptFile,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        self.immediate_transaction(|transaction| {
            transaction.execute(
                "INSERT INTO kept_extract (agreement, sequence, production_date, task_number, sha256, size, file,
                     file_size, file_sha256, is_unrestricted, incomplete, kept)
                 SELECT ?1, coalesce(max(sequence), 0), ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11 FROM delivery
                 WHERE agreement = ?1 AND coalesce(operator_production_date, production_date) <= ?2
                 ON CONFLICT (agreement, file) DO NOTHING",
                params![
                    agreement,
                    header.production_date,
                    header.task_number,
                    header.sha256,
                    kept.size as i64,
                    kept.file,
                    kept.file_size as i64,
                    kept.file_sha256,
                    header.is_unrestricted,
                    header.incomplete,
                    now.to_string(),
                ],
            )?;
            transaction.execute(
                "UPDATE delivery SET register = 'compacted'
                 WHERE agreement = ?1 AND register IS NULL AND state IN ('published', 'data-removed', 'done')
                     AND coalesce(operator_production_date, production_date) <= ?2
                     AND id NOT IN (SELECT delivery FROM kept_extract WHERE delivery IS NOT NULL)",
                params![agreement, header.production_date],
            )?;
            Ok(())
        })
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
        let sql = format!(
            "SELECT {COLUMNS} FROM kept_extract ORDER BY production_date, sequence, delivery IS NOT NULL"
        );
        self.rows(&sql, [], read_kept)
    }

    /// Returns the kept extracts that are applied, in the order in which they apply: bases, and extracts of deliveries
    /// that are published.
    pub(crate) fn applied_extracts(&self) -> Result<Vec<KeptExtract>, LedgerError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM kept_extract LEFT JOIN delivery ON delivery.id = kept_extract.delivery
             WHERE kept_extract.delivery IS NULL OR delivery.state IN ('published', 'data-removed', 'done')
             ORDER BY kept_extract.production_date, kept_extract.sequence, kept_extract.delivery IS NOT NULL"
        );
        self.rows(&sql, [], read_kept)
    }

    /// Returns the published deliveries whose extracts the register never had, and that nobody has accepted as missing.
    pub(crate) fn missing_in_register(&self) -> Result<Vec<Record>, LedgerError> {
        let sql = format!(
            "SELECT {} FROM delivery
             WHERE register IS NULL AND state IN ('published', 'data-removed', 'done') ORDER BY sequence",
            super::record::RECORD_COLUMNS
        );
        self.rows(&sql, [], super::record::read_record)
    }

    /// Records that a person knows that the register lacks the extracts of an agreement's older deliveries. Returns
    /// their number.
    pub(crate) fn accept_missing_in_register(&self, agreement: &str) -> Result<u64, LedgerError> {
        let changed = self.connection.execute(
            "UPDATE delivery SET register = 'accepted'
             WHERE agreement = ?1 AND register IS NULL AND state IN ('published', 'data-removed', 'done')",
            [agreement],
        );
        Ok(self.checked(changed)? as u64)
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
