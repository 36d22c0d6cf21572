//! Errors of a run that are not the errors of a file, an inbox or the ledger.

use cprflow_transport::NameError;

/// Why a run cannot work with what the ledger says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SyncError {
    /// The ledger has a file name that no file in an inbox can have.
    #[error(
        "the ledger names a file that no inbox can have: {error}. Another program changed the ledger; restore it from a \
         backup"
    )]
    InvalidRemoteName {
        /// What is wrong with the name.
        #[source]
        error: NameError,
    },
}
