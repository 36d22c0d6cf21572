//! From an extract to a directory of tables that is ready to be published.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::thread;

use crate::error::{DataError, Error};
use crate::parquet_out::ParquetDirectory;
use crate::report::Summary;
use crate::scan::{Scan, TableBatch};

/// Bytes that open row groups may hold: room for row groups that are worth their name.
const ROW_GROUP_BUDGET: usize = 192 * 1024 * 1024;

/// Batches on their way from the scan to the writer.
const BATCHES_UNDER_WAY: usize = 16;

/// What an extract turned out to be.
pub(super) struct Staged {
    /// What the scan has to say.
    pub(super) summary: Summary,
    /// Rows written of every table.
    pub(super) rows: BTreeMap<String, u64>,
    /// What in the data ended the scan before its end.
    pub(super) broken: Option<DataError>,
}

/// Scans an extract only to judge it.
pub(super) fn examine(
    scan: Scan,
    input: impl Read,
    progress: impl Fn(u64),
) -> Result<Staged, Error> {
    // The table with the fewest rows: what is said of the whole does not depend on the tables asked for.
    let mut batches = scan.table("delivery_start").read_all(input)?;
    let mut broken = None;
    while let Some(batch) = batches.next() {
        match batch {
            Ok(_) => {}
            Err(Error::Data(error)) => broken = Some(error),
            Err(error) => return Err(error),
        }
        progress(batches.rows_read());
    }
    Ok(Staged {
        summary: batches.summary()?,
        rows: BTreeMap::new(),
        broken,
    })
}

/// Scans an extract and writes all of its tables, empty ones too.
///
/// Scanning and writing are two threads: each takes about as long as the other.
pub(super) fn stage(
    scan: Scan,
    input: impl Read,
    directory: &Path,
    progress: impl Fn(u64),
) -> Result<Staged, Error> {
    let catalog = scan.connector().catalog().clone();
    let mut tables = ParquetDirectory::create(directory, false)?.with_budget(ROW_GROUP_BUDGET);
    let mut batches = scan.read_all(input)?;
    let (sender, receiver) = sync_channel::<TableBatch>(BATCHES_UNDER_WAY);
    let mut broken = None;
    let rows = thread::scope(|threads| {
        let writer = threads.spawn(move || -> Result<_, Error> {
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
        });
        let mut failed = None;
        while let Some(batch) = batches.next() {
            match batch {
                Ok(batch) => {
                    if sender.send(batch).is_err() {
                        // The writer has gone: it will say why.
                        break;
                    }
                }
                Err(Error::Data(error)) => broken = Some(error),
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
        broken,
    })
}
