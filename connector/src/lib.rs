//! The parser of CPR extracts: bytes in, Arrow out.
//!
//! The same code is the WASI component that cprflow runs in its sandbox (see `wit/`) and this plain library,
//! for tests, fuzzing and benchmarks. It does no input or output of its own and knows no clock.
//!
//! The way of a byte: [`Scan::push`] → `split` (blocks to records, in every physical shape) → `tally` (what the
//! record is, and the books) → `table` (fields to columns, by `value` and `builder`) → [`Scan::next`].
//!
//! A [`Selection`] is a pass before it that chooses persons, and may keep to a [`Policy`]; then `gate` stands between
//! `tally` and `table`, and decides what passes and what of it is masked.
//!
//! Beside it stand the documents around extracts: [`delivery`] reads metadata files, [`subscription`]
//! makes and reads the calls of CprSubscriptionService.
//!
//! ```
//! use cprflow_connector::{Scan, ScanOptions};
//!
//! let extract = b"00000000000001109012001111720011116\n\
//!     0010101965058          01000000000000 K1896-01-01 1997-09-09\n\
//!     999999999999900000001\n";
//! let mut scan = Scan::open(&ScanOptions::default(), None)?;
//! scan.push(extract.to_vec())?;
//! scan.finish()?;
//! while let Some(rows) = scan.next()? {
//!     println!("{}: {} rows", rows.table.name(), rows.batch.num_rows());
//! }
//! assert!(scan.summary().findings.is_empty());
//! # Ok::<(), cprflow_connector::Error>(())
//! ```
// The only unsafe code is what wit-bindgen generates for the component.
#![deny(unsafe_code)]

mod builder;
#[cfg(target_family = "wasm")]
mod component;
pub mod delivery;
#[cfg(feature = "native")]
pub mod emit;
mod error;
mod finding;
mod gate;
#[cfg(feature = "native")]
pub mod generate;
mod grammar;
mod ident;
pub mod ipc;
pub mod layout;
mod packed;
mod plan;
pub mod policy;
mod predicate;
#[cfg(feature = "native")]
pub mod restore;
mod scan;
pub mod schema;
mod scratch;
mod scrub;
mod selection;
mod split;
pub mod subscription;
mod table;
mod tally;
mod value;
mod xml;

pub use error::{Error, Position};
pub use finding::{Code, Finding, Level, Place};
pub use ident::{is_date_time, uuid};
pub use policy::Policy;
pub use scan::{DEFAULT_BATCH_ROWS, Scan, ScanOptions, Start, Summary, TableBatch, TableRequest};
pub use scrub::{holds_number, scrub};
pub use selection::{AgeRange, PersonFilter, Selected, Selection};
pub use split::Shape;
pub use xml::XmlError;
