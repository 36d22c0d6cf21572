//! Reads SOAP 1.1 faults, with or without the platform's own detail.

use super::failure::{ErrorEntry, Fault};
use super::{FailureKind, SOAP};
use crate::ident::{is_date_time, uuid};
use crate::xml::{ElementName, Reader};
use cprflow_redact::redact;

/// The namespace of the platform's detail.
const DETAIL: &str = "http://serviceplatformen.dk/xml/schemas/ServiceplatformFault/1/";

/// The maximum length of a text, in characters.
const MAX_TEXT: usize = 1_000;
/// The maximum length of a code, in characters.
const MAX_CODE: usize = 100;
/// The maximum number of errors that are kept.
const MAX_ERRORS: usize = 20;

/// Reads the fault element, which is open. An incomplete fault, or one with text and elements in the wrong places, is
/// accepted: it is an error in any case.
pub(super) fn read(reader: &mut Reader<'_>) -> Result<Fault, FailureKind> {
    let mut fault = Fault::default();
    let mut besides = String::new();
    while let Some(name) = reader.child_in_text(&mut besides)? {
        match unqualified(name) {
            "faultcode" => fault.code = code(&reader.all_text()?),
            "faultstring" => fault.text = redacted_text(&reader.all_text()?, &mut fault),
            "detail" => detail(reader, &mut fault, &mut besides)?,
            _ => reader.skip()?,
        }
    }
    let besides = redacted_text(&besides, &mut fault);
    fault.text = match (fault.text.is_empty(), besides.is_empty()) {
        (_, true) => fault.text,
        (true, false) => besides,
        // Both texts are redacted. Together they must not exceed the length of one.
        (false, false) => redact(&format!("{}; {besides}", fault.text), MAX_TEXT),
    };
    Ok(fault)
}

fn detail(
    reader: &mut Reader<'_>,
    fault: &mut Fault,
    besides: &mut String,
) -> Result<(), FailureKind> {
    while let Some(name) = reader.child_in_text(besides)? {
        match (name.namespace, name.local) {
            (Some(DETAIL), "ServiceplatformFault") => {
                each(reader, "ErrorList", |reader| {
                    each(reader, "Error", |reader| error(reader, fault))
                })?;
            }
            _ => reader.skip()?,
        }
    }
    Ok(())
}

/// Calls a function for every child of that name in the detail's namespace.
fn each<'d>(
    reader: &mut Reader<'d>,
    element: &str,
    mut read: impl FnMut(&mut Reader<'d>) -> Result<(), FailureKind>,
) -> Result<(), FailureKind> {
    while let Some(name) = reader.child_in_text(&mut String::new())? {
        if name.namespace == Some(DETAIL) && name.local == element {
            read(reader)?;
        } else {
            reader.skip()?;
        }
    }
    Ok(())
}

fn error(reader: &mut Reader<'_>, fault: &mut Fault) -> Result<(), FailureKind> {
    let mut entry = ErrorEntry::default();
    while let Some(name) = reader.child_in_text(&mut String::new())? {
        match (name.namespace, name.local) {
            (Some(DETAIL), "ErrorCode") => entry.code = redact(&reader.all_text()?, MAX_CODE),
            (Some(DETAIL), "ErrorText") => entry.text = redacted_text(&reader.all_text()?, fault),
            _ => reader.skip()?,
        }
    }
    if fault.errors.len() < MAX_ERRORS {
        fault.errors.push(entry);
    }
    Ok(())
}

/// Returns the local name of a child of a fault. The children are in no namespace; some services write them in SOAP's.
fn unqualified(name: ElementName<'_>) -> &str {
    match name.namespace {
        None | Some(SOAP) => name.local,
        Some(_) => "",
    }
}

/// Returns a fault code without its prefix, which has no meaning.
fn code(value: &str) -> String {
    let local = value.rsplit_once(':').map_or(value, |(_, local)| local);
    redact(local, MAX_CODE)
}

/// Redacts a text, after reading the identifiers that the helpdesk asks for.
fn redacted_text(text: &str, fault: &mut Fault) -> String {
    if fault.call_uuid.is_none() {
        fault.call_uuid = value_of("calluuid", text).and_then(uuid);
    }
    if fault.received.is_none() {
        let received = value_of("received", text).filter(|value| is_date_time(value));
        fault.received = received.map(str::to_owned);
    }
    redact(text, MAX_TEXT)
}

/// Returns the word after a label in a text. Case and separators are ignored.
fn value_of<'t>(label: &str, text: &'t str) -> Option<&'t str> {
    let found = text.to_ascii_lowercase().find(label)?;
    let rest = text.get(found + label.len()..)?;
    let rest = rest.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, ':' | '='));
    let end = rest.find(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | '<'));
    rest.get(..end.unwrap_or(rest.len()))
}
