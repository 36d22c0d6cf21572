//! cprflow: Denmark's civil register (CPR) in data pipelines.
#![forbid(unsafe_code)]

mod catalog;
mod decode;
mod error;
mod parquet_out;
mod report;
mod restore;
mod sandbox;
mod scan;

pub use catalog::{Catalog, Column, CprField, Table, type_name};
pub use decode::Decoder;
pub use error::{ComponentError, DataError, DataErrorKind, Error};
pub use parquet_out::{ParquetDirectory, ParquetFile};
pub use report::{Finding, Level, Place, Shape, Start, Summary, TableCount};
pub use restore::write_extract;
pub use sandbox::{Connector, Limits};
pub use scan::{DeliveryReader, Scan, TableBatch, TableReader};
