//! Counts what a scan reads and derives the findings: missing records, wrong counters, damaged encoding.

mod control_characters;
mod damage;
mod part;
mod persons;

use std::collections::BTreeMap;

use crate::columns::schema;
use crate::damage::is_whole_protection;
use crate::error::{Error, Position};
use crate::finding::{Code, Finding, Level, Occurrences, Place, place};
use crate::grammar::{self, StartRecord};
use crate::input::{GREENLAND, GREENLAND_PERSON_LENGTH};
use crate::layout::{self, Table};
use crate::record::{
    END, FORMER_NUMBER, INPUT_ERROR, LinkedNumber, PERSON, PROTECTION, RECEIPT, RecordClass,
    RejectReason, START, classify, ends_before_marks, is_padding, linked_number, marked_relatives,
    may_protect,
};
use crate::value::{self, Survey};
use control_characters::ControlCharacters;
use damage::DamagedProtections;
pub(crate) use part::StatsStart;
use persons::Persons;

/// The largest number that fits the eight digits of the end record's counter.
const COUNTER_LIMIT: u64 = 99_999_999;

/// The largest number of places that a finding lists.
const MAX_PLACES: usize = 1_000;

/// The statistics of one scan.
pub(crate) struct ScanStats {
    pub(crate) records: u64,
    /// Whether these are the statistics of a part that is not the first of its extract.
    is_part: bool,
    /// Number of records by index in [`schema::all_tables`].
    pub(crate) by_table: Vec<u64>,
    pub(crate) start: Option<StartRecord>,
    end: Option<End>,
    is_complete: bool,
    encoding: Encoding,
    look_alike: Option<(Position, &'static str)>,
    second_start: Occurrences,
    protections: DamagedProtections,
    control_characters: ControlCharacters,
    padding: Occurrences,
    after_end: BTreeMap<String, Occurrences>,
    input_errors_after_end: u64,
    unknown: BTreeMap<u16, Occurrences>,
    rejected: BTreeMap<RejectReason, Occurrences>,
    longer: Vec<Occurrences>,
    has_long_person: bool,
    persons: Option<Persons>,
    expected_previous: Option<i32>,
}

struct End {
    declared: Option<u64>,
    /// Number of records between the start record and the end record.
    inside: u64,
    line: u64,
}

/// Detects a file that is UTF-8 by mistake. One record that is not valid UTF-8 proves that the file is ISO-8859-1.
#[derive(Default)]
struct Encoding {
    is_latin1: bool,
    utf8_only: Occurrences,
}

impl ScanStats {
    pub(crate) fn new(check_persons: bool, expected_previous: Option<i32>) -> Self {
        Self {
            records: 0,
            is_part: false,
            by_table: vec![0; schema::table_count()],
            start: None,
            end: None,
            is_complete: false,
            encoding: Encoding::default(),
            look_alike: None,
            second_start: Occurrences::default(),
            protections: DamagedProtections::default(),
            control_characters: ControlCharacters::default(),
            padding: Occurrences::default(),
            after_end: BTreeMap::new(),
            input_errors_after_end: 0,
            unknown: BTreeMap::new(),
            rejected: BTreeMap::new(),
            longer: vec![Occurrences::default(); layout::tables().len()],
            has_long_person: false,
            persons: check_persons.then(Persons::default),
            expected_previous,
        }
    }

    /// Counts a record if it needs no further checks, and returns the index of its type. Otherwise counts nothing: the
    /// caller must pass the record to [`add`](Self::add).
    ///
    /// Nearly all records are like that: between the first and the end record, of a known type with a whole person
    /// number, no longer than the layout, without control characters, and without a tie to another number.
    #[inline]
    pub(crate) fn add_usual(&mut self, record: &[u8], survey: Option<Survey>) -> Option<usize> {
        let index = layout::index_of(*record.first_chunk()?)?;
        let is_usual = self.is_inside()
            && self.is_usual(
                index,
                record,
                survey.unwrap_or_else(|| value::survey(record)),
            );
        self.count_usual(index, is_usual).then_some(index)
    }

    /// Counts a line of the type with that index like [`add_usual`](Self::add_usual). May be used while
    /// [`is_inside`](Self::is_inside).
    #[inline(always)]
    pub(crate) fn add_usual_of(&mut self, index: usize, line: &[u8], survey: Survey) -> bool {
        let is_usual = self.is_usual(index, line, survey);
        self.count_usual(index, is_usual)
    }

    /// Returns whether the next record is after the first and before those that follow the end record, and person numbers
    /// are not collected.
    #[inline]
    pub(crate) fn is_inside(&self) -> bool {
        self.has_begun() && self.end.is_none() && self.persons.is_none()
    }

    /// Returns whether a record of this type needs no further checks.
    // A call for each record costs as much as the checks.
    #[inline(always)]
    fn is_usual(&self, index: usize, record: &[u8], survey: Survey) -> bool {
        let Some(usual) = USUAL.get(index) else {
            return false;
        };
        record.len() <= usize::from(usual.longest)
            && !survey.has_control
            && record.get(3..13).is_some_and(value::is_pnr)
            && (self.encoding.is_latin1 || survey.is_ascii || is_ascii(record))
            && (usual.check == Check::Nothing || usual.check.is_met(index, record))
    }

    #[inline]
    fn count_usual(&mut self, index: usize, is_usual: bool) -> bool {
        match self.by_table.get_mut(index) {
            Some(count) if is_usual => {
                *count += 1;
                self.records += 1;
                true
            }
            _ => false,
        }
    }

    /// Counts a record and returns its class.
    pub(crate) fn add(&mut self, record: &[u8], position: Position) -> Result<RecordClass, Error> {
        self.encoding.add_record(record, position.line);
        let class = classify(record);
        let has_begun = self.has_begun();
        if !has_begun {
            self.begin(record, class, position)?;
        }
        let class = match self.end.is_some() {
            true => self.count_after_end(record, class, position.line),
            false => class,
        };
        if class == RecordClass::Known(START) && has_begun {
            self.second_start.add(position.line);
        }
        self.protections.add_record(class, record, position.line);
        if value::has_control(record) && class != RecordClass::Rejected(RejectReason::Padding) {
            self.control_characters.add(class, record, position.line);
        }
        match class {
            RecordClass::Known(index) => {
                if let Some(count) = self.by_table.get_mut(index) {
                    *count += 1;
                }
                if let Some(table) = layout::tables().get(index) {
                    self.count_known(index, table, record, position)?;
                }
            }
            RecordClass::Unknown(number) => self.count_unknown(number, position)?,
            RecordClass::Rejected(reason) => {
                self.by_table[layout::tables().len() + 1] += 1;
                let seen = match reason {
                    RejectReason::Padding => &mut self.padding,
                    RejectReason::NoRecordType | RejectReason::IncompleteKey => {
                        self.rejected.entry(reason).or_default()
                    }
                };
                seen.add(position.line);
            }
        }
        self.records += 1;
        Ok(class)
    }

    /// Returns whether the first record of the extract was read.
    #[inline]
    fn has_begun(&self) -> bool {
        self.records > 0 || self.is_part
    }

    /// Records that the input was read to its end.
    pub(crate) fn complete(&mut self) {
        self.is_complete = true;
    }

    /// Returns the number of records between start and end that the end record declares.
    pub(crate) fn declared_records(&self) -> Option<u64> {
        self.end.as_ref().and_then(|end| end.declared)
    }

    #[cold]
    fn begin(
        &mut self,
        record: &[u8],
        class: RecordClass,
        position: Position,
    ) -> Result<(), Error> {
        if class == RecordClass::Known(START) {
            // A start record this short is that of a file that was cut off.
            if b"0000000000000".starts_with(record) && record.len() < 13 {
                return Ok(());
            }
            let start = grammar::start_record(record);
            let product = "the start record does not belong to an extract of persons; CPR's registers of \
                           roads, postal codes and authorities begin like this";
            self.start = Some(start.ok_or_else(|| self.reject_look_alike(position, product))?);
        }
        Ok(())
    }

    #[inline]
    fn count_known(
        &mut self,
        index: usize,
        table: &'static Table,
        record: &[u8],
        position: Position,
    ) -> Result<(), Error> {
        if record.len() > table.record_length() {
            self.count_longer(index, table, record, position)?;
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
            persons.add_record(record, index == PERSON, position.line);
        }
        Ok(())
    }

    #[cold]
    fn count_longer(
        &mut self,
        index: usize,
        table: &'static Table,
        record: &[u8],
        position: Position,
    ) -> Result<(), Error> {
        if index == PERSON && record.len() == GREENLAND_PERSON_LENGTH {
            return Err(self.reject_look_alike(position, GREENLAND));
        }
        if !record
            .get(table.record_length()..)
            .is_none_or(value::is_spaces)
        {
            if index == END && record.get(table.record_length()..).is_some_and(is_padding) {
                self.padding.add(position.line);
                return Ok(());
            }
            self.has_long_person |= index == PERSON;
            if let Some(longer) = self.longer.get_mut(index) {
                longer.add(position.line);
            }
        }
        Ok(())
    }

    #[cold]
    fn count_unknown(&mut self, number: u16, position: Position) -> Result<(), Error> {
        if self.has_long_person && is_of_greenland(number) {
            return Err(self.reject_look_alike(position, GREENLAND));
        }
        self.by_table[layout::tables().len()] += 1;
        self.unknown.entry(number).or_default().add(position.line);
        Ok(())
    }

    /// Counts a record after the end record, and returns its class there.
    #[cold]
    fn count_after_end(&mut self, record: &[u8], class: RecordClass, line: u64) -> RecordClass {
        if class == RecordClass::Known(INPUT_ERROR) {
            self.input_errors_after_end += 1;
            return class;
        }
        let record_type = match class {
            RecordClass::Rejected(_) if is_padding(record) => {
                return RecordClass::Rejected(RejectReason::Padding);
            }
            RecordClass::Rejected(_) => String::new(),
            _ => String::from_utf8_lossy(record.get(..3).unwrap_or_default()).into_owned(),
        };
        self.after_end.entry(record_type).or_default().add(line);
        class
    }

    fn reject_look_alike(&mut self, position: Position, product: &'static str) -> Error {
        self.set_look_alike(position, product);
        Error::LookAlike { position, product }
    }

    /// Records that the input is another product, where another module has found that.
    pub(crate) fn set_look_alike(&mut self, position: Position, product: &'static str) {
        self.look_alike = Some((position, product));
    }

    /// Returns the findings, most severe first.
    ///
    /// `has_byte_order_mark` tells whether the input began with a byte order mark, `is_cut_off` whether the last record
    /// is known to be incomplete. `repeated_returns` counts lines that end with several CR. `irregular` has the irregular values that the table builders counted, by record type
    /// and column.
    pub(crate) fn findings(
        &self,
        has_byte_order_mark: bool,
        is_cut_off: bool,
        repeated_returns: Occurrences,
        irregular: Vec<(&'static str, &'static str, Occurrences)>,
    ) -> Vec<Finding> {
        let mut findings = Vec::new();
        self.structure(is_cut_off, &mut findings);
        self.encoding(has_byte_order_mark, &mut findings);
        self.contents(&mut findings);
        findings.extend(self.protections.finding());
        let is_utf8 = findings
            .iter()
            .any(|finding| finding.code == Code::DamagedEncoding);
        let controls = &self.control_characters;
        findings.extend(controls.finding(self.texts(), repeated_returns, is_utf8));
        add_finding(
            &mut findings,
            Code::PaddingAfterEnd,
            "padding follows the end record (999); it is no data",
            place_if_any(None, self.padding),
        );
        let places = irregular
            .into_iter()
            .map(|(record_type, column, seen)| place(Some(record_type), Some(column), seen));
        add_finding(
            &mut findings,
            Code::IrregularValue,
            "values cannot be held exactly by the type of their column; the raw text is in the column irregular",
            places.collect(),
        );
        let longer = layout::tables().iter().zip(&self.longer);
        let places = longer
            .filter(|(_, seen)| seen.count > 0)
            .map(|(table, seen)| place(Some(table.record_type), None, *seen));
        add_finding(
            &mut findings,
            Code::LongerRecord,
            "records are longer than their known layout, perhaps because of a newer one; the additional bytes are in \
             the column irregular with the key +",
            places.collect(),
        );
        findings.sort_by_key(|finding| finding.level);
        findings
    }

    /// Returns the number of text fields in the records read. Lines without a layout count as one each.
    fn texts(&self) -> u64 {
        let fields = layout::tables().iter().map(|table| {
            let texts = table.columns.iter().filter(|column| column.kind.is_text());
            texts.count() as u64
        });
        let counted = fields.chain([1, 1]).zip(&self.by_table);
        counted.map(|(fields, records)| fields * records).sum()
    }

    /// Adds the findings about the start record, the end record, its counter and the chain of production dates.
    fn structure(&self, is_cut_off: bool, findings: &mut Vec<Finding>) {
        // CPR does not say whether the counter includes the 910 after the end record.
        let with_input_errors = self
            .end
            .as_ref()
            .is_some_and(|end| self.count_matches(end, self.input_errors_after_end));
        let mut once = |code: Code, message: String, record_type: Option<&str>, first_line| {
            let seen = Occurrences {
                count: 1,
                first_line,
            };
            let places = match record_type {
                Some(_) => vec![place(record_type, None, seen)],
                None => Vec::new(),
            };
            findings.push(Finding {
                code,
                level: match code {
                    Code::CountMismatch if with_input_errors => Level::Note,
                    _ => code.level(),
                },
                count: 1,
                message,
                places,
            });
        };
        if let Some((position, product)) = self.look_alike {
            once(Code::LookAlike, product.to_owned(), None, position.line);
        } else if self.start.is_none() && (self.records > 0 || self.is_complete) {
            let message = if self.records == 0 {
                "the file is empty. CPR sends no file on days without changes, so its content was lost. Fetch it again"
            } else {
                "the first record is not the start record (000): the beginning is lost, or this is not a CPR extract"
            };
            once(Code::MissingStart, message.to_owned(), None, 1);
        }
        match &self.end {
            None if self.is_complete => once(
                Code::MissingEnd,
                "there is no end record (999): the file is cut off. Fetch it again, or order it again".to_owned(),
                None,
                self.records,
            ),
            Some(_) if self.is_complete && is_cut_off => once(
                Code::MissingEnd,
                "the last record, after the end record (999), is cut off. Fetch the file again"
                    .to_owned(),
                None,
                self.records,
            ),
            Some(end) if self.is_complete && !self.count_matches(end, 0) => {
                let declared = end.declared.map_or("an invalid number".to_owned(), |n| n.to_string());
                let mut message = format!(
                    "the end record (999) declares {declared} records, but there are {} between start and end",
                    end.inside
                );
                if with_input_errors {
                    message += &format!(
                        ". With the {} input errors (910) after the end the number is right. CPR does not say whether it \
                         counts them. If it does not, as many other records are lost",
                        self.input_errors_after_end
                    );
                }
                once(Code::CountMismatch, message, Some("999"), end.line);
            }
            _ => {}
        }
        if let (Some(expected), Some(start)) = (self.expected_previous, &self.start)
            && start.previous_production_date != Some(expected)
        {
            let declared_date = start
                .previous_production_date
                .map_or("no date".to_owned(), value::iso_date);
            once(
                Code::SequenceGap,
                format!(
                    "the start record (000) names {declared_date} as the previous production date, not {}: a delivery \
                     is missing, or there was no change on the days between",
                    value::iso_date(expected)
                ),
                Some("000"),
                1,
            );
        }
    }

    /// Adds the finding that the file is UTF-8 instead of ISO-8859-1: it has a byte order mark, or everything that is
    /// not ASCII is valid UTF-8.
    fn encoding(&self, has_byte_order_mark: bool, findings: &mut Vec<Finding>) {
        let is_utf8 = !self.encoding.is_latin1 && self.encoding.utf8_only.count > 0;
        if has_byte_order_mark || (self.is_complete && is_utf8) {
            findings.push(Finding {
                code: Code::DamagedEncoding,
                level: Level::Error,
                count: self.encoding.utf8_only.count.max(1),
                message: "the file is UTF-8, but CPR delivers ISO-8859-1: in records with Danish letters every \
                          field after the first one is shifted. Ask for the file as CPR made it"
                    .to_owned(),
                places: match is_utf8 {
                    true => vec![place(None, None, self.encoding.utf8_only)],
                    false => Vec::new(),
                },
            });
        }
    }

    /// Adds the findings about records in wrong places, unreadable records and persons without 001.
    fn contents(&self, findings: &mut Vec<Finding>) {
        let places = self.after_end.iter().map(|(record_type, seen)| {
            let record_type = (!record_type.is_empty()).then_some(record_type.as_str());
            place(record_type, None, *seen)
        });
        add_finding(
            findings,
            Code::SecondStart,
            "a start record (000) is not the first record: two extracts are in one file. Get them apart, or order \
             them again",
            place_if_any(Some("000"), self.second_start),
        );
        add_finding(
            findings,
            Code::RecordsAfterEnd,
            "records other than input errors (910) follow the end record (999): perhaps two files were joined",
            places.collect(),
        );
        findings.extend(self.nothing_known());
        let places = self.rejected.values().map(|seen| place(None, None, *seen));
        add_finding(
            findings,
            Code::RejectedRecord,
            "lines have no 3-digit record type or no complete key; they are in the table rejected_record",
            places.collect(),
        );
        let places = self
            .unknown
            .iter()
            .map(|(number, seen)| place(Some(&format!("{number:03}")), None, *seen));
        add_finding(
            findings,
            Code::UnknownType,
            "records have a type that no layout describes; they are in the table unknown_record",
            places.collect(),
        );
        if let Some(persons) = self.persons.as_ref().filter(|_| self.is_complete) {
            findings.extend(persons.without_001());
            findings.extend(persons.twice());
        }
    }

    /// Returns the finding that no record is of a known type. A day without changes has no records, which is no fault.
    fn nothing_known(&self) -> Option<Finding> {
        let mut tables = self
            .by_table
            .iter()
            .take(layout::tables().len())
            .enumerate();
        let is_known =
            tables.any(|(index, records)| ![START, END].contains(&index) && *records > 0);
        let unknown = self.unknown.values().chain(self.rejected.values());
        let count = unknown.map(|seen| seen.count).sum();
        (self.is_complete && !is_known && count > 0).then(|| Finding {
            code: Code::NothingKnown,
            level: Level::Error,
            count,
            message: "no record has a known type and a complete key: this is another product of CPR, or no CPR \
                      extract. Ask for the right file"
                .to_owned(),
            places: Vec::new(),
        })
    }

    /// Returns whether the counter is the number of records between start and end, and of `others`.
    fn count_matches(&self, end: &End, others: u64) -> bool {
        end.declared
            .is_some_and(|declared| declared == (end.inside + others).min(COUNTER_LIMIT))
    }
}

impl Encoding {
    #[inline]
    fn add_record(&mut self, record: &[u8], line: u64) {
        if !self.is_latin1 && !record.is_ascii() {
            if std::str::from_utf8(record).is_ok() {
                self.utf8_only.add(line);
            } else {
                self.is_latin1 = true;
            }
        }
    }
}

/// Returns whether a record type exists in the product for Greenland only.
fn is_of_greenland(number: u16) -> bool {
    matches!(number, 40 | 45 | 900)
}

/// Returns a place if something occurred.
fn place_if_any(record_type: Option<&str>, seen: Occurrences) -> Vec<Place> {
    let place = (seen.count > 0).then(|| place(record_type, None, seen));
    place.into_iter().collect()
}

fn add_finding(findings: &mut Vec<Finding>, code: Code, message: &str, mut places: Vec<Place>) {
    let count = places.iter().map(|place| place.count).sum();
    if count > 0 {
        places.truncate(MAX_PLACES);
        findings.push(Finding {
            code,
            level: code.level(),
            count,
            message: message.to_owned(),
            places,
        });
    }
}

/// What the records of a type are that need no further checks.
#[derive(Clone, Copy)]
struct Usual {
    /// The length of the longest, or 0 if there are none: of types without a person, and of former numbers.
    longest: u16,
    check: Check,
}

/// What must be looked at in a record.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Check {
    Nothing,
    /// That it names no other number of the person.
    ValidNumber,
    /// That it is a whole protection.
    Protection,
    /// That it does not show a relative's protection.
    Marks,
}

impl Check {
    // Apart from the loop over records, most of which need no such check.
    #[inline(never)]
    fn is_met(self, index: usize, record: &[u8]) -> bool {
        match self {
            Self::Nothing => true,
            Self::ValidNumber => linked_number(index, record) == LinkedNumber::None,
            Self::Protection => is_whole_protection(record),
            Self::Marks => shows_no_protection(index, record),
        }
    }
}

/// Returns whether all bytes are ASCII. Most extracts soon show that they are not, and are not asked again.
#[cold]
fn is_ascii(record: &[u8]) -> bool {
    record.is_ascii()
}

/// By index in [`layout::tables`].
static USUAL: [Usual; layout::tables().len()] = {
    let mut all = [Usual {
        longest: 0,
        check: Check::Nothing,
    }; layout::tables().len()];
    let mut i = 0;
    while i < all.len() {
        let table = &layout::tables()[i];
        if table.is_keyed() && i != FORMER_NUMBER {
            all[i].longest = table.record_length() as u16;
        }
        all[i].check = match i {
            PERSON => Check::ValidNumber,
            PROTECTION => Check::Protection,
            _ if may_protect(i) => Check::Marks,
            _ => Check::Nothing,
        };
        i += 1;
    }
    all
};

/// Returns whether a record of a relative's address shows no protection.
fn shows_no_protection(index: usize, record: &[u8]) -> bool {
    if ends_before_marks(index, record) {
        return true;
    }
    let table = layout::tables().get(index);
    table.is_some_and(|table| marked_relatives(table, record).next().is_none())
}
