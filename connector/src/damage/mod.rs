//! Finds damaged lines that may have been a protection, or a tie between two numbers of a person.
//!
//! A line that is no whole record may have been one of these, so it counts as one. Where a person number is certain, its
//! person is protected. Otherwise every person of the extract may be the one.

#[cfg(test)]
mod tests;
mod unknown_type;

use crate::layout::{self, Column, Table};
use crate::policy::is_shifted;
use crate::record::{
    LinkedNumber, PROTECTION, ProtectionType, RecordClass, RejectReason, has_person,
    has_protection_dates, has_readable_type, is_possible_field, linked_number, marked_relatives,
    may_protect, padded, pnr_number, protection_type,
};
use crate::value;
use unknown_type::may_be_another;

/// What a damaged line still tells about a protection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DamagedProtection {
    /// The number of the person who may be protected can be read.
    Of(u64),
    /// Any person may be protected.
    Unknown,
}

/// Returns whether [`damaged_protection`] may find something. It is quick, because it is asked about every record.
#[inline]
pub(crate) fn may_be_damaged(class: RecordClass, record: &[u8]) -> bool {
    match class {
        RecordClass::Rejected(_) | RecordClass::Unknown(_) => true,
        RecordClass::Known(index) => {
            let table = layout::tables().get(index);
            table.is_some_and(|table| record.len() > table.record_length())
                || match index {
                    PROTECTION => !is_whole_protection(record),
                    _ => may_protect(index) || linked_number(index, record) != LinkedNumber::None,
                }
        }
    }
}

/// Returns whether a 004 has a possible person number, a type that exists, and two dates in their places. No longer than its
/// layout, it has no sign of damage: a second 004 has no room beside the hyphens and spaces of the dates.
#[inline]
pub(crate) fn is_whole_protection(record: &[u8]) -> bool {
    matches!(record.get(13..17), Some([b'0', b'0', b'0', b'1'..=b'5']))
        && has_person(record)
        && has_protection_dates(record)
}

/// Returns what a record tells about a protection that is damaged or not in its place, or `None` if there is no sign of
/// one.
///
/// A rejected line always counts, unless it is blank or padding. A line of an unknown type counts if it may be a record
/// of another type. A record of a known type counts if it names no person, if a whole 004 follows it because the line end
/// between them was lost, or if a number in it cannot be read that ties two numbers or is that of a protected relative.
#[cold]
pub(crate) fn damaged_protection(class: RecordClass, record: &[u8]) -> Option<DamagedProtection> {
    match class {
        RecordClass::Rejected(RejectReason::Padding) => None,
        RecordClass::Rejected(_) if value::is_spaces(record) => None,
        RecordClass::Rejected(reason) => {
            let person = match reason {
                RejectReason::IncompleteKey => person_without_key(record),
                _ => person_without_type(record),
            };
            Some(person.map_or(DamagedProtection::Unknown, DamagedProtection::Of))
        }
        RecordClass::Unknown(_) => may_be_another(record).then_some(DamagedProtection::Unknown),
        RecordClass::Known(PROTECTION) => in_protection(record),
        RecordClass::Known(index) => in_other_record(index, layout::tables().get(index)?, record),
    }
}

/// Returns what a 004 with ten digits as its key tells.
fn in_protection(record: &[u8]) -> Option<DamagedProtection> {
    let is_protection = protection_type(record) != ProtectionType::Other;
    if !has_person(record) && is_protection || has_foreign_type(record) || is_moved(record) {
        return Some(DamagedProtection::Unknown);
    }
    // The first 004 may be a short one, so the second can begin anywhere after its key.
    let joined = |from: usize| {
        let mut starts = from..record.len();
        starts.find_map(|at| Some((at, joined_protection(record.get(at..)?, true)?)))
    };
    if let Some((at, found)) = joined(17).or_else(|| joined(13)) {
        return match joined(at + 17) {
            // There are more persons than one.
            Some(_) => Some(DamagedProtection::Unknown),
            None => Some(found),
        };
    }
    if has_lost_bytes(record) {
        return Some(DamagedProtection::Unknown);
    }
    // After the full length, a 004 without a readable number is one too.
    let length = layout::tables().get(PROTECTION)?.record_length();
    joined_protection(record.get(length..)?, false)
}

/// Returns what a record of another known type tells.
fn in_other_record(
    index: usize,
    table: &'static Table,
    record: &[u8],
) -> Option<DamagedProtection> {
    let has_person = has_person(record);
    let is_unreadable_tie = match linked_number(index, record) {
        LinkedNumber::Unreadable => true,
        // Values that stand in wrong columns make a number that can be another one.
        LinkedNumber::Known(_) => !has_person || is_shifted(table, padded(record)),
        LinkedNumber::None => false,
    };
    if is_unreadable_tie {
        return Some(DamagedProtection::Unknown);
    }
    let mut of_relative = None;
    for number in marked_relatives(table, record) {
        match readable_pnr(number) {
            None => return Some(DamagedProtection::Unknown),
            // Records without a person are read by nothing else.
            Some(number) if !has_person => of_relative = Some(DamagedProtection::Of(number)),
            Some(_) => {}
        }
    }
    of_relative.or_else(|| joined_protection(record.get(table.record_length()..)?, false))
}

/// Returns whether a 004 has a type that no damage of the type alone explains: it has other characters than digits, blanks
/// and control characters. Then bytes were lost before it, and the number can be another one.
fn has_foreign_type(record: &[u8]) -> bool {
    let kind = record.get(13..).unwrap_or_default();
    let is_own = |byte: &u8| byte.is_ascii_digit() || *byte == b' ' || value::is_control(*byte);
    !kind.iter().take(4).all(is_own)
}

/// Returns whether a 004 has neither a type that exists nor dates in their places. Then bytes were lost or added before the
/// type, and the number can be another one.
fn is_moved(record: &[u8]) -> bool {
    let kind = record.get(13..17).unwrap_or_default();
    let exists = matches!(kind, [b'0', b'0', b'0', b'1'..=b'5']);
    has_readable_type(record) && !exists && !has_protection_dates(record)
}

/// Returns whether a 004 has lost or got bytes, so that its number can be another one. With a date, it has not the length
/// of a record with one date or two. Without one, a type of 0001 begins within the number. A date that is none of the
/// calendar is no sign of that.
fn has_lost_bytes(record: &[u8]) -> bool {
    let length = value::trimmed_len(record);
    match length {
        13..=16 => record.get(..length).is_some_and(|r| r.ends_with(b"0001")),
        // A longer line is another record joined to it, which is found by itself.
        18..=36 => length != 27,
        _ => false,
    }
}

/// Returns the number in a field, if it can be a person number.
fn readable_pnr(field: &[u8]) -> Option<u64> {
    is_possible_field(field).then(|| pnr_number(field))
}

/// Returns what the tail of a record tells if it is a 004. `needs_key` tells that a tail without a readable number is
/// something else.
fn joined_protection(tail: &[u8], needs_key: bool) -> Option<DamagedProtection> {
    let rest = tail.strip_prefix(b"004")?;
    match rest.get(..10).filter(|key| value::is_pnr(key)) {
        Some(_) if protection_type(tail) == ProtectionType::Other => None,
        Some(key) if !is_possible_field(key) => (!needs_key).then_some(DamagedProtection::Unknown),
        Some(_) if has_foreign_type(tail) || is_moved(tail) || has_lost_bytes(tail) => {
            Some(DamagedProtection::Unknown)
        }
        Some(key) => Some(DamagedProtection::Of(pnr_number(key))),
        None if needs_key => None,
        None => Some(DamagedProtection::Unknown),
    }
}

/// Returns the person whose protection a line of a known type tells, if it is certain, although its key is not ten digits.
fn person_without_key(line: &[u8]) -> Option<u64> {
    if let Some(rest) = line.strip_prefix(b"004") {
        return readable_key(rest, false);
    }
    let index = layout::index_of(*line.first_chunk::<3>()?)?;
    protected_relative(layout::tables().get(index)?, line)
}

/// Returns the person whose protection a line without a record type tells, if it is certain.
fn person_without_type(line: &[u8]) -> Option<u64> {
    // Up to two characters, or any number of blanks and the like, may stand before the type.
    let is_junk = |byte: &u8| !byte.is_ascii_alphanumeric();
    let lead = line.iter().take_while(|byte| is_junk(byte)).count();
    let after = |at: usize| line.get(at..)?.strip_prefix(b"004");
    if let Some(rest) = [0, lead, 1, 2].into_iter().find_map(after) {
        return readable_key(rest, false);
    }
    if is_like_protection(line) {
        return match after_type(line) {
            Some(rest) => readable_key(rest, false),
            // The type of the record cannot be read, so only the type of the protection shows that it is one.
            None => readable_key(line.get(3..)?, true),
        };
    }
    [b"031", b"032", b"033"]
        .into_iter()
        .filter(|record_type| line_may_be(line, record_type))
        .find_map(|record_type| {
            let table = layout::tables().get(layout::index_of(*record_type)?)?;
            protected_relative(table, line)
        })
}

/// Returns the relative whom a record of a damaged type or key shows as protected, if every other value fits its column.
/// Otherwise bytes were lost or added, and the number can be another one.
fn protected_relative(table: &'static Table, line: &[u8]) -> Option<u64> {
    let field = padded(line);
    let apart_from_key = |column: &Column| match column.start() {
        3 => &b""[..],
        _ => field(column),
    };
    let number = marked_relatives(table, line).find_map(readable_pnr)?;
    let fits = value::trimmed_len(line) <= table.record_length();
    (fits && !is_shifted(table, apart_from_key)).then_some(number)
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
    let letters = line
        .iter()
        .filter(|byte| byte.is_ascii_alphabetic())
        .count();
    line.len() <= LONGEST && letters <= 2
}

/// The length of a 004 with both dates, and of some characters more.
const LONGEST: usize = 40;

/// Reads the person number of a damaged 004 from the bytes after its type. `needs_type` tells that the type of the
/// protection must be 0001.
///
/// The number can be read if characters were inserted: its ten digits are there, and a type of four digits or blanks,
/// and nothing but dates, follows them. If a digit was replaced, the rest does not fit, and the number is unknown.
fn readable_key(rest: &[u8], needs_type: bool) -> Option<u64> {
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
            return None;
        }
    }
    let after = rest.get(used..).unwrap_or_default();
    let (kind, dates) = after.split_at_checked(4).unwrap_or((after, b""));
    let is_kind = match needs_type {
        true => kind == b"0001",
        false => kind.len() == 4 && kind.iter().all(u8::is_ascii_digit) || value::is_spaces(kind),
    };
    let is_date = |date: &[u8]| {
        value::is_spaces(date)
            || date.len() == 10
                && date.iter().enumerate().all(|(at, byte)| match at {
                    4 | 7 => *byte == b'-',
                    _ => byte.is_ascii_digit(),
                })
    };
    let fits = is_kind && dates.len() <= 20 && dates.chunks(10).all(is_date);
    readable_pnr(&digits).filter(|_| fits)
}
