//! Numbers in words, and texts without person numbers.

/// The largest length of a text of the page, in characters.
const MAX_TEXT: usize = 4_000;

/// Returns a number with a thin space between thousands, as in Denmark's statistics.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 2);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// Returns `1 delivery` or `2 deliveries`.
pub(crate) fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// Returns a text without anything that can be a person number.
pub(crate) fn safe(text: &str) -> String {
    cprflow_redact::redact(text, MAX_TEXT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_thousands() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_000), "1\u{202f}000");
        assert_eq!(count(12_345_678), "12\u{202f}345\u{202f}678");
        assert_eq!(counted(1, "day", "days"), "1 day");
    }

    #[test]
    fn removes_person_numbers() {
        assert_eq!(safe("file 010101-0101"), "file [number]");
    }
}
