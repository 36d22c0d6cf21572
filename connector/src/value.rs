//! Converts the bytes of a field to a value.
//!
//! A value that its type cannot hold exactly is never guessed: [`Cell::Irregular`] tells the caller to keep the raw
//! text beside the part that the type can hold. These functions run once per field and are written for speed. `grammar`
//! has the same rules as nom parsers, and the tests compare the two.

use crate::lanes::{LANES, Lanes};
use crate::layout::Blank;

/// The content of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cell<T> {
    /// No value: the field has the filling that is usual for it.
    Null,
    /// A value that holds everything that the field says.
    Value(T),
    /// A value that holds only a part of the raw text, or no value.
    Irregular(Option<T>),
}

/// Microseconds in a day.
pub(crate) const DAY_MICROS: i64 = 86_400_000_000;

/// Converts `YYYY-MM-DD` to days since 1970-01-01.
// A call for each field costs more than the conversion. So do the calls in `timestamp` and `days_of`.
#[inline(always)]
pub(crate) fn date(raw: &[u8], blank: Blank) -> Cell<i32> {
    const HYPHENS: u64 = u64::from_le_bytes(*b"\0\0\0\0-\0\0-");
    const AT_HYPHENS: u64 = u64::from_le_bytes([0, 0, 0, 0, 0xff, 0, 0, 0xff]);
    let Some((front, [t0, t1])) = raw.split_first_chunk() else {
        return Cell::Irregular(None);
    };
    let front = u64::from_le_bytes(*front);
    // The year, the month and the day move together, without the hyphens.
    let day = u64::from(*t0) << 48 | u64::from(*t1) << 56;
    let digits = front & 0xffff_ffff | (front >> 40 & 0xffff) << 32 | day;
    if front & AT_HYPHENS == HYPHENS
        && let Some(days) = days_of(digits)
    {
        return Cell::Value(days);
    }
    filling(raw, blank)
}

/// Converts `YYYYMMDD` to days since 1970-01-01.
#[inline(always)]
pub(crate) fn date8(raw: &[u8], blank: Blank) -> Cell<i32> {
    let Ok(digits) = <[u8; 8]>::try_from(raw) else {
        return Cell::Irregular(None);
    };
    match days_of(u64::from_le_bytes(digits)) {
        Some(days) => Cell::Value(days),
        None => filling(raw, blank),
    }
}

/// Converts `YYYYMMDDHHMM` to microseconds since 1970-01-01T00:00 of the same local clock.
///
/// If the date is valid and the time is impossible (`…1299`), the value is the date at 00:00 and irregular.
#[inline(always)]
pub(crate) fn timestamp(raw: &[u8], blank: Blank) -> Cell<i64> {
    let Some((day, [h0, h1, n0, n1])) = raw.split_first_chunk() else {
        return Cell::Irregular(None);
    };
    let Some(days) = days_of(u64::from_le_bytes(*day)) else {
        return filling(raw, blank);
    };
    let midnight = i64::from(days) * DAY_MICROS;
    match (two_digits(*h0, *h1), two_digits(*n0, *n1)) {
        (Some(hour @ 0..=23), Some(minute @ 0..=59)) => {
            Cell::Value(midnight + (i64::from(hour) * 60 + i64::from(minute)) * 60_000_000)
        }
        _ => Cell::Irregular(Some(midnight)),
    }
}

/// Converts `*` to true and a space to false.
pub(crate) fn flag(raw: &[u8]) -> Cell<bool> {
    match raw {
        b"*" => Cell::Value(true),
        b" " => Cell::Value(false),
        _ => Cell::Irregular(None),
    }
}

/// Converts up to 18 digits to a number.
pub(crate) fn count(raw: &[u8], blank: Blank) -> Cell<i64> {
    if raw.is_empty() || raw.len() > 18 || !raw.iter().all(u8::is_ascii_digit) {
        // Zeros are digits, and a count of zero is 0. So only spaces can mean that there is no value.
        return match blank {
            Blank::Spaces if is_spaces(raw) => Cell::Null,
            _ => Cell::Irregular(None),
        };
    }
    let value = raw
        .iter()
        .fold(0_i64, |value, digit| value * 10 + i64::from(digit - b'0'));
    Cell::Value(value)
}

/// Returns the length of the text without its trailing spaces.
pub(crate) fn trimmed_len(raw: &[u8]) -> usize {
    const SPACES: u64 = u64::from_le_bytes([b' '; 8]);
    let mut rest = raw;
    while let Some((front, last)) = rest.split_last_chunk::<8>() {
        let difference = u64::from_le_bytes(*last) ^ SPACES;
        if difference != 0 {
            return rest.len() - (difference.leading_zeros() / 8) as usize;
        }
        rest = front;
    }
    while let Some((&b' ', front)) = rest.split_last() {
        rest = front;
    }
    rest.len()
}

/// Returns whether the field has only spaces, or is empty.
pub(crate) fn is_spaces(raw: &[u8]) -> bool {
    trimmed_len(raw) == 0
}

/// Returns whether a field for a person number holds no number: it is blank or all zeros.
#[inline]
pub(crate) fn is_blank_pnr(raw: &[u8]) -> bool {
    matches!(raw.first(), Some(b' ' | b'0')) && (is_spaces(raw) || is_zeros(raw))
}

/// Returns whether the bytes have a control character: 0x00-0x1F, 0x7F or 0x80-0x9F.
#[inline]
pub(crate) fn has_control(bytes: &[u8]) -> bool {
    survey(bytes).has_control
}

/// What some bytes have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Survey {
    /// Whether there is a control character.
    pub(crate) has_control: bool,
    /// Whether all bytes are ASCII.
    pub(crate) is_ascii: bool,
}

/// Finds control characters and bytes outside ASCII in one pass.
#[inline]
pub(crate) fn survey(bytes: &[u8]) -> Survey {
    let Some(last) = bytes.last_chunk::<LANES>() else {
        return Survey {
            has_control: bytes.iter().any(|byte| is_control(*byte)),
            is_ascii: bytes.is_ascii(),
        };
    };
    let (mut controls, mut high) = (Lanes::zero(), Lanes::zero());
    // The last piece overlaps the one before.
    for piece in bytes.as_chunks::<LANES>().0.iter().chain([last]) {
        let lanes = Lanes::load(piece);
        controls = controls.or(lanes.controls());
        high = high.or(lanes);
    }
    Survey {
        has_control: controls.high() != 0,
        is_ascii: high.high() == 0,
    }
}

/// Returns whether a byte of ISO-8859-1 is a control character.
pub(crate) const fn is_control(byte: u8) -> bool {
    // Bits 5 and 6 are both clear in 0x00-0x1F and 0x80-0x9F.
    (byte & 0x60 == 0) | (byte == 0x7f)
}

/// Returns whether every byte is the digit zero.
pub(crate) fn is_zeros(raw: &[u8]) -> bool {
    raw.iter().all(|byte| *byte == b'0')
}

/// Returns whether the field is exactly ten digits.
#[inline]
pub(crate) fn is_pnr(raw: &[u8]) -> bool {
    let Ok(raw) = <&[u8; 10]>::try_from(raw) else {
        return false;
    };
    // The two words overlap.
    let [a, b, c, d, e, f, g, h, i, j] = *raw;
    let first = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
    let last = u64::from_le_bytes([c, d, e, f, g, h, i, j]);
    (not_digits(first) | not_digits(last)) == 0
}

/// Returns the year, month and day of a day number.
pub(crate) const fn civil(days: i32) -> (i32, u32, u32) {
    // Howard Hinnant's algorithm: years begin in March, so that a leap day is the last day of a year.
    let z = days as i64 + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + (month <= 2) as i64;
    (year as i32, month as u32, day as u32)
}

/// Formats a day number as `YYYY-MM-DD`.
pub(crate) fn iso_date(days: i32) -> String {
    let (year, month, day) = civil(days);
    format!("{year:04}-{month:02}-{day:02}")
}

/// Returns the day number of a date in the years 1 to 9999, or `None` if the date does not exist.
pub(crate) const fn days_from_civil(year: u32, month: u32, day: u32) -> Option<i32> {
    const LENGTHS: [u8; 13] = [0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    /// Days before the month, in a year that begins in March.
    const BEFORE: [u16; 13] = [0, 306, 337, 0, 31, 61, 92, 122, 153, 184, 214, 245, 275];
    if year == 0 || month == 0 || month > 12 || day == 0 {
        return None;
    }
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let length = LENGTHS[month as usize] as u32 + (leap && month == 2) as u32;
    if day > length {
        return None;
    }
    let year = year - (month <= 2) as u32;
    let days = year * 365 + year / 4 - year / 100 + year / 400;
    Some((days + BEFORE[month as usize] as u32 + day) as i32 - 719_469)
}

/// Returns null for the usual filling of an empty field, and an irregular cell for anything else.
#[inline(never)]
fn filling<T>(raw: &[u8], blank: Blank) -> Cell<T> {
    let usual = match blank {
        Blank::Spaces => is_spaces(raw),
        Blank::Zeros => is_zeros(raw),
    };
    if usual {
        Cell::Null
    } else {
        Cell::Irregular(None)
    }
}

/// Converts eight ASCII digits `YYYYMMDD` in a little-endian word to days since 1970-01-01, if they are a date.
#[inline(always)]
fn days_of(word: u64) -> Option<i32> {
    if !all_digits(word) {
        return None;
    }
    let digits = word & 0x0f0f_0f0f_0f0f_0f0f;
    // All four pairs of digits become numbers below 100 at once: 10 × the first byte + the second.
    let pairs = (digits.wrapping_mul(10).wrapping_add(digits >> 8)) & 0x00ff_00ff_00ff_00ff;
    let year = (pairs & 0xff) as u32 * 100 + (pairs >> 16 & 0xff) as u32;
    let (month, day) = ((pairs >> 32 & 0xff) as usize, (pairs >> 48) as usize);
    let Some(begin) = YEARS.get(year.wrapping_sub(FIRST_YEAR) as usize) else {
        return days_from_civil(year, month as u32, day as u32);
    };
    let days = if begin.is_leap { &LEAP } else { &COMMON };
    match days.get(month << 7 | day) {
        Some(&in_year) if in_year > 0 => Some(begin.before + i32::from(in_year)),
        _ => None,
    }
}

/// A year that most dates are in.
#[derive(Clone, Copy)]
struct Year {
    /// The day number of the day before the first.
    before: i32,
    is_leap: bool,
}

/// The first year of [`YEARS`].
const FIRST_YEAR: u32 = 1850;

/// 256 years: those of persons who live, of their parents, and of what is to come.
static YEARS: [Year; 256] = {
    let mut years = [Year {
        before: 0,
        is_leap: false,
    }; 256];
    let mut i = 0;
    while i < years.len() {
        let year = FIRST_YEAR + i as u32;
        let first = match days_from_civil(year, 1, 1) {
            Some(first) => first,
            None => panic!(),
        };
        years[i] = Year {
            before: first - 1,
            is_leap: days_from_civil(year, 2, 29).is_some(),
        };
        i += 1;
    }
    years
};

/// The number of each day in its year, from 1 on, by `month << 7 | day`. 0 means that there is no such day.
static COMMON: [u16; 13 << 7] = days_of_year(2001);
static LEAP: [u16; 13 << 7] = days_of_year(2000);

const fn days_of_year(year: u32) -> [u16; 13 << 7] {
    let mut days = [0; 13 << 7];
    let mut number = 1;
    let mut place = 0;
    while place < days.len() {
        let (month, day) = (place >> 7, place & 0x7f);
        if days_from_civil(year, month as u32, day as u32).is_some() {
            days[place] = number;
            number += 1;
        }
        place += 1;
    }
    days
}

/// Returns whether all eight bytes are ASCII digits.
const fn all_digits(word: u64) -> bool {
    not_digits(word) == 0
}

/// Returns 0 if all eight bytes are ASCII digits, and another number if not.
const fn not_digits(word: u64) -> u64 {
    let value = word ^ 0x3030_3030_3030_3030;
    // A value above 9 sets the highest bit of its byte, or had it before. Only one that had it can carry into the next byte.
    (value.wrapping_add(0x7676_7676_7676_7676) | value) & 0x8080_8080_8080_8080
}

fn two_digits(tens: u8, units: u8) -> Option<u8> {
    (tens.is_ascii_digit() && units.is_ascii_digit()).then(|| (tens - b'0') * 10 + (units - b'0'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grammar;
    use proptest::prelude::*;

    #[test]
    fn converts_dates() {
        assert_eq!(date(b"1970-01-01", Blank::Spaces), Cell::Value(0));
        assert_eq!(date(b"1961-09-07", Blank::Spaces), Cell::Value(-3038));
        assert_eq!(date(b"2000-02-29", Blank::Spaces), Cell::Value(11_016));
        assert_eq!(date(b"          ", Blank::Spaces), Cell::Null);
        for irregular in [
            b"1961-00-00",
            b"1900-02-29",
            b"1961-13-01",
            b"1961-01-32",
            b"0000000000",
            b"0000-00-00",
            b"0000-01-01",
            b"1961/09/07",
            b" 961-09-07",
            b"1961-09-0\0",
            b"1961-09-0:",
        ] {
            assert_eq!(date(irregular, Blank::Spaces), Cell::Irregular(None));
        }
        assert_eq!(date8(b"20011116", Blank::Spaces), Cell::Value(11_642));
        assert_eq!(date8(b"00000000", Blank::Spaces), Cell::Irregular(None));
        assert_eq!(date8(b"        ", Blank::Spaces), Cell::Null);
    }

    #[test]
    fn converts_timestamps() {
        let at = |days: i64, minutes: i64| days * DAY_MICROS + minutes * 60_000_000;
        assert_eq!(
            timestamp(b"197001022359", Blank::Zeros),
            Cell::Value(at(1, 23 * 60 + 59))
        );
        assert_eq!(
            timestamp(b"197001021299", Blank::Zeros),
            Cell::Irregular(Some(at(1, 0)))
        );
        assert_eq!(
            timestamp(b"197001022400", Blank::Zeros),
            Cell::Irregular(Some(at(1, 0)))
        );
        assert_eq!(
            timestamp(b"19700102    ", Blank::Zeros),
            Cell::Irregular(Some(at(1, 0)))
        );
        assert_eq!(timestamp(b"000000000000", Blank::Zeros), Cell::Null);
        assert_eq!(
            timestamp(b"000000000000", Blank::Spaces),
            Cell::Irregular(None)
        );
        assert_eq!(timestamp(b"            ", Blank::Spaces), Cell::Null);
        assert_eq!(
            timestamp(b"            ", Blank::Zeros),
            Cell::Irregular(None)
        );
        assert_eq!(
            timestamp(b"196100001200", Blank::Zeros),
            Cell::Irregular(None)
        );
    }

    #[test]
    fn finds_control_characters() {
        for byte in 0..=255_u8 {
            let expected = matches!(byte, 0..=0x1f | 0x7f..=0x9f);
            assert_eq!(is_control(byte), expected, "{byte:#x}");
            for place in 0..20 {
                let mut text = [b'a'; 20];
                text[place] = byte;
                assert_eq!(has_control(&text), expected, "{byte:#x} at {place}");
            }
        }
        assert!(!has_control(b"") && !has_control("\u{ff}".repeat(9).as_bytes()));
    }

    #[test]
    fn converts_flags_and_counts() {
        assert_eq!(flag(b"*"), Cell::Value(true));
        assert_eq!(flag(b" "), Cell::Value(false));
        assert_eq!(flag(b"X"), Cell::Irregular(None));
        assert_eq!(count(b"00087814", Blank::Spaces), Cell::Value(87_814));
        assert_eq!(count(b"00000000", Blank::Spaces), Cell::Value(0));
        assert_eq!(count(b"        ", Blank::Spaces), Cell::Null);
        assert_eq!(count(b"   87814", Blank::Spaces), Cell::Irregular(None));
    }

    #[test]
    fn converts_dates_by_table_as_by_calculation() {
        let years = [0, 1, 1849, 9999].into_iter().chain(1890..1912);
        for year in years.chain(1990..2010).chain(2095..2110) {
            for month in 0..100 {
                for day in 0..100 {
                    let text = format!("{year:04}{month:02}{day:02}");
                    let expected = match days_from_civil(year, month, day) {
                        Some(days) => Cell::Value(days),
                        None if year + month + day == 0 => Cell::Null,
                        None => Cell::Irregular(None),
                    };
                    assert_eq!(date8(text.as_bytes(), Blank::Zeros), expected, "{text}");
                }
            }
        }
    }

    #[test]
    fn converts_every_day_of_four_centuries_and_back() {
        let mut expected = days_from_civil(1800, 1, 1).unwrap();
        for year in 1800..2200 {
            for month in 1..=12 {
                for day in 1..=31 {
                    if let Some(days) = days_from_civil(year, month, day) {
                        assert_eq!(days, expected);
                        assert_eq!(civil(days), (year as i32, month, day));
                        expected += 1;
                    }
                }
            }
        }
        assert_eq!(days_from_civil(2200, 1, 1), Some(expected));
    }

    proptest! {
        #[test]
        fn trimmed_len_agrees_with_trim_end(text in "[ a]{0,40}") {
            prop_assert_eq!(trimmed_len(text.as_bytes()), text.trim_end_matches(' ').len());
        }

        #[test]
        fn accepts_only_ten_digits_as_pnr(text in "[0-9 :/]{8,12}") {
            let ten_digits = text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit());
            prop_assert_eq!(is_pnr(text.as_bytes()), ten_digits);
        }

        #[test]
        fn date_agrees_with_the_grammar(text in "(19|20|00)[0-9]{2}[-/ ][0-9 ][0-9:]-[0-3][0-9]") {
            let expected = match grammar::date(text.as_bytes()) {
                Some(days) => Cell::Value(days),
                None => Cell::Irregular(None),
            };
            prop_assert_eq!(date(text.as_bytes(), Blank::Spaces), expected);
        }

        #[test]
        fn date8_agrees_with_the_grammar(text in "(19|20|00)[0-9]{2}[0-1][0-9:][0-3][0-9]") {
            let expected = match grammar::date8(text.as_bytes()) {
                Some(days) => Cell::Value(days),
                None => Cell::Irregular(None),
            };
            prop_assert_eq!(date8(text.as_bytes(), Blank::Spaces), expected);
        }
    }
}
