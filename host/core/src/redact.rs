//! Redaction of texts that came from a component, or are about one, before they are shown or logged.

/// The largest number of characters in a text.
const MAX_CHARS: usize = 1_000;

/// Returns the text on one line of at most 1,000 characters, with `[number]` in place of everything that can be a
/// person number. Another component could quote one.
pub(crate) fn redact(text: &str) -> String {
    cprflow_redact::redact(text, MAX_CHARS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removes_control_characters_and_person_numbers_and_cuts_long_texts() {
        assert_eq!(
            redact("line 12\nof\u{1b}[31m three"),
            "line 12 of [31m three"
        );
        assert_eq!(redact("no 010203-1234 here"), "no [number] here");
        assert_eq!(redact("no 0102031234 here"), "no [number] here");
        assert_eq!(redact(&"x".repeat(5_000)).len(), MAX_CHARS);
    }
}
