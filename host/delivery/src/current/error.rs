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

    /// A change of the policy hides more than half of the tenant's persons.
    #[error(
        "the policy of tenant {tenant} was changed, and {hidden} of {persons} persons would be hidden. Nothing is published \
         to the tenant until a person decides: if that is intended, run `cprflow tenant accept {tenant}`; otherwise correct \
         the policy"
    )]
    PolicyHidesMost {
        /// The tenant's name.
        tenant: String,
        /// The number of persons who would be hidden.
        hidden: u64,
        /// The number of persons in scope before.
        persons: u64,
    },

    /// The clock is far ahead of everything that is known.
    #[error(
        "the clock says {today}, but the last day of the current tables is {day}, and the newest extract is of {newest}: \
         more than {limit} days before. A wrong day would give wrong ages for a long time. If the clock is right, run \
         `cprflow sync --accept-clock`; otherwise set the clock"
    )]
    ClockAhead {
        /// The day of the clock in Denmark.
        today: String,
        /// The day of the newest generation.
        day: String,
        /// The newest day of an extract.
        newest: String,
        /// The number of days that are taken without a question.
        limit: i32,
    },
}
