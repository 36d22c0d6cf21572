//! Datasets that have nothing of what was published in them: their disks may not be mounted, or they are lost.
//!
//! Deliveries of every agreement count: also of those that have ended, and those that are being made again. So an erasure
//! waits for exactly those datasets whose loss a person can accept.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::Store;
use crate::dataset::Dataset;
use crate::error::Error;
use crate::fs::ask_disks;
use crate::integrity::{GONE, has_no_tables};
use crate::ledger::{Ledger, Reason, TenantDeliveryState};
use crate::tenant::former::left_datasets;
use cprflow_transport::redacted_name;

/// The time in which a disk must say whether it has tables.
const DISK_TIMEOUT: Duration = Duration::from_secs(30);

/// A delivery that must be in a dataset, as the ledger knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LedgerDelivery {
    /// The row ID.
    pub(crate) id: i64,
    pub(crate) agreement: String,
    /// The name of the directory.
    pub(crate) directory: String,
}

/// A dataset without tables, in which deliveries must be.
#[derive(Debug, Clone)]
pub(crate) struct EmptyDataset {
    /// The tenant whose dataset it is; `None` for the unrestricted dataset.
    pub(crate) tenant: Option<String>,
    /// Whether the configuration has the dataset. It does not have those of tenants that were removed from it.
    pub(crate) is_configured: bool,
    pub(crate) path: PathBuf,
    /// Whether its disk responded in time. If not, it is not known whether the dataset has tables.
    pub(crate) has_responded: bool,
    pub(crate) deliveries: Vec<LedgerDelivery>,
}

/// Displays in words that the dataset is not there.
impl fmt::Display for EmptyDataset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the dataset {}", self.path.display())?;
        if let Some(tenant) = &self.tenant {
            write!(f, " of tenant {tenant}")?;
        }
        if !self.has_responded {
            return f.write_str(": its disk does not respond");
        }
        let only = match (&self.tenant, self.is_configured) {
            (Some(tenant), false) => format!(" --tenant {tenant}"),
            _ => String::new(),
        };
        write!(
            f,
            ": it has no tables, although {} deliveries were published there. Its disk may not be mounted. If the dataset is lost, \
             accept that with `cprflow set-aside --gone{only} --reason TEXT`",
            self.deliveries.len()
        )
    }
}

/// Returns the deliveries that must be in a dataset: those that were published there, were not removed, and whose loss no
/// person has accepted.
fn expected(ledger: &Ledger, tenant: Option<&str>) -> Result<Vec<LedgerDelivery>, Error> {
    let is_accepted =
        |reason: &Option<Reason>| reason.as_ref().is_some_and(|reason| reason.code == GONE);
    let mut expected = Vec::new();
    let Some(tenant) = tenant else {
        for record in ledger.all()? {
            let is_there = record.state.is_published()
                && record.expired.is_none()
                && !is_accepted(&record.reason);
            if let (true, Some(directory)) = (is_there, record.directory) {
                expected.push(LedgerDelivery {
                    id: record.id,
                    agreement: record.agreement,
                    directory,
                });
            }
        }
        return Ok(expected);
    };
    for share in ledger.tenant_deliveries()? {
        let is_there = share.tenant == tenant
            && share.state == TenantDeliveryState::Published
            && share.expired.is_none()
            && !is_accepted(&share.reason);
        if let (true, Some(directory)) = (is_there, share.directory) {
            expected.push(LedgerDelivery {
                id: share.delivery,
                agreement: share.agreement,
                directory,
            });
        }
    }
    Ok(expected)
}

/// Returns the datasets that have no tables, or whose disks do not respond, although deliveries must be in them.
pub(crate) fn empty_datasets(store: &Store, ledger: &Ledger) -> Result<Vec<EmptyDataset>, Error> {
    let mut places = vec![(None, true, vec![store.dataset.clone()])];
    for tenant in &store.tenants {
        places.push((
            Some(tenant.name.to_string()),
            true,
            vec![tenant.dataset.clone()],
        ));
    }
    // A tenant that was removed from the configuration can have had several directories. One of them has its data.
    let mut former: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for left in left_datasets(store, ledger)? {
        let mut tenants = store.tenants.iter();
        if !tenants.any(|tenant| tenant.name.as_str() == left.tenant) {
            former.entry(left.tenant).or_default().push(left.path);
        }
    }
    let former = former.into_iter();
    places.extend(former.map(|(tenant, paths)| (Some(tenant), false, paths)));
    let mut wanted = Vec::new();
    for (tenant, is_configured, paths) in places {
        let deliveries = expected(ledger, tenant.as_deref())?;
        if !deliveries.is_empty() {
            wanted.push((tenant, is_configured, paths, deliveries));
        }
    }
    let questions = wanted.iter().map(|(_, _, paths, _)| {
        let paths = paths.clone();
        move || paths.iter().all(|path| has_no_tables(path))
    });
    let answers = ask_disks(DISK_TIMEOUT, questions);
    let mut empty = Vec::new();
    for ((tenant, is_configured, paths, deliveries), answer) in wanted.into_iter().zip(answers) {
        if answer != Some(false) {
            empty.push(EmptyDataset {
                tenant,
                is_configured,
                path: paths.into_iter().next().unwrap_or_default(),
                has_responded: answer.is_some(),
                deliveries,
            });
        }
    }
    Ok(empty)
}

/// Returns, in words, the agreements with deliveries in the datasets that neither the configuration nor the ledger has there.
/// No run looks at them: they can be left of a rename while the dataset was not there, or of a backup that was put back.
pub fn left_agreements(store: &Store, ledger: &Ledger) -> Result<Vec<String>, Error> {
    let mut places = vec![(store.dataset.clone(), ledger.directories()?)];
    for tenant in &store.tenants {
        let known = ledger.tenant_directories(tenant.name.as_str())?;
        places.push((tenant.dataset.clone(), known));
    }
    let questions = places.iter().map(|(path, _)| {
        let path = path.clone();
        move || Dataset::delivery_names(&path)
    });
    let answers = ask_disks(DISK_TIMEOUT, questions);
    let mut left = Vec::new();
    for ((path, known), answer) in places.iter().zip(answers) {
        // A disk that does not respond, and a dataset that cannot be read, are reported elsewhere.
        let Some(Ok(found)) = answer else {
            continue;
        };
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for (agreement, directory) in found {
            let mut configured = store.of_dataset();
            let is_configured = configured.any(|own| own.name.as_str() == agreement);
            if !is_configured && !known.contains(&(agreement.clone(), directory)) {
                *counts.entry(agreement).or_default() += 1;
            }
        }
        for (agreement, count) in counts {
            let agreement = redacted_name(&agreement);
            left.push(format!(
                "the dataset {} has {count} deliveries of an agreement {agreement} that neither the configuration nor the \
                 ledger has there: they can show what is hidden or erased. If the agreement has a new name, run `cprflow \
                 agreement rename {agreement} NEW`. Otherwise delete the directory agreement={agreement}",
                path.display()
            ));
        }
    }
    Ok(left)
}
