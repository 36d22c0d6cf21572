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

    /// Records may be missing from an extract, and the tenant's policy is only correct with all records.
    #[error(
        "the current tables cannot be made: records may be missing from an extract of agreement {agreement} ({code}), but \
         the policy {on}, which is only correct with all records. Order a new full load (`cprflow subscription reorder`), \
         and when it has come, run `cprflow register accept-missing {agreement}`"
    )]
    RecordsMissing {
        /// The agreement's name.
        agreement: String,
        /// The code of the finding that reports the missing records.
        code: &'static str,
        /// What the policy does that depends on them, as a verb with its object: `selects persons`.
        on: &'static str,
    },

    /// A kept extract is gone or was changed.
    #[error(
        "the register's extract {file} of agreement {agreement} is gone or was changed. Restore it from a backup. Without \
         a backup, order a new full load (`cprflow subscription reorder`), and when it has come, run `cprflow register \
         accept-missing {agreement}`"
    )]
    ExtractChanged {
        /// The agreement's name.
        agreement: String,
        /// The name of the file.
        file: String,
    },
}
