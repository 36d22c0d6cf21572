//! An extract cut by plain slicing: what a scan must give, from the rules alone.
//!
//! Nothing here is the parser's code. The calendar is chrono's, the layouts can come from a CSV file.

use std::collections::BTreeMap;
use std::path::Path;

use chrono::NaiveDate;
use cprflow_connector::layout::{self, Blank};

/// A field as the rules need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldRule {
    /// The column's name.
    pub column: String,
    /// Position of the first byte, 1-based.
    pub position: usize,
    /// Length in bytes.
    pub length: usize,
    /// `code`, `date`, …
    pub kind: String,
    /// Whether zeros are what the field is usually filled with.
    pub zeros: bool,
}

/// A record type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableRule {
    /// The table's name.
    pub table: String,
    /// The fields after the record type.
    pub fields: Vec<FieldRule>,
}

/// Record types by their three digits.
pub type Rules = BTreeMap<String, TableRule>;

/// The rules of a layouts.csv.
pub fn rules_of_csv(path: &Path) -> Rules {
    let mut rules = Rules::new();
    for row in csv::Reader::from_path(path).unwrap().records() {
        let row = row.unwrap();
        let rule = rules.entry(row[0].to_owned()).or_insert_with(|| TableRule {
            table: row[1].to_owned(),
            fields: Vec::new(),
        });
        if &row[2] != "RECORDTYPE" {
            rule.fields.push(FieldRule {
                column: row[3].to_owned(),
                position: row[4].parse().unwrap(),
                length: row[5].parse().unwrap(),
                kind: row[6].to_owned(),
                zeros: &row[7] == "zeros",
            });
        }
    }
    rules
}

/// The rules of the product's own table.
pub fn rules_of_product() -> Rules {
    let field = |column: &layout::Column| FieldRule {
        column: column.name.to_owned(),
        position: column.position,
        length: column.length,
        kind: column.kind.name().to_owned(),
        zeros: column.blank == Blank::Zeros,
    };
    let rule = |table: &layout::Table| TableRule {
        table: table.name.to_owned(),
        fields: table.columns.iter().map(field).collect(),
    };
    let tables = layout::tables().iter();
    tables
        .map(|table| (table.record_type.to_owned(), rule(table)))
        .collect()
}

/// A value of a column.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// Nothing.
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
    /// A map, in its order.
    Map(Vec<(String, String)>),
}

/// A row: values by column, in the table's order.
pub type Row = Vec<(String, Value)>;

/// Rows by table.
pub type Tables = BTreeMap<String, Vec<Row>>;

/// The rows that records must become; blank ones are no records.
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

/// Records of a file of lines.
pub fn records_of_lines(bytes: &[u8]) -> Vec<&[u8]> {
    let lines = bytes.split(|byte| *byte == b'\n');
    lines
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .collect()
}

/// Records of a file without line ends whose 001 and 002 have these lengths.
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

/// ISO-8859-1: every byte is the code point.
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

/// The value, and whether it says all that the bytes say.
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
        other => panic!("no rule for the kind {other}"),
    }
}

fn number(text: &str) -> Option<i64> {
    let is_number = !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    is_number.then(|| text.parse().unwrap())
}

/// Days since 1970-01-01, if year, month and day are a date of the years 1 to 9999.
fn days(year: &[u8], month: &[u8], day: &[u8]) -> Option<i64> {
    let [year, month, day] = [year, month, day].map(|part| number(&latin1(part)));
    let year = i32::try_from(year?).ok().filter(|year| *year > 0)?;
    let date = NaiveDate::from_ymd_opt(year, month?.try_into().ok()?, day?.try_into().ok()?)?;
    Some(date.signed_duration_since(NaiveDate::default()).num_days())
}
