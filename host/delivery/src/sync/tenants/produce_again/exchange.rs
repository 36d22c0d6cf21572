//! Makes one delivery of a tenant again, or removes it.

use std::collections::BTreeSet;

use super::policy::DeliveryPolicy;
use super::{Published, relative};
use crate::error::Error;
use crate::ledger::{Reason, Record, RewritingKind};
use crate::register::open_file;
use crate::sync::report::RewrittenDelivery;
use crate::sync::tenants::error::TenantPublishError;
use crate::sync::tenants::publisher::TenantPublisher;
use crate::sync::tenants::ready::ReadyTenant;
use crate::sync::tenants::scheduler::Heartbeat;
use crate::sync::tenants::staging::{Part, Rules};
use crate::tenant::policies::KeptPolicies;
use cprflow::Pnr;

impl TenantPublisher {
    /// Makes a delivery again and exchanges it. Returns `None` if it is the same as before. `protected` are the persons who
    /// are protected now, with the version of their list.
    pub(super) fn make_again(
        &self,
        ready: &ReadyTenant,
        record: &Record,
        published: &Published<'_>,
        policy: &DeliveryPolicy,
        (version, protected): (u64, BTreeSet<Pnr>),
        heartbeat: &Heartbeat,
    ) -> Result<Option<RewrittenDelivery>, Error> {
        let share = published.share;
        let tenant = ready.tenant.name.as_str();
        let Some((register, kept)) = self.kept(share)? else {
            return Err(TenantPublishError::ExtractGone {
                transfer: record.transfer_uuid.clone(),
                tenant: tenant.to_owned(),
            }
            .into());
        };
        let sequence = share.sequence.unwrap_or_default();
        let rosters = self.rosters(tenant, &record.agreement);
        let rules = Rules {
            policy: &policy.policy,
            // Without the list, the leavers cannot be told again. They were told when the delivery was published.
            roster: rosters.read_before(sequence)?,
            delivered_later: self.delivered_later(ready, record, share)?,
            protected,
        };
        let part = match share.has_leavers_only() {
            true => Part::Leavers,
            false => Part::Everything,
        };
        let path = register.path(&kept);
        let staged =
            self.stage_extract(ready, record, part, rules, heartbeat, || open_file(&path))?;
        crate::failpoint::reached_by("rewriting-scanned", tenant);
        let now = (self.now)();
        let old = ready
            .dataset
            .manifest(&record.agreement, published.directory);
        let old = old.ok().flatten();
        let published_at = old.as_ref().and_then(|old| old.published.parse().ok());
        let published_at = published_at.or(share.published).unwrap_or(now);
        let mut manifest = self.manifest(
            ready,
            record,
            sequence,
            &staged,
            &policy.digest,
            published_at,
        )?;
        let is_same = old.is_some_and(|old| {
            old.files == manifest.files
                && old.rows == manifest.rows
                && old.policy == manifest.policy
        });
        if is_same && !published.is_begun {
            self.clear_staging(ready)?;
            self.ledger_of(heartbeat)?.compared_for_tenant(
                share.delivery,
                tenant,
                version,
                None,
                now,
            )?;
            return Ok(None);
        }
        {
            let ledger = self.ledger_of(heartbeat)?;
            KeptPolicies::new(&self.store.state, tenant).keep(&policy.digest, &policy.policy)?;
            let kind = RewritingKind::Rewritten;
            ledger.begin_rewriting(share.delivery, Some(tenant), kind, now)?;
            manifest.made_again = ledger.times_rewritten(share.delivery, Some(tenant))? + 1;
        }
        crate::failpoint::reached("rewriting-begun");
        manifest.write(&staged.directory)?;
        ready
            .dataset
            .exchange(&staged.directory, &record.agreement, published.directory)?;
        // What was published before is here now.
        self.clear_staging(ready)?;
        crate::failpoint::reached("rewriting-cleared");
        let counts = manifest.tenant_counts();
        self.ledger_of(heartbeat)?.compared_for_tenant(
            share.delivery,
            tenant,
            version,
            Some(&counts),
            now,
        )?;
        crate::failpoint::reached("rewriting-recorded");
        tracing::info!(
            tenant,
            agreement = record.agreement,
            transfer = record.transfer_uuid,
            directory = published.directory,
            "a delivery was made again, because something in it is hidden now"
        );
        Ok(Some(RewrittenDelivery {
            tenant: Some(tenant.to_owned()),
            agreement: record.agreement.clone(),
            directory: relative(record, published.directory),
            removed: None,
        }))
    }

    /// Removes a delivery that cannot be made again.
    pub(super) fn remove(
        &self,
        ready: &ReadyTenant,
        record: &Record,
        published: &Published<'_>,
        why: String,
        heartbeat: &Heartbeat,
    ) -> Result<RewrittenDelivery, Error> {
        let (share, tenant) = (published.share, ready.tenant.name.as_str());
        self.withdraw_delivery(ready, published, heartbeat)?;
        crate::failpoint::reached("rewriting-removed");
        let reason = Reason::new(RewritingKind::Rewritten.name(), &why);
        let now = (self.now)();
        self.ledger_of(heartbeat)?
            .removed_for_good(share.delivery, Some(tenant), &reason, now)?;
        tracing::warn!(
            tenant,
            agreement = record.agreement,
            transfer = record.transfer_uuid,
            directory = published.directory,
            "a delivery was removed: {why}"
        );
        Ok(RewrittenDelivery {
            tenant: Some(tenant.to_owned()),
            agreement: record.agreement.clone(),
            directory: relative(record, published.directory),
            removed: Some(why),
        })
    }

    /// Removes the directory of a delivery. The next run makes it again, unless it is removed for good.
    pub(super) fn withdraw_delivery(
        &self,
        ready: &ReadyTenant,
        published: &Published<'_>,
        heartbeat: &Heartbeat,
    ) -> Result<(), Error> {
        let (share, tenant) = (published.share, ready.tenant.name.as_str());
        let kind = RewritingKind::Rewritten;
        self.ledger_of(heartbeat)?.begin_rewriting(
            share.delivery,
            Some(tenant),
            kind,
            (self.now)(),
        )?;
        crate::failpoint::reached("rewriting-withdrawing");
        ready
            .dataset
            .remove_delivery(&share.agreement, published.directory)
    }
}
