//! The SOAP responses of the service, in the form that Apache CXF writes and in other valid forms.

use crate::contract::Contract;
use crate::filter::{Filter, Filters};
use crate::http::Response;
use crate::request_validation::{CONTEXT, PNR, SOAP, TNS};

/// The namespace prefixes of a response. All variants have the same meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NamespacePrefixes {
    /// As seen from the real service: `soap:`, `ns3:` for the service, `ns2:` for person numbers, no prefix for the
    /// invocation context.
    #[default]
    Cxf,
    /// The namespace of the service has no prefix.
    Default,
    /// Other prefixes, declared on the envelope.
    Moved,
    /// Each element declares its own prefix.
    Everywhere,
}

/// Returns the response with this `Result`.
pub(crate) fn result(prefixes: NamespacePrefixes, operation: &str, result: &str) -> Response {
    let inner = element(prefixes, Namespace::Service, "Result", result);
    Response::xml(200, envelope(prefixes, operation, &inner))
}

/// Returns the response of `GetAllFilters`, in the order of the contract.
pub(crate) fn filters(
    prefixes: NamespacePrefixes,
    contract: Contract,
    filters: &Filters,
) -> Response {
    let mut inner = String::new();
    let mut is_unfiltered = false;
    for filter in filters.all() {
        let filter_element = match filter {
            Filter::AgeRange { start, end } => {
                let start = element(prefixes, Namespace::Service, "StartAge", &start.to_string());
                let end = element(prefixes, Namespace::Service, "EndAge", &end.to_string());
                element(prefixes, Namespace::Service, "AgeRange", &(start + &end))
            }
            Filter::ChangeCode(code) => element(prefixes, Namespace::Service, "ChangeCode", code),
            // The contract has an integer here, so leading zeros are lost.
            Filter::MunicipalityCode(code) => element(
                prefixes,
                Namespace::Service,
                "MunicipalityCode",
                &code.to_string(),
            ),
            Filter::Pnr(number) => element(prefixes, Namespace::Pnr, "PNR", number),
            Filter::NoFilter => {
                is_unfiltered = true;
                continue;
            }
        };
        inner.push_str(&filter_element);
    }
    if contract.has_no_filter() {
        let flag = is_unfiltered.to_string();
        inner.push_str(&element(prefixes, Namespace::Service, "noFilter", &flag));
    }
    Response::xml(200, envelope(prefixes, "GetAllFilters", &inner))
}

/// Returns a SOAP fault with a code, a text and an XML detail.
pub(crate) fn soap_fault(code: &str, text: &str, detail: Option<&str>) -> Response {
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

/// Returns the detail of a typed fault.
pub(crate) fn typed_detail(code: &str, text: &str) -> String {
    let (code, text) = (escape(code), escape(text));
    format!(
        "<ns2:ServiceplatformFault xmlns:ns2=\"http://serviceplatformen.dk/xml/schemas/ServiceplatformFault/1/\">\
         <ns2:ErrorList><ns2:Error><ns2:ErrorCode>{code}</ns2:ErrorCode><ns2:ErrorText>{text}</ns2:ErrorText>\
         </ns2:Error></ns2:ErrorList></ns2:ServiceplatformFault>"
    )
}

/// Returns the fault text of the platform's access layer.
pub(crate) fn text_block(text: &str, call_uuid: &str, received: &str) -> String {
    format!(
        "{text}\n\nFor further information contact Serviceplatformen Helpdesk and inform:\n  \
         CallUUID: {call_uuid}\n  Received: {received}\n"
    )
}

/// Escapes a text for use as element content.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[derive(Debug, Clone, Copy)]
enum Namespace {
    Service,
    Pnr,
}

impl Namespace {
    const fn name(self) -> &'static str {
        match self {
            Self::Service => TNS,
            Self::Pnr => PNR,
        }
    }
}

fn element(prefixes: NamespacePrefixes, namespace: Namespace, name: &str, content: &str) -> String {
    let prefix = match (prefixes, namespace) {
        (NamespacePrefixes::Cxf, Namespace::Service) => "ns3:",
        (NamespacePrefixes::Cxf, Namespace::Pnr) => "ns2:",
        (NamespacePrefixes::Default, Namespace::Service) => "",
        (NamespacePrefixes::Default, Namespace::Pnr) => "p:",
        (NamespacePrefixes::Moved, Namespace::Service) => "ns2:",
        (NamespacePrefixes::Moved, Namespace::Pnr) => "ns4:",
        (NamespacePrefixes::Everywhere, _) => {
            let namespace = namespace.name();
            return format!("<x:{name} xmlns:x=\"{namespace}\">{content}</x:{name}>");
        }
    };
    format!("<{prefix}{name}>{content}</{prefix}{name}>")
}

fn envelope(prefixes: NamespacePrefixes, operation: &str, inner: &str) -> String {
    match prefixes {
        NamespacePrefixes::Cxf => format!(
            "<soap:Envelope xmlns:soap=\"{SOAP}\"><soap:Body><ns3:{operation}Response xmlns=\"{CONTEXT}\" \
             xmlns:ns2=\"{PNR}\" xmlns:ns3=\"{TNS}\">{inner}</ns3:{operation}Response></soap:Body></soap:Envelope>"
        ),
        NamespacePrefixes::Default => format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<S:Envelope xmlns:S=\"{SOAP}\">\n  <S:Header/>\n  \
             <S:Body>\n    <{operation}Response xmlns=\"{TNS}\" xmlns:p=\"{PNR}\">{inner}</{operation}Response>\n  \
             </S:Body>\n</S:Envelope>\n"
        ),
        NamespacePrefixes::Moved => format!(
            "<env:Envelope xmlns:env=\"{SOAP}\" xmlns:ns4=\"{PNR}\" xmlns:ns2=\"{TNS}\" xmlns:ns3=\"{CONTEXT}\">\
             <env:Body><ns2:{operation}Response>{inner}</ns2:{operation}Response></env:Body></env:Envelope>"
        ),
        NamespacePrefixes::Everywhere => format!(
            "<Envelope xmlns=\"{SOAP}\"><Body xmlns=\"{SOAP}\"><x:{operation}Response xmlns:x=\"{TNS}\">{inner}\
             </x:{operation}Response></Body></Envelope>"
        ),
    }
}
