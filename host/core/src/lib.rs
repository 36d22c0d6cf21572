//! CPR extracts (KOMBIT SF6002) as Apache Arrow, parsed inside a WebAssembly sandbox.
//!
//! This crate uses no network, no database and no keys of servers, so a program that only scans needs nothing else.
//!
//! # Modules
//!
//! - `error` has [`Error`] and its parts, grouped by cause: the data, the caller, the component, the disk.
//! - `pnr` has [`Pnr`], a person number that `Display` and `Debug` hide. `redact` removes person numbers from texts.
//! - `wit` has the generated types of the interfaces in `wit/`, and `convert` all conversions from and to them.
//! - `sandbox` runs an instance of a component within its [`Limits`].
//! - `catalog` has the [`Catalog`]: the tables and columns of a component, with types and classes of personal data.
//! - `codes` has the [`CodeTable`]s: the meaning of codes. [`CodeNames`] adds names to rows.
//! - `component` loads components: [`Connector`], and [`Loader`] for components that are not trusted.
//! - [`policy`] has the [`Policy`]: what a tenant may see. [`PolicyView`] lists the visible tables, and
//!   [`PseudonymKey`] replaces person numbers.
//! - `summary` has the [`Summary`] of a scan: counts, dates and findings.
//! - `scan` runs a [`Scan`]: bytes in, Arrow record batches out, with or without a policy. A [`StateScan`] reads several
//!   extracts as one state.
//! - `copy` copies an extract without the records of some persons: [`ExtractCopy`].
//! - `representation` has the [`Representation`] of rows for programs that cannot take every type of a table.
//! - `parquet` writes the tables of an extract ([`ParquetDirectory`]) and restores the extract ([`write_extract`]).
//! - `unfinished` makes files that get their names when they are complete ([`unfinished_file`]).
//! - [`metadata`] reads metadata files and receipts.
//! - [`soap_messages`] writes and reads the messages of CprSubscriptionService.
//!
//! # Features
//!
//! - `compiler` compiles components that are not built in ([`Loader`], [`Connector::from_file`]). Without it, they fail
//!   with [`ComponentError::NoCompiler`].
//! - `cross` lets the build script compile the built-in component for another architecture.
// One function loads the machine code of the built-in component: `component::embedded`.
#![deny(unsafe_code)]

mod catalog;
mod codes;
mod component;
mod convert;
mod copy;
mod error;
pub mod metadata;
mod parquet;
mod pnr;
pub mod policy;
mod redact;
mod representation;
mod sandbox;
mod scan;
pub mod soap_messages;
mod summary;
mod unfinished;
mod wit;

pub use catalog::{Catalog, Column, CprField, EventClass, Table, type_name};
pub use codes::{Code, CodeBasis, CodeNames, CodeTable, CodedColumn, Language, name_column};
pub use component::{Connector, Loader, compile_component};
pub use copy::{CopyReport, ExtractCopy};
pub use error::{
    ComponentError, DataError, DataErrorKind, Error, LimitKind, MetadataError, MetadataErrorKind,
    PartRefusal, RequestError,
};
pub use parquet::{ParquetDirectory, ParquetFile, write_extract};
pub use pnr::{Pnr, PnrError};
pub use policy::{
    AGREEMENT, AS_OF, INTO_SCOPE, OUT_OF_SCOPE, PROTECTED, Policy, PolicyView, PseudonymKey,
};
pub use representation::{Irregular, Representation, Timestamps};
pub use sandbox::Limits;
pub use scan::{
    Decoder, DeliveryReader, DividedScan, ExtractPlace, PartInput, Scan, ScanPart, SelectionCounts,
    StateScan, StateSurvey, TableBatch, TableReader,
};
pub use summary::{Finding, FindingPlace, Level, Shape, StartRecord, Summary, TableCount};
pub use unfinished::unfinished_file;
