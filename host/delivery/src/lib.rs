//! The daily job of cprflow: downloads deliveries from an inbox and publishes them to datasets, for one party or for many
//! tenants.
//!
//! # Modules
//!
//! - [`config`] reads the TOML file and checks it: [`Configuration`](config::Configuration). It also has the template
//!   that `cprflow init` writes.
//! - `names` has [`AgreementName`], [`TenantName`] and [`Environment`].
//! - `agreement` has [`Agreement`], and chooses the agreement that a delivery belongs to.
//! - `routing` has [`Routing`], the sender and recipient that metadata names, and compares them with the configuration.
//! - `tenant` has [`Tenant`], its rosters, its key for pseudonyms, and the digest of its policy.
//! - `ledger` is the SQLite record of every delivery: [`Ledger`].
//! - `register` keeps every applied extract, compressed. [`register_state`] reads it: exports, and what is kept of persons.
//! - [`retention`] removes what was kept long enough, and lists the published deliveries.
//! - `spool` holds private copies of extracts that are being processed.
//! - `dataset` holds published deliveries, each with its [`Manifest`], and reads their tables ([`DatasetTable`]).
//! - `current` makes the current tables of a dataset from the register.
//! - [`sync`] is one run: discover, download, stage, publish and clean up. Tenants are published in parallel.
//! - [`erase`] erases persons, agreements and tenants.
//! - [`backup`] backs up the state directories and restores them.
//! - [`integrity`] compares the ledger with the published directories.
//! - `operator` carries out what a person decides: retry a delivery, set it aside, or rename an agreement.
//! - [`overview`] counts rows, events and persons over time, for reports.
//! - [`status`] reports what is published, and what waits and why.
//! - [`subscription`] compares and changes the filters of a subscription.
//! - [`sql_views`] writes SQL views that show the current state of a dataset.
//! - [`answers`] writes SQL views that answer frequent questions: residents, families, moves.
//! - `fs` has file helpers: private files, permissions, durable writes, digests, locks, groups, free space and secrets.
//! - `pnr_list` reads lists of person numbers, and `keyed_hash` hashes person numbers with a key.
//! - [`calendar`] knows CPR's working days and the platform's service windows.
//! - `stop` asks a run to stop, and `failpoint` lets tests stop the program at a chosen point.
//! - `unknown_codes` finds codes in conditions that no record can have.
//! - `unmounted` finds datasets that are not there, and deliveries under names that nothing knows.
//! - `error` has [`Error`], which contains the errors of all modules.
#![forbid(unsafe_code)]

mod agreement;
pub mod answers;
pub mod backup;
pub mod calendar;
pub mod config;
mod current;
mod dataset;
pub mod erase;
mod error;
mod failpoint;
mod fs;
pub mod integrity;
mod keyed_hash;
mod ledger;
mod names;
mod operator;
pub mod overview;
mod pnr_list;
mod register;
pub mod register_state;
pub mod retention;
mod routing;
mod spool;
pub mod sql_views;
pub mod status;
mod stop;
pub mod subscription;
pub mod sync;
mod tenant;
mod unknown_codes;
mod unmounted;

pub use agreement::{Agreement, Claim, DeliveryPattern, DeliveryTraits, claim};
pub use current::CurrentError;
pub use dataset::{
    CheckDepth, ComponentIdentity, DatasetDelivery, DatasetError, DatasetGeneration, DatasetTable,
    DatasetTableReader, DeliveryFile, GenerationExtract, GenerationManifest, Manifest,
    ManifestFinding, TableQuery, TenantManifest, check_dataset_permissions, published_deliveries,
};
pub use error::Error;
pub use fs::{
    Group, InUse, SecretError, SecretSource, UnsafeDirectory, check_state_permissions,
    directory_of, free_bytes,
};
pub use keyed_hash::{KeyError, ListKey};
pub use ledger::{
    Counts, FindingCount, Generation, InboxVisit, KeptExtract, Ledger, LedgerError, NewDelivery,
    PolicyChange, Reason, Record, State, TenantCounts, TenantDelivery, TenantDeliveryState,
    UnclaimedFile,
};
pub use names::{AgreementName, Environment, TenantName};
pub use operator::{
    AcceptedForTenant, DeliverySelector, OperatorError, TenantSetAside, accept_missing_extracts,
    accept_tenant, rename_agreement,
};
pub use pnr_list::{ListError, read_list};
pub use routing::{ROUTING_MISMATCH, Routing};
pub use stop::Stop;
pub use tenant::foreign::foreign_data_remark;
pub use tenant::former::{FormerTenant, LeftDataset, former_tenants};
pub use tenant::{PseudonymKeyError, SharedKey, Tenant, TenantLimits, policy_digest, shared_keys};
pub use unknown_codes::{unknown_codes, unknown_codes_of_scope};
pub use unmounted::left_agreements;
