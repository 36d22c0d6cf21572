//! The errors of the SQL views.

/// A reason why the views cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SqlViewError {
    /// No table or view has the requested name.
    #[error(
        "there is no table {name:?}. `cprflow tables` lists the tables; latest_delivery, latest_by_agreement, \
         protected_person and pnr_resolution are views too"
    )]
    UnknownTable {
        /// The requested name.
        name: String,
    },

    /// No delivery in the dataset contains the requested table.
    #[error(
        "the dataset has no table {name}: no delivery in it contains {name}.parquet. Choose another table, or check \
         the policy and the ordered record types"
    )]
    TableNotPublished {
        /// The requested name.
        name: String,
    },

    /// The table of persons, which the view `latest_delivery` reads, is not published.
    #[error(
        "the dataset has no table person with the column pnr, which is needed to find the latest delivery of a person. \
         Select tables without persons with --table, or publish that column"
    )]
    NoPersonTable,

    /// DuckDB would read a part of the path as a column.
    #[error(
        "the path of the dataset has a part that contains \"=\", which DuckDB would read as a column of every table. \
         Use another path to the dataset, for example a symbolic link"
    )]
    EqualsSignInPath,

    /// DuckDB would read a backslash in the path as a slash.
    #[error(
        "the path of the dataset contains a backslash, which DuckDB would read as a slash. Use another path to the \
         dataset, for example a symbolic link"
    )]
    BackslashInPath,
}
