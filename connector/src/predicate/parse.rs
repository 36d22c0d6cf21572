//! The grammar of predicates.
//!
//! ```text
//! or         = and { "or" and }
//! and        = not { "and" not }
//! not        = "not" not | "(" or ")" | comparison
//! comparison = column ( op value | ["not"] "in" "(" value {"," value} ")"
//!                     | ["not"] "between" value "and" value | "is" ["not"] "null" )
//! op         = "=" | "!=" | "<>" | "<=" | ">=" | "<" | ">"
//! value      = 'text' | integer | "true" | "false"
//! ```

use std::fmt;

use nom::branch::alt;
use nom::bytes::complete::{tag, take_while, take_while1};
use nom::character::complete::{char, digit1, multispace0, satisfy};
use nom::combinator::{map_res, opt, peek, recognize, value};
use nom::error::{ErrorKind, ParseError};
use nom::multi::separated_list1;
use nom::sequence::{preceded, terminated};
use nom::{Err, Parser};

use super::PredicateError;
use super::bind::Comparable;

/// The maximum length of a predicate, in bytes.
pub(super) const MAX_BYTES: usize = 64 * 1024;

/// The maximum nesting depth of parentheses and negations.
pub(super) const MAX_DEPTH: usize = 50;

/// A parsed predicate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Expression {
    /// At least one of the expressions is true.
    Or(Vec<Expression>),
    /// All the expressions are true.
    And(Vec<Expression>),
    /// The expression is false.
    Not(Box<Expression>),
    /// A comparison of a column.
    Comparison(ColumnName, Comparison),
}

/// A column's name and its offset in the text, in bytes.
#[derive(Debug, Clone)]
pub(super) struct ColumnName {
    pub(super) name: String,
    pub(super) at: usize,
}

/// The comparison that a column is subject to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Comparison {
    Compare(Operator, Literal),
    In(Vec<Literal>),
    Between(Literal, Literal),
    IsNull,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A value and its offset in the text, in bytes.
#[derive(Debug, Clone)]
pub(super) struct Literal {
    pub(super) value: Value,
    pub(super) at: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Integer(i64),
    Boolean(bool),
}

// Equality ignores the position in the text.

impl PartialEq for ColumnName {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for ColumnName {}

impl PartialEq for Literal {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl Eq for Literal {}

/// Parses a predicate.
pub(super) fn expression(text: &str) -> Result<Expression, SyntaxError> {
    let at = |rest: usize, expected| SyntaxError { rest, expected };
    if text.len() > MAX_BYTES {
        return Err(at(text.len() - MAX_BYTES, Expected::FewerBytes));
    }
    let grammar = Grammar { length: text.len() };
    let (rest, expression) = grammar.or(text, 0).map_err(|error| match error {
        Err::Error(fault) | Err::Failure(fault) => fault,
        Err::Incomplete(_) => at(0, Expected::Condition),
    })?;
    match rest.trim_start() {
        "" => Ok(expression),
        rest => Err(at(rest.len(), Expected::End)),
    }
}

/// A syntax error: what was expected, and how many bytes before the end of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SyntaxError {
    rest: usize,
    expected: Expected,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    FewerBytes,
    LessDepth,
    Condition,
    Comparison,
    List,
    ListEnd,
    Value,
    Number,
    Quote,
    And,
    Null,
    NullIsNoValue,
    Close,
    End,
    /// An error of nom itself, which a more specific one always replaces.
    Nothing,
}

impl SyntaxError {
    /// Returns the error with its position, and with the columns where one is expected.
    pub(super) fn locate(self, text: &str, columns: &[Comparable]) -> PredicateError {
        let what = match self.expected {
            Expected::FewerBytes => "a predicate must not be longer than 64 KiB".to_owned(),
            Expected::LessDepth => {
                format!("parentheses and \"not\" are nested deeper than {MAX_DEPTH}")
            }
            Expected::Condition | Expected::Nothing => format!(
                "a condition is expected: a column, \"not\" or a parenthesis; {}",
                Comparable::list(columns)
            ),
            Expected::Comparison => {
                "=, !=, <, <=, >, >=, in, not in, between or is null is expected".to_owned()
            }
            Expected::List => "a list is expected, like ('01', '03')".to_owned(),
            Expected::ListEnd => "a comma or the list's closing parenthesis is expected".to_owned(),
            Expected::Value => {
                "a value is expected: text and dates in single quotes, a whole number, true or false"
                    .to_owned()
            }
            Expected::Number => "a whole number from -9223372036854775808 to 9223372036854775807 is expected".to_owned(),
            Expected::Quote => {
                "the text has no closing quote; write a quote inside a text twice".to_owned()
            }
            Expected::And => "\"and\" and the upper bound are expected".to_owned(),
            Expected::Null => "\"null\" or \"not null\" is expected".to_owned(),
            Expected::NullIsNoValue => "no value equals null: use is null or is not null".to_owned(),
            Expected::Close => "\"and\", \"or\" or a closing parenthesis is expected".to_owned(),
            Expected::End => "\"and\", \"or\" or the end is expected".to_owned(),
        };
        PredicateError::new(text, text.len().saturating_sub(self.rest), what)
    }
}

impl ParseError<&str> for SyntaxError {
    fn from_error_kind(input: &str, _: ErrorKind) -> Self {
        Self {
            rest: input.len(),
            expected: Expected::Nothing,
        }
    }

    fn append(_: &str, _: ErrorKind, other: Self) -> Self {
        other
    }
}

impl nom::error::FromExternalError<&str, std::num::ParseIntError> for SyntaxError {
    fn from_external_error(input: &str, _: ErrorKind, _: std::num::ParseIntError) -> Self {
        Self {
            rest: input.len(),
            expected: Expected::Number,
        }
    }
}

type Parsed<'a, T> = nom::IResult<&'a str, T, SyntaxError>;

/// The grammar rules. `length` is the length of the text, from which the positions are calculated.
#[derive(Clone, Copy)]
struct Grammar {
    length: usize,
}

impl Grammar {
    fn or<'a>(self, input: &'a str, depth: usize) -> Parsed<'a, Expression> {
        let and = |input: &'a str| self.and(input, depth);
        let (rest, mut all) = separated_list1(keyword("or"), and).parse(input)?;
        Ok((rest, one_or(&mut all, Expression::Or)))
    }

    fn and<'a>(self, input: &'a str, depth: usize) -> Parsed<'a, Expression> {
        let not = |input: &'a str| self.not(input, depth);
        let (rest, mut all) = separated_list1(keyword("and"), not).parse(input)?;
        Ok((rest, one_or(&mut all, Expression::And)))
    }

    fn not<'a>(self, input: &'a str, depth: usize) -> Parsed<'a, Expression> {
        let input = input.trim_start();
        if depth >= MAX_DEPTH {
            return fail(input, Expected::LessDepth);
        }
        if let Ok((rest, ())) = keyword("not").parse(input) {
            let (rest, inner) = self.not(rest, depth + 1)?;
            return Ok((rest, Expression::Not(Box::new(inner))));
        }
        if let Ok((rest, ())) = symbol("(").parse(input) {
            let (rest, inner) = self.or(rest, depth + 1)?;
            let (rest, ()) = expect(symbol(")"), Expected::Close).parse(rest)?;
            return Ok((rest, inner));
        }
        self.test(input)
    }

    fn test(self, input: &str) -> Parsed<'_, Expression> {
        let (rest, name) = expect(identifier, Expected::Condition).parse(input)?;
        let name = ColumnName {
            name: name.to_ascii_lowercase(),
            at: self.length - input.len(),
        };
        if let Ok((rest, operator)) = operator(rest) {
            let (rest, literal) = self.literal(rest)?;
            return Ok((
                rest,
                Expression::Comparison(name, Comparison::Compare(operator, literal)),
            ));
        }
        if let Ok((rest, ())) = keyword("is").parse(rest) {
            let (rest, not) = opt(keyword("not")).parse(rest)?;
            let (rest, ()) = expect(keyword("null"), Expected::Null).parse(rest)?;
            return Ok((rest, negated(not, name, Comparison::IsNull)));
        }
        let (rest, not) = opt(keyword("not")).parse(rest)?;
        if let Ok((rest, ())) = keyword("between").parse(rest) {
            let (rest, low) = self.literal(rest)?;
            let (rest, ()) = expect(keyword("and"), Expected::And).parse(rest)?;
            let (rest, high) = self.literal(rest)?;
            return Ok((rest, negated(not, name, Comparison::Between(low, high))));
        }
        let (rest, ()) = expect(keyword("in"), Expected::Comparison).parse(rest)?;
        let (rest, ()) = expect(symbol("("), Expected::List).parse(rest)?;
        let literal = |input| self.literal(input);
        let (rest, list) = separated_list1(symbol(","), literal).parse(rest)?;
        let (rest, ()) = expect(symbol(")"), Expected::ListEnd).parse(rest)?;
        Ok((rest, negated(not, name, Comparison::In(list))))
    }

    /// Parses a value, which is required here.
    fn literal(self, input: &str) -> Parsed<'_, Literal> {
        let input = input.trim_start();
        if keyword("null").parse(input).is_ok() {
            return fail(input, Expected::NullIsNoValue);
        }
        let values = alt((
            text,
            integer,
            value(Value::Boolean(true), keyword("true")),
            value(Value::Boolean(false), keyword("false")),
        ));
        let (rest, value) = expect(values, Expected::Value).parse(input)?;
        let at = self.length - input.len();
        Ok((rest, Literal { value, at }))
    }
}

fn one_or(all: &mut Vec<Expression>, several: fn(Vec<Expression>) -> Expression) -> Expression {
    match all.pop() {
        Some(last) if all.is_empty() => last,
        last => {
            all.extend(last);
            several(std::mem::take(all))
        }
    }
}

fn negated(not: Option<()>, name: ColumnName, test: Comparison) -> Expression {
    let expression = Expression::Comparison(name, test);
    match not {
        Some(()) => Expression::Not(Box::new(expression)),
        None => expression,
    }
}

/// Returns an error that ends parsing without trying alternatives.
fn fail<T>(input: &str, expected: Expected) -> Parsed<'_, T> {
    let rest = input.len();
    Err(Err::Failure(SyntaxError { rest, expected }))
}

/// Parses something that is required here, after optional spaces.
fn expect<'a, T>(
    mut parser: impl Parser<&'a str, Output = T, Error = SyntaxError>,
    expected: Expected,
) -> impl FnMut(&'a str) -> Parsed<'a, T> {
    move |input| {
        let input = input.trim_start();
        match parser.parse(input) {
            Err(Err::Error(_)) => fail(input, expected),
            parsed => parsed,
        }
    }
}

/// Parses a keyword, in any case, that is not followed by a letter.
fn keyword<'a>(word: &'static str) -> impl Parser<&'a str, Output = (), Error = SyntaxError> {
    let found = preceded(multispace0, identifier);
    nom::combinator::verify(found, move |found: &str| found.eq_ignore_ascii_case(word)).map(|_| ())
}

fn symbol<'a>(symbol: &'static str) -> impl Parser<&'a str, Output = (), Error = SyntaxError> {
    preceded(multispace0, tag(symbol)).map(|_| ())
}

fn identifier(input: &str) -> Parsed<'_, &str> {
    let is_first = |c: char| c.is_ascii_alphabetic() || c == '_';
    let is_next = |c: char| c.is_ascii_alphanumeric() || c == '_';
    recognize((satisfy(is_first), take_while(is_next))).parse(input)
}

fn operator(input: &str) -> Parsed<'_, Operator> {
    let operators = alt((
        value(Operator::NotEqual, alt((tag("!="), tag("<>")))),
        value(Operator::LessOrEqual, tag("<=")),
        value(Operator::GreaterOrEqual, tag(">=")),
        value(Operator::Equal, tag("=")),
        value(Operator::Less, tag("<")),
        value(Operator::Greater, tag(">")),
    ));
    preceded(multispace0, operators).parse(input)
}

/// Parses a quoted text; `''` inside it is a quote.
fn text(input: &str) -> Parsed<'_, Value> {
    let (mut rest, _) = char('\'').parse(input)?;
    let mut text = String::new();
    loop {
        let (after, part) = take_while(|c| c != '\'').parse(rest)?;
        text.push_str(part);
        (rest, _) = expect_quote(after, input)?;
        match rest.strip_prefix('\'') {
            Some(after) => {
                text.push('\'');
                rest = after;
            }
            None => return Ok((rest, Value::Text(text))),
        }
    }
}

fn expect_quote<'a>(input: &'a str, begin: &str) -> Parsed<'a, char> {
    let rest = begin.len();
    let expected = Expected::Quote;
    char('\'')
        .parse(input)
        .map_err(|_: Err<SyntaxError>| Err::Failure(SyntaxError { rest, expected }))
}

fn integer(input: &str) -> Parsed<'_, Value> {
    let number = recognize((opt(char('-')), digit1));
    // `1a` and `1.5` must not be read as a number followed by something else.
    let ends = peek(nom::combinator::not(take_while1(|c: char| {
        c.is_ascii_alphanumeric() || c == '_' || c == '.'
    })));
    let parsed: Parsed<'_, Value> = map_res(terminated(number, ends), |digits: &str| {
        digits.parse().map(Value::Integer)
    })
    .parse(input);
    parsed.map_err(|error| match error {
        Err::Error(fault) if fault.expected == Expected::Number => Err::Failure(fault),
        error => error,
    })
}

impl fmt::Display for Expression {
    /// Writes the predicate so that parsing it gives the same expression.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, all: &[Self], word: &str| {
            for (place, one) in all.iter().enumerate() {
                if place > 0 {
                    write!(f, " {word} ")?;
                }
                write!(f, "({one})")?;
            }
            Ok(())
        };
        match self {
            Self::Or(all) => list(f, all, "or"),
            Self::And(all) => list(f, all, "and"),
            Self::Not(inner) => write!(f, "not ({inner})"),
            Self::Comparison(name, test) => write!(f, "{} {test}", name.name),
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compare(operator, literal) => {
                let operator = match operator {
                    Operator::Equal => "=",
                    Operator::NotEqual => "!=",
                    Operator::Less => "<",
                    Operator::LessOrEqual => "<=",
                    Operator::Greater => ">",
                    Operator::GreaterOrEqual => ">=",
                };
                write!(f, "{operator} {literal}")
            }
            Self::In(list) => {
                f.write_str("in (")?;
                for (place, literal) in list.iter().enumerate() {
                    let comma = if place > 0 { ", " } else { "" };
                    write!(f, "{comma}{literal}")?;
                }
                f.write_str(")")
            }
            Self::Between(low, high) => write!(f, "between {low} and {high}"),
            Self::IsNull => f.write_str("is null"),
        }
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Value::Text(text) => write!(f, "'{}'", text.replace('\'', "''")),
            Value::Integer(number) => write!(f, "{number}"),
            Value::Boolean(value) => write!(f, "{value}"),
        }
    }
}
