//! How much room there is.

use std::path::Path;

use crate::error::Error;

/// Bytes that this user can still write to the disk on which a path is.
pub fn free_bytes(path: &Path) -> Result<u64, Error> {
    let disk = rustix::fs::statvfs(path).map_err(|error| Error::file(path)(error.into()))?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}
