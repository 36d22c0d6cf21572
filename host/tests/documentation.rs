//! The generated parts of the documentation say what the component says.
//!
//! `CPRFLOW_UPDATE_DOCS=1 cargo test -p cprflow --test documentation` writes them anew.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use cprflow::{Catalog, Connector, type_name};

#[test]
fn readme_lists_the_tables() {
    let connector = Connector::embedded().unwrap();
    let path = root().join("README.md");
    let readme = fs::read_to_string(&path).unwrap();
    let (before, rest) = readme.split_once("<!-- tables -->\n").unwrap();
    let (_, after) = rest.split_once("<!-- /tables -->").unwrap();
    let list = list(connector.catalog());
    let wanted = format!("{before}<!-- tables -->\n{list}<!-- /tables -->{after}");
    check(&path, &readme, &wanted);
}

#[test]
fn the_page_of_tables_has_every_column() {
    let connector = Connector::embedded().unwrap();
    let path = root().join("docs/tables.md");
    let page = fs::read_to_string(&path).unwrap_or_default();
    check(&path, &page, &columns(connector.catalog()));
}

fn check(path: &Path, found: &str, wanted: &str) {
    if std::env::var_os("CPRFLOW_UPDATE_DOCS").is_some() {
        fs::write(path, wanted).unwrap();
    } else {
        assert!(
            found == wanted,
            "{} is out of date: run this test with CPRFLOW_UPDATE_DOCS=1",
            path.display()
        );
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn list(catalog: &Catalog) -> String {
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

fn columns(catalog: &Catalog) -> String {
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
