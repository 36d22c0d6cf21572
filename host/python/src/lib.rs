//! The native part of the Python package `cprflow`. `python/cprflow/` has the rest of the package.
//!
//! | module | content |
//! |---|---|
//! | `input` | extracts as input: a path, bytes or a file object |
//! | `extract` | `open` and `Extract` |
//! | `dataset` | `dataset`, `Dataset` and `Delivery` |
//! | `table` | `Table` and `Scan`: what to read of an extract or a dataset |
//! | `part` | parts of an extract for other processes |
//! | `stream` | the rows as a stream, and the counters of what it read |
//! | `batch` | iterates over the batches of a scan |
//! | `schema` | schemas, columns and the tables of the catalog |
//! | `capsule` | Arrow's C interfaces as Python capsules |
//! | `report` | findings, and the report of `verify` |
//! | `sync`, `generate` | the functions of these names |
//! | `command` | the command `cprflow` |
//! | `choice` | options that name one of several texts |
//! | `interrupt` | Ctrl-C during long work |
//! | `log` | the log as records of Python's `logging` |
//! | `failure` | errors and panics as Python exceptions |
//!
//! All work runs without Python's global lock, and a panic never leaves this library as one.

mod batch;
mod capsule;
mod choice;
mod command;
mod dataset;
mod extract;
mod failure;
mod generate;
mod input;
mod interrupt;
mod log;
mod part;
mod report;
mod schema;
mod stream;
mod sync;
mod table;

use std::sync::OnceLock;

use cprflow::Connector;
use pyo3::prelude::*;

/// The native module of the Python package `cprflow`.
#[pymodule]
mod _native {
    use pyo3::prelude::*;

    #[pymodule_export]
    use super::batch::{Batch, BatchIterator};
    #[pymodule_export]
    use super::command::main;
    #[pymodule_export]
    use super::dataset::{Dataset, Delivery, Generation, dataset};
    #[pymodule_export]
    use super::extract::{Extract, open};
    #[pymodule_export]
    use super::generate::{Generated, generate};
    #[pymodule_export]
    use super::part::{component_digest, read_part};
    #[pymodule_export]
    use super::report::{Finding, FindingPlace, Report, Start};
    #[pymodule_export]
    use super::schema::{CatalogTable, Column, Schema, catalog};
    #[pymodule_export]
    use super::stream::ScanStats;
    #[pymodule_export]
    use super::sync::{Problem, Published, Skipped, SyncReport, sync};
    #[pymodule_export]
    use super::table::{Scan, Table};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        super::failure::hide_panics();
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}

/// Returns the built-in component. The first call loads it.
fn connector() -> Result<Connector, cprflow::Error> {
    static CONNECTOR: OnceLock<Connector> = OnceLock::new();
    match CONNECTOR.get() {
        Some(connector) => Ok(connector.clone()),
        None => {
            let connector = Connector::embedded()?;
            Ok(CONNECTOR.get_or_init(|| connector).clone())
        }
    }
}
