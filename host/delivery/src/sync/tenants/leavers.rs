//! Publishes only the leavers of a delivery that is set aside for a tenant.
//!
//! Persons who left the tenant's scope in that delivery are in no later one. Without this they would stay in the tenant's
//! data for ever.

use std::sync::Mutex;

use jiff::Timestamp;

use super::dataset_claim::claim;
use super::publisher::TenantPublisher;
use super::ready::ReadyTenant;
use super::scheduler::Heartbeat;
use super::staging::Part;
use crate::config::Store;
use crate::error::Error;
use crate::ledger::{LEAVERS_ONLY, Ledger, Reason, Record, TenantDelivery};
use crate::stop::Stop;
use crate::tenant::Tenant;
use cprflow::Connector;

/// Publishes the leavers of a delivery to a tenant, and returns how many there are. Without leavers nothing is published,
/// and the delivery keeps its state.
///
/// The caller holds the lock of the store. `why` is why the rest of the delivery is set aside for the tenant.
pub(crate) fn publish_leavers(
    connector: &Connector,
    store: &Store,
    tenant: &Tenant,
    record: &Record,
    share: &TenantDelivery,
    why: &str,
) -> Result<u64, Error> {
    let _claim = claim(&tenant.dataset)?;
    let publisher = TenantPublisher {
        connector: connector.clone(),
        store: store.clone(),
        ledger: Mutex::new(Ledger::open(&store.state)?),
        stop: Stop::default(),
        now: Timestamp::now,
        may_show_erased: false,
        protected: Mutex::default(),
        rewritten: Mutex::default(),
    };
    let ready = ReadyTenant::new(connector, tenant)?.open(&store.state)?;
    let heartbeat = Heartbeat::new();
    publisher.remove_unrestricted(&ready, &heartbeat)?;
    if publisher
        .previous_roster(&ready, &record.agreement)?
        .is_none()
    {
        // Nobody was in scope before, so that nobody can have left it.
        return Ok(0);
    }
    publisher.clear_staging(&ready)?;
    let staged = publisher.stage(&ready, record, share, Part::Leavers, &heartbeat);
    let left = match staged {
        Ok(staged) if staged.selected.left > 0 => {
            let left = staged.selected.left;
            publisher.move_into_dataset(&ready, record, staged, &heartbeat)?;
            let ledger = publisher.ledger();
            let reason = Reason::new(LEAVERS_ONLY, why);
            let name = tenant.name.as_str();
            ledger.remark_on_tenant_delivery(record.id, name, &reason, Timestamp::now())?;
            Ok(left)
        }
        staged => staged.map(|_| 0),
    };
    publisher.clear_staging(&ready)?;
    left
}
