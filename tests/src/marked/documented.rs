//! What decides whether a column may be shown, by the documentation and by the data of the tests.

use std::collections::{BTreeMap, BTreeSet};

use super::{Place, Relative};
use crate::layout_data;
use crate::oracle::columns::{CLASSES, relative};
use crate::oracle::events::{Disclosed, EVENTS, MARKS};
use crate::raw_record::Record;

/// The classes of columns and record types.
#[derive(Debug)]
pub(super) struct Documented {
    /// The class of each column, by record type.
    classes: BTreeMap<(String, String), String>,
    /// The class without which the records of a type are missing.
    subjects: BTreeMap<String, String>,
}

impl Documented {
    pub(super) fn new() -> Self {
        let classes = layout_data::fields().into_iter();
        let classes = classes.filter_map(|field| {
            let key = (field.record_type, field.column);
            Some((key, field.sensitivity?))
        });
        Self {
            classes: classes.collect(),
            subjects: documented_subjects(),
        }
    }

    /// Describes a column of a record.
    pub(super) fn place(&self, record: &Record, column: &str, own: Option<&str>) -> Place {
        let record_type = record.record_type();
        let record_type = record_type.as_str();
        let table = record.rule.table.clone();
        let class = self
            .classes
            .get(&(record_type.to_owned(), column.to_owned()));
        let mut needs: BTreeSet<String> = self
            .subjects
            .get(record_type)
            .cloned()
            .into_iter()
            .collect();
        needs.extend(class.map(|class| match (class.as_str(), record_type) {
            ("civil-status", "029" | "030") => "civil-status-history".to_owned(),
            (class, _) => class.to_owned(),
        }));
        let relative = relative(&table, column).map(|number| {
            let number = record.get(number);
            let is_number = number.len() == 10 && number.bytes().all(|b| b.is_ascii_digit());
            match is_number && number != "0000000000" {
                true => Relative::Number(number),
                false => Relative::Unknown,
            }
        });
        if column == "registered" {
            needs.extend(of_event(&record.get("event_code"), &EVENTS));
            if record_type == "099" {
                needs.extend(of_event(&record.get("derived_mark"), &MARKS));
            }
        }
        if record_type == "910" {
            needs.insert("free-text".to_owned());
        }
        if record_type == "034" {
            needs.extend(economic(&record.get("protection_type")));
        }
        let is_place = match (record_type, column) {
            ("009", "birth_authority_code") | ("020", "election_code") => true,
            // All persons of a place have these events.
            ("099" | "997", "registered") => {
                matches!(record.get("event_code").as_str(), "P10" | "A42")
            }
            ("018", "condition_code") => {
                !matches!(record.get("condition_type").as_str(), "1" | "2" | "3")
            }
            _ => false,
        };
        if record_type == "012" && relative.is_some() {
            let is_present = matches!(record.get("civil_status").as_str(), "G" | "P");
            needs.extend((!is_present).then(|| "civil-status-history".to_owned()));
        }
        Place {
            owner: own.map(str::to_owned),
            relative,
            record_type: record_type.to_owned(),
            table,
            column: column.to_owned(),
            class: class.cloned(),
            needs,
            is_place,
            is_irregular: false,
            is_shifted: false,
            is_shifted_by_former_spouse: false,
            has_number: false,
        }
    }
}

/// The classes of an event or a derived mark; all classes if its meaning is not known.
fn of_event(code: &str, codes: &BTreeMap<String, Disclosed>) -> BTreeSet<String> {
    if code.is_empty() {
        return BTreeSet::new();
    }
    let known = codes.get(code).and_then(|code| code.classes.clone());
    known.unwrap_or_else(|| CLASSES.map(str::to_owned).into())
}

/// The class of a protection that can be a credit warning.
pub(super) fn economic(kind: &str) -> Option<String> {
    let is_readable = kind.len() == 4 && kind.bytes().all(|byte| byte.is_ascii_digit());
    (kind == "0005" || !is_readable).then(|| "economic".to_owned())
}

/// Returns the record types that are missing without a class, as `docs/privacy.md` lists them.
fn documented_subjects() -> BTreeMap<String, String> {
    let text = include_str!("../../../docs/privacy.md");
    let mut subjects = BTreeMap::new();
    for line in text.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let &["", class, types, ""] = cells.as_slice() else {
            continue;
        };
        let Some(class) = class.strip_prefix('`').and_then(|c| c.strip_suffix('`')) else {
            continue;
        };
        let types: Vec<&str> = types.split(", ").collect();
        let is_type = |text: &&str| text.len() == 3 && text.bytes().all(|b| b.is_ascii_digit());
        if types.iter().all(is_type) {
            for record_type in types {
                subjects.insert(record_type.to_owned(), class.to_owned());
            }
        }
    }
    assert!(
        subjects.len() > 30,
        "docs/privacy.md lists the tables of each class"
    );
    subjects
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_tables_of_the_documentation() {
        let subjects = documented_subjects();
        for (record_type, class) in [("002", "address"), ("011", "religion"), ("910", "identity")] {
            assert_eq!(subjects[record_type], class);
        }
    }
}
