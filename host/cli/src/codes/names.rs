//! The option `--names` of `cprflow scan`.

use arrow::datatypes::Schema;
use clap::{Args, ValueEnum};
use cprflow::{CodeNames, Connector, Error, Language};

/// The option that adds names of codes.
#[derive(Debug, Args)]
pub(crate) struct NamesOption {
    /// Add a column with the meaning beside each column of codes, in English or Danish. `status` gets `status_name`;
    /// `municipality_code` gets `municipality_name`
    #[arg(
        long = "names",
        value_enum,
        value_name = "LANGUAGE",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "en",
        requires = "table",
        conflicts_with = "all"
    )]
    language: Option<LanguageName>,
}

/// A language of names on the command line.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum LanguageName {
    /// English
    En,
    /// Danish
    Da,
}

impl From<LanguageName> for Language {
    fn from(name: LanguageName) -> Self {
        match name {
            LanguageName::En => Self::English,
            LanguageName::Da => Self::Danish,
        }
    }
}

impl NamesOption {
    /// Returns what adds the columns to the rows of a table; `None` if they were not asked for.
    pub(crate) fn of_table(
        &self,
        connector: &Connector,
        table: &str,
        schema: &Schema,
    ) -> Result<Option<CodeNames>, Error> {
        let Some(language) = self.language else {
            return Ok(None);
        };
        let tables = connector.code_tables()?;
        Ok(Some(CodeNames::new(tables, table, schema, language.into())))
    }
}
