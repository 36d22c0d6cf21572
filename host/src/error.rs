//! What can go wrong, by whose move it is. No error holds a value of a person's record.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Any error of cprflow's.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The input could not be read.
    #[error("cannot read the input: {0}")]
    Input(#[source] io::Error),

    /// The input is no extract, or not one that can be read to its end.
    #[error(transparent)]
    Data(#[from] DataError),

    /// The caller asked for something that does not exist or does not fit.
    #[error("{0}")]
    Request(String),

    /// The component cannot be used, or did what it must not.
    #[error(transparent)]
    Component(#[from] ComponentError),

    /// A file could not be written or read.
    #[error("{path}: {error}", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },

    /// A Parquet file could not be written or read.
    #[error("{path}: {error}", path = path.display())]
    Parquet {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        error: parquet::errors::ParquetError,
    },

    /// Rows could not be written in the format asked for.
    #[error("cannot write the rows: {0}")]
    Output(#[source] arrow::error::ArrowError),

    /// The tables in a directory are not those of an extract.
    #[error("{path}: {what}", path = path.display())]
    Tables {
        /// Which file or directory.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        what: String,
    },
}

impl Error {
    /// An error about a file.
    pub fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        |error| Self::File { path, error }
    }

    /// An error about a Parquet file.
    pub fn parquet(path: impl Into<PathBuf>) -> impl FnOnce(parquet::errors::ParquetError) -> Self {
        let path = path.into();
        |error| Self::Parquet { path, error }
    }
}

/// Why an input cannot be read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DataErrorKind {
    /// A record is longer than any record can be (64 KiB).
    RecordTooLong,
    /// The bytes are another product of CPR's.
    LookAlike,
    /// In a file without line ends the next record cannot be found.
    LostTrack,
}

/// The input is no extract, or not one that can be read to its end.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct DataError {
    /// Why.
    pub kind: DataErrorKind,
    /// The record at which it happened, 1-based.
    pub line: Option<u64>,
    /// Offset of that record in the input, in bytes.
    pub offset: Option<u64>,
    /// A sentence for people.
    pub message: String,
}

/// The component cannot be used, or did what it must not.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ComponentError {
    /// It is no component, or one of another contract.
    #[error("this is no component that cprflow can run: {0}")]
    Invalid(String),

    /// It asks for a power that no connector gets.
    #[error(
        "the component is refused: it imports {import}, and a connector gets nothing but what Rust's \
         standard library drags in, and that answered by nothing"
    )]
    Refused {
        /// The name of the import.
        import: String,
    },

    /// It wanted more memory than a scan may have.
    #[error("the component was stopped: it wanted more than {limit} bytes of memory")]
    Memory {
        /// The limit.
        limit: usize,
    },

    /// A call did not end in time.
    #[error("the component was stopped: a call took longer than {limit:?}")]
    Deadline {
        /// The limit.
        limit: Duration,
    },

    /// It trapped.
    #[error("the component trapped: {0}")]
    Trapped(String),

    /// What it returned is not what the contract says.
    #[error("the component does not keep the contract: {0}")]
    Misbehaved(String),
}
