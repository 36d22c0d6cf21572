//! The ready answers for DuckDB, which reads the files of the newest generation whenever a query runs.

use arrow::datatypes::DataType;

use super::{AnswersError, Content, Shown};
use crate::dataset::CODES;

/// The statements of the answers. `{…}` is replaced.
const ANSWERS: &str = include_str!("answers.sql");

/// Refuses a path of a dataset that DuckDB would misread.
pub(super) fn check(dataset: &str) -> Result<(), AnswersError> {
    match dataset.contains('\\') {
        true => Err(AnswersError::BackslashInPath),
        false => Ok(()),
    }
}

/// Returns the statements. `dataset` is the absolute path, and `codes` are the names of its reference tables.
pub(super) fn script(dataset: &str, codes: &[String], content: &Content<'_>) -> String {
    let mut sql = String::from(
        "-- Ready answers over the current tables of a dataset, for DuckDB. Made by `cprflow views --answers`.\n\
         -- The views read the generation that `current` leads to when a query runs. Create them again after the policy or\n\
         -- cprflow changed.\n",
    );
    sql.push_str("\n-- The reference tables\n");
    for table in codes {
        let file = literal(&format!("{dataset}/{CODES}/{table}.parquet"));
        sql.push_str(&format!(
            "CREATE OR REPLACE VIEW \"code_{table}\" AS SELECT * FROM read_parquet({file}, hive_partitioning = false);\n"
        ));
    }
    sql.push_str("\n-- The current tables, with nulls for what the dataset does not show\n");
    for shown in &content.tables {
        sql.push_str(&current_view(dataset, shown));
    }
    let generation = literal(&format!("{dataset}/current/_generation.json"));
    sql.push('\n');
    sql.push_str(
        &ANSWERS
            .replace("{is_protected}", content.is_protected)
            .replace("{is_relative_protected}", content.is_relative_protected)
            .replace("{generation}", &generation),
    );
    sql
}

/// Returns the view of a current table with every column that the answers can read.
fn current_view(dataset: &str, shown: &Shown<'_>) -> String {
    let name = &shown.table.name;
    let columns = shown.select(
        |name, _| format!("\"{name}\""),
        |name, data_type| format!("CAST(NULL AS {}) AS \"{name}\"", type_name(data_type)),
    );
    let from = match shown.columns {
        Some(_) => format!(
            "FROM read_parquet({}, hive_partitioning = false)",
            literal(&format!("{dataset}/current/{name}.parquet"))
        ),
        None => "WHERE false".to_owned(),
    };
    format!("CREATE OR REPLACE VIEW \"current_{name}\" AS\nSELECT {columns}\n{from};\n")
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
    use super::super::tests::content;
    use super::*;

    #[test]
    fn escapes_every_special_character_of_a_path() {
        assert_eq!(literal("/it's/[1]*?"), "'/it''s/[[]1][*][?]'");
    }

    #[test]
    fn every_table_of_the_answers_exists() {
        let connector = cprflow::Connector::embedded().unwrap();
        for shown in &content(connector.catalog(), false).tables {
            let name = &shown.table.name;
            let view = current_view("/data", shown);
            assert!(
                view.contains(&format!("\"current_{name}\"")) && view.contains("WHERE false"),
                "{view}"
            );
            assert!(ANSWERS.contains(&format!("current_{name}")), "{name}");
        }
    }
}
