//! What is no answer: faults, answers that cannot be read, and whose move it is then.

use std::fmt;

use crate::xml::XmlError;

/// Why there is no answer, and what can be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What came instead.
    pub kind: FailureKind,
    /// The HTTP status that it came under.
    pub status: u16,
    /// Whose move it is.
    pub party: Party,
    /// Whether the same call may be made again later. Every operation leaves the same state however often it is
    /// made, so that is a question of use, not of harm; never answer a failed add by remove and add, which orders
    /// a full load.
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
    /// Nothing.
    #[error("the answer is empty")]
    Empty,
    /// Something else than SOAP 1.1, for example a page for people.
    #[error("the answer is not SOAP 1.1, as if a gateway on the way had answered")]
    NotSoap,
    /// A document that cannot be read.
    #[error("the answer cannot be read: {0}")]
    Xml(#[from] XmlError),
    /// The answer of another operation, or in another namespace.
    #[error("the answer is none to this operation, or one of another contract")]
    OtherAnswer,
    /// An element of the answer in another namespace.
    #[error("the element {0} of the answer is in the namespace of another contract")]
    OtherNamespace(&'static str),
    /// An element that must be there is not.
    #[error("the element {0} is missing in the answer")]
    MissingElement(&'static str),
    /// An element that may be there once is there again.
    #[error("the element {0} is in the answer more than once")]
    RepeatedElement(&'static str),
    /// The value of an element is not of its type.
    #[error("the value of the element {0} of the answer is not what the contract allows")]
    BadValue(&'static str),
    /// A right answer under a status other than 200.
    #[error("the answer contradicts its HTTP status")]
    Status,
}

impl FailureKind {
    /// The element that it is about.
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

/// Whose move it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Party {
    /// The caller's: the request is wrong.
    Caller,
    /// The holder's of the service agreement: it does not allow the call, or the address is wrong.
    Agreement,
    /// The holder's of the client certificate.
    Certificate,
    /// The platform's.
    Platform,
}

/// A SOAP fault. Its texts are free of person numbers and cut to length.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fault {
    /// The fault code without prefix, for example `Server`.
    pub code: String,
    /// The fault string.
    pub text: String,
    /// The errors in its detail, if it has any.
    pub errors: Vec<ErrorEntry>,
    /// What the platform calls the call: the helpdesk asks for it.
    pub call_uuid: Option<String>,
    /// When the platform received it, as it stands (`xs:dateTime`): the helpdesk asks for that too.
    pub received: Option<String>,
}

/// An error in the detail of a fault.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ErrorEntry {
    /// ErrorCode.
    pub code: String,
    /// ErrorText.
    pub text: String,
}

impl Failure {
    /// Something other than a fault or an answer.
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

    /// A fault.
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
            write!(f, ": {}: {}", fault.code, beginning(&fault.text))?;
            for error in fault.errors.iter().take(2) {
                write!(f, "; {}: {}", error.code, beginning(&error.text))?;
            }
        }
        f.write_str(match (self.party, self.retry) {
            (Party::Caller, _) => ". The request is wrong, and repeating it does not help",
            (Party::Agreement, _) => {
                ". Check the service agreement, its UUIDs and the address of the service; repeating the call \
                 does not help"
            }
            (Party::Certificate, _) => {
                ". Check that the client certificate is valid and registered with the IT system"
            }
            (Party::Platform, true) => {
                ". The platform may answer later: look with GetAllFilters whether the call had an effect, and \
                 make it again"
            }
            (Party::Platform, false) => {
                ". Look with GetAllFilters whether the call had an effect, and ask the platform's helpdesk"
            }
        })
    }
}

impl std::error::Error for Failure {}

/// Enough of a text for a sentence; the fault has it whole.
fn beginning(text: &str) -> &str {
    let end = text.char_indices().nth(150).map(|(place, _)| place);
    text.get(..end.unwrap_or(text.len())).unwrap_or(text)
}

/// What the status says by itself.
fn by_status(status: u16) -> (Party, bool) {
    match status {
        401 | 403 => (Party::Certificate, false),
        // Moved, or nothing there: the address is wrong.
        300..=399 | 404 | 405 | 410 => (Party::Agreement, false),
        408 | 429 | 500..=599 => (Party::Platform, true),
        400..=499 => (Party::Caller, false),
        // An unreadable success is not cured by asking for it again.
        _ => (Party::Platform, false),
    }
}

/// Codes of the integration's error table, and the texts that go with them where a fault has no code.
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

/// What a fault says: a known code first, then known words, then the fault code.
fn by_fault(fault: &Fault) -> (Party, bool) {
    let codes = fault.errors.iter().map(|error| &error.code);
    let texts = fault.errors.iter().map(|error| &error.text);
    // A code says more than a text, which may speak of anything.
    for said in codes.chain([&fault.code, &fault.text]).chain(texts) {
        let said = said.to_lowercase();
        if let Some((_, party, retry)) = KNOWN.iter().find(|(word, ..)| said.contains(word)) {
            return (*party, *retry);
        }
    }
    // Codes may be refined after a dot: `Client.Authentication`.
    match fault.code.split('.').next().unwrap_or_default() {
        "Client" | "VersionMismatch" | "MustUnderstand" => (Party::Caller, false),
        _ => (Party::Platform, true),
    }
}
