//! An erasure that is not complete, and what stops it, for the person who has to end it.

use std::fmt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;

use super::foreign;
use super::order::{ErasedSubject, Order};
use super::{open_rewritings, waits_for};
use crate::calendar::danish_time;
use crate::config::Store;
use crate::dataset::CheckDepth;
use crate::error::Error;
use crate::integrity::damaged_extracts;
use crate::ledger::{AdoptedDataset, Ledger};
use crate::sync::{RunProblem, SyncError};

/// An erasure that is not complete. It displays as a text for a person. It has no person number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PendingErasure {
    /// The state directory that has the order.
    pub state: PathBuf,
    /// What is erased: `persons`, `agreement` or `tenant` with its name; `unknown` if the order cannot be read.
    pub subject: String,
    /// The time at which it was ordered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ordered: Option<Timestamp>,
    /// What stops it, and how to end that. Empty if the next run continues it.
    pub stopped_by: Vec<String>,
}

impl fmt::Display for PendingErasure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the erasure of {}", self.subject)?;
        if let Some(ordered) = self.ordered {
            write!(f, " that was ordered on {}", danish_time(ordered).date())?;
        }
        write!(f, " is not complete")?;
        match self.stopped_by.as_slice() {
            [] => write!(f, ". The next `cprflow sync` continues it"),
            [only] => write!(f, ": {only}"),
            all => {
                write!(f, ". {} things stop it:", all.len())?;
                for (index, one) in all.iter().enumerate() {
                    write!(f, " ({}) {one}", index + 1)?;
                }
                Ok(())
            }
        }
    }
}

impl PendingErasure {
    /// Adds the problems of a run, as far as they are not known.
    pub(crate) fn add_problems(&mut self, problems: &[RunProblem]) {
        for problem in problems {
            let error = problem.error.to_string();
            if !self.stopped_by.iter().any(|known| known.contains(&error)) {
                self.stopped_by.push(problem.to_string());
            }
        }
    }
}

/// Returns the erasure of a store that is not complete, if there is one. `depth` says how thoroughly kept extracts are
/// compared with what was written. Changes nothing.
pub fn pending(
    store: &Store,
    ledger: &Ledger,
    depth: CheckDepth,
) -> Result<Option<PendingErasure>, Error> {
    let order = match Order::read(&store.state) {
        Ok(None) => return Ok(None),
        Ok(Some(order)) => order,
        Err(error) => {
            return Ok(Some(PendingErasure {
                state: store.state.clone(),
                subject: "unknown".to_owned(),
                ordered: None,
                stopped_by: vec![error.to_string()],
            }));
        }
    };
    Ok(Some(PendingErasure {
        state: store.state.clone(),
        subject: match &order.subject {
            ErasedSubject::Numbers(_) => "persons".to_owned(),
            ErasedSubject::Agreement(name) => format!("agreement {name}"),
            ErasedSubject::Tenant(name) => format!("tenant {name}"),
        },
        ordered: Some(order.ordered),
        stopped_by: obstacles(store, ledger, &order, depth)?,
    }))
}

/// Returns what stops an order.
fn obstacles(
    store: &Store,
    ledger: &Ledger,
    order: &Order,
    depth: CheckDepth,
) -> Result<Vec<String>, Error> {
    let mut found = Vec::new();
    let waiting = waits_for(store, ledger, order)?;
    for empty in &waiting {
        let error = SyncError::ErasureWaits {
            path: empty.path.clone(),
            deliveries: empty.deliveries.len(),
        };
        found.push(error.to_string());
    }
    match foreign::check(store, ledger, &order.subject) {
        Err(Error::Erase(error)) => found.push(error.to_string()),
        checked => checked?,
    }
    if matches!(order.subject, ErasedSubject::Numbers(_)) {
        found.extend(damage(&store.state, ledger, depth)?);
    }
    let tenants = store
        .tenants
        .iter()
        .map(|tenant| Some(tenant.name.as_str()));
    for tenant in std::iter::once(None).chain(tenants) {
        if waiting
            .iter()
            .any(|empty| empty.tenant.as_deref() == tenant)
        {
            continue;
        }
        found.extend(obstacle_of(ledger, tenant)?);
    }
    Ok(found)
}

/// Names kept extracts that are gone or were changed, by their agreements.
fn damage(state: &Path, ledger: &Ledger, depth: CheckDepth) -> Result<Vec<String>, Error> {
    let extracts = ledger.kept_extracts()?;
    let files = damaged_extracts(state, &extracts, depth);
    let mut texts = Vec::new();
    for file in files {
        let mut kept = extracts.iter();
        let Some(kept) = kept.find(|kept| kept.file == file) else {
            continue;
        };
        let agreement = &kept.agreement;
        texts.push(format!(
            "the register's extract {file} of agreement {agreement} is gone or was changed, so nothing is erased from it. \
             Restore it from a backup. Without a backup, accept the loss with `cprflow register accept-missing {agreement}`, \
             after a new full load, or with --without-full-load"
        ));
    }
    Ok(texts)
}

/// Names what stops an order in one dataset: deliveries that are to be made again, and current tables that cannot be made.
fn obstacle_of(ledger: &Ledger, tenant: Option<&str>) -> Result<Option<String>, Error> {
    let open = open_rewritings(ledger, tenant)?;
    let (of, place) = match tenant {
        Some(name) => (format!("tenant {name}"), AdoptedDataset::Tenant(name)),
        None => (
            "the unrestricted dataset".to_owned(),
            AdoptedDataset::Dataset,
        ),
    };
    let failure = ledger.current_failure(place)?;
    Ok(match (open, failure, tenant) {
        (0, None, _) => None,
        (0, Some(failure), _) => Some(format!("{of}: {failure}")),
        (open, Some(failure), _) => Some(format!(
            "{of}: {open} deliveries are to be made again or removed, and that waits: {failure}"
        )),
        (open, None, Some(name)) => Some(format!(
            "{of}: {open} deliveries are to be made again or removed. `cprflow tenant check {name}` says whether the tenant \
             can receive them, and the next `cprflow sync` continues"
        )),
        (open, None, None) => Some(format!(
            "{of}: {open} deliveries are to be made again or removed. The next `cprflow sync` continues"
        )),
    })
}
