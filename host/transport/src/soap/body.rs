//! The XML document in the body of a response.
//!
//! A server may name the character set only in the header `Content-Type`, and may put the document into the first part of
//! a multipart body (SOAP with attachments, MTOM).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use encoding_rs::{Encoding, UTF_8};

/// Returns the document of a body with this content type. A body that is not understood is returned as it is, because the
/// caller reports what it is.
pub(super) fn document(content_type: Option<&str>, body: Vec<u8>) -> Vec<u8> {
    let Some(content_type) = content_type.and_then(ContentType::parse) else {
        return body;
    };
    if content_type.kind.starts_with("multipart/") {
        return match root_part(&content_type, &body) {
            Some((part_type, part)) => match part_type {
                Some(part_type) => in_utf8(&part_type, part),
                None => part,
            },
            None => body,
        };
    }
    in_utf8(&content_type, body)
}

/// Returns a document in UTF-8, if it does not say its character set itself.
fn in_utf8(content_type: &ContentType, body: Vec<u8>) -> Vec<u8> {
    let Some(charset) = content_type.parameter("charset") else {
        return body;
    };
    let Some(encoding) = Encoding::for_label(charset.as_bytes()) else {
        return body;
    };
    let has_mark = Encoding::for_bom(&body).is_some();
    if encoding == UTF_8 || has_mark || declares_encoding(&body) {
        return body;
    }
    let (text, _) = encoding.decode_without_bom_handling(&body);
    text.into_owned().into_bytes()
}

/// Returns whether a document begins with an XML declaration that names its encoding. A declaration in an encoding of two
/// bytes is not found; such a document has a byte order mark or the header's character set.
fn declares_encoding(body: &[u8]) -> bool {
    let head = body.trim_ascii_start();
    let head = head
        .get(..head.len().min(MAX_DECLARATION))
        .unwrap_or_default();
    let end = find(head, b"?>").unwrap_or(0);
    let declaration = head.get(..end).unwrap_or_default();
    declaration.starts_with(b"<?xml") && find(declaration, b"encoding").is_some()
}

/// Returns the part of a multipart body that holds the document: the one that the parameter `start` names, or the first.
fn root_part(content_type: &ContentType, body: &[u8]) -> Option<(Option<ContentType>, Vec<u8>)> {
    let boundary = content_type.parameter("boundary")?;
    if boundary.is_empty() || boundary.len() > MAX_BOUNDARY {
        return None;
    }
    let delimiter = format!("--{boundary}");
    let start = content_type.parameter("start").map(without_brackets);
    let mut first = None;
    for part in parts(body, delimiter.as_bytes()).take(MAX_PARTS) {
        let Some(part) = Part::parse(part) else {
            continue;
        };
        let is_start = match (&start, part.header("content-id").map(without_brackets)) {
            (Some(start), Some(id)) => *start == id,
            (None, _) => true,
            (Some(_), None) => false,
        };
        if is_start {
            return part.decoded();
        }
        first.get_or_insert(part);
    }
    first?.decoded()
}

/// Returns the bytes between the delimiters. Each delimiter begins a line.
fn parts<'a>(body: &'a [u8], delimiter: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut rest = next_delimiter(body, delimiter).map(|(_, after)| after);
    std::iter::from_fn(move || {
        let begin = rest.take()?;
        // Two hyphens after a delimiter end the body.
        if begin.starts_with(b"--") {
            return None;
        }
        let line_end = find(begin, b"\n")?;
        let begin = begin.get(line_end + 1..)?;
        let (part, after) = match next_delimiter(begin, delimiter) {
            Some((part, after)) => (part, Some(after)),
            None => (begin, None),
        };
        rest = after;
        let part = part.strip_suffix(b"\n").unwrap_or(part);
        Some(part.strip_suffix(b"\r").unwrap_or(part))
    })
}

/// Returns the bytes before and after the next delimiter that begins a line.
fn next_delimiter<'a>(bytes: &'a [u8], delimiter: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let mut from = 0;
    loop {
        let at = from + find(bytes.get(from..)?, delimiter)?;
        let before = bytes.get(..at)?;
        if before.is_empty() || before.ends_with(b"\n") {
            return Some((before, bytes.get(at + delimiter.len()..)?));
        }
        from = at + 1;
    }
}

/// A part of a multipart body.
struct Part<'a> {
    headers: String,
    content: &'a [u8],
}

impl<'a> Part<'a> {
    fn parse(part: &'a [u8]) -> Option<Self> {
        let (end, length) = match (find(part, b"\r\n\r\n"), find(part, b"\n\n")) {
            (Some(end), Some(short)) if short < end => (short, 2),
            (Some(end), _) => (end, 4),
            (None, Some(short)) => (short, 2),
            // A part without headers begins with an empty line.
            (None, None) => return None,
        };
        let headers = String::from_utf8_lossy(part.get(..end)?);
        Some(Self {
            // A header may continue on the next line, after white space.
            headers: headers
                .replace("\r\n", "\n")
                .replace("\n ", " ")
                .replace("\n\t", " "),
            content: part.get(end + length..)?,
        })
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.headers.lines().filter_map(|line| line.split_once(':'));
        let (_, value) = lines.find(|(found, _)| found.trim().eq_ignore_ascii_case(name))?;
        Some(value.trim())
    }

    /// Returns the type and the content, without its transfer encoding.
    fn decoded(&self) -> Option<(Option<ContentType>, Vec<u8>)> {
        let encoding = self.header("content-transfer-encoding").unwrap_or_default();
        let content = match encoding.to_ascii_lowercase().as_str() {
            "base64" => {
                let text = self
                    .content
                    .iter()
                    .filter(|byte| !byte.is_ascii_whitespace());
                STANDARD.decode(text.copied().collect::<Vec<_>>()).ok()?
            }
            "quoted-printable" => quoted_printable(self.content),
            _ => self.content.to_vec(),
        };
        let content_type = self.header("content-type").and_then(ContentType::parse);
        Some((content_type, content))
    }
}

/// Decodes quoted-printable: `=` and two hexadecimal digits stand for a byte, `=` at the end of a line for nothing.
fn quoted_printable(bytes: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((byte, after)) = rest.split_first() {
        let hex = |at: usize| {
            after
                .get(at)
                .and_then(|digit| char::from(*digit).to_digit(16))
        };
        if *byte != b'=' {
            decoded.push(*byte);
            rest = after;
        } else if let Some(after) = after.strip_prefix(b"\r\n").or(after.strip_prefix(b"\n")) {
            rest = after;
        } else if let (Some(high), Some(low)) = (hex(0), hex(1)) {
            decoded.extend(u8::try_from(high * 16 + low));
            rest = after.get(2..).unwrap_or_default();
        } else {
            decoded.push(*byte);
            rest = after;
        }
    }
    decoded
}

/// A media type with its parameters.
struct ContentType {
    /// In lower case.
    kind: String,
    parameters: Vec<(String, String)>,
}

impl ContentType {
    fn parse(text: &str) -> Option<Self> {
        let (kind, mut rest) = text.split_once(';').unwrap_or((text, ""));
        let mut parameters = Vec::new();
        while let Some((name, after)) = rest.split_once('=') {
            let (value, after) = match after.trim_start().strip_prefix('"') {
                Some(quoted) => {
                    let (value, after) = quoted.split_once('"')?;
                    (value, after.split_once(';').map_or("", |(_, after)| after))
                }
                None => after.split_once(';').unwrap_or((after, "")),
            };
            let name = name
                .trim()
                .trim_start_matches(';')
                .trim()
                .to_ascii_lowercase();
            parameters.push((name, value.trim().to_owned()));
            rest = after;
        }
        Some(Self {
            kind: kind.trim().to_ascii_lowercase(),
            parameters,
        })
    }

    fn parameter(&self, name: &str) -> Option<&str> {
        let mut parameters = self.parameters.iter();
        let (_, value) = parameters.find(|(found, _)| found == name)?;
        Some(value)
    }
}

fn without_brackets(id: &str) -> &str {
    id.trim_start_matches('<').trim_end_matches('>')
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    let first = *wanted.first()?;
    let mut from = 0;
    loop {
        let rest = bytes.get(from..)?;
        let at = from + rest.iter().position(|byte| *byte == first)?;
        if bytes.get(at..)?.starts_with(wanted) {
            return Some(at);
        }
        from = at + 1;
    }
}

/// The longest XML declaration that is read.
const MAX_DECLARATION: usize = 200;

/// The longest boundary that the standard (RFC 2046) allows.
const MAX_BOUNDARY: usize = 70;

/// The most parts that are looked at.
const MAX_PARTS: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    fn text(content_type: &str, body: &[u8]) -> String {
        String::from_utf8_lossy(&document(Some(content_type), body.to_vec())).into_owned()
    }

    #[test]
    fn reads_the_character_set_of_the_header() {
        for (content_type, body, expected) in [
            (
                "text/xml; charset=iso-8859-1",
                b"<a>\xe6</a>".as_slice(),
                "<a>\u{e6}</a>",
            ),
            (
                "text/xml;charset=\"ISO-8859-1\"; x=y",
                b"<a>\xe6</a>",
                "<a>\u{e6}</a>",
            ),
            (
                "text/xml; Charset=windows-1252",
                b"<?xml version='1.0'?><a>\x80</a>",
                "<?xml version='1.0'?><a>\u{20ac}</a>",
            ),
            ("text/xml; charset=utf-16le", b"<\0a\0/\0>\0", "<a/>"),
            (
                "text/xml; charset=utf-8",
                "<a>\u{e6}</a>".as_bytes(),
                "<a>\u{e6}</a>",
            ),
            ("text/xml", "<a>\u{e6}</a>".as_bytes(), "<a>\u{e6}</a>"),
            ("text/xml; charset=nonsense", b"<a/>", "<a/>"),
            ("", b"<a/>", "<a/>"),
        ] {
            assert_eq!(text(content_type, body), expected, "{content_type}");
        }
        // The document's own declaration is left to its reader.
        let declared = b"<?xml version='1.0' encoding='iso-8859-1'?><a>\xe6</a>";
        let read = document(Some("text/xml; charset=iso-8859-1"), declared.to_vec());
        assert_eq!(read, declared);
        assert_eq!(document(None, b"<a/>".to_vec()), b"<a/>");
    }

    #[test]
    fn reads_the_root_of_a_multipart_body() {
        let mtom =
            "multipart/related; type=\"application/xop+xml\"; start=\"<root>\"; boundary=\"b 1\"";
        let body = "preamble\r\n--b 1\r\nContent-ID: <other>\r\n\r\n<no/>\r\n--b 1\r\n\
                    Content-Type: application/xop+xml;\r\n charset=UTF-8\r\nContent-Id: <root>\r\n\r\n\
                    <a>--b 1</a>\r\n--b 1--\r\nend";
        assert_eq!(text(mtom, body.as_bytes()), "<a>--b 1</a>");
        // Without `start`, the first part is the root.
        let first = mtom.replace("start=\"<root>\";", "");
        assert_eq!(text(&first, body.as_bytes()), "<no/>");
        // Line feeds alone, and no end.
        let short = body.replace("\r\n", "\n").replace("--b 1--\nend", "");
        assert_eq!(text(mtom, short.as_bytes()), "<a>--b 1</a>");
        let part = |headers: &str, content: &[u8]| {
            let mut body = format!("--b\r\n{headers}\r\n\r\n").into_bytes();
            body.extend(content);
            body.extend(b"\r\n--b--\r\n");
            text("multipart/related; boundary=b", &body)
        };
        let latin = "Content-Type: text/xml; charset=iso-8859-1";
        assert_eq!(part(latin, b"<a>\xe6</a>"), "<a>\u{e6}</a>");
        assert_eq!(
            part("Content-Transfer-Encoding: base64", b"PGEv\r\nPg=="),
            "<a/>"
        );
        assert_eq!(
            part(
                "Content-Transfer-Encoding: Quoted-Printable",
                b"<a x=3D'=C3=A6'=\r\n/>"
            ),
            "<a x='\u{e6}'/>"
        );
        // A body that cannot be taken apart is returned as it is.
        for (content_type, body) in [
            ("multipart/related", "--b\r\n\r\n<a/>"),
            ("multipart/related; boundary=c", "--b\r\n\r\n<a/>"),
            ("multipart/related; boundary=\"b", "--b\r\n\r\n<a/>"),
            ("multipart/related; boundary=b", ""),
        ] {
            assert_eq!(text(content_type, body.as_bytes()), body, "{content_type}");
        }
    }

    #[test]
    fn never_panics_on_a_damaged_multipart_body() {
        let body =
            b"--b\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<a>=3D=\r\n=4</a>\r\n--b--";
        for begin in 0..body.len() {
            for end in begin..=body.len() {
                text("multipart/related; boundary=b", &body[begin..end]);
            }
        }
    }
}
