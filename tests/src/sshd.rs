//! OpenSSH's own server on loopback, with keys that it makes itself and a folder that it serves.

use std::fs;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use cprflow::transport::{Inbox, Secret, Server, SftpSettings};
use rustix::net::{self, AddressFamily, SocketType};

/// How a server is to be.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The types of its host keys: `ed25519`, `ecdsa`, `rsa`.
    pub host_keys: Vec<&'static str>,
    /// Arguments of its SFTP subsystem, such as `-P remove`; none for no such subsystem.
    pub sftp: Option<&'static str>,
    /// What serves SFTP in place of OpenSSH's own.
    pub program: Option<&'static str>,
    /// More lines of its configuration.
    pub configuration: Vec<String>,
    /// Whether the keys of [`Sshd::key`] may log in.
    pub authorized: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            host_keys: vec!["ed25519"],
            sftp: Some(""),
            program: None,
            configuration: Vec::new(),
            authorized: true,
        }
    }
}

/// A running server; it ends with the value.
#[derive(Debug)]
pub struct Sshd {
    directory: tempfile::TempDir,
    setup: Setup,
    port: u16,
    process: Option<Child>,
}

impl Sshd {
    /// Starts one. Where there is no sshd, says so aloud and gives none; with `CPRFLOW_REQUIRE_SSHD=1` that fails.
    pub fn start(setup: Setup) -> Option<Self> {
        if !Path::new(PROGRAM).exists() {
            let required = std::env::var_os("CPRFLOW_REQUIRE_SSHD").is_some_and(|set| set == "1");
            assert!(!required, "there is no {PROGRAM}, and it is required");
            crate::skipped(format_args!(
                "there is no {PROGRAM} (OpenSSH's server): nothing of SFTP is tested"
            ));
            return None;
        }
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
        // A free port can be taken by somebody else before the server has it.
        for _ in 0..10 {
            sshd.port = free_port();
            if sshd.start_again() {
                return Some(sshd);
            }
        }
        panic!("sshd does not start: {}", sshd.log());
    }

    /// One with nothing special.
    pub fn plain() -> Option<Self> {
        Self::start(Setup::default())
    }

    /// The folder that is served.
    pub fn inbox(&self) -> PathBuf {
        self.directory.path().join("IN")
    }

    /// The path of a file in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.inbox().join(name)
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where the inbox is.
    pub fn server(&self) -> Server {
        self.server_at(self.port)
    }

    /// Where the inbox is for somebody who goes through a proxy.
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

    /// Settings with which one gets in: the client's key and the fingerprints of all host keys.
    pub fn settings(&self) -> SftpSettings {
        let mut settings = SftpSettings::new(self.directory.path().join("client"));
        for kind in &self.setup.host_keys {
            settings
                .host_keys
                .push(self.fingerprint(kind).parse().unwrap());
        }
        settings
    }

    /// Settings with another key, which may log in.
    pub fn settings_with(&self, key: &Path, passphrase: Option<&str>) -> SftpSettings {
        SftpSettings {
            identity: key.to_owned(),
            passphrase: passphrase.map(Secret::new),
            ..self.settings()
        }
    }

    /// Makes a key of a client's and lets it in. `arguments` are more ones of `ssh-keygen`, such as `-m PEM`.
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

    /// The fingerprint of a host key, as `ssh-keygen` says it.
    pub fn fingerprint(&self, kind: &str) -> String {
        let output = Command::new("ssh-keygen")
            .arg("-lf")
            .arg(self.host_key(kind))
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.split_whitespace().nth(1).unwrap().to_owned()
    }

    /// Type and key of a host key, as they stand in known_hosts.
    pub fn public_host_key(&self, kind: &str) -> String {
        let line = fs::read_to_string(self.host_key(kind).with_extension("pub")).unwrap();
        let fields: Vec<_> = line.split_whitespace().take(2).collect();
        fields.join(" ")
    }

    /// Makes a file of known hosts.
    pub fn known_hosts(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// Gives the server a new host key of a type; it shows it from the next start on.
    pub fn make_host_key(&self, kind: &str) {
        let path = self.host_key(kind);
        for path in [&path, &path.with_extension("pub")] {
            if path.exists() {
                fs::remove_file(path).unwrap();
            }
        }
        keygen(&path, kind, "", &[]);
    }

    /// Ends the server and every connection that it has.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            kill_tree(process.id());
            process.wait().unwrap();
        }
    }

    /// Starts it again on the same port. Whether it runs then.
    pub fn start_again(&mut self) -> bool {
        self.stop();
        self.write_configuration();
        // A server that root starts wants this directory.
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

    /// A server that may not read everything, also where root runs the tests: whoever serves a session is nobody. The
    /// folder lets it in.
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

    /// Gives its SFTP subsystem other arguments, such as `-P remove`, from the next start on.
    pub fn set_sftp(&mut self, arguments: &'static str) {
        self.setup.sftp = Some(arguments);
    }

    /// What it has logged.
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
            "PasswordAuthentication no".to_owned(),
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

/// A port of loopback that nobody has now.
fn free_port() -> u16 {
    ClosedPort::new().number()
}

/// A port of loopback that refuses every connection, and that nobody else gets as long as this lives: a socket has it
/// and does not listen.
#[derive(Debug)]
pub struct ClosedPort(OwnedFd);

impl ClosedPort {
    /// Takes one.
    #[expect(clippy::new_without_default, reason = "it takes something")]
    pub fn new() -> Self {
        let socket = net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        net::bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)).unwrap();
        Self(socket)
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        let address = SocketAddr::try_from(net::getsockname(&self.0).unwrap());
        address.unwrap().port()
    }
}

/// Who runs the tests, and so who can log in.
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

/// Ends a process and all that it started: sshd has a process of its own for every connection.
fn kill_tree(process: u32) {
    let children = fs::read_to_string(format!("/proc/{process}/task/{process}/children"));
    // First the one that would start more.
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
