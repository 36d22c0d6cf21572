//! Host keys and client keys of the SFTP inbox, against OpenSSH's own server.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use cprflow_tests::sshd::{Setup, Sshd};
use cprflow_transport::{KeyFileProblem, SftpInbox, SftpSettings, TransportError};

#[test]
fn accepts_a_host_key_by_fingerprint_or_known_hosts() {
    let setup = Setup {
        host_keys: vec!["ed25519", "ecdsa", "rsa"],
        ..Setup::default()
    };
    let Some(sshd) = Sshd::start(setup) else {
        return;
    };
    let nothing = SftpSettings {
        host_keys: Vec::new(),
        ..sshd.settings()
    };
    let unknown = refusal(&sshd.server(), &nothing);
    assert!(matches!(unknown, TransportError::HostKeyUnknown { .. }));
    let message = unknown.to_string();
    assert!(message.contains(&format!("ssh-ed25519 {}", sshd.fingerprint("ed25519"))));

    let port = sshd.port();
    for kind in ["ed25519", "ecdsa", "rsa"] {
        // The server prefers its ed25519 key.
        let settings = SftpSettings {
            host_keys: vec![sshd.fingerprint(kind).parse().unwrap()],
            ..nothing.clone()
        };
        SftpInbox::connect(&sshd.server(), &settings).unwrap();
        let line = format!("[127.0.0.1]:{port} {}", sshd.public_host_key(kind));
        let plain = sshd.known_hosts("plain", &line);
        let hashed = sshd.known_hosts("hashed", &line);
        let done = Command::new("ssh-keygen")
            .args(["-H", "-f"])
            .arg(&hashed)
            .output()
            .unwrap();
        assert!(done.status.success());
        assert!(fs::read_to_string(&hashed).unwrap().starts_with("|1|"));
        let among = sshd.known_hosts(
            "among",
            &format!(
                "# ours\n\nnonsense\nother.example,127.0.0.1 {}\n",
                sshd.public_host_key(kind)
            ),
        );
        for file in [plain, hashed, among] {
            let settings = SftpSettings {
                known_hosts: Some(file),
                ..nothing.clone()
            };
            SftpInbox::connect(&sshd.server(), &settings).unwrap();
        }
    }
    // A line of known_hosts for another host does not count.
    let line = format!("[127.0.0.1]:1 {}", sshd.public_host_key("rsa"));
    let settings = SftpSettings {
        known_hosts: Some(sshd.known_hosts("other", &line)),
        ..nothing
    };
    let unknown = refusal(&sshd.server(), &settings);
    assert!(matches!(unknown, TransportError::HostKeyUnknown { .. }));
}

#[test]
fn rejects_an_unknown_host_key_before_login() {
    let setup = Setup {
        host_keys: vec!["ed25519", "rsa"],
        ..Setup::default()
    };
    let Some(mut sshd) = Sshd::start(setup) else {
        return;
    };
    let known =
        |sshd: &Sshd| format!("[127.0.0.1]:{} ", sshd.port()) + &sshd.public_host_key("rsa");
    let file = sshd.known_hosts("known", &known(&sshd));
    let by_fingerprint = sshd.settings();
    let by_line = SftpSettings {
        known_hosts: Some(file),
        host_keys: Vec::new(),
        ..sshd.settings()
    };
    SftpInbox::connect(&sshd.server(), &by_line).unwrap();
    sshd.make_host_key("ed25519");
    sshd.make_host_key("rsa");
    assert!(sshd.start_again());
    let accepted = sshd.log().matches("Accepted").count();
    for settings in [&by_fingerprint, &by_line] {
        let error = refusal(&sshd.server(), settings);
        assert!(
            matches!(error, TransportError::HostKeyChanged { .. }),
            "{error}"
        );
        assert!(!error.is_transient());
        // The error shows the fingerprint of the key that the server has, so that people can compare it.
        assert!(error.to_string().contains(&sshd.fingerprint("rsa")));
    }
    let both = refusal(&sshd.server(), &by_fingerprint).to_string();
    assert!(both.contains(&sshd.fingerprint("ed25519")), "{both}");
    assert_eq!(sshd.log().matches("Accepted").count(), accepted);
    assert!(!sshd.log().contains("Failed publickey"));

    // A revoked key is rejected even if another line accepts it.
    let revoked = format!(
        "@revoked * {}\n{}",
        sshd.public_host_key("rsa"),
        known(&sshd)
    );
    let settings = SftpSettings {
        known_hosts: Some(sshd.known_hosts("revoked", &revoked)),
        ..by_line.clone()
    };
    let error = refusal(&sshd.server(), &settings);
    assert!(
        matches!(error, TransportError::HostKeyRevoked { .. }),
        "{error}"
    );
    for text in ["@revoked * ssh-rsa", "@revoked * ssh-rsa !"] {
        let settings = SftpSettings {
            known_hosts: Some(sshd.known_hosts("broken", text)),
            ..by_line.clone()
        };
        let error = refusal(&sshd.server(), &settings);
        assert!(
            matches!(error, TransportError::KnownHosts { .. }),
            "{error}"
        );
    }
    let settings = SftpSettings {
        known_hosts: Some(sshd.path("nowhere")),
        ..by_line
    };
    let error = refusal(&sshd.server(), &settings);
    assert!(
        matches!(error, TransportError::KnownHosts { .. }),
        "{error}"
    );
}

#[test]
fn accepts_client_keys_of_every_format() {
    let Some(sshd) = Sshd::start_default() else {
        return;
    };
    let passphrase = "correct horse";
    for (kind, form) in [
        ("ed25519", [].as_slice()),
        ("ecdsa", &[]),
        ("rsa", &["-b", "3072"]),
        ("rsa", &["-b", "2048", "-m", "PEM"]),
        ("rsa", &["-b", "2048", "-m", "PKCS8"]),
    ] {
        for with in ["", passphrase] {
            let file = format!("{kind}{}{}", form.concat(), with.len());
            let key = sshd.key(&file, kind, with, form);
            let given = (!with.is_empty()).then_some(with);
            let settings = sshd.settings_with(&key, given);
            let connected = SftpInbox::connect(&sshd.server(), &settings);
            assert!(connected.is_ok(), "{file}: {:?}", connected.err());
            // A passphrase for a key without one is ignored.
            let settings = sshd.settings_with(&key, given.or(Some("unneeded")));
            SftpInbox::connect(&sshd.server(), &settings).unwrap();
            if given.is_some() {
                let error = refusal(&sshd.server(), &sshd.settings_with(&key, None));
                assert!(
                    key_problem(&error).contains("is encrypted"),
                    "{file}: {error}"
                );
                let settings = sshd.settings_with(&key, Some("wrong horse"));
                let error = refusal(&sshd.server(), &settings);
                assert!(
                    key_problem(&error).contains("passphrase is wrong"),
                    "{file}: {error}"
                );
                assert!(!format!("{error} {settings:?}").contains("horse"));
            }
        }
    }
}

#[test]
fn reports_why_a_private_key_cannot_be_used() {
    let Some(sshd) = Sshd::start_default() else {
        return;
    };
    let key = sshd.key("exposed", "ed25519", "", &[]);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    let error = refusal(&sshd.server(), &sshd.settings_with(&key, None));
    assert!(
        matches!(
            error,
            TransportError::KeyFile {
                problem: KeyFileProblem::Exposed { mode: 0o640 },
                ..
            }
        ),
        "{error}"
    );
    let write = |name: &str, text: &str| {
        let path = sshd.path("..").join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    };
    let half = fs::read_to_string(key.with_extension("pub")).unwrap();
    let body = fs::read_to_string(&key).unwrap();
    let torn = &body[..body.len() / 2];
    for (name, text, word) in [
        ("half", half.as_str(), "public half"),
        ("nonsense", "nonsense", "no private key"),
        ("torn", torn, "no private key"),
        ("long", &"x".repeat(70_000), "larger than"),
    ] {
        let error = refusal(
            &sshd.server(),
            &sshd.settings_with(&write(name, text), None),
        );
        assert!(key_problem(&error).contains(word), "{name}: {error}");
        assert!(!error.is_transient());
    }
    let error = refusal(
        &sshd.server(),
        &sshd.settings_with(Path::new("/nowhere/key"), None),
    );
    assert!(key_problem(&error).contains("No such file"), "{error}");
}

/// Some editors write a byte order mark, or UTF-16.
#[test]
fn reads_key_files_of_editors() {
    let Some(sshd) = Sshd::start_default() else {
        return;
    };
    let write = |name: &str, bytes: &[u8]| {
        let path = sshd.path("..").join(name);
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    };
    let text = fs::read_to_string(sshd.key("plain", "ed25519", "", &[])).unwrap();
    let marked = write("marked", format!("\u{feff}{text}").as_bytes());
    SftpInbox::connect(&sshd.server(), &sshd.settings_with(&marked, None)).unwrap();
    let wide = write("wide", b"\xff\xfe-\0-\0");
    let error = refusal(&sshd.server(), &sshd.settings_with(&wide, None));
    assert!(key_problem(&error).contains("UTF-16"), "{error}");

    let line = format!(
        "[127.0.0.1]:{} {}\n",
        sshd.port(),
        sshd.public_host_key("ed25519")
    );
    let known = |file: &Path| SftpSettings {
        known_hosts: Some(file.to_owned()),
        host_keys: Vec::new(),
        ..sshd.settings()
    };
    let marked = write("marked_hosts", format!("\u{feff}{line}").as_bytes());
    SftpInbox::connect(&sshd.server(), &known(&marked)).unwrap();
    let wide = write("wide_hosts", b"\xff\xfe[\0");
    let error = refusal(&sshd.server(), &known(&wide));
    assert!(error.to_string().contains("UTF-16"), "{error}");
}

#[test]
fn a_key_that_the_server_does_not_know_is_refused() {
    let setup = Setup {
        authorized: false,
        ..Setup::default()
    };
    let Some(sshd) = Sshd::start(setup) else {
        return;
    };
    let rsa = sshd.key("rsa", "rsa", "", &["-b", "2048"]);
    for settings in [sshd.settings(), sshd.settings_with(&rsa, None)] {
        let error = refusal(&sshd.server(), &settings);
        assert!(
            matches!(
                error,
                TransportError::KeyRefused { .. } | TransportError::RsaKeyRefused { .. }
            ),
            "{error}"
        );
        assert!(!error.is_transient());
    }
    let mut server = sshd.server();
    server.user = "NOBODY_SIMPELSFTP".to_owned();
    let error = refusal(&server, &sshd.settings());
    assert!(error.to_string().contains("NOBODY_SIMPELSFTP"), "{error}");
}

#[test]
fn reports_servers_with_sha1_only_or_without_sftp() {
    let old = Setup {
        host_keys: vec!["rsa"],
        configuration: vec!["HostKeyAlgorithms ssh-rsa".to_owned()],
        ..Setup::default()
    };
    let Some(sshd) = Sshd::start(old) else { return };
    let error = refusal(&sshd.server(), &sshd.settings());
    assert!(
        matches!(error, TransportError::NoCommonAlgorithm { .. }),
        "{error}"
    );
    assert!(!error.is_transient());

    for without in [
        Setup {
            sftp: None,
            ..Setup::default()
        },
        Setup {
            configuration: vec!["MaxSessions 0".to_owned()],
            ..Setup::default()
        },
    ] {
        let sshd = Sshd::start(without).unwrap();
        let error = refusal(&sshd.server(), &sshd.settings());
        assert!(matches!(error, TransportError::NoSftp { .. }), "{error}");
        assert!(!error.is_transient());
    }
}

fn refusal(server: &cprflow_transport::Server, settings: &SftpSettings) -> TransportError {
    SftpInbox::connect(server, settings).err().unwrap()
}

fn key_problem(error: &TransportError) -> String {
    match error {
        TransportError::KeyFile { problem, .. } => problem.to_string(),
        other => panic!("{other}"),
    }
}
