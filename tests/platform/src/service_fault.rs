//! Faults of the service that can be armed.

use std::time::Duration;

use crate::soap_response::NamespacePrefixes;

/// A fault of the service or of a gateway in front of it. Each armed fault concerns one request or one connection.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServiceFault {
    /// A SOAP fault with an error code that SF6002 documents.
    DocumentedError {
        /// The error code.
        error: ServiceErrorCode,
        /// The format of the SOAP fault.
        style: FaultStyle,
        /// Whether the request is applied although the response reports an error.
        is_applied: bool,
    },
    /// A SOAP fault whose text contains the request's person number, or ten other digits if it has none.
    PersonNumberInFault,
    /// A SOAP fault with the given content.
    SoapFault {
        /// The fault code, without prefix.
        code: String,
        /// The fault text.
        text: String,
        /// The detail, XML or plain text.
        detail: Option<String>,
    },
    /// A SOAP fault with HTTP status 200.
    FaultWithStatus200,
    /// A response of a gateway, without SOAP.
    Status {
        /// The HTTP status: 401, 403, 404, 405, 500, 502, 503, 504, …
        status: u16,
        /// Whether the body is an HTML page; otherwise it is empty.
        has_page: bool,
        /// Whether the request is applied although the response reports an error.
        is_applied: bool,
    },
    /// A redirect to the service itself. A client that follows it causes a second event.
    Redirect,
    /// HTTP status 200 with a body that is not XML.
    Rubbish,
    /// An unknown value of `Result`.
    UnknownResult,
    /// The `Result` of a successful change, although the change is not applied.
    NotCarriedOut,
    /// A list of filters with one filter of an unknown kind and one with an invalid value.
    UnreadableFilters,
    /// The response of another operation.
    WrongOperation,
    /// The correct element names in a wrong namespace.
    WrongNamespace,
    /// The correct response with other namespace prefixes.
    Prefixes(NamespacePrefixes),
    /// The request is applied and half of the response is sent.
    HalfResponse {
        /// Whether `Content-Length` announces the full length.
        is_announced: bool,
    },
    /// Two correct responses one after the other in one body.
    DoubleRoot,
    /// The connection is reset and the request is not applied.
    ResetBeforeApplying,
    /// The request is applied and then the connection is reset.
    ResetAfterApplying,
    /// Nothing is sent until the client gives up.
    Silence {
        /// Whether the request is applied.
        is_applied: bool,
    },
    /// The correct response, one byte at a time.
    Drip {
        /// The pause after each byte.
        pause: Duration,
    },
    /// A response that does not end until the client gives up.
    EndlessBody,
    /// The correct response, padded with spaces.
    HugeBody {
        /// The size of the body in bytes.
        bytes: usize,
    },
    /// A response with nested entities that would expand to gigabytes.
    EntityBomb,
    /// A response with an external entity that names a file on the client.
    ExternalEntity,
    /// A response with deeply nested elements.
    DeepNesting {
        /// The number of levels.
        levels: usize,
    },
    /// A response with one element that has many attributes.
    ManyAttributes {
        /// The number of attributes.
        count: usize,
    },
    /// The connection is accepted and the TLS handshake never starts.
    HandshakeStall,
    /// The connection is reset before the TLS handshake.
    HandshakeReset,
}

/// An error code of SF6002's error table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceErrorCode {
    /// `ServiceConfigurationDatabaseError`
    ServiceConfigurationDatabaseError,
    /// `WrongUserSystem`
    WrongUserSystem,
    /// `InvalidCallParameters`
    InvalidCallParameters,
}

impl ServiceErrorCode {
    /// All error codes.
    pub const ALL: [Self; 3] = [
        Self::ServiceConfigurationDatabaseError,
        Self::WrongUserSystem,
        Self::InvalidCallParameters,
    ];

    /// Returns the value of `ErrorCode`.
    pub const fn code(self) -> &'static str {
        match self {
            Self::ServiceConfigurationDatabaseError => "ServiceConfigurationDatabaseError",
            Self::WrongUserSystem => "WrongUserSystem",
            Self::InvalidCallParameters => "InvalidCallParameters",
        }
    }

    /// Returns the value of `ErrorText`.
    pub const fn text(self) -> &'static str {
        match self {
            Self::ServiceConfigurationDatabaseError => "Service Configuration update failed",
            Self::WrongUserSystem => {
                "CPR ReplicaSubscription - no PNR subscription configured for serviceAgreement"
            }
            Self::InvalidCallParameters => {
                "CPR ReplicaSubscription - municipality code was negative"
            }
        }
    }
}

/// The format in which a SOAP fault states its error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultStyle {
    /// A `ServiceplatformFault` in the detail.
    Typed,
    /// `faultstring` only.
    Plain,
    /// A `faultstring` of several lines, with `CallUUID` and `Received`.
    TextBlock,
}

impl FaultStyle {
    /// All formats.
    pub const ALL: [Self; 3] = [Self::Typed, Self::Plain, Self::TextBlock];
}

impl ServiceFault {
    /// Returns every fault with its name on the command line. Sizes and times are small enough for a test.
    pub fn all() -> Vec<(String, Self)> {
        let mut all = Vec::new();
        for (error, error_name) in ServiceErrorCode::ALL.into_iter().zip(ERROR_NAMES) {
            for (style, style_name) in FaultStyle::ALL.into_iter().zip(STYLE_NAMES) {
                let fault = Self::DocumentedError {
                    error,
                    style,
                    is_applied: false,
                };
                all.push((format!("{error_name}-{style_name}"), fault));
            }
        }
        let applied = Self::DocumentedError {
            error: ServiceErrorCode::ServiceConfigurationDatabaseError,
            style: FaultStyle::Typed,
            is_applied: true,
        };
        all.push(("database-error-after-applying".to_owned(), applied));
        for status in [401, 403, 404, 405, 500, 502, 503, 504] {
            for (has_page, what) in [(true, "page"), (false, "empty")] {
                let fault = Self::Status {
                    status,
                    has_page,
                    // A gateway that times out does not stop the service.
                    is_applied: status == 504,
                };
                all.push((format!("status-{status}-{what}"), fault));
            }
        }
        for (name, code, text, detail) in SOAP_FAULTS {
            let fault = Self::SoapFault {
                code: code.to_owned(),
                text: text.to_owned(),
                detail: detail.map(str::to_owned),
            };
            all.push((name.to_owned(), fault));
        }
        let named = |(name, fault): (&str, Self)| (name.to_owned(), fault);
        all.extend(
            [
                ("person-number-in-fault", Self::PersonNumberInFault),
                ("fault-with-status-200", Self::FaultWithStatus200),
                ("redirect", Self::Redirect),
                ("rubbish", Self::Rubbish),
                ("unknown-result", Self::UnknownResult),
                ("not-carried-out", Self::NotCarriedOut),
                ("unreadable-filters", Self::UnreadableFilters),
                ("wrong-operation", Self::WrongOperation),
                ("wrong-namespace", Self::WrongNamespace),
                (
                    "prefixes-default",
                    Self::Prefixes(NamespacePrefixes::Default),
                ),
                ("prefixes-moved", Self::Prefixes(NamespacePrefixes::Moved)),
                (
                    "prefixes-everywhere",
                    Self::Prefixes(NamespacePrefixes::Everywhere),
                ),
                ("half-response", Self::HalfResponse { is_announced: true }),
                (
                    "half-response-unannounced",
                    Self::HalfResponse {
                        is_announced: false,
                    },
                ),
                ("double-root", Self::DoubleRoot),
                ("reset-before-applying", Self::ResetBeforeApplying),
                ("reset-after-applying", Self::ResetAfterApplying),
                (
                    "silence-before-applying",
                    Self::Silence { is_applied: false },
                ),
                ("silence-after-applying", Self::Silence { is_applied: true }),
                (
                    "drip",
                    Self::Drip {
                        pause: Duration::from_secs(1),
                    },
                ),
                ("endless-body", Self::EndlessBody),
                ("huge-body", Self::HugeBody { bytes: 100 << 20 }),
                ("entity-bomb", Self::EntityBomb),
                ("external-entity", Self::ExternalEntity),
                ("deep-nesting", Self::DeepNesting { levels: 100_000 }),
                ("many-attributes", Self::ManyAttributes { count: 1_000_000 }),
                ("handshake-stall", Self::HandshakeStall),
                ("handshake-reset", Self::HandshakeReset),
            ]
            .map(named),
        );
        all
    }

    /// Returns the fault with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        let mut all = Self::all().into_iter();
        all.find_map(|(known, fault)| (known == name).then_some(fault))
    }

    /// Returns the name of the fault on the command line; the debug form for a fault with other sizes or times.
    pub(crate) fn name(&self) -> String {
        let mut all = Self::all().into_iter();
        let named = all.find(|(_, fault)| fault == self);
        named.map_or_else(|| format!("{self:?}"), |(name, _)| name)
    }

    /// Whether the fault concerns a connection, before any request is read.
    pub(crate) const fn is_connection_fault(&self) -> bool {
        matches!(self, Self::HandshakeStall | Self::HandshakeReset)
    }

    /// Whether the request is applied although the response is faulty.
    pub(crate) const fn is_applied(&self) -> bool {
        match self {
            Self::DocumentedError { is_applied, .. }
            | Self::Status { is_applied, .. }
            | Self::Silence { is_applied } => *is_applied,
            Self::PersonNumberInFault
            | Self::SoapFault { .. }
            | Self::FaultWithStatus200
            | Self::NotCarriedOut
            | Self::Redirect
            | Self::ResetBeforeApplying
            | Self::HandshakeStall
            | Self::HandshakeReset => false,
            Self::Rubbish
            | Self::UnknownResult
            | Self::UnreadableFilters
            | Self::WrongOperation
            | Self::WrongNamespace
            | Self::Prefixes(_)
            | Self::HalfResponse { .. }
            | Self::DoubleRoot
            | Self::ResetAfterApplying
            | Self::Drip { .. }
            | Self::EndlessBody
            | Self::HugeBody { .. }
            | Self::EntityBomb
            | Self::ExternalEntity
            | Self::DeepNesting { .. }
            | Self::ManyAttributes { .. } => true,
        }
    }
}

const ERROR_NAMES: [&str; 3] = ["database-error", "wrong-user-system", "invalid-parameters"];
const STYLE_NAMES: [&str; 3] = ["typed", "plain", "text-block"];

/// SOAP faults: name, code, text and detail.
const SOAP_FAULTS: [(&str, &str, &str, Option<&str>); 3] = [
    ("client-fault", "Client", "The request is not valid", None),
    (
        "security-model",
        "Server",
        "Security model for the called operation was not provided",
        None,
    ),
    (
        "detail-as-text",
        "Server",
        "Internal error",
        Some("The service is being restarted"),
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_found_by_its_unique_name() {
        let all = ServiceFault::all();
        let names: std::collections::BTreeSet<_> = all.iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), all.len());
        for (name, fault) in &all {
            assert_eq!(ServiceFault::from_name(name).as_ref(), Some(fault));
        }
        assert_eq!(ServiceFault::from_name("no-such-fault"), None);
    }
}
