//! The fault of SOAP 1.1, plain or with the platform's own detail.

use super::failure::{ErrorEntry, Fault};
use super::{FailureKind, SOAP};
use crate::ident::{is_date_time, uuid};
use crate::scrub::scrub;
use crate::xml::{Name, Reader};

/// The namespace of the platform's detail.
const DETAIL: &str = "http://serviceplatformen.dk/xml/schemas/ServiceplatformFault/1/";

/// Characters of a text that are told.
const MAX_TEXT: usize = 1_000;
/// Characters of a code that are told.
const MAX_CODE: usize = 100;
/// Errors that are told; others are passed over.
const MAX_ERRORS: usize = 20;

/// Reads the fault element, which is open. The fault is told even if it lacks something, or has text where elements
/// belong or elements where text does: it is an error anyway.
pub(super) fn read(reader: &mut Reader<'_>) -> Result<Fault, FailureKind> {
    let mut fault = Fault::default();
    let mut besides = String::new();
    while let Some(name) = reader.child_in_text(&mut besides)? {
        match unqualified(name) {
            "faultcode" => fault.code = code(&reader.all_text()?),
            "faultstring" => fault.text = told(&reader.all_text()?, &mut fault),
            "detail" => detail(reader, &mut fault, &mut besides)?,
            _ => reader.skip()?,
        }
    }
    let besides = told(&besides, &mut fault);
    fault.text = match (fault.text.is_empty(), besides.is_empty()) {
        (_, true) => fault.text,
        (true, false) => besides,
        // Both are scrubbed; together they are as long as one may be.
        (false, false) => scrub(&format!("{}; {besides}", fault.text), MAX_TEXT),
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

/// Does something in every child of that name in the detail's namespace.
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
            (Some(DETAIL), "ErrorCode") => entry.code = scrub(&reader.all_text()?, MAX_CODE),
            (Some(DETAIL), "ErrorText") => entry.text = told(&reader.all_text()?, fault),
            _ => reader.skip()?,
        }
    }
    if fault.errors.len() < MAX_ERRORS {
        fault.errors.push(entry);
    }
    Ok(())
}

/// The children of a fault are in no namespace; some write them in SOAP's.
fn unqualified(name: Name<'_>) -> &str {
    match name.namespace {
        None | Some(SOAP) => name.local,
        Some(_) => "",
    }
}

/// A fault code is a qualified name, and its prefix says nothing.
fn code(value: &str) -> String {
    let local = value.rsplit_once(':').map_or(value, |(_, local)| local);
    scrub(local, MAX_CODE)
}

/// A text as it is told, after what the helpdesk asks for is taken from it.
fn told(text: &str, fault: &mut Fault) -> String {
    if fault.call_uuid.is_none() {
        fault.call_uuid = value_of("calluuid", text).and_then(uuid);
    }
    if fault.received.is_none() {
        let received = value_of("received", text).filter(|value| is_date_time(value));
        fault.received = received.map(str::to_owned);
    }
    scrub(text, MAX_TEXT)
}

/// The word after a label in a text, in whatever case and with whatever between them.
fn value_of<'t>(label: &str, text: &'t str) -> Option<&'t str> {
    let found = text.to_ascii_lowercase().find(label)?;
    let rest = text.get(found + label.len()..)?;
    let rest = rest.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, ':' | '='));
    let end = rest.find(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | '<'));
    rest.get(..end.unwrap_or(rest.len()))
}
