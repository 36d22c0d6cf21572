//! What an error of ureq's and rustls' means at this place: to whom, through what, after how long.

use std::io;

use rustls::{AlertDescription, CertificateError as TlsCertificateError, Error as TlsError};
use ureq::Timeout;
use ureq::http::Uri;

use super::error::{Alert, ServerCertificateProblem, SoapError, SoapPhase};
use super::line::{self, Broken, Cause};
use super::settings::SoapTimeouts;

/// Whom we talk to, and how long we wait: what errors need to know.
#[derive(Debug)]
pub(super) struct Place {
    host: String,
    server: String,
    proxy: Option<(String, String)>,
    timeouts: SoapTimeouts,
}

impl Place {
    pub(super) fn new(endpoint: &Uri, proxy: Option<&ureq::Proxy>, timeouts: SoapTimeouts) -> Self {
        let host = endpoint.host().unwrap_or_default();
        Self {
            host: host.to_owned(),
            server: format!("{host}:{}", endpoint.port_u16().unwrap_or(443)),
            proxy: proxy.map(|proxy| {
                let host = proxy.host().to_owned();
                let address = format!("{host}:{}", proxy.port());
                (host, address)
            }),
            timeouts,
        }
    }

    /// Host and port of the service.
    pub(super) fn server(&self) -> &str {
        &self.server
    }

    /// What an error means that came instead of an answer.
    pub(super) fn failed(&self, error: ureq::Error) -> SoapError {
        match line::broken(error) {
            Ok(broken) => self.broken(broken),
            Err(error) => self.unbroken(error),
        }
    }

    /// What an error means that came in the middle of an answer.
    pub(super) fn failed_in_body(&self, error: ureq::Error) -> SoapError {
        let phase = SoapPhase::Receive;
        match line::broken(error) {
            Ok(broken) => self.broken(Broken { phase, ..broken }),
            Err(ureq::Error::Timeout(timeout)) => self.timeout(phase, timeout),
            Err(ureq::Error::Io(_) | ureq::Error::BodyStalled) => self.closed(phase),
            Err(error) => self.protocol(&error.to_string()),
        }
    }

    fn broken(&self, broken: Broken) -> SoapError {
        let Broken {
            phase,
            knows_server,
            cause,
        } = broken;
        match cause {
            Cause::Timeout(timeout) => self.timeout(phase, timeout),
            Cause::Io(error) if phase == SoapPhase::Resolve => SoapError::Dns {
                host: self.first_stop().0,
                reason: match error.kind() {
                    io::ErrorKind::NotFound => "it has none".to_owned(),
                    _ => tame(&error.to_string()),
                },
            },
            Cause::Io(_) => self.closed(phase),
            Cause::Tls(error) => self.tls(phase, knows_server, &error),
        }
    }

    fn tls(&self, phase: SoapPhase, knows_server: bool, error: &TlsError) -> SoapError {
        let server = self.server.clone();
        match error {
            TlsError::AlertReceived(alert) if knows_server && is_about_client(*alert) => {
                SoapError::ClientCertificateRefused {
                    server,
                    alert: Alert(*alert),
                }
            }
            TlsError::InvalidCertificate(error) => SoapError::ServerCertificate {
                server,
                problem: server_problem(error),
            },
            _ if phase != SoapPhase::Handshake => self.closed(phase),
            TlsError::InvalidMessage(_) => SoapError::NotTls { server },
            error => SoapError::NoAgreement {
                server,
                reason: tame(&error.to_string()),
            },
        }
    }

    /// What an error of ureq's means that is not about the line to the service.
    fn unbroken(&self, error: ureq::Error) -> SoapError {
        let (_, server) = self.first_stop();
        match error {
            // Looking up, connecting, agreeing on keys and sending say so themselves: what is left is waiting.
            ureq::Error::Timeout(timeout) => self.timeout(SoapPhase::Wait, timeout),
            ureq::Error::ConnectProxyFailed(reason) => SoapError::Proxy {
                proxy: server,
                reason: tame(&reason),
            },
            ureq::Error::Io(error) => match error.kind() {
                io::ErrorKind::ConnectionRefused => SoapError::Refused { server },
                // The server hung up in the middle of the answer's head.
                io::ErrorKind::UnexpectedEof => self.closed(SoapPhase::Receive),
                // Later ones come as `Broken`: these are from before TLS.
                io::ErrorKind::BrokenPipe
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::NotConnected => match self.proxy {
                    Some(_) => SoapError::Proxy {
                        proxy: server,
                        reason: "it hung up".to_owned(),
                    },
                    None => self.closed(SoapPhase::Connect),
                },
                _ => SoapError::Unreachable { server, error },
            },
            error => self.protocol(&error.to_string()),
        }
    }

    /// Who is connected to first: the proxy, or the service itself.
    fn first_stop(&self) -> (String, String) {
        let direct = || (self.host.clone(), self.server.clone());
        self.proxy.clone().unwrap_or_else(direct)
    }

    fn timeout(&self, phase: SoapPhase, timeout: Timeout) -> SoapError {
        let limit = match timeout {
            Timeout::Global | Timeout::PerCall => self.timeouts.total,
            Timeout::Resolve | Timeout::Connect => self.timeouts.connect,
            _ => self.timeouts.answer,
        };
        SoapError::Timeout { phase, limit }
    }

    fn closed(&self, phase: SoapPhase) -> SoapError {
        SoapError::Closed {
            server: self.server.clone(),
            phase,
        }
    }

    fn protocol(&self, reason: &str) -> SoapError {
        SoapError::Protocol {
            server: self.server.clone(),
            reason: tame(reason),
        }
    }
}

/// Whether a server that has shown its certificate says with this that it does not take ours.
fn is_about_client(alert: AlertDescription) -> bool {
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

fn server_problem(error: &TlsCertificateError) -> ServerCertificateProblem {
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
        error => ServerCertificateProblem::Other(tame(&format!("{error:?}"))),
    }
}

/// A text that others have a part in: short, of one line, and without long numbers, which could be persons'.
fn tame(text: &str) -> String {
    let mut tamed = String::new();
    let text: String = text.chars().filter(|c| !c.is_control()).take(200).collect();
    let mut rest = text.as_str();
    while let Some(first) = rest.chars().next() {
        let is_digit = first.is_ascii_digit();
        let end = rest.find(|c: char| c.is_ascii_digit() != is_digit);
        let (piece, left) = rest.split_at(end.unwrap_or(rest.len()));
        tamed.push_str(if is_digit && piece.len() > 5 {
            "…"
        } else {
            piece
        });
        rest = left;
    }
    tamed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_numbers_and_control_characters_do_not_come_through() {
        let tamed = tame("HTTP/9 \u{1b}[31m0101010101 & 404\r\nX");
        assert_eq!(tamed, "HTTP/9 [31m… & 404X");
        assert_eq!(tame(&"é".repeat(1000)).chars().count(), 200);
    }
}
