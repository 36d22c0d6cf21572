//! Checks of directories that may not exist yet: the first run creates them.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use cprflow_delivery::{Error, directory_of};
use rustix::fs::Access;

/// Why a directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum DirectoryError {
    /// A file or a device has the name of a directory that cprflow writes to.
    #[error("{path} is not a directory. Name a directory, or move what is there away", path = path.display())]
    NotADirectory { path: PathBuf },
    /// This user cannot read and write the directory.
    #[error(
        "{path}: {error}. The user that runs cprflow needs permission to read and write this directory",
        path = path.display()
    )]
    Access {
        path: PathBuf,
        #[source]
        error: io::Error,
    },
    /// The dataset is the root of a mounted file system.
    #[error(
        "{path} is a file system of its own, so deliveries cannot be moved into it from its parent directory. Use a \
         directory inside it as the dataset",
        path = path.display()
    )]
    MountPoint { path: PathBuf },
}

/// Checks that this user can write to the directory, or can create it.
pub(super) fn check_writable(path: &Path) -> Result<(), DirectoryError> {
    let path = existing(path);
    if !path.is_dir() {
        let path = path.to_owned();
        return Err(DirectoryError::NotADirectory { path });
    }
    let wanted = Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK;
    rustix::fs::access(path, wanted).map_err(|error| DirectoryError::Access {
        path: path.to_owned(),
        error: error.into(),
    })
}

/// Checks that deliveries can be renamed from the parent directory into the dataset.
pub(super) fn check_same_file_system(dataset: &Path, parent: &Path) -> Result<(), DirectoryError> {
    let device = |path: &Path| std::fs::metadata(path).map(|metadata| metadata.dev());
    match (device(dataset), device(parent)) {
        (Ok(own), Ok(other)) if own != other => {
            let path = dataset.to_owned();
            Err(DirectoryError::MountPoint { path })
        }
        // A dataset that does not exist yet will be created on its parent's file system.
        _ => Ok(()),
    }
}

/// Returns the free bytes of the disk that the path is on, or will be on.
pub(super) fn free_bytes(path: &Path) -> Result<u64, Error> {
    cprflow_delivery::free_bytes(existing(path))
}

/// Returns the path or, if it does not exist, its nearest parent that does.
fn existing(path: &Path) -> &Path {
    let mut path = path;
    // The root and `.` are in themselves.
    while !path.exists() && directory_of(path) != path {
        path = directory_of(path);
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_path_is_judged_by_where_it_will_be_created() {
        for (missing, existing_parent) in [
            ("no-such-directory", "."),
            ("no-such-directory/tenants/schools", "."),
            ("src/no-such-directory/schools", "src"),
            ("/no-such-directory/schools", "/"),
        ] {
            assert_eq!(
                existing(Path::new(missing)),
                Path::new(existing_parent),
                "{missing}"
            );
        }
    }
}
