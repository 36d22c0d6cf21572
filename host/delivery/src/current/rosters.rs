//! The persons in a tenant's scope in each generation. The next generation is compared with them.
//!
//! The file is `<state>/generations/<tenant>/<number>.roster`. It is on the disk before `current` leads to the
//! generation. It holds person numbers, in the component's own format. Only its owner may read it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::fs::{entries, private_directory, remove_file, sync_directory, write_private_file};

/// The directory of the rosters in a state directory.
const DIRECTORY: &str = "generations";

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

    /// Reads the persons in scope in a generation; `None` if there is no such file.
    pub(crate) fn read(&self, number: u64) -> Result<Option<Vec<u8>>, Error> {
        let path = self.path(number);
        match fs::read(&path) {
            Ok(persons) => Ok(Some(persons)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::file(path)(error)),
        }
    }

    /// Writes the persons in scope in a generation, durably.
    pub(crate) fn write(&self, number: u64, scope: &[u8]) -> Result<(), Error> {
        private_directory(&self.directory)?;
        write_private_file(&self.path(number), scope)
    }

    /// Removes all files except those of these generations.
    pub(crate) fn keep_only(&self, numbers: &[u64]) -> Result<(), Error> {
        let mut is_any_removed = false;
        for path in entries(&self.directory)? {
            if !numbers.iter().any(|number| path == self.path(*number)) {
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
}
