//! Checks that the generated documentation matches the component's catalog.
//!
//! `CPRFLOW_UPDATE_DOCS=1 cargo test -p cprflow --test documentation` writes it again.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use cprflow::{Catalog, Connector, type_name};

#[test]
fn record_types_page_lists_every_table() {
    let connector = Connector::embedded().unwrap();
    let path = root().join("docs/record-types.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once("<!-- tables -->\n").unwrap();
    let (_, after) = rest.split_once("<!-- /tables -->").unwrap();
    let list = table_list(connector.catalog());
    let expected = format!("{before}<!-- tables -->\n{list}<!-- /tables -->{after}");
    check(&path, &page, &expected);
}

#[test]
fn tables_page_lists_every_column() {
    let connector = Connector::embedded().unwrap();
    let path = root().join("docs/tables.md");
    let page = fs::read_to_string(&path).unwrap_or_default();
    check(&path, &page, &column_lists(connector.catalog()));
}

/// Compares a page with its expected text, or writes that text if `CPRFLOW_UPDATE_DOCS` is set.
fn check(path: &Path, found: &str, expected: &str) {
    if std::env::var_os("CPRFLOW_UPDATE_DOCS").is_some() {
        fs::write(path, expected).unwrap();
    } else {
        assert!(
            found == expected,
            "{} is out of date: run this test with CPRFLOW_UPDATE_DOCS=1",
            path.display()
        );
    }
}

/// Returns the root of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn table_list(catalog: &Catalog) -> String {
    let mut text = String::from("| type | table | CPR's title | a row says |\n|---|---|---|---|\n");
    for table in catalog.tables() {
        let record_type = table.record_type.as_deref().unwrap_or("");
        let (name, title, description) = (&table.name, &table.cpr_title, &table.description);
        writeln!(
            text,
            "| {record_type} | `{name}` | {title} | {description} |"
        )
        .unwrap();
    }
    text
}

fn column_lists(catalog: &Catalog) -> String {
    let mut text = String::from(
        "# Tables\n\nGenerated from the component's catalog. Position and length are those of the field in bytes, the \
         position counted\nfrom 1.\n",
    );
    for table in catalog.tables() {
        let record_type = table.record_type.as_deref();
        let heading = record_type.map(|digits| format!(" ({digits} {})", table.cpr_title));
        write!(
            text,
            "\n## {}{}\n\n",
            table.name,
            heading.unwrap_or_default()
        )
        .unwrap();
        write!(text, "{}\n\n", table.description).unwrap();
        text.push_str("| column | type | CPR's name | position | length | kind | sensitivity |\n");
        text.push_str("|---|---|---|---|---|---|---|\n");
        for column in &table.columns {
            let data_type = type_name(&column.data_type);
            write!(text, "| `{}` | {data_type} |", column.name).unwrap();
            match &column.field {
                Some(field) => {
                    let class = field.sensitivity.as_deref().unwrap_or("");
                    let (name, position, length) = (&field.cpr_name, field.position, field.length);
                    let kind = &field.kind;
                    writeln!(text, " {name} | {position} | {length} | {kind} | {class} |").unwrap();
                }
                None => text.push_str(" | | | | |\n"),
            }
        }
    }
    text
}
