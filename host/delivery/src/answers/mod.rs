//! Ready answers: SQL views over the current tables of a dataset, for DuckDB.
//!
//! `resident`, `protected`, `family`, `moves`, `births`, `deaths`, `number_changes` and the table function `new_since`
//! answer what most users ask. Each counts a person number once, leaves out annulled rows, and treats a person as protected
//! if that is not certain. "Today" is the day for which the current tables were made.
//!
//! The statements are in `answers.sql`. They read one view for each table, `current_T`, which has all columns of the
//! catalog: a column that a policy hides is null there, and a hidden table is empty.

mod error;

use std::fs::File;
use std::path::Path;

use arrow::datatypes::DataType;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};

pub use error::AnswersError;

use crate::dataset::{CODES, GenerationManifest};
use crate::error::Error;
use crate::fs::entries;
use cprflow::{Catalog, Table};

/// The statements of the answers. `{…}` is replaced.
const ANSWERS: &str = include_str!("answers.sql");

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

/// Returns the statements that create the ready answers of a dataset in DuckDB. `dataset` is its absolute path.
pub fn sql(catalog: &Catalog, dataset: &Path) -> Result<String, Error> {
    let text = dataset.to_str().ok_or(AnswersError::NotUtf8)?;
    if text.contains('\\') {
        return Err(AnswersError::BackslashInPath.into());
    }
    let current = dataset.join("current");
    if GenerationManifest::read(&current)?.is_none() {
        return Err(AnswersError::NoCurrentTables.into());
    }
    let mut sql = String::from(
        "-- Ready answers over the current tables of a dataset, for DuckDB. Made by `cprflow views --answers`.\n\
         -- The views read the generation that `current` leads to when a query runs. Create them again after the policy or\n\
         -- cprflow changed.\n",
    );
    sql.push_str("\n-- The reference tables\n");
    let codes = code_tables(dataset)?;
    if codes.is_empty() {
        return Err(AnswersError::NoCodes.into());
    }
    for table in codes {
        let file = literal(&format!("{text}/{CODES}/{table}.parquet"));
        sql.push_str(&format!(
            "CREATE OR REPLACE VIEW \"code_{table}\" AS SELECT * FROM read_parquet({file}, hive_partitioning = false);\n"
        ));
    }
    sql.push_str("\n-- The current tables, with nulls for what the dataset does not show\n");
    let mut shows_all = false;
    let mut shows_protection = false;
    for name in TABLES.into_iter().chain([EVENT]) {
        let Some(table) = catalog.table(name) else {
            continue;
        };
        let columns = columns(&current.join(format!("{name}.parquet")))?;
        let has = |column: &str| columns.iter().flatten().any(|known| known == column);
        if name == "person" && !has("pnr") {
            return Err(AnswersError::NoNumbers.into());
        }
        // Without the type and the number of each protection, it is not known who is protected.
        shows_protection |= match name {
            "person" => has(PROTECTED),
            "protection" => has("protection_type") && has("pnr"),
            _ => false,
        };
        shows_all |= match name {
            // A person without a name may be masked. Without names, only the mark tells everybody who is protected.
            "name" => has("surname") || has("given_name"),
            "person" => has(PROTECTED),
            _ => false,
        };
        let file = columns
            .is_some()
            .then(|| format!("{text}/current/{name}.parquet"));
        sql.push_str(&current_view(table, file.as_deref(), has));
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
    let generation = literal(&format!("{text}/current/_generation.json"));
    sql.push('\n');
    sql.push_str(
        &ANSWERS
            .replace("{is_protected}", is_protected)
            .replace("{is_relative_protected}", is_relative_protected)
            .replace("{generation}", &generation),
    );
    Ok(sql)
}

/// Returns the view of a current table with every column that the answers can read.
fn current_view(table: &Table, file: Option<&str>, has: impl Fn(&str) -> bool) -> String {
    let of_catalog = table.columns.iter();
    let of_catalog = of_catalog.map(|column| (column.name.as_str(), column.data_type.clone()));
    let of_catalog = of_catalog.filter(|(name, _)| *name != "line");
    let marks = [(PROTECTED, DataType::Boolean)];
    let columns = of_catalog
        .chain(ORIGIN)
        .chain(marks)
        .map(|(name, data_type)| match file.is_some() && has(name) {
            true => format!("\"{name}\""),
            false => format!("CAST(NULL AS {}) AS \"{name}\"", type_name(&data_type)),
        });
    let columns: Vec<_> = columns.collect();
    let from = match file {
        Some(file) => format!(
            "FROM read_parquet({}, hive_partitioning = false)",
            literal(file)
        ),
        None => "WHERE false".to_owned(),
    };
    format!(
        "CREATE OR REPLACE VIEW \"current_{}\" AS\nSELECT {}\n{from};\n",
        table.name,
        columns.join(", ")
    )
}

/// Returns the type of DuckDB for the type of a column.
fn type_name(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Date32 => "DATE",
        DataType::Timestamp(..) => "TIMESTAMP",
        DataType::Boolean => "BOOLEAN",
        DataType::Int64 => "BIGINT",
        DataType::Map(..) => "MAP(VARCHAR, VARCHAR)",
        _ => "VARCHAR",
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
    Ok(files.iter().filter_map(name).collect())
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

/// Returns a text constant that matches only this path. DuckDB's only escape is a character class with one character.
fn literal(path: &str) -> String {
    let mut pattern = String::with_capacity(path.len() + 2);
    for character in path.chars() {
        match character {
            '*' | '?' | '[' => pattern.extend(['[', character, ']']),
            '\'' => pattern.push_str("''"),
            _ => pattern.push(character),
        }
    }
    format!("'{pattern}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_every_special_character_of_a_path() {
        assert_eq!(literal("/it's/[1]*?"), "'/it''s/[[]1][*][?]'");
    }

    #[test]
    fn every_table_of_the_answers_exists() {
        let connector = cprflow::Connector::embedded().unwrap();
        for name in TABLES.into_iter().chain([EVENT]) {
            let table = connector.catalog().table(name).unwrap();
            let view = current_view(table, None, |_| true);
            assert!(
                view.contains(&format!("\"current_{name}\"")) && view.contains("WHERE false"),
                "{view}"
            );
            assert!(ANSWERS.contains(&format!("current_{name}")), "{name}");
        }
    }
}
