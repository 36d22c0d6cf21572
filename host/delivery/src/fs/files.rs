//! Private files and directories, and durable writes.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

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
        sync_directory(directory.parent())?;
    }
    Ok(())
}

/// Writes the names in a directory to the disk. `None` is the current directory.
///
/// Some network file systems cannot do that. A warning then says what is not guaranteed there, once for each directory.
pub(crate) fn sync_directory(path: Option<&Path>) -> Result<(), Error> {
    // The parent of a name without a directory is empty.
    let path = path.filter(|path| !path.as_os_str().is_empty());
    let path = path.unwrap_or(Path::new("."));
    match File::open(path).and_then(|directory| directory.sync_all()) {
        Err(error) if is_unsupported(&error) => {
            warn_once(path, &error);
            Ok(())
        }
        synced => synced.map_err(Error::file(path)),
    }
}

/// Returns whether an error of a sync means that the file system cannot sync a directory.
fn is_unsupported(error: &io::Error) -> bool {
    let unsupported = [Errno::INVAL, Errno::OPNOTSUPP, Errno::NOSYS];
    Errno::from_io_error(error).is_some_and(|errno| unsupported.contains(&errno))
}

fn warn_once(path: &Path, error: &io::Error) {
    static WARNED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
    let mut warned = WARNED.lock().unwrap_or_else(PoisonError::into_inner);
    if warned.insert(path.to_owned()) {
        tracing::warn!(
            directory = %path.display(),
            "the file system of this directory cannot bring the directory to the disk ({error}), as some network disks. If \
             the power fails there, files that were just written can be missing. Use a local disk if that must not happen"
        );
    }
}

/// Exchanges two directories in one step. Returns `false` if the file system cannot do that.
pub(crate) fn exchange(one: &Path, other: &Path) -> Result<bool, Error> {
    if crate::failpoint::lacks_exchange() {
        return Ok(false);
    }
    match renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE) {
        Ok(()) => Ok(true),
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => Ok(false),
        Err(error) => Err(Error::file(other)(error.into())),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What was logged.
    #[derive(Clone, Default)]
    struct Log(std::sync::Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_directory_that_cannot_be_synced_is_a_warning() {
        // The kernel answers EINVAL for a directory of /proc, as for one of some network disks.
        let directory = Path::new("/proc/self");
        let error = File::open(directory).unwrap().sync_all().unwrap_err();
        assert_eq!(Errno::from_io_error(&error), Some(Errno::INVAL));
        let log = Log::default();
        let said = log.clone();
        let subscriber = tracing_subscriber::fmt().with_writer(move || said.clone());
        tracing::subscriber::with_default(subscriber.finish(), || {
            sync_directory(Some(directory)).unwrap();
            sync_directory(Some(directory)).unwrap();
        });
        let said = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        // Once, with the directory, what is not guaranteed, and what to do.
        assert_eq!(said.matches("/proc/self").count(), 1, "{said}");
        for part in [
            "WARN",
            "If the power fails",
            "can be missing",
            "Use a local disk",
        ] {
            assert!(said.contains(part), "{part}: {said}");
        }
        // Other errors stay errors.
        let error = sync_directory(Some(Path::new("/no/such/directory"))).unwrap_err();
        assert!(error.to_string().contains("/no/such/directory"), "{error}");
    }
}
