//! Tenants that are not configured any more, and datasets that were moved in the configuration: their current tables are
//! withdrawn, because no run keeps them up to date.

use std::collections::BTreeMap;
use std::time::Duration;

use super::report::{RunProblem, RunReport};
use crate::config::Store;
use crate::dataset::Dataset;
use crate::error::Error;
use crate::fs::ask_disks;
use crate::ledger::{AdoptedDataset, Generation, Ledger};
use crate::tenant::Tenant;
use crate::tenant::former::{left_datasets, plain_path};

/// The time that the disks have to remove current tables.
const DISK_TIMEOUT: Duration = Duration::from_secs(30);

/// Records where a store and its tenants have their data, and which agreements the tenants may see. The tenants in `unusable` get
/// nothing in this run, and their directories can have the data of other tenants.
pub(super) fn remember(
    store: &Store,
    ledger: &Ledger,
    unusable: &BTreeMap<&str, Error>,
) -> Result<(), Error> {
    ledger.remember_dataset(&plain_path(&store.dataset))?;
    let usable = |tenant: &&Tenant| !unusable.contains_key(tenant.name.as_str());
    for tenant in store.tenants.iter().filter(usable) {
        let own = store.agreements.iter().chain(&store.others);
        let own = own.map(|agreement| agreement.name.as_str());
        let seen = own.filter(|agreement| tenant.sees(agreement));
        ledger.remember_tenant(tenant.name.as_str(), &plain_path(&tenant.dataset), seen)?;
    }
    Ok(())
}

/// Withdraws the current tables of tenants that are not configured any more, and those in a directory that is no longer
/// the tenant's. A disk that does not respond is asked again by the next run.
pub(super) fn withdraw(
    store: &Store,
    ledger: &Ledger,
    report: &mut RunReport,
) -> Result<(), Error> {
    let left = left_datasets(store, ledger)?;
    let questions = left.iter().map(|former| {
        let former = former.clone();
        move || -> Result<bool, Error> {
            let Some(dataset) = former.open() else {
                return Ok(false);
            };
            // Tables that were made for somebody else are not this tenant's to remove.
            if !dataset.has_generations()?
                || !Dataset::foreign_generations(&former.path, Some(&former.tenant))?.is_empty()
            {
                return Ok(false);
            }
            let _lock = dataset.lock()?;
            dataset.withdraw_current()?;
            Ok(true)
        }
    });
    let answers = ask_disks(DISK_TIMEOUT, questions);
    for (former, answer) in left.iter().zip(answers) {
        let (tenant, path) = (&former.tenant, &former.path);
        match answer {
            Some(Ok(false)) => {}
            Some(Ok(true)) => {
                tracing::warn!(
                    tenant,
                    dataset = %path.display(),
                    "the current tables were withdrawn: the configuration does not have this tenant in this directory"
                );
            }
            Some(Err(error)) => report.problems.push(problem(tenant, error)),
            None => {
                let error = Error::TenantStuck {
                    path: path.clone(),
                    seconds: DISK_TIMEOUT.as_secs(),
                };
                report.problems.push(problem(tenant, error));
            }
        }
    }
    for tenant in ledger.tenants_known()? {
        let mut configured = store.tenants.iter();
        let is_configured = configured.any(|own| own.name.as_str() == tenant);
        let place = AdoptedDataset::Tenant(&tenant);
        if let Some(known) = ledger.generation(place)?.filter(|known| known.is_current)
            && !is_configured
        {
            let withdrawn = Generation {
                is_current: false,
                ..known
            };
            ledger.set_generation(place, &withdrawn)?;
        }
    }
    Ok(())
}

fn problem(tenant: &str, error: Error) -> RunProblem {
    RunProblem {
        agreement: None,
        tenant: Some(tenant.to_owned()),
        error,
    }
}
