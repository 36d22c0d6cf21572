//! Removes person numbers from texts.

/// A group of digits is a person number from this length on.
const DIGITS: usize = 10;

/// More separators than this end a group of digits.
const SEPARATORS: usize = 3;

/// Returns the text with `[number]` in place of each group of ten digits or more, or `None` if it has none.
///
/// Up to three separators between two digits belong to the group, because they do not hide a number. A text that has a
/// number is also made clean: without soft hyphens, with spaces in place of control characters, and trimmed.
pub fn redacted(text: &str) -> Option<String> {
    let clean: Vec<char> = text
        .chars()
        .filter(|character| *character != '\u{ad}')
        .map(|character| {
            if character.is_control() {
                ' '
            } else {
                character
            }
        })
        .collect();
    let mut out = String::new();
    let mut has_number = false;
    let mut place = 0;
    while place < clean.len() {
        if !clean[place].is_numeric() {
            out.push(clean[place]);
            place += 1;
            continue;
        }
        let (mut end, mut digits) = (place + 1, 1);
        loop {
            let gap = separators(&clean[end..]);
            match clean.get(end + gap) {
                Some(next) if next.is_numeric() && gap <= SEPARATORS => {
                    digits += 1;
                    end += gap + 1;
                }
                _ => break,
            }
        }
        if digits < DIGITS {
            out.extend(&clean[place..end]);
            place = end;
            continue;
        }
        has_number = true;
        out.push_str("[number]");
        // One space stands for the separators that may have belonged to the number.
        let gap = separators(&clean[end..]).min(SEPARATORS + 1);
        if gap > 0 {
            out.push(' ');
        }
        place = end + gap;
    }
    has_number.then(|| out.trim().to_owned())
}

/// Returns the number of separators with which the text begins.
fn separators(text: &[char]) -> usize {
    let is_one = |c: &&char| c.is_whitespace() || matches!(c, '-' | '.' | '/' | '_');
    text.iter().take_while(is_one).count()
}

#[cfg(test)]
mod tests {
    use super::redacted;

    #[test]
    fn removes_numbers_of_ten_digits() {
        for (text, expected) in [
            ("0101801234", "[number]"),
            ("barn 010180-1234 og", "barn [number] og"),
            ("x01 01 80 - 1234y", "x[number]y"),
            ("01018012341", "[number]"),
            ("0101801234    5", "[number] 5"),
            (" \u{e6}0101801234 ", "\u{e6}[number]"),
        ] {
            assert_eq!(redacted(text).as_deref(), Some(expected), "{text}");
        }
        for other in ["", "010180123", "1961-00-00", "010180    1234", "Anna"] {
            assert_eq!(redacted(other), None, "{other}");
        }
    }
}
