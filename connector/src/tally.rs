//! The books of a scan: what was seen, whether it adds up, and what a person should hear of it.

use std::collections::BTreeMap;
use std::num::NonZeroU8;

use roaring::RoaringTreemap;

use crate::error::{Error, Position};
use crate::finding::{Code, Finding, Place};
use crate::grammar::{self, StartRecord};
use crate::layout::{self, Table};
use crate::packed::{GREENLAND, GREENLAND_PERSON_LENGTH};
use crate::table::Sightings;
use crate::value;

/// The end record's counter cannot say more.
const COUNTER_LIMIT: u64 = 99_999_999;

/// Places that a finding lists at the most.
const MAX_PLACES: usize = 1_000;

/// What a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// A record of the layout at this place of [`layout::tables`].
    Known(usize),
    /// A record of a type that no layout covers.
    Unknown(u16),
    /// No record.
    Rejected(Reason),
}

/// Why a line is no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reason {
    /// It does not begin with three digits.
    NoRecordType,
    /// Its type has a PNR for a key, and there are no ten digits there.
    IncompleteKey,
}

impl Reason {
    /// The reason as the table of rejected lines writes it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::NoRecordType => "no-record-type",
            Self::IncompleteKey => "incomplete-key",
        }
    }
}

/// Some of the record types that have a PNR for a key.
pub(crate) struct TypeSet {
    /// Record type number to place in [`layout::tables`].
    places: Vec<Option<NonZeroU8>>,
}

impl TypeSet {
    /// The keyed types at the places in [`layout::tables`] that are chosen.
    pub(crate) fn keyed(chosen: impl Fn(usize) -> bool) -> Self {
        let place = |number| {
            // No place is 0: that is the start record's, which has no key.
            let index = layout::index_of_number(number).filter(|index| is_keyed(*index))?;
            NonZeroU8::new(u8::try_from(index).ok().filter(|_| chosen(index))?)
        };
        Self {
            places: (0..1000).map(place).collect(),
        }
    }

    /// Whether no type is in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.places.iter().all(Option::is_none)
    }

    /// Whether the line is of one of the types, by its first digits, and no longer than a record.
    #[inline]
    pub(crate) fn has_type_of(&self, line: &[u8]) -> bool {
        let number = line
            .first_chunk()
            .and_then(|digits| layout::type_number(*digits));
        line.len() <= layout::LONGEST_RECORD && number.and_then(|n| self.get(n)).is_some()
    }

    #[inline]
    fn get(&self, number: u16) -> Option<usize> {
        let place = self.places.get(usize::from(number)).copied().flatten()?;
        Some(usize::from(place.get()))
    }
}

/// What the line is.
#[inline]
pub(crate) fn classify(record: &[u8]) -> Class {
    let digits = record.first_chunk::<3>();
    let Some(number) = digits.and_then(|digits| layout::type_number(*digits)) else {
        return Class::Rejected(Reason::NoRecordType);
    };
    match layout::index_of_number(number) {
        None => Class::Unknown(number),
        Some(index) if is_keyed(index) && !record.get(3..13).is_some_and(value::is_pnr) => {
            Class::Rejected(Reason::IncompleteKey)
        }
        Some(index) => Class::Known(index),
    }
}

/// The books.
pub(crate) struct Tally {
    pub(crate) records: u64,
    /// Records by place in [`crate::schema::all_tables`].
    pub(crate) by_table: Vec<u64>,
    pub(crate) start: Option<StartRecord>,
    end: Option<End>,
    is_complete: bool,
    encoding: Encoding,
    look_alike: Option<(Position, &'static str)>,
    after_end: BTreeMap<String, Sightings>,
    input_errors_after_end: u64,
    unknown: BTreeMap<u16, Sightings>,
    rejected: BTreeMap<Reason, Sightings>,
    longer: Vec<Sightings>,
    has_long_person: bool,
    persons: Option<Persons>,
    expected_previous: Option<i32>,
}

struct End {
    declared: Option<u64>,
    /// Records between start and end.
    inside: u64,
    line: u64,
}

/// The numbers seen, to find those without 001.
#[derive(Default)]
struct Persons {
    with_person_record: RoaringTreemap,
    seen: RoaringTreemap,
    last: Option<u64>,
}

/// Whether the file is UTF-8 by mistake. One record with a byte that is not clears it.
#[derive(Default)]
struct Encoding {
    is_latin1: bool,
    utf8_only: Sightings,
}

impl Tally {
    pub(crate) fn new(check_persons: bool, expected_previous: Option<i32>) -> Self {
        Self {
            records: 0,
            by_table: vec![0; crate::schema::table_count()],
            start: None,
            end: None,
            is_complete: false,
            encoding: Encoding::default(),
            look_alike: None,
            after_end: BTreeMap::new(),
            input_errors_after_end: 0,
            unknown: BTreeMap::new(),
            rejected: BTreeMap::new(),
            longer: vec![Sightings::default(); layout::tables().len()],
            has_long_person: false,
            persons: check_persons.then(Persons::default),
            expected_previous,
        }
    }

    /// Enters a record, and says what it is.
    #[inline]
    pub(crate) fn enter(&mut self, record: &[u8], position: Position) -> Result<Class, Error> {
        self.encoding.see(record, position.line);
        let class = classify(record);
        if self.records == 0 {
            self.begin(record, class, position)?;
        }
        if self.end.is_some() {
            self.enter_after_end(record, class, position.line);
        }
        match class {
            Class::Known(index) => {
                if let Some(count) = self.by_table.get_mut(index) {
                    *count += 1;
                }
                if let Some(table) = layout::tables().get(index) {
                    self.enter_known(index, table, record, position)?;
                }
            }
            Class::Unknown(number) => self.enter_unknown(number, position)?,
            Class::Rejected(reason) => {
                self.by_table[layout::tables().len() + 1] += 1;
                self.rejected.entry(reason).or_default().add(position.line);
            }
        }
        self.records += 1;
        Ok(class)
    }

    /// Enters a line if it is a sound record of one of these types, without anything about it to look into; false
    /// if it must be entered like any other.
    #[inline]
    pub(crate) fn pass(&mut self, types: &TypeSet, line: &[u8]) -> bool {
        let Some((digits, rest)) = line.split_first_chunk::<3>() else {
            return false;
        };
        let Some(index) = layout::type_number(*digits).and_then(|number| types.get(number)) else {
            return false;
        };
        let is_sound = rest.get(..10).is_some_and(value::is_pnr)
            && layout::tables()
                .get(index)
                .is_some_and(|table| line.len() <= table.record_length());
        if let Some(count) = self.by_table.get_mut(index).filter(|_| is_sound) {
            *count += 1;
            self.records += 1;
        }
        is_sound
    }

    /// Whether there is nothing to look for in lines that [`pass`](Self::pass) takes: the beginning is made, the end
    /// not reached, the encoding known, and nobody wants the numbers.
    pub(crate) fn can_pass(&self) -> bool {
        self.records > 0 && self.end.is_none() && self.encoding.is_latin1 && self.persons.is_none()
    }

    /// Says that the input was read to its end.
    pub(crate) fn complete(&mut self) {
        self.is_complete = true;
    }

    /// The number of records between start and end as the end record has it.
    pub(crate) fn declared_records(&self) -> Option<u64> {
        self.end.as_ref().and_then(|end| end.declared)
    }

    #[cold]
    fn begin(&mut self, record: &[u8], class: Class, position: Position) -> Result<(), Error> {
        if class == Class::Known(START) {
            // So little of the start record is that of a file that was cut off.
            if b"0000000000000".starts_with(record) && record.len() < 13 {
                return Ok(());
            }
            let start = grammar::start_record(record);
            let product = "the start record is not that of an extract of persons; CPR's registers of \
                           roads, postal codes and authorities begin like this";
            self.start = Some(start.ok_or_else(|| self.refuse(position, product))?);
        }
        Ok(())
    }

    #[inline]
    fn enter_known(
        &mut self,
        index: usize,
        table: &'static Table,
        record: &[u8],
        position: Position,
    ) -> Result<(), Error> {
        if record.len() > table.record_length() {
            self.enter_longer(index, table, record, position)?;
        }
        if index == END && self.end.is_none() {
            self.end = Some(End {
                declared: grammar::end_record(record),
                inside: self.records - u64::from(self.start.is_some()),
                line: position.line,
            });
        }
        if let Some(persons) = &mut self.persons
            && table.is_keyed()
            && index != RECEIPT
        {
            persons.see(record, index == PERSON);
        }
        Ok(())
    }

    #[cold]
    fn enter_longer(
        &mut self,
        index: usize,
        table: &'static Table,
        record: &[u8],
        position: Position,
    ) -> Result<(), Error> {
        if index == PERSON && record.len() == GREENLAND_PERSON_LENGTH {
            return Err(self.refuse(position, GREENLAND));
        }
        if !record
            .get(table.record_length()..)
            .is_none_or(value::is_spaces)
        {
            self.has_long_person |= index == PERSON;
            if let Some(longer) = self.longer.get_mut(index) {
                longer.add(position.line);
            }
        }
        Ok(())
    }

    #[cold]
    fn enter_unknown(&mut self, number: u16, position: Position) -> Result<(), Error> {
        // The types that the product for Greenland has and ours lacks.
        if self.has_long_person && matches!(number, 40 | 45 | 900) {
            return Err(self.refuse(position, GREENLAND));
        }
        self.by_table[layout::tables().len()] += 1;
        self.unknown.entry(number).or_default().add(position.line);
        Ok(())
    }

    #[cold]
    fn enter_after_end(&mut self, record: &[u8], class: Class, line: u64) {
        if class == Class::Known(INPUT_ERROR) {
            self.input_errors_after_end += 1;
            return;
        }
        let record_type = match class {
            Class::Rejected(_) => String::new(),
            _ => String::from_utf8_lossy(record.get(..3).unwrap_or_default()).into_owned(),
        };
        self.after_end.entry(record_type).or_default().add(line);
    }

    fn refuse(&mut self, position: Position, product: &'static str) -> Error {
        self.found_look_alike(position, product);
        Error::LookAlike { position, product }
    }

    /// Enters that the input is another product, where that was found elsewhere.
    pub(crate) fn found_look_alike(&mut self, position: Position, product: &'static str) {
        self.look_alike = Some((position, product));
    }

    /// What a person should hear, gravest first; `has_mark` is whether there is a byte order mark, `is_cut_off`
    /// whether the last record is known to be incomplete, `irregular` what
    /// the tables' builders have seen.
    pub(crate) fn findings(
        &self,
        has_mark: bool,
        is_cut_off: bool,
        irregular: Vec<(&'static str, &'static str, Sightings)>,
    ) -> Vec<Finding> {
        let mut findings = Vec::new();
        self.structure(is_cut_off, &mut findings);
        self.encoding(has_mark, &mut findings);
        self.contents(&mut findings);
        let places = irregular
            .into_iter()
            .map(|(record_type, column, seen)| place(Some(record_type), Some(column), seen));
        add(
            &mut findings,
            Code::IrregularValue,
            "values that their type cannot hold exactly; the raw text is in the column irregular",
            places.collect(),
        );
        let longer = layout::tables().iter().zip(&self.longer);
        let places = longer
            .filter(|(_, seen)| seen.count > 0)
            .map(|(table, seen)| place(Some(table.record_type), None, *seen));
        add(
            &mut findings,
            Code::LongerRecord,
            "records longer than their known layout: perhaps a newer one; what stands beyond it is in the \
             column irregular under +",
            places.collect(),
        );
        findings.sort_by_key(|finding| finding.code.level());
        findings
    }

    /// Start, end, counter, chain.
    fn structure(&self, is_cut_off: bool, findings: &mut Vec<Finding>) {
        let mut once = |code, message: String, record_type: Option<&str>, first_line| {
            let seen = Sightings {
                count: 1,
                first_line,
            };
            let places = match record_type {
                Some(_) => vec![place(record_type, None, seen)],
                None => Vec::new(),
            };
            findings.push(Finding {
                code,
                count: 1,
                message,
                places,
            });
        };
        if let Some((position, product)) = self.look_alike {
            once(Code::LookAlike, product.to_owned(), None, position.line);
        } else if self.start.is_none() && (self.records > 0 || self.is_complete) {
            let message = if self.records == 0 {
                "the file is empty: CPR sends none on days without changes, so it was lost on the way"
            } else {
                "the first record is not the start record (000): the beginning is lost, or this is no CPR extract"
            };
            once(Code::MissingStart, message.to_owned(), None, 1);
        }
        match &self.end {
            None if self.is_complete => once(
                Code::MissingEnd,
                "there is no end record (999): the file is cut off. Fetch it again, or ask for it again".to_owned(),
                None,
                self.records,
            ),
            Some(_) if self.is_complete && is_cut_off => once(
                Code::MissingEnd,
                "the last record is cut off: what follows the end record (999) is not all there. Fetch the file again"
                    .to_owned(),
                None,
                self.records,
            ),
            Some(end) if self.is_complete && !self.adds_up(end) => {
                let declared = end.declared.map_or("a number that is none".to_owned(), |n| n.to_string());
                once(
                    Code::CountMismatch,
                    format!(
                        "the end record (999) says {declared}, and there are {} records between start and end",
                        end.inside
                    ),
                    Some("999"),
                    end.line,
                );
            }
            _ => {}
        }
        if let (Some(expected), Some(start)) = (self.expected_previous, &self.start)
            && start.previous_production_date != Some(expected)
        {
            let says = start
                .previous_production_date
                .map_or("no date".to_owned(), iso);
            once(
                Code::SequenceGap,
                format!(
                    "the start record (000) names {says} as the production date before, not {}: a delivery is \
                     missing, or there was no change on the days between",
                    iso(expected)
                ),
                Some("000"),
                1,
            );
        }
    }

    /// UTF-8 where ISO-8859-1 belongs: nothing but valid UTF-8 where there is more than ASCII, or its mark.
    fn encoding(&self, has_mark: bool, findings: &mut Vec<Finding>) {
        let is_utf8 = !self.encoding.is_latin1 && self.encoding.utf8_only.count > 0;
        if has_mark || (self.is_complete && is_utf8) {
            findings.push(Finding {
                code: Code::DamagedEncoding,
                count: self.encoding.utf8_only.count.max(1),
                message: "the file is UTF-8, and CPR delivers ISO-8859-1: in records with Danish letters every \
                          field after the first one is shifted. Ask for the file as CPR made it"
                    .to_owned(),
                places: match is_utf8 {
                    true => vec![place(None, None, self.encoding.utf8_only)],
                    false => Vec::new(),
                },
            });
        }
    }

    /// Records that do not belong, and persons that are incomplete.
    fn contents(&self, findings: &mut Vec<Finding>) {
        let places = self.after_end.iter().map(|(record_type, seen)| {
            let record_type = (!record_type.is_empty()).then_some(record_type.as_str());
            place(record_type, None, *seen)
        });
        add(
            findings,
            Code::RecordsAfterEnd,
            "records follow the end record (999), where only input errors (910) may: perhaps two files in one",
            places.collect(),
        );
        let places = self.rejected.values().map(|seen| place(None, None, *seen));
        add(
            findings,
            Code::RejectedRecord,
            "lines without a 3-digit record type or without a complete key; they are in the table rejected_record",
            places.collect(),
        );
        let places = self
            .unknown
            .iter()
            .map(|(number, seen)| place(Some(&format!("{number:03}")), None, *seen));
        add(
            findings,
            Code::UnknownType,
            "records of a type that no layout covers; they are in the table unknown_record",
            places.collect(),
        );
        if let Some(persons) = self.persons.as_ref().filter(|_| self.is_complete) {
            let count = persons.seen.difference_len(&persons.with_person_record);
            if count > 0 {
                findings.push(Finding {
                    code: Code::PersonWithout001,
                    count,
                    message: "persons with records but without 001: applying this delivery cannot replace them"
                        .to_owned(),
                    places: Vec::new(),
                });
            }
        }
    }

    /// Whether the counter agrees; it is not said whether 910 after the end are counted.
    fn adds_up(&self, end: &End) -> bool {
        end.declared.is_some_and(|declared| {
            [end.inside, end.inside + self.input_errors_after_end]
                .map(|count| count.min(COUNTER_LIMIT))
                .contains(&declared)
        })
    }
}

impl Encoding {
    #[inline]
    fn see(&mut self, record: &[u8], line: u64) {
        if !self.is_latin1 && !record.is_ascii() {
            if std::str::from_utf8(record).is_ok() {
                self.utf8_only.add(line);
            } else {
                self.is_latin1 = true;
            }
        }
    }
}

impl Persons {
    fn see(&mut self, record: &[u8], is_person_record: bool) {
        let number = pnr_number(record.get(3..13).unwrap_or_default());
        if self.last != Some(number) {
            self.seen.insert(number);
            self.last = Some(number);
        }
        if is_person_record {
            self.with_person_record.insert(number);
        }
    }
}

/// A person number's ten digits as a number.
#[inline]
pub(crate) fn pnr_number(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |number, digit| {
        number * 10 + u64::from(digit.wrapping_sub(b'0'))
    })
}

/// A day number as `YYYY-MM-DD`.
pub(crate) fn iso(days: i32) -> String {
    let (year, month, day) = value::civil(days);
    format!("{year:04}-{month:02}-{day:02}")
}

fn add(findings: &mut Vec<Finding>, code: Code, message: &str, mut places: Vec<Place>) {
    let count = places.iter().map(|place| place.count).sum();
    if count > 0 {
        places.truncate(MAX_PLACES);
        findings.push(Finding {
            code,
            count,
            message: message.to_owned(),
            places,
        });
    }
}

fn place(record_type: Option<&str>, column: Option<&str>, seen: Sightings) -> Place {
    Place {
        record_type: record_type.map(str::to_owned),
        column: column.map(str::to_owned),
        count: seen.count,
        first_line: seen.first_line,
    }
}

fn is_keyed(index: usize) -> bool {
    static KEYED: [bool; layout::tables().len()] = {
        let mut keyed = [false; layout::tables().len()];
        let mut i = 0;
        while i < keyed.len() {
            keyed[i] = layout::tables()[i].is_keyed();
            i += 1;
        }
        keyed
    };
    KEYED.get(index).copied().unwrap_or_default()
}

/// Places in [`layout::tables`] of the record types that the books treat apart.
pub(crate) const START: usize = place_of("000");
pub(crate) const PERSON: usize = place_of("001");
const INPUT_ERROR: usize = place_of("910");
const RECEIPT: usize = place_of("997");
const END: usize = place_of("999");

/// The place of a record type that there is.
pub(crate) const fn place_of(record_type: &str) -> usize {
    let wanted = record_type.as_bytes();
    let mut i = 0;
    loop {
        let digits = layout::tables()[i].record_type.as_bytes();
        if digits[0] == wanted[0] && digits[1] == wanted[1] && digits[2] == wanted[2] {
            return i;
        }
        i += 1;
    }
}
