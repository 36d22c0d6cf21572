//! Names and numbers that want to do harm, and very many files.

use std::fs;
use std::os::unix::ffi::OsStrExt;

use cprflow_tests::extract;
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
