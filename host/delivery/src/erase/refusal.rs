//! When an erasure is refused: CPR would deliver the persons again, or it is not known what was published.

use std::collections::BTreeSet;

use super::EraseError;
use super::extracts::{State, applied, column};
use crate::config::{Configuration, Store};
use crate::error::Error;
use crate::fs::entries;
use crate::integrity::has_no_tables;
use crate::ledger::Ledger;
use crate::names::AgreementName;
use crate::register::{self, Register};
use crate::subscription::list_file;
use cprflow::{Connector, Pnr, StateScan};

/// Fails if a store has no ledger and something was published from it: nothing would be found, and everything left.
pub(super) fn check_ledger(store: &Store) -> Result<(), Error> {
    let datasets = store.tenants.iter().map(|tenant| &tenant.dataset);
    let mut datasets = datasets.chain([&store.dataset]);
    let has_data = !entries(&store.state.join(register::DIRECTORY))?.is_empty()
        || datasets.any(|dataset| !has_no_tables(dataset));
    match has_data && !Ledger::is_in(&store.state) {
        true => Err(EraseError::NoLedger {
            state: store.state.clone(),
        }
        .into()),
        false => Ok(()),
    }
}

/// Fails if persons may still be subscribed. The list of a subscription counts always. What else the filters of the
/// subscription bring is only known to the platform, so a person counts as subscribed until a receipt (997) ends that,
/// unless the operator knows better.
pub(super) fn check_subscriptions(
    connector: &Connector,
    configuration: &Configuration,
    numbers: &BTreeSet<Pnr>,
    is_unsubscribed: bool,
) -> Result<(), Error> {
    for agreement in configuration.agreements() {
        let settings = agreement.subscription.as_ref();
        let Some(path) = settings.and_then(|settings| settings.pnr_file.as_ref()) else {
            continue;
        };
        let listed = list_file(path)?;
        let count = listed.intersection(numbers).count();
        if count > 0 {
            return Err(EraseError::Listed {
                agreement: agreement.name.to_string(),
                path: path.clone(),
                count,
            }
            .into());
        }
    }
    if is_unsubscribed {
        return Ok(());
    }
    for store in &configuration.stores {
        let Some(ledger) = Ledger::open_to_read(&store.state)? else {
            continue;
        };
        for agreement in &store.agreements {
            let mut extracts = applied(store, &ledger)?;
            extracts.retain(|kept| kept.agreement == agreement.name.as_str());
            if extracts.is_empty() {
                continue;
            }
            let state = State::new(&Register::of(&store.state), extracts);
            let rows = StateScan::new(connector)
                .table("person")
                .columns(["pnr"])
                .read(state.places(), state.open())?;
            let mut subscribed = BTreeSet::new();
            for batch in rows {
                let batch = batch?.batch;
                subscribed.extend(column(&batch).filter(|number| numbers.contains(number)));
            }
            if !subscribed.is_empty() {
                return Err(EraseError::Subscribed {
                    agreement: agreement.name.to_string(),
                    count: subscribed.len(),
                }
                .into());
            }
        }
    }
    Ok(())
}

/// Fails unless an agreement has ended.
pub(super) fn check_agreement(
    configuration: &Configuration,
    name: &AgreementName,
) -> Result<(), EraseError> {
    let agreement = name.to_string();
    if configuration.agreements().any(|one| one.name == *name) {
        return Err(EraseError::AgreementConfigured { agreement });
    }
    let mut stores = configuration.stores.iter();
    match stores.any(|store| store.ended.contains(name)) {
        true => Ok(()),
        false => Err(EraseError::AgreementUnknown { agreement }),
    }
}
