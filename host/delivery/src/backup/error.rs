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
        "{path} names erased persons by another key than the backup, so cprflow cannot tell whom the backup would bring \
         back. That happens if the state directory was lost, and persons were erased before a backup was restored. Then move \
         the directory of this file away, restore the backup, and run `cprflow erase` for these persons before the next \
         `cprflow sync`: erasures.jsonl in that directory has the proofs. Otherwise, use a backup of this installation. \
         Nothing was changed",
        path = path.display()
    )]
    OtherKey {
        /// The list of erased persons.
        path: PathBuf,
    },

    /// The list of erased persons of the directory that is replaced is lost, and the backup does not name all of them.
    #[error(
        "cprflow cannot tell whom the backup would bring back: {state} has lost its list of erased persons (erasures, \
         erasures.key), and the backup does not name all of them. Name a directory with the newest copies of both files \
         (--erasures DIRECTORY). Without copies, move {state} away, restore the backup, and run `cprflow erase` for everybody \
         who was erased since the backup before the next `cprflow sync`: erasures.jsonl in that directory has the proofs. \
         Nothing was changed",
        state = state.display()
    )]
    ErasuresLost {
        /// The state directory.
        state: PathBuf,
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
