//! The statements that Spark and PostgreSQL both understand, and what they say differently.

use super::Content;

/// The statements. `{…}` is replaced.
const STANDARD: &str = include_str!("standard.sql");

/// How an engine says what `standard.sql` leaves open.
pub(super) struct Words {
    /// The first words of a statement that creates a view: `{view}`.
    pub(super) view: &'static str,
    /// What follows a text column so that it is ordered by its bytes: `{binary}`.
    pub(super) binary: &'static str,
    /// The type of texts: `{text}`.
    pub(super) text: &'static str,
    /// Whether the start date of a protection could not be read: `{irregular_protection}`.
    pub(super) irregular_protection: &'static str,
    /// Returns the query for one row of each person number, the first in an order: `{first of TABLE by ORDER}`.
    pub(super) first: fn(table: &str, order: &str) -> String,
}

/// Returns the statements of an engine. `of_engine` are its own, in which `{standard}` stands for those of all engines.
pub(super) fn script(of_engine: &str, words: &Words, content: &Content<'_>) -> String {
    let sql = of_engine
        .replace("{standard}", STANDARD)
        .replace("{view}", words.view)
        .replace("{binary}", words.binary)
        .replace("{text}", words.text)
        .replace("{irregular_protection}", words.irregular_protection)
        .replace("{is_protected}", content.is_protected)
        .replace("{is_relative_protected}", content.is_relative_protected);
    with_first_rows(&sql, words.first)
}

/// Replaces each `{first of TABLE by ORDER}`. Nulls come last, as in DuckDB.
fn with_first_rows(sql: &str, first: fn(&str, &str) -> String) -> String {
    let mut parts = sql.split("{first of ");
    let mut done = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (directive, rest) = part.split_once('}').unwrap_or((part, ""));
        let (table, order) = directive.split_once(" by ").unwrap_or((directive, "pnr"));
        let order: Vec<_> = order
            .split(", ")
            .map(|column| format!("{column} NULLS LAST"))
            .collect();
        done.push_str(&first(table, &order.join(", ")));
        done.push_str(rest);
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_with_nulls_last() {
        let first = |table: &str, order: &str| format!("<{table}|{order}>");
        assert_eq!(
            with_first_rows("a {first of t by x DESC, y}; {first of u by z}", first),
            "a <t|x DESC NULLS LAST, y NULLS LAST>; <u|z NULLS LAST>"
        );
    }
}
