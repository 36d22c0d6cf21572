//! The ready answers for Spark SQL: temporary views of one generation.
//!
//! Spark lists a file before it reads it. If `current` led to another generation in between, rows would be missing without
//! an error. So the views read the directory of a generation, which never changes.

use arrow::datatypes::DataType;

use super::standard::{self, Words};
use super::{Content, Shown};
use crate::dataset::{CODES, GenerationManifest};
use crate::sql_views::Dialect;

/// The statements that only Spark understands.
const ANSWERS: &str = include_str!("spark.sql");

const WORDS: Words = Words {
    view: "CREATE OR REPLACE TEMPORARY VIEW",
    binary: "",
    text: "STRING",
    irregular_protection: "map_contains_key(irregular, 'protection_start_date')",
    first,
};

/// Returns the statements. `generation` is the absolute path of its directory, and `codes` are the names of the reference
/// tables.
pub(super) fn script(
    dataset: &str,
    generation: &str,
    manifest: &GenerationManifest,
    codes: &[String],
    content: &Content<'_>,
) -> String {
    let mut sql = format!(
        "-- Ready answers over the current tables of a dataset, for Spark SQL. Made by `cprflow views --answers`.\n\
         -- The views read generation {}. Print and create them again after each `cprflow sync`.\n",
        manifest.number
    );
    sql.push_str("\n-- The reference tables\n");
    for table in codes {
        let file = format!("{dataset}/{CODES}/{table}.parquet");
        sql.push_str(&file_view(&format!("code_{table}"), &file));
    }
    sql.push_str("\n-- The current tables, with nulls for what the dataset does not show\n");
    for shown in &content.tables {
        sql.push_str(&current_view(generation, shown));
    }
    sql.push_str(&format!(
        "\n-- today: the day for which the current tables were made, and the number of their generation\n\
         CREATE OR REPLACE TEMPORARY VIEW today AS\n\
         SELECT CAST({} AS DATE) AS day, CAST({} AS BIGINT) AS generation;\n\n",
        Dialect::Spark.text(&manifest.day),
        manifest.number
    ));
    sql.push_str(&standard::script(ANSWERS, &WORDS, content));
    sql
}

/// Returns the view of a file.
fn file_view(name: &str, path: &str) -> String {
    let pattern = Dialect::Spark.text(&Dialect::Spark.literal(path));
    format!(
        "CREATE OR REPLACE TEMPORARY VIEW `{name}`\nUSING parquet\nOPTIONS (\n  path {pattern}\n);\n"
    )
}

/// Returns the view of a current table with every column that the answers can read, and the view of its file.
fn current_view(generation: &str, shown: &Shown<'_>) -> String {
    let name = &shown.table.name;
    let columns = shown.select(
        |name, _| format!("`{name}`"),
        |name, data_type| format!("CAST(NULL AS {}) AS `{name}`", type_name(data_type)),
    );
    let (file, from) = match shown.columns {
        Some(_) => (
            file_view(
                &format!("file_{name}"),
                &format!("{generation}/{name}.parquet"),
            ),
            format!("FROM `file_{name}`"),
        ),
        None => (String::new(), "WHERE false".to_owned()),
    };
    format!(
        "{file}CREATE OR REPLACE TEMPORARY VIEW `current_{name}` AS\nSELECT {columns}\n{from};\n"
    )
}

fn first(table: &str, order: &str) -> String {
    format!(
        "SELECT * FROM (\n    \
           SELECT *, row_number() OVER (PARTITION BY pnr ORDER BY {order}) AS choice\n    \
           FROM {table} WHERE pnr IS NOT NULL\n  \
         ) AS ranked WHERE choice = 1"
    )
}

/// Returns the type of Spark for the type of a column.
fn type_name(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Date32 => "DATE",
        DataType::Timestamp(..) => "TIMESTAMP_NTZ",
        DataType::Boolean => "BOOLEAN",
        DataType::Int64 => "BIGINT",
        DataType::Map(..) => "MAP<STRING, STRING>",
        _ => "STRING",
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::content;
    use super::*;

    #[test]
    fn writes_all_statements() {
        let connector = cprflow::Connector::embedded().unwrap();
        let manifest = GenerationManifest {
            number: 7,
            day: "2026-12-01".to_owned(),
            ..GenerationManifest::default()
        };
        let codes = ["status".to_owned()];
        let content = content(connector.catalog(), true);
        let sql = script(
            "/it's",
            "/it's/generations/000007",
            &manifest,
            &codes,
            &content,
        );
        assert!(!sql.contains('{'), "{sql}");
        for part in [
            r"path '/it\'s/codes/status.parquet'",
            r"path '/it\'s/generations/000007/event.parquet'",
            "SELECT CAST('2026-12-01' AS DATE) AS day, CAST(7 AS BIGINT) AS generation",
            "ORDER BY as_of DESC NULLS LAST, agreement NULLS LAST",
            "map_contains_key(",
            "CREATE OR REPLACE TEMPORARY FUNCTION new_since(",
        ] {
            assert!(sql.contains(part), "{part}: {sql}");
        }
        // Each statement ends at the end of a line, and nothing else does so: programs split the text there.
        let statements = sql.trim_end().trim_end_matches(';').split(";\n");
        for statement in statements {
            let mut lines = statement.lines().filter(|line| !line.starts_with("--"));
            let first = lines.find(|line| !line.is_empty()).unwrap_or_default();
            assert!(
                first.starts_with("CREATE OR REPLACE TEMPORARY ") || first.starts_with("SET "),
                "{statement}"
            );
        }
    }

    #[test]
    fn hidden_tables_are_empty() {
        let connector = cprflow::Connector::embedded().unwrap();
        for shown in &content(connector.catalog(), false).tables {
            let view = current_view("/data", shown);
            assert!(
                view.contains("WHERE false") && !view.contains("USING parquet"),
                "{view}"
            );
        }
    }
}
