//! Lists of person numbers. A list with any error is refused, because a part of it would be taken for the whole list.

use std::collections::BTreeSet;
use std::io::Read;

use cprflow::Pnr;

/// The largest list, in bytes: far more than the person numbers of all of Denmark need.
const MAX_LIST_BYTES: u64 = 256 * 1024 * 1024;

/// The number of lines that an error names.
const MAX_NAMED_LINES: usize = 5;

/// The reason why a list is refused. It never repeats what is in the list.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListError {
    /// The list cannot be read.
    #[error("the list cannot be read: {0}. Check the path and the permissions")]
    Read(#[from] std::io::Error),

    /// The list has no person number.
    #[error(
        "the list has no person number. Check that this is the right file: it needs one person number on each line"
    )]
    Empty,

    /// The list is larger than 256 MiB.
    #[error(
        "the list is larger than {MAX_LIST_BYTES} bytes, the limit for a list of person numbers. Check that the file is the right one"
    )]
    TooLarge,

    /// The list is text in UTF-16.
    #[error(
        "the list is in the encoding UTF-16. Save it as UTF-8 (in Excel: \"CSV UTF-8\"), with one number per line"
    )]
    Utf16,

    /// The last line ends in the middle of a number.
    #[error(
        "the list is cut off: its last line (line {line}) ends in the middle of a number. Create the file again"
    )]
    Cut {
        /// The number of the line, from 1.
        line: usize,
    },

    /// Lines have nine digits.
    #[error(
        "{} nine digits. A spreadsheet has probably removed the leading zero. Format the column as text, enter the \
         numbers again and export the list again", lines(places, *count, "has", "have")
    )]
    NineDigits {
        /// The number of such lines.
        count: usize,
        /// The numbers of the first such lines, from 1.
        places: Vec<usize>,
    },

    /// Lines are not person numbers.
    #[error(
        "{}. Write ten digits on each line, without a hyphen and without anything else",
        lines(places, *count, "is not a person number", "are not person numbers")
    )]
    Malformed {
        /// The number of such lines.
        count: usize,
        /// The numbers of the first such lines, from 1.
        places: Vec<usize>,
    },
}

/// Reads a list with one person number per line. Blank lines and lines that begin with `#` are skipped.
pub fn read_list(list: impl Read) -> Result<BTreeSet<Pnr>, ListError> {
    let mut text = Vec::new();
    list.take(MAX_LIST_BYTES + 1).read_to_end(&mut text)?;
    if text.len() as u64 > MAX_LIST_BYTES {
        return Err(ListError::TooLarge);
    }
    // A number has no zero bytes; UTF-16 has one beside each digit.
    if text.starts_with(&[0xff, 0xfe]) || text.starts_with(&[0xfe, 0xff]) || text.contains(&0) {
        return Err(ListError::Utf16);
    }
    // Some editors and spreadsheets write a byte order mark at the start of a file.
    let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&text);
    let mut numbers = BTreeSet::new();
    let (mut nine_digits, mut malformed) = (Vec::new(), Vec::new());
    let mut last = None;
    for (place, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        last = Some(place + 1);
        match Pnr::try_from(line) {
            Ok(number) => {
                numbers.insert(number);
            }
            Err(_) if line.len() == 9 && line.iter().all(u8::is_ascii_digit) => {
                nine_digits.push(place + 1);
            }
            Err(_) => malformed.push(place + 1),
        }
    }
    let ends_without_newline = !text.ends_with(b"\n");
    let bad: Vec<_> = nine_digits.iter().chain(&malformed).copied().collect();
    match (bad.as_slice(), last) {
        ([], None) => Err(ListError::Empty),
        ([], Some(_)) => Ok(numbers),
        ([line], Some(last)) if ends_without_newline && *line == last => {
            Err(ListError::Cut { line: last })
        }
        _ if !nine_digits.is_empty() => Err(ListError::NineDigits {
            count: nine_digits.len(),
            places: named(nine_digits),
        }),
        _ => Err(ListError::Malformed {
            count: malformed.len(),
            places: named(malformed),
        }),
    }
}

/// Returns the lines that an error names.
fn named(mut places: Vec<usize>) -> Vec<usize> {
    places.truncate(MAX_NAMED_LINES);
    places
}

/// Returns the subject and verb of an error about lines: `line 3 has`, `7 lines (1, 2, …) have`.
fn lines(places: &[usize], count: usize, one: &str, many: &str) -> String {
    let listed: Vec<_> = places.iter().map(usize::to_string).collect();
    let listed = listed.join(", ");
    match count {
        1 => format!("line {listed} {one}"),
        _ if count > places.len() => format!("{count} lines ({listed}, …) {many}"),
        _ => format!("lines {listed} {many}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        read_list(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn reads_valid_lists() {
        let read = |text: &str| read_list(text.as_bytes()).unwrap().len();
        assert_eq!(read("0101010101\n0202020202\n0101010101\n"), 2);
        assert_eq!(
            read("\u{feff}# children\r\n\r\n 0101010101\r\n0202020202"),
            2
        );
    }

    #[test]
    fn refuses_a_list_with_any_error_and_never_repeats_it() {
        assert!(error("").contains("no person number"));
        for text in [
            "\u{0}0\u{0}1\u{0}\n",
            "0\u{0}1\u{0}0\u{0}1\u{0}0\u{0}1\u{0}0\u{0}1\u{0}0\u{0}1\u{0}\n\u{0}",
        ] {
            assert!(error(text).contains("UTF-8"), "{}", error(text));
        }
        for mark in [[0xff, 0xfe], [0xfe, 0xff]] {
            let told = read_list(&mark[..]).unwrap_err().to_string();
            assert!(told.contains("UTF-16"), "{told}");
        }
        // What an empty list would do depends on the command, so the words about that are not here.
        let empty = error("\n# none\n");
        assert!(
            empty.contains("the right file") && !empty.contains("subscription"),
            "{empty}"
        );
        assert!(error("0101010101\n02020").contains("line 2"));
        assert!(error("0101010101\n02020").contains("cut off"));
        let nine_digits = error("0101010101\n101010102\n101010103\n");
        assert!(nine_digits.contains("spreadsheet"), "{nine_digits}");
        assert!(nine_digits.contains("lines 2, 3 have"), "{nine_digits}");
        let malformed = error("010101-0101\n\"0202020202\"\n0303030303;x\nx\n\u{e6}\n1\n2\n");
        assert!(
            malformed.contains("7 lines (1, 2, 3, 4, 5, …)"),
            "{malformed}"
        );
        assert!(!malformed.contains("0101"), "{malformed}");
    }
}
