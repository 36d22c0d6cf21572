//! What can go wrong between us and the subscription service, by whose move it is.

use std::fmt;
use std::io;
use std::time::Duration;

use rustls::AlertDescription;

use super::certificate::CertificateError;

/// Why there is no answer of the subscription service.
///
/// No variant holds a secret, or anything of a request or an answer. What a server says of itself is freed of control
/// characters and numbers, and cut.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SoapError {
    /// The address of the service cannot be one.
    #[error(
        "the address of the subscription service cannot be used: {problem}. It must be like https://prod.serviceplatformen.dk/service/…"
    )]
    Endpoint {
        /// Why.
        problem: &'static str,
    },

    /// The address of the proxy cannot be one.
    #[error(
        "the address of the proxy cannot be used: it must be http://host:port, or http://user:password@host:port"
    )]
    ProxyAddress,

    /// There are too many client certificates, or none.
    #[error(
        "{found} client certificates are configured: it must be one, or two while one follows the other"
    )]
    CertificateCount {
        /// How many.
        found: usize,
    },

    /// A client certificate or a file of authorities cannot be used.
    #[error(transparent)]
    Certificate(#[from] CertificateError),

    /// The host's name has no address.
    #[error("cannot find the address of {host}: {reason}. Check the name and this machine's DNS")]
    Dns {
        /// The host.
        host: String,
        /// What the resolver said.
        reason: String,
    },

    /// The host is there and nothing listens at the port.
    #[error(
        "{server} refuses the connection: nothing listens there now. Check host and port; it may be a service window"
    )]
    Refused {
        /// Host and port.
        server: String,
    },

    /// There is no way to the host.
    #[error(
        "cannot reach {server}: {error}. Check the network and the firewall on the way; the service may admit known addresses only"
    )]
    Unreachable {
        /// Host and port.
        server: String,
        /// What the system said.
        #[source]
        error: io::Error,
    },

    /// The proxy does not let us through.
    #[error(
        "the proxy {proxy} does not connect us to the service: {reason}. Check its address and what it allows"
    )]
    Proxy {
        /// Host and port.
        proxy: String,
        /// What it said.
        reason: String,
    },

    /// It took too long.
    #[error("{phase} took longer than {limit:?}: the call was given up{}", applied(*phase))]
    Timeout {
        /// At what.
        phase: SoapPhase,
        /// The limit.
        limit: Duration,
    },

    /// The server hung up without an answer, or in the middle of one.
    #[error(
        "{server} closed the connection while {phase}{}{}", applied(*phase), hint(*phase)
    )]
    Closed {
        /// Host and port.
        server: String,
        /// At what.
        phase: SoapPhase,
    },

    /// The server does not take the client certificate.
    #[error(
        "{server} does not accept the client certificate: {alert}. Check that it is the one that is registered with the IT \
         system in this environment, that it has not been revoked, and that its file holds the issuing authority's too"
    )]
    ClientCertificateRefused {
        /// Host and port.
        server: String,
        /// What it said.
        alert: Alert,
    },

    /// The server's certificate is not in order.
    #[error("{server} is not believed to be the service, and nothing was sent to it: {problem}")]
    ServerCertificate {
        /// Host and port.
        server: String,
        /// Why.
        problem: ServerCertificateProblem,
    },

    /// The other side does not speak TLS.
    #[error(
        "{server} does not speak TLS, and nothing was sent to it. Check the port; a proxy may answer in its place"
    )]
    NotTls {
        /// Host and port.
        server: String,
    },

    /// There is no way of encrypting that both sides take, or the other side breaks the rules of TLS.
    #[error(
        "no agreement with {server} on how to encrypt: {reason}. cprflow speaks TLS 1.2 and 1.3 with forward secrecy"
    )]
    NoAgreement {
        /// Host and port.
        server: String,
        /// Why.
        reason: String,
    },

    /// The answer is too large.
    #[error(
        "the answer has more than {limit} bytes and was not taken: no subscription to all of Denmark's persons has as many. \
         Check the address; if it is right, ask the platform's helpdesk"
    )]
    BodyTooLarge {
        /// The limit.
        limit: u64,
    },

    /// The server points elsewhere.
    #[error(
        "{server} answers with a redirection (status {status}), which is not followed: the request holds person numbers. \
         Check the address; if the service has moved, configure the new one"
    )]
    Redirect {
        /// Host and port.
        server: String,
        /// The status of HTTP.
        status: u16,
    },

    /// What came is no HTTP.
    #[error("{server} does not answer in HTTP as we know it: {reason}")]
    Protocol {
        /// Host and port.
        server: String,
        /// What was wrong.
        reason: String,
    },

    /// Something that cannot be.
    #[error("cannot set up TLS: {0}")]
    Internal(String),
}

impl SoapError {
    /// Whether it can be well later without anybody doing something: try again, with growing pauses.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Dns { .. }
            | Self::Refused { .. }
            | Self::Unreachable { .. }
            | Self::Proxy { .. }
            | Self::Timeout { .. }
            | Self::Closed { .. }
            | Self::Protocol { .. } => true,
            Self::Endpoint { .. }
            | Self::ProxyAddress
            | Self::CertificateCount { .. }
            | Self::Certificate(_)
            | Self::ClientCertificateRefused { .. }
            | Self::ServerCertificate { .. }
            | Self::NotTls { .. }
            | Self::NoAgreement { .. }
            | Self::BodyTooLarge { .. }
            | Self::Redirect { .. }
            | Self::Internal(_) => false,
        }
    }

    /// Whether the whole request may have reached the service.
    pub fn was_sent(&self) -> bool {
        match self {
            Self::Timeout { phase, .. } | Self::Closed { phase, .. } => phase.is_after_sending(),
            Self::BodyTooLarge { .. } | Self::Redirect { .. } | Self::Protocol { .. } => true,
            _ => false,
        }
    }

    /// Whether the service may have done what the request asks for. If not, it has not.
    pub fn may_have_been_applied(&self) -> bool {
        match self {
            // These two say that the request is to be made again, elsewhere.
            Self::Redirect { status, .. } => !matches!(status, 307 | 308),
            _ => self.was_sent(),
        }
    }
}

/// How far a call had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SoapPhase {
    /// Looking up the host's name.
    Resolve,
    /// Connecting.
    Connect,
    /// Agreeing on keys.
    Handshake,
    /// Sending the request: a part of it at the least has not gone out.
    Send,
    /// Waiting for an answer: the request has gone out.
    Wait,
    /// Receiving the answer.
    Receive,
}

impl SoapPhase {
    fn is_after_sending(self) -> bool {
        matches!(self, Self::Wait | Self::Receive)
    }
}

impl fmt::Display for SoapPhase {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Resolve => "looking up the host's address",
            Self::Connect => "connecting",
            Self::Handshake => "agreeing on keys",
            Self::Send => "sending the request",
            Self::Wait => "waiting for the answer",
            Self::Receive => "receiving the answer",
        })
    }
}

/// What a server says of a client certificate, in TLS's own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alert(pub(super) AlertDescription);

impl fmt::Display for Alert {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self.0 {
            AlertDescription::UnknownCA => {
                "it does not know the authority that issued it (unknown_ca)"
            }
            AlertDescription::CertificateExpired => {
                "it has expired, or is not valid yet (certificate_expired)"
            }
            AlertDescription::CertificateRevoked => "it was revoked (certificate_revoked)",
            AlertDescription::CertificateRequired | AlertDescription::NoCertificate => {
                "it wants one and says that it got none (certificate_required)"
            }
            AlertDescription::AccessDenied => "it is not admitted (access_denied)",
            AlertDescription::BadCertificate => "it is not in order (bad_certificate)",
            AlertDescription::UnsupportedCertificate => {
                "it is of a wrong kind (unsupported_certificate)"
            }
            AlertDescription::DecryptError => "its signature does not hold (decrypt_error)",
            AlertDescription::HandshakeFailure => "it gives no reason (handshake_failure)",
            _ => "it gives no reason (certificate_unknown)",
        })
    }
}

/// Why a server is not believed to be the service.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ServerCertificateProblem {
    /// Nobody whom we trust vouches for it.
    #[error(
        "its certificate is of an authority that is not trusted. Somebody may be in between; if it is a proxy of your own, \
         or a test environment, configure its authority as `ca`"
    )]
    UnknownAuthority,
    /// It is another host's.
    #[error("its certificate is for another host. Check the address; somebody may be in between")]
    WrongHost,
    /// It has expired.
    #[error(
        "its certificate has expired. Its operator must renew it; or this machine's clock is wrong"
    )]
    Expired,
    /// It is not valid yet.
    #[error("its certificate is not valid yet. Check this machine's clock")]
    NotYetValid,
    /// It is not in order in another way.
    #[error("its certificate is not in order ({0})")]
    Other(String),
}

fn applied(phase: SoapPhase) -> &'static str {
    match phase.is_after_sending() {
        true => ". The request had gone out, and may have been carried out",
        false => ". The request was not carried out",
    }
}

fn hint(phase: SoapPhase) -> &'static str {
    match phase {
        SoapPhase::Handshake | SoapPhase::Send | SoapPhase::Wait => {
            ". If it always does so, check the client certificate: some servers refuse one without a word"
        }
        _ => "",
    }
}
