//! The subscription of an agreement: what it holds, what it should hold, and the way from one to the other.
//!
//! - [`Desk`] makes calls: it retries what may be retried, and tells the audit log of every change.
//! - [`Plan`] is the difference between [`Wanted`] and [`Holding`], and [`Plan::check`] says whether it may be done.
//! - [`Work`] carries changes out: [`Work::apply`], [`Work::clear`], [`Work::reorder`], [`Work::restore`]. Each can be
//!   killed at any call and run again.
//!
//! Adding what was removed orders a full load. So nothing here removes and adds by itself: a failed call is repeated
//! as it is or given up, `apply` only adds unless it is told to prune, and `reorder` is a command of its own that keeps
//! a journal.

mod audit;
pub(crate) mod awaited;
mod channel;
mod desk;
mod error;
mod filter;
mod hours;
mod list;
mod municipality;
mod plan;
mod retry;
pub(crate) mod settings;
mod snapshot;
mod work;

use std::io::Write;
use std::path::{Path, PathBuf};

pub use audit::Audit;
pub(crate) use audit::random;
pub use channel::connect;
pub use desk::{Answer, Channel, Desk, Interruption, masked_request};
pub use error::SubscriberError;
pub use filter::{Filter, Holding, Kind};
pub use hours::{Closed, FEW_CALLS, calls_take, closed, closed_within};
pub use list::{ListError, read_list};
pub use municipality::municipality_name;
pub use plan::{Permission, Plan, Wanted, check_national};
pub use retry::Retry;
pub use settings::{Credentials, SecretPlace, Service, SubscriptionSettings, Uuid, list_file};
pub use snapshot::{Snapshot, Snapshots};
pub use work::{Observer, Pace, Tally, Unfinished, Work, call_count};

use crate::agreement::AgreementName;
use crate::error::Error;
use crate::ledger::lock::StateLock;
use crate::spool::private_directory;

/// The directory in which the subscription of an agreement keeps its audit log, snapshots and journal; one process
/// at a time.
#[derive(Debug)]
pub struct Place {
    directory: PathBuf,
    _lock: StateLock,
}

impl Place {
    /// Takes it; it is made if it is not there.
    pub fn take(state: &Path, agreement: &AgreementName) -> Result<Self, Error> {
        // The journal of a reorder names a snapshot, whatever the working directory is then.
        let directory = directory(state, agreement);
        let directory = std::path::absolute(&directory).map_err(Error::file(&directory))?;
        private_directory(&directory)?;
        Ok(Self {
            _lock: StateLock::take(&directory)?,
            directory,
        })
    }

    /// Its path.
    pub fn directory(&self) -> &Path {
        &self.directory
    }
}

/// Where the subscription of an agreement keeps what it has to remember.
pub fn directory(state: &Path, agreement: &AgreementName) -> PathBuf {
    state.join("subscription").join(agreement.as_str())
}

/// Writes a file for its owner's eyes only: whole, and on the disk, or not at all.
fn private_file(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let directory = path.parent().unwrap_or(Path::new("."));
    // A temporary file is its owner's only, and keeps that when it gets its name.
    let mut file = tempfile::NamedTempFile::new_in(directory).map_err(Error::file(path))?;
    file.write_all(bytes)
        .and_then(|()| file.as_file().sync_all())
        .map_err(Error::file(path))?;
    file.persist(path)
        .map_err(|error| Error::file(path)(error.error))?;
    crate::spool::sync_directory(Some(directory))
}
