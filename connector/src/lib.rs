//! Parses extracts of Denmark's civil register (CPR) and returns their records as Apache Arrow batches.
//!
//! The same code builds the WASI component that cprflow runs in its sandbox (its interfaces are in `wit/`) and this
//! plain library, for tests, fuzzing and benchmarks. It does no input or output and reads no clock.
//!
//! # Modules
//!
//! - [`layout`] describes the fields of every record type.
//! - [`codes`] has the meaning of codes.
//! - `lanes` compares sixteen bytes at once.
//! - `value` and `grammar` convert fields, control records and dates.
//! - `record` classifies a record by its type.
//! - `damage` finds damaged lines that may have been a protection or a tie between two numbers.
//! - `wire` writes and reads what one instance tells another about its part of an extract.
//! - `person_records` finds persons with several 001.
//! - `input` cuts the bytes of an extract into records, in every physical shape.
//! - `columns` turns records into Arrow columns: [`schema`] has the tables, [`ipc`] encodes batches.
//! - `stats` counts records and derives the findings.
//! - `predicate` evaluates conditions on rows.
//! - [`policy`] describes what a tenant may see.
//! - `selection` is the first pass, which finds the persons in scope and the leavers.
//! - `copy` copies extracts without the records of some persons.
//! - `scan` joins all of these: [`Scan::push`] takes bytes, [`Scan::next`] returns batches.
//! - `xml` reads XML documents, and `ident` checks identifiers.
//! - [`delivery`] reads metadata files and receipts.
//! - [`subscription`] writes and reads the calls of CprSubscriptionService.
//! - `component` implements the interfaces of `wit/`; it is compiled for WebAssembly only.
//! - `native` writes, restores and generates extracts, and filters batches. It needs the feature `native` and is not part of the component.
//!
//! A module uses only modules above it in this list, and `error` and `finding`.
//!
//! # Example
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
// Unsafe is only the code that wit-bindgen generates for the component, and one function of `columns::text` there.
#![deny(unsafe_code)]

pub mod codes;
mod columns;
#[cfg(target_family = "wasm")]
mod component;
mod copy;
mod damage;
pub mod delivery;
mod error;
mod finding;
mod grammar;
mod ident;
mod input;
mod lanes;
pub mod layout;
#[cfg(feature = "native")]
mod native;
mod person_records;
pub mod policy;
mod predicate;
mod record;
mod scan;
mod selection;
mod stats;
pub mod subscription;
mod value;
mod wire;
mod xml;

pub use columns::{ipc, schema};
pub use copy::{CopyOptions, CopyReport, ExtractCopy};
pub use error::{Error, Position};
pub use finding::{Code, Finding, Level, Place};
pub use ident::{is_date_time, uuid};
pub use input::{OtherFormat, PartStart, Shape};
#[cfg(feature = "native")]
pub use native::{batch_filter, compared_codes, generate, restore, writer};
pub use policy::{AgeRange, PersonFilter, Policy};
pub use scan::{DEFAULT_BATCH_ROWS, Scan, ScanOptions, Start, Summary, TableBatch, TableRequest};
pub use selection::{ExtractPlace, Selected, Selection};
pub use xml::XmlError;
