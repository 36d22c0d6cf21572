//! Errors of the directory of a dataset.

use std::path::PathBuf;

/// Why the directory of a dataset cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DatasetError {
    /// The path names no directory that can hold a dataset, for example `/`.
    #[error("{path} is not a valid dataset directory. Name a directory below it", path = path.display())]
    InvalidPath {
        /// The path in the configuration.
        path: PathBuf,
    },

    /// The dataset is the root of a file system, so that deliveries cannot be renamed into it.
    #[error(
        "{path} is a file system of its own. Deliveries are prepared in a directory beside the dataset and then renamed \
         into it, so name a directory below {path} as the dataset",
        path = path.display()
    )]
    MountPoint {
        /// The path in the configuration.
        path: PathBuf,
    },

    /// The read of a table has failed before, and somebody asks for more rows.
    #[error(
        "the read of this table has failed before, so that rows are missing. Discard the rows that were read and read the \
         table again from its beginning"
    )]
    ReadFailed,

    /// The manifest of a delivery cannot be read.
    #[error(
        "{path} is no description of a delivery, so that cprflow cannot tell whether the delivery is published. Another \
         program changed the file: restore it, or move the delivery's directory out of the dataset",
        path = path.display()
    )]
    UnreadableManifest {
        /// The manifest.
        path: PathBuf,
    },
}
