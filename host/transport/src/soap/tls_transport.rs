//! TLS on ureq's sockets, with errors that say how far the call had come.
//!
//! ureq has TLS support of its own, but then reports only that a connection failed. The caller must know whether the
//! request had been sent, because that decides whether it may be sent again. It should also know why the server closed
//! the connection, which is often in a TLS alert that has not been read yet. Therefore this module connects rustls to
//! ureq itself. Each failure is a [`ConnectionFailure`] with both facts.

use std::fmt;
use std::io::{self, Write};
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, mpsc};
use std::thread;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::time::{Duration, Instant};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout,
    Transport as UreqTransport, TransportAdapter,
};

use super::error::SoapPhase;

/// A failed connection. It is passed through ureq inside [`Error::Other`].
#[derive(Debug)]
pub(super) struct ConnectionFailure {
    /// The phase of the call.
    pub(super) phase: SoapPhase,
    /// Whether the server had sent its certificate. Alerts about certificates after that are about the client's.
    pub(super) has_server_certificate: bool,
    pub(super) cause: FailureCause,
}

/// The error behind a failed connection.
#[derive(Debug)]
pub(super) enum FailureCause {
    Timeout(ureq::Timeout),
    Tls(rustls::Error),
    Io(io::Error),
    /// The system refuses to start a thread.
    Thread(io::Error),
}

impl fmt::Display for ConnectionFailure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self:?}")
    }
}

impl std::error::Error for ConnectionFailure {}

impl ConnectionFailure {
    fn new(phase: SoapPhase, error: Error) -> Self {
        let cause = match error {
            Error::Timeout(timeout) => FailureCause::Timeout(timeout),
            Error::Io(error) => return Self::from_io(phase, error),
            error => FailureCause::Io(io::Error::other(error)),
        };
        Self {
            phase,
            has_server_certificate: false,
            cause,
        }
    }

    /// Unwraps an I/O error: ureq and rustls put their own errors into I/O errors.
    fn from_io(phase: SoapPhase, error: io::Error) -> Self {
        let cause = match error.downcast::<Error>() {
            Ok(Error::Timeout(timeout)) => FailureCause::Timeout(timeout),
            Ok(Error::Io(error)) => FailureCause::Io(error),
            Ok(error) => FailureCause::Io(io::Error::other(error)),
            Err(error) => match error.downcast::<rustls::Error>() {
                Ok(error) => FailureCause::Tls(error),
                Err(error) => FailureCause::Io(error),
            },
        };
        Self {
            phase,
            has_server_certificate: false,
            cause,
        }
    }
}

impl From<ConnectionFailure> for Error {
    fn from(failure: ConnectionFailure) -> Self {
        Self::Other(Box::new(failure))
    }
}

/// Wraps a connector and adds the phase to its timeouts. If the limit of the whole call is reached, ureq does not say in
/// which phase.
#[derive(Debug)]
pub(super) struct PhaseConnector<C>(pub(super) C);

impl<In: UreqTransport, C: Connector<In>> Connector<In> for PhaseConnector<C> {
    type Out = C::Out;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        let connected = self.0.connect(details, chained);
        connected.map_err(|error| match error {
            Error::Timeout(_) => ConnectionFailure::new(SoapPhase::Connect, error).into(),
            error => error,
        })
    }
}

/// Starts TLS on a connection to the service.
pub(super) struct TlsConnector {
    config: Arc<ClientConfig>,
}

impl TlsConnector {
    pub(super) fn new(config: ClientConfig) -> Self {
        Self {
            config: Arc::new(config),
        }
    }
}

impl fmt::Debug for TlsConnector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("TlsConnector")
    }
}

impl<In: UreqTransport> Connector<In> for TlsConnector {
    type Out = Either<In, TlsStream>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        let Some(transport) = chained else {
            return Ok(None);
        };
        // This is the connection to a proxy. ureq asks again for the connection through it.
        if !details.needs_tls() || transport.is_tls() {
            return Ok(Some(Either::A(transport)));
        }
        let host = details.uri.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let phase = SoapPhase::Handshake;
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| ConnectionFailure::from_io(phase, io::ErrorKind::InvalidInput.into()))?;
        let connection = ClientConnection::new(Arc::clone(&self.config), name)
            .map_err(|error| ConnectionFailure::from_io(phase, io::Error::other(error)))?;
        let boxed: Box<dyn UreqTransport> = Box::new(transport);
        let mut socket = TransportAdapter::new(boxed, Arc::clone(&details.current_time));
        socket.set_timeout(remaining_time(details));
        let mut tls = TlsStream {
            stream: StreamOwned::new(connection, socket),
            buffers: LazyBuffers::new(
                details.config.input_buffer_size(),
                details.config.output_buffer_size(),
            ),
            has_response: false,
        };
        let handshake = tls.stream.conn.complete_io(&mut tls.stream.sock);
        handshake.map_err(|error| tls.failure(phase, error))?;
        Ok(Some(Either::B(tls)))
    }
}

/// A TLS connection.
pub(super) struct TlsStream {
    stream: StreamOwned<ClientConnection, TransportAdapter>,
    buffers: LazyBuffers,
    /// Whether a part of the response to the last request was received.
    has_response: bool,
}

impl TlsStream {
    /// Converts an I/O error. A server that closes the connection often sends the reason before, in an alert that has
    /// not been read yet.
    fn failure(&mut self, phase: SoapPhase, error: io::Error) -> Error {
        let mut failure = ConnectionFailure::from_io(phase, error);
        if let FailureCause::Io(_) = failure.cause
            && let Some(alert) = self.read_alert()
        {
            failure.cause = FailureCause::Tls(alert);
        }
        failure.has_server_certificate = self.stream.conn.peer_certificates().is_some();
        failure.into()
    }

    fn read_alert(&mut self) -> Option<rustls::Error> {
        let (connection, socket) = (&mut self.stream.conn, &mut self.stream.sock);
        // A few records are enough, because the alert is the last thing that a server sends.
        for _ in 0..8 {
            let has_ended = !matches!(connection.read_tls(socket), Ok(1..));
            if let Err(error) = connection.process_new_packets() {
                return Some(error);
            }
            if has_ended {
                break;
            }
        }
        None
    }
}

impl UreqTransport for TlsStream {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    /// Sends a part of the request and reports a failure at once. Bytes that the system did not accept cannot have reached
    /// the server.
    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.stream.sock.set_timeout(timeout);
        self.has_response = false;
        let output = self.buffers.output().get(..amount).unwrap_or_default();
        let sent = self.stream.write_all(output);
        let sent = sent.and_then(|()| self.stream.flush());
        sent.map_err(|error| self.failure(SoapPhase::Send, error))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.stream.sock.set_timeout(timeout);
        let phase = match self.has_response {
            true => SoapPhase::Receive,
            false => SoapPhase::Wait,
        };
        let input = self.buffers.input_append_buf();
        match io::Read::read(&mut self.stream, input) {
            Ok(0) if !self.has_response => {
                Err(self.failure(phase, io::ErrorKind::UnexpectedEof.into()))
            }
            Ok(amount) => {
                self.has_response = true;
                self.buffers.input_appended(amount);
                Ok(amount > 0)
            }
            Err(error) => Err(self.failure(phase, error)),
        }
    }

    fn is_open(&mut self) -> bool {
        self.stream.sock.get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

impl fmt::Debug for TlsStream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("TlsStream")
    }
}

/// Returns the time that is left for the TLS handshake after connecting: both share one limit.
fn remaining_time(details: &ConnectionDetails<'_>) -> NextTimeout {
    let mut timeout = details.timeout;
    if let (Instant::Exact(started), Instant::Exact(now), Duration::Exact(limit)) =
        (details.now, (details.current_time)(), timeout.after)
    {
        let taken = now.saturating_duration_since(started);
        timeout.after = Duration::Exact(limit.saturating_sub(taken));
    }
    timeout
}

/// Wraps a resolver, asks it in a thread of its own, and adds the phase to its errors.
///
/// A resolver that gets a time limit starts a thread itself, and ends the program if the system allows none.
#[derive(Debug)]
pub(super) struct PhaseResolver<R>(Arc<R>);

impl<R: Resolver> PhaseResolver<R> {
    pub(super) fn new(resolver: R) -> Self {
        Self(Arc::new(resolver))
    }

    /// Asks the resolver without a time limit, and waits for its answer until the limit.
    fn ask(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ConnectionFailure> {
        let failed = |error| ConnectionFailure::new(SoapPhase::Resolve, error);
        let not_found = |error| match error {
            Error::HostNotFound => failed(Error::Io(io::ErrorKind::NotFound.into())),
            error => failed(error),
        };
        let unlimited = NextTimeout {
            after: Duration::NotHappening,
            ..timeout
        };
        if timeout.after.is_not_happening() {
            return self.0.resolve(uri, config, unlimited).map_err(not_found);
        }
        let (resolver, uri, config) = (self.0.clone(), uri.clone(), config.clone());
        let (sender, receiver) = mpsc::channel();
        thread::Builder::new()
            .name("cprflow-resolver".to_owned())
            .spawn(move || {
                // Sending fails if the limit has passed and the caller has stopped waiting.
                let _ = sender.send(resolver.resolve(&uri, &config, unlimited));
            })
            .map_err(|error| ConnectionFailure {
                phase: SoapPhase::Resolve,
                has_server_certificate: false,
                cause: FailureCause::Thread(error),
            })?;
        match receiver.recv_timeout(*timeout.after) {
            Ok(answer) => answer.map_err(not_found),
            Err(RecvTimeoutError::Timeout) => Err(failed(Error::Timeout(timeout.reason))),
            Err(RecvTimeoutError::Disconnected) => Err(failed(Error::Io(io::Error::other(
                "the resolver gave no answer",
            )))),
        }
    }
}

impl<R: Resolver> Resolver for PhaseResolver<R> {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        // With a proxy, ureq calls this while it connects, so only this wrapper knows the phase.
        self.ask(uri, config, timeout).map_err(Error::from)
    }
}

/// Returns the connection failure inside an error of ureq, or the error if there is none.
pub(super) fn connection_failure(error: Error) -> Result<ConnectionFailure, Error> {
    match error {
        Error::Other(error) => match error.downcast::<ConnectionFailure>() {
            Ok(failure) => Ok(*failure),
            Err(error) => Err(Error::Other(error)),
        },
        error => Err(error),
    }
}
