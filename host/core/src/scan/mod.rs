//! Scans: bytes of an extract in, Arrow record batches out.
//!
//! - `builder` describes a scan: [`Scan`].
//! - `policy_scan` runs a scan with a policy, which reads the extract twice.
//! - `reader` returns the batches: [`DeliveryReader`] and [`TableReader`].
//! - `decode` decodes and checks a batch: [`Decoder`].
//! - `row_order` sorts rows whose order would tell more than their values.
//! - `ipc_check` checks Arrow IPC messages before they are decoded.

mod builder;
mod decode;
mod ipc_check;
mod policy_scan;
mod reader;
mod row_order;

pub use builder::Scan;
pub use decode::Decoder;
pub use policy_scan::SelectionCounts;
pub use reader::{DeliveryReader, TableBatch, TableReader};
