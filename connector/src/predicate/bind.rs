//! A predicate held against a table's columns: names found, values made of the columns' types.

use arrow::datatypes::DataType;

use super::PredicateError;
use super::judge::{Condition, Test};
use super::parse::{self, Expression, Literal, Name, Operator, Value};
use crate::grammar;
use crate::layout::Kind;
use crate::schema::ColumnId;
use crate::value::DAY_MICROS;

/// A column that a predicate can name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Comparable {
    column: ColumnId,
    /// Whoever asks sees another value than the one that stands here.
    is_replaced: bool,
}

impl Comparable {
    /// These columns, as they stand.
    pub(crate) fn all(columns: &[ColumnId]) -> Vec<Self> {
        let comparable = |column: &ColumnId| Self {
            column: *column,
            is_replaced: false,
        };
        columns.iter().map(comparable).collect()
    }

    /// These columns, of which those with person numbers will be replaced by pseudonyms.
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

    /// The columns for an error.
    pub(super) fn list(columns: &[Self]) -> String {
        let names = columns.iter().map(|c| c.column);
        let names = names.filter(|column| *column != ColumnId::Irregular);
        let names: Vec<_> = names.map(|column| column.name()).collect();
        format!("the columns are {}", names.join(", "))
    }
}

/// The condition that an expression is of these columns.
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
        Expression::Test(name, test) => {
            let error = |(at, what)| PredicateError::new(text, at, what);
            let column = find(name, columns).map_err(error)?;
            bound(column, name, test).map_err(error)?
        }
    })
}

/// Where something is wrong, in bytes, and what.
type Wrong = (usize, String);

fn find(name: &Name, columns: &[Comparable]) -> Result<Comparable, Wrong> {
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
        let what = "irregular holds raw texts of several columns and cannot be compared";
        return Err((name.at, what.to_owned()));
    }
    Ok(found)
}

fn bound(found: Comparable, name: &Name, test: &parse::Test) -> Result<Condition, Wrong> {
    let column = found.column;
    if *test == parse::Test::IsNull {
        return Ok(Condition::IsNull(column));
    }
    if found.is_replaced {
        let what = format!(
            "{:?} shows pseudonyms, which are made later: only is null and is not null can be asked of it",
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

/// The test with values of the column's type.
fn typed<T: Ord>(
    test: &parse::Test,
    value: &dyn Fn(&Literal) -> Result<T, Wrong>,
    has_order: bool,
) -> Result<Test<T>, Wrong> {
    let unordered = |literal: &Literal| {
        let what = "true and false have no order: ask with = or !=".to_owned();
        Err((literal.at, what))
    };
    Ok(match test {
        parse::Test::Compare(operator, literal) => {
            let is_equality = matches!(operator, Operator::Equal | Operator::NotEqual);
            if !is_equality && !has_order {
                return unordered(literal);
            }
            Test::Compare(*operator, value(literal)?)
        }
        parse::Test::Between(low, high) => {
            if !has_order {
                return unordered(low);
            }
            Test::Between(value(low)?, value(high)?)
        }
        parse::Test::In(list) => {
            let mut values = list.iter().map(value).collect::<Result<Vec<_>, _>>()?;
            values.sort_unstable();
            Test::In(values)
        }
        // It was asked before of a column of any type.
        parse::Test::IsNull => Test::In(Vec::new()),
    })
}

fn string(name: &Name, literal: &Literal) -> Result<String, Wrong> {
    match &literal.value {
        Value::Text(text) => Ok(text.clone()),
        _ => wrong(
            name,
            literal,
            "text: write it in single quotes, leading zeros included",
        ),
    }
}

fn integer(name: &Name, literal: &Literal) -> Result<i64, Wrong> {
    match literal.value {
        Value::Integer(number) => Ok(number),
        _ => wrong(name, literal, "a whole number: write it without quotes"),
    }
}

fn flag(name: &Name, literal: &Literal) -> Result<bool, Wrong> {
    match literal.value {
        Value::Boolean(value) => Ok(value),
        _ => wrong(name, literal, "true or false: write it without quotes"),
    }
}

fn date(name: &Name, literal: &Literal) -> Result<i64, Wrong> {
    let date = match &literal.value {
        Value::Text(text) => grammar::date(text.as_bytes()),
        _ => None,
    };
    match date {
        Some(days) => Ok(days.into()),
        None => wrong(name, literal, "a date: write it as 'YYYY-MM-DD'"),
    }
}

fn timestamp(name: &Name, literal: &Literal) -> Result<i64, Wrong> {
    let time = match &literal.value {
        Value::Text(text) => grammar::timestamp(text.as_bytes()),
        _ => None,
    };
    match time {
        Some((days, seconds)) => Ok(i64::from(days) * DAY_MICROS + seconds * 1_000_000),
        None => wrong(
            name,
            literal,
            "a date with a time: write it as 'YYYY-MM-DD HH:MM' or 'YYYY-MM-DD'",
        ),
    }
}

fn wrong<T>(name: &Name, literal: &Literal, what: &str) -> Result<T, Wrong> {
    Err((literal.at, format!("{:?} is {what}", name.name)))
}
