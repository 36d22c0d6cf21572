//! Rows whose values stand in wrong columns, because bytes before them were lost or added.

use std::sync::LazyLock;

use super::choose::value;
use crate::layout_data;
use crate::reference_reader::{FieldRule, Row, Rules, Value};

static RULES: LazyLock<Rules> = LazyLock::new(layout_data::rules);

/// Returns whether a value of a row of that table cannot be one of its column.
pub(super) fn is_shifted(table: &str, row: &Row) -> bool {
    is_visibly_shifted(table, row, |_, raw| Some(raw))
}

/// Returns whether the part of a value that is visible cannot be one of its column.
pub(super) fn is_visibly_shifted(
    table: &str,
    row: &Row,
    visible: impl Fn(&str, String) -> Option<String>,
) -> bool {
    let rule = RULES.values().find(|rule| rule.table == table);
    let raw = |field: &FieldRule| -> Option<String> {
        let irregular = match value(row, "irregular") {
            Value::Map(entries) => entries.iter().find(|(name, _)| *name == field.column),
            _ => None,
        };
        match (irregular, value(row, &field.column)) {
            (Some((_, raw)), _) => Some(raw.clone()),
            (None, Value::Text(text)) => Some(text.clone()),
            _ => None,
        }
    };
    let mut fields = rule.iter().flat_map(|rule| &rule.fields);
    fields.any(|field| {
        let raw = raw(field).and_then(|raw| visible(&field.column, raw));
        raw.is_some_and(|raw| !fits(field, &raw))
    })
}

/// Returns whether the line has only values that its columns can have, apart from its key, and nothing after them.
pub(super) fn fits_its_columns(record_type: &str, line: &[char]) -> bool {
    let Some(rule) = RULES.get(record_type) else {
        return false;
    };
    let ends = |field: &FieldRule| field.position - 1 + field.length;
    let longest = rule.fields.iter().map(ends).max().unwrap_or_default();
    let tail = line.iter().skip(longest);
    let others = rule.fields.iter().skip(1);
    let mut raws = others.map(|field| {
        let raw = line.iter().skip(field.position - 1).take(field.length);
        let raw: String = raw.collect();
        (field, raw.trim_end_matches(' ').to_owned())
    });
    raws.all(|(field, raw)| fits(field, &raw)) && tail.into_iter().all(|c| *c == ' ')
}

/// Returns whether a field can have this content, which has lost its trailing spaces.
fn fits(field: &FieldRule, raw: &str) -> bool {
    let shape: String = raw
        .chars()
        .map(|c| if c.is_ascii_digit() { '9' } else { c })
        .collect();
    let is_blank = |text: &str| text.chars().all(|c| c == ' ');
    let full = format!("{raw:width$}", width = field.length);
    if is_blank(raw) || full.chars().all(|c| c == '0') {
        return true;
    }
    // Each part of a date is blank or a number up to a limit.
    let part = |from: usize, to: usize, most: u32| {
        let text: String = full.chars().skip(from).take(to - from).collect();
        let number = text.parse::<u32>();
        is_blank(&text)
            || text.chars().all(|c| c.is_ascii_digit()) && number.is_ok_and(|n| n <= most)
    };
    let day = |year: usize, month: usize, day: usize| {
        part(year, year + 4, 9999) && part(month, month + 2, 12) && part(day, day + 2, 31)
    };
    let has_hyphens = || {
        [4, 7]
            .iter()
            .all(|at| matches!(full.chars().nth(*at), Some('-' | ' ')))
    };
    match field.kind.as_str() {
        "flag" => raw == "*",
        "count" => full.chars().all(|c| c.is_ascii_digit() || c == ' '),
        "pnr" => shape == "9999999999",
        "uuid" => {
            let hex = raw
                .to_ascii_lowercase()
                .replace(|c: char| c.is_ascii_hexdigit(), "9");
            hex == "99999999-9999-9999-9999-999999999999"
        }
        "date" => has_hyphens() && day(0, 5, 8),
        "date8" => day(0, 4, 6),
        "timestamp" => {
            day(0, 4, 6) && part(8, 10, 24) && (part(10, 12, 59) || full.ends_with("99"))
        }
        _ => true,
    }
}
