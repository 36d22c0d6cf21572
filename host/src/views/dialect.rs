//! What engines say differently: names, texts, paths, and how they read a tree of Parquet files.

use std::fmt;

use crate::error::Error;

/// The SQL of an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dialect {
    /// DuckDB 1.2 or later.
    DuckDb,
    /// Spark SQL 4.0 or later; all but the resolution of numbers works from 3.4 on.
    Spark,
}

impl Dialect {
    /// Refuses a path that the engine cannot be told, or would read as more than a path.
    pub(super) fn check(self, dataset: &str) -> Result<(), Error> {
        let refuse = |why: &str| {
            Err(Error::Request(format!(
                "the path of the dataset has {why}: reach the dataset by another path, for example a symbolic link"
            )))
        };
        if self != Self::DuckDb {
            return Ok(());
        }
        // DuckDB takes every key=value in a path for a column, and lets it win over the column in the file.
        if dataset.split('/').any(|part| part.contains('=')) {
            return refuse(
                "a part with \"=\" in it, which DuckDB would read as a column of every table",
            );
        }
        // It is a separator to DuckDB's patterns, and no escape makes it anything else.
        if dataset.contains('\\') {
            return refuse("a backslash in it, which DuckDB would read as a slash");
        }
        Ok(())
    }

    /// How to use the statements, and when to run them again.
    pub(super) fn advice(self) -> &'static str {
        match self {
            Self::DuckDb => {
                "\
New deliveries are seen as soon as they are published. Create the views again when tables or columns have been
added or taken away."
            }
            Self::Spark => {
                "\
Files are listed when a view is created: create the views again to see new deliveries."
            }
        }
    }

    /// What must be said before anything else.
    pub(super) fn preparation(self) -> &'static str {
        match self {
            Self::DuckDb => "",
            Self::Spark => {
                "
-- Names of agreements and deliveries are text; Spark would read an agreement 0851 as the number 851.
SET spark.sql.sources.partitionColumnTypeInference.enabled = false;
"
            }
        }
    }

    /// How the creation of a view begins.
    pub(super) fn create(self) -> &'static str {
        match self {
            Self::DuckDb => "CREATE OR REPLACE VIEW",
            Self::Spark => "CREATE OR REPLACE TEMPORARY VIEW",
        }
    }

    /// A name of a view or a column.
    pub(super) fn identifier(self, name: &str) -> String {
        match self {
            Self::DuckDb => format!("\"{}\"", name.replace('"', "\"\"")),
            Self::Spark => format!("`{}`", name.replace('`', "``")),
        }
    }

    /// The statement that creates a view of every row of a table.
    ///
    /// The pattern names the levels of the dataset, so it cannot match a directory where a delivery is being made.
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

    /// A text constant.
    fn text(self, text: &str) -> String {
        match self {
            Self::DuckDb => format!("'{}'", text.replace('\'', "''")),
            Self::Spark => format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'")),
        }
    }

    /// A pattern of paths that matches this text alone.
    fn literal(self, text: &str) -> String {
        let mut pattern = String::with_capacity(text.len());
        for character in text.chars() {
            match (self, character) {
                // DuckDB knows no escape but a class of one character.
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
    fn a_path_stays_in_its_constant() {
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
    fn a_path_that_duckdb_would_misread_is_refused() {
        for path in ["/lake/status=prod/cpr", r"/lake/a\b"] {
            assert!(Dialect::DuckDb.check(path).is_err());
            assert!(Dialect::Spark.check(path).is_ok());
        }
    }
}
