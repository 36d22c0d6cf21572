//! `cprflow views`: prints SQL views of a published dataset.

use std::io::Write;
use std::path::Path;

use clap::{Args, ValueEnum};
use cprflow::{Connector, Error};
use cprflow_delivery::answers::{self, AnswersEngine};
use cprflow_delivery::sql_views::{self, Dialect, PublishedDataset, ViewsOptions};

use crate::failure::{Failure, Outcome};
use crate::usage::UsageError;

/// Print SQL views that show a published dataset in its current state
///
/// The current rows of a person number are those of the latest delivery with a 001 record for the number, whichever
/// agreement delivered it. Only a protection counts as long as it is current in any agreement.
///
/// The statements create these views: each table in its current state (`person`, `address`, …), each table with the
/// rows of all deliveries (`published_person`, …), the delivery that is current for each number (`latest_delivery`, and
/// `latest_by_agreement` for each agreement alone), and the numbers that were replaced (`pnr_resolution`). A replaced
/// number keeps its last rows; its status shows that it was replaced.
///
/// With --answers, the statements create ready answers over the current tables instead, also for PostgreSQL.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cprflow views --dialect duckdb dataset/ | duckdb cpr.duckdb
  duckdb cpr.duckdb \"SELECT status, count(*) FROM person GROUP BY status\"
  cprflow views --dialect duckdb dataset/ --agreement odense --table person
  cprflow views --dialect duckdb --answers dataset/ | duckdb cpr.duckdb
  duckdb cpr.duckdb \"SELECT full_name, address, age FROM resident WHERE NOT protected\"
  cprflow views --dialect spark dataset/ > views.sql && spark-sql -i views.sql
  cprflow views --dialect spark s3a://bucket/dataset > views.sql
  cprflow views --dialect spark --answers dataset/ > views.sql && spark-sql -i views.sql
  cprflow export dataset/ --to postgresql://db.example/cpr
  cprflow views --dialect postgres --answers dataset/ | psql -q -v ON_ERROR_STOP=1 postgresql://db.example/cpr
  psql postgresql://db.example/cpr -c \"SELECT full_name FROM cpr_answers.resident WHERE NOT protected\"

PySpark runs one statement at a time:
  sql = open(\"views.sql\").read().rstrip().removesuffix(\";\")
  for statement in sql.split(\";\\n\"):
      spark.sql(statement)")]
pub(crate) struct Views {
    /// The dataset: a directory with agreement=…/delivery=…/, or the address of an object store
    ///
    /// cprflow does not read an object store, so for an address it prints the views of all tables.
    dataset: String,

    /// SQL dialect
    #[arg(long, value_enum, default_value = "duckdb")]
    dialect: DialectName,

    /// Print ready answers over the current tables instead: resident, protected, family, moves, births, deaths,
    /// number_changes and new_since(DAY)
    ///
    /// Each counts a person once, and treats a person as protected if that is not certain. "Today" is the day for which
    /// the current tables were made. For Spark, they read the generation that is the newest now. For PostgreSQL, they read
    /// the tables of `cprflow export`, and DATASET is the dataset that was exported. docs/queries.md explains them.
    #[arg(long, conflicts_with_all = ["agreement", "table"])]
    answers: bool,

    /// The schema of the exported tables in PostgreSQL; the ready answers get the schema NAME_answers
    ///
    /// Default: cpr
    #[arg(long, value_name = "NAME", requires = "answers")]
    schema: Option<String>,

    /// Show only the deliveries of this agreement
    #[arg(long, value_name = "NAME")]
    agreement: Option<String>,

    /// Create only the view of this table and the views that it uses; can be repeated
    #[arg(long, value_name = "TABLE")]
    table: Vec<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum DialectName {
    /// DuckDB
    #[value(name = "duckdb")]
    DuckDb,
    /// Spark SQL
    Spark,
    /// PostgreSQL, for the ready answers
    Postgres,
}

/// The schema of `cprflow export` in PostgreSQL, if no other is named.
const DEFAULT_SCHEMA: &str = "cpr";

impl Views {
    /// Runs the subcommand.
    pub(crate) fn run(&self, connector: &Connector) -> Result<Outcome, Failure> {
        let sql = match self.answers {
            true => self.answers(connector)?,
            false => self.views(connector)?,
        };
        crate::output::raw_stdout()?.write_all(sql.as_bytes())?;
        Ok(Outcome::Success)
    }

    /// Returns the statements of the ready answers.
    fn answers(&self, connector: &Connector) -> Result<String, Failure> {
        let engine = match (self.dialect, &self.schema) {
            (DialectName::Postgres, schema) => AnswersEngine::Postgres {
                schema: schema.as_deref().unwrap_or(DEFAULT_SCHEMA).to_owned(),
            },
            (_, Some(_)) => return Err(UsageError::SchemaNeedsPostgres.into()),
            (DialectName::DuckDb, None) => AnswersEngine::DuckDb,
            (DialectName::Spark, None) => AnswersEngine::Spark,
        };
        if self.dataset.contains("://") {
            return Err(UsageError::AnswersNeedDirectory.into());
        }
        let dataset = absolute(&self.dataset)?;
        Ok(answers::sql(&engine, connector, Path::new(&dataset))?)
    }

    /// Returns the statements of the views of the deliveries.
    fn views(&self, connector: &Connector) -> Result<String, Failure> {
        let dialect = match self.dialect {
            DialectName::DuckDb => Dialect::DuckDb,
            DialectName::Spark => Dialect::Spark,
            DialectName::Postgres => return Err(UsageError::PostgresHasAnswersOnly.into()),
        };
        let catalog = connector.catalog();
        let agreement = self.agreement.as_deref();
        let mut options = if self.dataset.contains("://") {
            ViewsOptions::new(&self.dataset, PublishedDataset::everything(catalog))
        } else {
            let published = PublishedDataset::look(Path::new(&self.dataset), agreement)?;
            ViewsOptions::new(absolute(&self.dataset)?, published)
        };
        options.agreement.clone_from(&self.agreement);
        options.tables = (!self.table.is_empty()).then(|| self.table.clone());
        Ok(sql_views::sql(dialect, catalog, &options)?)
    }
}

/// Returns the absolute path, because the SQL can be run in another directory.
fn absolute(path: &str) -> Result<String, Failure> {
    let absolute = std::path::absolute(path).map_err(Error::file(path))?;
    let text = absolute.into_os_string().into_string();
    Ok(text.map_err(|_| UsageError::DirectoryIsNotUtf8)?)
}
