//! Scans an extract and writes its tables to a directory that is ready to be published.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::thread;

use crate::dataset::{DeliveryFile, describe_files};
use crate::error::Error;
use cprflow::DataError;
use cprflow::ParquetDirectory;
use cprflow::Summary;
use cprflow::{Scan, TableBatch};

/// The memory for open row groups, in bytes. Smaller row groups would make the Parquet files slow to read.
const ROW_GROUP_BUDGET: usize = 192 * 1024 * 1024;

/// The number of batches that the scan may be ahead of the writer.
const MAX_QUEUED_BATCHES: usize = 16;

/// The result of a scan.
pub(crate) struct Staged {
    /// The summary of the scan.
    pub(crate) summary: Summary,
    /// The number of rows written per table.
    pub(crate) rows: BTreeMap<String, u64>,
    /// The files that were written.
    pub(crate) files: BTreeMap<String, DeliveryFile>,
    /// The error in the data that ended the scan before the end of the extract.
    pub(crate) broken: Option<DataError>,
}

/// Scans an extract without writing its tables. `progress` receives the number of rows read so far.
pub(super) fn examine(
    scan: Scan,
    input: impl Read,
    progress: impl Fn(u64),
) -> Result<Staged, Error> {
    // The table with the fewest rows. The summary does not depend on the tables that are read.
    let mut batches = scan.table("delivery_start").read_all(input)?;
    let mut broken = None;
    while let Some(batch) = batches.next() {
        match batch {
            Ok(_) => {}
            Err(cprflow::Error::Data(error)) => broken = Some(error),
            Err(error) => return Err(error.into()),
        }
        progress(batches.rows_read());
    }
    Ok(Staged {
        summary: batches.summary()?,
        rows: BTreeMap::new(),
        files: BTreeMap::new(),
        broken,
    })
}

/// Scans an extract and writes all its tables, empty ones too. `progress` receives the number of rows read so far.
///
/// Scanning and writing run in two threads, because each takes about as long as the other.
pub(crate) fn stage(
    scan: Scan,
    input: impl Read,
    directory: &Path,
    progress: impl Fn(u64),
) -> Result<Staged, Error> {
    let catalog = scan.connector().catalog().clone();
    let mut tables = ParquetDirectory::create(directory, false)?.with_budget(ROW_GROUP_BUDGET);
    let mut batches = scan.read_all(input)?;
    let (sender, receiver) = sync_channel::<TableBatch>(MAX_QUEUED_BATCHES);
    let mut broken = None;
    let rows = thread::scope(|threads| {
        let write = move || -> Result<_, cprflow::Error> {
            let mut rows = BTreeMap::new();
            for table in catalog.tables() {
                rows.insert(table.name.clone(), 0);
            }
            for batch in receiver {
                tables.write(&batch.table, &batch.batch)?;
                *rows.entry(batch.table).or_default() += batch.batch.num_rows() as u64;
            }
            for table in catalog.tables() {
                let Some(schema) = table.schema(None) else {
                    continue;
                };
                tables.begin_table(&table.name, schema)?;
            }
            tables.finish()?;
            Ok(rows)
        };
        let started = thread::Builder::new().spawn_scoped(threads, write);
        let writer = started.map_err(cprflow::Error::Thread)?;
        let mut failed = None;
        while let Some(batch) = batches.next() {
            match batch {
                Ok(batch) => {
                    if sender.send(batch).is_err() {
                        // The writer has failed. Its error is returned below.
                        break;
                    }
                }
                Err(cprflow::Error::Data(error)) => broken = Some(error),
                Err(error) => failed = Some(error),
            }
            progress(batches.rows_read());
        }
        drop(sender);
        let written = writer
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        match failed {
            Some(error) => Err(error),
            None => written,
        }
    })?;
    Ok(Staged {
        summary: batches.summary()?,
        rows,
        files: describe_files(directory, |path| File::open(path))?,
        broken,
    })
}
