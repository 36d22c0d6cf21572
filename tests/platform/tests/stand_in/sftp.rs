//! The inbox and its SFTP servers, tested with the OpenSSH client.

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use cprflow_platform::{InboxServer, KeyType, SftpBackend, Sshd, SshdOptions};

use crate::client::{Client, platform_with, skipped};

/// The address and the keys of an SFTP server.
struct Login {
    port: u16,
    user: String,
    identity: PathBuf,
    known_hosts: PathBuf,
}

impl Login {
    fn for_sshd(sshd: &Sshd) -> Self {
        Self {
            port: sshd.port(),
            user: sshd.user().to_owned(),
            identity: sshd.identity(),
            known_hosts: sshd.known_hosts(),
        }
    }

    fn for_inbox(sftp: &InboxServer) -> Self {
        Self {
            port: sftp.port(),
            user: sftp.user().to_owned(),
            identity: sftp.identity(),
            known_hosts: sftp.known_hosts(),
        }
    }

    /// Runs commands in a session. Returns whether all succeeded, and the output.
    fn session(&self, commands: &str) -> (bool, String) {
        let port = ["-P", &self.port.to_string()].map(str::to_owned);
        self.session_at(&port, &format!("{}@127.0.0.1", self.user), commands)
    }

    /// Runs commands in a session at an address or URL, with more options of the client.
    fn session_at(&self, options: &[String], address: &str, commands: &str) -> (bool, String) {
        let option = |name: &str, value: &str| ["-o".to_owned(), format!("{name}={value}")];
        let path = |path: &PathBuf| path.display().to_string();
        let mut child = Command::new("sftp")
            .args(["-b", "-", "-F", "none"])
            .args(options)
            .args(option("IdentityFile", &path(&self.identity)))
            .args(option("IdentitiesOnly", "yes"))
            .args(option("UserKnownHostsFile", &path(&self.known_hosts)))
            .args(option("StrictHostKeyChecking", "yes"))
            .args(option("ConnectTimeout", "10"))
            .arg(address)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // The client can end before it has read all commands.
        let _ = stdin.write_all(commands.as_bytes());
        drop(stdin);
        let ended = child.wait_with_output().unwrap();
        let output = [ended.stdout, ended.stderr].concat();
        let output = String::from_utf8_lossy(&output).into_owned();
        (ended.status.success(), output)
    }
}

fn has_openssh() -> bool {
    let has_client = Command::new("sftp").arg("-h").output().is_ok();
    let has_both = Sshd::program().is_some() && has_client;
    if !has_both {
        let is_required = std::env::var_os("CPRFLOW_REQUIRE_SSHD").is_some();
        assert!(!is_required, "OpenSSH is not installed");
        skipped("OpenSSH is not installed");
    }
    has_both
}

#[test]
fn sessions_start_in_the_root_also_after_a_restart() {
    if !has_openssh() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("root");
    for (host_key, client_key) in [
        (KeyType::Ed25519, KeyType::Ed25519),
        (KeyType::Ecdsa, KeyType::Rsa),
    ] {
        let state = directory.path().join(format!("{host_key:?}"));
        let mut options = SshdOptions::new(&root, state);
        (options.host_key, options.client_key) = (host_key, client_key);
        let mut sshd = Sshd::start(options).unwrap();
        let login = Login::for_sshd(&sshd);
        fs::create_dir_all(root.join("IN")).unwrap();
        fs::write(root.join("IN").join("hello"), "hello").unwrap();

        let (succeeded, output) = login.session("ls -1 IN\n");
        assert!(succeeded && output.contains("IN/hello"), "{output}");
        sshd.restart().unwrap();
        let (succeeded, output) = login.session("rm IN/hello\n");
        assert!(succeeded, "{output}");
        assert!(!root.join("IN").join("hello").exists());

        sshd.restart_with_another_key(host_key).unwrap();
        let (succeeded, output) = login.session("ls IN\n");
        assert!(!succeeded, "{output}");
        assert!(output.contains("IDENTIFICATION HAS CHANGED"), "{output}");
    }
}

#[test]
fn a_delivery_can_be_fetched_and_deleted_from_either_server() {
    if !has_openssh() {
        return;
    }
    for server in [SftpBackend::Sshd, SftpBackend::InProcess] {
        let mut test = platform_with(2000, |options| options.sftp = server);
        Client::new(&test.platform).add_municipality("0851");
        let night = test.platform.run_night().unwrap();
        let delivered = &night.deliveries[0];
        let fetched = tempfile::tempdir().unwrap();
        let target = fetched.path().display();
        let inbox = test.platform.sftp().inbox();
        let login = Login::for_inbox(test.platform.sftp());

        let name = &delivered.name;
        let (succeeded, output) = login.session(&format!(
            "ls -l {inbox}\ncd {inbox}\nget {name} {target}/\nget {name}.metadata {target}/\n"
        ));
        assert!(succeeded, "{server:?}: {output}");
        assert!(
            output.contains(&delivered.bytes.len().to_string()),
            "{output}"
        );
        assert!(fs::read(fetched.path().join(name)).unwrap() == delivered.bytes);

        test.platform.sftp_mut().stop();
        assert!(!login.session("ls\n").0, "{server:?}");
        test.platform.sftp_mut().restart().unwrap();
        let (succeeded, output) = login.session(&format!(
            "rm {inbox}/{name}\nrm {inbox}/{name}.metadata\n-rm {inbox}/{name}\n"
        ));
        assert!(succeeded, "{server:?}: {output}");
        assert_eq!(fs::read_dir(test.platform.inbox()).unwrap().count(), 0);

        let fingerprint = test.platform.sftp().fingerprint().unwrap();
        let listed = Command::new("ssh-keygen")
            .arg("-lf")
            .arg(test.platform.sftp().known_hosts())
            .output()
            .unwrap();
        let listed = String::from_utf8(listed.stdout).unwrap();
        assert!(listed.contains(&fingerprint), "{listed} {fingerprint}");

        let unregistered = Login {
            identity: test.platform.client().key.clone(),
            ..login
        };
        assert!(!unregistered.session("ls\n").0, "{server:?}");
    }
}

#[test]
fn the_url_and_the_directory_of_the_inbox_work_in_the_openssh_client() {
    if !has_openssh() {
        return;
    }
    for server in [SftpBackend::Sshd, SftpBackend::InProcess] {
        let test = platform_with(10, |options| options.sftp = server);
        fs::write(test.platform.inbox().join("d260303.l431101"), "x").unwrap();
        let sftp = test.platform.sftp();
        let login = Login::for_inbox(sftp);
        let (succeeded, output) = login.session_at(&[], &sftp.url(), "ls -1\n");
        assert!(
            succeeded && output.contains("\nd260303.l431101\n"),
            "{server:?} {}: {output}",
            sftp.url()
        );
        let directory = sftp.inbox();
        assert!(directory.starts_with('/'), "{directory}");
        let (succeeded, output) = login.session(&format!("cd {directory}\nls -1\n"));
        assert!(
            succeeded && output.contains("\nd260303.l431101\n"),
            "{server:?}: {output}"
        );
    }
}

#[test]
fn both_servers_listen_on_the_given_address() {
    if !has_openssh() {
        return;
    }
    for server in [SftpBackend::Sshd, SftpBackend::InProcess] {
        for (address, host, found_as) in [
            ("127.0.0.2", None, "127.0.0.2"),
            ("0.0.0.0", Some("localhost"), "localhost"),
            ("0.0.0.0", None, "127.0.0.1"),
        ] {
            let test = platform_with(10, |options| {
                options.sftp = server;
                options.address = address.parse().unwrap();
                options.host = host.map(str::to_owned);
            });
            let (platform, sftp) = (&test.platform, test.platform.sftp());
            assert!(platform.url().starts_with(&format!("https://{found_as}:")));
            assert_eq!(Client::new(platform).add_municipality("0851"), "ADDED");
            assert_eq!(sftp.host(), found_as);
            let (succeeded, output) = Login::for_inbox(sftp).session_at(&[], &sftp.url(), "ls\n");
            assert!(succeeded, "{server:?} {}: {output}", sftp.url());
            let is_on_loopback = TcpStream::connect(("127.0.0.1", sftp.port())).is_ok();
            assert_eq!(is_on_loopback, address == "0.0.0.0", "{server:?} {address}");
        }
    }
}
