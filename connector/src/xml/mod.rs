//! Reads the XML documents of deliveries and of the platform's answers strictly.
//!
//! An XML library returns events and leaves checks to its user: a truncated document ends like a complete one, an
//! undeclared prefix is accepted, and a value comes in pieces. [`Reader`] adds these checks. It requires exactly one
//! root element, read to its end. It refuses document types, so no entity can be declared. It limits depth, attributes
//! and namespaces. Errors describe the form of the document and never quote it.

use std::borrow::Cow;
use std::str;

use quick_xml::errors::{Error as QuickError, IllFormedError, SyntaxError};
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::{Namespace, NamespaceError, NamespaceResolver, ResolveResult};
use quick_xml::reader::NsReader;

/// The reason why a document cannot be read, independent of its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum XmlError {
    /// The document is larger than any document of its kind; holds the limit in bytes.
    #[error("the document is larger than {0} bytes, the limit for its kind")]
    TooLarge(usize),

    /// The document is not in UTF-8, US-ASCII or ISO-8859-1, or not in the encoding that it declares.
    #[error(
        "the document is not in UTF-8, US-ASCII or ISO-8859-1, or not in the encoding that it declares"
    )]
    Encoding,

    /// The document ends before its root element does.
    #[error("the document is empty or ends before its root element ends")]
    Truncated,

    /// The document is not well-formed XML; holds a clause that describes why.
    #[error("the document is not well-formed XML: {0}")]
    Malformed(&'static str),

    /// The document has a document type, which can declare entities.
    #[error("the document has a DOCTYPE, which is not allowed")]
    Doctype,

    /// The document refers to an entity that XML does not define.
    #[error("the document refers to an entity that is not defined")]
    Entity,

    /// The document's elements are nested too deep, or have too many attributes or namespaces.
    #[error(
        "the document has elements nested deeper than {MAX_DEPTH}, or more attributes or namespaces than \
         {MAX_ATTRIBUTES}"
    )]
    TooComplex,

    /// Another element follows the root element.
    #[error("the document has more than one root element")]
    SeveralRoots,
}

/// The maximum depth of elements; the expected documents have eight levels.
const MAX_DEPTH: usize = 32;

/// The maximum number of attributes of an element, and of namespaces in scope.
const MAX_ATTRIBUTES: usize = 64;

/// Decodes a document of at most `max_bytes` bytes, without its byte order mark.
pub(crate) fn decode(bytes: &[u8], max_bytes: usize) -> Result<Cow<'_, str>, XmlError> {
    if bytes.len() > max_bytes {
        return Err(XmlError::TooLarge(max_bytes));
    }
    let without_mark = bytes.strip_prefix(b"\xef\xbb\xbf");
    let bytes = without_mark.unwrap_or(bytes);
    let encoding = declared_encoding(bytes)?.unwrap_or_default();
    let text: Cow<'_, str> = match encoding.to_ascii_lowercase().as_str() {
        "" | "utf-8" | "utf8" => str::from_utf8(bytes)
            .map_err(|_| XmlError::Encoding)?
            .into(),
        "us-ascii" | "ascii" if bytes.is_ascii() => str::from_utf8(bytes)
            .map_err(|_| XmlError::Encoding)?
            .into(),
        // Every byte is the code point of its character.
        "iso-8859-1" | "latin1" if without_mark.is_none() => {
            bytes.iter().map(|byte| char::from(*byte)).collect()
        }
        _ => return Err(XmlError::Encoding),
    };
    if !text.bytes().all(|byte| is_xml_char(char::from(byte))) {
        return Err(XmlError::Malformed("it has control characters"));
    }
    Ok(text)
}

/// Returns the encoding that the XML declaration names, if there is one.
fn declared_encoding(bytes: &[u8]) -> Result<Option<String>, XmlError> {
    if !bytes.starts_with(b"<?xml") {
        return Ok(None);
    }
    let end = bytes.windows(2).position(|pair| pair == b"?>");
    let declaration = &bytes[..end.ok_or(XmlError::Truncated)? + 2];
    let declaration = str::from_utf8(declaration).map_err(|_| XmlError::Encoding)?;
    match NsReader::from_str(declaration).read_event()? {
        Event::Decl(declaration) => match declaration.encoding() {
            Some(encoding) => {
                let encoding = encoding.map_err(|_| XmlError::Malformed(DECLARATION))?;
                Ok(Some(encoding.trim().to_owned()))
            }
            None => Ok(None),
        },
        // Another processing instruction whose name begins with `xml`.
        _ => Ok(None),
    }
}

const DECLARATION: &str = "its XML declaration is invalid";

/// The name of an element: its namespace, if there is one, and its local name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ElementName<'r> {
    pub(crate) namespace: Option<&'r str>,
    pub(crate) local: &'r str,
}

/// Reads a document element by element.
///
/// An element that [`root`](Self::root) or [`child`](Self::child) has opened must be read to its end: with `child`
/// until it returns `None`, with [`text`](Self::text), or with [`skip`](Self::skip).
pub(crate) struct Reader<'d> {
    events: NsReader<&'d [u8]>,
    /// Whether an event was read.
    has_begun: bool,
    /// The number of open elements.
    depth: usize,
    /// The namespace and name of the element that was opened last, and the text since the last tag.
    namespace: Option<String>,
    local: String,
    text: String,
}

/// The start or end of an element, or the end of the document.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Boundary {
    Open,
    Close,
    EndOfDocument,
}

impl<'d> Reader<'d> {
    /// Creates a reader for a decoded document.
    pub(crate) fn new(document: &'d str) -> Self {
        let mut events = NsReader::from_str(document);
        events.config_mut().expand_empty_elements = true;
        events
            .resolver_mut()
            .set_max_namespace_bindings(MAX_ATTRIBUTES);
        Self {
            events,
            has_begun: false,
            depth: 0,
            namespace: None,
            local: String::new(),
            text: String::new(),
        }
    }

    /// Opens the root element.
    pub(crate) fn root(&mut self) -> Result<ElementName<'_>, XmlError> {
        match self.step()? {
            Boundary::Open => Ok(self.name()),
            Boundary::Close => Err(XmlError::Malformed(TAGS)),
            Boundary::EndOfDocument => Err(XmlError::Truncated),
        }
    }

    /// Opens the next child of the open element. Closes that element and returns `None` if it has no more children.
    pub(crate) fn child(&mut self) -> Result<Option<ElementName<'_>>, XmlError> {
        let step = self.step()?;
        if !is_blank(&self.text) {
            return Err(XmlError::Malformed(
                "it has text where an element is expected",
            ));
        }
        match step {
            Boundary::Open => Ok(Some(self.name())),
            Boundary::Close => Ok(None),
            Boundary::EndOfDocument => Err(XmlError::Truncated),
        }
    }

    /// Like [`child`](Self::child), but allows text between the children, which is appended to `found`.
    pub(crate) fn child_in_text(
        &mut self,
        found: &mut String,
    ) -> Result<Option<ElementName<'_>>, XmlError> {
        let step = self.step()?;
        append(found, &self.text);
        match step {
            Boundary::Open => Ok(Some(self.name())),
            Boundary::Close => Ok(None),
            Boundary::EndOfDocument => Err(XmlError::Truncated),
        }
    }

    /// Returns all text in the open element, including that of its descendants, and closes the element.
    pub(crate) fn all_text(&mut self) -> Result<String, XmlError> {
        let outside = self.depth.saturating_sub(1);
        let mut found = String::new();
        while self.depth > outside {
            let step = self.step()?;
            append(&mut found, &self.text);
            if step == Boundary::EndOfDocument {
                return Err(XmlError::Truncated);
            }
        }
        Ok(found)
    }

    /// Returns the value of the open element without surrounding white space, and closes the element.
    pub(crate) fn text(&mut self) -> Result<&str, XmlError> {
        match self.step()? {
            Boundary::Close => Ok(self.text.trim_matches(WHITE_SPACE)),
            Boundary::Open => Err(XmlError::Malformed(
                "it has an element where a value is expected",
            )),
            Boundary::EndOfDocument => Err(XmlError::Truncated),
        }
    }

    /// Skips the rest of the open element and closes it.
    pub(crate) fn skip(&mut self) -> Result<(), XmlError> {
        let outside = self.depth.saturating_sub(1);
        while self.depth > outside {
            if self.step()? == Boundary::EndOfDocument {
                return Err(XmlError::Truncated);
            }
        }
        Ok(())
    }

    /// Checks that nothing follows the root element, which must be closed.
    pub(crate) fn finish(mut self) -> Result<(), XmlError> {
        match self.step()? {
            Boundary::EndOfDocument => Ok(()),
            Boundary::Open => Err(XmlError::SeveralRoots),
            Boundary::Close => Err(XmlError::Malformed(TAGS)),
        }
    }

    fn name(&self) -> ElementName<'_> {
        ElementName {
            namespace: self.namespace.as_deref(),
            local: &self.local,
        }
    }

    /// Reads to the next tag or to the end, and collects the text, which comes in pieces.
    fn step(&mut self) -> Result<Boundary, XmlError> {
        self.text.clear();
        loop {
            let first = !std::mem::replace(&mut self.has_begun, true);
            let (namespace, event) = self.events.read_resolved_event()?;
            match event {
                Event::Start(start) => {
                    take_namespace(&mut self.namespace, namespace)?;
                    self.local.clear();
                    self.local.push_str(start.local_name().into_inner());
                    if self.local.is_empty() || self.local.contains(':') {
                        return Err(XmlError::Malformed("the name of an element is invalid"));
                    }
                    check_attributes(&start, self.events.resolver())?;
                    self.depth += 1;
                    if self.depth > MAX_DEPTH {
                        return Err(XmlError::TooComplex);
                    }
                    return Ok(Boundary::Open);
                }
                Event::End(_) => {
                    self.depth = self.depth.checked_sub(1).ok_or(XmlError::Malformed(TAGS))?;
                    return Ok(Boundary::Close);
                }
                Event::Text(piece) => self.text.push_str(&piece.xml10_content()),
                Event::CData(piece) => self.text.push_str(&piece.xml10_content()),
                Event::GeneralRef(reference) => self.text.push(resolve(&reference)?),
                Event::Comment(_) | Event::PI(_) => {}
                Event::Decl(_) if first => {}
                Event::Decl(_) => return Err(XmlError::Malformed(DECLARATION)),
                Event::DocType(_) => return Err(XmlError::Doctype),
                Event::Eof if self.depth > 0 => return Err(XmlError::Truncated),
                Event::Eof => {
                    self.outside_text()?;
                    return Ok(Boundary::EndOfDocument);
                }
                // The parser is set to report an empty element as a start and an end.
                Event::Empty(_) => return Err(XmlError::Malformed(TAGS)),
            }
            if self.depth == 0 {
                self.outside_text()?;
            }
        }
    }

    /// Checks that there is only white space before and after the root element.
    fn outside_text(&mut self) -> Result<(), XmlError> {
        if !is_blank(&self.text) {
            return Err(XmlError::Malformed("it has text outside the root element"));
        }
        self.text.clear();
        Ok(())
    }
}

/// Appends a text to another, separated by a space.
fn append(found: &mut String, text: &str) {
    let text = text.trim_matches(WHITE_SPACE);
    if !text.is_empty() {
        if !found.is_empty() {
            found.push(' ');
        }
        found.push_str(text);
    }
}

fn take_namespace(
    place: &mut Option<String>,
    namespace: ResolveResult<'_>,
) -> Result<(), XmlError> {
    match namespace {
        ResolveResult::Unbound => *place = None,
        ResolveResult::Bound(Namespace(uri)) => match place {
            Some(place) => {
                place.clear();
                place.push_str(uri);
            }
            None => *place = Some(uri.to_owned()),
        },
        ResolveResult::Unknown(_) => return Err(XmlError::Malformed(PREFIX)),
    }
    Ok(())
}

/// Checks the attributes. Their values are not used, but a document with invalid ones is not well-formed.
fn check_attributes(start: &BytesStart<'_>, resolver: &NamespaceResolver) -> Result<(), XmlError> {
    // Counted first, because the cost of the other checks grows with the number.
    let attributes = || {
        let mut attributes = start.attributes();
        attributes.with_checks(false);
        attributes
    };
    if attributes().take(MAX_ATTRIBUTES + 1).count() > MAX_ATTRIBUTES {
        return Err(XmlError::TooComplex);
    }
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|_| XmlError::Malformed("an attribute is invalid"))?;
        let (namespace, _) = resolver.resolve_attribute(attribute.key);
        if matches!(namespace, ResolveResult::Unknown(_)) {
            return Err(XmlError::Malformed(PREFIX));
        }
        if attribute.value.contains('<') {
            return Err(XmlError::Malformed("an attribute is invalid"));
        }
    }
    Ok(())
}

/// Returns the character of a reference: one of XML's five predefined names, or a number.
fn resolve(reference: &quick_xml::events::BytesRef<'_>) -> Result<char, XmlError> {
    let numbered = reference
        .resolve_char_ref()
        .map_err(|_| XmlError::Malformed(REFERENCE))?;
    match numbered {
        Some(character) if is_xml_char(character) => Ok(character),
        Some(_) => Err(XmlError::Malformed(REFERENCE)),
        None => match &**reference {
            "lt" => Ok('<'),
            "gt" => Ok('>'),
            "amp" => Ok('&'),
            "apos" => Ok('\''),
            "quot" => Ok('"'),
            _ => Err(XmlError::Entity),
        },
    }
}

impl From<QuickError> for XmlError {
    fn from(error: QuickError) -> Self {
        match error {
            QuickError::Syntax(SyntaxError::UnclosedDoctype) => Self::Doctype,
            QuickError::Syntax(SyntaxError::InvalidBangMarkup) => Self::Malformed(TAGS),
            QuickError::Syntax(_) => Self::Truncated,
            QuickError::IllFormed(IllFormedError::UnclosedReference) => Self::Malformed(REFERENCE),
            QuickError::IllFormed(
                IllFormedError::MissingDeclVersion(_) | IllFormedError::UnknownVersion,
            ) => Self::Malformed(DECLARATION),
            QuickError::Namespace(
                NamespaceError::TooManyBindings(_) | NamespaceError::TooDeeplyNested(_),
            ) => Self::TooComplex,
            QuickError::Namespace(_) => Self::Malformed(PREFIX),
            _ => Self::Malformed(TAGS),
        }
    }
}

const TAGS: &str = "its tags do not match";
const PREFIX: &str = "a namespace prefix is not declared, or is declared incorrectly";
const REFERENCE: &str = "an ampersand does not begin a character reference";

const WHITE_SPACE: [char; 4] = [' ', '\t', '\r', '\n'];

fn is_blank(text: &str) -> bool {
    text.trim_matches(WHITE_SPACE).is_empty()
}

fn is_xml_char(character: char) -> bool {
    match character {
        '\t' | '\n' | '\r' => true,
        '\u{fffe}' | '\u{ffff}' => false,
        _ => character >= ' ',
    }
}

#[cfg(test)]
mod tests;
