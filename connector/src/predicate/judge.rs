//! Whether a row meets a condition.

use std::cmp::Ordering;

use super::parse::Operator;
use crate::layout::{Column, Kind};
use crate::schema::ColumnId;
use crate::value::{self, Cell};

/// A row as a predicate sees it.
pub(crate) trait Row {
    /// What stands in a column.
    fn cell(&self, column: ColumnId) -> RowCell<'_>;
}

/// A value of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowCell<'a> {
    Null,
    /// In ISO-8859-1, without trailing spaces.
    Text(&'a [u8]),
    /// A number, days or microseconds.
    Number(i64),
    Flag(bool),
}

impl<'a> RowCell<'a> {
    /// What the column of a field holds.
    pub(crate) fn of_field(column: &Column, raw: &'a [u8]) -> Self {
        let blank = column.blank;
        match column.kind {
            Kind::Pnr if value::is_nobody(raw) => Self::Null,
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

    /// Text without the spaces that fill it up; null if it is nothing else.
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

/// A condition on columns of a table.
#[derive(Clone)]
pub(super) enum Condition {
    Or(Vec<Condition>),
    And(Vec<Condition>),
    Not(Box<Condition>),
    IsNull(ColumnId),
    Text(ColumnId, Test<String>),
    Number(ColumnId, Test<i64>),
    Flag(ColumnId, Test<bool>),
}

/// What a value is compared with.
#[derive(Clone)]
pub(super) enum Test<T> {
    Compare(Operator, T),
    /// Sorted.
    In(Vec<T>),
    Between(T, T),
}

impl Condition {
    /// True, false, or neither.
    pub(super) fn judge(&self, row: &impl Row) -> Option<bool> {
        match self {
            Self::Or(all) => any(all.iter().map(|one| one.judge(row)), true),
            Self::And(all) => any(all.iter().map(|one| one.judge(row)), false),
            Self::Not(one) => one.judge(row).map(|holds| !holds),
            Self::IsNull(column) => Some(row.cell(*column) == RowCell::Null),
            Self::Text(column, test) => match row.cell(*column) {
                // Bytes of ISO-8859-1 are code points.
                RowCell::Text(text) => Some(test.judge(|other| {
                    let text = text.iter().copied().map(char::from);
                    text.cmp(other.chars())
                })),
                _ => None,
            },
            Self::Number(column, test) => match row.cell(*column) {
                RowCell::Number(number) => Some(test.judge(|other| number.cmp(other))),
                _ => None,
            },
            Self::Flag(column, test) => match row.cell(*column) {
                RowCell::Flag(flag) => Some(test.judge(|other| flag.cmp(other))),
                _ => None,
            },
        }
    }
}

/// `decisive` if one of them is that, and if none is, neither wherever one is neither.
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

impl<T> Test<T> {
    /// Whether a value passes, given how it compares with others.
    fn judge(&self, compare: impl Fn(&T) -> Ordering) -> bool {
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
