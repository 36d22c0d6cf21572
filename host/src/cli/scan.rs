//! `cprflow scan`.

use std::io::{self, IsTerminal};
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use cprflow::config::Configuration;
use cprflow::sync::tenant_scan;
use cprflow::{Connector, DeliveryReader, Error, ParquetDirectory, Summary};
use indicatif::{HumanBytes, HumanCount};

use super::output::{RowFormat, RowWriter, Sink};
use super::progress::{Input, Progress, Twice};
use super::{Failure, Outcome, catalog, say};

/// Turn an extract into typed tables
///
/// One table goes to standard output or to a file; all of them, in one pass, to a directory of Parquet files.
/// Rows come out as they are read, and memory does not grow with the extract. Files that are made are readable
/// by their owner only.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cprflow scan D100313.L431101 --table person
  cprflow scan D100313.L431101 --table address --columns pnr,municipality_code --format csv
  cprflow scan D100313.L431101 --table person --where \"status = '01' and sex = 'K'\"
  cprflow scan D100313.L431101 --table event --where \"event_code = 'A01'\" --format jsonl
  cprflow scan D100313.L431101 --all --format parquet -o tables/
  cprflow scan D100313.L431101 --format summary
  cprflow scan D100313.L431101 --tenant social --config cprflow.toml --table person
  zcat extract.gz | cprflow scan - --table event --format arrow -o events.arrow

Predicates (--where):
  COLUMN = VALUE, also !=, <, <=, >, >=
  COLUMN in (VALUE, …), COLUMN between VALUE and VALUE, COLUMN is null, each also with not
  joined by and, or, not and parentheses

  Text and codes stand in single quotes, leading zeros included. Dates are 'YYYY-MM-DD', times
  'YYYY-MM-DD HH:MM'. Numbers, true and false have no quotes. As in SQL, a comparison with null
  is neither true nor false.")]
pub(crate) struct Scan {
    /// The extract; - for standard input
    input: PathBuf,

    /// The table wanted; `cprflow tables` lists them
    #[arg(long, short, value_name = "TABLE")]
    table: Option<String>,

    /// Every table that has rows
    #[arg(long, conflicts_with = "table")]
    all: bool,

    /// The columns wanted, in this order
    #[arg(long, value_name = "A,B,…", value_delimiter = ',', requires = "table")]
    columns: Option<Vec<String>>,

    /// Only the rows that this is true of, for example "municipality_code = '0851'"
    #[arg(long = "where", value_name = "PREDICATE", requires = "table")]
    predicate: Option<String>,

    /// Stop after this many rows
    #[arg(long, value_name = "ROWS", requires = "table")]
    limit: Option<u64>,

    /// How to write the rows
    #[arg(long, short, value_enum, default_value_t)]
    format: Format,

    /// The file, or with --all the directory, to write
    #[arg(long, short, value_name = "PATH")]
    output: Option<PathBuf>,

    /// Replace the Parquet files that are in the directory already
    #[arg(long, requires = "all")]
    force: bool,

    /// Show what this tenant of the configuration would get, and nothing else
    #[arg(long, value_name = "NAME", requires = "config")]
    tenant: Option<String>,

    /// The configuration that has the tenant
    #[arg(long, value_name = "FILE", env = "CPRFLOW_CONFIG", hide_env = true)]
    config: Option<PathBuf>,

    /// The agreement that the extract is of, where the tenant may see several
    #[arg(long, value_name = "NAME", requires = "tenant")]
    agreement: Option<String>,

    /// Where the ledger and the tenant's roster are, where the configuration does not say
    #[arg(long, value_name = "DIR", requires = "tenant")]
    state: Option<PathBuf>,

    /// Rows in a batch at the most
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u32).range(1..))]
    batch_rows: Option<u32>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A frame for people
    #[default]
    Table,
    /// CSV with a header; the column irregular as JSON
    Csv,
    /// A JSON object a line
    Jsonl,
    /// An Arrow IPC stream
    Arrow,
    /// Parquet
    Parquet,
    /// No rows, only how many there are of each table
    Summary,
}

impl Scan {
    pub(crate) fn run(&self, connector: &Connector) -> Result<Outcome, Failure> {
        let rows = match self.format {
            Format::Table => RowFormat::Table,
            Format::Csv => RowFormat::Csv,
            Format::Jsonl => RowFormat::Jsonl,
            Format::Arrow => RowFormat::Arrow,
            Format::Parquet => RowFormat::Parquet,
            Format::Summary => return self.count(connector),
        };
        match &self.table {
            Some(table) => self.one(connector, table, rows),
            None if self.all && rows == RowFormat::Parquet => self.all(connector),
            None if self.all => Err(Failure::Usage(
                "all tables at once are written as Parquet: add --format parquet -o DIR, or name one \
                 with --table"
                    .to_owned(),
            )),
            None => Err(Failure::Usage(
                "which table? Name one with --table (`cprflow tables` lists them), or ask for --all \
                 --format parquet -o DIR, or --format summary"
                    .to_owned(),
            )),
        }
    }

    fn one(
        &self,
        connector: &Connector,
        table: &str,
        format: RowFormat,
    ) -> Result<Outcome, Failure> {
        let asked = |mut scan: cprflow::Scan| {
            scan = self.of_table(scan, table);
            match self.limit {
                Some(limit) => scan.limit(limit),
                None => scan,
            }
        };
        let (mut rows, progress) = match &self.tenant {
            None => {
                let input = Input::open(&self.input)?;
                let progress = Progress::new(input.len);
                (asked(self.scan(connector)).read(input)?, progress)
            }
            Some(tenant) => {
                let input = Twice::open(&self.input)?;
                let progress = Progress::new(input.len);
                let scan = asked(self.tenant_scan(connector, tenant, &input)?);
                (scan.read_table_selected(|| input.again())?, progress)
            }
        };
        let schema = arrow::array::RecordBatchReader::schema(&rows);
        let sink = Sink::open(self.output.as_deref())?;
        let is_file = matches!(sink, Sink::File(..));
        // A bar and rows on one terminal would be drawn over each other.
        if !is_file && io::stdout().is_terminal() {
            progress.clear();
        }
        let mut writer = RowWriter::new(format, sink, schema)?;
        let ended = loop {
            match rows.next_batch() {
                Ok(Some(batch)) => writer.write(&batch)?,
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
            progress.at(rows.bytes_read(), rows.rows_read());
        };
        let ended = unless_broken(ended)?;
        writer.finish()?;
        progress.clear();
        end(ended, &rows.summary()?)
    }

    fn all(&self, connector: &Connector) -> Result<Outcome, Failure> {
        let Some(directory) = &self.output else {
            return Err(Failure::Usage(
                "name the directory for the tables with -o".to_owned(),
            ));
        };
        let mut tables = ParquetDirectory::create(directory, self.force)?;
        let (mut batches, progress) = self.read_all(connector)?;
        // A tenant gets its tables whether or not they have rows.
        for table in batches.view().iter().flat_map(|view| view.tables()) {
            if let Some(schema) = table.schema(None) {
                tables.begin_table(&table.name, schema)?;
            }
        }
        let ended = loop {
            match batches.next() {
                Some(Ok(rows)) => tables.write(&rows.table, &rows.batch)?,
                Some(Err(error)) => break Err(error),
                None => break Ok(()),
            }
            progress.at(batches.bytes_read(), batches.rows_read());
        };
        let ended = unless_broken(ended)?;
        let count = tables.finish()?;
        progress.clear();
        let (bytes, rows) = (batches.bytes_read(), batches.rows_read());
        let outcome = end(ended, &batches.summary()?)?;
        say::done(&format!(
            "{} rows in {count} tables, from {}",
            HumanCount(rows),
            HumanBytes(bytes)
        ));
        Ok(outcome)
    }

    /// The whole path without a destination: rows are made, checked and dropped.
    fn count(&self, connector: &Connector) -> Result<Outcome, Failure> {
        let (mut batches, progress) = self.read_all(connector)?;
        let mut counts: Vec<(String, u64)> = Vec::new();
        let ended = loop {
            let rows = match batches.next() {
                Some(Ok(rows)) => rows,
                Some(Err(error)) => break Err(error),
                None => break Ok(()),
            };
            let more = rows.batch.num_rows() as u64;
            match counts.iter_mut().find(|(table, _)| *table == rows.table) {
                Some((_, count)) => *count += more,
                None => counts.push((rows.table, more)),
            }
            progress.at(batches.bytes_read(), batches.rows_read());
        };
        progress.clear();
        let ended = unless_broken(ended)?;
        let place = |name: &String| {
            let mut tables = connector.catalog().tables().iter();
            // A tenant's out_of_scope is in no catalog, and comes last.
            tables
                .position(|table| table.name == *name)
                .unwrap_or(usize::MAX)
        };
        counts.sort_by_key(|(table, _)| place(table));
        let texts: Vec<(String, String)> = counts
            .into_iter()
            .map(|(table, count)| (table, count.to_string()))
            .collect();
        catalog::print(
            ["TABLE", "ROWS"],
            texts
                .iter()
                .map(|(table, count)| [table.as_str(), count.as_str()]),
        )?;
        end(ended, &batches.summary()?)
    }

    /// The same scan of that table alone, as it was asked for.
    fn of_table(&self, scan: cprflow::Scan, table: &str) -> cprflow::Scan {
        let mut scan = scan.table(table);
        if let Some(columns) = &self.columns {
            scan = scan.columns(columns);
        }
        match &self.predicate {
            Some(predicate) => scan.where_(predicate),
            None => scan,
        }
    }

    fn scan(&self, connector: &Connector) -> cprflow::Scan {
        self.in_batches(cprflow::Scan::new(connector))
    }

    /// The scan of what a tenant would get.
    fn tenant_scan(
        &self,
        connector: &Connector,
        tenant: &str,
        input: &Twice,
    ) -> Result<cprflow::Scan, Failure> {
        let Some(config) = &self.config else {
            return Err(Failure::Usage(
                "--tenant takes --config FILE, which says what it may see".to_owned(),
            ));
        };
        let mut configuration = Configuration::from_file(config)?;
        if let Some(state) = &self.state {
            configuration.state(state)?;
        }
        let agreement = self.agreement.as_deref();
        let extract = input.again().map_err(Error::Input)?;
        let scan = tenant_scan(connector, &configuration, tenant, agreement, extract)?;
        Ok(self.in_batches(scan))
    }

    fn in_batches(&self, scan: cprflow::Scan) -> cprflow::Scan {
        match self.batch_rows {
            Some(rows) => scan.batch_rows(rows),
            None => scan,
        }
    }

    fn read_all(
        &self,
        connector: &Connector,
    ) -> Result<(DeliveryReader<Input>, Progress), Failure> {
        let asked = |scan| match &self.table {
            Some(table) => self.of_table(scan, table),
            None => scan,
        };
        match &self.tenant {
            None => {
                let input = Input::open(&self.input)?;
                let progress = Progress::new(input.len);
                Ok((asked(self.scan(connector)).read_all(input)?, progress))
            }
            Some(tenant) => {
                let input = Twice::open(&self.input)?;
                let progress = Progress::new(input.len);
                let scan = asked(self.tenant_scan(connector, tenant, &input)?);
                Ok((scan.read_selected(|| input.again())?, progress))
            }
        }
    }
}

/// How reading ended as far as the data goes. An input or a component that fails is another matter: what was
/// written until then is no result, and gets no name.
fn unless_broken(ended: Result<(), Error>) -> Result<Result<(), Error>, Failure> {
    match ended {
        Err(error @ (Error::Component(_) | Error::Input(_))) => Err(error.into()),
        ended => Ok(ended),
    }
}

/// Says what was found, and how it ended: what was read before an error in the data stands in the output by now.
fn end(ended: Result<(), Error>, summary: &Summary) -> Result<Outcome, Failure> {
    say::findings(summary);
    ended?;
    Ok(match summary.needs_attention() {
        true => Outcome::Findings,
        false => Outcome::Clean,
    })
}
