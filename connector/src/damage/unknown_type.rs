//! Tells lines of an unknown type that may be damaged records of another type from records of a new type.

use super::{LONGEST, readable_pnr};
use crate::record::is_possible;
use crate::value;

/// The types of the records that tie two numbers of a person, or show that a relative is protected. In each of them the
/// second number follows the first.
const TYPES_WITH_TWO_NUMBERS: [&[u8; 3]; 5] = [b"001", b"022", b"031", b"032", b"033"];

/// The number of bytes that may be lost or added before the key.
const MOST: usize = 3;

/// The position after the key, counted from 0.
const AFTER_KEY: usize = 13;

/// Returns whether a line of an unknown type may be a damaged protection, a tie between two numbers, or a record with a
/// protected relative.
///
/// That is so if its key is no possible person number, if it is as short as a 004 and has only its characters, if a
/// possible person number follows the key, or if its first characters read as such a record with bytes lost or added.
pub(super) fn may_be_another(line: &[u8]) -> bool {
    let key = line.get(3..).and_then(<[u8]>::first_chunk);
    !key.is_some_and(is_possible)
        || has_only_digits(line)
        || names_another_person(line)
        || reads_as_another(line)
}

/// Returns whether the line is no longer than a 004, and has no other characters than a 004: digits, hyphens and blanks.
/// Control characters count as blanks.
fn has_only_digits(line: &[u8]) -> bool {
    let is_own = |byte: &u8| {
        byte.is_ascii_digit() || matches!(byte, b'-' | b' ') || value::is_control(*byte)
    };
    value::trimmed_len(line) <= LONGEST && line.iter().all(is_own)
}

/// Returns whether a possible person number stands anywhere after the key. In twelve digits that are a time, only the
/// first ten count.
fn names_another_person(line: &[u8]) -> bool {
    let rest = line.get(AFTER_KEY..).unwrap_or_default();
    let mut runs = rest.split(|byte| !byte.is_ascii_digit());
    runs.any(|run| match is_time(run) {
        true => run.first_chunk().is_some_and(is_possible),
        false => run.array_windows().any(is_possible),
    })
}

/// Returns whether the first characters read as one of the types with a key and what follows it, with up to three bytes
/// lost or added before the key.
fn reads_as_another(line: &[u8]) -> bool {
    (1..=MOST).any(|lost| has_lost(line, lost)) || (1..=MOST).any(|added| has_added(line, added))
}

fn has_lost(line: &[u8], lost: usize) -> bool {
    let Some((left, rest)) = line.split_at_checked(3 - lost) else {
        return false;
    };
    let Some((key, rest)) = rest.split_first_chunk() else {
        return false;
    };
    // A second number begins within the key of a record of a new type. A time after that key is no part of one.
    let after_key = line.get(AFTER_KEY..).unwrap_or_default();
    let digits = after_key.iter().take_while(|byte| byte.is_ascii_digit());
    let is_before_time = is_time(after_key.get(..digits.count()).unwrap_or_default());
    let is_tie = || {
        let mut types = TYPES_WITH_TWO_NUMBERS.iter();
        !is_before_time
            && rest.first_chunk().is_some_and(is_possible)
            && types.any(|record_type| is_within(left, *record_type))
    };
    is_possible(key) && (is_within(left, b"004") && begins_with_kind(rest) || is_tie())
}

/// A second number after added bytes stands after the key, where it is found by itself.
fn has_added(line: &[u8], added: usize) -> bool {
    let Some((head, rest)) = line.split_at_checked(3 + added) else {
        return false;
    };
    let has_key = rest.get(..10).and_then(readable_pnr).is_some();
    let kind = rest.get(10..).unwrap_or_default();
    has_key && head.ends_with(b"4") && is_within(b"004", head) && begins_with_kind(kind)
}

/// Returns whether the bytes begin with the type of a protection: 0001, 0002 and so on.
fn begins_with_kind(bytes: &[u8]) -> bool {
    matches!(bytes, [b'0', b'0', b'0', b'0'..=b'9', ..])
}

/// Returns whether the bytes are in the other ones, in the same order, perhaps with others between them.
fn is_within(bytes: &[u8], whole: &[u8]) -> bool {
    let mut whole = whole.iter();
    bytes.iter().all(|byte| whole.any(|other| other == byte))
}

/// Returns whether the digits are exactly a time `YYYYMMDDHHMM`. Parts that are not known are zeros, and minutes 99.
fn is_time(digits: &[u8]) -> bool {
    let Ok(&[y0, y1, _, _, m0, m1, d0, d1, h0, h1, n0, n1]) = <&[u8; 12]>::try_from(digits) else {
        return false;
    };
    let is_minute = (n0, n1) <= (b'5', b'9') || (n0, n1) == (b'9', b'9');
    matches!((y0, y1), (b'1', b'8' | b'9') | (b'2', b'0' | b'1'))
        && (m0, m1) <= (b'1', b'2')
        && (d0, d1) <= (b'3', b'1')
        && (h0, h1) <= (b'2', b'4')
        && is_minute
}
