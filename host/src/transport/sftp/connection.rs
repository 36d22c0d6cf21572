//! From a host's name to a session that is logged in.

use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use libssh2_sys as raw;
use rustix::net::sockopt;
use ssh2::{Error, ErrorCode, MethodType, Session, Sftp};

use super::super::error::{Operation, TransportError};
use super::super::inbox::Server;
use super::Timeouts;
use super::host_key::{self, Family, Trust, Verdict};
use super::identity::Identity;
use super::offer::Offer;
use super::watchdog::{Limited, Watchdog};

/// A session with a server that was made sure of.
pub(super) struct Connection {
    session: Session,
    watchdog: Watchdog,
}

impl Connection {
    /// Connects and makes sure of the server; nothing is told to it before that.
    ///
    /// A server shows one of its keys, of the family that is asked for first. Where only a fingerprint is known, it
    /// is asked again until it has shown all of its keys.
    pub(super) fn open(
        server: &Server,
        trust: &Trust,
        timeouts: Timeouts,
    ) -> Result<Self, TransportError> {
        let mut families = trust.families();
        let mut offered = Vec::new();
        while !families.is_empty() {
            let connection = match Self::shake_hands(server, &families, timeouts) {
                Err(TransportError::NoCommonAlgorithm { .. }) if !offered.is_empty() => break,
                connected => connected?,
            };
            let key = connection.host_key()?;
            match trust.judge(&key) {
                Verdict::Right => return Ok(connection),
                Verdict::Revoked => {
                    return Err(TransportError::HostKeyRevoked {
                        server: server.address(),
                        offered: host_key::shown(&key),
                    });
                }
                Verdict::Wrong => {}
            }
            offered.push(host_key::shown(&key));
            let before = families.len();
            families.retain(|family| !family.has(&key));
            if !trust.may_know_others() || families.len() == before {
                break;
            }
        }
        let server = server.address();
        Err(match trust.is_empty() {
            true => TransportError::HostKeyUnknown { server, offered },
            false => TransportError::HostKeyChanged { server, offered },
        })
    }

    fn shake_hands(
        server: &Server,
        families: &[&Family],
        timeouts: Timeouts,
    ) -> Result<Self, TransportError> {
        let stream = dial(server, timeouts.connect)?;
        let unreachable = |error| TransportError::Unreachable {
            server: server.address(),
            error,
        };
        let internal = |error: Error| protocol(Operation::Handshake, &error);
        let mut connection = Self {
            session: Session::new().map_err(internal)?,
            watchdog: Watchdog::new(&stream).map_err(unreachable)?,
        };
        let session = &mut connection.session;
        let methods: Vec<_> = families.iter().map(|family| family.methods).collect();
        let methods = methods.join(",");
        for (kind, wanted) in [
            (MethodType::HostKey, methods.as_str()),
            (MethodType::CryptCs, CIPHERS),
            (MethodType::CryptSc, CIPHERS),
        ] {
            session.method_pref(kind, wanted).map_err(internal)?;
        }
        session.set_tcp_stream(stream);
        session.set_timeout(milliseconds(timeouts.login));
        let limit = connection.watchdog.limit(timeouts.login);
        let shaken = connection.session.handshake();
        drop(limit);
        match shaken {
            Ok(()) => Ok(connection),
            Err(error) if error.code() == ErrorCode::Session(raw::LIBSSH2_ERROR_KEX_FAILURE) => {
                Err(connection.disagreement(server, methods, timeouts))
            }
            Err(error) => Err(connection.failed(Operation::Handshake, &error)),
        }
    }

    /// Why no keys were agreed on: the algorithms, or the line.
    fn disagreement(&self, server: &Server, methods: String, timeouts: Timeouts) -> TransportError {
        let operation = Operation::Handshake;
        if self.watchdog.has_bitten() {
            let limit = timeouts.login;
            return TransportError::Timeout { operation, limit };
        }
        let exchanges = self.session.supported_algs(MethodType::Kex);
        let ours = Offer {
            key_exchange: exchanges.unwrap_or_default().join(","),
            host_keys: methods,
            ciphers: CIPHERS.to_owned(),
        };
        let theirs = dial(server, timeouts.connect)
            .ok()
            .and_then(|line| Offer::read(line, timeouts.login).ok());
        match theirs.and_then(|theirs| theirs.nothing_in_common(&ours)) {
            Some(offer) => TransportError::NoCommonAlgorithm {
                server: server.address(),
                offer,
            },
            None => TransportError::Lost { operation },
        }
    }

    fn host_key(&self) -> Result<Vec<u8>, TransportError> {
        match self.session.host_key() {
            Some((key, _)) => Ok(key.to_owned()),
            None => Err(TransportError::Protocol {
                operation: Operation::Handshake,
                reason: "it shows no host key".to_owned(),
            }),
        }
    }

    /// Logs in and starts SFTP.
    pub(super) fn log_in(
        &self,
        server: &Server,
        identity: &Identity,
        limit: Duration,
    ) -> Result<Sftp, TransportError> {
        let _limit = self.limit(limit);
        let logged_in = self.session.userauth_pubkey_memory(
            &server.user,
            None,
            identity.text(),
            identity.passphrase(),
        );
        let refused = || TransportError::KeyRefused {
            server: server.address(),
            user: server.user.clone(),
        };
        if let Err(error) = logged_in {
            return Err(match error.code() {
                ErrorCode::Session(raw::LIBSSH2_ERROR_FILE) => identity.unusable(),
                ErrorCode::Session(raw::LIBSSH2_ERROR_AUTHENTICATION_FAILED) => refused(),
                // It also says so of a server that hung up before it had answered.
                ErrorCode::Session(raw::LIBSSH2_ERROR_PUBLICKEY_UNVERIFIED)
                    if !self.watchdog.has_ended() =>
                {
                    refused()
                }
                _ => self.failed(Operation::Login, &error),
            });
        }
        self.session.sftp().map_err(|error| match error.code() {
            ErrorCode::Session(
                raw::LIBSSH2_ERROR_CHANNEL_FAILURE | raw::LIBSSH2_ERROR_CHANNEL_REQUEST_DENIED,
            ) if !self.watchdog.has_ended() => TransportError::NoSftp {
                server: server.address(),
            },
            _ => self.failed(Operation::Start, &error),
        })
    }

    /// How long libssh2 is to wait from now on, in any one call.
    pub(super) fn patience(&self, limit: Duration) {
        self.session.set_timeout(milliseconds(limit));
    }

    /// What is done until the guard is dropped must take no longer than this.
    pub(super) fn limit(&self, limit: Duration) -> Limited<'_> {
        self.watchdog.limit(limit)
    }

    /// What an error of libssh2's means. Where the connection is of no more use, it is cut off: libssh2 would wait
    /// for a server again and again while it tidies up.
    pub(super) fn failed(&self, operation: Operation, error: &Error) -> TransportError {
        let failed = if self.watchdog.has_bitten() {
            let limit = self.watchdog.last_limit();
            TransportError::Timeout { operation, limit }
        } else if is_timeout(error) {
            let limit = Duration::from_millis(self.session.timeout().into());
            TransportError::Timeout { operation, limit }
        } else if is_lost(error) || self.watchdog.has_ended() {
            // Of many things libssh2 says only that they failed, also when the reason is that the server hung up.
            TransportError::Lost { operation }
        } else {
            protocol(operation, error)
        };
        self.watchdog.cut();
        failed
    }

    /// The last error of the session.
    pub(super) fn last_error(&self) -> Option<Error> {
        Error::last_session_error(&self.session)
    }

    /// Limits how long saying goodbye may take.
    pub(super) fn part(&self) {
        self.session.set_timeout(milliseconds(PARTING));
        self.watchdog.limit_the_rest(PARTING);
    }
}

/// Connects to the first address that answers.
fn dial(server: &Server, limit: Duration) -> Result<TcpStream, TransportError> {
    let begun = Instant::now();
    let timeout = |operation| TransportError::Timeout { operation, limit };
    let mut failure = None;
    for address in resolve(server, limit)? {
        let left = limit.saturating_sub(begun.elapsed());
        if left.is_zero() {
            return Err(timeout(Operation::Connect));
        }
        match TcpStream::connect_timeout(&address, left).and_then(prepared) {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = Some(error),
        }
    }
    let error = failure.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into());
    let server = server.address();
    Err(match error.kind() {
        io::ErrorKind::ConnectionRefused => TransportError::Refused { server },
        io::ErrorKind::TimedOut => timeout(Operation::Connect),
        // It was there, and gone again before connecting had ended.
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::NotConnected
        | io::ErrorKind::BrokenPipe => TransportError::Lost {
            operation: Operation::Connect,
        },
        _ => TransportError::Unreachable { server, error },
    })
}

/// Looks the host up, in a thread because nothing else limits how long a resolver takes.
fn resolve(server: &Server, limit: Duration) -> Result<Vec<SocketAddr>, TransportError> {
    let failed = |error: io::Error| TransportError::Dns {
        host: server.host.clone(),
        reason: error.to_string(),
    };
    let place = (server.host.clone(), server.port);
    let (answer, answered) = mpsc::channel();
    thread::Builder::new()
        .name("cprflow-resolver".to_owned())
        .spawn(move || {
            let addresses = place.to_socket_addrs().map(Iterator::collect);
            // Nobody waits for it any more when it comes too late.
            let _ = answer.send(addresses);
        })
        .map_err(failed)?;
    match answered.recv_timeout(limit) {
        Ok(addresses) => addresses.map_err(failed),
        Err(_) => Err(TransportError::Timeout {
            operation: Operation::Resolve,
            limit,
        }),
    }
}

/// Sets a socket up: requests are small and not to be held back, and a peer that has gone without a word is to be
/// noticed also while nobody reads.
///
/// SSH's own keepalive is not used: when libssh2 has one to send, it forgets to look at its timeouts.
fn prepared(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(&stream, true)?;
    sockopt::set_tcp_keepidle(&stream, KEEPALIVE)?;
    sockopt::set_tcp_keepintvl(&stream, KEEPALIVE)?;
    Ok(stream)
}

fn is_timeout(error: &Error) -> bool {
    matches!(
        error.code(),
        ErrorCode::Session(raw::LIBSSH2_ERROR_TIMEOUT | raw::LIBSSH2_ERROR_SOCKET_TIMEOUT)
    )
}

fn is_lost(error: &Error) -> bool {
    matches!(
        error.code(),
        ErrorCode::Session(
            raw::LIBSSH2_ERROR_BANNER_RECV
                | raw::LIBSSH2_ERROR_BANNER_SEND
                | raw::LIBSSH2_ERROR_SOCKET_SEND
                | raw::LIBSSH2_ERROR_SOCKET_RECV
                | raw::LIBSSH2_ERROR_SOCKET_DISCONNECT
                | raw::LIBSSH2_ERROR_BAD_SOCKET
                | raw::LIBSSH2_ERROR_CHANNEL_CLOSED
                | raw::LIBSSH2_ERROR_CHANNEL_EOF_SENT
        ) | ErrorCode::SFTP(raw::LIBSSH2_FX_NO_CONNECTION | raw::LIBSSH2_FX_CONNECTION_LOST)
    )
}

fn protocol(operation: Operation, error: &Error) -> TransportError {
    let text = error.message().chars().filter(|c| !c.is_control());
    let reason: String = text.take(200).collect();
    TransportError::Protocol {
        operation,
        reason: format!("{reason} ({:?})", error.code()),
    }
}

fn milliseconds(duration: Duration) -> u32 {
    // None would mean to wait forever.
    u32::try_from(duration.as_millis())
        .unwrap_or(u32::MAX)
        .max(1)
}

/// Authenticated ciphers, then counter mode for servers that have none; libssh2 would take CBC too.
const CIPHERS: &str = "aes256-gcm@openssh.com,aes128-gcm@openssh.com,chacha20-poly1305@openssh.com,\
                       aes256-ctr,aes192-ctr,aes128-ctr";

/// How long a goodbye may take.
const PARTING: Duration = Duration::from_secs(3);

const KEEPALIVE: Duration = Duration::from_secs(30);
