//! The ready answers for PostgreSQL: views over the tables that `cprflow export --current` made, in a schema of their own.
//!
//! The export's schema has the tables of the export only. A role that may not write there can have the answers too.

use arrow::datatypes::DataType;
use cprflow::CodeTable;

use super::standard::{self, Words};
use super::{AnswersError, Content, Shown};

/// The statements that only PostgreSQL understands.
const ANSWERS: &str = include_str!("postgres.sql");

/// What the name of the schema of the answers ends with.
const SUFFIX: &str = "_answers";

/// The largest length of a name in PostgreSQL, in bytes. It cuts off what is longer.
const MAX_NAME: usize = 63;

/// The table of the export that has the day for which the current tables were made.
const DAY: &str = "cprflow_export_day";

const WORDS: Words = Words {
    view: "CREATE OR REPLACE VIEW",
    // Otherwise the locale of the database decides.
    binary: " COLLATE \"C\"",
    text: "text",
    irregular_protection: "irregular -> 'protection_start_date' IS NOT NULL",
    first,
};

/// Returns the name of the schema of the answers over the tables of a schema.
pub(super) fn answers_schema(schema: &str) -> Result<String, AnswersError> {
    let is_possible =
        !schema.is_empty() && !schema.contains('\0') && schema.len() + SUFFIX.len() <= MAX_NAME;
    match is_possible {
        true => Ok(format!("{schema}{SUFFIX}")),
        false => Err(AnswersError::SchemaName {
            longest: MAX_NAME - SUFFIX.len(),
        }),
    }
}

/// Returns the statements, which run in one transaction.
pub(super) fn script(
    schema: &str,
    own_schema: &str,
    codes: &[CodeTable],
    content: &Content<'_>,
) -> String {
    let own = quoted(own_schema);
    let mut sql = format!(
        "-- Ready answers over the tables of `cprflow export --current`, for PostgreSQL. Made by `cprflow views --answers`.\n\
         -- The views read what the newest export wrote. Create them again after the policy or cprflow changed.\n\
         BEGIN;\n\
         SET LOCAL client_min_messages = warning;\n\
         CREATE SCHEMA IF NOT EXISTS {own};\n\
         SET LOCAL search_path = {own};\n"
    );
    sql.push_str("\n-- The reference tables\n");
    for table in codes {
        sql.push_str(&code_table(table));
    }
    sql.push_str(
        "\n-- A time in Denmark, whichever --timestamps the export has\n\
         CREATE OR REPLACE FUNCTION danish_time(moment timestamp) RETURNS timestamp IMMUTABLE\n\
         RETURN moment;\n\
         CREATE OR REPLACE FUNCTION danish_time(moment timestamptz) RETURNS timestamp IMMUTABLE\n\
         RETURN moment AT TIME ZONE 'Europe/Copenhagen';\n",
    );
    sql.push_str("\n-- The current tables, with nulls for what the dataset does not show\n");
    for shown in &content.tables {
        sql.push_str(&current_view(schema, shown));
    }
    sql.push_str(&format!(
        "\n-- today: the day for which the current tables were made, and the number of their generation\n\
         CREATE OR REPLACE VIEW today AS\n\
         SELECT day, generation FROM {}.{DAY};\n\n",
        quoted(schema)
    ));
    sql.push_str(&standard::script(ANSWERS, &WORDS, content));
    sql.push_str("\nCOMMIT;\n");
    sql
}

/// Returns the statements that make a reference table equal to that of the component.
fn code_table(table: &CodeTable) -> String {
    let name = quoted(&format!("code_{}", table.name));
    let schema = table.schema();
    let columns: Vec<_> = schema
        .fields()
        .iter()
        .map(|field| match field.name().as_str() {
            "code" => "\"code\" text PRIMARY KEY".to_owned(),
            other => format!("{} text", quoted(other)),
        })
        .collect();
    let rows: Vec<_> = table
        .codes
        .iter()
        .map(|code| {
            let own = [
                Some(code.code.as_str()),
                code.name_da.as_deref(),
                code.name_en.as_deref(),
                Some(code.basis.name()),
            ];
            let more = (0..table.more_columns.len())
                .map(|place| code.more.get(place).and_then(Option::as_deref));
            let values: Vec<_> = own.into_iter().chain(more).map(text_or_null).collect();
            format!("  ({})", values.join(", "))
        })
        .collect();
    let made = format!(
        "CREATE TABLE IF NOT EXISTS {name} ({});\nDELETE FROM {name};\n",
        columns.join(", ")
    );
    match rows.is_empty() {
        true => made,
        false => format!("{made}INSERT INTO {name} VALUES\n{};\n", rows.join(",\n")),
    }
}

/// Returns the view of a current table with every column that the answers can read.
fn current_view(schema: &str, shown: &Shown<'_>) -> String {
    let name = &shown.table.name;
    let columns = shown.select(
        |name, data_type| match data_type {
            DataType::Timestamp(..) => format!("danish_time(\"{name}\") AS \"{name}\""),
            _ => format!("\"{name}\""),
        },
        |name, data_type| format!("CAST(NULL AS {}) AS \"{name}\"", type_name(data_type)),
    );
    let from = match shown.columns {
        Some(_) => format!("FROM {}.{}", quoted(schema), quoted(name)),
        None => "WHERE false".to_owned(),
    };
    format!("CREATE OR REPLACE VIEW \"current_{name}\" AS\nSELECT {columns}\n{from};\n")
}

fn first(table: &str, order: &str) -> String {
    // Not row_number() as in Spark: PostgreSQL would expect few rows and then join in nested loops.
    format!(
        "SELECT DISTINCT ON (pnr) *\n  FROM {table}\n  WHERE pnr IS NOT NULL\n  ORDER BY pnr, {order}"
    )
}

/// Returns the type of PostgreSQL for the type of a column.
fn type_name(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Date32 => "date",
        DataType::Timestamp(..) => "timestamp",
        DataType::Boolean => "boolean",
        DataType::Int64 => "bigint",
        DataType::Map(..) => "jsonb",
        _ => "text",
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn text_or_null(text: Option<&str>) -> String {
    match text {
        Some(text) => format!("'{}'", text.replace('\'', "''")),
        None => "NULL".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::content;
    use super::*;

    #[test]
    fn writes_all_statements() {
        let connector = cprflow::Connector::embedded().unwrap();
        let codes = connector.code_tables().unwrap();
        let content = content(connector.catalog(), true);
        let schema = "the \"cpr\" data";
        let own = answers_schema(schema).unwrap();
        let sql = script(schema, &own, &codes, &content);
        assert!(!sql.contains('{'), "{sql}");
        for part in [
            "CREATE SCHEMA IF NOT EXISTS \"the \"\"cpr\"\" data_answers\";",
            "FROM \"the \"\"cpr\"\" data\".\"event\";",
            "danish_time(\"status_start\") AS \"status_start\"",
            "INSERT INTO \"code_status\" VALUES\n  ('01', ",
            "ORDER BY pnr, as_of DESC NULLS LAST, agreement COLLATE \"C\" NULLS LAST",
            "CREATE OR REPLACE FUNCTION new_since(",
        ] {
            assert!(sql.contains(part), "{part}: {sql}");
        }
        assert!(sql.ends_with("END;\n\nCOMMIT;\n"), "{sql}");
    }

    #[test]
    fn hidden_tables_are_empty() {
        let connector = cprflow::Connector::embedded().unwrap();
        for shown in &content(connector.catalog(), false).tables {
            let view = current_view("cpr", shown);
            assert!(view.contains("WHERE false"), "{view}");
        }
    }

    #[test]
    fn refuses_a_name_that_postgresql_would_cut_off() {
        assert_eq!(answers_schema("cpr").unwrap(), "cpr_answers");
        assert!(answers_schema(&"x".repeat(55)).is_ok());
        for wrong in [String::new(), "x".repeat(56), "a\0b".to_owned()] {
            assert!(answers_schema(&wrong).is_err(), "{wrong:?}");
        }
    }
}
