//! Reads the state of the register and writes the current tables to a directory.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread;

use super::inputs::Inputs;
use super::outlived;
use super::protections;
use super::update::{Check, CurrentTables, TenantRules};
use crate::dataset::{DeliveryFile, describe_files};
use crate::error::Error;
use crate::ledger::KeptExtract;
use crate::register::{Register, open_file};
use cprflow::{
    Catalog, DeliveryReader, ExtractPlace, ParquetDirectory, Pnr, PolicyView, SelectionCounts,
    StateScan, TableBatch,
};

/// The number of batches that the scan may be ahead of the writer.
const MAX_QUEUED_BATCHES: usize = 16;

/// The class of columns about church membership.
const RELIGION: &str = "religion";

/// The tables of a generation that were written.
pub(super) struct WrittenTables {
    /// The number of rows per table.
    pub(super) rows: BTreeMap<String, u64>,
    /// The files in the directory.
    pub(super) files: BTreeMap<String, DeliveryFile>,
    /// The numbers of persons.
    pub(super) counts: SelectionCounts,
    /// The persons in scope, in the component's format; `None` without a policy.
    pub(super) roster: Option<Vec<u8>>,
    /// The persons who are not masked, in the component's format; `None` without a policy, and if they cannot be listed.
    pub(super) unmasked: Option<Vec<u8>>,
}

/// Writes every table of the state, empty ones too. `roster` lists the persons with whom those in scope are compared.
pub(super) fn write(
    tables: &CurrentTables<'_>,
    inputs: &Inputs,
    day: &str,
    roster: Option<Vec<u8>>,
    directory: &Path,
) -> Result<WrittenTables, Error> {
    let scan = scan(tables, day, roster);
    let mut batches = open(tables, scan, inputs)?;
    let view = batches.view().cloned();
    let hidden = match tables.tenant.is_some() || tables.shows_church {
        true => BTreeSet::new(),
        false => church_tables(tables.connector.catalog()),
    };
    // Nothing is hidden in the unrestricted dataset, so its readers must see what no kept record says.
    let without_record = match (&view, tables.tenant) {
        (Some(view), None) => protections::rows(view, &inputs.protected)?,
        _ => None,
    };
    let written = ParquetDirectory::create(directory, false)?;
    let (sender, receiver) = sync_channel::<TableBatch>(MAX_QUEUED_BATCHES);
    let rows = thread::scope(|threads| {
        let write = move || write_batches(written, view.as_ref(), receiver);
        let started = thread::Builder::new().spawn_scoped(threads, write);
        let writer = started.map_err(cprflow::Error::Thread)?;
        let mut failed = Ok(());
        for batch in batches.by_ref() {
            failed = (tables.check)().and_then(|()| {
                let batch = batch?;
                // If the writer has failed, its error is returned below.
                if !hidden.contains(&batch.table) {
                    let _ = sender.send(batch);
                }
                Ok(())
            });
            if failed.is_err() {
                break;
            }
        }
        if let (Ok(()), Some(rows)) = (&failed, without_record) {
            let _ = sender.send(rows);
        }
        drop(sender);
        let written = writer
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        failed.and_then(|()| Ok(written?))
    });
    let rows = rows.or_else(|error: Error| (tables.check)().and(Err(error)))?;
    let roster = match tables.tenant {
        Some(_) => Some(batches.roster()?),
        None => None,
    };
    let counts = batches.selected().unwrap_or(SelectionCounts {
        persons: 0,
        entered: 0,
        left: 0,
    });
    // The tables are complete without this list, so an error only means that older tables are removed.
    let unmasked = match tables.tenant {
        None => None,
        Some(tenant) => {
            let found = outlived::unmasked(tables.connector, tenant, &mut batches);
            tables.or_unknown(found.map_err(Error::from))?
        }
    };
    let files = describe_files(directory, |path| {
        Ok(CheckedReader {
            reader: File::open(path)?,
            check: tables.check.clone(),
        })
    });
    Ok(WrittenTables {
        rows,
        files: files.or_else(|error| (tables.check)().and(Err(error)))?,
        counts,
        roster,
        unmasked,
    })
}

/// Returns a scan of the state as the tenant may see it.
fn scan(tables: &CurrentTables<'_>, day: &str, roster: Option<Vec<u8>>) -> StateScan {
    let mut scan = StateScan::new(tables.connector);
    let has_own_day = |tenant: TenantRules<'_>| tenant.policy.day.is_some();
    if !tables.tenant.is_some_and(has_own_day) {
        scan = scan.day(day);
    }
    if let Some(tenant) = tables.tenant {
        scan = scan
            .policy(tenant.policy)
            .limits(tenant.tenant.limits.sandbox())
            .tenant(tenant.tenant.name.as_str());
        if let Some(key) = tenant.key {
            scan = scan.pseudonym_key(key.clone());
        }
    }
    match roster {
        Some(roster) => scan.roster(roster),
        None => scan,
    }
}

/// Runs the first pass over the state and begins the second.
fn open(
    tables: &CurrentTables<'_>,
    scan: StateScan,
    inputs: &Inputs,
) -> Result<DeliveryReader<Box<dyn Read + Send>>, Error> {
    let (mut ordered, paths) = places(&inputs.extracts);
    let mut protections: Arc<[u8]> = Arc::default();
    let protected = protected(tables, inputs);
    // The scan only sees that reading failed. If the work was stopped, that is the cause and the better error.
    let protected = protected.or_else(|error| (tables.check)().and(Err(error)))?;
    if !protected.is_empty() {
        let extract = protections::extract(&protected);
        protections = extract.map_err(Error::file(tables.home))?.into();
        ordered.push(ExtractPlace {
            production_date: protections::DAY.to_owned(),
            sequence: 0,
            agreement: protections::AGREEMENT.to_owned(),
        });
    }
    let check = tables.check.clone();
    let opened = scan.read(ordered, move |place| {
        let reader: Box<dyn Read + Send> = match paths.get(place) {
            Some(path) => Box::new(open_file(path)?),
            None => Box::new(Cursor::new(protections.clone())),
        };
        let check = check.clone();
        Ok(Box::new(CheckedReader { reader, check }) as Box<dyn Read + Send>)
    });
    opened.or_else(|error| (tables.check)().and(Err(error.into())))
}

/// Returns the persons who are protected by more than the state of the tenant's extracts: by one of several agreements, by an
/// agreement that the tenant may no longer see, or by records of erased persons.
fn protected(tables: &CurrentTables<'_>, inputs: &Inputs) -> Result<BTreeSet<Pnr>, Error> {
    let Some(tenant) = tables.tenant else {
        return Ok(BTreeSet::new());
    };
    let mut agreements = inputs.extracts.iter().map(|(_, kept)| &kept.agreement);
    let first = agreements.next();
    let has_several = agreements.any(|agreement| Some(agreement) != first);
    if !has_several && inputs.former.is_empty() && inputs.protected.is_empty() {
        return Ok(BTreeSet::new());
    }
    let scan = StateScan::new(tables.connector)
        .limits(tenant.tenant.limits.sandbox())
        .tenant(tenant.tenant.name.as_str());
    let extracts = [inputs.extracts.as_slice(), &inputs.former].concat();
    let check = tables.check.clone();
    let open = move |path: &Path| {
        let reader = open_file(path)?;
        let check = check.clone();
        Ok(CheckedReader { reader, check })
    };
    protections::protected_persons(&scan, &extracts, &inputs.protected, open)
}

/// Returns the persons in scope in the state of these extracts, in the component's format, and how many there are and how
/// many of `roster` are hidden. Reads the extracts once and writes nothing.
pub(super) fn select(
    tables: &CurrentTables<'_>,
    inputs: &Inputs,
    day: &str,
    roster: Option<Vec<u8>>,
) -> Result<(Vec<u8>, SelectionCounts), Error> {
    let mut batches = open(tables, scan(tables, day, roster), inputs)?;
    let roster = batches.roster()?;
    let none = SelectionCounts {
        persons: 0,
        entered: 0,
        left: 0,
    };
    Ok((roster, batches.selected().unwrap_or(none)))
}

/// Writes batches until the channel is closed. Tables without rows get a file too.
fn write_batches(
    mut tables: ParquetDirectory,
    view: Option<&PolicyView>,
    batches: impl IntoIterator<Item = TableBatch>,
) -> Result<BTreeMap<String, u64>, cprflow::Error> {
    let mut rows = BTreeMap::new();
    for table in view.iter().flat_map(|view| view.tables()) {
        rows.insert(table.name.clone(), 0);
        if let Some(schema) = table.schema(None) {
            tables.begin_table(&table.name, schema)?;
        }
    }
    for batch in batches {
        tables.write(&batch.table, &batch.batch)?;
        *rows.entry(batch.table).or_default() += batch.batch.num_rows() as u64;
    }
    tables.finish()?;
    Ok(rows)
}

/// Returns the places of the extracts, newest first, and the path of each. They are numbered by the order of applying.
pub(super) fn places(
    extracts: &[(Register, KeptExtract)],
) -> (Vec<ExtractPlace>, BTreeMap<ExtractPlace, PathBuf>) {
    let place = |kept: &KeptExtract, index: usize| ExtractPlace {
        production_date: kept.production_date.clone(),
        sequence: index as u64 + 1,
        agreement: kept.agreement.clone(),
    };
    let extracts = extracts.iter().enumerate();
    let paths: BTreeMap<_, _> = extracts
        .map(|(index, (register, kept))| (place(kept, index), register.path(kept)))
        .collect();
    (paths.keys().rev().cloned().collect(), paths)
}

/// Returns the tables that have a column about church membership.
fn church_tables(catalog: &Catalog) -> BTreeSet<String> {
    let is_of_church = |table: &&cprflow::Table| {
        let mut fields = table
            .columns
            .iter()
            .filter_map(|column| column.field.as_ref());
        fields.any(|field| field.sensitivity.as_deref() == Some(RELIGION))
    };
    let tables = catalog.tables().iter().filter(is_of_church);
    tables.map(|table| table.name.clone()).collect()
}

/// A reader that fails once the work must stop.
pub(super) struct CheckedReader<R> {
    pub(super) reader: R,
    pub(super) check: Check,
}

impl<R: Read> Read for CheckedReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (self.check)().map_err(io::Error::other)?;
        self.reader.read(buffer)
    }
}
