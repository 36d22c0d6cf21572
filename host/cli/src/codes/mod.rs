//! `cprflow codes`: lists the meaning of codes.

mod names;

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use cprflow::{CodeTable, Connector};

pub(crate) use names::NamesOption;

use crate::failure::{Failure, Outcome};
use crate::output::{RowFormat, RowWriter, Sink, TextLayout, print_columns, print_json};
use crate::table_name::suggestion;
use crate::usage::UsageError;

/// List the meaning of codes, in Danish and English
///
/// Without TABLE, lists the reference tables: status, sex, civil status, events, protections, municipalities with their
/// region, countries, authorities and others. With TABLE, lists its codes. The column `basis` says how a meaning is known:
/// `listed` by CPR, `inferred` from test extracts, or `unknown`.
///
/// `cprflow sync` writes the same tables to the directory `codes` of each dataset.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cprflow codes
  cprflow codes status
  cprflow codes municipality --format csv -o municipalities.csv
  cprflow codes authority -o authorities.parquet
  cprflow codes event --format json | jq '.codes[] | select(.code == \"A01\")'")]
pub(crate) struct Codes {
    /// The reference table. Default: list all tables
    table: Option<String>,

    /// Format. Default: by the extension of the output file (.csv, .json, .jsonl, .arrow, .parquet, .txt), otherwise
    /// table
    #[arg(long, short, value_enum)]
    format: Option<CodesFormat>,

    /// The file to write. Default: standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Replace a file that exists
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum CodesFormat {
    /// A framed table for people
    Table,
    /// CSV with a header
    Csv,
    /// One JSON document, with the columns that have the codes
    Json,
    /// One JSON object per line
    Jsonl,
    /// An Arrow IPC stream
    Arrow,
    /// Parquet
    Parquet,
}

impl Codes {
    /// Runs the subcommand.
    pub(crate) fn run(&self, connector: &Connector) -> Result<Outcome, Failure> {
        let tables = connector.code_tables()?;
        let format = self.format()?;
        let Some(name) = &self.table else {
            match format {
                CodesFormat::Table if self.output.is_none() => print_tables(&tables)?,
                CodesFormat::Json if self.output.is_none() => print_json(&tables)?,
                _ => return Err(UsageError::CodesNeedTable.into()),
            }
            return Ok(Outcome::Success);
        };
        let table = find(&tables, name)?;
        let sink = Sink::open(self.output.as_deref(), self.force)?;
        let format = match format {
            CodesFormat::Json => {
                write_json(sink, table)?;
                return Ok(Outcome::Success);
            }
            CodesFormat::Table => RowFormat::Table,
            CodesFormat::Csv => RowFormat::Csv,
            CodesFormat::Jsonl => RowFormat::Jsonl,
            CodesFormat::Arrow => RowFormat::Arrow,
            CodesFormat::Parquet => RowFormat::Parquet,
        };
        let mut writer = RowWriter::new(format, TextLayout::Frame, sink, table.schema())?;
        writer.write(&table.rows()?)?;
        writer.finish()?;
        Ok(Outcome::Success)
    }

    /// Returns the format that was named, or the one that follows from the output.
    fn format(&self) -> Result<CodesFormat, UsageError> {
        if let Some(format) = self.format {
            return Ok(format);
        }
        let Some(path) = &self.output else {
            return Ok(CodesFormat::Table);
        };
        let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
        match extension.to_str().unwrap_or_default() {
            "csv" => Ok(CodesFormat::Csv),
            "json" => Ok(CodesFormat::Json),
            "jsonl" | "ndjson" => Ok(CodesFormat::Jsonl),
            "arrow" | "arrows" | "ipc" => Ok(CodesFormat::Arrow),
            "parquet" => Ok(CodesFormat::Parquet),
            "txt" => Ok(CodesFormat::Table),
            _ if path == Path::new("-") || path.exists() && !path.is_file() => {
                Ok(CodesFormat::Table)
            }
            _ => Err(UsageError::UnknownExtension),
        }
    }
}

/// Returns the reference table with this name. Capitals, spaces and hyphens make no difference.
fn find<'c>(tables: &'c [CodeTable], text: &str) -> Result<&'c CodeTable, UsageError> {
    let wanted = text.trim().to_lowercase().replace([' ', '-'], "_");
    let found = tables.iter().find(|table| table.name == wanted);
    found.ok_or_else(|| {
        let names = tables
            .iter()
            .map(|table| (table.name.as_str(), table.name.as_str()));
        UsageError::UnknownCodeTable {
            table: cprflow_redact::redact(text, 64),
            suggestion: suggestion(text, names),
        }
    })
}

fn print_tables(tables: &[CodeTable]) -> std::io::Result<()> {
    let counts: Vec<String> = tables
        .iter()
        .map(|table| table.codes.len().to_string())
        .collect();
    let rows = tables.iter().zip(&counts);
    print_columns(
        ["TABLE", "CODES", "CONTENT"],
        rows.map(|(table, count)| [table.name.as_str(), count, &table.description]),
    )
}

fn write_json(mut sink: Sink, table: &CodeTable) -> Result<(), Failure> {
    use std::io::Write;
    let name = sink.name();
    let written = serde_json::to_writer_pretty(&mut sink, table).map_err(std::io::Error::other);
    written
        .and_then(|()| writeln!(sink))
        .map_err(cprflow::Error::file(name))?;
    Ok(sink.finish()?)
}

/// Prints the reference tables that are used in a table, with the codes of the small ones.
pub(crate) fn print_codes_of(tables: &[CodeTable], table: &str) -> std::io::Result<()> {
    use std::io::Write;
    let used = tables
        .iter()
        .filter(|codes| codes.used_in.iter().any(|one| one.table == table));
    for codes in used {
        let columns = codes.used_in.iter().filter(|one| one.table == table);
        let columns: Vec<_> = columns.map(|one| one.column.as_str()).collect();
        let count = codes.codes.len();
        writeln!(
            crate::output::stdout()?,
            "\n{}: {}",
            columns.join(", "),
            codes.description
        )?;
        if count > MAX_SHOWN {
            let name = &codes.name;
            writeln!(
                crate::output::stdout()?,
                "{count} codes: `cprflow codes {name}` lists them"
            )?;
            continue;
        }
        let rows = codes.codes.iter().map(|code| {
            let name =
                |name: &'_ Option<String>| name.clone().unwrap_or_else(|| NOT_KNOWN.to_owned());
            [code.code.clone(), name(&code.name_en), name(&code.name_da)]
        });
        let rows: Vec<_> = rows.collect();
        print_columns(
            ["CODE", "ENGLISH", "DANISH"],
            rows.iter().map(|row| row.each_ref().map(String::as_str)),
        )?;
    }
    Ok(())
}

/// The largest number of codes that `schema --codes` lists.
const MAX_SHOWN: usize = 80;

/// The text for a meaning that is not known.
const NOT_KNOWN: &str = "(not known)";
