//! Parses control records and dates with nom.
//!
//! The fields of person records are cut by position and need no grammar; see `value`.

use nom::bytes::complete::{tag, take, take_while_m_n};
use nom::character::complete::char;
use nom::combinator::{all_consuming, map_opt, opt, rest};
use nom::sequence::{preceded, separated_pair};
use nom::{IResult, Parser};

use crate::layout;
use crate::value::days_from_civil;

/// The fields of the start record (000) that a scan needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StartRecord {
    /// The task number (OPGAVENR) without trailing spaces.
    pub(crate) task_number: String,
    /// The production date (PRODDTO) as a day number, if it is a date.
    pub(crate) production_date: Option<i32>,
    /// The previous production date (PRODDTOFORRIG) as a day number, if it is a date.
    pub(crate) previous_production_date: Option<i32>,
}

/// Reads a start record. Returns `None` if it is not the start record of an extract of persons.
///
/// The record is `000`, ten zeros, the task number, the production date and the previous production date. The dates may
/// be missing at the right where trailing spaces were cut off.
pub(crate) fn start_record(record: &[u8]) -> Option<StartRecord> {
    let mut parser = preceded(
        (tag("000"), tag("0000000000")),
        (field(6), field(8), field(8)),
    );
    let (_, (task, produced, previous)) = parser.parse(record).ok()?;
    // The task number is ASCII in every extract. Other bytes are not repeated in a report.
    let task_number = match std::str::from_utf8(task) {
        Ok(text) => text.trim_end().to_owned(),
        Err(_) => "?".to_owned(),
    };
    Some(StartRecord {
        task_number,
        production_date: date8(produced),
        previous_production_date: date8(previous),
    })
}

/// Reads the number of records from the end record (999), if it has one.
pub(crate) fn end_record(record: &[u8]) -> Option<u64> {
    let mut parser = preceded((tag("999"), take(10_usize)), digits(8));
    let (_, count) = parser.parse(record).ok()?;
    Some(count)
}

/// Returns whether a record can begin here: a known type, and ten digits if the type has a PNR as its key.
pub(crate) fn begins_record(input: &[u8]) -> bool {
    known_type(input).is_ok_and(|(rest, table)| !table.is_keyed() || pnr(rest).is_ok())
}

/// Returns whether the input begins with 13 digits, as the records of all CPR products do.
pub(crate) fn begins_any_record(input: &[u8]) -> bool {
    (digits(3), digits(10)).parse(input).is_ok()
}

/// Parses exactly `YYYY-MM-DD` to a day number.
pub(crate) fn date(input: &[u8]) -> Option<i32> {
    let day = separated_pair(
        digits(4),
        char('-'),
        separated_pair(digits(2), char('-'), digits(2)),
    );
    all_consuming(map_opt(day, |(year, (month, day))| {
        days_from_civil(year as u32, month as u32, day as u32)
    }))
    .parse(input)
    .ok()
    .map(|(_, days)| days)
}

/// Parses exactly `YYYYMMDD` to a day number.
pub(crate) fn date8(input: &[u8]) -> Option<i32> {
    let day = (digits(4), digits(2), digits(2));
    all_consuming(map_opt(day, |(year, month, day)| {
        days_from_civil(year as u32, month as u32, day as u32)
    }))
    .parse(input)
    .ok()
    .map(|(_, days)| days)
}

/// Parses exactly `YYYY-MM-DD`, optionally with ` HH:MM` or ` HH:MM:SS`, to a day number and the seconds of that day.
pub(crate) fn timestamp(input: &[u8]) -> Option<(i32, i64)> {
    let (day, time) = input.split_at_checked(10)?;
    let days = date(day)?;
    let clock = (
        preceded(char(' '), digits(2)),
        preceded(char(':'), digits(2)),
        opt(preceded(char(':'), digits(2))),
    );
    let (_, clock) = all_consuming(opt(clock)).parse(time).ok()?;
    let (hour, minute, second) = clock.unwrap_or_default();
    let second = second.unwrap_or_default();
    let is_time = hour < 24 && minute < 60 && second < 60;
    is_time.then_some((days, (hour * 3_600 + minute * 60 + second) as i64))
}

/// Returns whether the text is exactly `length` digits.
pub(crate) fn is_code(input: &str, length: usize) -> bool {
    all_consuming(digits(length))
        .parse(input.as_bytes())
        .is_ok()
}

fn known_type(input: &[u8]) -> IResult<&[u8], &'static layout::Table> {
    map_opt(take(3_usize), |record_type: &[u8]| {
        let index = layout::index_of(record_type.try_into().ok()?)?;
        layout::tables().get(index)
    })
    .parse(input)
}

fn pnr(input: &[u8]) -> IResult<&[u8], u64> {
    digits(10).parse(input)
}

/// Parses exactly `length` digits as a number.
fn digits<'a>(
    length: usize,
) -> impl Parser<&'a [u8], Output = u64, Error = nom::error::Error<&'a [u8]>> {
    take_while_m_n(length, length, |byte: u8| byte.is_ascii_digit()).map(|digits: &[u8]| {
        digits
            .iter()
            .fold(0, |value, digit| value * 10 + u64::from(digit - b'0'))
    })
}

/// Takes `length` bytes, or the rest of a record that was cut short.
fn field<'a>(
    length: usize,
) -> impl Parser<&'a [u8], Output = &'a [u8], Error = nom::error::Error<&'a [u8]>> {
    nom::branch::alt((take(length), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_a_start_record() {
        let record = b"00000000000001109012001111720011116";
        let start = start_record(record).unwrap();
        assert_eq!(start.task_number, "110901");
        assert_eq!(start.production_date, date(b"2001-11-17"));
        assert_eq!(start.previous_production_date, date(b"2001-11-16"));
        let first_run = start_record(b"000000000000011090120011117").unwrap();
        assert_eq!(first_run.previous_production_date, None);
        assert_eq!(first_run.production_date, date(b"2001-11-17"));
        assert!(start_record(b"0000101000119910923120").is_none());
        assert!(start_record(b"").is_none());
    }

    #[test]
    fn parses_an_end_record() {
        assert_eq!(end_record(b"999999999999900001098"), Some(1098));
        assert_eq!(end_record(b"9999999999999"), None);
        assert_eq!(end_record(b"9999999999999 0001098"), None);
    }

    #[test]
    fn parses_times_of_day() {
        let day = date(b"2001-11-17").unwrap();
        assert_eq!(timestamp(b"2001-11-17"), Some((day, 0)));
        assert_eq!(timestamp(b"2001-11-17 13:05"), Some((day, 47_100)));
        assert_eq!(timestamp(b"2001-11-17 23:59:59"), Some((day, 86_399)));
        for wrong in [
            "",
            "2001-11-1",
            "2001-11-17 ",
            "2001-11-17 13",
            "2001-11-17T13:05",
            "2001-11-17 24:00",
            "2001-11-17 13:60",
            "2001-11-17 13:05:",
            "2001-11-17 13:05:60",
            "2001-13-17 13:05",
        ] {
            assert_eq!(timestamp(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn recognises_the_beginning_of_a_record() {
        assert!(begins_record(b"0010101965058"));
        assert!(!begins_record(b"001010196505"));
        assert!(!begins_record(b"0360101965058"));
        assert!(begins_any_record(b"0360101965058"));
        assert!(begins_record(b"910whatever"));
    }
}
