//! What an operator decides about the register.

use super::OperatorError;
use crate::config::{Configuration, Store};
use crate::error::Error;
use crate::fs::StateLock;
use crate::ledger::Ledger;
use crate::names::AgreementName;
use crate::register::Register;

/// Accepts that the register lacks the extracts of older deliveries of an agreement, or records of them, or that extracts are
/// gone or were changed. Returns the number of deliveries.
///
/// A new full load has every person again. Without one, the current tables lack persons.
pub fn accept_missing_extracts(
    configuration: &Configuration,
    agreement: &AgreementName,
) -> Result<u64, Error> {
    let has = |store: &&Store| store.agreements.iter().any(|one| one.name == *agreement);
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
    for kept in ledger.applied_extracts()? {
        if kept.agreement == agreement.as_str() && !register.has(&kept) {
            ledger.unkeep(kept.delivery)?;
        }
    }
    Ok(ledger.accept_missing_in_register(agreement.as_str())?)
}
