//! Keeps what was erased after a backup: a backup must not bring erased persons back.

use std::fs;
use std::path::Path;

use super::BackupError;
use crate::erase::{ORDER_FILE, PROOF_FILE, known, list, protections};
use crate::error::Error;
use crate::ledger::Ledger;

/// Adds the erasures of one state directory to those of another one, which a backup had. Returns whether there were any.
pub(super) fn keep(from: &Path, into: &Path) -> Result<bool, Error> {
    if !known::merge::<Error>(from, into)? {
        return Ok(false);
    }
    keep_rest(from, into)?;
    Ok(true)
}

/// Keeps what belongs to erasures beside the list.
fn keep_rest(from: &Path, into: &Path) -> Result<(), Error> {
    protections::merge(from, into)?;
    // The proofs of a directory are those that its backups have, and later ones. An order that was not finished goes on.
    for name in [PROOF_FILE, ORDER_FILE] {
        let source = from.join(name);
        if source.is_file() {
            fs::copy(&source, into.join(name)).map_err(Error::file(source))?;
        }
    }
    Ok(())
}

/// Adds the erasures of the state directory that is replaced. If its list is lost, the restored one must name everybody whom
/// its ledger knows to be erased.
pub(super) fn keep_of_replaced(state: &Path, into: &Path) -> Result<bool, Error> {
    let Some(ledger) = Ledger::open_to_read(state)? else {
        return keep(state, into);
    };
    match list::check(state, &ledger) {
        Ok(()) => return keep(state, into),
        Err(error) if list::is_lost(&error) => {}
        Err(error) => return Err(error),
    }
    // A list only grows, so one with as many lines is the same one.
    let named = list::count(into)?;
    let is_whole = list::count_applied(&ledger)?.is_some_and(|known| named >= known);
    match is_whole {
        true => {
            keep_rest(state, into)?;
            Ok(true)
        }
        false => Err(BackupError::ErasuresLost {
            state: state.to_owned(),
        }
        .into()),
    }
}

impl From<known::OtherKey> for Error {
    fn from(error: known::OtherKey) -> Self {
        BackupError::OtherKey { path: error.0 }.into()
    }
}
