//! Keeps what was erased after a backup: a backup must not bring erased persons back.

use std::fs;
use std::path::Path;

use super::BackupError;
use crate::erase::{ORDER_FILE, PROOF_FILE, known, protections};
use crate::error::Error;

/// Adds the erasures of one state directory to those of another one, which a backup had. Returns whether there were any.
pub(super) fn keep(from: &Path, into: &Path) -> Result<bool, Error> {
    if !known::merge::<Error>(from, into)? {
        return Ok(false);
    }
    protections::merge(from, into)?;
    // The proofs of a directory are those that its backups have, and later ones. An order that was not finished goes on.
    for name in [PROOF_FILE, ORDER_FILE] {
        let source = from.join(name);
        if source.is_file() {
            fs::copy(&source, into.join(name)).map_err(Error::file(source))?;
        }
    }
    Ok(true)
}

impl From<known::OtherKey> for Error {
    fn from(error: known::OtherKey) -> Self {
        BackupError::OtherKey { path: error.0 }.into()
    }
}
