//! Predicates over the columns of a table: which rows are wanted.
//!
//! Text becomes an [`Expression`](parse::Expression) (`parse`), and that, held against a table's columns, a
//! [`Predicate`] (`bind`) that judges records (`judge`). Logic is SQL's, of three values: a comparison with null is
//! neither true nor false.

mod bind;
mod judge;
mod parse;

use std::fmt;

pub(crate) use bind::Comparable;
pub(crate) use judge::{Row, RowCell};

use judge::Condition;

/// A condition on the columns of one table.
#[derive(Clone)]
pub(crate) struct Predicate(Condition);

impl Predicate {
    /// Reads a predicate over these columns.
    pub(crate) fn new(text: &str, columns: &[Comparable]) -> Result<Self, PredicateError> {
        let expression = parse::expression(text).map_err(|error| error.locate(text, columns))?;
        bind::condition(&expression, text, columns).map(Self)
    }

    /// Whether the row is wanted: a condition that is neither true nor false is not met.
    pub(crate) fn is_met(&self, row: &impl Row) -> bool {
        self.0.judge(row) == Some(true)
    }
}

impl fmt::Debug for Predicate {
    /// Says nothing of its values, which can be person numbers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Predicate(…)")
    }
}

/// What is wrong with a predicate, and where. It never repeats a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at character {at}: {what}")]
pub(crate) struct PredicateError {
    /// The character, 1-based.
    at: usize,
    what: String,
}

impl PredicateError {
    /// An error at a place of the text, given in bytes.
    fn new(text: &str, place: usize, what: String) -> Self {
        let before = text.get(..place).unwrap_or(text);
        Self {
            at: before.chars().count() + 1,
            what,
        }
    }
}

#[cfg(test)]
mod tests;
