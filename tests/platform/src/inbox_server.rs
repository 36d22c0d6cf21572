//! The SFTP server of the inbox: OpenSSH or a server in this process.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::in_process::{InProcessServer, USER};
use crate::{Error, Sshd, SshdOptions, url_host};

/// The kind of SFTP server that serves the inbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SftpBackend {
    /// OpenSSH if it is installed, otherwise the server in this process.
    #[default]
    Any,
    /// OpenSSH.
    Sshd,
    /// The server in this process.
    InProcess,
}

/// The running SFTP server of the inbox.
#[derive(Debug)]
pub struct InboxServer {
    running: RunningServer,
    host: String,
}

#[derive(Debug)]
enum RunningServer {
    Sshd(Sshd),
    InProcess(Box<InProcessServer>),
}

impl InboxServer {
    pub(crate) fn start(
        server: SftpBackend,
        root: &Path,
        state: &Path,
        address: SocketAddr,
        host: String,
    ) -> Result<Self, Error> {
        let has_sshd = Sshd::program().is_some();
        if server == SftpBackend::InProcess || (server == SftpBackend::Any && !has_sshd) {
            let server = InProcessServer::start(root, state, address, &host)?;
            let running = RunningServer::InProcess(Box::new(server));
            return Ok(Self { running, host });
        }
        let mut options = SshdOptions::new(root, state);
        (options.address, options.port) = (address.ip(), address.port());
        options.host.clone_from(&host);
        let running = RunningServer::Sshd(Sshd::start(options)?);
        Ok(Self { running, host })
    }

    /// Returns the name or address of the server for clients.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port on which the server listens.
    pub fn port(&self) -> u16 {
        match &self.running {
            RunningServer::Sshd(sshd) => sshd.port(),
            RunningServer::InProcess(server) => server.port(),
        }
    }

    /// Returns the user for the login.
    pub fn user(&self) -> &str {
        match &self.running {
            RunningServer::Sshd(sshd) => sshd.user(),
            RunningServer::InProcess(_) => USER,
        }
    }

    /// Returns the absolute path of the inbox directory on the server.
    pub fn inbox(&self) -> String {
        match &self.running {
            // OpenSSH shows the whole file system.
            RunningServer::Sshd(sshd) => sshd.root().join("IN").display().to_string(),
            RunningServer::InProcess(_) => "/IN".to_owned(),
        }
    }

    /// Returns the URL of the inbox directory, for OpenSSH's client and for cprflow.
    ///
    /// OpenSSH's client takes the path after the first slash as relative to the directory in which a session starts.
    pub fn url(&self) -> String {
        let path = match &self.running {
            RunningServer::Sshd(_) => self.inbox(),
            RunningServer::InProcess(_) => "IN".to_owned(),
        };
        format!(
            "sftp://{}@{}:{}/{path}",
            self.user(),
            url_host(&self.host),
            self.port()
        )
    }

    /// Returns the file with the private key of the client, which has no passphrase.
    pub fn identity(&self) -> PathBuf {
        match &self.running {
            RunningServer::Sshd(sshd) => sshd.identity(),
            RunningServer::InProcess(server) => server.identity(),
        }
    }

    /// Returns a `known_hosts` file with the host key.
    pub fn known_hosts(&self) -> PathBuf {
        match &self.running {
            RunningServer::Sshd(sshd) => sshd.known_hosts(),
            RunningServer::InProcess(server) => server.known_hosts(),
        }
    }

    /// Returns the fingerprint of the host key, `SHA256:…`.
    pub fn fingerprint(&self) -> Result<String, Error> {
        match &self.running {
            RunningServer::Sshd(sshd) => sshd.fingerprint(),
            RunningServer::InProcess(server) => Ok(server.fingerprint()),
        }
    }

    /// Adds names of files that do not exist to directory listings. Has no effect with OpenSSH.
    pub fn list_also(&self, names: &[&str]) {
        if let RunningServer::InProcess(server) = &self.running {
            server.list_also(names);
        }
    }

    /// Stops the server and every session.
    pub fn stop(&mut self) {
        match &mut self.running {
            RunningServer::Sshd(sshd) => sshd.stop(),
            RunningServer::InProcess(server) => server.stop(),
        }
    }

    /// Returns the OpenSSH server, which has more functions; `None` for the server in this process.
    pub const fn sshd(&mut self) -> Option<&mut Sshd> {
        match &mut self.running {
            RunningServer::Sshd(sshd) => Some(sshd),
            RunningServer::InProcess(_) => None,
        }
    }

    /// Stops the server and every session, and starts it again on the same port.
    pub fn restart(&mut self) -> Result<(), Error> {
        match &mut self.running {
            RunningServer::Sshd(sshd) => sshd.restart(),
            RunningServer::InProcess(server) => server.restart(),
        }
    }
}
