//! The marks that some editors write at the beginning of a text file.

/// The byte order mark of UTF-8. It belongs to no key and to no line.
pub(crate) const UTF8_MARK: &[u8] = b"\xef\xbb\xbf";

/// Returns whether a text begins with a byte order mark of UTF-16.
pub(crate) fn is_utf16(text: &[u8]) -> bool {
    text.starts_with(b"\xff\xfe") || text.starts_with(b"\xfe\xff")
}
