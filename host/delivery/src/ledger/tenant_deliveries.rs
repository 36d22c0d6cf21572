//! Queries and state changes of the deliveries of tenants.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, params};

use super::tenant_record::{SELECT, read_tenant_delivery};
use super::{Ledger, LedgerError, Reason, TenantCounts, TenantDelivery};

impl Ledger {
    /// Returns the deliveries of all tenants, in the order of publication and by tenant.
    pub fn tenant_deliveries(&self) -> Result<Vec<TenantDelivery>, LedgerError> {
        let sql =
            format!("{SELECT} ORDER BY delivery.sequence, delivery.id, tenant_delivery.tenant");
        self.rows(&sql, [], read_tenant_delivery)
    }

    /// Returns a delivery as a tenant gets it; `None` if it is not for the tenant.
    pub fn tenant_delivery(
        &self,
        delivery: i64,
        tenant: &str,
    ) -> Result<Option<TenantDelivery>, LedgerError> {
        let sql =
            format!("{SELECT} WHERE tenant_delivery.delivery = ?1 AND tenant_delivery.tenant = ?2");
        let found =
            self.connection
                .query_row(&sql, params![delivery, tenant], read_tenant_delivery);
        self.checked(found.optional())
    }

    /// Returns whether a tenant still needs the extract of a delivery.
    pub fn is_needed(&self, delivery: i64) -> Result<bool, LedgerError> {
        self.checked(self.connection.query_row(
            "SELECT EXISTS (SELECT 1 FROM tenant_delivery
                            WHERE delivery = ?1 AND state NOT IN ('published', 'set-aside'))",
            [delivery],
            |row| row.get(0),
        ))
    }

    /// Assigns a delivery to these tenants. An existing assignment stays unchanged.
    pub fn assign_to_tenants(
        &mut self,
        delivery: i64,
        tenants: &[&str],
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        self.transaction(|ledger| ledger.add_tenant_deliveries(delivery, tenants, now))
    }

    /// Assigns a delivery to these tenants as part of a transaction of the caller.
    pub(crate) fn add_tenant_deliveries(
        &self,
        delivery: i64,
        tenants: &[&str],
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        for tenant in tenants {
            self.change(
                "INSERT INTO tenant_delivery (delivery, tenant, state, updated) VALUES (?1, ?2, 'waiting', ?3)
                 ON CONFLICT DO NOTHING",
                params![delivery, tenant, now.to_string()],
            )?;
        }
        Ok(())
    }

    /// Assigns a tenant's delivery the next sequence number of the tenant's dataset, unless it has one, and the
    /// directory for that number.
    pub fn tenant_publishing(
        &mut self,
        delivery: i64,
        tenant: &str,
        directory: impl FnOnce(u64) -> String,
        now: Timestamp,
    ) -> Result<(u64, String), LedgerError> {
        self.immediate_transaction(|transaction| {
            let sequence: i64 = transaction.query_row(
                "SELECT coalesce((SELECT sequence FROM tenant_delivery WHERE delivery = ?1 AND tenant = ?2),
                                 (SELECT coalesce(max(number), 0) + 1 FROM tenant_number WHERE tenant = ?2))",
                params![delivery, tenant],
                |row| row.get(0),
            )?;
            let name = directory(sequence as u64);
            transaction.execute(
                "UPDATE tenant_delivery SET state = 'publishing', sequence = ?3, directory = ?4, updated = ?5
                 WHERE delivery = ?1 AND tenant = ?2",
                params![delivery, tenant, sequence, name, now.to_string()],
            )?;
            Ok((sequence as u64, name))
        })
    }

    /// Records that the tenant's dataset contains the delivery and the state directory contains the new roster.
    pub fn tenant_published(
        &self,
        delivery: i64,
        tenant: &str,
        counts: &TenantCounts,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        self.change(
            "UPDATE tenant_delivery SET state = 'published', reason_code = NULL, reason = NULL, policy = ?3, hidden = 0,
                 persons = ?4, entered = ?5, departed = ?6, rows = ?7, published = coalesce(published, ?8), updated = ?8
             WHERE delivery = ?1 AND tenant = ?2",
            params![
                delivery,
                tenant,
                counts.policy,
                counts.persons as i64,
                counts.entered as i64,
                counts.left as i64,
                counts.rows as i64,
                now.to_string(),
            ],
        )
    }

    /// Records a failed attempt to publish a delivery to a tenant. The next run tries again.
    pub fn tenant_failed(
        &self,
        delivery: i64,
        tenant: &str,
        reason: &Reason,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        self.change(
            "UPDATE tenant_delivery SET reason_code = ?3, reason = ?4, attempts = attempts + 1, updated = ?5
             WHERE delivery = ?1 AND tenant = ?2 AND state IN ('waiting', 'publishing')",
            params![
                delivery,
                tenant,
                reason.code,
                reason.message,
                now.to_string()
            ],
        )
    }

    /// Records that a person decided not to give a delivery to a tenant. A published delivery stays published.
    pub fn set_aside_for_tenant(
        &self,
        delivery: i64,
        tenant: &str,
        reason: &Reason,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        self.change(
            "UPDATE tenant_delivery SET state = 'set-aside', reason_code = ?3, reason = ?4, sequence = NULL,
                 directory = NULL, updated = ?5
             WHERE delivery = ?1 AND tenant = ?2 AND state <> 'published'",
            params![delivery, tenant, reason.code, reason.message, now.to_string()],
        )
    }

    /// Records what a person decided about a delivery that is published to a tenant.
    pub(crate) fn remark_on_tenant_delivery(
        &self,
        delivery: i64,
        tenant: &str,
        reason: &Reason,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        self.change(
            "UPDATE tenant_delivery SET reason_code = ?3, reason = ?4, updated = ?5
             WHERE delivery = ?1 AND tenant = ?2 AND state = 'published'",
            params![
                delivery,
                tenant,
                reason.code,
                reason.message,
                now.to_string()
            ],
        )
    }

    /// Records that a person retries a delivery for a tenant.
    ///
    /// The delivery was set aside for the tenant, or was published before the tenant was configured.
    pub fn retry_for_tenant(
        &self,
        delivery: i64,
        tenant: &str,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        self.change(
            "INSERT INTO tenant_delivery (delivery, tenant, state, updated) VALUES (?1, ?2, 'waiting', ?3)
             ON CONFLICT DO UPDATE SET state = 'waiting', reason_code = NULL, reason = NULL, updated = ?3
             WHERE state = 'set-aside'",
            params![delivery, tenant, now.to_string()],
        )
    }

    /// Returns the sequence number of the delivery that produced the current roster of a tenant for an agreement.
    pub fn newest_tenant_sequence(
        &self,
        tenant: &str,
        agreement: &str,
    ) -> Result<Option<u64>, LedgerError> {
        let number: Option<i64> = self.checked(self.connection.query_row(
            "SELECT max(tenant_delivery.sequence) FROM tenant_delivery
             JOIN delivery ON delivery.id = tenant_delivery.delivery
             WHERE tenant_delivery.tenant = ?1 AND delivery.agreement = ?2 AND tenant_delivery.state = 'published'",
            params![tenant, agreement],
            |row| row.get(0),
        ))?;
        Ok(number.map(|number| number as u64))
    }

    /// Returns the sequence numbers of a tenant's published deliveries of an agreement that are applied after the
    /// delivery in this directory.
    pub fn later_tenant_sequences(
        &self,
        tenant: &str,
        agreement: &str,
        directory: &str,
    ) -> Result<Vec<u64>, LedgerError> {
        let sql = "SELECT tenant_delivery.sequence FROM tenant_delivery
                   JOIN delivery ON delivery.id = tenant_delivery.delivery
                   WHERE tenant_delivery.tenant = ?1 AND delivery.agreement = ?2
                       AND tenant_delivery.state = 'published' AND tenant_delivery.directory > ?3
                   ORDER BY tenant_delivery.directory";
        let number = |row: &Row<'_>| row.get::<_, i64>(0).map(i64::cast_unsigned);
        self.rows(sql, [tenant, agreement, directory], number)
    }
}
