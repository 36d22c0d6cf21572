//! Servers on loopback that break their protocol. Each has one thread, which serves one connection after the other.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use rcgen::{CertificateParams, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A running server, which is stopped when the value is dropped.
#[derive(Debug)]
pub struct HostileServer {
    port: u16,
    connections: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
}

impl HostileServer {
    /// Starts a server that calls `serve` with every connection.
    pub fn start(serve: impl Fn(TcpStream) + Send + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicU64::new(0));
        let over = Arc::new(AtomicBool::new(false));
        let (counter, ended) = (Arc::clone(&connections), Arc::clone(&over));
        thread::spawn(move || {
            for connection in listener.incoming() {
                if ended.load(Ordering::SeqCst) {
                    return;
                }
                counter.fetch_add(1, Ordering::SeqCst);
                serve(connection.unwrap());
            }
        });
        Self {
            port,
            connections,
            over,
        }
    }

    /// Starts a TLS server that reads a request, sends these bytes, and closes the connection without the end of TLS.
    ///
    /// A lost connection looks the same. The authority to trust is written to `ca.pem` in the directory.
    pub fn truncating(directory: &Path, answer: Vec<u8>) -> (Self, PathBuf) {
        Self::over_tls(directory, move |stream| {
            let mut request = Vec::new();
            let mut block = [0; 4096];
            while !request.ends_with(b"</end>") {
                match stream.read(&mut block) {
                    Ok(read @ 1..) => request.extend_from_slice(&block[..read]),
                    _ => return,
                }
            }
            stream.write_all(&answer).unwrap();
            stream.flush().unwrap();
        })
    }

    /// Starts a TLS server that answers the body of each HTTP request with status 200, these headers and this body.
    ///
    /// The authority to trust is written to `ca.pem` in the directory.
    pub fn answering(
        directory: &Path,
        answer: impl Fn(&str) -> (&'static str, Vec<u8>) + Send + 'static,
    ) -> (Self, PathBuf) {
        Self::over_tls(directory, move |stream| {
            let mut request = Vec::new();
            let mut block = [0; 4096];
            while !request.trim_ascii_end().ends_with(b"Envelope>") {
                match stream.read(&mut block) {
                    Ok(read @ 1..) => request.extend_from_slice(&block[..read]),
                    _ => return,
                }
            }
            let (headers, body) = answer(&String::from_utf8_lossy(&request));
            let length = body.len();
            let head = format!(
                "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n"
            );
            stream.write_all(head.as_bytes()).unwrap();
            stream.write_all(&body).unwrap();
            stream.conn.send_close_notify();
            stream.flush().unwrap();
        })
    }

    fn over_tls(
        directory: &Path,
        serve: impl Fn(&mut StreamOwned<ServerConnection, TcpStream>) + Send + 'static,
    ) -> (Self, PathBuf) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let ca = directory.join("ca.pem");
        std::fs::write(&ca, certificate.pem()).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        let config = Arc::new(config);
        let server = Self::start(move |connection| {
            let tls = ServerConnection::new(Arc::clone(&config)).unwrap();
            serve(&mut StreamOwned::new(tls, connection));
        });
        (server, ca)
    }

    /// Starts a proxy that forwards connections.
    pub fn proxy() -> Self {
        Self::start(|mut connection| {
            let head = read_head(&mut connection);
            let target = head.split(' ').nth(1).unwrap().to_owned();
            let mut server = TcpStream::connect(target).unwrap();
            connection.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
            let (mut from, mut to) = (connection.try_clone().unwrap(), server.try_clone().unwrap());
            thread::spawn(move || std::io::copy(&mut from, &mut to));
            thread::spawn(move || std::io::copy(&mut server, &mut connection));
        })
    }

    /// Starts a proxy that refuses every connection.
    pub fn refusing_proxy() -> Self {
        Self::start(|mut connection| {
            read_head(&mut connection);
            // The client may have disconnected.
            let _ = connection.write_all(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n");
        })
    }

    /// Returns the port to connect to.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the number of connections so far.
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for HostileServer {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts connections.
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
    }
}

/// Reads the head of a request to a proxy.
fn read_head(connection: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut block = [0; 4096];
    while !head.ends_with(b"\r\n\r\n") {
        match connection.read(&mut block) {
            Ok(read @ 1..) => head.extend_from_slice(&block[..read]),
            _ => break,
        }
    }
    String::from_utf8_lossy(&head).into_owned()
}
