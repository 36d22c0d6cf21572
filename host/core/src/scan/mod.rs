//! Scans: bytes of an extract in, Arrow record batches out.
//!
//! - `builder` describes a scan: [`Scan`].
//! - `policy_scan` runs a scan with a policy, which reads the extract twice.
//! - `reader` returns the batches: [`DeliveryReader`] and [`TableReader`].
//! - `decode` decodes and checks a batch: [`Decoder`].
//! - `state` scans several extracts as one state: [`StateScan`] and [`StateSurvey`].
//! - `input` is what a scan reads: one extract, or those of a state.
//! - `row_order` sorts rows whose order would tell more than their values.
//! - `table_decoders` decodes the batches of all tables of a scan.
//! - `parts` reads the parts of an extract at the same time.
//! - `distributed` divides an extract for other processes: [`ScanPart`].
//! - `ipc_check` checks Arrow IPC messages before they are decoded.

mod builder;
mod decode;
mod distributed;
mod input;
mod ipc_check;
mod parts;
mod policy_scan;
mod reader;
mod row_order;
mod state;
mod table_decoders;

pub use builder::Scan;
pub use decode::Decoder;
pub use distributed::{DividedScan, PartInput, ScanPart};
pub use input::ExtractPlace;
pub use policy_scan::SelectionCounts;
pub use reader::{DeliveryReader, TableBatch, TableReader};
pub use state::{StateScan, StateSurvey};

pub(crate) use input::read_block;
