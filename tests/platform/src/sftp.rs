//! How to reach the inbox, whatever serves it.

use std::path::{Path, PathBuf};

use crate::in_process::{InProcess, USER};
use crate::{Error, Sshd, SshdOptions};

/// What serves the inbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SftpServer {
    /// OpenSSH where the machine has it, and otherwise the server in the process.
    #[default]
    Any,
    /// OpenSSH.
    Sshd,
    /// A server in the process.
    InProcess,
}

/// The inbox's server.
#[derive(Debug)]
pub struct Sftp(Kind);

#[derive(Debug)]
enum Kind {
    Sshd(Sshd),
    InProcess(Box<InProcess>),
}

impl Sftp {
    pub(crate) fn start(
        server: SftpServer,
        root: &Path,
        state: &Path,
        port: u16,
    ) -> Result<Self, Error> {
        let has_sshd = Sshd::program().is_some();
        if server == SftpServer::InProcess || (server == SftpServer::Any && !has_sshd) {
            let server = InProcess::start(root, state, port)?;
            return Ok(Self(Kind::InProcess(Box::new(server))));
        }
        let mut options = SshdOptions::new(root, state);
        options.port = port;
        Ok(Self(Kind::Sshd(Sshd::start(options)?)))
    }

    /// Where it listens.
    pub const fn host(&self) -> &'static str {
        "127.0.0.1"
    }

    /// The port on which it listens.
    pub fn port(&self) -> u16 {
        match &self.0 {
            Kind::Sshd(sshd) => sshd.port(),
            Kind::InProcess(server) => server.port(),
        }
    }

    /// The user to log in as.
    pub fn user(&self) -> &str {
        match &self.0 {
            Kind::Sshd(sshd) => sshd.user(),
            Kind::InProcess(_) => USER,
        }
    }

    /// The inbox, from where a session begins. OpenSSH shows the whole machine, so it is no absolute path.
    pub const fn inbox(&self) -> &'static str {
        "IN"
    }

    /// The private key of the client, without a passphrase.
    pub fn identity(&self) -> PathBuf {
        match &self.0 {
            Kind::Sshd(sshd) => sshd.identity(),
            Kind::InProcess(server) => server.identity(),
        }
    }

    /// A `known_hosts` file with the server's key.
    pub fn known_hosts(&self) -> PathBuf {
        match &self.0 {
            Kind::Sshd(sshd) => sshd.known_hosts(),
            Kind::InProcess(server) => server.known_hosts(),
        }
    }

    /// The fingerprint of the server's key, `SHA256:…`.
    pub fn fingerprint(&self) -> Result<String, Error> {
        match &self.0 {
            Kind::Sshd(sshd) => sshd.fingerprint(),
            Kind::InProcess(server) => Ok(server.fingerprint()),
        }
    }

    /// Lists files of these names as well, which are not there; the server in the process does, OpenSSH lists what is.
    pub fn list_also(&self, names: &[&str]) {
        if let Kind::InProcess(server) = &self.0 {
            server.list_also(names);
        }
    }

    /// Ends the server and every session.
    pub fn stop(&mut self) {
        match &mut self.0 {
            Kind::Sshd(sshd) => sshd.stop(),
            Kind::InProcess(server) => server.stop(),
        }
    }

    /// The server, where it is OpenSSH: it can do more.
    pub const fn sshd(&mut self) -> Option<&mut Sshd> {
        match &mut self.0 {
            Kind::Sshd(sshd) => Some(sshd),
            Kind::InProcess(_) => None,
        }
    }

    /// Ends the server and every session, and starts it anew on the same port.
    pub fn restart(&mut self) -> Result<(), Error> {
        match &mut self.0 {
            Kind::Sshd(sshd) => sshd.restart(),
            Kind::InProcess(server) => server.restart(),
        }
    }
}
