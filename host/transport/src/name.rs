//! File names from a server: checked before use, and redacted before they are shown.

use std::fmt;

use cprflow_redact::{holds_person_number, redact};

/// The name of a file in an inbox, checked to be safe as a file name and safe to print.
///
/// It is UTF-8 of at most 255 bytes without `/`, NUL, control characters or invisible formatting characters, and it is
/// neither `.` nor `..`. Other parties also put files into an inbox and may name them after a person. Therefore
/// `Display` and `Debug` replace everything that can be a person number with a placeholder.
///
/// ```
/// use cprflow_transport::{NameError, RemoteName};
///
/// let name = RemoteName::try_from("letter to 010101-0101.pdf")?;
/// assert_eq!(name.to_string(), "letter to [number].pdf");
/// assert_eq!(RemoteName::try_from("../etc/passwd"), Err(NameError::Slash));
/// # Ok::<(), NameError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RemoteName(String);

impl RemoteName {
    /// Returns the unredacted name, to ask a server for the file. To print the name, use `Display`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<&[u8]> for RemoteName {
    type Error = NameError;

    fn try_from(bytes: &[u8]) -> Result<Self, NameError> {
        // The length is checked first, so that no time is spent on a very long name.
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
        if name.chars().any(is_unsafe) {
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
        formatter.write_str(&redacted_name(&self.0))
    }
}

impl fmt::Debug for RemoteName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}", redacted_name(&self.0))
    }
}

/// Returns a file name for output, logs and records: with a placeholder for everything that can be a person number.
pub fn redacted_name(name: &str) -> String {
    redact(name, MAX_BYTES)
}

/// Why a file name cannot be used. `Display` gives a clause about the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// The name is empty.
    #[error("its name is empty")]
    Empty,
    /// The name is longer than 255 bytes.
    #[error("its name is longer than 255 bytes")]
    TooLong,
    /// The name is not UTF-8.
    #[error("its name is not UTF-8")]
    NotUtf8,
    /// The name contains `/`.
    #[error("its name contains a slash")]
    Slash,
    /// The name contains a control character, or one that hides text or changes its direction.
    #[error("its name contains a control or an invisible character")]
    Control,
    /// The name is `.` or `..`.
    #[error("its name is `.` or `..`, which means a directory")]
    Dots,
}

/// Returns an unchecked name for output: escaped, on one line, without person numbers, at most 80 characters.
pub(crate) fn escaped_name(name: &[u8]) -> String {
    let text = String::from_utf8_lossy(name);
    if holds_person_number(&text) {
        return redact(&text, MAX_SHOWN_CHARS);
    }
    let mut escaped: String = text
        .chars()
        .take(MAX_SHOWN_CHARS)
        .flat_map(char::escape_debug)
        .collect();
    if text.chars().nth(MAX_SHOWN_CHARS).is_some() {
        escaped.push('…');
    }
    escaped
}

/// Returns whether a character is a control character, breaks lines, changes the direction of text, or is invisible.
fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        )
}

/// The longest file name of common file systems.
const MAX_BYTES: usize = 255;

const MAX_SHOWN_CHARS: usize = 80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_names_of_deliveries_and_other_safe_names() {
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
    fn rejects_unsafe_names_with_the_reason() {
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
    fn replaces_person_numbers_in_names() {
        let name = RemoteName::try_from("letter to 010101-0101.pdf").unwrap();
        assert_eq!(name.to_string(), "letter to [number].pdf");
        assert_eq!(format!("{name:?}"), "\"letter to [number].pdf\"");
        assert_eq!(escaped_name(b"010101\n0101/"), "[number]/");
        for name in ["d261123.l431101", "D180927.L123456.metadata"] {
            assert_eq!(redacted_name(name), name);
        }
    }

    #[test]
    fn escapes_names_to_one_short_line() {
        assert_eq!(escaped_name(b"a\nb\x1b"), "a\\nb\\u{1b}");
        assert_eq!(escaped_name("x\u{202e}y".as_bytes()), "x\\u{202e}y");
        assert_eq!(escaped_name(&[b'x'; 4096]), "x".repeat(80) + "…");
        assert_eq!(escaped_name(b"\xe6"), "\u{fffd}");
    }
}
