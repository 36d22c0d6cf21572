//! Removes person numbers from text where a policy does not keep numbers.

use crate::layout::{Column, Kind, Table};

/// The number of digits of a person number.
const DIGITS: usize = 10;

/// Returns whether the text of a column can hold a person number besides the columns that are made for one.
///
/// Tables that tie numbers are shown only if a policy names them. Their texts stay as they are.
pub(crate) fn can_hold_number(table: &Table, column: &Column) -> bool {
    match column.kind {
        Kind::Text | Kind::Code => !table.ties_numbers && column.length >= DIGITS,
        Kind::Uuid => true,
        _ => false,
    }
}

/// Returns the text of such a column with `[number]` in place of every person number, or `None` if it has none.
///
/// A UUID has long groups of digits too, so it is left as it is. Anything else in its place, for example because a line
/// is damaged, is treated like other text.
pub(crate) fn redacted_text(column: &Column, raw: &[u8]) -> Option<Vec<u8>> {
    match column.kind == Kind::Uuid && is_uuid(raw) {
        true => None,
        false => redacted(raw),
    }
}

/// Returns whether the bytes are a UUID in its usual form: 8, 4, 4, 4 and 12 hexadecimal digits.
pub(crate) fn is_uuid(raw: &[u8]) -> bool {
    raw.len() == 36
        && raw.iter().enumerate().all(|(place, byte)| match place {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// Returns the text in ISO-8859-1 with `[number]` in place of every person number, or `None` if it has none.
pub(crate) fn redacted(raw: &[u8]) -> Option<Vec<u8>> {
    // Most texts have few digits. The others of ISO-8859-1 (superscripts and fractions) count as digits too.
    let is_digit = |byte: &&u8| matches!(byte, b'0'..=b'9' | 0xb2 | 0xb3 | 0xb9 | 0xbc..=0xbe);
    if raw.iter().filter(is_digit).count() < DIGITS {
        return None;
    }
    let text: String = raw.iter().copied().map(char::from).collect();
    if !cprflow_redact::holds_person_number(&text) {
        return None;
    }
    let redacted = cprflow_redact::redact(&text, usize::MAX);
    let latin1 = redacted
        .chars()
        .map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?'));
    Some(latin1.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout;

    #[test]
    fn leaves_uuids_as_they_are() {
        let table = layout::by_name("address").unwrap();
        let uuid = table.column("address_uuid").unwrap();
        let name = table.column("co_name").unwrap();
        assert!(can_hold_number(table, uuid) && can_hold_number(table, name));
        let ties = layout::by_name("person_id").unwrap();
        assert!(can_hold_number(ties, ties.column("person_id").unwrap()));
        for text in [
            &b"12345678-1234-4123-8123-123456789012"[..],
            b"0A3F50B1-23cd-4123-8123-0A3F50B1234d",
        ] {
            assert_eq!(redacted_text(uuid, text), None);
        }
        assert!(redacted_text(name, b"12345678-1234-4123-8123-123456789012").is_some());
        // What is no UUID can be a person number.
        for text in [
            &b"0101801234                          "[..],
            b"12345678-1234-4123-8123-12345678901 ",
            b"x2345678-1234-4123-8123-123456789012",
        ] {
            assert!(redacted_text(uuid, text).is_some());
        }
    }

    #[test]
    fn removes_numbers_only() {
        let of = |text: &[u8]| redacted(text).map(|text| String::from_utf8(text).unwrap());
        assert_eq!(of(b"0101801234").unwrap(), "[number]");
        assert_eq!(of(b"child 010180-1234  ").unwrap(), "child [number]");
        assert_eq!(of(b"01018012341299").unwrap(), "[number]");
        assert_eq!(redacted(b"\xe6 0101801234").unwrap(), b"\xe6 [number]");
        // Degree sign, ordinal signs, micro sign, and a superscript, which counts as a digit.
        for separator in [0xb0, 0xba, 0xaa, 0xb5, 0xb2] {
            let text = [&b"t010180"[..], &[separator], b"1234"].concat();
            assert_eq!(redacted(&text).unwrap(), b"t[number]", "{separator:#x}");
        }
        assert_eq!(redacted(b"010180\xe61234"), None);
        for other in [
            &b"1961-00-00"[..],
            b"Anna",
            b"\xe6\xf8\xe5",
            b"",
            b"12345 6789",
            b"a1b2c3d4e5f6g7h8i9j0",
        ] {
            assert_eq!(redacted(other), None);
        }
    }
}
