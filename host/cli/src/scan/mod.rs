//! `cprflow scan`: converts an extract into typed tables.
//!
//! `read` starts the scan, with or without a tenant's policy; `write` writes its rows.

mod read;
mod write;

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use cprflow::Connector;

use crate::failure::{Failure, Outcome};
use crate::output::RowFormat;
use crate::usage::UsageError;

/// Convert an extract into typed tables
///
/// --table writes one table to standard output or to a file. --all writes every table that has rows to a directory of
/// Parquet files, in one pass. Memory use does not grow with the extract. Only their owner can read the files that are
/// written.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes:
  0  no errors and no warnings; there may be notes
  1  there are errors or warnings, or the input is not an extract; the rows
     that could be read are written
  2  failed

Examples:
  cprflow scan D100313.L431101 --table person
  cprflow scan D100313.L431101 --table address \\
      --columns pnr,municipality_code --format csv
  cprflow scan D100313.L431101 --table person \\
      --where \"status = '01' and sex = 'K'\"
  cprflow scan D100313.L431101 --table event --where \"event_code = 'A01'\"
  cprflow scan D100313.L431101 --all --format parquet -o tables/
  cprflow scan D100313.L431101 --format summary
  cprflow scan D100313.L431101 --table person \\
      --tenant social --config cprflow.toml
  zcat extract.gz | cprflow scan - --table event --format arrow -o events.arrow

Conditions for --where:
  COLUMN = VALUE, and !=, <, <=, >, >=
  COLUMN in (VALUE, …), COLUMN between VALUE and VALUE, COLUMN is null,
  and the same with not in, not between, is not null
  Conditions are combined with and, or, not and parentheses.

  Texts and codes have single quotes and all their leading zeros. Dates are
  'YYYY-MM-DD', times 'YYYY-MM-DD HH:MM'. Numbers, true and false have no
  quotes. As in SQL, a comparison with null is neither true nor false.")]
pub(crate) struct Scan {
    /// The extract, or - for standard input
    input: PathBuf,

    /// Write this table; `cprflow tables` lists the tables
    #[arg(long, short, value_name = "TABLE")]
    table: Option<String>,

    /// Write every table that has rows
    #[arg(long, conflicts_with = "table")]
    all: bool,

    /// Write only these columns, in this order
    #[arg(long, value_name = "A,B,…", value_delimiter = ',', requires = "table")]
    columns: Option<Vec<String>>,

    /// Write only rows that meet this condition, for example "municipality_code = '0851'"
    #[arg(long = "where", value_name = "PREDICATE", requires = "table")]
    predicate: Option<String>,

    /// Stop after this many rows
    #[arg(long, value_name = "ROWS", requires = "table")]
    limit: Option<u64>,

    /// Format of the rows
    #[arg(long, short, value_enum, default_value_t)]
    format: ScanFormat,

    /// The file to write, or with --all the directory. Default for a file: standard output
    #[arg(long, short, value_name = "PATH")]
    output: Option<PathBuf>,

    /// Replace Parquet files that exist in the directory
    #[arg(long, requires = "all")]
    force: bool,

    /// Write only what this tenant of the configuration would get
    #[arg(long, value_name = "NAME", requires = "config")]
    tenant: Option<String>,

    /// The configuration file with the tenant
    #[arg(long, value_name = "FILE", env = "CPRFLOW_CONFIG", hide_env = true)]
    config: Option<PathBuf>,

    /// The agreement of the extract; needed if the tenant has several
    #[arg(long, value_name = "NAME", requires = "tenant")]
    agreement: Option<String>,

    /// The directory with the ledger and the tenant's roster. Default: the configuration's value
    #[arg(long, value_name = "DIR", requires = "tenant")]
    state: Option<PathBuf>,

    /// Largest number of rows in a batch. Default: 8192
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u32).range(1..))]
    batch_rows: Option<u32>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum ScanFormat {
    /// A framed table for people
    #[default]
    Table,
    /// CSV with a header; the column irregular is JSON
    Csv,
    /// One JSON object per line
    Jsonl,
    /// An Arrow IPC stream
    Arrow,
    /// Parquet
    Parquet,
    /// No rows, only the number of rows of each table
    Summary,
}

impl Scan {
    /// Runs the subcommand.
    pub(crate) fn run(&self, connector: &Connector) -> Result<Outcome, Failure> {
        let format = match self.format {
            ScanFormat::Table => RowFormat::Table,
            ScanFormat::Csv => RowFormat::Csv,
            ScanFormat::Jsonl => RowFormat::Jsonl,
            ScanFormat::Arrow => RowFormat::Arrow,
            ScanFormat::Parquet => RowFormat::Parquet,
            ScanFormat::Summary => return self.count_rows(connector),
        };
        match &self.table {
            Some(table) => self.write_table(connector, table, format),
            None if self.all && format == RowFormat::Parquet => self.write_all_tables(connector),
            None if self.all => Err(UsageError::AllNeedsParquet.into()),
            None => Err(UsageError::NoTable.into()),
        }
    }
}
