//! Visits to inboxes, and the files in them that belong to no agreement.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};

use super::record::{read_inbox_visit, read_unclaimed_file};
use super::{InboxVisit, Ledger, LedgerError, Reason, UnclaimedFile};

impl Ledger {
    /// Records a file in an inbox that belongs to no agreement, or that cannot be processed.
    pub fn record_unclaimed_file(
        &self,
        inbox: &str,
        name: &str,
        size: Option<u64>,
        reason: &Reason,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        self.change(
            "INSERT INTO unclaimed_file (inbox, name, size, reason_code, reason, first_seen, last_seen)
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

    /// Deletes the unclaimed files of an inbox that were not seen at this time, because they are gone.
    pub fn remove_unseen_files(&self, inbox: &str, seen: Timestamp) -> Result<(), LedgerError> {
        self.checked(self.connection.execute(
            "DELETE FROM unclaimed_file WHERE inbox = ?1 AND last_seen <> ?2",
            params![inbox, seen.to_string()],
        ))?;
        Ok(())
    }

    /// Returns the unclaimed files of all inboxes, ordered by inbox and name.
    pub fn unclaimed_files(&self) -> Result<Vec<UnclaimedFile>, LedgerError> {
        let sql = "SELECT inbox, name, size, reason_code, reason, first_seen FROM unclaimed_file
                   ORDER BY inbox, name";
        self.rows(sql, [], read_unclaimed_file)
    }

    /// Records a visit to the inbox of an agreement, and the error if it failed.
    pub fn visited(
        &self,
        agreement: &str,
        error: Option<&str>,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        let now = now.to_string();
        self.change(
            "INSERT INTO inbox_visit (agreement, first, last, last_good, error)
             VALUES (?1, ?2, ?2, CASE WHEN ?3 IS NULL THEN ?2 END, ?3)
             ON CONFLICT (agreement) DO UPDATE SET
                 last = excluded.last, last_good = coalesce(excluded.last_good, last_good), error = excluded.error",
            params![agreement, now, error],
        )
    }

    /// Returns the visits to the inbox of an agreement; `None` if it was never visited.
    pub fn visit(&self, agreement: &str) -> Result<Option<InboxVisit>, LedgerError> {
        let found = self.connection.query_row(
            "SELECT first, last, last_good, error FROM inbox_visit WHERE agreement = ?1",
            [agreement],
            read_inbox_visit,
        );
        self.checked(found.optional())
    }
}
