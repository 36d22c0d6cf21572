//! Makes the current tables of the unrestricted dataset during a run.

use std::sync::Arc;

use jiff::Timestamp;

use super::report::MadeCurrent;
use crate::agreement::Agreement;
use crate::config::Store;
use crate::current::{CurrentTables, Inputs, Purposes, withdraw};
use crate::dataset::Dataset;
use crate::error::Error;
use crate::ledger::{AdoptedDataset, Ledger};
use crate::stop::Stop;
use cprflow::Connector;

/// Makes a new generation of current tables, if one is needed. Withdraws them if they are not published.
pub(super) fn make(
    connector: &Connector,
    store: &Store,
    dataset: &Dataset,
    ledger: &Ledger,
    stop: &Stop,
    may_show_erased: bool,
    now: Timestamp,
) -> Result<Option<MadeCurrent>, Error> {
    dataset.write_codes(connector)?;
    if !store.publish.current {
        if dataset.has_generations()? {
            withdraw(dataset, ledger, AdoptedDataset::Dataset, None)?;
        }
        return Ok(None);
    }
    let is_unrestricted = |agreement: &&Agreement| agreement.unrestricted.is_some();
    let shows_church = !store
        .of_dataset()
        .filter(is_unrestricted)
        .any(Agreement::lacks_church_purpose);
    let rules = serde_json::json!({ "component": connector.sha256(), "church": shows_church });
    let inputs = Inputs::of_dataset(store, ledger, &rules)?;
    let is_used = |agreement: &&Agreement| {
        let mut extracts = inputs.extracts.iter();
        is_unrestricted(agreement)
            && extracts.any(|(_, kept)| kept.agreement == agreement.name.as_str())
    };
    let used: Vec<_> = store.of_dataset().filter(is_used).collect();
    let texts = |text: fn(&Agreement) -> Option<&String>| {
        let texts = used.iter().filter_map(|agreement| text(agreement));
        texts.cloned().collect()
    };
    crate::failpoint::reached("current-dataset");
    let stop = stop.clone();
    let tables = CurrentTables {
        connector,
        dataset,
        home: &store.state,
        sources: &[],
        is_clock_accepted: store.accept_clock,
        tenant: None,
        purposes: Purposes {
            purposes: texts(|agreement| agreement.unrestricted.as_ref()),
            legal_bases: texts(|agreement| agreement.legal_basis.as_ref()),
            church_purposes: texts(|agreement| agreement.church_purpose.as_ref()),
        },
        shows_church,
        now,
        may_show_erased,
        check: Arc::new(move || stop.check()),
    };
    let made = tables.update(ledger, &inputs)?;
    Ok(made.map(|generation| MadeCurrent {
        tenant: None,
        dataset: store.dataset.clone(),
        generation,
    }))
}
