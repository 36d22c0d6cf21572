//! Recognises records whose values stand in the wrong columns, because bytes before them were lost or added.
//!
//! Such a record shows the text of one column in another, which can be of a class that a policy shows. A shift is seen
//! where a column can hold only some characters: dates, times, numbers, marks of uncertainty and UUIDs.

use crate::columns::is_uuid;
use crate::layout::{Column, Kind, Table};
use crate::value;

/// Returns whether a record has a field with a content that this field can never have. `field` returns the bytes of a
/// column.
pub(crate) fn is_shifted<'a>(table: &Table, field: impl Fn(&Column) -> &'a [u8]) -> bool {
    table.columns.iter().any(|column| match column.kind {
        Kind::Text | Kind::Code | Kind::Mark => false,
        kind => {
            let raw = field(column);
            // A record without trailing spaces can end within the column.
            let mut padded = [b' '; LONGEST];
            match padded.get_mut(..raw.len()) {
                Some(start) if raw.len() < column.length => {
                    start.copy_from_slice(raw);
                    !fits(kind, padded.get(..column.length).unwrap_or_default())
                }
                _ => !fits(kind, raw),
            }
        }
    })
}

/// The length of the longest column whose content is judged: a UUID.
const LONGEST: usize = 36;

/// Returns whether a column of that kind can have this content, regular or not. The known irregular ones are dates
/// without a day or month, and times with 99 minutes.
fn fits(kind: Kind, raw: &[u8]) -> bool {
    if value::is_spaces(raw) || value::is_zeros(raw) {
        return true;
    }
    match kind {
        Kind::Text | Kind::Code | Kind::Mark => true,
        Kind::Flag => raw == b"*",
        Kind::Count => raw
            .iter()
            .all(|byte| byte.is_ascii_digit() || *byte == b' '),
        Kind::Pnr => value::is_pnr(raw),
        Kind::Uuid => is_uuid(raw),
        Kind::Date => match raw {
            [y0, y1, y2, y3, b'-' | b' ', m0, m1, b'-' | b' ', d0, d1] => {
                is_date([*y0, *y1, *y2, *y3, *m0, *m1, *d0, *d1])
            }
            _ => false,
        },
        Kind::Date8 => <[u8; 8]>::try_from(raw).is_ok_and(is_date),
        Kind::Timestamp => match raw {
            [date @ .., h0, h1, m0, m1] => {
                <[u8; 8]>::try_from(date).is_ok_and(is_date)
                    && part([*h0, *h1], 24)
                    && (part([*m0, *m1], 59) || [*m0, *m1] == *b"99")
            }
            _ => false,
        },
    }
}

/// Returns whether the bytes are a year, month and day, each of which may be blank or 0.
fn is_date([y0, y1, y2, y3, m0, m1, d0, d1]: [u8; 8]) -> bool {
    let year = [y0, y1, y2, y3];
    let is_year = year.iter().all(u8::is_ascii_digit);
    (is_year || value::is_spaces(&year)) && part([m0, m1], 12) && part([d0, d1], 31)
}

/// Returns whether two bytes are blank or a number up to `most`.
fn part(digits: [u8; 2], most: u8) -> bool {
    let [tens, ones] = digits;
    value::is_spaces(&digits)
        || digits.iter().all(u8::is_ascii_digit) && (tens - b'0') * 10 + (ones - b'0') <= most
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_what_a_field_can_hold() {
        for (kind, fitting, others) in [
            (
                Kind::Date,
                &[
                    "2026-03-02",
                    "1961-00-00",
                    "0000-00-00",
                    "0000000000",
                    "          ",
                    "2026      ",
                    "2026-03-  ",
                ][..],
                &[
                    "SECRETROAD",
                    "2026-13-01",
                    "2026-01-32",
                    "0101801234",
                    "16 1606761",
                    "1606761581",
                    "2026/03/02",
                    "  26-03-02",
                ][..],
            ),
            (
                Kind::Date8,
                &["20260302", "20260000", "00000000"],
                &["SECRETRO", "20261301", "0203 123"],
            ),
            (
                Kind::Timestamp,
                &[
                    "202603021200",
                    "202111251299",
                    "196100000000",
                    "000000000000",
                    "            ",
                    "20260302    ",
                ],
                &[
                    "SECRETSECRET",
                    "160676158101",
                    "202603022500",
                    "2026-03-0212",
                    "A34202603021",
                ],
            ),
            (Kind::Flag, &["*", " "], &["S", "1", "\u{0}"]),
            (Kind::Count, &["12", " 1", "00"], &["1A", "-1"]),
            (
                Kind::Pnr,
                &["0101801234", "0000000000", "          "],
                &["16 1606761", "SECRETROAD", "010180123O"],
            ),
            (
                Kind::Uuid,
                &["0a3f50b1-23cd-4123-8123-0A3F50B1234d"],
                &[
                    "0101801234                          ",
                    "SECRETROAD 12 SECRETROAD 12 SECRETRO",
                ],
            ),
            (Kind::Text, &["anything"], &[]),
            (Kind::Code, &["1 A"], &[]),
            (Kind::Mark, &["x"], &[]),
        ] {
            for raw in fitting {
                assert!(fits(kind, raw.as_bytes()), "{kind:?} {raw:?}");
            }
            for raw in others {
                assert!(!fits(kind, raw.as_bytes()), "{kind:?} {raw:?}");
            }
        }
    }
}
