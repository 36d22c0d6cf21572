//! Writes a request: an envelope of checked values.

use quick_xml::escape::escape;

use super::{AgeRange, CONTEXT, FilterGroup, InvocationContext, Operation, PNR, SERVICE, SOAP};
use crate::ident::{is_digits, uuid};
use cprflow_redact::holds_person_number;

/// The maximum length of a text of the invocation context, in characters.
const MAX_TEXT: usize = 255;

/// The highest age that the contract allows (three digits).
const MAX_AGE: u16 = 999;

/// Returns the body of the call, in UTF-8.
pub fn request(
    operation: &Operation,
    context: &InvocationContext,
) -> Result<Vec<u8>, RequestError> {
    let mut body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <soapenv:Envelope xmlns:soapenv=\"{SOAP}\" xmlns:sub=\"{SERVICE}\" xmlns:ctx=\"{CONTEXT}\" \
         xmlns:pnr=\"{PNR}\"><soapenv:Body>"
    );
    let name = operation.name();
    body.push_str(&format!("<sub:{name}>"));
    write_context(&mut body, context)?;
    write_argument(&mut body, operation)?;
    body.push_str(&format!("</sub:{name}></soapenv:Body></soapenv:Envelope>"));
    Ok(body.into_bytes())
}

/// The reason why a request is not valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestErrorKind {
    /// A UUID of the invocation context is not valid.
    Uuid,
    /// A text of the invocation context is too long, has control characters, or has anything that can be a person
    /// number.
    Text,
    /// A person number is not ten digits.
    Pnr,
    /// An age range ends before it starts, or ends after 999.
    AgeRange,
    /// A municipality code is not four digits from 0001.
    MunicipalityCode,
    /// A change code is not a letter and two digits.
    ChangeCode,
}

/// An error in a request that was not sent. It names the element and never quotes a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{element} {what}", what = .kind.what())]
pub struct RequestError {
    /// The reason.
    pub kind: RequestErrorKind,
    /// The element for which the value was intended.
    pub element: &'static str,
}

impl RequestErrorKind {
    fn what(self) -> &'static str {
        match self {
            Self::Uuid => {
                "must be a UUID (8-4-4-4-12 hexadecimal digits): see the service agreement in the \
                 administration module"
            }
            Self::Text => {
                "must be at most 255 characters without control characters, and without ten digits that can be \
                 a person number: the platform logs it"
            }
            Self::Pnr => "must be ten digits",
            Self::AgeRange => "must be two ages from 0 to 999, the lower first",
            Self::MunicipalityCode => "must be four digits, from 0001 to 9999",
            Self::ChangeCode => "must be an upper-case letter and two digits, for example A01",
        }
    }
}

fn write_context(body: &mut String, context: &InvocationContext) -> Result<(), RequestError> {
    body.push_str("<ctx:InvocationContext>");
    for (element, value) in [
        ("ServiceAgreementUUID", &context.service_agreement_uuid),
        ("UserSystemUUID", &context.user_system_uuid),
        ("UserUUID", &context.user_uuid),
        ("ServiceUUID", &context.service_uuid),
    ] {
        // The contract's pattern allows lower case only.
        let value = uuid(value).ok_or(RequestError {
            kind: RequestErrorKind::Uuid,
            element,
        })?;
        write_element(body, "ctx", element, &value);
    }
    for (element, value) in [
        ("OnBehalfOfUser", &context.on_behalf_of_user),
        (
            "CallersServiceCallIdentifier",
            &context.callers_service_call_identifier,
        ),
        ("AccountingInfo", &context.accounting_info),
    ] {
        let Some(value) = value else {
            continue;
        };
        // A UUID is an identifier; some have ten digits in a row.
        let fits = value.chars().count() <= MAX_TEXT
            && !value.chars().any(char::is_control)
            && (uuid(value).is_some() || !holds_person_number(value));
        if !fits {
            let kind = RequestErrorKind::Text;
            return Err(RequestError { kind, element });
        }
        write_element(body, "ctx", element, value);
    }
    body.push_str("</ctx:InvocationContext>");
    Ok(())
}

fn write_argument(body: &mut String, operation: &Operation) -> Result<(), RequestError> {
    let check = |fits: bool, kind: RequestErrorKind, element: &'static str| {
        if fits {
            Ok(())
        } else {
            Err(RequestError { kind, element })
        }
    };
    match operation {
        Operation::AddPnr(pnr) | Operation::RemovePnr(pnr) => {
            check(is_digits(pnr, 10), RequestErrorKind::Pnr, "PNR")?;
            write_element(body, "pnr", "PNR", pnr);
        }
        Operation::AddAgeRange(AgeRange { start, end })
        | Operation::RemoveAgeRange(AgeRange { start, end }) => {
            let fits = start <= end && *end <= MAX_AGE;
            check(fits, RequestErrorKind::AgeRange, "AgeRange")?;
            body.push_str("<sub:AgeRange>");
            write_element(body, "sub", "StartAge", &start.to_string());
            write_element(body, "sub", "EndAge", &end.to_string());
            body.push_str("</sub:AgeRange>");
        }
        Operation::AddMunicipalityCode(code) | Operation::RemoveMunicipalityCode(code) => {
            let fits = is_digits(code, 4) && code != "0000";
            check(fits, RequestErrorKind::MunicipalityCode, "MunicipalityCode")?;
            write_element(body, "sub", "MunicipalityCode", code);
        }
        Operation::AddChangeCode(code) | Operation::RemoveChangeCode(code) => {
            check(
                is_change_code(code),
                RequestErrorKind::ChangeCode,
                "ChangeCode",
            )?;
            write_element(body, "sub", "ChangeCode", code);
        }
        Operation::RemoveAll(group) => {
            let group = match group {
                FilterGroup::Pnr => "PNR",
                FilterGroup::AgeRange => "AgeRange",
                FilterGroup::MunicipalityCode => "MunicipalityCode",
                FilterGroup::ChangeCode => "EventChangeCode",
                FilterGroup::NoFilter => "NoFilter",
            };
            write_element(body, "sub", "FilterGroup", group);
        }
        Operation::AddNoFilter | Operation::RemoveNoFilter | Operation::GetAllFilters => {}
    }
    Ok(())
}

/// Returns whether the text is an event code: an upper-case letter and two digits.
pub(super) fn is_change_code(code: &str) -> bool {
    matches!(code.as_bytes(), [b'A'..=b'Z', b'0'..=b'9', b'0'..=b'9'])
}

fn write_element(body: &mut String, prefix: &str, element: &str, value: &str) {
    let value = escape(value);
    body.push_str(&format!("<{prefix}:{element}>{value}</{prefix}:{element}>"));
}
