//! The SOAP service `CprSubscriptionService`.
//!
//! Each connection has its own thread, uses TLS with a client certificate, and carries one request at a time.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, BufReader, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::agreement::derived_uuid;
use crate::certificates::Certificates;
use crate::clock::Clock;
use crate::contract::Contract;
use crate::event_log::ServiceEvent;
use crate::fault_injection::{ResponseAction, apply_fault, documented_error, gateway_response};
use crate::http::{Request, Response};
use crate::platform_state::{DenialReason, PlatformState};
use crate::request_validation::{Operation, PATH, Rejection, ServiceCall, validate};
use crate::service_fault::{FaultStyle, ServiceErrorCode, ServiceFault};
use crate::soap_response::{self, NamespacePrefixes, soap_fault, text_block, typed_detail};
use crate::wsdl::wsdl;
use crate::{Error, lock};

/// The state that all connections of the service share.
#[derive(Debug)]
pub(crate) struct ServiceContext {
    pub(crate) state: Mutex<PlatformState>,
    pub(crate) certificates: Certificates,
    pub(crate) contract: Contract,
    pub(crate) clock: Mutex<Clock>,
    pub(crate) tls: Mutex<Arc<ServerConfig>>,
    pub(crate) prefixes: Mutex<NamespacePrefixes>,
    pub(crate) armed: Mutex<VecDeque<ServiceFault>>,
    /// Faults for calls that change filters; `GetAllFilters` does not use them up.
    pub(crate) armed_for_changes: Mutex<VecDeque<ServiceFault>>,
    pub(crate) events: Mutex<Vec<ServiceEvent>>,
    connections: Mutex<BTreeMap<u64, TcpStream>>,
    next_connection: AtomicU64,
    is_stopping: AtomicBool,
}

impl ServiceContext {
    pub(crate) fn new(
        state: PlatformState,
        certificates: Certificates,
        contract: Contract,
        clock: Clock,
        tls: Arc<ServerConfig>,
    ) -> Self {
        Self {
            state: Mutex::new(state),
            certificates,
            contract,
            clock: Mutex::new(clock),
            tls: Mutex::new(tls),
            prefixes: Mutex::default(),
            armed: Mutex::default(),
            armed_for_changes: Mutex::default(),
            events: Mutex::default(),
            connections: Mutex::default(),
            next_connection: AtomicU64::new(0),
            is_stopping: AtomicBool::new(false),
        }
    }

    fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::SeqCst)
    }

    fn record(&self, seen: ServiceEvent) {
        lock(&self.events).push(seen);
    }

    /// Takes the next armed fault if it is of this kind: for connections (`true`) or for requests (`false`).
    fn next_fault(&self, is_connection_fault: bool) -> Option<ServiceFault> {
        let mut armed = lock(&self.armed);
        let is_due = armed
            .front()
            .is_some_and(|fault| fault.is_connection_fault() == is_connection_fault);
        is_due.then(|| armed.pop_front()).flatten()
    }
}

/// The running service. It stops when it is dropped.
#[derive(Debug)]
pub(crate) struct Service {
    context: Arc<ServiceContext>,
    address: SocketAddr,
    listener: Option<JoinHandle<()>>,
}

impl Service {
    pub(crate) fn start(context: Arc<ServiceContext>, address: SocketAddr) -> Result<Self, Error> {
        let listen = |error| Error::Listen { address, error };
        let listener = TcpListener::bind(address).map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let shared = Arc::clone(&context);
        let listener = thread::spawn(move || accept(&shared, &listener));
        Ok(Self {
            context,
            address,
            listener: Some(listener),
        })
    }

    pub(crate) const fn port(&self) -> u16 {
        self.address.port()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.context.is_stopping.store(true, Ordering::SeqCst);
        // The listener blocks in `accept`; a connection makes it check `is_stopping`.
        // Linux takes a connection to an unspecified address as one to loopback; other systems do not.
        let mut address = self.address;
        if address.ip().is_unspecified() {
            address.set_ip(match address.is_ipv4() {
                true => Ipv4Addr::LOCALHOST.into(),
                false => Ipv6Addr::LOCALHOST.into(),
            });
        }
        let _woken = TcpStream::connect(address);
        for connection in lock(&self.context.connections).values() {
            let _closed = connection.shutdown(Shutdown::Both);
        }
        if let Some(listener) = self.listener.take() {
            let _ended = listener.join();
        }
    }
}

fn accept(context: &Arc<ServiceContext>, listener: &TcpListener) {
    let mut workers: Vec<JoinHandle<()>> = Vec::new();
    for connection in listener.incoming() {
        if context.is_stopping() {
            break;
        }
        let Ok(connection) = connection else {
            continue;
        };
        let context = Arc::clone(context);
        workers.retain(|worker| !worker.is_finished());
        workers.push(thread::spawn(move || {
            serve_connection(&context, connection)
        }));
    }
    for connection in lock(&context.connections).values() {
        let _closed = connection.shutdown(Shutdown::Both);
    }
    for worker in workers {
        let _ended = worker.join();
    }
}

/// Serves a connection and keeps it in the context until it ends, so that a stopping service can close it.
fn serve_connection(context: &ServiceContext, connection: TcpStream) {
    let number = context.next_connection.fetch_add(1, Ordering::SeqCst);
    if let Ok(handle) = connection.try_clone() {
        lock(&context.connections).insert(number, handle);
    }
    if !context.is_stopping() {
        // An error here only means that the client went away.
        let _ended = serve(context, connection);
    }
    lock(&context.connections).remove(&number);
}

type Stream = StreamOwned<ServerConnection, TcpStream>;

fn serve(context: &ServiceContext, mut connection: TcpStream) -> io::Result<()> {
    connection.set_nodelay(true)?;
    if let Some(fault) = context.next_fault(true) {
        context.record(ServiceEvent::ConnectionFault(fault.clone()));
        return match fault {
            ServiceFault::HandshakeStall => wait_for_end(context, &mut connection),
            _ => reset(&connection),
        };
    }
    let config = Arc::clone(&lock(&context.tls));
    let tls = ServerConnection::new(config).map_err(io::Error::other)?;
    let mut stream = StreamOwned::new(tls, connection);
    while stream.conn.is_handshaking() {
        if let Err(error) = stream.conn.complete_io(&mut stream.sock) {
            context.record(ServiceEvent::HandshakeFailed(error.to_string()));
            return linger(&mut stream.sock);
        }
    }
    let mut stream = BufReader::new(stream);
    loop {
        let request = match Request::read(&mut stream) {
            Ok(Some(request)) => request,
            Ok(None) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                context.record(ServiceEvent::ContractViolation(error.to_string()));
                let refused = Response::new(400, "text/plain", error.to_string());
                refused.write(stream.get_mut())?;
                return close(stream.get_mut());
            }
            Err(error) => return Err(error),
        };
        let is_last = request.is_last();
        let action = answer(context, &request, stream.get_ref());
        let stays_open = send(context, stream.get_mut(), action)?;
        if is_last || !stays_open {
            return close(stream.get_mut());
        }
    }
}

/// Validates a request, applies it if the client is authorised, and returns the response.
fn answer(context: &ServiceContext, request: &Request, stream: &Stream) -> ResponseAction {
    if request.method == "GET" && is_wsdl(&request.target) {
        // Without this header, a program that reads the description must be told the address.
        let host = request.header("host").unwrap_or("localhost");
        let text = wsdl(context.contract, &format!("https://{host}{PATH}"));
        return ResponseAction::Respond(Response::xml(200, text));
    }
    let call = match validate(request, context.contract) {
        Ok(call) => call,
        Err(rejection) => return ResponseAction::Respond(reject(context, rejection)),
    };
    let certificate = stream.conn.peer_certificates().unwrap_or_default().first();
    let cvr = certificate.and_then(|known| context.certificates.registered_cvr(known));
    let Some(cvr) = cvr else {
        return deny(
            context,
            "the client certificate is not registered with the IT system",
        );
    };
    let mut state = lock(&context.state);
    let agreement = match state.agreement(&call) {
        Ok(agreement) => agreement,
        Err(DenialReason::UnknownAgreement) => {
            return deny(
                context,
                "no service agreement with this ServiceAgreementUUID and UserUUID",
            );
        }
        Err(DenialReason::WrongUserSystem) => {
            let error = ServiceErrorCode::WrongUserSystem;
            context.record(ServiceEvent::AccessDenied(error.text().to_owned()));
            let received = lock(&context.clock).now();
            let fault = documented_error(error, FaultStyle::Typed, &received);
            return ResponseAction::Respond(fault);
        }
    };
    let ServiceCall { operation, .. } = call;
    let fault = context.next_fault(false).or_else(|| match operation {
        Operation::GetAllFilters => None,
        _ => lock(&context.armed_for_changes).pop_front(),
    });
    let is_applied = fault.as_ref().is_none_or(ServiceFault::is_applied);
    let result = match is_applied {
        true => agreement.apply(&operation),
        false => None,
    };
    context.record(ServiceEvent::Call {
        cvr,
        operation: operation.clone(),
        result,
        is_applied,
        fault: fault.clone(),
    });
    let correct = |prefixes| match result {
        Some(result) => soap_response::result(prefixes, operation.name(), result),
        None => soap_response::filters(prefixes, context.contract, &agreement.subscription.filters),
    };
    let prefixes = *lock(&context.prefixes);
    match &fault {
        None => ResponseAction::Respond(correct(prefixes)),
        Some(fault) => {
            let received = lock(&context.clock).now();
            apply_fault(fault, &operation, correct, prefixes, &received)
        }
    }
}

/// Whether a target asks for the description of the service.
fn is_wsdl(target: &str) -> bool {
    let query = target.strip_prefix(PATH);
    query.is_some_and(|query| query.eq_ignore_ascii_case("?wsdl"))
}

fn reject(context: &ServiceContext, rejection: Rejection) -> Response {
    match rejection {
        Rejection::Http(status) => {
            context.record(ServiceEvent::ContractViolation(format!(
                "not a SOAP call; answered with HTTP status {status}"
            )));
            gateway_response(status, true)
        }
        Rejection::Contract(what) => {
            context.record(ServiceEvent::ContractViolation(what.clone()));
            soap_fault(
                "Client",
                &format!("The request violates the contract: {what}"),
                None,
            )
        }
        Rejection::Parameters(what) => {
            context.record(ServiceEvent::ContractViolation(what.clone()));
            let text = format!("CPR ReplicaSubscription - {what}");
            let code = ServiceErrorCode::InvalidCallParameters.code();
            soap_fault("Server", &text, Some(&typed_detail(code, &text)))
        }
    }
}

/// Returns the response of the platform's access layer to an unauthorised client.
fn deny(context: &ServiceContext, why: &str) -> ResponseAction {
    let place = lock(&context.events).len() as u64;
    context.record(ServiceEvent::AccessDenied(why.to_owned()));
    let text = text_block(
        &format!("Access denied: {why}."),
        &derived_uuid(&["call"], &[place]),
        &lock(&context.clock).now(),
    );
    ResponseAction::Respond(soap_fault("Client", &text, None))
}

/// Sends a response. Returns whether the connection can carry another request.
fn send(context: &ServiceContext, stream: &mut Stream, action: ResponseAction) -> io::Result<bool> {
    match action {
        ResponseAction::Respond(response) => {
            response.write(stream)?;
            return Ok(true);
        }
        ResponseAction::SendAndClose(bytes) => {
            stream.write_all(&bytes)?;
            stream.flush()?;
        }
        ResponseAction::Drip(bytes, pause) => {
            for byte in bytes {
                if context.is_stopping() {
                    break;
                }
                stream.write_all(&[byte])?;
                stream.flush()?;
                thread::sleep(pause);
            }
        }
        ResponseAction::Endless(start, more) => {
            ResponseAction::write_endless(stream, &start, &more, || !context.is_stopping())?;
        }
        ResponseAction::NoResponse => wait_for_end(context, &mut stream.sock)?,
        ResponseAction::Reset => {
            reset(&stream.sock)?;
            return Err(io::ErrorKind::ConnectionReset.into());
        }
    }
    Ok(false)
}

/// Closes a connection after a TLS `close_notify`.
fn close(stream: &mut Stream) -> io::Result<()> {
    stream.conn.send_close_notify();
    stream.flush()?;
    linger(&mut stream.sock)
}

/// Waits until the client has read the response, for 500 ms at most. Closing with unread input would reset the
/// connection and discard the response.
fn linger(connection: &mut TcpStream) -> io::Result<()> {
    connection.shutdown(Shutdown::Write)?;
    connection.set_read_timeout(Some(Duration::from_millis(500)))?;
    let mut rest = [0; 4096];
    while connection.read(&mut rest)? > 0 {}
    Ok(())
}

/// Makes closing the connection send a TCP reset.
fn reset(connection: &TcpStream) -> io::Result<()> {
    set_socket_linger(connection, Some(Duration::ZERO))?;
    Ok(())
}

/// Sends nothing until the client or the platform ends the connection.
fn wait_for_end(context: &ServiceContext, connection: &mut TcpStream) -> io::Result<()> {
    let mut rest = [0; 4096];
    connection.set_read_timeout(Some(Duration::from_millis(100)))?;
    while !context.is_stopping() {
        match connection.read(&mut rest) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
