//! Errors of reading the register.

/// Why the register cannot be read as wanted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegisterStateError {
    /// The register has no extract for the question.
    #[error(
        "the register has no extract of that time. Run `cprflow status` to see which extracts it has"
    )]
    Empty,

    /// The ledgers have no delivery of the agreement.
    #[error("the register has no agreement {name:?}. Run `cprflow status` to list the agreements")]
    UnknownAgreement {
        /// The name that was given.
        name: String,
    },

    /// The register lacks extracts of published deliveries.
    #[error(
        "the register has no extract of {deliveries} published deliveries of agreement {agreement}, so persons would be \
         missing or out of date. Restore the state directory from a backup, or order a new full load (`cprflow \
         subscription reorder`)"
    )]
    ExtractsMissing {
        /// The agreement's name.
        agreement: String,
        /// The number of deliveries.
        deliveries: usize,
    },

    /// A kept extract is gone or was changed.
    #[error(
        "the register's file {file} of agreement {agreement} is gone or was changed. \
         Restore it from a backup. Without a backup, order a new full load (`cprflow subscription reorder`), and when it has \
         come, run `cprflow register accept-missing {agreement}`"
    )]
    ExtractChanged {
        /// The agreement's name.
        agreement: String,
        /// The name of the file.
        file: String,
    },

    /// Records that counted on the day were left out since.
    #[error(
        "the state of {day} is not complete any more: `cprflow expire` has left out records that newer extracts have \
         replaced. The earliest complete day is {earliest}. A larger `keep_deliveries` keeps records for longer"
    )]
    HistoryGone {
        /// The day that was asked for.
        day: String,
        /// The earliest day with a complete state.
        earliest: String,
    },

    /// A record of the state cannot be written.
    #[error(
        "a record of the table {table} cannot be written: {what}. This is a bug in cprflow: report it with this message"
    )]
    Record {
        /// The table's name.
        table: String,
        /// What is wrong. It has no value of the record.
        what: String,
    },

    /// A delivery since the day is not published: it was set aside, or waits.
    #[error(
        "{deliveries} deliveries of agreement {agreement} since {since} are not published, the first of them is transfer \
         {transfer}: persons in them would be listed although they were delivered. `cprflow status` says why. If a delivery \
         waits, run `cprflow sync`. If it was set aside, run `cprflow retry {transfer}`, with --accept CODE for what a person \
         accepts. If it was sent again, or nothing of it is needed, run `cprflow set-aside {transfer} --reason TEXT`. Then run \
         this command again"
    )]
    DeliveryNotPublished {
        /// The agreement's name.
        agreement: String,
        /// The day.
        since: String,
        /// The number of such deliveries.
        deliveries: usize,
        /// The transfer UUID of the first one.
        transfer: String,
    },

    /// No full load has come since the day.
    #[error(
        "no full load of agreement {agreement} has come since {since}. Order one with `cprflow subscription reorder`, and \
         run this command when all of it has come"
    )]
    NoFullLoad {
        /// The agreement's name.
        agreement: String,
        /// The day.
        since: String,
    },

    /// The full load may not be complete.
    #[error(
        "the newest delivery of agreement {agreement}, of {newest}, looks like a part of a full load: CPR stops an extract \
         after five hours and delivers the rest the next night. Run this command after a night without such a part"
    )]
    LoadUnderWay {
        /// The agreement's name.
        agreement: String,
        /// The production date of the newest delivery.
        newest: String,
    },
}
