//! `cprflow schema`: lists the columns of a table.

use std::io::Write;

use clap::Args;
use cprflow::{CodeTable, Column, Connector, CprField, EventClass, Table, type_name};

use crate::codes::print_codes_of;
use crate::failure::{Failure, Outcome};
use crate::options::ListFormat;
use crate::output::{print_columns, print_json};
use crate::table_name;

/// The table whose codes have classes of their own.
const EVENT: &str = "event";

/// List the columns of a table
///
/// Prints for each column its type, CPR's name of the field, the position and length in the record, and the class of
/// personal data. For the table `event` also the classes that each event code and derived mark reveals.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cprflow schema person
  cprflow schema person --codes
  cprflow schema person --format json | jq '.columns[].name'")]
pub(crate) struct Schema {
    /// The table, by its name, record type or Danish title; `cprflow tables` lists the tables
    table: String,
    /// Format of the list
    #[arg(long, value_enum, default_value_t)]
    format: ListFormat,
    /// Also list the meaning of the codes; `cprflow codes` lists all
    #[arg(long)]
    codes: bool,
}

/// A table with the reference tables of its codes.
#[derive(serde::Serialize)]
struct WithCodes<'a> {
    #[serde(flatten)]
    table: &'a Table,
    codes: Vec<CodeTable>,
}

impl Schema {
    /// Runs the subcommand.
    pub(crate) fn run(&self, connector: &Connector) -> Result<Outcome, Failure> {
        let table = table_name::find(connector.catalog(), &self.table)?;
        match self.format {
            ListFormat::Json if self.codes => {
                let mut codes = connector.code_tables()?;
                codes.retain(|codes| codes.used_in.iter().any(|used| used.table == table.name));
                print_json(&WithCodes { table, codes })?;
            }
            ListFormat::Json => print_json(table)?,
            ListFormat::Table => {
                print_table(table)?;
                if table.name == EVENT {
                    print_event_classes(connector.catalog().event_classes())?;
                }
                if self.codes {
                    print_codes_of(&connector.code_tables()?, &table.name)?;
                }
            }
        }
        Ok(Outcome::Success)
    }
}

/// Prints the classes of personal data that each event code and derived mark reveals.
fn print_event_classes(event_classes: &[EventClass]) -> std::io::Result<()> {
    writeln!(crate::output::stdout()?)?;
    let rows: Vec<[String; 2]> = event_classes
        .iter()
        .map(|event| [event.code.clone(), event.classes.join(", ")])
        .collect();
    print_columns(
        ["EVENT CODE OR MARK", "SENSITIVITY"],
        rows.iter().map(|row| row.each_ref().map(String::as_str)),
    )
}

fn print_table(table: &Table) -> std::io::Result<()> {
    let rows: Vec<[String; 6]> = table.columns.iter().map(row).collect();
    print_columns(
        [
            "COLUMN",
            "TYPE",
            "CPR NAME",
            "POSITION",
            "LENGTH",
            "SENSITIVITY",
        ],
        rows.iter().map(|row| row.each_ref().map(String::as_str)),
    )
}

/// Returns the texts of a column. Those of the CPR field are empty for a column that is not in the record.
fn row(column: &Column) -> [String; 6] {
    let field = |text: fn(&CprField) -> String| column.field.as_ref().map(text).unwrap_or_default();
    [
        column.name.clone(),
        type_name(&column.data_type).to_owned(),
        field(|field| field.cpr_name.clone()),
        field(|field| field.position.to_string()),
        field(|field| field.length.to_string()),
        field(|field| field.sensitivity.clone().unwrap_or_default()),
    ]
}
