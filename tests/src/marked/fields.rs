//! Fills the fields of records with marks.

use std::collections::{BTreeMap, BTreeSet};

use super::documented::{Documented, economic};
use super::mark_source::MarkSource;
use super::promises::FORMER_SPOUSE;
use super::{Mark, Place};
use crate::extract::Dice;
use crate::oracle::events::{EVENTS, MARKS};
use crate::raw_record::Record;
use crate::reference_reader::{FieldRule, Rules};

/// The municipalities of the tests.
const HOMES: [&str; 4] = ["0851", "0101", "0461", "0000"];

/// Fills records, and keeps account of the marks.
#[derive(Debug)]
pub(super) struct Fields {
    documented: Documented,
    marks: MarkSource,
    is_small: bool,
    dice: Dice,
    next_event: usize,
    births: i64,
    present: Vec<String>,
    numbers: BTreeSet<String>,
    /// Whether the present record has a value that its column cannot have.
    is_shifted: bool,
    /// Whether it has one that is about a former spouse.
    is_shifted_by_former_spouse: bool,
    /// Whether the present record may get such a value.
    may_shift: bool,
}

impl Fields {
    pub(super) fn new(seed: u64, is_small: bool) -> Self {
        let mut dice = Dice::new(seed);
        Self {
            documented: Documented::new(),
            marks: MarkSource::new(seed),
            is_small,
            next_event: dice.below(1000),
            births: 0,
            dice,
            present: Vec::new(),
            numbers: BTreeSet::new(),
            is_shifted: false,
            is_shifted_by_former_spouse: false,
            may_shift: false,
        }
    }

    /// Begins an extract with these persons.
    pub(super) fn begin(&mut self, present: Vec<String>) {
        self.numbers = present.iter().cloned().collect();
        self.present = present;
    }

    /// Ends an extract, and returns its marks and person numbers.
    pub(super) fn end(&mut self) -> (BTreeMap<Mark, Place>, BTreeSet<String>) {
        (self.marks.take(), std::mem::take(&mut self.numbers))
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
            "01", "01",
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
            let mut place = self.documented.place(record, column, Some(own));
            place.needs.extend(economic(kind));
            let day = self.marks.day(place);
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
        self.is_shifted = false;
        self.is_shifted_by_former_spouse = false;
        // Only records that say nothing about protections and scopes, so that the marks alone differ.
        let certain = [
            "person",
            "address",
            "plaintext_address",
            "protection",
            "former_pnr",
            "event",
            "subscription_receipt",
        ];
        self.may_shift = !certain.contains(&record.rule.table.as_str());
        self.marks.begin_record();
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
            let mut place = self.documented.place(record, "+", own);
            place.is_irregular = true;
            let mark = self.marks.long(place);
            record.tail = mark;
        }
        if self.is_shifted {
            self.marks.shift_record();
        }
        if self.is_shifted_by_former_spouse {
            self.marks.shift_record_by_former_spouse();
        }
    }

    /// Notes that this field of the record gets a value that it cannot have.
    fn shift(&mut self, record: &Record, field: &FieldRule) {
        let place = self.documented.place(record, &field.column, None);
        match place.needs.contains(FORMER_SPOUSE) {
            true => self.is_shifted_by_former_spouse = true,
            false => self.is_shifted = true,
        }
    }

    /// Returns what a column holds instead of a mark, if it holds something else.
    fn known(&mut self, record: &Record, field: &FieldRule) -> Option<String> {
        match self.known_columns(record, field)? {
            Known::Relative => Some(self.number_of_relative(record, field)),
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
            Known::Filling if field.kind == "flag" => {
                let draw = self.dice.below(200).max(usize::from(!self.may_shift));
                if draw == 0 {
                    self.shift(record, field);
                }
                Some(["G", "*", " "][draw.min(1 + draw % 2)].to_owned())
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
    fn number_of_relative(&mut self, record: &Record, field: &FieldRule) -> String {
        match self.dice.below(20) {
            2 if self.dice.below(2) == 0 && self.may_shift => {
                self.shift(record, field);
                "01017O1234".to_owned()
            }
            0..=2 => {
                let absent = format!("281170{:04}", self.dice.below(40));
                self.numbers.insert(absent.clone());
                absent
            }
            3 if field.zeros => "0000000000".to_owned(),
            3 | 4 => String::new(),
            _ => self.present[self.dice.below(self.present.len())].clone(),
        }
    }

    /// Fills a field with a mark.
    fn mark(&mut self, record: &mut Record, field: &FieldRule, own: Option<&str>) {
        let mut place = self.documented.place(record, &field.column, own);
        let mut draw = self.dice.below(120);
        if draw < 4 && !self.may_shift && field.kind != "text" {
            draw = 4;
        }
        let text = match field.kind.as_str() {
            // The day of an event is shown also if the event is hidden, so it is no mark.
            "date" | "timestamp" if draw == 0 && field.column != "registered" => {
                place.is_irregular = true;
                self.shift(record, field);
                self.marks.long(place)
            }
            // A person number where there should be a date.
            "date" | "timestamp" if draw == 1 && own.is_some() => {
                self.shift(record, field);
                own.unwrap_or_default().to_owned()
            }
            "uuid" if draw > 3 => "0a3f50b1-23cd-4123-8123-0A3F50B1234d".to_owned(),
            "uuid" => {
                self.shift(record, field);
                self.marks.long(place)
            }
            "date" => iso_date(self.marks.day(place)),
            "timestamp" => {
                let day = self.marks.moment(place);
                format!("{}1337", iso_date(day).replace('-', ""))
            }
            _ if field.length < MARK_LENGTHS[1] => self.marks.short(place),
            _ if field.length >= 30 && draw < 9 => {
                place.has_number = true;
                let mark = self.marks.long(place);
                let (birth, serial) = own.unwrap_or("0101701234").split_at(6);
                match draw % 3 {
                    0 => format!("{mark} {birth}{serial}"),
                    1 => format!("{mark} {birth}-{serial} \u{e6}"),
                    _ => format!("{birth} {serial}{mark}"),
                }
            }
            _ => self.marks.long(place),
        };
        record.set(&field.column, &text);
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

fn iso_date(days: i64) -> String {
    let date = chrono::NaiveDate::default() + chrono::TimeDelta::days(days);
    date.format("%Y-%m-%d").to_string()
}
