//! Errors in the use of the command line.
//!
//! A message repeats a value of the command line only if that cannot be a person number.

use std::path::PathBuf;

use cprflow_transport::{FingerprintError, InboxError};

/// A command line that cannot be carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UsageError {
    // All subcommands
    #[error(
        "the command line has an unknown argument or value that can be a person number. Person numbers must not be on \
         the command line, because other users and the shell's history can see them. See `cprflow --help`"
    )]
    PersonNumberOnCommandLine,

    // views
    #[error("the ready answers are for DuckDB only. Use --dialect duckdb")]
    AnswersNeedDuckDb,

    // schema, scan
    #[error("there is no table {table:?}{suggestion} `cprflow tables` lists the tables")]
    UnknownTable {
        table: String,
        /// The end of the sentence, with a similar name if there is one.
        suggestion: String,
    },
    #[error(
        "the table {table:?} has no column {column:?}{suggestion} `cprflow schema {table}` lists the columns"
    )]
    UnknownColumn {
        column: String,
        table: String,
        /// The end of the sentence, with a similar name if there is one.
        suggestion: String,
    },
    #[error("there is no reference table {table:?}{suggestion} `cprflow codes` lists them")]
    UnknownCodeTable {
        table: String,
        /// The end of the sentence, with a similar name if there is one.
        suggestion: String,
    },
    #[error(
        "no reference table was named, and all of them can only be listed as a table or as JSON on standard output. Name \
         one: `cprflow codes` lists them"
    )]
    CodesNeedTable,
    #[error(
        "no table was named. Use --table TABLE (`cprflow tables` lists them), --all --format parquet -o DIR, or \
         --format summary"
    )]
    NoTable,
    #[error("--all writes Parquet files only. Add --format parquet -o DIR, or use --table TABLE")]
    AllNeedsParquet,
    #[error(
        "{} exists and was not changed. Name another file, or replace it with --force",
        path.display()
    )]
    OutputExists { path: PathBuf },
    #[error(
        "the extension of the output file does not tell a format. Use .csv, .jsonl, .arrow, .parquet or .txt, or name \
         the format with --format"
    )]
    UnknownExtension,
    #[error("--vertical is for rows as text. Leave it out, or use --format table")]
    VerticalNeedsText,
    #[error("--all needs an output directory. Add -o DIR")]
    AllNeedsDirectory,
    #[error("--tenant reads one extract, and several were named. Run the command once for each")]
    TenantNeedsOneExtract,
    #[error(
        "--previous is about one extract, and several were named. Run the command once for each"
    )]
    PreviousNeedsOneExtract,
    #[error(
        "--tenant needs the configuration that has the tenant, and there is no cprflow.toml in this directory. Add \
         --config FILE"
    )]
    TenantNeedsConfiguration,
    #[error(
        "this format is binary and is not written to a terminal. Name a file with -o FILE, or use a pipe"
    )]
    BinaryToTerminal,

    // Subcommands that work on agreements
    #[error(
        "no configuration was named, and there is no cprflow.toml in this directory. Use --config FILE (`cprflow init` \
         writes one)"
    )]
    NoConfiguration,
    #[error(
        "no inbox and no dataset were named, and there is no cprflow.toml in this directory. Use --inbox and --dataset, or --config FILE (`cprflow init` writes one)"
    )]
    NoSource,
    #[error("--inbox: {0}")]
    Inbox(#[source] InboxError),
    #[error("an SFTP inbox needs a private key. Add --identity FILE, or use a configuration")]
    NoIdentity,
    #[error("--host-key: {0}")]
    HostKey(#[source] FingerprintError),
    #[error("--agreement: the configuration has no agreement with this name. It has: {known}")]
    UnknownAgreement { known: String },
    #[error(
        "a subscription belongs to one agreement, and the configuration has several. Name one with --agreement NAME: \
         {known}"
    )]
    SeveralAgreements { known: String },
    #[error("the configuration has no agreement. Add a section [agreement.NAME]")]
    NoAgreement,

    // init
    #[error("{path} exists and was not changed. Name another file", path = path.display())]
    FileExists { path: PathBuf },

    // set-aside
    #[error(
        "--reason contains something that can be a person number, and the ledger must not contain any. Write the \
         reason without it"
    )]
    PersonNumberInReason,

    // views
    #[error(
        "the path of the current directory is not valid UTF-8, so it cannot be written in SQL. Name the dataset by an \
         absolute path"
    )]
    DirectoryIsNotUtf8,

    // subscription
    #[error("unknown kind of filter. The kinds are: {known}")]
    UnknownFilterKind { known: String },
    #[error("{kind} needs a value. See `cprflow subscription --help`")]
    NoFilterValue { kind: &'static str },
    #[error("no-filter does not take a value")]
    NoFilterTakesNoValue,
    #[error("{reason}")]
    FilterValue { reason: String },
    #[error(
        "a person number must not be on the command line, because other users and the shell's history can see it. Name \
         a file with one number per line, or - for standard input"
    )]
    FilterIsPersonNumber,
    #[error("pnr takes one file with one person number per line, or - for standard input")]
    SeveralPnrFiles,
    #[error(
        "the file name contains something that can be a person number. Person numbers must not be on the command line \
         or in a file name. Put them into a file, one per line, or use - for standard input"
    )]
    PersonNumberInFileName,
    #[error(
        "only filters of the kinds pnr and municipality order an initial load, so no other kind can be reordered"
    )]
    NotReorderable,
    #[error(
        "cannot ask for confirmation, because standard input is not a terminal or has the person numbers. Add --yes to \
         continue without a question. Nothing was changed"
    )]
    CannotAsk,
}
