//! Private files and directories, and durable writes.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::error::Error;

/// Returns the sorted paths of a directory's entries. A directory that does not exist has none.
pub(crate) fn entries(directory: &Path) -> Result<Vec<PathBuf>, Error> {
    let read = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        read => read.map_err(Error::file(directory))?,
    };
    let mut paths = Vec::new();
    for entry in read {
        paths.push(entry.map_err(Error::file(directory))?.path());
    }
    paths.sort();
    Ok(paths)
}

/// Creates a directory with mode 700, and its missing parents, durably.
///
/// Each parent is synced: after a crash, a file is lost if one of the directories above it was not on the disk.
pub(crate) fn private_directory(path: &Path) -> Result<(), Error> {
    let is_missing = |path: &&Path| !path.as_os_str().is_empty() && !path.exists();
    let created: Vec<_> = path.ancestors().take_while(is_missing).collect();
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(Error::file(path))?;
    for directory in created {
        let parent = directory.parent();
        sync_directory(parent.filter(|parent| !parent.as_os_str().is_empty()))?;
    }
    Ok(())
}

/// Writes the names in a directory to the disk. `None` is the current directory.
pub(crate) fn sync_directory(path: Option<&Path>) -> Result<(), Error> {
    let path = path.unwrap_or(Path::new("."));
    File::open(path)
        .and_then(|directory| directory.sync_all())
        .map_err(Error::file(path))
}

/// Removes a file. A file that does not exist is no error.
pub(crate) fn remove_file(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::file(path)(error)),
        _ => Ok(()),
    }
}

/// Writes a file with mode 600, durably and atomically: after a crash it is either complete or unchanged.
pub(crate) fn write_private_file(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let directory = path.parent().unwrap_or(Path::new("."));
    // A temporary file has mode 600 and keeps it when it is renamed.
    let mut file = tempfile::NamedTempFile::new_in(directory).map_err(Error::file(path))?;
    file.write_all(bytes)
        .and_then(|()| file.as_file().sync_all())
        .map_err(Error::file(path))?;
    file.persist(path)
        .map_err(|error| Error::file(path)(error.error))?;
    sync_directory(Some(directory))
}
