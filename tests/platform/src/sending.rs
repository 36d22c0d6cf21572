//! From the right answer and a fault to the bytes that go out, and how the connection ends.

use std::io::{self, Write};
use std::time::Duration;

use crate::agreement::uuid_of;
use crate::fault::{Fault, FaultStyle, KnownError};
use crate::filter::Filter;
use crate::http::Response;
use crate::judge::{Operation, PATH, SOAP, TNS};
use crate::reply::{self, Prefixes, fault, text_block, typed_detail};

/// What goes out, and how.
#[derive(Debug)]
pub(crate) enum Sending {
    /// A whole answer; the connection stays open.
    Answer(Response),
    /// Bytes, and then the connection is closed in good order.
    Bytes(Vec<u8>),
    /// Bytes with a pause after each, and then the connection is closed in good order.
    Drip(Vec<u8>, Duration),
    /// The beginning of an answer, and then this over and over, until the client gives up.
    Endless(Vec<u8>, Vec<u8>),
    /// Nothing, until the client gives up.
    Silence,
    /// The connection is reset.
    Reset,
}

/// What to send where a fault is armed. `right` makes the right answer under the prefixes that it is given.
pub(crate) fn with_fault(
    armed: &Fault,
    operation: &Operation,
    right: impl FnOnce(Prefixes) -> Response,
    prefixes: Prefixes,
) -> Sending {
    let response = match armed {
        Fault::Refusal { error, style, .. } => refusal(*error, *style),
        Fault::PersonNumberInFault => {
            let number = match operation {
                Operation::Add(Filter::Pnr(number)) | Operation::Remove(Filter::Pnr(number)) => {
                    number
                }
                _ => "0101010101",
            };
            fault("Server", &format!("PNR not found: {number}"), None)
        }
        Fault::Told { code, text, detail } => fault(code, text, detail.as_deref()),
        Fault::FaultWithStatus200 => {
            let mut response = refusal(KnownError::WrongUserSystem, FaultStyle::Typed);
            response.status = 200;
            response
        }
        Fault::Status {
            status, has_page, ..
        } => page(*status, *has_page),
        Fault::Redirect => {
            let mut response = Response::new(307, "text/html", "");
            response.headers.push(("Location", PATH.to_owned()));
            response
        }
        Fault::Rubbish => Response::xml(200, b"\x00\xff this is no XML <<<&&& \x1b[31m".to_vec()),
        Fault::UnknownResult => reply::result(prefixes, operation.name(), "POSTPONED"),
        Fault::NotCarriedOut => match operation {
            Operation::GetAllFilters => right(prefixes),
            Operation::Add(_) => reply::result(prefixes, operation.name(), "ADDED"),
            Operation::Remove(_) | Operation::RemoveAll(_) => {
                reply::result(prefixes, operation.name(), "REMOVED")
            }
        },
        Fault::UnreadableFilters => {
            let strange = format!(
                "<x:PostalCode xmlns:x=\"urn:new\">4000</x:PostalCode>\
                 <x:ChangeCode xmlns:x=\"{TNS}\">?</x:ChangeCode>"
            );
            let mut right = text(&right(prefixes));
            if *operation == Operation::GetAllFilters {
                let end = right.rfind("GetAllFiltersResponse>").unwrap_or_default();
                let end = right[..end].rfind("</").unwrap_or_default();
                right.insert_str(end, &strange);
            }
            Response::xml(200, right)
        }
        Fault::WrongOperation => reply::result(prefixes, "AddSomethingElse", "ADDED"),
        Fault::WrongNamespace => {
            let right = right(prefixes);
            Response::xml(
                200,
                text(&right).replace("/CprSubscriptionService/1/", "/Other/9/"),
            )
        }
        Fault::Prefixes(others) => right(*others),
        Fault::DoubleRoot => {
            let body = right(prefixes).body;
            Response::xml(200, [body.clone(), body].concat())
        }
        Fault::HalfResponse { is_announced } => return half(&right(prefixes), *is_announced),
        Fault::ResetBeforeApplying
        | Fault::ResetAfterApplying
        | Fault::HandshakeStall
        | Fault::HandshakeReset => return Sending::Reset,
        Fault::Silence { .. } => return Sending::Silence,
        Fault::Drip { pause } => return Sending::Drip(right(prefixes).to_bytes(), *pause),
        Fault::EndlessBody => return endless(),
        Fault::HugeBody { bytes } => huge(right(prefixes), *bytes),
        Fault::EntityBomb => entity_bomb(operation),
        Fault::ExternalEntity => external_entity(operation),
        Fault::DeepNesting { levels } => nested(*levels),
        Fault::ManyAttributes { count } => attributes(operation, *count),
    };
    Sending::Answer(response)
}

/// A fault as the service tells it.
pub(crate) fn refusal(error: KnownError, style: FaultStyle) -> Response {
    let (code, text) = (error.code(), error.text());
    match style {
        FaultStyle::Typed => fault("Server", text, Some(&typed_detail(code, text))),
        FaultStyle::Plain => fault("Server", &format!("{code}: {text}"), None),
        FaultStyle::TextBlock => {
            let block = text_block(&format!("{code}: {text}"), &uuid_of(&["call", code], &[]));
            fault("Server", &block, None)
        }
    }
}

/// What a gateway answers.
pub(crate) fn page(status: u16, has_page: bool) -> Response {
    let page = match has_page {
        true => format!(
            "<!DOCTYPE html>\n<html><head><title>{status}</title></head>\
             <body><h1>{status}</h1><p>The gateway&nbsp;says no.<br></body></html>\n"
        ),
        false => String::new(),
    };
    Response::new(status, "text/html", page)
}

impl Sending {
    /// Sends an endless answer until the client gives up, or the platform stops.
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

fn half(right: &Response, is_announced: bool) -> Sending {
    let length = match is_announced {
        true => format!("Content-Length: {}\r\n\r\n", right.body.len()),
        false => "Connection: close\r\n\r\n".to_owned(),
    };
    let half = right.body[..right.body.len() / 2].to_vec();
    Sending::Bytes([right.head().into_bytes(), length.into_bytes(), half].concat())
}

fn endless() -> Sending {
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
    Sending::Endless(start.into_bytes(), more.into_bytes())
}

/// Spaces before the end of the body.
fn huge(mut right: Response, bytes: usize) -> Response {
    let end = b"</soap:Body>";
    let place = right.body.windows(end.len()).position(|part| part == end);
    let place = place.unwrap_or(right.body.len());
    let spaces = vec![b' '; bytes.saturating_sub(right.body.len())];
    right.body.splice(place..place, spaces);
    right
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
    let answer = reply::result(Prefixes::Cxf, operation.name(), result);
    let body = format!("<?xml version=\"1.0\"?>{types}{}", text(&answer));
    Response::xml(200, body)
}

fn nested(levels: usize) -> Response {
    let inner = ["<a>".repeat(levels), "</a>".repeat(levels)].concat();
    let body = format!(
        "<soap:Envelope xmlns:soap=\"{SOAP}\"><soap:Body>{inner}</soap:Body></soap:Envelope>"
    );
    Response::xml(200, body)
}

fn attributes(operation: &Operation, count: usize) -> Response {
    let mut list = String::new();
    for number in 0..count {
        list.push_str(&format!(" a{number}=\"\""));
    }
    let right = text(&reply::result(Prefixes::Cxf, operation.name(), "ADDED"));
    Response::xml(
        200,
        right.replace("<ns3:Result>", &format!("<ns3:Result{list}>")),
    )
}

fn text(response: &Response) -> String {
    String::from_utf8_lossy(&response.body).into_owned()
}
