//! What can end a scan.

use std::fmt;

/// Where in the input an error stands. It never says what stands there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The record, 1-based; blank lines do not count.
    pub line: u64,
    /// Offset of the record's first byte in the input.
    pub offset: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "record {} (byte {})", self.line, self.offset)
    }
}

/// An error that ends a scan, by whose move it is. No variant holds a value of a person's record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The caller asked for something that does not exist or does not fit.
    #[error("{0}")]
    InvalidRequest(String),

    /// The caller called in an order that makes no sense.
    #[error("{0}")]
    Misuse(&'static str),

    /// A record longer than any record can be.
    #[error(
        "{0} is longer than 64 KiB, and no record is: this is not a CPR extract, or its line ends are lost. \
         Compare the file with the one on the server"
    )]
    RecordTooLong(Position),

    /// Another product of CPR's that merely begins like an extract.
    #[error("{position}: {product}; cprflow reads extracts of persons (U12180-P) only")]
    LookAlike {
        /// Where it shows.
        position: Position,
        /// What the file is, as a clause.
        product: &'static str,
    },

    /// In a file without line ends, the next record cannot be found.
    #[error(
        "{0} does not begin with a known record type, and in a file without line ends a record's type tells \
         where the next begins: nothing after it can be read. Ask for the extract with line ends, or for the \
         layout of the new record type"
    )]
    LostTrack(Position),

    /// Never to be seen: the parser contradicts itself.
    #[error(
        "the parser contradicts itself: please report this, with the output of `cprflow verify`"
    )]
    Internal,
}

impl Error {
    /// Where it happened, for errors in the data.
    pub fn position(&self) -> Option<Position> {
        match self {
            Self::InvalidRequest(_) | Self::Misuse(_) | Self::Internal => None,
            Self::RecordTooLong(position)
            | Self::LostTrack(position)
            | Self::LookAlike { position, .. } => Some(*position),
        }
    }
}
