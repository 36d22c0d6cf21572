//! The errors of the ledger.

use std::path::PathBuf;

use crate::fs::InUse;

/// A reason why the ledger cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// Another process uses the ledger.
    #[error(transparent)]
    InUse(#[from] InUse),

    /// The file is damaged, or is not a ledger.
    #[error(
        "{path}: the ledger is damaged ({what}). Nothing was changed. Move the file away together with its -wal and \
         -shm files and run `cprflow sync` again: it reads published deliveries back from the dataset and checks \
         deliveries that were set aside anew",
        path = path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// SQLite's description of the damage.
        what: String,
    },

    /// An earlier development version of cprflow created the file.
    #[error(
        "{path}: an earlier version of cprflow created this ledger (format {found}), and this version cannot read it, \
         because the format has changed since. Use a new state directory and new datasets, and order a new full \
         load (`cprflow subscription reorder`)",
        path = path.display()
    )]
    Older {
        /// The file.
        path: PathBuf,
        /// The format of the file.
        found: i64,
    },

    /// A later version of cprflow created the file.
    #[error("{path}: a later version of cprflow created this ledger (format {found}). Update cprflow", path = path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// The format of the file.
        found: i64,
    },

    /// The file cannot be created.
    #[error(
        "cannot create the ledger {path}: {error}. Check the permissions of its directory and the disk",
        path = path.display()
    )]
    File {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        #[source]
        error: std::io::Error,
    },

    /// SQLite failed, usually because the disk is full or a permission is missing.
    #[error(
        "{path}: the ledger cannot be read or written: {error}. Check that its disk has free space, and that this user can \
         read and write the file and its directory. Then run the command again",
        path = path.display()
    )]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// The error of SQLite.
        #[source]
        error: rusqlite::Error,
    },
}
