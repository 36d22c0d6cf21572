//! What can go wrong with an answer of the service, on demand.

use std::time::Duration;

use crate::reply::Prefixes;

/// A fault of the service or of what lies before it. Each concerns one request, or one connection.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// A SOAP fault that is documented.
    Refusal {
        /// Which.
        error: KnownError,
        /// In which form.
        style: FaultStyle,
        /// Whether the request was carried out all the same.
        is_applied: bool,
    },
    /// A SOAP fault whose text holds the person number of the request, or another ten digits.
    PersonNumberInFault,
    /// A SOAP fault that says just this.
    Told {
        /// Its code, without prefix.
        code: String,
        /// Its text.
        text: String,
        /// Its detail, XML or plain text.
        detail: Option<String>,
    },
    /// A SOAP fault under status 200.
    FaultWithStatus200,
    /// An answer of a gateway, and no SOAP.
    Status {
        /// 401, 403, 404, 405, 500, 502, 503, 504, …
        status: u16,
        /// Whether it has a page of HTML.
        has_page: bool,
        /// Whether the request was carried out all the same.
        is_applied: bool,
    },
    /// A redirection to the service itself. A client that follows it is seen asking again.
    Redirect,
    /// Status 200, and something that is not XML.
    Rubbish,
    /// A `Result` that nobody knows.
    UnknownResult,
    /// The `Result` of a change that was made, and was not.
    NotCarriedOut,
    /// A list of filters with one of a kind that nobody knows, and one whose value cannot be one.
    UnreadableFilters,
    /// A response to another operation.
    WrongOperation,
    /// The right names in a namespace of their own.
    WrongNamespace,
    /// The right answer under other prefixes.
    Prefixes(Prefixes),
    /// The request is carried out and half of the answer sent.
    HalfResponse {
        /// Whether the length of the whole was told before.
        is_announced: bool,
    },
    /// Two answers, one after the other, in one body.
    DoubleRoot,
    /// The connection is reset, and the request not carried out.
    ResetBeforeApplying,
    /// The request is carried out, and then the connection reset.
    ResetAfterApplying,
    /// Nothing is answered until the client gives up.
    Silence {
        /// Whether the request was carried out.
        is_applied: bool,
    },
    /// The right answer, a byte at a time.
    Drip {
        /// The time between two bytes.
        pause: Duration,
    },
    /// An answer that goes on until the client gives up.
    EndlessBody,
    /// The right answer, blown up to that many bytes.
    HugeBody {
        /// How many.
        bytes: usize,
    },
    /// An answer with entities that would expand to gigabytes.
    EntityBomb,
    /// An answer with an entity that names a file of the client.
    ExternalEntity,
    /// An answer of so many elements within each other.
    DeepNesting {
        /// How many.
        levels: usize,
    },
    /// An answer with an element of so many attributes.
    ManyAttributes {
        /// How many.
        count: usize,
    },
    /// The connection is accepted, and then nothing happens.
    HandshakeStall,
    /// The connection is reset before TLS has begun.
    HandshakeReset,
}

/// A code of SF6002's table of errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KnownError {
    /// `ServiceConfigurationDatabaseError`
    ServiceConfigurationDatabaseError,
    /// `WrongUserSystem`
    WrongUserSystem,
    /// `InvalidCallParameters`
    InvalidCallParameters,
}

impl KnownError {
    /// All of them.
    pub const ALL: [Self; 3] = [
        Self::ServiceConfigurationDatabaseError,
        Self::WrongUserSystem,
        Self::InvalidCallParameters,
    ];

    /// The code on the wire.
    pub const fn code(self) -> &'static str {
        match self {
            Self::ServiceConfigurationDatabaseError => "ServiceConfigurationDatabaseError",
            Self::WrongUserSystem => "WrongUserSystem",
            Self::InvalidCallParameters => "InvalidCallParameters",
        }
    }

    /// The text on the wire.
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

/// How a SOAP fault tells its error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultStyle {
    /// In a `ServiceplatformFault` as detail.
    Typed,
    /// In `faultstring` alone.
    Plain,
    /// In a `faultstring` of several lines, with `CallUUID` and `Received`.
    TextBlock,
}

impl FaultStyle {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Typed, Self::Plain, Self::TextBlock];
}

impl Fault {
    /// Every fault under its name. Where there is a choice of size or time, it is one that a test can wait for.
    pub fn all() -> Vec<(String, Self)> {
        let mut all = Vec::new();
        for (error, error_name) in KnownError::ALL.into_iter().zip(ERROR_NAMES) {
            for (style, style_name) in FaultStyle::ALL.into_iter().zip(STYLE_NAMES) {
                let fault = Self::Refusal {
                    error,
                    style,
                    is_applied: false,
                };
                all.push((format!("{error_name}-{style_name}"), fault));
            }
        }
        let applied = Self::Refusal {
            error: KnownError::ServiceConfigurationDatabaseError,
            style: FaultStyle::Typed,
            is_applied: true,
        };
        all.push(("database-error-after-applying".to_owned(), applied));
        for status in [401, 403, 404, 405, 500, 502, 503, 504] {
            for (has_page, what) in [(true, "page"), (false, "empty")] {
                let fault = Self::Status {
                    status,
                    has_page,
                    // A gateway gives up while the service goes on.
                    is_applied: status == 504,
                };
                all.push((format!("status-{status}-{what}"), fault));
            }
        }
        for (name, code, text, detail) in TOLD {
            let fault = Self::Told {
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
                ("prefixes-default", Self::Prefixes(Prefixes::Default)),
                ("prefixes-moved", Self::Prefixes(Prefixes::Moved)),
                ("prefixes-everywhere", Self::Prefixes(Prefixes::Everywhere)),
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

    /// The fault of that name.
    pub fn named(name: &str) -> Option<Self> {
        let mut all = Self::all().into_iter();
        all.find_map(|(known, fault)| (known == name).then_some(fault))
    }

    /// Whether it comes before any request is read.
    pub(crate) const fn is_of_connection(&self) -> bool {
        matches!(self, Self::HandshakeStall | Self::HandshakeReset)
    }

    /// Whether the request is carried out all the same.
    pub(crate) const fn is_applied(&self) -> bool {
        match self {
            Self::Refusal { is_applied, .. }
            | Self::Status { is_applied, .. }
            | Self::Silence { is_applied } => *is_applied,
            Self::PersonNumberInFault
            | Self::Told { .. }
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

/// Faults by name, code, text and detail.
const TOLD: [(&str, &str, &str, Option<&str>); 3] = [
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
    fn every_name_leads_to_its_fault() {
        let all = Fault::all();
        let names: std::collections::BTreeSet<_> = all.iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), all.len());
        for (name, fault) in &all {
            assert_eq!(Fault::named(name).as_ref(), Some(fault));
        }
        assert_eq!(Fault::named("no-such-fault"), None);
    }
}
