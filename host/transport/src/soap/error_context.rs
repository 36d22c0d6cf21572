//! Converts errors of ureq and rustls to [`SoapError`], with the server, the proxy and the timeouts of the client.

use std::io;

use rustls::{AlertDescription, CertificateError as TlsCertificateError, Error as TlsError};
use ureq::Timeout;
use ureq::http::Uri;

use super::error::{Alert, ServerCertificateProblem, SoapError, SoapPhase};
use super::settings::SoapTimeouts;
use super::tls_transport::{self, ConnectionFailure, FailureCause};

/// The characters of a server's or library's text that an error repeats.
const MAX_REASON_CHARS: usize = 200;

/// Returns a text of a server or a library on one line, without anything that can be a person number.
fn redact(text: &str) -> String {
    cprflow_redact::redact(text, MAX_REASON_CHARS)
}

/// The facts about a client that its errors need.
#[derive(Debug)]
pub(super) struct ErrorContext {
    service: HostAndPort,
    proxy: Option<HostAndPort>,
    timeouts: SoapTimeouts,
}

#[derive(Debug)]
struct HostAndPort {
    host: String,
    /// `host:port`.
    address: String,
}

impl HostAndPort {
    fn new(host: &str, port: u16) -> Self {
        Self {
            host: host.to_owned(),
            address: format!("{host}:{port}"),
        }
    }
}

impl ErrorContext {
    pub(super) fn new(endpoint: &Uri, proxy: Option<&ureq::Proxy>, timeouts: SoapTimeouts) -> Self {
        let host = endpoint.host().unwrap_or_default();
        Self {
            service: HostAndPort::new(host, endpoint.port_u16().unwrap_or(443)),
            proxy: proxy.map(|proxy| HostAndPort::new(proxy.host(), proxy.port())),
            timeouts,
        }
    }

    /// Returns host and port of the service.
    pub(super) fn server(&self) -> &str {
        &self.service.address
    }

    /// Converts an error of a call that returned no response.
    pub(super) fn call_error(&self, error: ureq::Error) -> SoapError {
        match tls_transport::connection_failure(error) {
            Ok(failure) => self.connection_error(failure),
            Err(error) => self.ureq_error(error),
        }
    }

    /// Converts an error that happened while the body of a response was read.
    pub(super) fn body_error(&self, error: ureq::Error) -> SoapError {
        let phase = SoapPhase::Receive;
        match tls_transport::connection_failure(error) {
            Ok(failure) => self.connection_error(ConnectionFailure { phase, ..failure }),
            Err(ureq::Error::Timeout(timeout)) => self.timeout(phase, timeout),
            Err(ureq::Error::Io(_) | ureq::Error::BodyStalled) => self.closed(phase),
            Err(error) => self.protocol(&error.to_string()),
        }
    }

    fn connection_error(&self, failure: ConnectionFailure) -> SoapError {
        let phase = failure.phase;
        match failure.cause {
            FailureCause::Timeout(timeout) => self.timeout(phase, timeout),
            FailureCause::Thread(error) => SoapError::Thread {
                server: self.first_target().address.clone(),
                error,
            },
            FailureCause::Io(error) if phase == SoapPhase::Resolve => SoapError::Dns {
                host: self.first_target().host.clone(),
                reason: match error.kind() {
                    io::ErrorKind::NotFound => "the name has no address".to_owned(),
                    _ => redact(&error.to_string()),
                },
            },
            FailureCause::Io(_) => self.closed(phase),
            FailureCause::Tls(error) => {
                self.tls_error(phase, failure.has_server_certificate, &error)
            }
        }
    }

    fn tls_error(
        &self,
        phase: SoapPhase,
        has_server_certificate: bool,
        error: &TlsError,
    ) -> SoapError {
        let server = self.server().to_owned();
        match error {
            TlsError::AlertReceived(alert)
                if has_server_certificate && is_about_client_certificate(*alert) =>
            {
                SoapError::ClientCertificateRefused {
                    server,
                    alert: Alert(*alert),
                }
            }
            TlsError::InvalidCertificate(error) => SoapError::ServerCertificate {
                server,
                problem: server_certificate_problem(error),
            },
            _ if phase != SoapPhase::Handshake => self.closed(phase),
            TlsError::InvalidMessage(_) => SoapError::NotTls { server },
            error => SoapError::NoAgreement {
                server,
                reason: redact(&error.to_string()),
            },
        }
    }

    /// Converts an error of ureq that holds no connection failure.
    fn ureq_error(&self, error: ureq::Error) -> SoapError {
        let server = self.first_target().address.clone();
        match error {
            // A timeout in an earlier phase is a connection failure, so this one happened while waiting.
            ureq::Error::Timeout(timeout) => self.timeout(SoapPhase::Wait, timeout),
            ureq::Error::ConnectProxyFailed(reason) => SoapError::Proxy {
                proxy: server,
                reason: redact(&reason),
            },
            ureq::Error::Io(error) => match error.kind() {
                io::ErrorKind::ConnectionRefused => SoapError::Refused { server },
                // The server closed the connection within the headers of the response.
                io::ErrorKind::UnexpectedEof => self.closed(SoapPhase::Receive),
                // After TLS has started, these errors are connection failures, so this one happened before.
                io::ErrorKind::BrokenPipe
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::NotConnected => match self.proxy {
                    Some(_) => SoapError::Proxy {
                        proxy: server,
                        reason: "it closed the connection".to_owned(),
                    },
                    None => self.closed(SoapPhase::Connect),
                },
                _ => SoapError::Unreachable { server, error },
            },
            error => self.protocol(&error.to_string()),
        }
    }

    /// Returns what the client connects to first: the proxy, or else the service.
    fn first_target(&self) -> &HostAndPort {
        self.proxy.as_ref().unwrap_or(&self.service)
    }

    /// Returns the other side of the connection in this phase: until it is connected, a client talks to the proxy.
    fn peer(&self, phase: SoapPhase) -> String {
        match (&self.proxy, phase) {
            (Some(proxy), SoapPhase::Resolve | SoapPhase::Connect) => {
                format!("the proxy {}", proxy.address)
            }
            _ => self.server().to_owned(),
        }
    }

    fn timeout(&self, phase: SoapPhase, timeout: Timeout) -> SoapError {
        let limit = match timeout {
            Timeout::Global | Timeout::PerCall => self.timeouts.total,
            Timeout::Resolve | Timeout::Connect => self.timeouts.connect,
            _ => self.timeouts.answer,
        };
        SoapError::Timeout {
            server: self.peer(phase),
            phase,
            limit,
        }
    }

    fn closed(&self, phase: SoapPhase) -> SoapError {
        SoapError::Closed {
            server: self.peer(phase),
            phase,
        }
    }

    fn protocol(&self, reason: &str) -> SoapError {
        SoapError::Protocol {
            server: self.server().to_owned(),
            reason: redact(reason),
        }
    }
}

/// Returns whether an alert from a server that has sent its certificate means that it refuses the client's.
fn is_about_client_certificate(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::NoCertificate
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
            | AlertDescription::DecryptError
            | AlertDescription::CertificateRequired
            | AlertDescription::HandshakeFailure
    )
}

fn server_certificate_problem(error: &TlsCertificateError) -> ServerCertificateProblem {
    match error {
        TlsCertificateError::UnknownIssuer => ServerCertificateProblem::UnknownAuthority,
        TlsCertificateError::NotValidForName
        | TlsCertificateError::NotValidForNameContext { .. } => ServerCertificateProblem::WrongHost,
        TlsCertificateError::Expired | TlsCertificateError::ExpiredContext { .. } => {
            ServerCertificateProblem::Expired
        }
        TlsCertificateError::NotValidYet | TlsCertificateError::NotValidYetContext { .. } => {
            ServerCertificateProblem::NotYetValid
        }
        error => ServerCertificateProblem::Other(redact(&format!("{error:?}"))),
    }
}
