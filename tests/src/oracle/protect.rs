//! Which persons are protected: by their own 004, by a 004 of another of their numbers, or because the extract does not
//! show that they are not.

use std::collections::{BTreeMap, BTreeSet};

use super::InjectedBug;
use super::choose::{is_irregular, key, text, value};
use super::shifted::{fits_its_columns, is_shifted};
use crate::reference_reader::{Row, Tables, Value};

/// The protections of an extract.
#[derive(Debug, Clone, Default)]
pub struct Protected {
    /// The protected persons, and those who may be.
    pub persons: BTreeSet<String>,
    /// Those whose protection is certain.
    pub certain: BTreeSet<String>,
    /// Persons whose protection is damaged. They may be protected.
    pub damaged: BTreeSet<String>,
    /// Whether a damaged protection may belong to any person.
    pub has_unknown: bool,
}

/// The persons whom rows protect that are not among the rows of an extract.
#[derive(Debug, Clone, Default)]
pub struct Elsewhere {
    /// Persons with a protection of name and address.
    pub protected: BTreeSet<String>,
    /// Persons with a damaged one.
    pub damaged: BTreeSet<String>,
    /// The 001 and 022 that tie numbers, also those that show nothing, oldest first.
    pub ties: Tables,
}

/// A person to whom a damaged protection belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Damaged {
    Of(String),
    Anybody,
}

/// Finds the protected persons. `delivered` has the persons with a record 001, `doubled` those with two that differ,
/// `elsewhere` those whose protection is known from other rows.
pub fn protected(
    rows: &Tables,
    delivered: &BTreeSet<String>,
    doubled: &BTreeSet<String>,
    elsewhere: &Elsewhere,
    bug: Option<InjectedBug>,
) -> Protected {
    let mut found = Protected {
        certain: elsewhere.protected.clone(),
        damaged: elsewhere.damaged.clone(),
        ..Protected::default()
    };
    for row in rows.get("protection").into_iter().flatten() {
        if is_of_name_and_address(row, bug) {
            let number = key(row);
            found.certain.extend(number.map(str::to_owned));
            // Where the number is of no person, it is lost.
            if !number.is_some_and(is_possible) {
                found.has_unknown |= bug != Some(InjectedBug::UnknownProtectionIgnored);
            }
        }
    }
    if bug != Some(InjectedBug::RelativeProtectionDateIgnored) {
        for relative in ["mother", "father", "child"] {
            let table = rows.get(&format!("{relative}_address"));
            for row in table.into_iter().flatten() {
                if !is_filled(row, "protection_start_date") {
                    continue;
                }
                match text(row, &format!("{relative}_pnr")).filter(|n| is_number(n)) {
                    Some(number) => {
                        let of_person = key(row);
                        found.certain.extend(of_person.map(|_| number.to_owned()));
                        if !of_person.is_some_and(is_possible) {
                            found.damaged.insert(number.to_owned());
                        }
                    }
                    None => found.has_unknown |= bug != Some(InjectedBug::UnknownProtectionIgnored),
                }
            }
        }
    }
    if bug != Some(InjectedBug::DamagedProtectionIgnored) {
        for damaged in damaged_lines(rows) {
            match damaged {
                Damaged::Of(number) => drop(found.damaged.insert(number)),
                Damaged::Anybody => {
                    found.has_unknown |= bug != Some(InjectedBug::UnknownProtectionIgnored);
                }
            }
        }
    }
    let mut numbers = Numbers::of(rows, bug);
    numbers.add(&elsewhere.ties, bug);
    let known = found.certain.clone();
    found.certain.extend(numbers.of_same_persons(&known, bug));
    found
        .certain
        .extend(numbers.unresolved(&numbers.replaced, delivered, bug));
    let doubtful = found.damaged.union(doubled).cloned().collect();
    found.persons = numbers.of_same_persons(&doubtful, bug);
    let perhaps_replaced = numbers.replaced.union(&numbers.unclear).cloned().collect();
    found
        .persons
        .extend(numbers.unresolved(&perhaps_replaced, delivered, bug));
    found.persons.extend(found.certain.iter().cloned());
    found
}

/// Returns all numbers of the persons, by the ties in the rows and in those elsewhere.
pub(super) fn tied(
    rows: &Tables,
    elsewhere: &Elsewhere,
    persons: &BTreeSet<String>,
) -> BTreeSet<String> {
    let mut numbers = Numbers::of(rows, None);
    numbers.add(&elsewhere.ties, None);
    numbers.of_same_persons(persons, None)
}

/// Returns whether the column of the row is filled, with a date or with anything else.
fn is_filled(row: &Row, column: &str) -> bool {
    *value(row, column) != Value::Null || is_irregular(row, column)
}

/// Returns whether a type of protection is four digits.
pub fn is_readable(protection_type: Option<&str>) -> bool {
    protection_type.is_some_and(|code| is_digits(code, 4))
}

/// A protection is in force as long as CPR delivers it, whatever its dates. An unreadable type may be 0001.
fn is_of_name_and_address(row: &Row, bug: Option<InjectedBug>) -> bool {
    let code = text(row, "protection_type");
    let is_dated = |column| matches!(value(row, column), Value::Days(_));
    match bug {
        Some(InjectedBug::DeletionDateEndsProtection) if is_dated("deletion_date") => false,
        Some(InjectedBug::IrregularDateEndsProtection) if is_irregular(row, "deletion_date") => {
            false
        }
        // The production dates of the tests are in 2026.
        Some(InjectedBug::ProtectionWaitsForStart) if starts_after(row, 20_600) => false,
        Some(InjectedBug::UnreadableTypeUnprotected) => code == Some("0001"),
        _ => !matches!(code, Some("0002" | "0003" | "0004" | "0005")) || !has_dates(row),
    }
}

/// Returns whether both dates of a protection are blank or dates of the calendar, perhaps without a day or month.
fn has_dates(row: &Row) -> bool {
    ["start_date", "deletion_date"]
        .into_iter()
        .all(|column| match value(row, "irregular") {
            Value::Map(entries) => entries
                .iter()
                .filter(|(name, _)| name == column)
                .all(|(_, raw)| is_date_or_blank(raw)),
            _ => true,
        })
}

fn is_date_or_blank(date: &str) -> bool {
    let shape: String = date
        .chars()
        .map(|c| if c.is_ascii_digit() { '9' } else { c })
        .collect();
    date.trim_matches(' ').is_empty()
        || shape == "9999-99-99" && &date[5..7] <= "12" && &date[8..10] <= "31"
}

fn starts_after(row: &Row, day: i64) -> bool {
    matches!(value(row, "start_date"), Value::Days(start) if *start > day)
}

/// Returns the persons of the damaged protections: rejected lines, lines of an unknown type that may be another record,
/// protections at the end of another line, and ties between two numbers of which one cannot be read.
fn damaged_lines(rows: &Tables) -> Vec<Damaged> {
    let mut found = Vec::new();
    for row in rows.get("rejected_record").into_iter().flatten() {
        let line: Vec<char> = text(row, "raw").unwrap_or_default().chars().collect();
        if line.iter().all(|c| *c == ' ') {
            continue;
        }
        let person = match text(row, "reason") {
            Some("no-record-type") => of_line_without_type(&line),
            Some("incomplete-key") => of_line_without_key(&line),
            _ => continue,
        };
        found.push(person.map_or(Damaged::Anybody, Damaged::Of));
    }
    for row in rows.get("unknown_record").into_iter().flatten() {
        let line: Vec<char> = text(row, "raw").unwrap_or_default().chars().collect();
        found.extend(may_be_another(&line).then_some(Damaged::Anybody));
    }
    for (table, rows) in rows {
        for row in rows {
            let irregular = |name: &str| match value(row, "irregular") {
                Value::Map(entries) => entries.iter().find(|(column, _)| column == name),
                _ => None,
            };
            let raw = |name: &str| irregular(name).map_or("", |(_, raw)| raw.as_str());
            let tail = raw("+");
            found.extend(of_tail(tail, false));
            if table == "protection" {
                let kind = text(row, "protection_type").unwrap_or_default();
                let (start, deletion) = (raw("start_date"), raw("deletion_date"));
                let rest = format!("{kind:4}{start:10}{deletion:10}{tail}");
                let second = of_second(&rest);
                let is_whole = |column: &str| {
                    let raw = raw(column);
                    raw.is_empty() || raw.chars().count() == 10
                };
                let has_date = ["start_date", "deletion_date"]
                    .iter()
                    .any(|d| is_filled(row, d));
                let is_damaged = !is_whole("start_date")
                    && value(row, "deletion_date") == &Value::Null
                    && deletion.is_empty()
                    || !is_whole("deletion_date");
                let number = key(row).unwrap_or(NO_PERSON);
                // Ten digits and a type that ends early: the 0001 may begin within the number.
                let is_short = !has_date && tail.is_empty() && has_lost_digits(number, kind);
                let is_moved = is_digits(kind, 4)
                    && !matches!(kind, "0001" | "0002" | "0003" | "0004" | "0005")
                    && !has_dates(row);
                match second {
                    _ if is_foreign(kind) || is_short || is_moved => found.push(Damaged::Anybody),
                    Some(second) => found.push(second),
                    None if has_date && tail.is_empty() && is_damaged => {
                        found.push(Damaged::Anybody);
                    }
                    None => {}
                }
            }
            let is_shifted = is_shifted(table, row);
            let other = match table.as_str() {
                "person" => text(row, "current_pnr"),
                "former_pnr" => text(row, "former_pnr").or(Some("")),
                _ => None,
            };
            let is_nobodys = !key(row).is_some_and(is_possible);
            if other.is_some_and(|other| !is_number(other) || is_shifted || is_nobodys) {
                found.push(Damaged::Anybody);
            }
            if table == "person" && is_shifted {
                found.extend(key(row).map(|number| Damaged::Of(number.to_owned())));
            }
        }
    }
    found
}

fn part(line: &[char], from: usize, count: usize) -> String {
    line.iter().skip(from).take(count).collect()
}

/// Returns whether the beginning of a line can be that of a record of the type: no other digit stands there.
fn can_be(line: &[char], record_type: &str) -> bool {
    let mut pairs = line.iter().zip(record_type.chars());
    pairs.all(|(found, expected)| *found == expected || !found.is_ascii_digit())
}

/// Returns the person of a line without a record type, if it is certain. A protection can have characters before its
/// type, in it, or in place of it.
fn of_line_without_type(line: &[char]) -> Option<String> {
    let is_other = |c: &char| !c.is_ascii_alphanumeric();
    let lead = line.iter().take_while(|c| is_other(c)).count();
    for skipped in [0, lead, 1, 2] {
        if part(line, skipped, 3) == "004" {
            return readable_number(&line[skipped + 3..], false);
        }
    }
    let letters = line.iter().filter(|c| c.is_ascii_alphabetic()).count();
    if line.len() <= 40 && letters <= 2 {
        return match after_type(line) {
            Some(rest) => readable_number(rest, false),
            None => readable_number(line.get(3..)?, true),
        };
    }
    let mut types = ["031", "032", "033"].into_iter();
    types.find_map(|record_type| {
        let is_of_type = can_be(line, record_type);
        is_of_type
            .then(|| protected_relative(record_type, line))
            .flatten()
    })
}

/// Returns the relative whom the line shows as protected, if every value of the line fits its column.
fn protected_relative(record_type: &str, line: &[char]) -> Option<String> {
    let relative = part(line, 13, 10);
    let is_told = is_number(&relative)
        && !part(line, 259, 10).trim_matches(' ').is_empty()
        && fits_its_columns(record_type, line);
    is_told.then_some(relative)
}

/// Returns what follows the characters 004, if they are among the first five and no other digit stands between them.
fn after_type(line: &[char]) -> Option<&[char]> {
    let mut wanted: Vec<char> = "400".chars().collect();
    for (at, character) in line.iter().enumerate().take(5) {
        if wanted.last() == Some(character) {
            wanted.pop();
        } else if character.is_ascii_digit() {
            return None;
        }
        if wanted.is_empty() {
            return line.get(at + 1..);
        }
    }
    None
}

/// Returns the person of a line with a known record type whose number is not ten digits, if it is certain.
fn of_line_without_key(line: &[char]) -> Option<String> {
    let record_type = part(line, 0, 3);
    match record_type.as_str() {
        "004" => readable_number(&line[3..], false),
        "031" | "032" | "033" => protected_relative(&record_type, line),
        _ => None,
    }
}

/// Returns whether the line, which has an unknown type, may be a record of another type that is damaged.
fn may_be_another(line: &[char]) -> bool {
    let is_like_protection = |c: &char| c.is_ascii_digit() || matches!(c, '-' | ' ') || is_low(*c);
    let end = line.iter().rposition(|c| *c != ' ').map_or(0, |at| at + 1);
    let is_short = end <= 40 && line.iter().all(is_like_protection);
    if !is_possible(&part(line, 3, 10)) || is_short {
        return true;
    }
    let rest = part(line, 13, usize::MAX);
    let runs: Vec<&str> = rest.split(|c: char| !c.is_ascii_digit()).collect();
    let has_number = runs.iter().any(|run| match is_time(run) {
        true => is_possible(&run[..10]),
        false => (0..run.len()).any(|at| run.get(at..at + 10).is_some_and(is_possible)),
    });
    has_number
        || (1..=3).any(|count| has_lost(line, count, is_time(runs[0])))
        || (1..=3).any(|count| has_got(line, count))
}

/// Returns whether a record of two numbers, or a 004, reads like the line after it has lost some of its first characters.
fn has_lost(line: &[char], count: usize, is_before_time: bool) -> bool {
    let left = part(line, 0, 3 - count);
    let rest = part(line, 3 - count, usize::MAX);
    let number = |at: usize| rest.get(at..at + 10).is_some_and(is_possible);
    let kind = rest.get(10..14).unwrap_or_default();
    let is_of = |record_type: &&str| is_inside(&left, record_type);
    let two = ["001", "022", "031", "032", "033"];
    number(0)
        && (is_of(&"004") && is_kind(kind)
            || number(10) && !is_before_time && two.iter().any(is_of))
}

/// Returns whether a 004 reads like the line after it has got some characters before its number.
fn has_got(line: &[char], count: usize) -> bool {
    let head = part(line, 0, 3 + count);
    head.ends_with('4')
        && is_inside("004", &head)
        && is_number(&part(line, 3 + count, 10))
        && is_kind(&part(line, 13 + count, 4))
}

fn is_kind(kind: &str) -> bool {
    is_digits(kind, 4) && kind.starts_with("000")
}

/// Returns whether the characters are in the text in this order.
fn is_inside(characters: &str, text: &str) -> bool {
    let mut rest = text.chars();
    characters
        .chars()
        .all(|wanted| rest.any(|found| found == wanted))
}

/// Returns whether the text can be a person number: ten digits with a day and a month.
fn is_possible(number: &str) -> bool {
    let two = |at: usize| number[at..at + 2].parse::<u8>().unwrap_or_default();
    is_digits(number, 10) && matches!(two(0), 1..=31 | 61..=91) && (1..=12).contains(&two(2))
}

/// Returns whether the digits are a time.
fn is_time(digits: &str) -> bool {
    let two = |at: usize| digits[at..at + 2].parse::<u8>().unwrap_or(u8::MAX);
    is_digits(digits, 12)
        && (18..=21).contains(&two(0))
        && two(4) <= 12
        && two(6) <= 31
        && two(8) <= 24
        && matches!(two(10), 0..=59 | 99)
}

/// Returns whether the type of a protection has characters that it cannot have even if it is damaged alone.
fn is_foreign(kind: &str) -> bool {
    let mut kind = kind.chars();
    kind.any(|c| !c.is_ascii_digit() && c != ' ' && !is_low(c))
}

/// Returns whether a character is a control character.
fn is_low(c: char) -> bool {
    matches!(u32::from(c), 0..0x20 | 0x7f..0xa0)
}

/// Returns whether the number and the type of a record that ends within the type may have lost digits.
fn has_lost_digits(number: &str, kind: &str) -> bool {
    kind.chars().count() < 4 && format!("{number}{kind}").ends_with("0001")
}

/// Finds a second protection in what follows the number of the first: after its type, or else before. A third one makes
/// it unknown whose they are.
fn of_second(rest: &str) -> Option<Damaged> {
    let characters: Vec<char> = rest.chars().collect();
    let found = |places: std::ops::Range<usize>| {
        let mut found = places.filter_map(|at| {
            let tail = part(&characters, at, usize::MAX);
            Some((at, of_tail(&tail, true)?))
        });
        found.next()
    };
    let end = characters.len();
    let (at, second) = found(4.min(end)..end).or_else(|| found(0..end))?;
    match found((at + 17).min(end)..end) {
        Some(_) => Some(Damaged::Anybody),
        None => Some(second),
    }
}

/// Returns the number of a damaged line: ten digits with other characters inserted, and then what a 004 has after its
/// number: a type (or blanks) and up to two dates (or blanks).
///
/// With `needs_type`, the type must be 0001.
fn readable_number(rest: &[char], needs_type: bool) -> Option<String> {
    let places: Vec<usize> = (0..rest.len())
        .filter(|place| rest[*place].is_ascii_digit())
        .take(10)
        .collect();
    let last = *places.get(9)?;
    if rest[..last].iter().any(char::is_ascii_alphabetic) {
        return None;
    }
    let number: String = places.iter().map(|place| rest[*place]).collect();
    let after: String = rest[last + 1..].iter().collect();
    let kind: String = after.chars().take(4).collect();
    let dates: Vec<char> = after.chars().skip(4).collect();
    let is_blank = |text: &str| text.chars().all(|c| c == ' ');
    let is_date = |date: &[char]| {
        let date: String = date.iter().collect();
        let shape: String = date
            .chars()
            .map(|c| if c.is_ascii_digit() { '9' } else { c })
            .collect();
        is_blank(&date) || shape == "9999-99-99"
    };
    let is_type = match needs_type {
        true => kind == "0001",
        false => is_blank(&kind) || is_digits(&kind, 4),
    };
    let fits = is_type && dates.len() <= 20 && dates.chunks(10).all(is_date);
    (fits && is_possible(&number)).then_some(number)
}

/// Reads the bytes after a record: another record may be joined to it, if the line end between them is lost. With
/// `needs_number`, bytes without a number are something else.
fn of_tail(tail: &str, needs_number: bool) -> Option<Damaged> {
    let rest = tail.strip_prefix("004")?;
    let part = |from, count| rest.chars().skip(from).take(count).collect::<String>();
    let (number, kind) = (part(0, 10), part(10, 4));
    let length = tail.trim_end_matches(' ').chars().count();
    let is_damaged = is_foreign(&kind)
        || length < 17 && has_lost_digits(&number, kind.trim_end_matches(' '))
        || (18..37).contains(&length) && length != 27;
    let has_dates = is_date_or_blank(&part(14, 10)) && is_date_or_blank(&part(24, 10));
    let is_other = matches!(kind.as_str(), "0002" | "0003" | "0004" | "0005") && has_dates;
    let is_moved = is_digits(&kind, 4) && !("0001"..="0005").contains(&kind.as_str()) && !has_dates;
    let is_damaged = is_damaged || is_moved;
    match (is_digits(&number, 10), kind.as_str()) {
        (true, _) if is_other => None,
        (true, _) if !is_possible(&number) => (!needs_number).then_some(Damaged::Anybody),
        (true, _) if is_damaged => Some(Damaged::Anybody),
        (true, _) => Some(Damaged::Of(number)),
        (false, _) => (!needs_number).then_some(Damaged::Anybody),
    }
}

/// Ten zeros do not name a person.
const NO_PERSON: &str = "0000000000";

fn is_digits(text: &str, count: usize) -> bool {
    text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_number(text: &str) -> bool {
    is_possible(text)
}

/// The person numbers that belong together.
#[derive(Debug, Default)]
struct Numbers {
    /// Numbers that 001 or 022 says to be of one person.
    pairs: BTreeSet<(String, String)>,
    /// The number that is valid instead, from the 001 of the number.
    valid: BTreeMap<String, String>,
    /// The number that is valid instead, from a 022 of that number.
    valid_by_former: BTreeMap<String, String>,
    /// Numbers that were deleted or changed (status 50 and 60).
    replaced: BTreeSet<String>,
    /// Numbers whose status is not two digits.
    unclear: BTreeSet<String>,
}

impl Numbers {
    fn of(rows: &Tables, bug: Option<InjectedBug>) -> Self {
        let mut numbers = Self::default();
        numbers.add(rows, bug);
        numbers
    }

    fn add(&mut self, rows: &Tables, bug: Option<InjectedBug>) {
        let numbers = self;
        let of = |row: &Row, column| {
            let other = text(row, column).filter(|other| is_number(other));
            Some((key(row)?.to_owned(), other?.to_owned()))
        };
        if bug != Some(InjectedBug::FormerNumbersIgnored) {
            for row in rows.get("former_pnr").into_iter().flatten() {
                if let Some((valid, former)) =
                    of(row, "former_pnr").filter(|(own, _)| is_number(own))
                {
                    numbers.pairs.insert((valid.clone(), former.clone()));
                    numbers.valid_by_former.insert(former, valid);
                }
            }
        }
        for row in rows.get("person").into_iter().flatten() {
            let is_replaced = matches!(text(row, "status"), Some("50" | "60"));
            numbers
                .replaced
                .extend(key(row).filter(|_| is_replaced).map(str::to_owned));
            let is_unclear = !text(row, "status").is_some_and(|status| is_digits(status, 2));
            numbers
                .unclear
                .extend(key(row).filter(|_| is_unclear).map(str::to_owned));
            if let Some((number, valid)) = of(row, "current_pnr") {
                numbers.pairs.insert((number.clone(), valid.clone()));
                numbers.valid.insert(number, valid);
            }
        }
    }

    /// Returns all numbers of the persons, over any number of changes.
    fn of_same_persons(
        &self,
        persons: &BTreeSet<String>,
        bug: Option<InjectedBug>,
    ) -> BTreeSet<String> {
        let mut all = persons.clone();
        if bug == Some(InjectedBug::NumberChangesIgnored) {
            return all;
        }
        loop {
            let before = all.len();
            let mut more = BTreeSet::new();
            for (one, other) in &self.pairs {
                if all.contains(one) {
                    more.insert(other.clone());
                }
                if all.contains(other) && bug != Some(InjectedBug::ProtectionSpreadsOneWay) {
                    more.insert(one.clone());
                }
            }
            all.extend(more);
            if all.len() == before || bug == Some(InjectedBug::ChainEndsAfterOneChange) {
                return all;
            }
        }
    }

    /// Returns those of the replaced numbers whose valid number is missing, not named or never reached.
    fn unresolved(
        &self,
        replaced: &BTreeSet<String>,
        delivered: &BTreeSet<String>,
        bug: Option<InjectedBug>,
    ) -> BTreeSet<String> {
        if bug == Some(InjectedBug::MissingValidNumberUnprotected) {
            return BTreeSet::new();
        }
        let ends_well = |number: &&String| {
            let mut number = *number;
            // A way without a circle has no more steps than there are numbers.
            for _ in 0..=replaced.len() {
                if !replaced.contains(number) {
                    return delivered.contains(number);
                }
                let valid = self.valid.get(number);
                match valid.or_else(|| self.valid_by_former.get(number)) {
                    Some(valid) => number = valid,
                    None => return false,
                }
            }
            false
        };
        let mut unresolved: BTreeSet<String> = replaced
            .iter()
            .filter(|number| !ends_well(number))
            .cloned()
            .collect();
        if bug == Some(InjectedBug::MissingFormerNumberProtects) {
            let lost = |(_, former): &&(String, String)| !delivered.contains(former);
            unresolved.extend(
                self.pairs
                    .iter()
                    .filter(lost)
                    .map(|(valid, _)| valid.clone()),
            );
        }
        unresolved
    }
}
