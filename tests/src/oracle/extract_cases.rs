//! Extracts that contain every case a policy must handle: protections of every kind, chains of number changes, damaged
//! lines, events of every class, relatives with names and numbers, birthdays at age limits, irregular values. Every name,
//! address and remark belongs to one person only.

use std::collections::BTreeMap;

use cprflow_connector::generate::{self, Settings};

use super::columns::{class, relative};
use super::events::{EVENTS, MARKS};
use crate::extract::{self, Damage, Dice};
use crate::raw_record::Record;
use crate::reference_reader::{FieldRule, Rules, latin1};

/// The extract of one night.
#[derive(Debug, Clone)]
pub struct CaseExtract {
    /// The number of the night. The first is 0.
    pub night: u32,
    /// The bytes of the extract.
    pub bytes: Vec<u8>,
}

/// Returns the status file of a population and the change files of `count` nights.
///
/// The night in the middle delivers the whole population again. Night 4 has a protection whose person number cannot be
/// read. The last night but two has damaged lines.
pub fn extracts(rules: &Rules, persons: u64, seed: u64, count: u32) -> Vec<CaseExtract> {
    let settings = Settings::busy(persons, seed);
    let writer = CaseWriter::new(rules, &settings);
    let night = |night| {
        let is_whole = night == 0 || night == count / 2;
        let mut bytes = writer.extract(night, is_whole);
        if night == UNREADABLE_NIGHT {
            let mut lines = extract::lines(&bytes);
            lines.insert(1, b"004010196 50001".to_vec());
            bytes = extract::join(&lines, b"\n");
        }
        if night + 2 == count {
            let mut lines = extract::lines(&bytes);
            let kinds = [Damage::Overwrite, Damage::Tail, Damage::NewType];
            extract::damage(&mut lines, &mut Dice::new(seed), 80, &kinds);
            bytes = extract::join(&lines, b"\n");
        }
        CaseExtract { night, bytes }
    };
    (0..=count).map(night).collect()
}

/// The night with a protection whose person number cannot be read.
pub const UNREADABLE_NIGHT: u32 = 4;

/// Adds the cases to the extracts of a generated population.
#[derive(Debug)]
pub struct CaseWriter<'a> {
    rules: &'a Rules,
    settings: &'a Settings,
    /// The production dates of the first 40 nights.
    days: Vec<String>,
}

impl<'a> CaseWriter<'a> {
    /// Creates a writer for this population.
    pub fn new(rules: &'a Rules, settings: &'a Settings) -> Self {
        let day = |night| settings.production_date(night).to_string();
        Self {
            rules,
            settings,
            days: (0..40).map(day).collect(),
        }
    }

    /// Returns the extract of a night, as a status file if `is_whole`, otherwise as a change file.
    pub fn extract(&self, night: u32, is_whole: bool) -> Vec<u8> {
        let settings = Settings {
            night,
            ..self.settings.clone()
        };
        let bytes = match is_whole {
            true => extract::status(&settings),
            false => {
                let mut bytes = Vec::new();
                generate::changes(&settings, night, &mut bytes)
                    .expect("writing to memory cannot fail");
                bytes
            }
        };
        let mut lines = Vec::new();
        for line in extract::lines(&bytes) {
            self.write_with_cases(&line, night, &mut lines);
        }
        extract::join(&lines, b"\n")
    }

    /// Writes a line with its cases added. The result can be no line, or several.
    fn write_with_cases(&self, line: &[u8], night: u32, out: &mut Vec<Vec<u8>>) {
        let record_type = latin1(&line[..3]);
        let Some(mut record) = Record::of(self.rules, line) else {
            out.push(line.to_vec());
            return;
        };
        let number = record.get("pnr");
        let mut dice = Dice::new(self.hash(&number, &record_type));
        self.relatives(&mut record, &mut dice);
        self.names(&mut record, &number);
        match record_type.as_str() {
            "001" => {
                self.birth(&mut record, &mut dice);
                if dice.below(5) == 0 {
                    let mut protection = Record::blank(self.rules, "004");
                    protection.set("pnr", &number);
                    protection.set("protection_type", "0001");
                    self.protection(&mut protection, &mut dice);
                    out.push(protection.line());
                }
                self.receipts(&number, night, out);
                self.damaged_protections(&number, night, out);
                self.number_changes(&number, out);
                // Some persons are not residents, or have no status at all.
                match (self.hash(&number, "status") + u64::from(night)) % 40 {
                    0 => record.set("status", "20"),
                    1 => record.set("status", ""),
                    _ => {}
                }
                // Some persons have two records 001, which differ or not.
                match (self.hash(&number, "twice") + u64::from(night)) % 60 {
                    0 => out.push(record.clone().line()),
                    1 | 2 => {
                        let mut other = record.clone();
                        other.set("sex", "?");
                        out.push(other.line());
                    }
                    _ => {}
                }
                // Some persons have records but no record 001.
                if (self.hash(&number, "gone") + u64::from(night)).is_multiple_of(37) {
                    return;
                }
            }
            "002" => match (self.hash(&number, "home") + u64::from(night)) % 40 {
                // Some persons have no address in some nights, or one without a municipality.
                0 => return,
                1 => record.set("municipality_code", "0000"),
                2 => record.set("municipality_code", ""),
                _ => {}
            },
            "004" => self.protection(&mut record, &mut dice),
            "034" => kind_of_protection(&mut record, &mut dice),
            "012" if number_of(&record.get("spouse_pnr")).is_some() && dice.below(3) == 0 => {
                record.set(
                    "civil_status",
                    ["F", "E", "D", "O", "L", "?"][dice.below(6)],
                );
            }
            "018" => {
                record.set(
                    "condition_type",
                    ["1", "2", "3", "4", "5", ""][dice.below(6)],
                );
                record.set("condition_code", &format!("{:05}", dice.below(100_000)));
            }
            "099" if dice.below(3) == 0 => event(&mut record, &mut dice),
            "099" if record.get("event_code") == "A34" && dice.below(2) == 0 => {
                record.set("event_code", "P56");
            }
            _ => {}
        }
        self.irregular_values(&mut record, &number, night, &mut dice);
        out.push(record.line());
    }

    /// Adds names beside the numbers of relatives, and protection dates that are not dates.
    fn relatives(&self, record: &mut Record, dice: &mut Dice) {
        match record.rule.table.as_str() {
            "civil_status" | "civil_status_history"
                if number_of(&record.get("spouse_pnr")).is_some() =>
            {
                record.set("spouse_name", "?");
                record.set("spouse_name_mark", "*");
            }
            "parents" => {
                for parent in ["mother", "father"] {
                    if number_of(&record.get(&format!("{parent}_pnr"))).is_some() {
                        record.set(&format!("{parent}_name"), "?");
                        record.set(&format!("{parent}_name_mark"), "=");
                    }
                }
            }
            "guardianship" | "guardianship_typed" => {
                record.set("guardian_name", "?");
                record.set("guardian_address_2", "?");
                record.set("guardian_address_start_date", "2026-00-00");
            }
            "mother_address" | "father_address" | "child_address" => {
                let since = record.get("protection_start_date");
                record.set(
                    "protection_start_date",
                    match dice.below(30) {
                        0..4 | 12..30 => "",
                        4 => "0000-00-00",
                        5 => "?",
                        6 => "2031-01-01",
                        _ => &since,
                    },
                );
            }
            _ => {}
        }
    }

    /// Replaces every name, address and remark by a token that identifies its person.
    fn names(&self, record: &mut Record, owner: &str) {
        let table = record.rule.table.clone();
        for field in record.rule.fields.clone() {
            let is_long = field.kind == "text" && field.length >= TOKEN_LENGTH;
            let Some(kind) = class(&table, &field.column).and_then(TextKind::of) else {
                continue;
            };
            if !is_long || record.get(&field.column).is_empty() {
                continue;
            }
            let token = match relative(&table, &field.column) {
                None => kind.token(owner),
                Some(column) => match number_of(&record.get(column)) {
                    Some(relative) => kind.token(&relative),
                    None => kind.unnumbered_relative(owner),
                },
            };
            record.set(&field.column, &token);
        }
    }

    /// Sets birthdays at the limits of age conditions, and birth dates that are incomplete or missing.
    fn birth(&self, record: &mut Record, dice: &mut Dice) {
        let years_before = |day: &str, years: i32| {
            let year: i32 = day[..4].parse().expect("a year");
            format!("{}{}", year - years, &day[4..])
        };
        let day = &self.days[dice.below(12)];
        let born = match dice.below(30) {
            0..3 => years_before(day, 18),
            3..5 => years_before(day, 66),
            5 => "1980-00-00".to_owned(),
            6 => String::new(),
            // A tie in such a row would protect every person, which is a case of its own.
            7 if record.get("current_pnr").is_empty() => "?".to_owned(),
            _ => return,
        };
        record.set("birth_date", &born);
    }

    /// Ends some subscriptions.
    fn receipts(&self, number: &str, night: u32, out: &mut Vec<Vec<u8>>) {
        if night > 0 && (self.hash(number, "receipt") + u64::from(night)).is_multiple_of(45) {
            let mut receipt = Record::blank(self.rules, "997");
            receipt.set("pnr", number);
            receipt.set("registered", "202603021530");
            receipt.set(
                "event_code",
                ["A45", "A21", "P55"][self.choice(number, "code", 3)],
            );
            out.push(receipt.line());
        }
    }

    /// Writes protections that are no valid records, but whose person number can be read.
    fn damaged_protections(&self, number: &str, night: u32, out: &mut Vec<Vec<u8>>) {
        if (self.hash(number, "damaged") + u64::from(night)).is_multiple_of(50) {
            let (birth, serial) = number.split_at(6);
            let line = match self.choice(number, "damage", 4) {
                0 => format!("004{birth} {serial}0001"),
                1 => format!("  004{number}0001"),
                2 => format!("0O4{birth}-{serial}00012026-01-01"),
                // The line end after another record is lost.
                _ => format!("{:26}004{number}0001", format!("007{number}")),
            };
            out.push(line.into_bytes());
        }
    }

    /// Writes former numbers of some persons, over one or two changes, with all kinds of links between them.
    fn number_changes(&self, number: &str, out: &mut Vec<Vec<u8>>) {
        let case = self.choice(number, "changes", 30);
        // Numbers without a birth date begin with a day from 61 on, so these are of nobody else.
        let mut first = number.to_owned().into_bytes();
        first[0] += 6;
        let mut second = first.clone();
        second[6] = b'0' + (second[6] - b'0' + 5) % 10;
        let [first, second] = [first, second].map(|digits| String::from_utf8(digits).unwrap());
        let mut replaced = |former: &str, status: &str, valid: &str| {
            let mut person = Record::blank(self.rules, "001");
            person.set("pnr", former);
            person.set("current_pnr", valid);
            person.set("status", status);
            person.set("birth_date", "1970-05-17");
            let mut name = Record::blank(self.rules, "008");
            name.set("pnr", former);
            name.set("surname", &TextKind::Name.token(former));
            out.push(person.line());
            out.push(name.line());
        };
        match case {
            0..4 => {
                replaced(&first, "60", &second);
                replaced(&second, "50", number);
            }
            4 => replaced(&first, "60", &second),
            5 | 6 | 9 => replaced(&first, "60", ""),
            7 => {
                replaced(&first, "60", &second);
                replaced(&second, "60", &first);
            }
            10 => replaced(&first, "60", number),
            _ => {}
        }
        // Protections under a former number, and under the valid one.
        let protected = match case {
            0 => Some(first.as_str()),
            1 => Some(number),
            2 => Some(second.as_str()),
            9 => Some(first.as_str()),
            _ => None,
        };
        if let Some(protected) = protected {
            out.push(format!("004{protected}0001").into_bytes());
        }
        let former = match case {
            5 | 8 | 9 => Some(&first),
            7 => Some(&second),
            _ => None,
        };
        if let Some(former) = former {
            out.push(format!("022{number}{former}").into_bytes());
        }
    }

    /// Returns a choice below `count` that is always the same for the person.
    fn choice(&self, number: &str, purpose: &str, count: u64) -> usize {
        usize::try_from((self.hash(number, purpose) >> 7) % count).expect("a small number")
    }

    /// Sets protections that start or end during these nights, and dates that are not dates.
    fn protection(&self, record: &mut Record, dice: &mut Dice) {
        kind_of_protection(record, dice);
        let day = self.days[1 + dice.below(12)].clone();
        let (start, deletion) = match dice.below(14) {
            0 => ("", ""),
            1 | 2 => (day.as_str(), ""),
            3 | 4 => ("2001-01-01", day.as_str()),
            5 => (day.as_str(), day.as_str()),
            6 => ("2026-00-00", ""),
            7 => ("2001-01-01", "2020-00-00"),
            8 => ("", "0000-00-00"),
            9 => ("2001-01-01", "0000000000"),
            10 => ("?", "2020-01-0?"),
            11 => ("2099-01-01", ""),
            _ => return,
        };
        record.set("start_date", start);
        record.set("deletion_date", deletion);
    }

    /// Adds values that do not fit their column, and tails that mention persons.
    fn irregular_values(&self, record: &mut Record, owner: &str, night: u32, dice: &mut Dice) {
        let mut draw =
            Dice::new(self.hash(owner, &record.rule.table) ^ u64::from(night)).below(1000);
        // A damaged tie or protection protects every person, which is a case of its own.
        let is_tie = ["person", "former_pnr", "protection"].contains(&record.rule.table.as_str());
        if is_tie && (draw < 60 || (90..110).contains(&draw)) {
            draw = 1000;
        }
        if draw < 60 {
            let odd: Vec<FieldRule> = record
                .rule
                .fields
                .iter()
                .filter(|field| matches!(field.kind.as_str(), "date" | "flag" | "timestamp"))
                .cloned()
                .collect();
            if !odd.is_empty() {
                let field = &odd[dice.below(odd.len())];
                let text: String = TextKind::FreeText
                    .token(owner)
                    .chars()
                    .take(field.length)
                    .collect();
                record.set(&field.column, &text);
            }
        } else if draw < 90 {
            let tail = format!("{}{owner}", TextKind::Name.token(owner));
            record.tail = tail;
        } else if draw < 130 {
            // Person numbers in fields that are not made for them.
            let room: Vec<FieldRule> = record
                .rule
                .fields
                .iter()
                .filter(|field| match field.kind.as_str() {
                    "date" | "timestamp" => draw < 110,
                    "text" | "code" => draw >= 110 && field.length >= owner.len() + 3,
                    _ => false,
                })
                .cloned()
                .collect();
            if !room.is_empty() {
                let field = &room[dice.below(room.len())];
                let lead = if draw < 110 { "" } else { "nr " };
                record.set(&field.column, &format!("{lead}{owner}"));
            }
        } else if draw < 140 {
            for field in record.rule.fields.clone().iter().skip(1) {
                if field.kind == "pnr" && number_of(&record.get(&field.column)).is_none() {
                    let other = if field.zeros { "" } else { "0000000000" };
                    record.set(&field.column, other);
                }
            }
        }
    }

    /// Hashes a person number and a purpose into a pseudo-random number.
    fn hash(&self, number: &str, purpose: &str) -> u64 {
        let bytes = number.bytes().chain(purpose.bytes());
        let seed = 0xcbf2_9ce4_8422_2325 ^ self.settings.seed;
        bytes.fold(seed, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        })
    }
}

/// What kind of text a token replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TextKind {
    /// A name.
    Name,
    /// An address.
    Address,
    /// A remark.
    FreeText,
}

/// The length of a token in bytes.
pub const TOKEN_LENGTH: usize = 12;

impl TextKind {
    fn of(class: &str) -> Option<Self> {
        match class {
            "name" => Some(Self::Name),
            "address" => Some(Self::Address),
            "free-text" => Some(Self::FreeText),
            _ => None,
        }
    }

    /// Returns the person's token for this kind of text. No two persons share a token, and no token is part of another.
    pub fn token(self, number: &str) -> String {
        format!("{}q{}", self.letter(), letters(number))
    }

    /// Returns the token of a relative of the person who has no number.
    pub fn unnumbered_relative(self, number: &str) -> String {
        format!("{}u{}", self.letter(), letters(number))
    }

    const fn letter(self) -> char {
        match self {
            Self::Name => 'N',
            Self::Address => 'A',
            Self::FreeText => 'F',
        }
    }
}

/// Writes the digits of a number as letters, so that the result is not a person number.
fn letters(number: &str) -> String {
    number
        .bytes()
        .map(|digit| char::from(digit - b'0' + b'a'))
        .collect()
}

/// Sets any event code and derived mark, also of unknown meaning.
fn event(record: &mut Record, dice: &mut Dice) {
    let codes: Vec<&str> = EVENTS.keys().map(String::as_str).collect();
    let marks: Vec<&str> = MARKS.keys().map(String::as_str).collect();
    let code = match dice.below(20) {
        0 => "A99",
        1 => "",
        2 => ["P10", "A42"][dice.below(2)],
        _ => codes[dice.below(codes.len())],
    };
    record.set("event_code", code);
    let mark = match dice.below(12) {
        0 => "ZZ",
        1..6 => marks[dice.below(marks.len())],
        _ => "",
    };
    record.set("derived_mark", mark);
}

/// Sets other types of protection for some records, also types that cannot be read.
fn kind_of_protection(record: &mut Record, dice: &mut Dice) {
    match dice.below(8) {
        0 | 1 => record.set("protection_type", "0005"),
        2 => record.set(
            "protection_type",
            ["", "1", " 1", "001", "0 01"][dice.below(5)],
        ),
        _ => {}
    }
}

/// Returns the text if it is a person number.
fn number_of(text: &str) -> Option<String> {
    let is_number = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit());
    (is_number && text != "0000000000").then(|| text.to_owned())
}

/// Returns the number of records of each person in these extracts.
pub fn record_counts(extracts: &[CaseExtract]) -> BTreeMap<String, u32> {
    let mut persons = BTreeMap::new();
    for extract in extracts {
        for line in extract::lines(&extract.bytes) {
            let key = line.get(3..13).map(latin1).and_then(|key| number_of(&key));
            if let Some(key) = key {
                *persons.entry(key).or_default() += 1;
            }
        }
    }
    persons.remove("9999999999");
    persons
}
