//! What came instead of an answer: a fault of the platform, or anything else.

pub use crate::wit::subscription::{FailureKind, Party};

/// A failed call: what came instead of an answer, who must act, and whether to retry.
///
/// It never contains a person number, whatever the platform sent.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// What came instead of an answer.
    pub kind: FailureKind,
    /// The HTTP status of the response.
    pub status: u16,
    /// The party that must act.
    pub party: Party,
    /// Whether the same call may be repeated later.
    pub retry: bool,
    /// The SOAP fault, if there was one.
    pub fault: Option<Box<Fault>>,
    /// The element of the answer that the failure is about, if there is one.
    pub element: Option<String>,
    /// The message for people: what came and what to do.
    pub message: String,
}

/// A SOAP fault. Its texts are redacted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The fault code without prefix, for example `Server`.
    pub code: String,
    /// The fault string.
    pub text: String,
    /// The errors in the detail of the fault (ServiceplatformFault), if it has any.
    pub errors: Vec<ErrorEntry>,
    /// The UUID of the call, in lower case, for the platform's helpdesk.
    pub call_uuid: Option<String>,
    /// The time when the platform received the call, unchanged (`xs:dateTime`), for the platform's helpdesk.
    pub received: Option<String>,
}

/// An error in the detail of a fault. Its texts are redacted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorEntry {
    /// The code (ErrorCode).
    pub code: String,
    /// The text (ErrorText).
    pub text: String,
}
