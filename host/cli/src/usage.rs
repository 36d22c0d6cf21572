//! Errors in the use of the command line.
//!
//! A message repeats a value of the command line only if that cannot be a person number.

use std::path::PathBuf;

use cprflow_transport::{FingerprintError, InboxError};

/// A command line that cannot be carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UsageError {
    // All subcommands
    /// An argument that cprflow does not know looks like a person number. It is not repeated.
    #[error(
        "the command line has an unknown argument or value that can be a person number. Person numbers must not be on \
         the command line, because other users and the shell's history can see them. See `cprflow --help`"
    )]
    PersonNumberOnCommandLine,

    // views
    /// `views --dialect postgres` was asked for without `--answers`.
    #[error(
        "for PostgreSQL there are the ready answers only: add --answers. `cprflow export --to postgresql://…` makes the \
         tables of the current state"
    )]
    PostgresHasAnswersOnly,
    /// `views --schema` was asked for with another dialect than PostgreSQL.
    #[error(
        "--schema names the schema of the exported tables in PostgreSQL. Use it with --dialect postgres"
    )]
    SchemaNeedsPostgres,
    /// The ready answers were asked for a dataset that cprflow cannot look into.
    #[error(
        "the ready answers need a dataset on this machine, because they depend on the tables and columns that it has. Name its \
         directory, and not the address of an object store"
    )]
    AnswersNeedDirectory,

    // export
    /// `cprflow export` was called without the Python package.
    #[error(
        "`cprflow export` is part of the Python package: pip install 'cprflow[export]', and run the command `cprflow` of that \
         package"
    )]
    ExportInPython,

    // schema, scan
    /// A table was named by a name, a record type or a Danish title that no table has.
    #[error("there is no table {table:?}{suggestion} `cprflow tables` lists the tables")]
    UnknownTable {
        table: String,
        /// The end of the sentence, with a similar name if there is one.
        suggestion: String,
    },
    /// A column was named that the table does not have.
    #[error(
        "the table {table:?} has no column {column:?}{suggestion} `cprflow schema {table}` lists the columns"
    )]
    UnknownColumn {
        column: String,
        table: String,
        /// The end of the sentence, with a similar name if there is one.
        suggestion: String,
    },
    /// `cprflow codes` was asked for a table that does not exist.
    #[error("there is no reference table {table:?}{suggestion} `cprflow codes` lists them")]
    UnknownCodeTable {
        table: String,
        /// The end of the sentence, with a similar name if there is one.
        suggestion: String,
    },
    /// All code tables were to be written in a format that holds one table, or to a file.
    #[error(
        "no reference table was named, and all of them can only be listed as a table or as JSON on standard output. Name \
         one: `cprflow codes` lists them"
    )]
    CodesNeedTable,
    /// `scan` got no table, and neither `--all` nor `--format summary`.
    #[error(
        "no table was named. Use --table TABLE (`cprflow tables` lists them), --all --format parquet -o DIR, or \
         --format summary"
    )]
    NoTable,
    /// `scan --all` was asked for a format that holds one table.
    #[error("--all writes Parquet files only. Add --format parquet -o DIR, or use --table TABLE")]
    AllNeedsParquet,
    /// The output file exists, and `--force` was not given.
    #[error(
        "{} exists and was not changed. Name another file, or replace it with --force",
        path.display()
    )]
    OutputExists { path: PathBuf },
    /// No format was named, and the name of the output file tells none.
    #[error(
        "the extension of the output file does not tell a format. Use .csv, .jsonl, .arrow, .parquet or .txt, or name \
         the format with --format"
    )]
    UnknownExtension,
    /// `--vertical` was given for a format that is not for people to read.
    #[error("--vertical is for rows as text. Leave it out, or use --format table")]
    VerticalNeedsText,
    /// `scan --all` writes several files and got no directory for them.
    #[error("--all needs an output directory. Add -o DIR")]
    AllNeedsDirectory,
    /// Several extracts were to be read as a tenant: a policy is applied to one delivery.
    #[error("--tenant reads one extract, and several were named. Run the command once for each")]
    TenantNeedsOneExtract,
    /// `verify` got several extracts and the preceding delivery of one.
    #[error(
        "--previous is about one extract, and several were named. Run the command once for each"
    )]
    PreviousNeedsOneExtract,
    /// A tenant was named without the configuration that describes it.
    #[error(
        "--tenant needs the configuration that has the tenant, and there is no cprflow.toml in this directory. Add \
         --config FILE"
    )]
    TenantNeedsConfiguration,
    /// Arrow or Parquet was to be written to a terminal.
    #[error(
        "this format is binary and is not written to a terminal. Name a file with -o FILE, or use a pipe"
    )]
    BinaryToTerminal,

    // Subcommands that work on agreements
    /// The command needs agreements, and there is no configuration.
    #[error(
        "no configuration was named, and there is no cprflow.toml in this directory. Use --config FILE (`cprflow init` \
         writes one)"
    )]
    NoConfiguration,
    /// The command needs an inbox and a dataset, and neither these nor a configuration were named.
    #[error(
        "no inbox and no dataset were named, and there is no cprflow.toml in this directory. Use --inbox and --dataset, or --config FILE (`cprflow init` writes one)"
    )]
    NoSource,
    /// A dataset was named without the inbox that belongs to it.
    #[error(
        "--inbox is missing: without a configuration, --inbox and --dataset belong together. Add --inbox, or replace --dataset \
         by --config FILE (`cprflow init` writes one)"
    )]
    NoInbox,
    /// The address of an inbox on the command line is not valid.
    #[error("--inbox: {0}")]
    Inbox(#[source] InboxError),
    /// An SFTP inbox was named without the key for the login.
    #[error("an SFTP inbox needs a private key. Add --identity FILE, or use a configuration")]
    NoIdentity,
    /// The fingerprint of a host key on the command line is not valid.
    #[error("--host-key: {0}")]
    HostKey(#[source] FingerprintError),
    /// An agreement was named that the configuration does not have.
    #[error("--agreement: the configuration has no agreement with this name. It has: {known}")]
    UnknownAgreement { known: String },
    /// The command is about one agreement, and the configuration has several.
    #[error(
        "a subscription belongs to one agreement, and the configuration has several. Name one with --agreement NAME: \
         {known}"
    )]
    SeveralAgreements { known: String },
    /// The configuration describes no agreement.
    #[error("the configuration has no agreement. Add a section [agreement.NAME]")]
    NoAgreement,

    // init
    /// `init` does not replace a configuration.
    #[error("{path} exists and was not changed. Name another file", path = path.display())]
    FileExists { path: PathBuf },

    // set-aside
    /// The reason of `set-aside` would be stored for years.
    #[error(
        "--reason contains something that can be a person number, and the ledger must not contain any. Write the \
         reason without it"
    )]
    PersonNumberInReason,

    // views
    /// `views` writes absolute paths into the SQL, and the current directory has other characters.
    #[error(
        "the path of the current directory is not valid UTF-8, so it cannot be written in SQL. Name the dataset by an \
         absolute path"
    )]
    DirectoryIsNotUtf8,

    // subscription
    /// A filter of the subscription was named by a kind that does not exist.
    #[error("unknown kind of filter. The kinds are: {known}")]
    UnknownFilterKind { known: String },
    /// A filter of this kind is for a value, such as a municipality code.
    #[error("{kind} needs a value. See `cprflow subscription --help`")]
    NoFilterValue { kind: &'static str },
    /// The filter `no-filter` stands for all persons.
    #[error("no-filter does not take a value. Leave the value out")]
    NoFilterTakesNoValue,
    /// The value of a filter is not valid.
    #[error("{reason}")]
    FilterValue { reason: String },
    /// A person number was given as a value of a filter. It is not repeated.
    #[error(
        "a person number must not be on the command line, because other users and the shell's history can see it. Name \
         a file with one number per line, or - for standard input"
    )]
    FilterIsPersonNumber,
    /// `subscription` got several files with person numbers.
    #[error("pnr takes one file with one person number per line, or - for standard input")]
    SeveralPnrFiles,
    /// The name of the file would be seen by other users and stored in the audit log.
    #[error(
        "the file name contains something that can be a person number. Person numbers must not be on the command line \
         or in a file name. Put them into a file, one per line, or use - for standard input"
    )]
    PersonNumberInFileName,
    /// `reorder` was asked for a kind of filter for which the platform sends no initial load.
    #[error(
        "only filters of the kinds pnr and municipality order an initial load, so no other kind can be reordered. Name \
         one of these two kinds"
    )]
    NotReorderable,
    /// The command would change the subscription, and no person can answer its question.
    #[error(
        "cannot ask for confirmation, because standard input is not a terminal or has the person numbers. Add --yes to \
         continue without a question. Nothing was changed"
    )]
    CannotAsk,
}
