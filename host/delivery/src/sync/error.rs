//! Errors of a run that are not the errors of a file, an inbox or the ledger.

use std::path::PathBuf;

use cprflow_transport::NameError;

use crate::integrity::ADVICE;

/// Why a run cannot work with what the ledger says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
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

    /// An agreement with published deliveries is not in the configuration.
    #[error(
        "agreement {agreement} has published deliveries and is not in the configuration, so that its persons would stay \
         in the dataset unchanged. If it has a new name, run `cprflow agreement rename {agreement} NEW`. If it has \
         ended, add `ended_agreements = [\"{agreement}\"]` at the top of the configuration"
    )]
    UnknownAgreement {
        /// The agreement's name in the ledger.
        agreement: String,
    },

    /// No delivery that was published in a dataset is there any more.
    #[error(
        "the dataset {path} is gone or empty, but {deliveries} deliveries were published in it. cprflow publishes \
         nothing there until this is cleared up. {}",
        ADVICE,
        path = path.display()
    )]
    DatasetGone {
        /// The directory of the dataset.
        path: PathBuf,
        /// The number of deliveries that must be in it.
        deliveries: usize,
    },

    /// An erasure cannot go on, because a dataset is not there.
    #[error(
        "an erasure waits for the dataset {path}, which is gone or empty or does not respond, but {deliveries} deliveries \
         were published in it. {}",
        ADVICE,
        path = path.display()
    )]
    ErasureWaits {
        /// The directory of the dataset.
        path: PathBuf,
        /// The number of deliveries that must be in it.
        deliveries: usize,
    },
}
