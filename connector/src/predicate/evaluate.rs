//! Evaluates a condition on a row.

use std::cmp::Ordering;

use super::parse::Operator;
use super::text_value::TextValue;
use crate::columns::schema::ColumnId;
use crate::layout::{Column, Kind};
use crate::value::{self, Cell};

/// A row as a predicate sees it.
pub(crate) trait Row {
    /// Returns the value of a column.
    fn cell(&self, column: ColumnId) -> RowCell<'_>;
}

/// A value of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowCell<'a> {
    Null,
    /// Text in ISO-8859-1, without trailing spaces.
    Text(&'a [u8]),
    /// Text of a batch.
    #[cfg(feature = "native")]
    Unicode(&'a str),
    /// A number, days or microseconds.
    Number(i64),
    Flag(bool),
}

impl<'a> RowCell<'a> {
    /// Returns the value that the column of a field holds.
    pub(crate) fn of_field(column: &Column, raw: &'a [u8]) -> Self {
        let blank = column.blank;
        match column.kind {
            Kind::Pnr if value::is_blank_pnr(raw) => Self::Null,
            Kind::Code | Kind::Mark | Kind::Text | Kind::Uuid | Kind::Pnr => Self::text(raw),
            Kind::Date => Self::number(value::date(raw, blank)),
            Kind::Date8 => Self::number(value::date8(raw, blank)),
            Kind::Timestamp => Self::number(value::timestamp(raw, blank)),
            Kind::Count => Self::number(value::count(raw, blank)),
            Kind::Flag => match value::flag(raw) {
                Cell::Value(flag) => Self::Flag(flag),
                Cell::Null | Cell::Irregular(_) => Self::Null,
            },
        }
    }

    /// Returns the text without its trailing spaces; null if nothing is left.
    pub(crate) fn text(raw: &'a [u8]) -> Self {
        match raw.get(..value::trimmed_len(raw)) {
            Some([]) | None => Self::Null,
            Some(text) => Self::Text(text),
        }
    }

    fn number<T: Into<i64>>(cell: Cell<T>) -> Self {
        match cell {
            Cell::Value(number) | Cell::Irregular(Some(number)) => Self::Number(number.into()),
            Cell::Null | Cell::Irregular(None) => Self::Null,
        }
    }
}

/// A condition on the columns of a table.
#[derive(Clone)]
pub(super) enum Condition {
    Or(Vec<Condition>),
    And(Vec<Condition>),
    Not(Box<Condition>),
    IsNull(ColumnId),
    Text(ColumnId, ValueTest<TextValue>),
    Number(ColumnId, ValueTest<i64>),
    Flag(ColumnId, ValueTest<bool>),
}

/// A test of a value of one type.
#[derive(Clone)]
pub(super) enum ValueTest<T> {
    Compare(Operator, T),
    /// The value is one of these, which are sorted.
    In(Vec<T>),
    Between(T, T),
}

impl Condition {
    /// Adds the columns that the condition names.
    pub(super) fn add_columns(&self, columns: &mut Vec<ColumnId>) {
        match self {
            Self::Or(all) | Self::And(all) => all.iter().for_each(|one| one.add_columns(columns)),
            Self::Not(one) => one.add_columns(columns),
            Self::IsNull(column)
            | Self::Text(column, _)
            | Self::Number(column, _)
            | Self::Flag(column, _) => columns.push(*column),
        }
    }

    /// Adds the texts with which the condition compares the column of that name.
    pub(super) fn add_texts<'a>(&'a self, name: &str, texts: &mut Vec<&'a str>) {
        match self {
            Self::Or(all) | Self::And(all) => {
                all.iter().for_each(|one| one.add_texts(name, texts));
            }
            Self::Not(one) => one.add_texts(name, texts),
            Self::Text(column, test) if column.name() == name => match test {
                ValueTest::Compare(_, text) => texts.push(text.as_str()),
                ValueTest::In(list) => texts.extend(list.iter().map(TextValue::as_str)),
                ValueTest::Between(low, high) => texts.extend([low.as_str(), high.as_str()]),
            },
            Self::IsNull(_) | Self::Text(..) | Self::Number(..) | Self::Flag(..) => {}
        }
    }

    /// Evaluates the condition; `None` means neither true nor false.
    pub(super) fn evaluate(&self, row: &impl Row) -> Option<bool> {
        match self {
            Self::Or(all) => any(all.iter().map(|one| one.evaluate(row)), true),
            Self::And(all) => any(all.iter().map(|one| one.evaluate(row)), false),
            Self::Not(one) => one.evaluate(row).map(|holds| !holds),
            Self::IsNull(column) => Some(row.cell(*column) == RowCell::Null),
            Self::Text(column, test) => match row.cell(*column) {
                RowCell::Text(text) => Some(test.evaluate(|other| other.compare_latin1(text))),
                #[cfg(feature = "native")]
                RowCell::Unicode(text) => Some(test.evaluate(|other| text.cmp(other.as_str()))),
                _ => None,
            },
            Self::Number(column, test) => match row.cell(*column) {
                RowCell::Number(number) => Some(test.evaluate(|other| number.cmp(other))),
                _ => None,
            },
            Self::Flag(column, test) => match row.cell(*column) {
                RowCell::Flag(flag) => Some(test.evaluate(|other| flag.cmp(other))),
                _ => None,
            },
        }
    }
}

/// Returns `decisive` if one of the values is that; otherwise `None` if one of them is `None`.
fn any(all: impl Iterator<Item = Option<bool>>, decisive: bool) -> Option<bool> {
    let mut outcome = Some(!decisive);
    for one in all {
        if one == Some(decisive) {
            return one;
        }
        if one.is_none() {
            outcome = None;
        }
    }
    outcome
}

impl<T> ValueTest<T> {
    /// Returns whether a value passes. `compare` tells how it compares with another value.
    fn evaluate(&self, compare: impl Fn(&T) -> Ordering) -> bool {
        match self {
            Self::Compare(operator, other) => {
                let order = compare(other);
                match operator {
                    Operator::Equal => order.is_eq(),
                    Operator::NotEqual => order.is_ne(),
                    Operator::Less => order.is_lt(),
                    Operator::LessOrEqual => order.is_le(),
                    Operator::Greater => order.is_gt(),
                    Operator::GreaterOrEqual => order.is_ge(),
                }
            }
            Self::In(list) => list
                .binary_search_by(|other| compare(other).reverse())
                .is_ok(),
            Self::Between(low, high) => compare(low).is_ge() && compare(high).is_le(),
        }
    }
}
