//! Why the current tables cannot be made.

/// Why the current tables of a dataset cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CurrentError {
    /// The register lacks extracts of deliveries that are published.
    #[error(
        "the current tables cannot be made: the register has no extract of {deliveries} published deliveries of agreement \
         {agreement}, so that persons would be missing or out of date. Restore the state directory from a backup. Without \
         a backup, order a new full load (`cprflow subscription reorder`), and when it has come, run `cprflow register \
         accept-missing {agreement}`"
    )]
    ExtractsMissing {
        /// The agreement's name.
        agreement: String,
        /// The number of deliveries.
        deliveries: usize,
    },

    /// A kept extract is gone or was changed.
    #[error(
        "the register's extract {file} of agreement {agreement} is gone or was changed. Restore it from a backup. Without \
         a backup, order a new full load (`cprflow subscription reorder`)"
    )]
    ExtractChanged {
        /// The agreement's name.
        agreement: String,
        /// The name of the file.
        file: String,
    },
}
