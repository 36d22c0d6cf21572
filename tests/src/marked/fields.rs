//! Fills the fields of records with marks.

use std::collections::{BTreeMap, BTreeSet};

use super::{Mark, Place, Relative};
use crate::extract::Dice;
use crate::layout_data;
use crate::oracle::columns::relative;
use crate::oracle::events::{EVENTS, MARKS};
use crate::raw_record::Record;
use crate::reference_reader::{FieldRule, Rules};

/// The municipalities of the tests.
pub(super) const HOMES: [&str; 4] = ["0851", "0101", "0461", "0000"];

/// 2100-01-01: no other date of the extracts is later.
const FIRST_DAY: i64 = 47_482;

/// The moments are at this minute of their day.
const MINUTE: i64 = 13 * 60 + 37;

/// Fills records, and keeps account of the marks.
#[derive(Debug)]
pub(super) struct Fields {
    /// The class of each column, by record type.
    classes: BTreeMap<(String, String), String>,
    /// The class without which the records of a type are missing.
    subjects: BTreeMap<String, String>,
    is_small: bool,
    dice: Dice,
    next: u32,
    next_short: u32,
    next_day: i64,
    next_event: usize,
    births: i64,
    present: Vec<String>,
    marks: BTreeMap<Mark, Place>,
    numbers: BTreeSet<String>,
}

impl Fields {
    pub(super) fn new(seed: u64, is_small: bool) -> Self {
        let classes = layout_data::fields().into_iter();
        let classes = classes.filter_map(|field| {
            let key = (field.record_type, field.column);
            Some((key, field.sensitivity?))
        });
        let mut dice = Dice::new(seed);
        Self {
            classes: classes.collect(),
            subjects: documented_subjects(),
            is_small,
            // The marks of other seeds are others.
            next: u32::try_from(seed % 64).unwrap_or_default() << 18,
            next_short: 0,
            next_day: FIRST_DAY,
            next_event: dice.below(1000),
            births: 0,
            dice,
            present: Vec::new(),
            marks: BTreeMap::new(),
            numbers: BTreeSet::new(),
        }
    }

    /// Begins an extract with these persons.
    pub(super) fn begin(&mut self, present: Vec<String>) {
        self.numbers = present.iter().cloned().collect();
        self.present = present;
    }

    /// Ends an extract, and returns its marks and person numbers.
    pub(super) fn end(&mut self) -> (BTreeMap<Mark, Place>, BTreeSet<String>) {
        (
            std::mem::take(&mut self.marks),
            std::mem::take(&mut self.numbers),
        )
    }

    /// Returns a 001.
    pub(super) fn person<'a>(
        &mut self,
        rules: &'a Rules,
        own: &str,
        status: Option<&str>,
        current: Option<&str>,
    ) -> Record<'a> {
        const STATUSES: [&str; 16] = [
            "01", "01", "01", "01", "01", "01", "03", "05", "07", "20", "30", "70", "80", "90",
            "01", "",
        ];
        let drawn = STATUSES[self.dice.below(STATUSES.len())];
        let born = -10_957 + self.births * 997 % 28_000;
        self.births += 1;
        let mut record = Record::blank(rules, "001");
        self.fill(&mut record, own, |column| match column {
            "status" => Some(status.unwrap_or(drawn).to_owned()),
            "current_pnr" => Some(current.unwrap_or_default().to_owned()),
            "birth_date" => Some(iso_date(born)),
            _ => None,
        });
        record
    }

    /// Returns a 022.
    pub(super) fn former(&mut self, rules: &Rules, own: &str, former: &str) -> Vec<u8> {
        self.numbers.insert(former.to_owned());
        self.filled(rules, "022", own, |column| {
            (column == "former_pnr").then(|| former.to_owned())
        })
    }

    /// Returns a record of the mother (031), the father (032) or a child (033) with a start date of protection.
    pub(super) fn relative_with_date(
        &mut self,
        rules: &Rules,
        own: &str,
        which: u8,
        other: &str,
    ) -> Vec<u8> {
        let (record_type, number) = [
            ("031", "mother_pnr"),
            ("032", "father_pnr"),
            ("033", "child_pnr"),
        ][usize::from(which) % 3];
        let since = ["2001-05-17", "2031-05-17", "2026-00-00", "?"][self.dice.below(4)];
        self.filled(rules, record_type, own, |column| match column {
            "protection_start_date" => Some(since.to_owned()),
            column => (column == number).then(|| other.to_owned()),
        })
    }

    /// Returns a 997.
    pub(super) fn receipt(&mut self, rules: &Rules, own: &str) -> Vec<u8> {
        self.filled(rules, "997", own, |_| None)
    }

    /// Returns a 910, which belongs to no person.
    pub(super) fn input_error(&mut self, rules: &Rules) -> Vec<u8> {
        let mut record = Record::blank(rules, "910");
        let named = self.present.first().cloned().unwrap_or_default();
        self.fill_as(&mut record, None, |column| {
            (column == "sort_key").then(|| named.clone())
        });
        record.line()
    }

    /// Returns records of most other types.
    pub(super) fn others(&mut self, rules: &Rules, own: &str) -> Vec<Vec<u8>> {
        const MADE_APART: [&str; 7] = ["000", "001", "004", "022", "910", "997", "999"];
        const SMALL: [&str; 4] = ["002", "008", "015", "099"];
        let mut lines = Vec::new();
        for record_type in rules.keys() {
            let record_type = record_type.as_str();
            if MADE_APART.contains(&record_type) || self.is_small && !SMALL.contains(&record_type) {
                continue;
            }
            let count = match record_type {
                "002" | "008" => 1,
                "099" => 1 + self.dice.below(2),
                _ => usize::from(self.dice.below(3) > 0),
            };
            for _ in 0..count {
                lines.push(self.filled(rules, record_type, own, |_| None));
            }
        }
        lines
    }

    /// Sets marks as the dates of a 004.
    pub(super) fn dates_of_protection(&mut self, record: &mut Record, own: &str, kind: &str) {
        for column in ["start_date", "deletion_date"] {
            let mut place = self.place(record, column, Some(own));
            place.needs.extend(economic(kind));
            let day = self.day(place);
            record.set(column, &iso_date(day));
        }
    }

    /// Returns the line of a record that is filled with marks, except for what `set` decides.
    fn filled(
        &mut self,
        rules: &Rules,
        record_type: &str,
        own: &str,
        set: impl Fn(&str) -> Option<String>,
    ) -> Vec<u8> {
        let mut record = Record::blank(rules, record_type);
        self.fill(&mut record, own, set);
        record.line()
    }

    fn fill(&mut self, record: &mut Record, own: &str, set: impl Fn(&str) -> Option<String>) {
        self.fill_as(record, Some(own), set);
    }

    fn fill_as(
        &mut self,
        record: &mut Record,
        own: Option<&str>,
        set: impl Fn(&str) -> Option<String>,
    ) {
        let fields = record.rule.fields.clone();
        // What the marks of a record depend on comes first: numbers of relatives, and codes that tell a class.
        for field in &fields {
            let text = match (set(&field.column), own) {
                (Some(text), _) => text,
                (None, Some(own)) if field.column == "pnr" => own.to_owned(),
                _ => match self.known(record, field) {
                    Some(text) => text,
                    None => continue,
                },
            };
            record.set(&field.column, &text);
        }
        for field in &fields {
            if set(&field.column).is_none()
                && field.column != "pnr"
                && self.known_columns(record, field).is_none()
            {
                self.mark(record, field, own);
            }
        }
        if own.is_some() && self.dice.below(24) == 0 {
            let mut place = self.place(record, "+", own);
            place.is_irregular = true;
            let mark = self.long(place);
            record.tail = mark;
        }
    }

    /// Returns what a column holds instead of a mark, if it holds something else.
    fn known(&mut self, record: &Record, field: &FieldRule) -> Option<String> {
        match self.known_columns(record, field)? {
            Known::Relative => Some(self.number_of_relative(field)),
            Known::OneOf(codes) => Some(codes[self.dice.below(codes.len())].to_owned()),
            Known::Event => {
                let codes: Vec<&str> = EVENTS.keys().map(String::as_str).collect();
                self.next_event += 1;
                Some(match self.next_event % (codes.len() + 2) {
                    0 => "A99".to_owned(),
                    1 => String::new(),
                    code => codes[code - 2].to_owned(),
                })
            }
            Known::DerivedMark => {
                let marks: Vec<&str> = MARKS.keys().map(String::as_str).collect();
                Some(match self.dice.below(marks.len() * 2) {
                    0 => "ZZ".to_owned(),
                    mark => marks.get(mark - 1).copied().unwrap_or_default().to_owned(),
                })
            }
            Known::Filling => {
                Some(["*", " ", "1", "G", "?"][self.dice.below(5)].repeat(field.length.min(3)))
            }
        }
    }

    /// Returns what kind of value a column holds, if it is not filled with marks.
    fn known_columns(&self, record: &Record, field: &FieldRule) -> Option<Known> {
        Some(match (record.rule.table.as_str(), field.column.as_str()) {
            ("address", "municipality_code") => Known::OneOf(&HOMES),
            ("protection_history", "protection_type") => {
                Known::OneOf(&["0001", "0002", "0005", "1", "", "0003"])
            }
            ("civil_status", "civil_status") => Known::OneOf(&["G", "P", "F", "E", "U", "D", "?"]),
            ("municipal_condition", "condition_type") => {
                Known::OneOf(&["1", "2", "3", "4", "5", ""])
            }
            (_, "event_code") => Known::Event,
            (_, "derived_mark") => Known::DerivedMark,
            // Only the shapes decide who is protected by a relative's record.
            ("mother_address" | "father_address" | "child_address", "protection_start_date") => {
                Known::OneOf(&[""])
            }
            _ if field.kind == "pnr" && field.column != "pnr" => Known::Relative,
            _ if field.kind == "flag" || field.length < MARK_LENGTHS[0] => Known::Filling,
            _ => return None,
        })
    }

    /// Returns a number of somebody in the extract or of nobody, or something that is no number.
    fn number_of_relative(&mut self, field: &FieldRule) -> String {
        match self.dice.below(20) {
            0 | 1 => {
                let absent = format!("281170{:04}", self.dice.below(40));
                self.numbers.insert(absent.clone());
                absent
            }
            2 => "01017O1234".to_owned(),
            3 if field.zeros => "0000000000".to_owned(),
            3 | 4 => String::new(),
            _ => self.present[self.dice.below(self.present.len())].clone(),
        }
    }

    /// Fills a field with a mark.
    fn mark(&mut self, record: &mut Record, field: &FieldRule, own: Option<&str>) {
        let mut place = self.place(record, &field.column, own);
        let draw = self.dice.below(40);
        let text = match field.kind.as_str() {
            // The day of an event is shown also if the event is hidden, so it is no mark.
            "date" | "timestamp" if draw == 0 && field.column != "registered" => {
                place.is_irregular = true;
                self.long(place)
            }
            // A person number where there should be a date.
            "date" | "timestamp" if draw == 1 => own.unwrap_or_default().to_owned(),
            "date" => iso_date(self.day(place)),
            "timestamp" => {
                let day = self.moment(place);
                format!("{}1337", iso_date(day).replace('-', ""))
            }
            _ if field.length < MARK_LENGTHS[1] => self.short(place),
            _ if field.length >= 30 && draw < 3 => {
                place.has_number = true;
                let mark = self.long(place);
                let (birth, serial) = own.unwrap_or("0101701234").split_at(6);
                match draw {
                    0 => format!("{mark} {birth}{serial}"),
                    1 => format!("{mark} {birth}-{serial} \u{e6}"),
                    _ => format!("{birth} {serial}{mark}"),
                }
            }
            _ => self.long(place),
        };
        record.set(&field.column, &text);
    }

    /// Describes a column of a record.
    fn place(&self, record: &Record, column: &str, own: Option<&str>) -> Place {
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
            has_number: false,
        }
    }

    fn long(&mut self, place: Place) -> String {
        let mut text = "Zq".to_owned();
        for digit in (0..6).rev() {
            let letter = self.next >> (4 * digit) & 15;
            text.extend(char::from_digit(letter + 10, 36).map(|c| c.to_ascii_uppercase()));
        }
        self.next += 1;
        self.marks.insert(Mark::Long(text.clone()), place);
        text
    }

    fn short(&mut self, place: Place) -> String {
        let mut text = "w".to_owned();
        for digit in (0..3).rev() {
            let letter = self.next_short >> (5 * digit) & 31;
            text.extend(char::from_digit(letter, 32).map(|c| c.to_ascii_uppercase()));
        }
        self.next_short += 1;
        let before = self.marks.insert(Mark::Short(text.clone()), place);
        assert!(
            before.is_none(),
            "there are no more marks of four characters"
        );
        text
    }

    fn day(&mut self, place: Place) -> i64 {
        let day = self.next_day;
        self.next_day += 1;
        self.marks.insert(Mark::Day(day), place);
        day
    }

    fn moment(&mut self, place: Place) -> i64 {
        let day = self.next_day;
        self.next_day += 1;
        let micros = (day * 24 * 60 + MINUTE) * 60 * 1_000_000;
        self.marks.insert(Mark::Moment(micros), place);
        day
    }
}

/// The lengths of a short and of a long mark.
const MARK_LENGTHS: [usize; 2] = [4, 8];

/// What kind of value a column holds that is not filled with marks.
enum Known {
    /// A person number.
    Relative,
    /// One of these codes.
    OneOf(&'static [&'static str]),
    /// An event code: each in turn, and some of unknown meaning.
    Event,
    /// A derived mark, or none.
    DerivedMark,
    /// A field that is too short for a mark.
    Filling,
}

/// The classes of an event or a derived mark; all classes if its meaning is not known.
fn of_event(
    code: &str,
    codes: &BTreeMap<String, crate::oracle::events::Disclosed>,
) -> BTreeSet<String> {
    if code.is_empty() {
        return BTreeSet::new();
    }
    let known = codes.get(code).and_then(|code| code.classes.clone());
    known.unwrap_or_else(|| crate::oracle::columns::CLASSES.map(str::to_owned).into())
}

/// The class of a protection that can be a credit warning.
fn economic(kind: &str) -> Option<String> {
    let is_readable = kind.len() == 4 && kind.bytes().all(|byte| byte.is_ascii_digit());
    (kind == "0005" || !is_readable).then(|| "economic".to_owned())
}

fn iso_date(days: i64) -> String {
    let date = chrono::NaiveDate::default() + chrono::TimeDelta::days(days);
    date.format("%Y-%m-%d").to_string()
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
