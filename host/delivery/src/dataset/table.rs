//! Reads a table over several published deliveries of a dataset.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use cprflow::RequestError;
use cprflow_connector::batch_filter::BatchFilter;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};

use super::deliveries::DatasetDelivery;
use super::files::table_file;
use super::generation_manifest::DatasetGeneration;
use super::table_reader::DatasetTableReader;
use crate::error::Error;

/// The columns that say which delivery a row comes from. They follow the columns of the table.
pub(super) const DELIVERY_COLUMNS: [(&str, DataType); 3] = [
    ("agreement", DataType::Utf8),
    ("delivery", DataType::Utf8),
    ("sequence", DataType::Int64),
];

/// A table over deliveries of a dataset.
///
/// It has the columns of all deliveries, because policies and versions of cprflow can differ between them: a column that
/// a delivery lacks is null. The columns `agreement`, `delivery` and `sequence` name the delivery of each row.
#[derive(Debug, Clone)]
pub struct DatasetTable {
    name: String,
    schema: SchemaRef,
    files: Arc<[TableFile]>,
    /// Whether it is a table of a generation.
    is_current: bool,
}

/// The file of a table in a delivery.
#[derive(Debug)]
pub(super) struct TableFile {
    pub(super) path: PathBuf,
    pub(super) agreement: String,
    pub(super) delivery: String,
    pub(super) sequence: u64,
    /// Whether the file is of a generation of the current tables: its own columns say where rows come from.
    pub(super) is_current: bool,
}

/// The rows and columns of a table to read.
#[derive(Debug, Clone, Default)]
pub struct TableQuery {
    /// The columns, in this order. Default: all.
    pub columns: Option<Vec<String>>,
    /// The condition on rows, as in a scan. Default: all rows.
    pub condition: Option<String>,
    /// The largest number of rows. Default: all.
    pub limit: Option<u64>,
    /// The largest number of rows in a batch. Default: 8,192. A batch can have fewer rows, for example at the end of a
    /// delivery.
    pub batch_rows: Option<u32>,
}

impl DatasetTable {
    /// Opens a table of some deliveries. `known` are all deliveries, which determine the columns, and `is_wanted` selects
    /// those whose rows are read.
    ///
    /// Fails if no delivery has the table.
    pub fn open(
        known: &[DatasetDelivery],
        name: &str,
        is_wanted: impl Fn(&DatasetDelivery) -> bool,
    ) -> Result<Self, Error> {
        let has_table = |delivery: &&DatasetDelivery| delivery.table(name).is_file();
        let having: Vec<&DatasetDelivery> = match is_plain_name(name) {
            true => known.iter().filter(has_table).collect(),
            false => Vec::new(),
        };
        if having.is_empty() {
            return Err(no_table(known, name).into());
        }
        let wanted = having.iter().filter(|delivery| is_wanted(delivery));
        let files = wanted.map(|delivery| TableFile {
            path: delivery.table(name),
            agreement: delivery.manifest.agreement.clone(),
            delivery: delivery.name(),
            sequence: delivery.manifest.sequence,
            is_current: false,
        });
        Ok(Self {
            name: name.to_owned(),
            files: files.collect(),
            schema: schema(&having, name)?,
            is_current: false,
        })
    }

    /// Opens a table of a generation of the current tables. It has the columns of the file.
    ///
    /// Fails if the generation does not have the table, or if it was removed meanwhile.
    pub fn of_generation(generation: &DatasetGeneration, name: &str) -> Result<Self, Error> {
        let tables = &generation.manifest.rows;
        if !is_plain_name(name) || !tables.contains_key(name) {
            let known: Vec<_> = tables.keys().map(String::as_str).collect();
            return Err(cprflow::Error::from(refused(format!(
                "the current tables have no table {name:?}; the tables are {}",
                known.join(", ")
            )))
            .into());
        }
        let path = generation.directory.join(table_file(name));
        Ok(Self {
            name: name.to_owned(),
            schema: file_schema(&path)?,
            files: Arc::new([TableFile {
                path,
                agreement: String::new(),
                delivery: String::new(),
                sequence: 0,
                is_current: true,
            }]),
            is_current: true,
        })
    }

    /// Returns the table's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the schema of all columns.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Starts to read rows, one delivery after the other.
    ///
    /// Fails if a column or the condition is not valid. Files are opened when their rows are needed.
    pub fn read(&self, query: &TableQuery) -> Result<DatasetTableReader, Error> {
        let schema = match &query.columns {
            None => self.schema.clone(),
            Some(names) => self.project(names)?,
        };
        let is_own =
            |name: &str| !self.is_current && DELIVERY_COLUMNS.iter().any(|(own, _)| *own == name);
        let has_column = |name: &str| !is_own(name) && self.schema.column_with_name(name).is_some();
        let filter = match &query.condition {
            None => None,
            Some(condition) => {
                let filter = BatchFilter::new(&self.name, condition, has_column);
                Some(filter.map_err(|error| cprflow::Error::from(refused(error.to_string())))?)
            }
        };
        Ok(DatasetTableReader::new(
            schema,
            self.files.clone(),
            filter,
            query,
        ))
    }

    fn project(&self, names: &[String]) -> Result<SchemaRef, cprflow::Error> {
        let mut seen = HashSet::new();
        let mut fields: Vec<FieldRef> = Vec::with_capacity(names.len());
        for name in names {
            let Some((_, field)) = self.schema.fields().find(name) else {
                let known: Vec<_> = self
                    .schema
                    .fields()
                    .iter()
                    .map(|f| f.name().as_str())
                    .collect();
                return Err(refused(format!(
                    "the table {:?} has no column {name:?}; its columns are {}",
                    self.name,
                    known.join(", ")
                ))
                .into());
            };
            if !seen.insert(name) {
                return Err(refused(format!("the column {name:?} is requested twice")).into());
            }
            fields.push(field.clone());
        }
        let metadata = self.schema.metadata().clone();
        Ok(Arc::new(Schema::new_with_metadata(fields, metadata)))
    }
}

/// Returns the union of the columns of all files, with those of the newest delivery first.
fn schema(deliveries: &[&DatasetDelivery], table: &str) -> Result<SchemaRef, Error> {
    let mut fields: Vec<Field> = Vec::new();
    let mut metadata = None;
    for (place, delivery) in deliveries.iter().rev().enumerate() {
        let path = delivery.table(table);
        let schema = file_schema(&path)?;
        for field in schema.fields() {
            match fields.iter_mut().find(|known| known.name() == field.name()) {
                None => {
                    let nullable = field.is_nullable() || place > 0;
                    fields.push(field.as_ref().clone().with_nullable(nullable));
                }
                Some(known) if known.data_type() == field.data_type() => {
                    known.set_nullable(known.is_nullable() || field.is_nullable());
                }
                Some(_) => return Err(other_type(&path, field.name())),
            }
        }
        let lacks = |known: &Field| schema.column_with_name(known.name()).is_none();
        for known in fields.iter_mut().filter(|known| lacks(known)) {
            known.set_nullable(true);
        }
        metadata.get_or_insert_with(|| schema.metadata().clone());
    }
    for (name, data_type) in DELIVERY_COLUMNS {
        fields.retain(|field| field.name() != name);
        fields.push(Field::new(name, data_type, false));
    }
    let metadata = metadata.unwrap_or_default();
    Ok(Arc::new(Schema::new_with_metadata(fields, metadata)))
}

fn file_schema(path: &Path) -> Result<SchemaRef, Error> {
    let file = File::open(path).map_err(Error::file(path))?;
    let metadata = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new());
    let metadata = metadata.map_err(cprflow::Error::parquet(path))?;
    Ok(metadata.schema().clone())
}

/// Returns the error of a file in which a column has another type than in the other deliveries.
pub(super) fn other_type(path: &Path, column: &str) -> Error {
    Error::Dataset {
        path: path.to_owned(),
        what: format!(
            "the column {column:?} has another type than in the other deliveries. Read these deliveries alone, or \
             publish them again"
        ),
    }
}

fn no_table(known: &[DatasetDelivery], name: &str) -> cprflow::Error {
    let tables = known.iter().rev().flat_map(|one| one.manifest.rows.keys());
    let mut tables: Vec<_> = tables.map(String::as_str).collect();
    tables.sort_unstable();
    tables.dedup();
    refused(match tables.is_empty() {
        true => "the dataset has no published delivery yet, so its tables are not known. Run `cprflow sync`".to_owned(),
        false => format!(
            "no published delivery has the table {name:?}; the published tables are {}",
            tables.join(", ")
        ),
    })
    .into()
}

/// Returns whether a name can be that of a table, so that it cannot lead out of the delivery's directory.
fn is_plain_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

pub(super) fn refused(what: String) -> RequestError {
    RequestError::Refused(what)
}

/// Returns an error of a file that cannot be read as a table.
pub(super) fn unreadable(path: &Path, what: &str) -> Error {
    Error::file(path)(io::Error::new(io::ErrorKind::InvalidData, what.to_owned()))
}
