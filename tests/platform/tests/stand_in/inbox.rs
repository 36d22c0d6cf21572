//! The inbox and its servers, driven by OpenSSH's own client.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use cprflow_platform::{KeyType, Sftp, SftpServer, Sshd, SshdOptions};

use crate::client::{Client, platform_with, skipped};

/// How to log in.
struct Login {
    port: u16,
    user: String,
    identity: PathBuf,
    known_hosts: PathBuf,
}

impl Login {
    fn at_sshd(sshd: &Sshd) -> Self {
        Self {
            port: sshd.port(),
            user: sshd.user().to_owned(),
            identity: sshd.identity(),
            known_hosts: sshd.known_hosts(),
        }
    }

    fn at_inbox(sftp: &Sftp) -> Self {
        Self {
            port: sftp.port(),
            user: sftp.user().to_owned(),
            identity: sftp.identity(),
            known_hosts: sftp.known_hosts(),
        }
    }

    /// Runs commands in a session and gives whether all went well, and what was said.
    fn session(&self, commands: &str) -> (bool, String) {
        let option = |name: &str, value: &str| ["-o".to_owned(), format!("{name}={value}")];
        let path = |path: &PathBuf| path.display().to_string();
        let mut child = Command::new("sftp")
            .args(["-b", "-", "-F", "none", "-P", &self.port.to_string()])
            .args(option("IdentityFile", &path(&self.identity)))
            .args(option("IdentitiesOnly", "yes"))
            .args(option("UserKnownHostsFile", &path(&self.known_hosts)))
            .args(option("StrictHostKeyChecking", "yes"))
            .args(option("ConnectTimeout", "10"))
            .arg(format!("{}@127.0.0.1", self.user))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // It may well end without reading it all.
        let _ = stdin.write_all(commands.as_bytes());
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        (output.status.success(), said)
    }
}

fn has_openssh() -> bool {
    let has_client = Command::new("sftp").arg("-h").output().is_ok();
    let has_both = Sshd::program().is_some() && has_client;
    if !has_both {
        skipped("there is no OpenSSH");
    }
    has_both
}

#[test]
fn a_session_begins_in_the_root_and_survives_a_restart() {
    if !has_openssh() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let root = place.path().join("root");
    for (host_key, client_key) in [
        (KeyType::Ed25519, KeyType::Ed25519),
        (KeyType::Ecdsa, KeyType::Rsa),
    ] {
        let state = place.path().join(format!("{host_key:?}"));
        let mut options = SshdOptions::new(&root, state);
        (options.host_key, options.client_key) = (host_key, client_key);
        let mut sshd = Sshd::start(options).unwrap();
        let login = Login::at_sshd(&sshd);
        fs::create_dir_all(root.join("IN")).unwrap();
        fs::write(root.join("IN").join("hello"), "hello").unwrap();

        let (is_well, said) = login.session("ls -1 IN\n");
        assert!(is_well && said.contains("IN/hello"), "{said}");
        sshd.restart().unwrap();
        let (is_well, said) = login.session("rm IN/hello\n");
        assert!(is_well, "{said}");
        assert!(!root.join("IN").join("hello").exists());

        sshd.restart_with_another_key(host_key).unwrap();
        let (is_well, said) = login.session("ls IN\n");
        assert!(!is_well, "{said}");
        assert!(said.contains("IDENTIFICATION HAS CHANGED"), "{said}");
    }
}

#[test]
fn a_delivery_is_fetched_and_deleted_from_either_server() {
    if !has_openssh() {
        return;
    }
    for server in [SftpServer::Sshd, SftpServer::InProcess] {
        let mut place = platform_with(2000, |options| options.sftp = server);
        Client::new(&place.platform).add_municipality("0851");
        let night = place.platform.night().unwrap();
        let delivered = &night.deliveries[0];
        let fetched = tempfile::tempdir().unwrap();
        let target = fetched.path().display();
        let inbox = place.platform.sftp().inbox().to_owned();
        let login = Login::at_inbox(place.platform.sftp());

        let name = &delivered.name;
        let (is_well, said) = login.session(&format!(
            "ls -l {inbox}\ncd {inbox}\nget {name} {target}/\nget {name}.metadata {target}/\n"
        ));
        assert!(is_well, "{server:?}: {said}");
        assert!(said.contains(&delivered.bytes.len().to_string()), "{said}");
        assert!(fs::read(fetched.path().join(name)).unwrap() == delivered.bytes);

        place.platform.sftp_mut().stop();
        assert!(!login.session("ls\n").0, "{server:?}");
        place.platform.sftp_mut().restart().unwrap();
        let (is_well, said) = login.session(&format!(
            "rm {inbox}/{name}\nrm {inbox}/{name}.metadata\n-rm {inbox}/{name}\n"
        ));
        assert!(is_well, "{server:?}: {said}");
        assert_eq!(fs::read_dir(place.platform.inbox()).unwrap().count(), 0);

        let fingerprint = place.platform.sftp().fingerprint().unwrap();
        let told = Command::new("ssh-keygen")
            .arg("-lf")
            .arg(place.platform.sftp().known_hosts())
            .output()
            .unwrap();
        let told = String::from_utf8(told.stdout).unwrap();
        assert!(told.contains(&fingerprint), "{told} {fingerprint}");

        let stranger = Login {
            identity: place.platform.client().key.clone(),
            ..login
        };
        assert!(!stranger.session("ls\n").0, "{server:?}");
    }
}
