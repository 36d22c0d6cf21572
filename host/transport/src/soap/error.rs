//! The errors of calls to the subscription service.

use std::fmt;
use std::io;
use std::time::Duration;

use rustls::AlertDescription;

use super::certificate::CertificateError;
use super::endpoint::EndpointProblem;
use crate::HELPDESK;

/// Why a call to the subscription service has no response.
///
/// No variant holds a secret, or anything of a request or a response body. Texts that come from a server are stripped of
/// control characters and person numbers, and cut to a fixed length.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SoapError {
    /// The address of the service is not valid.
    #[error(
        "the address of the subscription service cannot be used: {problem}. Configure an address like \
         https://prod.serviceplatformen.dk/service/…"
    )]
    Endpoint {
        /// Why.
        problem: EndpointProblem,
    },

    /// The address of the proxy is not valid.
    #[error(
        "the address of the proxy cannot be used. Configure http://host:port, or http://user:password@host:port"
    )]
    ProxyAddress,

    /// Too many client certificates are configured, or none.
    #[error(
        "{found} client certificates are configured. Configure one, or two while a new one replaces an old one"
    )]
    CertificateCount {
        /// The number of configured certificates.
        found: usize,
    },

    /// A client certificate or a file of authorities cannot be used.
    #[error(transparent)]
    Certificate(#[from] CertificateError),

    /// The host's name has no address.
    #[error(
        "cannot find the address of {host}: {reason}. Check the host name and the DNS of this machine"
    )]
    Dns {
        /// The host: that of the proxy, if one is configured.
        host: String,
        /// The resolver's error.
        reason: String,
    },

    /// The system refuses to start a thread.
    #[error(
        "cannot start a thread for the connection to {server}: {error}. The system allows this user too few processes or \
         threads: raise the limit (`ulimit -u`, or TasksMax= of the systemd unit)"
    )]
    Thread {
        /// Host and port: those of the proxy, if one is configured.
        server: String,
        /// The system's error.
        #[source]
        error: io::Error,
    },

    /// The host is reachable and nothing listens on the port.
    #[error(
        "{server} refuses the connection: nothing listens on that port. Check host and port. If they are right, the \
         service may be down for maintenance: try again later"
    )]
    Refused {
        /// Host and port: those of the proxy, if one is configured.
        server: String,
    },

    /// The host cannot be reached.
    #[error(
        "cannot reach {server}: {error}. Check the network and its firewalls. The service may also accept connections only \
         from registered addresses"
    )]
    Unreachable {
        /// Host and port: those of the proxy, if one is configured.
        server: String,
        /// The system's error.
        #[source]
        error: io::Error,
    },

    /// The proxy does not connect to the service.
    #[error(
        "the proxy {proxy} does not connect to the subscription service: {reason}. Check the proxy's address, and whether \
         it allows this connection"
    )]
    Proxy {
        /// Host and port.
        proxy: String,
        /// The proxy's answer.
        reason: String,
    },

    /// A phase of the call took too long.
    #[error("{server}: {phase} took longer than {limit:?}, so cprflow gave up{}", outcome(*phase))]
    Timeout {
        /// Host and port of the service, or of the proxy.
        server: String,
        /// The phase that took too long.
        phase: SoapPhase,
        /// The limit that was reached.
        limit: Duration,
    },

    /// The server closed the connection before it sent a complete response.
    #[error(
        "{server} closed the connection while {phase}{}{}", outcome(*phase), certificate_hint(*phase)
    )]
    Closed {
        /// Host and port of the service, or of the proxy.
        server: String,
        /// The phase in which the connection ended.
        phase: SoapPhase,
    },

    /// The server does not accept the client certificate.
    #[error(
        "{server} does not accept the client certificate: {alert}. Check that this certificate is registered with the IT \
         system in this environment and is not revoked, and that its file also holds the issuing authority's certificate"
    )]
    ClientCertificateRefused {
        /// Host and port of the service.
        server: String,
        /// The server's reason.
        alert: Alert,
    },

    /// The server's certificate cannot be trusted.
    #[error("{server} has no trusted certificate, so nothing was sent to it: {problem}")]
    ServerCertificate {
        /// Host and port of the service.
        server: String,
        /// Why.
        problem: ServerCertificateProblem,
    },

    /// The server does not use TLS.
    #[error(
        "{server} does not speak TLS, so nothing was sent to it. Check the port, and whether a proxy answers instead of \
         the service"
    )]
    NotTls {
        /// Host and port of the service.
        server: String,
    },

    /// The two sides have no TLS version or cipher in common, or the server breaks the rules of TLS.
    #[error(
        "no TLS connection with {server}: {reason}. Nothing was sent to it. The server must support TLS 1.2 or 1.3 with \
         forward secrecy: ask its operator"
    )]
    NoAgreement {
        /// Host and port of the service.
        server: String,
        /// Why.
        reason: String,
    },

    /// The response body is too large.
    #[error(
        "the response of {server} has more than {limit} bytes, the limit, and was rejected. Check the address of the \
         service. If it is right, ask the platform's helpdesk ({HELPDESK})"
    )]
    BodyTooLarge {
        /// Host and port of the service.
        server: String,
        /// The limit in bytes.
        limit: u64,
    },

    /// The server redirects to another address.
    #[error(
        "{server} answers with a redirect (HTTP {status}). cprflow does not follow it, because the request holds person \
         numbers. Check the address; if the service has moved, configure the new one"
    )]
    Redirect {
        /// Host and port of the service.
        server: String,
        /// The HTTP status.
        status: u16,
    },

    /// The response is not valid HTTP.
    #[error(
        "{server} does not answer with valid HTTP: {reason}. Check that the address is that of the subscription service"
    )]
    Protocol {
        /// Host and port of the service.
        server: String,
        /// What is not valid.
        reason: String,
    },

    /// TLS cannot be set up on this side. This is a bug.
    #[error(
        "internal error: cannot set up TLS: {reason}. Please report this with the output of `cprflow --version`"
    )]
    TlsSetup {
        /// Why.
        reason: String,
    },
}

impl SoapError {
    /// Returns whether the error can go away by itself. If so, try again, with growing pauses.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Dns { .. }
            | Self::Refused { .. }
            | Self::Unreachable { .. }
            | Self::Proxy { .. }
            | Self::Timeout { .. }
            | Self::Closed { .. }
            | Self::Protocol { .. } => true,
            Self::Thread { .. }
            | Self::Endpoint { .. }
            | Self::ProxyAddress
            | Self::CertificateCount { .. }
            | Self::Certificate(_)
            | Self::ClientCertificateRefused { .. }
            | Self::ServerCertificate { .. }
            | Self::NotTls { .. }
            | Self::NoAgreement { .. }
            | Self::BodyTooLarge { .. }
            | Self::Redirect { .. }
            | Self::TlsSetup { .. } => false,
        }
    }

    /// Returns whether the complete request may have reached the service.
    pub fn was_sent(&self) -> bool {
        match self {
            Self::Timeout { phase, .. } | Self::Closed { phase, .. } => phase.is_after_sending(),
            Self::BodyTooLarge { .. } | Self::Redirect { .. } | Self::Protocol { .. } => true,
            _ => false,
        }
    }

    /// Returns whether the service may have carried out the request. `false` means that it certainly has not.
    pub fn may_have_been_applied(&self) -> bool {
        match self {
            // With these statuses, the server asks for the same request at another address.
            Self::Redirect { status, .. } => !matches!(status, 307 | 308),
            _ => self.was_sent(),
        }
    }
}

/// The phase of a call in which an error happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SoapPhase {
    /// Looking up the host's address.
    Resolve,
    /// Connecting to the host.
    Connect,
    /// The TLS handshake, in which both sides agree on keys.
    Handshake,
    /// Sending the request. The request is incomplete: at least a part of it was not sent.
    Send,
    /// Waiting for the response. The complete request was sent.
    Wait,
    /// Receiving the response.
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

/// The reason for which a server refuses a client certificate. `Display` also gives the alert's name in TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alert(pub(super) AlertDescription);

impl fmt::Display for Alert {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self.0 {
            AlertDescription::UnknownCA => {
                "it does not know the authority that issued it (unknown_ca)"
            }
            AlertDescription::CertificateExpired => {
                "the certificate has expired, or is not valid yet (certificate_expired)"
            }
            AlertDescription::CertificateRevoked => {
                "the certificate was revoked (certificate_revoked)"
            }
            AlertDescription::CertificateRequired | AlertDescription::NoCertificate => {
                "it requires a certificate and reports that it got none (certificate_required)"
            }
            AlertDescription::AccessDenied => {
                "the certificate does not give access (access_denied)"
            }
            AlertDescription::BadCertificate => "the certificate is damaged (bad_certificate)",
            AlertDescription::UnsupportedCertificate => {
                "the certificate is of an unsupported kind (unsupported_certificate)"
            }
            AlertDescription::DecryptError => {
                "a signature with its key could not be verified (decrypt_error)"
            }
            AlertDescription::HandshakeFailure => "it gives no reason (handshake_failure)",
            _ => "it gives no reason (certificate_unknown)",
        })
    }
}

/// Why the certificate of a server cannot be trusted. `Display` gives a clause and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ServerCertificateProblem {
    /// The certificate was issued by an authority that is not trusted.
    #[error(
        "its certificate is from an authority that is not trusted. Somebody may intercept the connection. If it is a \
         proxy of your own or a test environment, configure its authority as `ca`"
    )]
    UnknownAuthority,
    /// The certificate is for another host.
    #[error(
        "its certificate is for another host. Check the address; if it is right, somebody may intercept the connection"
    )]
    WrongHost,
    /// The certificate has expired.
    #[error(
        "its certificate has expired. Check the clock of this machine; if it is right, the server's operator must renew \
         the certificate"
    )]
    Expired,
    /// The certificate is not valid yet.
    #[error("its certificate is not valid yet. Check the clock of this machine")]
    NotYetValid,
    /// The certificate has another error. The value is the error's name in rustls.
    #[error("its certificate has an error ({0}). Ask the server's operator to correct it")]
    Other(String),
}

fn outcome(phase: SoapPhase) -> &'static str {
    match phase.is_after_sending() {
        true => {
            ". The request was sent and may have been carried out: check before you send a change again"
        }
        false => ". The request was not carried out: try again later",
    }
}

fn certificate_hint(phase: SoapPhase) -> &'static str {
    match phase {
        SoapPhase::Handshake | SoapPhase::Send | SoapPhase::Wait => {
            ". If it happens again, check the client certificate: some servers refuse one without giving a reason"
        }
        _ => "",
    }
}
