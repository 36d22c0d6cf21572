//! The server's copy goes when the delivery is published, and never before: data first, then metadata.

use jiff::Timestamp;

use super::discover::read_metadata;
use crate::error::Error;
use crate::ledger::{Ledger, Record, State};
use crate::sandbox::Connector;
use crate::spool;
use crate::transport::{RemoteName, Stat, Transport, TransportError};

/// Removes what is left of a published delivery on the server.
///
/// Only what is known to be this delivery's is removed: a file that came under the same name since stays, and so does
/// the metadata beside it, which may be that file's. What it is, the look into the inbox says.
pub(super) fn settle(
    connector: &Connector,
    transport: &mut dyn Transport,
    ledger: &Ledger,
    record: &Record,
    now: Timestamp,
) -> Result<(), Error> {
    if record.state == State::Published {
        let name = remote_name(&record.file_name)?;
        if let Some(stat) = transport.stat(&name)? {
            if is_that_file(transport, &name, &stat, record)? {
                transport.remove(&name)?;
            } else {
                tracing::warn!(
                    file = record.said_name(),
                    "another file has come under the name of a delivery that is published; it stays"
                );
                ledger.removed(record.id, State::Done, now)?;
                return Ok(());
            }
        }
        crate::hook::reached("data-gone");
        ledger.removed(record.id, State::DataRemoved, now)?;
        crate::hook::reached("data-removed");
    }
    let name = remote_name(&record.metadata_name)?;
    let metadata = read_metadata(connector, transport, &name)?;
    if metadata.is_some_and(|metadata| metadata.transfer_uuid == record.transfer_uuid) {
        transport.remove(&name)?;
    }
    crate::hook::reached("metadata-gone");
    ledger.removed(record.id, State::Done, now)?;
    crate::hook::reached("done");
    Ok(())
}

/// A name from the ledger, checked again: somebody may have changed the file.
fn remote_name(name: &str) -> Result<RemoteName, Error> {
    RemoteName::try_from(name).map_err(|error| {
        Error::Request(format!(
            "the ledger names a file that cannot be one: {error}"
        ))
    })
}

/// Whether the file on the server is the one that was published.
fn is_that_file(
    transport: &mut dyn Transport,
    name: &RemoteName,
    stat: &Stat,
    record: &Record,
) -> Result<bool, Error> {
    if stat.size != record.size {
        return Ok(false);
    }
    match record.modified {
        Some(_) => Ok(stat.modified == record.modified),
        // The ledger was made anew and does not know the time: the bytes tell.
        None => Ok(digest(transport, name)? == record.counts.sha256),
    }
}

/// The SHA-256 of a file on the server, in hexadecimal.
pub(super) fn digest(
    transport: &mut dyn Transport,
    name: &RemoteName,
) -> Result<String, TransportError> {
    let file = transport.open(name, 0)?;
    spool::digest(file).map_err(TransportError::from)
}
