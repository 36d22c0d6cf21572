//! The errors of the ready answers.

/// A reason why the ready answers cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnswersError {
    /// The dataset has no generation.
    #[error(
        "the dataset has no current tables, which the ready answers read. Run `cprflow sync`, and publish the current tables \
         (`publish` in the configuration)"
    )]
    NoCurrentTables,

    /// The dataset has no reference tables.
    #[error(
        "the dataset has no reference tables (codes/), which the ready answers read. Run `cprflow sync`"
    )]
    NoCodes,

    /// The policy of the dataset shows no person numbers.
    #[error(
        "the dataset shows no person numbers, so that the rows of a person cannot be joined. Use a dataset whose \
         policy shows them"
    )]
    NoNumbers,

    /// DuckDB would read a backslash in the path as a slash.
    #[error(
        "the path of the dataset contains a backslash, which DuckDB would read as a slash. Use another path to the \
         dataset, for example a symbolic link"
    )]
    BackslashInPath,

    /// The name of PostgreSQL's schema cannot be used.
    #[error(
        "the name of the schema must have 1 to {longest} bytes: the ready answers get a schema with the same name and \
         _answers. Export to a schema with a shorter name (`cprflow export --schema`)"
    )]
    SchemaName {
        /// The largest length of the name, in bytes.
        longest: usize,
    },

    /// The path is not UTF-8.
    #[error(
        "the path of the dataset is not UTF-8. Use another path to it, for example a symbolic link"
    )]
    NotUtf8,
}
