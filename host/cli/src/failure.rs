//! How a command ends: outcomes, failures, and the exit code of each. All errors of the other crates are printed here.
//!
//! | exit code | meaning |
//! |---|---|
//! | 0 | [`Outcome::Success`]; also if the reader of standard output closed it (`cprflow … \| head`) |
//! | 1 | [`Outcome::NeedsAttention`], or the input is not an extract that can be read to its end |
//! | 2 | [`Outcome::PartlyFailed`], and every other failure |

use std::io;

use arrow::error::ArrowError;
use cprflow::Error as ExtractError;
use cprflow_delivery::Error;
use cprflow_delivery::subscription::SubscriptionError;
use parquet::errors::ParquetError;

use crate::output::message;
use crate::usage::UsageError;

/// How a command ended that could run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The command did its work. There may be notes.
    Success,
    /// The command did its work and found something that needs attention.
    NeedsAttention,
    /// The command did part of its work. The errors have been printed.
    PartlyFailed,
}

impl Outcome {
    const fn exit_code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::NeedsAttention => 1,
            Self::PartlyFailed => 2,
        }
    }
}

/// Why a command could not run, or could not run to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// An error of the crates below.
    #[error(transparent)]
    Delivery(#[from] Error),
    /// The command line is wrong.
    #[error(transparent)]
    Usage(#[from] UsageError),
    /// Standard output cannot be written.
    #[error("cannot write to standard output: {0}. Check the file or the program that it goes to")]
    Stdout(#[from] io::Error),
    /// Standard output cannot be written, and it was to show what would be changed.
    #[error(
        "cannot show on standard output what would be changed: {0}. Check the file or the program that it goes to. \
         Nothing was changed"
    )]
    StdoutBeforeChange(#[source] io::Error),
}

impl Failure {
    const fn exit_code(&self) -> u8 {
        match self {
            Self::Delivery(Error::Extract(ExtractError::Data(_))) => 1,
            _ => 2,
        }
    }

    /// Returns whether standard output was closed by its reader. That is not an error of the command.
    fn is_closed_pipe(&self) -> bool {
        let is_closed = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
        let extract = match self {
            Self::Stdout(error) | Self::Delivery(Error::File { error, .. }) => {
                return is_closed(error);
            }
            Self::Delivery(Error::Extract(error)) => error,
            _ => return false,
        };
        match extract {
            ExtractError::File { error, .. }
            | ExtractError::Output(ArrowError::IoError(_, error)) => is_closed(error),
            ExtractError::Parquet {
                error: ParquetError::External(error),
                ..
            } => error.downcast_ref().is_some_and(is_closed),
            // Arrow's CSV writer keeps only the text of the error.
            ExtractError::Output(ArrowError::CsvError(text)) => text.contains("Broken pipe"),
            _ => false,
        }
    }
}

impl From<cprflow::Error> for Failure {
    fn from(error: cprflow::Error) -> Self {
        Self::Delivery(error.into())
    }
}

impl From<cprflow_transport::TransportError> for Failure {
    fn from(error: cprflow_transport::TransportError) -> Self {
        Self::Delivery(error.into())
    }
}

impl From<SubscriptionError> for Failure {
    fn from(error: SubscriptionError) -> Self {
        Self::Delivery(error.into())
    }
}

/// Prints the failure, if the command failed, and returns the exit code.
pub(crate) fn end(ended: Result<Outcome, Failure>) -> u8 {
    match ended {
        Ok(outcome) => outcome.exit_code(),
        Err(failure) if failure.is_closed_pipe() => 0,
        Err(failure) => {
            message::error(&failure.to_string());
            failure.exit_code()
        }
    }
}
