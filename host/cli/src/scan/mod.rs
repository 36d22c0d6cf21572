//! `cprflow scan`: converts an extract into typed tables.
//!
//! `read` starts the scan, with or without a tenant's policy, or of the register; `write` writes its rows.

mod read;
mod write;

use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args, ValueEnum};
use cprflow::{AGREEMENT, AS_OF, Connector, OUT_OF_SCOPE, PROTECTED};
use cprflow_delivery::unknown_codes;
use jiff::civil::Date;

use crate::codes::NamesOption;
use crate::failure::{Failure, Outcome};
use crate::options::FailOn;
use crate::output::{RowFormat, message};
use crate::usage::UsageError;
use crate::{input, table_name};

/// Convert an extract into typed tables
///
/// --table writes one table to standard output or to a file. --all writes every table that has rows to a directory of
/// Parquet files, in one pass. Memory use does not grow with the extract. Only their owner can read the files that are
/// written.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("configured").args(["tenant", "register"])))]
#[command(after_help = "\
Exit codes:
  0  no errors and no warnings; there may be notes
  1  there are errors or warnings (with --fail-on error: errors), or an input
     is not an extract; the rows that could be read are written
  2  failed

Examples:
  cprflow scan D100313.L431101 --table person
  cprflow scan D100313.L431101 --table address \\
      --columns pnr,municipality_code -o addresses.csv
  cprflow scan D100313.L431101 --table person \\
      --where \"status = '01' and sex = 'K'\"
  cprflow scan D100313.L431101 --table event --where \"event_code = 'A01'\"
  cprflow scan D100313.L431101 --table address --names=da -o addresses.csv
  cprflow scan D100313.L431101 --all -o tables/
  cprflow scan D100313.L431101 --format summary
  cprflow scan D100313.L431101 --table person \\
      --tenant social --config cprflow.toml
  cprflow scan --register municipality --as-of 2026-11-01 --table person
  cprflow scan inbox/ --table 099 -o events.arrow
  cprflow scan extract.gz --table Person --limit 3 --vertical

Conditions for --where:
  COLUMN = VALUE, and !=, <, <=, >, >=
  COLUMN in (VALUE, …), COLUMN between VALUE and VALUE, COLUMN is null,
  and the same with not in, not between, is not null
  Conditions are combined with and, or, not and parentheses.

  Texts and codes have single quotes and all their leading zeros. Dates are
  'YYYY-MM-DD', times 'YYYY-MM-DD HH:MM'. Numbers, true and false have no
  quotes. As in SQL, a comparison with null is neither true nor false.")]
pub(crate) struct Scan {
    /// Extracts, directories of extracts, or - for standard input. They may be packed with gzip
    #[arg(required_unless_present = "register", conflicts_with = "register")]
    input: Vec<PathBuf>,

    /// Write this table, by its name, record type or Danish title; `cprflow tables` lists the tables
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

    #[command(flatten)]
    names: NamesOption,

    /// Stop after this many rows
    #[arg(long, value_name = "ROWS", requires = "table")]
    limit: Option<u64>,

    /// Format of the rows. Default: by the extension of the output file (.csv, .jsonl, .arrow, .parquet, .txt),
    /// parquet with --all, otherwise table
    #[arg(long, short, value_enum)]
    format: Option<ScanFormat>,

    /// Write each value on a line of its own, instead of a frame
    #[arg(long, requires = "table")]
    vertical: bool,

    /// The file to write, or with --all the directory. Default for a file: standard output
    #[arg(long, short, value_name = "PATH")]
    output: Option<PathBuf>,

    /// Replace files that exist
    #[arg(long)]
    force: bool,

    /// The lowest level of findings for which the exit code is 1
    #[arg(long, value_enum, value_name = "LEVEL", default_value_t)]
    fail_on: FailOn,

    /// Read the state of the kept extracts of this agreement, instead of an extract
    #[arg(long, value_name = "AGREEMENT", conflicts_with_all = ["tenant", "agreement"])]
    register: Option<String>,

    /// The last production date that counts in the state. Default: all
    #[arg(long, value_name = "YYYY-MM-DD", requires = "register")]
    as_of: Option<Date>,

    /// Write only what this tenant of the configuration would get
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,

    /// The configuration file with the tenant or the register. Default: ./cprflow.toml
    #[arg(long, value_name = "FILE", env = "CPRFLOW_CONFIG", hide_env = true)]
    config: Option<PathBuf>,

    /// The agreement of the extract; needed if the tenant has several
    #[arg(long, value_name = "NAME", requires = "tenant")]
    agreement: Option<String>,

    /// The directory with the ledger and the tenant's roster. Default: the configuration's value
    #[arg(long, value_name = "DIR", requires = "configured")]
    state: Option<PathBuf>,

    /// Largest number of rows in one Arrow batch. Default: 8192
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u32).range(1..))]
    batch_rows: Option<u32>,

    /// Threads that read the extract. Default, and with 0: one for each core
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    threads: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ScanFormat {
    /// A framed table for people
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

/// The table of a scan and its columns, by the names of the catalog.
struct RequestedTable {
    name: String,
    columns: Option<Vec<String>>,
}

impl Scan {
    /// Runs the subcommand.
    pub(crate) fn run(&self, connector: &Connector) -> Result<Outcome, Failure> {
        let files = match &self.register {
            // The name stands for the extracts of the state in messages.
            Some(agreement) => vec![PathBuf::from(agreement)],
            None => input::expand(&self.input)?,
        };
        if self.tenant.is_some() && files.len() > 1 {
            return Err(UsageError::TenantNeedsOneExtract.into());
        }
        let format = self.format()?;
        if self.vertical && format != ScanFormat::Table {
            return Err(UsageError::VerticalNeedsText.into());
        }
        let format = match format {
            ScanFormat::Table => RowFormat::Table,
            ScanFormat::Csv => RowFormat::Csv,
            ScanFormat::Jsonl => RowFormat::Jsonl,
            ScanFormat::Arrow => RowFormat::Arrow,
            ScanFormat::Parquet => RowFormat::Parquet,
            ScanFormat::Summary => return self.count_rows(connector, &files),
        };
        let request = self.requested(connector)?;
        if let (Some(request), Some(condition)) = (&request, &self.predicate) {
            for warning in unknown_codes(&request.name, condition) {
                message::warning(&format!("--where: {warning}"));
            }
        }
        match request {
            Some(request) => self.write_table(connector, &files, &request, format),
            None if self.all && format == RowFormat::Parquet => {
                self.write_all_tables(connector, &files)
            }
            None if self.all => Err(UsageError::AllNeedsParquet.into()),
            None => Err(UsageError::NoTable.into()),
        }
    }

    /// Returns the format that was named, or the one that follows from the output.
    fn format(&self) -> Result<ScanFormat, UsageError> {
        if let Some(format) = self.format {
            return Ok(format);
        }
        if self.all {
            return Ok(ScanFormat::Parquet);
        }
        let Some(path) = &self.output else {
            return Ok(ScanFormat::Table);
        };
        let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
        match extension.to_str().unwrap_or_default() {
            "csv" => Ok(ScanFormat::Csv),
            "jsonl" | "ndjson" => Ok(ScanFormat::Jsonl),
            "arrow" | "arrows" | "ipc" => Ok(ScanFormat::Arrow),
            "parquet" => Ok(ScanFormat::Parquet),
            "txt" => Ok(ScanFormat::Table),
            // Standard output, a terminal or another device.
            _ if path == Path::new("-") || path.exists() && !path.is_file() => {
                Ok(ScanFormat::Table)
            }
            _ => Err(UsageError::UnknownExtension),
        }
    }

    /// Returns the table that was named, and its columns.
    fn requested(&self, connector: &Connector) -> Result<Option<RequestedTable>, UsageError> {
        let Some(table) = &self.table else {
            return Ok(None);
        };
        // This table exists only for tenants, so it is not in the catalog.
        if table == OUT_OF_SCOPE && self.tenant.is_some() {
            return Ok(Some(RequestedTable {
                name: table.clone(),
                columns: self.columns.clone(),
            }));
        }
        let table = table_name::find(connector.catalog(), table)?;
        let columns = self.columns.as_deref();
        let more: &[&str] = match (&self.register, &self.tenant) {
            (Some(_), _) => &[AS_OF, AGREEMENT],
            (None, Some(_)) => &[PROTECTED],
            (None, None) => &[],
        };
        let columns = columns.map(|columns| table_name::columns(table, columns, more));
        Ok(Some(RequestedTable {
            name: table.name.clone(),
            columns: columns.transpose()?,
        }))
    }
}
