//! The SFTP inbox against servers that leave things out, answer in unusual ways, or want more than a key.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use cprflow_tests::command::TestDirectory;
use cprflow_tests::python::python;
use cprflow_tests::sshd::{Setup, Sshd};
use cprflow_transport::{
    Inbox, Operation, Refusal, RemoteName, Server, SftpInbox, SftpSettings, Transport,
    TransportError,
};

/// Starts a server whose SFTP subsystem behaves in an unusual way.
fn odd(arguments: &str) -> Option<Sshd> {
    Sshd::start(Setup {
        program: Some(env!("CARGO_BIN_EXE_odd-sftp")),
        sftp: Some(arguments.to_owned().leak()),
        ..Setup::default()
    })
}

#[test]
fn lists_and_reads_files_whose_attributes_the_server_leaves_out() {
    let content = numbers(100_000);
    for arguments in [
        "--listing tsm",
        "--listing t",
        "--listing s",
        "--listing m",
        "--listing t --stat t",
        "--listing s --stat s",
        "--listing tsm --stat tsm",
        "--listing tsm --no-lstat",
        "--no-lstat",
        "--stat m",
    ] {
        let Some(sshd) = odd(arguments) else { return };
        fs::write(sshd.path("f"), &content).unwrap();
        fs::write(sshd.path("empty"), "").unwrap();
        fs::write(sshd.path("one"), "1").unwrap();
        fs::create_dir(sshd.path("folder")).unwrap();
        symlink("/etc/passwd", sshd.path("link")).unwrap();
        let mut inbox = SftpInbox::connect(&sshd.server(), &sshd.settings()).unwrap();
        let listing = inbox.list().unwrap();
        let found: Vec<_> = listing
            .entries
            .iter()
            .map(|entry| (entry.name.as_str(), entry.stat.size, entry.stat.is_file))
            .collect();
        assert_eq!(
            found,
            [
                ("empty", 0, true),
                ("f", content.len() as u64, true),
                ("one", 1, true)
            ],
            "{arguments}"
        );
        let mut refused: Vec<_> = listing
            .refused
            .iter()
            .map(|refused| (refused.shown.as_str(), refused.refusal))
            .collect();
        refused.sort_by_key(|refused| refused.0);
        assert_eq!(
            refused,
            [("folder", Refusal::Directory), ("link", Refusal::Link)],
            "{arguments}"
        );
        for entry in &listing.entries {
            let stat = inbox.stat(&entry.name).unwrap().unwrap();
            assert!(stat.agrees_with(&entry.stat), "{arguments}");
        }
        assert_eq!(inbox.stat(&name("missing")).unwrap(), None, "{arguments}");
        assert!(read(&mut inbox, "f", 0) == content, "{arguments}");
        assert!(read(&mut inbox, "f", 5) == content[5..], "{arguments}");
        for other in ["link", "folder"] {
            let error = inbox.open(&name(other), 0).err().unwrap();
            assert!(
                matches!(error, TransportError::NotAFile { .. }),
                "{arguments} {other}: {error}"
            );
            assert!(!error.to_string().contains("emove"), "{error}");
        }
        inbox.remove(&name("f")).unwrap();
        assert!(!sshd.path("f").exists());
    }
}

#[test]
fn reads_from_servers_that_send_less_than_asked_for() {
    let content = numbers(300_000);
    for most in [1_000, 4_096, 16_384, 29_999] {
        let Some(sshd) = odd(&format!("--most-read {most}")) else {
            return;
        };
        fs::write(sshd.path("f"), &content).unwrap();
        let mut inbox = SftpInbox::connect(&sshd.server(), &sshd.settings()).unwrap();
        for offset in [0, 1, 123_456] {
            let got = read(&mut inbox, "f", offset);
            assert!(got == content[offset as usize..], "{most} from {offset}");
        }
        // Everything came over one connection.
        assert_eq!(sshd.log().matches("Accepted publickey").count(), 1);
    }
}

#[test]
fn requests_nothing_beyond_the_known_end_but_one_byte() {
    let log = tempfile::NamedTempFile::new().unwrap();
    let Some(sshd) = odd(&format!("--log {}", log.path().display())) else {
        return;
    };
    let sizes = [1_usize, 700, 4_000, 29_999, 30_000, 30_001, 2_500_000];
    for size in sizes {
        fs::write(sshd.path(&size.to_string()), numbers(size)).unwrap();
    }
    let mut inbox = SftpInbox::connect(&sshd.server(), &sshd.settings()).unwrap();
    for size in sizes {
        assert!(read(&mut inbox, &size.to_string(), 0) == numbers(size));
    }
    let log = fs::read_to_string(log.path()).unwrap();
    let number =
        |line: &str, field: usize| -> u64 { line.split(' ').nth(field).unwrap().parse().unwrap() };
    let beyond = log
        .lines()
        .filter(|line| number(line, 1) >= number(line, 3));
    assert!(beyond.count() <= sizes.len(), "{log}");
    let needed: usize = sizes.iter().map(|size| size.div_ceil(30_000)).sum();
    assert!(log.lines().count() <= needed + 3 * sizes.len(), "{log}");
}

#[test]
fn an_address_without_a_folder_leads_to_the_inbox_of_the_login() {
    let Some(sshd) = Sshd::start_default() else {
        return;
    };
    fs::create_dir(sshd.path("IN")).unwrap();
    fs::write(sshd.path("IN/inside"), "").unwrap();
    fs::write(sshd.path("outside"), "").unwrap();
    let mut server = sshd.server();
    for (folder, found) in [("", "inside"), ("IN", "inside"), (".", "outside")] {
        server.folder = folder.to_owned();
        let mut inbox = SftpInbox::connect(&server, &sshd.settings()).unwrap();
        let listing = inbox.list().unwrap();
        assert_eq!(listing.entries.len(), 1, "{folder}");
        assert_eq!(listing.entries[0].name.as_str(), found, "{folder}");
    }
}

#[test]
fn says_that_a_server_wants_a_password_too() {
    let setup = Setup {
        configuration: vec!["AuthenticationMethods publickey,password".to_owned()],
        ..Setup::default()
    };
    let Some(sshd) = with_passwords(setup) else {
        return;
    };
    let error = refusal(&sshd.server(), &sshd.settings());
    assert!(
        matches!(&error, TransportError::MoreThanKey { methods, .. } if methods == "password"),
        "{error}"
    );
    assert!(!error.is_transient());
    assert!(error.to_string().contains("accepted the key"), "{error}");
}

#[test]
fn says_that_a_server_takes_no_keys() {
    let setup = Setup {
        configuration: vec!["PubkeyAuthentication no".to_owned()],
        ..Setup::default()
    };
    let Some(sshd) = with_passwords(setup) else {
        return;
    };
    let error = refusal(&sshd.server(), &sshd.settings());
    assert!(
        matches!(&error, TransportError::NoKeyLogin { methods, .. } if methods == "password"),
        "{error}"
    );
    assert!(!error.is_transient());
}

/// Starts a server that lets users log in with passwords, too.
fn with_passwords(setup: Setup) -> Option<Sshd> {
    Sshd::start(Setup {
        passwords: true,
        ..setup
    })
}

#[test]
fn says_that_a_server_sends_text_before_sftp() {
    // The program waits after its text, as a login script does that then starts SFTP.
    let noisy = "/bin/echo Welcome to the machine, 010101-0101; sleep 20;";
    let Some(sshd) = Sshd::start(Setup {
        program: Some(noisy),
        ..Setup::default()
    }) else {
        return;
    };
    let begun = Instant::now();
    let error = refusal(&sshd.server(), &sshd.settings());
    let TransportError::TextBeforeSftp { text, .. } = &error else {
        panic!("{error}");
    };
    assert!(text.starts_with("Welcome to the machine"), "{error}");
    assert!(!text.contains("010101"), "{error}");
    assert!(!error.is_transient());
    assert!(begun.elapsed() < Duration::from_secs(60));
}

#[test]
fn rsa_keys_sign_with_sha_2_only() {
    for (accepted, is_accepted) in [
        ("rsa-sha2-512", true),
        ("rsa-sha2-256", true),
        ("ssh-rsa", false),
    ] {
        let setup = Setup {
            configuration: vec![format!("PubkeyAcceptedAlgorithms {accepted}")],
            ..Setup::default()
        };
        let Some(sshd) = Sshd::start(setup) else {
            return;
        };
        let forms: [(&str, &str, &[&str]); 5] = [
            ("openssh", "", &[]),
            ("openssh-encrypted", "secret", &[]),
            ("pem", "", &["-m", "PEM"]),
            ("pem-encrypted", "secret", &["-m", "PEM"]),
            ("pkcs8", "secret", &["-m", "PKCS8"]),
        ];
        for (form, passphrase, arguments) in forms {
            let key = sshd.key(form, "rsa", passphrase, arguments);
            let passphrase = (!passphrase.is_empty()).then_some(passphrase);
            let connected =
                SftpInbox::connect(&sshd.server(), &sshd.settings_with(&key, passphrase));
            match connected {
                Ok(_) => assert!(is_accepted, "{form} {accepted}"),
                Err(error) => {
                    assert!(!is_accepted, "{form} {accepted}: {error}");
                    assert!(
                        matches!(error, TransportError::RsaKeyRefused { .. }),
                        "{form}: {error}"
                    );
                    assert!(error.to_string().contains("SHA-1"), "{error}");
                }
            }
        }
    }
}

/// Servers older than OpenSSH 7.2 do not name the signature algorithms they accept. Some of them know SHA-2, others end the
/// connection.
#[test]
fn rsa_keys_sign_with_sha_2_if_the_server_names_no_algorithms() {
    let Some(python) = python() else { return };
    let keys = TestDirectory::new();
    for (name, kind) in [("host", "ed25519"), ("rsa", "rsa")] {
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", kind, "-N", "", "-f", &keys.path(name)])
            .status();
        assert!(made.unwrap().success());
    }
    let fingerprint = Command::new("ssh-keygen")
        .args(["-l", "-f", &keys.path("host.pub")])
        .output();
    let fingerprint = String::from_utf8(fingerprint.unwrap().stdout).unwrap();
    let fingerprint = fingerprint.split(' ').nth(1).unwrap();
    for disabled in [&[][..], &["rsa-sha2-512", "rsa-sha2-256"]] {
        let mut serving = Command::new(&python)
            .arg(cprflow_tests::root().join("tests/python/ssh_server.py"))
            .args([keys.path("host"), keys.path("rsa.pub")])
            .args(disabled)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut port = String::new();
        let mut out = BufReader::new(serving.stdout.take().unwrap());
        out.read_line(&mut port).unwrap();
        let address = format!("sftp://user@127.0.0.1:{}/IN", port.trim());
        let Inbox::Sftp(server) = address.parse().unwrap() else {
            panic!("not an address of a server");
        };
        let mut settings = SftpSettings::new(keys.path("rsa"));
        settings.host_keys = vec![fingerprint.parse().unwrap()];
        let listed = SftpInbox::connect(&server, &settings).and_then(|mut inbox| inbox.list());
        match listed {
            Ok(listing) => {
                assert!(disabled.is_empty());
                assert_eq!(listing.entries.len(), 0);
            }
            Err(error) => {
                assert!(!disabled.is_empty(), "{error}");
                let is_about_rsa = matches!(
                    error,
                    TransportError::RsaKeyRefused { .. } | TransportError::LostAtRsaLogin { .. }
                );
                assert!(
                    is_about_rsa && error.to_string().contains("SHA-1"),
                    "{error}"
                );
            }
        }
        serving.kill().unwrap();
        serving.wait().unwrap();
    }
}

#[test]
fn names_weak_checksums_and_unknown_files() {
    let weak = Setup {
        configuration: vec!["Ciphers aes256-ctr".to_owned(), "MACs hmac-sha1".to_owned()],
        ..Setup::default()
    };
    let Some(sshd) = Sshd::start(weak) else {
        return;
    };
    let error = refusal(&sshd.server(), &sshd.settings());
    assert!(
        matches!(error, TransportError::NoCommonAlgorithm { .. }),
        "{error}"
    );
    assert!(error.to_string().contains("hmac-sha1"), "{error}");

    // A lost connection names the file.
    let Some(sshd) = odd("--opens 1") else { return };
    fs::write(sshd.path("first"), "1").unwrap();
    fs::write(sshd.path("second"), "2").unwrap();
    let mut inbox = SftpInbox::connect(&sshd.server(), &sshd.settings()).unwrap();
    assert_eq!(read(&mut inbox, "first", 0), b"1");
    let error = inbox.open(&name("second"), 0).err().unwrap();
    assert!(
        matches!(
            error,
            TransportError::Lost {
                operation: Operation::Open,
                ..
            }
        ),
        "{error}"
    );
    assert!(
        error.to_string().contains("while opening second"),
        "{error}"
    );
}

#[test]
fn matches_patterns_in_known_hosts() {
    let Some(sshd) = Sshd::start_default() else {
        return;
    };
    let key = sshd.public_host_key("ed25519");
    let port = sshd.port();
    for (hosts, is_known) in [
        (format!("[127.0.0.*]:{port}"), true),
        (format!("other,[127.?.0.1]:{port}"), true),
        (format!("[*]:{port}"), true),
        ("*".to_owned(), true),
        (format!("[127.0.0.*]:{port},![127.0.0.1]:{port}"), false),
        ("128.*".to_owned(), false),
    ] {
        let file = sshd.known_hosts("patterns", &format!("{hosts} {key}\n"));
        let settings = SftpSettings {
            known_hosts: Some(file),
            host_keys: Vec::new(),
            ..sshd.settings()
        };
        let connected = SftpInbox::connect(&sshd.server(), &settings);
        assert_eq!(connected.is_ok(), is_known, "{hosts}");
    }
}

fn refusal(server: &Server, settings: &SftpSettings) -> TransportError {
    SftpInbox::connect(server, settings).err().unwrap()
}

fn name(name: &str) -> RemoteName {
    RemoteName::try_from(name).unwrap()
}

/// Returns bytes that differ at every position.
fn numbers(length: usize) -> Vec<u8> {
    let numbers = (0_u32..).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes());
    numbers.take(length).collect()
}

fn read(inbox: &mut dyn Transport, of: &str, offset: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut reader = inbox.open(&name(of), offset).unwrap();
    reader.read_to_end(&mut bytes).unwrap();
    bytes
}
