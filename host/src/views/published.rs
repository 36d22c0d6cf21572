//! What is published in a dataset: which tables, with which columns.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};

use crate::catalog::Catalog;
use crate::error::Error;

/// The tables of a dataset and their columns. A policy may leave out either.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Published {
    tables: BTreeMap<String, BTreeSet<String>>,
}

impl Published {
    /// Looks into a dataset: which tables there are in any delivery, and which columns they have in the newest.
    ///
    /// With the name of an agreement only its deliveries count.
    pub fn look(dataset: &Path, agreement: Option<&str>) -> Result<Self, Error> {
        let mut published = Self::default();
        let mut deliveries = 0;
        for (name, path) in parts(dataset, "agreement=")? {
            if agreement.is_some_and(|wanted| wanted != name) {
                continue;
            }
            // Newest first: it has the say about the columns.
            let mut seen = BTreeSet::new();
            for (_, path) in parts(&path, "delivery=")?.into_iter().rev() {
                deliveries += 1;
                for (table, path) in tables(&path)? {
                    if seen.insert(table.clone()) {
                        let columns = columns(&path)?;
                        published.tables.entry(table).or_default().extend(columns);
                    }
                }
            }
        }
        if deliveries == 0 {
            return Err(nothing(dataset, agreement));
        }
        Ok(published)
    }

    /// All tables with all columns: for a dataset that cannot be looked into.
    pub fn everything(catalog: &Catalog) -> Self {
        let tables = catalog.tables().iter().map(|table| {
            let columns = table.columns.iter().map(|column| column.name.clone());
            (table.name.clone(), columns.collect())
        });
        Self {
            tables: tables.collect(),
        }
    }

    /// Whether there is such a table.
    pub fn has(&self, table: &str) -> bool {
        self.tables.contains_key(table)
    }

    /// Whether there is such a table with such a column.
    pub fn has_column(&self, table: &str, column: &str) -> bool {
        let columns = self.tables.get(table);
        columns.is_some_and(|columns| columns.contains(column))
    }
}

/// Directories called `<key><name>`, by name.
fn parts(directory: &Path, key: &str) -> Result<BTreeMap<String, PathBuf>, Error> {
    let mut parts = BTreeMap::new();
    for (name, path) in entries(directory)? {
        if let Some(name) = name.strip_prefix(key)
            && path.is_dir()
        {
            parts.insert(name.to_owned(), path);
        }
    }
    Ok(parts)
}

/// Tables of a delivery.
fn tables(delivery: &Path) -> Result<Vec<(String, PathBuf)>, Error> {
    let mut tables = Vec::new();
    for (name, path) in entries(delivery)? {
        if let Some(table) = name.strip_suffix(".parquet") {
            tables.push((table.to_owned(), path));
        }
    }
    Ok(tables)
}

/// What is in a directory. Names that are no text are nobody's here.
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
    let metadata = ArrowReaderMetadata::load(&file, options).map_err(Error::parquet(path))?;
    let fields = metadata.schema().fields().iter();
    Ok(fields.map(|field| field.name().clone()).collect())
}

fn nothing(dataset: &Path, agreement: Option<&str>) -> Error {
    let what = match agreement {
        Some(name) => format!("no delivery of an agreement {name:?} is published in it"),
        None => "no delivery is published in it: a dataset holds \
                 agreement=<name>/delivery=<name>/<table>.parquet"
            .to_owned(),
    };
    Error::Tables {
        path: dataset.to_owned(),
        what,
    }
}
