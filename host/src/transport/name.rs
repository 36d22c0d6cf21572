//! Names of files, hostile until checked.

use std::fmt;

use cprflow_connector::{holds_number, scrub};

/// The name of a file in an inbox that is safe to use as a file name and to show.
///
/// It is UTF-8 of at most 255 bytes, has no `/`, no NUL, no control or invisible formatting character, and is neither
/// `.` nor `..`. Others put files into an inbox, too, and may name them after a person: shown, a word stands in the
/// place of whatever can be a person number.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RemoteName(String);

impl RemoteName {
    /// The name as it is, to ask a server for the file. To be said, it is displayed.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<&[u8]> for RemoteName {
    type Error = NameError;

    fn try_from(bytes: &[u8]) -> Result<Self, NameError> {
        // The length first: whatever else is wrong with it, a long name is not looked at.
        if bytes.len() > MAX_BYTES {
            return Err(NameError::TooLong);
        }
        let name = str::from_utf8(bytes).map_err(|_| NameError::NotUtf8)?;
        match name {
            "" => return Err(NameError::Empty),
            "." | ".." => return Err(NameError::Dots),
            _ => {}
        }
        if name.contains('/') {
            return Err(NameError::Slash);
        }
        if name.chars().any(deceives) {
            return Err(NameError::Control);
        }
        Ok(Self(name.to_owned()))
    }
}

impl TryFrom<&str> for RemoteName {
    type Error = NameError;

    fn try_from(name: &str) -> Result<Self, NameError> {
        Self::try_from(name.as_bytes())
    }
}

impl fmt::Display for RemoteName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&said(&self.0))
    }
}

impl fmt::Debug for RemoteName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}", said(&self.0))
    }
}

/// A name as it is said, logged and recorded.
pub(crate) fn said(name: &str) -> String {
    scrub(name, MAX_BYTES)
}

/// What is wrong with a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// There is none.
    #[error("its name is empty")]
    Empty,
    /// It is longer than 255 bytes.
    #[error("its name is longer than 255 bytes")]
    TooLong,
    /// It is no UTF-8.
    #[error("its name is not UTF-8")]
    NotUtf8,
    /// It has a `/`.
    #[error("its name contains a slash")]
    Slash,
    /// It has a control character, or one that hides or turns text.
    #[error("its name contains a control or an invisible character")]
    Control,
    /// It is `.` or `..`.
    #[error("its name means a directory")]
    Dots,
}

/// A name that was not checked, to be shown: escaped and cut.
pub(super) fn shown(name: &[u8]) -> String {
    let text = String::from_utf8_lossy(name);
    if holds_number(&text) {
        return scrub(&text, SHOWN_CHARACTERS);
    }
    let mut shown: String = text
        .chars()
        .take(SHOWN_CHARACTERS)
        .flat_map(char::escape_debug)
        .collect();
    if text.chars().nth(SHOWN_CHARACTERS).is_some() {
        shown.push('…');
    }
    shown
}

/// Control characters, and those that break lines, turn the direction of text or cannot be seen.
fn deceives(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        )
}

/// What a file system takes.
const MAX_BYTES: usize = 255;

const SHOWN_CHARACTERS: usize = 80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_deliveries_are_taken() {
        let longest = "x".repeat(255);
        for name in [
            "d150107.l114101",
            "D180927.L123456.metadata",
            "løn æ.txt",
            "..a",
            "...",
            "a\\b",
            longest.as_str(),
        ] {
            assert_eq!(RemoteName::try_from(name).unwrap().as_str(), name);
        }
    }

    #[test]
    fn hostile_names_are_refused_each_for_its_reason() {
        let long = "x".repeat(256);
        for (name, error) in [
            (b"".as_slice(), NameError::Empty),
            (b".", NameError::Dots),
            (b"..", NameError::Dots),
            (b"../etc", NameError::Slash),
            (b"/etc", NameError::Slash),
            (b"a\nb", NameError::Control),
            (b"a\0b", NameError::Control),
            (b"\x1b[2J", NameError::Control),
            (b"a\x7f", NameError::Control),
            ("a\u{85}b".as_bytes(), NameError::Control),
            ("gnp.\u{202e}rpc".as_bytes(), NameError::Control),
            ("a\u{2028}b".as_bytes(), NameError::Control),
            (b"\xe6.txt", NameError::NotUtf8),
            (long.as_bytes(), NameError::TooLong),
        ] {
            assert_eq!(RemoteName::try_from(name), Err(error), "{name:?}");
        }
    }

    #[test]
    fn a_number_is_not_said() {
        let name = RemoteName::try_from("letter to 010101-0101.pdf").unwrap();
        assert_eq!(name.to_string(), "letter to [number] pdf");
        assert_eq!(format!("{name:?}"), "\"letter to [number] pdf\"");
        assert_eq!(shown(b"010101\n0101/"), "[number]");
        for ours in ["d261123.l431101", "D180927.L123456.metadata"] {
            assert_eq!(said(ours), ours);
        }
    }

    #[test]
    fn what_is_shown_is_short_and_on_one_line() {
        assert_eq!(shown(b"a\nb\x1b"), "a\\nb\\u{1b}");
        assert_eq!(shown("x\u{202e}y".as_bytes()), "x\\u{202e}y");
        assert_eq!(shown(&[b'x'; 4096]), "x".repeat(80) + "…");
        assert_eq!(shown(b"\xe6"), "\u{fffd}");
    }
}
