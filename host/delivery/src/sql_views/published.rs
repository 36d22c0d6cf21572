//! The tables and columns that are published in a dataset.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};

use crate::error::Error;
use cprflow::Catalog;

/// The tables of a dataset and their columns. A policy can leave out tables and columns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PublishedDataset {
    tables: BTreeMap<String, BTreeSet<String>>,
    /// The number of agreements with deliveries; `None` if it is not known.
    agreements: Option<usize>,
}

impl PublishedDataset {
    /// Reads the tables and columns of a dataset.
    ///
    /// It finds the tables of all deliveries. The columns of a table are those in the newest delivery with the table. With
    /// the name of an agreement, only the deliveries of the agreement count.
    pub fn look(dataset: &Path, agreement: Option<&str>) -> Result<Self, Error> {
        let mut published = Self::default();
        let mut deliveries = 0;
        let mut agreements = 0;
        for (name, path) in partitions(dataset, "agreement=")? {
            if agreement.is_some_and(|wanted| wanted != name) {
                continue;
            }
            // The newest delivery with a table comes first and determines the columns.
            let mut seen = BTreeSet::new();
            let before = deliveries;
            for (_, path) in partitions(&path, "delivery=")?.into_iter().rev() {
                deliveries += 1;
                for (table, path) in tables(&path)? {
                    if seen.insert(table.clone()) {
                        let columns = columns(&path)?;
                        published.tables.entry(table).or_default().extend(columns);
                    }
                }
            }
            agreements += usize::from(deliveries > before);
        }
        if deliveries == 0 {
            return Err(no_delivery(dataset, agreement));
        }
        published.agreements = Some(agreements);
        Ok(published)
    }

    /// Returns all tables with all columns, for a dataset that cannot be read here.
    pub fn everything(catalog: &Catalog) -> Self {
        let tables = catalog.tables().iter().map(|table| {
            let columns = table.columns.iter().map(|column| column.name.clone());
            (table.name.clone(), columns.collect())
        });
        Self {
            tables: tables.collect(),
            agreements: None,
        }
    }

    /// Returns whether several agreements have deliveries, or may have.
    pub(super) fn has_several_agreements(&self) -> bool {
        self.agreements.is_none_or(|agreements| agreements > 1)
    }

    /// Returns whether a table is published.
    pub fn has(&self, table: &str) -> bool {
        self.tables.contains_key(table)
    }

    /// Returns whether a column of a table is published.
    pub fn has_column(&self, table: &str, column: &str) -> bool {
        let columns = self.tables.get(table);
        columns.is_some_and(|columns| columns.contains(column))
    }
}

/// Returns the directories called `<key><name>`, by name.
fn partitions(directory: &Path, key: &str) -> Result<BTreeMap<String, PathBuf>, Error> {
    let mut partitions = BTreeMap::new();
    for (name, path) in entries(directory)? {
        if let Some(name) = name.strip_prefix(key)
            && path.is_dir()
        {
            partitions.insert(name.to_owned(), path);
        }
    }
    Ok(partitions)
}

/// Returns the tables of a delivery with their files.
fn tables(delivery: &Path) -> Result<Vec<(String, PathBuf)>, Error> {
    let mut tables = Vec::new();
    for (name, path) in entries(delivery)? {
        if let Some(table) = name.strip_suffix(".parquet") {
            tables.push((table.to_owned(), path));
        }
    }
    Ok(tables)
}

/// Returns names and paths in a directory. Names that are not UTF-8 are skipped, because cprflow never creates them.
fn entries(directory: &Path) -> Result<Vec<(String, PathBuf)>, Error> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(directory).map_err(Error::file(directory))? {
        let entry = entry.map_err(Error::file(directory))?;
        if let Ok(name) = entry.file_name().into_string() {
            entries.push((name, entry.path()));
        }
    }
    Ok(entries)
}

fn columns(path: &Path) -> Result<Vec<String>, Error> {
    let file = File::open(path).map_err(Error::file(path))?;
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let metadata =
        ArrowReaderMetadata::load(&file, options).map_err(cprflow::Error::parquet(path))?;
    let fields = metadata.schema().fields().iter();
    Ok(fields.map(|field| field.name().clone()).collect())
}

fn no_delivery(dataset: &Path, agreement: Option<&str>) -> Error {
    let what = match agreement {
        Some(name) => format!("the dataset contains no delivery of an agreement {name:?}"),
        None => "the dataset contains no delivery. Its layout is \
                 agreement=<name>/delivery=<name>/<table>.parquet"
            .to_owned(),
    };
    Error::Dataset {
        path: dataset.to_owned(),
        what,
    }
}
