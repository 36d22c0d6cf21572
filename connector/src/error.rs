//! The errors that end a scan.

use std::fmt;

use crate::input::OtherFormat;

/// The position of an error in the input. It does not include the data at that position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The number of the record, 1-based; blank lines are not counted.
    pub line: u64,
    /// The offset of the record's first byte in the input.
    pub offset: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "record {} (byte {})", self.line, self.offset)
    }
}

/// An error that ends a scan. It never contains a value of a person's record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The caller asked for something that does not exist or is not allowed.
    #[error("{0}")]
    InvalidRequest(String),

    /// The caller called the functions in a wrong order.
    #[error("{0}")]
    Misuse(&'static str),

    /// A record is longer than any record can be (64 KiB).
    #[error(
        "{0} is longer than 64 KiB, the limit for a record: this is not a CPR extract, or its line ends are lost. \
         Compare the file with the one on the server"
    )]
    RecordTooLong(Position),

    /// The input is another product of CPR that begins like an extract.
    #[error(
        "{position}: {product}; cprflow reads extracts of persons (U12180-P) only. Check which product this file is"
    )]
    LookAlike {
        /// The position where the product was recognised.
        position: Position,
        /// A clause that says what the file is.
        product: &'static str,
    },

    /// The input is a file of another kind, or has the line ends of another system.
    #[error("{position}: {format}")]
    OtherFormat {
        /// The beginning of the input.
        position: Position,
        /// What the input is. Its text says what to do.
        format: OtherFormat,
    },

    /// In a file without line ends, the next record cannot be found.
    #[error(
        "{0} does not begin with a known record type, and in a file without line ends a record's type tells \
         where the next begins: nothing after it can be read. Ask for the extract with line ends, or for the \
         layout of the new record type"
    )]
    LostTrack(Position),

    /// A copy of an extract cannot tell the records of two persons apart.
    #[error("{position}: {why}")]
    NotSeparable {
        /// The position of the record.
        position: Position,
        /// Why not, and what to do. A clause.
        why: &'static str,
    },

    /// The parser contradicts itself.
    #[error(
        "internal error: the parser contradicts itself. This is a bug: report it with the output of `cprflow verify`"
    )]
    Internal,
}

impl Error {
    /// Returns the position of the error, for errors in the data.
    pub fn position(&self) -> Option<Position> {
        match self {
            Self::InvalidRequest(_) | Self::Misuse(_) | Self::Internal => None,
            Self::RecordTooLong(position)
            | Self::LostTrack(position)
            | Self::LookAlike { position, .. }
            | Self::OtherFormat { position, .. }
            | Self::NotSeparable { position, .. } => Some(*position),
        }
    }
}
