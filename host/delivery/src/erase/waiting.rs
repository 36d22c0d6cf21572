//! For which datasets an erasure waits, because what it removes is not there: their disks may not be mounted.

use super::order::{ErasedSubject, Order};
use crate::config::Store;
use crate::error::Error;
use crate::ledger::Ledger;
use crate::unmounted::{EmptyDataset, empty_datasets};

/// Returns the datasets without tables in which the ledger has deliveries that an order removes or makes again. Otherwise the
/// order would end with a proof that counts deliveries which are still on a disk.
pub(crate) fn waits_for(
    store: &Store,
    ledger: &Ledger,
    order: &Order,
) -> Result<Vec<EmptyDataset>, Error> {
    let mut empty = empty_datasets(store, ledger)?;
    empty.retain(|empty| match &order.subject {
        // A disk that does not respond is reported where it is used.
        ErasedSubject::Numbers(_) => empty.is_configured && empty.has_responded,
        ErasedSubject::Agreement(name) => {
            let mut deliveries = empty.deliveries.iter();
            empty.is_configured && deliveries.any(|one| one.agreement == name.as_str())
        }
        ErasedSubject::Tenant(name) => empty.tenant.as_deref() == Some(name.as_str()),
    });
    Ok(empty)
}
