//! Conditions on rows: written in the policy's syntax, and evaluated here by SQL's three-valued logic.

use std::cmp::Ordering;
use std::fmt;

use chrono::{DateTime, NaiveDate, TimeDelta};

use crate::reference_reader::{Row, Value};

/// A condition on a row.
#[derive(Debug, Clone)]
pub enum Predicate {
    /// Compares a column with a value: `=`, `!=`, `<>`, `<`, `<=`, `>` or `>=`.
    Compare(String, &'static str, Value),
    /// `in`, or `not in`.
    In(String, bool, Vec<Value>),
    /// `between`, both ends included.
    Between(String, Value, Value),
    /// `is null`, or `is not null`.
    IsNull(String, bool),
    /// Both conditions.
    And(Box<Predicate>, Box<Predicate>),
    /// At least one of the conditions.
    Or(Box<Predicate>, Box<Predicate>),
    /// The negation of a condition.
    Not(Box<Predicate>),
}

/// A column that a condition uses, with the values that it is compared with.
#[derive(Debug, Clone)]
pub struct Operand {
    /// The column.
    pub column: String,
    /// The values. There are none if the condition only asks whether the column is null.
    pub values: Vec<Value>,
}

impl Predicate {
    /// Returns every column that the condition uses, once for each use.
    pub fn operands(&self) -> Vec<Operand> {
        let of = |column: &String, values: Vec<Value>| {
            vec![Operand {
                column: column.clone(),
                values,
            }]
        };
        match self {
            Self::Compare(column, _, value) => of(column, vec![value.clone()]),
            Self::In(column, _, values) => of(column, values.clone()),
            Self::Between(column, least, most) => of(column, vec![least.clone(), most.clone()]),
            Self::IsNull(column, _) => of(column, Vec::new()),
            Self::And(one, other) | Self::Or(one, other) => {
                [one.operands(), other.operands()].concat()
            }
            Self::Not(inner) => inner.operands(),
        }
    }

    /// Returns whether the condition is true for the row. "Unknown" counts as not true.
    pub fn holds(&self, row: &Row) -> bool {
        self.evaluate(row) == Some(true)
    }

    fn evaluate(&self, row: &Row) -> Option<bool> {
        match self {
            Self::Compare(column, operator, value) => {
                let order = compare(of(row, column), value)?;
                Some(match *operator {
                    "=" => order == Ordering::Equal,
                    "!=" | "<>" => order != Ordering::Equal,
                    "<" => order == Ordering::Less,
                    "<=" => order != Ordering::Greater,
                    ">" => order == Ordering::Greater,
                    ">=" => order != Ordering::Less,
                    other => panic!("{other} is not an operator"),
                })
            }
            Self::In(column, is_negated, values) => {
                let value = of(row, column);
                if *value == Value::Null {
                    return None;
                }
                let is_in = values
                    .iter()
                    .any(|wanted| compare(value, wanted) == Some(Ordering::Equal));
                Some(is_in != *is_negated)
            }
            Self::Between(column, least, most) => {
                let value = of(row, column);
                let (least, most) = (compare(value, least)?, compare(value, most)?);
                Some(least != Ordering::Less && most != Ordering::Greater)
            }
            Self::IsNull(column, is_negated) => {
                Some((*of(row, column) == Value::Null) != *is_negated)
            }
            Self::And(one, other) => match (one.evaluate(row), other.evaluate(row)) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            },
            Self::Or(one, other) => match (one.evaluate(row), other.evaluate(row)) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            },
            Self::Not(inner) => inner.evaluate(row).map(|known| !known),
        }
    }
}

fn of<'a>(row: &'a Row, column: &str) -> &'a Value {
    let found = row.iter().find(|(name, _)| name == column);
    let (_, value) = found.unwrap_or_else(|| panic!("no column {column}"));
    value
}

fn compare(value: &Value, other: &Value) -> Option<Ordering> {
    match (value, other) {
        (Value::Null, _) => None,
        (Value::Text(one), Value::Text(other)) => Some(one.cmp(other)),
        (Value::Days(one), Value::Days(other))
        | (Value::Micros(one), Value::Micros(other))
        | (Value::Number(one), Value::Number(other)) => Some(one.cmp(other)),
        (Value::Flag(one), Value::Flag(other)) => Some(one.cmp(other)),
        (one, other) => panic!("{one:?} cannot be compared with {other:?}"),
    }
}

/// Writes the syntax of policies, with varying case and spaces.
impl fmt::Display for Predicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compare(column, operator, value) => {
                write!(f, "{column} {operator} {}", Literal(value))
            }
            Self::In(column, is_negated, values) => {
                let values: Vec<_> = values.iter().map(|v| Literal(v).to_string()).collect();
                let not = if *is_negated { "NOT " } else { "" };
                write!(f, "{column} {not}in ({})", values.join(", "))
            }
            Self::Between(column, least, most) => {
                write!(
                    f,
                    "{column} BETWEEN {} AND {}",
                    Literal(least),
                    Literal(most)
                )
            }
            Self::IsNull(column, false) => write!(f, "{column} is null"),
            Self::IsNull(column, true) => write!(f, "{column}  Is Not\tNull"),
            Self::And(one, other) => write!(f, "({one}) and ({other})"),
            Self::Or(one, other) => write!(f, "( {one} )OR({other})"),
            Self::Not(inner) => write!(f, "not ({inner})"),
        }
    }
}

struct Literal<'a>(&'a Value);

impl fmt::Display for Literal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::Text(text) => write!(f, "'{}'", text.replace('\'', "''")),
            Value::Days(days) => {
                let day = NaiveDate::default() + TimeDelta::days(*days);
                write!(f, "'{}'", day.format("%Y-%m-%d"))
            }
            Value::Micros(micros) => {
                let moment = DateTime::from_timestamp_micros(*micros).expect("a moment in range");
                write!(f, "'{}'", moment.format("%Y-%m-%d %H:%M"))
            }
            Value::Number(number) => write!(f, "{number}"),
            Value::Flag(flag) => write!(f, "{flag}"),
            Value::Null | Value::Map(_) => panic!("this value has no literal"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_makes_a_condition_neither_true_nor_false() {
        let row = vec![
            ("a".to_owned(), Value::Null),
            ("b".to_owned(), Value::Number(1)),
        ];
        let a = || Predicate::Compare("a".to_owned(), "=", Value::Number(1));
        let b = || Predicate::Compare("b".to_owned(), "=", Value::Number(1));
        let not = |inner| Predicate::Not(Box::new(inner));
        let and = |one, other| Predicate::And(Box::new(one), Box::new(other));
        let or = |one, other| Predicate::Or(Box::new(one), Box::new(other));
        assert!(!a().holds(&row) && !not(a()).holds(&row));
        assert!(or(a(), b()).holds(&row) && !and(a(), b()).holds(&row));
        assert!(not(and(a(), not(b()))).holds(&row));
        assert!(!or(a(), not(b())).holds(&row) && !not(or(a(), not(b()))).holds(&row));
        assert!(!Predicate::In("a".to_owned(), true, vec![Value::Number(7)]).holds(&row));
        assert!(Predicate::IsNull("a".to_owned(), false).holds(&row));
    }

    #[test]
    fn writes_the_syntax_of_policies() {
        let minutes = Value::Micros((24 * 60 + 61) * 60 * 1_000_000);
        let predicate = Predicate::And(
            Box::new(Predicate::Compare("a".to_owned(), "<=", minutes)),
            Box::new(Predicate::In(
                "b".to_owned(),
                true,
                vec![Value::Text("O'Neil".to_owned()), Value::Days(1)],
            )),
        );
        assert_eq!(
            predicate.to_string(),
            "(a <= '1970-01-02 01:01') and (b NOT in ('O''Neil', '1970-01-02'))"
        );
    }
}
