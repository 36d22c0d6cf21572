//! cprflow: Denmark's civil register (CPR) in data pipelines.
//!
//! An extract goes in as bytes and comes out as Arrow record batches. The code that reads the bytes is a
//! WebAssembly component without powers; this crate is the native side around it, and interprets nothing.
//!
//! - [`Connector`] is a component that is loaded, checked and linked. The one of cprflow's own is built with this
//!   crate and carried in it: [`Connector::embedded`].
//! - [`Scan`] says what is wanted of an extract: a table, columns, a limit. [`Scan::read`] gives an Arrow
//!   [`RecordBatchReader`](arrow::array::RecordBatchReader) of one table, [`Scan::read_all`] the batches of all
//!   tables in one pass. Every scan is a fresh instance of the component, with [`Limits`] of its own.
//! - [`Scan::policy`] keeps a scan to what a tenant may see, and [`Scan::read_selected`] runs it, in two passes over the
//!   extract: [`policy`]. [`Connector::view`] says which tables and columns are left.
//! - [`Summary`] says what the extract was like: records per table, dates, and findings under stable codes. It holds
//!   no value of a person's record. Whatever can only be told at the end is in it after the last batch.
//! - [`ParquetDirectory`] writes the tables of an extract, and [`write_extract`] makes the extract again from them.
//! - [`sync::Sync`] is the daily job: deliveries from an inbox ([`transport`]) to a dataset, by the agreements of a
//!   [`config::Configuration`], with a [`Ledger`] of what became of each. [`status`](status::status) reads it.
//! - [`Tenant`] is a party that gets its own share of the deliveries: [`sync::tenant_scan`] is what it would get of one.
//! - [`Connector::read_metadata`] reads the metadata file of a delivery: [`delivery`].
//! - [`Connector::subscription_request`] and [`Connector::subscription_reply`] make and read the calls that decide
//!   what a delivery holds: [`subscription`]. [`subscriber`] is what a person does with them.
//! - [`views`] writes the current state of published deliveries down as SQL.
//! - [`Error`] tells whose move it is: the data's, the caller's, the component's, the disk's.
//!
//! How batches come out of the sandbox and why they can be believed: `sandbox`, `scan`, `decode`, in this order.
#![forbid(unsafe_code)]

mod agreement;
mod arrival;
pub mod calendar;
mod catalog;
pub mod config;
mod dataset;
mod decision;
mod decode;
pub mod delivery;
mod disk;
mod error;
mod group;
mod hook;
mod ipc_check;
mod keyed;
mod ledger;
mod parquet_out;
mod pnr;
pub mod policy;
mod pseudonym;
mod report;
mod restore;
mod roster;
mod sandbox;
mod scan;
mod selected;
mod spool;
pub mod status;
pub mod subscriber;
pub mod subscription;
pub mod sync;
mod tenant;
pub mod transport;
mod view;
pub mod views;

pub use agreement::{Agreement, AgreementName, Claim, Environment, FileMarks, Marks, claim};
pub use catalog::{Catalog, Column, CprField, Table, type_name};
pub use dataset::{ComponentIdentity, Manifest, ManifestFinding, TenantManifest};
pub use decision::DeliveryChoice;
pub use decode::Decoder;
pub use disk::free_bytes;
pub use error::{
    ComponentError, DataError, DataErrorKind, Error, MetadataError, MetadataErrorKind,
};
pub use group::Group;
pub use keyed::ListKey;
pub use ledger::{
    Counts, FindingCount, Ledger, LedgerError, NewDelivery, Reason, Record, Share, ShareCounts,
    ShareState, State, Stray, Visit,
};
pub use parquet_out::{ParquetDirectory, ParquetFile};
pub use pnr::{Pnr, PnrError};
pub use policy::Policy;
pub use pseudonym::PseudonymKey;
pub use report::{Finding, Level, Place, Shape, Start, Summary, TableCount};
pub use restore::write_extract;
pub use sandbox::{Connector, LimitKind, Limits, Loader, compile_component};
pub use scan::{DeliveryReader, Scan, TableBatch, TableReader};
pub use selected::Selected;
pub use tenant::{Tenant, TenantLimits, TenantName, policy_digest};
pub use view::{OUT_OF_SCOPE, PROTECTED, View};
