//! The persons in a tenant's scope in each generation. The next generation is compared with them.
//!
//! The file is `<state>/generations/<tenant>/<number>.roster`. It is on the disk before `current` leads to the
//! generation. It holds person numbers, in the component's own format. Only its owner may read it. Beside it is
//! `<number>.shown` of the newest generation: see [`outlived`](super::outlived).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::outlived::EXTENSION;
use crate::error::Error;
use crate::fs::{entries, private_directory, remove_file, sync_directory, write_private_file};

/// The directory of the rosters in a state directory.
pub(super) const DIRECTORY: &str = "generations";

/// The rosters of the generations of one tenant.
#[derive(Debug, Clone)]
pub(crate) struct GenerationRosters {
    directory: PathBuf,
}

impl GenerationRosters {
    /// Returns the rosters in a state directory. Creates nothing.
    pub(crate) fn new(state: &Path, tenant: &str) -> Self {
        Self {
            directory: state.join(DIRECTORY).join(tenant),
        }
    }

    /// Reads the persons in scope in a generation; `None` if there is no such file, or if it is damaged.
    pub(crate) fn read(&self, number: u64) -> Result<Option<Vec<u8>>, Error> {
        let path = self.path(number);
        match fs::read(&path) {
            Ok(persons) if is_intact(&persons) => Ok(Some(persons)),
            Ok(_) => {
                tracing::warn!(path = %path.display(), "the list of the persons in scope is damaged");
                Ok(None)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::file(path)(error)),
        }
    }

    /// Writes the persons in scope in a generation, durably.
    pub(crate) fn write(&self, number: u64, scope: &[u8]) -> Result<(), Error> {
        private_directory(&self.directory)?;
        write_private_file(&self.path(number), scope)
    }

    /// Reads what a generation shows; `None` if there is no such file.
    pub(super) fn read_shown(&self, number: u64) -> Result<Option<Vec<u8>>, Error> {
        let path = self.shown_path(number);
        match fs::read(&path) {
            Ok(shown) => Ok(Some(shown)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::file(path)(error)),
        }
    }

    /// Writes what a generation shows, durably.
    pub(super) fn write_shown(&self, number: u64, shown: &[u8]) -> Result<(), Error> {
        private_directory(&self.directory)?;
        write_private_file(&self.shown_path(number), shown)
    }

    /// Removes all files except those of the newest generation and the roster of the one that it is compared with.
    pub(crate) fn keep_only(&self, newest: u64, compared_with: Option<u64>) -> Result<(), Error> {
        let mut kept = vec![self.path(newest), self.shown_path(newest)];
        kept.extend(compared_with.map(|number| self.path(number)));
        let mut is_any_removed = false;
        for path in entries(&self.directory)? {
            if !kept.contains(&path) {
                remove_file(&path)?;
                is_any_removed = true;
            }
        }
        match is_any_removed {
            true => sync_directory(Some(&self.directory)),
            false => Ok(()),
        }
    }

    fn path(&self, number: u64) -> PathBuf {
        self.directory.join(format!("{number:06}.roster"))
    }

    fn shown_path(&self, number: u64) -> PathBuf {
        self.directory.join(format!("{number:06}.{EXTENSION}"))
    }
}

/// Returns whether the checksum of a list of persons is right. `wit/connector.wit` names the format at `roster`: a mark, a
/// version (4 bytes), the number of persons (8 bytes), the checksum (8 bytes, FNV-1a) and the persons.
fn is_intact(persons: &[u8]) -> bool {
    let parts = persons.strip_prefix(b"CPRROSTR").and_then(|rest| {
        let (_, rest) = rest.split_first_chunk::<12>()?;
        rest.split_first_chunk::<8>()
    });
    let Some((sum, body)) = parts else {
        return false;
    };
    let found = body.iter().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    found == u64::from_le_bytes(*sum)
}
