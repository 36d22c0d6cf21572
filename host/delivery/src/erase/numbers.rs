//! All numbers of the persons who are erased: a person may have had other numbers before.

use std::collections::{BTreeMap, BTreeSet};

use super::extracts::{State, applied};
use crate::config::Configuration;
use crate::error::Error;
use crate::ledger::Ledger;
use crate::register::Register;
use cprflow::{Connector, Pnr, StateScan};

/// Returns these numbers and all other numbers of the same persons, as far as the register tells.
pub(super) fn all_of(
    connector: &Connector,
    configuration: &Configuration,
    numbers: &BTreeSet<Pnr>,
) -> Result<BTreeSet<Pnr>, Error> {
    let mut all = numbers.clone();
    loop {
        let before = all.len();
        for store in &configuration.stores {
            let Some(ledger) = Ledger::open_to_read(&store.state)? else {
                continue;
            };
            // A newer record of another agreement tells nothing of the numbers that an agreement ties.
            let mut agreements: BTreeMap<String, Vec<_>> = BTreeMap::new();
            for kept in applied(store, &ledger)? {
                agreements
                    .entry(kept.agreement.clone())
                    .or_default()
                    .push(kept);
            }
            for extracts in agreements.into_values() {
                let state = State::new(&Register::of(&store.state), extracts);
                let mut survey = StateScan::new(connector).survey(state.places(), state.open())?;
                let known: Vec<Pnr> = all.iter().copied().collect();
                all.extend(survey.tied_numbers(&known)?);
            }
        }
        if all.len() == before {
            return Ok(all);
        }
    }
}
