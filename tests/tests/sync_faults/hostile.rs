//! Names and numbers that want to do harm, and very many files.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;

use cprflow_platform::{Options, Platform, SftpServer};
use cprflow_tests::command::cprflow;
use cprflow_tests::extract;
use cprflow_tests::sshd::Sshd;
use cprflow_tests::trial::{Trial, metadata, transfer};

use super::{NAME, waits};

#[test]
fn hostile_names() {
    let Some(trial) = Trial::sftp() else { return };
    let bytes = extract::small(20, 1);
    trial.put(NAME, &bytes, &transfer(1));
    for name in [
        &b"two\nlines"[..],
        b"\x1b[2Jclear",
        b"not \xff utf-8",
        "\u{202e}turned".as_bytes(),
    ] {
        fs::write(trial.inbox().join(std::ffi::OsStr::from_bytes(name)), b"x").unwrap();
    }
    std::os::unix::fs::symlink("/etc/passwd", trial.inbox().join("link.metadata")).unwrap();
    let ended = trial.sync();
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert_eq!(
        ended.text().matches("(unusable-name)").count(),
        5,
        "{}",
        ended.text()
    );
    assert!(!ended.text().contains('\x1b') && !ended.text().contains('\u{202e}'));
    trial.assert_published(&[&bytes]);
    assert_eq!(trial.remote().len(), 5, "they stay where they are");
}

/// Others name their files after persons. Whatever is said and recorded is searched by the trial.
#[test]
fn names_with_person_numbers() {
    let Some(sshd) = Sshd::start_as_nobody() else {
        return;
    };
    let trial = Trial::at(sshd);
    let (bytes, other) = (extract::small(20, 1), extract::small(20, 2));
    for number in [
        "0101010101",
        "0202020202",
        "0303030303",
        "0404040404",
        "0505050505",
        "0606060606",
    ] {
        trial.hide(number);
    }
    trial.file("0101010101.pdf", b"x");
    trial.file("0202020202.pdf", b"x");
    trial.file("0303030303.sftpreceipt", b"x");
    trial.file("0404040404\n.pdf", b"x");
    fs::create_dir(trial.inbox().join("0505050505")).unwrap();
    // One that is published, one that cannot be read, one that comes again with other bytes.
    trial.put("0606060606.l431101", &bytes, &transfer(1));
    trial.put("0303030303.l431101", &bytes, &transfer(2));
    let closed = trial.inbox().join("0303030303.l431101");
    fs::set_permissions(closed, fs::Permissions::from_mode(0o000)).unwrap();
    let ended = trial.sync();
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    for told in [
        "published  [number] l431101 as",
        "waiting    [number] pdf (no-metadata)",
        "not taken  [number] sftpreceipt (foreign)",
        "not taken  [number] l431101 (unreadable)",
        "not taken  [number] (foreign): a directory",
    ] {
        assert!(ended.text().contains(told), "{told}: {}", ended.text());
    }
    trial.assert_published(&[&bytes]);
    // Two that are said alike are two.
    let status = trial.run("status", &["--format", "json"]);
    for name in ["\"[number] pdf\"", "\"[number] pdf (2)\""] {
        assert!(status.text().contains(name), "{}", status.text());
    }
    trial.put("0606060606.l431101", &other, &transfer(1));
    for format in ["text", "json"] {
        let more = [
            "--unrestricted",
            "test",
            "--log-format",
            format,
            "--log-level",
            "trace",
        ];
        let ended = trial.run("sync", &more);
        assert_eq!(ended.code, 1, "{}", ended.stderr);
        assert!(
            ended.text().contains("(transfer-reused)"),
            "{}",
            ended.text()
        );
    }
    assert_eq!(trial.run("inbox", &[]).code, 0);
    trial.run("status", &[]);
    for named in ["0606060606.l431101", "[number] l431101"] {
        let ended = trial.run("set-aside", &[named, "--reason", "x"]);
        assert_eq!(ended.code, 2, "{}", ended.text());
    }
    // What comes again stays seen since it was seen first.
    let ledger = rusqlite::Connection::open(trial.path("state/ledger.sqlite")).unwrap();
    let age = "UPDATE stray SET first_seen = strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '-2 days')";
    assert!(ledger.execute(age, []).unwrap() > 5);
    drop(ledger);
    trial.sync();
    let status = trial.run("status", &[]);
    let reused = "ask the helpdesk which of them is right (transfer-reused; there for 2 days";
    assert!(status.text().contains(reused), "{}", status.text());
}

#[test]
fn hostile_uuids() {
    for uuid in [
        "../../../../tmp/x",
        "",
        "47570fc2",
        "47570fc2-be65-4ab1-8da7-3bcc086bfefg",
        "0101010101",
    ] {
        let trial = Trial::local();
        let bytes = extract::small(20, 1);
        trial.put(NAME, &bytes, uuid);
        waits(&trial, NAME, "metadata-unreadable");
        assert_eq!(trial.remote().len(), 2);
    }
}

/// No file system has such names; a server can say them.
#[test]
fn names_that_no_server_may_list() {
    let place = tempfile::tempdir().unwrap();
    let mut options = Options::new(place.path(), 10, 1);
    options.sftp = SftpServer::InProcess;
    let platform = Platform::start(options).unwrap();
    let bytes = extract::small(20, 1);
    let outside = "../d260303.l431101.metadata";
    fs::write(platform.inbox().join(NAME), &bytes).unwrap();
    let metadata = metadata(NAME, bytes.len() as u64, &transfer(1));
    fs::write(platform.inbox().join(format!("{NAME}.metadata")), metadata).unwrap();
    // What the name leads to is there, and is left alone.
    let target = platform.inbox().join(outside);
    fs::write(&target, "x").unwrap();
    let sftp = platform.sftp();
    let inbox = format!("sftp://{}@127.0.0.1:{}/IN", sftp.user(), sftp.port());
    let path = |name: &str| place.path().join(name).display().to_string();
    let sync = || {
        cprflow([
            "sync",
            "--inbox",
            &inbox,
            "--identity",
            &sftp.identity().display().to_string(),
            "--known-hosts",
            &sftp.known_hosts().display().to_string(),
            "--dataset",
            &path("dataset"),
            "--state",
            &path("state"),
            "--unrestricted",
            "test",
        ])
    };
    // One that is longer than SFTP's library takes ends the look.
    let long = |length: usize| "x".repeat(length);
    sftp.list_also(&[&long(4096)]);
    let ended = sync();
    assert_eq!(ended.code, 2, "{}{}", ended.stderr, ended.text());
    let why = "does not keep to the protocol while listing";
    assert!(ended.stderr.contains(why), "{}", ended.stderr);
    assert_eq!(fs::read_dir(platform.inbox()).unwrap().count(), 2);
    sftp.list_also(&[
        outside,
        "../../etc/passwd",
        "a/b",
        &long(4000),
        "two\nlines",
        ".",
    ]);
    let ended = sync();
    assert_eq!(ended.code, 1, "{}{}", ended.stderr, ended.text());
    let told = ended.text().matches("(unusable-name)").count();
    assert_eq!(told, 5, "{}", ended.text());
    assert!(!ended.text().contains(&long(100)), "it is cut");
    assert_eq!(ended.text().matches("published  ").count(), 1);
    assert!(target.is_file());
    let left = fs::read_dir(platform.inbox()).unwrap().count();
    assert_eq!(left, 0, "what was published");
}

/// Each with its metadata, and none of them ours: all of them are read, and ours is taken.
#[test]
fn thousands_of_pairs_in_the_inbox() {
    let Some(trial) = Trial::sftp() else { return };
    let (bytes, theirs) = (extract::small(20, 1), extract::small(1, 2));
    let task = String::from_utf8_lossy(&theirs).replace("431101", "222222");
    const PAIRS: u32 = 2_000;
    for number in 0..PAIRS {
        trial.put(
            &format!("theirs-{number}"),
            task.as_bytes(),
            &transfer(10 + number),
        );
    }
    trial.put(NAME, &bytes, &transfer(1));
    let source = trial.source();
    let value = |option: &str| {
        let at = source.iter().position(|argument| argument == option);
        source[at.unwrap() + 1].clone()
    };
    trial.configure(&format!(
        "[agreement.one]\ninbox = \"{}\"\nidentity = \"{}\"\nhost_keys = [\"{}\"]\nunrestricted = \"test\"\n\
         files.task_numbers = [\"431101\"]\n",
        value("--inbox"),
        value("--identity"),
        value("--host-key"),
    ));
    for _ in 0..2 {
        let ended = trial.sync();
        assert_eq!(ended.code, 1, "{}", ended.stderr);
        let told = ended.text().matches("(nobodys)").count();
        assert_eq!(told, PAIRS as usize);
        trial.assert_published(&[&bytes]);
        assert_eq!(trial.remote().len(), 2 * PAIRS as usize);
    }
}

#[test]
fn ten_thousand_files_in_the_inbox() {
    let Some(trial) = Trial::sftp() else { return };
    let bytes = extract::small(20, 1);
    for number in 0..9_998 {
        trial.file(&format!("sent-{number}.sftpreceipt"), b"x");
    }
    trial.put(NAME, &bytes, &transfer(1));
    assert_eq!(trial.remote().len(), 10_000);
    let ended = trial.sync();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    trial.assert_published(&[&bytes]);
    assert_eq!(trial.remote().len(), 9_998);
}
