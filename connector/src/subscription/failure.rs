//! Failures: faults, unreadable answers, and who must act on them.

use std::fmt;

use crate::xml::XmlError;

/// A failed call: what came instead of an answer, who must act, and whether to retry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What came instead of an answer.
    pub kind: FailureKind,
    /// The HTTP status of the response.
    pub status: u16,
    /// The party that must act.
    pub party: Party,
    /// Whether the same call may be repeated later. Every operation leads to the same state however often it is made,
    /// so a repetition does no harm. A failed add must never be answered by a remove and an add, which orders a full
    /// load.
    pub retry: bool,
    /// The fault, if there was one.
    pub fault: Option<Box<Fault>>,
}

/// What came instead of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FailureKind {
    /// A SOAP fault.
    #[error("the service answered with a fault")]
    Fault,
    /// An empty body.
    #[error("the answer is empty")]
    Empty,
    /// Something other than SOAP 1.1, for example an HTML page.
    #[error("the answer is not SOAP 1.1; perhaps a gateway answered instead of the service")]
    NotSoap,
    /// A document that cannot be read.
    #[error("the answer cannot be read: {0}")]
    Xml(#[from] XmlError),
    /// The answer of another operation, or in another namespace.
    #[error("the answer belongs to another operation or another contract")]
    OtherAnswer,
    /// An element of the answer is in another namespace.
    #[error("the element {0} of the answer is in the namespace of another contract")]
    OtherNamespace(&'static str),
    /// A required element is missing.
    #[error("the element {0} is missing in the answer")]
    MissingElement(&'static str),
    /// An element that may occur once occurs again.
    #[error("the element {0} occurs more than once in the answer")]
    RepeatedElement(&'static str),
    /// The value of an element does not have its type.
    #[error("the value of the element {0} of the answer is not allowed by the contract")]
    BadValue(&'static str),
    /// A correct answer with an HTTP status other than 200.
    #[error("the answer contradicts its HTTP status")]
    Status,
}

impl FailureKind {
    /// Returns the element that the failure is about.
    pub fn element(&self) -> Option<&'static str> {
        match self {
            Self::OtherNamespace(element)
            | Self::MissingElement(element)
            | Self::RepeatedElement(element)
            | Self::BadValue(element) => Some(element),
            _ => None,
        }
    }
}

/// The party that must act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Party {
    /// The caller: the request is wrong.
    Caller,
    /// The holder of the service agreement: it does not allow the call, or the address is wrong.
    Agreement,
    /// The holder of the client certificate.
    Certificate,
    /// The platform.
    Platform,
}

/// A SOAP fault. Person numbers are removed from its texts, and long texts are cut.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fault {
    /// The fault code without prefix, for example `Server`.
    pub code: String,
    /// The fault string.
    pub text: String,
    /// The errors in its detail, if it has any.
    pub errors: Vec<ErrorEntry>,
    /// The platform's identifier of the call, for its helpdesk.
    pub call_uuid: Option<String>,
    /// The time when the platform received the call, unchanged (`xs:dateTime`), for its helpdesk.
    pub received: Option<String>,
}

/// An error in the detail of a fault.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ErrorEntry {
    /// The code (ErrorCode).
    pub code: String,
    /// The text (ErrorText).
    pub text: String,
}

impl Failure {
    /// Creates a failure for a response that is neither a fault nor an answer.
    pub(super) fn unreadable(kind: FailureKind, status: u16) -> Self {
        let (party, retry) = by_status(status);
        Self {
            kind,
            status,
            party,
            retry,
            fault: None,
        }
    }

    /// Creates a failure for a fault.
    pub(super) fn fault(fault: Fault, status: u16) -> Self {
        let (party, retry) = match status {
            401 | 403 => (Party::Certificate, false),
            _ => by_fault(&fault),
        };
        Self {
            kind: FailureKind::Fault,
            status,
            party,
            retry,
            fault: Some(Box::new(fault)),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (HTTP {})", self.kind, self.status)?;
        if let Some(fault) = &self.fault {
            let errors = fault.errors.iter().take(2);
            let errors = errors.map(|error| (error.code.as_str(), error.text.as_str()));
            let texts: Vec<_> = [(fault.code.as_str(), fault.text.as_str())]
                .into_iter()
                .chain(errors)
                .filter_map(|(code, text)| labelled(code, beginning(text)))
                .collect();
            match texts.is_empty() {
                true => write!(f, ", which has no code and no text")?,
                false => write!(f, ": {}", texts.join("; "))?,
            }
        }
        f.write_str(match (self.party, self.retry) {
            (Party::Caller, _) => {
                ". The request is wrong: check its values; repeating it does not help"
            }
            (Party::Agreement, _) => {
                ". Check the service agreement, its UUIDs and the address of the service; repeating the call \
                 does not help"
            }
            (Party::Certificate, _) => {
                ". Check that the client certificate is valid and registered with the IT system"
            }
            (Party::Platform, true) => {
                ". The platform may answer later: list the filters (`cprflow subscription list`; operation \
                 GetAllFilters) to see whether the call had an effect, and make it again"
            }
            (Party::Platform, false) => {
                ". List the filters (`cprflow subscription list`; operation GetAllFilters) to see whether the call \
                 had an effect, and ask the platform's helpdesk"
            }
        })
    }
}

impl std::error::Error for Failure {}

/// Returns a code and its text, or the one of them that is not empty.
fn labelled(code: &str, text: &str) -> Option<String> {
    match (code.is_empty(), text.is_empty()) {
        (true, true) => None,
        (false, true) => Some(code.to_owned()),
        (true, false) => Some(text.to_owned()),
        (false, false) => Some(format!("{code}: {text}")),
    }
}

/// Returns the beginning of a text, for a sentence. The fault has the whole text.
fn beginning(text: &str) -> &str {
    let end = text.char_indices().nth(150).map(|(place, _)| place);
    text.get(..end.unwrap_or(text.len())).unwrap_or(text)
}

/// Returns what the HTTP status alone tells: who must act, and whether to retry.
fn by_status(status: u16) -> (Party, bool) {
    match status {
        401 | 403 => (Party::Certificate, false),
        // A redirect, or nothing at this address: the address is wrong.
        300..=399 | 404 | 405 | 410 => (Party::Agreement, false),
        408 | 429 | 500..=599 => (Party::Platform, true),
        400..=499 => (Party::Caller, false),
        // A repetition does not make the answer to a successful call readable.
        _ => (Party::Platform, false),
    }
}

/// The codes of the integration's error table, and the texts for faults that have no code.
const KNOWN: &[(&str, Party, bool)] = &[
    ("serviceconfigurationdatabaseerror", Party::Platform, true),
    ("service configuration update failed", Party::Platform, true),
    ("wrongusersystem", Party::Agreement, false),
    ("no pnr subscription configured", Party::Agreement, false),
    ("invalidcallparameters", Party::Caller, false),
    ("municipality code was negative", Party::Caller, false),
    ("certificate", Party::Certificate, false),
    ("certifikat", Party::Certificate, false),
    ("security model", Party::Agreement, false),
    ("agreement", Party::Agreement, false),
    ("serviceaftale", Party::Agreement, false),
];

/// Returns what a fault tells: by a known code, else by known words, else by the fault code.
fn by_fault(fault: &Fault) -> (Party, bool) {
    let codes = fault.errors.iter().map(|error| &error.code);
    let texts = fault.errors.iter().map(|error| &error.text);
    // Codes are more reliable than texts, which may mention anything.
    for text in codes.chain([&fault.code, &fault.text]).chain(texts) {
        let text = text.to_lowercase();
        if let Some((_, party, retry)) = KNOWN.iter().find(|(word, ..)| text.contains(word)) {
            return (*party, *retry);
        }
    }
    // Codes may have a more specific part after a dot: `Client.Authentication`.
    match fault.code.split('.').next().unwrap_or_default() {
        "Client" | "VersionMismatch" | "MustUnderstand" => (Party::Caller, false),
        _ => (Party::Platform, true),
    }
}
