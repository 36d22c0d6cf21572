//! Names and numbers that want to do harm, and very many files.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;

use cprflow_tests::extract;
use cprflow_tests::sshd::Sshd;
use cprflow_tests::trial::{Trial, transfer};

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
