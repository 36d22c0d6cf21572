//! Turns a correct response into a faulty one, and describes how it is sent.

use std::io::{self, Write};
use std::time::Duration;

use crate::agreement::derived_uuid;
use crate::filter::Filter;
use crate::http::Response;
use crate::request_validation::{Operation, PATH, SOAP, TNS};
use crate::service_fault::{FaultStyle, ServiceErrorCode, ServiceFault};
use crate::soap_response::{self, NamespacePrefixes, soap_fault, text_block, typed_detail};

/// What the service sends, and how the connection ends.
#[derive(Debug)]
pub(crate) enum ResponseAction {
    /// Sends a complete response and keeps the connection open.
    Respond(Response),
    /// Sends bytes and then closes the connection in order.
    SendAndClose(Vec<u8>),
    /// Sends bytes with a pause after each, and then closes the connection in order.
    Drip(Vec<u8>, Duration),
    /// Sends the first bytes once and the second bytes repeatedly, until the client gives up.
    Endless(Vec<u8>, Vec<u8>),
    /// Sends nothing until the client gives up.
    NoResponse,
    /// Resets the connection.
    Reset,
}

/// Returns what to send for an armed fault. `correct` makes the correct response with the given prefixes; `received` is
/// the time of the request.
pub(crate) fn apply_fault(
    armed: &ServiceFault,
    operation: &Operation,
    correct: impl FnOnce(NamespacePrefixes) -> Response,
    prefixes: NamespacePrefixes,
    received: &str,
) -> ResponseAction {
    let response = match armed {
        ServiceFault::DocumentedError { error, style, .. } => {
            documented_error(*error, *style, received)
        }
        ServiceFault::PersonNumberInFault => {
            let number = match operation {
                Operation::Add(Filter::Pnr(number)) | Operation::Remove(Filter::Pnr(number)) => {
                    number
                }
                _ => "0101010101",
            };
            soap_fault("Server", &format!("PNR not found: {number}"), None)
        }
        ServiceFault::SoapFault { code, text, detail } => soap_fault(code, text, detail.as_deref()),
        ServiceFault::FaultWithStatus200 => {
            let mut response = documented_error(
                ServiceErrorCode::WrongUserSystem,
                FaultStyle::Typed,
                received,
            );
            response.status = 200;
            response
        }
        ServiceFault::Status {
            status, has_page, ..
        } => gateway_response(*status, *has_page),
        ServiceFault::Redirect => {
            let mut response = Response::new(307, "text/html", "");
            response.headers.push(("Location", PATH.to_owned()));
            response
        }
        ServiceFault::Rubbish => {
            Response::xml(200, b"\x00\xff this is no XML <<<&&& \x1b[31m".to_vec())
        }
        ServiceFault::UnknownResult => {
            soap_response::result(prefixes, operation.name(), "POSTPONED")
        }
        ServiceFault::NotCarriedOut => match operation {
            Operation::GetAllFilters => correct(prefixes),
            Operation::Add(_) => soap_response::result(prefixes, operation.name(), "ADDED"),
            Operation::Remove(_) | Operation::RemoveAll(_) => {
                soap_response::result(prefixes, operation.name(), "REMOVED")
            }
        },
        ServiceFault::UnreadableFilters => {
            let unreadable = format!(
                "<x:PostalCode xmlns:x=\"urn:new\">4000</x:PostalCode>\
                 <x:ChangeCode xmlns:x=\"{TNS}\">?</x:ChangeCode>"
            );
            let mut correct = text(&correct(prefixes));
            if *operation == Operation::GetAllFilters {
                let end = correct.rfind("GetAllFiltersResponse>").unwrap_or_default();
                let end = correct[..end].rfind("</").unwrap_or_default();
                correct.insert_str(end, &unreadable);
            }
            Response::xml(200, correct)
        }
        ServiceFault::WrongOperation => {
            soap_response::result(prefixes, "AddSomethingElse", "ADDED")
        }
        ServiceFault::WrongNamespace => {
            let correct = correct(prefixes);
            Response::xml(
                200,
                text(&correct).replace("/CprSubscriptionService/1/", "/Other/9/"),
            )
        }
        ServiceFault::Prefixes(others) => correct(*others),
        ServiceFault::DoubleRoot => {
            let body = correct(prefixes).body;
            Response::xml(200, [body.clone(), body].concat())
        }
        ServiceFault::HalfResponse { is_announced } => {
            return half_response(&correct(prefixes), *is_announced);
        }
        ServiceFault::ResetBeforeApplying
        | ServiceFault::ResetAfterApplying
        | ServiceFault::HandshakeStall
        | ServiceFault::HandshakeReset => return ResponseAction::Reset,
        ServiceFault::Silence { .. } => return ResponseAction::NoResponse,
        ServiceFault::Drip { pause } => {
            return ResponseAction::Drip(correct(prefixes).to_bytes(), *pause);
        }
        ServiceFault::EndlessBody => return endless_body(),
        ServiceFault::HugeBody { bytes } => huge_body(correct(prefixes), *bytes),
        ServiceFault::EntityBomb => entity_bomb(operation),
        ServiceFault::ExternalEntity => external_entity(operation),
        ServiceFault::DeepNesting { levels } => nested_elements(*levels),
        ServiceFault::ManyAttributes { count } => many_attributes(operation, *count),
    };
    ResponseAction::Respond(response)
}

/// Returns the SOAP fault for a documented error of a request that was received at this time.
pub(crate) fn documented_error(
    error: ServiceErrorCode,
    style: FaultStyle,
    received: &str,
) -> Response {
    let (code, text) = (error.code(), error.text());
    match style {
        FaultStyle::Typed => soap_fault("Server", text, Some(&typed_detail(code, text))),
        FaultStyle::Plain => soap_fault("Server", &format!("{code}: {text}"), None),
        FaultStyle::TextBlock => {
            let block = text_block(
                &format!("{code}: {text}"),
                &derived_uuid(&["call", code], &[]),
                received,
            );
            soap_fault("Server", &block, None)
        }
    }
}

/// Returns the response of a gateway in front of the service, with or without an HTML page.
pub(crate) fn gateway_response(status: u16, has_page: bool) -> Response {
    let page = match has_page {
        true => format!(
            "<!DOCTYPE html>\n<html><head><title>{status}</title></head>\
             <body><h1>{status}</h1><p>The gateway&nbsp;says no.<br></body></html>\n"
        ),
        false => String::new(),
    };
    Response::new(status, "text/html", page)
}

impl ResponseAction {
    /// Sends an endless response until the client gives up or `goes_on` returns false.
    pub(crate) fn write_endless(
        stream: &mut impl Write,
        start: &[u8],
        more: &[u8],
        goes_on: impl Fn() -> bool,
    ) -> io::Result<()> {
        stream.write_all(start)?;
        while goes_on() {
            stream.write_all(more)?;
            stream.flush()?;
        }
        Ok(())
    }
}

fn half_response(correct: &Response, is_announced: bool) -> ResponseAction {
    let length = match is_announced {
        true => format!("Content-Length: {}\r\n\r\n", correct.body.len()),
        false => "Connection: close\r\n\r\n".to_owned(),
    };
    let half = correct.body[..correct.body.len() / 2].to_vec();
    ResponseAction::SendAndClose([correct.head().into_bytes(), length.into_bytes(), half].concat())
}

fn endless_body() -> ResponseAction {
    let head = Response::xml(200, "").head();
    let start = format!(
        "<soap:Envelope xmlns:soap=\"{SOAP}\"><soap:Body><ns3:GetAllFiltersResponse xmlns:ns3=\"{TNS}\">"
    );
    let start = format!(
        "{head}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{start}\r\n",
        start.len()
    );
    let more = "<ns3:MunicipalityCode>851</ns3:MunicipalityCode>".repeat(1000);
    let more = format!("{:x}\r\n{more}\r\n", more.len());
    ResponseAction::Endless(start.into_bytes(), more.into_bytes())
}

/// Inserts spaces at the end of the SOAP body until the response has this many bytes.
fn huge_body(mut correct: Response, bytes: usize) -> Response {
    let end = b"</soap:Body>";
    let place = correct.body.windows(end.len()).position(|part| part == end);
    let place = place.unwrap_or(correct.body.len());
    let spaces = vec![b' '; bytes.saturating_sub(correct.body.len())];
    correct.body.splice(place..place, spaces);
    correct
}

fn entity_bomb(operation: &Operation) -> Response {
    let mut types = "<!DOCTYPE bomb [<!ENTITY a \"ha\">".to_owned();
    for (before, name) in ('a'..='j').zip('b'..='k') {
        let ten = format!("&{before};").repeat(10);
        types.push_str(&format!("<!ENTITY {name} \"{ten}\">"));
    }
    types.push_str("]>");
    with_document_type(operation, &types, "&k;")
}

fn external_entity(operation: &Operation) -> Response {
    let types = "<!DOCTYPE x [<!ENTITY file SYSTEM \"file:///etc/hostname\">]>";
    with_document_type(operation, types, "&file;")
}

fn with_document_type(operation: &Operation, types: &str, result: &str) -> Response {
    let response = soap_response::result(NamespacePrefixes::Cxf, operation.name(), result);
    let body = format!("<?xml version=\"1.0\"?>{types}{}", text(&response));
    Response::xml(200, body)
}

fn nested_elements(levels: usize) -> Response {
    let inner = ["<a>".repeat(levels), "</a>".repeat(levels)].concat();
    let body = format!(
        "<soap:Envelope xmlns:soap=\"{SOAP}\"><soap:Body>{inner}</soap:Body></soap:Envelope>"
    );
    Response::xml(200, body)
}

fn many_attributes(operation: &Operation, count: usize) -> Response {
    let mut list = String::new();
    for number in 0..count {
        list.push_str(&format!(" a{number}=\"\""));
    }
    let correct = text(&soap_response::result(
        NamespacePrefixes::Cxf,
        operation.name(),
        "ADDED",
    ));
    Response::xml(
        200,
        correct.replace("<ns3:Result>", &format!("<ns3:Result{list}>")),
    )
}

fn text(response: &Response) -> String {
    String::from_utf8_lossy(&response.body).into_owned()
}
