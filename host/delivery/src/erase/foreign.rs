//! Directories that an erasure of an agreement or a tenant must not remove: the ledger has a delivery there, but the manifest
//! says that the data was made for somebody else or is another delivery. Directories were exchanged, or restored from the wrong
//! copy.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;

use super::EraseError;
use super::order::ErasedSubject;
use crate::config::Store;
use crate::dataset::{Dataset, DeliveryPlace, ForeignData};
use crate::error::Error;
use crate::fs::ask_disks;
use crate::integrity::GONE;
use crate::ledger::{Ledger, Reason};
use crate::tenant::foreign::replaceable;
use crate::tenant::former::{FormerDataset, left_datasets};
use cprflow_transport::redacted_name;

/// The time in which a disk must say what it has.
const DISK_TIMEOUT: Duration = Duration::from_secs(10);

/// A dataset from which an erasure removes deliveries.
#[derive(Debug, Clone)]
struct ErasedDataset {
    /// The tenant; `None` for the unrestricted dataset.
    tenant: Option<String>,
    root: Root,
    /// The deliveries that must be in it.
    places: Vec<DeliveryPlace>,
}

/// Where a dataset is.
#[derive(Debug, Clone)]
enum Root {
    Configured(PathBuf),
    /// The tenant or the directory is not in the configuration any more.
    Former(FormerDataset),
}

impl ErasedDataset {
    /// Returns the directories that were made for somebody else or have another delivery. Asks the disk.
    fn foreign(&self) -> Vec<ForeignData> {
        let dataset = match &self.root {
            Root::Configured(path) => Dataset::at(path),
            Root::Former(former) => former.open(),
        };
        let Some(dataset) = dataset else {
            return Vec::new();
        };
        let owner = self.tenant.as_deref();
        let places = self.places.iter();
        places
            .filter_map(|place| dataset.foreign_delivery(owner, place))
            .collect()
    }
}

/// Fails if an erasure of an agreement or a tenant would remove a directory that was made for somebody else. Changes nothing.
pub(super) fn check(store: &Store, ledger: &Ledger, subject: &ErasedSubject) -> Result<(), Error> {
    let datasets = match subject {
        // Such deliveries are made again, and their directories exchanged.
        ErasedSubject::Numbers(_) => return Ok(()),
        ErasedSubject::Agreement(name) => of_agreement(store, ledger, name.as_str())?,
        ErasedSubject::Tenant(name) => of_tenant(store, ledger, name.as_str())?,
    };
    let questions = datasets.iter().map(|dataset| {
        let dataset = dataset.clone();
        move || dataset.foreign()
    });
    let answers = ask_disks(DISK_TIMEOUT, questions);
    for (dataset, answer) in datasets.iter().zip(answers) {
        let tenant = dataset.tenant.as_deref();
        // An erasure waits for a disk that does not respond, and names it.
        for data in answer.into_iter().flatten() {
            if !is_replaceable(&data, ledger, &store.state, tenant)? {
                return Err(refusal(&data, tenant).into());
            }
        }
    }
    Ok(())
}

/// Removes the directory in which the ledger has a delivery. A directory that was made for somebody else stays.
pub(super) fn remove_own(
    state: &Path,
    ledger: &Ledger,
    dataset: &Dataset,
    tenant: Option<&str>,
    place: &DeliveryPlace,
) -> Result<(), Error> {
    match dataset.foreign_delivery(tenant, place) {
        Some(data) if !is_replaceable(&data, ledger, state, tenant)? => Ok(()),
        _ => dataset.remove_delivery(&place.agreement, &place.name),
    }
}

/// Returns whether the directory of a tenant has the same delivery of this installation's unrestricted dataset. It is erased
/// like the tenant's own data.
fn is_replaceable(
    data: &ForeignData,
    ledger: &Ledger,
    state: &Path,
    tenant: Option<&str>,
) -> Result<bool, Error> {
    match tenant {
        Some(tenant) => Ok(replaceable(data, ledger, state, tenant)?.is_some()),
        None => Ok(false),
    }
}

/// Returns whether a delivery must be in its dataset: it was not removed, and no person has accepted its loss.
fn is_expected(expired: Option<Timestamp>, reason: Option<&Reason>) -> bool {
    expired.is_none() && reason.is_none_or(|reason| reason.code != GONE)
}

/// Returns the datasets from which the deliveries of an agreement are removed.
fn of_agreement(
    store: &Store,
    ledger: &Ledger,
    agreement: &str,
) -> Result<Vec<ErasedDataset>, Error> {
    let mut unrestricted = ErasedDataset {
        tenant: None,
        root: Root::Configured(store.dataset.clone()),
        places: Vec::new(),
    };
    for record in ledger.all()? {
        if record.agreement == agreement && is_expected(record.expired, record.reason.as_ref()) {
            unrestricted.places.extend(DeliveryPlace::of(&record));
        }
    }
    let mut datasets = vec![unrestricted];
    let shares = ledger.tenant_deliveries()?;
    for tenant in &store.tenants {
        let name = tenant.name.as_str();
        let own = shares.iter().filter(|share| {
            share.tenant == name
                && share.agreement == agreement
                && is_expected(share.expired, share.reason.as_ref())
        });
        datasets.push(ErasedDataset {
            tenant: Some(name.to_owned()),
            root: Root::Configured(tenant.dataset.clone()),
            places: own.filter_map(DeliveryPlace::of_tenant).collect(),
        });
    }
    Ok(datasets)
}

/// Returns the datasets from which the deliveries of a tenant are removed: its directory in the configuration, and those that it
/// had before.
fn of_tenant(store: &Store, ledger: &Ledger, name: &str) -> Result<Vec<ErasedDataset>, Error> {
    let shares = ledger.tenant_deliveries()?;
    let own = shares
        .iter()
        .filter(|share| share.tenant == name && is_expected(share.expired, share.reason.as_ref()));
    let places: Vec<DeliveryPlace> = own.filter_map(DeliveryPlace::of_tenant).collect();
    let configured = store.tenants.iter();
    let configured = configured
        .filter(|tenant| tenant.name.as_str() == name)
        .map(|tenant| Root::Configured(tenant.dataset.clone()));
    let former = left_datasets(store, ledger)?.into_iter();
    let former = former
        .filter(|former| former.tenant == name)
        .map(Root::Former);
    let datasets = configured.chain(former).map(|root| ErasedDataset {
        tenant: Some(name.to_owned()),
        root,
        places: places.clone(),
    });
    Ok(datasets.collect())
}

/// Returns the error about a directory that was made for somebody else. Names in a manifest can be any text.
fn refusal(data: &ForeignData, tenant: Option<&str>) -> EraseError {
    let delivery = data.delivery.as_ref();
    let agreement = delivery.map_or("", |delivery| delivery.agreement.as_str());
    let found = match data.made_for.as_deref() {
        Some(other) if Some(other) != tenant => {
            format!("data that was made for tenant {}", redacted_name(other))
        }
        None if tenant.is_some() => "data of an unrestricted dataset".to_owned(),
        _ => {
            let other = delivery.map_or("", |delivery| delivery.manifest.agreement.as_str());
            format!("another delivery of agreement {}", redacted_name(other))
        }
    };
    EraseError::MadeForOthers {
        path: data.directory.clone(),
        found,
        expected: match tenant {
            Some(tenant) => format!("agreement {agreement} for tenant {tenant}"),
            None => format!("agreement {agreement}"),
        },
    }
}
