//! A proxy on loopback that delays, throttles, stalls, ends and resets connections.
//!
//! It counts its faults, so that a test can assert that the fault happened.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// A fault of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// No more data passes in either direction, and the connection stays open.
    Stall,
    /// Both sides see the end of the connection.
    End,
    /// The client sees a reset of the connection.
    Reset,
}

/// The treatment of connections.
#[derive(Debug, Clone, Copy, Default)]
pub struct Treatment {
    /// The time that is added to each round trip.
    pub round_trip: Duration,
    /// The rate from the server to the client in bytes per second. The default is unlimited.
    pub rate: Option<u64>,
    /// The fault, and the number of bytes from the server to the client after which it happens.
    pub fault: Option<(u64, Fault)>,
    /// The number of connections with the fault. Later connections have none.
    pub faults: u64,
}

/// A running proxy, which is stopped when the value is dropped.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    target: u16,
    treatment: Mutex<Treatment>,
    sockets: Mutex<Vec<TcpStream>>,
    over: AtomicBool,
    connections: AtomicU64,
    down: AtomicU64,
    fired: AtomicU64,
}

impl Proxy {
    /// Starts a proxy in front of a port on loopback.
    pub fn start(target: u16, treatment: Treatment) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            target,
            treatment: Mutex::new(treatment),
            sockets: Mutex::default(),
            over: AtomicBool::new(false),
            connections: AtomicU64::new(0),
            down: AtomicU64::new(0),
            fired: AtomicU64::new(0),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || accepting.accept(&listener));
        Self { port, shared }
    }

    /// Starts a proxy that makes every round trip longer.
    pub fn delaying(target: u16, round_trip: Duration) -> Self {
        let treatment = Treatment {
            round_trip,
            ..Treatment::default()
        };
        Self::start(target, treatment)
    }

    /// Starts a proxy with a fault in the first connection after `after` bytes.
    pub fn failing(target: u16, after: u64, fault: Fault) -> Self {
        let treatment = Treatment {
            fault: Some((after, fault)),
            faults: 1,
            ..Treatment::default()
        };
        Self::start(target, treatment)
    }

    /// Returns the port to connect to.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Changes the treatment of new connections.
    pub fn set_treatment(&self, treatment: Treatment) {
        *self.shared.treatment.lock().unwrap() = treatment;
    }

    /// Returns the number of connections so far.
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Returns the number of bytes from the server to clients.
    pub fn bytes_down(&self) -> u64 {
        self.shared.down.load(Ordering::SeqCst)
    }

    /// Returns the number of faults so far.
    pub fn faults_fired(&self) -> u64 {
        self.shared.fired.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts connections.
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
        for socket in self.shared.sockets.lock().unwrap().drain(..) {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

impl Shared {
    fn accept(self: Arc<Self>, listener: &TcpListener) {
        for client in listener.incoming() {
            if self.over.load(Ordering::SeqCst) {
                return;
            }
            let Ok(client) = client else { continue };
            // Without a server, the client sees the end of its connection.
            let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, self.target)) else {
                continue;
            };
            self.connections.fetch_add(1, Ordering::SeqCst);
            self.relay(&client, &server);
        }
    }

    fn relay(self: &Arc<Self>, client: &TcpStream, server: &TcpStream) {
        let mut treatment = *self.treatment.lock().unwrap();
        if self.fired.load(Ordering::SeqCst) >= treatment.faults {
            treatment.fault = None;
        }
        for socket in [client, server] {
            socket.set_nodelay(true).unwrap();
            self.sockets
                .lock()
                .unwrap()
                .push(socket.try_clone().unwrap());
        }
        let stalled = Arc::new(AtomicBool::new(false));
        let up = Direction {
            treatment: Treatment {
                rate: None,
                fault: None,
                ..treatment
            },
            is_down: false,
            stalled: Arc::clone(&stalled),
            shared: Arc::clone(self),
        };
        let down = Direction {
            treatment,
            is_down: true,
            stalled,
            shared: Arc::clone(self),
        };
        up.run(client.try_clone().unwrap(), server.try_clone().unwrap());
        down.run(server.try_clone().unwrap(), client.try_clone().unwrap());
    }
}

/// One direction of a connection.
struct Direction {
    treatment: Treatment,
    is_down: bool,
    stalled: Arc<AtomicBool>,
    shared: Arc<Shared>,
}

impl Direction {
    /// Starts one thread that reads blocks and one that writes them when they are due, so that a delay does not reduce
    /// the rate.
    fn run(self, from: TcpStream, to: TcpStream) {
        let (send, receive) = mpsc::sync_channel(IN_FLIGHT);
        let delay = self.treatment.round_trip / 2;
        let stalled = Arc::clone(&self.stalled);
        thread::spawn(move || self.take(from, &send));
        thread::spawn(move || give(&receive, to, delay, &stalled));
    }

    fn take(self, mut from: TcpStream, send: &SyncSender<Block>) {
        let mut left = self.treatment.fault.map_or(u64::MAX, |(after, _)| after);
        let begun = Instant::now();
        let mut passed = 0_u64;
        loop {
            if let (0, Some((_, fault))) = (left, self.treatment.fault) {
                self.shared.fired.fetch_add(1, Ordering::SeqCst);
                return self.happen(fault, send);
            }
            let want = usize::try_from(left).unwrap_or(BLOCK).min(self.block());
            let mut bytes = vec![0; want];
            let read = from.read(&mut bytes).unwrap_or(0);
            if read == 0 {
                let _ = send.send(Block::new(What::End));
                return;
            }
            bytes.truncate(read);
            left -= read as u64;
            passed += read as u64;
            if self.is_down {
                self.shared.down.fetch_add(read as u64, Ordering::SeqCst);
            }
            if let Some(rate) = self.treatment.rate {
                let due = begun + Duration::from_secs_f64(passed as f64 / rate as f64);
                thread::sleep(due.saturating_duration_since(Instant::now()));
            }
            if send.send(Block::new(What::Bytes(bytes))).is_err() {
                return;
            }
        }
    }

    /// Returns the size of blocks. At a low rate blocks are small, so that data flows evenly.
    fn block(&self) -> usize {
        let rate = self.treatment.rate.unwrap_or(u64::MAX);
        usize::try_from(rate / 20).unwrap_or(BLOCK).clamp(1, BLOCK)
    }

    fn happen(&self, fault: Fault, send: &SyncSender<Block>) {
        match fault {
            Fault::Stall => {
                self.stalled.store(true, Ordering::SeqCst);
                // The sockets stay open here and in the list of the proxy.
                while !self.shared.over.load(Ordering::SeqCst) {
                    thread::sleep(Duration::from_millis(20));
                }
            }
            Fault::End => drop(send.send(Block::new(What::End))),
            Fault::Reset => drop(send.send(Block::new(What::Reset))),
        }
    }
}

fn give(receive: &Receiver<Block>, mut to: TcpStream, delay: Duration, stalled: &AtomicBool) {
    for block in receive {
        thread::sleep((block.at + delay).saturating_duration_since(Instant::now()));
        let given = match block.what {
            // After a stall, data is never delivered.
            _ if stalled.load(Ordering::SeqCst) => continue,
            What::Bytes(bytes) => to.write_all(&bytes).is_ok(),
            What::End => {
                // Only one direction is shut, so that earlier data still arrives. A socket that is shut in both
                // directions answers with a reset, which would arrive first.
                let _ = to.shutdown(Shutdown::Write);
                false
            }
            What::Reset => {
                // Linux resets the connection on this call.
                let _ = rustix::net::connect_unspec(&to);
                false
            }
        };
        if !given {
            return;
        }
    }
}

/// A block of data, or the end of a direction.
struct Block {
    at: Instant,
    what: What,
}

impl Block {
    fn new(what: What) -> Self {
        Self {
            at: Instant::now(),
            what,
        }
    }
}

enum What {
    Bytes(Vec<u8>),
    End,
    Reset,
}

const BLOCK: usize = 256 * 1024;

/// The maximum number of blocks between the two threads.
const IN_FLIGHT: usize = 4096;
