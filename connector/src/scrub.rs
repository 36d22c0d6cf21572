//! Texts of foreign origin, made fit to be told: without anything that can be a person number.
//!
//! A fault of the platform is text that somebody wrote, and may quote the number that was asked about. Whoever
//! reads the fault must not see it. What looks like a number is one here: losing a date is better than telling a
//! person number.

/// What stands where a number was.
const NUMBER: &str = "[number]";

/// Digits that can be a person number.
const DIGITS: usize = 10;

/// Separators between two digits that still leave them one number: `010101 - 0101`.
const MAX_SEPARATORS: usize = 3;

/// The text on one line, of about that many characters at the most, with a word in the place of every number of
/// ten digits or more, however the digits are set apart.
pub fn scrub(text: &str, max_chars: usize) -> String {
    scrub_and_count(text, max_chars).0
}

/// Whether the text has anything that can be a person number.
pub fn holds_number(text: &str) -> bool {
    scrub_and_count(text, usize::MAX).1 > 0
}

fn scrub_and_count(text: &str, max_chars: usize) -> (String, usize) {
    let mut scrubbed = Scrubbed::default();
    for character in text.chars().filter(|c| !is_invisible(*c)) {
        let character = if character.is_control() {
            ' '
        } else {
            character
        };
        if character.is_numeric() {
            scrubbed.digit(character);
        } else if is_separator(character) {
            scrubbed.separator(character);
        } else {
            scrubbed.end_chain();
            scrubbed.say(character);
        }
        if scrubbed.chars >= max_chars {
            break;
        }
    }
    scrubbed.end_chain();
    let mut said = scrubbed.said;
    if let Some((end, _)) = said.char_indices().nth(max_chars) {
        said.truncate(end);
    }
    let trimmed = said.trim();
    (trimmed.to_owned(), scrubbed.numbers)
}

#[derive(Default)]
struct Scrubbed {
    said: String,
    chars: usize,
    numbers: usize,
    /// Digits and separators that may become a number; no longer kept once they are one.
    chain: String,
    digits: usize,
    /// Separators at the end of the chain.
    separators: usize,
}

impl Scrubbed {
    fn say(&mut self, character: char) {
        self.said.push(character);
        self.chars += 1;
    }

    fn digit(&mut self, digit: char) {
        self.digits += 1;
        self.separators = 0;
        if self.digits < DIGITS {
            self.chain.push(digit);
        }
    }

    fn separator(&mut self, separator: char) {
        if self.digits == 0 {
            return self.say(separator);
        }
        self.separators += 1;
        if self.digits < DIGITS {
            self.chain.push(separator);
        }
        if self.separators > MAX_SEPARATORS {
            self.end_chain();
        }
    }

    fn end_chain(&mut self) {
        if self.digits >= DIGITS {
            self.numbers += 1;
            self.said.push_str(NUMBER);
            self.chars += NUMBER.len();
            if self.separators > 0 {
                self.say(' ');
            }
        } else {
            self.said.push_str(&self.chain);
            self.chars += self.chain.chars().count();
        }
        self.chain.clear();
        self.digits = 0;
        self.separators = 0;
    }
}

/// White space, and what people put between the parts of a number.
fn is_separator(character: char) -> bool {
    character.is_whitespace()
        || matches!(
            character,
            '-' | '.' | '/' | '_' | '\u{2010}'
                ..='\u{2015}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' | '\u{ff0d}'
        )
}

/// Characters that nobody sees, between digits or elsewhere.
fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_go() {
        for text in [
            "0101010101",
            "010101-0101",
            "010101 0101",
            "010101 - 0101",
            "01 01 01 0101",
            "01.01.01-0101",
            "010101\n0101",
            "010101\u{2013}0101",
            "010\u{200b}1010101",
            "\u{ff10}101010101",
            "00010101010100",
        ] {
            assert_eq!(scrub(text, 100), NUMBER, "{text}");
            assert!(holds_number(text));
            let within = format!("PNR {text} not found");
            assert_eq!(scrub(&within, 100), "PNR [number] not found", "{text}");
            let between = format!("x{text}y");
            assert_eq!(scrub(&between, 100), "x[number]y", "{text}");
        }
        let many = "0101010101,".repeat(1000);
        assert!(!scrub(&many, 100).contains('0'));
    }

    #[test]
    fn the_rest_stays() {
        for text in [
            "",
            "Service Configuration update failed",
            "municipality 0851 (code 12345)",
            "Received: 2025-10-23T13:06:14.306Z",
            "Blåbærgrød 1.2.3",
        ] {
            assert_eq!(scrub(text, 100), text);
            assert!(!holds_number(text));
        }
        assert_eq!(scrub(" a\r\n\tb\u{85}c\u{202e} ", 100), "a   b c");
    }

    #[test]
    fn texts_are_cut() {
        assert_eq!(scrub("æøå", 2), "æø");
        // A number at the cut is gone whole.
        assert!(!scrub("ab0101010101", 5).contains('0'));
    }

    proptest! {
        #[test]
        fn no_number_survives(text in "([0-9]{1,12}|[-. /a\u{200b}\n\u{e6}\u{2013}]{1,3}){0,20}", cut in 0usize..80) {
            let said = scrub(&text, cut);
            prop_assert!(!holds_ten_digits(&said), "{said}");
            prop_assert!(said.chars().count() <= cut);
            // Whatever a reader puts together by hand was together before.
            let digits = |text: &str| text.chars().filter(char::is_ascii_digit).count();
            prop_assert!(digits(&said) <= digits(&text));
            if !holds_number(&text) {
                prop_assert!(!holds_ten_digits(&text));
            }
        }
    }

    /// By a look at every place, with and without a hyphen or a space after six.
    fn holds_ten_digits(text: &str) -> bool {
        let characters: Vec<char> = text.chars().collect();
        let digits = |range: &[char]| range.iter().all(char::is_ascii_digit);
        characters.windows(10).any(digits)
            || characters.windows(11).any(|window| {
                let (date, rest) = window.split_at(6);
                digits(date) && matches!(rest[0], '-' | ' ') && digits(&rest[1..])
            })
    }
}
