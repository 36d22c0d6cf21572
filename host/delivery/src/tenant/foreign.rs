//! Data in the directory of a tenant that was not made for the tenant, by its manifest: it can show what the tenant may not
//! see. Or the directory is that of another dataset, and the data is the only copy.
//!
//! So a run neither publishes to such a directory nor removes anything from it. One case is mended: the directory of a
//! delivery that the ledger has published to the tenant holds the same delivery of this installation's unrestricted dataset,
//! for example because it was restored from the wrong copy. A run removes it and makes the delivery again for the tenant.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;

use super::Tenant;
use crate::config::Store;
use crate::dataset::{Dataset, ForeignData};
use crate::error::Error;
use crate::fs::ask_disks;
use crate::integrity::GONE;
use crate::keyed_hash::ExtractKey;
use crate::ledger::{Ledger, TenantDeliveryState};
use crate::sync::TenantPublishError;

/// The time in which a disk must say what it has.
const DISK_TIMEOUT: Duration = Duration::from_secs(10);

/// Fails if a tenant's directory has data that was not made for the tenant, unless a run can replace all of it.
pub(crate) fn check(
    foreign: &[ForeignData],
    ledger: Option<&Ledger>,
    state: &Path,
    tenant: &str,
) -> Result<(), Error> {
    for data in foreign {
        let replaced = match ledger {
            Some(ledger) => replaceable(data, ledger, state, tenant)?,
            None => None,
        };
        if replaced.is_none() {
            return Err(refusal(data, tenant).into());
        }
    }
    Ok(())
}

/// Returns the row ID of the tenant's delivery that a run makes again in place of this data; `None` if it must stay.
///
/// The ledger must prove that this installation made the data for its unrestricted dataset and has published the delivery to
/// the tenant in the same directory.
pub(crate) fn replaceable(
    data: &ForeignData,
    ledger: &Ledger,
    state: &Path,
    tenant: &str,
) -> Result<Option<i64>, Error> {
    let (Some(delivery), None) = (&data.delivery, &data.made_for) else {
        return Ok(None);
    };
    let manifest = &delivery.manifest;
    let Some(record) = ledger.find(&delivery.agreement, &manifest.transfer_uuid)? else {
        return Ok(None);
    };
    let Some(share) = ledger.tenant_delivery(record.id, tenant)? else {
        return Ok(None);
    };
    let (sha256, known) = (&manifest.sha256, &record.counts.sha256);
    let is_same_extract =
        sha256 == known || ExtractKey::read(state)?.is_some_and(|key| key.is_same(sha256, known));
    let published: Option<Timestamp> = manifest.published.parse().ok();
    let is_own = is_same_extract
        && record.state.is_published()
        && record.directory.as_ref() == Some(&delivery.name)
        && published.is_some()
        && record.published == published;
    let is_accepted_as_gone = share
        .reason
        .as_ref()
        .is_some_and(|reason| reason.code == GONE);
    let is_shared = share.state == TenantDeliveryState::Published
        && share.directory.as_ref() == Some(&delivery.name)
        && share.expired.is_none()
        && !is_accepted_as_gone;
    Ok((is_own && is_shared).then_some(record.id))
}

/// Returns why a tenant gets nothing while this data is in its directory.
pub(crate) fn refusal(data: &ForeignData, tenant: &str) -> TenantPublishError {
    let (path, tenant) = (data.directory.clone(), tenant.to_owned());
    match &data.made_for {
        Some(other) => TenantPublishError::OtherTenant {
            path,
            tenant,
            other: other.clone(),
        },
        None => TenantPublishError::Unrestricted { path, tenant },
    }
}

/// Returns a text for a person about data in the directory of a tenant that was not made for the tenant; `None` if there is
/// none, or if the disk does not respond.
pub fn foreign_data_remark(store: &Store, tenant: &Tenant) -> Option<String> {
    let name = tenant.name.as_str();
    let (root, owner) = (tenant.dataset.clone(), name.to_owned());
    let question = move || Dataset::foreign_data(&root, Some(&owner));
    let answer = ask_disks(DISK_TIMEOUT, [question]).pop().flatten()?;
    let foreign = match answer {
        Ok(foreign) => foreign,
        Err(error) => return Some(format!("tenant {name}: {error}")),
    };
    let first = foreign.first()?;
    let ledger = Ledger::open_to_read(&store.state).ok().flatten();
    Some(match check(&foreign, ledger.as_ref(), &store.state, name) {
        Ok(()) => format!(
            "tenant {name}: {} has the unrestricted data of a delivery that was published to the tenant under its policy. It \
             can show what the tenant may not see. The next `cprflow sync` removes it and makes the delivery again",
            first.directory.display()
        ),
        Err(error) => format!("tenant {name}: {error}"),
    })
}
