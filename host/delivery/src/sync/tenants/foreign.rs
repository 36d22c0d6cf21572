//! Replaces unrestricted data in a tenant's directory by the tenant's deliveries.

use super::publisher::TenantPublisher;
use super::ready::ReadyTenant;
use super::scheduler::Heartbeat;
use crate::error::Error;
use crate::ledger::RewritingKind;
use crate::tenant::foreign;

impl TenantPublisher {
    /// Removes the deliveries of the unrestricted dataset from a tenant's directory. The run makes them again for the tenant.
    ///
    /// [`ReadyTenant::open`] has refused the directory if it has anything else that was not made for the tenant.
    pub(super) fn remove_unrestricted(
        &self,
        ready: &ReadyTenant,
        heartbeat: &Heartbeat,
    ) -> Result<(), Error> {
        let tenant = ready.tenant.name.as_str();
        for data in &ready.foreign {
            let Some(delivery) = &data.delivery else {
                continue;
            };
            {
                let ledger = self.ledger_of(heartbeat)?;
                let replaced = foreign::replaceable(data, &ledger, &self.store.state, tenant)?;
                let Some(replaced) = replaced else {
                    continue;
                };
                let kind = RewritingKind::Rewritten;
                ledger.begin_rewriting(replaced, Some(tenant), kind, (self.now)())?;
            }
            ready
                .dataset
                .remove_delivery(&delivery.agreement, &delivery.name)?;
            tracing::warn!(
                tenant,
                agreement = delivery.agreement,
                directory = delivery.name,
                "the directory of the tenant had the unrestricted data of a delivery, which was removed: the delivery is made \
                 again for the tenant"
            );
        }
        Ok(())
    }
}
