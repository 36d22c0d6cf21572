//! Reads what is needed of a file on the server to recognize its delivery.

use std::io::Read;

use crate::error::Error;
use cprflow::metadata::{Document, Metadata};
use cprflow::{Connector, Scan, StartRecord};
use cprflow_transport::{RemoteName, Transport, TransportError};

/// The number of bytes of a data file that are read to find its start record.
pub(super) const HEAD_BYTES: u64 = 4096;

/// The number of bytes of a metadata file that are read: the largest size, and one more to notice a larger file.
pub(super) const METADATA_BYTES: u64 = 64 * 1024 + 1;

/// Reads the first bytes of a file; `None` if the file is gone.
pub(super) fn read_head(
    transport: &mut dyn Transport,
    name: &RemoteName,
    limit: u64,
) -> Result<Option<Vec<u8>>, TransportError> {
    let file = match transport.open(name, 0) {
        Ok(file) => file,
        Err(TransportError::Gone { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    match file.take(limit).read_to_end(&mut bytes) {
        Ok(_) => Ok(Some(bytes)),
        Err(error) => Err(error.into()),
    }
}

/// Reads a metadata file; `None` if the file is gone or is not readable metadata.
pub(in crate::sync) fn read_metadata(
    connector: &Connector,
    transport: &mut dyn Transport,
    name: &RemoteName,
) -> Result<Option<Metadata>, Error> {
    let Some(bytes) = read_head(transport, name, METADATA_BYTES)? else {
        return Ok(None);
    };
    match connector.read_metadata(&bytes) {
        Ok(Document::Metadata(metadata)) => Ok(Some(metadata)),
        Ok(_) | Err(cprflow::Error::Metadata(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Reads the start record from the first bytes of an extract.
pub(super) fn read_start(connector: &Connector, head: &[u8]) -> Result<Option<StartRecord>, Error> {
    let mut rows = Scan::new(connector)
        .table("delivery_start")
        .read_all(head)?;
    for batch in rows.by_ref() {
        match batch {
            Ok(_) => {}
            // The scan of the complete extract reports it.
            Err(cprflow::Error::Data(_)) => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(rows.summary()?.start)
}
