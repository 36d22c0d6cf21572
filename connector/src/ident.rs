//! Checks the forms of identifiers in the contracts of Serviceplatformen.

/// Returns a UUID in lower case, or `None` if the text does not have the usual form of 36 characters.
pub fn uuid(value: &str) -> Option<String> {
    let form = value.len() == 36
        && value.bytes().enumerate().all(|(place, byte)| match place {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        });
    form.then(|| value.to_ascii_lowercase())
}

/// The text before the company number (CVR) of an authority.
pub(crate) const AUTHORITY_PREFIX: &str = "urn:oio:cvr-nr:";

/// Returns whether the text names an authority by its company number (CVR): `urn:oio:cvr-nr:` and eight digits.
pub(crate) fn is_authority(value: &str) -> bool {
    value
        .strip_prefix(AUTHORITY_PREFIX)
        .is_some_and(|number| is_digits(number, 8))
}

/// Returns whether the text has the form of an `xs:dateTime` with a year of four digits. Fractions and a zone are
/// optional.
pub fn is_date_time(value: &str) -> bool {
    let Some((date_time, rest)) = value.split_at_checked(19) else {
        return false;
    };
    let form = date_time.bytes().zip(*b"0000-00-00T00:00:00");
    if !form.into_iter().all(|(byte, form)| match form {
        b'0' => byte.is_ascii_digit(),
        _ => byte == form,
    }) {
        return false;
    }
    let zone = match rest.strip_prefix('.') {
        Some(fraction) => {
            let zone = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
            // At most nine digits (nanoseconds), because ten digits could be a person number.
            if !(1..=9).contains(&(fraction.len() - zone.len())) {
                return false;
            }
            zone
        }
        None => rest,
    };
    match zone.strip_prefix(['+', '-']) {
        Some(offset) => offset
            .split_once(':')
            .is_some_and(|(hours, minutes)| is_digits(hours, 2) && is_digits(minutes, 2)),
        None => matches!(zone, "" | "Z"),
    }
}

/// Returns whether the text is exactly `length` digits.
pub(crate) fn is_digits(value: &str, length: usize) -> bool {
    value.len() == length && value.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_uuids() {
        let lower = "47570fc2-be65-4ab1-8da7-3bcc086bfef9";
        assert_eq!(uuid(lower).unwrap(), lower);
        assert_eq!(uuid(&lower.to_uppercase()).unwrap(), lower);
        for wrong in [
            "",
            "47570fc2be654ab18da73bcc086bfef9",
            "47570fc2-be65-4ab1-8da7-3bcc086bfef",
            "47570fc2-be65-4ab1-8da7-3bcc086bfefg",
            "{47570fc2-be65-4ab1-8da7-3bcc086bfe}",
            "47570fc2-be65-4ab1-8da7-3bcc086bfe\u{e6}",
        ] {
            assert_eq!(uuid(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn checks_date_times() {
        for right in [
            "2026-11-24T05:00:00",
            "2026-11-24T05:00:00Z",
            "2026-11-24T05:00:00.123+01:00",
            "2026-11-24T05:00:00-01:00",
        ] {
            assert!(is_date_time(right), "{right}");
        }
        for wrong in [
            "",
            "2026-11-24",
            "2026-11-24 05:00:00",
            "2026-11-24T05:00:00.",
            "2026-11-24T05:00:00.Z",
            "2026-11-24T05:00:00.0101010101Z",
            "2026-11-24T05:00:00+1",
            "2026-11-24T05:00:00Zz",
            "2026-11-24T05:00:0\u{e6}",
        ] {
            assert!(!is_date_time(wrong), "{wrong}");
        }
    }

    #[test]
    fn checks_authorities() {
        assert!(is_authority("urn:oio:cvr-nr:12345678"));
        assert!(!is_authority("urn:oio:cvr-nr:1234567"));
        assert!(!is_authority("12345678"));
    }
}
