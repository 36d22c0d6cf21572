//! The event log of the service: handshakes, refused requests and calls.

use std::fmt;

use crate::request_validation::Operation;
use crate::service_fault::ServiceFault;

/// An entry of the service's event log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServiceEvent {
    /// A TLS handshake failed. The text is the reason.
    HandshakeFailed(String),
    /// A request violated the contract. The text names the violation.
    ContractViolation(String),
    /// A client, IT system or agreement was not authorised. The text is the reason.
    AccessDenied(String),
    /// A valid request of an authorised client.
    Call {
        /// The requested operation.
        operation: Operation,
        /// The value of `Result`; `None` if the call was not applied or has no result.
        result: Option<&'static str>,
        /// Whether the call was applied to the subscription.
        is_applied: bool,
        /// The armed fault that the response had.
        fault: Option<ServiceFault>,
    },
    /// A connection met this armed fault before any request.
    ConnectionFault(ServiceFault),
}

/// Formats the event as one line. Person numbers are masked.
impl fmt::Display for ServiceEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HandshakeFailed(reason) => write!(f, "TLS handshake failed: {reason}"),
            Self::ContractViolation(violation) => write!(f, "contract violation: {violation}"),
            Self::AccessDenied(reason) => write!(f, "access denied: {reason}"),
            Self::Call {
                operation,
                result,
                is_applied,
                fault,
            } => {
                write!(f, "call {operation:?}: ")?;
                f.write_str(match is_applied {
                    true => "applied",
                    false => "not applied",
                })?;
                if let Some(result) = result {
                    write!(f, ", result {result}")?;
                }
                match fault {
                    Some(fault) => write!(f, ", fault {fault:?}"),
                    None => Ok(()),
                }
            }
            Self::ConnectionFault(fault) => write!(f, "connection fault {fault:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Filter;

    #[test]
    fn formats_a_call_on_one_line_without_its_person_number() {
        let event = ServiceEvent::Call {
            operation: Operation::Add(Filter::Pnr("0101010101".to_owned())),
            result: Some("ADDED"),
            is_applied: true,
            fault: Some(ServiceFault::UnknownResult),
        };
        assert_eq!(
            event.to_string(),
            "call Add(PNR ######-####): applied, result ADDED, fault UnknownResult"
        );
    }
}
