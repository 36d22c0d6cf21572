//! Erases a whole agreement, or everything that was published to a tenant.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::extracts::note_deliveries;
use super::foreign;
use super::proof::StoreErasure;
use super::protections;
use crate::config::Store;
use crate::dataset::{Dataset, DeliveryPlace};
use crate::error::Error;
use crate::fs::{entries, remove_file, sync_directory, write_private_file};
use crate::ledger::{AdoptedDataset, Ledger, Reason, RewritingKind};
use crate::names::{AgreementName, TenantName};
use crate::register::Register;
use crate::tenant::former::left_datasets;
use crate::tenant::hidden::HiddenPersons;
use crate::tenant::policies;
use cprflow::{Connector, Limits};

/// Returns what erasing an agreement removes from a store.
pub(super) fn agreement(
    store: &Store,
    ledger: &Ledger,
    name: &AgreementName,
) -> Result<StoreErasure, Error> {
    let mut found = StoreErasure::of(store);
    let kept = ledger.kept_extracts()?.into_iter();
    found.removed_extracts = kept.filter(|kept| kept.agreement == name.as_str()).count();
    for record in ledger.all()? {
        let is_own = record.agreement == name.as_str() && record.expired.is_none();
        found.deliveries += usize::from(is_own && record.directory.is_some());
    }
    for share in ledger.tenant_deliveries()? {
        let is_own = share.agreement == name.as_str() && share.expired.is_none();
        found.deliveries += usize::from(is_own && share.directory.is_some());
    }
    Ok(found)
}

/// Returns what erasing a tenant's data removes from a store.
pub(super) fn tenant(
    store: &Store,
    ledger: &Ledger,
    name: &TenantName,
) -> Result<StoreErasure, Error> {
    let mut found = StoreErasure::of(store);
    for share in ledger.tenant_deliveries()? {
        let is_own = share.tenant == name.as_str() && share.expired.is_none();
        found.deliveries += usize::from(is_own && share.directory.is_some());
    }
    Ok(found)
}

fn reason() -> Reason {
    Reason::new(RewritingKind::Erased.name(), "erased by `cprflow erase`")
}

/// Removes everything of an agreement: extracts, deliveries, lists, extracts in progress and the files of its subscription.
///
/// [`foreign::check`] comes first: here, a directory that was made for somebody else only stays.
pub(super) fn erase_agreement(
    connector: &Connector,
    store: &Store,
    ledger: &mut Ledger,
    name: &AgreementName,
    now: Timestamp,
) -> Result<(), Error> {
    let agreement = name.as_str();
    protections::remove(&store.state, agreement)?;
    for record in ledger.all()? {
        if record.agreement != agreement {
            continue;
        }
        // The ledger changes first, so that no run takes what is missing for lost.
        note_deliveries(ledger, record.id, now)?;
        crate::failpoint::reached("erase-agreement-noted");
        let place = DeliveryPlace::of(&record);
        if let (Some(dataset), Some(place)) = (Dataset::at(&store.dataset), place) {
            foreign::remove_own(&store.state, ledger, &dataset, None, &place)?;
        }
        ledger.removed_for_good(record.id, None, &reason(), now)?;
        for tenant in &store.tenants {
            let owner = Some(tenant.name.as_str());
            let share = ledger.tenant_delivery(record.id, tenant.name.as_str())?;
            let place = share.as_ref().and_then(DeliveryPlace::of_tenant);
            if let (Some(dataset), Some(place)) = (Dataset::at(&tenant.dataset), place) {
                foreign::remove_own(&store.state, ledger, &dataset, owner, &place)?;
            }
            ledger.removed_for_good(record.id, owner, &reason(), now)?;
        }
        ledger.forget_extract(record.id)?;
        crate::failpoint::reached("erase-agreement-removed");
    }
    let register = Register::of(&store.state).agreement(agreement);
    remove_tree(&register)?;
    remove_tree(&store.spool().join(agreement))?;
    remove_tree(&crate::subscription::directory(&store.state, name))?;
    for tenant in entries(&store.state.join("rosters"))? {
        remove_files(&tenant, |file| file.starts_with(&format!("{agreement}.")))?;
    }
    // These lists do not tell which agreement a person is of. Compared with empty ones, everybody enters the scope again.
    for tenant in entries(&store.state.join("generations"))? {
        let is_roster = |path: &&PathBuf| path.extension().is_some_and(|end| end == "roster");
        for path in entries(&tenant)?.iter().filter(is_roster) {
            let roster = fs::read(path).map_err(Error::file(path))?;
            let empty = connector.common_roster(Limits::default(), None, &roster)?;
            write_private_file(path, &empty)?;
        }
    }
    crate::current::forget_shown(&store.state)
}

/// Removes everything that was published to a tenant, and what the state directory has of the tenant. The tenant can be in
/// the configuration or not, and can have had several directories.
///
/// [`foreign::check`] comes first here too.
pub(super) fn erase_tenant(
    store: &Store,
    ledger: &mut Ledger,
    name: &TenantName,
    now: Timestamp,
) -> Result<(), Error> {
    let mut tenants = store.tenants.iter();
    let configured = tenants.find(|tenant| tenant.name == *name);
    let name = name.as_str();
    let mut datasets: Vec<Dataset> = configured
        .and_then(|tenant| Dataset::at(&tenant.dataset))
        .into_iter()
        .collect();
    let former = left_datasets(store, ledger)?.into_iter();
    datasets.extend(
        former
            .filter(|former| former.tenant == name)
            .filter_map(|former| former.open()),
    );
    let mut locks = Vec::new();
    for dataset in &datasets {
        locks.extend(dataset.lock()?);
    }
    for share in ledger.tenant_deliveries()? {
        let (true, Some(place)) = (share.tenant == name, DeliveryPlace::of_tenant(&share)) else {
            continue;
        };
        if share.expired.is_none() {
            let kind = RewritingKind::Erased;
            ledger.begin_rewriting(share.delivery, Some(name), kind, now)?;
        }
        crate::failpoint::reached("erase-tenant-noted");
        for dataset in &datasets {
            foreign::remove_own(&store.state, ledger, dataset, Some(name), &place)?;
        }
        ledger.removed_for_good(share.delivery, Some(name), &reason(), now)?;
        crate::failpoint::reached("erase-tenant-removed");
    }
    let place = AdoptedDataset::Tenant(name);
    for dataset in &datasets {
        // The ledger can have a delivery under a newer name of its agreement.
        for (directory, manifest) in dataset.deliveries(|_, _| true)? {
            if manifest.tenant.is_some_and(|tenant| tenant.name == name) {
                dataset.remove_delivery(&manifest.agreement, &directory)?;
            }
        }
        // Tables that were made for somebody else stay.
        if Dataset::foreign_generations(dataset.root(), Some(name))?.is_empty() {
            crate::current::withdraw(dataset, ledger, place, None)?;
        }
    }
    drop(locks);
    for directory in ["rosters", "generations", policies::DIRECTORY] {
        remove_tree(&store.state.join(directory).join(name))?;
    }
    HiddenPersons::remove(&store.state, name)
}

fn remove_tree(path: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::file(path)(error)),
        Err(_) => Ok(()),
        Ok(()) => sync_directory(path.parent()),
    }
}

fn remove_files(directory: &Path, is_removed: impl Fn(&str) -> bool) -> Result<(), Error> {
    for path in entries(directory)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if is_removed(&name) {
            remove_file(&path)?;
        }
    }
    Ok(())
}
