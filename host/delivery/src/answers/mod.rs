//! Ready answers: SQL views over the current tables of a dataset, for DuckDB, Spark SQL and PostgreSQL.
//!
//! `resident`, `protected`, `family`, `moves`, `births`, `deaths`, `number_changes` and the table function `new_since`
//! answer what most users ask. Each counts a person number once, leaves out annulled rows, and treats a person as protected
//! if that is not certain. "Today" is the day for which the current tables were made.
//!
//! The statements for DuckDB are in `answers.sql`. Those that Spark and PostgreSQL both understand are in `standard.sql`,
//! and what only one of them understands in `spark.sql` and `postgres.sql`. All read one view for each table, `current_T`,
//! which has all columns of the catalog: a column that a policy hides is null there, and a hidden table is empty.

mod duckdb;
mod error;
mod postgres;
mod spark;
mod standard;

use std::fs::File;
use std::path::Path;

use arrow::datatypes::DataType;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};

pub use error::AnswersError;

use crate::dataset::{CODES, DatasetGeneration, GenerationManifest};
use crate::error::Error;
use crate::fs::entries;
use cprflow::{Catalog, Connector, Table};

/// The tables that the answers read.
const TABLES: [&str; 16] = [
    "person",
    "name",
    "address",
    "plaintext_address",
    "address_history",
    "emigration_history",
    "protection",
    "mother_address",
    "father_address",
    "child_address",
    "former_pnr",
    "child",
    "parents",
    "civil_status",
    "custody",
    "birth_registration",
];

/// The table of events.
const EVENT: &str = "event";

/// The columns of every current table beside those of the catalog.
const ORIGIN: [(&str, DataType); 2] = [("as_of", DataType::Date32), ("agreement", DataType::Utf8)];

/// The mark of protected persons in the dataset of a tenant that sees them.
const PROTECTED: &str = cprflow::PROTECTED;

/// The engine that runs the statements, and where it finds the tables.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AnswersEngine {
    /// DuckDB 1.2 or newer, which reads the files of the newest generation whenever a query runs.
    DuckDb,
    /// Spark SQL 4.1 or newer, which reads the files of the generation that is the newest now.
    Spark,
    /// PostgreSQL 14 or newer, with the tables that `cprflow export --current` made.
    Postgres {
        /// The schema of the exported tables. The answers get the schema beside it: see [`answers_schema`].
        schema: String,
    },
}

/// Returns the name of the schema in which PostgreSQL has the ready answers over the tables of a schema.
pub fn answers_schema(schema: &str) -> Result<String, AnswersError> {
    postgres::answers_schema(schema)
}

/// Returns the statements that create the ready answers of a dataset. `dataset` is its absolute path.
pub fn sql(engine: &AnswersEngine, connector: &Connector, dataset: &Path) -> Result<String, Error> {
    let path = dataset.to_str().ok_or(AnswersError::NotUtf8)?;
    let catalog = connector.catalog();
    match engine {
        AnswersEngine::DuckDb => {
            duckdb::check(path)?;
            let current = dataset.join("current");
            check_generation(&current)?;
            let codes = code_tables(dataset)?;
            Ok(duckdb::script(
                path,
                &codes,
                &Content::read(catalog, &current)?,
            ))
        }
        AnswersEngine::Spark => {
            let generation = DatasetGeneration::open(dataset)?;
            let generation = generation.ok_or(AnswersError::NoCurrentTables)?;
            let directory = generation.directory.to_str();
            let codes = code_tables(dataset)?;
            Ok(spark::script(
                path,
                directory.ok_or(AnswersError::NotUtf8)?,
                &generation.manifest,
                &codes,
                &Content::read(catalog, &generation.directory)?,
            ))
        }
        AnswersEngine::Postgres { schema } => {
            let own_schema = answers_schema(schema)?;
            let current = dataset.join("current");
            check_generation(&current)?;
            let content = Content::read(catalog, &current)?;
            let codes = connector.code_tables()?;
            Ok(postgres::script(schema, &own_schema, &codes, &content))
        }
    }
}

/// Refuses a dataset without current tables.
fn check_generation(current: &Path) -> Result<(), Error> {
    match GenerationManifest::read(current)? {
        Some(_) => Ok(()),
        None => Err(AnswersError::NoCurrentTables.into()),
    }
}

/// What a generation shows of the tables that the answers read.
struct Content<'a> {
    tables: Vec<Shown<'a>>,
    /// The expression for the column `protected`: whether the row of the view `protected` was found.
    is_protected: &'static str,
    /// The expression for the column `relative_protected`.
    is_relative_protected: &'static str,
}

/// A table that the answers read.
struct Shown<'a> {
    table: &'a Table,
    /// The columns that the generation has; `None` if it does not have the table.
    columns: Option<Vec<String>>,
}

impl<'a> Content<'a> {
    /// Looks into the files of a generation.
    fn read(catalog: &'a Catalog, generation: &Path) -> Result<Self, Error> {
        let mut tables = Vec::new();
        let mut shows_all = false;
        let mut shows_protection = false;
        for name in TABLES.into_iter().chain([EVENT]) {
            let Some(table) = catalog.table(name) else {
                continue;
            };
            let shown = Shown {
                table,
                columns: columns(&generation.join(format!("{name}.parquet")))?,
            };
            if name == "person" && !shown.has("pnr") {
                return Err(AnswersError::NoNumbers.into());
            }
            // Without the type and the number of each protection, it is not known who is protected.
            shows_protection |= match name {
                "person" => shown.has(PROTECTED),
                "protection" => shown.has("protection_type") && shown.has("pnr"),
                _ => false,
            };
            shows_all |= match name {
                // A person without a name may be masked. Without names, only the mark tells everybody who is protected.
                "name" => shown.has("surname") || shown.has("given_name"),
                "person" => shown.has(PROTECTED),
                _ => false,
            };
            tables.push(shown);
        }
        let (is_protected, is_relative_protected) = match (shows_protection, shows_all) {
            (true, true) => (
                "protected.pnr IS NOT NULL",
                "protected_relative.pnr IS NOT NULL OR relative.pnr IS NULL",
            ),
            (true, false) => (
                "CASE WHEN protected.pnr IS NOT NULL THEN TRUE END",
                "CASE WHEN protected_relative.pnr IS NOT NULL OR relative.pnr IS NULL THEN TRUE END",
            ),
            (false, _) => ("CAST(NULL AS BOOLEAN)", "CAST(NULL AS BOOLEAN)"),
        };
        Ok(Self {
            tables,
            is_protected,
            is_relative_protected,
        })
    }
}

impl Shown<'_> {
    /// Returns whether the generation has the column.
    fn has(&self, column: &str) -> bool {
        self.columns
            .iter()
            .flatten()
            .any(|known| known.as_str() == column)
    }

    /// Returns the columns of the view of the table: every column that the answers can read, null if the generation does
    /// not have it. `column` writes a column that it has, and `null` one that it lacks.
    fn select(
        &self,
        column: impl Fn(&str, &DataType) -> String,
        null: impl Fn(&str, &DataType) -> String,
    ) -> String {
        let of_catalog = self.table.columns.iter();
        let of_catalog = of_catalog.map(|column| (column.name.as_str(), column.data_type.clone()));
        let of_catalog = of_catalog.filter(|(name, _)| *name != "line");
        let marks = [(PROTECTED, DataType::Boolean)];
        let columns = of_catalog
            .chain(ORIGIN)
            .chain(marks)
            .map(|(name, data_type)| match self.has(name) {
                true => column(name, &data_type),
                false => null(name, &data_type),
            });
        columns.collect::<Vec<_>>().join(", ")
    }
}

/// Returns the names of the reference tables of a dataset.
fn code_tables(dataset: &Path) -> Result<Vec<String>, Error> {
    let files = entries(&dataset.join(CODES))?;
    let name = |path: &std::path::PathBuf| {
        let name = path.file_name()?.to_str()?.strip_suffix(".parquet")?;
        let is_plain = name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        is_plain.then(|| name.to_owned())
    };
    let names: Vec<_> = files.iter().filter_map(name).collect();
    match names.is_empty() {
        true => Err(AnswersError::NoCodes.into()),
        false => Ok(names),
    }
}

/// Returns the columns of a table; `None` if the dataset does not have it.
fn columns(path: &Path) -> Result<Option<Vec<String>>, Error> {
    let file = match File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(Error::file(path))?,
    };
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let metadata =
        ArrowReaderMetadata::load(&file, options).map_err(cprflow::Error::parquet(path))?;
    let fields = metadata.schema().fields().iter();
    Ok(Some(fields.map(|field| field.name().clone()).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns what a generation without any table shows, or one with all tables and columns.
    pub(super) fn content(catalog: &Catalog, is_complete: bool) -> Content<'_> {
        let tables = TABLES.into_iter().chain([EVENT]).map(|name| {
            let table = catalog.table(name).unwrap();
            let columns = table.columns.iter().map(|column| column.name.clone());
            let columns = columns.chain(["as_of", "agreement"].map(str::to_owned));
            Shown {
                table,
                columns: is_complete.then(|| columns.collect()),
            }
        });
        Content {
            tables: tables.collect(),
            is_protected: "protected.pnr IS NOT NULL",
            is_relative_protected: "protected_relative.pnr IS NOT NULL",
        }
    }
}
