//! Who is told of where: every text of a tenant's output, searched for persons.

use std::collections::BTreeSet;

use super::season::{LENGTH, Told};
use crate::cut::{Row, Tables, Value};

/// A place where somebody is told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit<'a> {
    /// Who.
    pub who: Who,
    /// The table.
    pub table: &'a str,
    /// The column; for maps also the key.
    pub column: String,
    /// The row.
    pub row: &'a Row,
}

/// Somebody who is told of, and by what.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// By number.
    Number(String),
    /// By something that only one person has.
    Token(Told, String),
    /// By something that only a relative without a number has, of the person with that number.
    Stranger(Told, String),
}

/// Every place in every text, map keys and longer strings included.
pub fn hits(tables: &Tables) -> Vec<Hit<'_>> {
    let mut hits = Vec::new();
    for (table, rows) in tables {
        for row in rows {
            for (column, value) in row {
                for (place, text) in texts(column, value) {
                    hits.extend(persons(text).into_iter().map(|who| Hit {
                        who,
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

/// The texts of a value, each with its place.
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

/// Everybody who is told of in a text.
pub fn persons(text: &str) -> BTreeSet<Who> {
    let mut found = BTreeSet::new();
    let bytes = text.as_bytes();
    for window in bytes.windows(10) {
        if window.iter().all(u8::is_ascii_digit) {
            let number = String::from_utf8(window.to_vec()).expect("digits are UTF-8");
            found.insert(Who::Number(number));
        }
    }
    // A date leaves room for the beginning of a token only; nobody else's begins like it.
    for window in bytes.windows(LENGTH) {
        let number = |letters: &[u8]| {
            let is_token = letters.iter().all(|letter| (b'a'..=b'j').contains(letter));
            let digit = |letter: &u8| char::from(letter - b'a' + b'0');
            is_token.then(|| letters.iter().map(digit).collect::<String>())
        };
        let told = match window[0] {
            b'N' => Told::Name,
            b'A' => Told::Address,
            b'F' => Told::Free,
            _ => continue,
        };
        match (window[1], number(&window[2..])) {
            (b'q', Some(number)) => {
                found.insert(Who::Token(told, number));
            }
            (b'u', Some(number)) => {
                found.insert(Who::Stranger(told, number));
            }
            _ => {}
        }
    }
    found
}
