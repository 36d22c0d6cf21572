//! The subscription of an agreement: its current filters, its wanted filters, and the changes between them.
//!
//! - [`Client`] makes calls. It retries them where that is safe, and writes every change to the audit log.
//! - [`Plan`] is the difference between [`WantedFilters`] and [`CurrentFilters`]. [`Plan::check`] checks it against limits.
//! - [`Executor`] makes changes: [`Executor::apply`], [`Executor::clear`], [`Executor::reorder`],
//!   [`Executor::restore`]. Each can be killed at any call and run again.
//!
//! Adding a filter again after its removal orders a full load. So no code here does both implicitly. A failed call is
//! repeated unchanged or given up. `apply` removes filters only when it prunes. `reorder` is a separate operation with a
//! journal.

mod audit;
mod calls;
mod channel;
mod client;
mod error;
mod executor;
mod filter;
mod hours;
mod journal;
mod municipality;
pub(crate) mod overdue;
mod plan;
mod reorder;
mod retry;
pub(crate) mod settings;
mod snapshot;

use std::path::{Path, PathBuf};

pub use audit::AuditLog;
pub use calls::{CallCounts, CallObserver, Pace};
pub use channel::connect;
pub use client::{Answer, Channel, ChannelError, Client, masked_request};
pub use error::{PlatformIds, SubscriptionError};
pub use executor::Executor;
pub use filter::{CurrentFilters, Filter, FilterKind, FilterValueError};
pub use hours::{ClosedHours, FEW_CALLS, closed, closed_within, estimated_duration};
pub use municipality::municipality_name;
pub use plan::{ChangeLimits, Plan, WantedFilters, check_national};
pub use reorder::{Unfinished, call_count};
pub use retry::Retry;
pub use settings::{Credentials, Service, SubscriptionSettings, Uuid, list_file};
pub use snapshot::{Snapshot, Snapshots};

use crate::error::Error;
use crate::fs::StateLock;
use crate::fs::{private_directory, sync_directory};
use crate::names::AgreementName;

/// The locked directory with audit log, snapshots and journal of an agreement's subscription.
///
/// One process at a time can hold it.
#[derive(Debug)]
pub struct SubscriptionDirectory {
    directory: PathBuf,
    _lock: StateLock,
}

impl SubscriptionDirectory {
    /// Locks the directory, and creates it if it is missing.
    pub fn take(state: &Path, agreement: &AgreementName) -> Result<Self, Error> {
        // The journal of a reorder contains the path of a snapshot, which must be valid in any working directory.
        let directory = directory(state, agreement);
        let directory = std::path::absolute(&directory).map_err(Error::file(&directory))?;
        private_directory(&directory)?;
        Ok(Self {
            _lock: StateLock::take(&directory)?,
            directory,
        })
    }

    /// Returns the path.
    pub fn directory(&self) -> &Path {
        &self.directory
    }
}

/// Returns the directory for the files of an agreement's subscription.
pub fn directory(state: &Path, agreement: &AgreementName) -> PathBuf {
    state.join("subscription").join(agreement.as_str())
}

/// Moves the files of an agreement's subscription to the agreement's new name. Fails if a reorder is unfinished.
pub(crate) fn rename(state: &Path, old: &AgreementName, new: &AgreementName) -> Result<(), Error> {
    let (from, to) = (directory(state, old), directory(state, new));
    if from.is_dir() {
        if journal::Journal::read(&from)?.is_some() {
            let agreement = old.to_string();
            return Err(SubscriptionError::ReorderUnfinished { agreement }.into());
        }
        std::fs::rename(&from, &to).map_err(Error::file(&to))?;
        sync_directory(to.parent())?;
    }
    Snapshots::new(&to).rename(old.as_str(), new.as_str())
}
