//! Chooses the state directory of each dataset. A ledger that already exists stays where it is.

use std::collections::BTreeSet;
use std::path::Path;

use super::error::ConfigurationError;
use super::store::{Store, state_name};
use crate::error::Error;
use crate::ledger::Ledger;
use crate::subscription;

/// Sets the state directories of all stores. A single store has its state in `directory` itself; each of several stores
/// has its own directory below it.
///
/// A store that was the only one keeps its place when others are added, and one of several keeps its place when the
/// others are removed. At another place it would start without its ledger, its spool and its rosters.
pub(super) fn place(stores: &mut [Store], directory: &Path) -> Result<(), Error> {
    let is_only = stores.len() == 1;
    let has_own = |store: &Store| {
        let own = directory.join(state_name(&store.dataset));
        Ledger::is_in(&own) || has_subscriptions(store, &own)
    };
    let owner = match is_only {
        true => None,
        false => owner(stores, directory, has_own)?,
    };
    for (index, store) in stores.iter_mut().enumerate() {
        let is_here = (is_only && !has_own(store)) || owner == Some(index);
        store.state = match is_here {
            true => directory.to_owned(),
            false => directory.join(state_name(&store.dataset)),
        };
    }
    Ok(())
}

/// Returns the index of the store whose ledger is in the directory itself. The agreements in the ledger decide.
fn owner(
    stores: &[Store],
    directory: &Path,
    has_own: impl Fn(&Store) -> bool,
) -> Result<Option<usize>, Error> {
    let known = match Ledger::open_to_read(directory)? {
        Some(ledger) => ledger.agreements()?,
        None => BTreeSet::new(),
    };
    let is_known = |store: &Store| {
        let mut names = store.agreements.iter().map(|one| one.name.as_str());
        let is_here = names.any(|name| known.contains(name)) || has_subscriptions(store, directory);
        is_here && !has_own(store)
    };
    let all = stores.iter().enumerate();
    let owners: Vec<_> = all.filter(|(_, store)| is_known(store)).collect();
    match owners.as_slice() {
        [] => Ok(None),
        [(index, _)] => Ok(Some(*index)),
        [(_, first), ..] => Err(ConfigurationError::SharedLedger {
            state: directory.to_owned(),
            datasets: owners.len(),
            example: directory.join(state_name(&first.dataset)),
        }
        .into()),
    }
}

/// Returns whether a directory has the state of a subscription of one of the store's agreements.
fn has_subscriptions(store: &Store, directory: &Path) -> bool {
    let mut agreements = store.agreements.iter();
    agreements.any(|agreement| subscription::directory(directory, &agreement.name).is_dir())
}
