//! Validates requests against the contract of `CprSubscriptionService`.
//!
//! The validation is stricter than the real service, which accepts some requests that its own schema rejects. It reads
//! XML with a different parser than the product, so that both do not share a mistake.

use std::collections::BTreeMap;

use roxmltree::{Document, Node};

use crate::agreement::SERVICE_UUID;
use crate::contract::Contract;
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

/// An operation of the service with its argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// One of the five operations `Add…Subscription`.
    Add(Filter),
    /// One of the five operations `Remove…Subscription`.
    Remove(Filter),
    /// `RemoveAll` for a filter group.
    RemoveAll(FilterGroup),
    /// `GetAllFilters`.
    GetAllFilters,
}

impl Operation {
    /// Returns the name of the operation in the WSDL.
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

    /// Whether the operation adds or removes the filter `NoFilter`, by itself or as a group.
    const fn is_about_no_filter(&self) -> bool {
        matches!(
            self,
            Self::Add(Filter::NoFilter)
                | Self::Remove(Filter::NoFilter)
                | Self::RemoveAll(FilterGroup::NoFilter)
        )
    }
}

/// A request that satisfies the contract. Whether the agreement exists is checked later.
#[derive(Debug, Clone)]
pub(crate) struct ServiceCall {
    pub(crate) operation: Operation,
    pub(crate) agreement: String,
    pub(crate) user_system: String,
    pub(crate) user: String,
}

/// Why a request is rejected. No text contains a value of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Rejection {
    /// The request is not a call of the service; answered with this HTTP status.
    Http(u16),
    /// The request violates the contract; answered with a `Client` fault.
    Contract(String),
    /// A value is invalid; answered with `InvalidCallParameters`. The text is the reason.
    Parameters(String),
}

/// Validates a request and returns the call that it makes.
pub(crate) fn validate(request: &Request, contract: Contract) -> Result<ServiceCall, Rejection> {
    if request.target != PATH {
        return Err(Rejection::Http(404));
    }
    if request.method != "POST" {
        return Err(Rejection::Http(405));
    }
    validate_headers(request)?;
    let text = str::from_utf8(&request.body).map_err(|_| violation("the body is not UTF-8"))?;
    // The parser rejects document types.
    let document =
        Document::parse(text).map_err(|_| violation("the body is not well-formed XML"))?;
    let call = validate_envelope(document.root_element())?;
    match contract.has_no_filter() || !call.operation.is_about_no_filter() {
        true => Ok(call),
        false => Err(violation("version 1.0 of the contract has no NoFilter")),
    }
}

fn validate_headers(request: &Request) -> Result<(), Rejection> {
    match request.header("soapaction") {
        Some("\"\"" | "") => {}
        Some(_) => return Err(violation("SOAPAction is not empty")),
        None => return Err(violation("there is no SOAPAction header")),
    }
    let content_type = request.header("content-type").unwrap_or_default();
    let mut parts = content_type.split(';').map(str::trim);
    if !parts
        .next()
        .is_some_and(|media| media.eq_ignore_ascii_case("text/xml"))
    {
        return Err(violation("Content-Type is not text/xml"));
    }
    for parameter in parts {
        let (name, value) = parameter.split_once('=').unwrap_or_default();
        if name.eq_ignore_ascii_case("charset")
            && !value.trim_matches('"').eq_ignore_ascii_case("utf-8")
        {
            return Err(violation("the charset is not UTF-8"));
        }
    }
    Ok(())
}

fn validate_envelope(envelope: Node<'_, '_>) -> Result<ServiceCall, Rejection> {
    if !is_element(envelope, SOAP, "Envelope") {
        return Err(violation("the root element is not a SOAP 1.1 Envelope"));
    }
    let mut parts = children(envelope)?;
    if parts
        .first()
        .is_some_and(|node| is_element(*node, SOAP, "Header"))
    {
        parts.remove(0);
    }
    let [body] = parts[..] else {
        return Err(violation(
            "the Envelope must contain an optional Header and then one Body",
        ));
    };
    if !is_element(body, SOAP, "Body") {
        return Err(violation("the Envelope has no SOAP 1.1 Body"));
    }
    let [call] = children(body)?[..] else {
        return Err(violation("the Body must contain exactly one element"));
    };
    validate_call(call)
}

fn validate_call(call: Node<'_, '_>) -> Result<ServiceCall, Rejection> {
    let name = call.tag_name().name();
    if call.tag_name().namespace() != Some(TNS) {
        return Err(violation("the call is not in the namespace of the service"));
    }
    let parts = children(call)?;
    let Some((context, arguments)) = parts.split_first() else {
        return Err(violation("the call has no InvocationContext"));
    };
    if !is_element(*context, CONTEXT, "InvocationContext") {
        return Err(violation(
            "the first child of the call is not an InvocationContext in its namespace",
        ));
    }
    let context = validate_context(*context)?;
    let operation = validate_operation(name, arguments)?;
    let value = |name: &str| context.get(name).cloned().unwrap_or_default();
    Ok(ServiceCall {
        operation,
        agreement: value("ServiceAgreementUUID"),
        user_system: value("UserSystemUUID"),
        user: value("UserUUID"),
    })
}

/// Validates the invocation context. It is an `xsd:all`: children in any order, each at most once.
fn validate_context(context: Node<'_, '_>) -> Result<BTreeMap<String, String>, Rejection> {
    let mut values = BTreeMap::new();
    for child in children(context)? {
        let name = child.tag_name().name();
        if child.tag_name().namespace() != Some(CONTEXT) {
            return Err(violation(format!(
                "{name} is not in the namespace of InvocationContext"
            )));
        }
        let value = text(child)?;
        if UUID_ELEMENTS.contains(&name) {
            if !is_uuid(&value) {
                return Err(violation(format!("{name} is not a UUID in lower case")));
            }
        } else if FREE_TEXT_ELEMENTS.contains(&name) {
            if value.chars().count() > 255 {
                return Err(violation(format!("{name} is longer than 255 characters")));
            }
            if has_person_number(&value) {
                return Err(violation(format!(
                    "{name} contains ten digits, which could be a person number, and the platform logs this element"
                )));
            }
        } else {
            return Err(violation("InvocationContext has an unknown child"));
        }
        if values.insert(name.to_owned(), value).is_some() {
            return Err(violation(format!("{name} occurs more than once")));
        }
    }
    for name in UUID_ELEMENTS {
        if !values.contains_key(name) {
            return Err(violation(format!("InvocationContext has no {name}")));
        }
    }
    match values["ServiceUUID"] == SERVICE_UUID {
        true => Ok(values),
        false => Err(violation("ServiceUUID is not the UUID of this service")),
    }
}

fn validate_operation(name: &str, arguments: &[Node<'_, '_>]) -> Result<Operation, Rejection> {
    let (is_adding, subject) = match name {
        "GetAllFilters" => {
            return no_arguments(arguments).map(|()| Operation::GetAllFilters);
        }
        "RemoveAll" => {
            let group =
                FilterGroup::from_name(&text(only_argument(arguments, TNS, "FilterGroup")?)?);
            let unknown = || violation("FilterGroup is not one of the five groups");
            return group.map(Operation::RemoveAll).ok_or_else(unknown);
        }
        name => {
            let subject = name.strip_suffix("Subscription");
            let adding = subject.and_then(|name| name.strip_prefix("Add"));
            let removing = subject.and_then(|name| name.strip_prefix("Remove"));
            match (adding, removing) {
                (Some(subject), _) => (true, subject),
                (None, Some(subject)) => (false, subject),
                (None, None) => return Err(violation("the service has no such operation")),
            }
        }
    };
    let filter = match subject {
        "PNR" => pnr(only_argument(arguments, PNR, "PNR")?)?,
        "AgeRange" => age_range(only_argument(arguments, TNS, "AgeRange")?)?,
        "MunicipalityCode" => municipality(only_argument(arguments, TNS, "MunicipalityCode")?)?,
        "ChangeCode" => change_code(only_argument(arguments, TNS, "ChangeCode")?)?,
        "NoFilter" => no_arguments(arguments).map(|()| Filter::NoFilter)?,
        _ => return Err(violation("the service has no such operation")),
    };
    Ok(match is_adding {
        true => Operation::Add(filter),
        false => Operation::Remove(filter),
    })
}

fn pnr(node: Node<'_, '_>) -> Result<Filter, Rejection> {
    let value = text(node)?;
    match value.len() == 10 && is_digits(&value) {
        true => Ok(Filter::Pnr(value)),
        false => Err(violation("PNR is not ten digits")),
    }
}

fn age_range(node: Node<'_, '_>) -> Result<Filter, Rejection> {
    let [start, end] = children(node)?[..] else {
        return Err(violation("AgeRange must contain StartAge and then EndAge"));
    };
    if !is_element(start, TNS, "StartAge") || !is_element(end, TNS, "EndAge") {
        return Err(violation("AgeRange must contain StartAge and then EndAge"));
    }
    let (start, end) = (number(start, 3)?, number(end, 3)?);
    match start <= end {
        true => Ok(Filter::AgeRange { start, end }),
        false => Err(Rejection::Parameters("start age after end age".to_owned())),
    }
}

fn municipality(node: Node<'_, '_>) -> Result<Filter, Rejection> {
    let value = text(node)?;
    if value.strip_prefix('-').is_some_and(is_digits) {
        let why = "municipality code was negative";
        return Err(Rejection::Parameters(why.to_owned()));
    }
    number(node, 4).map(Filter::MunicipalityCode)
}

fn change_code(node: Node<'_, '_>) -> Result<Filter, Rejection> {
    let value = text(node)?;
    let is_code = value.len() == 3
        && value.starts_with(|c: char| c.is_ascii_uppercase())
        && is_digits(&value[1..]);
    match is_code {
        true => Ok(Filter::ChangeCode(value)),
        false => Err(violation(
            "ChangeCode is not a capital letter and two digits",
        )),
    }
}

/// Reads a number of at most `max_digits` digits. Leading zeros are allowed.
fn number(node: Node<'_, '_>, max_digits: usize) -> Result<u32, Rejection> {
    let value = text(node)?;
    let is_number = is_digits(&value) && value.len() <= max_digits;
    let number = is_number.then(|| value.parse().ok()).flatten();
    let name = node.tag_name().name();
    number.ok_or_else(|| {
        violation(format!(
            "{name} is not a number of at most {max_digits} digits"
        ))
    })
}

/// Returns the only argument, which must have this name.
fn only_argument<'a, 'i>(
    arguments: &[Node<'a, 'i>],
    namespace: &str,
    name: &str,
) -> Result<Node<'a, 'i>, Rejection> {
    match arguments {
        [argument] if is_element(*argument, namespace, name) => Ok(*argument),
        _ => Err(violation(format!(
            "InvocationContext must be followed by exactly one {name} in its namespace"
        ))),
    }
}

fn no_arguments(arguments: &[Node<'_, '_>]) -> Result<(), Rejection> {
    match arguments {
        [] => Ok(()),
        _ => Err(violation(
            "nothing may follow InvocationContext in this operation",
        )),
    }
}

/// Returns the child elements of an element that must not contain text.
fn children<'a, 'i>(node: Node<'a, 'i>) -> Result<Vec<Node<'a, 'i>>, Rejection> {
    let is_stray = |child: Node<'_, '_>| {
        child.is_text() && child.text().is_some_and(|text| !text.trim().is_empty())
    };
    if node.children().any(is_stray) {
        let name = node.tag_name().name();
        return Err(violation(format!(
            "{name} contains text between its elements"
        )));
    }
    Ok(node.children().filter(Node::is_element).collect())
}

/// Returns the text of an element that must not contain elements.
fn text(node: Node<'_, '_>) -> Result<String, Rejection> {
    if node.children().any(|child| child.is_element()) {
        let name = node.tag_name().name();
        return Err(violation(format!("{name} contains elements")));
    }
    Ok(node.children().filter_map(|child| child.text()).collect())
}

fn is_element(node: Node<'_, '_>, namespace: &str, name: &str) -> bool {
    node.tag_name().namespace() == Some(namespace) && node.tag_name().name() == name
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a text contains ten digits that are not part of a longer number or a UUID. A hyphen after the sixth digit
/// is allowed.
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

fn violation(what: impl Into<String>) -> Rejection {
    Rejection::Contract(what.into())
}

const UUID_ELEMENTS: [&str; 4] = [
    "ServiceAgreementUUID",
    "UserSystemUUID",
    "UserUUID",
    "ServiceUUID",
];
const FREE_TEXT_ELEMENTS: [&str; 3] = [
    "OnBehalfOfUser",
    "CallersServiceCallIdentifier",
    "AccountingInfo",
];
