//! Why a backup cannot be made or restored.

use std::io;
use std::path::PathBuf;

/// Why a backup cannot be made or restored. Nothing was changed then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// No run has made a state directory yet.
    #[error(
        "there is nothing to back up: no state directory of the configuration has a ledger. Run `cprflow sync` first"
    )]
    Nothing,

    /// The file was not written by `cprflow backup`.
    #[error(
        "this is no backup of cprflow. Name a file that `cprflow backup` wrote. Nothing was changed"
    )]
    NotABackup,

    /// The file ends before the backup does.
    #[error("the backup is cut off. Copy it again, or use another one. Nothing was changed")]
    CutOff,

    /// A file in the backup is not as it was backed up.
    #[error(
        "the backup is damaged: {name} is not as it was backed up. Use another backup. Nothing was changed"
    )]
    Damaged {
        /// The name of the file in the archive.
        name: String,
    },

    /// The archive has something else than files below the state directories.
    #[error(
        "the backup has a link, a device or a path that leads out of it, so another program made it. Use a backup that \
         `cprflow backup` wrote. Nothing was changed"
    )]
    Foreign,

    /// A later version wrote the backup.
    #[error("a later version wrote the backup: {written_by}. Update cprflow. Nothing was changed")]
    Later {
        /// The program and its version.
        written_by: String,
    },

    /// The configuration has none of the agreements of a state directory in the backup.
    #[error(
        "the backup has the state of the agreements {agreements}, and the configuration has none of them. Use the \
         configuration that belongs to the backup. Nothing was changed"
    )]
    UnknownAgreements {
        /// The names of the agreements.
        agreements: String,
    },

    /// Agreements that one state directory had now have several.
    #[error(
        "the backup has the state of the agreements {agreements} in one directory, and the configuration has them in \
         several. Use the configuration that belongs to the backup. Nothing was changed"
    )]
    Divided {
        /// The names of the agreements.
        agreements: String,
    },

    /// The persons who were erased are known by different keys.
    #[error(
        "{path} names erased persons by another key than the backup, so that cprflow cannot tell whom the backup would \
         bring back. Use a backup of this installation. Nothing was changed",
        path = path.display()
    )]
    OtherKey {
        /// The list of erased persons.
        path: PathBuf,
    },

    /// The archive cannot be written, for example because the disk is full.
    #[error(
        "cannot write the backup: {0}. It is not usable. Check the disk and its free space, then run the command again"
    )]
    Write(#[source] io::Error),

    /// The archive cannot be read, or the disk has no room for it.
    #[error(
        "cannot read or unpack the backup: {0}. Check the file, and the free space of the disk. Nothing was changed"
    )]
    Read(#[source] io::Error),

    /// A file was changed while it was backed up.
    #[error("{path} was changed during the backup, so that the backup is not usable. Run it again", path = path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
}
