//! `cprflow views`.

use std::io::{self, Write};
use std::path::Path;

use clap::{Args, ValueEnum};
use cprflow::views::{self, Dialect, Published, ViewsOptions};
use cprflow::{Connector, Error};

use super::{Failure, Outcome};

/// Print SQL that shows a published dataset as it is now
///
/// For each agreement and person number, the rows of the latest delivery that carries the person's 001 count, and
/// nothing of older ones. The statements create a view of every table (`person`, `address`, …), of every row ever
/// delivered (`published_person`, …), of the delivery that counts (`latest_delivery`), and of the numbers that have
/// been replaced (`pnr_resolution`). A number that has been replaced stays as it was delivered: its status says so.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cprflow views --dialect duckdb dataset/ | duckdb cpr.duckdb
  duckdb cpr.duckdb \"SELECT status, count(*) FROM person GROUP BY status\"
  cprflow views --dialect duckdb dataset/ --agreement odense --table person --table address
  cprflow views --dialect spark dataset/ > views.sql && spark-sql -i views.sql
  cprflow views --dialect spark s3a://bucket/dataset > views.sql

In PySpark, one statement at a time:
  for statement in open(\"views.sql\").read().rstrip().removesuffix(\";\").split(\";\\n\"):
      spark.sql(statement)")]
pub(crate) struct Views {
    /// The dataset: the directory with agreement=…/delivery=…/ in it, or its address in a store that only the engine
    /// can reach, where all tables are taken to be there
    dataset: String,

    /// Whose SQL
    #[arg(long, value_enum)]
    dialect: DialectArg,

    /// Only this agreement
    #[arg(long, value_name = "NAME")]
    agreement: Option<String>,

    /// Only this table, and what it is made of; can be repeated
    #[arg(long, value_name = "TABLE")]
    table: Vec<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum DialectArg {
    /// DuckDB
    #[value(name = "duckdb")]
    DuckDb,
    /// Spark SQL
    Spark,
}

impl From<DialectArg> for Dialect {
    fn from(dialect: DialectArg) -> Self {
        match dialect {
            DialectArg::DuckDb => Self::DuckDb,
            DialectArg::Spark => Self::Spark,
        }
    }
}

impl Views {
    pub(crate) fn run(&self, connector: &Connector) -> Result<Outcome, Failure> {
        let catalog = connector.catalog();
        let agreement = self.agreement.as_deref();
        let mut options = if self.dataset.contains("://") {
            ViewsOptions::new(&self.dataset, Published::everything(catalog))
        } else {
            let published = Published::look(Path::new(&self.dataset), agreement)?;
            ViewsOptions::new(absolute(&self.dataset)?, published)
        };
        options.agreement.clone_from(&self.agreement);
        options.tables = (!self.table.is_empty()).then(|| self.table.clone());
        let sql = views::sql(self.dialect.into(), catalog, &options)?;
        io::stdout().lock().write_all(sql.as_bytes())?;
        Ok(Outcome::Clean)
    }
}

/// The path from the root, for the engine may run elsewhere.
fn absolute(path: &str) -> Result<String, Failure> {
    let absolute = std::path::absolute(path).map_err(Error::file(path))?;
    let text = absolute.into_os_string().into_string().map_err(|_| {
        Failure::Usage(
            "the path of the current directory is no UTF-8 text, which SQL cannot hold: name the dataset by an \
             absolute path"
                .to_owned(),
        )
    })?;
    Ok(text)
}
