//! Published deliveries that are made again, or removed, because something in them was hidden or erased.
//!
//! A rewriting has a number in the order of the sequence numbers of its dataset, so that readers of the change feed notice
//! it. It gets the number when it is complete. Its row is written before the directory changes, and completed after. So a run that was killed in between is
//! continued by the next one.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, params};

use super::record::time;
use super::{Ledger, LedgerError, Reason, TenantCounts};

/// What stands for the unrestricted dataset in the table.
const UNRESTRICTED: &str = "";

/// Why a published delivery is made again or removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RewritingKind {
    /// Something in it is hidden from the tenant now.
    Rewritten,
    /// Persons in it were erased.
    Erased,
}

impl RewritingKind {
    /// Returns the name in the ledger. It is the reason code of a delivery that was removed, too.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Rewritten => "rewritten",
            Self::Erased => "erased",
        }
    }
}

/// A delivery that was or is made again, or removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rewriting {
    /// The number in the order of the dataset's sequence numbers.
    pub(crate) number: u64,
    /// The row ID of the delivery.
    pub(crate) delivery: i64,
    pub(crate) kind: RewritingKind,
    /// Whether the directory has changed.
    pub(crate) is_done: bool,
    pub(crate) at: Timestamp,
}

impl Ledger {
    /// Returns the rewritings of the unrestricted dataset, or of a tenant's, in the order of their numbers.
    pub(crate) fn rewritings(&self, tenant: Option<&str>) -> Result<Vec<Rewriting>, LedgerError> {
        let sql = "SELECT number, delivery, kind, done, at FROM rewriting WHERE tenant = ?1 ORDER BY number";
        self.rows(sql, [tenant.unwrap_or(UNRESTRICTED)], read)
    }

    /// Returns how often a delivery was made again.
    pub(crate) fn times_rewritten(
        &self,
        delivery: i64,
        tenant: Option<&str>,
    ) -> Result<u64, LedgerError> {
        let sql = "SELECT count(*) FROM rewriting WHERE delivery = ?1 AND tenant = ?2 AND done";
        let values = params![delivery, tenant.unwrap_or(UNRESTRICTED)];
        let count = self
            .connection
            .query_row(sql, values, |row| row.get::<_, i64>(0));
        Ok(self.checked(count)?.cast_unsigned())
    }

    /// Records that the directory of a delivery is about to change. A rewriting that is not complete yet stays; an erasure
    /// counts more than the other kind.
    pub(crate) fn begin_rewriting(
        &self,
        delivery: i64,
        tenant: Option<&str>,
        kind: RewritingKind,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        let tenant = tenant.unwrap_or(UNRESTRICTED);
        let sql = "SELECT number FROM rewriting WHERE delivery = ?1 AND tenant = ?2 AND NOT done";
        let open = self
            .connection
            .query_row(sql, params![delivery, tenant], |row| row.get::<_, i64>(0));
        let Some(open) = self.checked(open.optional())? else {
            return self.change(
                "INSERT INTO rewriting (tenant, number, delivery, kind, done, at) VALUES (?1,
                     CASE ?1 WHEN '' THEN (SELECT number FROM next_number)
                             ELSE (SELECT coalesce(max(number), 0) + 1 FROM tenant_number WHERE tenant = ?1) END,
                     ?2, ?3, 0, ?4)",
                params![tenant, delivery, kind.name(), now.to_string()],
            );
        };
        match kind {
            RewritingKind::Rewritten => Ok(()),
            RewritingKind::Erased => self.change(
                "UPDATE rewriting SET kind = ?3 WHERE tenant = ?1 AND number = ?2",
                params![tenant, open, kind.name()],
            ),
        }
    }

    /// Records that the directory of a delivery in the unrestricted dataset was made again.
    pub(crate) fn rewritten(&mut self, delivery: i64, now: Timestamp) -> Result<(), LedgerError> {
        self.transaction(|ledger| ledger.finish_rewriting(delivery, UNRESTRICTED, now))
    }

    /// Records that the directory of a tenant's delivery is as it must be now. `hidden` is the version of the list of
    /// protected persons with which it was compared; without `counts`, the directory did not change.
    pub(crate) fn compared_for_tenant(
        &mut self,
        delivery: i64,
        tenant: &str,
        hidden: u64,
        counts: Option<&TenantCounts>,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        self.transaction(|ledger| {
            ledger.change(
                "UPDATE tenant_delivery SET hidden = ?3 WHERE delivery = ?1 AND tenant = ?2",
                params![delivery, tenant, hidden.cast_signed()],
            )?;
            let Some(counts) = counts else {
                return Ok(());
            };
            ledger.change(
                "UPDATE tenant_delivery SET policy = ?3, persons = ?4, entered = ?5, departed = ?6, rows = ?7,
                     updated = ?8 WHERE delivery = ?1 AND tenant = ?2",
                params![
                    delivery,
                    tenant,
                    counts.policy,
                    counts.persons.cast_signed(),
                    counts.entered.cast_signed(),
                    counts.left.cast_signed(),
                    counts.rows.cast_signed(),
                    now.to_string(),
                ],
            )?;
            ledger.finish_rewriting(delivery, tenant, now)
        })
    }

    /// Records that these deliveries of a tenant have nothing that a version of the list of protected persons hides.
    pub(crate) fn compared_with_hidden(
        &mut self,
        tenant: &str,
        deliveries: &[i64],
        hidden: u64,
    ) -> Result<(), LedgerError> {
        if deliveries.is_empty() {
            return Ok(());
        }
        self.transaction(|ledger| {
            deliveries.iter().try_for_each(|delivery| {
                ledger.change(
                    "UPDATE tenant_delivery SET hidden = ?3 WHERE delivery = ?1 AND tenant = ?2",
                    params![delivery, tenant, hidden.cast_signed()],
                )
            })
        })
    }

    /// Records that the directory of a delivery is removed, because it could not be made again, and why.
    pub(crate) fn removed_for_good(
        &mut self,
        delivery: i64,
        tenant: Option<&str>,
        reason: &Reason,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        self.transaction(|ledger| {
            let (code, message, now_text) = (&reason.code, &reason.message, now.to_string());
            match tenant {
                None => ledger.change(
                    "UPDATE delivery SET expired = coalesce(expired, ?2), reason_code = ?3, reason = ?4, updated = ?2
                     WHERE id = ?1",
                    params![delivery, now_text, code, message],
                )?,
                Some(tenant) => ledger.change(
                    "UPDATE tenant_delivery SET expired = coalesce(expired, ?3), reason_code = ?4, reason = ?5,
                         updated = ?3 WHERE delivery = ?1 AND tenant = ?2",
                    params![delivery, tenant, now_text, code, message],
                )?,
            }
            ledger.finish_rewriting(delivery, tenant.unwrap_or(UNRESTRICTED), now)
        })
    }

    /// Returns the digest of the list of erased persons that was applied to the kept extracts, and the number of its lines;
    /// `None` if none was.
    pub(crate) fn erasures_applied(&self) -> Result<Option<String>, LedgerError> {
        let found = self
            .connection
            .query_row("SELECT list FROM erasures_applied", [], |row| row.get(0));
        self.checked(found.optional())
    }

    /// Records that a list of erased persons was applied to the kept extracts.
    pub(crate) fn set_erasures_applied(&self, list: &str) -> Result<(), LedgerError> {
        self.change(
            "INSERT INTO erasures_applied (id, list) VALUES (1, ?1)
             ON CONFLICT (id) DO UPDATE SET list = excluded.list",
            [list],
        )
    }

    /// Forgets which list of erased persons was applied, because the list is lost and a new one begins.
    pub(crate) fn forget_erasures_applied(&self) -> Result<(), LedgerError> {
        self.change("DELETE FROM erasures_applied", [])
    }

    /// Forgets the kept extract of a delivery that is erased. The register does not lack it.
    pub(crate) fn forget_extract(&mut self, delivery: i64) -> Result<(), LedgerError> {
        self.transaction(|ledger| {
            ledger.change("DELETE FROM kept_extract WHERE delivery = ?1", [delivery])?;
            ledger.change(
                "UPDATE delivery SET register = 'accepted' WHERE id = ?1",
                [delivery],
            )
        })
    }

    fn finish_rewriting(
        &self,
        delivery: i64,
        tenant: &str,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        // It becomes visible now, so its number must be greater than those that readers have seen meanwhile.
        self.change(
            "UPDATE rewriting SET done = 1, at = ?3, number = (
                 SELECT CASE WHEN next.number = rewriting.number + 1 THEN rewriting.number ELSE next.number END
                 FROM (SELECT CASE ?2 WHEN '' THEN (SELECT number FROM next_number)
                                      ELSE (SELECT coalesce(max(number), 0) + 1 FROM tenant_number WHERE tenant = ?2) END
                           AS number) AS next)
             WHERE delivery = ?1 AND tenant = ?2 AND NOT done",
            params![delivery, tenant, now.to_string()],
        )
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<Rewriting> {
    let kind: String = row.get(2)?;
    Ok(Rewriting {
        number: row.get::<_, i64>(0)?.cast_unsigned(),
        delivery: row.get(1)?,
        kind: match kind == RewritingKind::Erased.name() {
            true => RewritingKind::Erased,
            false => RewritingKind::Rewritten,
        },
        is_done: row.get(3)?,
        at: time(row, 4)?,
    })
}
