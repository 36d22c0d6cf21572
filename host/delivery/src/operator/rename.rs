//! Renames an agreement: in the datasets, in the state directory and in the ledger.
//!
//! The ledger changes last, so that a rename that was interrupted is complete after it is run again. Every step before
//! leaves alone what already has the new name. A dataset that is not there is refused before anything changes. A dataset that
//! has kept the old name, for example because it was put back from a backup, gets the new one when the command is run again.

use std::fs;
use std::path::{Path, PathBuf};

use super::OperatorError;
use crate::config::{Configuration, Store};
use crate::dataset::{Dataset, Manifest};
use crate::erase::protections;
use crate::error::Error;
use crate::fs::{StateLock, entries, sync_directory};
use crate::ledger::{Ledger, Record};
use crate::names::AgreementName;
use crate::register;
use crate::subscription;
use crate::tenant::former::left_datasets;
use crate::unmounted::empty_datasets;

/// Gives the deliveries of an agreement the name that the agreement now has in the configuration.
///
/// Returns the number of deliveries in the ledger that were renamed.
pub fn rename_agreement(
    configuration: &Configuration,
    old: &AgreementName,
    new: &AgreementName,
) -> Result<u64, Error> {
    let is_configured =
        |name: &AgreementName| configuration.agreements().any(|one| one.name == *name);
    if is_configured(old) {
        let name = old.clone();
        return Err(OperatorError::StillConfigured { name }.into());
    }
    let has_new = |store: &&Store| store.agreements.iter().any(|one| one.name == *new);
    let Some(store) = configuration.stores.iter().find(has_new) else {
        let name = new.clone();
        return Err(OperatorError::NotConfigured { name }.into());
    };
    let unknown = || OperatorError::AgreementUnknown { name: old.clone() };
    if !Ledger::is_in(&store.state) {
        return Err(unknown().into());
    }
    let _lock = StateLock::take(&store.state)?;
    let ledger = Ledger::open(&store.state)?;
    let deliveries = ledger.all()?;
    let has = |name: &AgreementName| deliveries.iter().any(|one| one.agreement == name.as_str());
    if !has(old) {
        let left = datasets_left_behind(store, &deliveries, old, new)?;
        if left.is_empty() {
            return Err(unknown().into());
        }
        return move_left_behind(&left, old, new);
    }
    if has(new) {
        let (old, new) = (old.clone(), new.clone());
        return Err(OperatorError::BothHaveDeliveries { old, new }.into());
    }
    check_there(store, &ledger, old)?;
    let mut datasets = configured_datasets(store)?;
    // If such a tenant comes back, its deliveries are found under the new name.
    let former = left_datasets(store, &ledger)?.into_iter();
    datasets.extend(former.filter_map(|former| former.open()));
    for dataset in &datasets {
        let of = |name: &AgreementName| dataset.agreement(name.as_str());
        check_free(&of(old), &of(new))?;
    }
    let spool = store.spool();
    check_free(&spool.join(old.as_str()), &spool.join(new.as_str()))?;
    let register = store.state.join(register::DIRECTORY);
    check_free(&register.join(old.as_str()), &register.join(new.as_str()))?;
    let subscription = |name| subscription::directory(&store.state, name);
    check_free(&subscription(old), &subscription(new))?;
    for dataset in datasets {
        let _lock = dataset.lock()?;
        dataset.rename_agreement(old.as_str(), new.as_str())?;
    }
    crate::failpoint::reached("agreement-renaming");
    for rosters in entries(&store.state.join("rosters"))? {
        rename_files(&rosters, &format!("{old}."), &format!("{new}."))?;
    }
    rename_directory(&spool, old, new)?;
    rename_directory(&register, old, new)?;
    subscription::rename(&store.state, old, new)?;
    protections::rename(&store.state, old.as_str(), new.as_str())?;
    Ok(ledger.rename_agreement(old.as_str(), new.as_str())?)
}

/// Returns the unrestricted dataset and those of the tenants.
fn configured_datasets(store: &Store) -> Result<Vec<Dataset>, Error> {
    let mut datasets: Vec<_> = Dataset::at(&store.dataset).into_iter().collect();
    for tenant in &store.tenants {
        let group = tenant.group()?;
        let dataset = Dataset::at(&tenant.dataset);
        datasets.extend(dataset.map(|dataset| dataset.for_existing_group(group)));
    }
    Ok(datasets)
}

/// Fails if a dataset with deliveries of the agreement is not there: it would keep the old name for ever, and no run would
/// look at its deliveries again.
fn check_there(store: &Store, ledger: &Ledger, old: &AgreementName) -> Result<(), Error> {
    for empty in empty_datasets(store, ledger)? {
        let deliveries = empty.deliveries.iter();
        let count = deliveries
            .filter(|delivery| delivery.agreement == old.as_str())
            .count();
        if count > 0 && empty.is_configured {
            let path = empty.path.display();
            return Err(OperatorError::DatasetNotThere {
                place: match &empty.tenant {
                    Some(tenant) => format!("the dataset {path} of tenant {tenant}"),
                    None => format!("the dataset {path}"),
                },
                agreement: old.clone(),
                count,
            }
            .into());
        }
    }
    Ok(())
}

/// Returns the datasets that still have the old name of an agreement, although the ledger has the new one: they were not there
/// when it was renamed. All their deliveries under the old name must be known under the new one.
fn datasets_left_behind(
    store: &Store,
    deliveries: &[Record],
    old: &AgreementName,
    new: &AgreementName,
) -> Result<Vec<(Dataset, u64)>, Error> {
    let mut left = Vec::new();
    for dataset in configured_datasets(store)? {
        let names = [old.as_str(), new.as_str()];
        // One that was moved by a command that was killed has the old name in its manifest.
        let mut found = dataset.deliveries(|agreement, _| names.contains(&agreement))?;
        found.retain(|(_, manifest)| manifest.agreement == old.as_str());
        let is_known = |manifest: &Manifest| {
            let mut deliveries = deliveries.iter();
            deliveries.any(|one| {
                one.agreement == new.as_str() && one.transfer_uuid == manifest.transfer_uuid
            })
        };
        if !found.is_empty() && found.iter().all(|(_, manifest)| is_known(manifest)) {
            left.push((dataset, found.len() as u64));
        }
    }
    Ok(left)
}

/// Gives the deliveries of these datasets the new name. Returns their number.
fn move_left_behind(
    datasets: &[(Dataset, u64)],
    old: &AgreementName,
    new: &AgreementName,
) -> Result<u64, Error> {
    let mut moved = 0;
    for (dataset, count) in datasets {
        let _lock = dataset.lock()?;
        let from = dataset.agreement(old.as_str());
        let to = dataset.agreement(new.as_str());
        if from.is_dir() && to.is_dir() {
            // Later deliveries were published there already.
            for delivery in entries(&from)? {
                let Some(name) = delivery.file_name() else {
                    continue;
                };
                check_free(&delivery, &to.join(name))?;
                fs::rename(&delivery, to.join(name)).map_err(Error::file(&delivery))?;
            }
            sync_directory(Some(&to))?;
            fs::remove_dir(&from).map_err(Error::file(&from))?;
        }
        dataset.rename_agreement(old.as_str(), new.as_str())?;
        moved += count;
    }
    Ok(moved)
}

/// Fails if a directory that is to be renamed has the new name already, beside the old one.
fn check_free(from: &Path, to: &Path) -> Result<(), OperatorError> {
    match from.is_dir() && to.exists() {
        true => Err(OperatorError::NameTaken {
            from: from.to_owned(),
            to: to.to_owned(),
        }),
        false => Ok(()),
    }
}

/// Renames the directory of an agreement below `parent`, if there is one.
fn rename_directory(parent: &Path, old: &AgreementName, new: &AgreementName) -> Result<(), Error> {
    let (from, to) = (parent.join(old.as_str()), parent.join(new.as_str()));
    if !from.is_dir() {
        return Ok(());
    }
    fs::rename(&from, &to).map_err(Error::file(&to))?;
    sync_directory(Some(parent))
}

/// Renames the files of a directory whose names begin with `old`.
fn rename_files(directory: &Path, old: &str, new: &str) -> Result<(), Error> {
    for path in entries(directory)? {
        let name = path.file_name().and_then(|name| name.to_str());
        let Some(rest) = name.and_then(|name| name.strip_prefix(old)) else {
            continue;
        };
        let to: PathBuf = directory.join(format!("{new}{rest}"));
        fs::rename(&path, &to).map_err(Error::file(&to))?;
    }
    sync_directory(Some(directory))
}
