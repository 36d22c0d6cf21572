//! Removes Danish person numbers (CPR numbers) from text before it is shown or logged.
//!
//! Error messages of other systems may quote the person number that was asked about. [`redact`] replaces everything
//! that can be a person number, so that the message can be shown. Losing a date is better than showing a person number,
//! so every group of ten digits or more counts as one.
//!
//! ```
//! assert_eq!(cprflow_redact::redact("PNR 010101-0101 not found", 100), "PNR [number] not found");
//! assert!(cprflow_redact::holds_person_number("01 01 01 0101"));
//! ```

/// The replacement for a number.
const NUMBER: &str = "[number]";

/// The number of digits from which a group can be a person number.
const DIGITS: usize = 10;

/// The number of digits in the date part of a person number. After it any character that is no letter or digit may be a
/// separator, as in `010101+0101`. Elsewhere only the usual ones are, so that a list of codes, or the port after an
/// address, is not taken for a number.
const DATE_DIGITS: usize = 6;

/// The largest number of separators in a row inside one number, as in `010101 -- 0101`.
const MAX_SEPARATORS: usize = 4;

/// Returns the text on one line, with `[number]` in place of every number of ten digits or more.
///
/// Separators between the digits do not hide a number. Invisible characters are removed and control characters become
/// spaces. The result is trimmed and at most `max_chars` characters long; a number at that limit is removed entirely.
pub fn redact(text: &str, max_chars: usize) -> String {
    redact_and_count(text, max_chars).0
}

/// Returns whether the text has anything that can be a person number.
pub fn holds_person_number(text: &str) -> bool {
    redact_and_count(text, usize::MAX).1 > 0
}

fn redact_and_count(text: &str, max_chars: usize) -> (String, usize) {
    let mut redactor = Redactor::default();
    let mut rest = text.chars().filter(|c| !is_invisible(*c));
    while let Some(character) = rest.next() {
        let character = if character.is_control() {
            ' '
        } else {
            character
        };
        if let Some((escaped, escape)) = percent_escape(character, &mut rest) {
            redactor.escape(escaped, escape);
        } else if character.is_numeric() {
            redactor.digit(character);
        } else if is_separator(character) || !is_letter(character) && redactor.is_after_date() {
            redactor.separator(character);
        } else {
            redactor.end_pending();
            redactor.push(character);
        }
        if redactor.chars >= max_chars {
            break;
        }
    }
    redactor.end_pending();
    let mut output = redactor.output;
    if let Some((end, _)) = output.char_indices().nth(max_chars) {
        output.truncate(end);
    }
    let trimmed = output.trim();
    (trimmed.to_owned(), redactor.numbers)
}

#[derive(Default)]
struct Redactor {
    output: String,
    chars: usize,
    numbers: usize,
    /// Digits and separators that may become a number. Not filled further once there are ten digits.
    pending: String,
    digits: usize,
    /// The number of digits since the last separator.
    group: usize,
    /// The number of groups of two digits directly before that.
    pairs: usize,
    /// The number of separators after the last digit.
    separators: usize,
    /// These separators as they are written.
    after: String,
}

impl Redactor {
    fn push(&mut self, character: char) {
        self.output.push(character);
        self.chars += 1;
    }

    fn digit(&mut self, digit: char) {
        if self.separators > 0 {
            self.pairs = if self.group == 2 { self.pairs + 1 } else { 0 };
            self.group = 0;
        }
        self.digits += 1;
        self.group += 1;
        self.separators = 0;
        let after = std::mem::take(&mut self.after);
        if self.digits < DIGITS {
            self.pending.push_str(&after);
            self.pending.push(digit);
        }
    }

    /// Returns whether the last digits can be the date of a person number: six in a row, or three pairs.
    fn is_after_date(&self) -> bool {
        self.group >= DATE_DIGITS || self.group == 2 && self.pairs >= 2
    }

    /// Adds an escaped character, like `%2D`. Its digits are no part of a number.
    fn escape(&mut self, character: char, escape: [char; 3]) {
        if self.digits == 0 || !self.is_after_date() && !is_separator(character) {
            self.end_pending();
            escape
                .into_iter()
                .for_each(|character| self.push(character));
            return;
        }
        self.separators += 1;
        self.after.extend(escape);
        if self.separators > MAX_SEPARATORS {
            self.end_pending();
        }
    }

    fn separator(&mut self, separator: char) {
        if self.digits == 0 {
            return self.push(separator);
        }
        self.separators += 1;
        self.after.push(separator);
        if self.separators > MAX_SEPARATORS {
            self.end_pending();
        }
    }

    fn end_pending(&mut self) {
        if self.digits >= DIGITS {
            self.numbers += 1;
            self.output.push_str(NUMBER);
            self.chars += NUMBER.len();
        } else {
            self.output.push_str(&self.pending);
            self.chars += self.pending.chars().count();
        }
        self.output.push_str(&self.after);
        self.chars += self.after.chars().count();
        self.pending.clear();
        self.after.clear();
        self.digits = 0;
        self.group = 0;
        self.pairs = 0;
        self.separators = 0;
    }
}

/// Takes the two hexadecimal digits after a `%`, if they follow and do not stand for a digit or a letter. Returns the
/// character that they stand for, and how it is written.
fn percent_escape(
    character: char,
    rest: &mut (impl Iterator<Item = char> + Clone),
) -> Option<(char, [char; 3])> {
    if character != '%' {
        return None;
    }
    let mut ahead = rest.clone();
    let (high, low) = (ahead.next()?, ahead.next()?);
    let code = u8::try_from(high.to_digit(16)? * 16 + low.to_digit(16)?).ok()?;
    if code.is_ascii_alphanumeric() {
        return None;
    }
    *rest = ahead;
    Some((char::from(code), [character, high, low]))
}

/// Returns whether the character is white space or usual between the parts of a number.
fn is_separator(character: char) -> bool {
    character.is_whitespace()
        || matches!(
            character,
            '-' | '.' | '/' | '_' | '\u{2010}'
                ..='\u{2015}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' | '\u{ff0d}'
        )
}

/// Returns whether the character is a letter of a language. Unicode also counts the ordinal signs and the micro sign of
/// ISO-8859-1 as letters. They are symbols like the degree sign, and stand in texts of another code page in place of signs.
fn is_letter(character: char) -> bool {
    character.is_alphabetic() && !matches!(character, '\u{aa}' | '\u{b5}' | '\u{ba}')
}

/// Returns whether the character has no visible form.
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
    fn redacts_numbers() {
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
            "010101+0101",
            "010101 -- 0101",
            "010101:0101",
            "010101, 0101",
            "010101) (0101",
            "010101%2D0101",
            "010101%20%2d%200101",
            "01%2D01%2D01%2D0101",
            "010101\u{b7}0101",
            "01.01.01+0101",
            "010101\u{aa}0101",
            "010101\u{b5}0101",
            "010101\u{ba}0101",
            "01 01 01 \u{ba} 0101",
        ] {
            assert_eq!(redact(text, 100), NUMBER, "{text}");
            assert!(holds_person_number(text));
            let within = format!("PNR {text} not found");
            assert_eq!(redact(&within, 100), "PNR [number] not found", "{text}");
            let between = format!("x{text}y");
            assert_eq!(redact(&between, 100), "x[number]y", "{text}");
        }
        assert_eq!(redact("(010101-0101), <a>", 100), "([number]), <a>");
        let many = "0101010101,".repeat(1000);
        assert!(!redact(&many, 100).contains('0'));
    }

    #[test]
    fn keeps_other_text() {
        for text in [
            "",
            "Service Configuration update failed",
            "municipality 0851 (code 12345)",
            "Received: 2025-10-23T13:06:14.306Z",
            "municipalities 0851, 0461, 0101 and 0265; statuses (01), (03)",
            "12%2C345678901",
            "a%20b%20%30",
            "127.0.0.1:46545",
            "100%",
            "Blåbærgrød 1.2.3",
        ] {
            assert_eq!(redact(text, 100), text);
            assert!(!holds_person_number(text));
        }
        assert_eq!(redact(" a\r\n\tb\u{85}c\u{202e} ", 100), "a   b c");
    }

    /// Letters of ISO-8859-1: of ASCII, and from U+00C0 on without the signs of multiplication and division.
    fn is_latin1_letter(character: char) -> bool {
        character.is_ascii_alphabetic()
            || matches!(character, '\u{c0}'..='\u{ff}') && !matches!(character, '\u{d7}' | '\u{f7}')
    }

    #[test]
    fn only_letters_of_latin1_end_a_number_after_its_date() {
        // A percent sign before two digits is an escape.
        for character in (0..=u8::MAX).map(char::from).filter(|c| *c != '%') {
            let text = format!("010101{character}0101");
            let expected = match is_latin1_letter(character) {
                true => text.clone(),
                false => NUMBER.to_owned(),
            };
            assert_eq!(redact(&text, 100), expected, "{character:?}");
        }
    }

    #[test]
    fn cuts_long_texts() {
        assert_eq!(redact("æøå", 2), "æø");
        // A number at the limit is removed entirely.
        assert!(!redact("ab0101010101", 5).contains('0'));
    }

    proptest! {
        #[test]
        fn never_leaves_a_number(text in "([0-9]{1,12}|[-. /a\u{200b}\n\u{e6}\u{2013}]{1,3}){0,20}", cut in 0usize..80) {
            let output = redact(&text, cut);
            prop_assert!(!holds_ten_digits(&output), "{output}");
            prop_assert!(output.chars().count() <= cut);
            // Redacting never adds digits.
            let digits = |text: &str| text.chars().filter(char::is_ascii_digit).count();
            prop_assert!(digits(&output) <= digits(&text));
            if !holds_person_number(&text) {
                prop_assert!(!holds_ten_digits(&text));
            }
        }
    }

    /// Checks every position, with and without a hyphen or a space after six digits.
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
