//! What a scan reads: one extract, or the extracts of a state.

use std::fmt;
use std::io::{self, ErrorKind, Read};

use crate::error::Error;

/// An extract of a state: its place in the order.
///
/// The order is by date and then by sequence number. Each extract of a state has a place of its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExtractPlace {
    /// The date that places the extract in the order, `YYYY-MM-DD`: usually its production date. Rows have it as `as_of`.
    pub production_date: String,
    /// The place among extracts of one date. A larger number is newer.
    pub sequence: u64,
    /// The name of the agreement that delivered the extract.
    pub agreement: String,
}

impl fmt::Display for ExtractPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            production_date,
            sequence,
            agreement,
        } = self;
        write!(
            f,
            "{production_date}, number {sequence}, agreement {agreement}"
        )
    }
}

impl ExtractPlace {
    /// Adds the extract to an error in its data.
    pub(super) fn name(&self, error: Error) -> Error {
        match error {
            Error::Data(_) | Error::Input(_) => Error::InExtract {
                place: self.to_string(),
                error: Box::new(error),
            },
            other => other,
        }
    }
}

/// The function that opens an extract of a state.
pub(super) type Open<'a, R> = dyn FnMut(&ExtractPlace) -> io::Result<R> + Send + 'a;

/// The input of a scan.
pub(super) enum Input<R> {
    Extract(R),
    State(Box<StateInput<R>>),
}

/// The extracts of a state, newest first.
pub(super) struct StateInput<R> {
    places: Vec<ExtractPlace>,
    /// The number of extracts that were opened.
    opened: usize,
    open: Box<Open<'static, R>>,
    /// The extract that is read.
    current: Option<R>,
}

/// What comes next in an input.
pub(super) enum InputStep {
    /// The next extract of a state begins.
    Begin(ExtractPlace),
    /// The buffer has that many bytes.
    Block(usize),
    /// The extract of a state ends.
    EndExtract,
    /// The input ends.
    End,
}

impl<R: Read> Input<R> {
    /// Creates the input of a state.
    pub(super) fn of_state(places: Vec<ExtractPlace>, open: Box<Open<'static, R>>) -> Self {
        Self::State(Box::new(StateInput {
            places,
            opened: 0,
            open,
            current: None,
        }))
    }

    /// Begins again at the first extract of a state.
    pub(super) fn rewind(&mut self) {
        if let Self::State(state) = self {
            state.opened = 0;
            state.current = None;
        }
    }

    /// Returns what comes next. A block is read into `buffer`.
    pub(super) fn next(&mut self, buffer: &mut [u8]) -> Result<InputStep, Error> {
        match self {
            Self::Extract(input) => Ok(match read_block(input, buffer)? {
                0 => InputStep::End,
                count => InputStep::Block(count),
            }),
            Self::State(state) => state.next(buffer),
        }
    }

    /// Adds the extract of a state that is read to an error in its data.
    pub(super) fn name(&self, error: Error) -> Error {
        match self {
            Self::State(state) => match state.opened.checked_sub(1) {
                Some(index) => match state.places.get(index) {
                    Some(place) => place.name(error),
                    None => error,
                },
                None => error,
            },
            Self::Extract(_) => error,
        }
    }
}

impl<R: Read> StateInput<R> {
    fn next(&mut self, buffer: &mut [u8]) -> Result<InputStep, Error> {
        if let Some(current) = &mut self.current {
            return Ok(match read_block(current, buffer)? {
                0 => {
                    self.current = None;
                    InputStep::EndExtract
                }
                count => InputStep::Block(count),
            });
        }
        let Some(place) = self.places.get(self.opened) else {
            return Ok(InputStep::End);
        };
        self.opened += 1;
        self.current = Some((self.open)(place).map_err(Error::Input)?);
        Ok(InputStep::Begin(place.clone()))
    }
}

/// Reads the next block into a buffer and returns its length, which is 0 at the end of the input.
pub(crate) fn read_block(input: &mut impl Read, buffer: &mut [u8]) -> Result<usize, Error> {
    loop {
        match input.read(buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            read => return read.map_err(Error::Input),
        }
    }
}
