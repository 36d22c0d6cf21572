//! An SFTP server, by default on loopback, that runs the OpenSSH of this machine with its own keys and configuration.
//!
//! It serves the user who runs it, without PAM. It stops when the [`Sshd`] is dropped, and also when the process that
//! started it is killed: a shell between the two stops the server at the end of its standard input.

use std::fs::{self, DirBuilder, File};
use std::io::{self, BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::{Error, known_host};

/// The options of an OpenSSH server.
#[derive(Debug, Clone)]
pub struct SshdOptions {
    /// The directory in which a session starts. It is created if it does not exist.
    pub root: PathBuf,
    /// The directory for keys, configuration and log. It is created if it does not exist.
    pub state: PathBuf,
    /// The address on which the server listens.
    pub address: IpAddr,
    /// The name or address of the server in the `known_hosts` file.
    pub host: String,
    /// The port; 0 for any free port.
    pub port: u16,
    /// The type of the host key.
    pub host_key: KeyType,
    /// The type of the client key.
    pub client_key: KeyType,
    /// Additional lines for the configuration. They come first, because sshd uses the first value of a keyword.
    pub configuration: String,
}

impl SshdOptions {
    /// Serves `root` on any free port of 127.0.0.1, with Ed25519 keys in `state`.
    pub fn new(root: impl Into<PathBuf>, state: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            state: state.into(),
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            host: Ipv4Addr::LOCALHOST.to_string(),
            port: 0,
            host_key: KeyType::Ed25519,
            client_key: KeyType::Ed25519,
            configuration: String::new(),
        }
    }
}

/// The type of an SSH key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyType {
    /// Ed25519.
    Ed25519,
    /// RSA with 3072 bits.
    Rsa,
    /// ECDSA with the curve P-256.
    Ecdsa,
}

impl KeyType {
    fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Ed25519 => &["-t", "ed25519"],
            Self::Rsa => &["-t", "rsa", "-b", "3072"],
            Self::Ecdsa => &["-t", "ecdsa", "-b", "256"],
        }
    }
}

/// A running OpenSSH server. It stops when it is dropped.
#[derive(Debug)]
pub struct Sshd {
    options: SshdOptions,
    program: PathBuf,
    user: String,
    port: u16,
    running: Option<SshdProcess>,
}

impl Sshd {
    /// Returns the path of `sshd` on this machine, if it is installed.
    pub fn program() -> Option<PathBuf> {
        const PATHS: [&str; 4] = [
            "/usr/sbin/sshd",
            "/usr/local/sbin/sshd",
            "/usr/bin/sshd",
            "/opt/homebrew/sbin/sshd",
        ];
        let mut paths = PATHS.into_iter().map(PathBuf::from);
        paths.find(|path| path.is_file())
    }

    /// Creates missing keys and starts the server.
    pub fn start(mut options: SshdOptions) -> Result<Self, Error> {
        let Some(program) = Self::program() else {
            let why = "sshd is not installed on this machine. Install openssh-server.";
            return Err(Error::Ssh(why.to_owned()));
        };
        for path in [&mut options.root, &mut options.state] {
            create_directory(path)?;
            *path = fs::canonicalize(&path).map_err(Error::file(path.clone()))?;
        }
        let root = options.root.as_os_str().as_encoded_bytes();
        if root.iter().any(|byte| b" \t\n%\"".contains(byte)) {
            let why = "sshd cannot serve a directory whose path contains white space, quotes or percent signs";
            return Err(Error::Ssh(why.to_owned()));
        }
        let mut sshd = Self {
            user: user_name()?,
            port: options.port,
            options,
            program,
            running: None,
        };
        make_key(&sshd.host_key(), sshd.options.host_key)?;
        make_key(&sshd.identity(), sshd.options.client_key)?;
        let authorised = sshd.options.state.join("authorized_keys");
        fs::copy(public_key_path(&sshd.identity()), &authorised)
            .map_err(Error::file(authorised))?;
        sshd.launch()?;
        sshd.write_known_hosts()?;
        Ok(sshd)
    }

    /// Returns the name or address of the server for clients.
    pub fn host(&self) -> &str {
        &self.options.host
    }

    /// Returns the port on which the server listens.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Returns the user for the login.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Returns the file with the private key of the client, which has no passphrase.
    pub fn identity(&self) -> PathBuf {
        self.options.state.join("client_key")
    }

    /// Returns a `known_hosts` file with the host key.
    pub fn known_hosts(&self) -> PathBuf {
        self.options.state.join("known_hosts")
    }

    /// Returns the fingerprint of the host key, `SHA256:…`.
    pub fn fingerprint(&self) -> Result<String, Error> {
        let output = run_tool(
            Command::new("ssh-keygen")
                .arg("-lf")
                .arg(public_key_path(&self.host_key())),
        )?;
        let fingerprint = output
            .split_whitespace()
            .find(|word| word.starts_with("SHA256:"));
        let missing = || Error::Ssh("ssh-keygen printed no SHA-256 fingerprint".to_owned());
        fingerprint.map(str::to_owned).ok_or_else(missing)
    }

    /// Returns the directory in which a session starts.
    pub fn root(&self) -> &Path {
        &self.options.root
    }

    /// Returns the log of the server.
    pub fn log(&self) -> String {
        let bytes = fs::read(self.log_file()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Stops the server and every session.
    pub fn stop(&mut self) {
        self.running = None;
    }

    /// Ends every session. The server keeps running.
    pub fn drop_sessions(&self) {
        if let Some(running) = &self.running {
            kill_children_of(running.server);
        }
    }

    /// Stops the server and every session, and starts it again on the same port.
    pub fn restart(&mut self) -> Result<(), Error> {
        self.stop();
        self.launch()
    }

    /// Stops the server and starts it with a new host key of this type on the same port.
    ///
    /// The `known_hosts` file keeps the old key, as a client's file would.
    pub fn restart_with_another_key(&mut self, key: KeyType) -> Result<(), Error> {
        self.stop();
        let host_key = self.host_key();
        for old in [public_key_path(&host_key), host_key.clone()] {
            fs::remove_file(&old).map_err(Error::file(old))?;
        }
        make_key(&host_key, key)?;
        self.launch()
    }

    fn host_key(&self) -> PathBuf {
        self.options.state.join("host_key")
    }

    fn log_file(&self) -> PathBuf {
        self.options.state.join("sshd.log")
    }

    fn launch(&mut self) -> Result<(), Error> {
        if rustix::process::geteuid().is_root() {
            // OpenSSH needs this directory for privilege separation. Without a boot script nothing else creates it.
            create_directory(Path::new("/run/sshd"))?;
        }
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            // Another process can take the free port before the server does. Then the next one is tried.
            let port = match self.port {
                0 => free_port(self.options.address)?,
                port => port,
            };
            let running = self.spawn(port)?;
            match self.wait_until_it_listens(deadline) {
                Ok(()) => {
                    (self.port, self.running) = (port, Some(running));
                    return Ok(());
                }
                Err(error) if Instant::now() > deadline => return Err(error),
                Err(_) => thread::sleep(PAUSE),
            }
        }
    }

    fn spawn(&self, port: u16) -> Result<SshdProcess, Error> {
        let state = &self.options.state;
        let log = self.log_file();
        File::create(&log).map_err(Error::file(&log))?;
        let configuration = state.join("sshd_config");
        let text = self.configuration(port);
        fs::write(&configuration, text).map_err(Error::file(&configuration))?;
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", WATCHDOG_SCRIPT, "sshd"])
            .arg(&self.program)
            .args(["-D", "-f"])
            .arg(&configuration)
            .arg("-E")
            .arg(&log)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut watchdog = command.spawn().map_err(Error::file("/bin/sh"))?;
        let mut line = String::new();
        if let Some(stdout) = watchdog.stdout.take() {
            BufReader::new(stdout)
                .read_line(&mut line)
                .map_err(Error::file("/bin/sh"))?;
        }
        let server = line.trim().parse().ok().and_then(Pid::from_raw);
        match server {
            Some(server) => Ok(SshdProcess { watchdog, server }),
            None => Err(Error::Ssh("sshd could not be started".to_owned())),
        }
    }

    fn configuration(&self, port: u16) -> String {
        let path = |name: &str| self.options.state.join(name).display().to_string();
        format!(
            "{more}\n\
             ListenAddress {address}\n\
             HostKey \"{host_key}\"\n\
             AuthorizedKeysFile \"{authorised}\"\n\
             PidFile none\n\
             AuthenticationMethods publickey\n\
             PasswordAuthentication no\n\
             KbdInteractiveAuthentication no\n\
             PermitRootLogin prohibit-password\n\
             StrictModes no\n\
             UsePAM no\n\
             UseDNS no\n\
             MaxStartups 100\n\
             LogLevel VERBOSE\n\
             Subsystem sftp internal-sftp\n\
             ForceCommand internal-sftp -d {root}\n",
            more = self.options.configuration,
            address = SocketAddr::new(self.options.address, port),
            host_key = path("host_key"),
            authorised = path("authorized_keys"),
            root = self.options.root.display(),
        )
    }

    /// Waits for the message in the log. A test connection could reach another program on the port.
    fn wait_until_it_listens(&self, deadline: Instant) -> Result<(), Error> {
        loop {
            let log = self.log();
            if log.contains("Server listening on") {
                return Ok(());
            }
            if log.contains("Cannot bind any address") || Instant::now() > deadline {
                return Err(Error::Ssh(format!("sshd does not listen: {}", log.trim())));
            }
            thread::sleep(PAUSE);
        }
    }

    fn write_known_hosts(&self) -> Result<(), Error> {
        let public = public_key_path(&self.host_key());
        let key = fs::read_to_string(&public).map_err(Error::file(&public))?;
        let mut words = key.split_whitespace();
        let (kind, key) = (
            words.next().unwrap_or_default(),
            words.next().unwrap_or_default(),
        );
        let line = format!("{} {kind} {key}\n", known_host(self.host(), self.port));
        let path = self.known_hosts();
        fs::write(&path, line).map_err(Error::file(path))
    }
}

/// The process of a server and the shell that stops it.
#[derive(Debug)]
struct SshdProcess {
    watchdog: Child,
    server: Pid,
}

impl Drop for SshdProcess {
    fn drop(&mut self) {
        // Sessions first: without their parent process they cannot be found any more.
        kill_children_of(self.server);
        drop(self.watchdog.stdin.take());
        // The shell waits for the server, so the port is free after this.
        let _ended = self.watchdog.wait();
    }
}

/// A shell script that starts the server, prints its process id, and stops it at the end of standard input.
const WATCHDOG_SCRIPT: &str = "\"$@\" </dev/null >/dev/null & server=$!; echo $server; exec >/dev/null; cat; kill $server; wait";
const START_TIMEOUT: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(20);

fn kill_children_of(parent: Pid) {
    for child in children_of(parent) {
        // With privilege separation a session is a process with a child process.
        kill_children_of(child);
        let _gone = kill_process(child, Signal::KILL);
    }
}

/// Returns the child processes of a process; none on systems without `/proc`.
fn children_of(parent: Pid) -> Vec<Pid> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let wanted = parent.as_raw_nonzero().to_string();
    let child = |entry: io::Result<fs::DirEntry>| {
        let entry = entry.ok()?;
        let id: i32 = entry.file_name().to_str()?.parse().ok()?;
        let status = fs::read_to_string(entry.path().join("status")).ok()?;
        let parent = status
            .lines()
            .find_map(|line| line.strip_prefix("PPid:"))?
            .trim();
        (parent == wanted).then(|| Pid::from_raw(id)).flatten()
    };
    entries.filter_map(child).collect()
}

fn free_port(address: IpAddr) -> Result<u16, Error> {
    let listener = TcpListener::bind((address, 0));
    let bound = listener.and_then(|listener| listener.local_addr());
    let address = SocketAddr::new(address, 0);
    let listen = |error| Error::Listen { address, error };
    bound.map(|bound| bound.port()).map_err(listen)
}

fn user_name() -> Result<String, Error> {
    let name = run_tool(Command::new("id").arg("-un"))?;
    Ok(name.trim().to_owned())
}

fn make_key(path: &Path, key: KeyType) -> Result<(), Error> {
    if path.exists() {
        return Ok(());
    }
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-N", "", "-C", "cprflow-platform"]);
    run_tool(command.args(key.arguments()).arg("-f").arg(path)).map(drop)
}

fn public_key_path(key: &Path) -> PathBuf {
    let mut name = key.as_os_str().to_owned();
    name.push(".pub");
    name.into()
}

fn create_directory(path: &Path) -> Result<(), Error> {
    let made = DirBuilder::new().recursive(true).mode(0o755).create(path);
    made.map_err(Error::file(path))
}

/// Runs a program and returns its standard output. Fails with its standard error if it fails.
fn run_tool(command: &mut Command) -> Result<String, Error> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| Error::Ssh(format!("cannot run {name}: {error}")))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        let why = text(&output.stderr);
        Err(Error::Ssh(format!("{name} failed: {}", why.trim())))
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn restarts_on_the_same_port_at_once() {
        if Sshd::program().is_none() {
            return;
        }
        // Another process can take the port while the server is stopped, but not each time.
        let restarted = (0..5).find_map(|_| {
            let directory = tempfile::tempdir().unwrap();
            let options = SshdOptions::new(
                directory.path().join("root"),
                directory.path().join("state"),
            );
            let mut sshd = Sshd::start(options).unwrap();
            let port = sshd.port();
            let connect = || TcpStream::connect((Ipv4Addr::LOCALHOST, port));
            connect().unwrap();
            sshd.stop();
            if connect().is_ok() {
                return None;
            }
            sshd.restart().ok()?;
            assert_eq!(sshd.port(), port);
            connect().unwrap();
            Some(sshd.fingerprint().unwrap().to_string())
        });
        assert!(restarted.is_some_and(|fingerprint| fingerprint.starts_with("SHA256:")));
    }
}
