//! Reads the answer: an envelope with the operation's response, or with a fault.

use super::request::is_change_code;
use super::{
    AgeRange, ChangeResult, Failure, FailureKind, Fault, Filters, Operation, PNR, Reply, SERVICE,
    SOAP, fault,
};
use crate::ident::is_digits;
use crate::xml::{Reader, XmlError, decode};
use cprflow_redact::redact;

/// The maximum size of an answer, in bytes: 64 MiB, room for the filters of about two million persons.
pub const MAX_BYTES: usize = 64 * 1024 * 1024;

/// The maximum length of an unknown result, in characters.
const MAX_RESULT: usize = 100;

/// Reads the response to an operation, from its HTTP status and body.
pub fn reply(operation: &Operation, status: u16, body: &[u8]) -> Result<Reply, Failure> {
    match read(operation, body) {
        Ok(Answer::Reply(reply)) if status == 200 => Ok(reply),
        Ok(Answer::Reply(_)) => Err(Failure::unreadable(FailureKind::Status, status)),
        Ok(Answer::Fault(fault)) => Err(Failure::fault(fault, status)),
        Err(kind) => Err(Failure::unreadable(kind, status)),
    }
}

enum Answer {
    Reply(Reply),
    Fault(Fault),
}

fn read(operation: &Operation, body: &[u8]) -> Result<Answer, FailureKind> {
    if body.trim_ascii().is_empty() {
        return Err(FailureKind::Empty);
    }
    let text = decode(body, MAX_BYTES)?;
    let mut reader = Reader::new(&text);
    match reader.root() {
        Ok(root) if root.namespace == Some(SOAP) && root.local == "Envelope" => {}
        // Text or a web page: it does not begin like an envelope.
        Ok(_) | Err(XmlError::Malformed(_)) => return Err(FailureKind::NotSoap),
        Err(XmlError::Doctype) if is_page(&text) => return Err(FailureKind::NotSoap),
        Err(error) => return Err(error.into()),
    }
    const BODY: &str = "Body";
    let mut answer = None;
    while let Some(name) = reader.child()? {
        match (name.namespace, name.local) {
            (Some(SOAP), BODY) => {
                let read = soap_body(&mut reader, operation)?;
                if answer.replace(read).is_some() {
                    return Err(FailureKind::RepeatedElement(BODY));
                }
            }
            _ => reader.skip()?,
        }
    }
    reader.finish()?;
    answer.ok_or(FailureKind::MissingElement(BODY))
}

/// Returns whether the document type is that of an HTML page.
fn is_page(text: &str) -> bool {
    let start = text.trim_start().get(..14).unwrap_or_default();
    start.eq_ignore_ascii_case("<!doctype html")
}

/// Reads the only element of the body.
fn soap_body(reader: &mut Reader<'_>, operation: &Operation) -> Result<Answer, FailureKind> {
    let Some(name) = reader.child()? else {
        return Err(FailureKind::OtherAnswer);
    };
    let is_response = name.namespace == Some(SERVICE)
        && name.local.strip_suffix("Response") == Some(operation.name());
    let answer = match (name.namespace, name.local) {
        (Some(SOAP), "Fault") => Answer::Fault(fault::read(reader)?),
        _ if !is_response => return Err(FailureKind::OtherAnswer),
        _ => Answer::Reply(match operation {
            Operation::GetAllFilters => Reply::Filters(filters(reader)?),
            _ => Reply::Changed(change_result(reader)?),
        }),
    };
    match reader.child()? {
        None => Ok(answer),
        Some(_) => Err(FailureKind::OtherAnswer),
    }
}

fn change_result(reader: &mut Reader<'_>) -> Result<ChangeResult, FailureKind> {
    const RESULT: &str = "Result";
    let mut result = None;
    while let Some(name) = reader.child()? {
        match (name.namespace, name.local) {
            (Some(SERVICE), RESULT) => {
                let read = result_of(reader.text()?);
                if result.replace(read).is_some() {
                    return Err(FailureKind::RepeatedElement(RESULT));
                }
            }
            (_, RESULT) => return Err(FailureKind::OtherNamespace(RESULT)),
            _ => reader.skip()?,
        }
    }
    result.ok_or(FailureKind::MissingElement(RESULT))
}

/// Reads a result. The specification and the contract write the same results in different ways, so case and separators
/// are ignored. An empty result is accepted: the list of filters tells what the call did.
fn result_of(value: &str) -> ChangeResult {
    let letters = value
        .chars()
        .filter(|c| !c.is_whitespace() && !matches!(c, '_' | '-'));
    let word: String = letters
        .map(|c| c.to_ascii_uppercase())
        .take(MAX_RESULT)
        .collect();
    match word.as_str() {
        "ADDED" => ChangeResult::Added,
        "REMOVED" => ChangeResult::Removed,
        "ALREADYEXISTED" => ChangeResult::AlreadyExisted,
        "NONEXISTINGPNR" => ChangeResult::NonExistingPnr,
        "NONEXISTINGAGERANGE" => ChangeResult::NonExistingAgeRange,
        "NONEXISTINGMUNICIPALITYCODE" => ChangeResult::NonExistingMunicipalityCode,
        "NONEXISTINGCHANGECODE" => ChangeResult::NonExistingChangeCode,
        _ => ChangeResult::Other(redact(value, MAX_RESULT)),
    }
}

/// Reads the filters of the subscription.
///
/// No filter may be skipped silently: a caller who compares the list with the wanted filters would subscribe to it
/// again. So a filter that cannot be understood is counted. A filter that no request could add is counted too, because
/// a caller who removes it could not restore it. An element in a wrong namespace is an error.
fn filters(reader: &mut Reader<'_>) -> Result<Filters, FailureKind> {
    let mut filters = Filters::default();
    let mut no_filter = None;
    while let Some(name) = reader.child()? {
        match (name.namespace, name.local) {
            (Some(PNR), "PNR") => {
                let number = reader.text()?;
                if is_digits(number, 10) {
                    filters.pnrs.push_str(number);
                } else {
                    filters.unreadable += 1;
                }
            }
            (Some(SERVICE), "AgeRange") => match age_range(reader)? {
                Some(range) => filters.age_ranges.push(range),
                None => filters.unreadable += 1,
            },
            (Some(SERVICE), "MunicipalityCode") => match municipality_code(reader.text()?) {
                Some(code) => filters.municipality_codes.push(code),
                None => filters.unreadable += 1,
            },
            (Some(SERVICE), "ChangeCode") => {
                let code = reader.text()?;
                if is_change_code(code) {
                    filters.change_codes.push(code.to_owned());
                } else {
                    filters.unreadable += 1;
                }
            }
            (Some(SERVICE), "noFilter") => {
                let read = match reader.text()? {
                    "true" | "1" => true,
                    "false" | "0" => false,
                    _ => return Err(FailureKind::BadValue("noFilter")),
                };
                if no_filter.replace(read).is_some() {
                    return Err(FailureKind::RepeatedElement("noFilter"));
                }
            }
            (_, "PNR") => return Err(FailureKind::OtherNamespace("PNR")),
            (_, "AgeRange") => return Err(FailureKind::OtherNamespace("AgeRange")),
            (_, "MunicipalityCode") => return Err(FailureKind::OtherNamespace("MunicipalityCode")),
            (_, "ChangeCode") => return Err(FailureKind::OtherNamespace("ChangeCode")),
            (_, "noFilter") => return Err(FailureKind::OtherNamespace("noFilter")),
            _ => {
                filters.unreadable += 1;
                reader.skip()?;
            }
        }
    }
    // The contract of 2015 does not have this element.
    filters.no_filter = no_filter.unwrap_or(false);
    Ok(filters)
}

/// Reads an age range. Returns `None` if an age has more than three digits, or if the range ends before it starts.
fn age_range(reader: &mut Reader<'_>) -> Result<Option<AgeRange>, FailureKind> {
    let (mut start, mut end) = (None, None);
    while let Some(name) = reader.child()? {
        match (name.namespace, name.local) {
            (Some(SERVICE), "StartAge") => start = age(reader.text()?),
            (Some(SERVICE), "EndAge") => end = age(reader.text()?),
            _ => reader.skip()?,
        }
    }
    let range = start.zip(end).filter(|(start, end)| start <= end);
    Ok(range.map(|(start, end)| AgeRange { start, end }))
}

fn age(value: &str) -> Option<u16> {
    integer(value, 3)?.parse().ok()
}

/// Accepts a municipality code from 1 to 9999. The service returns a number, with or without leading zeros.
fn municipality_code(value: &str) -> Option<String> {
    let digits = integer(value, 4)?;
    (digits != "0").then(|| format!("{digits:0>4}"))
}

/// Returns the digits of an `xsd:int` that is not negative and has at most this number of digits, without its sign and
/// leading zeros.
fn integer(value: &str, most: usize) -> Option<&str> {
    let digits = value.strip_prefix('+').unwrap_or(value);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = match digits.trim_start_matches('0') {
        "" => "0",
        digits => digits,
    };
    (digits.len() <= most).then_some(digits)
}
