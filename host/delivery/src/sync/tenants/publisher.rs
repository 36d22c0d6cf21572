//! Publishes a delivery to a tenant: scans the extract in the spool by the tenant's policy, and moves the tables into the
//! tenant's dataset.
//!
//! The steps are durable in this order:
//! 1. The tables are complete beside the dataset.
//! 2. The ledger gives the delivery its sequence number.
//! 3. The new roster is stored under that number.
//! 4. The directory is renamed into the dataset.
//! 5. The ledger records the publication.
//! 6. Older rosters are removed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::ready::ReadyTenant;
use super::scheduler::{Heartbeat, PendingDelivery};
use super::staging::{Part, StagedForTenant};
use crate::agreement::Agreement;
use crate::config::Store;
use crate::dataset::{Audience, Manifest, ManifestBuilder, TenantManifest, delivery_name};
use crate::error::Error;
use crate::keyed_hash::ExtractKey;
use crate::ledger::{Ledger, Record, TenantDeliveryState};
use crate::stop::Stop;
use crate::sync::report::{PublishedDelivery, RewrittenDelivery};
use crate::tenant::policies::KeptPolicies;
use crate::tenant::rosters::Rosters;
use cprflow::{Connector, Pnr, SelectionCounts};

/// Publishes deliveries to tenants, from any thread. Owns all its state, because an abandoned thread may outlive the run.
pub(super) struct TenantPublisher {
    pub(super) connector: Connector,
    pub(super) store: Store,
    /// The threads' own connection to the ledger: the run uses its connection at the same time.
    pub(super) ledger: Mutex<Ledger>,
    pub(super) stop: Stop,
    pub(super) now: fn() -> Timestamp,
    /// Whether an erasure is not complete, so that current tables of an earlier run may show erased persons.
    pub(super) may_show_erased: bool,
    /// The protected persons by the extracts that tell them. Tenants with the same agreements share them.
    pub(super) protected: Mutex<BTreeMap<String, Arc<BTreeSet<Pnr>>>>,
    /// The deliveries that were made again in this run.
    pub(super) rewritten: Mutex<Vec<RewrittenDelivery>>,
}

impl TenantPublisher {
    /// Publishes a delivery to a tenant; `None` if the tenant has it already or must not receive it.
    pub(super) fn publish(
        &self,
        ready: &ReadyTenant,
        pending: &PendingDelivery,
        heartbeat: &Heartbeat,
    ) -> Result<Option<PublishedDelivery>, Error> {
        let tenant = ready.tenant.name.as_str();
        let (record, share) = {
            let ledger = self.ledger();
            (
                ledger.delivery(pending.delivery)?,
                ledger.tenant_delivery(pending.delivery, tenant)?,
            )
        };
        let (Some(record), Some(share)) = (record, share) else {
            return Ok(None);
        };
        if share.state.is_settled() {
            return Ok(None);
        }
        if share.state == TenantDeliveryState::Publishing
            && let Some(name) = &share.directory
            && let Some(manifest) = ready.dataset.manifest(&record.agreement, name)?
            && manifest.transfer_uuid == record.transfer_uuid
        {
            // An earlier run was killed after it renamed the directory and before the ledger recorded it.
            return self
                .record_published(ready, &record, &manifest, heartbeat)
                .map(Some);
        }
        self.check_policy_change(ready, heartbeat)?;
        let staged = self.stage(ready, &record, &share, Part::Everything, heartbeat)?;
        crate::failpoint::reached_by("tenant-scanned", tenant);
        self.move_into_dataset(ready, &record, staged, heartbeat)
            .map(Some)
    }

    /// Moves a delivery that was scanned for a tenant into the tenant's dataset, with its rosters.
    pub(super) fn move_into_dataset(
        &self,
        ready: &ReadyTenant,
        record: &Record,
        staged: StagedForTenant,
        heartbeat: &Heartbeat,
    ) -> Result<PublishedDelivery, Error> {
        let tenant = ready.tenant.name.as_str();
        let date = record.production_date().unwrap_or_default();
        let name = |sequence| delivery_name(date, sequence, &record.transfer_uuid);
        let now = (self.now)();
        let (sequence, directory) = self
            .ledger_of(heartbeat)?
            .tenant_publishing(record.id, tenant, name, now)?;
        crate::failpoint::reached("tenant-publishing");
        {
            // Holding the ledger keeps this job from being abandoned between the two files.
            let _ledger = self.ledger_of(heartbeat)?;
            KeptPolicies::new(&self.store.state, tenant)
                .keep(&ready.policy_digest, &ready.policy)?;
            let rosters = self.rosters(tenant, &record.agreement);
            rosters.write_delivered(sequence, &staged.delivered)?;
            rosters.write_before(sequence, &staged.before)?;
            rosters.write(sequence, &staged.roster)?;
        }
        crate::failpoint::reached("roster-written");
        let digest = &ready.policy_digest;
        let manifest = self.manifest(ready, record, sequence, &staged, digest, now)?;
        manifest.write(&staged.directory)?;
        ready
            .dataset
            .publish(&staged.directory, &record.agreement, &directory)?;
        crate::failpoint::reached_by("tenant-renamed", tenant);
        // Removes the empty parent directory. Nothing after this uses the tenant's disk.
        self.clear_staging(ready)?;
        let mut published = self.record_published(ready, record, &manifest, heartbeat)?;
        if let Some(remark) = staged.remark {
            tracing::warn!(tenant, agreement = record.agreement, "{remark}");
            published.remarks.push(remark);
        }
        Ok(published)
    }

    /// Removes what is left beside a tenant's dataset of deliveries in preparation, and of deliveries that were exchanged.
    ///
    /// A run of one agreement also makes deliveries of the other agreements again, and removes those of agreements
    /// that the tenant no longer has. What they showed before must not stay until a run of those agreements.
    pub(super) fn clear_staging(&self, ready: &ReadyTenant) -> Result<(), Error> {
        let own = self.store.of_dataset().map(|agreement| &agreement.name);
        for agreement in own.chain(&self.store.ended) {
            ready.dataset.clear_staging_of(agreement.as_str())?;
        }
        Ok(())
    }

    /// Records in the ledger that a delivery is in the tenant's dataset, and removes older rosters.
    fn record_published(
        &self,
        ready: &ReadyTenant,
        record: &Record,
        manifest: &Manifest,
        heartbeat: &Heartbeat,
    ) -> Result<PublishedDelivery, Error> {
        let tenant = ready.tenant.name.as_str();
        let counts = manifest.tenant_counts();
        {
            let ledger = self.ledger();
            if !heartbeat.finish() {
                // The job was abandoned. The next run finds the delivery in the dataset.
                return Err(Error::Stopped);
            }
            ledger.tenant_published(record.id, tenant, &counts, (self.now)())?;
        }
        crate::failpoint::reached("tenant-published");
        self.rosters(tenant, &record.agreement)
            .remove_older(manifest.sequence)?;
        crate::failpoint::reached("roster-settled");
        let name = manifest.name();
        tracing::info!(
            tenant,
            agreement = record.agreement,
            transfer = record.transfer_uuid,
            directory = name,
            rows = counts.rows,
            "published to a tenant"
        );
        Ok(PublishedDelivery {
            agreement: record.agreement.clone(),
            tenant: Some(tenant.to_owned()),
            file_name: record.redacted_file_name(),
            directory: Path::new(&format!("agreement={}", record.agreement)).join(name),
            records: counts.rows,
            persons: counts.persons,
            remarks: match (counts.entered, counts.left) {
                (0, 0) => Vec::new(),
                (entered, left) => vec![format!(
                    "{entered} persons entered the scope, {left} left it"
                )],
            },
        })
    }

    pub(super) fn manifest(
        &self,
        ready: &ReadyTenant,
        record: &Record,
        sequence: u64,
        staged: &StagedForTenant,
        policy_digest: &str,
        published: Timestamp,
    ) -> Result<Manifest, Error> {
        let is_own = |agreement: &&Agreement| agreement.name.as_str() == record.agreement;
        let SelectionCounts {
            persons,
            entered,
            left,
        } = staged.selected;
        let key = ExtractKey::open(&self.store.state)?;
        let manifest = ManifestBuilder {
            connector: &self.connector,
            record,
            agreement: self.store.agreements.iter().find(is_own),
            sequence,
            rows: staged.rows.clone(),
            files: staged.files.clone(),
            published,
            made_again: 0,
        };
        Ok(manifest.build(Audience::Tenant {
            policy_digest,
            purpose: &ready.tenant.purpose,
            legal_basis: ready.tenant.legal_basis.as_deref(),
            tenant: TenantManifest {
                name: ready.tenant.name.to_string(),
                church_purpose: ready.tenant.church_purpose.clone(),
                church_legal_basis: ready.tenant.church_legal_basis.clone(),
                persons,
                entered,
                left,
                leavers_only: staged.part == Part::Leavers,
            },
            extract_digest: key.digest(&record.counts.sha256),
        }))
    }

    /// Removes rosters that are older than the newest one of each tenant and agreement.
    pub(super) fn clear_rosters(&self) -> Result<(), Error> {
        for agreement in &self.store.agreements {
            let agreement = agreement.name.as_str();
            for tenant in self.store.tenants_of(agreement) {
                let tenant = tenant.name.as_str();
                if let Some(number) = self.ledger().newest_tenant_sequence(tenant, agreement)? {
                    self.rosters(tenant, agreement).remove_older(number)?;
                }
            }
        }
        Ok(())
    }

    pub(super) fn rosters(&self, tenant: &str, agreement: &str) -> Rosters {
        Rosters::new(&self.store.state, tenant, agreement)
    }

    /// Locks the ledger for a job that was not abandoned. Fails for an abandoned job, because another thread may already
    /// do its work.
    pub(super) fn ledger_of(&self, heartbeat: &Heartbeat) -> Result<MutexGuard<'_, Ledger>, Error> {
        let ledger = self.ledger();
        match heartbeat.is_abandoned() {
            true => Err(Error::Stopped),
            false => Ok(ledger),
        }
    }

    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
