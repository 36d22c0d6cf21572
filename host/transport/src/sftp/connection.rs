//! SSH connections: address lookup, TCP, handshake, host key check and login.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use libssh2_sys as raw;
use rustix::net::sockopt;
use ssh2::{Error, ErrorCode, MethodType, Session, Sftp};

use super::auth_methods;
use super::kex_probe::KexOffer;
use super::private_key::PrivateKey;
use super::settings::Timeouts;
use super::trusted_keys::{KeyStatus, KeyType, TrustedKeys, host_key};
use super::watchdog::{LimitGuard, Watchdog};
use crate::error::{Operation, TransportError};
use crate::inbox::Server;

/// An SSH connection to a server whose host key is trusted.
pub(super) struct Connection {
    session: Session,
    watchdog: Watchdog,
    /// Host and port, for error texts.
    server: String,
}

impl Connection {
    /// Connects to a server and checks its host key, before anything about the client is sent.
    ///
    /// A server shows only one of its keys, of the first requested type that it has. If a fingerprint is configured, the
    /// type of its key is not known, so this connects again until the server has shown all of its keys.
    pub(super) fn open(
        server: &Server,
        trusted: &TrustedKeys,
        timeouts: Timeouts,
    ) -> Result<Self, TransportError> {
        let mut key_types = trusted.key_types();
        let mut offered = Vec::new();
        while !key_types.is_empty() {
            let connection = match Self::handshake(server, &key_types, timeouts) {
                Err(TransportError::NoCommonAlgorithm { .. }) if !offered.is_empty() => break,
                connected => connected?,
            };
            let key = connection.host_key()?;
            match trusted.check(&key) {
                KeyStatus::Trusted => return Ok(connection),
                KeyStatus::Revoked => {
                    return Err(TransportError::HostKeyRevoked {
                        server: server.address(),
                        offered: host_key(&key),
                    });
                }
                KeyStatus::Unknown => {}
            }
            offered.push(host_key(&key));
            let before = key_types.len();
            key_types.retain(|key_type| !key_type.matches(&key));
            if !trusted.may_trust_other_types() || key_types.len() == before {
                break;
            }
        }
        let server = server.address();
        Err(match trusted.is_empty() {
            true => TransportError::HostKeyUnknown { server, offered },
            false => TransportError::HostKeyChanged { server, offered },
        })
    }

    fn handshake(
        server: &Server,
        key_types: &[&KeyType],
        timeouts: Timeouts,
    ) -> Result<Self, TransportError> {
        let stream = connect_tcp(server, timeouts.connect)?;
        let internal =
            |error: Error| protocol_error(&server.address(), Operation::Handshake, &error);
        let mut connection = Self {
            session: Session::new().map_err(internal)?,
            watchdog: Watchdog::new(&stream, server)?,
            server: server.address(),
        };
        let session = &mut connection.session;
        let algorithms: Vec<_> = key_types
            .iter()
            .map(|key_type| key_type.algorithms)
            .collect();
        let algorithms = algorithms.join(",");
        for (kind, wanted) in [
            (MethodType::HostKey, algorithms.as_str()),
            (MethodType::CryptCs, CIPHERS),
            (MethodType::CryptSc, CIPHERS),
            (MethodType::MacCs, MACS),
            (MethodType::MacSc, MACS),
        ] {
            session.method_pref(kind, wanted).map_err(internal)?;
        }
        session.set_tcp_stream(stream);
        session.set_timeout(milliseconds(timeouts.login));
        let limit = connection.watchdog.limit(timeouts.login);
        let handshake = connection.session.handshake();
        drop(limit);
        match handshake {
            Ok(()) => Ok(connection),
            Err(error) if error.code() == ErrorCode::Session(raw::LIBSSH2_ERROR_KEX_FAILURE) => {
                Err(connection.key_exchange_error(server, algorithms, timeouts))
            }
            Err(error) => Err(connection.failed(Operation::Handshake, &error)),
        }
    }

    /// Finds out why the key exchange failed: a timeout, no common algorithm, or a lost connection.
    fn key_exchange_error(
        &self,
        server: &Server,
        algorithms: String,
        timeouts: Timeouts,
    ) -> TransportError {
        if self.watchdog.has_timed_out() {
            return self.timeout(Operation::Handshake, timeouts.login);
        }
        let key_exchange = self.session.supported_algs(MethodType::Kex);
        let ours = KexOffer {
            key_exchange: key_exchange.unwrap_or_default().join(","),
            host_keys: algorithms,
            ciphers: CIPHERS.to_owned(),
            macs: MACS.to_owned(),
        };
        let theirs = connect_tcp(server, timeouts.connect)
            .ok()
            .and_then(|stream| KexOffer::read(stream, timeouts.login).ok());
        match theirs.and_then(|theirs| theirs.disjoint_list(&ours)) {
            Some(offer) => TransportError::NoCommonAlgorithm {
                server: server.address(),
                offer,
            },
            None => self.lost(Operation::Handshake),
        }
    }

    fn host_key(&self) -> Result<Vec<u8>, TransportError> {
        match self.session.host_key() {
            Some((key, _)) => Ok(key.to_owned()),
            None => Err(TransportError::Protocol {
                server: self.server.clone(),
                operation: Operation::Handshake,
                what: None,
                reason: "it showed no host key".to_owned(),
            }),
        }
    }

    /// Logs in and starts SFTP.
    pub(super) fn log_in(
        &self,
        server: &Server,
        key: &PrivateKey,
        limit: Duration,
    ) -> Result<Sftp, TransportError> {
        let _limit = self.limit(limit);
        let accepted = self.auth_methods(&server.user)?;
        if let Some(accepted) = &accepted {
            self.log_in_with_key(server, key, accepted)?;
        }
        self.session.sftp().map_err(|error| match error.code() {
            ErrorCode::Session(
                raw::LIBSSH2_ERROR_CHANNEL_FAILURE | raw::LIBSSH2_ERROR_CHANNEL_REQUEST_DENIED,
            ) if !self.watchdog.has_ended() => TransportError::NoSftp {
                server: server.address(),
            },
            _ => match self.text_before_sftp() {
                Some(text) => TransportError::TextBeforeSftp {
                    server: server.address(),
                    user: server.user.clone(),
                    text,
                },
                None => self.failed(Operation::Start, &error),
            },
        })
    }

    /// Returns the ways of logging in that the server accepts now, or `None` if the user is logged in already.
    fn auth_methods(&self, user: &str) -> Result<Option<String>, TransportError> {
        auth_methods::auth_methods(&self.session, user)
            .map_err(|error| self.failed(Operation::Login, &error))
    }

    /// Logs in with the key. An RSA key never signs with SHA-1.
    fn log_in_with_key(
        &self,
        server: &Server,
        key: &PrivateKey,
        accepted: &str,
    ) -> Result<(), TransportError> {
        let rsa = key.rsa_public_key();
        // libssh2 takes the kind of signature from the text of the public key. Without such a text, it would sign with
        // SHA-1 for a server that does not list the kinds of signatures that it knows.
        let offers: Vec<Option<String>> = match &rsa {
            Some(rsa) => RSA_SIGNATURES
                .iter()
                .map(|signature| Some(format!("{signature} {rsa}")))
                .collect(),
            None => vec![None],
        };
        for offer in offers {
            let logged_in = self.session.userauth_pubkey_memory(
                &server.user,
                offer.as_deref(),
                key.text(),
                key.passphrase(),
            );
            let Err(error) = logged_in else { return Ok(()) };
            match error.code() {
                ErrorCode::Session(raw::LIBSSH2_ERROR_FILE) => return Err(key.unusable_key_error()),
                // The server accepts the key, and libssh2 cannot sign with it.
                ErrorCode::Session(raw::LIBSSH2_ERROR_KEYFILE_AUTH_FAILED) => {
                    return Err(key.unusable_key_error());
                }
                _ if error.message() == CANNOT_SIGN => return Err(key.unusable_key_error()),
                ErrorCode::Session(
                    raw::LIBSSH2_ERROR_AUTHENTICATION_FAILED | raw::LIBSSH2_ERROR_METHOD_NONE,
                ) => {}
                // libssh2 reports the same if the server closed the connection before it answered.
                ErrorCode::Session(raw::LIBSSH2_ERROR_PUBLICKEY_UNVERIFIED)
                    if !self.watchdog.has_ended() => {}
                _ => {
                    return Err(lost_with(
                        rsa.as_ref(),
                        self.failed(Operation::Login, &error),
                    ));
                }
            }
            // A server that has accepted the key and demands more does not list keys any more.
            let methods = self.auth_methods(&server.user);
            let methods = methods.map_err(|error| lost_with(rsa.as_ref(), error))?;
            let methods = methods.unwrap_or_default();
            let (server, user) = (server.address(), server.user.clone());
            if has_key_login(&methods) {
                continue;
            }
            return Err(match has_key_login(accepted) {
                true => TransportError::MoreThanKey {
                    server,
                    user,
                    methods,
                },
                false => TransportError::NoKeyLogin {
                    server,
                    user,
                    methods,
                },
            });
        }
        let (server, user) = (server.address(), server.user.clone());
        Err(match rsa {
            Some(_) => TransportError::RsaKeyRefused { server, user },
            None => TransportError::KeyRefused { server, user },
        })
    }

    /// Returns the text that a login script on the server prints before SFTP begins, or `None` if it prints none. Starts
    /// SFTP once more, because libssh2 does not say what it received.
    fn text_before_sftp(&self) -> Option<String> {
        if self.watchdog.has_timed_out() || self.watchdog.has_ended() {
            return None;
        }
        let before = self.session.timeout();
        self.session.set_timeout(milliseconds(TEXT_TIMEOUT));
        let text = self.first_answer();
        self.session.set_timeout(before);
        let text = text.ok()?;
        // A packet of SFTP begins with its length in four bytes; the first is 0 for any reasonable length.
        let is_text = text.first().is_some_and(|first| *first != 0);
        let text = String::from_utf8_lossy(&text);
        let shown = match text.trim() {
            "" => "an empty line".to_owned(),
            text => cprflow_redact::redact(text, MAX_REASON_CHARS),
        };
        is_text.then_some(shown)
    }

    fn first_answer(&self) -> io::Result<Vec<u8>> {
        let mut channel = self.session.channel_session()?;
        channel.subsystem("sftp")?;
        channel.write_all(SFTP_INIT)?;
        let mut answer = vec![0; MAX_REASON_CHARS];
        let read = channel.read(&mut answer)?;
        answer.truncate(read);
        Ok(answer)
    }

    /// Sets the timeout of libssh2 for each of the following calls.
    pub(super) fn set_timeout(&self, limit: Duration) {
        self.session.set_timeout(milliseconds(limit));
    }

    /// Shuts the connection down if the returned guard is not dropped within the limit.
    pub(super) fn limit(&self, limit: Duration) -> LimitGuard<'_> {
        self.watchdog.limit(limit)
    }

    /// Converts an error of libssh2 that ends the connection, and shuts the connection down. Otherwise libssh2 would
    /// wait for the server several more times while it frees its objects.
    pub(super) fn failed(&self, operation: Operation, error: &Error) -> TransportError {
        let failure = if self.watchdog.has_timed_out() {
            self.timeout(operation, self.watchdog.last_limit())
        } else if is_timeout(error) {
            let limit = Duration::from_millis(self.session.timeout().into());
            self.timeout(operation, limit)
        } else if is_lost(error) || self.watchdog.has_ended() {
            // For many operations libssh2 reports only a failure, even if the server closed the connection.
            self.lost(operation)
        } else {
            protocol_error(&self.server, operation, error)
        };
        self.watchdog.shut_down();
        failure
    }

    /// Returns the error for a connection that ended.
    pub(super) fn lost(&self, operation: Operation) -> TransportError {
        TransportError::Lost {
            server: self.server.clone(),
            operation,
            what: None,
        }
    }

    fn timeout(&self, operation: Operation, limit: Duration) -> TransportError {
        TransportError::Timeout {
            server: self.server.clone(),
            operation,
            what: None,
            limit,
        }
    }

    /// Returns host and port of the server.
    pub(super) fn server(&self) -> &str {
        &self.server
    }

    /// Returns the last error of the SSH session.
    pub(super) fn last_error(&self) -> Option<Error> {
        Error::last_session_error(&self.session)
    }

    /// Limits the time for closing the connection to [`CLOSE_TIMEOUT`]. Call it before the SFTP session is dropped.
    pub(super) fn limit_close(&self) {
        self.session.set_timeout(milliseconds(CLOSE_TIMEOUT));
        self.watchdog.set_deadline(CLOSE_TIMEOUT);
    }
}

/// Opens a TCP connection to the first address of the host that accepts it.
fn connect_tcp(server: &Server, limit: Duration) -> Result<TcpStream, TransportError> {
    let started = Instant::now();
    let timeout = || TransportError::Timeout {
        server: server.address(),
        operation: Operation::Connect,
        what: None,
        limit,
    };
    let mut failure = None;
    for address in resolve(server, limit)? {
        let left = limit.saturating_sub(started.elapsed());
        if left.is_zero() {
            return Err(timeout());
        }
        match TcpStream::connect_timeout(&address, left).and_then(with_socket_options) {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = Some(error),
        }
    }
    let error = failure.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into());
    Err(match error.kind() {
        io::ErrorKind::ConnectionRefused => TransportError::Refused {
            server: server.address(),
        },
        io::ErrorKind::TimedOut => timeout(),
        // The host accepted the connection and closed it again before the socket was set up.
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::NotConnected
        | io::ErrorKind::BrokenPipe => TransportError::Lost {
            server: server.address(),
            operation: Operation::Connect,
            what: None,
        },
        _ => TransportError::Unreachable {
            server: server.address(),
            error,
        },
    })
}

/// Says that a connection was lost because of an RSA key, if there is one and that is possible.
fn lost_with(rsa: Option<&String>, error: TransportError) -> TransportError {
    match error {
        TransportError::Lost { server, .. } if rsa.is_some() => {
            TransportError::LostAtRsaLogin { server }
        }
        error => error,
    }
}

/// Looks up the addresses of the host. It does so in a thread, because the system's resolver has no time limit.
fn resolve(server: &Server, limit: Duration) -> Result<Vec<SocketAddr>, TransportError> {
    let failed = |error: io::Error| TransportError::Dns {
        host: server.host.clone(),
        reason: error.to_string(),
    };
    let host_and_port = (server.host.clone(), server.port);
    let (sender, receiver) = mpsc::channel();
    thread::Builder::new()
        .name("cprflow-resolver".to_owned())
        .spawn(move || {
            let addresses = host_and_port.to_socket_addrs().map(Iterator::collect);
            // Sending fails if the limit has passed and the caller has stopped waiting.
            let _ = sender.send(addresses);
        })
        .map_err(|error| TransportError::Thread {
            server: server.address(),
            error,
        })?;
    match receiver.recv_timeout(limit) {
        Ok(addresses) => addresses.map_err(failed),
        Err(_) => Err(TransportError::Timeout {
            server: server.address(),
            operation: Operation::Resolve,
            what: None,
            limit,
        }),
    }
}

/// Sets the options of a socket. It sends small requests at once, and TCP keepalive detects a dead peer even while nothing
/// is read.
///
/// SSH's own keepalive is not used: libssh2 does not check its timeouts while it has a keepalive to send.
fn with_socket_options(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(&stream, true)?;
    sockopt::set_tcp_keepidle(&stream, KEEPALIVE_INTERVAL)?;
    sockopt::set_tcp_keepintvl(&stream, KEEPALIVE_INTERVAL)?;
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

fn protocol_error(server: &str, operation: Operation, error: &Error) -> TransportError {
    let text = error.message().chars().filter(|c| !c.is_control());
    let reason: String = text.take(MAX_REASON_CHARS).collect();
    TransportError::Protocol {
        server: server.to_owned(),
        operation,
        what: None,
        reason: format!("{reason} ({:?})", error.code()),
    }
}

/// Returns whether a list of ways of logging in has the one with a key.
fn has_key_login(methods: &str) -> bool {
    methods.split(',').any(|method| method == "publickey")
}

fn milliseconds(duration: Duration) -> u32 {
    // Zero would mean no limit.
    u32::try_from(duration.as_millis())
        .unwrap_or(u32::MAX)
        .max(1)
}

/// The accepted ciphers: authenticated ones, then counter mode for servers that have no other. By default, libssh2 would
/// also accept CBC.
const CIPHERS: &str = "aes256-gcm@openssh.com,aes128-gcm@openssh.com,chacha20-poly1305@openssh.com,\
                       aes256-ctr,aes192-ctr,aes128-ctr";

/// The accepted checksums (MACs) for ciphers that do not authenticate. By default, libssh2 would also accept SHA-1.
const MACS: &str =
    "hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,hmac-sha2-256,hmac-sha2-512";

/// The time limit for closing a connection.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);

/// The message of libssh2 if it cannot read the private key while it makes a signature.
const CANNOT_SIGN: &str = "Callback returned error";

/// The kinds of RSA signatures that cprflow makes, best first.
const RSA_SIGNATURES: [&str; 2] = ["rsa-sha2-512", "rsa-sha2-256"];

/// The time limit for finding out whether the server sends text instead of SFTP.
const TEXT_TIMEOUT: Duration = Duration::from_secs(5);

/// The first packet of SFTP from a client: its length, `SSH_FXP_INIT`, and version 3.
const SFTP_INIT: &[u8] = &[0, 0, 0, 5, 1, 0, 0, 0, 3];

/// The time between TCP keepalive probes on an idle connection.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);

/// The characters of a server's message that an error text repeats.
const MAX_REASON_CHARS: usize = 200;
