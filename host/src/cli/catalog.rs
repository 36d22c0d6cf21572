//! `cprflow tables` and `cprflow schema`.

use std::io::{self, Write};

use clap::{Args, ValueEnum};
use cprflow::{Connector, type_name};

use super::{Failure, Outcome};

/// List every table: record type, name, Danish title, what a row says
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  cprflow tables\n  cprflow tables --format json | jq '.[].name'"
)]
pub(crate) struct Tables {
    /// How to print them
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// List a table's columns: type, CPR's own name, position, length, class of personal data
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  cprflow schema person")]
pub(crate) struct Schema {
    /// The table; `cprflow tables` lists them
    table: String,
    /// How to print them
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Format {
    /// Columns for people
    #[default]
    Table,
    /// JSON for programs
    Json,
}

impl Tables {
    pub(crate) fn run(&self, connector: &Connector) -> Result<Outcome, Failure> {
        let tables = connector.catalog().tables();
        match self.format {
            Format::Json => json(&connector.catalog())?,
            Format::Table => {
                let rows = tables.iter().map(|table| {
                    [
                        table.record_type.as_deref().unwrap_or("-"),
                        &table.name,
                        &table.cpr_title,
                        &table.description,
                    ]
                });
                print(["TYPE", "TABLE", "TITLE", "DESCRIPTION"], rows)?;
            }
        }
        Ok(Outcome::Clean)
    }
}

impl Schema {
    pub(crate) fn run(&self, connector: &Connector) -> Result<Outcome, Failure> {
        let table = connector.catalog().table(&self.table).ok_or_else(|| {
            Failure::Usage(format!(
                "there is no table {:?}; `cprflow tables` lists them",
                self.table
            ))
        })?;
        match self.format {
            Format::Json => json(table)?,
            Format::Table => {
                let texts: Vec<[String; 6]> = table
                    .columns
                    .iter()
                    .map(|column| {
                        let field = column.field.as_ref();
                        let number = |get: fn(&cprflow::CprField) -> u32| {
                            field
                                .map(|field| get(field).to_string())
                                .unwrap_or_default()
                        };
                        [
                            column.name.clone(),
                            type_name(&column.data_type).to_owned(),
                            field
                                .map(|field| field.cpr_name.clone())
                                .unwrap_or_default(),
                            number(|field| field.position),
                            number(|field| field.length),
                            field
                                .and_then(|field| field.sensitivity.clone())
                                .unwrap_or_default(),
                        ]
                    })
                    .collect();
                let rows = texts.iter().map(|row| row.each_ref().map(String::as_str));
                print(
                    [
                        "COLUMN",
                        "TYPE",
                        "CPR NAME",
                        "POSITION",
                        "LENGTH",
                        "SENSITIVITY",
                    ],
                    rows,
                )?;
            }
        }
        Ok(Outcome::Clean)
    }
}

fn json(value: &impl serde::Serialize) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, value).map_err(io::Error::from)?;
    writeln!(out)?;
    Ok(())
}

/// Prints rows in columns as wide as their widest text.
pub(crate) fn print<'a, const N: usize>(
    head: [&'a str; N],
    rows: impl Iterator<Item = [&'a str; N]>,
) -> Result<(), io::Error> {
    let rows: Vec<[&str; N]> = std::iter::once(head).chain(rows).collect();
    let mut widths = [0; N];
    for row in &rows {
        for (width, text) in widths.iter_mut().zip(row) {
            *width = text.chars().count().max(*width);
        }
    }
    let mut out = io::stdout().lock();
    for row in rows {
        let mut line = String::new();
        for (text, width) in row.iter().zip(widths) {
            line.push_str(&format!("{text:width$}  "));
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}
