//! Removes person numbers from texts.

/// A group of digits is a person number from this length on.
const DIGITS: usize = 10;

/// More separators than this end a group of digits.
const SEPARATORS: usize = 4;

/// Returns the text with `[number]` in place of each group of ten digits or more, or `None` if it has none.
///
/// Up to four separators between two digits belong to the group, because they do not hide a number. After the date of a
/// number, which is six digits or three pairs, all characters but letters are separators. A text that has a number is
/// also made clean: without soft hyphens, with spaces in place of control characters, and trimmed.
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
        let (mut end, mut runs) = (place + 1, vec![1]);
        let mut gap;
        loop {
            gap = separators(&clean[end..], ends_with_date(&runs));
            match clean.get(end + gap) {
                Some(next) if next.is_numeric() && gap <= SEPARATORS => {
                    match runs.last_mut() {
                        Some(run) if gap == 0 => *run += 1,
                        _ => runs.push(1),
                    }
                    end += gap + 1;
                }
                _ => break,
            }
        }
        if runs.iter().sum::<usize>() < DIGITS {
            out.extend(&clean[place..end]);
            place = end;
            continue;
        }
        has_number = true;
        out.push_str("[number]");
        place = end;
    }
    has_number.then(|| out.trim().to_owned())
}

/// Returns whether digits in runs of these lengths end with six digits or three pairs.
fn ends_with_date(runs: &[usize]) -> bool {
    runs.last().is_some_and(|last| *last >= 6) || runs.ends_with(&[2, 2, 2])
}

/// Returns the number of separators with which the text begins. A percent escape (`%2D`) counts as its character, and
/// its length is not that of the others, so texts with escapes are not asked about.
fn separators(text: &[char], any: bool) -> usize {
    let is_one = |c: &&char| {
        c.is_whitespace()
            || matches!(c, '-' | '.' | '/' | '_')
            || any && !is_letter(**c) && !c.is_numeric()
    };
    text.iter().take_while(is_one).count()
}

/// Returns whether the character is a letter of a language, which the two ordinal signs and the micro sign are not.
fn is_letter(c: char) -> bool {
    c.is_alphabetic() && !['\u{aa}', '\u{b5}', '\u{ba}'].contains(&c)
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
            ("0101801234    5", "[number]"),
            ("0101801234     5", "[number]     5"),
            ("(010180+1234), 5", "([number]), 5"),
            ("01.01.80+1234", "[number]"),
            ("010180\u{ba}1234", "[number]"),
            ("010180\u{aa}1234", "[number]"),
            ("010180\u{b5}1234", "[number]"),
            (" \u{e6}0101801234 ", "\u{e6}[number]"),
        ] {
            assert_eq!(redacted(text).as_deref(), Some(expected), "{text}");
        }
        for other in [
            "",
            "010180123",
            "1961-00-00",
            "010180     1234",
            "0101,801234",
            "Anna",
        ] {
            assert_eq!(redacted(other), None, "{other}");
        }
    }
}
