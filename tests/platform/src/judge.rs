//! Judges requests by the contract of CprSubscriptionService: what is asked, or what is wrong with the asking.
//!
//! It is stricter than the real service, which is known to take requests that its own schema refuses. XML is read with
//! another parser than the product writes and reads it with.

use std::collections::BTreeMap;

use roxmltree::{Document, Node};

use crate::agreement::SERVICE_UUID;
use crate::filter::{Filter, FilterGroup};
use crate::http::Request;

/// The path of the service.
pub(crate) const PATH: &str = "/service/CPRSubscription/CPRSubscription/1/";
/// The namespace of a SOAP 1.1 envelope.
pub(crate) const SOAP: &str = "http://schemas.xmlsoap.org/soap/envelope/";
/// The namespace of the service.
pub(crate) const TNS: &str =
    "http://serviceplatformen.dk/xml/wsdl/soap11/CprSubscriptionService/1/";
/// The namespace of the invocation context.
pub(crate) const CONTEXT: &str = "http://serviceplatformen.dk/xml/schemas/InvocationContext/1/";
/// The namespace of person numbers.
pub(crate) const PNR: &str = "http://serviceplatformen.dk/xml/schemas/cpr/PNR/1/";

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// One of the five `Add…Subscription`.
    Add(Filter),
    /// One of the five `Remove…Subscription`.
    Remove(Filter),
    /// `RemoveAll` of a group.
    RemoveAll(FilterGroup),
    /// `GetAllFilters`.
    GetAllFilters,
}

impl Operation {
    /// Its name on the wire.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Add(Filter::Pnr(_)) => "AddPNRSubscription",
            Self::Add(Filter::AgeRange { .. }) => "AddAgeRangeSubscription",
            Self::Add(Filter::MunicipalityCode(_)) => "AddMunicipalityCodeSubscription",
            Self::Add(Filter::ChangeCode(_)) => "AddChangeCodeSubscription",
            Self::Add(Filter::NoFilter) => "AddNoFilterSubscription",
            Self::Remove(Filter::Pnr(_)) => "RemovePNRSubscription",
            Self::Remove(Filter::AgeRange { .. }) => "RemoveAgeRangeSubscription",
            Self::Remove(Filter::MunicipalityCode(_)) => "RemoveMunicipalityCodeSubscription",
            Self::Remove(Filter::ChangeCode(_)) => "RemoveChangeCodeSubscription",
            Self::Remove(Filter::NoFilter) => "RemoveNoFilterSubscription",
            Self::RemoveAll(_) => "RemoveAll",
            Self::GetAllFilters => "GetAllFilters",
        }
    }
}

/// A request that keeps the contract, as far as that shows without knowing the agreements.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) operation: Operation,
    pub(crate) agreement: String,
    pub(crate) user_system: String,
    pub(crate) user: String,
}

/// What is wrong with a request. No text holds a value of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Complaint {
    /// It is no call of the service at all: the status to answer.
    Http(u16),
    /// It breaks the contract: a fault of the client.
    Contract(String),
    /// A value that the service refuses with `InvalidCallParameters`, and why.
    Parameters(String),
}

/// Judges a request.
pub(crate) fn judge(request: &Request) -> Result<Call, Complaint> {
    if request.target != PATH {
        return Err(Complaint::Http(404));
    }
    if request.method != "POST" {
        return Err(Complaint::Http(405));
    }
    judge_headers(request)?;
    let text = str::from_utf8(&request.body).map_err(|_| breach("the body is not UTF-8"))?;
    // Document types are refused by the parser.
    let document = Document::parse(text).map_err(|_| breach("the body is no well-formed XML"))?;
    judge_envelope(document.root_element())
}

fn judge_headers(request: &Request) -> Result<(), Complaint> {
    match request.header("soapaction") {
        Some("\"\"" | "") => {}
        Some(_) => return Err(breach("SOAPAction is not empty")),
        None => return Err(breach("there is no SOAPAction header")),
    }
    let content_type = request.header("content-type").unwrap_or_default();
    let mut parts = content_type.split(';').map(str::trim);
    if !parts
        .next()
        .is_some_and(|media| media.eq_ignore_ascii_case("text/xml"))
    {
        return Err(breach("Content-Type is not text/xml"));
    }
    for parameter in parts {
        let (name, value) = parameter.split_once('=').unwrap_or_default();
        if name.eq_ignore_ascii_case("charset")
            && !value.trim_matches('"').eq_ignore_ascii_case("utf-8")
        {
            return Err(breach("the charset is not UTF-8"));
        }
    }
    Ok(())
}

fn judge_envelope(envelope: Node<'_, '_>) -> Result<Call, Complaint> {
    if !is(envelope, SOAP, "Envelope") {
        return Err(breach("the root is no Envelope of SOAP 1.1"));
    }
    let mut parts = children(envelope)?;
    if parts.first().is_some_and(|node| is(*node, SOAP, "Header")) {
        parts.remove(0);
    }
    let [body] = parts[..] else {
        return Err(breach(
            "an Envelope holds at most a Header, and after it one Body",
        ));
    };
    if !is(body, SOAP, "Body") {
        return Err(breach("the Envelope has no Body of SOAP 1.1"));
    }
    let [call] = children(body)?[..] else {
        return Err(breach("the Body holds other than one element"));
    };
    judge_call(call)
}

fn judge_call(call: Node<'_, '_>) -> Result<Call, Complaint> {
    let name = call.tag_name().name();
    if call.tag_name().namespace() != Some(TNS) {
        return Err(breach("the call is not in the service's namespace"));
    }
    let parts = children(call)?;
    let Some((context, arguments)) = parts.split_first() else {
        return Err(breach("the call has no InvocationContext"));
    };
    if !is(*context, CONTEXT, "InvocationContext") {
        return Err(breach(
            "the call's first child is no InvocationContext of its namespace",
        ));
    }
    let context = judge_context(*context)?;
    let operation = judge_operation(name, arguments)?;
    let value = |name: &str| context.get(name).cloned().unwrap_or_default();
    Ok(Call {
        operation,
        agreement: value("ServiceAgreementUUID"),
        user_system: value("UserSystemUUID"),
        user: value("UserUUID"),
    })
}

/// The context is an `xsd:all`: its children come in any order, each at most once.
fn judge_context(context: Node<'_, '_>) -> Result<BTreeMap<String, String>, Complaint> {
    let mut values = BTreeMap::new();
    for child in children(context)? {
        let name = child.tag_name().name();
        if child.tag_name().namespace() != Some(CONTEXT) {
            return Err(breach(format!(
                "{name} is not in the namespace of InvocationContext"
            )));
        }
        let value = text(child)?;
        if REQUIRED.contains(&name) {
            if !is_uuid(&value) {
                return Err(breach(format!("{name} is no UUID in lower case")));
            }
        } else if FREE.contains(&name) {
            if value.chars().count() > 255 {
                return Err(breach(format!("{name} is longer than 255 characters")));
            }
            if has_person_number(&value) {
                return Err(breach(format!(
                    "{name} holds ten digits in a row, and it is logged"
                )));
            }
        } else {
            return Err(breach("InvocationContext has a child that is unknown"));
        }
        if values.insert(name.to_owned(), value).is_some() {
            return Err(breach(format!("there is more than one {name}")));
        }
    }
    for name in REQUIRED {
        if !values.contains_key(name) {
            return Err(breach(format!("InvocationContext has no {name}")));
        }
    }
    match values["ServiceUUID"] == SERVICE_UUID {
        true => Ok(values),
        false => Err(breach("ServiceUUID is not that of this service")),
    }
}

fn judge_operation(name: &str, arguments: &[Node<'_, '_>]) -> Result<Operation, Complaint> {
    let (is_adding, subject) = match name {
        "GetAllFilters" => {
            return none(arguments).map(|()| Operation::GetAllFilters);
        }
        "RemoveAll" => {
            let group = FilterGroup::named(&text(one(arguments, TNS, "FilterGroup")?)?);
            let unknown = || breach("FilterGroup is none of the five groups");
            return group.map(Operation::RemoveAll).ok_or_else(unknown);
        }
        name => {
            let subject = name.strip_suffix("Subscription");
            let adding = subject.and_then(|name| name.strip_prefix("Add"));
            let removing = subject.and_then(|name| name.strip_prefix("Remove"));
            match (adding, removing) {
                (Some(subject), _) => (true, subject),
                (None, Some(subject)) => (false, subject),
                (None, None) => return Err(breach("the service has no such operation")),
            }
        }
    };
    let filter = match subject {
        "PNR" => pnr(one(arguments, PNR, "PNR")?)?,
        "AgeRange" => age_range(one(arguments, TNS, "AgeRange")?)?,
        "MunicipalityCode" => municipality(one(arguments, TNS, "MunicipalityCode")?)?,
        "ChangeCode" => change_code(one(arguments, TNS, "ChangeCode")?)?,
        "NoFilter" => none(arguments).map(|()| Filter::NoFilter)?,
        _ => return Err(breach("the service has no such operation")),
    };
    Ok(match is_adding {
        true => Operation::Add(filter),
        false => Operation::Remove(filter),
    })
}

fn pnr(node: Node<'_, '_>) -> Result<Filter, Complaint> {
    let value = text(node)?;
    match value.len() == 10 && is_digits(&value) {
        true => Ok(Filter::Pnr(value)),
        false => Err(breach("PNR is not ten digits")),
    }
}

fn age_range(node: Node<'_, '_>) -> Result<Filter, Complaint> {
    let [start, end] = children(node)?[..] else {
        return Err(breach("AgeRange holds other than StartAge and EndAge"));
    };
    if !is(start, TNS, "StartAge") || !is(end, TNS, "EndAge") {
        return Err(breach("AgeRange holds other than StartAge and EndAge"));
    }
    let (start, end) = (number(start, 3)?, number(end, 3)?);
    match start <= end {
        true => Ok(Filter::AgeRange { start, end }),
        false => Err(Complaint::Parameters("start age after end age".to_owned())),
    }
}

fn municipality(node: Node<'_, '_>) -> Result<Filter, Complaint> {
    let value = text(node)?;
    if value.strip_prefix('-').is_some_and(is_digits) {
        let why = "municipality code was negative";
        return Err(Complaint::Parameters(why.to_owned()));
    }
    number(node, 4).map(Filter::MunicipalityCode)
}

fn change_code(node: Node<'_, '_>) -> Result<Filter, Complaint> {
    let value = text(node)?;
    let is_code = value.len() == 3
        && value.starts_with(|c: char| c.is_ascii_uppercase())
        && is_digits(&value[1..]);
    match is_code {
        true => Ok(Filter::ChangeCode(value)),
        false => Err(breach("ChangeCode is not a capital letter and two digits")),
    }
}

/// A number of so many digits at the most; zeros may lead.
fn number(node: Node<'_, '_>, longest: usize) -> Result<u32, Complaint> {
    let value = text(node)?;
    let is_number = is_digits(&value) && value.len() <= longest;
    let number = is_number.then(|| value.parse().ok()).flatten();
    let name = node.tag_name().name();
    number.ok_or_else(|| breach(format!("{name} is no number of {longest} digits at most")))
}

/// The only argument.
fn one<'a, 'i>(
    arguments: &[Node<'a, 'i>],
    namespace: &str,
    name: &str,
) -> Result<Node<'a, 'i>, Complaint> {
    match arguments {
        [argument] if is(*argument, namespace, name) => Ok(*argument),
        _ => Err(breach(format!(
            "after InvocationContext comes other than one {name} of its namespace"
        ))),
    }
}

fn none(arguments: &[Node<'_, '_>]) -> Result<(), Complaint> {
    match arguments {
        [] => Ok(()),
        _ => Err(breach("after InvocationContext comes more")),
    }
}

/// The elements in an element that must hold nothing else.
fn children<'a, 'i>(node: Node<'a, 'i>) -> Result<Vec<Node<'a, 'i>>, Complaint> {
    let is_stray = |child: Node<'_, '_>| {
        child.is_text() && child.text().is_some_and(|text| !text.trim().is_empty())
    };
    if node.children().any(is_stray) {
        let name = node.tag_name().name();
        return Err(breach(format!("{name} holds text between its elements")));
    }
    Ok(node.children().filter(Node::is_element).collect())
}

/// The text in an element that must hold nothing else.
fn text(node: Node<'_, '_>) -> Result<String, Complaint> {
    if node.children().any(|child| child.is_element()) {
        let name = node.tag_name().name();
        return Err(breach(format!("{name} holds elements")));
    }
    Ok(node.children().filter_map(|child| child.text()).collect())
}

fn is(node: Node<'_, '_>, namespace: &str, name: &str) -> bool {
    node.tag_name().namespace() == Some(namespace) && node.tag_name().name() == name
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Ten digits, with or without the hyphen after the sixth, that are not part of a longer number or a UUID.
fn has_person_number(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-';
    text.split(|c| !is_part(c)).any(|word| {
        let digits = match word.split_once('-') {
            Some((date, serial)) if date.len() == 6 => [date, serial].concat(),
            _ => word.to_owned(),
        };
        digits.len() == 10 && is_digits(&digits)
    })
}

fn is_uuid(text: &str) -> bool {
    let groups: Vec<_> = text.split('-').collect();
    let is_hex = |group: &&str| {
        group
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12]) && groups.iter().all(is_hex)
}

fn breach(what: impl Into<String>) -> Complaint {
    Complaint::Contract(what.into())
}

const REQUIRED: [&str; 4] = [
    "ServiceAgreementUUID",
    "UserSystemUUID",
    "UserUUID",
    "ServiceUUID",
];
const FREE: [&str; 3] = [
    "OnBehalfOfUser",
    "CallersServiceCallIdentifier",
    "AccountingInfo",
];
