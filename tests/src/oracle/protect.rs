//! Which persons are protected: by their own 004, by a 004 of another of their numbers, or because the extract does not
//! show that they are not.

use std::collections::{BTreeMap, BTreeSet};

use super::InjectedBug;
use super::choose::{is_irregular, key, text, value};
use crate::reference_reader::{Row, Tables, Value};

/// The protections of an extract.
#[derive(Debug, Clone, Default)]
pub struct Protected {
    /// The protected persons.
    pub persons: BTreeSet<String>,
    /// Persons whose protection is damaged. They are protected too.
    pub damaged: BTreeSet<String>,
    /// Whether a damaged protection may belong to any person.
    pub has_unknown: bool,
}

/// A person to whom a damaged protection belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Damaged {
    Of(String),
    Anybody,
}

/// Finds the protected persons. `delivered` has the persons with a record 001.
pub fn protected(
    rows: &Tables,
    delivered: &BTreeSet<String>,
    bug: Option<InjectedBug>,
) -> Protected {
    let mut found = Protected::default();
    for row in rows.get("protection").into_iter().flatten() {
        if is_of_name_and_address(row, bug) {
            match key(row) {
                Some(number) => drop(found.persons.insert(number.to_owned())),
                // Ten zeros are no person: the number is lost.
                None => found.has_unknown |= bug != Some(InjectedBug::UnknownProtectionIgnored),
            }
        }
    }
    if bug != Some(InjectedBug::RelativeProtectionDateIgnored) {
        for relative in ["mother", "father", "child"] {
            let table = rows.get(&format!("{relative}_address"));
            for row in table.into_iter().flatten() {
                let number = text(row, &format!("{relative}_pnr")).filter(|n| is_number(n));
                let dated = is_filled(row, "protection_start_date") && key(row).is_some();
                if let Some(number) = number.filter(|_| dated) {
                    found.persons.insert(number.to_owned());
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
    found.persons.extend(found.damaged.iter().cloned());
    let numbers = Numbers::of(rows, bug);
    let known = found.persons.clone();
    found.persons.extend(numbers.of_same_persons(&known, bug));
    found.persons.extend(numbers.unresolved(delivered, bug));
    found
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
        _ => code == Some("0001") || !is_readable(code),
    }
}

fn starts_after(row: &Row, day: i64) -> bool {
    matches!(value(row, "start_date"), Value::Days(start) if *start > day)
}

/// Returns the persons of the damaged protections: rejected lines, and protections at the end of another line.
fn damaged_lines(rows: &Tables) -> Vec<Damaged> {
    let mut found = Vec::new();
    for row in rows.get("rejected_record").into_iter().flatten() {
        found.extend(text(row, "raw").and_then(of_rejected));
    }
    for row in rows.values().flatten() {
        if let Value::Map(entries) = value(row, "irregular") {
            let tail = entries.iter().find(|(column, _)| column == "+");
            found.extend(tail.and_then(|(_, tail)| of_tail(tail)));
        }
    }
    found
}

/// Reads a rejected line. It is a protection if it begins with 004, after junk or with one character that is no digit.
fn of_rejected(line: &str) -> Option<Damaged> {
    let without_junk = line.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
    let line = [line, without_junk]
        .into_iter()
        .find(|l| is_protection(l))?;
    let rest: Vec<char> = line.chars().skip(3).collect();
    Some(match readable_number(&rest) {
        Some(number) => Damaged::Of(number),
        None => Damaged::Anybody,
    })
}

fn is_protection(line: &str) -> bool {
    let first: Vec<char> = line.chars().take(3).collect();
    if first.len() < 3 {
        return false;
    }
    let wrong = first.iter().zip("004".chars()).filter(|(a, b)| **a != *b);
    let wrong: Vec<char> = wrong.map(|(a, _)| *a).collect();
    match wrong.as_slice() {
        [] => true,
        [one] => !one.is_ascii_digit(),
        _ => false,
    }
}

/// Returns the number of a damaged line: ten digits with other characters inserted, and then what a 004 has after its
/// number: a type (or blanks) and up to two dates (or blanks).
fn readable_number(rest: &[char]) -> Option<String> {
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
    let fits = (is_blank(&kind) || is_digits(&kind, 4))
        && dates.len() <= 20
        && dates.chunks(10).all(is_date);
    (fits && number != NOBODY).then_some(number)
}

/// Reads the bytes after a record: another record may be joined to it, if the line end between them is lost.
fn of_tail(tail: &str) -> Option<Damaged> {
    let rest = tail.strip_prefix("004")?;
    let part = |from, count| rest.chars().skip(from).take(count).collect::<String>();
    let (number, kind) = (part(0, 10), part(10, 4));
    match (is_digits(&number, 10), kind.as_str()) {
        (true, kind) if kind != "0001" && is_digits(kind, 4) => None,
        (true, _) if number != NOBODY => Some(Damaged::Of(number)),
        _ => Some(Damaged::Anybody),
    }
}

/// Ten zeros do not name a person.
const NOBODY: &str = "0000000000";

fn is_digits(text: &str, count: usize) -> bool {
    text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_number(text: &str) -> bool {
    is_digits(text, 10) && text != NOBODY
}

/// The person numbers that belong together.
#[derive(Debug, Default)]
struct Numbers {
    /// Numbers that 001 or 022 says to be of one person.
    pairs: BTreeSet<(String, String)>,
    /// The number that is valid instead: from 001, or else from a 022.
    valid: BTreeMap<String, String>,
    /// Numbers that were deleted or changed (status 50 and 60).
    replaced: BTreeSet<String>,
}

impl Numbers {
    fn of(rows: &Tables, bug: Option<InjectedBug>) -> Self {
        let mut numbers = Self::default();
        let of = |row: &Row, column| {
            let other = text(row, column).filter(|other| is_number(other));
            Some((key(row)?.to_owned(), other?.to_owned()))
        };
        if bug != Some(InjectedBug::FormerNumbersIgnored) {
            for row in rows.get("former_pnr").into_iter().flatten() {
                if let Some((valid, former)) = of(row, "former_pnr") {
                    numbers.pairs.insert((valid.clone(), former.clone()));
                    numbers.valid.insert(former, valid);
                }
            }
        }
        for row in rows.get("person").into_iter().flatten() {
            let is_replaced = matches!(text(row, "status"), Some("50" | "60"));
            numbers
                .replaced
                .extend(key(row).filter(|_| is_replaced).map(str::to_owned));
            if let Some((number, valid)) = of(row, "current_pnr") {
                numbers.pairs.insert((number.clone(), valid.clone()));
                numbers.valid.insert(number, valid);
            }
        }
        numbers
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

    /// Returns the replaced numbers whose valid number is missing, not named or never reached.
    fn unresolved(
        &self,
        delivered: &BTreeSet<String>,
        bug: Option<InjectedBug>,
    ) -> BTreeSet<String> {
        if bug == Some(InjectedBug::MissingValidNumberUnprotected) {
            return BTreeSet::new();
        }
        let ends_well = |number: &&String| {
            let mut number = *number;
            // A way without a circle has no more steps than there are numbers.
            for _ in 0..=self.replaced.len() {
                if !self.replaced.contains(number) {
                    return delivered.contains(number);
                }
                match self.valid.get(number) {
                    Some(valid) => number = valid,
                    None => return false,
                }
            }
            false
        };
        let mut unresolved: BTreeSet<String> = self
            .replaced
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
