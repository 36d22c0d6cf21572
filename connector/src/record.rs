//! Classifies a line of the extract: its record type, or why it is not a record.

use crate::layout::{self, Column, Sensitivity, Table};
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

/// What a 004 says by its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProtectionType {
    /// A protection of name and address (0001).
    NameAndAddress,
    /// Another protection.
    Other,
    /// The type is none of those that exist, or what follows it is damaged, so it may be a protection of name and address.
    Unreadable,
}

/// Reads the type of a protection (BESKYTTYPE at positions 14-17) from a 004 or 034. The other types are those of the local
/// directory, marketing, research and credit warnings (0002-0005).
pub(crate) fn protection_type(record: &[u8]) -> ProtectionType {
    match record.get(13..17) {
        Some(b"0001") => ProtectionType::NameAndAddress,
        Some([b'0', b'0', b'0', b'2'..=b'5']) if has_protection_dates(record) => {
            ProtectionType::Other
        }
        _ => ProtectionType::Unreadable,
    }
}

/// Returns whether the type of a protection is four digits, so that it is the one that CPR wrote.
pub(crate) fn has_readable_type(record: &[u8]) -> bool {
    record
        .get(13..17)
        .is_some_and(|kind| kind.iter().all(u8::is_ascii_digit))
}

/// Returns whether the two dates of a 004 or 034 are blank, zeros, or dates. A day or a month can be 00.
pub(crate) fn has_protection_dates(record: &[u8]) -> bool {
    let is_date = |from: usize| {
        let rest = record.get(from..).unwrap_or_default();
        let field = rest.get(..10).unwrap_or(rest);
        let is_up_to =
            |part: &[u8], most: &[u8]| part.iter().all(u8::is_ascii_digit) && part <= most;
        value::is_spaces(field)
            || match field {
                [year @ .., b'-', m0, m1, b'-', d0, d1] if year.len() == 4 => {
                    is_up_to(year, b"9999")
                        && is_up_to(&[*m0, *m1], b"12")
                        && is_up_to(&[*d0, *d1], b"31")
                }
                _ => false,
            }
    };
    is_date(17) && is_date(27)
}

/// The other number of the same person that a record names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LinkedNumber {
    None,
    Known(u64),
    /// A number that ties this one to another cannot be read.
    Unreadable,
}

/// Returns the valid number that a 001 names, or the former number of a 022.
///
/// A 001 names none if the field is blank or ten zeros, or if the record ends before it. A record that ends within the
/// field is damaged, and so is a 022 without two numbers.
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
    let is_blank =
        value::is_spaces(field) || field.len() == column.length && value::is_zeros(field);
    match index {
        FORMER_NUMBER if is_blank || !has_person(record) => LinkedNumber::Unreadable,
        _ if is_blank => LinkedNumber::None,
        _ if is_possible_field(field) => LinkedNumber::Known(pnr_number(field)),
        _ => LinkedNumber::Unreadable,
    }
}

/// Returns whether the key of a record can be a person number.
#[inline]
pub(crate) fn has_person(record: &[u8]) -> bool {
    record
        .get(3..13)
        .and_then(<[u8]>::first_chunk)
        .is_some_and(is_possible)
}

/// Returns whether ten bytes can be a person number: digits that begin with a day (from 61 on for numbers that are given
/// without a birth date) and a month.
#[inline]
pub(crate) fn is_possible(number: &[u8; 10]) -> bool {
    let [d0, d1, m0, m1, ..] = *number;
    let day = (d0, d1);
    let is_day = ((b'0', b'1')..=(b'3', b'1')).contains(&day)
        || ((b'6', b'1')..=(b'9', b'1')).contains(&day);
    let is_month = ((b'0', b'1')..=(b'1', b'2')).contains(&(m0, m1));
    number.iter().all(u8::is_ascii_digit) && is_day && is_month
}

/// Returns whether a field is a possible person number.
#[inline]
pub(crate) fn is_possible_field(field: &[u8]) -> bool {
    <&[u8; 10]>::try_from(field).is_ok_and(is_possible)
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

/// Returns whether a record is too short to have a filled column that shows a relative's protection.
#[inline]
pub(crate) fn ends_before_marks(index: usize, record: &[u8]) -> bool {
    const FIRST: [usize; layout::tables().len()] = {
        let mut first = [usize::MAX; layout::tables().len()];
        let mut i = 0;
        while i < first.len() {
            let columns = layout::tables()[i].columns;
            let mut k = 0;
            while k < columns.len() {
                if is_protection_mark(&columns[k]) && columns[k].start() < first[i] {
                    first[i] = columns[k].start();
                }
                k += 1;
            }
            i += 1;
        }
        first
    };
    FIRST.get(index).is_some_and(|first| record.len() <= *first)
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

/// A set of record types that have a PNR as their key.
#[derive(Clone, Copy)]
pub(crate) struct RecordTypes {
    /// A bit for each index in [`layout::tables`].
    indexes: u64,
}

const _: () = assert!(layout::tables().len() <= u64::BITS as usize);

impl RecordTypes {
    /// Builds the set of those keyed types for whose index in [`layout::tables`] `chosen` returns true.
    pub(crate) fn keyed(chosen: impl Fn(usize) -> bool) -> Self {
        let indexes = 0..layout::tables().len();
        let chosen = indexes.filter(|index| is_keyed(*index) && chosen(*index));
        Self {
            indexes: chosen.fold(0, |all, index| all | 1 << index),
        }
    }

    /// Returns whether the set is empty.
    pub(crate) fn is_empty(self) -> bool {
        self.indexes == 0
    }

    /// Returns whether the line is a record of one of the types, with a whole key, and is no longer than its layout.
    #[inline]
    pub(crate) fn has_type_of(self, line: &[u8]) -> bool {
        // A longer line is not skipped, because another record may be joined to it.
        self.of_line(line).is_some_and(|index| {
            let table = layout::tables().get(index);
            table.is_some_and(|table| line.len() <= table.record_length())
                && line.get(3..13).is_some_and(value::is_pnr)
        })
    }

    /// Returns the index of the line's type, if it is one of these.
    #[inline]
    pub(crate) fn of_line(self, line: &[u8]) -> Option<usize> {
        let index = layout::index_of(*line.first_chunk()?)?;
        (self.indexes >> index & 1 == 1).then_some(index)
    }
}

/// Classifies a line.
#[inline]
pub(crate) fn classify(record: &[u8]) -> RecordClass {
    let digits = record.first_chunk::<3>();
    match digits.and_then(|digits| layout::index_of(*digits)) {
        None => match digits.and_then(|digits| layout::type_number(*digits)) {
            Some(number) => RecordClass::Unknown(number),
            None => RecordClass::Rejected(RejectReason::NoRecordType),
        },
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
pub(crate) const EVENT: usize = table_index("099");
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
