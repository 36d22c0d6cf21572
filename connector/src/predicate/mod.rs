//! Predicates on the columns of a table, which select rows.
//!
//! `parse` turns the text into an [`Expression`](parse::Expression). `bind` checks it against a table's columns and
//! makes a [`Predicate`]. `byte_range` sorts most records out by their bytes, and `evaluate` applies it to the others. The
//! logic has SQL's three values: a comparison with null is neither true nor false.

mod bind;
mod byte_range;
mod evaluate;
mod parse;
mod text_value;

use std::fmt;

use crate::columns::schema::ColumnId;

pub(crate) use bind::Comparable;
pub(crate) use evaluate::{Row, RowCell};

use byte_range::ByteRange;
use evaluate::Condition;

/// A condition on the columns of one table.
#[derive(Clone)]
pub(crate) struct Predicate {
    condition: Condition,
    /// Every record that meets the condition has its bytes in these ranges.
    ranges: Vec<ByteRange>,
    /// The offset after the last field that the condition names.
    end: usize,
}

impl Predicate {
    /// Parses a predicate on these columns.
    pub(crate) fn new(text: &str, columns: &[Comparable]) -> Result<Self, PredicateError> {
        let expression = parse::expression(text).map_err(|error| error.locate(text, columns))?;
        let condition = bind::condition(&expression, text, columns)?;
        let mut named = Vec::new();
        condition.add_columns(&mut named);
        let ends = named.iter().map(|column| match column {
            ColumnId::Field(field) => field.end(),
            _ => 0,
        });
        Ok(Self {
            end: ends.max().unwrap_or_default(),
            ranges: ByteRange::all(&condition),
            condition,
        })
    }

    /// Returns the offset after the last field that the predicate names: a record of that length has all of them.
    pub(crate) fn end(&self) -> usize {
        self.end
    }

    /// Returns the columns that the predicate names, perhaps several times.
    pub(crate) fn columns(&self) -> Vec<ColumnId> {
        let mut columns = Vec::new();
        self.condition.add_columns(&mut columns);
        columns
    }

    /// Returns the texts with which the predicate compares the column of that name.
    pub(crate) fn texts_of(&self, column: &str) -> Vec<&str> {
        let mut texts = Vec::new();
        self.condition.add_texts(column, &mut texts);
        texts
    }

    /// Returns whether [`may_be_met`](Self::may_be_met) can return `false`.
    pub(crate) fn has_ranges(&self) -> bool {
        !self.ranges.is_empty()
    }

    /// Returns whether a record of the table, of which nothing is hidden, can meet the condition. `false` is certain.
    #[inline]
    pub(crate) fn may_be_met(&self, record: &[u8]) -> bool {
        self.ranges.iter().all(|range| range.has(record))
    }

    /// Returns whether the row meets the condition. A result that is neither true nor false counts as not met.
    pub(crate) fn is_met(&self, row: &impl Row) -> bool {
        self.condition.evaluate(row) == Some(true)
    }
}

impl fmt::Debug for Predicate {
    /// Hides the values, which can be person numbers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Predicate(…)")
    }
}

/// An error in a predicate with its position. It never contains a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at character {at}: {what}")]
pub(crate) struct PredicateError {
    /// The position of the error in characters, 1-based.
    at: usize,
    what: String,
}

impl PredicateError {
    /// Creates an error at an offset of the text, in bytes.
    fn new(text: &str, index: usize, what: String) -> Self {
        let before = text.get(..index).unwrap_or(text);
        Self {
            at: before.chars().count() + 1,
            what,
        }
    }
}

#[cfg(test)]
mod tests;
