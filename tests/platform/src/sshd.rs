//! An SFTP server on loopback: the machine's own OpenSSH, with keys and a configuration made for it alone.
//!
//! It serves whoever runs it, as that user, without PAM. It ends with the [`Sshd`], and also when the process that
//! started it is killed: a shell between the two waits for the end of its standard input.

use std::fs::{self, DirBuilder, File};
use std::io::{self, BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::Error;

/// How to start it.
#[derive(Debug, Clone)]
pub struct SshdOptions {
    /// The directory in which a session begins. It is made if it is not there.
    pub root: PathBuf,
    /// The directory for keys, configuration and log. It is made if it is not there.
    pub state: PathBuf,
    /// The port; 0 for any that is free.
    pub port: u16,
    /// The type of the server's key.
    pub host_key: KeyType,
    /// The type of the client's key.
    pub client_key: KeyType,
    /// Further lines of the server's configuration. They stand first, and the first of its kind counts.
    pub configuration: String,
}

impl SshdOptions {
    /// Serves that directory on any free port, with Ed25519 keys that are kept in the other directory.
    pub fn new(root: impl Into<PathBuf>, state: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            state: state.into(),
            port: 0,
            host_key: KeyType::Ed25519,
            client_key: KeyType::Ed25519,
            configuration: String::new(),
        }
    }
}

/// A type of SSH key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyType {
    /// Ed25519.
    Ed25519,
    /// RSA of 3072 bits.
    Rsa,
    /// ECDSA on P-256.
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

/// A running SFTP server.
#[derive(Debug)]
pub struct Sshd {
    options: SshdOptions,
    program: PathBuf,
    user: String,
    port: u16,
    running: Option<Running>,
}

impl Sshd {
    /// The server program of this machine, if it has one.
    pub fn program() -> Option<PathBuf> {
        const PLACES: [&str; 4] = [
            "/usr/sbin/sshd",
            "/usr/local/sbin/sshd",
            "/usr/bin/sshd",
            "/opt/homebrew/sbin/sshd",
        ];
        let mut places = PLACES.into_iter().map(PathBuf::from);
        places.find(|place| place.is_file())
    }

    /// Makes the keys that are not there yet and starts the server.
    pub fn start(mut options: SshdOptions) -> Result<Self, Error> {
        let Some(program) = Self::program() else {
            let why = "there is no sshd on this machine; install openssh-server";
            return Err(Error::Ssh(why.to_owned()));
        };
        for path in [&mut options.root, &mut options.state] {
            directory(path)?;
            *path = fs::canonicalize(&path).map_err(Error::file(path.clone()))?;
        }
        let root = options.root.as_os_str().as_encoded_bytes();
        if root.iter().any(|byte| b" \t\n%\"".contains(byte)) {
            let why =
                "sshd cannot begin in a directory whose path has spaces, quotes or percent signs";
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
        fs::copy(public(&sshd.identity()), &authorised).map_err(Error::file(authorised))?;
        sshd.launch()?;
        sshd.write_known_hosts()?;
        Ok(sshd)
    }

    /// Where it listens.
    pub const fn host(&self) -> &'static str {
        "127.0.0.1"
    }

    /// The port on which it listens.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The user to log in as.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The private key of the client, without a passphrase.
    pub fn identity(&self) -> PathBuf {
        self.options.state.join("client_key")
    }

    /// A `known_hosts` file with the server's key.
    pub fn known_hosts(&self) -> PathBuf {
        self.options.state.join("known_hosts")
    }

    /// The fingerprint of the server's key, `SHA256:…`.
    pub fn fingerprint(&self) -> Result<String, Error> {
        let said = tool(
            Command::new("ssh-keygen")
                .arg("-lf")
                .arg(public(&self.host_key())),
        )?;
        let fingerprint = said
            .split_whitespace()
            .find(|word| word.starts_with("SHA256:"));
        let missing = || Error::Ssh("ssh-keygen told no SHA-256 fingerprint".to_owned());
        fingerprint.map(str::to_owned).ok_or_else(missing)
    }

    /// The directory in which a session begins.
    pub fn root(&self) -> &Path {
        &self.options.root
    }

    /// What the server has logged.
    pub fn log(&self) -> String {
        let bytes = fs::read(self.log_file()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Ends the server and every session.
    pub fn stop(&mut self) {
        self.running = None;
    }

    /// Ends every session; the server goes on.
    pub fn drop_sessions(&self) {
        if let Some(running) = &self.running {
            end_children_of(running.server);
        }
    }

    /// Ends the server and every session, and starts it anew on the same port.
    pub fn restart(&mut self) -> Result<(), Error> {
        self.stop();
        self.launch()
    }

    /// Ends the server and starts it with another key of that type on the same port. The `known_hosts` file keeps
    /// the former key, as a client's would.
    pub fn restart_with_another_key(&mut self, key: KeyType) -> Result<(), Error> {
        self.stop();
        let host_key = self.host_key();
        for old in [public(&host_key), host_key.clone()] {
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
            // Where OpenSSH puts the part of it that has no rights. A boot script makes it, where one runs.
            directory(Path::new("/run/sshd"))?;
        }
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            // A free port can be taken by another before the server has it. Then there is a next one.
            let port = match self.port {
                0 => free_port()?,
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

    fn spawn(&self, port: u16) -> Result<Running, Error> {
        let state = &self.options.state;
        let log = self.log_file();
        File::create(&log).map_err(Error::file(&log))?;
        let configuration = state.join("sshd_config");
        let text = self.configuration(port);
        fs::write(&configuration, text).map_err(Error::file(&configuration))?;
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", WATCH, "sshd"])
            .arg(&self.program)
            .args(["-D", "-f"])
            .arg(&configuration)
            .arg("-E")
            .arg(&log)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut watch = command.spawn().map_err(Error::file("/bin/sh"))?;
        let mut line = String::new();
        if let Some(stdout) = watch.stdout.take() {
            BufReader::new(stdout)
                .read_line(&mut line)
                .map_err(Error::file("/bin/sh"))?;
        }
        let server = line.trim().parse().ok().and_then(Pid::from_raw);
        match server {
            Some(server) => Ok(Running { watch, server }),
            None => Err(Error::Ssh("sshd could not be started".to_owned())),
        }
    }

    fn configuration(&self, port: u16) -> String {
        let path = |name: &str| self.options.state.join(name).display().to_string();
        format!(
            "{more}\n\
             ListenAddress 127.0.0.1:{port}\n\
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
            host_key = path("host_key"),
            authorised = path("authorized_keys"),
            root = self.options.root.display(),
        )
    }

    /// Its own word counts: something else might answer on the port.
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
        let public = public(&self.host_key());
        let key = fs::read_to_string(&public).map_err(Error::file(&public))?;
        let mut words = key.split_whitespace();
        let (kind, key) = (
            words.next().unwrap_or_default(),
            words.next().unwrap_or_default(),
        );
        let line = format!("[{}]:{} {kind} {key}\n", self.host(), self.port);
        let path = self.known_hosts();
        fs::write(&path, line).map_err(Error::file(path))
    }
}

/// A server and the shell that ends it.
#[derive(Debug)]
struct Running {
    watch: Child,
    server: Pid,
}

impl Drop for Running {
    fn drop(&mut self) {
        // The sessions first: without their parent they could not be told from others.
        end_children_of(self.server);
        drop(self.watch.stdin.take());
        // The shell waits for the server, so the port is free after this.
        let _ended = self.watch.wait();
    }
}

/// Starts the server, tells its process id, and ends it when the standard input does.
const WATCH: &str = "\"$@\" </dev/null >/dev/null & server=$!; echo $server; exec >/dev/null; cat; kill $server; wait";
const START_TIMEOUT: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(20);

fn end_children_of(parent: Pid) {
    for child in children_of(parent) {
        // A session under separated privileges is a process with one more below it.
        end_children_of(child);
        let _gone = kill_process(child, Signal::KILL);
    }
}

/// The processes whose parent that one is, where the system tells in `/proc`.
fn children_of(parent: Pid) -> Vec<Pid> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let wanted = parent.as_raw_nonzero().to_string();
    let child = |entry: io::Result<fs::DirEntry>| {
        let entry = entry.ok()?;
        let id: i32 = entry.file_name().to_str()?.parse().ok()?;
        let status = fs::read_to_string(entry.path().join("status")).ok()?;
        let said = status
            .lines()
            .find_map(|line| line.strip_prefix("PPid:"))?
            .trim();
        (said == wanted).then(|| Pid::from_raw(id)).flatten()
    };
    entries.filter_map(child).collect()
}

fn free_port() -> Result<u16, Error> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let address = listener.and_then(|listener| listener.local_addr());
    let listen = |error| Error::Listen { port: 0, error };
    address.map(|address| address.port()).map_err(listen)
}

fn user_name() -> Result<String, Error> {
    let name = tool(Command::new("id").arg("-un"))?;
    Ok(name.trim().to_owned())
}

fn make_key(path: &Path, key: KeyType) -> Result<(), Error> {
    if path.exists() {
        return Ok(());
    }
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-N", "", "-C", "cprflow-platform"]);
    tool(command.args(key.arguments()).arg("-f").arg(path)).map(drop)
}

fn public(key: &Path) -> PathBuf {
    let mut name = key.as_os_str().to_owned();
    name.push(".pub");
    name.into()
}

fn directory(path: &Path) -> Result<(), Error> {
    let made = DirBuilder::new().recursive(true).mode(0o755).create(path);
    made.map_err(Error::file(path))
}

/// What a tool prints, if it succeeds.
fn tool(command: &mut Command) -> Result<String, Error> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| Error::Ssh(format!("cannot run {name}: {error}")))?;
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        Ok(said(&output.stdout))
    } else {
        let why = said(&output.stderr);
        Err(Error::Ssh(format!("{name} failed: {}", why.trim())))
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn a_port_can_be_taken_again_at_once() {
        if Sshd::program().is_none() {
            return;
        }
        let place = tempfile::tempdir().unwrap();
        let options = SshdOptions::new(place.path().join("root"), place.path().join("state"));
        let mut sshd = Sshd::start(options).unwrap();
        let port = sshd.port();
        let connect = || TcpStream::connect((Ipv4Addr::LOCALHOST, port));
        connect().unwrap();
        sshd.stop();
        connect().unwrap_err();
        sshd.restart().unwrap();
        assert_eq!(sshd.port(), port);
        connect().unwrap();
        assert!(sshd.fingerprint().unwrap().starts_with("SHA256:"));
    }
}
