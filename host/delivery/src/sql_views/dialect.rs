//! The differences between SQL engines: names, texts, paths, and how they read a tree of Parquet files.

use std::fmt;

use super::SqlViewError;

/// The SQL dialect of an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dialect {
    /// DuckDB 1.2 or later.
    DuckDb,
    /// Spark SQL 4.0 or later. All views except `pnr_resolution` also work in Spark 3.4.
    Spark,
}

impl Dialect {
    /// Refuses a path of a dataset that the engine would misread.
    pub(super) fn check(self, dataset: &str) -> Result<(), SqlViewError> {
        if self != Self::DuckDb {
            return Ok(());
        }
        // DuckDB reads every key=value in a path as a column, which overrides the column of that name in the file.
        if dataset.split('/').any(|part| part.contains('=')) {
            return Err(SqlViewError::EqualsSignInPath);
        }
        // DuckDB's patterns treat a backslash as a separator, and it cannot be escaped.
        if dataset.contains('\\') {
            return Err(SqlViewError::BackslashInPath);
        }
        Ok(())
    }

    /// Returns the comment that says when to run the statements again.
    pub(super) fn advice(self) -> &'static str {
        match self {
            Self::DuckDb => {
                "\
The views include new deliveries as soon as they are published. Create the views again after tables, columns or
agreements were added or removed."
            }
            Self::Spark => {
                "\
Spark lists the files when a view is created. Create the views again to include new deliveries."
            }
        }
    }

    /// Returns the statements that must run before all others.
    pub(super) fn preparation(self) -> &'static str {
        match self {
            Self::DuckDb => "",
            Self::Spark => {
                "
-- Names of agreements and deliveries are text. With type inference, Spark would read an agreement 0851 as 851.
SET spark.sql.sources.partitionColumnTypeInference.enabled = false;
"
            }
        }
    }

    /// Returns the first words of a statement that creates a view.
    pub(super) fn create(self) -> &'static str {
        match self {
            Self::DuckDb => "CREATE OR REPLACE VIEW",
            Self::Spark => "CREATE OR REPLACE TEMPORARY VIEW",
        }
    }

    /// Quotes the name of a view or a column.
    pub(super) fn identifier(self, name: &str) -> String {
        match self {
            Self::DuckDb => format!("\"{}\"", name.replace('"', "\"\"")),
            Self::Spark => format!("`{}`", name.replace('`', "``")),
        }
    }

    /// Returns the statement that creates a view of every row of a table.
    ///
    /// The pattern names the directory levels of the dataset, so it never matches the staging directory of a delivery.
    pub(super) fn source(
        self,
        view: &str,
        dataset: &str,
        agreement: Option<&str>,
        table: &str,
    ) -> String {
        let (create, view) = (self.create(), self.identifier(view));
        let dataset = match dataset.trim_end_matches('/') {
            "" => dataset,
            trimmed => trimmed,
        };
        let agreement = agreement.map_or("*".to_owned(), |name| self.literal(name));
        let pattern = format!(
            "{}/agreement={agreement}/delivery=*/{table}.parquet",
            self.literal(dataset)
        );
        let pattern = self.text(&pattern);
        match self {
            Self::DuckDb => format!(
                "\
{create} {view} AS
SELECT *
FROM read_parquet(
  {pattern},
  hive_partitioning = true,
  hive_types = {{'agreement': VARCHAR, 'delivery': VARCHAR}},
  union_by_name = true
);
"
            ),
            Self::Spark => format!(
                "\
{create} {view}
USING parquet
OPTIONS (
  path {pattern},
  basePath {base},
  mergeSchema 'true'
);
",
                base = self.text(dataset)
            ),
        }
    }

    /// Returns the expression for the beginning of the day of a time.
    pub(super) fn midnight(self, time: &str) -> String {
        let kind = match self {
            Self::DuckDb => "TIMESTAMP",
            Self::Spark => "TIMESTAMP_NTZ",
        };
        format!("CAST(CAST({time} AS DATE) AS {kind})")
    }

    /// Quotes a text constant.
    pub(crate) fn text(self, text: &str) -> String {
        match self {
            Self::DuckDb => format!("'{}'", text.replace('\'', "''")),
            Self::Spark => format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'")),
        }
    }

    /// Returns a path pattern that matches only this text.
    pub(crate) fn literal(self, text: &str) -> String {
        let mut pattern = String::with_capacity(text.len());
        for character in text.chars() {
            match (self, character) {
                // DuckDB's only escape is a character class with one character.
                (Self::DuckDb, '*' | '?' | '[') => pattern.extend(['[', character, ']']),
                (Self::Spark, '*' | '?' | '[' | ']' | '{' | '}' | '\\') => {
                    pattern.extend(['\\', character]);
                }
                _ => pattern.push(character),
            }
        }
        pattern
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DuckDb => "DuckDB",
            Self::Spark => "Spark SQL",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_every_special_character_of_a_path() {
        let path = r#"/it's/a\b/"c"/[1]*?{x,y}"#;
        let duckdb = Dialect::DuckDb.source("v", path, Some("o'd[d]"), "person");
        let pattern =
            r#"'/it''s/a\b/"c"/[[]1][*][?]{x,y}/agreement=o''d[[]d]/delivery=*/person.parquet'"#;
        assert!(duckdb.contains(&format!("\n  {pattern},\n")), "{duckdb}");
        let spark = Dialect::Spark.source("v", path, None, "person");
        let pattern = r#"path '/it\'s/a\\\\b/"c"/\\[1\\]\\*\\?\\{x,y\\}/agreement=*/delivery=*/person.parquet'"#;
        assert!(spark.contains(&format!("  {pattern},\n")), "{spark}");
        let base = r#"basePath '/it\'s/a\\b/"c"/[1]*?{x,y}'"#;
        assert!(spark.contains(&format!("  {base},\n")), "{spark}");
    }

    #[test]
    fn refuses_a_path_that_duckdb_would_misread() {
        for path in ["/lake/status=prod/cpr", r"/lake/a\b"] {
            assert!(Dialect::DuckDb.check(path).is_err());
            assert!(Dialect::Spark.check(path).is_ok());
        }
    }
}
