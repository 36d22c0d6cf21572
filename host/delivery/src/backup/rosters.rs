//! The rosters of tenants whose newest delivery came after the backup.
//!
//! Such a delivery is still in the tenant's dataset, and the next run adopts it. Without its roster, persons who leave the
//! tenant's scope in the delivery after it cannot be reported, so that nothing more is published to the tenant. The state
//! directory that is replaced has that roster.
//!
//! A roster is never made again from an extract. It depends on the policy, the list, the protections and the earlier
//! deliveries of that day, and not all of them are known after a restore. With too few persons, a leaver would stay in the
//! tenant's data. With too many, the tenant would be told the number of a person whom it never saw.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::config::Store;
use crate::dataset::Dataset;
use crate::error::Error;
use crate::ledger::Ledger;
use crate::tenant::rosters::Rosters;

/// Copies the rosters of the deliveries that tenants got after the backup. `replaced` is the state directory that is
/// replaced, `restored` is the ledger in the directory `into`, as the backup had it.
///
/// The files tell the deliveries, not the replaced ledger: after a restore that was killed or is repeated, that ledger does
/// not know them. A roster of a delivery that is not in the dataset is never read, and the next delivery of its number
/// replaces it. Persons who were erased after the backup are taken out by the next run, as out of the rosters of the backup.
pub(super) fn keep(
    store: &Store,
    replaced: &Path,
    into: &Path,
    restored: &Ledger,
) -> Result<(), Error> {
    for agreement in store.of_dataset() {
        let agreement = agreement.name.as_str();
        for tenant in store.tenants_of(agreement) {
            let tenant = tenant.name.as_str();
            let newest = restored.newest_tenant_sequence(tenant, agreement)?;
            let from = Rosters::new(replaced, tenant, agreement);
            let to = Rosters::new(into, tenant, agreement);
            // The directory may be replaced because it is damaged. What cannot be read counts as gone.
            let mut numbers = from.numbers().unwrap_or_default();
            numbers.retain(|number| newest.is_none_or(|newest| *number > newest));
            for number in numbers {
                if let Ok(Some(delivered)) = from.read_delivered(number) {
                    to.write_delivered(number, &delivered)?;
                }
                if let Ok(Some(before)) = from.read_before(number) {
                    to.write_before(number, &before)?;
                }
                if let Ok(Some(roster)) = from.read(number) {
                    to.write(number, &roster)?;
                }
            }
        }
    }
    Ok(())
}

/// Returns the agreements, by tenant, whose newest delivery in the tenant's dataset is not known to the restored state
/// directory and has no roster there.
pub(super) fn missing(store: &Store) -> Result<BTreeMap<String, BTreeSet<String>>, Error> {
    let mut missing: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let Some(ledger) = Ledger::open_to_read(&store.state)? else {
        return Ok(missing);
    };
    for tenant in &store.tenants {
        let name = tenant.name.as_str();
        let Some(dataset) = Dataset::at(&tenant.dataset) else {
            continue;
        };
        // A dataset that cannot be read is named by the next run.
        let Ok(published) = Dataset::delivery_names(&tenant.dataset) else {
            continue;
        };
        let known = ledger.tenant_directories(name)?;
        let mut newest: BTreeMap<&str, u64> = BTreeMap::new();
        for (agreement, directory) in published.difference(&known) {
            if !store
                .agreements
                .iter()
                .any(|one| one.name.as_str() == agreement)
                || !tenant.sees(agreement)
            {
                continue;
            }
            if let Ok(Some(manifest)) = dataset.manifest(agreement, directory) {
                let number = newest.entry(agreement.as_str()).or_default();
                *number = manifest.sequence.max(*number);
            }
        }
        for (agreement, number) in newest {
            let of_ledger = ledger.newest_tenant_sequence(name, agreement)?;
            let is_newer = of_ledger.is_none_or(|newest| number > newest);
            let rosters = Rosters::new(&store.state, name, agreement);
            if is_newer && !rosters.path(number).is_file() {
                let of_tenant = missing.entry(name.to_owned()).or_default();
                of_tenant.insert(agreement.to_owned());
            }
        }
    }
    Ok(missing)
}
