//! Strict reading of the XML documents that come with deliveries and as answers of the platform.
//!
//! An XML library reads events and leaves much to its user: a document that is cut off ends like a whole one, an
//! undeclared prefix is a name like another, and a value comes in pieces. [`Reader`] closes these gaps. It accepts
//! exactly one root element, read to its end; it refuses document types, so no entity can be declared; and it
//! bounds what a document can cost. An error tells what is wrong with the form and never quotes the document.

use std::borrow::Cow;
use std::str;

use quick_xml::errors::{Error as QuickError, IllFormedError, SyntaxError};
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::{Namespace, NamespaceError, NamespaceResolver, ResolveResult};
use quick_xml::reader::NsReader;

/// Why a document cannot be read, whatever it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum XmlError {
    /// It is larger than any document of its kind can be.
    #[error("the document is larger than {0} bytes, and none of its kind is")]
    TooLarge(usize),

    /// It is in another encoding than UTF-8, US-ASCII and ISO-8859-1, or not in the one that it declares.
    #[error(
        "the document is not text in UTF-8, US-ASCII or ISO-8859-1, or not in the one that it declares"
    )]
    Encoding,

    /// It ends before its root element does.
    #[error("the document is empty or ends before its root element does")]
    Truncated,

    /// It is not XML.
    #[error("the document is not well-formed XML: {0}")]
    Malformed(&'static str),

    /// It has a document type, which can declare entities.
    #[error("the document has a DOCTYPE, and none of its kind has one")]
    Doctype,

    /// It refers to an entity that XML does not define by itself.
    #[error("the document refers to an entity that is not defined")]
    Entity,

    /// Its elements are nested deeper, or have more attributes or namespaces, than those of any document of its kind.
    #[error(
        "the document has elements nested deeper than {MAX_DEPTH}, or more attributes or namespaces than \
         {MAX_ATTRIBUTES}, and none of its kind has"
    )]
    TooComplex,

    /// Something follows the root element.
    #[error("the document has more than one root element")]
    SeveralRoots,
}

/// Elements in elements at the most; the documents at hand have eight.
const MAX_DEPTH: usize = 32;

/// Attributes of an element, and namespaces in scope, at the most.
const MAX_ATTRIBUTES: usize = 64;

/// The text of a document of at most that many bytes, without a byte order mark.
pub(crate) fn decode(bytes: &[u8], max_bytes: usize) -> Result<Cow<'_, str>, XmlError> {
    if bytes.len() > max_bytes {
        return Err(XmlError::TooLarge(max_bytes));
    }
    let marked = bytes.strip_prefix(b"\xef\xbb\xbf");
    let bytes = marked.unwrap_or(bytes);
    let encoding = declared_encoding(bytes)?.unwrap_or_default();
    let text: Cow<'_, str> = match encoding.to_ascii_lowercase().as_str() {
        "" | "utf-8" | "utf8" => str::from_utf8(bytes)
            .map_err(|_| XmlError::Encoding)?
            .into(),
        "us-ascii" | "ascii" if bytes.is_ascii() => str::from_utf8(bytes)
            .map_err(|_| XmlError::Encoding)?
            .into(),
        // Every byte is the character of the same number.
        "iso-8859-1" | "latin1" if marked.is_none() => {
            bytes.iter().map(|byte| char::from(*byte)).collect()
        }
        _ => return Err(XmlError::Encoding),
    };
    if !text.bytes().all(|byte| is_xml_char(char::from(byte))) {
        return Err(XmlError::Malformed("it has control characters"));
    }
    Ok(text)
}

/// The encoding that the document's XML declaration names, if it has one that does.
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
        // Another processing instruction whose name begins alike.
        _ => Ok(None),
    }
}

const DECLARATION: &str = "its XML declaration is wrong";

/// The name of an element: its namespace, if it is in one, and its name without prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Name<'r> {
    pub(crate) namespace: Option<&'r str>,
    pub(crate) local: &'r str,
}

/// Walks through a document: into the children of the element that is open, one by one, or over them.
///
/// After [`root`](Self::root) or [`child`](Self::child) has opened an element, it must be read to its end: by
/// `child` until there is none, by [`text`](Self::text), or by [`skip`](Self::skip).
pub(crate) struct Reader<'d> {
    events: NsReader<&'d [u8]>,
    /// Whether any event was read.
    begun: bool,
    /// Elements that are open.
    depth: usize,
    /// Namespace and name of the element that was opened last, and the text since the last tag.
    namespace: Option<String>,
    local: String,
    text: String,
}

/// What changes the element that is open.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Open,
    Close,
    EndOfDocument,
}

impl<'d> Reader<'d> {
    /// A walk through a decoded document.
    pub(crate) fn new(document: &'d str) -> Self {
        let mut events = NsReader::from_str(document);
        events.config_mut().expand_empty_elements = true;
        events
            .resolver_mut()
            .set_max_namespace_bindings(MAX_ATTRIBUTES);
        Self {
            events,
            begun: false,
            depth: 0,
            namespace: None,
            local: String::new(),
            text: String::new(),
        }
    }

    /// Opens the root element.
    pub(crate) fn root(&mut self) -> Result<Name<'_>, XmlError> {
        match self.step()? {
            Step::Open => Ok(self.name()),
            Step::Close => Err(XmlError::Malformed(TAGS)),
            Step::EndOfDocument => Err(XmlError::Truncated),
        }
    }

    /// Opens the next child of the element that is open; none, and that element is closed, when it has no more.
    pub(crate) fn child(&mut self) -> Result<Option<Name<'_>>, XmlError> {
        let step = self.step()?;
        if !is_blank(&self.text) {
            return Err(XmlError::Malformed("text stands where an element belongs"));
        }
        match step {
            Step::Open => Ok(Some(self.name())),
            Step::Close => Ok(None),
            Step::EndOfDocument => Err(XmlError::Truncated),
        }
    }

    /// The same where text may stand among the children; it is appended to what was found before.
    pub(crate) fn child_in_text(
        &mut self,
        found: &mut String,
    ) -> Result<Option<Name<'_>>, XmlError> {
        let step = self.step()?;
        append(found, &self.text);
        match step {
            Step::Open => Ok(Some(self.name())),
            Step::Close => Ok(None),
            Step::EndOfDocument => Err(XmlError::Truncated),
        }
    }

    /// All text in the element that is open, that of the elements in it too. Closes the element.
    pub(crate) fn all_text(&mut self) -> Result<String, XmlError> {
        let outside = self.depth.saturating_sub(1);
        let mut found = String::new();
        while self.depth > outside {
            let step = self.step()?;
            append(&mut found, &self.text);
            if step == Step::EndOfDocument {
                return Err(XmlError::Truncated);
            }
        }
        Ok(found)
    }

    /// The value of the element that is open, without the white space around it. Closes the element.
    pub(crate) fn text(&mut self) -> Result<&str, XmlError> {
        match self.step()? {
            Step::Close => Ok(self.text.trim_matches(WHITE_SPACE)),
            Step::Open => Err(XmlError::Malformed(
                "an element stands where a value belongs",
            )),
            Step::EndOfDocument => Err(XmlError::Truncated),
        }
    }

    /// Passes over the rest of the element that is open. Closes it.
    pub(crate) fn skip(&mut self) -> Result<(), XmlError> {
        let outside = self.depth.saturating_sub(1);
        while self.depth > outside {
            if self.step()? == Step::EndOfDocument {
                return Err(XmlError::Truncated);
            }
        }
        Ok(())
    }

    /// Sees to it that nothing follows the root element, which must be closed.
    pub(crate) fn finish(mut self) -> Result<(), XmlError> {
        match self.step()? {
            Step::EndOfDocument => Ok(()),
            Step::Open => Err(XmlError::SeveralRoots),
            Step::Close => Err(XmlError::Malformed(TAGS)),
        }
    }

    fn name(&self) -> Name<'_> {
        Name {
            namespace: self.namespace.as_deref(),
            local: &self.local,
        }
    }

    /// Reads to the next tag or to the end, and gathers the text on the way, which comes in pieces.
    fn step(&mut self) -> Result<Step, XmlError> {
        self.text.clear();
        loop {
            let first = !std::mem::replace(&mut self.begun, true);
            let (namespace, event) = self.events.read_resolved_event()?;
            match event {
                Event::Start(start) => {
                    take_namespace(&mut self.namespace, namespace)?;
                    self.local.clear();
                    self.local.push_str(start.local_name().into_inner());
                    if self.local.is_empty() || self.local.contains(':') {
                        return Err(XmlError::Malformed("an element has no fit name"));
                    }
                    check_attributes(&start, self.events.resolver())?;
                    self.depth += 1;
                    if self.depth > MAX_DEPTH {
                        return Err(XmlError::TooComplex);
                    }
                    return Ok(Step::Open);
                }
                Event::End(_) => {
                    self.depth = self.depth.checked_sub(1).ok_or(XmlError::Malformed(TAGS))?;
                    return Ok(Step::Close);
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
                    return Ok(Step::EndOfDocument);
                }
                // Empty elements come as a start and an end.
                Event::Empty(_) => return Err(XmlError::Malformed(TAGS)),
            }
            if self.depth == 0 {
                self.outside_text()?;
            }
        }
    }

    /// Only white space may stand before and after the root element.
    fn outside_text(&mut self) -> Result<(), XmlError> {
        if !is_blank(&self.text) {
            return Err(XmlError::Malformed("text stands outside the root element"));
        }
        self.text.clear();
        Ok(())
    }
}

/// Puts a text to others, with a space between them.
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

/// Nothing is read from attributes, but a document with wrong ones is none.
fn check_attributes(start: &BytesStart<'_>, resolver: &NamespaceResolver) -> Result<(), XmlError> {
    // Counted before the rest, whose cost depends on how many there are.
    let attributes = || {
        let mut attributes = start.attributes();
        attributes.with_checks(false);
        attributes
    };
    if attributes().take(MAX_ATTRIBUTES + 1).count() > MAX_ATTRIBUTES {
        return Err(XmlError::TooComplex);
    }
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|_| XmlError::Malformed("an attribute is wrong"))?;
        let (namespace, _) = resolver.resolve_attribute(attribute.key);
        if matches!(namespace, ResolveResult::Unknown(_)) {
            return Err(XmlError::Malformed(PREFIX));
        }
        if attribute.value.contains('<') {
            return Err(XmlError::Malformed("an attribute is wrong"));
        }
    }
    Ok(())
}

/// The character that a reference stands for: one of the five names of XML's own, or a number.
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

const TAGS: &str = "its tags do not fit each other";
const PREFIX: &str = "a prefix of a name is not declared, or declared wrongly";
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
