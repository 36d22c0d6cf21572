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

/// Returns the directory that a path is in. `.` is that of a name without a directory, as in `dataset = "tenant"`, whose
/// [`Path::parent`] is empty: no file has that name. A file system's root is in itself.
pub fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        None if path.has_root() => path,
        _ => Path::new("."),
    }
}

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
        sync_directory(Some(directory_of(directory)))?;
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

/// The start of the name of a file or directory that is not complete, or that is needed for a moment only.
pub(crate) const TEMPORARY: &str = ".tmp";

/// The number of random letters and digits after [`TEMPORARY`].
const RANDOM: usize = 6;

/// The directories of a state directory, and of a subscription's directory in it, in which files are written by a process that
/// has the lock. The spool is not one of them: what is half written there is continued.
const LOCKED: [&str; 7] = [
    "register",
    "rosters",
    "generations",
    "hidden",
    "policies",
    "erased-protections",
    "snapshots",
];

/// Removes what a killed process has left half written in a state directory, or in the directory of a subscription. It must be
/// locked: then no other process writes there. Files that cprflow does not write are left alone.
pub(super) fn remove_unfinished(directory: &Path) -> Result<(), Error> {
    for path in entries(directory)? {
        if is_temporary(&path) {
            remove_any(&path)?;
        }
    }
    let mut locked = LOCKED.iter().map(|name| directory.join(name));
    locked.try_for_each(|path| remove_unfinished_below(&path))
}

fn remove_unfinished_below(directory: &Path) -> Result<(), Error> {
    if !is_real_directory(directory) {
        return Ok(());
    }
    for path in entries(directory)? {
        if is_temporary(&path) || path.extension().is_some_and(|ending| ending == "part") {
            remove_any(&path)?;
        } else {
            remove_unfinished_below(&path)?;
        }
    }
    Ok(())
}

fn is_temporary(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.strip_prefix(TEMPORARY).is_some_and(|random| {
        random.len() == RANDOM && random.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

/// Returns whether a path is a directory, and not a link to one.
fn is_real_directory(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir())
}

/// Removes a file, a link, or a directory with everything in it.
fn remove_any(path: &Path) -> Result<(), Error> {
    match is_real_directory(path) {
        true => fs::remove_dir_all(path).map_err(Error::file(path)),
        false => remove_file(path),
    }
}

/// Creates a temporary file with mode 600 in a directory. It keeps the mode when it is renamed. The next process that locks
/// the state directory removes it if this one is killed.
pub(crate) fn temporary_file(directory: &Path) -> io::Result<tempfile::NamedTempFile> {
    tempfile::Builder::new()
        .prefix(TEMPORARY)
        .rand_bytes(RANDOM)
        .tempfile_in(directory)
}

/// Writes a file with mode 600, durably and atomically: after a crash it is either complete or unchanged.
pub(crate) fn write_private_file(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let directory = directory_of(path);
    let mut file = temporary_file(directory).map_err(Error::file(path))?;
    file.write_all(bytes)
        .and_then(|()| file.as_file().sync_all())
        .map_err(Error::file(path))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    crate::failpoint::reached_by("private-file", &name);
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
    fn what_a_killed_process_left_is_removed() {
        let state = tempfile::tempdir().unwrap();
        let state = state.path();
        for directory in [
            "register/town",
            "spool/town",
            "rosters/one",
            ".tmpcopy12/deep",
            "subscription/town",
            "own",
        ] {
            fs::create_dir_all(state.join(directory)).unwrap();
        }
        let left = [
            ".tmpabc123",
            "register/town/1.part",
            "rosters/one/town.part",
            "rosters/one/.tmpabc123",
            ".tmpcopy12/deep/ledger",
        ];
        let kept = [
            "erasures",
            "register/town/1",
            "spool/town/1.part",
            "own/1.part",
            ".tmp-of-another-program",
            "subscription/town/lock",
            "subscription/town/.tmpabc123",
        ];
        for file in left.iter().chain(&kept) {
            fs::write(state.join(file), "").unwrap();
        }
        // A link is removed, not what it leads to.
        std::os::unix::fs::symlink(state.join("register"), state.join(".tmplink12")).unwrap();
        remove_unfinished(state).unwrap();
        for file in left {
            assert!(!state.join(file).exists(), "{file}");
        }
        for file in kept {
            assert!(state.join(file).exists(), "{file}");
        }
        assert!(!state.join(".tmplink12").is_symlink() && !state.join(".tmpcopy12").exists());
        // The process that locks the directory of a subscription removes what is left there.
        remove_unfinished(&state.join("subscription/town")).unwrap();
        assert!(!state.join("subscription/town/.tmpabc123").exists());
    }

    #[test]
    fn a_name_is_in_the_current_directory() {
        for (path, directory) in [
            ("name", "."),
            ("name/", "."),
            ("", "."),
            (".", "."),
            ("./name", "."),
            ("a/name", "a"),
            ("/name", "/"),
            ("/", "/"),
        ] {
            assert_eq!(
                directory_of(Path::new(path)),
                Path::new(directory),
                "{path:?}"
            );
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
