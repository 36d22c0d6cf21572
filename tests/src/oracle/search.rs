//! Finds every mention of a person in a tenant's output.

use std::collections::BTreeSet;

use super::extract_cases::{TOKEN_LENGTH, TextKind};
use crate::reference_reader::{Row, Tables, Value};

/// A value that mentions a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit<'a> {
    /// The person, and how the value mentions the person.
    pub mention: Mention,
    /// The table.
    pub table: &'a str,
    /// The column. For maps, the key follows after a dot.
    pub column: String,
    /// The row.
    pub row: &'a Row,
}

/// How a text mentions a person.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mention {
    /// By person number.
    Number(String),
    /// By a token that belongs to this person only.
    Token(TextKind, String),
    /// By a token of a relative without a number. The number is that of the person whose relative it is.
    UnnumberedRelative(TextKind, String),
}

/// Returns every mention in every text, including map keys and parts of longer strings.
pub fn hits(tables: &Tables) -> Vec<Hit<'_>> {
    let mut hits = Vec::new();
    for (table, rows) in tables {
        for row in rows {
            for (column, value) in row {
                for (place, text) in texts(column, value) {
                    hits.extend(persons(text).into_iter().map(|mention| Hit {
                        mention,
                        table,
                        column: place.clone(),
                        row,
                    }));
                }
            }
        }
    }
    hits
}

/// Returns the texts of a value, each with its column and key.
fn texts<'a>(column: &str, value: &'a Value) -> Vec<(String, &'a str)> {
    match value {
        Value::Text(text) => vec![(column.to_owned(), text)],
        Value::Map(entries) => {
            let both = |(key, text): &'a (String, String)| {
                let place = format!("{column}.{key}");
                [(place.clone(), key.as_str()), (place, text.as_str())]
            };
            entries.iter().flat_map(both).collect()
        }
        Value::Null | Value::Days(_) | Value::Micros(_) | Value::Flag(_) | Value::Number(_) => {
            Vec::new()
        }
    }
}

/// Returns the persons that a text mentions.
pub fn persons(text: &str) -> BTreeSet<Mention> {
    let mut found = BTreeSet::new();
    let bytes = text.as_bytes();
    for window in bytes.windows(10) {
        if window.iter().all(u8::is_ascii_digit) {
            let number = String::from_utf8(window.to_vec()).expect("digits are UTF-8");
            found.insert(Mention::Number(number));
        }
    }
    // A date field has room for the first bytes of a token only, so shorter tokens are not searched for.
    for window in bytes.windows(TOKEN_LENGTH) {
        let number = |letters: &[u8]| {
            let is_token = letters.iter().all(|letter| (b'a'..=b'j').contains(letter));
            let digit = |letter: &u8| char::from(letter - b'a' + b'0');
            is_token.then(|| letters.iter().map(digit).collect::<String>())
        };
        let kind = match window[0] {
            b'N' => TextKind::Name,
            b'A' => TextKind::Address,
            b'F' => TextKind::FreeText,
            _ => continue,
        };
        match (window[1], number(&window[2..])) {
            (b'q', Some(number)) => {
                found.insert(Mention::Token(kind, number));
            }
            (b'u', Some(number)) => {
                found.insert(Mention::UnnumberedRelative(kind, number));
            }
            _ => {}
        }
    }
    found
}
