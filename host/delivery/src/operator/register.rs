//! What an operator decides about the register.

use std::collections::BTreeSet;

use super::OperatorError;
use crate::config::{Configuration, Store};
use crate::error::Error;
use crate::fs::{StateLock, remove_file};
use crate::ledger::Ledger;
use crate::names::AgreementName;
use crate::register::Register;

/// Accepts that the register lacks the extracts of older deliveries of an agreement, or records of them, or that extracts are
/// gone or were changed. Returns the number of deliveries.
///
/// A new full load has every person again. Without one, the current tables lack persons and protections, so this fails
/// unless `without_full_load` says that they may. An agreement that has ended gets no full load any more.
pub fn accept_missing_extracts(
    configuration: &Configuration,
    agreement: &AgreementName,
    without_full_load: bool,
) -> Result<u64, Error> {
    let has = |store: &&Store| {
        store.agreements.iter().any(|one| one.name == *agreement)
            || store.ended.contains(agreement)
                && Ledger::open_to_read(&store.state).is_ok_and(|ledger| {
                    ledger.is_some_and(|ledger| has_agreement(&ledger, agreement))
                })
    };
    let Some(store) = configuration.stores.iter().find(has) else {
        let name = agreement.clone();
        return Err(OperatorError::NotConfigured { name }.into());
    };
    if !Ledger::is_in(&store.state) {
        return Ok(0);
    }
    let _lock = StateLock::take(&store.state)?;
    let mut ledger = Ledger::open(&store.state)?;
    let register = Register::of(&store.state);
    let applied: BTreeSet<i64> = ledger
        .applied_extracts()?
        .iter()
        .map(|kept| kept.delivery)
        .collect();
    let mut extracts = ledger.kept_extracts()?;
    extracts.retain(|kept| kept.agreement == agreement.as_str());
    let (mut whole, mut gone, mut not_applied) = (Vec::new(), Vec::new(), Vec::new());
    for kept in extracts {
        match (register.is_whole(&kept)?, applied.contains(&kept.delivery)) {
            (true, true) => whole.push(kept),
            (false, true) => gone.push(kept),
            // The current tables do not need it.
            (false, false) => not_applied.push(kept),
            (true, false) => {}
        }
    }
    let without_extract = ledger.missing_in_register()?.into_iter();
    let without_extract = without_extract
        .filter(|record| record.agreement == agreement.as_str())
        .filter_map(|record| record.sequence);
    let incomplete = whole.iter().filter(|kept| kept.incomplete.is_some());
    let newest_gap = without_extract
        .chain(gone.iter().chain(incomplete).map(|kept| kept.sequence))
        .max();
    if let (Some(newest_gap), false) = (newest_gap, without_full_load) {
        let mut is_replaced = false;
        for kept in whole {
            let record = ledger.delivery(kept.delivery)?;
            let is_load = record.is_some_and(|record| record.counts.looks_like_load());
            is_replaced |= is_load && kept.sequence > newest_gap && kept.incomplete.is_none();
        }
        if !is_replaced {
            return Err(OperatorError::NoFullLoad {
                agreement: agreement.to_string(),
            }
            .into());
        }
    }
    for kept in gone.iter().chain(&not_applied) {
        // First: a file that the ledger does not know would be added to it again.
        remove_file(&register.path(kept))?;
        crate::failpoint::reached("damaged-removed");
        ledger.unkeep(kept.delivery)?;
    }
    Ok(ledger.accept_missing_in_register(agreement.as_str())?)
}

fn has_agreement(ledger: &Ledger, agreement: &AgreementName) -> bool {
    let agreements = ledger.delivered_agreements().unwrap_or_default();
    agreements.iter().any(|one| one == agreement.as_str())
}
