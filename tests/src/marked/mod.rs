//! Extracts in which every value that a field has room for is a mark: a text or a time that stands nowhere else.
//!
//! So a mark in a tenant's output tells from which record and which column it came. The persons are of special
//! [`shape`]s, and the extract knows from the way it was made who is protected. What [`promises`] asks of a tenant's
//! output follows from that, without the oracle.

mod documented;
mod fields;
mod mark_source;
pub mod promises;
pub mod shape;

use std::collections::{BTreeMap, BTreeSet};

use crate::extract::{self, Dice};
use crate::raw_record::Record;
use crate::reference_reader::Rules;
use fields::Fields;
use shape::{DAMAGES, HARMLESS, OTHER_TYPES, Part, Shape, Truth, UNREADABLE_TYPES};

/// A value that stands nowhere else.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    /// A text of eight characters, which random bytes do not contain.
    Long(String),
    /// A text of four characters, where a field has no room for more.
    Short(String),
    /// A date, in days since 1970-01-01.
    Day(i64),
    /// A moment, in microseconds since 1970-01-01.
    Moment(i64),
}

/// Where a mark stands, and what decides whether a tenant may see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The person of the record; none for records without a person.
    pub owner: Option<String>,
    /// The relative whom the column is about.
    pub relative: Option<Relative>,
    /// The record type.
    pub record_type: String,
    /// The table.
    pub table: String,
    /// The column; `+` for what follows the known layout.
    pub column: String,
    /// The class of the column.
    pub class: Option<String>,
    /// The classes without which the mark is hidden, whatever the person.
    pub needs: BTreeSet<String>,
    /// Whether the column shows where the person is or was.
    pub is_place: bool,
    /// Whether the mark is not a value of its column, but only raw text in `irregular`.
    pub is_irregular: bool,
    /// Whether the record has a value that its column cannot have, so that values may stand in wrong columns.
    pub is_shifted: bool,
    /// Whether only a value about a former spouse is such a value. It is not judged where former spouses are hidden.
    pub is_shifted_by_former_spouse: bool,
    /// Whether the text also holds a person number.
    pub has_number: bool,
}

/// A relative whom a column is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Relative {
    /// The relative's number.
    Number(String),
    /// The record does not tell the number.
    Unknown,
}

/// An extract in which every value is a mark.
#[derive(Debug, Clone)]
pub struct MarkedExtract {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Who is protected.
    pub truth: Truth,
    /// The marks, and where they stand.
    pub marks: BTreeMap<Mark, Place>,
    /// Every person number of the extract.
    pub numbers: BTreeSet<String>,
}

/// What each night delivers of some persons.
#[derive(Debug, Clone)]
pub struct Nights {
    /// The shapes: for each group of numbers, one for each night. In nights without one, the group is not delivered.
    pub shapes: Vec<Vec<Option<Shape>>>,
    /// The night with a 004 whose person number cannot be read.
    pub unreadable: Option<usize>,
    /// What decides everything else.
    pub seed: u64,
    /// Whether persons have only a few kinds of records.
    pub is_small: bool,
}

impl Nights {
    /// Returns the extracts, one for each night. No mark stands in two of them.
    pub fn extracts(&self, rules: &Rules) -> Vec<MarkedExtract> {
        let nights = self.shapes.iter().map(Vec::len).max().unwrap_or_default();
        let mut fields = Fields::new(self.seed, self.is_small);
        (0..nights)
            .map(|night| self.extract(rules, &mut fields, night))
            .collect()
    }

    fn extract(&self, rules: &Rules, fields: &mut Fields, night: usize) -> MarkedExtract {
        let groups: Vec<(usize, Shape)> = self
            .shapes
            .iter()
            .enumerate()
            .filter_map(|(group, nights)| Some((group, (*nights.get(night)?)?)))
            .collect();
        let mut truth = Truth {
            is_anybody: self.unreadable == Some(night),
            ..Truth::default()
        };
        let mut present = Vec::new();
        for (group, shape) in &groups {
            for (place, part) in shape.parts().iter().enumerate() {
                let number = number(*group, place);
                if part.has_person {
                    truth.delivered.insert(number.clone());
                }
                if part.is_protected && part.has_person {
                    truth.protected.insert(number.clone());
                }
                if part.is_uncertain {
                    truth.uncertain.insert(number.clone());
                }
                if part.is_there {
                    present.push(number);
                }
            }
        }
        fields.begin(present);
        let mut persons = Vec::new();
        for (group, shape) in groups {
            for (place, part) in shape.parts().iter().enumerate() {
                if part.is_there {
                    persons.push(person(rules, fields, group, place, shape, part));
                }
            }
        }
        let mut dice = Dice::new(self.seed ^ (night as u64) << 32);
        let mut lines = ordered(persons, &mut dice);
        if truth.is_anybody {
            let damaged = [
                &b"004010170 11"[..],
                b"004",
                b"004010170O1110001",
                b"00400000000000001",
            ];
            let place = dice.below(lines.len() + 1);
            lines.insert(place, damaged[dice.below(4)].to_vec());
        }
        lines.push(fields.input_error(rules));
        let (marks, numbers) = fields.end();
        MarkedExtract {
            bytes: whole(lines, night),
            truth,
            marks,
            numbers,
        }
    }
}

/// Returns the person number at this place of a group.
fn number(group: usize, place: usize) -> String {
    format!(
        "{:02}{:02}70{:04}",
        1 + group % 28,
        1 + place,
        // No number ends with zeros, which could be the beginning of the type 0001 in a short 004.
        1001 + 7 * group + place
    )
}

/// Puts the records of the persons in one of several orders.
fn ordered(mut persons: Vec<Vec<Vec<u8>>>, dice: &mut Dice) -> Vec<Vec<u8>> {
    let order = dice.below(4);
    if order == 1 {
        persons.reverse();
    }
    let mut lines: Vec<Vec<u8>> = persons.into_iter().flatten().collect();
    match order {
        // All 001, then all 002, …
        2 => lines.sort_by_key(|line| line.iter().take(3).copied().collect::<Vec<u8>>()),
        3 => {
            for place in (1..lines.len()).rev() {
                lines.swap(place, dice.below(place + 1));
            }
        }
        _ => {}
    }
    lines
}

/// Adds the start and the end record of a night.
fn whole(mut lines: Vec<Vec<u8>>, night: usize) -> Vec<u8> {
    let day = |night| format!("202603{:02}", 2 + night);
    let before = match night {
        0 => "        ".to_owned(),
        night => day(night - 1),
    };
    let start = format!("0000000000000431101{}{before}", day(night));
    // Blank lines are not counted.
    let records = lines
        .iter()
        .filter(|line| line.iter().any(|byte| *byte != b' '))
        .count();
    lines.insert(0, start.into_bytes());
    lines.push(format!("9999999999999{records:08}").into_bytes());
    extract::join(&lines, b"\n")
}

/// Returns the lines of one number of a shape.
fn person(
    rules: &Rules,
    fields: &mut Fields,
    group: usize,
    place: usize,
    shape: Shape,
    part: &Part,
) -> Vec<Vec<u8>> {
    let of = |place: u8| number(group, place.into());
    let own = number(group, place);
    let mut lines = Vec::new();
    if part.has_person {
        let current = part.current.map(of);
        let record = fields.person(rules, &own, part.status, current.as_deref());
        if let Shape::Twice { differ } = shape {
            let mut other = record.clone();
            if differ {
                other.set("sex", "X");
            }
            lines.push(other.line());
        }
        lines.push(record.line());
    }
    if let Some(former) = part.former.map(of) {
        lines.push(fields.former(rules, &own, &former));
    }
    lines.extend(protections(rules, fields, &own, place, shape));
    if let (Shape::RelativeWithDate(relative), 0) = (shape, place) {
        lines.push(fields.relative_with_date(rules, &own, relative, &of(1)));
    }
    if shape.is_unsubscribed() {
        lines.push(fields.receipt(rules, &own));
    }
    lines.extend(fields.others(rules, &own));
    lines
}

/// Returns the lines that tell of protections of a number.
fn protections(
    rules: &Rules,
    fields: &mut Fields,
    own: &str,
    place: usize,
    shape: Shape,
) -> Vec<Vec<u8>> {
    let filled = |template: &str| {
        let (birth, serial) = own.split_at(6);
        let line = template.replace('%', birth).replace('#', serial);
        line.into_bytes()
    };
    let of_type = |fields: &mut Fields, kind: &str, dates: &str| {
        let mut record = Record::blank(rules, "004");
        record.set("pnr", own);
        record.set("protection_type", kind);
        if dates.is_empty() {
            fields.dates_of_protection(&mut record, own, kind);
        } else {
            record.set("start_date", dates);
            record.set("deletion_date", dates.get(10..).unwrap_or_default());
        }
        record.line()
    };
    match shape {
        Shape::Protected(dates) => vec![of_type(fields, "0001", dates.text())],
        Shape::ProtectedTwice => vec![
            of_type(fields, "0001", "2001-05-172020-05-17"),
            of_type(fields, "0001", ""),
        ],
        Shape::OtherProtection(kind) => vec![of_type(
            fields,
            OTHER_TYPES[usize::from(kind) % OTHER_TYPES.len()],
            "",
        )],
        Shape::UnreadableType(kind) => {
            let kind = UNREADABLE_TYPES[usize::from(kind) % UNREADABLE_TYPES.len()];
            vec![filled(&format!("004%#{kind}"))]
        }
        Shape::Damaged(kind) => vec![filled(DAMAGES[usize::from(kind) % DAMAGES.len()])],
        Shape::Harmless(kind) => vec![filled(HARMLESS[usize::from(kind) % HARMLESS.len()])],
        _ => {
            let is_here = |number: &u8| usize::from(*number) == place;
            let here = shape.with_protection().into_iter().filter(is_here);
            here.map(|_| of_type(fields, "0001", "")).collect()
        }
    }
}
