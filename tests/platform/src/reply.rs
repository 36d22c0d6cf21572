//! The service's answers, as CXF writes them and as it might write them another day.

use crate::filter::{Filter, Filters};
use crate::http::Response;
use crate::judge::{CONTEXT, PNR, SOAP, TNS};

/// How an answer binds its namespaces to prefixes. All say the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Prefixes {
    /// `soap:`, `ns3:` for the service, `ns2:` for person numbers, none for the invocation context: as seen.
    #[default]
    Cxf,
    /// The service's namespace has no prefix.
    Default,
    /// Other prefixes, bound on the envelope.
    Moved,
    /// Each element binds its own.
    Everywhere,
}

/// What `Result` says.
pub(crate) fn result(prefixes: Prefixes, operation: &str, result: &str) -> Response {
    let inner = element(prefixes, Space::Service, "Result", result);
    Response::xml(200, envelope(prefixes, operation, &inner))
}

/// All filters, in the order of the contract.
pub(crate) fn filters(prefixes: Prefixes, filters: &Filters) -> Response {
    let mut inner = String::new();
    let mut is_unfiltered = false;
    for filter in filters.all() {
        let added = match filter {
            Filter::AgeRange { start, end } => {
                let start = element(prefixes, Space::Service, "StartAge", &start.to_string());
                let end = element(prefixes, Space::Service, "EndAge", &end.to_string());
                element(prefixes, Space::Service, "AgeRange", &(start + &end))
            }
            Filter::ChangeCode(code) => element(prefixes, Space::Service, "ChangeCode", code),
            // An integer: leading zeros are gone.
            Filter::MunicipalityCode(code) => element(
                prefixes,
                Space::Service,
                "MunicipalityCode",
                &code.to_string(),
            ),
            Filter::Pnr(number) => element(prefixes, Space::Pnr, "PNR", number),
            Filter::NoFilter => {
                is_unfiltered = true;
                continue;
            }
        };
        inner.push_str(&added);
    }
    let flag = is_unfiltered.to_string();
    inner.push_str(&element(prefixes, Space::Service, "noFilter", &flag));
    Response::xml(200, envelope(prefixes, "GetAllFilters", &inner))
}

/// A fault: its code and its text, and a detail in XML.
pub(crate) fn fault(code: &str, text: &str, detail: Option<&str>) -> Response {
    let detail = detail.map_or_else(String::new, |detail| format!("<detail>{detail}</detail>"));
    let text = escape(text);
    Response::xml(
        500,
        format!(
            "<soap:Envelope xmlns:soap=\"{SOAP}\"><soap:Body><soap:Fault><faultcode>soap:{code}</faultcode>\
             <faultstring>{text}</faultstring>{detail}</soap:Fault></soap:Body></soap:Envelope>"
        ),
    )
}

/// The detail of a typed fault.
pub(crate) fn typed_detail(code: &str, text: &str) -> String {
    let (code, text) = (escape(code), escape(text));
    format!(
        "<ns2:ServiceplatformFault xmlns:ns2=\"http://serviceplatformen.dk/xml/schemas/ServiceplatformFault/1/\">\
         <ns2:ErrorList><ns2:Error><ns2:ErrorCode>{code}</ns2:ErrorCode><ns2:ErrorText>{text}</ns2:ErrorText>\
         </ns2:Error></ns2:ErrorList></ns2:ServiceplatformFault>"
    )
}

/// The text block of the platform's access layer.
pub(crate) fn text_block(text: &str, call: &str) -> String {
    format!(
        "{text}\n\nFor further information contact Serviceplatformen Helpdesk and inform:\n  \
         CallUUID: {call}\n  Received: 2026-03-02T13:06:14.306Z\n"
    )
}

/// A text as content of an element.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[derive(Debug, Clone, Copy)]
enum Space {
    Service,
    Pnr,
}

impl Space {
    const fn name(self) -> &'static str {
        match self {
            Self::Service => TNS,
            Self::Pnr => PNR,
        }
    }
}

fn element(prefixes: Prefixes, space: Space, name: &str, content: &str) -> String {
    let prefix = match (prefixes, space) {
        (Prefixes::Cxf, Space::Service) => "ns3:",
        (Prefixes::Cxf, Space::Pnr) => "ns2:",
        (Prefixes::Default, Space::Service) => "",
        (Prefixes::Default, Space::Pnr) => "p:",
        (Prefixes::Moved, Space::Service) => "ns2:",
        (Prefixes::Moved, Space::Pnr) => "ns4:",
        (Prefixes::Everywhere, _) => {
            let namespace = space.name();
            return format!("<x:{name} xmlns:x=\"{namespace}\">{content}</x:{name}>");
        }
    };
    format!("<{prefix}{name}>{content}</{prefix}{name}>")
}

fn envelope(prefixes: Prefixes, operation: &str, inner: &str) -> String {
    match prefixes {
        Prefixes::Cxf => format!(
            "<soap:Envelope xmlns:soap=\"{SOAP}\"><soap:Body><ns3:{operation}Response xmlns=\"{CONTEXT}\" \
             xmlns:ns2=\"{PNR}\" xmlns:ns3=\"{TNS}\">{inner}</ns3:{operation}Response></soap:Body></soap:Envelope>"
        ),
        Prefixes::Default => format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<S:Envelope xmlns:S=\"{SOAP}\">\n  <S:Header/>\n  \
             <S:Body>\n    <{operation}Response xmlns=\"{TNS}\" xmlns:p=\"{PNR}\">{inner}</{operation}Response>\n  \
             </S:Body>\n</S:Envelope>\n"
        ),
        Prefixes::Moved => format!(
            "<env:Envelope xmlns:env=\"{SOAP}\" xmlns:ns4=\"{PNR}\" xmlns:ns2=\"{TNS}\" xmlns:ns3=\"{CONTEXT}\">\
             <env:Body><ns2:{operation}Response>{inner}</ns2:{operation}Response></env:Body></env:Envelope>"
        ),
        Prefixes::Everywhere => format!(
            "<Envelope xmlns=\"{SOAP}\"><Body xmlns=\"{SOAP}\"><x:{operation}Response xmlns:x=\"{TNS}\">{inner}\
             </x:{operation}Response></Body></Envelope>"
        ),
    }
}
