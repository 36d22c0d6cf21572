//! The event log of the service: handshakes, refused requests and calls.

use std::fmt;

use serde_json::{Value, json};

use crate::filter::Filter;
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
        /// The CVR number of the client certificate.
        cvr: String,
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

impl ServiceEvent {
    /// Returns the event as a JSON object. Its key `event` names the kind. Person numbers are masked.
    pub fn to_json(&self) -> Value {
        match self {
            Self::HandshakeFailed(reason) => {
                json!({"event": "handshake-failed", "reason": reason})
            }
            Self::ContractViolation(violation) => {
                json!({"event": "contract-violation", "violation": violation})
            }
            Self::AccessDenied(reason) => json!({"event": "access-denied", "reason": reason}),
            Self::Call {
                cvr,
                operation,
                result,
                is_applied,
                fault,
            } => json!({
                "event": "call",
                "cvr": cvr,
                "operation": operation.name(),
                "filter": filter_json(operation),
                "applied": is_applied,
                "result": result,
                "fault": fault.as_ref().map(ServiceFault::name),
            }),
            Self::ConnectionFault(fault) => {
                json!({"event": "connection-fault", "fault": fault.name()})
            }
        }
    }
}

/// Returns the argument of an operation: the filter, or the group of `RemoveAll`; null for `GetAllFilters`.
fn filter_json(operation: &Operation) -> Value {
    let filter = match operation {
        Operation::Add(filter) | Operation::Remove(filter) => filter,
        Operation::RemoveAll(group) => return json!({"group": group.name()}),
        Operation::GetAllFilters => return Value::Null,
    };
    let group = filter.group().name();
    match filter {
        Filter::AgeRange { start, end } => json!({"group": group, "start": start, "end": end}),
        Filter::ChangeCode(code) => json!({"group": group, "value": code}),
        Filter::MunicipalityCode(code) => json!({"group": group, "value": format!("{code:04}")}),
        Filter::Pnr(_) => json!({"group": group, "value": "######-####"}),
        Filter::NoFilter => json!({"group": group}),
    }
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
                ..
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
    use crate::filter::FilterGroup;

    #[test]
    fn formats_a_call_on_one_line_without_its_person_number() {
        let event = ServiceEvent::Call {
            cvr: "00000000".to_owned(),
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

    #[test]
    fn describes_every_event_in_json_without_person_numbers() {
        let call = |operation, fault| ServiceEvent::Call {
            cvr: "00000000".to_owned(),
            operation,
            result: Some("ADDED"),
            is_applied: true,
            fault,
        };
        let pnr = Filter::Pnr("0101010101".to_owned());
        for (event, expected) in [
            (
                call(Operation::Add(pnr), Some(ServiceFault::UnknownResult)),
                json!({
                    "event": "call", "cvr": "00000000", "operation": "AddPNRSubscription", "applied": true, "result": "ADDED",
                    "filter": {"group": "PNR", "value": "######-####"}, "fault": "unknown-result",
                }),
            ),
            (
                call(Operation::Add(Filter::MunicipalityCode(101)), None),
                json!({
                    "event": "call", "cvr": "00000000", "operation": "AddMunicipalityCodeSubscription", "applied": true,
                    "result": "ADDED", "filter": {"group": "MunicipalityCode", "value": "0101"}, "fault": null,
                }),
            ),
            (
                call(Operation::RemoveAll(FilterGroup::EventChangeCode), None),
                json!({
                    "event": "call", "cvr": "00000000", "operation": "RemoveAll", "applied": true, "result": "ADDED",
                    "filter": {"group": "EventChangeCode"}, "fault": null,
                }),
            ),
            (
                ServiceEvent::ContractViolation("PNR is not ten digits".to_owned()),
                json!({"event": "contract-violation", "violation": "PNR is not ten digits"}),
            ),
            (
                ServiceEvent::ConnectionFault(ServiceFault::HandshakeReset),
                json!({"event": "connection-fault", "fault": "handshake-reset"}),
            ),
        ] {
            assert_eq!(event.to_json(), expected);
        }
    }
}
