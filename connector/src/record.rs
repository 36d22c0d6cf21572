//! Classifies a line of the extract: its record type, or why it is not a record.

use std::num::NonZeroU8;

use crate::layout::{self, Column, Sensitivity, Table};
use crate::policy::is_shifted;
use crate::value;

/// The class of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RecordClass {
    /// A record of the layout at this index of [`layout::tables`].
    Known(usize),
    /// A record of a type that has no layout; holds the type's number.
    Unknown(u16),
    /// Not a record.
    Rejected(RejectReason),
}

/// The reason why a line is not a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum RejectReason {
    /// The line does not begin with three digits.
    NoRecordType,
    /// The record type has a PNR as its key, and positions 4-13 are not ten digits.
    IncompleteKey,
    /// The line has only padding, and follows the end record.
    Padding,
}

impl RejectReason {
    /// Returns the reason as the column `reason` of `rejected_record` holds it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::NoRecordType => "no-record-type",
            Self::IncompleteKey => "incomplete-key",
            Self::Padding => "padding",
        }
    }
}

/// What the type of a 004 says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProtectionType {
    /// A protection of name and address (0001).
    NameAndAddress,
    /// Another protection.
    Other,
    /// The type is not four digits, so it may be a protection of name and address.
    Unreadable,
}

/// Reads the type of a protection (BESKYTTYPE at positions 14-17) from a 004 or 034.
pub(crate) fn protection_type(record: &[u8]) -> ProtectionType {
    match record.get(13..17) {
        Some(b"0001") => ProtectionType::NameAndAddress,
        Some(digits) if digits.iter().all(u8::is_ascii_digit) => ProtectionType::Other,
        _ => ProtectionType::Unreadable,
    }
}

/// What a damaged 004 still tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DamagedProtection {
    /// Its person number can be read.
    Of(u64),
    /// It may be the protection of any person.
    Unknown,
}

/// Returns whether [`damaged_protection`] may find something. It is quick, because it is asked about every record.
#[inline]
pub(crate) fn may_be_damaged(class: RecordClass, record: &[u8]) -> bool {
    match class {
        RecordClass::Rejected(_) => true,
        RecordClass::Known(index) => {
            let table = layout::tables().get(index);
            may_protect(index)
                || table.is_some_and(|table| record.len() > table.record_length())
                || linked_number(index, record) != LinkedNumber::None
        }
        RecordClass::Unknown(_) => true,
    }
}

/// The other number of the same person that a record names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LinkedNumber {
    None,
    Known(u64),
    /// The field is neither ten digits nor blank.
    Unreadable,
}

/// Returns the valid number that a 001 names, or the former number of a 022. A 022 without one is damaged.
#[inline]
pub(crate) fn linked_number(index: usize, record: &[u8]) -> LinkedNumber {
    const CURRENT: &Column = column_of(PERSON, "current_pnr");
    const FORMER: &Column = column_of(FORMER_NUMBER, "former_pnr");
    let column = match index {
        PERSON => CURRENT,
        FORMER_NUMBER => FORMER,
        _ => return LinkedNumber::None,
    };
    // A record without trailing spaces can end before the field.
    let rest = record.get(column.start()..).unwrap_or_default();
    let field = rest.get(..column.length).unwrap_or(rest);
    if value::is_spaces(field) || value::is_zeros(field) {
        match index {
            FORMER_NUMBER => LinkedNumber::Unreadable,
            _ => LinkedNumber::None,
        }
    } else if value::is_pnr(field) {
        LinkedNumber::Known(pnr_number(field))
    } else {
        LinkedNumber::Unreadable
    }
}

/// Returns whether records of the table at that index can tell that a person is protected: 004 itself, and the tables
/// that show a relative's protection.
#[inline]
pub(crate) const fn may_protect(index: usize) -> bool {
    const TABLES: [bool; layout::tables().len()] = {
        let mut may = [false; layout::tables().len()];
        let mut i = 0;
        while i < may.len() {
            let columns = layout::tables()[i].columns;
            let mut k = 0;
            while k < columns.len() {
                may[i] |= is_protection_mark(&columns[k]);
                k += 1;
            }
            i += 1;
        }
        may[PROTECTION] = true;
        may
    };
    index < TABLES.len() && TABLES[index]
}

/// Returns whether a column is filled if the relative whom it is about has a protection.
pub(crate) const fn is_protection_mark(column: &Column) -> bool {
    column.relative.is_some() && matches!(column.sensitivity, Some(Sensitivity::Protection))
}

/// Returns the relative's number in each filled column of a record that tells that this relative is protected.
pub(crate) fn marked_relatives<'a>(
    table: &'static Table,
    record: &'a [u8],
) -> impl Iterator<Item = &'a [u8]> {
    // A record without trailing spaces can end within a column.
    let field = move |column: &Column| {
        let rest = record.get(column.start()..).unwrap_or_default();
        rest.get(..column.length).unwrap_or(rest)
    };
    let marks = table.columns.iter().filter(|one| is_protection_mark(one));
    marks
        .filter(move |mark| !value::is_spaces(field(mark)))
        .filter_map(move |mark| Some(field(table.column(mark.relative?)?)))
}

/// Returns what a record tells about a protection that is damaged or not in its place, or `None` if there is no sign of
/// one.
///
/// Such a line begins with 004, perhaps after blanks or with wrong characters, but its key is not ten digits, or names
/// no person. Or it is a record that goes on with a whole 004, because the line end between them was lost. Or it shows
/// that a relative is protected, but the relative's number cannot be read. Or it ties two numbers of a person, and one
/// of them cannot be read: the other may be a protected one.
#[cold]
pub(crate) fn damaged_protection(class: RecordClass, record: &[u8]) -> Option<DamagedProtection> {
    match class {
        RecordClass::Rejected(RejectReason::NoRecordType) => line_without_type(record),
        RecordClass::Rejected(_) => line_without_key(record),
        RecordClass::Known(index) => {
            let table = layout::tables().get(index)?;
            if index == PROTECTION {
                let key = record.get(3..13).unwrap_or_default();
                let is_protection = protection_type(record) != ProtectionType::Other;
                if value::is_zeros(key) && is_protection {
                    return Some(DamagedProtection::Unknown);
                }
                // The first 004 may be a short one, so the second can begin anywhere after its key.
                let mut starts = (17..record.len()).chain(13..17);
                let joined = starts.find_map(|at| joined_protection(record.get(at..)?, true));
                if joined.is_some() {
                    return joined;
                }
                if has_lost_bytes(record) {
                    return Some(DamagedProtection::Unknown);
                }
            }
            let mut relatives = marked_relatives(table, record);
            let is_unreadable_tie = match linked_number(index, record) {
                LinkedNumber::Unreadable => true,
                // Values that stand in wrong columns make a number that can be another one.
                LinkedNumber::Known(_) => is_shifted(table, padded(record)),
                LinkedNumber::None => false,
            };
            if relatives.any(|number| readable_pnr(number).is_none()) || is_unreadable_tie {
                return Some(DamagedProtection::Unknown);
            }
            joined_protection(record.get(table.record_length()..)?, false)
        }
        // A 004 that has lost its first characters.
        RecordClass::Unknown(_) => [b"04".as_slice(), b"4", b""].into_iter().find_map(|left| {
            let rest = record.strip_prefix(left)?;
            let has_key = rest.get(..10).is_some_and(value::is_pnr);
            let has_type = rest.get(10..14) == Some(b"0001");
            let found = readable_key(rest);
            (has_key && has_type && found != DamagedProtection::Unknown).then_some(found)
        }),
    }
}

/// Returns whether a 004 with a date has lost or got bytes, so that its number can be another one: it has not the length
/// of a record with one date or two. A date that is none of the calendar is no sign of that.
fn has_lost_bytes(record: &[u8]) -> bool {
    let length = value::trimmed_len(record);
    // A longer line is another record joined to it, which is found by itself.
    (18..37).contains(&length) && length != 27
}

/// Returns a function that returns the bytes of a column, blank where the record has ended.
pub(crate) fn padded<'a>(record: &'a [u8]) -> impl Fn(&Column) -> &'a [u8] {
    const BLANK: [u8; 64] = [b' '; 64];
    move |column| match record.get(column.start()..column.end()) {
        Some(field) => field,
        // A record without trailing spaces can end within a column; a part of it is judged as it is.
        None => match record.get(column.start()..) {
            Some(part) if !value::is_spaces(part) => part,
            _ => BLANK
                .get(..column.length.min(BLANK.len()))
                .unwrap_or(&BLANK),
        },
    }
}

/// Returns the number in a field, if it is ten digits that name a person.
fn readable_pnr(field: &[u8]) -> Option<u64> {
    (value::is_pnr(field) && !value::is_zeros(field)).then(|| pnr_number(field))
}

/// Returns what the tail of a record tells if it is a 004. `needs_key` tells that a tail without a readable number is
/// something else.
fn joined_protection(tail: &[u8], needs_key: bool) -> Option<DamagedProtection> {
    let rest = tail.strip_prefix(b"004")?;
    match rest.get(..10).filter(|key| value::is_pnr(key)) {
        Some(_) if protection_type(tail) == ProtectionType::Other => None,
        Some(key) if !value::is_blank_pnr(key) => Some(DamagedProtection::Of(pnr_number(key))),
        _ if needs_key => None,
        _ => Some(DamagedProtection::Unknown),
    }
}

/// Returns what a line of a known type tells whose key is not ten digits.
fn line_without_key(line: &[u8]) -> Option<DamagedProtection> {
    if line.starts_with(b"004") {
        return Some(readable_key(line.get(3..).unwrap_or_default()));
    }
    let index = layout::index_of(*line.first_chunk::<3>()?)?;
    let table = layout::tables().get(index)?;
    if linked_number(index, line) != LinkedNumber::None {
        return Some(DamagedProtection::Unknown);
    }
    let mut relatives = marked_relatives(table, line);
    relatives.next().map(|number| match readable_pnr(number) {
        Some(number) => DamagedProtection::Of(number),
        None => DamagedProtection::Unknown,
    })
}

/// Returns what a line tells that does not begin with a record type.
fn line_without_type(line: &[u8]) -> Option<DamagedProtection> {
    // Up to two characters, or any number of blanks and the like, may stand before the type.
    let is_junk = |byte: &u8| !byte.is_ascii_alphanumeric();
    let lead = line.iter().take_while(|byte| is_junk(byte)).count();
    let begins = |at: usize| line.get(at..).filter(|line| line.starts_with(b"004"));
    if let Some(line) = [0, lead, 1, 2].into_iter().find_map(begins) {
        return Some(readable_key(line.get(3..).unwrap_or_default()));
    }
    if is_like_protection(line) {
        let rest = after_type(line).or(line.get(3..)).unwrap_or_default();
        return Some(readable_key(rest));
    }
    // Other records whose type is damaged can tie numbers of a person, or show a relative's protection.
    for record_type in [b"001", b"022", b"031", b"032", b"033"] {
        let index = layout::index_of(*record_type)?;
        let table = layout::tables().get(index)?;
        if !line_may_be(line, record_type) || line.len() > table.record_length() + 2 {
            continue;
        }
        if let LinkedNumber::Known(_) = linked_number(index, line) {
            return Some(DamagedProtection::Unknown);
        }
        if let Some(number) = marked_relatives(table, line).find_map(readable_pnr) {
            return Some(DamagedProtection::Of(number));
        }
    }
    None
}

/// Returns what follows the characters 004 of a line, if no digit and at most two other characters stand between them.
fn after_type(line: &[u8]) -> Option<&[u8]> {
    let mut wanted = b"004".iter();
    let mut next = wanted.next();
    for (at, byte) in line.iter().enumerate().take(5) {
        if Some(byte) == next {
            next = wanted.next();
            if next.is_none() {
                return line.get(at + 1..);
            }
        } else if byte.is_ascii_digit() {
            return None;
        }
    }
    None
}

/// Returns whether the line can be a record of that type of which characters were replaced: each of its first characters
/// is that of the type, or no digit.
fn line_may_be(line: &[u8], record_type: &[u8; 3]) -> bool {
    line.iter()
        .zip(record_type)
        .all(|(found, expected)| found == expected || !found.is_ascii_digit())
}

/// Returns whether a line without a record type can be a 004: it is no longer than one, and has at most two letters,
/// because a 004 has only digits and hyphens.
fn is_like_protection(line: &[u8]) -> bool {
    /// The length of a 004 with both dates, and of some characters more.
    const LONGEST: usize = 40;
    let letters = line
        .iter()
        .filter(|byte| byte.is_ascii_alphabetic())
        .count();
    line.len() <= LONGEST && letters <= 2 && !value::is_spaces(line)
}

/// Reads the person number of a damaged 004 from the bytes after its type.
///
/// The number can be read if characters were inserted: its ten digits are there, and a type of four digits or blanks,
/// and nothing but dates, follows them. If a digit was replaced, the rest does not fit, and the number is unknown.
fn readable_key(rest: &[u8]) -> DamagedProtection {
    let mut digits = Vec::with_capacity(10);
    let mut used = 0;
    for byte in rest {
        if digits.len() == 10 {
            break;
        }
        used += 1;
        if byte.is_ascii_digit() {
            digits.push(*byte);
        } else if byte.is_ascii_alphabetic() {
            return DamagedProtection::Unknown;
        }
    }
    let after = rest.get(used..).unwrap_or_default();
    let (kind, dates) = after.split_at_checked(4).unwrap_or((after, b""));
    let is_kind = kind.len() == 4 && kind.iter().all(u8::is_ascii_digit) || value::is_spaces(kind);
    let is_date = |date: &[u8]| {
        value::is_spaces(date)
            || date.len() == 10
                && date.iter().enumerate().all(|(at, byte)| match at {
                    4 | 7 => *byte == b'-',
                    _ => byte.is_ascii_digit(),
                })
    };
    let fits = is_kind && dates.len() <= 20 && dates.chunks(10).all(is_date);
    match fits && digits.len() == 10 && !value::is_zeros(&digits) {
        true => DamagedProtection::Of(pnr_number(&digits)),
        false => DamagedProtection::Unknown,
    }
}

/// A set of record types that have a PNR as their key.
pub(crate) struct RecordTypes {
    /// The index in [`layout::tables`] by record type number; `None` for types outside the set.
    indexes: Vec<Option<NonZeroU8>>,
}

impl RecordTypes {
    /// Builds the set of those keyed types for whose index in [`layout::tables`] `chosen` returns true.
    pub(crate) fn keyed(chosen: impl Fn(usize) -> bool) -> Self {
        let index = |number| {
            // Index 0 is the start record, which has no key, so every index here is at least 1.
            let index = layout::index_of_number(number).filter(|index| is_keyed(*index))?;
            NonZeroU8::new(u8::try_from(index).ok().filter(|_| chosen(index))?)
        };
        Self {
            indexes: (0..1000).map(index).collect(),
        }
    }

    /// Returns whether the set is empty.
    pub(crate) fn is_empty(&self) -> bool {
        self.indexes.iter().all(Option::is_none)
    }

    /// Returns whether the line begins with the digits of one of the types and is no longer than its layout.
    #[inline]
    pub(crate) fn has_type_of(&self, line: &[u8]) -> bool {
        let number = line
            .first_chunk()
            .and_then(|digits| layout::type_number(*digits));
        let index = number.and_then(|number| self.get(number));
        // A longer line is not skipped, because another record may be joined to it. The line may include a CR.
        index.is_some_and(|index| {
            let table = layout::tables().get(index);
            table.is_some_and(|table| line.len() <= table.record_length() + 1)
        })
    }

    #[inline]
    pub(crate) fn get(&self, number: u16) -> Option<usize> {
        let index = self.indexes.get(usize::from(number)).copied().flatten()?;
        Some(usize::from(index.get()))
    }
}

/// Classifies a line.
#[inline]
pub(crate) fn classify(record: &[u8]) -> RecordClass {
    let digits = record.first_chunk::<3>();
    let Some(number) = digits.and_then(|digits| layout::type_number(*digits)) else {
        return RecordClass::Rejected(RejectReason::NoRecordType);
    };
    match layout::index_of_number(number) {
        None => RecordClass::Unknown(number),
        Some(index) if is_keyed(index) && !record.get(3..13).is_some_and(value::is_pnr) => {
            RecordClass::Rejected(RejectReason::IncompleteKey)
        }
        Some(index) => RecordClass::Known(index),
    }
}

/// Returns whether the bytes are only what systems fill the end of a file with: 0x1A, NUL, 0xFF, spaces or line ends.
pub(crate) fn is_padding(bytes: &[u8]) -> bool {
    let is_filling = |byte: &u8| matches!(byte, 0x1a | 0 | 0xff | b' ' | b'\r' | b'\n');
    bytes.iter().all(is_filling)
}

/// Returns the ten digits of a person number as an integer.
#[inline]
pub(crate) fn pnr_number(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |number, digit| {
        number * 10 + u64::from(digit.wrapping_sub(b'0'))
    })
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

/// Indexes in [`layout::tables`] of the record types that are treated separately.
pub(crate) const START: usize = table_index("000");
pub(crate) const PERSON: usize = table_index("001");
pub(crate) const PROTECTION: usize = table_index("004");
pub(crate) const FORMER_NUMBER: usize = table_index("022");
pub(crate) const INPUT_ERROR: usize = table_index("910");
pub(crate) const RECEIPT: usize = table_index("997");
pub(crate) const END: usize = table_index("999");

/// Returns a column of the table at that index. Evaluated at compile time, so the column must exist.
pub(crate) const fn column_of(table: usize, name: &str) -> &'static Column {
    let columns = layout::tables()[table].columns;
    let mut i = 0;
    while !same(columns[i].name, name) {
        i += 1;
    }
    &columns[i]
}

/// Compares two texts at compile time, where `==` is not available.
const fn same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    if one.len() != other.len() {
        return false;
    }
    let mut i = 0;
    while i < one.len() {
        if one[i] != other[i] {
            return false;
        }
        i += 1;
    }
    true
}

/// Returns the index in [`layout::tables`] of a record type. The type must exist: it is evaluated at compile time.
pub(crate) const fn table_index(record_type: &str) -> usize {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn damaged(line: &str) -> Option<DamagedProtection> {
        damaged_protection(classify(line.as_bytes()), line.as_bytes())
    }

    #[test]
    fn reads_the_number_of_a_damaged_protection() {
        let of = Some(DamagedProtection::Of(101_010_010));
        for readable in [
            "004 01010100100001",
            "004010101 00100001",
            "004010101-00100001",
            "004\t01010100100001",
            "004010101 0010",
            "004010101 0010    2026-01-01",
            "004010101 001000012026-01-01",
            "004010101 001000012026-01-012027-01-01",
            "004010101 00100001          2027-01-01",
            " 00401010100100001",
            "\u{0}00401010100100001",
            "0O401010100100001",
            " 004 01010100100001",
            "  401010100100001",
            "0  01010100100001",
            "0 0401010100100001",
            "0-0-401010100100001",
            "OO401010100100001",
            "   01010100100001",
            "XY401010100100001",
            "X00401010100100001",
            "XX0040101010010",
            "0401010100100001",
            "401010100100001",
            "0X0401010100100001",
            "0x0x401010100100001",
            "???01010100100001",
            "?5?01010100100001",
        ] {
            assert_eq!(damaged(readable), of, "{readable:?}");
        }
        // A digit is lost or replaced, so the number is unknown.
        for unknown in [
            "004",
            "0040101",
            "004010101 010",
            "004010101 0100001",
            "004010101 01000012026-01-01",
            "004010101 010    2026-01-01",
            "004010101X0100001",
            "004010101O0100001",
            "004          0001",
            "004 00000000000001",
            "004010101 00100001 0101010029",
            // Nothing can be read.
            "???????????????????????????",
            "0",
            "00",
            "  4",
            "?04",
            "   0101010",
            "0  0101 010",
            "\u{1}\u{1}",
            "5",
            "0X160676158100012020-01-01",
            // Bytes were lost before the date, so the number can be another one.
            "00401010100100012026-01-01",
            "0040101010010000120-01-012026-01-01",
        ] {
            assert_eq!(
                damaged(unknown),
                Some(DamagedProtection::Unknown),
                "{unknown:?}"
            );
        }
        // Not a protection, or not damaged.
        for other in [
            "00401010100100001",
            "0040101010010",
            "001010101 0010",
            "034010101 00100001",
            "garbage",
            "and so on",
            "-- more text of a note that was on two lines --",
            "04010101001",
            "04010101001000",
            "0410101010010SECRET",
            "XYZ01010100100001",
            "",
            "0360101010010",
        ] {
            assert_eq!(damaged(other), None, "{other:?}");
        }
    }

    #[test]
    fn finds_a_protection_joined_to_a_longer_record() {
        let joined = |tail: &str| damaged(&format!("{:26}{tail}", "0070101010029"));
        assert_eq!(
            joined("00401010100100001"),
            Some(DamagedProtection::Of(101_010_010))
        );
        assert_eq!(
            joined("0040101010010"),
            Some(DamagedProtection::Of(101_010_010))
        );
        assert_eq!(joined("004010101 010"), Some(DamagedProtection::Unknown));
        assert_eq!(joined("00401010100100005"), None);
        assert_eq!(joined("MORE"), None);
        assert_eq!(joined(""), None);
    }

    #[test]
    fn finds_a_protection_joined_to_another() {
        for dates in ["", "2026-01-01", "          2026-01-01"] {
            let line = format!("00401010100290003{dates}00401010100100001");
            assert_eq!(
                damaged(&line),
                Some(DamagedProtection::Of(101_010_010)),
                "{dates:?}"
            );
            let other = format!("00401010100290001{dates}00401010100100003");
            // Without dates the line can also be a 004 that has lost bytes.
            let expected = dates.is_empty().then_some(DamagedProtection::Unknown);
            assert_eq!(damaged(&other), expected, "{dates:?}");
        }
        // A year that ends with 004.
        assert_eq!(damaged("004010101001000012004-01-012004-01-01"), None);
    }

    #[test]
    fn finds_the_protection_of_a_relative_whose_number_is_damaged() {
        for record_type in ["031", "032", "033"] {
            let record = |record_type: &str, key: &str, number: &str, date: &str| {
                let head = format!("{record_type}{key:10}{number:10}");
                damaged(format!("{head:259}{date}").trim_end())
            };
            let unknown = Some(DamagedProtection::Unknown);
            let unreadable = ["0101010 29", "010101002", "O101010029", "0000000000", ""];
            for number in unreadable {
                let found = record(record_type, "0101010010", number, "2026-01-01");
                assert_eq!(found, unknown, "{record_type} {number:?}");
                assert_eq!(record(record_type, "0101010010", number, ""), None);
                // The key cannot be read either.
                let found = record(record_type, "010101001", number, "2026-01-01");
                assert_eq!(found, unknown, "{record_type} {number:?}");
            }
            let of = Some(DamagedProtection::Of(101_010_029));
            let known = |kind, key| record(kind, key, "0101010029", "2026-01-01");
            assert_eq!(known(record_type, "0101010010"), None);
            assert_eq!(known(record_type, "O101010010"), of);
            assert_eq!(known(&record_type.replace("03", "0?"), "0101010010"), of);
            assert_eq!(record(record_type, "O101010010", "0101010029", ""), None);
        }
    }

    #[test]
    fn finds_ties_of_numbers_that_cannot_be_read() {
        let unknown = Some(DamagedProtection::Unknown);
        for unreadable in [
            // A 001 with a valid number that is damaged, and one without a readable key.
            "001010101001031080662?560",
            "001010101001 310806622560",
            "0010101010010 1 ",
            "0?10101010010310806622560",
            // A 022 without a readable number, on either side.
            "0220101010010310806622 ",
            "022?1010100103108066225",
            "0220000000 103108066225",
            "02201010100100000000000",
            "0220101010010",
            "0?201010100103108066225",
        ] {
            assert_eq!(damaged(unreadable), unknown, "{unreadable:?}");
        }
        for other in [
            "001010101001031080662256",
            "0010101010010",
            "0010101010010          01",
            "0010101010010000000000001",
            "00101010100            01",
            "02201010100103108066225",
        ] {
            assert_eq!(damaged(other), None, "{other:?}");
        }
    }
}
