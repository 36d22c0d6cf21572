//! Reads the register: the state of its extracts on a day, as an extract or as tables, and what is kept of persons.
//!
//! | module | contents |
//! |---|---|
//! | `error` | [`RegisterStateError`] |
//! | `export` | writes the state as one extract |
//! | `show` | finds everything that is kept of persons (GDPR, article 15) |
//! | `scope` | what counts of a person now, and since when a tenant may see it |
//! | `stored` | the files and directories with data of persons, and what could not be searched |
//! | `reconcile` | lists the persons whom a new full load does not have |
//! | this file | the extracts of a state |

mod error;
mod export;
mod reconcile;
mod scope;
mod show;
mod stored;

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::path::Path;

use jiff::civil::Date;

use crate::config::{Configuration, ConfigurationError, Store};
use crate::error::Error;
use crate::fs::private_file;
use crate::ledger::{KeptExtract, Ledger};
use crate::pnr_list::read_list;
use crate::register::{Register, open_file};
use cprflow::{ExtractPlace, Pnr};

pub use error::RegisterStateError;
pub use export::{ExportedState, export_register};
pub use reconcile::{Reconciliation, reconcile};
pub use show::{PersonReport, RegisterReport, StoredDelivery, TenantScope, show_persons};

/// The extracts whose state is read.
#[derive(Debug, Clone)]
pub struct RegisterState {
    register: Register,
    /// The extracts, newest first.
    extracts: Vec<KeptExtract>,
}

impl RegisterState {
    /// Returns the state of an agreement, or of all agreements of the only dataset, at the end of a day. Without a day, it is
    /// the state now. An agreement can have ended.
    ///
    /// Fails if the register lacks extracts, or records of that day because they were replaced and left out since.
    pub fn open(
        configuration: &Configuration,
        agreement: Option<&str>,
        as_of: Option<Date>,
    ) -> Result<Self, Error> {
        let (store, ledger) = find_store(configuration, agreement)?;
        let register = Register::of(&store.state);
        let mut extracts = ledger.applied_extracts()?;
        extracts.retain(|kept| agreement.is_none_or(|name| kept.agreement == name));
        let mut missing = ledger.missing_in_register()?;
        missing.retain(|record| agreement.is_none_or(|name| record.agreement == name));
        if let Some(first) = missing.first() {
            return Err(RegisterStateError::ExtractsMissing {
                agreement: first.agreement.clone(),
                deliveries: missing.len(),
            }
            .into());
        }
        if let Some(gone) = extracts.iter().find(|kept| !register.has(kept)) {
            return Err(RegisterStateError::ExtractChanged {
                agreement: gone.agreement.clone(),
                file: gone.file.clone(),
            }
            .into());
        }
        if let Some(as_of) = as_of {
            let day = as_of.to_string();
            let (kept, newer): (Vec<_>, Vec<_>) = extracts
                .into_iter()
                .partition(|kept| kept.production_date <= day);
            check_history(&ledger, &kept, &newer, &day)?;
            extracts = kept;
        }
        if extracts.is_empty() {
            return Err(RegisterStateError::Empty.into());
        }
        extracts.reverse();
        Ok(Self { register, extracts })
    }

    /// Returns the places of the extracts, newest first.
    pub fn places(&self) -> Vec<ExtractPlace> {
        self.extracts.iter().map(place).collect()
    }

    /// Returns the newest production date, `YYYY-MM-DD`.
    pub fn newest(&self) -> &str {
        let newest = self.extracts.first();
        newest.map_or("", |newest| &newest.production_date)
    }

    /// Returns the function that opens an extract.
    pub fn opener(
        &self,
    ) -> impl FnMut(&ExtractPlace) -> io::Result<Box<dyn Read + Send>> + Send + 'static + use<>
    {
        let extracts = self.extracts.iter();
        let paths: Vec<_> = extracts
            .map(|kept| (place(kept), self.register.path(kept)))
            .collect();
        move |wanted| {
            let found = paths.iter().find(|(place, _)| place == wanted);
            let (_, path) = found.ok_or(io::ErrorKind::NotFound)?;
            Ok(Box::new(open_file(path)?))
        }
    }
}

/// Reads a file with one person number on each line. Fails if others than its owner can read it.
pub fn read_numbers(path: &Path) -> Result<BTreeSet<Pnr>, Error> {
    let file = private_file(path, "person numbers")?;
    let path = path.to_owned();
    let numbers = read_list(file).map_err(|error| ConfigurationError::PnrList { path, error });
    Ok(numbers?)
}

fn place(kept: &KeptExtract) -> ExtractPlace {
    ExtractPlace {
        production_date: kept.production_date.clone(),
        sequence: kept.sequence,
        agreement: kept.agreement.clone(),
    }
}

/// Returns the store and its ledger. With an agreement, the ledger must have deliveries of it.
fn find_store<'a>(
    configuration: &'a Configuration,
    agreement: Option<&str>,
) -> Result<(&'a Store, Ledger), Error> {
    for store in &configuration.stores {
        let Some(ledger) = Ledger::open_to_read(&store.state)? else {
            continue;
        };
        let delivered = ledger.delivered_agreements()?;
        if agreement.is_none_or(|name| delivered.iter().any(|own| own == name)) {
            return Ok((store, ledger));
        }
    }
    Err(match agreement {
        Some(name) => RegisterStateError::UnknownAgreement {
            name: cprflow_redact::redact(name, 100),
        },
        None => RegisterStateError::Empty,
    }
    .into())
}

/// Fails if records that counted on the day were left out since, because a newer extract replaced them.
fn check_history(
    ledger: &Ledger,
    kept: &[KeptExtract],
    newer: &[KeptExtract],
    day: &str,
) -> Result<(), Error> {
    let rewritten = kept.iter().filter(|kept| kept.is_rewritten());
    let Some(last) = rewritten.map(|kept| kept.kept).max() else {
        return Ok(());
    };
    let mut earliest: Option<&str> = None;
    for newer in newer {
        let record = ledger.delivery(newer.delivery)?;
        let published = record.and_then(|record| record.published);
        if published.is_none_or(|published| published <= last) {
            earliest = earliest.max(Some(&newer.production_date));
        }
    }
    match earliest {
        None => Ok(()),
        Some(earliest) => Err(RegisterStateError::HistoryGone {
            day: day.to_owned(),
            earliest: earliest.to_owned(),
        }
        .into()),
    }
}
