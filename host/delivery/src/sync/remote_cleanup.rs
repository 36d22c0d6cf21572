//! Removes published deliveries from the server: the data file first, then the metadata file.

use std::path::Path;

use jiff::Timestamp;

use super::decide::{RemoteCopy, remote_copy};
use super::discover::read_metadata;
use super::error::SyncError;
use crate::error::Error;
use crate::keyed_hash::ExtractKey;
use crate::ledger::{Ledger, Record, State};
use cprflow::Connector;
use cprflow_transport::{RemoteName, Stat, Transport, TransportError};

/// Removes what the server still has of a published delivery. `state` is the directory of the ledger.
///
/// Only files of this delivery are removed. A file that arrived under the same name later stays, and so does the metadata
/// file, which may belong to it; the next look into the inbox finds both. If the register lacks the extract of the delivery,
/// nothing is removed as long as the data file is there: the look into the inbox takes the extract from it.
pub(super) fn remove_published(
    connector: &Connector,
    transport: &mut dyn Transport,
    ledger: &Ledger,
    state: &Path,
    record: &Record,
    lacks_extract: bool,
    now: Timestamp,
) -> Result<(), Error> {
    if lacks_extract && transport.stat(&remote_name(&record.file_name)?)?.is_some() {
        return Ok(());
    }
    if record.state == State::Published {
        let name = remote_name(&record.file_name)?;
        if let Some(stat) = transport.stat(&name)? {
            if is_published_file(transport, &name, &stat, record, state)? {
                transport.remove(&name)?;
            } else {
                tracing::warn!(
                    file = record.redacted_file_name(),
                    "another file has come under the name of a published delivery, or it cannot be recognised; it stays on the server"
                );
                ledger.removed(record.id, State::Done, now)?;
                return Ok(());
            }
        }
        crate::failpoint::reached("data-gone");
        ledger.removed(record.id, State::DataRemoved, now)?;
        crate::failpoint::reached("data-removed");
    }
    let name = remote_name(&record.metadata_name)?;
    let metadata = read_metadata(connector, transport, &name)?;
    if metadata.is_some_and(|metadata| metadata.transfer_uuid == record.transfer_uuid) {
        transport.remove(&name)?;
    }
    crate::failpoint::reached("metadata-gone");
    ledger.removed(record.id, State::Done, now)?;
    crate::failpoint::reached("done");
    Ok(())
}

/// Checks a name from the ledger again, because another program may have changed the ledger.
fn remote_name(name: &str) -> Result<RemoteName, SyncError> {
    RemoteName::try_from(name).map_err(|error| SyncError::InvalidRemoteName { error })
}

/// Returns whether the file on the server is the one that was published.
fn is_published_file(
    transport: &mut dyn Transport,
    name: &RemoteName,
    stat: &Stat,
    record: &Record,
    state: &Path,
) -> Result<bool, Error> {
    match remote_copy(stat, record) {
        RemoteCopy::Published => Ok(true),
        RemoteCopy::Other => Ok(false),
        RemoteCopy::CompareBytes => {
            let key = ExtractKey::open(state)?;
            Ok(key.is_same(&digest(transport, name)?, &record.counts.sha256))
        }
    }
}

/// Reads a file on the server and returns its SHA-256 in hexadecimal.
pub(super) fn digest(
    transport: &mut dyn Transport,
    name: &RemoteName,
) -> Result<String, TransportError> {
    let file = transport.open(name, 0)?;
    crate::fs::digest(file).map_err(TransportError::from)
}
