//! Lists of person numbers. A list that is not sound as a whole is refused: a part of it would be taken for all.

use std::collections::BTreeSet;
use std::io::Read;

use crate::pnr::Pnr;

/// Bytes of a list at the most: far more than all of Denmark needs.
const MAX_LIST: u64 = 256 * 1024 * 1024;

/// Lines that an error names.
const NAMED_LINES: usize = 5;

/// Why a list is refused. It never says what stands in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListError {
    /// It could not be read.
    #[error("it cannot be read: {0}")]
    Read(#[from] std::io::Error),

    /// There is no number in it.
    #[error(
        "there is no person number in it. An empty list is refused, for it would empty the subscription: if that is \
         what you want, run `cprflow subscription clear pnr`"
    )]
    Empty,

    /// It is larger than any list can be.
    #[error("it is larger than {MAX_LIST} bytes, which no list of person numbers is")]
    TooLarge,

    /// Its last line ends in the middle of a number.
    #[error(
        "its last line (line {line}) ends in the middle of a number: the file is cut off. Make it again"
    )]
    Cut {
        /// Which.
        line: usize,
    },

    /// Numbers of nine digits.
    #[error(
        "{} nine digits. A spreadsheet has probably eaten the leading zero: make the column text before the numbers \
         go into it, and export it again", lines(places, *count, "has", "have")
    )]
    NineDigits {
        /// How many lines.
        count: usize,
        /// The first of them.
        places: Vec<usize>,
    },

    /// Lines that are no person numbers.
    #[error(
        "{} no person number: each line is ten digits, without hyphen and without anything else",
        lines(places, *count, "is", "are")
    )]
    Malformed {
        /// How many lines.
        count: usize,
        /// The first of them.
        places: Vec<usize>,
    },
}

/// Reads a list: a number a line. Blank lines, and lines that begin with `#`, are skipped.
pub fn read_list(list: impl Read) -> Result<BTreeSet<Pnr>, ListError> {
    let mut text = Vec::new();
    list.take(MAX_LIST + 1).read_to_end(&mut text)?;
    if text.len() as u64 > MAX_LIST {
        return Err(ListError::TooLarge);
    }
    // Some editors and spreadsheets begin a file with a byte order mark.
    let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&text);
    let mut numbers = BTreeSet::new();
    let (mut nine, mut wrong) = (Vec::new(), Vec::new());
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
                nine.push(place + 1);
            }
            Err(_) => wrong.push(place + 1),
        }
    }
    let is_open = !text.ends_with(b"\n");
    let bad: Vec<_> = nine.iter().chain(&wrong).copied().collect();
    match (bad.as_slice(), last) {
        ([], None) => Err(ListError::Empty),
        ([], Some(_)) => Ok(numbers),
        ([line], Some(last)) if is_open && *line == last => Err(ListError::Cut { line: last }),
        _ if !nine.is_empty() => Err(ListError::NineDigits {
            count: nine.len(),
            places: named(nine),
        }),
        _ => Err(ListError::Malformed {
            count: wrong.len(),
            places: named(wrong),
        }),
    }
}

fn named(mut places: Vec<usize>) -> Vec<usize> {
    places.truncate(NAMED_LINES);
    places
}

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
    fn sound_lists() {
        let read = |text: &str| read_list(text.as_bytes()).unwrap().len();
        assert_eq!(read("0101010101\n0202020202\n0101010101\n"), 2);
        assert_eq!(
            read("\u{feff}# children\r\n\r\n 0101010101\r\n0202020202"),
            2
        );
    }

    #[test]
    fn what_is_not_sound_is_refused_whole_and_never_repeated() {
        assert!(error("").contains("no person number"));
        assert!(error("\n# none\n").contains("clear pnr"));
        assert!(error("0101010101\n02020").contains("line 2"));
        assert!(error("0101010101\n02020").contains("cut off"));
        let eaten = error("0101010101\n101010102\n101010103\n");
        assert!(eaten.contains("spreadsheet"), "{eaten}");
        assert!(eaten.contains("lines 2, 3 have"), "{eaten}");
        let wrong = error("010101-0101\n\"0202020202\"\n0303030303;x\nx\n\u{e6}\n1\n2\n");
        assert!(wrong.contains("7 lines (1, 2, 3, 4, 5, …)"), "{wrong}");
        assert!(!wrong.contains("0101"), "{wrong}");
    }
}
