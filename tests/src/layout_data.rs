//! The record types and fields of `tests/data`, which expected values are computed from.
//!
//! The files state the facts of CPR's layouts independently of the product's layout table. A test compares them with
//! the public facts in `../shared/cpr`.

use crate::reference_reader::{FieldRule, Rules, TableRule};

/// A line of `tests/data/record_types.csv`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordTypeData {
    /// The three digits of the record type.
    pub record_type: String,
    /// The table's name.
    pub table: String,
    /// The lengths in bytes that a record can have, in ascending order.
    pub lengths: Vec<usize>,
    /// The description in English.
    pub description: String,
    /// CPR's title of the record, in Danish.
    pub cpr_title: String,
}

/// A line of `tests/data/fields.csv`. The record type itself (bytes 1 to 3) is not listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldData {
    /// The three digits of the record type.
    pub record_type: String,
    /// The first byte of the field, counted from 1.
    pub first: usize,
    /// The last byte of the field, counted from 1.
    pub last: usize,
    /// The column's name.
    pub column: String,
    /// CPR's name of the field.
    pub cpr_name: String,
    /// The kind of value: `code`, `date`, …
    pub kind: String,
    /// Whether an empty field is filled with zeros. Other fields are filled with spaces.
    pub is_zero_filled: bool,
    /// The class of personal data, if the field has one.
    pub sensitivity: Option<String>,
}

/// Returns the record types in ascending order.
pub fn record_types() -> Vec<RecordTypeData> {
    let text = include_str!("../data/record_types.csv");
    let rows = rows(
        text,
        ["type", "name", "line_bytes", "meaning", "danish_title"],
    );
    let parse = |[record_type, table, lengths, description, cpr_title]: [String; 5]| {
        let lengths = lengths.split(' ').map(|length| length.parse().unwrap());
        RecordTypeData {
            record_type,
            table,
            lengths: lengths.collect(),
            description,
            cpr_title,
        }
    };
    rows.into_iter().map(parse).collect()
}

/// Returns the fields in the order of their record types and positions.
pub fn fields() -> Vec<FieldData> {
    let text = include_str!("../data/fields.csv");
    let rows = rows(
        text,
        [
            "type",
            "first_byte",
            "last_byte",
            "column",
            "cpr_field",
            "value",
            "filler",
            "data_class",
        ],
    );
    let parse = |row: [String; 8]| {
        let [
            record_type,
            first,
            last,
            column,
            cpr_name,
            kind,
            filler,
            class,
        ] = row;
        FieldData {
            record_type,
            first: first.parse().unwrap(),
            last: last.parse().unwrap(),
            column,
            cpr_name,
            kind,
            is_zero_filled: match filler.as_str() {
                "0" => true,
                "" => false,
                other => panic!("fields.csv: {other:?} is not a filler"),
            },
            sensitivity: Some(class).filter(|class| !class.is_empty()),
        }
    };
    rows.into_iter().map(parse).collect()
}

/// Returns the rules of every record type, as [`reference_reader`](crate::reference_reader) needs them.
pub fn rules() -> Rules {
    let mut rules: Rules = record_types()
        .into_iter()
        .map(|row| {
            let rule = TableRule {
                table: row.table,
                fields: Vec::new(),
            };
            (row.record_type, rule)
        })
        .collect();
    for field in fields() {
        let rule = rules.get_mut(&field.record_type);
        let rule = rule.expect("record_types.csv lists the record type of every field");
        rule.fields.push(FieldRule {
            column: field.column,
            position: field.first,
            length: field.last - field.first + 1,
            kind: field.kind,
            zeros: field.is_zero_filled,
        });
    }
    rules
}

/// Returns the rows of a CSV text with this header.
fn rows<const COLUMNS: usize>(text: &str, header: [&str; COLUMNS]) -> Vec<[String; COLUMNS]> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    assert_eq!(reader.headers().unwrap(), &header[..]);
    let row = |row: csv::Result<csv::StringRecord>| {
        let row = row.unwrap();
        std::array::from_fn(|place| row[place].to_owned())
    };
    reader.records().map(row).collect()
}
