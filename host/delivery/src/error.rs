//! The error type of this crate. No error holds a value of a person's record.

use std::io;
use std::path::PathBuf;

use cprflow::ComponentError;
use cprflow_transport::soap::SoapError;
use cprflow_transport::{HELPDESK, TransportError};

use crate::answers::AnswersError;
use crate::backup::BackupError;
use crate::config::ConfigurationError;
use crate::current::CurrentError;
use crate::dataset::DatasetError;
use crate::erase::EraseError;
use crate::fs::{InUse, SecretError, UnsafeDirectory};
use crate::keyed_hash::KeyError;
use crate::ledger::LedgerError;
use crate::operator::OperatorError;
use crate::register_state::RegisterStateError;
use crate::sql_views::SqlViewError;
use crate::subscription::SubscriptionError;
use crate::sync::{SyncError, TenantPublishError};

/// Any error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An extract, a metadata file or a SOAP message cannot be read or written.
    #[error(transparent)]
    Extract(#[from] cprflow::Error),

    /// A subscription cannot be read or changed.
    #[error(transparent)]
    Subscription(#[from] SubscriptionError),

    /// The SQL views of a dataset cannot be written.
    #[error(transparent)]
    SqlViews(#[from] SqlViewError),

    /// An erasure is refused or cannot be completed.
    #[error(transparent)]
    Erase(#[from] EraseError),

    /// A backup cannot be made or restored.
    #[error(transparent)]
    Backup(#[from] BackupError),

    /// The ready answers cannot be written.
    #[error(transparent)]
    Answers(#[from] AnswersError),

    /// A decision of the operator about a delivery is refused.
    #[error(transparent)]
    Operator(#[from] OperatorError),

    /// A run cannot work with what the ledger says.
    #[error(transparent)]
    Sync(#[from] SyncError),

    /// A delivery cannot be published to a tenant.
    #[error(transparent)]
    TenantPublish(#[from] TenantPublishError),

    /// The current tables of a dataset cannot be made.
    #[error(transparent)]
    Current(#[from] CurrentError),

    /// The register cannot be read as wanted.
    #[error(transparent)]
    RegisterState(#[from] RegisterStateError),

    /// The directory of a dataset cannot be used.
    #[error(transparent)]
    DatasetDirectory(#[from] DatasetError),

    /// Other users could change what cprflow stores in a directory.
    #[error(transparent)]
    UnsafeDirectory(#[from] UnsafeDirectory),

    /// A file or directory cannot be read or written.
    #[error("{path}: {error}{advice}", path = path.display(), advice = advice(error))]
    File {
        /// The file or directory.
        path: PathBuf,
        /// The operating system's error.
        #[source]
        error: io::Error,
    },

    /// Another process uses the same state directory or dataset.
    #[error(transparent)]
    InUse(#[from] InUse),

    /// The inbox cannot be reached, or refused an operation.
    #[error(transparent)]
    Transport(#[from] TransportError),

    /// A call of the subscription service failed.
    #[error(transparent)]
    Soap(#[from] SoapError),

    /// The ledger cannot be used.
    #[error(transparent)]
    Ledger(#[from] LedgerError),

    /// The configuration, or a list or key that it names, is not valid.
    #[error(transparent)]
    Configuration(#[from] ConfigurationError),

    /// A secret or another private file cannot be used. An error of the operating system is [`Error::File`] instead.
    #[error(transparent)]
    Secret(SecretError),

    /// A key that cprflow made for keyed hashes cannot be used.
    #[error(transparent)]
    HashKey(#[from] KeyError),

    /// A tenant's delivery exceeds a limit of the tenant, measured by the host.
    #[error(
        "publishing was stopped: it exceeded `{key}`, which is {limit}. Raise the limit in the configuration if the \
         delivery is not too large"
    )]
    TenantLimit {
        /// The key of the configuration.
        key: &'static str,
        /// Its value.
        limit: u64,
    },

    /// The group of a tenant's dataset cannot be used. The error does not repeat the group's name.
    #[error("group: {what}")]
    Group {
        /// What is wrong and what to do.
        what: String,
    },

    /// Records may be missing from the extract, and a tenant's policy is only correct with all records.
    #[error(
        "records may be missing from the extract ({code}), but the policy {on}, which is only correct with all records. \
         Have the delivery sent again (ask the helpdesk, {HELPDESK}, or run `cprflow subscription reorder`), and set this one aside \
         for the tenant with `cprflow set-aside … --tenant`"
    )]
    Incomplete {
        /// The code of the finding that reports the missing records.
        code: &'static str,
        /// What the policy does that depends on them, as a verb with its object: `selects persons`.
        on: &'static str,
    },

    /// The component was stopped by a limit of the tenant's configuration.
    #[error(
        "{}. `{key}` in the configuration sets this limit: raise it if the delivery is not too large",
        first_sentence(error)
    )]
    TenantBound {
        /// The key of the configuration.
        key: &'static str,
        /// The component's error.
        #[source]
        error: ComponentError,
    },

    /// A tenant's worker did not respond in time and was abandoned.
    #[error(
        "the tenant's worker did not respond within {seconds} s and was abandoned. Check whether the disk of {path} \
         responds; the next run tries again", path = path.display()
    )]
    TenantStuck {
        /// The tenant's dataset.
        path: PathBuf,
        /// The time that the worker had, in seconds.
        seconds: u64,
    },

    /// A tenant's worker panicked. The panic's message may hold personal data, so it is not included.
    #[error(
        "a bug in cprflow stopped the work, and the unfinished files were removed. Report it with what the log says \
         about it, and try another version"
    )]
    Bug,

    /// The run was asked to stop.
    #[error("stopped before the end; the next run continues from here")]
    Stopped,

    /// A file or directory of the dataset is not as cprflow wrote it.
    #[error("{path}: {what}", path = path.display())]
    Dataset {
        /// The file or directory.
        path: PathBuf,
        /// What is wrong and what to do.
        what: String,
    },
}

impl Error {
    /// Returns whether the error concerns one inbox only, so that the run can continue with the next one.
    ///
    /// Errors of the disk and the ledger concern all inboxes.
    pub(crate) fn is_of_one_inbox(&self) -> bool {
        use cprflow::Error as Extract;
        matches!(
            self,
            Self::Transport(_) | Self::Extract(Extract::Input(_) | Extract::Component(_))
        )
    }

    /// Returns whether the error concerns one file only, so that the run can continue with the next file of the inbox.
    pub(crate) fn is_of_one_file(&self) -> bool {
        matches!(self, Self::Transport(error) if error.is_of_one_file())
    }

    /// Returns a function that adds a path to an input or output error.
    pub fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        |error| Self::File { path, error }
    }
}

/// Returns what to do about an error of the file system, as the rest of its message; empty if the error says enough.
pub(crate) fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        // An error that cprflow made itself says what to do.
        io::ErrorKind::NotFound if error.raw_os_error().is_some() => ". Check the path",
        io::ErrorKind::PermissionDenied => {
            ". Run cprflow as the user that owns it, or give this user the right to read and write it"
        }
        io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => {
            ". A directory is needed here, and a file has this name. Name another directory, or move the file away"
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            ". Free some space, then run the command again"
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            ". Name a directory that can be written, for example with --state or --dataset"
        }
        io::ErrorKind::FileTooLarge => {
            ". Raise the limit of file sizes (`ulimit -f`), then try again"
        }
        // This error has no kind, and an error about a temporary file has no number.
        _ if error.to_string().contains("(os error 24)") => {
            ". Raise the limit of open files (`ulimit -n`, or LimitNOFILE= of the systemd unit), then try again"
        }
        _ => "",
    }
}

/// Returns what happened, without the advice: the configuration tells which limit to raise.
fn first_sentence(error: &ComponentError) -> String {
    let text = error.to_string();
    text.split(". ").next().unwrap_or_default().to_owned()
}

impl From<ComponentError> for Error {
    fn from(error: ComponentError) -> Self {
        Self::Extract(error.into())
    }
}

impl From<SecretError> for Error {
    fn from(error: SecretError) -> Self {
        match error {
            SecretError::File { path, error } => Self::File { path, error },
            error => Self::Secret(error),
        }
    }
}
