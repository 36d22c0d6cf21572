//! Texts that came from a component or speak of one, made fit for a line of a log.

use cprflow_connector::scrub;

/// Characters of a text at the most.
const MAX_CHARS: usize = 1_000;

/// The text on one line, cut to length, with a word in the place of whatever can be a person number: a component
/// that is not ours may quote one.
pub(crate) fn tame(text: &str) -> String {
    scrub(text, MAX_CHARS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_tamed() {
        assert_eq!(tame("line 12\nof\u{1b}[31m three"), "line 12 of [31m three");
        assert_eq!(tame("no 010203-1234 here"), "no [number] here");
        assert_eq!(tame("no 0102031234 here"), "no [number] here");
        assert_eq!(tame(&"x".repeat(5_000)).len(), MAX_CHARS);
    }
}
