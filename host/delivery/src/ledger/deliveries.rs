//! Queries and state changes of deliveries.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};

use cprflow_transport::redacted_name;

use super::record::{RECORD_COLUMNS, read_record, routing_text};
use super::{Counts, Ledger, LedgerError, NewDelivery, Reason, Record, State};

impl Ledger {
    /// Returns the delivery of an agreement with this transfer UUID.
    pub fn find(&self, agreement: &str, transfer: &str) -> Result<Option<Record>, LedgerError> {
        let sql = format!(
            "SELECT {RECORD_COLUMNS} FROM delivery WHERE agreement = ?1 AND transfer_uuid = ?2"
        );
        let found = self
            .connection
            .query_row(&sql, params![agreement, transfer], read_record);
        self.checked(found.optional())
    }

    /// Returns the delivery with this row ID.
    pub(crate) fn delivery(&self, id: i64) -> Result<Option<Record>, LedgerError> {
        let sql = format!("SELECT {RECORD_COLUMNS} FROM delivery WHERE id = ?1");
        let found = self.connection.query_row(&sql, [id], read_record);
        self.checked(found.optional())
    }

    /// Returns all deliveries, in the order in which they were first seen.
    pub fn all(&self) -> Result<Vec<Record>, LedgerError> {
        let sql = format!("SELECT {RECORD_COLUMNS} FROM delivery ORDER BY id");
        self.rows(&sql, [], read_record)
    }

    /// Returns the deliveries that are neither done nor set aside, in the order in which they were first seen.
    pub fn under_way(&self) -> Result<Vec<Record>, LedgerError> {
        let sql = format!(
            "SELECT {RECORD_COLUMNS} FROM delivery WHERE state NOT IN ('done', 'set-aside') ORDER BY id"
        );
        self.rows(&sql, [], read_record)
    }

    /// Returns a published delivery of an agreement with the same extract as this one, if there is another.
    ///
    /// `keyed_digest` is the extract's digest with the key of the state directory: a ledger that was made again from the
    /// datasets of tenants knows no other.
    pub(crate) fn published_with_content(
        &self,
        record: &Record,
        keyed_digest: &str,
    ) -> Result<Option<Record>, LedgerError> {
        let sql = format!(
            "SELECT {RECORD_COLUMNS} FROM delivery
             WHERE agreement = ?1 AND sha256 IN (?2, ?4) AND id <> ?3
                 AND state IN ('publishing', 'published', 'data-removed', 'done')
             ORDER BY id LIMIT 1"
        );
        let found = self.connection.query_row(
            &sql,
            params![
                record.agreement,
                record.counts.sha256,
                record.id,
                keyed_digest
            ],
            read_record,
        );
        self.checked(found.optional())
    }

    /// Returns the latest production date among the published deliveries of an agreement and a task number.
    pub fn newest_published(
        &self,
        agreement: &str,
        task_number: &str,
    ) -> Result<Option<String>, LedgerError> {
        self.checked(self.connection.query_row(
            "SELECT max(coalesce(operator_production_date, production_date)) FROM delivery
             WHERE agreement = ?1 AND task_number = ?2 AND state IN ('published', 'data-removed', 'done')",
            params![agreement, task_number],
            |row| row.get(0),
        ))
    }

    /// Records a delivery that is about to be fetched. A known, unpublished delivery keeps its history and gets these
    /// facts.
    pub fn begin(&self, new: &NewDelivery, now: Timestamp) -> Result<Record, LedgerError> {
        let done = self.connection.execute(
            "INSERT INTO delivery (agreement, transfer_uuid, file_name, metadata_name, size, modified, sender,
                                   routing, state, first_seen, updated)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?9, 'fetching', ?8, ?8)
             ON CONFLICT (agreement, transfer_uuid) DO UPDATE SET
                 file_name = excluded.file_name, metadata_name = excluded.metadata_name,
                 size = excluded.size, modified = excluded.modified, sender = excluded.sender,
                 routing = excluded.routing, state = 'fetching', reason_code = NULL, reason = NULL, updated = excluded.updated
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
                routing_text(new.routing.as_ref()),
            ],
        );
        self.checked(done)?;
        let found = self.find(&new.agreement, &new.transfer_uuid)?;
        found.ok_or_else(|| self.contradiction())
    }

    /// Records that the extract is complete in the spool, with the counts of its contents.
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

    /// Assigns a delivery the next sequence number of the dataset, unless it has one, and the directory for that number.
    pub fn publishing(
        &mut self,
        id: i64,
        directory: impl FnOnce(u64) -> String,
        now: Timestamp,
    ) -> Result<(u64, String), LedgerError> {
        self.immediate_transaction(|transaction| {
            let sequence: i64 = transaction.query_row(
                "SELECT coalesce((SELECT sequence FROM delivery WHERE id = ?1),
                                 (SELECT number FROM next_number))",
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

    /// Records that the dataset contains the delivery under its directory name.
    pub fn published(&self, id: i64, now: Timestamp) -> Result<(), LedgerError> {
        self.change(
            "UPDATE delivery SET state = 'published', published = coalesce(published, ?2), updated = ?2 WHERE id = ?1",
            params![id, now.to_string()],
        )
    }

    /// Records that the tenants get a delivery that is in no unrestricted dataset, and assigns it the next sequence
    /// number, unless it has one.
    pub fn published_to_tenants_only(&self, id: i64, now: Timestamp) -> Result<(), LedgerError> {
        self.change(
            "UPDATE delivery SET state = 'published', directory = NULL,
                 sequence = coalesce(sequence, (SELECT number FROM next_number)),
                 published = coalesce(published, ?2), updated = ?2 WHERE id = ?1",
            params![id, now.to_string()],
        )
    }

    /// Records that a person knows that a published delivery is gone from the dataset.
    pub(crate) fn delivery_gone(
        &self,
        id: i64,
        reason: &Reason,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        self.change(
            "UPDATE delivery SET reason_code = ?2, reason = ?3, updated = ?4
             WHERE id = ?1 AND state IN ('published', 'data-removed', 'done')",
            params![id, reason.code, reason.message, now.to_string()],
        )
    }

    /// Records how many of the delivery's files are deleted on the server: a state after [`State::Published`].
    pub fn removed(&self, id: i64, state: State, now: Timestamp) -> Result<(), LedgerError> {
        if state == State::Done {
            self.redact_names(id)?;
        }
        self.change(
            "UPDATE delivery SET state = ?2, updated = ?3 WHERE id = ?1",
            params![id, state.name(), now.to_string()],
        )
    }

    /// Records that the server has the files of a published delivery again, or still, and under which names: the state
    /// [`State::Published`].
    pub(crate) fn back_on_server(
        &self,
        id: i64,
        facts: &NewDelivery,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        self.change(
            "UPDATE delivery SET state = 'published', file_name = ?2, metadata_name = ?3, size = ?4, modified = ?5,
                 updated = ?6
             WHERE id = ?1 AND state IN ('published', 'data-removed', 'done')",
            params![
                id,
                facts.file_name,
                facts.metadata_name,
                facts.size as i64,
                facts.modified.map(|time| time as i64),
                now.to_string(),
            ],
        )
    }

    /// Redacts possible person numbers in the names of the delivery's files, because the server is no longer asked for
    /// them by name.
    pub(crate) fn redact_names(&self, id: i64) -> Result<(), LedgerError> {
        let Some(record) = self.delivery(id)? else {
            return Ok(());
        };
        self.change(
            "UPDATE delivery SET file_name = ?2, metadata_name = ?3
             WHERE id = ?1 AND (file_name <> ?2 OR metadata_name <> ?3)",
            params![
                id,
                record.redacted_file_name(),
                redacted_name(&record.metadata_name)
            ],
        )
    }

    /// Sets a delivery aside until a person decides about it.
    pub fn set_aside(&self, id: i64, reason: &Reason, now: Timestamp) -> Result<(), LedgerError> {
        self.change(
            "UPDATE delivery SET state = 'set-aside', reason_code = ?2, reason = ?3, updated = ?4 WHERE id = ?1",
            params![id, reason.code, reason.message, now.to_string()],
        )
    }

    /// Records that a person retries a delivery and accepts these findings and reasons. `as_of` is the day for an extract
    /// without a usable production date, `YYYY-MM-DD`.
    pub fn release(
        &self,
        id: i64,
        accepted: &[String],
        as_of: Option<&str>,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        let accepted = serde_json::to_string(accepted).unwrap_or_default();
        self.change(
            "UPDATE delivery SET state = 'fetching', accepted = ?2,
                 operator_production_date = coalesce(?3, operator_production_date),
                 reason_code = NULL, reason = NULL, updated = ?4 WHERE id = ?1",
            params![id, accepted, as_of, now.to_string()],
        )
    }

    /// Returns the agreements of which the ledger has deliveries.
    pub(crate) fn delivered_agreements(&self) -> Result<Vec<String>, LedgerError> {
        let sql = "SELECT DISTINCT agreement FROM delivery ORDER BY agreement";
        self.rows(sql, [], |row| row.get(0))
    }

    /// Gives the deliveries and visits of an agreement another name, in one transaction. Returns the number of
    /// deliveries.
    pub(crate) fn rename_agreement(mut self, old: &str, new: &str) -> Result<u64, LedgerError> {
        self.immediate_transaction(|transaction| {
            transaction.execute("DELETE FROM inbox_visit WHERE agreement = ?1", [new])?;
            transaction.execute(
                "UPDATE inbox_visit SET agreement = ?2 WHERE agreement = ?1",
                [old, new],
            )?;
            transaction.execute(
                "UPDATE kept_extract SET agreement = ?2 WHERE agreement = ?1",
                [old, new],
            )?;
            transaction.execute(
                "UPDATE OR IGNORE tenant_agreement SET agreement = ?2 WHERE agreement = ?1",
                [old, new],
            )?;
            let renamed = transaction.execute(
                "UPDATE delivery SET agreement = ?2 WHERE agreement = ?1",
                [old, new],
            )?;
            Ok(renamed as u64)
        })
    }
}
