//! Where each dataset has its state: a ledger that is there already stays where it is.

use std::collections::BTreeSet;
use std::path::Path;

use super::{Store, store_name};
use crate::error::Error;
use crate::ledger::Ledger;
use crate::subscriber;

/// Puts the state of the stores into a directory: that of the only one in the directory itself, of several each in one
/// of its own below it.
///
/// Whoever was the only one keeps its place when others come, and whoever was one of several when the others go:
/// elsewhere it would begin anew, without what was set aside, spooled and told to tenants.
pub(super) fn place(stores: &mut [Store], directory: &Path) -> Result<(), Error> {
    let is_only = stores.len() == 1;
    let has_own = |store: &Store| {
        let own = directory.join(store_name(&store.dataset));
        Ledger::is_in(&own) || has_subscriptions(store, &own)
    };
    let owner = match is_only {
        true => None,
        false => owner(stores, directory, has_own)?,
    };
    for (number, store) in stores.iter_mut().enumerate() {
        let is_here = (is_only && !has_own(store)) || owner == Some(number);
        store.state = match is_here {
            true => directory.to_owned(),
            false => directory.join(store_name(&store.dataset)),
        };
    }
    Ok(())
}

/// The store, of several, whose ledger stands in the directory itself, by the agreements that it knows.
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
        [(number, _)] => Ok(Some(*number)),
        [(_, first), ..] => Err(Error::Request(format!(
            "the ledger in {} is of agreements that are now published in {} datasets: say which of these goes on with \
             it. Make the directory {} (or that of another: its dataset's name and the digest of its path), and move \
             everything that is not such a directory there",
            directory.display(),
            owners.len(),
            directory.join(store_name(&first.dataset)).display()
        ))),
    }
}

/// Whether a directory has what is known of a subscription of the store's agreements.
fn has_subscriptions(store: &Store, directory: &Path) -> bool {
    let mut agreements = store.agreements.iter();
    agreements.any(|agreement| subscriber::directory(directory, &agreement.name).is_dir())
}
