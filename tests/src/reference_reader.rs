//! Reads an extract by plain slicing, to compute the rows that a scan must return.
//!
//! It shares no code with the parser: the calendar is chrono's, the layouts are those of
//! [`layout_data`](crate::layout_data).

use std::collections::BTreeMap;

use chrono::NaiveDate;

/// The layout of one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldRule {
    /// The column's name.
    pub column: String,
    /// The position of the first byte, counted from 1.
    pub position: usize,
    /// The length in bytes.
    pub length: usize,
    /// The kind of value: `code`, `date`, …
    pub kind: String,
    /// Whether an empty field is filled with zeros. Other fields are filled with spaces.
    pub zeros: bool,
}

/// The layout of one record type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableRule {
    /// The table's name.
    pub table: String,
    /// The fields after the record type.
    pub fields: Vec<FieldRule>,
}

/// The layouts by the three digits of the record type.
pub type Rules = BTreeMap<String, TableRule>;

/// A value of a column.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// Null.
    Null,
    /// Text.
    Text(String),
    /// Days since 1970-01-01.
    Days(i64),
    /// Microseconds since 1970-01-01T00:00.
    Micros(i64),
    /// A flag.
    Flag(bool),
    /// A number.
    Number(i64),
    /// A map, in the order of its entries.
    Map(Vec<(String, String)>),
}

/// A row: columns and values, in the table's order.
pub type Row = Vec<(String, Value)>;

/// The rows of each table.
pub type Tables = BTreeMap<String, Vec<Row>>;

/// Returns the rows that these records must become. Blank records are skipped.
pub fn expected<'a>(rules: &Rules, records: impl IntoIterator<Item = &'a [u8]>) -> Tables {
    let mut tables = Tables::new();
    let mut line = 0;
    for record in records {
        if record.iter().all(|byte| *byte == b' ') {
            continue;
        }
        line += 1;
        let (table, row) = row(rules, record, line);
        tables.entry(table).or_default().push(row);
    }
    tables
}

/// Splits an extract of lines into records.
pub fn records_of_lines(bytes: &[u8]) -> Vec<&[u8]> {
    let lines = bytes.split(|byte| *byte == b'\n');
    lines
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .collect()
}

/// Splits an extract without line ends into records. `person` and `address` are the lengths of 001 and 002.
pub fn records_of_packed<'a>(
    rules: &Rules,
    bytes: &'a [u8],
    person: usize,
    address: usize,
) -> Vec<&'a [u8]> {
    let mut records = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let record_type = std::str::from_utf8(&rest[..3]).unwrap();
        let length = match record_type {
            "001" => person,
            "002" => address,
            other => full_length(&rules[other]),
        };
        let (record, after) = rest.split_at(length);
        records.push(record);
        rest = after;
    }
    records
}

/// Decodes ISO-8859-1, in which every byte is a code point.
pub fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

fn full_length(rule: &TableRule) -> usize {
    rule.fields
        .iter()
        .map(|field| field.position + field.length - 1)
        .max()
        .unwrap_or(3)
}

fn row(rules: &Rules, record: &[u8], line: i64) -> (String, Row) {
    let text = latin1(record);
    let raw = |table: &str, label: &str, value: String| {
        let row = vec![
            ("line".to_owned(), Value::Number(line)),
            (label.to_owned(), Value::Text(value)),
            ("raw".to_owned(), Value::Text(text.clone())),
        ];
        (table.to_owned(), row)
    };
    let record_type: String = text.chars().take(3).collect();
    let is_number =
        |text: &str, length| text.len() == length && text.chars().all(|c| c.is_ascii_digit());
    if !is_number(&record_type, 3) {
        return raw("rejected_record", "reason", "no-record-type".to_owned());
    }
    let Some(rule) = rules.get(&record_type) else {
        return raw("unknown_record", "record_type", record_type);
    };
    let key: String = text.chars().skip(3).take(10).collect();
    if rule.fields[0].kind == "pnr" && !is_number(&key, 10) {
        return raw("rejected_record", "reason", "incomplete-key".to_owned());
    }
    let full = full_length(rule);
    let mut padded = record.to_vec();
    padded.resize(full.max(record.len()), b' ');
    let mut row = Row::new();
    let mut irregular = Vec::new();
    for field in &rule.fields {
        let raw = &padded[field.position - 1..field.position - 1 + field.length];
        let (value, is_whole) = value(field, raw);
        row.push((field.column.clone(), value));
        if !is_whole {
            irregular.push((field.column.clone(), trimmed(raw)));
        }
    }
    let tail = trimmed(&padded[full..]);
    if !tail.is_empty() {
        irregular.push(("+".to_owned(), tail));
    }
    let irregular = match irregular.is_empty() {
        true => Value::Null,
        false => Value::Map(irregular),
    };
    row.push(("irregular".to_owned(), irregular));
    row.push(("line".to_owned(), Value::Number(line)));
    (rule.table.clone(), row)
}

fn trimmed(raw: &[u8]) -> String {
    latin1(raw).trim_end_matches(' ').to_owned()
}

/// Returns the value of a field, and whether it represents the bytes completely.
fn value(field: &FieldRule, raw: &[u8]) -> (Value, bool) {
    let text = latin1(raw);
    let all = |wanted: char| text.chars().all(|c| c == wanted);
    let is_usual_blank = if field.zeros { all('0') } else { all(' ') };
    match field.kind.as_str() {
        "code" | "mark" | "text" | "uuid" => match trimmed(raw) {
            empty if empty.is_empty() => (Value::Null, true),
            text => (Value::Text(text), true),
        },
        "pnr" if all(' ') || all('0') => (Value::Null, is_usual_blank),
        "pnr" => (Value::Text(trimmed(raw)), true),
        "flag" => match text.as_str() {
            "*" => (Value::Flag(true), true),
            " " => (Value::Flag(false), true),
            _ => (Value::Null, false),
        },
        "count" => match number(&text) {
            Some(number) => (Value::Number(number), true),
            None => (Value::Null, is_usual_blank),
        },
        "date" | "date8" => {
            let day = match field.kind.as_str() {
                "date" if &raw[4..5] == b"-" && &raw[7..8] == b"-" => {
                    days(&raw[..4], &raw[5..7], &raw[8..])
                }
                "date8" => days(&raw[..4], &raw[4..6], &raw[6..]),
                _ => None,
            };
            match day {
                Some(days) => (Value::Days(days), true),
                None => (Value::Null, is_usual_blank),
            }
        }
        "timestamp" => {
            let Some(days) = days(&raw[..4], &raw[4..6], &raw[6..8]) else {
                return (Value::Null, is_usual_blank);
            };
            let hour = number(&latin1(&raw[8..10])).filter(|hour| *hour < 24);
            let minute = number(&latin1(&raw[10..])).filter(|minute| *minute < 60);
            match (hour, minute) {
                (Some(hour), Some(minute)) => {
                    let minutes = days * 24 * 60 + hour * 60 + minute;
                    (Value::Micros(minutes * 60 * 1_000_000), true)
                }
                _ => (Value::Micros(days * 24 * 60 * 60 * 1_000_000), false),
            }
        }
        other => panic!("there is no rule for the kind {other}"),
    }
}

fn number(text: &str) -> Option<i64> {
    let is_number = !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    is_number.then(|| text.parse().unwrap())
}

/// Returns the days since 1970-01-01, if year, month and day are a date in the years 1 to 9999.
fn days(year: &[u8], month: &[u8], day: &[u8]) -> Option<i64> {
    let [year, month, day] = [year, month, day].map(|part| number(&latin1(part)));
    let year = i32::try_from(year?).ok().filter(|year| *year > 0)?;
    let date = NaiveDate::from_ymd_opt(year, month?.try_into().ok()?, day?.try_into().ok()?)?;
    Some(date.signed_duration_since(NaiveDate::default()).num_days())
}
