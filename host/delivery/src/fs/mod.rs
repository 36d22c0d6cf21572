//! File helpers: private files and directories, permissions, durable writes, digests, locks, groups and free space.

mod digest;
mod disk;
mod files;
mod group;
mod in_use;
mod lock;
mod permissions;
mod secret;
mod secret_error;

pub(crate) use digest::{Digesting, digest};
pub(crate) use disk::ask_disks;
pub use disk::free_bytes;
pub use files::directory_of;
pub(crate) use files::{
    TEMPORARY, entries, exchange, private_directory, remove_file, sync_directory, temporary_file,
    write_private_file,
};
pub use group::Group;
pub use in_use::InUse;
pub(crate) use lock::StateLock;
pub use permissions::{UnsafeDirectory, check_state_permissions};
pub(crate) use permissions::{check_not_writable_by_others, check_own_directory, check_parent};
pub use secret::SecretSource;
pub(crate) use secret::private_file;
pub use secret_error::SecretError;
