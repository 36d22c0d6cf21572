//! The line to the service: TLS on ureq's sockets.
//!
//! ureq can do TLS by itself. It then says of a connection that broke only that it did. Whether the request had gone
//! out by then decides what may be done next, and why the server hung up is often in an alert that nobody has read
//! yet. So TLS is joined to ureq here, where both can be seen. A failure carries them as a [`Broken`].

use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::time::{Duration, Instant};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport,
    TransportAdapter,
};

use super::error::SoapPhase;

/// How a connection failed.
#[derive(Debug)]
pub(super) struct Broken {
    /// How far the call had come.
    pub(super) phase: SoapPhase,
    /// Whether the server had shown its certificate: what it objects to after that is ours.
    pub(super) knows_server: bool,
    pub(super) cause: Cause,
}

/// What happened.
#[derive(Debug)]
pub(super) enum Cause {
    Timeout(ureq::Timeout),
    Tls(rustls::Error),
    Io(io::Error),
}

impl fmt::Display for Broken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self:?}")
    }
}

impl std::error::Error for Broken {}

impl Broken {
    fn new(phase: SoapPhase, error: Error) -> Self {
        let cause = match error {
            Error::Timeout(timeout) => Cause::Timeout(timeout),
            Error::Io(error) => return Self::of_io(phase, error),
            error => Cause::Io(io::Error::other(error)),
        };
        Self {
            phase,
            knows_server: false,
            cause,
        }
    }

    /// Both ureq and rustls hide their errors in those of the system.
    fn of_io(phase: SoapPhase, error: io::Error) -> Self {
        let cause = match error.downcast::<Error>() {
            Ok(Error::Timeout(timeout)) => Cause::Timeout(timeout),
            Ok(Error::Io(error)) => Cause::Io(error),
            Ok(error) => Cause::Io(io::Error::other(error)),
            Err(error) => match error.downcast::<rustls::Error>() {
                Ok(error) => Cause::Tls(error),
                Err(error) => Cause::Io(error),
            },
        };
        Self {
            phase,
            knows_server: false,
            cause,
        }
    }
}

impl From<Broken> for Error {
    fn from(broken: Broken) -> Self {
        Self::Other(Box::new(broken))
    }
}

/// Connects, and says so where that takes too long: of a limit on the whole call, ureq tells no more than that.
#[derive(Debug)]
pub(super) struct Dial<C>(pub(super) C);

impl<In: Transport, C: Connector<In>> Connector<In> for Dial<C> {
    type Out = C::Out;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        let connected = self.0.connect(details, chained);
        connected.map_err(|error| match error {
            Error::Timeout(_) => Broken::new(SoapPhase::Connect, error).into(),
            error => error,
        })
    }
}

/// Does TLS on the connection that it is given.
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

impl<In: Transport> Connector<In> for TlsConnector {
    type Out = Either<In, Tls>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        let Some(transport) = chained else {
            return Ok(None);
        };
        // The connection to a proxy; the one through it is asked for later.
        if !details.needs_tls() || transport.is_tls() {
            return Ok(Some(Either::A(transport)));
        }
        let host = details.uri.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let phase = SoapPhase::Handshake;
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| Broken::of_io(phase, io::ErrorKind::InvalidInput.into()))?;
        let connection = ClientConnection::new(Arc::clone(&self.config), name)
            .map_err(|error| Broken::of_io(phase, io::Error::other(error)))?;
        let boxed: Box<dyn Transport> = Box::new(transport);
        let mut socket = TransportAdapter::new(boxed, Arc::clone(&details.current_time));
        socket.set_timeout(left(details));
        let mut tls = Tls {
            stream: StreamOwned::new(connection, socket),
            buffers: LazyBuffers::new(
                details.config.input_buffer_size(),
                details.config.output_buffer_size(),
            ),
            has_answer: false,
        };
        let shaken = tls.stream.conn.complete_io(&mut tls.stream.sock);
        shaken.map_err(|error| tls.broken(phase, error))?;
        Ok(Some(Either::B(tls)))
    }
}

/// A connection with TLS.
pub(super) struct Tls {
    stream: StreamOwned<ClientConnection, TransportAdapter>,
    buffers: LazyBuffers,
    /// Whether anything of the answer to the last request has come.
    has_answer: bool,
}

impl Tls {
    /// What went wrong. A server that hangs up often says why just before, in an alert that is still to be read.
    fn broken(&mut self, phase: SoapPhase, error: io::Error) -> Error {
        let mut broken = Broken::of_io(phase, error);
        if let Cause::Io(_) = broken.cause
            && let Some(alert) = self.alert()
        {
            broken.cause = Cause::Tls(alert);
        }
        broken.knows_server = self.stream.conn.peer_certificates().is_some();
        broken.into()
    }

    fn alert(&mut self) -> Option<rustls::Error> {
        let (connection, socket) = (&mut self.stream.conn, &mut self.stream.sock);
        // A few records: what a server said last does not take more.
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

impl Transport for Tls {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    /// Sends, and tells of a failure at once: what was not taken by the system cannot have reached the server.
    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.stream.sock.set_timeout(timeout);
        self.has_answer = false;
        let output = self.buffers.output().get(..amount).unwrap_or_default();
        let sent = self.stream.write_all(output);
        let sent = sent.and_then(|()| self.stream.flush());
        sent.map_err(|error| self.broken(SoapPhase::Send, error))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.stream.sock.set_timeout(timeout);
        let phase = match self.has_answer {
            true => SoapPhase::Receive,
            false => SoapPhase::Wait,
        };
        let input = self.buffers.input_append_buf();
        match io::Read::read(&mut self.stream, input) {
            Ok(0) if !self.has_answer => {
                Err(self.broken(phase, io::ErrorKind::UnexpectedEof.into()))
            }
            Ok(amount) => {
                self.has_answer = true;
                self.buffers.input_appended(amount);
                Ok(amount > 0)
            }
            Err(error) => Err(self.broken(phase, error)),
        }
    }

    fn is_open(&mut self) -> bool {
        self.stream.sock.get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Tls")
    }
}

/// What is left for agreeing on keys: the connection has taken its part.
fn left(details: &ConnectionDetails<'_>) -> NextTimeout {
    let mut timeout = details.timeout;
    if let (Instant::Exact(begun), Instant::Exact(now), Duration::Exact(limit)) =
        (details.now, (details.current_time)(), timeout.after)
    {
        let taken = now.saturating_duration_since(begun);
        timeout.after = Duration::Exact(limit.saturating_sub(taken));
    }
    timeout
}

/// Looks hosts up, and says so where that fails.
#[derive(Debug)]
pub(super) struct Lookup<R>(R);

impl<R: Resolver> Lookup<R> {
    pub(super) fn new(resolver: R) -> Self {
        Self(resolver)
    }
}

impl<R: Resolver> Resolver for Lookup<R> {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        self.0.resolve(uri, config, timeout).map_err(|error| {
            // With a proxy, this is done while connecting.
            let error = match error {
                Error::HostNotFound => Error::Io(io::ErrorKind::NotFound.into()),
                error => error,
            };
            Broken::new(SoapPhase::Resolve, error).into()
        })
    }
}

/// The failure inside an error of ureq's.
pub(super) fn broken(error: Error) -> Result<Broken, Error> {
    match error {
        Error::Other(error) => match error.downcast::<Broken>() {
            Ok(broken) => Ok(*broken),
            Err(error) => Err(Error::Other(error)),
        },
        error => Err(error),
    }
}
