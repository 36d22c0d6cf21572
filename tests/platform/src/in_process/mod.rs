//! An SFTP server in this process, for machines without OpenSSH.
//!
//! It has one user and one client key, and a session sees one directory only.

mod session;

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::{HashAlg, PrivateKey, PublicKey};
use russh::server::{Auth, ChannelOpenHandle, Config, Msg, Session, VerifiedPublicKey, run_stream};
use russh::{Channel, ChannelId};
use tokio::runtime::{Builder, Runtime};

use crate::{Error, known_host, lock};
use session::SftpSession;

/// The user for the login.
pub(crate) const USER: &str = "CPRFLOW_SIMPELSFTP";

/// A running server. It stops when it is dropped.
#[derive(Debug)]
pub(crate) struct InProcessServer {
    root: PathBuf,
    state: PathBuf,
    address: SocketAddr,
    host_key: PrivateKey,
    client_key: PublicKey,
    also_listed: Arc<Mutex<Vec<String>>>,
    /// The runtime of the listener and the sessions; `None` while the server is stopped.
    running: Mutex<Option<Runtime>>,
}

impl InProcessServer {
    /// Creates missing keys and starts the server.
    pub(crate) fn start(
        root: &Path,
        state: &Path,
        address: SocketAddr,
        host: &str,
    ) -> Result<Self, Error> {
        for path in [root, state] {
            fs::create_dir_all(path).map_err(Error::file(path))?;
        }
        let mut server = Self {
            root: root.to_owned(),
            state: state.to_owned(),
            address,
            host_key: read_or_create_key(&state.join("in_process_host_key"))?,
            client_key: read_or_create_key(&state.join("in_process_client_key"))?
                .public_key()
                .clone(),
            also_listed: Arc::default(),
            running: Mutex::new(None),
        };
        server.launch()?;
        let public = server
            .host_key
            .public_key()
            .to_openssh()
            .map_err(key_error)?;
        let line = format!("{} {public}\n", known_host(host, server.port()));
        let path = server.known_hosts();
        fs::write(&path, line).map_err(Error::file(path))?;
        Ok(server)
    }

    pub(crate) const fn port(&self) -> u16 {
        self.address.port()
    }

    pub(crate) fn identity(&self) -> PathBuf {
        self.state.join("in_process_client_key")
    }

    pub(crate) fn known_hosts(&self) -> PathBuf {
        self.state.join("in_process_known_hosts")
    }

    pub(crate) fn fingerprint(&self) -> String {
        let public = self.host_key.public_key();
        public.fingerprint(HashAlg::Sha256).to_string()
    }

    /// Adds names of files that do not exist to directory listings.
    pub(crate) fn list_also(&self, names: &[&str]) {
        let names = names.iter().map(|name| (*name).to_owned());
        *lock(&self.also_listed) = names.collect();
    }

    /// Stops the server and every session.
    pub(crate) fn stop(&self) {
        if let Some(runtime) = lock(&self.running).take() {
            runtime.shutdown_timeout(Duration::from_secs(1));
        }
    }

    /// Stops the server and every session, and starts it again on the same port.
    pub(crate) fn restart(&mut self) -> Result<(), Error> {
        self.stop();
        self.launch()
    }

    fn launch(&mut self) -> Result<(), Error> {
        let address = self.address;
        let listen = |error| Error::Listen { address, error };
        // The standard library's listener sets SO_REUSEADDR, so a restart can use the same port at once.
        let listener = TcpListener::bind(address).map_err(listen)?;
        listener.set_nonblocking(true).map_err(listen)?;
        self.address = listener.local_addr().map_err(listen)?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(listen)?;
        let config = Arc::new(Config {
            auth_rejection_time: Duration::from_millis(100),
            auth_rejection_time_initial: Some(Duration::ZERO),
            keys: vec![self.host_key.clone()],
            ..Config::default()
        });
        let client = ConnectionHandler {
            root: self.root.clone(),
            key: self.client_key.clone(),
            also_listed: Arc::clone(&self.also_listed),
            channels: Vec::new(),
        };
        runtime.spawn(accept(listener, config, client));
        *lock(&self.running) = Some(runtime);
        Ok(())
    }
}

impl Drop for InProcessServer {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn accept(
    listener: TcpListener,
    config: Arc<Config>,
    client: ConnectionHandler,
) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    loop {
        let (stream, _): (_, SocketAddr) = listener.accept().await?;
        let (config, client) = (Arc::clone(&config), client.clone());
        tokio::spawn(async move {
            stream.set_nodelay(true)?;
            // A failed session needs no handling: the client sees the error.
            if let Ok(session) = run_stream(config, stream, client).await {
                let _ended = session.await;
            }
            io::Result::Ok(())
        });
    }
}

/// The handler of a connection.
struct ConnectionHandler {
    root: PathBuf,
    key: PublicKey,
    also_listed: Arc<Mutex<Vec<String>>>,
    channels: Vec<Channel<Msg>>,
}

/// Clones the handler for a new connection, without channels.
impl Clone for ConnectionHandler {
    fn clone(&self) -> Self {
        Self {
            root: self.root.clone(),
            key: self.key.clone(),
            also_listed: Arc::clone(&self.also_listed),
            channels: Vec::new(),
        }
    }
}

impl russh::server::Handler for ConnectionHandler {
    type Error = russh::Error;

    async fn auth_publickey(
        &mut self,
        user: &str,
        key: VerifiedPublicKey<'_>,
    ) -> Result<Auth, Self::Error> {
        let is_known = user == USER && key.public_key.key_data() == self.key.key_data();
        Ok(match is_known {
            true => Auth::Accept,
            false => Auth::reject(),
        })
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.channels.push(channel);
        reply.accept().await;
        Ok(())
    }

    async fn channel_eof(
        &mut self,
        channel: ChannelId,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.close(channel)
    }

    async fn subsystem_request(
        &mut self,
        channel: ChannelId,
        name: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let index = self.channels.iter().position(|known| known.id() == channel);
        match index.filter(|_| name == "sftp") {
            None => session.channel_failure(channel),
            Some(index) => {
                let stream = self.channels.swap_remove(index).into_stream();
                session.channel_success(channel)?;
                let also_listed = lock(&self.also_listed).clone();
                let files = SftpSession::new(self.root.clone(), also_listed);
                russh_sftp::server::run(stream, files).await;
                Ok(())
            }
        }
    }
}

/// Reads the key from a file, or creates the key and the file.
fn read_or_create_key(path: &Path) -> Result<PrivateKey, Error> {
    if path.exists() {
        return PrivateKey::read_openssh_file(path).map_err(key_error);
    }
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(key_error)?;
    let key = PrivateKey::from(Ed25519Keypair::from_seed(&seed));
    let text = key.to_openssh(LineEnding::LF).map_err(key_error)?;
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(Error::file(path))?;
    Ok(key)
}

fn key_error(error: impl std::fmt::Display) -> Error {
    Error::Ssh(format!("cannot create or read an SSH key: {error}"))
}
