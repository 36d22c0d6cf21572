//! Binds a predicate to a table: resolves column names and converts the values to the columns' types.

use arrow_schema::DataType;

use super::PredicateError;
use super::evaluate::{Condition, ValueTest};
use super::parse::{self, ColumnName, Expression, Literal, Operator, Value};
use super::text_value::TextValue;
use crate::columns::schema::ColumnId;
use crate::grammar;
use crate::layout::Kind;
use crate::value::DAY_MICROS;

/// A column that a predicate can name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Comparable {
    column: ColumnId,
    /// Whether the reader gets a pseudonym instead of the value that the predicate sees.
    is_replaced: bool,
}

impl Comparable {
    /// Makes all columns comparable.
    pub(crate) fn all(columns: &[ColumnId]) -> Vec<Self> {
        let comparable = |column: &ColumnId| Self {
            column: *column,
            is_replaced: false,
        };
        columns.iter().map(comparable).collect()
    }

    /// Makes all columns comparable, except those with person numbers that become pseudonyms.
    pub(crate) fn pseudonymous(columns: &[ColumnId]) -> Vec<Self> {
        let comparable = |column: &ColumnId| Self {
            column: *column,
            is_replaced: match column {
                ColumnId::Field(field) => field.kind == Kind::Pnr,
                column => *column == ColumnId::Number,
            },
        };
        columns.iter().map(comparable).collect()
    }

    /// Returns a list of the columns for an error message.
    pub(super) fn list(columns: &[Self]) -> String {
        let names = columns.iter().map(|c| c.column);
        let names = names.filter(|column| *column != ColumnId::Irregular);
        let names: Vec<_> = names.map(|column| column.name()).collect();
        format!("the columns are {}", names.join(", "))
    }
}

/// Binds an expression to the columns.
pub(super) fn condition(
    expression: &Expression,
    text: &str,
    columns: &[Comparable],
) -> Result<Condition, PredicateError> {
    let inner = |expression: &Expression| condition(expression, text, columns);
    Ok(match expression {
        Expression::Or(all) => Condition::Or(all.iter().map(inner).collect::<Result<_, _>>()?),
        Expression::And(all) => Condition::And(all.iter().map(inner).collect::<Result<_, _>>()?),
        Expression::Not(one) => Condition::Not(Box::new(inner(one)?)),
        Expression::Comparison(name, test) => {
            let error = |(at, what)| PredicateError::new(text, at, what);
            let column = find(name, columns).map_err(error)?;
            bound(column, name, test).map_err(error)?
        }
    })
}

/// The offset of an error in bytes, and its description.
type BindError = (usize, String);

fn find(name: &ColumnName, columns: &[Comparable]) -> Result<Comparable, BindError> {
    let found = columns.iter().find(|c| c.column.name() == name.name);
    let found = *found.ok_or_else(|| {
        let what = format!(
            "there is no column {:?}; {}",
            name.name,
            Comparable::list(columns)
        );
        (name.at, what)
    })?;
    if found.column == ColumnId::Irregular {
        let what = "\"irregular\" holds raw texts of several columns and cannot be compared";
        return Err((name.at, what.to_owned()));
    }
    Ok(found)
}

fn bound(
    found: Comparable,
    name: &ColumnName,
    test: &parse::Comparison,
) -> Result<Condition, BindError> {
    let column = found.column;
    if *test == parse::Comparison::IsNull {
        return Ok(Condition::IsNull(column));
    }
    if found.is_replaced {
        let what = format!(
            "{:?} shows pseudonyms, which are made later: use only is null and is not null",
            name.name
        );
        return Err((name.at, what));
    }
    Ok(match column.data_type() {
        DataType::Boolean => Condition::Flag(column, typed(test, &|l| flag(name, l), false)?),
        DataType::Int64 => Condition::Number(column, typed(test, &|l| integer(name, l), true)?),
        DataType::Date32 => Condition::Number(column, typed(test, &|l| date(name, l), true)?),
        DataType::Timestamp(..) => {
            Condition::Number(column, typed(test, &|l| timestamp(name, l), true)?)
        }
        _ => Condition::Text(column, typed(test, &|l| string(name, l), true)?),
    })
}

/// Converts the values of a comparison to the column's type.
fn typed<T: Ord>(
    test: &parse::Comparison,
    value: &dyn Fn(&Literal) -> Result<T, BindError>,
    has_order: bool,
) -> Result<ValueTest<T>, BindError> {
    let unordered = |literal: &Literal| {
        let what = "true and false have no order: use = or !=".to_owned();
        Err((literal.at, what))
    };
    Ok(match test {
        parse::Comparison::Compare(operator, literal) => {
            let is_equality = matches!(operator, Operator::Equal | Operator::NotEqual);
            if !is_equality && !has_order {
                return unordered(literal);
            }
            ValueTest::Compare(*operator, value(literal)?)
        }
        parse::Comparison::Between(low, high) => {
            if !has_order {
                return unordered(low);
            }
            ValueTest::Between(value(low)?, value(high)?)
        }
        parse::Comparison::In(list) => {
            let mut values = list.iter().map(value).collect::<Result<Vec<_>, _>>()?;
            values.sort_unstable();
            ValueTest::In(values)
        }
        // `is null` was handled before, for columns of any type.
        parse::Comparison::IsNull => ValueTest::In(Vec::new()),
    })
}

fn string(name: &ColumnName, literal: &Literal) -> Result<TextValue, BindError> {
    match &literal.value {
        Value::Text(text) => Ok(TextValue::new(text.clone())),
        _ => wrong_type(
            name,
            literal,
            "text: write it in single quotes, leading zeros included",
        ),
    }
}

fn integer(name: &ColumnName, literal: &Literal) -> Result<i64, BindError> {
    match literal.value {
        Value::Integer(number) => Ok(number),
        _ => wrong_type(name, literal, "a whole number: write it without quotes"),
    }
}

fn flag(name: &ColumnName, literal: &Literal) -> Result<bool, BindError> {
    match literal.value {
        Value::Boolean(value) => Ok(value),
        _ => wrong_type(name, literal, "true or false: write it without quotes"),
    }
}

fn date(name: &ColumnName, literal: &Literal) -> Result<i64, BindError> {
    let date = match &literal.value {
        Value::Text(text) => grammar::date(text.as_bytes()),
        _ => None,
    };
    match date {
        Some(days) => Ok(days.into()),
        None => wrong_type(name, literal, "a date: write it as 'YYYY-MM-DD'"),
    }
}

fn timestamp(name: &ColumnName, literal: &Literal) -> Result<i64, BindError> {
    let time = match &literal.value {
        Value::Text(text) => grammar::timestamp(text.as_bytes()),
        _ => None,
    };
    match time {
        Some((days, seconds)) => Ok(i64::from(days) * DAY_MICROS + seconds * 1_000_000),
        None => wrong_type(
            name,
            literal,
            "a date with a time: write it as 'YYYY-MM-DD HH:MM' or 'YYYY-MM-DD'",
        ),
    }
}

fn wrong_type<T>(name: &ColumnName, literal: &Literal, what: &str) -> Result<T, BindError> {
    Err((literal.at, format!("{:?} is {what}", name.name)))
}
