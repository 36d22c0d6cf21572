//! Runs OpenSSH's server on loopback, with generated keys and a temporary inbox.

use std::fs;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::Requirement;
use cprflow_transport::{Inbox, Secret, Server, SftpSettings};
use rustix::net::{self, AddressFamily, SocketType};

/// The settings of a server.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The types of its host keys: `ed25519`, `ecdsa`, `rsa`.
    pub host_keys: Vec<&'static str>,
    /// The arguments of the SFTP subsystem, such as `-P remove`, or `None` for a server without it.
    pub sftp: Option<&'static str>,
    /// A program that serves SFTP instead of `internal-sftp`.
    pub program: Option<&'static str>,
    /// Additional lines of the configuration.
    pub configuration: Vec<String>,
    /// Whether the keys of [`Sshd::key`] can log in.
    pub authorized: bool,
    /// Whether the server offers a login with a password. No password is ever right.
    pub passwords: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            host_keys: vec!["ed25519"],
            sftp: Some(""),
            program: None,
            configuration: Vec::new(),
            authorized: true,
            passwords: false,
        }
    }
}

/// A running server, which is stopped when the value is dropped.
#[derive(Debug)]
pub struct Sshd {
    directory: tempfile::TempDir,
    setup: Setup,
    port: u16,
    process: Option<Child>,
}

impl Sshd {
    /// Starts a server. Without `sshd` it returns `None` and the test is skipped; see [`require`](crate::require).
    pub fn start(setup: Setup) -> Option<Self> {
        let program = Some(Path::new(PROGRAM)).filter(|program| program.exists());
        crate::require(
            Requirement::Sshd,
            program,
            format_args!("OpenSSH's server {PROGRAM} is missing, so SFTP is not tested"),
        )?;
        let directory = tempfile::tempdir().unwrap();
        let mut sshd = Self {
            directory,
            setup,
            port: 0,
            process: None,
        };
        fs::create_dir(sshd.inbox()).unwrap();
        fs::write(sshd.authorized_keys(), "").unwrap();
        for kind in &sshd.setup.host_keys {
            sshd.make_host_key(kind);
        }
        sshd.key("client", "ed25519", "", &[]);
        // Another process can take the free port before the server opens it.
        for _ in 0..10 {
            sshd.port = free_port();
            if sshd.start_again() {
                return Some(sshd);
            }
        }
        panic!("sshd does not start: {}", sshd.log());
    }

    /// Starts a server with default settings.
    pub fn start_default() -> Option<Self> {
        Self::start(Setup::default())
    }

    /// Returns the folder that the server serves.
    pub fn inbox(&self) -> PathBuf {
        self.directory.path().join("IN")
    }

    /// Returns the path of a file in the inbox.
    pub fn path(&self, name: &str) -> PathBuf {
        self.inbox().join(name)
    }

    /// Returns the port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the address of the inbox.
    pub fn server(&self) -> Server {
        self.server_at(self.port)
    }

    /// Returns the address of the inbox through a proxy at this port.
    pub fn server_at(&self, port: u16) -> Server {
        let inbox = format!(
            "sftp://{}@127.0.0.1:{port}{}",
            user(),
            self.inbox().display()
        );
        match inbox.parse() {
            Ok(Inbox::Sftp(server)) => server,
            other => panic!("{other:?}"),
        }
    }

    /// Returns settings that can log in: the client's key and the fingerprints of all host keys.
    pub fn settings(&self) -> SftpSettings {
        let mut settings = SftpSettings::new(self.directory.path().join("client"));
        for kind in &self.setup.host_keys {
            settings
                .host_keys
                .push(self.fingerprint(kind).parse().unwrap());
        }
        settings
    }

    /// Returns settings with another key.
    pub fn settings_with(&self, key: &Path, passphrase: Option<&str>) -> SftpSettings {
        SftpSettings {
            identity: key.to_owned(),
            passphrase: passphrase.map(Secret::new),
            ..self.settings()
        }
    }

    /// Creates a client key and authorizes it. `arguments` are additional arguments of `ssh-keygen`, such as `-m PEM`.
    pub fn key(&self, name: &str, kind: &str, passphrase: &str, arguments: &[&str]) -> PathBuf {
        let path = self.directory.path().join(name);
        keygen(&path, kind, passphrase, arguments);
        if self.setup.authorized {
            let mut keys = fs::read_to_string(self.authorized_keys()).unwrap();
            keys += &fs::read_to_string(path.with_extension("pub")).unwrap();
            fs::write(self.authorized_keys(), keys).unwrap();
        }
        path
    }

    /// Returns the fingerprint of a host key, as `ssh-keygen` prints it.
    pub fn fingerprint(&self, kind: &str) -> String {
        let output = Command::new("ssh-keygen")
            .arg("-lf")
            .arg(self.host_key(kind))
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.split_whitespace().nth(1).unwrap().to_owned()
    }

    /// Returns the type and key of a host key in the form of known_hosts.
    pub fn public_host_key(&self, kind: &str) -> String {
        let line = fs::read_to_string(self.host_key(kind).with_extension("pub")).unwrap();
        let fields: Vec<_> = line.split_whitespace().take(2).collect();
        fields.join(" ")
    }

    /// Writes a known_hosts file.
    pub fn known_hosts(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// Creates a new host key of a type, which the server uses after its next start.
    pub fn make_host_key(&self, kind: &str) {
        let path = self.host_key(kind);
        for path in [&path, &path.with_extension("pub")] {
            if path.exists() {
                fs::remove_file(path).unwrap();
            }
        }
        keygen(&path, kind, "", &[]);
    }

    /// Stops the server and all its connections.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            kill_tree(process.id());
            process.wait().unwrap();
        }
    }

    /// Restarts the server on the same port. Returns whether it runs.
    pub fn start_again(&mut self) -> bool {
        self.stop();
        self.write_configuration();
        // A server that root starts needs this directory.
        if user() == "root" {
            fs::create_dir_all("/run/sshd").unwrap();
        }
        let process = Command::new(PROGRAM)
            .arg("-D")
            .arg("-f")
            .arg(self.directory.path().join("sshd_config"))
            .arg("-E")
            .arg(self.directory.path().join("log"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.process = Some(process);
        self.wait_until_it_answers()
    }

    /// Starts a server whose sessions cannot read everything, also if root runs the tests: sessions run as the user
    /// `nobody`, who can access the inbox.
    pub fn start_as_nobody() -> Option<Self> {
        let mut setup = Setup::default();
        if user() == "root" {
            setup.program = Some(AS_NOBODY);
        }
        let sshd = Self::start(setup)?;
        for (path, mode) in [(sshd.directory.path(), 0o755), (&sshd.inbox(), 0o777)] {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }
        Some(sshd)
    }

    /// Sets the arguments of the SFTP subsystem, such as `-P remove`, for the next start.
    pub fn set_sftp(&mut self, arguments: &'static str) {
        self.setup.sftp = Some(arguments);
    }

    /// Returns the log.
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    fn wait_until_it_answers(&mut self) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(20) {
            let process = self.process.as_mut().unwrap();
            if process.try_wait().unwrap().is_some() {
                self.process = None;
                return false;
            }
            if let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)) {
                stream
                    .set_read_timeout(Some(Duration::from_secs(10)))
                    .unwrap();
                let mut banner = [0; 4];
                if stream.read_exact(&mut banner).is_ok() && &banner == b"SSH-" {
                    return true;
                }
            }
            thread::sleep(Duration::from_millis(20));
        }
        false
    }

    fn write_configuration(&self) {
        let mut lines = vec![
            format!("Port {}", self.port),
            "ListenAddress 127.0.0.1".to_owned(),
            "PidFile none".to_owned(),
            "StrictModes no".to_owned(),
            "UsePAM no".to_owned(),
            "UseDNS no".to_owned(),
            "PermitRootLogin yes".to_owned(),
            format!(
                "PasswordAuthentication {}",
                match self.setup.passwords {
                    true => "yes",
                    false => "no",
                }
            ),
            "KbdInteractiveAuthentication no".to_owned(),
            "MaxStartups 200".to_owned(),
            "LogLevel VERBOSE".to_owned(),
            format!("AuthorizedKeysFile {}", self.authorized_keys().display()),
        ];
        for kind in &self.setup.host_keys {
            lines.push(format!("HostKey {}", self.host_key(kind).display()));
        }
        if let Some(arguments) = self.setup.sftp {
            let inbox = self.inbox();
            let server = self.setup.program.unwrap_or("internal-sftp");
            lines.push(format!(
                "Subsystem sftp {server} -d {} {arguments}",
                inbox.display()
            ));
        }
        lines.extend(self.setup.configuration.iter().cloned());
        let path = self.directory.path().join("sshd_config");
        fs::write(path, lines.join("\n") + "\n").unwrap();
    }

    fn host_key(&self, kind: &str) -> PathBuf {
        self.directory.path().join(format!("host_{kind}"))
    }

    fn authorized_keys(&self) -> PathBuf {
        self.directory.path().join("authorized_keys")
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Returns a port of loopback that is not in use.
fn free_port() -> u16 {
    ClosedPort::new().number()
}

/// A port of loopback that refuses every connection. A socket that does not listen keeps other processes from using it.
#[derive(Debug)]
pub struct ClosedPort(OwnedFd);

impl ClosedPort {
    /// Reserves a port.
    #[expect(clippy::new_without_default, reason = "it reserves a port")]
    pub fn new() -> Self {
        let socket = net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        net::bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)).unwrap();
        Self(socket)
    }

    /// Returns the number of the port.
    pub fn number(&self) -> u16 {
        let address = SocketAddr::try_from(net::getsockname(&self.0).unwrap());
        address.unwrap().port()
    }
}

/// Returns the user who runs the tests, and who can log in.
fn user() -> String {
    let output = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn keygen(path: &Path, kind: &str, passphrase: &str, arguments: &[&str]) {
    let output = Command::new("ssh-keygen")
        .args(["-q", "-t", kind, "-N", passphrase, "-C", "test", "-f"])
        .arg(path)
        .args(arguments)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// Kills a process and its descendants. sshd has a process for each connection.
fn kill_tree(process: u32) {
    let children = fs::read_to_string(format!("/proc/{process}/task/{process}/children"));
    // The parent is killed first, so that it starts no more processes.
    let killed = Command::new("kill")
        .args(["-9", &process.to_string()])
        .stderr(Stdio::null())
        .status();
    assert!(killed.is_ok());
    for child in children.unwrap_or_default().split_whitespace() {
        kill_tree(child.parse().unwrap());
    }
}

const PROGRAM: &str = "/usr/sbin/sshd";

const AS_NOBODY: &str =
    "/usr/bin/setpriv --reuid=65534 --clear-groups /usr/lib/openssh/sftp-server";
