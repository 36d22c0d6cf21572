//! Adoption of deliveries that a dataset contains and the ledger does not know, for example from another ledger.

use std::collections::BTreeSet;

use jiff::Timestamp;
use rusqlite::{Row, params};

use super::record::routing_text;
use super::{Ledger, LedgerError, Record, TenantCounts};

/// A dataset whose deliveries a ledger can adopt.
#[derive(Debug, Clone, Copy)]
pub(crate) enum AdoptedDataset<'a> {
    /// The dataset with the unrestricted data.
    Dataset,
    /// The dataset of the tenant with this name.
    Tenant(&'a str),
}

impl<'a> AdoptedDataset<'a> {
    /// Returns the name of the tenant; `None` for the unrestricted dataset.
    pub(crate) fn tenant(self) -> Option<&'a str> {
        match self {
            Self::Dataset => None,
            Self::Tenant(tenant) => Some(tenant),
        }
    }

    /// Returns the name in the table `adopted`.
    pub(super) fn name(self) -> String {
        match self {
            Self::Dataset => "dataset".to_owned(),
            Self::Tenant(tenant) => format!("tenant={tenant}"),
        }
    }
}

impl Ledger {
    /// Returns whether the ledger has adopted the deliveries that a dataset contained when the ledger first used it.
    pub(crate) fn has_adopted(&self, place: AdoptedDataset<'_>) -> Result<bool, LedgerError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM adopted WHERE dataset = ?1)";
        let found = self
            .connection
            .query_row(sql, [place.name()], |row| row.get(0));
        self.checked(found)
    }

    /// Records that the deliveries of a dataset are adopted, so that they are not adopted again.
    pub(crate) fn mark_adopted(
        &self,
        place: AdoptedDataset<'_>,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        self.change(
            "INSERT INTO adopted (dataset, at) VALUES (?1, ?2)",
            [place.name(), now.to_string()],
        )
    }

    /// Returns agreement and directory of each delivery that the ledger places in the unrestricted dataset.
    pub(crate) fn directories(&self) -> Result<BTreeSet<(String, String)>, LedgerError> {
        let sql = "SELECT agreement, directory FROM delivery WHERE directory IS NOT NULL";
        self.rows(sql, [], read_pair)
    }

    /// Returns agreement and directory of each delivery that the ledger places in a tenant's dataset.
    pub(crate) fn tenant_directories(
        &self,
        tenant: &str,
    ) -> Result<BTreeSet<(String, String)>, LedgerError> {
        let sql = "SELECT delivery.agreement, tenant_delivery.directory FROM tenant_delivery
                   JOIN delivery ON delivery.id = tenant_delivery.delivery
                   WHERE tenant_delivery.tenant = ?1 AND tenant_delivery.directory IS NOT NULL";
        self.rows(sql, [tenant], read_pair)
    }

    /// Adopts a delivery of the unrestricted dataset as published, with the facts of its manifest.
    ///
    /// It replaces an unfinished state of the same delivery. If another delivery already has its sequence number, which
    /// another ledger assigned, it gets the next free number.
    pub(crate) fn adopt(&self, record: &Record) -> Result<(), LedgerError> {
        let findings = serde_json::to_string(&record.counts.findings).unwrap_or_default();
        self.change(
            "INSERT INTO delivery (agreement, transfer_uuid, file_name, metadata_name, size, sender, state, sha256,
                 task_number, production_date, previous_production_date, sequence, directory, records, persons,
                 events, findings, routing, first_seen, fetched, published, updated)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'published', ?7, ?8, ?9, ?10,
                 CASE WHEN EXISTS (SELECT 1 FROM delivery WHERE sequence = ?11
                                       AND NOT (agreement = ?1 AND transfer_uuid = ?2))
                      THEN (SELECT number FROM next_number) ELSE ?11 END,
                 ?12, ?13, ?14, ?15, ?16, ?18, ?17, ?17, ?17, ?17)
             ON CONFLICT (agreement, transfer_uuid) DO UPDATE SET
                 file_name = excluded.file_name, metadata_name = excluded.metadata_name, size = excluded.size,
                 modified = NULL, sender = excluded.sender, routing = excluded.routing, state = excluded.state, reason_code = NULL,
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
                routing_text(record.routing.as_ref()),
            ],
        )?;
        // The ledger knew the delivery from a tenant's dataset.
        self.change(
            "UPDATE delivery SET directory = ?3 WHERE agreement = ?1 AND transfer_uuid = ?2 AND directory IS NULL",
            params![record.agreement, record.transfer_uuid, record.directory],
        )
    }

    /// Adopts a delivery of a tenant's dataset as published, with the facts of its manifest.
    pub(crate) fn adopt_for_tenant(
        &self,
        record: &Record,
        tenant: &str,
        counts: &TenantCounts,
    ) -> Result<(), LedgerError> {
        let known = self.find(&record.agreement, &record.transfer_uuid)?;
        if known.is_none() {
            // The sequence numbers of a tenant's dataset are independent of those of the unrestricted dataset.
            let next: i64 = self.checked(self.connection.query_row(
                "SELECT number FROM next_number",
                [],
                |row| row.get(0),
            ))?;
            self.adopt(&Record {
                sequence: Some(next as u64),
                // The directory is in the tenant's dataset.
                directory: None,
                ..record.clone()
            })?;
        }
        let known = self.find(&record.agreement, &record.transfer_uuid)?;
        let known = known.ok_or_else(|| self.contradiction())?;
        self.change(
            "INSERT INTO tenant_delivery (delivery, tenant, state, sequence, directory, policy, persons, entered,
                 departed, rows, published, updated)
             VALUES (?1, ?2, 'published',
                 CASE WHEN EXISTS (SELECT 1 FROM tenant_delivery
                                   WHERE tenant = ?2 AND sequence = ?3 AND delivery <> ?1)
                      THEN (SELECT max(number) + 1 FROM tenant_number WHERE tenant = ?2) ELSE ?3 END,
                 ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10)
             ON CONFLICT (delivery, tenant) DO UPDATE SET
                 state = excluded.state, reason_code = NULL, reason = NULL, sequence = excluded.sequence,
                 directory = excluded.directory, policy = excluded.policy, persons = excluded.persons,
                 entered = excluded.entered, departed = excluded.departed, rows = excluded.rows,
                 published = excluded.published, updated = excluded.updated
             WHERE tenant_delivery.state = 'waiting'",
            params![
                known.id,
                tenant,
                record.sequence.map(|sequence| sequence as i64),
                record.directory,
                counts.policy,
                counts.persons as i64,
                counts.entered as i64,
                counts.left as i64,
                counts.rows as i64,
                record.updated.to_string(),
            ],
        )
    }
}

fn read_pair(row: &Row<'_>) -> rusqlite::Result<(String, String)> {
    Ok((row.get(0)?, row.get(1)?))
}
