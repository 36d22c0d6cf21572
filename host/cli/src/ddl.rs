//! `cprflow ddl`: prints SQL that creates the tables of a database.

use std::io::{self, Write};

use arrow::datatypes::DataType;
use clap::{Args, ValueEnum};
use cprflow::{Column, Connector, StateScan, Table};

use crate::failure::{Failure, Outcome};
use crate::table_name;

/// Print SQL that creates tables for a database
///
/// The tables have the columns of the current tables, or with --deliveries those of the deliveries: the columns agreement,
/// delivery and sequence then name the delivery of a row. Person numbers are texts, because they begin with zeros. The column
/// irregular holds a JSON object. Comments name CPR's fields.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes:
  0  printed
  2  failed

Examples:
  cprflow ddl --dialect postgres | psql cpr
  cprflow ddl --dialect mssql --schema cpr person address name > tables.sql
  cprflow ddl --dialect spark --deliveries event")]
pub(crate) struct Ddl {
    /// The tables; `cprflow tables` lists them. Default: all
    tables: Vec<String>,

    /// The database
    #[arg(long, value_enum)]
    dialect: Dialect,

    /// The schema of the tables
    #[arg(long, value_name = "NAME", value_parser = identifier)]
    schema: Option<String>,

    /// Tables for deliveries, and not for the current tables
    #[arg(long)]
    deliveries: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Dialect {
    /// SQL Server
    Mssql,
    /// PostgreSQL
    Postgres,
    /// DuckDB
    Duckdb,
    /// Spark, Databricks and Fabric
    Spark,
}

/// Names that need no escape in any of the dialects.
fn identifier(text: &str) -> Result<String, String> {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || character == '_';
    match !text.is_empty() && text.len() <= 63 && text.chars().all(is_plain) {
        true => Ok(text.to_owned()),
        false => Err("a schema's name has 1 to 63 letters, digits and underscores".to_owned()),
    }
}

/// A column of a table in the database.
struct SqlColumn {
    name: String,
    sql_type: &'static str,
    length: Option<u32>,
    nullable: bool,
    comment: String,
}

impl Ddl {
    /// Runs the subcommand.
    pub(crate) fn run(&self, connector: &Connector) -> Result<Outcome, Failure> {
        let state = StateScan::new(connector).view()?;
        let mut out = crate::output::stdout()?;
        writeln!(out, "-- Tables of cprflow {}.", env!("CARGO_PKG_VERSION"))?;
        if let Some(schema) = &self.schema {
            self.create_schema(&mut out, schema)?;
        }
        let wanted = self
            .tables
            .iter()
            .map(|name| table_name::find(connector.catalog(), name));
        let wanted = wanted.collect::<Result<Vec<&Table>, _>>()?;
        for table in connector.catalog().tables() {
            let is_wanted = wanted.is_empty() || wanted.iter().any(|one| one.name == table.name);
            let columns = match (self.deliveries, state.table(&table.name)) {
                (true, _) => table.columns.as_slice(),
                (false, Some(current)) => &current.columns,
                // The start and end of an extract, and lines that cannot be read, are in no current table.
                (false, None) => continue,
            };
            if is_wanted {
                self.create_table(&mut out, table, &self.columns(columns))?;
            }
        }
        Ok(Outcome::Success)
    }

    fn columns(&self, columns: &[Column]) -> Vec<SqlColumn> {
        let mut all: Vec<SqlColumn> = columns.iter().map(|column| self.column(column)).collect();
        if self.deliveries {
            let text = self.dialect.sql_type(&DataType::Utf8);
            let number = self.dialect.sql_type(&DataType::Int64);
            let origin = [
                ("agreement", text, "The agreement of the delivery"),
                ("delivery", text, "The directory of the delivery"),
                ("sequence", number, "The sequence number of the delivery"),
            ];
            all.extend(origin.map(|(name, sql_type, comment)| SqlColumn {
                name: name.to_owned(),
                sql_type,
                length: None,
                nullable: false,
                comment: comment.to_owned(),
            }));
        }
        all
    }

    fn column(&self, column: &Column) -> SqlColumn {
        let field = column.field.as_ref();
        let of_field = |field: &cprflow::CprField| {
            format!(
                "{}, position {}, length {}",
                field.cpr_name, field.position, field.length
            )
        };
        SqlColumn {
            name: column.name.clone(),
            sql_type: self.dialect.sql_type(&column.data_type),
            length: field
                .filter(|_| column.data_type == DataType::Utf8)
                .map(|field| field.length),
            nullable: column.nullable,
            comment: field.map(of_field).unwrap_or_default(),
        }
    }

    fn create_schema(&self, out: &mut impl Write, schema: &str) -> io::Result<()> {
        let name = self.dialect.quoted(schema);
        match self.dialect {
            Dialect::Mssql => writeln!(
                out,
                "\nIF SCHEMA_ID({}) IS NULL EXEC('CREATE SCHEMA {name}');",
                literal(schema)
            ),
            _ => writeln!(out, "\nCREATE SCHEMA IF NOT EXISTS {name};"),
        }
    }

    fn create_table(
        &self,
        out: &mut impl Write,
        table: &Table,
        columns: &[SqlColumn],
    ) -> io::Result<()> {
        let dialect = self.dialect;
        let name = match &self.schema {
            Some(schema) => format!("{}.{}", dialect.quoted(schema), dialect.quoted(&table.name)),
            None => dialect.quoted(&table.name),
        };
        writeln!(out, "\nCREATE TABLE {name} (")?;
        for (index, column) in columns.iter().enumerate() {
            let comma = if index + 1 < columns.len() { "," } else { "" };
            let comment = match dialect {
                Dialect::Spark if !column.comment.is_empty() => {
                    format!(" COMMENT {}", dialect.text(&column.comment))
                }
                _ => String::new(),
            };
            let null = if column.nullable { "" } else { " NOT NULL" };
            writeln!(
                out,
                "    {} {}{null}{comment}{comma}",
                dialect.quoted(&column.name),
                dialect.type_of(column)
            )?;
        }
        let comment = match table.cpr_title.as_str() {
            "" => table.description.clone(),
            title => format!("{} ({title})", table.description),
        };
        match dialect {
            Dialect::Spark => writeln!(out, ") COMMENT {};", dialect.text(&comment)),
            Dialect::Postgres | Dialect::Duckdb => {
                writeln!(out, ");\nCOMMENT ON TABLE {name} IS {};", literal(&comment))?;
                let commented = columns.iter().filter(|column| !column.comment.is_empty());
                commented.into_iter().try_for_each(|column| {
                    let column_name = dialect.quoted(&column.name);
                    writeln!(
                        out,
                        "COMMENT ON COLUMN {name}.{column_name} IS {};",
                        literal(&column.comment)
                    )
                })
            }
            Dialect::Mssql => {
                writeln!(out, ");")?;
                self.describe_in_mssql(out, &table.name, None, &comment)?;
                let commented = columns.iter().filter(|column| !column.comment.is_empty());
                commented.into_iter().try_for_each(|column| {
                    self.describe_in_mssql(out, &table.name, Some(&column.name), &column.comment)
                })
            }
        }
    }

    fn describe_in_mssql(
        &self,
        out: &mut impl Write,
        table: &str,
        column: Option<&str>,
        comment: &str,
    ) -> io::Result<()> {
        let schema = self.schema.as_deref().unwrap_or("dbo");
        write!(
            out,
            "EXEC sp_addextendedproperty 'MS_Description', N{}, 'SCHEMA', {}, 'TABLE', {}",
            literal(comment),
            literal(schema),
            literal(table)
        )?;
        match column {
            Some(column) => writeln!(out, ", 'COLUMN', {};", literal(column)),
            None => writeln!(out, ";"),
        }
    }
}

impl Dialect {
    fn sql_type(self, data_type: &DataType) -> &'static str {
        let types = match data_type {
            DataType::Date32 => ["date", "date", "DATE", "DATE"],
            // Danish local time without a zone.
            DataType::Timestamp(..) => ["datetime2(0)", "timestamp", "TIMESTAMP", "TIMESTAMP_NTZ"],
            DataType::Boolean => ["bit", "boolean", "BOOLEAN", "BOOLEAN"],
            DataType::Int64 => ["bigint", "bigint", "BIGINT", "BIGINT"],
            DataType::Map(..) => ["nvarchar(max)", "jsonb", "JSON", "STRING"],
            _ => ["nvarchar", "text", "VARCHAR", "STRING"],
        };
        let [mssql, postgres, duckdb, spark] = types;
        match self {
            Self::Mssql => mssql,
            Self::Postgres => postgres,
            Self::Duckdb => duckdb,
            Self::Spark => spark,
        }
    }

    fn type_of(self, column: &SqlColumn) -> String {
        match (column.sql_type, column.length) {
            ("nvarchar", Some(length)) => format!("nvarchar({length})"),
            ("nvarchar", None) => "nvarchar(max)".to_owned(),
            (sql_type, _) => sql_type.to_owned(),
        }
    }

    fn quoted(self, name: &str) -> String {
        match self {
            Self::Mssql => format!("[{name}]"),
            Self::Postgres | Self::Duckdb => format!("\"{name}\""),
            Self::Spark => format!("`{name}`"),
        }
    }

    fn text(self, text: &str) -> String {
        match self {
            Self::Spark => format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'")),
            _ => literal(text),
        }
    }
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
