//! CprSubscriptionService: a thread for each connection, TLS with a client certificate, one request after the other.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::agreement::uuid_of;
use crate::book::{Book, Denied};
use crate::certificates::Certificates;
use crate::fault::{Fault, FaultStyle, KnownError};
use crate::http::{Request, Response};
use crate::judge::{Call, Complaint, Operation, judge};
use crate::reply::{self, Prefixes, fault, text_block, typed_detail};
use crate::sending::{Sending, page, refusal, with_fault};
use crate::{Error, locked};

/// Something that the service saw.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Seen {
    /// A TLS handshake that failed, and why.
    Handshake(String),
    /// A request that breaks the contract, and how.
    Breach(String),
    /// A request of a client, an IT system or an agreement that may not.
    Denied(String),
    /// A call.
    Call {
        /// What it asks for.
        operation: Operation,
        /// What `Result` says, if it was carried out and has one.
        result: Option<&'static str>,
        /// Whether it was carried out.
        is_applied: bool,
        /// The fault that it met.
        fault: Option<Fault>,
    },
    /// A connection that met this fault before any request.
    Connection(Fault),
}

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) book: Mutex<Book>,
    pub(crate) certificates: Certificates,
    pub(crate) tls: Mutex<Arc<ServerConfig>>,
    pub(crate) prefixes: Mutex<Prefixes>,
    pub(crate) armed: Mutex<VecDeque<Fault>>,
    /// Faults that only a call meets that changes something.
    pub(crate) armed_at_changes: Mutex<VecDeque<Fault>>,
    pub(crate) seen: Mutex<Vec<Seen>>,
    connections: Mutex<BTreeMap<u64, TcpStream>>,
    next_connection: AtomicU64,
    is_stopping: AtomicBool,
}

impl Desk {
    pub(crate) fn new(book: Book, certificates: Certificates, tls: Arc<ServerConfig>) -> Self {
        Self {
            book: Mutex::new(book),
            certificates,
            tls: Mutex::new(tls),
            prefixes: Mutex::default(),
            armed: Mutex::default(),
            armed_at_changes: Mutex::default(),
            seen: Mutex::default(),
            connections: Mutex::default(),
            next_connection: AtomicU64::new(0),
            is_stopping: AtomicBool::new(false),
        }
    }

    fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::SeqCst)
    }

    fn saw(&self, seen: Seen) {
        locked(&self.seen).push(seen);
    }

    /// The next armed fault, if it is of that sort.
    fn fault_of(&self, is_of_connection: bool) -> Option<Fault> {
        let mut armed = locked(&self.armed);
        let is_due = armed
            .front()
            .is_some_and(|fault| fault.is_of_connection() == is_of_connection);
        is_due.then(|| armed.pop_front()).flatten()
    }
}

/// The running service.
#[derive(Debug)]
pub(crate) struct Service {
    desk: Arc<Desk>,
    address: SocketAddr,
    listener: Option<JoinHandle<()>>,
}

impl Service {
    pub(crate) fn start(desk: Arc<Desk>, port: u16) -> Result<Self, Error> {
        let listen = |error| Error::Listen { port, error };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let shared = Arc::clone(&desk);
        let listener = thread::spawn(move || accept(&shared, &listener));
        Ok(Self {
            desk,
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
        self.desk.is_stopping.store(true, Ordering::SeqCst);
        // Wakes the listener, who then sees that it is time to stop.
        let _woken = TcpStream::connect(self.address);
        for connection in locked(&self.desk.connections).values() {
            let _closed = connection.shutdown(Shutdown::Both);
        }
        if let Some(listener) = self.listener.take() {
            let _ended = listener.join();
        }
    }
}

fn accept(desk: &Arc<Desk>, listener: &TcpListener) {
    let mut workers: Vec<JoinHandle<()>> = Vec::new();
    for connection in listener.incoming() {
        if desk.is_stopping() {
            break;
        }
        let Ok(connection) = connection else {
            continue;
        };
        let desk = Arc::clone(desk);
        workers.retain(|worker| !worker.is_finished());
        workers.push(thread::spawn(move || attend(&desk, connection)));
    }
    for connection in locked(&desk.connections).values() {
        let _closed = connection.shutdown(Shutdown::Both);
    }
    for worker in workers {
        let _ended = worker.join();
    }
}

/// Serves a connection, known to the desk as long as it lasts.
fn attend(desk: &Desk, connection: TcpStream) {
    let number = desk.next_connection.fetch_add(1, Ordering::SeqCst);
    if let Ok(handle) = connection.try_clone() {
        locked(&desk.connections).insert(number, handle);
    }
    if !desk.is_stopping() {
        // A client that goes away in the middle is no concern of the service.
        let _ended = serve(desk, connection);
    }
    locked(&desk.connections).remove(&number);
}

type Stream = StreamOwned<ServerConnection, TcpStream>;

fn serve(desk: &Desk, mut connection: TcpStream) -> io::Result<()> {
    connection.set_nodelay(true)?;
    if let Some(fault) = desk.fault_of(true) {
        desk.saw(Seen::Connection(fault.clone()));
        return match fault {
            Fault::HandshakeStall => wait_for_the_end(desk, &mut connection),
            _ => reset(&connection),
        };
    }
    let config = Arc::clone(&locked(&desk.tls));
    let tls = ServerConnection::new(config).map_err(io::Error::other)?;
    let mut stream = StreamOwned::new(tls, connection);
    while stream.conn.is_handshaking() {
        if let Err(error) = stream.conn.complete_io(&mut stream.sock) {
            desk.saw(Seen::Handshake(error.to_string()));
            return linger(&mut stream.sock);
        }
    }
    let mut stream = BufReader::new(stream);
    loop {
        let request = match Request::read(&mut stream) {
            Ok(Some(request)) => request,
            Ok(None) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                desk.saw(Seen::Breach(error.to_string()));
                let refused = Response::new(400, "text/plain", error.to_string());
                refused.write(stream.get_mut())?;
                return close(stream.get_mut());
            }
            Err(error) => return Err(error),
        };
        let is_last = request.is_last();
        let sending = answer(desk, &request, stream.get_ref());
        let stays_open = send(desk, stream.get_mut(), sending)?;
        if is_last || !stays_open {
            return close(stream.get_mut());
        }
    }
}

/// Judges a request, carries it out if it may be, and says what to answer.
fn answer(desk: &Desk, request: &Request, stream: &Stream) -> Sending {
    let call = match judge(request) {
        Ok(call) => call,
        Err(complaint) => return Sending::Answer(complain(desk, complaint)),
    };
    let certificate = stream.conn.peer_certificates().unwrap_or_default().first();
    if !certificate.is_some_and(|known| desk.certificates.is_registered(known)) {
        return deny(
            desk,
            "the client certificate is not registered with the IT system",
        );
    }
    let mut book = locked(&desk.book);
    let standing = match book.standing(&call) {
        Ok(standing) => standing,
        Err(Denied::UnknownAgreement) => {
            return deny(desk, "no service agreement of that UUID and user");
        }
        Err(Denied::WrongUserSystem) => {
            let error = KnownError::WrongUserSystem;
            desk.saw(Seen::Denied(error.text().to_owned()));
            return Sending::Answer(refusal(error, FaultStyle::Typed));
        }
    };
    let Call { operation, .. } = call;
    let fault = desk.fault_of(false).or_else(|| match operation {
        Operation::GetAllFilters => None,
        _ => locked(&desk.armed_at_changes).pop_front(),
    });
    let is_applied = fault.as_ref().is_none_or(Fault::is_applied);
    let result = match is_applied {
        true => standing.apply(&operation),
        false => None,
    };
    desk.saw(Seen::Call {
        operation: operation.clone(),
        result,
        is_applied,
        fault: fault.clone(),
    });
    let right = |prefixes| match result {
        Some(result) => reply::result(prefixes, operation.name(), result),
        None => reply::filters(prefixes, &standing.memory.filters),
    };
    let prefixes = *locked(&desk.prefixes);
    match &fault {
        None => Sending::Answer(right(prefixes)),
        Some(fault) => with_fault(fault, &operation, right, prefixes),
    }
}

fn complain(desk: &Desk, complaint: Complaint) -> Response {
    match complaint {
        Complaint::Http(status) => {
            desk.saw(Seen::Breach(format!("answered with status {status}")));
            page(status, true)
        }
        Complaint::Contract(what) => {
            desk.saw(Seen::Breach(what.clone()));
            fault(
                "Client",
                &format!("The request breaks the contract: {what}"),
                None,
            )
        }
        Complaint::Parameters(what) => {
            desk.saw(Seen::Breach(what.clone()));
            let text = format!("CPR ReplicaSubscription - {what}");
            let code = KnownError::InvalidCallParameters.code();
            fault("Server", &text, Some(&typed_detail(code, &text)))
        }
    }
}

/// What the platform's access layer answers.
fn deny(desk: &Desk, why: &str) -> Sending {
    let place = locked(&desk.seen).len() as u64;
    desk.saw(Seen::Denied(why.to_owned()));
    let text = text_block(
        &format!("Access denied: {why}."),
        &uuid_of(&["call"], &[place]),
    );
    Sending::Answer(fault("Client", &text, None))
}

/// Sends, and says whether the connection can be used again.
fn send(desk: &Desk, stream: &mut Stream, sending: Sending) -> io::Result<bool> {
    match sending {
        Sending::Answer(response) => {
            response.write(stream)?;
            return Ok(true);
        }
        Sending::Bytes(bytes) => {
            stream.write_all(&bytes)?;
            stream.flush()?;
        }
        Sending::Drip(bytes, pause) => {
            for byte in bytes {
                if desk.is_stopping() {
                    break;
                }
                stream.write_all(&[byte])?;
                stream.flush()?;
                thread::sleep(pause);
            }
        }
        Sending::Endless(start, more) => {
            Sending::write_endless(stream, &start, &more, || !desk.is_stopping())?;
        }
        Sending::Silence => wait_for_the_end(desk, &mut stream.sock)?,
        Sending::Reset => {
            reset(&stream.sock)?;
            return Err(io::ErrorKind::ConnectionReset.into());
        }
    }
    Ok(false)
}

/// Closes a connection in good order.
fn close(stream: &mut Stream) -> io::Result<()> {
    stream.conn.send_close_notify();
    stream.flush()?;
    linger(&mut stream.sock)
}

/// Lets the client read what was said last: closing with bytes unread would take it back.
fn linger(connection: &mut TcpStream) -> io::Result<()> {
    connection.shutdown(Shutdown::Write)?;
    connection.set_read_timeout(Some(Duration::from_millis(500)))?;
    let mut rest = [0; 4096];
    while connection.read(&mut rest)? > 0 {}
    Ok(())
}

/// What is sent next is nothing: the peer learns that the connection is gone.
fn reset(connection: &TcpStream) -> io::Result<()> {
    set_socket_linger(connection, Some(Duration::ZERO))?;
    Ok(())
}

/// Says nothing until the client or the platform ends it.
fn wait_for_the_end(desk: &Desk, connection: &mut TcpStream) -> io::Result<()> {
    let mut rest = [0; 4096];
    connection.set_read_timeout(Some(Duration::from_millis(100)))?;
    while !desk.is_stopping() {
        match connection.read(&mut rest) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
