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

/// The longest predicate, in bytes.
pub(super) const MAX_BYTES: usize = 64 * 1024;

/// How deep parentheses and negations may be nested.
pub(super) const MAX_DEPTH: usize = 50;

/// A predicate as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Expression {
    /// One of them holds.
    Or(Vec<Expression>),
    /// All of them hold.
    And(Vec<Expression>),
    /// It does not hold.
    Not(Box<Expression>),
    /// A column compared with something.
    Test(Name, Test),
}

/// A column's name, and where in the text it stands, in bytes.
#[derive(Debug, Clone)]
pub(super) struct Name {
    pub(super) name: String,
    pub(super) at: usize,
}

/// What a column is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Test {
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

/// A value, and where in the text it stands, in bytes.
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

// Where something stands is no part of what it is.

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Name {}

impl PartialEq for Literal {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl Eq for Literal {}

/// Reads a predicate.
pub(super) fn expression(text: &str) -> Result<Expression, Fault> {
    let at = |rest: usize, expected| Fault { rest, expected };
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

/// What should stand where something else stands, that many bytes before the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fault {
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
    /// What nom says, which something better must be said for.
    Nothing,
}

impl Fault {
    /// The fault as an error, with the columns where one is wanted.
    pub(super) fn locate(self, text: &str, columns: &[Comparable]) -> PredicateError {
        let what = match self.expected {
            Expected::FewerBytes => "a predicate is no longer than 64 KiB".to_owned(),
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
            Expected::Number => "a whole number is expected, not so large a one".to_owned(),
            Expected::Quote => {
                "the text has no closing quote; a quote inside a text is written twice".to_owned()
            }
            Expected::And => "\"and\" and the upper bound are expected".to_owned(),
            Expected::Null => "\"null\" or \"not null\" is expected".to_owned(),
            Expected::NullIsNoValue => "nothing equals null: ask with is null or is not null".to_owned(),
            Expected::Close => "\"and\", \"or\" or a closing parenthesis is expected".to_owned(),
            Expected::End => "\"and\", \"or\" or the end is expected".to_owned(),
        };
        PredicateError::new(text, text.len().saturating_sub(self.rest), what)
    }
}

impl ParseError<&str> for Fault {
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

impl nom::error::FromExternalError<&str, std::num::ParseIntError> for Fault {
    fn from_external_error(input: &str, _: ErrorKind, _: std::num::ParseIntError) -> Self {
        Self {
            rest: input.len(),
            expected: Expected::Number,
        }
    }
}

type Parsed<'a, T> = nom::IResult<&'a str, T, Fault>;

/// The rules; the text's length tells places from what is left of it.
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
        let name = Name {
            name: name.to_ascii_lowercase(),
            at: self.length - input.len(),
        };
        if let Ok((rest, operator)) = operator(rest) {
            let (rest, literal) = self.literal(rest)?;
            return Ok((
                rest,
                Expression::Test(name, Test::Compare(operator, literal)),
            ));
        }
        if let Ok((rest, ())) = keyword("is").parse(rest) {
            let (rest, not) = opt(keyword("not")).parse(rest)?;
            let (rest, ()) = expect(keyword("null"), Expected::Null).parse(rest)?;
            return Ok((rest, negated(not, name, Test::IsNull)));
        }
        let (rest, not) = opt(keyword("not")).parse(rest)?;
        if let Ok((rest, ())) = keyword("between").parse(rest) {
            let (rest, low) = self.literal(rest)?;
            let (rest, ()) = expect(keyword("and"), Expected::And).parse(rest)?;
            let (rest, high) = self.literal(rest)?;
            return Ok((rest, negated(not, name, Test::Between(low, high))));
        }
        let (rest, ()) = expect(keyword("in"), Expected::Comparison).parse(rest)?;
        let (rest, ()) = expect(symbol("("), Expected::List).parse(rest)?;
        let literal = |input| self.literal(input);
        let (rest, list) = separated_list1(symbol(","), literal).parse(rest)?;
        let (rest, ()) = expect(symbol(")"), Expected::ListEnd).parse(rest)?;
        Ok((rest, negated(not, name, Test::In(list))))
    }

    /// A value where nothing else can stand.
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

fn negated(not: Option<()>, name: Name, test: Test) -> Expression {
    let expression = Expression::Test(name, test);
    match not {
        Some(()) => Expression::Not(Box::new(expression)),
        None => expression,
    }
}

/// The end of the reading: nothing else is tried.
fn fail<T>(input: &str, expected: Expected) -> Parsed<'_, T> {
    let rest = input.len();
    Err(Err::Failure(Fault { rest, expected }))
}

/// What must stand here, after any spaces.
fn expect<'a, T>(
    mut parser: impl Parser<&'a str, Output = T, Error = Fault>,
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

/// A word of the language, in capitals or not, that no letter follows.
fn keyword<'a>(word: &'static str) -> impl Parser<&'a str, Output = (), Error = Fault> {
    let found = preceded(multispace0, identifier);
    nom::combinator::verify(found, move |found: &str| found.eq_ignore_ascii_case(word)).map(|_| ())
}

fn symbol<'a>(symbol: &'static str) -> impl Parser<&'a str, Output = (), Error = Fault> {
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

/// `'it''s'`.
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
        .map_err(|_: Err<Fault>| Err::Failure(Fault { rest, expected }))
}

fn integer(input: &str) -> Parsed<'_, Value> {
    let number = recognize((opt(char('-')), digit1));
    // `1a` and `1.5` are no numbers with something behind them.
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
    /// The predicate in words that read as itself again.
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
            Self::Test(name, test) => write!(f, "{} {test}", name.name),
        }
    }
}

impl fmt::Display for Test {
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
